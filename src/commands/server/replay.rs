//! `roomcast store quarantine replay`: reads refused rows again, as the server reads them.

use clap::Args;
use serde::Deserialize;

use super::ingest::MessageArgs;
use crate::commands::arguments::{OpenStore, StoreArgs};
use crate::commands::output::print;
use roomcast_forecast::calendar::Calendar;
use roomcast_server::ingest::payload::form::Statement;
use roomcast_server::ingest::payload::message::{Message, Reader};
use roomcast_server::ingest::payload::rows::{self, Media};
use roomcast_storage::readings::{Batch, Event, Kind, Quarantined, Verdict};

/// Number of rows of one query.
const PAGE_ROWS: usize = 500;

/// Arguments of `roomcast store quarantine replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    #[command(flatten)]
    at: StoreArgs,
    #[command(flatten)]
    messages: MessageArgs,
}

/// Reads all rows again, and prints the counts.
///
/// # Errors
/// Returns an error when an argument is not valid or the store fails.
pub fn run(args: &ReplayArgs) -> anyhow::Result<()> {
    print(replay(&args.at.open()?, &args.messages.reader()?)?)
}

/// Reads every row again, and returns the result in words.
fn replay(opened: &OpenStore, reader: &Reader) -> anyhow::Result<String> {
    let (mut replayed, mut stored, mut stay, mut after) = (0_usize, 0_usize, 0_usize, 0);
    loop {
        let rows = opened.wait(opened.store.quarantined(after, PAGE_ROWS))?;
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

/// A message that arrived by MQTT. The reading of a message that could not be stored is a row like any other.
#[derive(Deserialize)]
struct Published {
    topic: String,
    payload: String,
}

/// Returns the event of a message. A message without a time of its own happened when it last arrived. Its earlier times
/// are unknown.
fn message(row: &Quarantined, published: Published, reader: &Reader, calendar: &Calendar) -> Option<Event> {
    let Published { topic, payload } = published;
    let Message { device, statement, time } = reader.read(&topic, payload.as_bytes(), calendar).ok()??;
    let kind = match statement {
        Statement::Motion(true) => Kind::Motion,
        Statement::Motion(false) => Kind::Off,
        Statement::Available(_) | Statement::Other => return None,
    };
    Some(Event { device, time: time.unwrap_or_else(|| calendar.at(row.received)), kind, id: None })
}
