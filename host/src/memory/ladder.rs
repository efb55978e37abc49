//! The ladder: how near memory use is to its end, as one of four levels.
//!
//! Pure. A level is reached at its threshold and left a little below it, so that use which swings around a threshold does
//! not make the host do and undo things.

use std::fmt;

/// Levels of memory use, in bytes; they rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Worth a line in the log.
    pub warning: u64,
    /// Caches are dropped and idle things retired.
    pub critical: u64,
    /// New work is refused. Also what the ledger's root lends.
    pub maximum: u64,
}

/// How near memory use is to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// Below every threshold.
    #[default]
    Normal,
    /// Operators are told.
    Warning,
    /// What can be done without is given back.
    Critical,
    /// Nothing new begins.
    Maximum,
}

impl Level {
    /// All of them, rising.
    pub const ALL: [Self; 4] = [Self::Normal, Self::Warning, Self::Critical, Self::Maximum];

    /// As `/healthz` names it: the words that operators of the old system knew.
    pub fn as_health(self) -> &'static str {
        match self {
            Self::Normal => "healthy",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Maximum => "max",
        }
    }
}

impl fmt::Display for Level {
    /// As the manifest and the metrics name it.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Normal => "normal",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Maximum => "maximum",
        })
    }
}

/// Where on the ladder the host stands.
#[derive(Debug, Clone)]
pub struct Ladder {
    thresholds: Thresholds,
    /// Bytes below a threshold at which its level is left.
    slack: u64,
    level: Level,
}

impl Ladder {
    /// At its foot. A level is left a twentieth of `memory` below its threshold, or half-way to the threshold below.
    pub fn new(thresholds: Thresholds, memory: u64) -> Self {
        Self { thresholds, slack: memory / 20, level: Level::Normal }
    }

    pub fn level(&self) -> Level {
        self.level
    }

    /// Moves to where `used` bytes belong, and says whether that is another level.
    pub fn step(&mut self, used: u64) -> bool {
        let before = self.level;
        self.level = Level::ALL.into_iter().rev().find(|level| used >= self.floor_of(*level)).unwrap_or_default();
        self.level != before
    }

    /// Bytes from which on a level holds: its threshold on the way up, less on the way down.
    fn floor_of(&self, level: Level) -> u64 {
        let threshold = self.threshold(level);
        if level > self.level {
            return threshold;
        }
        let below = match level {
            Level::Normal | Level::Warning => 0,
            Level::Critical => self.thresholds.warning,
            Level::Maximum => self.thresholds.critical,
        };
        threshold.saturating_sub(self.slack.min((threshold - below) / 2))
    }

    /// Bytes at which a level begins.
    pub fn threshold(&self, level: Level) -> u64 {
        match level {
            Level::Normal => 0,
            Level::Warning => self.thresholds.warning,
            Level::Critical => self.thresholds.critical,
            Level::Maximum => self.thresholds.maximum,
        }
    }

    /// Bytes of use at which the host would be calm again: just below where `critical` is left.
    pub fn calm(&self) -> u64 {
        let Thresholds { warning, critical, .. } = self.thresholds;
        critical.saturating_sub(self.slack.min((critical - warning) / 2)).saturating_sub(1)
    }
}

#[cfg(test)]
mod tests;
