//! A small safe wrapper over LightGBM's C API, which fits a binary booster and returns its trees.
//!
//! The published safe crate passes no dataset parameters, weights or initial scores, and its handles cannot cross
//! threads. Here a fit is one function, and every handle is made and freed inside it. Nothing of LightGBM outlives the
//! call, so fits may run on any number of threads.

use std::borrow::Cow;
use std::ffi::{CStr, CString, NulError, c_int, c_void};
use std::ptr;

use lightgbm3_sys as sys;

use super::trees::{TreeError, Trees};

/// The LightGBM that lightgbm3-sys compiles, as its `lightgbm/VERSION.txt` says.
pub const VERSION: &str = "4.7.0";

/// Reason why a booster could not be fitted.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// LightGBM refused a call.
    #[error("LightGBM {call}: {message}")]
    LightGbm {
        /// The C function.
        call: &'static str,
        /// LightGBM's message.
        message: String,
    },
    /// The data would make LightGBM read out of bounds, or cannot be learned from.
    #[error("cannot fit: {0}")]
    Data(String),
    /// A parameter contains a NUL byte.
    #[error("a parameter contains a NUL byte")]
    Parameter(#[from] NulError),
    /// The text form of the fitted model cannot be read.
    #[error("cannot read the fitted model: {0}")]
    Trees(#[from] TreeError),
}

/// Rows for a fit. All slices have one entry per row.
#[derive(Debug, Clone, Copy)]
pub struct Samples<'a> {
    /// Column-major features, `width * labels.len()` values; NaN is missing.
    pub features: &'a [f32],
    /// Number of columns.
    pub width: usize,
    /// 1 for occupied, 0 for vacant.
    pub labels: &'a [f32],
    /// Non-negative weights.
    pub weights: &'a [f32],
    /// Log-odds to start from.
    pub start: &'a [f64],
}

/// Settings of a fit.
#[derive(Debug, Clone)]
pub struct Parameters {
    /// Largest number of trees.
    pub trees: usize,
    /// Largest number of leaves of a tree.
    pub leaves: usize,
    /// Shrinkage of each tree.
    pub learning_rate: f64,
    /// Fewest rows in a leaf.
    pub min_rows: usize,
    /// L2 penalty on leaf values.
    pub l2: f64,
    /// Share of the columns that each tree may use.
    pub column_share: f64,
    /// Largest number of bins of a column.
    pub bins: usize,
    /// Per column, 1 where the score may only rise with it, else 0; empty for no constraint.
    pub monotone: Vec<i8>,
    /// The columns that trees may use; empty for all.
    pub columns: Vec<usize>,
    /// Seed of the choice of columns.
    pub seed: usize,
    /// Number of trees without a fall of the loss on the held-out rows after which the fit stops.
    pub patience: usize,
}

/// Fits the trees of a binary booster with log loss. With `held_out` rows it stops early and keeps the trees up to the
/// best one.
///
/// LightGBM does not get the columns that trees may not use: each would cost as much time as one that is used.
///
/// One thread is used; equal inputs give equal trees, bit for bit.
///
/// # Errors
/// [`FitError::Data`] for lengths that do not match, labels other than 0 and 1, a single class,
/// weights or starts that are not finite, infinite features; [`FitError::LightGbm`] otherwise.
pub fn fit(train: Samples, held_out: Option<Samples>, parameters: &Parameters) -> Result<Trees, FitError> {
    let columns: Vec<usize> = match &parameters.columns[..] {
        [] => (0..train.width).collect(),
        chosen => chosen.to_vec(),
    };
    check(&train, &columns, true)?;
    let settings = settings(parameters, &columns)?;
    let dataset = Dataset::new(&train, &columns, &settings, None)?;
    let booster = Booster::new(&dataset, &settings)?;
    let mut losses = Vec::new();
    let mut best = parameters.trees;
    let valid = match &held_out {
        Some(samples) => {
            check(samples, &columns, false)?;
            if samples.width != train.width {
                return Err(FitError::Data("held-out rows have other columns".into()));
            }
            let valid = Dataset::new(samples, &columns, &settings, Some(&dataset))?;
            booster.add_valid(&valid)?;
            losses.push(start_loss(samples));
            best = 0;
            Some(valid)
        }
        None => None,
    };
    for tree in 1..=parameters.trees {
        let finished = booster.update()?;
        if valid.is_some() && !finished {
            losses.push(booster.valid_loss()?);
            if losses[tree] < losses[best] {
                best = tree;
            } else if tree - best >= parameters.patience {
                break;
            }
        }
        if finished {
            break;
        }
    }
    let trees = match best {
        0 => Trees::default(),
        best => Trees::parse(&booster.text(best)?, columns.len())?.over(&columns),
    };
    // The booster goes before the datasets because it points into them.
    drop(booster);
    drop(valid);
    Ok(trees)
}

fn check(samples: &Samples, columns: &[usize], both_classes: bool) -> Result<(), FitError> {
    let rows = samples.labels.len();
    let fail = |message: &str| Err(FitError::Data(message.into()));
    if rows == 0 || rows > i32::MAX as usize || samples.width == 0 || samples.width > i32::MAX as usize {
        return fail("no rows or no columns");
    }
    if samples.features.len() != rows * samples.width || samples.weights.len() != rows || samples.start.len() != rows {
        return fail("features, labels, weights and starts differ in length");
    }
    if columns.iter().any(|&column| column >= samples.width) {
        return fail("a column that trees may use does not exist");
    }
    if samples.labels.iter().any(|&label| label != 0.0 && label != 1.0) {
        return fail("a label is neither 0 nor 1");
    }
    if both_classes && samples.labels.iter().all(|&label| label == samples.labels[0]) {
        return fail("all labels are the same");
    }
    // Checking all values is faster than stopping at the first.
    if samples.features.iter().fold(false, |found, value| found | value.is_infinite()) {
        return fail("a feature is infinite");
    }
    if samples.weights.iter().any(|weight| !weight.is_finite() || *weight < 0.0) {
        return fail("a weight is negative or not finite");
    }
    if samples.start.iter().any(|score| !score.is_finite()) {
        return fail("a starting score is not finite");
    }
    Ok(())
}

/// Returns the settings as LightGBM reads them. Every column is dense and few are alike: looking for sparse or
/// exclusive ones, and timing both histogram layouts, costs more than it finds.
fn settings(p: &Parameters, columns: &[usize]) -> Result<CString, FitError> {
    let mut text = format!(
        "objective=binary metric=binary_logloss boost_from_average=false num_threads=1 verbosity=-1 deterministic=true \
         seed={} num_iterations={} num_leaves={} learning_rate={} \
         min_data_in_leaf={} min_sum_hessian_in_leaf=1e-3 lambda_l2={} feature_fraction={} max_bin={} \
         feature_pre_filter=false force_row_wise=true enable_bundle=false is_enable_sparse=false",
        p.seed, p.trees, p.leaves, p.learning_rate, p.min_rows, p.l2, p.column_share, p.bins
    );
    if !p.monotone.is_empty() {
        let signs: Vec<String> =
            columns.iter().filter_map(|&column| p.monotone.get(column)).map(i8::to_string).collect();
        text.push_str(&format!(" monotone_constraints={}", signs.join(",")));
    }
    Ok(CString::new(text)?)
}

/// Returns the weighted mean log loss of the starting scores alone.
fn start_loss(samples: &Samples) -> f64 {
    let (mut loss, mut total) = (0.0, 0.0);
    for ((&label, &weight), &score) in samples.labels.iter().zip(samples.weights).zip(samples.start) {
        // As LightGBM computes it: the two are compared, and the other form differs in the last bit.
        let signed = if label > 0.5 { -score } else { score };
        loss += f64::from(weight) * (signed.max(0.0) + (-signed.abs()).exp().ln_1p());
        total += f64::from(weight);
    }
    if total > 0.0 { loss / total } else { 0.0 }
}

/// Converts a C return code into a result.
fn done(code: c_int, call: &'static str) -> Result<(), FitError> {
    if code == 0 {
        return Ok(());
    }
    // SAFETY: LGBM_GetLastError returns a NUL-terminated thread-local buffer that lives until the next failing call on
    // this thread; it is copied here at once.
    let message = unsafe { CStr::from_ptr(sys::LGBM_GetLastError()) }.to_string_lossy().into_owned();
    Err(FitError::LightGbm { call, message })
}

struct Dataset(sys::DatasetHandle);

impl Dataset {
    fn new(
        samples: &Samples,
        columns: &[usize],
        settings: &CStr,
        reference: Option<&Dataset>,
    ) -> Result<Dataset, FitError> {
        let rows = samples.labels.len();
        let features: Cow<[f32]> = match columns.len() == samples.width {
            true => samples.features.into(),
            false => columns
                .iter()
                .map(|column| &samples.features[column * rows..][..rows])
                .collect::<Vec<_>>()
                .concat()
                .into(),
        };
        let mut handle: sys::DatasetHandle = ptr::null_mut();
        // SAFETY: `features` holds exactly columns * rows floats (`check` compares the lengths). LightGBM copies them
        // into bins before it returns. `handle` is a valid place for the result. The reference outlives the call.
        let code = unsafe {
            sys::LGBM_DatasetCreateFromMat(
                features.as_ptr().cast::<c_void>(),
                sys::C_API_DTYPE_FLOAT32 as c_int,
                rows as i32,
                columns.len() as i32,
                0,
                settings.as_ptr(),
                reference.map_or(ptr::null_mut(), |d| d.0),
                &mut handle,
            )
        };
        done(code, "DatasetCreateFromMat")?;
        let dataset = Dataset(handle);
        dataset.set(c"label", samples.labels.as_ptr().cast(), samples.labels.len(), sys::C_API_DTYPE_FLOAT32)?;
        dataset.set(c"weight", samples.weights.as_ptr().cast(), samples.weights.len(), sys::C_API_DTYPE_FLOAT32)?;
        dataset.set(c"init_score", samples.start.as_ptr().cast(), samples.start.len(), sys::C_API_DTYPE_FLOAT64)?;
        Ok(dataset)
    }

    fn set(&self, field: &CStr, data: *const c_void, len: usize, kind: u32) -> Result<(), FitError> {
        // SAFETY: the callers pass a slice's pointer and length and the type code of its elements;
        // LightGBM copies the values before it returns.
        done(
            unsafe { sys::LGBM_DatasetSetField(self.0, field.as_ptr(), data, len as c_int, kind as c_int) },
            "DatasetSetField",
        )
    }
}

impl Drop for Dataset {
    fn drop(&mut self) {
        // SAFETY: the handle came from DatasetCreateFromMat and is freed once. The code is ignored:
        // freeing cannot fail on a valid handle and there is nothing left to do if it did.
        unsafe { sys::LGBM_DatasetFree(self.0) };
    }
}

struct Booster(sys::BoosterHandle);

impl Booster {
    fn new(dataset: &Dataset, settings: &CStr) -> Result<Booster, FitError> {
        let mut handle: sys::BoosterHandle = ptr::null_mut();
        // SAFETY: the dataset is alive and `fit` drops the booster before it.
        done(unsafe { sys::LGBM_BoosterCreate(dataset.0, settings.as_ptr(), &mut handle) }, "BoosterCreate")?;
        Ok(Booster(handle))
    }

    fn add_valid(&self, valid: &Dataset) -> Result<(), FitError> {
        // SAFETY: both handles are alive; `fit` drops the booster before the dataset.
        done(unsafe { sys::LGBM_BoosterAddValidData(self.0, valid.0) }, "BoosterAddValidData")
    }

    /// Adds one tree; true when no split is left to make.
    fn update(&self) -> Result<bool, FitError> {
        let mut finished = 0;
        // SAFETY: the handle is alive and used by this thread only.
        done(unsafe { sys::LGBM_BoosterUpdateOneIter(self.0, &mut finished) }, "BoosterUpdateOneIter")?;
        Ok(finished == 1)
    }

    fn valid_loss(&self) -> Result<f64, FitError> {
        let (mut len, mut out) = (0, [f64::NAN; 1]);
        // SAFETY: exactly one metric is set (`metric=binary_logloss`), so one double is written.
        done(unsafe { sys::LGBM_BoosterGetEval(self.0, 1, &mut len, out.as_mut_ptr()) }, "BoosterGetEval")?;
        Ok(out[0])
    }

    /// Returns the text form of the model's first `trees` trees.
    fn text(&self, trees: usize) -> Result<String, FitError> {
        let mut buffer = vec![0_u8; 1 << 18];
        loop {
            let mut len = 0;
            // SAFETY: LightGBM writes at most `buffer.len()` bytes and reports how many it needs.
            let code = unsafe {
                sys::LGBM_BoosterSaveModelToString(
                    self.0,
                    0,
                    trees as c_int,
                    sys::C_API_FEATURE_IMPORTANCE_SPLIT as c_int,
                    buffer.len() as i64,
                    &mut len,
                    buffer.as_mut_ptr().cast(),
                )
            };
            done(code, "BoosterSaveModelToString")?;
            let len = len as usize;
            if len <= buffer.len() {
                buffer.truncate(len.saturating_sub(1));
                return String::from_utf8(buffer).map_err(|_| FitError::Data("the model's text is not UTF-8".into()));
            }
            buffer.resize(len, 0);
        }
    }
}

impl Drop for Booster {
    fn drop(&mut self) {
        // SAFETY: the handle came from BoosterCreate and is freed once.
        unsafe { sys::LGBM_BoosterFree(self.0) };
    }
}
