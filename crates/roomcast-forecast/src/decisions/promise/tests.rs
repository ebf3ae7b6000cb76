use super::*;

/// Returns a number from 0 to 1 that looks random.
fn noise(a: u64, b: u64, c: u64) -> f64 {
    let mixed = (a.wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ b.wrapping_mul(0xC2B2_AE3D_27D4_EB4F)
        ^ c.wrapping_mul(0x1656_67B1_9E37_79F9))
    .wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((mixed ^ (mixed >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Counts the days of rooms that are in use with the given chance in each hour, `tell` the chance that is forecast.
fn site(seed: u64, rooms: u64, days: i32, tell: impl Fn(u64, i32, f64) -> f64) -> Outcomes {
    let mut outcomes = Outcomes::default();
    for day in 0..days {
        for room in 0..rooms {
            for hour in 0..24 {
                // Days and rooms differ; nights are nearly empty.
                let key = day as u64 * 24 + hour;
                let chance = if (8..18).contains(&hour) { noise(seed, room, key).powi(2) } else { 0.005 };
                let occupied = noise(seed ^ 7, room, key) < chance;
                outcomes.add(&format!("room_{room}"), day, tell(room, day, chance), occupied);
            }
        }
    }
    outcomes
}

fn promised(outcomes: &Outcomes, today: i32, scope: Scope) -> Thresholds {
    let names: Vec<String> = (0..8).map(|room| format!("room_{room}")).collect();
    let method = Method::Promise(Promise { max_missed: 0.05, scope });
    thresholds(method, outcomes, &OutOfSample::default(), today, names.iter().map(String::as_str))
}

/// Replays a site day by day and returns missed and occupied hours from day 28 on.
fn replay(outcomes: &Outcomes, days: i32, max_missed: f64) -> (f64, f64) {
    let past = Past::new(outcomes, days);
    let (mut target, mut missed, mut occupied) = (max_missed, 0.0, 0.0);
    for window in past.days.iter().filter(|window| window.day >= 28) {
        let (Some(day), Some(bin)) = (window.counts, window.threshold(target, max_missed)) else { continue };
        let sum = |counts: &[u32]| counts.iter().map(|&n| u64::from(n)).sum::<u64>();
        let (all, below) = (sum(&day.occupied), sum(&day.occupied[..bin]));
        missed += below as f64;
        occupied += all as f64;
        target = moved(target, max_missed, all, below, window.mean_occupied());
    }
    (missed, occupied)
}

#[test]
fn a_promise_is_kept_where_forecasts_are_calibrated_and_where_they_are_not() {
    // The second forecaster says half the odds from the 40th day on; the third becomes shy by and by.
    let tells: [fn(u64, i32, f64) -> f64; 3] = [
        |_, _, chance| chance,
        |_, day, chance| if day < 40 { chance } else { chance * 0.5 },
        |_, day, chance| chance * (1.0 - f64::from(day) / 200.0),
    ];
    for tell in tells {
        let mut within = 0;
        for seed in 0..40 {
            let (missed, occupied) = replay(&site(seed, 8, 84, tell), 84, 0.05);
            within += usize::from(missed <= 1.1 * 0.05 * occupied);
        }
        assert!(within >= 36, "kept for {within} of 40 seeds");
    }
}

#[test]
fn the_threshold_is_no_lower_than_it_must_be() {
    let outcomes = site(1, 8, 60, |_, _, chance| chance);
    let found = promised(&outcomes, 60, Scope::Site);
    let standing = found.standing.clone().unwrap();
    assert_eq!((standing.source, standing.kept, standing.lately.days), (Source::Forecasts, Kept::Kept, 28));
    let missed = standing.lately.missed_share().unwrap();
    assert!((0.035..=0.055).contains(&missed), "{missed}");
    // Working hours are less than half of the day, and those that are hardly ever used are left out.
    let on = standing.lately.on_share().unwrap();
    assert!((0.15..0.40).contains(&on), "{on}");
}

#[test]
fn days_that_are_not_over_change_nothing() {
    let outcomes = site(2, 8, 60, |_, _, chance| chance);
    let mut other = outcomes.clone();
    for hour in 0..24 {
        other.add("room_1", 60, 0.001, true);
        other.add("room_2", 61, 0.9, hour % 2 == 0);
    }
    for scope in [Scope::Site, Scope::Room] {
        assert_eq!(promised(&outcomes, 60, scope), promised(&other, 60, scope));
        assert_ne!(promised(&outcomes, 61, scope), promised(&other, 61, scope));
    }
}

#[test]
fn a_room_that_is_told_too_low_gets_its_own_threshold() {
    let outcomes = site(3, 8, 70, |room, _, chance| if room == 0 { chance * 0.2 } else { chance });
    let (site, rooms) = (promised(&outcomes, 70, Scope::Site), promised(&outcomes, 70, Scope::Room));
    assert!(site.rooms.is_empty() && site.of("room_0") == site.site);
    assert!(rooms.of("room_0") < 0.7 * rooms.of("room_1"), "{rooms:?}");
    // What the room misses at its own threshold is less than at the site's.
    let missed = |threshold: f64| {
        outcomes.room("room_0", 70).filter(|&(day, bin)| day >= 42 && edge(usize::from(bin)) < threshold).count()
    };
    assert!(rooms.rooms["room_0"].1.missed < missed(site.site) as u64);
}

#[test]
fn without_a_record_other_hours_serve_and_it_says_so() {
    let few = site(4, 1, 3, |_, _, chance| chance);
    let source = |outcomes: &Outcomes, judged: &OutOfSample| {
        let found = thresholds(Method::default(), outcomes, judged, 3, []);
        let standing = found.standing.unwrap();
        (standing.source, standing.kept, found.site)
    };
    let mut judged = OutOfSample::default();
    (0..1000).for_each(|n| judged.add(f64::from(n) / 1000.0, n >= 300));
    assert_eq!(source(&few, &judged).0, Source::Training);
    assert!((source(&few, &judged).2 - 0.335).abs() < 0.01);
    assert_eq!(source(&few, &OutOfSample::default()), (Source::Assumed, Kept::Unproven, 0.05));
}

#[test]
fn a_broken_promise_is_said() {
    let lately = |days, occupied, missed| Lately { days, occupied, missed, hours: 4 * occupied, on: occupied };
    assert_eq!(kept(&lately(20, 200, 11), 0.05), Kept::Kept);
    // 12 of 200 may be chance, the same share of 4000 is not.
    assert_eq!(kept(&lately(20, 200, 12), 0.05), Kept::Unproven);
    assert_eq!(kept(&lately(20, 4000, 240), 0.05), Kept::Broken);
    assert_eq!(kept(&lately(20, 200, 20), 0.05), Kept::Broken);
    assert_eq!(kept(&lately(13, 200, 30), 0.05), Kept::Unproven);
    assert_eq!(kept(&lately(20, 99, 30), 0.05), Kept::Unproven);
    assert_eq!(kept(&lately(20, 0, 0), 0.05), Kept::Unproven);
}
