//! Puts everything at once on a host, for a while, and says what became of it.
//!
//!     soak [seconds=1800] [clients=50] [plot=FILE.svg] [--json]

use anyhow::{Context, Result, bail};
use std::process::ExitCode;
use std::time::Duration;
use stockade_tests::soak::Soak;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match soak().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn soak() -> Result<()> {
    let mut soak = Soak { time: Duration::from_secs(1800), clients: 50, plot: None };
    let mut is_json = false;
    for argument in std::env::args().skip(1) {
        match argument.split_once('=') {
            Some(("seconds", text)) => {
                soak.time = Duration::from_secs(text.parse().context("seconds: not a number")?);
            }
            Some(("clients", text)) => soak.clients = text.parse().context("clients: not a number")?,
            Some(("plot", path)) => soak.plot = Some(path.into()),
            None if argument == "--json" => is_json = true,
            _ => bail!("{argument}? There are seconds=N, clients=N, plot=FILE.svg and --json"),
        }
    }
    let figures = soak.run().await?;
    match is_json {
        true => println!("{}", figures.to_json()),
        false => figures.print("soak"),
    }
    Ok(())
}
