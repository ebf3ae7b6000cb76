//! CSV: comma-separated text with a header line.

use std::io::{self, Read};

use csv::{ByteRecord, Reader, ReaderBuilder, Terminator};

use super::error::ReadError;
use super::field::{COLUMNS, Clock, Problem, excerpt, motion, trim};
use super::lines::LineEnds;
use super::sink::{Sink, as_object};
use crate::calendar::{Calendar, Timestamp};

/// Bytes of one read from the operating system.
const BUFFER_BYTES: usize = 256 * 1024;

/// Longest row in bytes. Reading stops when an unclosed quote makes a row longer.
const MAX_ROW_BYTES: usize = 4 * 1024 * 1024;

const BOM: &[u8] = b"\xef\xbb\xbf";

type Input<R> = Reader<LineEnds<io::Chain<io::Cursor<Vec<u8>>, R>>>;

/// Reads all rows of one CSV text.
///
/// # Errors
/// [`ReadError`] for a text that is not CSV, a header that lacks a column, a source that fails, and the first bad row
/// unless the sink takes them.
pub(super) fn read<S: Sink>(mut source: impl Read, calendar: &Calendar, into: &mut S) -> Result<(), S::Error> {
    let mut head = Vec::with_capacity(8);
    source.by_ref().take(8).read_to_end(&mut head).map_err(|error| ReadError::io(into.file(), error))?;
    if let Some((found, hint)) = other_kind(&head) {
        return Err(ReadError::Format { file: into.file().to_owned(), found, hint }.into());
    }
    if head.starts_with(BOM) {
        head.drain(..BOM.len());
    }
    let lines = LineEnds::new(io::Cursor::new(head).chain(source), MAX_ROW_BYTES);
    let mut input = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .terminator(Terminator::Any(b'\n'))
        .buffer_capacity(BUFFER_BYTES)
        .from_reader(lines);

    let mut record = ByteRecord::new();
    if !next(&mut input, &mut record, into.file())? {
        return Err(ReadError::Empty { file: into.file().to_owned() }.into());
    }
    let (columns, width) = (header(&record, into.file())?, record.len());
    let mut clock = Clock::new(calendar);
    while next(&mut input, &mut record, into.file())? {
        match row(&record, columns, width, &mut clock, into) {
            Ok((time, device, motion)) => into.accept(time, device, motion)?,
            Err(mut problem) => {
                if problem.found.contains('\n') {
                    problem.expected = "a closing quote on the same line".into();
                }
                into.refuse(line(&input, &record), problem, || payload(&record, columns, width))?;
            }
        }
    }
    Ok(())
}

/// Reads the next row that is not blank. Returns false at the end.
fn next<R: Read>(input: &mut Input<R>, record: &mut ByteRecord, file: &str) -> Result<bool, ReadError> {
    loop {
        input.get_mut().passed = 0;
        match input.read_byte_record(record) {
            Ok(true) if record.len() == 1 && trim(&record[0]).is_empty() => {}
            Ok(more) => return Ok(more),
            Err(_) if input.get_ref().exceeded() => {
                let line = record.position().map_or(1, |position| position.line());
                return Err(ReadError::Endless { file: file.to_owned(), line, limit: MAX_ROW_BYTES });
            }
            Err(error) => return Err(ReadError::io(file, error.into())),
        }
    }
}

/// Returns the line on which the row just read begins.
fn line<R: Read>(input: &Input<R>, record: &ByteRecord) -> u64 {
    // A record's own position is the end of the row before, ahead of any blank lines. Its end is exact: one line end
    // after its last line, unless the input ended first.
    let inside = record.as_slice().iter().filter(|&&byte| byte == b'\n').count() as u64;
    let end = u64::from(!input.get_ref().ended);
    input.position().line().saturating_sub(inside + end).max(1)
}

/// Finds the positions of `time`, `device` and `device_activated` in the header.
fn header(record: &ByteRecord, file: &str) -> Result<[usize; 3], ReadError> {
    let mut columns = [0; 3];
    for (column, name) in columns.iter_mut().zip(COLUMNS) {
        let mut places = record.iter().enumerate().filter(|(_, cell)| trim(cell).eq_ignore_ascii_case(name.as_bytes()));
        let (first, second) = (places.next(), places.next());
        match (first, second) {
            (Some((place, _)), None) => *column = place,
            _ => {
                let found = record.iter().collect::<Vec<_>>().join(&b',');
                let count = if second.is_some() { "more than one" } else { "no" };
                let hint = header_hint(&found, second.is_some());
                let (expected, found) = ("time,device,device_activated", excerpt(&found));
                return Err(ReadError::Header { file: file.to_owned(), count, column: name, expected, found, hint });
            }
        }
    }
    Ok(columns)
}

fn header_hint(found: &[u8], twice: bool) -> &'static str {
    let has = |byte: u8| found.contains(&byte);
    match found.first() {
        _ if twice => "give one of the two another name",
        _ if has(0) => "the file is not plain text; save it as CSV in UTF-8",
        _ if !has(b',') && has(b';') => "separate the columns by commas, not semicolons",
        _ if !has(b',') && has(b'\t') => "separate the columns by commas, not tabs",
        Some(b'0'..=b'9') => "the first line looks like a reading; put the header above it",
        _ => "columns may stand in any order, and others beside them",
    }
}

/// Reads a row as (time, device, motion).
fn row(
    record: &ByteRecord,
    columns: [usize; 3],
    width: usize,
    clock: &mut Clock<'_>,
    into: &mut impl Sink,
) -> Result<(Timestamp, usize, bool), Problem> {
    if record.len() != width {
        let torn = if record.as_slice().contains(&b'\n') { ", one of them quoted over several lines" } else { "" };
        return Err(Problem {
            column: None,
            expected: format!("{width} fields").into(),
            found: format!("{} fields{torn}", record.len()),
        });
    }
    let [time, device, activated] = columns.map(|column| &record[column]);
    Ok((clock.text(time)?, into.device(device)?, motion(activated)?))
}

/// Returns a row that fits the header as text that can be parsed again, and any other row unchanged.
fn payload(record: &ByteRecord, columns: [usize; 3], width: usize) -> String {
    if record.len() == width {
        return as_object(columns.map(|column| String::from_utf8_lossy(&record[column])));
    }
    String::from_utf8_lossy(&record.iter().collect::<Vec<_>>().join(&b',')).into_owned()
}

/// Recognizes files that cannot be CSV. Returns the kind of file and a hint.
fn other_kind(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let kinds: [(&[u8], _, _); 9] = [
        (b"\x1f\x8b", "a gzip archive", "unpack it first, or pipe it: gunzip -c FILE | roomcast … -"),
        (b"PK\x03\x04", "an Excel workbook or ZIP archive", "save the sheet as CSV in UTF-8, or unpack the archive"),
        (b"\xd0\xcf\x11\xe0", "an Excel workbook", "save the sheet as CSV in UTF-8"),
        (b"PAR1", "a Parquet file", "give it a name that ends in .parquet"),
        (b"\x28\xb5\x2f\xfd", "a zstd archive", "unpack it first, or pipe it: zstd -dc FILE | roomcast … -"),
        (b"BZh", "a bzip2 archive", "unpack it first, or pipe it: bunzip2 -c FILE | roomcast … -"),
        (b"\xfd7zXZ", "an xz archive", "unpack it first, or pipe it: xz -dc FILE | roomcast … -"),
        (b"\xff\xfe", "UTF-16 text", "save it as CSV in UTF-8"),
        (b"\xfe\xff", "UTF-16 text", "save it as CSV in UTF-8"),
    ];
    kinds.iter().find(|(magic, ..)| head.starts_with(magic)).map(|&(_, found, hint)| (found, hint))
}
