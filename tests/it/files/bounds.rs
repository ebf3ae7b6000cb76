//! Small files that claim to be large: they are refused in bounded time and memory.

use std::io::{Read as _, Write as _};

use super::pack;
use super::roomcast;

/// Reads a file that must be refused. Returns what was said.
fn refused(name: &str, bytes: &[u8]) -> String {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join(name);
    std::fs::write(&file, bytes).unwrap();
    let output = roomcast(&["inspect", file.to_str().unwrap()], None);
    assert_eq!(output.status.code(), Some(1), "{name} was read");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn archives_that_unpack_to_too_much_are_refused() {
    // One row that never ends, and many rows of nothing.
    let endless = |head: &'static [u8]| zstd::encode_all(head.chain(std::io::repeat(b'x').take(1 << 30)), 1).unwrap();
    let error = refused("a.csv.zst", &endless(b""));
    assert!(error.contains("line 1: the row does not end within 4194304 bytes") && error.len() < 2000, "{error}");
    let header = &b"timestamp;sensor_id;value\n2016-07-01 04:00:00;hall;1\n"[..];
    let error = refused("a.csv.zst", &endless(header));
    assert!(error.contains("the row does not end within 4194304 bytes"), "{error}");
    // Rows without end of the same few bytes.
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.write_all(header).unwrap();
    let rows = "2016-07-01 04:00:00;hall;1\n".repeat(10_000);
    (0..600).for_each(|_| encoder.write_all(rows.as_bytes()).unwrap());
    let packed = encoder.finish().unwrap();
    assert!(packed.len() < 40_000, "{}", packed.len());
    let error = refused("a.csv.zst", &packed);
    assert!(error.contains("the archive unpacks to more than"), "{error}");
}

#[test]
fn workbooks_with_cells_far_away_or_much_text_are_refused() {
    let cell =
        |place: &str, text: &str| format!("<row><c r=\"{place}\" t=\"inlineStr\"><is><t>{text}</t></is></c></row>");
    let time = |place: &str| cell(place, "2016-07-01 04:00:00");
    // A table with a place for every cell between these would take terabytes.
    let error = refused("a.xlsx", &pack::with_sheet(&(cell("A1", "time") + &time("XFD1048576"))));
    assert!(error.contains("hint:"), "{error}");
    let error = refused("a.xlsx", &pack::with_sheet(&(cell("A1", "time") + &time("XFE2"))));
    assert!(error.contains("cannot be read as an Excel workbook"), "{error}");
    let error = refused("a.xlsx", &pack::with_sheet(&(cell("A2", "time") + &time("A1"))));
    assert!(error.contains("is out of place"), "{error}");
    let whole = pack::workbook(&[vec!["time".into()]]);
    let error = refused("a.xlsx", &whole[..whole.len() / 2]);
    assert!(error.contains("cannot be read as an Excel workbook"), "{error}");
}
