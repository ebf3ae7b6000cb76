use std::io::Cursor;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// Returns a few bytes at a time, as a pipe may.
struct Drip<R>(R, usize);

impl<R: Read> Read for Drip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.1.min(buffer.len());
        self.0.read(&mut buffer[..n])
    }
}

/// Reads rows of this many fields as (line, fields, text).
fn read(text: impl Read, width: usize, limit: usize) -> Result<Vec<(u64, Vec<String>, String)>, ReadError> {
    let mut input = Records::with_limit(text, b',', limit);
    let mut rows = Vec::new();
    while input.next("a", |record| record.len() == width)? {
        let fields = input.record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
        rows.push((input.line(), fields, input.text()));
    }
    Ok(rows)
}

fn lines(text: &str) -> Vec<(u64, usize)> {
    read(text.as_bytes(), 3, MAX_ROW_BYTES).unwrap().iter().map(|(line, fields, _)| (*line, fields.len())).collect()
}

#[test]
fn a_comment_of_several_lines_is_one_row() {
    assert_eq!(lines("a,b,c\n\n1,2,\"x\n\ny, z\"\n3,4,5\n"), [(1, 3), (3, 3), (6, 3)]);
    assert_eq!(lines("1,2,\"x\ny\"\n1,2,\"x\ny\""), [(1, 3), (3, 3)]);
}

#[test]
fn an_unclosed_quote_ends_with_its_line() {
    assert_eq!(lines("1,2,3\n1,\"2,3\n1,2,3\n\n1,2,3\n"), [(1, 3), (2, 2), (3, 3), (5, 3)]);
    // The last cell ends in the line end, by which its reader knows.
    let rows = read(&b"1,2,\"3\n1,2,3"[..], 3, MAX_ROW_BYTES).unwrap();
    assert_eq!((rows[0].1[2].as_str(), rows[0].2.as_str(), rows.len()), ("3\n", "1,2,\"3", 2));
    // The comment behind it is still one row.
    assert_eq!(lines("1,\"2,3\n1,2,3\n1,2,\"x\ny\"\n1,2,3\n"), [(1, 2), (2, 3), (3, 3), (5, 3)]);
    assert_eq!(lines("\"1\",\"2,\"3\"\n\"1\",\"2\",\"3\"\n\"1\",\"2\",\"3\""), [(1, 2), (2, 3), (3, 3)]);
}

#[test]
fn a_row_with_an_unclosed_quote_is_kept_when_the_next_line_begins_with_a_stray_quote() {
    let rows = read(&b"1,2,\"x\n\"y,z\n1,2,3\n"[..], 3, MAX_ROW_BYTES).unwrap();
    let begin: Vec<_> = rows.iter().map(|(line, fields, _)| (*line, fields.len(), fields[0].as_str())).collect();
    assert_eq!(begin, [(1, 3, "1"), (2, 1, "y,z\n"), (3, 3, "1")]);
    assert_eq!((rows[0].1[2].as_str(), rows[0].2.as_str()), ("x\n", "1,2,\"x"));
    // Blank lines ahead of it, and several stray quotes behind it.
    assert_eq!(lines("\n\n1,2,\"x\n\",y\n1,2,3\n"), [(3, 3), (4, 1), (5, 3)]);
    assert_eq!(lines("1,2,\"x\n\"a,b\n\"c,d\n\"e\n1,2,3"), [(1, 3), (2, 2), (4, 1), (5, 3)]);
}

#[test]
fn rows_longer_than_the_limit_are_errors_and_unclosed_quotes_are_not() {
    assert!(matches!(read(Cursor::new([b'x'; 5000]), 3, 1000), Err(ReadError::Endless { line: 1, .. })));
    let many = format!("{}\"{}", "\n".repeat(5000), "x\n".repeat(5000));
    let rows = read(Drip(many.as_bytes(), 100), 3, 1000).unwrap();
    assert_eq!((rows.len(), rows[0].0, rows[4999].0), (5000, 5001, 10_000));
}

#[test]
fn every_line_is_read_a_few_times_at_most() {
    // Each line alone leaves a quote open until the end of the text.
    for (text, width) in [("x\",\"\n", 2), ("x\",\"\n", 3), ("\"\n\"\n", 1), ("1,\"\n2\"\n", 2), ("1,\"\n2\"\n", 3)] {
        let text = text.repeat((2 << 20) / text.len());
        let begun = Instant::now();
        assert!(read(text.as_bytes(), width, 1 << 20).unwrap().len() > 1000);
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?} {:?}", &text[..6], begun.elapsed());
    }
}

proptest! {
    #[test]
    fn no_row_is_lost_however_quotes_stand(
        // Valid rows, some with an unclosed quote in the last cell, and lines with quotes in any place.
        parts in prop::collection::vec(prop_oneof![Just("1,2,3".to_owned()), Just("1,2,\"n".to_owned()), "[\",xy]{0,6}"], 0..30),
        limit in 40_usize..400,
        step in 1_usize..50,
    ) {
        let text = parts.join("\n");
        let rows = read(Drip(text.as_bytes(), step), 3, limit).unwrap();
        let valid = |rows: &[(u64, Vec<String>, String)]| -> Vec<u64> {
            rows.iter().filter(|row| row.1 == ["1", "2", "3"]).map(|row| row.0).collect()
        };
        let expected: Vec<u64> = (1..).zip(&parts).filter(|(_, part)| *part == "1,2,3").map(|(line, _)| line).collect();
        prop_assert_eq!(valid(&rows), expected);
        let begun: Vec<u64> = rows.iter().filter(|row| row.1.len() == 3 && row.1[0] == "1").map(|row| row.0).collect();
        let expected: Vec<u64> = (1..).zip(&parts).filter(|(_, part)| part.starts_with('1')).map(|(line, _)| line).collect();
        prop_assert_eq!(begun, expected);
        // Lines and texts are those of the text.
        let lines: Vec<&str> = text.split('\n').collect();
        for (line, _, row) in &rows {
            prop_assert!(text.contains(row.as_str()));
            prop_assert!(row.starts_with(lines[*line as usize - 1]));
        }
        prop_assert!(rows.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
