//! The operations of SQLite on an open file.

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use libsqlite3_sys::*;

use super::super::fuse::Operation;
use super::super::{Node, Process, State};
use super::{code, failure, operate, sync};

/// A file as SQLite knows it.
#[repr(C)]
pub(super) struct File {
    base: sqlite3_file,
    pub handle: *mut Handle,
}

/// An open file.
pub(super) struct Handle {
    pub process: Arc<Process>,
    pub name: String,
    pub number: u64,
    pub is_database: bool,
}

/// The functions that SQLite calls on a file.
pub(super) static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync_file),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Returns the handle of a file.
///
/// # Safety
/// The file must be open.
unsafe fn handle<'a>(file: *mut sqlite3_file) -> &'a Handle {
    // SAFETY: `open` has set the pointer, and only `close` frees it.
    unsafe { &*(*file.cast::<File>()).handle }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: the file is open, and SQLite does not use it afterwards.
    let handle = unsafe { Box::from_raw((*file.cast::<File>()).handle) };
    handle.process.wait_for_turn();
    let mut state = handle.process.disk.state();
    if let Some(node) = state.files.get_mut(&handle.name) {
        node.locks.lower(handle.number, SQLITE_LOCK_NONE);
        node.shared.detach(handle.number);
    }
    if handle.name.starts_with("temporary-") {
        state.files.remove(&handle.name);
    }
    drop(state);
    if handle.is_database {
        handle.process.end_turn();
    }
    handle.process.handles.fetch_sub(1, SeqCst);
    if handle.is_database {
        handle.process.connections.fetch_sub(1, SeqCst);
    }
    SQLITE_OK
}

/// Does an operation on the node of an open file.
fn on_node<T>(
    handle: &Handle,
    operation: Operation,
    act: impl FnOnce(&mut Node, bool) -> Result<T, c_int>,
    partly: impl FnOnce(&mut Node),
) -> Result<T, c_int> {
    let name = &handle.name;
    let act = |state: &mut State| {
        let is_full = state.is_full && !state.is_quiet;
        // A file that was removed while it is open is not simulated: SQLite does not do that.
        act(state.files.get_mut(name).ok_or(failure(operation))?, is_full)
    };
    let partly = |state: &mut State| state.files.get_mut(name).map_or((), partly);
    operate(&handle.process, operation, name, act, partly)
}

unsafe extern "C" fn read(file: *mut sqlite3_file, out: *mut c_void, count: c_int, at: sqlite3_int64) -> c_int {
    // SAFETY: the file is open, and SQLite gives room for `count` bytes.
    let (handle, buffer) = unsafe { (handle(file), std::slice::from_raw_parts_mut(out.cast::<u8>(), count as usize)) };
    let read = on_node(handle, Operation::Read, |node, _| Ok(node.content.read(at as usize, buffer)), |_| {});
    match read {
        Ok(read) if read < count as usize => SQLITE_IOERR_SHORT_READ,
        Ok(_) => SQLITE_OK,
        Err(code) => code,
    }
}

unsafe extern "C" fn write(file: *mut sqlite3_file, bytes: *const c_void, count: c_int, at: sqlite3_int64) -> c_int {
    // SAFETY: the file is open, and SQLite gives `count` bytes.
    let (handle, bytes) = unsafe { (handle(file), std::slice::from_raw_parts(bytes.cast::<u8>(), count as usize)) };
    let at = at as usize;
    let act = |node: &mut Node, is_full: bool| {
        if is_full && at + bytes.len() > node.content.len() {
            return Err(SQLITE_FULL);
        }
        node.content.write(at, bytes);
        Ok(())
    };
    // A failed write may have written its beginning.
    let partly = |node: &mut Node| node.content.write(at, &bytes[..bytes.len() / 2]);
    code(on_node(handle, Operation::Write, act, partly))
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, length: sqlite3_int64) -> c_int {
    // SAFETY: the file is open.
    let handle = unsafe { handle(file) };
    let act = |node: &mut Node, _: bool| {
        node.content.truncate(length as usize);
        Ok(())
    };
    code(on_node(handle, Operation::Truncate, act, |_| {}))
}

unsafe extern "C" fn sync_file(file: *mut sqlite3_file, _: c_int) -> c_int {
    // SAFETY: the file is open.
    let handle = unsafe { handle(file) };
    code(sync(&handle.process, &handle.name))
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, out: *mut sqlite3_int64) -> c_int {
    // SAFETY: the file is open, and SQLite gives room for the answer.
    unsafe {
        let handle = handle(file);
        if !handle.process.is_alive() {
            return SQLITE_IOERR_FSTAT;
        }
        let state = handle.process.disk.state();
        *out = state.files.get(&handle.name).map_or(0, |node| node.content.len()) as sqlite3_int64;
    }
    SQLITE_OK
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: the file is open.
    let handle = unsafe { handle(file) };
    handle.process.wait_for_turn();
    if !handle.process.is_alive() {
        return SQLITE_IOERR_LOCK;
    }
    let mut state = handle.process.disk.state();
    match state.files.get_mut(&handle.name).is_some_and(|node| node.locks.raise(handle.number, level)) {
        true => SQLITE_OK,
        false => SQLITE_BUSY,
    }
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: the file is open.
    let handle = unsafe { handle(file) };
    handle.process.wait_for_turn();
    if let Some(node) = handle.process.disk.state().files.get_mut(&handle.name) {
        node.locks.lower(handle.number, level);
    }
    SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: the file is open, and SQLite gives room for the answer.
    unsafe {
        let handle = handle(file);
        let state = handle.process.disk.state();
        *out = c_int::from(state.files.get(&handle.name).is_some_and(|node| node.locks.is_reserved()));
    }
    SQLITE_OK
}

unsafe extern "C" fn file_control(_: *mut sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    SQLITE_NOTFOUND
}

/// As SQLite's own file system.
unsafe extern "C" fn sector_size(_: *mut sqlite3_file) -> c_int {
    4096
}

/// As SQLite's own file system: a write changes no bytes beside it.
unsafe extern "C" fn device_characteristics(_: *mut sqlite3_file) -> c_int {
    SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    region: c_int,
    bytes: c_int,
    makes: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: the file is open, and SQLite gives room for the answer.
    unsafe {
        let handle = handle(file);
        let act = |node: &mut Node, _: bool| {
            node.shared.attach(handle.number, handle.process.number);
            Ok(node.shared.region(region as usize, bytes as usize, makes != 0).map(Address))
        };
        *out = ptr::null_mut();
        match on_node(handle, Operation::Share, act, |_| {}) {
            Ok(found) => {
                *out = found.map_or(ptr::null_mut(), |found| found.0.cast());
                SQLITE_OK
            }
            Err(code) => code,
        }
    }
}

struct Address(*mut u8);

unsafe extern "C" fn shm_lock(file: *mut sqlite3_file, first: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: the file is open.
    let handle = unsafe { handle(file) };
    let slots: Range<usize> = first as usize..(first + count) as usize;
    if flags & SQLITE_SHM_UNLOCK != 0 {
        if let Some(node) = handle.process.disk.state().files.get_mut(&handle.name) {
            node.shared.unlock(handle.number, slots);
        }
        return SQLITE_OK;
    }
    let act = |node: &mut Node, _: bool| match node.shared.lock(handle.number, slots, flags) {
        true => Ok(()),
        false => Err(SQLITE_BUSY),
    };
    code(on_node(handle, Operation::Lock, act, |_| {}))
}

unsafe extern "C" fn shm_barrier(_: *mut sqlite3_file) {
    std::sync::atomic::fence(SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, _: c_int) -> c_int {
    // SAFETY: the file is open.
    let handle = unsafe { handle(file) };
    handle.process.wait_for_turn();
    if let Some(node) = handle.process.disk.state().files.get_mut(&handle.name) {
        node.shared.detach(handle.number);
    }
    SQLITE_OK
}
