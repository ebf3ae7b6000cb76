//! Bytes of a file as plain UTF-8 text: unpacked and decoded on the way, without a copy of the whole.

pub mod encoding;
mod lines;
mod packed;
pub mod places;
mod records;
pub mod sheet;
mod tape;

use std::io::{self, Cursor, Read};

use super::error::ReadError;
use encoding::{Decoded, Encoding};

pub use records::Records;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Bytes by which a kind of file is recognized.
const HEAD_BYTES: usize = 8;

/// A text, and its bytes that were read already.
pub type Peeked<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// The content of a source.
pub enum Content<'a> {
    /// Text without a mark at its beginning: in UTF-8, or another encoding with a byte a character.
    Text(Box<dyn Read + 'a>),
    /// An Excel workbook or another ZIP archive, from its first byte on.
    Workbook(Box<dyn Read + 'a>),
}

/// Recognizes what a source holds by its first bytes, and unpacks gzip and zstd.
///
/// # Errors
/// [`ReadError`] for a source that cannot be read, and for a kind of file that is not read here.
pub fn open<'a>(source: impl Read + 'a, file: &str) -> Result<Content<'a>, ReadError> {
    let failed = |error| ReadError::io(file, error);
    let (head, source) = peek(source, HEAD_BYTES).map_err(failed)?;
    let (head, mut source): (Vec<u8>, Box<dyn Read + 'a>) = match packed::unpack(&head, source).map_err(failed)? {
        packed::Unpacked::Plain(source) => (head, Box::new(source)),
        packed::Unpacked::Packed(text) => {
            let (head, text) = peek(text, HEAD_BYTES).map_err(failed)?;
            if packed::is_packed(&head) || head.starts_with(b"PK\x03\x04") || head.starts_with(b"PAR1") {
                let (found, hint) = ("another archive or binary file within an archive", "unpack it first");
                return Err(ReadError::Format { file: file.to_owned(), found, hint });
            }
            (head, Box::new(text))
        }
    };
    if head.starts_with(b"PK\x03\x04") {
        return Ok(Content::Workbook(source));
    }
    if is_json(&head) {
        let (found, hint) = ("JSON", "save the readings as CSV; JSON is read by POST /readings of a server");
        return Err(ReadError::Format { file: file.to_owned(), found, hint });
    }
    if let Some((found, hint)) = other_kind(&head) {
        return Err(ReadError::Format { file: file.to_owned(), found, hint });
    }
    if let Some(encoding) = Encoding::wide(&head) {
        return Ok(Content::Text(Box::new(Decoded::new(source, encoding))));
    }
    if head.starts_with(BOM) {
        source.read_exact(&mut [0; BOM.len()]).map_err(failed)?;
    }
    Ok(Content::Text(source))
}

/// Reads up to `bytes` bytes ahead. Returns them, and the source from its beginning.
pub fn peek<R: Read>(mut source: R, bytes: usize) -> io::Result<(Vec<u8>, Peeked<R>)> {
    let mut head = Vec::with_capacity(bytes.min(1 << 18));
    source.by_ref().take(bytes as u64).read_to_end(&mut head)?;
    Ok((head.clone(), Cursor::new(head).chain(source)))
}

/// Returns whether a text begins as an object of JSON, or as an array of objects.
fn is_json(head: &[u8]) -> bool {
    let head = head.strip_prefix(BOM).unwrap_or(head);
    let marks: Vec<u8> = head.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).take(2).collect();
    matches!(marks.as_slice(), [b'{', b'"' | b'}'] | [b'[', b'{' | b']'])
}

/// Recognizes files that are not read here. Returns the kind of file and a hint.
fn other_kind(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let kinds: [(&[u8], _, _); 5] = [
        (b"\xd0\xcf\x11\xe0", "an Excel workbook of before 2007", "save it as .xlsx, or the sheet as CSV"),
        (b"PAR1", "a Parquet file", "give it a name that ends in .parquet"),
        (b"SQLite f", "an SQLite database", "give it a name that ends in .db"),
        (b"BZh", "a bzip2 archive", "unpack it first, or pipe it: bunzip2 -c FILE | roomcast … -"),
        (b"\xfd7zXZ", "an xz archive", "unpack it first, or pipe it: xz -dc FILE | roomcast … -"),
    ];
    kinds.iter().find(|(magic, ..)| head.starts_with(magic)).map(|&(_, found, hint)| (found, hint))
}
