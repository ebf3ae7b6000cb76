//! The meaning of each column, for people: the reason it belongs to, and a line of a glossary.

use super::matrix::FULL_WIDTH;

/// A reason for a forecast that a person has words for. Several columns measure it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// How often the room is in use at such an hour.
    Usual,
    /// The last days.
    LastDays,
    /// The same hour of past weeks.
    Weeks,
    /// The day of the week.
    Weekday,
    /// Days off.
    DaysOff,
    /// Other rooms.
    Building,
    /// How much the room is used at all.
    General,
    /// The hours before the forecast.
    Morning,
    /// How long the room is known.
    History,
    /// How far ahead the hour is.
    Lead,
}

impl Reason {
    /// Returns the reason in words, as part of a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Reason::Usual => "the room's usual rate at this hour",
            Reason::LastDays => "the use of the room on the last days",
            Reason::Weeks => "the same hour one and two weeks ago",
            Reason::Weekday => "the day of the week",
            Reason::DaysOff => "weekends, holidays and closures",
            Reason::Building => "the rest of the building",
            Reason::General => "the general use of the room",
            Reason::Morning => "the hours just before the forecast",
            Reason::History => "the length of the room's history",
            Reason::Lead => "the time until this hour",
        }
    }
}

/// The columns of a forecast's matrix in their order, each with its reason and its meaning.
pub const GLOSSARY: [(&str, Reason, &str); FULL_WIDTH] = [
    ("prior", Reason::Usual, "log-odds of the room's usual rate at this hour, weekday and type of day"),
    ("weekday_shift", Reason::Weekday, "the rate of this weekday alone, relative to the usual rate (log-odds)"),
    ("recent_shift", Reason::LastDays, "the rate of the last days alone, relative to the usual rate (log-odds)"),
    (
        "building_shift",
        Reason::Building,
        "the building's rate at this hour, relative to the room's usual rate (log-odds)",
    ),
    (
        "last_day_pull",
        Reason::LastDays,
        "the state at this hour on the last day of the same type, minus the usual rate",
    ),
    (
        "last_three_pull",
        Reason::LastDays,
        "the share of this hour in use on the last three days of the same type, minus the usual rate",
    ),
    ("lag_7d_pull", Reason::Weeks, "the state at this hour a week ago, minus the usual rate"),
    (
        "building_last_pull",
        Reason::Building,
        "the share of rooms in use at this hour on the last day of the same type, minus the building's rate",
    ),
    ("device_level", Reason::General, "logarithm of how much the room was in use lately, against what was expected"),
    ("building_level", Reason::Building, "the same of all rooms together"),
    ("hour_before", Reason::Usual, "the usual rate of the hour before"),
    ("hour_after", Reason::Usual, "the usual rate of the hour after"),
    ("last_day", Reason::LastDays, "the state at this hour on the last day of the same type: 1 in use, 0 empty"),
    ("lag_1d", Reason::LastDays, "the state at this hour one day before"),
    ("lag_2d", Reason::LastDays, "the state at this hour two days before"),
    ("lag_7d", Reason::Weeks, "the state at this hour seven days before"),
    ("lag_14d", Reason::Weeks, "the state at this hour fourteen days before"),
    ("hour", Reason::Usual, "the local hour of the day, 0 to 23"),
    ("weekday", Reason::Weekday, "the weekday, 0 for Monday"),
    ("off", Reason::DaysOff, "1 on a weekend, a holiday or a closed day"),
    ("off_before", Reason::DaysOff, "1 when the day before is off"),
    ("off_after", Reason::DaysOff, "1 when the day after is off"),
    ("special", Reason::DaysOff, "1 on a day off that is no weekend"),
    ("history", Reason::History, "logarithm of 1 plus the days since the room's first reading"),
    ("building_rate", Reason::Building, "the building's rate at this hour"),
    ("share_day", Reason::LastDays, "share of the last 24 hours in use"),
    ("share_week", Reason::LastDays, "share of the last 168 hours in use"),
    ("silence", Reason::Morning, "days without motion in the room while other sensors saw some"),
    ("last_hour", Reason::Morning, "the state of the last hour before the forecast"),
    ("last_three_hours", Reason::Morning, "share of the last three hours in use"),
    ("today", Reason::Morning, "how much busier than usual this day was so far, in hours"),
    (
        "state_pull",
        Reason::Morning,
        "how unusual the last and the running hour are, as far as that lasts until this hour",
    ),
    ("today_pull", Reason::Morning, "how much busier than usual this day was so far, for hours of the same day"),
    (
        "others_pull",
        Reason::Building,
        "how unusual the last hour is in the other rooms, as far as that lasts until this hour",
    ),
    ("motion_pull", Reason::Morning, "how likely somebody who moved is still there, beyond the usual"),
    ("lead", Reason::Lead, "hours from the forecast to this hour, 1 to 24"),
    ("since_motion", Reason::Morning, "logarithm of 1 plus the hours since the last motion"),
    ("so_far", Reason::Morning, "1 with motion in the running hour"),
    ("elapsed", Reason::Morning, "share of the running hour that has passed"),
    (
        "rate_3d",
        Reason::LastDays,
        "the rate of this hour and type of day with a half-life of 3 days, relative to the usual rate (log-odds)",
    ),
    (
        "rate_7d",
        Reason::LastDays,
        "the rate of this hour and type of day with a half-life of 7 days, relative to the usual rate (log-odds)",
    ),
    (
        "rate_14d",
        Reason::Usual,
        "the rate of this hour and type of day with a half-life of 14 days, relative to the usual rate (log-odds)",
    ),
    (
        "rate_56d",
        Reason::Usual,
        "the rate of this hour and type of day with a half-life of 56 days, relative to the usual rate (log-odds)",
    ),
    (
        "rate_120d",
        Reason::Usual,
        "the rate of this hour and type of day with a half-life of 120 days, relative to the usual rate (log-odds)",
    ),
    (
        "weekday_28d",
        Reason::Weekday,
        "the rate of this hour and weekday with a half-life of 28 days, relative to the usual rate (log-odds)",
    ),
    (
        "weekday_84d",
        Reason::Weekday,
        "the rate of this hour and weekday with a half-life of 84 days, relative to the usual rate (log-odds)",
    ),
    (
        "level_1d",
        Reason::LastDays,
        "logarithm of how much the room was in use in the last day, against what was expected",
    ),
    (
        "level_3d",
        Reason::LastDays,
        "logarithm of how much the room was in use in the last three days, against what was expected",
    ),
    (
        "level_7d",
        Reason::LastDays,
        "logarithm of how much the room was in use in the last seven days, against what was expected",
    ),
    (
        "building_level_1d",
        Reason::Building,
        "logarithm of how much all rooms were in use in the last day, against what was expected",
    ),
    (
        "building_level_3d",
        Reason::Building,
        "logarithm of how much all rooms were in use in the last three days, against what was expected",
    ),
    (
        "building_level_7d",
        Reason::Building,
        "logarithm of how much all rooms were in use in the last seven days, against what was expected",
    ),
    (
        "last_day_level",
        Reason::LastDays,
        "logarithm of how much the room was in use on the last day of the same type, against what was expected",
    ),
    (
        "building_last_day_level",
        Reason::Building,
        "logarithm of how much all rooms were in use on the last day of the same type, against what was expected",
    ),
    ("lag_1d_pull", Reason::LastDays, "the state at this hour one day before, minus the usual rate"),
    (
        "last_day_around",
        Reason::LastDays,
        "the share of this hour and its neighbours in use on the last day of the same type, minus the usual rate",
    ),
];

/// Returns the reason that a column belongs to.
pub fn reason(column: &str) -> Option<Reason> {
    GLOSSARY.iter().find(|(name, ..)| *name == column).map(|&(_, reason, _)| reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::full_columns;

    #[test]
    fn the_glossary_names_each_column_in_order() {
        assert_eq!(GLOSSARY.map(|(name, ..)| name).to_vec(), full_columns().into_iter().collect::<Vec<_>>());
    }

    /// The table of `docs/COLUMNS.md` is this one, line by line.
    #[test]
    fn the_documented_glossary_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/COLUMNS.md");
        let text = std::fs::read_to_string(path).unwrap();
        let documented: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
        let expected = GLOSSARY.map(|(name, reason, meaning)| format!("| `{name}` | {} | {meaning} |", reason.words()));
        assert_eq!(documented, expected);
    }
}
