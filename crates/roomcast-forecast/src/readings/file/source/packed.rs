//! Packed text: gzip and zstd, unpacked while it is read.

use std::io::{self, BufReader, Read};

use flate2::read::MultiGzDecoder;

const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// Bytes of text that any file may hold, and bytes for each packed byte: more than gzip can pack. A small file that
/// unpacks to more was made to take memory and time.
const BASE_BYTES: u64 = 64 << 20;
const BYTES_PER_BYTE: u64 = 1100;

/// Logarithm of the most memory in bytes that a zstd frame may ask for.
const MAX_WINDOW_LOG: u32 = 27;

/// A source as it is, or its text.
pub enum Unpacked<'a, R> {
    Plain(R),
    Packed(Box<dyn Read + 'a>),
}

/// Returns whether these are the first bytes of a packed text.
pub fn is_packed(head: &[u8]) -> bool {
    head.starts_with(GZIP) || head.starts_with(ZSTD)
}

/// Unpacks a source that begins with these bytes, if it is packed.
///
/// # Errors
/// [`io::Error`] when there is no memory for the decoder.
pub fn unpack<'a, R: Read + 'a>(head: &[u8], source: R) -> io::Result<Unpacked<'a, R>> {
    if head.starts_with(GZIP) {
        let input = Counted { inner: source, bytes: 0 };
        let text = MultiGzDecoder::new(BufReader::with_capacity(1 << 16, input));
        return Ok(Unpacked::Packed(Box::new(Bounded {
            text,
            taken: |text| text.get_ref().get_ref().bytes,
            bytes: 0,
        })));
    }
    if head.starts_with(ZSTD) {
        let input = Counted { inner: source, bytes: 0 };
        let mut text = zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(1 << 16, input))?;
        text.window_log_max(MAX_WINDOW_LOG)?;
        return Ok(Unpacked::Packed(Box::new(Bounded {
            text,
            taken: |text| text.get_ref().get_ref().bytes,
            bytes: 0,
        })));
    }
    Ok(Unpacked::Plain(source))
}

/// Counts the bytes that were read.
struct Counted<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

/// A text that may not be much longer than what it was unpacked from.
struct Bounded<T> {
    text: T,
    /// Returns the packed bytes that were read.
    taken: fn(&T) -> u64,
    bytes: u64,
}

impl<T: Read> Read for Bounded<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.text.read(buffer)?;
        self.bytes += read as u64;
        let limit = BASE_BYTES + (self.taken)(&self.text).saturating_mul(BYTES_PER_BYTE);
        if self.bytes > limit {
            let message =
                format!("the archive unpacks to more than {} MiB, {BYTES_PER_BYTE} times its size", limit >> 20);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(bytes: &[u8]) -> io::Result<u64> {
        match unpack(bytes, bytes)? {
            Unpacked::Plain(_) => Ok(0),
            Unpacked::Packed(mut text) => io::copy(&mut text, &mut io::sink()),
        }
    }

    #[test]
    fn a_small_archive_that_unpacks_to_much_is_refused() {
        let zeros = |length: u64| zstd::encode_all(io::repeat(b'0').take(length), 3).unwrap();
        assert_eq!(unpacked(&zeros(1 << 20)).unwrap(), 1 << 20);
        let error = unpacked(&zeros(400 << 20)).unwrap_err().to_string();
        assert!(error.contains("the archive unpacks to more than"), "{error}");
    }

    #[test]
    fn a_cut_archive_is_an_error() {
        let whole = zstd::encode_all(&b"time,device,device_activated\n"[..], 3).unwrap();
        assert!(unpacked(&whole).is_ok());
        assert!(unpacked(&whole[..whole.len() - 3]).is_err());
    }
}
