//! Models: the parts of a forecast are fitted, weighted and stored here.
//!
//! A forecast's log-odds are a stack: the prior (a kernel rate, in [`crate::features`]), a linear layer
//! over all devices, boosted trees over all devices, and boosted trees of the one device. The weight of each layer
//! is measured on later hours than those it was fitted on. A forecast is the [`mix`] of the stack with others.

pub mod check;
pub mod checksum;
pub mod codec;
pub mod fit;
mod judge;
pub mod lightgbm;
pub mod linear;
pub mod mix;
pub mod rows;
pub mod rule;
mod sample;
mod screening;
pub mod trees;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use self::linear::Linear;
use self::mix::Parts;
use self::mix::expert::Expert;
use self::rule::{OutOfSample, Threshold};
use self::trees::Trees;
use crate::calendar::Timestamp;
use crate::features::{FULL_WIDTH, ForecastRows, Matrix, PRIOR};
use crate::rooms::Level;

/// The layers that all devices of a site share.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SiteModel {
    /// The linear layer.
    pub linear: Linear,
    /// Boosted trees over all devices, on top of the linear layer.
    pub trees: Trees,
    /// Weight of the trees' step, 0 to 1.
    pub tree_weight: f64,
    /// The probabilities forecast for hours after the fit, grouped by the outcome.
    pub out_of_sample: OutOfSample,
}

/// The layer of one device.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DeviceModel {
    /// Boosted trees of this device, on top of the site's score.
    pub trees: Trees,
    /// Weight of these trees' step, 0 to 1.
    pub tree_weight: f64,
    /// Trees of this device beside the stack.
    pub expert: Expert,
    /// True when the site's layers are used for this device.
    pub follows_site: bool,
    /// Scores on hours after those it was fitted on.
    pub check: Option<Check>,
}

/// The out-of-sample scores of one device: mean log loss over the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Number of rows scored.
    pub rows: u32,
    /// Log loss of the prior alone.
    pub prior: f64,
    /// Log loss of the site's score.
    pub building: f64,
    /// Log loss of the device's own score: the whole stack.
    pub device: f64,
}

/// All inputs of a forecast besides the history: the site's layers and each device's layer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Models {
    /// The layers that all devices share.
    pub site: SiteModel,
    /// The layer of each device, by name. A device that is missing here gets the site's forecast.
    pub devices: BTreeMap<String, DeviceModel>,
    /// The models learned only from readings before this instant.
    pub cutoff: Timestamp,
    /// The lowest probability at which an hour is called occupied.
    pub threshold: Threshold,
    /// The models of floors and of buildings, where there are any. Each level is a site of its own.
    pub levels: BTreeMap<Level, Models>,
}

/// The parts of one device's forecast, besides its history.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'a> {
    /// The device's layer.
    pub device: &'a DeviceModel,
    /// The site's layers.
    pub site: &'a SiteModel,
    /// The lowest probability at which an hour is called occupied.
    pub threshold: Threshold,
}

/// The model of a device without a layer of its own.
static NEWCOMER: LazyLock<DeviceModel> = LazyLock::new(|| DeviceModel { follows_site: true, ..Default::default() });

/// The source of a device's forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The mix, with trees of the device's own.
    Model,
    /// The mix, without trees of the device's own.
    Building,
    /// The kernel rate alone.
    Baseline,
}

impl Models {
    /// Returns untrained models of some devices. Their forecast is the decayed rate of the hour of the week, from
    /// readings before `cutoff`.
    pub fn habit(devices: impl Iterator<Item = String>, cutoff: Timestamp) -> Models {
        Models { devices: devices.map(|name| (name, DeviceModel::default())).collect(), cutoff, ..Models::default() }
    }

    /// Returns the models of a level; `None` where there are none.
    pub fn of_level(&self, level: Level) -> Option<&Models> {
        if level == Level::Room { Some(self) } else { self.levels.get(&level) }
    }

    /// Returns the parts of a device's forecast.
    pub fn layers(&self, device: &str) -> Layers<'_> {
        let device = self.devices.get(device).unwrap_or(&NEWCOMER);
        Layers { device, site: &self.site, threshold: self.threshold }
    }
}

impl Layers<'_> {
    /// Returns the log-odds of the stack, which is fitted at this site, of every row of a matrix.
    pub fn scores(&self, matrix: &Matrix) -> Vec<f64> {
        self.device.scores(self.site, matrix)
    }

    /// Returns the parts of every hour of a forecast ([`Table::forecast`](crate::features::Table::forecast)), of a device
    /// whose first reading is `days` old.
    pub fn parts(&self, rows: &ForecastRows, days: f64) -> Vec<Parts> {
        mix::parts(self.device, self.site, rows, days)
    }

    /// Writes to `out` (zeros) the contribution of each column to [`Parts::mixed`] of the hour at position `at` of a
    /// forecast. Returns the part that belongs to no column. The sum of both is the mixed score.
    pub fn contributions(&self, rows: &ForecastRows, at: usize, days: f64, out: &mut [f64; FULL_WIDTH]) -> f64 {
        mix::contributions(self.device, self.site, rows, at, days, out)
    }
}

impl Layers<'static> {
    /// Returns untrained layers. Their forecast is the decayed rate of the hour of the week.
    pub fn habit(threshold: Threshold) -> Self {
        static EMPTY: LazyLock<(DeviceModel, SiteModel)> = LazyLock::new(Default::default);
        Layers { device: &EMPTY.0, site: &EMPTY.1, threshold }
    }
}

impl SiteModel {
    /// Returns the site's log-odds for a full row of the design matrix.
    pub fn score(&self, row: &[f32]) -> f64 {
        self.linear.score(row) + self.tree_weight * self.trees.score(row)
    }

    /// Returns the site's log-odds of every row of a matrix.
    pub fn scores(&self, matrix: &Matrix) -> Vec<f64> {
        let mut scores = self.linear.scores(matrix);
        for (score, step) in scores.iter_mut().zip(self.trees.scores(&matrix.data, matrix.rows)) {
            *score += self.tree_weight * step;
        }
        scores
    }
}

impl DeviceModel {
    /// Returns the stack's log-odds for a full row of the design matrix.
    pub fn score(&self, site: &SiteModel, row: &[f32]) -> f64 {
        if !self.follows_site {
            return f64::from(row[PRIOR]);
        }
        site.score(row) + self.tree_weight * self.trees.score(row)
    }

    /// Returns the stack's log-odds of every row of a matrix.
    pub fn scores(&self, site: &SiteModel, matrix: &Matrix) -> Vec<f64> {
        if !self.follows_site {
            return matrix.column(PRIOR).iter().map(|&prior| f64::from(prior)).collect();
        }
        let mut scores = site.scores(matrix);
        for (score, step) in scores.iter_mut().zip(self.trees.scores(&matrix.data, matrix.rows)) {
            *score += self.tree_weight * step;
        }
        scores
    }

    /// Adds to `out` (one value per column) the contribution of each column to [`DeviceModel::score`]. Returns the part
    /// that belongs to no column. The sum of both is the score.
    fn contributions(&self, site: &SiteModel, row: &[f32], out: &mut [f64]) -> f64 {
        if !self.follows_site {
            out[PRIOR] += f64::from(row[PRIOR]);
            return 0.0;
        }
        let mut base = site.linear.contributions(row, out);
        for (trees, weight) in [(&site.trees, site.tree_weight), (&self.trees, self.tree_weight)] {
            let mut parts = vec![0.0; out.len()];
            base += weight * trees.contributions(row, &mut parts);
            for (sum, part) in out.iter_mut().zip(parts) {
                *sum += weight * part;
            }
        }
        base
    }

    /// Returns the source of this device's forecast.
    pub fn source(&self) -> Source {
        let has_trees = (self.tree_weight > 0.0 && !self.trees.is_empty()) || !self.expert.is_empty();
        match (self.follows_site, has_trees) {
            (_, true) => Source::Model,
            (true, false) => Source::Building,
            (false, false) => Source::Baseline,
        }
    }
}
