use super::expert::Expert;
use super::*;
use crate::features::{PRIOR, WIDTH};
use crate::model::trees::Trees;

fn trees(leaf: f64) -> Trees {
    let text = format!(
        "\nTree=0\nnum_leaves=2\nsplit_feature=15\nthreshold=0.5\ndecision_type=10\nleft_child=-1\nright_child=-2\n\
         leaf_value=-0.3 {leaf}\n"
    );
    Trees::parse(&text, FULL_WIDTH).unwrap()
}

/// Returns the rows of a forecast, some values of which are not known. The first hours are those of a day that has begun.
fn rows(begun: usize) -> ForecastRows {
    let matrix = |shift: usize| {
        let value = |at: usize| match at >= 24 * WIDTH && at % 29 == 7 {
            true => f32::NAN,
            false => ((at * 7 + shift) % 11) as f32 / 3.0 - 1.5,
        };
        Matrix { rows: 24, data: (0..24 * FULL_WIDTH).map(value).collect() }
    };
    let (now, mut settled) = (matrix(0), matrix(0));
    let midnight = matrix(5);
    for (at, value) in settled.data.iter_mut().enumerate().filter(|(at, _)| at % 24 < begun) {
        *value = midnight.data[at];
    }
    ForecastRows { now, settled, begun }
}

#[test]
fn the_shares_follow_age_and_lead() {
    let shares = |has_expert, days, has_begun, lead| {
        let Shares { stack, correction, shipped, expert } = Shares::new(has_expert, days, has_begun, lead);
        assert!((stack + shipped + expert - 1.0).abs() < 1e-12);
        [correction, shipped, expert].map(|share| (share * 1e6).round() as i64)
    };
    // A day that has not begun, of devices that are new, a hundred days old, and old without an expert.
    assert_eq!(shares(true, 0.0, false, 1.0), [333_333, 333_333, 0]);
    assert_eq!(shares(true, 100.0, false, 24.0), [333_333, 166_667, 166_667]);
    assert_eq!(shares(false, 900.0, false, 18.0), [333_333, 333_333, 0]);
    // The next hour and the one after two more of a day that has begun.
    assert_eq!(shares(true, 100.0, true, 1.0), [83_333, 41_667, 41_667]);
    assert_eq!(shares(true, 100.0, true, 3.0), [166_667, 83_333, 83_333]);
}

#[test]
fn contributions_add_up_to_the_mix_of_the_parts() {
    let site = SiteModel::default();
    let with = |follows_site, expert| DeviceModel { follows_site, expert, ..DeviceModel::default() };
    let expert = || Expert { trees: trees(0.7), base: -1.25 };
    for (device, days, begun) in [
        (with(true, Expert::default()), 3.0, 0),
        (with(true, expert()), 60.0, 11),
        (with(false, expert()), 300.0, 24),
        (with(false, Expert::default()), 300.0, 11),
    ] {
        let rows = rows(begun);
        for (at, part) in parts(&device, &site, &rows, days).into_iter().enumerate() {
            let mut row = [0.0; FULL_WIDTH];
            rows.now.row(at, &mut row);
            let mut out = [0.0; FULL_WIDTH];
            let base = contributions(&device, &site, &rows, at, days, &mut out);
            assert!((base + out.iter().sum::<f64>() - part.mixed).abs() < 1e-9, "{device:?}: {part:?}");
            assert_eq!(part.stack.to_bits(), device.score(&site, &row).to_bits());
            assert_eq!(part.expert.is_some(), !device.expert.is_empty());
            let weighted = part.weighted().into_iter().flatten();
            let sums = weighted.fold((0.0, 0.0), |sums, (score, weight)| (sums.0 + score * weight, sums.1 + weight));
            assert!((sums.0 - part.mixed).abs() < 1e-9 && (sums.1 - 1.0).abs() < 1e-12, "{part:?}");
        }
    }
}

#[test]
fn a_day_that_has_begun_is_that_of_its_midnight_and_what_the_stack_has_learned_since() {
    let (rows, site) = (rows(11), SiteModel::default());
    let device =
        DeviceModel { follows_site: true, expert: Expert { trees: trees(0.7), base: -1.25 }, ..DeviceModel::default() };
    let midnight = ForecastRows { now: rows.settled.clone(), settled: rows.settled.clone(), begun: 0 };
    let of = |rows: &ForecastRows| parts(&device, &site, rows, 60.0);
    for (at, (now, then)) in of(&rows).into_iter().zip(of(&midnight)).enumerate() {
        let lead = f64::from(rows.now.column(LEAD)[at]);
        let share = if at < 11 { lead / (lead + HALF_LEAD_HOURS) } else { 1.0 };
        let expected = now.stack + share * (then.mixed - then.stack);
        assert!((now.mixed - expected).abs() < 1e-9, "hour {at}: {now:?}, then {then:?}");
    }
}

#[test]
fn the_baseline_is_the_rate_alone() {
    let rows = rows(11);
    let parts = parts(&DeviceModel::default(), &SiteModel::default(), &rows, 100.0);
    for (parts, &prior) in parts.iter().zip(rows.now.column(PRIOR)) {
        let Parts { stack, corrected, shipped, expert, mixed, .. } = *parts;
        let prior = f64::from(prior);
        assert!(
            [stack, corrected, shipped, mixed].iter().all(|part| part.total_cmp(&prior).is_eq()) && expert.is_none()
        );
    }
}
