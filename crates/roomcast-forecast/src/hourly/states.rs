//! The state of an hour, and those of a device's hours in two bits each.

use std::fmt;
use std::ops::Index;

/// The state of one device in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// No motion while the sensor counted as alive.
    Vacant = 0,
    /// At least one motion.
    Occupied = 1,
    /// Unknown: the hour is not over yet, or the sensor or the whole site has been silent for long.
    Unobserved = 2,
    /// Motion of a sensor that has seen some in so many hours in a row that it counts as stuck. The room is unknown.
    Stuck = 3,
}

impl State {
    /// Returns 1 or 0, or `None` when the room is unknown.
    pub fn value(self) -> Option<f32> {
        match self {
            State::Vacant => Some(0.0),
            State::Occupied => Some(1.0),
            State::Unobserved | State::Stuck => None,
        }
    }

    /// Returns whether there was motion in the hour.
    pub fn has_motion(self) -> bool {
        matches!(self, State::Occupied | State::Stuck)
    }
}

/// The states in the order of their numbers.
const ALL: [State; 4] = [State::Vacant, State::Occupied, State::Unobserved, State::Stuck];

/// A list of states, four in a byte.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct States {
    packed: Box<[u8]>,
    len: usize,
}

impl States {
    /// Returns the number of hours.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are no hours.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the state of an hour, if there is one.
    pub fn get(&self, at: usize) -> Option<&'static State> {
        (at < self.len).then(|| state(self.packed[at / 4], at))
    }

    /// Returns the states in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &'static State> + ExactSizeIterator {
        (0..self.len).map(|at| state(self.packed[at / 4], at))
    }
}

/// Returns the state of an hour from the byte that holds it.
fn state(byte: u8, at: usize) -> &'static State {
    &ALL[usize::from(byte >> (2 * (at % 4)) & 3)]
}

impl Index<usize> for States {
    type Output = State;

    fn index(&self, at: usize) -> &State {
        assert!(at < self.len, "hour {at} of {}", self.len);
        state(self.packed[at / 4], at)
    }
}

impl From<&[State]> for States {
    fn from(states: &[State]) -> States {
        let byte = |four: &[State]| four.iter().rev().fold(0, |byte, &state| byte << 2 | state as u8);
        States { packed: states.chunks(4).map(byte).collect(), len: states.len() }
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again() {
        let states: Vec<State> = (0..1000_usize).map(|at| ALL[(at * at / 7) % 4]).collect();
        for len in [0, 1, 2, 3, 4, 5, 8, 999, 1000] {
            let packed = States::from(&states[..len]);
            assert_eq!((packed.len(), packed.is_empty()), (len, len == 0));
            assert!(packed.iter().eq(&states[..len]) && packed.iter().rev().eq(states[..len].iter().rev()));
            assert!((0..len).all(|at| packed[at] == states[at] && packed.get(at) == Some(&states[at])));
            assert_eq!(packed.get(len), None);
        }
    }
}
