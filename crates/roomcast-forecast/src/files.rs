//! Output files: written beside the target and then renamed, or to standard output for `-`.

use std::fs::File;
#[cfg(unix)]
use std::fs::Permissions;
use std::io::{self, ErrorKind, Stdout, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tempfile::{Builder, NamedTempFile};

/// Checks that a file can be written, so that the command fails before minutes of training, not after.
///
/// # Errors
/// Returns an error when the target is a directory, or its directory is missing.
pub fn check(target: &Path) -> anyhow::Result<()> {
    if target == Path::new("-") {
        return Ok(());
    }
    if target.is_dir() {
        bail!("cannot write {}: it is a directory", target.display());
    }
    let parent = parent(target);
    if !parent.is_dir() {
        bail!("cannot write {}: there is no directory {}", target.display(), parent.display());
    }
    Ok(())
}

/// Writes `bytes` to `target` as an [`Output`]. A reader that has closed standard output is not an error.
///
/// # Errors
/// Returns an error when the file cannot be written. An earlier file is untouched then.
pub fn write(target: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut output = Output::create(target)?;
    match output.write_all(bytes) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe && target == Path::new("-") => Ok(()),
        written => written.with_context(|| format!("cannot write {}", output.name)).and_then(|()| output.finish()),
    }
}

/// A file that replaces an earlier one of its name when it is whole. `-` is standard output. Devices and pipes, which
/// renaming cannot replace, are written in place.
pub struct Output {
    /// Name for messages.
    pub name: String,
    sink: Sink,
}

enum Sink {
    Stdout(Stdout),
    Device(File),
    Replacement { file: NamedTempFile, target: PathBuf },
}

impl Output {
    /// Opens an output.
    ///
    /// # Errors
    /// Returns an error when the file cannot be created.
    pub fn create(target: &Path) -> anyhow::Result<Output> {
        if target == Path::new("-") {
            return Ok(Output { name: "standard output".into(), sink: Sink::Stdout(io::stdout()) });
        }
        check(target)?;
        let name = target.display().to_string();
        // A link stays as it is, and the file it points to is replaced.
        let target = target.canonicalize().unwrap_or_else(|_| target.to_owned());
        let sink = if target.exists() && !target.is_file() {
            File::options().write(true).open(&target).map(Sink::Device)
        } else {
            create_beside(&target).map(|file| Sink::Replacement { file, target })
        };
        Ok(Output { sink: sink.with_context(|| format!("cannot write {name}"))?, name })
    }

    /// Ends the output: makes a file visible under its name.
    ///
    /// # Errors
    /// Returns an error when the last bytes cannot be written or the file cannot be renamed.
    pub fn finish(self) -> anyhow::Result<()> {
        let done = match self.sink {
            Sink::Stdout(mut out) => out.flush().or_else(|error| match error.kind() {
                ErrorKind::BrokenPipe => Ok(()),
                _ => Err(error),
            }),
            Sink::Device(_) => Ok(()),
            Sink::Replacement { file, target } => persist(file, &target),
        };
        done.with_context(|| format!("cannot write {}", self.name))
    }

    fn sink(&mut self) -> &mut dyn Write {
        match &mut self.sink {
            Sink::Stdout(out) => out,
            Sink::Device(file) => file,
            Sink::Replacement { file, .. } => file,
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink().flush()
    }
}

/// Replaces a file atomically: after a crash either the old or the new file is there. The new name is on the disk once
/// the directory is: see [`sync_directory`].
///
/// # Errors
/// Returns the error of the operating system. An earlier file is untouched then.
pub fn replace(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create_beside(target)?;
    file.write_all(bytes)?;
    persist(file, target)
}

/// Creates a temporary file next to the target that it will replace. Its permissions are those of the existing file, or
/// the usual ones.
///
/// # Errors
/// Returns the error of the operating system.
pub fn create_beside(target: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".roomcast-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Without this, temporary files are private to their owner.
        builder.permissions(Permissions::from_mode(0o666));
    }
    let file = builder.tempfile_in(parent(target))?;
    if let Ok(meta) = target.metadata() {
        file.as_file().set_permissions(meta.permissions())?;
    }
    Ok(file)
}

/// Syncs a temporary file to the disk and renames it to its target.
///
/// # Errors
/// Returns the error of the operating system. An earlier file is untouched then.
pub fn persist(file: NamedTempFile, target: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(target)?;
    Ok(())
}

/// Syncs the names in a directory to the disk.
///
/// # Errors
/// Returns the error of the operating system.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Returns whether a file is Parquet by its name.
pub fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"))
}

/// Returns the directory of a file.
pub fn parent(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_output_that_is_not_finished_leaves_the_old_file() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("forecast.csv");
        fs::write(&target, "old").unwrap();
        let mut output = Output::create(&target).unwrap();
        output.write_all(b"new").unwrap();
        drop(output);
        assert_eq!(fs::read_to_string(&target).unwrap(), "old");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        write(&target, b"new").unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_the_file_it_points_to_keeps_its_mode() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        write(&link, b"new").unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_is_written_in_place_and_a_full_one_is_an_error() {
        write(Path::new("/dev/null"), b"new").unwrap();
        assert!(write(Path::new("/dev/full"), b"new").unwrap_err().to_string().contains("cannot write /dev/full"));
        assert!(write(Path::new("/nowhere/forecast.csv"), b"").unwrap_err().to_string().contains("no directory"));
    }
}
