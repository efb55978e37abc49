//! The log: to standard error, for people or for programs.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::Stop;
use crate::manifest::LogFormat;

/// What is logged unless `RUST_LOG` says otherwise.
const FILTER_DEFAULT: &str = "info";

/// Starts the log. `filter` is the variable `RUST_LOG`.
pub(super) fn start(format: LogFormat, filter: Option<&str>) -> Result<(), Stop> {
    let filter = filter.filter(|filter| !filter.is_empty()).unwrap_or(FILTER_DEFAULT);
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Stop::Usage(format!("the variable RUST_LOG is {filter:?}: {error}; try info, or stockade=debug"))
    })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Pretty => log.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| Stop::Failed(anyhow::anyhow!("cannot start the log: {error}")))
}
