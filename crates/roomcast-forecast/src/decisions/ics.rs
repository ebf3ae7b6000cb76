//! Blocks as iCalendar (RFC 5545), in the form that Google Calendar, openHAB and Home Assistant read.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use icalendar::{CalendarDateTime, Component, Event, EventLike, EventStatus};
use sha2::{Digest, Sha256};

use super::plan::RoomPlan;
use crate::calendar::{Calendar, Timestamp};

/// Interval at which a subscriber should poll.
const REFRESH_INTERVAL: TimeDelta = TimeDelta::minutes(15);

/// Returns one event per block. Times are UTC at a site with a zone, floating (wall time of the reader) without one.
pub fn calendar(rooms: &[RoomPlan<'_>], made_at: Timestamp, clock: &Calendar) -> String {
    let mut out = icalendar::Calendar::empty();
    out.append_property(("VERSION", "2.0"))
        .append_property(("PRODID", "-//Roomcast//Roomcast//EN"))
        .append_property(("CALSCALE", "GREGORIAN"))
        .append_property(("METHOD", "PUBLISH"))
        .name("Roomcast")
        .ttl(&REFRESH_INTERVAL);
    let stamp = utc(made_at);
    for RoomPlan { device, blocks, .. } in rooms {
        for block in blocks {
            let percent = 100.0 * block.peak;
            let (from, until) = (clock.wall(block.occupied.0), clock.wall(block.occupied.1));
            let text = format!(
                "expected in use from {} to {}, chance up to {percent:.0} %",
                from.format("%H:%M"),
                until.format("%H:%M")
            );
            let event = Event::new()
                .uid(&uid(device, block.occupied.0))
                .timestamp(stamp)
                .starts(time(block.start, clock))
                .ends(time(block.end, clock))
                .summary(device)
                .location(device)
                .description(&text)
                .status(EventStatus::Confirmed)
                .done();
            out.push(event);
        }
    }
    out.to_string()
}

fn utc(instant: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp(instant, 0).unwrap_or_default()
}

fn time(instant: Timestamp, clock: &Calendar) -> CalendarDateTime {
    match clock.zone() {
        Some(_) => CalendarDateTime::Utc(utc(instant)),
        None => {
            let wall: NaiveDateTime = clock.wall(instant);
            CalendarDateTime::Floating(wall)
        }
    }
}

/// Returns the id of a block. The same block of a later forecast has the same id, so calendars move the event rather
/// than show two.
fn uid(device: &str, occupied_from: Timestamp) -> String {
    let mut hash = Sha256::new();
    hash.update(device.as_bytes());
    hash.update(occupied_from.to_le_bytes());
    let name = hex::encode(&hash.finalize()[..16]);
    format!("{name}@roomcast")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decisions::blocks::Block;

    fn text(clock: &Calendar) -> String {
        let at = |hour| clock.parse(&format!("2016-08-25 {hour:02}:00:00")).expect("a time");
        let blocks = vec![Block { start: at(8), end: at(12), occupied: (at(9), at(12)), peak: 0.934 }];
        let device = "floor; 3,\nroom_1";
        let room = RoomPlan { device, threshold: 0.5, blocks, hours_on: 4.0, hours_expected: 3.0, lately: None };
        calendar(&[room], at(7), clock)
    }

    #[test]
    fn events_are_floating_without_a_zone_and_utc_with_one() {
        let floating = text(&Calendar::default());
        assert!(floating.contains("DTSTART:20160825T080000\r\n"), "{floating}");
        assert!(floating.contains("DTEND:20160825T120000\r\n"), "{floating}");
        assert!(floating.contains("DTSTAMP:20160825T070000Z\r\n"), "{floating}");
        let berlin = text(&Calendar::new(Some(chrono_tz::Tz::Europe__Berlin)));
        assert!(berlin.contains("DTSTART:20160825T060000Z\r\n"), "{berlin}");
        assert!(berlin.contains("from 09:00 to 12:00\\, chance up to 93 %"), "{berlin}");
    }

    #[test]
    fn names_are_escaped_and_ids_stay() {
        let one = text(&Calendar::default());
        assert!(one.contains("SUMMARY:floor\\; 3\\,\\nroom_1\r\n"), "{one}");
        let id = |text: &str| text.lines().find(|line| line.starts_with("UID:")).map(str::to_owned);
        assert_eq!(id(&one), id(&text(&Calendar::default())));
        assert_eq!(one.matches("PRODID").count(), 1);
    }
}
