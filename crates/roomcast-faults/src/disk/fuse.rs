//! Fuses: what happens at which operation.

/// An operation that changes a file, or may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A file is opened.
    Open,
    /// Bytes are read.
    Read,
    /// Bytes are written.
    Write,
    /// The length is changed.
    Truncate,
    /// The file is synced.
    Sync,
    /// The name is removed.
    Remove,
    /// Memory is shared with other connections.
    Share,
    /// Shared memory is locked.
    Lock,
}

/// Operations at which a fuse burns down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matching {
    /// Those that change a file.
    Changes,
    /// Those that change or sync a write-ahead log.
    Log,
    /// Syncs of a write-ahead log.
    LogSync,
    /// Those that change or sync a database.
    Database,
    /// All of them.
    All,
}

impl Matching {
    fn holds(self, operation: Operation, file: &str) -> bool {
        use Operation::{Remove, Sync, Truncate, Write};
        let changes = matches!(operation, Write | Truncate | Sync | Remove);
        match self {
            Matching::All => true,
            Matching::Changes => changes,
            Matching::Log => changes && file.ends_with("-wal"),
            Matching::LogSync => operation == Sync && file.ends_with("-wal"),
            Matching::Database => changes && file.ends_with(".db"),
        }
    }
}

/// The effect of a fuse that has burnt down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// All processes end, and writes may be lost.
    LosePower,
    /// The process ends.
    Kill,
    /// So many operations fail.
    Fail(u32),
}

/// A fault that waits for an operation.
#[derive(Debug, Clone, Copy)]
pub struct Fuse {
    /// The process whose operations count; `None` for all.
    pub process: Option<u32>,
    /// The operations that count.
    pub matching: Matching,
    /// The operations that pass before the fault.
    pub passes: u32,
    /// The fault.
    pub effect: Effect,
    /// True when the operation is still done before the fault.
    pub is_after: bool,
}

impl Fuse {
    /// Burns down by an operation. Returns the effect when the fuse has burnt down.
    pub fn burn(&mut self, process: u32, operation: Operation, file: &str) -> Option<Effect> {
        if self.process.is_some_and(|own| own != process) || !self.matching.holds(operation, file) {
            return None;
        }
        if self.passes > 0 {
            self.passes -= 1;
            return None;
        }
        let effect = self.effect;
        self.effect = match effect {
            Effect::Fail(count) => Effect::Fail(count.saturating_sub(1)),
            // It happens once.
            Effect::Kill | Effect::LosePower => Effect::Fail(0),
        };
        Some(effect)
    }

    /// Returns whether the fuse does nothing more.
    pub fn is_spent(&self) -> bool {
        self.effect == Effect::Fail(0)
    }
}
