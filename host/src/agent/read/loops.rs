//! Cursors that go round in a circle.

/// Notices when cursors go round in a circle, remembering a single one (Brent, 1980).
#[derive(Debug)]
pub struct Loops {
    remembered: Option<String>,
    steps: u64,
    remember_again: u64,
}

impl Default for Loops {
    fn default() -> Self {
        Self { remembered: None, steps: 0, remember_again: 1 }
    }
}

impl Loops {
    /// Whether this cursor was there before, sooner or later.
    pub fn closes_with(&mut self, cursor: &str) -> bool {
        if self.remembered.as_deref() == Some(cursor) {
            return true;
        }
        self.steps += 1;
        if self.steps == self.remember_again {
            self.remembered = Some(cursor.to_owned());
            self.remember_again *= 2;
            self.steps = 0;
        }
        false
    }
}
