//! Output files: written beside the target and then renamed, or to standard output for `-`.

use std::fs::File;
#[cfg(unix)]
use std::fs::Permissions;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

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

/// Writes `bytes` to `target` by a temporary file beside it, which is synced and renamed. Writes to standard output for
/// `-`. A reader of it that has gone away is no error.
///
/// # Errors
/// Returns an error when the file cannot be written. An earlier file is untouched then.
pub fn write(target: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if target == Path::new("-") {
        return match std::io::stdout().lock().write_all(bytes).and_then(|()| std::io::stdout().flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            other => other.context("cannot write to standard output"),
        };
    }
    if let Ok(meta) = target.metadata()
        && !meta.is_file()
    {
        // A device or pipe cannot be replaced by renaming.
        return std::fs::write(target, bytes).with_context(|| format!("cannot write {}", target.display()));
    }
    replace(target, bytes).with_context(|| format!("cannot write {}", target.display()))
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

/// Creates a temporary file beside a target that it will replace. It is as readable as the file that is there, or as a
/// usual file.
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

/// Returns the directory of a file.
pub fn parent(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}
