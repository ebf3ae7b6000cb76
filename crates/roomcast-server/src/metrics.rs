//! Counters, and the text format in which Prometheus reads them. No label names a device, so the number of series is
//! fixed.

use std::fmt::{Display, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the latency buckets, seconds.
const BUCKETS: [f64; 12] = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

/// The label of preflight requests, which no route answers.
pub(crate) const PREFLIGHT: &str = "preflight";

/// The label of requests that have no route.
pub(crate) const OTHER: &str = "other";

/// A number that several threads change; most only grow.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to the number.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// Subtracts from the number, for counts of things that exist now.
    pub(crate) fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Relaxed);
    }

    /// Sets the number, for values that describe a state.
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// Returns the number.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The type of a metric.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A number that only grows.
    Counter,
    /// A number that describes a state.
    Gauge,
    /// Nanoseconds that only grow, shown in seconds.
    Time,
}

/// A metric of a group `G`.
pub struct Metric<G> {
    /// The name, without the prefix `roomcast_`.
    pub name: &'static str,
    /// The type.
    pub kind: Kind,
    /// The help text.
    pub help: &'static str,
    /// Returns the metric's counter in a group.
    pub counter: fn(&G) -> &Counter,
}

/// Defines a group of metrics. Each has a field, a name and a type; its documentation is also its help text.
macro_rules! metrics {
    (
        $(#[$about:meta])*
        pub struct $group:ident {
            $(#[doc = $help:literal] $field:ident: $kind:ident $name:literal,)*
            $(+ $(#[$note:meta])* $other:ident: $type:ty,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Default)]
        pub struct $group {
            $(#[doc = $help] pub $field: $crate::metrics::Counter,)*
            $($(#[$note])* pub $other: $type,)*
        }

        impl $group {
            /// The metrics of the group.
            pub const ALL: &[$crate::metrics::Metric<$group>] = {
                use $crate::metrics::{Kind, Metric};
                &[$(Metric { name: $name, kind: Kind::$kind, help: $help, counter: |group| &group.$field },)*]
            };
        }
    };
}

pub(crate) use metrics;

metrics! {
    /// Counts of the server.
    pub struct Metrics {
        /// Requests that are being answered.
        in_flight: Gauge "http_requests_in_flight",
        /// Answers that were found in the cache.
        cache_hits: Counter "cache_hits_total",
        /// Answers that had to be rendered.
        cache_misses: Counter "cache_misses_total",
        /// Forecasts of one device that were computed.
        forecasts: Counter "forecasts_total",
        /// Time spent computing forecasts.
        forecast_nanoseconds: Time "forecast_seconds_total",
        /// Requests with an unknown token.
        refused_tokens: Counter "auth_failures_total",
        /// Connections that were refused because their address had too many.
        refused_connections: Counter "refused_connections_total",
        /// Models that were loaded from the registry.
        model_reloads: Counter "model_reloads_total",
        /// Models that could not be loaded.
        model_reload_failures: Counter "model_reload_failures_total",
        /// Times the readings were read.
        reading_reloads: Counter "reading_reloads_total",
        /// Times the readings could not be read.
        reading_reload_failures: Counter "reading_reload_failures_total",
        /// Retrainings that finished, including those that had nothing to do.
        retrainings: Counter "retrainings_total",
        /// Retrainings that failed.
        retraining_failures: Counter "retraining_failures_total",
        /// End of the last retraining, Unix time; 0 for none.
        retrained_at: Gauge "retraining_last_success_seconds",
        /// Devices with new models after the last retraining.
        retrained_promoted: Gauge "retraining_promoted_devices",
        /// Devices that were due in the last retraining and kept their models.
        retrained_kept: Gauge "retraining_kept_devices",
        /// Readings that were packed.
        packed: Counter "store_packed_total",
        /// Readings that were dropped for their age.
        dropped: Counter "store_dropped_total",
        /// End of the last upkeep of the store, Unix time; 0 for none.
        kept_up_at: Gauge "store_tidied_seconds",
        + /// Requests by route.
        requests: Requests,
    }
}

metrics! {
    /// Counts of one target of forecasts.
    pub struct TargetCounts {
        /// Messages or keys that were sent.
        sent: Counter "publish_sent_total",
        /// Connections or requests that failed.
        failures: Counter "publish_failures_total",
        /// 1 while the target is connected.
        connected: Gauge "publish_connected",
    }
}

metrics! {
    /// Counts of the web hook for alerts.
    pub struct HookCounts {
        /// Messages that were taken.
        sent: Counter "notify_sent_total",
        /// Tries that failed.
        failures: Counter "notify_failures_total",
        /// Messages that were dropped or given up.
        dropped: Counter "notify_dropped_total",
    }
}

/// Requests of one route.
#[derive(Debug, Default)]
struct RouteCounts {
    /// Requests by the first digit of the status, 1 to 5.
    classes: [Counter; 5],
    /// Requests by latency, each in one bucket; the last bucket has no upper bound.
    buckets: [Counter; BUCKETS.len() + 1],
    /// Time of all requests.
    nanoseconds: Counter,
}

/// Requests by route.
#[derive(Debug, Default)]
pub struct Requests(Vec<(&'static str, RouteCounts)>);

impl Requests {
    /// Returns counts for the routes with these labels, of which several may be equal.
    pub fn new(labels: impl IntoIterator<Item = &'static str>) -> Requests {
        let mut requests = Requests::default();
        for label in labels.into_iter().chain([PREFLIGHT, OTHER]) {
            if requests.0.iter().all(|(known, _)| *known != label) {
                requests.0.push((label, RouteCounts::default()));
            }
        }
        requests
    }

    /// Counts an answered request.
    pub fn count(&self, label: &str, status: u16, took: Duration) {
        let Some((_, route)) = self.0.iter().find(|(known, _)| *known == label) else { return };
        route.classes[usize::from(status / 100).clamp(1, 5) - 1].add(1);
        let seconds = took.as_secs_f64();
        route.buckets[BUCKETS.iter().position(|bound| seconds <= *bound).unwrap_or(BUCKETS.len())].add(1);
        route.nanoseconds.add(took.as_nanos().min(u128::from(u64::MAX)) as u64);
    }

    fn write(&self, text: &mut Text) {
        let classes = self.0.iter().flat_map(|(label, route)| {
            let sample = move |(class, count): (usize, &Counter)| {
                (format!("{{route=\"{label}\",status=\"{class}xx\"}}"), count.get() as f64)
            };
            (1..).zip(&route.classes).map(sample)
        });
        text.metric("http_requests_total", "counter", "Requests answered, by route and class of status.", classes);
        let times = self.0.iter().flat_map(|(label, route)| {
            let mut count = 0.0;
            let mut samples = Vec::with_capacity(BUCKETS.len() + 3);
            for (at, bucket) in route.buckets.iter().enumerate() {
                count += bucket.get() as f64;
                let bound = BUCKETS.get(at).map_or("+Inf".to_owned(), f64::to_string);
                samples.push((format!("_bucket{{route=\"{label}\",le=\"{bound}\"}}"), count));
            }
            samples.push((format!("_sum{{route=\"{label}\"}}"), route.nanoseconds.get() as f64 / 1e9));
            samples.push((format!("_count{{route=\"{label}\"}}"), count));
            samples
        });
        let help = "Time from a request's head to its answer's head, by route.";
        text.metric("http_request_duration_seconds", "histogram", help, times);
    }
}

/// Metrics in Prometheus' text format.
#[derive(Debug, Default)]
pub struct Text(pub String);

impl Text {
    /// Writes a metric and its samples. A sample is its labels, such as `{source="http"}`, and its value.
    pub fn metric<L: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        samples: impl IntoIterator<Item = (L, f64)>,
    ) {
        let _ = writeln!(self.0, "# HELP roomcast_{name} {}\n# TYPE roomcast_{name} {kind}", help.trim());
        for (labels, value) in samples {
            let _ = writeln!(self.0, "roomcast_{name}{labels} {value}");
        }
    }

    /// Writes all metrics of a group, with a sample for each of its members.
    pub fn group<G, L: Display>(&mut self, metrics: &[Metric<G>], members: &[(L, &G)]) {
        for metric in metrics {
            let (kind, unit) = match metric.kind {
                Kind::Counter => ("counter", 1.0),
                Kind::Gauge => ("gauge", 1.0),
                Kind::Time => ("counter", 1e9),
            };
            let samples = members.iter().map(|(labels, group)| (labels, (metric.counter)(group).get() as f64 / unit));
            self.metric(metric.name, kind, metric.help, samples);
        }
    }

    /// Writes the counts of each target of forecasts.
    pub fn targets(&mut self, targets: &[(&'static str, Arc<TargetCounts>)]) {
        let labels = |target: &str| format!("{{target=\"{target}\"}}");
        let targets: Vec<_> = targets.iter().map(|(target, counts)| (labels(target), &**counts)).collect();
        self.group(TargetCounts::ALL, &targets);
    }

    /// Writes the counts of the server.
    pub fn server(&mut self, metrics: &Metrics) {
        metrics.requests.write(self);
        self.group(Metrics::ALL, &[("", metrics)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_route_class_and_time() {
        let metrics = Metrics { requests: Requests::new(["page", "page"]), ..Metrics::default() };
        metrics.requests.count("page", 304, Duration::from_millis(3));
        metrics.requests.count("page", 200, Duration::from_secs(6));
        let mut text = Text::default();
        text.server(&metrics);
        for line in [
            "# TYPE roomcast_http_requests_total counter",
            "roomcast_http_requests_total{route=\"page\",status=\"3xx\"} 1",
            "roomcast_http_requests_total{route=\"other\",status=\"3xx\"} 0",
            "# TYPE roomcast_http_request_duration_seconds histogram",
            "roomcast_http_request_duration_seconds_bucket{route=\"page\",le=\"0.0025\"} 0",
            "roomcast_http_request_duration_seconds_bucket{route=\"page\",le=\"0.005\"} 1",
            "roomcast_http_request_duration_seconds_bucket{route=\"page\",le=\"+Inf\"} 2",
            "roomcast_http_request_duration_seconds_sum{route=\"page\"} 6.003",
            "roomcast_http_request_duration_seconds_count{route=\"page\"} 2",
            "# HELP roomcast_cache_hits_total Answers that were found in the cache.",
            "roomcast_cache_hits_total 0",
        ] {
            assert_eq!(text.0.lines().filter(|found| *found == line).count(), 1, "{line}");
        }
    }
}
