//! How far from what the machine can do at all: the CSV reader against `memchr` over the same bytes, and an answer of the
//! server against copying its bytes.
//!
//! Training has `stack`, the server `serve` (a server that does nothing), the store `store` beside `benches/peers`.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead, BufWriter};
use std::path::PathBuf;
use std::time::Instant;

use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::readings::{ReadOptions, read};
use roomcast_simulate::{Format, write};

mod common;

const DEVICES: usize = 300;
const DAYS: u64 = 60;
/// Rounds of which the fastest counts; the two take turns.
const ROUNDS: usize = 7;
/// Bytes of an answer of 7 rooms, and how often it is copied in a round.
const ANSWER: usize = 13_000;
const COPIES: usize = 20_000;

fn seconds(work: impl FnOnce()) -> f64 {
    let watch = Instant::now();
    work();
    watch.elapsed().as_secs_f64()
}

fn main() {
    let place = tempfile::tempdir().expect("a place for temporary files");
    let input = place.path().join("readings.csv");
    let mut file = BufWriter::new(File::create(&input).expect("a new file"));
    write(&common::building(DEVICES, DAYS), Format::Csv, &mut file, None).expect("a disk with room");
    drop(file);
    let bytes = std::fs::read(&input).expect("the file just written");
    let rows = bytes.iter().filter(|&&byte| byte == b'\n').count() - 1;
    let inputs: [PathBuf; 1] = [input];
    let [mut search, mut reader, mut copy] = [f64::INFINITY; 3];
    for _ in 0..ROUNDS {
        search = search.min(seconds(|| {
            let (mut rest, mut lines) = (&bytes[..], 0);
            while rest.skip_until(b'\n').is_ok_and(|skipped| skipped > 0) {
                lines += 1;
            }
            assert_eq!(lines, rows + 1);
        }));
        reader = reader.min(seconds(|| {
            let (_, summary) = read(&inputs, &ReadOptions::default(), &Calendar::default()).expect("sound rows");
            assert_eq!(summary.rows, rows as u64);
        }));
        let answer = &bytes[..ANSWER];
        copy = copy.min(seconds(|| (0..COPIES).for_each(|_| drop(black_box(black_box(answer).to_vec())))));
    }
    println!("{rows} rows of CSV, {} bytes; nanoseconds per row:", bytes.len());
    println!("  memchr for each line's end  {:>8.1}", 1e9 * search / rows as f64);
    println!(
        "  the reader                  {:>8.1}   {:.1} times as long",
        1e9 * reader / rows as f64,
        reader / search
    );
    println!("copying {ANSWER} bytes            {:>8.1} ns", 1e9 * copy / COPIES as f64);
}
