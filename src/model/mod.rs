//! Fit, weigh and store what a forecast is made of.
//!
//! A forecast's log-odds are a stack: the prior (a kernel rate, in [`crate::features`]), a linear layer
//! over all devices, boosted trees over all devices, boosted trees of the one device. How far each layer
//! is trusted is measured on later hours than it was fitted on.

pub mod fit;
pub mod judge;
pub mod lightgbm;
pub mod linear;
pub mod registry;
pub mod rows;
pub mod rule;
mod sample;
mod screen;
pub mod trees;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use self::linear::Linear;
use self::rule::{OutOfSample, Threshold};
use self::trees::Trees;
use crate::calendar::Instant;
use crate::features::{Matrix, WIDTH};

/// What all devices of a site share.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SiteModel {
    /// The linear layer.
    pub linear: Linear,
    /// Boosted trees over all devices, on top of the linear layer.
    pub trees: Trees,
    /// Share of the trees' step that is taken, 0 to 1.
    pub tree_weight: f64,
    /// Probabilities forecast for hours after the fit, by what happened.
    pub out_of_sample: OutOfSample,
    /// Nothing at or after this instant was learned from; 0 for layers that learned nothing.
    pub cutoff: Instant,
}

/// What one device adds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DeviceModel {
    /// Boosted trees of this device, on top of the site's score.
    pub trees: Trees,
    /// Share of these trees' step that is taken, 0 to 1.
    pub tree_weight: f64,
    /// Whether the site's layers are used for this device at all.
    pub follows_site: bool,
    /// Scores on hours after those it was fitted on.
    pub check: Option<Check>,
    /// Nothing at or after this instant was learned from; 0 for a layer that learned nothing.
    pub cutoff: Instant,
}

/// Out-of-sample scores of one device: mean log loss over the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Rows scored.
    pub rows: u32,
    /// Of the prior alone.
    pub prior: f64,
    /// Of the site's score.
    pub building: f64,
    /// Of the device's own score.
    pub device: f64,
}

/// Everything a forecast needs beside the history: the site's layers and each device's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Models {
    /// What all devices share.
    pub site: SiteModel,
    /// What each device adds, by name. A device that is missing here gets the site's forecast.
    pub devices: BTreeMap<String, DeviceModel>,
    /// Nothing at or after this instant was learned from.
    pub cutoff: Instant,
    /// The probability from which an hour is called occupied.
    pub threshold: Threshold,
}

/// What one device's forecast is made of, beside its history.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'a> {
    /// What the device adds.
    pub device: &'a DeviceModel,
    /// The site's layers.
    pub site: &'a SiteModel,
    /// The probability from which an hour is called occupied.
    pub threshold: Threshold,
}

/// A device without a layer of its own.
static NEWCOMER: LazyLock<DeviceModel> = LazyLock::new(|| DeviceModel { follows_site: true, ..Default::default() });

/// What a device's forecast comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The whole stack with trees of the device's own.
    Model,
    /// The layers that all devices share.
    Building,
    /// The kernel rate alone.
    Baseline,
}

impl Models {
    /// Models of some devices that have learned nothing: the decayed rate of the hour of the week, from readings before
    /// `cutoff`.
    pub fn habit(devices: impl Iterator<Item = String>, cutoff: Instant) -> Models {
        Models { devices: devices.map(|name| (name, DeviceModel::default())).collect(), cutoff, ..Models::default() }
    }

    /// What the forecast of a device is made of.
    pub fn layers(&self, device: &str) -> Layers<'_> {
        let device = self.devices.get(device).unwrap_or(&NEWCOMER);
        Layers { device, site: &self.site, threshold: self.threshold }
    }
}

impl Layers<'_> {
    /// Returns the device's log-odds of every row of a matrix.
    pub fn scores(&self, matrix: &Matrix) -> Vec<f64> {
        self.device.scores(self.site, matrix)
    }
}

impl Layers<'static> {
    /// Returns layers that have learned nothing: the forecast is the decayed rate of the hour of the week.
    pub fn habit(threshold: Threshold) -> Self {
        static EMPTY: LazyLock<(DeviceModel, SiteModel)> = LazyLock::new(Default::default);
        Layers { device: &EMPTY.0, site: &EMPTY.1, threshold }
    }
}

impl SiteModel {
    /// The site's log-odds for a full row of the design matrix.
    pub fn score(&self, row: &[f32]) -> f64 {
        self.linear.score(row) + self.tree_weight * self.trees.score(row)
    }

    /// The site's log-odds of every row of a matrix.
    pub fn scores(&self, matrix: &Matrix) -> Vec<f64> {
        let mut scores = self.linear.scores(matrix);
        for (score, step) in scores.iter_mut().zip(self.trees.scores(&matrix.data, matrix.rows)) {
            *score += self.tree_weight * step;
        }
        scores
    }
}

impl DeviceModel {
    /// The device's log-odds for a full row of the design matrix.
    pub fn score(&self, site: &SiteModel, row: &[f32]) -> f64 {
        if !self.follows_site {
            return f64::from(row[0]);
        }
        site.score(row) + self.tree_weight * self.trees.score(row)
    }

    /// The device's log-odds of every row of a matrix.
    pub fn scores(&self, site: &SiteModel, matrix: &Matrix) -> Vec<f64> {
        if !self.follows_site {
            return matrix.column(0).iter().map(|&prior| f64::from(prior)).collect();
        }
        let mut scores = site.scores(matrix);
        for (score, step) in scores.iter_mut().zip(self.trees.scores(&matrix.data, matrix.rows)) {
            *score += self.tree_weight * step;
        }
        scores
    }

    /// Adds to `out` (one value per column) what each column contributes to [`DeviceModel::score`], and returns
    /// the part that belongs to none. Both together are the score.
    pub fn contributions(&self, site: &SiteModel, row: &[f32], out: &mut [f64; WIDTH]) -> f64 {
        if !self.follows_site {
            out[0] += f64::from(row[0]);
            return 0.0;
        }
        let mut base = site.linear.contributions(row, out);
        for (trees, weight) in [(&site.trees, site.tree_weight), (&self.trees, self.tree_weight)] {
            let mut parts = [0.0; WIDTH];
            base += weight * trees.contributions(row, &mut parts);
            for (sum, part) in out.iter_mut().zip(parts) {
                *sum += weight * part;
            }
        }
        base
    }

    /// What this device's forecast comes from.
    pub fn source(&self) -> Source {
        match (self.follows_site, self.tree_weight > 0.0 && !self.trees.is_empty()) {
            (false, _) => Source::Baseline,
            (true, true) => Source::Model,
            (true, false) => Source::Building,
        }
    }
}
