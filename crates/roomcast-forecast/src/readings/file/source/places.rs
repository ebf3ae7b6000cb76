//! The files of a directory.

use std::path::{Path, PathBuf};

use crate::readings::file::error::ReadError;

/// Endings of files of readings.
const ENDINGS: [&str; 7] = [".csv", ".tsv", ".txt", ".parquet", ".gz", ".zst", ".xlsx"];

/// Replaces each directory by the files of readings in it, in order of name. Hidden files, other files and directories in
/// a directory are left out.
///
/// # Errors
/// [`ReadError`] for a directory that cannot be read or has no files of readings.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, ReadError> {
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        if path.is_dir() {
            files.extend(inside(path)?);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn inside(directory: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let name = directory.to_string_lossy();
    let failed = |error| ReadError::io(&name, error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if !file.starts_with('.') && ENDINGS.iter().any(|end| file.ends_with(end)) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() { Err(ReadError::Directory { file: name.into_owned() }) } else { Ok(files) }
}
