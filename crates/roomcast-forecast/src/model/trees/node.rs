//! A decision of a tree.

use serde::{Deserialize, Serialize};

/// One decision: rows with `x <= threshold` go left.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Node {
    pub(super) threshold: f32,
    /// The next step to the left: a node of the same tree, or `!leaf`.
    pub(super) left: i16,
    pub(super) right: i16,
    pub(super) feature: u8,
    /// The treatment of NaN: compare as 0, go left, or go right.
    pub(super) missing: Missing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Missing {
    Zero,
    Left,
    Right,
}

impl Node {
    /// Returns whether NaN goes left.
    pub(super) fn nan_left(&self) -> bool {
        match self.missing {
            Missing::Zero => 0.0 <= self.threshold,
            missing => missing == Missing::Left,
        }
    }
}
