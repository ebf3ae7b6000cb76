//! Home Assistant's own database, `home-assistant_v2.db`: the states that its recorder keeps of motion, occupancy and
//! presence sensors.
//!
//! The recorder has had two schemas. Since 2023 (schema 38) names are in `states_meta` and times are numbers; before, both
//! are in `states` as text. The database is only read, also while Home Assistant writes to it.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, bail};
use chrono::NaiveDateTime;
use roomcast_forecast::calendar::{Calendar, EARLIEST_EVENT, Timestamp};
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Row, SqliteConnection};

use crate::areas;

/// Classes of binary sensors that say whether a room is occupied.
const CLASSES: [&str; 3] = ["motion", "occupancy", "presence"];

/// The end of the year 2200, beyond which hours do not fit their type.
const LATEST: Timestamp = 7_289_654_399;

/// States of a sensor that are looked at for its class, the latest first. Attributes are the same in nearly all of them.
const LOOKED_AT: i64 = 20;

/// The states that the recorder kept.
pub struct History {
    /// In order of device, then time.
    pub edges: Vec<Edge>,
    /// One line that says what was read.
    pub remark: String,
}

/// A change of a sensor.
pub struct Edge {
    /// The entity's id.
    pub device: String,
    pub time: Timestamp,
    /// False for `off`, and for a sensor that is gone.
    pub is_on: bool,
}

/// Returns whether a file is a recorder's database.
pub async fn is_recorder(path: &Path) -> bool {
    match open(path).await {
        Ok(mut database) => tables(&mut database).await.is_ok_and(|tables| is_recorders(&tables)),
        // The error is that of a store with this name.
        Err(_) => false,
    }
}

/// Reads the states of the sensors.
///
/// # Errors
/// Returns an error for a database that cannot be read, a site without a time zone, and a database without such sensors.
pub async fn read(path: &Path, calendar: &Calendar) -> anyhow::Result<History> {
    let name = path.display();
    let Some(zone) = calendar.zone() else {
        bail!(
            "{name}: Home Assistant's times are UTC\nhint: name the site's time zone, such as --timezone Europe/Berlin"
        );
    };
    let failed = || format!("{name}: cannot be read as Home Assistant's database");
    let mut database = open(path).await.with_context(failed)?;
    let has_meta = tables(&mut database).await.with_context(failed)?.contains("states_meta");
    let columns = columns(&mut database).await.with_context(failed)?;
    let queries = Queries::new(has_meta, &columns);
    // What is in no state may be known beside the database.
    let registered = areas::classes(&path.parent().unwrap_or(Path::new("")).join(".storage"));
    let entities = sqlx::query(queries.entities).fetch_all(&mut database).await.with_context(failed)?;
    let (mut edges, mut sensors) = (Vec::new(), 0);
    for entity in entities {
        let (key, device): (i64, String) = (entity.try_get(0)?, entity.try_get(1)?);
        let key = if has_meta { Key::Number(key) } else { Key::Name(device.clone()) };
        let class = class(&mut database, &queries, &key).await.with_context(failed)?;
        if !class.as_ref().or_else(|| registered.get(&device)).is_some_and(|class| CLASSES.contains(&class.as_str())) {
            continue;
        }
        sensors += 1;
        let rows = key
            .bind(sqlx::query(AssertSqlSafe(queries.states.clone())))
            .fetch_all(&mut database)
            .await
            .with_context(failed)?;
        edges.extend(rows.iter().filter_map(|row| edge(&device, row)));
    }
    if sensors == 0 {
        bail!(
            "{name}: no binary sensor of the class motion, occupancy or presence\nhint: export the history of other sensors as CSV"
        );
    }
    let remark = format!(
        "read the states of {sensors} motion, occupancy and presence sensors of Home Assistant (UTC, shown in {})",
        zone.name()
    );
    Ok(History { edges, remark })
}

/// Opens a database to read. A directory that cannot be written to has no place for the files that a second reader
/// needs; then nobody else writes either.
async fn open(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).disable_statement_logging();
    let mut database = options.connect().await?;
    match sqlx::query("SELECT 1 FROM sqlite_master LIMIT 1").fetch_optional(&mut database).await {
        Ok(_) => Ok(database),
        Err(_) => options.immutable(true).connect().await,
    }
}

async fn tables(database: &mut SqliteConnection) -> Result<HashSet<String>, sqlx::Error> {
    let rows = sqlx::query("SELECT name FROM sqlite_master WHERE type = 'table'").fetch_all(database).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

fn is_recorders(tables: &HashSet<String>) -> bool {
    ["states", "recorder_runs"].iter().all(|table| tables.contains(*table))
}

async fn columns(database: &mut SqliteConnection) -> Result<HashSet<String>, sqlx::Error> {
    let rows = sqlx::query("SELECT name FROM pragma_table_info('states')").fetch_all(database).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// The queries of a schema.
struct Queries {
    /// Number and name of each binary sensor.
    entities: &'static str,
    /// Attributes of the latest states of one of them.
    attributes: String,
    /// State, time as a number, time as text.
    states: String,
}

impl Queries {
    fn new(has_meta: bool, columns: &HashSet<String>) -> Self {
        let has = |column: &str| columns.contains(column);
        let (entities, is_entity) = if has_meta {
            (
                r"SELECT metadata_id, entity_id FROM states_meta WHERE entity_id LIKE 'binary\_sensor.%' ESCAPE '\' ORDER BY 2",
                "metadata_id = ?1",
            )
        } else {
            (
                r"SELECT DISTINCT 0, entity_id FROM states WHERE entity_id LIKE 'binary\_sensor.%' ESCAPE '\' ORDER BY 2",
                "entity_id = ?1",
            )
        };
        // A column that is there may be empty: Home Assistant fills in what an older version wrote bit by bit.
        let number = match (has("last_changed_ts"), has("last_updated_ts")) {
            (true, true) => "coalesce(last_changed_ts, last_updated_ts)",
            _ => "NULL",
        };
        let text = match (has("last_changed"), has("last_updated")) {
            (true, true) => "coalesce(last_changed, last_updated)",
            (true, false) => "last_changed",
            _ => "NULL",
        };
        let own = if has("attributes") { "s.attributes" } else { "NULL" };
        let (shared, join) = if has("attributes_id") {
            ("a.shared_attrs", "LEFT JOIN state_attributes a ON a.attributes_id = s.attributes_id")
        } else {
            ("NULL", "")
        };
        Self {
            entities,
            attributes: format!(
                "SELECT coalesce({shared}, {own}) FROM states s {join} WHERE s.{is_entity} ORDER BY s.state_id DESC LIMIT {LOOKED_AT}"
            ),
            states: format!("SELECT state, {number}, {text} FROM states WHERE {is_entity} ORDER BY state_id"),
        }
    }
}

/// The key of a sensor in its schema.
enum Key {
    Number(i64),
    Name(String),
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

impl Key {
    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        match self {
            Key::Number(number) => query.bind(*number),
            Key::Name(name) => query.bind(name.clone()),
        }
    }
}

/// Returns the class of a binary sensor, as far as its latest states tell it.
async fn class(database: &mut SqliteConnection, queries: &Queries, key: &Key) -> Result<Option<String>, sqlx::Error> {
    let rows = key.bind(sqlx::query(AssertSqlSafe(queries.attributes.clone()))).fetch_all(database).await?;
    Ok(rows.iter().find_map(|row| {
        let attributes: Option<String> = row.try_get(0).ok()?;
        let attributes: Value = serde_json::from_str(&attributes?).ok()?;
        Some(attributes.get("device_class")?.as_str()?.to_owned())
    }))
}

/// Returns the edge of a state. A row without a state or a time is a sensor that was removed.
fn edge(device: &str, row: &SqliteRow) -> Option<Edge> {
    let state: String = row.try_get::<Option<String>, _>(0).ok()??;
    let number: Option<f64> = row.try_get(1).ok()?;
    let text: Option<String> = row.try_get(2).ok()?;
    let time = match (number, text) {
        (Some(seconds), _) => seconds.floor() as i64,
        (None, Some(text)) => NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f").ok()?.and_utc().timestamp(),
        (None, None) => return None,
    };
    let is_in_range = (EARLIEST_EVENT..=LATEST).contains(&time);
    let is_known = is_in_range && matches!(state.as_str(), "on" | "off" | "unavailable" | "unknown");
    is_known.then(|| Edge { device: device.to_owned(), time, is_on: state == "on" })
}
