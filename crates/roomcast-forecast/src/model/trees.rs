//! Boosted trees as flat arrays: parsed from LightGBM's text format, evaluated without LightGBM.
//!
//! Features are 32-bit floats, so a 64-bit threshold can be rounded down to 32 bits without moving
//! any row: `x <= t` and `x <= floor32(t)` agree for every 32-bit `x`. Leaf values stay 64-bit
//! and are added in LightGBM's order, so scores equal those of LightGBM to the last bit.

use std::sync::OnceLock;

use multiversion::multiversion;
use serde::{Deserialize, Serialize};

/// The reason why a text cannot be read as trees.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TreeError(pub String);

/// One decision: rows with `x <= threshold` go left.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Node {
    threshold: f32,
    /// The next step to the left: a node of the same tree, or `!leaf`.
    left: i16,
    right: i16,
    feature: u8,
    /// The treatment of NaN: compare as 0, go left, or go right.
    missing: Missing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Missing {
    Zero,
    Left,
    Right,
}

impl Node {
    /// Returns whether NaN goes left.
    fn nan_left(&self) -> bool {
        match self.missing {
            Missing::Zero => 0.0 <= self.threshold,
            missing => missing == Missing::Left,
        }
    }
}

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
        for (block, out) in out.chunks_mut(BLOCK).enumerate() {
            let first = block * BLOCK;
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
    /// score.
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

    /// Reads the text format that LightGBM saves.
    ///
    /// # Errors
    /// Returns [`TreeError`] when the text is not in this format, has categorical or linear trees, or uses columns
    /// beyond `width`.
    pub fn parse(text: &str, width: usize) -> Result<Trees, TreeError> {
        let mut trees = Trees::default();
        for block in text.split("\nTree=").skip(1) {
            trees.push(block, width)?;
        }
        trees.check(width)?;
        Ok(trees)
    }

    /// Returns the same trees over a wider matrix, in which their column `i` is column `columns[i]`.
    pub(super) fn over(mut self, columns: &[usize]) -> Trees {
        self.plans = Plans::default();
        for node in &mut self.nodes {
            node.feature = columns[node.feature as usize] as u8;
        }
        self
    }

    fn push(&mut self, block: &str, width: usize) -> Result<(), TreeError> {
        // The order is that in which LightGBM writes the lines.
        let mut lines = block.lines();
        let mut field =
            |name: &str| lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).ok_or_else(|| missing(name));
        fn list<T: std::str::FromStr>(name: &str, text: &str) -> Result<Vec<T>, TreeError> {
            text.split_ascii_whitespace()
                .map(|v| v.parse().map_err(|_| TreeError(format!("{name}: bad value {v}"))))
                .collect()
        }
        let start = (self.nodes.len() as u32, self.leaves.len() as u32);
        if field("num_leaves")? != "1" {
            let features: Vec<usize> = list("split_feature", field("split_feature")?)?;
            let thresholds: Vec<f64> = list("threshold", field("threshold")?)?;
            let decisions: Vec<u8> = list("decision_type", field("decision_type")?)?;
            let lefts: Vec<i16> = list("left_child", field("left_child")?)?;
            let rights: Vec<i16> = list("right_child", field("right_child")?)?;
            let n = features.len();
            if [thresholds.len(), decisions.len(), lefts.len(), rights.len()].iter().any(|&len| len != n) {
                return Err(TreeError("a tree's lists differ in length".into()));
            }
            for at in 0..n {
                if features[at] >= width.min(256) {
                    return Err(TreeError(format!("column {} is beyond the {width} columns", features[at])));
                }
                // Bit 0 marks a categorical split, bit 1 "missing goes left", bits 2 and 3 the kind of missing value.
                let missing = match (decisions[at] & 1, decisions[at] >> 2) {
                    (0, 0) => Missing::Zero,
                    (0, 2) if decisions[at] & 2 != 0 => Missing::Left,
                    (0, 2) => Missing::Right,
                    _ => return Err(TreeError(format!("decision type {} is not supported", decisions[at]))),
                };
                self.nodes.push(Node {
                    threshold: floor32(thresholds[at]),
                    left: lefts[at],
                    right: rights[at],
                    feature: features[at] as u8,
                    missing,
                });
            }
        }
        self.leaves.extend(list::<f64>("leaf_value", field("leaf_value")?)?);
        self.starts.push(start);
        Ok(())
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

/// Rows that all trees score before the next block, so that the rows stay in the processor's cache.
const BLOCK: usize = 1024;
/// Rows that one tree scores together.
const TOGETHER: usize = 64;

/// The trees laid out for [`Trees::scores`], with `None` for a tree with too many leaves. The layout costs more than
/// the scores of a day, so it is computed once. It follows from the trees, so it does not count in comparisons.
#[derive(Debug, Clone, Default)]
struct Plans(OnceLock<Vec<Option<Plan>>>);

impl PartialEq for Plans {
    fn eq(&self, _: &Plans) -> bool {
        true
    }
}

/// A tree of at most 32 leaves.
#[derive(Debug, Clone)]
struct Plan {
    cuts: Vec<Cut>,
    /// Leaf values from left to right.
    leaves: Vec<f64>,
}

/// A node that removes the leaves to its left for rows that go right.
#[derive(Debug, Clone, Copy)]
struct Cut {
    threshold: f32,
    feature: u8,
    nan_left: bool,
    /// The leaves that rows going right may still reach. Bit 0 is the leftmost leaf of the tree.
    right: u32,
}

impl Plan {
    /// Lays out a tree. Returns `None` if it has too many leaves.
    fn new(nodes: &[Node], leaves: &[f64]) -> Option<Plan> {
        if leaves.len() > u32::BITS as usize {
            return None;
        }
        // Children come after their parents, so one backward pass counts the leaves below each node and one
        // forward pass finds the first of them.
        let mut below = vec![0_u32; nodes.len()];
        let count = |below: &[u32], child: i16| if child < 0 { 1 } else { below[child as usize] };
        for (at, node) in nodes.iter().enumerate().rev() {
            below[at] = count(&below, node.left) + count(&below, node.right);
        }
        let mut first = vec![0_u32; nodes.len()];
        let mut plan = Plan { cuts: Vec::with_capacity(nodes.len()), leaves: leaves.to_vec() };
        for (at, node) in nodes.iter().enumerate() {
            let (from, left) = (first[at], count(&below, node.left));
            for (child, from) in [(node.left, from), (node.right, from + left)] {
                match usize::try_from(child) {
                    Ok(child) => first[child] = from,
                    Err(_) => plan.leaves[from as usize] = leaves[!child as usize],
                }
            }
            let right = !(((1_u32 << left) - 1) << from);
            plan.cuts.push(Cut { threshold: node.threshold, feature: node.feature, nan_left: node.nan_left(), right });
        }
        Some(plan)
    }
}

/// Adds to `out` a tree's scores of as many rows as `out` holds, from row `first` of a column-major matrix of `rows`
/// rows.
///
/// The function is compiled twice, so that capable processors take eight rows at a time.
#[multiversion(targets("x86_64+avx2+bmi1"))]
fn add(plan: &Plan, columns: &[f32], rows: usize, first: usize, out: &mut [f64]) {
    // The array has as many leaves as a mask has bits, so that no index needs a bounds check.
    let mut leaves = [0.0; u32::BITS as usize];
    leaves[..plan.leaves.len()].copy_from_slice(&plan.leaves);
    let (whole, rest) = out.as_chunks_mut::<TOGETHER>();
    let last = first + TOGETHER * whole.len();
    for (at, out) in whole.iter_mut().enumerate() {
        add_some(&plan.cuts, &leaves, columns, rows, first + TOGETHER * at, &mut [u32::MAX; TOGETHER], out);
    }
    add_some(&plan.cuts, &leaves, columns, rows, last, &mut [u32::MAX; TOGETHER][..rest.len()], rest);
}

/// Adds the scores of the rows of one block. `reachable` holds the leaves that each row may still reach. These stay in
/// registers where the compiler knows the number of rows.
#[inline(always)]
fn add_some(
    cuts: &[Cut],
    leaves: &[f64; u32::BITS as usize],
    columns: &[f32],
    rows: usize,
    first: usize,
    reachable: &mut [u32],
    out: &mut [f64],
) {
    for &Cut { threshold, feature, nan_left, right } in cuts {
        let values = &columns[feature as usize * rows + first..][..reachable.len()];
        let rows = reachable.iter_mut().zip(values);
        if nan_left {
            rows.for_each(|(leaves, &x)| *leaves &= if x > threshold { right } else { u32::MAX });
        } else {
            rows.for_each(|(leaves, &x)| *leaves &= if x <= threshold { u32::MAX } else { right });
        }
    }
    for (out, reachable) in out.iter_mut().zip(reachable) {
        *out += leaves[reachable.trailing_zeros() as usize % leaves.len()];
    }
}

fn missing(name: &str) -> TreeError {
    TreeError(format!("a tree has no {name}"))
}

/// Returns the largest 32-bit float that is not above a 64-bit one.
fn floor32(value: f64) -> f32 {
    let near = value as f32;
    if f64::from(near) > value { near.next_down() } else { near }
}

#[cfg(test)]
mod tests;
