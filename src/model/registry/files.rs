//! Files that are whole or not there: bounded reads, synced writes, renames, the writers' lock.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::{Builder, TempDir};

use super::error::{Damage, RegistryError};

/// What the names of unfinished files and directories begin with.
pub const STAGING: &str = ".staging-";

/// What the names of files begin with that are about to replace others. Not cleared away: whoever writes what is kept beside the
/// models holds no lock.
const REPLACING: &str = ".roomcast-";

/// Writers hold a lock on this file.
const LOCK: &str = ".lock";

/// The bytes of a file, which has at most `limit`.
///
/// # Errors
/// [`RegistryError::Damaged`] when it is missing or longer, before anything is read.
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

/// Writes a new file down to the disk.
///
/// # Errors
/// [`RegistryError::Io`].
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), RegistryError> {
    let write = || -> std::io::Result<()> {
        let mut file = File::create_new(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(RegistryError::io(path, "write"))
}

/// Puts a file in the place of another, at once: after a crash there is the one or the other.
///
/// # Errors
/// [`RegistryError::Io`]; the old file stands then.
pub fn replace(root: &Path, name: &str, bytes: &[u8]) -> Result<(), RegistryError> {
    let path = root.join(name);
    let write = || -> std::io::Result<()> {
        // Temporary files are their owner's alone; this one is as readable as others here.
        let mode = Permissions::from_mode(0o666);
        let mut file = Builder::new().prefix(REPLACING).permissions(mode).tempfile_in(root)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        Ok(())
    };
    write().map_err(RegistryError::io(&path, "write"))?;
    sync(root)
}

/// Makes sure that the names in a directory are on the disk.
///
/// # Errors
/// [`RegistryError::Io`].
pub fn sync(directory: &Path) -> Result<(), RegistryError> {
    File::open(directory).and_then(|d| d.sync_all()).map_err(RegistryError::io(directory, "sync"))
}

/// Makes the registry's directory, and those above it, if they are not there.
///
/// # Errors
/// [`RegistryError::Io`].
pub fn create_root(root: &Path) -> Result<(), RegistryError> {
    let is_missing = |path: &&Path| *path != Path::new("") && !path.is_dir();
    let missing: Vec<&Path> = root.ancestors().take_while(is_missing).collect();
    fs::create_dir_all(root).map_err(RegistryError::io(root, "create"))?;
    missing.into_iter().try_for_each(|made| match made.parent() {
        Some(parent) if parent != Path::new("") => sync(parent),
        _ => sync(Path::new(".")),
    })
}

/// A new directory for something unfinished, removed again when the value is dropped.
///
/// # Errors
/// [`RegistryError::Io`].
pub fn staging(root: &Path) -> Result<TempDir, RegistryError> {
    let mode = Permissions::from_mode(0o777);
    Builder::new().prefix(STAGING).permissions(mode).tempdir_in(root).map_err(RegistryError::io(root, "write to"))
}

/// Renames within a registry; the new name must not be taken.
///
/// # Errors
/// [`RegistryError::Io`].
pub fn rename(from: &Path, to: &Path) -> Result<(), RegistryError> {
    fs::rename(from, to).map_err(RegistryError::io(to, "create"))
}

/// Waits until no other process or thread changes the registry. The lock ends with the value, or with the
/// process. None on a file system without locks: every step is safe without one, except
/// to clear away what others may still be writing.
///
/// # Errors
/// [`RegistryError::Io`] when the registry cannot be written to.
pub fn lock(root: &Path) -> Result<Option<File>, RegistryError> {
    let path = root.join(LOCK);
    let open = File::options().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(RegistryError::io(&path, "write"))?;
    match file.lock() {
        Ok(()) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
        Err(error) => Err(RegistryError::io(&path, "lock")(error)),
    }
}

/// A lock on a file of the registry if nobody else has it. The lock ends with the value, or with the process; on a
/// file system without locks it is one of nothing.
///
/// # Errors
/// [`RegistryError::Io`] when the registry cannot be written to.
pub fn try_lock(root: &Path, name: &str) -> Result<Option<Option<File>>, RegistryError> {
    let path = root.join(name);
    let open = File::options().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(RegistryError::io(&path, "write"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Some(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(Some(None)),
        Err(TryLockError::Error(error)) => Err(RegistryError::io(&path, "lock")(error)),
    }
}

/// Removes what saves that crashed left behind. Only for the holder of the lock.
///
/// # Errors
/// [`RegistryError::Io`].
pub fn clear_staging(root: &Path) -> Result<(), RegistryError> {
    for entry in fs::read_dir(root).map_err(RegistryError::io(root, "list"))? {
        let path = entry.map_err(RegistryError::io(root, "list"))?.path();
        if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(STAGING)) {
            continue;
        }
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(RegistryError::io(&path, "remove"))?;
    }
    Ok(())
}
