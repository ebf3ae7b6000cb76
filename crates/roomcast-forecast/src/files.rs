//! Output files: written beside the target and then renamed, or to standard output for `-`.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tempfile::NamedTempFile;

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

/// Writes `bytes` to `target` as an [`Output`]. A reader of standard output that has gone away is no error.
///
/// # Errors
/// Returns an error when the file cannot be written. An earlier file is untouched then.
pub fn write(target: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut output = Output::create(target)?;
    match output.write_all(bytes).and_then(|()| output.flush()) {
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
    Stdout(io::Stdout),
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
        let open = || -> io::Result<Sink> {
            // A link stays as it is, and the file it points to is replaced.
            let target = target.canonicalize().unwrap_or_else(|_| target.to_owned());
            if target.exists() && !target.is_file() {
                return Ok(Sink::Device(File::options().write(true).open(&target)?));
            }
            let file = tempfile::Builder::new().prefix(".roomcast-").tempfile_in(parent(&target))?;
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                // Temporary files are private. An output is as readable as the file it replaces, or as a usual file.
                let mode = target.metadata().map_or(0o644, |meta| meta.permissions().mode() & 0o777);
                file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
            }
            Ok(Sink::Replacement { file, target })
        };
        let sink = open().with_context(|| format!("cannot write {name}"))?;
        Ok(Output { name, sink })
    }

    /// Makes the output visible under its name.
    ///
    /// # Errors
    /// Returns an error when the file cannot be synced or renamed.
    pub fn finish(self) -> anyhow::Result<()> {
        let Sink::Replacement { file, target } = self.sink else { return Ok(()) };
        let save = || file.as_file().sync_all().and_then(|()| Ok(file.persist(target).map(drop)?));
        save().with_context(|| format!("cannot write {}", self.name))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            Sink::Stdout(out) => out.write(bytes),
            Sink::Device(file) => file.write(bytes),
            Sink::Replacement { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Stdout(out) => out.flush(),
            Sink::Device(file) => file.flush(),
            Sink::Replacement { file, .. } => file.flush(),
        }
    }
}

fn parent(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("readings.csv");
        std::fs::write(&target, "old").unwrap();
        let mut output = Output::create(&target).unwrap();
        output.write_all(b"half of the n").unwrap();
        drop(output);
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "old");
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
