//! How far long work is, on a terminal.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on a terminal, nothing elsewhere.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Work over so many bytes.
    pub(super) fn over(bytes: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::new(bytes);
        let style =
            ProgressStyle::with_template("{bar:32} {percent:>3} %  {bytes} of {total_bytes}, {eta} to go");
        Self {
            bar: match style {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            },
        }
    }

    /// So many more bytes are done.
    pub(super) fn add(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// So many bytes are done.
    pub(super) fn reach(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }

    /// Does what writes to the terminal, with the bar out of its way.
    pub(super) fn beside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
