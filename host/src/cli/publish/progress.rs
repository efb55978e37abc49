//! How far a push is, on standard error, for who watches.

use std::io::Read;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Time between two turns of a bar that cannot say how far it is.
const TURN: Duration = Duration::from_millis(100);

/// A bar; nothing is shown where nobody watches.
pub struct Progress(ProgressBar);

impl Progress {
    pub fn new(quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        Self(ProgressBar::with_draw_target(None, target))
    }

    /// So many bytes are to be sent.
    pub fn begins(&self, bytes: u64) {
        let style = ProgressStyle::with_template("uploading  {bar:30} {bytes} of {total_bytes}");
        self.0.set_style(style.expect("a template that is right"));
        self.0.set_length(bytes);
    }

    /// What is read of it counts as sent.
    pub fn of<R: Read>(&self, reader: R) -> impl Read {
        self.0.wrap_read(reader)
    }

    /// The host works on it.
    pub fn waits(&self, what: &'static str) {
        let style = ProgressStyle::with_template("{msg}  {spinner} {elapsed}");
        self.0.set_style(style.expect("a template that is right"));
        self.0.set_message(what);
        self.0.enable_steady_tick(TURN);
    }

    pub fn done(&self) {
        self.0.finish_and_clear();
    }
}
