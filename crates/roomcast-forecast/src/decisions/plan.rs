//! The plan: the blocks of all rooms for the hours of a forecast.

use super::blocks::{Block, BlockRule, blocks};
use super::promise::{Lately, Thresholds};
use crate::calendar::{Calendar, HOUR, Timestamp};
use crate::forecast::DeviceForecast;

/// The plan of one room.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomPlan<'a> {
    /// The device's name.
    pub device: &'a str,
    /// The probability from which an hour counts as occupied.
    pub threshold: f64,
    /// The blocks, in order; they do not touch.
    pub blocks: Vec<Block>,
    /// Hours on, in all blocks.
    pub hours_on: f64,
    /// Hours that the room is expected in use: the sum of the probabilities.
    pub hours_expected: f64,
    /// The hours that the room missed lately, if the promise holds for each room.
    pub lately: Option<Lately>,
}

/// Returns the plan of each room for the hours of its forecast, which was made at `origin`.
pub fn plan<'a>(
    forecasts: impl IntoIterator<Item = &'a DeviceForecast>,
    thresholds: &Thresholds,
    rule: &BlockRule,
    origin: Timestamp,
    calendar: &Calendar,
) -> Vec<RoomPlan<'a>> {
    let room = |forecast: &'a DeviceForecast| {
        let threshold = thresholds.of(&forecast.device);
        let hours = forecast.hours.iter().map(|hour| (hour.hour, hour.probability));
        let blocks = blocks(hours, threshold, rule, origin, calendar);
        RoomPlan {
            device: &forecast.device,
            threshold,
            // The sum of whole seconds: floating-point numbers add up to -0 where there are none.
            hours_on: blocks.iter().map(|block| block.end - block.start).sum::<i64>() as f64 / HOUR as f64,
            hours_expected: forecast.hours.iter().map(|hour| hour.probability).sum(),
            lately: thresholds.rooms.get(&forecast.device).map(|&(_, lately)| lately),
            blocks,
        }
    };
    forecasts.into_iter().map(room).collect()
}

/// Returns the hours on of all rooms.
pub fn hours_on(rooms: &[RoomPlan<'_>]) -> f64 {
    rooms.iter().fold(0.0, |sum, room| sum + room.hours_on)
}

/// Returns the local day on which a schedule of this origin is made. The days before it are over.
pub fn today(origin: Timestamp, calendar: &Calendar) -> i32 {
    calendar.local(calendar.hour(origin)).day
}
