//! LightGBM's text format.

use super::node::{Missing, Node};
use super::{TreeError, Trees};

impl Trees {
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
}

fn missing(name: &str) -> TreeError {
    TreeError(format!("a tree has no {name}"))
}

/// Returns the largest 32-bit float that is not above a 64-bit one.
fn floor32(value: f64) -> f32 {
    let near = value as f32;
    if f64::from(near) > value { near.next_down() } else { near }
}
