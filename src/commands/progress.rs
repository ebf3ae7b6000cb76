//! Progress on standard error.

use indicatif::{ProgressBar, ProgressStyle};

/// Returns a progress bar, or a counter without a total. It is silent when standard error is not a terminal.
pub fn bar(label: &'static str, total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{msg:>20} [{wide_bar}] {pos}/{len} {eta:>4}"),
        None => (ProgressBar::no_length(), "{spinner} {msg}: {pos}"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style).with_message(label)
}
