//! Metrics in Prometheus' text form. No label names a device, so the number of series is fixed.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::counts::{Arrived, Count, Counts};
use crate::ingest::Source;

/// Names of the routes, as they label the request metrics; the last stands for everything else.
pub const ROUTES: [&str; 19] = [
    "predict",
    "devices",
    "device",
    "history",
    "schedule",
    "explain",
    "events",
    "models",
    "reload",
    "readings",
    "alerts",
    "healthz",
    "readyz",
    "metrics",
    "openapi",
    "docs",
    "page",
    "preflight",
    "other",
];

/// Upper bounds of the latency buckets, seconds.
const BUCKETS: [f64; 12] = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

/// A number; most only grow.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// Subtracts from it, for numbers of things that exist now.
    pub fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Relaxed);
    }

    /// Sets it, for numbers that describe a state.
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Requests of one route.
#[derive(Debug, Default)]
struct Route {
    /// Requests by the first digit of the status, 1 to 5.
    classes: [Counter; 5],
    /// Number of requests per latency bucket, each request in one; the last bucket is for longer ones.
    buckets: [Counter; BUCKETS.len() + 1],
    /// Nanoseconds of all requests.
    nanoseconds: Counter,
}

/// Everything the server counts.
#[derive(Debug, Default)]
pub struct Metrics {
    routes: [Route; ROUTES.len()],
    /// Requests being answered now.
    pub in_flight: Counter,
    /// Answers found in the cache.
    pub cache_hits: Counter,
    /// Answers that had to be rendered.
    pub cache_misses: Counter,
    /// Forecasts of one device that were computed.
    pub forecasts: Counter,
    /// Nanoseconds spent computing forecasts.
    pub forecast_nanoseconds: Counter,
    /// Requests with a token that is not known.
    pub refused_tokens: Counter,
    /// Connections refused because their address had as many as it may.
    pub refused_connections: Counter,
    /// Models loaded from the registry.
    pub model_reloads: Counter,
    /// Models that could not be loaded.
    pub model_reload_failures: Counter,
    /// Readings read from the input.
    pub reading_reloads: Counter,
    /// Readings that could not be read.
    pub reading_reload_failures: Counter,
    /// Retrainings that finished, including those that had nothing to do.
    pub retrainings: Counter,
    /// Retrainings that failed.
    pub retraining_failures: Counter,
    /// End of the last retraining, seconds since 1970 UTC; 0 for never.
    pub retrained_at: Counter,
    /// Devices with new models after it.
    pub retrained_promoted: Counter,
    /// Devices that were due then and kept their models.
    pub retrained_kept: Counter,
    /// Readings that were packed.
    pub packed: Counter,
    /// Readings that were dropped for their age.
    pub dropped: Counter,
    /// Time of the last upkeep of the store, seconds since 1970 UTC; 0 for never.
    pub kept_up_at: Counter,
}

/// Present values, besides the counters.
pub struct Gauges {
    /// True when the server is ready.
    pub ready: bool,
    /// Devices in the history.
    pub devices: usize,
    /// Readings in the history.
    pub readings: usize,
    /// The last reading, seconds.
    pub data_until: i64,
    /// The cutoff of the models, seconds.
    pub cutoff: i64,
}

impl Metrics {
    /// Counts an answered request.
    pub fn request(&self, route: &str, status: u16, took: Duration) {
        let at = ROUTES.iter().position(|known| *known == route).unwrap_or(ROUTES.len() - 1);
        let route = &self.routes[at];
        route.classes[usize::from(status / 100).clamp(1, 5) - 1].add(1);
        let seconds = took.as_secs_f64();
        route.buckets[BUCKETS.iter().position(|bound| seconds <= *bound).unwrap_or(BUCKETS.len())].add(1);
        route.nanoseconds.add(took.as_nanos().min(u128::from(u64::MAX)) as u64);
    }

    /// Returns all metrics as text.
    pub fn text(&self, now: &Gauges) -> String {
        let mut out = String::with_capacity(16_384);
        head(&mut out, "http_requests_total", "counter", "Requests answered, by route and class of status.");
        for (name, route) in ROUTES.iter().zip(&self.routes) {
            for (class, count) in (1..).zip(&route.classes) {
                let _ = writeln!(
                    out,
                    "roomcast_http_requests_total{{route=\"{name}\",status=\"{class}xx\"}} {}",
                    count.get()
                );
            }
        }
        let help = "Time from a request's head to its answer's head, by route.";
        head(&mut out, "http_request_duration_seconds", "histogram", help);
        for (name, route) in ROUTES.iter().zip(&self.routes) {
            let mut sum = 0;
            for (at, count) in route.buckets.iter().enumerate() {
                sum += count.get();
                let bound = BUCKETS.get(at).map_or("+Inf".to_owned(), f64::to_string);
                let _ = writeln!(
                    out,
                    "roomcast_http_request_duration_seconds_bucket{{route=\"{name}\",le=\"{bound}\"}} {sum}"
                );
            }
            let seconds = route.nanoseconds.get() as f64 / 1e9;
            let _ = writeln!(out, "roomcast_http_request_duration_seconds_sum{{route=\"{name}\"}} {seconds}");
            let _ = writeln!(out, "roomcast_http_request_duration_seconds_count{{route=\"{name}\"}} {sum}");
        }
        for (name, help, counter) in [
            ("cache_hits_total", "Answers that were there already.", &self.cache_hits),
            ("cache_misses_total", "Answers that had to be made.", &self.cache_misses),
            ("forecasts_total", "Forecasts of one device that were computed.", &self.forecasts),
            ("auth_failures_total", "Requests with a token that is not known.", &self.refused_tokens),
            (
                "refused_connections_total",
                "Connections of addresses that had as many as they may.",
                &self.refused_connections,
            ),
            ("model_reloads_total", "Models taken from the registry.", &self.model_reloads),
            ("model_reload_failures_total", "Models that could not be taken.", &self.model_reload_failures),
            ("reading_reloads_total", "Times the readings were read.", &self.reading_reloads),
            ("reading_reload_failures_total", "Times they could not be.", &self.reading_reload_failures),
            ("retrainings_total", "Retrainings that came to their end.", &self.retrainings),
            ("retraining_failures_total", "Retrainings that failed.", &self.retraining_failures),
            ("store_packed_total", "Readings that were packed.", &self.packed),
            ("store_dropped_total", "Readings that were forgotten for their age.", &self.dropped),
        ] {
            head(&mut out, name, "counter", help);
            let _ = writeln!(out, "roomcast_{name} {}", counter.get());
        }
        head(&mut out, "forecast_seconds_total", "counter", "Time spent computing forecasts.");
        let _ = writeln!(out, "roomcast_forecast_seconds_total {}", self.forecast_nanoseconds.get() as f64 / 1e9);
        for (name, help, value) in [
            ("http_requests_in_flight", "Requests being answered now.", self.in_flight.get() as i64),
            (
                "retraining_last_success_seconds",
                "End of the last retraining, 0 for none.",
                self.retrained_at.get() as i64,
            ),
            ("retraining_promoted_devices", "Devices the last one renewed.", self.retrained_promoted.get() as i64),
            ("retraining_kept_devices", "Devices due that kept their models.", self.retrained_kept.get() as i64),
            ("store_tidied_seconds", "End of the last upkeep of the store, 0 for none.", self.kept_up_at.get() as i64),
            ("ready", "1 when models and history are loaded.", i64::from(now.ready)),
            ("devices", "Devices in the history.", now.devices as i64),
            ("readings", "Readings in the history.", now.readings as i64),
            ("data_until_seconds", "The last reading, on the site's time line.", now.data_until),
            ("model_cutoff_seconds", "What the models learned from ends here.", now.cutoff),
        ] {
            head(&mut out, name, "gauge", help);
            let _ = writeln!(out, "roomcast_{name} {value}");
        }
        head(&mut out, "build_info", "gauge", "The version that runs.");
        let _ = writeln!(out, "roomcast_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
        out
    }
}

/// Returns the metrics of the sources of readings: counts, waiting rows and bytes, and sensors that are gone.
pub fn live(counts: &Counts, waiting: (usize, usize), offline: usize) -> String {
    let mut out = String::with_capacity(4096);
    let of = |pick: fn(&Arrived) -> &Count| Source::ALL.map(|source| (source.name(), pick(counts.of(source)).get()));
    for (name, kind, help, values) in [
        ("received_total", "counter", "Bodies or messages received.", of(|arrived| &arrived.received)),
        ("stored_total", "counter", "Readings that are new.", of(|arrived| &arrived.stored)),
        ("duplicates_total", "counter", "Readings that were there already.", of(|arrived| &arrived.duplicates)),
        ("no_motion_total", "counter", "Signs of life that are no readings.", of(|arrived| &arrived.no_motion)),
        ("refused_total", "counter", "Rows that went to quarantine.", of(|arrived| &arrived.refused)),
        ("turned_away_total", "counter", "Bodies or messages for which there was no room.", of(|a| &a.turned_away)),
        ("too_large_total", "counter", "Messages that were too large to be read.", of(|a| &a.too_large)),
        ("reconnects_total", "counter", "Connections that were lost.", of(|arrived| &arrived.reconnects)),
        ("connected", "gauge", "1 while connected to the source.", of(|arrived| &arrived.connected)),
    ] {
        head(&mut out, &format!("ingest_{name}"), kind, help);
        for (source, value) in values {
            let _ = writeln!(out, "roomcast_ingest_{name}{{source=\"{source}\"}} {value}");
        }
    }
    for (name, kind, help, value) in [
        ("commits_total", "counter", "Transactions that stored readings.", counts.commits.get()),
        ("commit_failures_total", "counter", "Transactions that failed.", counts.commit_failures.get()),
        (
            "quarantine_dropped_total",
            "counter",
            "Rows that the quarantine dropped to make room for later ones.",
            counts.quarantine_dropped.get(),
        ),
        ("queue_rows", "gauge", "Rows that wait to be stored.", waiting.0 as u64),
        ("queue_bytes", "gauge", "Bytes that wait to be stored.", waiting.1 as u64),
        ("sensors_offline", "gauge", "Sensors of which their gateway says that they are gone.", offline as u64),
    ] {
        head(&mut out, &format!("ingest_{name}"), kind, help);
        let _ = writeln!(out, "roomcast_ingest_{name} {value}");
    }
    head(&mut out, "ingest_commit_seconds_total", "counter", "Time of the transactions that succeeded.");
    let seconds = counts.commit_nanoseconds.get() as f64 / 1e9;
    let _ = writeln!(out, "roomcast_ingest_commit_seconds_total {seconds}");
    out
}

/// Writes the head of a metric.
pub fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP roomcast_{name} {help}\n# TYPE roomcast_{name} {kind}");
}
