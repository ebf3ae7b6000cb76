//! Targets of log lines.

/// Target of the lines of a server's start, which are shown without `--verbose`.
pub const START: &str = "roomcast::start";
