//! The command line: arguments, signals, exit codes.
//!
//! Owns what an operator types and reads in a terminal. Never decides anything that the manifest decides.

mod agents;
mod build;
mod capacity;
mod check;
mod compile_child;
mod completions;
mod descriptors;
mod inspect;
mod log;
mod new;
mod publish;
mod remote;
mod run;
mod serve;
mod single;
mod status;
mod token;
mod versions;

#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::manifest::{ManifestErrors, Overrides};

/// The running executable, which also compiles agents. Not its path: a new version may have been put there since.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// Exit code of a command that could not do or finish its work.
const EXIT_FAILED: u8 = 1;

/// Exit code of wrong arguments, a wrong variable or a wrong manifest; clap uses the same.
const EXIT_USAGE: u8 = 2;

const ABOUT: &str = "Serves MCP agents, each call inside a memory cap that it cannot exceed";

const HELP: &str = "\
Examples:
  stockade check                            is ./manifest.yaml right, and what does it come to?
  stockade check --precompile               also compile every agent, so that the first start is quick
  stockade serve                            serve it on 127.0.0.1:8080
  stockade serve --listen 127.0.0.1:0       serve it on a free port, which is printed
  PORT=8080 stockade serve                  serve it on 0.0.0.0:8080; the manifest must then have `hosts` and `tokens`
  stockade token ann                        make a token, and the lines for the manifest
  stockade token ci --role publisher --names demo,team-*
  stockade status                           how the agents of the running host are
  stockade agents                           what the registry says of them
  stockade set hello memory=8M deadline=2s  change it; the next call runs under it
  stockade new price-list                   begin an agent of your own
  stockade build                            make it a component, checked against the contract
  stockade run                              serve it alone, under the caps of production
  stockade publish                          push it to a host, where it is live
  stockade inspect hello.wasm               what is in a component, and does it fit?
  RUST_LOG=stockade=debug stockade serve    say more in the log, which goes to standard error

  curl http://127.0.0.1:8081/readyz         are the agents loaded?

Signals:
  SIGTERM and SIGINT let running calls end, for `drain` (10s) at most; a second one ends the host at once.

Exit codes:
  0  done, or stopped by one signal
  1  failed while running: an address in use, data of another host, an agent that does not compile
  2  wrong arguments or a wrong manifest; every mistake is printed with its line";

#[derive(Debug, Parser)]
#[command(name = "stockade", version, about = ABOUT, after_help = HELP, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the agents of a manifest until a signal comes
    Serve(serve::Options),
    /// Say what is wrong with a manifest, or what it comes to
    Check(check::Options),
    /// Make a token for somebody who may call, and the lines for the manifest
    Token(token::Options),
    /// Say how the agents of a running host are
    Status(status::Options),
    /// List the registry's entries of a running host
    Agents(agents::All),
    /// Show one agent's entry
    Agent(agents::One),
    /// Set fields of an agent's entry; the next call runs under them
    Set(agents::Set),
    /// Have an agent served again
    Enable(agents::One),
    /// Have an agent not served, and keep its entry
    Disable(agents::One),
    /// Have an agent not served any more; its entry is removed later
    Retire(agents::One),
    /// Begin an agent in Rust, which builds and has a test
    New(new::Options),
    /// Build an agent in Rust, and check it against the contract
    Build(build::Options),
    /// Say what a component is, whether it fits the contract, and what it offers
    Inspect(inspect::Options),
    /// Serve one agent on this machine, under the caps of production
    Run(run::Options),
    /// Publish an agent to a host: it is checked, tried, and live
    Publish(publish::Options),
    /// List what was published under a name
    Versions(versions::All),
    /// Let a name such as stable stand for a version
    Alias(versions::Alias),
    /// Take a version back: only who names it still gets it
    Yank(versions::Yank),
    /// Serve what was served before
    Rollback(versions::All),
    /// Print what a shell needs to complete arguments
    Completions(completions::Options),
    /// Compile one component from standard input to standard output, under limits; the host runs this
    #[command(hide = true)]
    CompileChild(compile_child::Options),
}

/// Why a command ended early. The first two are the operator's to correct.
#[derive(Debug)]
enum Stop {
    Usage(String),
    Manifest(ManifestErrors),
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<ManifestErrors> for Stop {
    fn from(errors: ManifestErrors) -> Self {
        Self::Manifest(errors)
    }
}

/// Does what the arguments say. `main` returns what this returns.
pub fn main() -> ExitCode {
    // Prints help, version and wrong usage itself, and exits with 0 or 2.
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Serve(options) => serve::serve(&options),
        Command::Check(options) => check::check(&options),
        Command::Token(options) => token::token(&options),
        Command::Status(options) => status::status(&options),
        Command::Agents(options) => agents::agents(&options),
        Command::Agent(options) => agents::agent(&options),
        Command::Set(options) => agents::set(&options),
        Command::Enable(options) => agents::enable(&options),
        Command::Disable(options) => agents::disable(&options),
        Command::Retire(options) => agents::retire(&options),
        Command::New(options) => new::new(&options),
        Command::Build(options) => build::build(&options),
        Command::Inspect(options) => inspect::inspect(&options),
        Command::Run(options) => run::run(&options),
        Command::Publish(options) => publish::publish(&options),
        Command::Versions(options) => versions::versions(&options),
        Command::Alias(options) => versions::alias(&options),
        Command::Yank(options) => versions::yank(&options),
        Command::Rollback(options) => versions::rollback(&options),
        Command::Completions(options) => completions::completions(&options),
        Command::CompileChild(options) => compile_child::compile_child(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => report(&stop),
    }
}

fn report(stop: &Stop) -> ExitCode {
    match stop {
        Stop::Usage(message) => {
            eprintln!("stockade: {message}");
            ExitCode::from(EXIT_USAGE)
        }
        Stop::Manifest(errors) => {
            eprintln!("{errors}");
            ExitCode::from(EXIT_USAGE)
        }
        Stop::Failed(error) => {
            eprintln!("stockade: {error:#}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}

/// What the environment says, for `check` as for `serve`. `port` is the variable `PORT`.
fn overrides(port: Option<&str>) -> Result<Overrides, Stop> {
    let port = match port {
        None | Some("") => None,
        Some(text) => Some(text.parse().map_err(|_| {
            Stop::Usage(format!("the variable PORT is {text:?}, which is no port: set it to 0-65535, or unset it"))
        })?),
    };
    Ok(Overrides { port, ..Overrides::default() })
}

/// The variable `PORT`.
fn port() -> Option<String> {
    std::env::var_os("PORT").map(|port| port.to_string_lossy().into_owned())
}

/// Foreign words, of which none may steer the terminal.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// Prints on standard output. Who closed it, as `head` does, does not want to know.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
