//! The disk as a file system of SQLite (VFS).
//!
//! SQLite calls these functions from the threads of its connections. Each process registers a file system of its own, so
//! the disk knows which process an operation is of.

mod file;

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use libsqlite3_sys::*;

use self::file::{File, Handle, METHODS};
use super::fuse::{Effect, Operation};
use super::{Process, State};

/// The code of an operation on a file that is not there.
pub const NO_SUCH_FILE: c_int = SQLITE_CANTOPEN;

/// Names of file systems, and numbers of handles, which are never given twice.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Milliseconds from the beginning of the Julian calendar to 1970.
const JULIAN_MILLISECONDS: i64 = 210_866_760_000_000;

/// A registered file system.
pub struct FileSystem {
    vfs: *mut sqlite3_vfs,
    name: CString,
}

// SAFETY: the pointer is only given to SQLite, which locks its list of file systems.
unsafe impl Send for FileSystem {}
// SAFETY: as above.
unsafe impl Sync for FileSystem {}

impl FileSystem {
    /// Registers the disk for a process.
    ///
    /// # Panics
    /// When SQLite has no memory.
    pub fn register(process: &Arc<Process>) -> FileSystem {
        let name = CString::new(format!("faults-{}", NEXT.fetch_add(1, SeqCst))).expect("no NUL is in it");
        // SAFETY: all fields may be zero, which means absent.
        let mut vfs: Box<sqlite3_vfs> = Box::new(unsafe { std::mem::zeroed() });
        vfs.iVersion = 2;
        vfs.szOsFile = size_of::<File>() as c_int;
        vfs.mxPathname = 512;
        vfs.zName = name.as_ptr();
        vfs.pAppData = Arc::into_raw(process.clone()).cast_mut().cast();
        vfs.xOpen = Some(open);
        vfs.xDelete = Some(delete);
        vfs.xAccess = Some(access);
        vfs.xFullPathname = Some(full_pathname);
        vfs.xRandomness = Some(randomness);
        vfs.xSleep = Some(sleep);
        vfs.xCurrentTime = Some(current_time);
        vfs.xCurrentTimeInt64 = Some(current_milliseconds);
        vfs.xGetLastError = Some(last_error);
        let vfs = Box::into_raw(vfs);
        // SAFETY: the structure and its name live until they are unregistered.
        assert_eq!(unsafe { sqlite3_vfs_register(vfs, 0) }, SQLITE_OK);
        FileSystem { vfs, name }
    }

    /// Returns the name by which SQLite knows it.
    pub fn name(&self) -> String {
        self.name.to_string_lossy().into_owned()
    }
}

impl Drop for FileSystem {
    fn drop(&mut self) {
        // SAFETY: all connections of the process are closed, so nothing else points here.
        unsafe {
            sqlite3_vfs_unregister(self.vfs);
            let vfs = Box::from_raw(self.vfs);
            let process: Arc<Process> = Arc::from_raw(vfs.pAppData.cast::<Process>());
            debug_assert_eq!(process.handles(), 0, "a file of a process that has ended is open");
        }
    }
}

/// Does an operation, unless the process is dead or a fault comes first. `partly` is what a failing operation does all
/// the same.
fn operate<T>(
    process: &Process,
    operation: Operation,
    name: &str,
    act: impl FnOnce(&mut State) -> Result<T, c_int>,
    partly: impl FnOnce(&mut State),
) -> Result<T, c_int> {
    let failed = failure(operation);
    process.wait_for_turn();
    if !process.is_alive() {
        return Err(failed);
    }
    let disk = &process.disk;
    let mut state = disk.state();
    state.counts.operations += 1;
    let (mut fault, mut is_after) = (None, false);
    if !state.is_quiet {
        for fuse in &mut state.fuses {
            if let Some(effect) = fuse.burn(process.number, operation, name) {
                (fault, is_after) = (Some(effect), fuse.is_after);
            }
        }
        state.fuses.retain(|fuse| !fuse.is_spent());
    }
    let result = match fault {
        None => act(&mut state),
        Some(Effect::Fail(_)) => {
            state.counts.errors += 1;
            partly(&mut state);
            Err(failed)
        }
        Some(Effect::Kill | Effect::LosePower) => {
            if is_after {
                let _ = act(&mut state);
            }
            Err(failed)
        }
    };
    let code = result.as_ref().err().copied().unwrap_or(SQLITE_OK);
    let file = name.bytes().fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
    disk.world.trace(|trace| trace.step(&[u64::from(process.number), operation as u64, file, code as u64]));
    if let Some(fault) = fault {
        let order = if is_after { "after" } else { "at" };
        disk.world.note(format!("process {}: {fault:?} {order} {operation:?} of {name}", process.number));
        match fault {
            Effect::Fail(_) => {}
            Effect::Kill => {
                process.kill();
                state.fuses.retain(|fuse| fuse.process != Some(process.number));
            }
            Effect::LosePower => {
                state.fuses.clear();
                disk.switch_off();
            }
        }
    }
    result
}

/// Returns the code of a failed operation.
fn failure(operation: Operation) -> c_int {
    match operation {
        Operation::Open => SQLITE_CANTOPEN,
        Operation::Read => SQLITE_IOERR_READ,
        Operation::Write => SQLITE_IOERR_WRITE,
        Operation::Truncate => SQLITE_IOERR_TRUNCATE,
        Operation::Sync => SQLITE_IOERR_FSYNC,
        Operation::Remove => SQLITE_IOERR_DELETE,
        Operation::Share => SQLITE_IOERR_SHMMAP,
        Operation::Lock => SQLITE_IOERR_SHMLOCK,
    }
}

fn is_log(name: &str) -> bool {
    name.ends_with("-wal")
}

/// Makes the names in the directory durable.
fn sync_names(state: &mut State) {
    state.removed.clear();
    state.files.values_mut().for_each(|node| node.is_linked = true);
}

/// Syncs a file.
pub fn sync(process: &Process, name: &str) -> Result<(), c_int> {
    let act = |state: &mut State| {
        let (lies, Some(node)) = (state.lies, state.files.get_mut(name)) else { return Err(NO_SUCH_FILE) };
        let is_database = name.ends_with(".db");
        if (lies.skips_log_sync && is_log(name)) || (lies.skips_database_sync && is_database) {
            return Ok(());
        }
        node.content.sync();
        // SQLite syncs the directory with a new log or journal, not with a new database.
        if !is_database && !node.is_linked {
            sync_names(state);
        }
        Ok(())
    };
    operate(process, Operation::Sync, name, act, |_| {})
}

fn code(result: Result<(), c_int>) -> c_int {
    result.err().unwrap_or(SQLITE_OK)
}

/// Returns the process of a file system.
///
/// # Safety
/// The file system must be one of [`FileSystem::register`].
unsafe fn process(vfs: *mut sqlite3_vfs) -> Arc<Process> {
    // SAFETY: `pAppData` holds one count of the process as long as the file system is registered.
    unsafe {
        let process: *const Process = (*vfs).pAppData.cast();
        Arc::increment_strong_count(process);
        Arc::from_raw(process)
    }
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives room for a `File`, and a name that ends with NUL or none.
    unsafe {
        (*file).pMethods = ptr::null();
        let process = process(vfs);
        let number = NEXT.fetch_add(1, SeqCst);
        let name = match name.is_null() {
            true => format!("temporary-{number}"),
            false => CStr::from_ptr(name).to_string_lossy().into_owned(),
        };
        let act = |state: &mut State| {
            if !state.files.contains_key(&name) {
                if flags & SQLITE_OPEN_CREATE == 0 {
                    return Err(NO_SUCH_FILE);
                }
                state.files.insert(name.clone(), super::Node::default());
            }
            Ok(())
        };
        if let Err(code) = operate(&process, Operation::Open, &name, act, |_| {}) {
            return code;
        }
        let is_database = flags & SQLITE_OPEN_MAIN_DB != 0;
        process.handles.fetch_add(1, SeqCst);
        if is_database {
            process.connections.fetch_add(1, SeqCst);
        }
        if !out_flags.is_null() {
            *out_flags = flags;
        }
        (*file.cast::<File>()).handle = Box::into_raw(Box::new(Handle { process, name, number, is_database }));
        (*file).pMethods = &raw const METHODS;
    }
    SQLITE_OK
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, syncs: c_int) -> c_int {
    // SAFETY: SQLite gives a name that ends with NUL.
    let (process, name) = unsafe { (process(vfs), CStr::from_ptr(name).to_string_lossy()) };
    let act = |state: &mut State| {
        let Some(node) = state.files.remove(&*name) else { return Err(SQLITE_IOERR_DELETE_NOENT) };
        if node.is_linked {
            state.removed.insert(name.clone().into_owned(), node.content);
        }
        if syncs != 0 {
            sync_names(state);
        }
        Ok(())
    };
    code(operate(&process, Operation::Remove, &name, act, |_| {}))
}

unsafe extern "C" fn access(vfs: *mut sqlite3_vfs, name: *const c_char, flags: c_int, found: *mut c_int) -> c_int {
    // SAFETY: SQLite gives a name that ends with NUL, and room for the answer.
    unsafe {
        let name = CStr::from_ptr(name).to_string_lossy();
        let process = process(vfs);
        let state = process.disk.state();
        let node = state.files.get(&*name);
        *found = c_int::from(match flags {
            SQLITE_ACCESS_EXISTS => node.is_some_and(|node| node.content.len() > 0),
            _ => node.is_some(),
        });
    }
    SQLITE_OK
}

unsafe extern "C" fn full_pathname(_: *mut sqlite3_vfs, name: *const c_char, room: c_int, out: *mut c_char) -> c_int {
    // SAFETY: SQLite gives a name that ends with NUL, and `room` bytes for the answer.
    unsafe {
        let name = CStr::from_ptr(name).to_bytes_with_nul();
        if name.len() > room as usize {
            return SQLITE_CANTOPEN;
        }
        ptr::copy_nonoverlapping(name.as_ptr(), out.cast(), name.len());
    }
    SQLITE_OK
}

unsafe extern "C" fn randomness(vfs: *mut sqlite3_vfs, count: c_int, out: *mut c_char) -> c_int {
    // SAFETY: SQLite gives room for `count` bytes.
    unsafe {
        let bytes = std::slice::from_raw_parts_mut(out.cast::<u8>(), count as usize);
        let process = process(vfs);
        let mut state = process.disk.state();
        bytes.fill_with(|| state.chance.bits() as u8);
    }
    count
}

unsafe extern "C" fn sleep(vfs: *mut sqlite3_vfs, microseconds: c_int) -> c_int {
    // SAFETY: the file system is registered.
    unsafe { process(vfs).disk.world.advance(Duration::from_micros(microseconds as u64)) };
    microseconds
}

unsafe extern "C" fn current_milliseconds(vfs: *mut sqlite3_vfs, out: *mut sqlite3_int64) -> c_int {
    // SAFETY: SQLite gives room for the answer.
    unsafe { *out = JULIAN_MILLISECONDS + (process(vfs).disk.world.now() / 1_000_000) as i64 };
    SQLITE_OK
}

unsafe extern "C" fn current_time(vfs: *mut sqlite3_vfs, out: *mut f64) -> c_int {
    let mut milliseconds = 0;
    // SAFETY: SQLite gives room for the answer.
    unsafe {
        current_milliseconds(vfs, &raw mut milliseconds);
        *out = milliseconds as f64 / 86_400_000.0;
    }
    SQLITE_OK
}

unsafe extern "C" fn last_error(_: *mut sqlite3_vfs, _: c_int, _: *mut c_char) -> c_int {
    0
}
