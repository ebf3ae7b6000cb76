//! Output files: written beside the target and then renamed, or to standard output for `-`.

use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, bail};

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
    let save = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".roomcast-").tempfile_in(parent(target))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // Temporary files are private. A forecast is as readable as the file it replaces, or as a usual file.
            let mode = target.metadata().map_or(0o644, |meta| meta.permissions().mode() & 0o777);
            file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
        }
        file.persist(target)?;
        Ok(())
    };
    save().with_context(|| format!("cannot write {}", target.display()))
}

fn parent(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}
