//! Bytes that can be read again.

use std::io::{self, Read, Seek, SeekFrom};

/// Most bytes handed out at once when they are read again. A reader that goes back has not read far ahead then.
const REPLAY_BYTES: usize = 4096;

/// Keeps the bytes that were read since a mark.
pub struct Tape<R> {
    inner: R,
    kept: Vec<u8>,
    /// Place of the first kept byte in the text.
    first: u64,
    /// Place of the byte that is handed out next.
    next: u64,
    /// Place before which no byte is needed any more.
    pub mark: u64,
    /// Place among the kept bytes at which the text seems to end.
    pub stop: Option<u64>,
    /// True when the end of the text was reached.
    pub ended: bool,
    /// Number of bytes behind the mark beyond which reading fails.
    limit: usize,
}

impl<R: Read> Tape<R> {
    pub fn new(inner: R, limit: usize) -> Self {
        Self { inner, kept: Vec::new(), first: 0, next: 0, mark: 0, stop: None, ended: false, limit }
    }

    /// Returns whether reading failed because of its limit.
    pub fn exceeded(&self) -> bool {
        self.kept.len() > self.limit
    }

    /// Returns the bytes from the mark up to a place.
    pub fn marked(&self, end: u64) -> &[u8] {
        &self.kept[self.index(self.mark)..self.index(end)]
    }

    /// Returns the place behind the kept bytes.
    pub fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    /// Returns the place behind the line end that follows a place, or behind the kept bytes.
    pub fn line_end(&self, from: u64) -> u64 {
        let line = self.kept[self.index(from)..].iter().position(|&byte| byte == b'\n');
        line.map_or(self.end(), |length| from + length as u64 + 1)
    }

    fn index(&self, place: u64) -> usize {
        place.saturating_sub(self.first).min(self.kept.len() as u64) as usize
    }
}

impl<R: Read> Read for Tape<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let known = self.stop.unwrap_or(self.end()) - self.next;
        if known > 0 || self.stop.is_some() {
            let length = buffer.len().min(REPLAY_BYTES).min(known as usize);
            let at = self.index(self.next);
            buffer[..length].copy_from_slice(&self.kept[at..at + length]);
            self.next += length as u64;
            return Ok(length);
        }
        self.kept.drain(..self.index(self.mark));
        self.first = self.mark;
        if self.exceeded() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let read = self.inner.read(buffer)?;
        self.kept.extend_from_slice(&buffer[..read]);
        self.next += read as u64;
        self.ended = read == 0 && !buffer.is_empty();
        Ok(read)
    }
}

impl<R> Seek for Tape<R> {
    /// Goes to one of the kept bytes.
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        match place {
            SeekFrom::Start(place) if place >= self.first && place <= self.first + self.kept.len() as u64 => {
                self.next = place;
                Ok(place)
            }
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}
