//! Text in other encodings than UTF-8, as Windows programs write it.

use std::io::{self, Read};
use std::str::FromStr;

use encoding_rs::{Decoder, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use serde::{Deserialize, Serialize};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1 << 16;

/// The advice for text that is not in UTF-8.
pub const HINT: &str = "the file is not in UTF-8: say what it is in, such as --encoding windows-1252";

/// An encoding of text, by any name that the web has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Encoding(&'static encoding_rs::Encoding);

impl FromStr for Encoding {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Two bytes a character are recognized, and are decoded before this encoding is asked for.
        let known = encoding_rs::Encoding::for_label_no_replacement(text.as_bytes());
        let plain = known.filter(|encoding| encoding.is_ascii_compatible());
        plain.map(Encoding).ok_or_else(|| "expected an encoding such as utf-8, windows-1252 or macintosh".to_owned())
    }
}

impl TryFrom<String> for Encoding {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Encoding> for String {
    fn from(Encoding(encoding): Encoding) -> String {
        encoding.name().to_owned()
    }
}

impl Encoding {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Returns whether it is UTF-8.
    pub fn is_utf8(self) -> bool {
        self.0 == UTF_8
    }

    /// Recognizes UTF-16 by its mark, or by the NULs that every second byte of plain Latin text has.
    pub fn wide(head: &[u8]) -> Option<Encoding> {
        let encoding = match head {
            [0xff, 0xfe, ..] => UTF_16LE,
            [0xfe, 0xff, ..] => UTF_16BE,
            [a, 0, b, 0, c, 0, ..] if [a, b, c].iter().all(|&&byte| byte != 0) => UTF_16LE,
            [0, a, 0, b, 0, c, ..] if [a, b, c].iter().all(|&&byte| byte != 0) => UTF_16BE,
            _ => return None,
        };
        Some(Encoding(encoding))
    }

    /// Recognizes Windows-1252 at the beginning of a text: it is no UTF-8, no part of it is, and all of it is letters and
    /// signs that people write. Text of DOS and of old Macs has other bytes among its letters.
    pub fn windows(sample: &[u8], is_whole: bool) -> Option<Encoding> {
        // The last character may be cut where there is more.
        let is_cut = |error: std::str::Utf8Error| !is_whole && error.error_len().is_none();
        let is_utf8 = std::str::from_utf8(sample).map_or_else(is_cut, |_| true);
        let is_written =
            |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~' | 0x80 | 0x85 | 0x91..=0x97 | 0xa0..);
        let has_utf8 = || sample.utf8_chunks().any(|chunk| !chunk.valid().is_ascii());
        (!is_utf8 && sample.iter().all(is_written) && !has_utf8()).then_some(Encoding(WINDOWS_1252))
    }
}

/// Turns text into UTF-8. Bytes that are no text become U+FFFD.
pub struct Decoded<R> {
    inner: R,
    decoder: Decoder,
    bytes: Vec<u8>,
    is_end: bool,
    /// Text not handed out yet.
    text: String,
    given: usize,
}

impl<R: Read> Decoded<R> {
    pub fn new(inner: R, Encoding(encoding): Encoding) -> Self {
        let decoder = encoding.new_decoder_with_bom_removal();
        Self { inner, decoder, bytes: Vec::new(), is_end: false, text: String::new(), given: 0 }
    }

    /// Decodes the next bytes.
    fn fill(&mut self) -> io::Result<()> {
        self.bytes.clear();
        self.inner.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut self.bytes)?;
        self.is_end = self.bytes.len() < CHUNK_BYTES;
        self.text.clear();
        self.given = 0;
        self.text.reserve(self.decoder.max_utf8_buffer_length(self.bytes.len()).unwrap_or(4 * CHUNK_BYTES));
        let _ = self.decoder.decode_to_string(&self.bytes, &mut self.text, self.is_end);
        Ok(())
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() {
            if buffer.is_empty() || self.is_end {
                return Ok(0);
            }
            self.fill()?;
        }
        let length = buffer.len().min(self.text.len() - self.given);
        buffer[..length].copy_from_slice(&self.text.as_bytes()[self.given..][..length]);
        self.given += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_comes_back_in_either_order(text in "time[a-zä€😀;\n]{0,60}", mark: bool, big: bool) {
            let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
            let bytes: Vec<u8> = units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect();
            let expected = Encoding(if big { UTF_16BE } else { UTF_16LE });
            prop_assert_eq!(Encoding::wide(&bytes), Some(expected));
            let mut read = String::new();
            Decoded::new(bytes.as_slice(), expected).read_to_string(&mut read)?;
            prop_assert_eq!(read, text);
        }

        #[test]
        fn names_of_western_europe_come_back(text in "time[a-zA-ZäöüßÄÖÜéèàçñø€–’°;\n]{0,60}") {
            let (bytes, ..) = WINDOWS_1252.encode(&text);
            // What is UTF-8 stays what it is.
            prop_assert_eq!(Encoding::windows(text.as_bytes(), true), None);
            let Some(found) = Encoding::windows(&bytes, true) else {
                prop_assert!(bytes.utf8_chunks().any(|chunk| !chunk.valid().is_ascii()) || bytes.is_ascii());
                return Ok(());
            };
            let mut read = String::new();
            Decoded::new(&bytes[..], found).read_to_string(&mut read)?;
            prop_assert_eq!(read, text);
        }
    }

    #[test]
    fn text_longer_than_a_chunk_is_decoded_whole() {
        let text = "Küche;".repeat(CHUNK_BYTES / 3);
        let (bytes, ..) = WINDOWS_1252.encode(&text);
        let mut read = String::new();
        Decoded::new(&bytes[..], Encoding(WINDOWS_1252)).read_to_string(&mut read).unwrap();
        assert!(read == text);
    }

    #[test]
    fn a_character_that_is_cut_is_replaced() {
        let mut read = String::new();
        Decoded::new(&b"a\0b"[..], Encoding(UTF_16LE)).read_to_string(&mut read).unwrap();
        assert_eq!(read, "a\u{fffd}");
        assert_eq!(Encoding::wide(b"time,dev"), None);
        assert_eq!(Encoding::wide(b"\0\x01\x02"), None);
    }

    #[test]
    fn what_may_be_something_else_is_not_taken_for_windows_text() {
        // An ä of DOS, one of an old Mac, a text half in UTF-8, bytes that are no text, a character that is cut.
        for other in [&b"K\x84fig"[..], b"K\x8afig", b"K\xc3\xa4fig, K\xe4fig", b"K\xe4fig\0", b"K\xc3"] {
            assert_eq!(Encoding::windows(other, false), None, "{other:x?}");
        }
        assert_eq!(Encoding::windows("Menü".as_bytes(), true), None);
        assert_eq!(Encoding::windows(b"Men\xfc", true).map(Encoding::name), Some("windows-1252"));
        assert_eq!(Encoding::windows(b"K\xe4fig", true).map(Encoding::name), Some("windows-1252"));
        assert_eq!("latin1".parse().map(Encoding::name), Ok("windows-1252"));
        for wrong in ["", "utf-16", "cp850", "replacement"] {
            assert!(wrong.parse::<Encoding>().is_err(), "{wrong}");
        }
    }
}
