//! Progress on standard error.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Interval at which a mark turns while nothing is counted.
const TURN_INTERVAL: Duration = Duration::from_millis(120);

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
