//! Decompression of request bodies.

use std::io::{self, Read};

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_ENCODING;

use crate::problem::{Code, Problem};

/// Maximum size of a decompressed body, bytes.
pub(crate) const MAX_DECOMPRESSED: usize = 32 << 20;

/// Largest window of zstd, as a power of two: that of its default level. It bounds the memory a small body may claim.
const MAX_WINDOW_LOG: u32 = 23;

/// Bytes decompressed at a time.
const CHUNK: usize = 256 << 10;

/// The encoding of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// No compression.
    Identity,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Encoding {
    /// Returns the encoding named in the request.
    ///
    /// # Errors
    /// Returns [`Code::UnsupportedMediaType`] for other encodings, and for more than one.
    pub fn of(request: &HttpRequest) -> Result<Encoding, Problem> {
        let mut named = request.headers().get_all(CONTENT_ENCODING);
        let (first, second) = (named.next(), named.next());
        let name = first.map_or("identity", |value| value.to_str().unwrap_or("?")).trim().to_ascii_lowercase();
        match (name.as_str(), second) {
            ("identity" | "", None) => Ok(Encoding::Identity),
            ("gzip" | "x-gzip", None) => Ok(Encoding::Gzip),
            ("zstd", None) => Ok(Encoding::Zstd),
            _ => {
                Err(Problem::new(Code::UnsupportedMediaType, format!("the content encoding {name:?} is not supported"))
                    .hint("send it uncompressed, or with gzip or zstd"))
            }
        }
    }
}

/// Decompresses a body. Calls `reserve` for the memory of each chunk before it is read.
///
/// # Errors
/// Returns [`Code::InvalidBody`] for a body that is not in the named encoding, [`Code::BodyTooLarge`] for one that is
/// too large when decompressed, and the errors of `reserve`.
pub fn decompress(
    encoding: Encoding,
    body: Vec<u8>,
    mut reserve: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Vec<u8>, Problem> {
    let broken =
        |error: io::Error| Problem::new(Code::InvalidBody, format!("the body cannot be decompressed: {error}"));
    let mut source: Box<dyn Read> = match encoding {
        Encoding::Identity => return Ok(body),
        Encoding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(&body[..])),
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(&body[..]).map_err(broken)?;
            decoder.window_log_max(MAX_WINDOW_LOG).map_err(broken)?;
            Box::new(decoder)
        }
    };
    let mut out = Vec::new();
    loop {
        reserve(CHUNK)?;
        let read = source.by_ref().take(CHUNK as u64).read_to_end(&mut out).map_err(broken)?;
        if out.len() > MAX_DECOMPRESSED {
            let why = format!("a body has at most {} MiB when decompressed", MAX_DECOMPRESSED >> 20);
            return Err(Problem::new(Code::BodyTooLarge, why).hint("send fewer rows at a time"));
        }
        if read < CHUNK {
            return Ok(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_was_packed_comes_out_again() {
        let text = "time,device,device_activated\n".repeat(20_000).into_bytes();
        for (encoding, packed) in
            [(Encoding::Gzip, gzip(&text)), (Encoding::Zstd, zstd::encode_all(&text[..], 3).unwrap())]
        {
            let mut asked = 0;
            let decompressed = decompress(encoding, packed, |bytes| {
                asked += bytes;
                Ok(())
            });
            assert!(decompressed.unwrap() == text && asked >= text.len());
        }
    }

    #[test]
    fn bombs_and_broken_bodies_are_refused() {
        let zeros = vec![0; MAX_DECOMPRESSED + 1];
        let large_window = {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
            encoder.window_log(27).unwrap();
            encoder.write_all(&zeros[..1 << 20]).unwrap();
            encoder.finish().unwrap()
        };
        let mut torn = gzip(b"time,device");
        torn.truncate(15);
        for (encoding, packed, code) in [
            (Encoding::Gzip, gzip(&zeros), Code::BodyTooLarge),
            (Encoding::Zstd, zstd::encode_all(&zeros[..], 1).unwrap(), Code::BodyTooLarge),
            (Encoding::Zstd, large_window, Code::InvalidBody),
            (Encoding::Gzip, torn, Code::InvalidBody),
            (Encoding::Gzip, b"time,device".to_vec(), Code::InvalidBody),
            (Encoding::Zstd, b"time,device".to_vec(), Code::InvalidBody),
        ] {
            assert_eq!(decompress(encoding, packed, |_| Ok(())).unwrap_err().code, code, "{encoding:?}");
        }
        let full = |_| Err(Problem::new(Code::QueueFull, "full"));
        assert_eq!(decompress(Encoding::Gzip, gzip(&zeros), full).unwrap_err().code, Code::QueueFull);
    }
}
