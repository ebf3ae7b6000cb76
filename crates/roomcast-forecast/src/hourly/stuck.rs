//! Sensors that are stuck on: motion in every hour, for days.

use super::State;
use crate::readings::habit::Runs;

/// Marks the hours of a device in which it counts as stuck ([`Runs::motion`]). Each mark depends only on hours up to its own.
pub(super) fn mark(states: &mut [State]) {
    let mut runs = Runs::default();
    for state in states {
        if *state == State::Occupied {
            if runs.motion() {
                *state = State::Stuck;
            }
        } else {
            runs.still(*state == State::Vacant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the number of stuck hours of runs of motion, each followed by one hour without.
    fn stuck(runs: &[usize]) -> Vec<usize> {
        let run = |&hours: &usize| [vec![State::Occupied; hours], vec![State::Vacant]].concat();
        let mut states: Vec<State> = runs.iter().flat_map(run).collect();
        mark(&mut states);
        let runs = states.split_inclusive(|state| *state == State::Vacant);
        runs.map(|run| run.iter().filter(|state| **state == State::Stuck).count()).collect()
    }

    #[test]
    fn only_what_exceeds_two_days_and_the_habit_is_stuck() {
        assert_eq!(stuck(&[5, 48, 49, 300]), [0, 0, 1, 204]);
        // A room of a hospital, now and then still for an hour.
        assert_eq!(stuck(&[3, 100, 100, 190, 210]), [0, 52, 52, 0, 10]);
        // Nothing is known of a device that has been on from its first hour.
        assert_eq!(stuck(&[400]), [0]);
    }

    #[test]
    fn later_hours_change_no_mark() {
        let whole =
            [vec![State::Vacant], vec![State::Occupied; 90], vec![State::Vacant], vec![State::Occupied; 90]].concat();
        let mut marked = whole.clone();
        mark(&mut marked);
        for until in 0..whole.len() {
            let mut begin = whole[..until].to_vec();
            mark(&mut begin);
            assert_eq!(begin, marked[..until]);
        }
    }
}
