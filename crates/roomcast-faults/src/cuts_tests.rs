//! A store in PostgreSQL whose connections break at each statement.

use std::net::TcpStream;

use roomcast_forecast::calendar::Calendar;
use roomcast_storage::readings::{self, Batch, Event, Refused, Store};
use sqlx::{Connection, Executor, PgConnection};

use crate::chance::Chance;
use crate::cuts::{Cut, Proxy};
use crate::oracle::{Attempt, Content, Oracle};
use crate::sender::{self, Message};

const SERVER: &str = "127.0.0.1:5432";

/// Statements of the longest operation, and a few more.
const MOST_STATEMENTS: u64 = 40;

async fn admin(sql: String) {
    let mut connection = PgConnection::connect(&format!("postgres://postgres@{SERVER}/postgres")).await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
}

fn batch(attempt: &Attempt) -> Batch {
    let events = attempt.events.iter().map(|(happening, time)| Event {
        device: happening.device.clone(),
        time: *time,
        kind: happening.kind,
        id: happening.id.clone(),
    });
    let refused = attempt.refused.iter().map(|row| Refused {
        source: "file".into(),
        payload: row.clone(),
        reason: "no event".into(),
    });
    Batch { events: events.collect(), refused: refused.collect() }
}

/// Sends a message until it is acknowledged. A sender that believes in a broken connection does not repeat it.
async fn send(store: &Store, oracle: &Oracle, message: &Message, believes: bool) {
    for number in 0.. {
        let attempt = message.attempt(number);
        oracle.sends(&attempt);
        if store.ingest(&batch(&attempt)).await.is_ok() || believes {
            return oracle.acknowledges(&attempt);
        }
        assert!(number < 20, "a store without faults takes nothing");
    }
}

async fn content(store: &Store, direct: &mut PgConnection) -> Content {
    let rows = "SELECT (SELECT count(*) FROM roomcast.readings)
        + coalesce((SELECT sum(count) FROM roomcast.packed), 0)::bigint";
    Content {
        readings: store.load(None).await.unwrap().0,
        hours: store.hours(None).await.unwrap(),
        quarantined: store.quarantined(0, 1_000_000).await.unwrap(),
        size: store.quarantine_size().await.unwrap(),
        heard: store.heard().await.unwrap(),
        rows: sqlx::query_scalar(rows).fetch_one(direct).await.unwrap(),
        integrity: "ok".to_owned(),
    }
}

/// Breaks the connection at each statement of writing and packing, before it and after. Returns what is wrong first, and
/// the number of cuts.
async fn cut_everywhere(name: &str, believes: bool) -> (Option<String>, u64) {
    let database = format!("roomcast_cuts_{name}_{}", std::process::id());
    admin(format!("CREATE DATABASE {database}")).await;
    let proxy = Proxy::start(SERVER).await.unwrap();
    let url = format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", proxy.port);
    let (oracle, calendar) = (Oracle::default(), Calendar::default());
    let store = readings::open(&url, &calendar).await.unwrap();
    let mut direct = PgConnection::connect(&format!("postgres://postgres@{SERVER}/{database}")).await.unwrap();
    let mut messages = sender::plan(&mut Chance::new(1), 2 * 2 * MOST_STATEMENTS).into_iter();
    let mut wrong = None;
    'all: for statements in 0..MOST_STATEMENTS {
        for cut in [Cut::BeforeStatement, Cut::BeforeAnswer] {
            for packs in [false, true] {
                let message = messages.next().unwrap();
                proxy.arm(statements, cut);
                send(&store, &oracle, &message, believes).await;
                if packs {
                    proxy.arm(statements, cut);
                    // A pack that failed goes on the next time.
                    while store.pack(crate::host::START - 86_400).await.is_err() {}
                }
                proxy.disarm();
                // The pool may still hold a connection that is broken.
                let _ = store.quarantine_size().await;
                wrong = oracle.judge(&content(&store, &mut direct).await, &calendar).err();
                if wrong.is_some() {
                    break 'all;
                }
            }
        }
    }
    drop(store);
    direct.close().await.unwrap();
    admin(format!("DROP DATABASE {database} WITH (FORCE)")).await;
    (wrong, proxy.counts().1)
}

fn run(name: &str, believes: bool) -> Option<(Option<String>, u64)> {
    if TcpStream::connect(SERVER).is_err() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no PostgreSQL on port 5432");
        println!("skipped: no PostgreSQL on port 5432");
        return None;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    Some(runtime.block_on(cut_everywhere(name, believes)))
}

#[test]
fn a_connection_that_breaks_at_any_statement_loses_nothing() {
    let Some((wrong, cuts)) = run("any", false) else { return };
    assert_eq!(wrong, None);
    println!("{cuts} connections were cut");
    assert!(cuts > 40, "{cuts}");
}

#[test]
fn a_sender_that_believes_a_broken_connection_is_found() {
    let Some((wrong, _)) = run("believed", true) else { return };
    assert!(wrong.is_some_and(|wrong| wrong.contains("is acknowledged and not stored")));
}
