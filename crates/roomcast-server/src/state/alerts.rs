//! Alerts: problems the operator of a site should know, at most one entry per kind.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use utoipa::ToSchema;

use super::answer::utc;
use roomcast_forecast::calendar::Timestamp;

/// Maximum number of names shown per kind.
const MAX_EXAMPLES: usize = 20;

/// The kind of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertKind)]
pub enum Kind {
    /// Sensors without motion for far longer than usual, and sensors that their gateway reports as offline.
    SilentSensors,
    /// Sensors that in the last 28 days were on for longer than somebody stays, again and again: stuck, or their `off` is
    /// lost.
    StuckSensors,
    /// Sensors that fire far more often than the others.
    ChatteringSensors,
    /// Devices whose forecasts did worse than the baseline by more than chance explains.
    WorseThanBaseline,
    /// No reading has arrived for longer than nights and weekends explain.
    DataLate,
    /// Readings ahead of the server's clock, which wait, or far from all others, which are set aside.
    StrayReadings,
    /// The input can no longer be read. The readings of the last successful read are still served.
    InputUnreadable,
    /// Rows were refused when the input was last read, or among the data of the last hour.
    RowsRefused,
    /// Brokers and other servers that cannot be reached.
    Disconnected,
    /// Topics that had too large messages in the last 24 hours.
    MessagesTooLarge,
    /// The last retraining failed.
    RetrainingFailed,
    /// Old readings could not be packed or dropped.
    UpkeepFailed,
    /// The models have learned from no reading of the last 30 days.
    ModelOld,
}

/// All kinds, in the order in which they are shown, with their names in metrics.
const KINDS: [(Kind, &str); 13] = [
    (Kind::DataLate, "data_late"),
    (Kind::InputUnreadable, "input_unreadable"),
    (Kind::RowsRefused, "rows_refused"),
    (Kind::StrayReadings, "stray_readings"),
    (Kind::Disconnected, "disconnected"),
    (Kind::MessagesTooLarge, "messages_too_large"),
    (Kind::SilentSensors, "silent_sensors"),
    (Kind::StuckSensors, "stuck_sensors"),
    (Kind::ChatteringSensors, "chattering_sensors"),
    (Kind::WorseThanBaseline, "worse_than_baseline"),
    (Kind::RetrainingFailed, "retraining_failed"),
    (Kind::UpkeepFailed, "upkeep_failed"),
    (Kind::ModelOld, "model_old"),
];

impl Kind {
    /// Returns whether the names of its problems are those of sensors.
    fn is_of_sensors(self) -> bool {
        matches!(self, Kind::SilentSensors | Kind::StuckSensors | Kind::ChatteringSensors)
    }
}

/// A current problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Alert {
    /// The kind of the problem.
    pub(crate) kind: Kind,
    /// Number of devices, servers or models with the problem.
    count: usize,
    /// Time at which the server first found the problem since it was last absent or since the server's start; UTC, RFC
    /// 3339.
    since: String,
    /// Names of the first devices, servers or models, in order. For failures, the reasons.
    #[schema(max_items = 20)]
    examples: Vec<String>,
    /// The rooms of the sensors among the examples, one for each, and null for a sensor that is its own room. Absent
    /// without a table of rooms, and for problems of other things.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 20)]
    rooms: Option<Vec<Option<String>>>,
}

/// One line: the kind, the number, and the examples.
impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = KINDS.iter().find(|(kind, _)| *kind == self.kind).map_or("", |(_, name)| name);
        write!(f, "{name} ({}): {}", self.count, self.examples.join(", "))
    }
}

/// Returns the room of a sensor; `None` for one that is its own room.
pub type RoomOf<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The alerts of the last check.
#[derive(Debug, Default)]
pub struct Alerts(Mutex<Vec<Alert>>);

impl Alerts {
    /// Records the problems found at an instant (UTC). A problem that was present before keeps its start. `room_of`
    /// returns the room of a sensor; `None` without a table of rooms. Returns whether anything changed.
    pub fn set(&self, found: Vec<(Kind, Vec<String>)>, room_of: Option<RoomOf<'_>>, now: Timestamp) -> bool {
        let mut alerts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let alert = |(kind, names): (Kind, Vec<String>)| {
            let before = alerts.iter().find(|alert| alert.kind == kind);
            let since = before.map_or_else(|| utc(now), |before| before.since.clone());
            let count = names.len();
            let examples: Vec<String> = names.into_iter().take(MAX_EXAMPLES).collect();
            let room_of = room_of.filter(|_| kind.is_of_sensors());
            let rooms = room_of.map(|room_of| examples.iter().map(|sensor| room_of(sensor)).collect());
            Alert { kind, count, since, examples, rooms }
        };
        let new: Vec<Alert> = found.into_iter().filter(|(_, names)| !names.is_empty()).map(alert).collect();
        let has_changed = *alerts != new;
        *alerts = new;
        has_changed
    }

    /// Returns the current alerts, in the order in which they are shown.
    pub fn list(&self) -> Vec<Alert> {
        let alerts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        KINDS.iter().filter_map(|(kind, _)| alerts.iter().find(|alert| alert.kind == *kind).cloned()).collect()
    }

    /// Returns each kind's name in metrics, and the number of devices, servers or models with the problem.
    pub fn counts(&self) -> [(&'static str, usize); KINDS.len()] {
        let alerts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |kind| alerts.iter().find(|alert| alert.kind == kind).map_or(0, |alert| alert.count);
        KINDS.map(|(kind, name)| (name, count(kind)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_alike_in_answers_and_metrics() {
        for (kind, name) in KINDS {
            assert_eq!(serde_json::to_value(kind).unwrap(), name);
        }
    }

    #[test]
    fn trouble_keeps_its_beginning_until_it_is_over() {
        let alerts = Alerts::default();
        let names = |n: usize| (0..n).map(|n| format!("device_{n:03}")).collect::<Vec<_>>();
        assert!(alerts.set(vec![(Kind::SilentSensors, names(3)), (Kind::DataLate, names(0))], None, 100));
        assert!(!alerts.set(vec![(Kind::SilentSensors, names(3))], None, 150));
        assert!(alerts.set(vec![(Kind::SilentSensors, names(50))], None, 200));
        let (kind, since, examples) = (Kind::SilentSensors, utc(100), names(20));
        assert_eq!(alerts.list(), [Alert { kind, count: 50, since, examples, rooms: None }]);
        assert!(alerts.set(vec![], None, 300));
        alerts.set(vec![(Kind::SilentSensors, names(1))], None, 400);
        assert_eq!(alerts.list()[0].since, utc(400));
    }
}
