//! Boosted trees as flat arrays: parsed from LightGBM's text format, evaluated without LightGBM.
//!
//! Features are 32-bit floats, so a 64-bit threshold can be rounded down to 32 bits without moving
//! any row: `x <= t` and `x <= floor32(t)` agree for every 32-bit `x`. Leaf values stay 64-bit
//! and are added in LightGBM's order, so scores equal those of LightGBM to the last bit.

mod node;
mod parse;
mod plan;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use self::node::Node;
use self::plan::{Plan, Plans, add};

/// Rows that all trees score before the next block, so that the rows stay in the processor's cache.
const BLOCK_ROWS: usize = 1024;

/// The reason why a text cannot be read as trees.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TreeError(pub String);

/// The trees of one booster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trees {
    nodes: Vec<Node>,
    leaves: Vec<f64>,
    /// First node and first leaf of each tree.
    starts: Vec<(u32, u32)>,
    #[serde(skip)]
    plans: Plans,
}

impl Trees {
    /// Joins boosters. The score of the result is the mean of their scores.
    pub fn mean(parts: &[Trees]) -> Trees {
        let share = 1.0 / parts.len() as f64;
        let mut all = Trees::default();
        for part in parts {
            let (nodes, leaves) = (all.nodes.len() as u32, all.leaves.len() as u32);
            all.nodes.extend_from_slice(&part.nodes);
            all.leaves.extend(part.leaves.iter().map(|leaf| leaf * share));
            all.starts.extend(part.starts.iter().map(|start| (start.0 + nodes, start.1 + leaves)));
        }
        all
    }

    /// Returns the number of trees.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Returns whether there is no tree.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Returns the raw score (log-odds) of a row, and 0 without trees.
    pub fn score(&self, row: &[f32]) -> f64 {
        (0..self.len()).map(|tree| self.leaves[self.leaf(tree, |column| row[column])]).sum()
    }

    /// Returns the score of each of `rows` rows of a column-major matrix, equal to [`Trees::score`] to the last bit.
    ///
    /// A walk of a tree row by row costs a mispredicted branch per node. Instead each node in turn removes, for a block
    /// of rows at once, the leaves that a row cannot reach. The leftmost leaf that remains is the row's (C. Lucchese et
    /// al., "QuickScorer", 2015).
    pub fn scores(&self, columns: &[f32], rows: usize) -> Vec<f64> {
        // An empty sum is -0, as in `score`.
        let mut out = vec![-0.0; rows];
        let lay_out = || (0..self.len()).map(|tree| Plan::new(self.nodes(tree), self.leaves(tree))).collect();
        let plans: &Vec<Option<Plan>> = self.plans.0.get_or_init(lay_out);
        for (block, out) in out.chunks_mut(BLOCK_ROWS).enumerate() {
            let first = block * BLOCK_ROWS;
            for (tree, plan) in plans.iter().enumerate() {
                match plan {
                    Some(plan) => add(plan, columns, rows, first, out),
                    None => out.iter_mut().enumerate().for_each(|(at, out)| {
                        *out += self.leaves[self.leaf(tree, |column| columns[column * rows + first + at])];
                    }),
                }
            }
        }
        out
    }

    /// Returns the nodes of one tree.
    fn nodes(&self, tree: usize) -> &[Node] {
        let end = self.starts.get(tree + 1).map_or(self.nodes.len(), |next| next.0 as usize);
        &self.nodes[self.starts[tree].0 as usize..end]
    }

    /// Returns the leaves of one tree.
    fn leaves(&self, tree: usize) -> &[f64] {
        let end = self.starts.get(tree + 1).map_or(self.leaves.len(), |next| next.1 as usize);
        &self.leaves[self.starts[tree].1 as usize..end]
    }

    /// Returns the leaf of a row, as a position among all leaves. `value` returns the row's columns.
    fn leaf(&self, tree: usize, value: impl Fn(usize) -> f32) -> usize {
        let (node0, leaf0) = self.starts[tree];
        let node_end = self.starts.get(tree + 1).map_or(self.nodes.len(), |next| next.0 as usize);
        if node_end == node0 as usize {
            return leaf0 as usize;
        }
        let mut at: i16 = 0;
        while at >= 0 {
            let node = &self.nodes[node0 as usize + at as usize];
            let value = value(node.feature as usize);
            let left = if value.is_nan() { node.nan_left() } else { value <= node.threshold };
            at = if left { node.left } else { node.right };
        }
        leaf0 as usize + !at as usize
    }

    /// Adds to `out` (one value per column) the contribution of each column to the score of a row, measured by the
    /// change of the mean leaf value along the path. Returns the score's constant part. The sum of both is the score.
    pub fn contributions(&self, row: &[f32], out: &mut [f64]) -> f64 {
        (0..self.len()).map(|tree| self.contribute(tree, row, out)).sum()
    }

    fn contribute(&self, tree: usize, row: &[f32], out: &mut [f64]) -> f64 {
        let (nodes, leaves) = (self.nodes(tree), self.leaves(tree));
        // Children come after their parents, so one backward pass gives every node's mean.
        let mut means = vec![0.0; nodes.len()];
        let value = |means: &[f64], child: i16| if child < 0 { leaves[!child as usize] } else { means[child as usize] };
        for (at, node) in nodes.iter().enumerate().rev() {
            means[at] = 0.5 * (value(&means, node.left) + value(&means, node.right));
        }
        let Some(&base) = means.first() else { return leaves[0] };
        let mut at: i16 = 0;
        let mut current = base;
        while at >= 0 {
            let node = &nodes[at as usize];
            let x = row[node.feature as usize];
            let left = if x.is_nan() { node.nan_left() } else { x <= node.threshold };
            at = if left { node.left } else { node.right };
            let next = value(&means, at);
            out[node.feature as usize] += next - current;
            current = next;
        }
        base
    }

    /// Returns the same trees over a wider matrix, in which their column `i` is column `columns[i]`.
    pub(super) fn over(mut self, columns: &[usize]) -> Trees {
        self.plans = Plans::default();
        for node in &mut self.nodes {
            node.feature = columns[node.feature as usize] as u8;
        }
        self
    }

    /// Checks that paths through the arrays stay within them, have no cycles and do not meet, and that every value is
    /// finite.
    ///
    /// # Errors
    /// Returns [`TreeError`], which names the fault.
    pub fn check(&self, width: usize) -> Result<(), TreeError> {
        let fail = |message: String| Err(TreeError(message));
        // The children that an earlier node of the tree already has.
        let mut seen = Vec::new();
        for tree in 0..self.len() {
            let (node0, leaf0) = self.starts[tree];
            let (node1, leaf1) =
                self.starts.get(tree + 1).copied().unwrap_or((self.nodes.len() as u32, self.leaves.len() as u32));
            if node1 < node0
                || leaf1 <= leaf0
                || node1 as usize > self.nodes.len()
                || leaf1 as usize > self.leaves.len()
            {
                return fail(format!("tree {tree} has no place"));
            }
            if leaf1 - leaf0 != node1 - node0 + 1 {
                return fail(format!("tree {tree} has {} nodes and {} leaves", node1 - node0, leaf1 - leaf0));
            }
            seen.clear();
            seen.resize((leaf1 - leaf0) as usize + (node1 - node0) as usize, false);
            for (at, node) in self.nodes[node0 as usize..node1 as usize].iter().enumerate() {
                // There are as many child slots as parts, so no part is left out when none is taken twice.
                let mut is_first = |child: i16| {
                    let place = if child < 0 { (node1 - node0) as usize + !child as usize } else { child as usize };
                    seen.get_mut(place).is_some_and(|seen| !std::mem::replace(seen, true))
                };
                let inside = |child: i16| match usize::try_from(child) {
                    Ok(child) => child > at && child < (node1 - node0) as usize,
                    Err(_) => (!child as u32) < leaf1 - leaf0,
                };
                if !inside(node.left)
                    || !inside(node.right)
                    || !is_first(node.left)
                    || !is_first(node.right)
                    || node.feature as usize >= width
                    || node.threshold.is_nan()
                {
                    return fail(format!("tree {tree}, node {at} is damaged"));
                }
            }
        }
        if self.leaves.iter().any(|leaf| !leaf.is_finite()) {
            return fail("a leaf value is not finite".into());
        }
        Ok(())
    }
}
