//! A small table of another kind than readings: its rows, one by one.

use std::io::Read;

use csv::ByteRecord;

use super::error::ReadError;
use super::source::encoding::{Decoded, Encoding};
use super::source::sheet::Sheet;
use super::source::{self, Content, Records};

/// Bytes at the beginning in which the separator and the encoding are looked for.
const HEAD_BYTES: usize = 1 << 16;

/// Passes each row that is not blank, the header first, with its line to `take`. The source is unpacked and decoded as
/// readings are. The separator is the one that the first line has most of: a comma, a semicolon or a tab.
///
/// # Errors
/// [`ReadError`] for a source that cannot be read, and the errors of `take`.
pub fn each_record<E: From<ReadError>>(
    source: impl Read,
    file: &str,
    mut take: impl FnMut(u64, &ByteRecord) -> Result<(), E>,
) -> Result<(), E> {
    match source::open(source, file)? {
        Content::Text(text) => rows(text, file, &mut take),
        Content::Workbook(source) => {
            let mut sheet = Sheet::open(source, file)?;
            let read = rows(sheet.text(), file, &mut take);
            sheet.finish()?;
            read
        }
    }
}

fn rows<E: From<ReadError>>(
    text: impl Read,
    file: &str,
    take: &mut impl FnMut(u64, &ByteRecord) -> Result<(), E>,
) -> Result<(), E> {
    let (head, text) = source::peek(text, HEAD_BYTES).map_err(|error| ReadError::io(file, error))?;
    let line = head.split(|&byte| byte == b'\n' || byte == b'\r').find(|line| !line.is_empty()).unwrap_or_default();
    let count = |separator: u8| line.iter().filter(|&&byte| byte == separator).count();
    let separator = b",;\t".iter().copied().rev().max_by_key(|&separator| count(separator)).unwrap_or(b',');
    let text: Box<dyn Read + '_> = match Encoding::windows(&head, head.len() < HEAD_BYTES) {
        Some(encoding) => Box::new(Decoded::new(text, encoding)),
        None => Box::new(text),
    };
    let mut records = Records::new(text, separator);
    while records.header(file)? {
        take(records.line(), &records.record)?;
    }
    Ok(())
}
