use chrono::NaiveDate;

use crate::statistics::{COUNT, NAMES, Statistics};
use crate::*;

/// Medians over nine real buildings of 1 to 95 sensors, and how far the median of simulated sites may be from them.
///
/// The tolerances are a judgement: nine buildings say little about all. Where [`Kind::Building`] was found lacking they are
/// mostly below its distance. The share of days of a stuck sensor has no median: such sensors are on some sites only.
const REAL: [(f64, f64); COUNT - 1] = [
    (0.32, 0.07),
    (0.33, 0.07),
    (0.28, 0.06),
    (0.045, 0.02),
    (0.80, 0.05),
    (0.046, 0.02),
    (0.11, 0.05),
    (0.010, 0.005),
    (2.2, 0.35),
    (0.10, 0.03),
    (0.58, 0.05),
    (0.22, 0.05),
];

/// Number of sites of which the statistics are compared.
const SITES: usize = 60;

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn spring(kind: Kind, seed: u64, devices: usize) -> Building {
    Building { kind, ..Building::new(seed, devices, date("2023-01-09"), date("2023-05-31")) }
}

/// Returns the quantile of each statistic over sites that have it.
fn quantiles(sites: &[[Option<f64>; COUNT]], share: f64) -> [f64; COUNT] {
    std::array::from_fn(|n| {
        let mut values: Vec<f64> = sites.iter().filter_map(|site| site[n]).collect();
        values.sort_unstable_by(f64::total_cmp);
        values[((values.len() - 1) as f64 * share).round() as usize]
    })
}

fn statistics(plans: &[SitePlan]) -> Vec<[Option<f64>; COUNT]> {
    let statistics = |plan: &SitePlan| {
        let site = plan.build();
        Statistics::of(&site.readings, &site.calendar).values()
    };
    plans.par_iter().map(statistics).collect()
}

#[test]
fn sites_are_like_real_ones() {
    let sites = statistics(&experience_sites(SITES, 1));
    let regular: Vec<SitePlan> =
        (0..12).map(|seed| SitePlan { kind: Kind::Building, seed, rooms: 20, days: 240 }).collect();
    let regular = quantiles(&statistics(&regular), 0.5);
    let [low, median, high] = [0.1, 0.5, 0.9].map(|share| quantiles(&sites, share));
    println!("{:70} {:>7} {:>7} {:>15} {:>8}", "median", "real", "sites", "10 to 90 %", "building");
    let mut wrong = Vec::new();
    let mut lacking = 0;
    for (n, (real, tolerance)) in REAL.into_iter().enumerate() {
        println!("{:70} {real:7.3} {:7.3} {:7.3} {:7.3} {:8.3}", NAMES[n], median[n], low[n], high[n], regular[n]);
        if (median[n] - real).abs() > tolerance {
            wrong.push(NAMES[n]);
        }
        lacking += usize::from((regular[n] - real).abs() > tolerance);
        // Sites differ from each other, on both sides of the real median.
        assert!(low[n] < real && real < high[n], "{}: {} to {}", NAMES[n], low[n], high[n]);
    }
    assert!(wrong.is_empty(), "unlike real sites: {wrong:?}");
    assert!(lacking >= 6, "the comparison would also accept the regular building: {lacking}");
}

#[test]
fn offices_are_nearly_empty_more_often_than_other_sites() {
    let plans = experience_sites(SITES, 2);
    let of = |kind| {
        let own: Vec<SitePlan> = plans.iter().copied().filter(|plan| plan.kind == kind).collect();
        quantiles(&statistics(&own), 0.5)[5]
    };
    assert!((0.05..0.13).contains(&of(Kind::Offices)), "{}", of(Kind::Offices));
    assert!(of(Kind::Offices) > of(Kind::Homes));
}

#[test]
fn sensors_stay_on_for_days_at_some_sites_only() {
    let stuck = |faults: f64| {
        let sites = (0..40).filter(|&seed| {
            let building = Building { faults, ..spring(Kind::Offices, seed, 10) };
            Statistics::of(&building.readings(), &building.calendar()).stuck_days > Some(0.0)
        });
        sites.count()
    };
    assert!((4..24).contains(&stuck(0.1)), "{} of 40", stuck(0.1));
    assert_eq!(stuck(0.0), 0, "without faults");
}

#[test]
fn threads_devices_and_a_later_last_day_change_nothing_before() {
    for kind in Kind::LIFELIKE {
        let sound = |devices| Building { faults: 0.0, ..spring(kind, 3, devices) };
        let on = |building: &Building, threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| building.days().collect::<Vec<Day>>())
        };
        let days = on(&sound(60), 1);
        assert_eq!(days, on(&sound(60), 3), "{kind:?}");
        let few: Vec<Row> = sound(5).days().flat_map(|day| day.rows().collect::<Vec<Row>>()).collect();
        let of_few = days.iter().flat_map(|day| day.rows().filter(|row| row.device < 5).collect::<Vec<Row>>());
        assert_eq!(few, of_few.collect::<Vec<Row>>(), "{kind:?}");
        let short = Building { to: date("2023-02-28"), ..sound(60) };
        let short = on(&short, 2);
        assert_eq!(days[..short.len()], short, "{kind:?}");
    }
}

#[test]
fn kinds_and_seeds_are_different_sites() {
    let mut sites: Vec<Readings> = Vec::new();
    for kind in Kind::LIFELIKE {
        for seed in 1..3 {
            sites.push(spring(kind, seed, 4).readings());
        }
    }
    for (n, site) in sites.iter().enumerate() {
        assert!(site.len() > 500, "{n}");
        assert!(!sites[..n].contains(site));
    }
}

#[test]
fn kinds_have_their_character() {
    let median = |kind| {
        let plans: Vec<SitePlan> = (0..15).map(|seed| SitePlan { kind, seed, rooms: 10, days: 370 }).collect();
        quantiles(&statistics(&plans), 0.5)
    };
    let (weekend, silent) = (6, 3);
    let [homes, schools, offices] = [Kind::Homes, Kind::Schools, Kind::Offices].map(median);
    assert!(homes[weekend] > 0.8 && offices[weekend] < 0.3, "{} {}", homes[weekend], offices[weekend]);
    assert!(schools[silent] > 0.08 && homes[silent] < 0.08, "{} {}", schools[silent], homes[silent]);
}

#[test]
fn density_sets_how_much_rooms_are_used() {
    for kind in Kind::LIFELIKE {
        let hours = |density| {
            let building = Building { density, faults: 0.0, ..spring(kind, 5, 20) };
            building.days().flat_map(|day| day.observed).map(u32::count_ones).sum::<u32>()
        };
        let usual = hours(1.0);
        assert!(hours(0.4) < usual * 9 / 10 && usual < hours(2.0), "{kind:?}");
        assert!(hours(0.0) < usual / 50, "{kind:?}: {} of {usual}", hours(0.0));
    }
}

#[test]
fn days_off_are_quiet_where_the_calendar_knows_them() {
    let year =
        |seed| Building { kind: Kind::Offices, ..Building::new(seed, 12, date("2023-01-01"), date("2023-12-31")) };
    let mut known = 0;
    let (mut holidays, mut others) = ((0, 0), (0, 0));
    for building in (0..20).map(year) {
        let off: Vec<NaiveDate> = building.calendar().days_off().collect();
        if off.is_empty() {
            continue;
        }
        known += 1;
        assert!((3..19).contains(&off.len()), "{off:?}");
        for day in building.days().filter(|day| day.date.weekday().num_days_from_monday() < 5) {
            let (hours, days) = if off.contains(&day.date) { &mut holidays } else { &mut others };
            *hours += day.observed.iter().map(|set| set.count_ones()).sum::<u32>();
            *days += 1;
        }
    }
    assert!((4..17).contains(&known), "{known} of 20");
    let level = |(hours, days): (u32, u32)| f64::from(hours) / f64::from(days);
    assert!(level(holidays) < 0.4 * level(others), "{} {}", level(holidays), level(others));
}

#[test]
fn a_longer_list_of_sites_begins_with_the_shorter() {
    let plans = experience_sites(200, 7);
    assert_eq!(experience_sites(10, 7), plans[..10]);
    assert_ne!(experience_sites(10, 8), plans[..10]);
    let rooms = |test: &dyn Fn(usize) -> bool| plans.iter().filter(|plan| test(plan.rooms)).count();
    assert!(rooms(&|rooms| rooms == 1) > 5 && rooms(&|rooms| rooms > 30) > 5);
    assert_eq!(rooms(&|rooms| (1..=40).contains(&rooms)), 200);
    assert!(plans.iter().all(|plan| (60..=400).contains(&plan.days)));
    let seeds: std::collections::BTreeSet<u64> = plans.iter().map(|plan| plan.seed).collect();
    assert_eq!(seeds.len(), 200);
}

#[test]
fn a_site_has_the_days_that_were_asked_for() {
    let site = site(Kind::Homes, 4, 8, 100);
    let (first, last) = site.readings.span().unwrap();
    let days = (last - first) / i64::from(DAY);
    assert!((80..100).contains(&days), "{days}");
    assert!(site.readings.devices.iter().all(|device| !device.times.is_empty()));
}
