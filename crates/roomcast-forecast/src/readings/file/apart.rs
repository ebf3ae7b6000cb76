//! Reading of Parquet, and of workbooks, in a separate process.
//!
//! A Parquet decoder trusts the sizes in a file. A damaged file can make it request more memory than there is, which
//! ends the process, and no caller can catch that. A program that reads untrusted files therefore reads them in a child
//! process: the same program, started to [`decode`], with limits on memory and processor time. The file is the child's
//! standard input. Its rows are returned over a pipe, as blocks of one byte (the kind), four bytes (the length,
//! little-endian) and the content.
//!
//! A program that embeds this crate reads Parquet in its own process, and may call [`start`] to change that. It must
//! then answer the command line `PROGRAM decode-parquet --name=NAME [--zone=ZONE] [--layout=JSON]` by a call of [`decode`] with its
//! standard input and output, before it does anything else with them.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use foldhash::fast::RandomState;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::error::ReadError;
use super::field::{self, COLUMNS, Problem};
use super::parquet;
use super::sink::Sink;
use super::sniff::Layout;
use crate::calendar::{Calendar, Timestamp};

/// The subcommand that reads a file for another process.
pub const SUBCOMMAND: &str = "decode-parquet";

/// Bytes of a row in a block: the time, then the device's number and the motion bit.
const ROW_BYTES: usize = 12;
/// Rows of a block.
const BLOCK_ROWS: usize = 1 << 14;
/// Bytes of the longest block. A refused row may contain long texts.
const MAX_BLOCK: u32 = 64 << 20;

/// Memory of a child that reads a small file, and of each of its threads.
const BASE_MEMORY: u64 = 256 << 20;
const THREAD_MEMORY: u64 = 8 << 20;
/// Memory for each byte of a file: for its rows, which may be packed tightly, up to a limit, and for the loaded bytes.
const UNPACKED_PER_BYTE: u64 = 4096;
const MAX_UNPACKED: u64 = 4 << 30;
const LOADED_PER_BYTE: u64 = 64;

/// Seconds of processor time for any file, and for each MiB of it.
const BASE_SECONDS: u64 = 30;
const SECONDS_PER_MIB: u64 = 2;

/// Variables that a child inherits. Others may be secrets, which it does not need.
const INHERITED_VARIABLES: [&str; 4] = ["LD_LIBRARY_PATH", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "TZDIR"];

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Reads Parquet files in children of this program from now on. The program must know [`SUBCOMMAND`].
pub fn start() {
    // On Linux this names the running program even after its file was replaced.
    let own = Path::new("/proc/self/exe");
    let program = if own.exists() { Some(own.to_owned()) } else { std::env::current_exe().ok() };
    if let Some(program) = program {
        // A second start changes nothing.
        let _ = PROGRAM.set(program);
    }
}

/// Returns the program that reads Parquet files, unless this process reads them itself.
pub(super) fn program() -> Option<&'static Path> {
    PROGRAM.get().map(PathBuf::as_path)
}

/// The content of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    /// Rows, see [`ROW_BYTES`].
    Rows = b'R',
    /// The name of the next device; they are numbered from 0.
    Device = b'D',
    /// A [`RefusedRow`].
    Refused = b'X',
    /// The roles that the columns were given.
    Taken = b'T',
    /// The reason the file cannot be read.
    Failed = b'F',
    /// The end of the file, without content.
    End = b'E',
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        [Kind::Rows, Kind::Device, Kind::Refused, Kind::Taken, Kind::Failed, Kind::End]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// An invalid row.
#[derive(Serialize, Deserialize)]
struct RefusedRow {
    row: u64,
    column: Option<u8>,
    expected: String,
    found: String,
    payload: String,
}

/// Returns the bytes of memory allowed for reading a file of this length.
fn memory_limit(length: u64) -> u64 {
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let unpacked = length.saturating_mul(UNPACKED_PER_BYTE).min(MAX_UNPACKED);
    BASE_MEMORY + THREAD_MEMORY * threads + unpacked + length.saturating_mul(LOADED_PER_BYTE)
}

/// A child process that is killed when its value is dropped.
struct Reader(Child);

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads all rows of one Parquet file in a child process.
///
/// # Errors
/// As [`parquet::read`]. A child that breaks off means a damaged file.
pub(super) fn read<S: Sink>(
    program: &Path,
    file: File,
    layout: &Layout,
    calendar: &Calendar,
    into: &mut S,
) -> Result<(), S::Error> {
    parquet::check(&file, into.file())?;
    let name = into.file().to_owned();
    let io = |error| ReadError::io(&name, error);
    let length = file.metadata().map_err(io)?.len();
    let zone = calendar.zone().map(|zone| OsString::from(format!("--zone={}", zone.name())));
    let mut arguments: Vec<OsString> = zone.into_iter().collect();
    if !layout.is_found() {
        let layout = serde_json::to_string(layout).map_err(|error| io(error.into()))?;
        arguments.push(format!("--layout={layout}").into());
    }
    let mut reader = Reader(spawn(program, file, &name, &arguments, Stdio::null()).map_err(io)?);
    let Some(output) = reader.0.stdout.take() else { return Err(io(io::ErrorKind::BrokenPipe.into()).into()) };
    let damaged = || {
        let most = memory_limit(length) >> 20;
        let message = format!("the file is damaged, or takes more than {most} MiB of memory to read");
        ReadError::Parquet { file: name.clone(), message }
    };
    match take(BufReader::with_capacity(1 << 16, output), into)? {
        true => Ok(()),
        false => Err(damaged().into()),
    }
}

/// Starts a child that reads a file. It inherits no secrets.
///
/// # Errors
/// [`io::Error`] when the program cannot be started.
pub(super) fn spawn(
    program: &Path,
    file: File,
    name: &str,
    arguments: &[OsString],
    errors: Stdio,
) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.env_clear().envs(INHERITED_VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    let mut argument = OsString::from("--name=");
    argument.push(name);
    command.arg(SUBCOMMAND).arg(argument).args(arguments);
    command.stdin(file).stdout(Stdio::piped()).stderr(errors).spawn()
}

/// Passes the rows of a child's output to a sink. Returns false when the output breaks off or is invalid.
fn take<S: Sink>(mut output: impl Read, into: &mut S) -> Result<bool, S::Error> {
    let mut devices = Vec::new();
    let mut block = Vec::new();
    loop {
        let mut head = [0; 5];
        if output.read_exact(&mut head).is_err() {
            return Ok(false);
        }
        let [kind, length @ ..] = head;
        let (kind, length) = (Kind::from_byte(kind), u32::from_le_bytes(length));
        block.clear();
        let read = output.by_ref().take(u64::from(length.min(MAX_BLOCK))).read_to_end(&mut block);
        if read.is_err() || block.len() != length as usize {
            return Ok(false);
        }
        match kind {
            Some(Kind::Rows) => {
                let (rows, []) = block.as_chunks::<ROW_BYTES>() else { return Ok(false) };
                for &[t0, t1, t2, t3, t4, t5, t6, t7, rest @ ..] in rows {
                    let time = i64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
                    let rest = u32::from_le_bytes(rest);
                    let Some(&device) = devices.get((rest >> 1) as usize) else { return Ok(false) };
                    into.accept(time, device, rest & 1 == 1)?;
                }
            }
            Some(Kind::Device) => match into.device(&block) {
                Ok(device) => devices.push(device),
                Err(_) => return Ok(false),
            },
            Some(Kind::Refused) => {
                let Ok(refused) = postcard::from_bytes::<RefusedRow>(&block) else { return Ok(false) };
                let RefusedRow { row, column, expected, found, payload } = refused;
                let column = column.and_then(|column| COLUMNS.get(usize::from(column)).copied());
                let problem = Problem { column, expected: expected.into(), found, ..Problem::default() };
                into.refuse(row, problem, || payload)?;
            }
            Some(Kind::Taken) => into.taken(&String::from_utf8_lossy(&block)),
            Some(Kind::Failed) => {
                let message = String::from_utf8_lossy(&block).into_owned();
                return Err(ReadError::Apart { message }.into());
            }
            Some(Kind::End) => return Ok(true),
            None => return Ok(false),
        }
    }
}

/// Reads a Parquet file for the process that started this one, within limits on memory and time.
///
/// # Errors
/// [`io::Error`] when the limits cannot be set, or the output does not take the rows. An error of the file is written
/// to the output.
pub fn decode(file: File, name: &str, layout: &Layout, calendar: &Calendar, output: impl Write) -> io::Result<()> {
    confine(file.metadata()?.len())?;
    let mut sender = Sender {
        file: name.to_owned(),
        output: BufWriter::with_capacity(1 << 16, output),
        rows: Vec::with_capacity(ROW_BYTES * BLOCK_ROWS),
        numbers: HashMap::default(),
    };
    match parquet::read(file, layout, calendar, &mut sender) {
        Ok(()) => {
            sender.flush()?;
            sender.send(Kind::End, &[])?;
        }
        Err(Stop::Io(error)) => return Err(error),
        Err(Stop::Read(error)) => {
            // The message includes the source, because the parent gets nothing else.
            let message = match std::error::Error::source(&error) {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            };
            sender.send(Kind::Failed, message.as_bytes())?;
        }
    }
    sender.output.flush()
}

/// Limits memory and processor time of this process to what a file of this length may take.
///
/// # Errors
/// [`io::Error`] when the limits cannot be set.
pub(super) fn confine(length: u64) -> io::Result<()> {
    limit(Resource::Data, memory_limit(length))?;
    limit(Resource::Cpu, BASE_SECONDS + SECONDS_PER_MIB * (length >> 20))?;
    limit(Resource::Core, 0)?;
    // When memory is short, the kernel kills this process first. The file exists on Linux only.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    Ok(())
}

/// Lowers a limit of this process.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.map_or(most, |allowed| allowed.min(most));
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// Writes rows as blocks.
struct Sender<W: Write> {
    file: String,
    output: BufWriter<W>,
    /// Rows not written yet.
    rows: Vec<u8>,
    /// Numbers by device name, so that a name is checked once and not in every row.
    numbers: HashMap<Box<[u8]>, usize, RandomState>,
}

/// Errors that end the reading.
enum Stop {
    Read(ReadError),
    Io(io::Error),
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        Stop::Read(error)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Io(error)
    }
}

impl<W: Write> Sender<W> {
    fn send(&mut self, kind: Kind, content: &[u8]) -> io::Result<()> {
        let length = u32::try_from(content.len()).map_err(io::Error::other)?;
        self.output.write_all(&[kind as u8])?;
        self.output.write_all(&length.to_le_bytes())?;
        self.output.write_all(content)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        self.send(Kind::Rows, &rows)?;
        self.rows = rows;
        self.rows.clear();
        Ok(())
    }
}

impl<W: Write> Sink for Sender<W> {
    type Error = Stop;

    fn file(&self) -> &str {
        &self.file
    }

    fn device(&mut self, cell: &[u8]) -> Result<usize, Problem> {
        let cell = field::trim(cell);
        if let Some(&number) = self.numbers.get(cell) {
            return Ok(number);
        }
        let name = field::name(cell)?.as_bytes();
        let number = self.numbers.len();
        // A name that cannot be written ends the reading at the next row, which cannot be written either.
        let _ = self.send(Kind::Device, name);
        self.numbers.insert(name.into(), number);
        Ok(number)
    }

    fn accept(&mut self, time: Timestamp, device: usize, motion: bool) -> Result<(), Stop> {
        let device = u32::try_from(device << 1).map_err(io::Error::other)?;
        self.rows.extend(time.to_le_bytes());
        self.rows.extend((device | u32::from(motion)).to_le_bytes());
        if self.rows.len() >= ROW_BYTES * BLOCK_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    fn taken(&mut self, remark: &str) {
        // A remark that cannot be written ends the reading at the next row, which cannot be written either.
        let _ = self.send(Kind::Taken, remark.as_bytes());
    }

    fn refuse(&mut self, row: u64, problem: Problem, payload: impl FnOnce() -> String) -> Result<(), Stop> {
        self.flush()?;
        let Problem { column, expected, found, .. } = problem;
        let column = column.and_then(|name| COLUMNS.iter().position(|known| *known == name)).map(|at| at as u8);
        let refused = RefusedRow { row, column, expected: expected.into_owned(), found, payload: payload() };
        let bytes = postcard::to_stdvec(&refused).map_err(io::Error::other)?;
        Ok(self.send(Kind::Refused, &bytes)?)
    }
}
