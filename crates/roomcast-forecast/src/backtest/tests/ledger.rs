use super::{MONDAY, calendar, office};
use crate::backtest::ledger::{Followed, Ledger, LedgerPlan, Made, Power, prior, words};
use crate::backtest::report::Report;
use crate::backtest::{BacktestPlan, ScoredHour, baselines, html, run};
use crate::calendar::HOUR;
use crate::decisions::blocks::BlockRule;
use crate::decisions::promise::{Promise, Scope};
use crate::decisions::timetable::Timetables;
use crate::forecast::parts::PartChances;
use crate::model::Source;
use crate::readings::{DeviceReadings, Readings, Times};

const DAY: i64 = 24 * HOUR;

/// Days replayed, after as many for the promise.
const DAYS: i64 = 28;

fn ledger_plan(scope: Scope) -> LedgerPlan {
    let site = "mon-fri 06:00-19:00".parse().expect("a timetable");
    LedgerPlan {
        timetables: Timetables { site, rooms: Default::default() },
        rule: BlockRule::default(),
        promise: Promise { max_missed: 0.05, scope },
        power: Power::default(),
    }
}

/// Returns a number from 0 to 1 that looks random.
fn noise(seed: u64, room: u64, hour: i64) -> f64 {
    let mixed = (seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ room.wrapping_mul(0xC2B2_AE3D_27D4_EB4F) ^ hour as u64)
        .wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((mixed ^ (mixed >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Returns readings, and the hours of a replay that forecasts each day at its midnight: `told` is the chance that is
/// forecast for a room, day and hour of day, `used` whether there is motion.
fn replayed(
    rooms: u64,
    told: impl Fn(u64, i64, i64) -> f64,
    used: impl Fn(u64, i64, i64) -> bool,
) -> (Readings, Vec<ScoredHour>) {
    let mut devices: Vec<DeviceReadings> = (0..rooms)
        .map(|room| DeviceReadings { device: format!("room_{room}"), times: Vec::new().into(), offs: Times::default() })
        .collect();
    let mut hours = Vec::new();
    for day in 0..2 * DAYS {
        for room in 0..rooms {
            for hour_of_day in 0..24 {
                let actual = used(room, day, hour_of_day);
                let start = MONDAY + day * DAY + hour_of_day * HOUR;
                if actual {
                    devices[room as usize].times.extend([start + 600]);
                }
                hours.push(ScoredHour {
                    device: room as u32,
                    origin: MONDAY + day * DAY,
                    hour: (start / HOUR) as i32,
                    lead: hour_of_day as u8 + 1,
                    day: (start / DAY) as i32,
                    hour_of_day: hour_of_day as u8,
                    off: day % 7 > 4,
                    probability: told(room, day, hour_of_day) as f32,
                    occupied: false,
                    actual,
                    silent: false,
                    baselines: [0.1; baselines::COUNT],
                    baseline_states: [false; baselines::COUNT],
                    weeks: 9,
                    source: Source::Model,
                    parts: PartChances::default(),
                });
            }
        }
    }
    (Readings { devices }, hours)
}

fn ledger(readings: &Readings, hours: &[ScoredHour], plan: &LedgerPlan) -> Ledger {
    let (earlier, hours) = hours.split_at(hours.len() / 2);
    Ledger::new(readings, &calendar(), plan, earlier, hours).expect("a ledger")
}

#[test]
fn a_schedule_that_is_the_timetable_saves_nothing() {
    let is_on = |day: i64, hour: i64| day % 7 < 5 && (6..19).contains(&hour);
    let told = |_, day, hour| if is_on(day, hour) { 0.99 } else { 0.002 };
    let (readings, hours) =
        replayed(3, told, |room, day, hour| is_on(day, hour) && noise(1, room, day * 24 + hour) < 0.4);
    let found = ledger(&readings, &hours, &ledger_plan(Scope::Site));
    let (fixed, schedule) = (found.fixed(), found.schedule());
    assert_eq!((schedule.saved.value, schedule.saved.interval), (0.0, Some((0.0, 0.0))));
    assert_eq!(fixed.hours_on, 3.0 * 4.0 * 5.0 * 13.0);
    let sums = |policy: &crate::backtest::ledger::Policy| {
        [policy.hours_on, policy.empty_hours_on, policy.missed_hours, policy.starts]
    };
    assert_eq!(sums(fixed), sums(schedule));
    assert!(fixed.empty_hours_on > 0.5 * fixed.hours_on && fixed.missed_hours == 0.0);
}

#[test]
fn a_planted_saving_is_found() {
    // Rooms are in use from 9 to 17 on three to five days of the week, and hardly ever outside.
    let is_usual = |room: u64, day: i64, hour: i64| day % 7 < 5 - (room % 3) as i64 && (9..17).contains(&hour);
    let usual_hours: f64 = (0..6).map(|room| 8.0 * (5 - room % 3) as f64).sum();
    // The chances of usual hours differ by noise, so 5 % of them lie below a threshold that misses 5 % of their use.
    let planted = 1.0 - 0.95 * usual_hours / (6.0 * 5.0 * 13.0);
    let found = |seed: u64| {
        let told = |room: u64, day: i64, hour: i64| {
            let log_odds = if is_usual(room, day, hour) { 2.0 } else { -6.0 };
            1.0 / (1.0 + f64::exp(-log_odds - 2.0 * (noise(seed ^ 99, room, day * 24 + hour) - 0.5)))
        };
        let used = |room: u64, day: i64, hour: i64| {
            noise(seed, room, day * 24 + hour) < if is_usual(room, day, hour) { 0.85 } else { 0.0005 }
        };
        let (readings, hours) = replayed(6, told, used);
        ledger(&readings, &hours, &ledger_plan(Scope::Site))
    };
    let ledgers: Vec<Ledger> = (0..100).map(found).collect();
    let near = ledgers.iter().filter(|of| (of.schedule().saved.value - planted).abs() <= 0.02).count();
    assert!(near >= 90, "{near} of 100 within 2 points of {planted}");
    // About 33 misses are expected in each, so chance alone breaks a tenth of tolerance; their mean shows the promise.
    let missed = ledgers.iter().map(|of| of.schedule().missed_share.value).sum::<f64>() / ledgers.len() as f64;
    assert!((0.04..=0.052).contains(&missed), "{missed} missed of 0.05");
    // Hindsight and, without a preheat, turning on at motion miss nothing; each occupied hour is either on or missed.
    for of in &ledgers {
        let [_, reactive, schedule, hindsight] = &of.policies[..] else { panic!("four policies") };
        assert_eq!((hindsight.missed_hours, hindsight.empty_hours_on, reactive.missed_hours), (0.0, 0.0, 0.0));
        let on = schedule.hours_on - schedule.empty_hours_on;
        assert!((on + schedule.missed_hours - of.occupied_hours).abs() < 1e-6);
    }
}

#[test]
fn schedules_depend_on_nothing_at_or_after_their_making() {
    let readings = office(4, 45);
    let mut other = readings.clone();
    let cut = MONDAY + 34 * DAY;
    for device in &mut other.devices {
        device.times.retain(|&time| time < cut);
        device.times.extend((0..160).map(|n| cut + n * 2222));
    }
    let plan = BacktestPlan {
        from: MONDAY + 30 * DAY,
        to: MONDAY + 36 * DAY,
        every: DAY,
        refit: 7 * DAY,
        history: None,
        days: 1,
    };
    for scope in [Scope::Site, Scope::Room] {
        let made = |readings: &Readings| -> Vec<Vec<Made>> {
            let replay = |plan| run(readings, &calendar(), plan, &|_, _| ()).expect("a backtest");
            let (earlier, hours) = (replay(&prior(&plan, &calendar())), replay(&plan));
            Followed::new(readings, &calendar(), &hours).schedules(&ledger_plan(scope), &earlier)
        };
        let (a, b) = (made(&readings), made(&other));
        let until = |made: &[Vec<Made>]| -> Vec<Vec<Made>> {
            made.iter().map(|room| room.iter().filter(|made| made.origin <= cut).cloned().collect()).collect()
        };
        let (known, same) = (until(&a), until(&b));
        assert_eq!(known, same);
        assert!(known.iter().all(|room| room.len() == 5 && room.iter().any(|made| !made.blocks.is_empty())));
        assert!(known[0].windows(2).any(|pair| pair[0].threshold != pair[1].threshold));
        // What comes does change later schedules.
        assert_ne!(a, b);
    }
}

#[test]
fn energy_needs_a_given_power() {
    let is_on = |day: i64, hour: i64| day % 7 < 5 && (6..19).contains(&hour);
    let told = |_, day, hour| if is_on(day, hour) { 0.99 } else { 0.002 };
    let (readings, hours) = replayed(3, told, |_, day, hour| is_on(day, hour) && hour % 2 == 0);
    let mut plan = ledger_plan(Scope::Site);
    assert_eq!(ledger(&readings, &hours, &plan).energy, None);
    plan.power.rooms.insert("room_1".into(), 1.5);
    plan.power.price = Some(0.3);
    let energy = ledger(&readings, &hours, &plan).energy.expect("an estimate");
    assert_eq!((energy.rooms, energy.rooms_without_power), (1, 2));
    assert_eq!((energy.policies[0].policy, energy.policies[0].kwh), ("timetable", 1.5 * 4.0 * 5.0 * 13.0));
    assert!((energy.policies[0].cost.expect("a cost") - 117.0).abs() < 1e-9);
}

#[test]
fn policies_and_plain_states_have_marks_of_their_own_in_the_chart() {
    let is_on = |day: i64, hour: i64| day % 7 < 5 && (6..19).contains(&hour);
    let told = |_, day, hour| if is_on(day, hour) { 0.99 } else { 0.002 };
    let (readings, hours) = replayed(3, told, |_, day, hour| is_on(day, hour) && hour % 2 == 0);
    let plan = BacktestPlan { from: MONDAY, to: MONDAY + DAY, every: DAY, refit: DAY, history: None, days: 1 };
    let mut report = Report::new(&readings, &calendar(), &plan, &hours).expect("hours");
    report.ledger = Some(ledger(&readings, &hours, &ledger_plan(Scope::Site)));
    let page = html::page(&report);
    let chart = page.split("savings-chart-d").nth(2).and_then(|rest| rest.split("</svg>").next()).expect("a chart");
    // The reactive policy, hindsight and the timetable, and one in the legend.
    assert_eq!(chart.matches("<polygon class=\"policy\"").count(), 4, "{chart}");
    assert_eq!(chart.matches("<polygon class=\"model\"").count(), 2, "{chart}");
    assert!(chart.contains("<polygon class=\"states\"") && chart.contains(">plain states</text>"), "{chart}");
    // Squares are points of the hour-of-week rate alone.
    let squares = chart.matches("<rect class=\"base\"").count();
    assert_eq!(squares, 1 + chart.matches("<title>hour-of-week rate from ").count(), "{chart}");
}

#[test]
fn a_backtest_judges_its_promise_as_a_schedule_does() {
    let is_on = |day: i64, hour: i64| day % 7 < 5 && (6..19).contains(&hour);
    let told = |_, day, hour| if is_on(day, hour) { 0.99 } else { 0.002 };
    let (readings, hours) = replayed(3, told, |_, day, hour| is_on(day, hour) && hour % 2 == 0);
    let found = ledger(&readings, &hours, &ledger_plan(Scope::Site));
    let expected = "Promised: at most 5.0 % missed. On the site: the promise was kept (up to 5.5 % counts as kept). \
                    0 of 3 rooms missed more than twice as much.";
    assert_eq!(found.promise_kept, expected);
    let of = |missed: f64, days: usize| {
        let mut found = found.clone();
        found.policies[2].missed_hours = missed * found.occupied_hours;
        found.days = days;
        words::promise(&found)
    };
    assert!(of(0.059, 28).contains(": more than promised, which may be chance (up to 5.5 % counts as kept). "));
    assert!(of(0.2, 28).contains(": the promise was not kept (up to 5.5 % counts as kept). "));
    assert!(of(0.2, 13).contains(": too few to show whether the promise is kept. "));
}
