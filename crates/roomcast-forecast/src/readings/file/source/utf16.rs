//! Text in UTF-16, as Windows programs write it.

use std::io::{self, Read};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1 << 16;

/// The order of the two bytes of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Little,
    Big,
}

/// Recognizes UTF-16 by its mark, or by the NULs that every second byte of plain Latin text has.
pub fn order(head: &[u8]) -> Option<Order> {
    match head {
        [0xff, 0xfe, ..] => Some(Order::Little),
        [0xfe, 0xff, ..] => Some(Order::Big),
        [a, 0, b, 0, c, 0, ..] if [a, b, c].iter().all(|&&byte| byte != 0) => Some(Order::Little),
        [0, a, 0, b, 0, c, ..] if [a, b, c].iter().all(|&&byte| byte != 0) => Some(Order::Big),
        _ => None,
    }
}

/// Turns UTF-16 into UTF-8. A unit without its partner becomes U+FFFD.
pub struct Utf16<R> {
    inner: R,
    order: Order,
    /// Bytes of the source not decoded yet: a part of a character.
    rest: Vec<u8>,
    /// Text not handed out yet.
    text: Vec<u8>,
    given: usize,
    is_first: bool,
}

impl<R: Read> Utf16<R> {
    pub fn new(inner: R, order: Order) -> Self {
        Self { inner, order, rest: Vec::new(), text: Vec::new(), given: 0, is_first: true }
    }

    /// Decodes the next bytes. Returns false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        let before = self.rest.len();
        self.inner.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut self.rest)?;
        let is_end = self.rest.len() == before;
        let (pairs, odd) = self.rest.as_chunks::<2>();
        let mut units: Vec<u16> = match self.order {
            Order::Little => pairs.iter().map(|&pair| u16::from_le_bytes(pair)).collect(),
            Order::Big => pairs.iter().map(|&pair| u16::from_be_bytes(pair)).collect(),
        };
        let mut kept = odd.to_vec();
        // The first half of a character waits for its second.
        if !is_end && units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit)) {
            units.pop();
            kept.splice(0..0, pairs[pairs.len() - 1]);
        }
        if is_end && !odd.is_empty() {
            units.push(0xfffd);
            kept.clear();
        }
        let skip = usize::from(std::mem::take(&mut self.is_first) && units.first() == Some(&0xfeff));
        let text: String = char::decode_utf16(units.into_iter().skip(skip))
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        (self.rest, self.text, self.given) = (kept, text.into_bytes(), 0);
        Ok(!is_end || !self.text.is_empty())
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() {
            if buffer.is_empty() || !self.fill()? {
                return Ok(0);
            }
        }
        let length = buffer.len().min(self.text.len() - self.given);
        buffer[..length].copy_from_slice(&self.text[self.given..][..length]);
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
            let expected = if big { Order::Big } else { Order::Little };
            prop_assert_eq!(order(&bytes), Some(expected));
            let mut read = String::new();
            Utf16::new(bytes.as_slice(), expected).read_to_string(&mut read)?;
            prop_assert_eq!(read, text);
        }
    }

    #[test]
    fn a_character_that_is_cut_is_replaced() {
        let mut read = String::new();
        Utf16::new(&b"a\0b"[..], Order::Little).read_to_string(&mut read).unwrap();
        assert_eq!(read, "a\u{fffd}");
        assert_eq!(order(b"time,dev"), None);
        assert_eq!(order(b"\0\x01\x02"), None);
    }
}
