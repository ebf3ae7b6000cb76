//! Progress on standard error.

use std::io::{IsTerminal, stderr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::output::remark;

/// Interval at which a mark turns while nothing is counted.
const TURN_INTERVAL: Duration = Duration::from_millis(120);
/// Shortest time from one line to the next where there is no bar.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Returns a progress bar, or a counter without a total. It is silent when standard error is not a terminal.
pub fn bar(label: &'static str, total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{msg:>20} [{wide_bar}] {pos}/{len} {eta:>4}"),
        None => (ProgressBar::no_length(), "{spinner} {msg}: {human_pos}"),
    };
    styled(bar, template, label)
}

/// Returns a mark that turns while something of unknown length is done. It is silent as [`bar`] is.
pub fn waiting(label: &'static str) -> ProgressBar {
    let bar = styled(ProgressBar::no_length(), "{spinner} {msg}, {elapsed}", label);
    bar.enable_steady_tick(TURN_INTERVAL);
    bar
}

/// Returns a counter of bytes. It is silent as [`bar`] is.
pub fn bytes(label: &'static str) -> ProgressBar {
    styled(ProgressBar::no_length(), "{spinner} {msg}: {bytes}, {bytes_per_sec}", label)
}

fn styled(bar: ProgressBar, template: &str, label: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style).with_message(label)
}

/// Progress of work of several parts: a bar on a terminal, and a line every few seconds elsewhere.
pub struct Steps {
    bar: ProgressBar,
    /// The lines, where standard error is not a terminal.
    lines: Option<Mutex<Lines>>,
}

impl Steps {
    /// Begins with a part.
    pub fn new(label: &'static str) -> Steps {
        let lines = (!stderr().is_terminal()).then(|| Mutex::new(Lines { said: Instant::now() }));
        Steps { bar: bar(label, Some(0)), lines }
    }

    /// Shows how much of a part is done.
    pub fn show(&self, label: &str, done: usize, total: usize) {
        self.bar.set_length(total as u64);
        if self.bar.message() != label {
            self.bar.set_message(label.to_owned());
            self.bar.reset_eta();
        }
        self.bar.set_position(done as u64);
        let lines = self.lines.as_ref().and_then(|lines| lines.lock().ok());
        if let Some(line) = lines.and_then(|mut lines| lines.next(Instant::now(), label, done, total)) {
            remark(&line);
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// The time of the last line.
struct Lines {
    said: Instant,
}

impl Lines {
    /// Returns a line if it is time for one.
    fn next(&mut self, now: Instant, label: &str, done: usize, total: usize) -> Option<String> {
        // The end of a part is said by what follows it.
        if done == total || now.saturating_duration_since(self.said) < LINE_INTERVAL {
            return None;
        }
        self.said = now;
        Some(format!("{label}: {done} of {total}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_said_every_few_seconds_and_not_at_the_end() {
        let begin = Instant::now();
        let mut lines = Lines { said: begin };
        let said: Vec<String> = (0..=20)
            .filter_map(|half| lines.next(begin + Duration::from_millis(500) * half, "all history", half as usize, 20))
            .collect();
        assert_eq!(said, ["all history: 10 of 20"]);
    }
}
