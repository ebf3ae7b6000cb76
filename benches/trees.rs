//! Roomcast's tree evaluator against LightGBM's own prediction, on the same booster and rows.
//!
//! Before anything is timed, the scores are compared bit by bit. The last lines give the ratios. With `FOREST=DIR` the booster
//! (model.txt) and the rows (rows.f32) are left there for `benches/peers/forest.py`, which gives them to others.

use std::ffi::{CStr, CString, c_int, c_void};
use std::hint::black_box;
use std::ptr;
use std::time::Instant;

use lightgbm3_sys as sys;
use roomcast_forecast::features::WIDTH;
use roomcast_forecast::model::rows::hash;
use roomcast_forecast::model::trees::Trees;

const ROWS: usize = 2_000;
/// What a single forecast asks for at once.
const FEW: usize = 24;
/// Rounds of which the fastest counts; the three take turns.
const ROUNDS: usize = 15;

/// Panics with LightGBM's own words when a call failed.
fn done(code: c_int) {
    // SAFETY: the message is a NUL-terminated buffer of this thread, read at once.
    assert_eq!(code, 0, "{:?}", unsafe { CStr::from_ptr(sys::LGBM_GetLastError()) });
}

/// A booster with the shape of a building's, as LightGBM's handle and as its text form.
fn booster(columns: &[f32], labels: &[f32]) -> (sys::BoosterHandle, String) {
    let settings = c"objective=binary num_threads=1 verbosity=-1 num_leaves=16 learning_rate=0.06 min_data_in_leaf=30 \
                     lambda_l2=100 feature_fraction=0.6 max_bin=63 boost_from_average=false";
    let (mut dataset, mut booster) = (ptr::null_mut(), ptr::null_mut());
    let mut text = vec![0_u8; 1 << 22];
    let mut len = 0;
    // SAFETY: the matrix holds ROWS * WIDTH floats and the labels ROWS; LightGBM copies both. Handles are valid
    // from their creation on; the dataset is never freed because the booster refers to it.
    unsafe {
        let data = columns.as_ptr().cast::<c_void>();
        let (rows, width) = (ROWS as i32, WIDTH as i32);
        let kind = sys::C_API_DTYPE_FLOAT32 as c_int;
        done(sys::LGBM_DatasetCreateFromMat(
            data,
            kind,
            rows,
            width,
            0,
            settings.as_ptr(),
            ptr::null_mut(),
            &mut dataset,
        ));
        done(sys::LGBM_DatasetSetField(dataset, c"label".as_ptr(), labels.as_ptr().cast(), rows, kind));
        done(sys::LGBM_BoosterCreate(dataset, settings.as_ptr(), &mut booster));
        for _ in 0..120 {
            done(sys::LGBM_BoosterUpdateOneIter(booster, &mut 0));
        }
        let room = text.len() as i64;
        done(sys::LGBM_BoosterSaveModelToString(booster, 0, -1, 0, room, &mut len, text.as_mut_ptr().cast()));
    }
    text.truncate((len as usize).saturating_sub(1));
    (booster, String::from_utf8(text).expect("LightGBM writes ASCII"))
}

/// Raw scores by LightGBM of row-major rows.
fn predict(booster: sys::BoosterHandle, rows: &[f32], settings: &CStr, out: &mut [f64]) {
    let mut len = 0;
    // SAFETY: `rows` holds `out.len()` rows of WIDTH floats and one double is written per row.
    done(unsafe {
        sys::LGBM_BoosterPredictForMat(
            booster,
            rows.as_ptr().cast(),
            sys::C_API_DTYPE_FLOAT32 as c_int,
            out.len() as i32,
            WIDTH as i32,
            1,
            sys::C_API_PREDICT_RAW_SCORE as c_int,
            0,
            -1,
            settings.as_ptr(),
            &mut len,
            out.as_mut_ptr(),
        )
    });
    assert_eq!(len as usize, out.len());
}

fn main() {
    let value = |at: usize| {
        let dice = hash(at as u64) % 10_000;
        // A twentieth is not known.
        if dice < 500 { f32::NAN } else { dice as f32 / 5_000.0 - 1.0 }
    };
    let columns: Vec<f32> = (0..ROWS * WIDTH).map(value).collect();
    let rows: Vec<f32> = (0..ROWS * WIDTH).map(|at| columns[at % WIDTH * ROWS + at / WIDTH]).collect();
    let push = |row: usize| (0..6).map(|column| columns[column * ROWS + row]).filter(|x| !x.is_nan()).sum::<f32>();
    let labels: Vec<f32> = (0..ROWS).map(|row| f32::from(push(row) + value(row + 1_000_000).max(-1.0) > 0.5)).collect();
    let (booster, text) = booster(&columns, &labels);
    let trees = Trees::parse(&text, WIDTH).expect("LightGBM's own form");
    let settings = CString::new("num_threads=1").expect("no NUL");
    println!("{} trees of up to 16 leaves", trees.len());
    if let Some(place) = std::env::var_os("FOREST").map(std::path::PathBuf::from) {
        std::fs::write(place.join("model.txt"), &text).expect("a directory with room");
        let bytes: Vec<u8> = rows.iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(place.join("rows.f32"), bytes).expect("a directory with room");
    }

    for count in [ROWS, FEW] {
        let mut theirs = vec![0.0; count];
        predict(booster, &rows[..count * WIDTH], &settings, &mut theirs);
        let few: Vec<f32> = (0..WIDTH).flat_map(|column| &columns[column * ROWS..][..count]).copied().collect();
        let one_by_one = || rows[..count * WIDTH].chunks(WIDTH).map(|row| trees.score(row)).collect::<Vec<f64>>();
        let bits = |scores: &[f64]| scores.iter().map(|score| score.to_bits()).collect::<Vec<u64>>();
        assert_eq!(bits(&theirs), bits(&one_by_one()), "a row's score differs from LightGBM's");
        assert_eq!(bits(&theirs), bits(&trees.scores(&few, count)), "the scores of many rows differ from LightGBM's");

        let mut fastest = [f64::INFINITY; 3];
        let repeat = 20_000 / count;
        for _ in 0..ROUNDS {
            let mut time = |which: usize, work: &mut dyn FnMut()| {
                let watch = Instant::now();
                (0..repeat).for_each(|_| work());
                let nanoseconds = watch.elapsed().as_nanos() as f64 / (repeat * count) as f64;
                fastest[which] = fastest[which].min(nanoseconds);
            };
            time(0, &mut || predict(booster, &rows[..count * WIDTH], &settings, &mut theirs));
            time(1, &mut || drop(black_box(one_by_one())));
            time(2, &mut || drop(black_box(trees.scores(&few, count))));
        }
        let [lightgbm, row, block] = fastest;
        println!("{count:>5} rows at once, equal to the last bit; nanoseconds per row, one thread:");
        println!("      LightGBM's C API   {lightgbm:>8.0}");
        println!("      row by row         {row:>8.0}   {:.2} times as fast", lightgbm / row);
        println!("      all rows together  {block:>8.0}   {:.2} times as fast", lightgbm / block);
    }
}
