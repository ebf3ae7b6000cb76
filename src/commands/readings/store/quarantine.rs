//! `roomcast store quarantine`: lists refused rows and reads them again.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::commands::arguments::StoreArgs;
use crate::commands::output::{print, print_json};
#[cfg(feature = "server")]
use crate::commands::server::replay;
use roomcast_forecast::calendar::Calendar;
use roomcast_storage::readings::{QuarantineSize, Quarantined};

/// List refused rows, and read them again.
#[derive(Debug, Args)]
pub struct QuarantineArgs {
    /// Action to run
    #[command(subcommand)]
    action: Action,
}

/// The actions on the quarantine.
#[derive(Debug, Subcommand)]
enum Action {
    /// List refused rows; a text that was refused several times for the same reason is listed once
    #[command(after_help = "Example:\n  roomcast store quarantine list --store readings.db")]
    List {
        #[command(flatten)]
        at: StoreArgs,
        /// Largest number of rows to list
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        /// Number of a row; only rows after it are listed
        #[arg(long, value_name = "ID", default_value_t = 0)]
        after: i64,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Read all rows again, such as after an update; valid ones are stored, the others stay in quarantine
    #[cfg(feature = "server")]
    #[command(after_help = "Example:\n  roomcast store quarantine replay --store readings.db")]
    Replay(replay::ReplayArgs),
}

pub(super) fn run(args: &QuarantineArgs) -> anyhow::Result<()> {
    match &args.action {
        Action::List { at, limit, after, json } => {
            let opened = at.open()?;
            let rows = opened.wait(opened.store.quarantined(*after, *limit))?;
            let QuarantineSize { dropped, .. } = opened.wait(opened.store.quarantine_size())?;
            if dropped > 0 {
                tracing::warn!(dropped, "the quarantine was full at times: its oldest rows were deleted");
            }
            if *json {
                print_json(&rows.iter().map(as_json).collect::<Vec<_>>())
            } else {
                print(rows.iter().map(line).collect::<String>())
            }
        }
        #[cfg(feature = "server")]
        Action::Replay(args) => replay::run(args),
    }
}

fn as_json(row: &Quarantined) -> Value {
    let Quarantined { id, received, seen, source, payload, reason } = row;
    let received = Calendar::new(Some(chrono_tz::UTC)).rfc3339(*received);
    json!({ "id": id, "received": received, "seen": seen, "source": source, "payload": payload, "reason": reason })
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
