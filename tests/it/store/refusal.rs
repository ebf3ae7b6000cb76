//! What a store refuses, and how it says so.

use std::path::Path;

use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::rooms::Rooms;
use roomcast_storage::readings::{self, Kind, StoreError};
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};

use super::place::{Place, START, batch, held, motion, on_both, stream, sums};

/// Does something to the database behind a store's back.
pub async fn tamper(place: &Place, sql: &'static str) {
    if place.is_postgres() {
        let mut connection = PgConnection::connect(&place.url).await.unwrap();
        connection.execute("SET search_path = roomcast").await.unwrap();
        connection.execute(sql).await.unwrap();
    } else {
        let mut connection = SqliteConnection::connect(&place.url).await.unwrap();
        connection.execute(sql).await.unwrap();
    }
}

async fn error(url: &str, calendar: &Calendar) -> StoreError {
    match readings::open(url, calendar).await {
        Ok(_) => panic!("{url} opens"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_store_of_a_newer_version_or_another_zone_is_refused() {
    on_both(async |place: Place| {
        place.open().await.ingest(&batch([motion("a", START)])).await.unwrap();
        let berlin = Calendar::new(Some(chrono_tz::Europe::Berlin));
        let zone = error(&place.url, &berlin).await;
        assert!(
            matches!(&zone, StoreError::Zone { recorded, given, .. } if recorded == "none" && given == "Europe/Berlin")
        );
        assert!(zone.to_string().contains("--timezone") && !zone.is_temporary(), "{zone}");
        tamper(&place, "UPDATE meta SET version = version + 90").await;
        let newer = error(&place.url, &Calendar::default()).await;
        assert!(matches!(newer, StoreError::Newer { found: 90.., .. }), "{newer}");
        tamper(&place, "UPDATE meta SET version = version - 90").await;
        assert_eq!(place.open().await.load(None).await.unwrap().0.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_store_without_a_reading_takes_a_time_zone_unless_it_is_in_use() {
    on_both(async |place: Place| {
        let berlin = Calendar::new(Some(chrono_tz::Europe::Berlin));
        let store = place.open().await;
        // Rows in quarantine are texts, which any zone can read.
        let mut refused = batch([]);
        refused.refused = vec![super::refused("2016-07-02T09:00:00Z,c,1", "a zone")];
        store.ingest(&refused).await.unwrap();
        assert!(store.lease("publishing", "a server", 600).await.unwrap());
        assert!(matches!(error(&place.url, &berlin).await, StoreError::Zone { .. }));
        store.unlease("publishing", "a server").await.unwrap();
        let zoned = readings::open(&place.url, &berlin).await.unwrap();
        zoned.ingest(&batch([motion("a", START)])).await.unwrap();
        // From then on the zone is the store's.
        for other in [Calendar::default(), Calendar::new(Some(chrono_tz::Europe::London))] {
            let zone = error(&place.url, &other).await;
            assert!(matches!(&zone, StoreError::Zone { recorded, .. } if recorded == "Europe/Berlin"), "{zone}");
        }
        assert_eq!(readings::open(&place.url, &berlin).await.unwrap().load(None).await.unwrap().0.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn files_that_are_no_store_are_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("text.db"), "time,device,device_activated\n".repeat(100)).unwrap();
    let text = error(&at("text.db"), &Calendar::default()).await;
    assert!(matches!(text, StoreError::Damaged { .. }) && text.to_string().contains("text.db"), "{text}");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(at("other.db")).create_if_missing(true);
    let mut other = SqliteConnection::connect_with(&options).await.unwrap();
    other.execute("CREATE TABLE songs (name TEXT)").await.unwrap();
    let other = error(&at("other.db"), &Calendar::default()).await;
    assert!(other.to_string().contains("another program"), "{other}");
    let directory = error(&format!("sqlite:{}", dir.path().display()), &Calendar::default()).await;
    assert!(directory.to_string().contains("is a directory"), "{directory}");
    assert!(matches!(error(&at("nowhere/x.db"), &Calendar::default()).await, StoreError::Refused { .. }));
    let missing = readings::open_existing(&at("missing.db"), &Calendar::default()).await.err().unwrap();
    assert!(missing.to_string().contains("no such store") && !Path::new(&at("missing.db")).exists(), "{missing}");
}

#[tokio::test]
async fn a_server_that_is_away_is_worth_another_try_and_passwords_are_kept() {
    let away = error("postgres://me:s3cret@127.0.0.1:1/site", &Calendar::default()).await;
    assert!(away.is_temporary() && matches!(away, StoreError::Unavailable { .. }), "{away}");
    assert!(!format!("{away} {away:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_damaged_day_is_an_error_and_no_nonsense() {
    on_both(async |place: Place| {
        let store = place.open().await;
        store.ingest(&batch([motion("a", START)])).await.unwrap();
        store.pack(START + 86_400).await.unwrap();
        tamper(&place, "UPDATE packed SET times = '\\x1234'").await;
        let error = store.load(None).await.unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    })
    .await;
}

/// Gives a PostgreSQL store a table for each day again, as it had before version 5.
pub async fn split_by_day(place: &Place) {
    for sql in [
        "ALTER TABLE readings RENAME TO one",
        "ALTER INDEX readings_pkey RENAME TO one_pkey",
        "DROP INDEX readings_xid",
        "CREATE TABLE readings (time BIGINT NOT NULL, device BIGINT NOT NULL, xid BIGINT NOT NULL,
            PRIMARY KEY (time, device)) PARTITION BY RANGE (time)",
        "CREATE INDEX readings_xid ON readings (xid)",
        "DO $$ DECLARE day bigint; BEGIN FOR day IN SELECT DISTINCT time / 86400 FROM one LOOP
             EXECUTE format('CREATE TABLE readings_%s PARTITION OF readings FOR VALUES FROM (%s) TO (%s)',
                 day, day * 86400, (day + 1) * 86400);
         END LOOP; END $$",
        "INSERT INTO readings SELECT * FROM one",
        "DROP TABLE one",
        "DROP TABLE quarantine_size",
        "DROP TABLE rooms, rooms_version",
        "CREATE SEQUENCE fences",
        "CREATE TABLE rounds (id BIGINT)",
        "CREATE TABLE round_devices (round BIGINT)",
        "UPDATE meta SET version = 4",
    ] {
        tamper(place, sql).await;
    }
}

/// Makes a store of version 4, by taking from one what later versions added and giving it what they took away.
async fn age(place: &Place) {
    if place.is_postgres() {
        return split_by_day(place).await;
    }
    let added = ["DROP TABLE quarantine_size", "DROP TABLE rooms", "DROP TABLE rooms_version"];
    for sql in added.into_iter().chain(["UPDATE meta SET version = 4"]) {
        tamper(place, sql).await;
    }
}

#[tokio::test]
async fn an_older_store_is_brought_up_to_date_or_left_as_it_is() {
    on_both(async |place: Place| {
        // More devices than a block has.
        let mut events = stream(43, 3000, 300, 2);
        events.retain(|event| event.kind == Kind::Motion);
        place.open().await.ingest(&batch(events.clone())).await.unwrap();
        age(&place).await;
        // A step fails: those before it are undone.
        tamper(&place, "CREATE TABLE quarantine_size (something INTEGER)").await;
        error(&place.url, &Calendar::default()).await;
        tamper(&place, "CREATE TABLE readings_by_day (something INTEGER)").await;
        tamper(&place, "DROP TABLE readings_by_day").await;
        tamper(&place, "DROP TABLE quarantine_size").await;
        let (one, other) = tokio::join!(place.open(), place.open());
        assert_eq!(held(&one).await, sums(&events));
        let (readings, _) = one.load(None).await.unwrap();
        let last = readings.devices.iter().map(|d| (d.device.clone(), d.times.last().unwrap()));
        assert_eq!(one.heard().await.unwrap(), last.collect::<Vec<_>>());
        one.pack(START + 2 * 86_400).await.unwrap();
        assert!(other.lease("x", "y", 1).await.unwrap());
        assert_eq!(other.rooms().await.unwrap(), (Rooms::default(), 0));
        assert_eq!(held(&other).await, sums(&events));
    })
    .await;
}

#[tokio::test]
async fn a_store_of_an_early_build_is_refused_and_stays_as_it_is() {
    on_both(async |place: Place| {
        place.open().await.ingest(&batch([motion("a", START)])).await.unwrap();
        age(&place).await;
        tamper(&place, "UPDATE meta SET version = 3").await;
        let error = error(&place.url, &Calendar::default()).await;
        assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.contains("has version 3, known are 4 to ") && message.contains("hint: "), "{message}");
        tamper(&place, "UPDATE meta SET version = 4").await;
        assert_eq!(held(&*place.open().await).await[0].count, 1);
    })
    .await;
}

#[tokio::test]
async fn tables_of_the_queue_that_older_versions_had_are_dropped() {
    let Some(place) = Place::postgres().await else { return };
    place.open().await;
    split_by_day(&place).await;
    place.open().await;
    let mut connection = PgConnection::connect(&place.url).await.unwrap();
    let left = "SELECT count(*) FROM pg_class WHERE relname IN ('rounds', 'round_devices', 'fences')";
    assert_eq!(sqlx::query_scalar::<_, i64>(left).fetch_one(&mut connection).await.unwrap(), 0);
}

#[tokio::test]
async fn a_new_store_is_made_once_by_all_who_open_it_at_once() {
    on_both(async |place: Place| {
        let (a, b, c) = tokio::join!(place.open(), place.open(), place.open());
        for (store, second) in [a, b, c].iter().zip(START..) {
            store.ingest(&batch([motion("a", second)])).await.unwrap();
        }
        assert_eq!(held(&*place.open().await).await[0].count, 3);
    })
    .await;
}

#[tokio::test]
async fn a_database_restored_from_a_busier_server_is_followed_all_the_same() {
    let Some(place) = Place::postgres().await else { return };
    place.open().await.ingest(&batch([motion("a", START)])).await.unwrap();
    tamper(&place, "UPDATE readings SET xid = 4000000000000").await;
    let store = place.open().await;
    let (_, cursor) = store.load(None).await.unwrap();
    store.ingest(&batch([motion("b", START)])).await.unwrap();
    let (changes, _) = store.changes(cursor).await.unwrap();
    assert_eq!(changes.iter().map(|d| d.device.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[tokio::test]
async fn a_server_that_drops_its_connections_is_asked_again() {
    let Some(place) = Place::postgres().await else { return };
    let store = place.open().await;
    let events = stream(47, 4000, 8, 2);
    for (turn, part) in events.chunks(200).enumerate() {
        // One of the connections may be in use.
        if turn % 5 == 2 {
            let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                       WHERE datname = current_database() AND pid <> pg_backend_pid()";
            tamper(&place, all).await;
        }
        while let Err(error) = store.ingest(&batch(part.to_vec())).await {
            assert!(error.is_temporary(), "{error}");
        }
    }
    assert_eq!(held(&store).await, sums(&events));
}

#[tokio::test]
async fn a_full_disk_of_postgres_is_told_from_other_trouble_and_recovers() {
    let Some(place) = Place::postgres().await else { return };
    let store = place.open().await;
    store.ingest(&batch([motion("a", START)])).await.unwrap();
    // What the server says when it cannot extend a file, at the last of the tables that a batch writes to.
    let full = "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$";
    tamper(&place, full).await;
    tamper(&place, "CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON hourly EXECUTE FUNCTION full_disk()").await;
    let refused = store.ingest(&batch([motion("a", START + 1), motion("b", START)])).await.unwrap_err();
    assert!(matches!(refused, StoreError::Full { .. }) && refused.is_temporary(), "{refused}");
    assert_eq!(held(&store).await.iter().map(|hour| hour.count).sum::<i64>(), 1);
    tamper(&place, "DROP TRIGGER no_room ON hourly").await;
    store.ingest(&batch([motion("a", START + 1), motion("b", START)])).await.unwrap();
    assert_eq!(held(&store).await.iter().map(|hour| hour.count).sum::<i64>(), 3);
}

#[tokio::test]
async fn postgres_names_its_own_tools_for_backups() {
    let Some(place) = Place::postgres().await else { return };
    let error = place.open().await.backup(&place.dir.path().join("x")).await.unwrap_err();
    assert!(error.to_string().contains("pg_dump") && !error.is_temporary(), "{error}");
}
