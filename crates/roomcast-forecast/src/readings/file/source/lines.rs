//! Normalization of line ends, so that the lines of a file can be counted.
//!
//! The csv crate counts `\n` alone, and ends a row at the `\r` of a `\r\n`: its lines would be one off after such rows,
//! and all the same in a file whose lines end in `\r`.

use std::io::{self, Read};

/// Passes bytes through and replaces `\r\n` and a lone `\r` by `\n`.
pub struct LineEnds<R> {
    inner: R,
    /// True when the last byte read was a `\r`, already passed on as `\n`.
    after_return: bool,
}

impl<R: Read> LineEnds<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, after_return: false }
    }

    fn convert(&mut self, bytes: &mut [u8]) -> usize {
        if !self.after_return && !bytes.contains(&b'\r') {
            return bytes.len();
        }
        let mut kept = 0;
        for at in 0..bytes.len() {
            let byte = bytes[at];
            if byte != b'\n' || !self.after_return {
                bytes[kept] = if byte == b'\r' { b'\n' } else { byte };
                kept += 1;
            }
            self.after_return = byte == b'\r';
        }
        kept
    }
}

impl<R: Read> Read for LineEnds<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match self.inner.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            let kept = self.convert(&mut buffer[..read]);
            // Bytes of which nothing is kept are not the end: they were the `\n` of a `\r\n`.
            if kept > 0 || read == 0 {
                return Ok(kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns a few bytes at a time, as a pipe may.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(buffer.len()).min(self.0.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    proptest! {
        #[test]
        fn line_ends_become_one_however_the_bytes_arrive(text in "[ab\r\n]{0,40}", step in 1_usize..9) {
            let mut read = String::new();
            LineEnds::new(Drip(text.as_bytes(), step)).read_to_string(&mut read)?;
            prop_assert_eq!(read, text.replace("\r\n", "\n").replace('\r', "\n"));
        }
    }
}
