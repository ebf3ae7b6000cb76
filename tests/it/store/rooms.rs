//! The table of rooms in a store.

use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::rooms::Rooms;
use roomcast_storage::readings::StoreError;

use super::place::{Place, START, batch, motion, on_both};
use super::refusal::tamper;

fn table(text: &str) -> Rooms {
    Rooms::parse(text.as_bytes(), "rooms.csv", &Calendar::default()).unwrap()
}

const TABLE: &str = "sensor,room,floor,building,from,to
pir 1,Küche,1,North,,2016-07-04
pir 1,\"Hall, south\",2,North,2016-07-04 09:30:00,
pir 2,\"Hall, south\",2,North,,
desk,'; DROP TABLE rooms --,,,,
";

#[tokio::test]
async fn the_table_of_rooms_comes_back_and_is_replaced_as_a_whole() {
    on_both(async |place: Place| {
        let (one, other) = (place.open().await, place.open().await);
        assert_eq!(other.rooms().await.unwrap(), (Rooms::default(), 0));
        let rooms = table(TABLE);
        one.set_rooms(&rooms).await.unwrap();
        assert_eq!((other.rooms().await.unwrap(), other.rooms_version().await.unwrap()), ((rooms, 1), 1));
        // Readings know nothing of it.
        one.ingest(&batch([motion("pir 1", START)])).await.unwrap();
        let smaller = table("sensor,room\npir 1,Hall\n");
        other.set_rooms(&smaller).await.unwrap();
        assert_eq!(one.rooms().await.unwrap(), (smaller, 2));
        assert_eq!(one.load(None).await.unwrap().0.devices[0].device, "pir 1");
        // No table: each device is a room.
        other.set_rooms(&Rooms::default()).await.unwrap();
        assert_eq!(place.open().await.rooms().await.unwrap(), (Rooms::default(), 3));
    })
    .await;
}

#[tokio::test]
async fn of_two_who_replace_the_table_one_is_the_last() {
    on_both(async |place: Place| {
        let (one, other) = (place.open().await, place.open().await);
        let tables = ["a", "b"].map(|room| {
            let rows: String = (0..500).map(|n| format!("sensor {n},{room} {n}\n")).collect();
            table(&format!("sensor,room\n{rows}"))
        });
        for _ in 0..5 {
            let (first, second) = tokio::join!(one.set_rooms(&tables[0]), other.set_rooms(&tables[1]));
            first.and(second).unwrap();
            let (rooms, _) = one.rooms().await.unwrap();
            assert!(tables.contains(&rooms), "neither of the two: {} rows", rooms.assignments().len());
        }
        assert_eq!(one.rooms_version().await.unwrap(), 10);
    })
    .await;
}

#[tokio::test]
async fn a_damaged_table_of_rooms_is_an_error() {
    on_both(async |place: Place| {
        let store = place.open().await;
        store.set_rooms(&table("sensor,room\na,Hall\nb,Loft\n")).await.unwrap();
        tamper(&place, "UPDATE rooms SET sensor = 'a'").await;
        let error = store.rooms().await.unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }) && error.to_string().contains("\"a\""), "{error}");
    })
    .await;
}
