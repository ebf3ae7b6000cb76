//! Trees laid out to score many rows at a time.

use std::sync::OnceLock;

use multiversion::multiversion;

use super::node::Node;

/// Rows that one tree scores together.
const PASS_ROWS: usize = 64;

/// The trees laid out for [`Trees::scores`](super::Trees::scores), with `None` for a tree with too many leaves. The
/// layout costs more than the scores of a day, so it is computed once. It follows from the trees, so it does not count
/// in comparisons.
#[derive(Debug, Clone, Default)]
pub(super) struct Plans(pub(super) OnceLock<Vec<Option<Plan>>>);

impl PartialEq for Plans {
    fn eq(&self, _: &Plans) -> bool {
        true
    }
}

/// A tree of at most 32 leaves.
#[derive(Debug, Clone)]
pub(super) struct Plan {
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
    pub(super) fn new(nodes: &[Node], leaves: &[f64]) -> Option<Plan> {
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
pub(super) fn add(plan: &Plan, columns: &[f32], rows: usize, first: usize, out: &mut [f64]) {
    // The array has as many leaves as a mask has bits, so that no index needs a bounds check.
    let mut leaves = [0.0; u32::BITS as usize];
    leaves[..plan.leaves.len()].copy_from_slice(&plan.leaves);
    let (whole, rest) = out.as_chunks_mut::<PASS_ROWS>();
    let last = first + PASS_ROWS * whole.len();
    for (at, out) in whole.iter_mut().enumerate() {
        add_some(&plan.cuts, &leaves, columns, rows, first + PASS_ROWS * at, &mut [u32::MAX; PASS_ROWS], out);
    }
    add_some(&plan.cuts, &leaves, columns, rows, last, &mut [u32::MAX; PASS_ROWS][..rest.len()], rest);
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
