use proptest::prelude::*;

use crate::backtest::scores::{Outcome, reliability, score};

fn outcomes(rows: &[(f32, bool)]) -> Vec<Outcome> {
    rows.iter().map(|&(probability, actual)| Outcome { probability, occupied: probability >= 0.5, actual }).collect()
}

fn close(a: impl Into<Option<f64>>, b: f64) -> bool {
    a.into().is_some_and(|a| (a - b).abs() < 1e-6)
}

#[test]
fn four_hours_by_hand() {
    let s = score(&outcomes(&[(0.9, true), (0.6, false), (0.4, true), (0.2, false)])).expect("four hours");
    assert_eq!((s.hours, s.occupied_share), (4, 0.5));
    assert!(close(s.mean_probability, 0.525));
    assert!(close(s.log_loss, -(0.9_f64.ln() + 0.4_f64.ln() + 0.4_f64.ln() + 0.8_f64.ln()) / 4.0));
    assert!(close(s.brier, (0.01 + 0.36 + 0.36 + 0.04) / 4.0));
    assert!(close(s.brier_skill, 1.0 - 0.1925 / 0.25));
    assert!(close(s.accuracy, 0.5));
    assert!(close(s.balanced_accuracy, 0.5));
    assert!(close(s.precision, 0.5) && close(s.recall, 0.5) && close(s.f1, 0.5));
    assert!(close(s.mcc, 0.0));
    // Ordered by probability, the occupied hours stand first and third: precision 1 and 2/3.
    assert!(close(s.pr_auc, (1.0 + 2.0 / 3.0) / 2.0));
    // Of the four pairs only (0.4, 0.6) is the wrong way round.
    assert!(close(s.roc_auc, 0.75));
    assert!(close(s.calibration_error, (0.1 + 0.6 + 0.6 + 0.2) / 4.0));
}

#[test]
fn matthews_by_hand() {
    let rows = [vec![(0.9, true); 6], vec![(0.9, false); 1], vec![(0.1, true); 2], vec![(0.1, false); 3]].concat();
    let s = score(&outcomes(&rows)).expect("hours");
    assert!(close(s.mcc, (6.0 * 3.0 - 1.0 * 2.0) / (7.0_f64 * 8.0 * 4.0 * 5.0).sqrt()));
    assert!(close(s.f1, 12.0 / 15.0));
    assert!(close(s.balanced_accuracy, (6.0 / 8.0 + 3.0 / 4.0) / 2.0));
    // Two distinct probabilities are two bins, whatever their number.
    assert!(close(s.calibration_error, ((6.3_f64 - 6.0).abs() + (0.5_f64 - 2.0).abs()) / 12.0));
}

#[test]
fn the_nights_do_not_hide_the_calibration_error_of_likely_hours() {
    let nights = vec![(0.001, false); 900];
    let days: Vec<_> = (0..100).map(|n| (0.8, n < 40)).collect();
    let s = score(&outcomes(&[nights.clone(), days].concat())).expect("hours");
    assert!(close(s.calibration_error, (0.9 + 40.0) / 1000.0), "{s:?}");
    assert!(close(s.likely_calibration_error, 0.4), "{s:?}");
    assert_eq!(score(&outcomes(&nights)).expect("hours").likely_calibration_error, None);
}

#[test]
fn one_class_leaves_ratios_open() {
    let s = score(&outcomes(&[(0.1, false), (0.2, false)])).expect("hours");
    assert_eq!((s.precision, s.recall, s.f1, s.mcc), (None, None, None, None));
    assert_eq!((s.pr_auc, s.roc_auc, s.balanced_accuracy, s.brier_skill), (None, None, None, None));
    assert_eq!((s.calibration_slope, s.calibration_intercept), (None, None));
    assert_eq!(score(&[]), None);
}

#[test]
fn a_perfect_forecast_is_perfect() {
    let s = score(&outcomes(&[(1.0, true), (0.0, false), (1.0, true), (0.0, false), (0.0, false)])).expect("hours");
    for one in [Some(s.accuracy), s.balanced_accuracy, s.f1, s.precision, s.recall, s.mcc, s.pr_auc, s.roc_auc] {
        assert!(close(one, 1.0));
    }
    assert!(close(s.brier_skill, 1.0) && s.brier == 0.0 && s.calibration_error == 0.0 && s.log_loss < 1e-5);
}

#[test]
fn halved_log_odds_have_slope_two() {
    // The forecasts have half the true log-odds: 2/3 for 0.8, 1/3 for 0.2. Of 30 hours each, 24 and 6 are occupied.
    let rows = |p: f32, occupied: usize| (0..30).map(move |at| (p, at < occupied));
    let rows: Vec<_> = rows(2.0 / 3.0, 24).chain(rows(1.0 / 3.0, 6)).collect();
    let s = score(&outcomes(&rows)).expect("hours");
    assert!(s.calibration_slope.is_some_and(|slope| (slope - 2.0).abs() < 1e-4));
    assert!(s.calibration_intercept.is_some_and(|intercept| intercept.abs() < 1e-4));
}

#[test]
fn reliability_bins_hold_every_hour() {
    let bins = reliability(&outcomes(&[(0.0, false), (0.05, false), (0.95, true), (1.0, true), (0.5, true)]));
    assert_eq!(bins.iter().map(|b| b.hours).collect::<Vec<_>>(), [2, 1, 2]);
    assert!(close(bins[2].mean_probability, 0.975) && close(bins[2].occupied_share, 1.0));
}

/// Computes average precision from its definition: at each distinct threshold, precision times the recall gained.
fn average_precision(rows: &[(f32, bool)]) -> Option<f64> {
    let positives = rows.iter().filter(|r| r.1).count() as f64;
    let mut thresholds: Vec<f32> = rows.iter().map(|r| r.0).collect();
    thresholds.sort_by(|a, b| b.total_cmp(a));
    thresholds.dedup();
    let (mut area, mut before) = (0.0, 0.0);
    for threshold in thresholds {
        let said: Vec<_> = rows.iter().filter(|r| r.0 >= threshold).collect();
        let hits = said.iter().filter(|r| r.1).count() as f64;
        area += (hits - before) / positives * hits / said.len() as f64;
        before = hits;
    }
    (positives > 0.0).then_some(area)
}

fn roc_auc(rows: &[(f32, bool)]) -> Option<f64> {
    let (mut sum, mut pairs) = (0.0, 0.0);
    for a in rows.iter().filter(|r| r.1) {
        for b in rows.iter().filter(|r| !r.1) {
            sum += if a.0 > b.0 {
                1.0
            } else if a.0 == b.0 {
                0.5
            } else {
                0.0
            };
            pairs += 1.0;
        }
    }
    (pairs > 0.0).then(|| sum / pairs)
}

proptest! {
    #[test]
    fn areas_match_their_definitions(rows in prop::collection::vec((0u8..=12, any::<bool>()), 1..80)) {
        // Few distinct values make ties.
        let rows: Vec<(f32, bool)> = rows.into_iter().map(|(p, a)| (f32::from(p) / 12.0, a)).collect();
        let s = score(&outcomes(&rows)).expect("rows");
        for (ours, theirs) in [(s.pr_auc, average_precision(&rows)), (s.roc_auc, roc_auc(&rows))] {
            prop_assert_eq!(ours.is_some(), theirs.is_some());
            prop_assert!((ours.unwrap_or(0.0) - theirs.unwrap_or(0.0)).abs() < 1e-9);
        }
    }

    #[test]
    fn scores_stay_in_their_ranges(rows in prop::collection::vec((0.0f32..=1.0, any::<bool>()), 1..60)) {
        let s = score(&outcomes(&rows)).expect("rows");
        let shares = [Some(s.brier), Some(s.accuracy), Some(s.calibration_error), s.balanced_accuracy, s.f1, s.precision,
            s.recall, s.pr_auc, s.roc_auc];
        for share in shares.into_iter().flatten() {
            prop_assert!((0.0..=1.0 + 1e-9).contains(&share));
        }
        prop_assert!(s.log_loss >= 0.0 && s.log_loss < 14.0);
        prop_assert!(s.mcc.is_none_or(|mcc| mcc.abs() <= 1.0 + 1e-9));
        prop_assert_eq!(reliability(&outcomes(&rows)).iter().map(|bin| bin.hours).sum::<u64>(), rows.len() as u64);
    }

    #[test]
    fn order_does_not_matter(rows in prop::collection::vec((0u8..=9, any::<bool>()), 2..50)) {
        let rows: Vec<(f32, bool)> = rows.into_iter().map(|(p, a)| (f32::from(p) / 9.0, a)).collect();
        let turned: Vec<_> = rows.iter().rev().copied().collect();
        let (a, b) = (score(&outcomes(&rows)).expect("rows"), score(&outcomes(&turned)).expect("rows"));
        prop_assert_eq!((a.pr_auc, a.roc_auc, a.f1), (b.pr_auc, b.roc_auc, b.f1));
        prop_assert!((a.calibration_error - b.calibration_error).abs() < 1e-9);
    }
}
