//! What the benches share: a simulated building's readings, the processor time of this process, a plain table.

use chrono::{Days, NaiveDate};
use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::hourly::Hourly;
use roomcast_simulate::Building;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, Executor, SqliteConnection};

/// A simulated building whose last day is a Thursday.
#[allow(dead_code, reason = "not every bench needs it")]
pub fn building(devices: usize, days: u64) -> Building {
    let to = NaiveDate::from_ymd_opt(2024, 3, 7).unwrap_or_default();
    Building::new(7, devices, to - Days::new(days - 1), to)
}

/// Its hours as of its end.
#[allow(dead_code, reason = "not every bench needs it")]
pub fn hourly(devices: usize, days: u64) -> Hourly {
    let readings = building(devices, days).readings();
    let calendar = Calendar::default();
    let end = readings.span().map_or(0, |(_, last)| calendar.start(calendar.hour(last) + 1));
    Hourly::new(&readings, &calendar, end)
}

/// Seconds of processor time of this process (user and system, all threads), or of its children that
/// have ended.
#[allow(dead_code, reason = "not every bench needs it")]
pub fn cpu_seconds(of_children: bool) -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: Vec<f64> = after_name.split_whitespace().skip(11).take(4).filter_map(|n| n.parse().ok()).collect();
    // In units of USER_HZ, which is 100 on every architecture Linux still runs on.
    let from = if of_children { 2 } else { 0 };
    (ticks[from] + ticks[from + 1]) / 100.0
}

/// A table of readings with the durability of Roomcast's store and nothing else of it, in a new file.
#[allow(dead_code, reason = "not every bench needs it")]
pub async fn bare_table(path: &std::path::Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut connection = SqliteConnection::connect_with(&options).await.expect("a file");
    let table = "CREATE TABLE readings (time INTEGER NOT NULL, device TEXT NOT NULL, PRIMARY KEY (time, device))";
    connection.execute(table).await.expect("a table");
    connection
}
