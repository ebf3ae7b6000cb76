//! The messages of an Arrow IPC stream, each read whole and checked before a decoder sees it.
//!
//! A decoder reserves as much memory as a message asks for, and a process without that memory ends. Every length in a
//! message is therefore compared with the bytes that have arrived.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use polars_arrow::io::ipc::format::ipc::planus::ReadAsRoot;
use polars_arrow::io::ipc::format::ipc::{MessageHeaderRef, MessageRef, RecordBatchRef};

/// The mark before a message's length.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// Largest number of bytes of a message's description, which has a few bytes for each column.
const MAX_METADATA: usize = 1 << 20;

/// Largest number of bytes that one byte of a compressed buffer unpacks to, and that all buffers of a message have.
const MAX_RATIO: u64 = 4096;
const MAX_UNPACKED: u64 = 4 << 30;

/// The stream that a decoder reads, with every message complete.
pub(super) struct Messages<R> {
    inner: R,
    /// The message that is being read.
    message: Cursor<Vec<u8>>,
}

impl<R: Read> Messages<R> {
    pub(super) fn new(inner: R) -> Messages<R> {
        Messages { inner, message: Cursor::default() }
    }

    /// Reads the next message; an empty one at the end of the stream.
    fn load(&mut self) -> io::Result<()> {
        let message = self.message.get_mut();
        message.clear();
        self.message.set_position(0);
        let message = self.message.get_mut();
        if !append(&mut self.inner, 4, message)? {
            // The decoder decides whether a stream may end here.
            return Ok(());
        }
        if message[..] == CONTINUATION && !append(&mut self.inner, 4, message)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = message.last_chunk().map_or(0, |length| i32::from_le_bytes(*length));
        let length = usize::try_from(length).ok().filter(|length| *length <= MAX_METADATA);
        let length = length.ok_or_else(|| invalid("a message's description has an impossible length"))?;
        if length == 0 {
            return Ok(());
        }
        let start = message.len();
        if !append(&mut self.inner, length as u64, message)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let body = body_length(&message[start..])?;
        let start = message.len();
        if !append(&mut self.inner, body, message)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (head, body) = message.split_at(start);
        check(&head[head.len() - length..], body)
    }
}

/// Appends `length` bytes of an input; returns false if there are fewer. Memory grows with what arrives.
fn append(input: &mut impl Read, length: u64, to: &mut Vec<u8>) -> io::Result<bool> {
    Ok(input.take(length).read_to_end(to)? as u64 == length)
}

impl<R: Read> Read for Messages<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.message.position() >= self.message.get_ref().len() as u64 && !buffer.is_empty() {
            self.load()?;
        }
        self.message.read(buffer)
    }
}

impl<R> Seek for Messages<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = self.message.seek(to)?;
        if at > self.message.get_ref().len() as u64 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(at) }
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Returns the length of the body that follows a message's description.
fn body_length(metadata: &[u8]) -> io::Result<u64> {
    let length = MessageRef::read_as_root(metadata).and_then(|message| message.body_length());
    let length = length.map_err(|error| invalid(&error.to_string()))?;
    u64::try_from(length).map_err(|_| invalid("a message's body has a negative length"))
}

/// Checks that every buffer of a message lies in its body.
fn check(metadata: &[u8], body: &[u8]) -> io::Result<()> {
    let damaged = |error: polars_arrow::io::ipc::format::ipc::planus::Error| invalid(&error.to_string());
    let message = MessageRef::read_as_root(metadata).map_err(damaged)?;
    match message.header().map_err(damaged)? {
        Some(MessageHeaderRef::Schema(_)) => Ok(()),
        Some(MessageHeaderRef::RecordBatch(batch)) => check_batch(batch, body),
        _ => Err(invalid("a message that is neither a schema nor rows")),
    }
}

fn check_batch(batch: RecordBatchRef<'_>, body: &[u8]) -> io::Result<()> {
    let damaged = |error: polars_arrow::io::ipc::format::ipc::planus::Error| invalid(&error.to_string());
    let is_compressed = batch.compression().map_err(damaged)?.is_some();
    let buffers = batch.buffers().map_err(damaged)?.ok_or_else(|| invalid("rows without buffers"))?;
    let mut unpacked = 0_u64;
    for buffer in buffers.iter() {
        let range = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
        let bytes = range.and_then(|(offset, length)| body.get(offset..offset.checked_add(length)?));
        let bytes = bytes.ok_or_else(|| invalid("a buffer lies outside of its message"))?;
        if is_compressed && !bytes.is_empty() {
            let length = bytes.first_chunk().map(|length| i64::from_le_bytes(*length));
            let length = length.ok_or_else(|| invalid("a compressed buffer without its length"))?;
            // -1 marks a buffer that is not compressed.
            let length = if length == -1 { 0 } else { u64::try_from(length).unwrap_or(u64::MAX) };
            unpacked = unpacked.saturating_add(length);
            if length > MAX_RATIO * bytes.len() as u64 || unpacked > MAX_UNPACKED {
                return Err(invalid("a compressed buffer has an impossible length"));
            }
        }
    }
    let counts = batch.variadic_buffer_counts().map_err(damaged)?;
    if counts.is_some_and(|counts| counts.iter().any(|count| count < 0 || count as usize > buffers.len())) {
        return Err(invalid("a column has more buffers than its message"));
    }
    let nodes = batch.nodes().map_err(damaged)?.ok_or_else(|| invalid("rows without columns"))?;
    // Every value of a column takes at least a bit, in a buffer that may be compressed.
    let most = (body.len() as u64).saturating_mul(8).max(unpacked.saturating_mul(8));
    let fits = |length: i64| u64::try_from(length).is_ok_and(|length| length <= most);
    match nodes.iter().all(|node| fits(node.length()) && fits(node.null_count())) {
        true => Ok(()),
        false => Err(invalid("a column has more rows than fit its message")),
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;
    use polars_arrow::io::ipc::read::{StreamReader, read_stream_metadata};

    use super::*;

    fn stream(compression: Option<IpcCompression>) -> Vec<u8> {
        let rows: Vec<i64> = (0..1000).map(|row| row / 10).collect();
        let names: Vec<String> = rows.iter().map(|row| format!("device_{row}")).collect();
        let mut frame = df!("device" => names, "hour" => rows).unwrap();
        let mut bytes = Vec::new();
        IpcStreamWriter::new(&mut bytes).with_compression(compression).finish(&mut frame).unwrap();
        bytes
    }

    fn rows(bytes: &[u8]) -> Result<usize, String> {
        let mut messages = Messages::new(bytes);
        let metadata = read_stream_metadata(&mut messages).map_err(|error| error.to_string())?;
        let mut rows = 0;
        for batch in StreamReader::new(messages, metadata, None) {
            match batch.map_err(|error| error.to_string())? {
                polars_arrow::io::ipc::read::StreamState::Some(batch) => rows += batch.len(),
                polars_arrow::io::ipc::read::StreamState::Waiting => return Err("cut off".into()),
            }
        }
        Ok(rows)
    }

    #[test]
    fn a_buffer_longer_than_its_message_is_refused_before_memory_is_reserved() {
        for compression in [None, Some(IpcCompression::ZSTD(Default::default()))] {
            let whole = stream(compression);
            assert_eq!(rows(&whole), Ok(1000));
            // Every eight bytes in turn are set to 2^62 or 2^40.
            let mut refused = 0;
            for at in 0..whole.len() - 8 {
                for length in [1_i64 << 62, 1 << 40] {
                    let mut damaged = whole.clone();
                    damaged[at..at + 8].copy_from_slice(&length.to_le_bytes());
                    let read = std::panic::catch_unwind(|| rows(&damaged).is_err()).unwrap_or(true);
                    refused += usize::from(read);
                }
            }
            assert!(refused > 300, "{refused}");
        }
    }

    #[test]
    fn what_is_cut_off_within_a_message_is_an_error() {
        let whole = stream(None);
        assert!((1..whole.len() - 8).all(|length| rows(&whole[..length]).is_err()));
    }
}
