//! The trace of a run: a hash of everything that happened, and its last lines.

use std::collections::VecDeque;
use std::fmt::Display;

/// Lines kept for the message of a failure.
const KEPT_LINES: usize = 60;

/// The events of a run, in order.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    steps: u64,
    lines: VecDeque<String>,
    echo: bool,
}

impl Default for Trace {
    fn default() -> Self {
        let echo = std::env::var_os("ROOMCAST_TRACE").is_some();
        Trace { hash: 0xcbf2_9ce4_8422_2325, steps: 0, lines: VecDeque::new(), echo }
    }
}

impl Trace {
    /// Adds a step that only the hash keeps.
    pub fn step(&mut self, numbers: &[u64]) {
        self.steps += 1;
        for byte in numbers.iter().flat_map(|number| number.to_le_bytes()) {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Adds a line.
    pub fn line(&mut self, at: u64, text: impl Display) {
        let line = format!("{:>9.3} s  {text}", at as f64 / 1e9);
        self.steps += 1;
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.echo {
            println!("{line}");
        }
        if self.lines.len() == KEPT_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// Returns the hash of all steps.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Returns the number of steps.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns the last lines.
    pub fn last_lines(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }
}
