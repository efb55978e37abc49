//! `stockade check`: what is wrong with a manifest, or what it comes to.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};

use super::descriptors::{self, Descriptors};
use super::{Stop, THIS_PROGRAM, capacity, overrides, port, say};
use crate::access::{Access, operator};
use crate::manifest::{self, AgentSpec, Component, Manifest, Role, SignatureMode, size};
use crate::memory::{REQUESTS_FLOOR_BYTES, Tenancy, percent, share};
use crate::{Host, agent};

const EXAMPLES: &str = "\
Examples:
  stockade check                            is ./manifest.yaml right, and what does it come to?
  stockade check --precompile               also compile every agent, so that the first start is quick";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The manifest
    #[arg(long, value_name = "FILE", default_value = "manifest.yaml")]
    manifest: PathBuf,
    /// Also compile every agent and try its first call, as a start would
    #[arg(long)]
    precompile: bool,
}

pub(super) fn check(options: &Options) -> Result<(), Stop> {
    let manifest = Manifest::load(&options.manifest, &overrides(port().as_deref())?)?;
    say(&summary(&options.manifest, &manifest));
    let descriptors = Descriptors::now();
    say(&files(&manifest, descriptors));
    if let Some(shortage) = descriptors.shortage(&manifest) {
        say(&format!("\nwarning: {shortage}\n"));
    }
    for warning in &manifest.warnings {
        say(&format!("\n{warning}\n"));
    }
    if !options.precompile {
        return Ok(report_misforms(&manifest)?);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    Ok(runtime.block_on(precompile(&manifest))?)
}

/// Says which components cannot be any, as far as their first bytes tell.
fn report_misforms(manifest: &Manifest) -> anyhow::Result<()> {
    let mut failed = 0;
    for (name, spec) in &manifest.agents {
        let Component::File(file) = &spec.component else { continue };
        let misform = agent::misform_of(file).with_context(|| format!("cannot read {}", file.display()))?;
        if let Some(misform) = misform {
            failed += 1;
            say(&format!("\n{name} cannot be served: {}: {misform}\n", file.display()));
        }
    }
    unserved(failed, manifest.agents.len())
}

fn unserved(failed: usize, all: usize) -> anyhow::Result<()> {
    if failed == 0 { Ok(()) } else { Err(anyhow!("{failed} of {all} agents cannot be served")) }
}

/// Compiles every agent, and says of each whether a start will find it ready.
async fn precompile(manifest: &Manifest) -> anyhow::Result<()> {
    let program = PathBuf::from(THIS_PROGRAM);
    let host = Host::new(manifest, program, Tenancy::Sole)?;
    say(&format!("\ncompiling into {}\n", manifest.data.display()));
    let outcomes = agent::precompile(host.agents()).await;
    for (name, outcome) in &outcomes {
        let outcome = outcome.as_ref().map_or_else(|reason| reason.as_str(), |()| "ready");
        say(&format!("  {name}: {outcome}\n"));
    }
    unserved(outcomes.iter().filter(|(_, outcome)| outcome.is_err()).count(), outcomes.len())
}

/// What a manifest comes to, for people.
pub(super) fn summary(file: &Path, manifest: &Manifest) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_summary(&mut out, file, manifest);
    out
}

fn write_summary(out: &mut String, file: &Path, manifest: &Manifest) -> std::fmt::Result {
    let Manifest { memory, pressure, .. } = manifest;
    let part = |percent| size::round(share(*memory, percent));
    writeln!(out, "{} is right\n", file.display())?;
    writeln!(out, "memory    {}, from {}", size::round(*memory), manifest.memory_source)?;
    let [warning, critical, maximum] = [pressure.warning, pressure.critical, pressure.maximum].map(size::round);
    writeln!(out, "pressure  warning {warning}, critical {critical}, maximum {maximum}")?;
    let requests = size::round(share(*memory, percent::OTHERS).max(REQUESTS_FLOOR_BYTES));
    writeln!(
        out,
        "ceilings  guests {}, code {}, compile {}, copies {}, replies {}, requests {requests}, queues {}",
        part(percent::GUESTS),
        part(percent::CODE),
        part(percent::COMPILE),
        part(percent::COPIES),
        part(percent::REPLIES),
        part(percent::OTHERS),
    )?;
    writeln!(out, "listen    {}, for operators {}", manifest.listen, manifest.admin)?;
    writeln!(out, "data      {}", manifest.data.display())?;
    write_callers(out, manifest)?;
    write_publishing(out, manifest)?;
    for (name, spec) in &manifest.agents {
        writeln!(out, "\nagent {name}")?;
        write_agent(out, spec)?;
    }
    capacity::write(out, manifest)
}

/// Who may call, as what, and how much of a limit each may take.
fn write_callers(out: &mut String, manifest: &Manifest) -> std::fmt::Result {
    let access = Access::new(manifest, None);
    let anonymous = match manifest.listen.ip().to_canonical().is_loopback() {
        true => format!("a reader, on this machine only, share {} %", access.anonymous().share_of(100)),
        false => "nobody: other machines can call".to_owned(),
    };
    writeln!(out, "callers   without a token: {anonymous}")?;
    for (name, spec) in &manifest.tokens {
        let names = match &spec.role {
            Role::Publisher(names) => names.iter().map(|name| format!(" {name}")).collect(),
            Role::Reader | Role::Operator => String::new(),
        };
        writeln!(out, "          {name}: {}{names}, share {} %", spec.role.as_str(), spec.share_percent)?;
    }
    writeln!(out, "          operator: whoever can read {}", manifest.data.join(operator::FILE).display())
}

/// What publishers may bring.
fn write_publishing(out: &mut String, manifest: &Manifest) -> std::fmt::Result {
    let Manifest { uploads, signatures, .. } = manifest;
    let [component, blob, disk, namespace] =
        [uploads.component_bytes_max, uploads.blob_bytes_max, uploads.disk, uploads.namespace_disk].map(size::show);
    writeln!(
        out,
        "publish   components up to {component}, {} versions of an agent, blobs up to {blob}",
        uploads.versions
    )?;
    writeln!(out, "          {disk} on disk, {namespace} of each namespace, {} uploads at once", uploads.open)?;
    let signed = match signatures.mode {
        SignatureMode::Off => "not looked for".to_owned(),
        SignatureMode::Warn => format!("looked for, by keys of {} namespaces", signatures.keys.len()),
        SignatureMode::Enforce => format!("needed, by keys of {} namespaces", signatures.keys.len()),
    };
    writeln!(out, "          signatures {signed}")
}

/// The limit of open files, and what the manifest needs of it.
fn files(manifest: &Manifest, descriptors: Descriptors) -> String {
    let Descriptors { soft, hard } = descriptors;
    let needed = descriptors::needed(manifest);
    format!("open files  {soft} now; `stockade serve` raises that to {hard} and needs up to {needed}\n")
}

fn write_agent(out: &mut String, spec: &AgentSpec) -> std::fmt::Result {
    let reserve = spec.reserve.map_or("2M or what it declares".to_owned(), size::show);
    writeln!(out, "  component  {}", spec.component)?;
    writeln!(
        out,
        "  one call   memory {}, reserve {reserve}, copies {}",
        size::show(spec.memory),
        size::show(spec.copies)
    )?;
    writeln!(out, "  time       deadline {}, cpu {}", seconds(spec.deadline), seconds(spec.cpu))?;
    writeln!(
        out,
        "  calls      {} at once, {} may wait for {}",
        spec.concurrency,
        spec.queue,
        seconds(spec.queue_wait)
    )?;
    for (guest, grant) in &spec.dirs {
        let access = match grant.access {
            manifest::Access::Read => "reads",
            manifest::Access::Write => "reads and writes",
        };
        writeln!(out, "  {access:<10} {} as {guest}", grant.path.display())?;
    }
    Ok(())
}

/// A time in seconds, to the millisecond.
fn seconds(time: Duration) -> String {
    format!("{}s", time.as_secs_f64())
}
