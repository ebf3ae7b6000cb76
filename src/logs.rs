//! Log lines on standard error: text for people, or JSON with the field names of the Elastic Common Schema.

use std::fmt;
use std::io::IsTerminal;

use chrono::{SecondsFormat, TimeZone, Utc};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use roomcast_forecast::calendar::Calendar;

/// Format of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Text for people.
    #[default]
    Human,
    /// One JSON object a line, with the field names of the Elastic Common Schema.
    Json,
}

/// Starts logging: warnings and the lines of a server's start and of what files were taken for by default, one level more for each `verbose`. `RUST_LOG`
/// takes precedence.
pub fn start(verbose: u8, format: LogFormat) {
    let level = ["roomcast=warn,roomcast::start=info,roomcast::files=info", "roomcast=info", "roomcast=debug"]
        .get(usize::from(verbose))
        .unwrap_or(&"trace");
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    // An error of writing is not written to the same place, which would end the program once nobody reads it.
    let base =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    // A second start (in tests) leaves the first in place.
    let _ = match format {
        LogFormat::Human => base.with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => base.event_format(Ecs).try_init(),
    };
}

/// Formats an event as one JSON object: `@timestamp`, `log.level`, `message`, `ecs.version` and the event's own fields.
struct Ecs;

impl<S, N> FormatEvent<S, N> for Ecs
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let now = Utc.timestamp_opt(Calendar::utc_now(), 0).single().unwrap_or_default();
        let mut fields = Fields(Map::new());
        fields.0.insert("@timestamp".into(), now.to_rfc3339_opts(SecondsFormat::Secs, true).into());
        fields.0.insert("log.level".into(), level(event.metadata().level()).into());
        fields.0.insert("ecs.version".into(), "8.11".into());
        fields.0.insert("service.name".into(), "roomcast".into());
        fields.0.insert("log.logger".into(), event.metadata().target().into());
        event.record(&mut fields);
        writeln!(writer, "{}", Value::Object(fields.0))
    }
}

fn level(level: &Level) -> &'static str {
    match *level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().into(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().into(), value.into());
    }
}
