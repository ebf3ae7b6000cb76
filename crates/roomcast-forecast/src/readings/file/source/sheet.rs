//! Excel workbooks: the first sheet with content, as CSV text.
//!
//! A workbook is a ZIP archive, and its reader keeps all texts of the workbook in memory. A small file can unpack to more
//! memory than there is. A program that has called [`apart::start`] therefore reads it in a child process with limits, as
//! it reads Parquet. The child writes the text to its standard output, a line for each row of the sheet.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Cursor, Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Stdio};

use calamine::{Cell, DataRef, ExcelDateTime, Reader as _, SheetType, SheetVisible, Xlsx, XlsxError};

use crate::readings::file::apart;
use crate::readings::file::error::ReadError;

/// Rows and columns of the largest sheet that Excel makes.
const MAX_ROWS: u32 = 1 << 20;
const MAX_COLUMNS: u32 = 1 << 14;

/// Most bytes of a workbook, and of the text of a sheet that is read in this process.
const MAX_BYTES: u64 = 512 << 20;

/// Most bytes of a child's message.
const MAX_MESSAGE: u64 = 4096;

/// A sheet's text, and the process that writes it.
pub struct Sheet {
    file: String,
    child: Option<Child>,
    text: Box<dyn Read>,
}

impl Sheet {
    /// Opens the workbook that a source holds.
    ///
    /// # Errors
    /// [`ReadError`] for a source that cannot be read or is too large, and for a file that is no workbook.
    pub fn open(source: impl Read, file: &str) -> Result<Self, ReadError> {
        let failed = |error| ReadError::io(file, error);
        // The reader jumps within the file, which a pipe does not allow.
        let mut copy = tempfile::tempfile().map_err(failed)?;
        if io::copy(&mut source.take(MAX_BYTES + 1), &mut copy).map_err(failed)? > MAX_BYTES {
            return Err(damaged(file, format!("it is larger than {} MiB", MAX_BYTES >> 20)));
        }
        copy.seek(SeekFrom::Start(0)).map_err(failed)?;
        if let Some(program) = apart::program() {
            let mut child = apart::spawn(program, copy, file, &["--sheet".into()], Stdio::piped()).map_err(failed)?;
            let Some(output) = child.stdout.take() else { return Err(failed(io::ErrorKind::BrokenPipe.into())) };
            return Ok(Self { file: file.to_owned(), child: Some(child), text: Box::new(output) });
        }
        let mut text = Limited(Vec::new());
        write(copy, &mut text).map_err(|message| damaged(file, message))?;
        Ok(Self { file: file.to_owned(), child: None, text: Box::new(Cursor::new(text.0)) })
    }

    /// Returns the text.
    pub fn text(&mut self) -> impl Read + '_ {
        &mut self.text
    }

    /// Waits for the end of the text.
    ///
    /// # Errors
    /// [`ReadError`] when the text broke off: the workbook is damaged or took too much memory.
    pub fn finish(mut self) -> Result<(), ReadError> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let failed = |error| ReadError::io(&self.file, error);
        io::copy(&mut self.text, &mut io::sink()).map_err(failed)?;
        let mut message = String::new();
        if let Some(errors) = child.stderr.take() {
            let _ = errors.take(MAX_MESSAGE).read_to_string(&mut message);
        }
        if child.wait().map_err(failed)?.success() {
            return Ok(());
        }
        let message = message.lines().find_map(|line| line.strip_prefix(MESSAGE));
        Err(damaged(&self.file, message.unwrap_or("it is damaged, or takes too much memory to read").to_owned()))
    }
}

impl Drop for Sheet {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The beginning of the line in which a child says why it failed.
const MESSAGE: &str = "workbook: ";

fn damaged(file: &str, message: String) -> ReadError {
    ReadError::Workbook { file: file.to_owned(), message }
}

/// Reads a workbook for the process that started this one, within limits on memory and time. Returns false after it has
/// written why it cannot be read.
///
/// # Errors
/// [`io::Error`] when the limits cannot be set.
pub fn decode(file: File, output: impl Write, mut errors: impl Write) -> io::Result<bool> {
    apart::confine(file.metadata()?.len())?;
    match write(file, output) {
        Ok(()) => Ok(true),
        Err(message) => {
            let line = message.replace('\n', " ");
            writeln!(errors, "{MESSAGE}{line}")?;
            Ok(false)
        }
    }
}

/// Writes the first sheet with content as CSV. Returns the reason why it cannot be read.
fn write(file: File, output: impl Write) -> Result<(), String> {
    let mut output = BufWriter::with_capacity(1 << 16, output);
    let written = catch_unwind(AssertUnwindSafe(|| {
        let mut book: Xlsx<_> = Xlsx::new(BufReader::new(file)).map_err(|error: XlsxError| error.to_string())?;
        let sheets = book.sheets_metadata().iter();
        let sheets = sheets.filter(|sheet| sheet.typ == SheetType::WorkSheet && sheet.visible == SheetVisible::Visible);
        let names: Vec<String> = sheets.map(|sheet| sheet.name.clone()).collect();
        for name in names {
            if rows(&mut book, &name, &mut output)? {
                break;
            }
        }
        output.flush().map_err(|error| error.to_string())
    }));
    written.unwrap_or_else(|_| Err("it is damaged".to_owned()))
}

/// Writes the rows of a sheet. Returns whether it has any.
fn rows<R: Read + Seek>(book: &mut Xlsx<R>, name: &str, output: &mut impl Write) -> Result<bool, String> {
    let told = |error: XlsxError| error.to_string();
    let mut cells = book.worksheet_cells_reader(name).map_err(told)?;
    let mut row = Row::default();
    while let Some(cell) = cells.next_cell().map_err(told)? {
        let (at, column) = cell.get_position();
        if at >= MAX_ROWS || column >= MAX_COLUMNS || at < row.number {
            return Err(format!("cell {}:{} is out of place", at + 1, column + 1));
        }
        row.advance(at, output).map_err(|error| error.to_string())?;
        let text = text(&cell);
        if !text.is_empty() {
            row.cells.resize(row.cells.len().max(column as usize + 1), String::new());
            row.cells[column as usize] = text;
        }
    }
    row.advance(row.number + 1, output).map_err(|error| error.to_string())?;
    Ok(row.width > 0)
}

/// The row that is being put together.
#[derive(Default)]
struct Row {
    number: u32,
    cells: Vec<String>,
    /// Cells of the first row with content: shorter rows are filled up to it.
    width: usize,
}

impl Row {
    /// Ends this row and those up to another. A blank row is a blank line, so that lines are rows.
    fn advance(&mut self, to: u32, output: &mut impl Write) -> io::Result<()> {
        while self.number < to {
            if !self.cells.is_empty() {
                self.width = if self.width == 0 { self.cells.len() } else { self.width };
                self.cells.resize(self.cells.len().max(self.width), String::new());
                for (at, cell) in self.cells.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    if cell.contains([',', '"']) || (self.cells.len() == 1 && cell.is_empty()) {
                        write!(output, "{comma}\"{}\"", cell.replace('"', "\"\""))?;
                    } else {
                        write!(output, "{comma}{cell}")?;
                    }
                }
                self.cells.clear();
            }
            writeln!(output)?;
            self.number += 1;
        }
        Ok(())
    }
}

/// Returns a cell as it would stand in a CSV file, on one line.
fn text(cell: &Cell<DataRef<'_>>) -> String {
    match cell.get_value() {
        DataRef::Empty => String::new(),
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => number.to_string(),
        DataRef::Bool(value) => value.to_string(),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => line(text),
        DataRef::SharedString(text) => line(text),
        DataRef::DateTime(time) => date(time),
        DataRef::Error(error) => error.to_string(),
    }
}

fn line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

/// Returns a date and time, or the time alone of a cell without a date.
fn date(time: &ExcelDateTime) -> String {
    let (year, month, day, hour, minute, second, milli) = time.to_ymd_hms_milli();
    let fraction = if milli == 0 { String::new() } else { format!(".{milli:03}") };
    let clock = format!("{hour:02}:{minute:02}:{second:02}{fraction}");
    if time.as_f64() < 1.0 { clock } else { format!("{year:04}-{month:02}-{day:02} {clock}") }
}

/// Memory that may not grow beyond [`MAX_BYTES`].
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.0.len() + bytes.len()) as u64 > MAX_BYTES {
            return Err(io::Error::other(format!("its text is longer than {} MiB", MAX_BYTES >> 20)));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
