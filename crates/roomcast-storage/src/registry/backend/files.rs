//! Files that are whole or absent: bounded reads, synced writes, renames, and the writers' lock.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::{Builder, TempDir};

use super::super::error::{Damage, RegistryError};
use roomcast_forecast::files;

/// The prefix of the names of unfinished directories.
const STAGING_PREFIX: &str = ".staging-";

/// Returns the bytes of a file of at most `limit` bytes.
///
/// # Errors
/// Returns [`RegistryError::Damaged`] when the file is missing or longer. The length is checked before the content is
/// read.
pub fn read_at_most(path: &Path, limit: u64) -> Result<Vec<u8>, RegistryError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(RegistryError::damaged(path, Damage::Missing));
        }
        file => file.map_err(RegistryError::io(path, "open"))?,
    };
    let found = file.metadata().map_err(RegistryError::io(path, "read"))?.len();
    if found > limit {
        return Err(RegistryError::damaged(path, Damage::Length { found, expected: limit }));
    }
    let mut bytes = Vec::with_capacity(found as usize);
    file.take(limit).read_to_end(&mut bytes).map_err(RegistryError::io(path, "read"))?;
    Ok(bytes)
}

/// Writes a new file and syncs it to the disk.
///
/// # Errors
/// Returns [`RegistryError::Io`] when the operating system refuses.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), RegistryError> {
    let write = || -> std::io::Result<()> {
        let mut file = File::create_new(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(RegistryError::io(path, "write"))
}

/// Replaces a file atomically: after a crash either the old or the new file is there.
///
/// # Errors
/// Returns [`RegistryError::Io`] when the file cannot be written. The old file is kept then.
pub fn replace(root: &Path, name: &str, bytes: &[u8]) -> Result<(), RegistryError> {
    let path = root.join(name);
    files::replace(&path, bytes).map_err(RegistryError::io(&path, "write"))?;
    sync(root)
}

/// Syncs the names in a directory to the disk.
///
/// # Errors
/// Returns [`RegistryError::Io`] when the operating system refuses.
pub fn sync(directory: &Path) -> Result<(), RegistryError> {
    files::sync_directory(directory).map_err(RegistryError::io(directory, "sync"))
}

/// Creates the registry's directory and its parents if they are missing.
///
/// # Errors
/// Returns [`RegistryError::Io`] when the operating system refuses.
pub fn create_root(root: &Path) -> Result<(), RegistryError> {
    let is_missing = |path: &&Path| *path != Path::new("") && !path.is_dir();
    let missing: Vec<&Path> = root.ancestors().take_while(is_missing).collect();
    fs::create_dir_all(root).map_err(RegistryError::io(root, "create"))?;
    missing.into_iter().try_for_each(|made| match made.parent() {
        Some(parent) if parent != Path::new("") => sync(parent),
        _ => sync(Path::new(".")),
    })
}

/// Creates a directory for unfinished files. It is removed when the value is dropped.
///
/// # Errors
/// Returns [`RegistryError::Io`] when the operating system refuses.
pub fn staging(root: &Path) -> Result<TempDir, RegistryError> {
    // Temporary directories are private to their owner. This one becomes a version.
    let staging = Builder::new().prefix(STAGING_PREFIX).permissions(Permissions::from_mode(0o777)).tempdir_in(root);
    staging.map_err(RegistryError::io(root, "write to"))
}

/// Renames within a registry. The new name must be free.
///
/// # Errors
/// Returns [`RegistryError::Io`] when the operating system refuses.
pub fn rename(from: &Path, to: &Path) -> Result<(), RegistryError> {
    fs::rename(from, to).map_err(RegistryError::io(to, "create"))
}

/// Locks a file of the registry against other processes and threads. Waits for the lock, or returns `None` when another
/// holds it and `waits` is false. The lock ends with the file or the process. On a file system without locks there is
/// no file. Every step is safe without a lock, except the removal of files that others may still be writing.
///
/// # Errors
/// Returns [`RegistryError::Io`] when the registry cannot be written to.
pub fn lock(root: &Path, name: &str, waits: bool) -> Result<Option<Option<File>>, RegistryError> {
    let path = root.join(name);
    let open = File::options().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(RegistryError::io(&path, "write"))?;
    match if waits { file.lock().map_err(TryLockError::Error) } else { file.try_lock() } {
        Ok(()) => Ok(Some(Some(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(Some(None)),
        Err(TryLockError::Error(error)) => Err(RegistryError::io(&path, "lock")(error)),
    }
}

/// Removes the files left by saves that crashed. The caller must hold the lock.
///
/// # Errors
/// Returns [`RegistryError::Io`] when the operating system refuses.
pub fn clear_staging(root: &Path) -> Result<(), RegistryError> {
    for entry in fs::read_dir(root).map_err(RegistryError::io(root, "list"))? {
        let path = entry.map_err(RegistryError::io(root, "list"))?.path();
        if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(STAGING_PREFIX)) {
            continue;
        }
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(RegistryError::io(&path, "remove"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_lets_one_in_and_ends_with_its_value() {
        let place = tempfile::tempdir().unwrap();
        let held = lock(place.path(), ".lock", true).unwrap().unwrap().unwrap();
        let other = std::fs::File::open(place.path().join(".lock")).unwrap();
        assert!(other.try_lock().is_err());
        drop(held);
        assert!(other.try_lock().is_ok());
    }
}
