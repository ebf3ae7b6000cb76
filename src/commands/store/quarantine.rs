//! `roomcast store quarantine`: lists refused rows and tries them again.

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::json;

use super::print;
use crate::commands::live::MessageArgs;
use crate::commands::stores::{Opened, StoreArgs};
use roomcast_forecast::calendar::Calendar;
use roomcast_server::ingest::payload::form::Statement;
use roomcast_server::ingest::payload::message::{Message, Reader};
use roomcast_server::ingest::payload::rows::{self, Media};
use roomcast_storage::readings::{Batch, Event, Kind, QuarantineSize, Quarantined, Verdict};

/// Number of rows read together.
const PAGE: usize = 500;

/// List what was refused, and try it again.
#[derive(Debug, Args)]
pub struct QuarantineArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with the quarantine.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List what was refused: the same text, refused for the same reason, is listed once
    #[command(after_help = "Example:\n  roomcast store quarantine list --store readings.db")]
    List {
        /// Store and zone.
        #[command(flatten)]
        at: StoreArgs,
        /// Most rows listed
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        /// List only rows after this number
        #[arg(long, value_name = "ID", default_value_t = 0)]
        after: i64,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Read all rows again, such as after an update; those that are readings now are stored, the others stay
    #[command(after_help = "Example:\n  roomcast store quarantine replay --store readings.db")]
    Replay {
        /// Store and zone.
        #[command(flatten)]
        at: StoreArgs,
        /// How messages that came by MQTT are read, as `serve` is told.
        #[command(flatten)]
        messages: MessageArgs,
    },
}

pub(super) fn run(args: &QuarantineArgs) -> anyhow::Result<()> {
    match &args.action {
        Action::List { at, limit, after, json } => {
            let opened = at.open()?;
            let rows = opened.wait(opened.store.quarantined(*after, *limit))?;
            let QuarantineSize { dropped, .. } = opened.wait(opened.store.quarantine_size())?;
            if dropped > 0 {
                tracing::warn!(dropped, "the quarantine was full at times: its oldest rows were dropped");
            }
            print(&if *json { as_json(&rows)? } else { rows.iter().map(line).collect() })
        }
        Action::Replay { at, messages } => print(&replay(&at.open()?, &messages.reader()?)?),
    }
}

fn as_json(rows: &[Quarantined]) -> anyhow::Result<String> {
    let row = |row: &Quarantined| {
        let Quarantined { id, received, seen, source, payload, reason } = row;
        let received = Calendar::new(Some(chrono_tz::UTC)).rfc3339(*received);
        json!({ "id": id, "received": received, "seen": seen, "source": source, "payload": payload, "reason": reason })
    };
    Ok(serde_json::to_string_pretty(&rows.iter().map(row).collect::<Vec<_>>())? + "\n")
}

/// Returns a row as text for people. Devices may send anything, so control characters are escaped.
fn line(row: &Quarantined) -> String {
    let Quarantined { id, received, seen, source, payload, reason } = row;
    let received = Calendar::default().format(*received);
    let times = if *seen == 1 { String::new() } else { format!(" ({seen} times)") };
    let plain = |text: &str| -> String {
        text.chars().take(200).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
    };
    format!("{id}  {received} UTC  {source}{times}  {}\n    {}\n", plain(reason), plain(payload))
}

/// Reads every row again, and returns the result in words.
fn replay(opened: &Opened, reader: &Reader) -> anyhow::Result<String> {
    let (mut replayed, mut stored, mut stay, mut after) = (0_usize, 0_usize, 0_usize, 0);
    loop {
        let rows = opened.wait(opened.store.quarantined(after, PAGE))?;
        let Some(last) = rows.last() else { break };
        after = last.id;
        let (mut batch, mut ids) = (Batch::default(), Vec::new());
        for row in &rows {
            match event(row, reader, &opened.calendar) {
                Some(event) => {
                    batch.events.push(event);
                    ids.push(row.id);
                }
                None => stay += 1,
            }
        }
        // The rows are stored before they leave the quarantine. After a kill in between they are in both places and
        // count once.
        let receipt = opened.wait(opened.store.ingest(&batch))?;
        opened.wait(opened.store.release(&ids))?;
        replayed += ids.len();
        stored += receipt.verdicts.iter().filter(|&&verdict| verdict == Verdict::Stored).count();
    }
    Ok(format!("{replayed} rows are readings now, {stored} of them new; {stay} stay in quarantine\n"))
}

/// Returns the event of a row, if it is one now.
fn event(row: &Quarantined, reader: &Reader, calendar: &Calendar) -> Option<Event> {
    let body = row.payload.trim();
    let read = match serde_json::from_str(body) {
        Ok(published) if row.source == "mqtt" => return message(row, published, reader, calendar),
        _ if body.starts_with('{') => rows::read(Media::Json, body.as_bytes(), calendar),
        _ => rows::read(Media::Csv, format!("time,device,device_activated\n{body}\n").as_bytes(), calendar),
    };
    let mut rows = read.ok()?;
    if rows.refused.is_empty() && rows.events.len() == 1 { rows.events.pop() } else { None }
}

/// A message that came by MQTT. The reading of a message that could not be stored is a row like any other.
#[derive(Deserialize)]
struct Published {
    topic: String,
    payload: String,
}

/// Returns the event of a message. A message without a time of its own happened when it last came. Its earlier times
/// are unknown.
fn message(row: &Quarantined, published: Published, reader: &Reader, calendar: &Calendar) -> Option<Event> {
    let Published { topic, payload } = published;
    let Message { device, statement, time } = reader.read(&topic, payload.as_bytes(), calendar).ok()??;
    let kind = match statement {
        Statement::Motion(true) => Kind::Motion,
        Statement::Motion(false) => Kind::Rest,
        Statement::Available(_) | Statement::Other => return None,
    };
    Some(Event { device, time: time.unwrap_or_else(|| calendar.at(row.received)), kind, id: None })
}
