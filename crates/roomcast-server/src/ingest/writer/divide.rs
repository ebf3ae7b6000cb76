//! Storing a submission in parts when the store does not take it as a whole.

use super::commit::{Committer, Sink};
use super::submission::{Failure, Submission};
use crate::ingest::Source;
use roomcast_forecast::calendar::Calendar;
use roomcast_storage::readings::{Batch, Event, Kind, Refused};

/// Failures after which the parts of a submission that fail are no longer divided.
const MAX_DIVISIONS: usize = 64;

/// Stores the parts of a submission that the store takes, and puts the rest into quarantine. Parts that fail
/// temporarily stay in the submission.
pub(super) async fn divide<S: Sink>(
    committer: &Committer<S>,
    calendar: &Calendar,
    mut submission: Submission,
) -> Result<(), (Submission, Failure)> {
    // If the store takes nothing at all, not even into quarantine, the submission is given back as it was.
    let whole = submission.batch.clone();
    let mut parts = vec![std::mem::take(&mut submission.batch.events)];
    let mut failures = 0;
    while let Some(mut events) = parts.pop() {
        if events.is_empty() {
            continue;
        }
        let batch = Batch { events, refused: Vec::new() };
        let failure = match committer.ingest(&batch).await {
            Ok(receipt) => {
                submission.outcome.add(committer.count(submission.source, &receipt.verdicts));
                committer.announce(batch.events, &receipt.verdicts);
                continue;
            }
            Err(failure) => failure,
        };
        events = batch.events;
        if failure.temporary {
            parts.push(events);
            submission.batch.events = parts.into_iter().rev().flatten().collect();
            return Err((submission, failure));
        }
        failures += 1;
        if events.len() > 1 && failures <= MAX_DIVISIONS {
            parts.push(events.split_off(events.len() / 2));
            parts.push(events);
        } else {
            let refused = |event| refused(submission.source, event, &failure.message, calendar);
            // A sign of life is no row that could be read again.
            let readings = events.iter().filter(|event| event.kind != Kind::Rest);
            submission.batch.refused.extend(readings.map(refused));
        }
    }
    committer
        .commit_one(submission)
        .await
        .map_err(|(submission, failure)| (Submission { batch: whole, ..submission }, failure))
}

/// Returns an event as the quarantine keeps it, which `roomcast store quarantine replay` reads again.
fn refused(source: Source, event: &Event, reason: &str, calendar: &Calendar) -> Refused {
    let mut row = serde_json::json!({
        "time": calendar.rfc3339(event.time),
        "device": event.device,
        "device_activated": u8::from(event.kind == Kind::Motion),
    });
    if let Some(id) = &event.id {
        row["id"] = id.as_str().into();
    }
    Refused { source: source.name().into(), payload: row.to_string(), reason: reason.to_owned() }
}
