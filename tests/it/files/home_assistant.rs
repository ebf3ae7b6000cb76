//! Databases of Home Assistant's recorder, in its published schemas.

use std::path::Path;

use chrono::TimeDelta;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};

use super::readings::{self, ROOMS};

/// Tables of schema 43, of 2024, as far as states need them.
const NEW: &str = "
    CREATE TABLE recorder_runs (run_id INTEGER PRIMARY KEY, start DATETIME NOT NULL);
    CREATE TABLE states_meta (metadata_id INTEGER NOT NULL PRIMARY KEY, entity_id VARCHAR(255));
    CREATE TABLE state_attributes (attributes_id INTEGER NOT NULL PRIMARY KEY, hash BIGINT, shared_attrs TEXT);
    CREATE TABLE states (state_id INTEGER NOT NULL PRIMARY KEY, entity_id CHAR(0), state VARCHAR(255), attributes CHAR(0),
        event_id SMALLINT, last_changed CHAR(0), last_changed_ts FLOAT, last_reported_ts FLOAT, last_updated CHAR(0),
        last_updated_ts FLOAT, old_state_id INTEGER, attributes_id INTEGER, context_id CHAR(0), origin_idx SMALLINT,
        context_id_bin BLOB, metadata_id INTEGER);
    CREATE INDEX ix_states_metadata_id_last_updated_ts ON states (metadata_id, last_updated_ts);";

/// Tables of schema 20, of 2021.
const OLD: &str = "
    CREATE TABLE recorder_runs (run_id INTEGER PRIMARY KEY, start DATETIME NOT NULL);
    CREATE TABLE states (state_id INTEGER NOT NULL PRIMARY KEY, domain VARCHAR(64), entity_id VARCHAR(255),
        state VARCHAR(255), attributes TEXT, event_id INTEGER, last_changed DATETIME, last_updated DATETIME,
        created DATETIME, old_state_id INTEGER);";

/// Entities: the rooms, a door that must be left out, and a light.
const OTHERS: [(&str, &str); 2] = [("binary_sensor.door", "door"), ("light.hall", "")];

fn attributes(class: &str) -> String {
    format!("{{\"device_class\":\"{class}\",\"friendly_name\":\"x\"}}")
}

/// Takes the class from all states of the first room and of the door, and writes it into the registry beside the database.
pub fn move_classes(path: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut database = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
        for at in [1, ROOMS.len() + 1] {
            let bare =
                sqlx::query("UPDATE state_attributes SET shared_attrs = '{}' WHERE attributes_id = ?").bind(at as i64);
            bare.execute(&mut database).await.unwrap();
        }
        database.close().await.unwrap();
    });
    let entity = |id: &str, class: &str| {
        format!(
            r#"{{"entity_id":"{id}","device_id":null,"area_id":null,"device_class":null,"original_device_class":"{class}"}}"#
        )
    };
    let entities = [entity(ROOMS[0], "motion"), entity("binary_sensor.door", "door")].join(",");
    let storage = path.parent().unwrap().join(".storage");
    std::fs::create_dir(&storage).unwrap();
    std::fs::write(storage.join("core.entity_registry"), format!("{{\"data\":{{\"entities\":[{entities}]}}}}"))
        .unwrap();
}

/// Writes a database. Its devices are named as the rooms.
pub fn write(path: &Path, is_new: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        let mut database = options.connect().await.unwrap();
        database.execute(sqlx::raw_sql(if is_new { NEW } else { OLD })).await.unwrap();
        database.execute("BEGIN").await.unwrap();
        let classes = ["motion", "occupancy", "presence"];
        let entities: Vec<(&str, &str)> = ROOMS.into_iter().zip(classes).chain(OTHERS).collect();
        if is_new {
            for (at, (name, class)) in (1_i64..).zip(&entities) {
                let meta = sqlx::query("INSERT INTO states_meta VALUES (?, ?)").bind(at).bind(*name);
                meta.execute(&mut database).await.unwrap();
                let shared = sqlx::query("INSERT INTO state_attributes VALUES (?, 0, ?)").bind(at).bind(attributes(class));
                shared.execute(&mut database).await.unwrap();
            }
        }
        for reading in readings::all() {
            for (entity, state, minutes) in
                [(reading.room, "on", 0), (reading.room, "off", 10), (ROOMS.len(), "on", 1), (ROOMS.len() + 1, "on", 2)]
            {
                let time = reading.utc() + TimeDelta::minutes(minutes);
                let (name, class) = entities[entity];
                if is_new {
                    let seconds = time.timestamp() as f64 + 0.25;
                    // A change of attributes alone keeps the time of the last change.
                    for (changed, updated) in [(None, seconds), (Some(seconds), seconds + 20.0)] {
                        sqlx::query("INSERT INTO states (state, last_changed_ts, last_updated_ts, attributes_id, metadata_id) VALUES (?, ?, ?, ?, ?)")
                            .bind(state).bind(changed).bind(updated).bind(entity as i64 + 1).bind(entity as i64 + 1)
                            .execute(&mut database).await.unwrap();
                    }
                } else {
                    let text = time.format("%Y-%m-%d %H:%M:%S.250000").to_string();
                    sqlx::query("INSERT INTO states (domain, entity_id, state, attributes, last_changed, last_updated) VALUES ('', ?, ?, ?, ?, ?)")
                        .bind(name).bind(state).bind(attributes(class)).bind(&text).bind(&text)
                        .execute(&mut database).await.unwrap();
                }
            }
        }
        database.execute("COMMIT").await.unwrap();
        database.close().await.unwrap();
    });
}
