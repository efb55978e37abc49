//! Servers as the operator runs them: a real process, found through the line it prints once it listens.
//!
//! Owns the child and its output; never leaves either behind.

use anyhow::{Context, Result, bail, ensure};
use std::env;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Time from start to listening. Compiling the agents for the first time is part of it.
const READY_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a killed process may take to be gone, and the pause between two looks.
const GONE_TIMEOUT: Duration = Duration::from_secs(10);
const GONE_LOOK: Duration = Duration::from_millis(1);

/// How much of a failed process's log its error shows.
const LOG_SHOWN_BYTES_MAX: usize = 4096;

/// A running server; dropping it kills it, and waits until it is gone: the next one may want its data.
pub struct Process {
    child: Child,
    log: File,
    url: String,
    admin: Option<String>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already cannot be killed.
        let _ = self.child.start_kill();
        let killed = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && killed.elapsed() < GONE_TIMEOUT {
            std::thread::sleep(GONE_LOOK);
        }
    }
}

/// Resident memory of a process, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Resident {
    /// Now.
    pub bytes: u64,
    /// At its highest since the process started.
    pub peak_bytes: u64,
}

impl Process {
    /// Starts the `stockade` binary on ports of its own choice and waits until it listens.
    pub async fn stockade(manifest: &Path, data: &Path) -> Result<Process> {
        Process::stockade_in(manifest, data, None).await
    }

    /// The same, inside the control group that is entered by `procs`.
    pub async fn stockade_in(manifest: &Path, data: &Path, procs: Option<&Path>) -> Result<Process> {
        let mut command = match procs {
            None => Command::new(stockade_binary()?),
            Some(procs) => {
                // It enters the group before it is what it will be: so all of its memory is the group's.
                let mut command = Command::new("sh");
                command.args(["-c", r#"echo $$ > "$0" && exec "$@""#]).arg(procs).arg(stockade_binary()?);
                command
            }
        };
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        // The environment of whoever runs the tests must not choose the port.
        command.arg("--manifest").arg(manifest).arg("--data").arg(data).env_remove("PORT");
        Process::spawn(command).await
    }

    /// Starts a server and waits for `listening on http://ADDRESS (admin http://ADDRESS)`, its first line on stdout.
    /// The second address may be missing.
    pub async fn spawn(mut command: Command) -> Result<Process> {
        crate::tls::choose();
        let log = tempfile::tempfile().context("no file for the server's log")?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log.try_clone()?).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let mut stdout = BufReader::new(child.stdout.take().context("stdout is piped above")?);
        let mut process = Process { child, log, url: String::new(), admin: None };
        let mut line = String::new();
        let read = timeout(READY_TIMEOUT, stdout.read_line(&mut line)).await;
        if !matches!(read, Ok(Ok(bytes)) if bytes > 0) {
            let log = process.log_tail()?;
            bail!("{command:?} did not say within {READY_TIMEOUT:?} where it listens; its log ends with\n{log}");
        }
        (process.url, process.admin) = listening_on(line.trim_end())?;
        // A full pipe would stop the server, a closed one would fail its next print.
        tokio::spawn(async move { tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await });
        Ok(process)
    }

    /// Where clients connect: `http://ADDRESS`, no slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where the operator connects.
    pub fn admin(&self) -> Option<&str> {
        self.admin.as_deref()
    }

    /// Waits until every agent is loaded or refused.
    pub async fn ready(&self) -> Result<()> {
        let url = format!("{}/readyz", self.url);
        let ready = async {
            while !reqwest::get(&url).await?.status().is_success() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        timeout(READY_TIMEOUT, ready).await.context("the agents were not loaded in time")?
    }

    /// The process id, while the process runs.
    pub fn pid(&self) -> Result<u32> {
        self.child.id().context("the server has ended")
    }

    /// What the process holds in memory.
    pub fn resident(&self) -> Result<Resident> {
        resident(self.pid()?)
    }

    /// Ends the process at once, and waits until it is gone.
    pub async fn end(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Waits until the process ends by itself.
    pub async fn exited(&mut self) -> Result<std::process::ExitStatus> {
        Ok(self.child.wait().await?)
    }

    /// All that the process wrote on stderr, up to a mebibyte.
    pub fn log(&self) -> Result<String> {
        let mut bytes = vec![0; usize::try_from(self.log.metadata()?.len().min(1 << 20))?];
        let count = self.log.read_at(&mut bytes, 0)?;
        Ok(String::from_utf8_lossy(&bytes[..count]).into_owned())
    }

    /// The last of what the process wrote on stderr.
    pub fn log_tail(&self) -> Result<String> {
        let start = self.log.metadata()?.len().saturating_sub(LOG_SHOWN_BYTES_MAX as u64);
        let mut bytes = [0; LOG_SHOWN_BYTES_MAX];
        // The child writes at the same offset that a plain read would move.
        let count = self.log.read_at(&mut bytes, start)?;
        Ok(String::from_utf8_lossy(&bytes[..count]).into_owned())
    }
}

/// Reads `VmRSS` and `VmHWM` of a process.
pub fn resident(pid: u32) -> Result<Resident> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("no process {pid}"))?;
    let bytes_of = |key: &str| -> Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let kib =
            line.and_then(|rest| rest.trim().strip_suffix(" kB")).with_context(|| format!("no {key} in status"))?;
        Ok(kib.parse::<u64>()? * 1024)
    };
    Ok(Resident { bytes: bytes_of("VmRSS:")?, peak_bytes: bytes_of("VmHWM:")? })
}

/// The `stockade` binary: `STOCKADE_BIN`, else the one that was built beside the running test or bench.
pub fn stockade_binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os("STOCKADE_BIN") {
        return Ok(path.into());
    }
    let path = profile_directory()?.join("stockade");
    ensure!(
        path.is_file(),
        "no binary at {}; build it in this profile with `cargo build -p stockade` or set STOCKADE_BIN",
        path.display()
    );
    Ok(path)
}

/// A component of this workspace: in `STOCKADE_COMPONENTS`, else where cargo puts it.
pub fn component(name: &str) -> Result<PathBuf> {
    let directory = match env::var_os("STOCKADE_COMPONENTS") {
        Some(directory) => directory.into(),
        None => profile_directory()?.with_file_name("wasm32-wasip2").join("release"),
    };
    let path = directory.join(format!("{name}.wasm"));
    ensure!(
        path.is_file(),
        "no component at {}; build it with `cargo build -p {name} --target wasm32-wasip2 --release` \
         or set STOCKADE_COMPONENTS",
        path.display()
    );
    Ok(path)
}

/// `target/debug` or `target/release`: tests and benches run from `deps` below it, binaries from itself.
fn profile_directory() -> Result<PathBuf> {
    let executable = env::current_exe()?;
    let directory = executable.parent().context("an executable stands in a directory")?;
    let in_deps = directory.file_name().is_some_and(|name| name == "deps");
    let profile = if in_deps { directory.parent() } else { Some(directory) };
    Ok(profile.context("`deps` stands in a directory")?.to_path_buf())
}

fn listening_on(line: &str) -> Result<(String, Option<String>)> {
    let expected = || format!("expected `listening on http://ADDRESS (admin http://ADDRESS)`, found {line:?}");
    let addresses = line.strip_prefix("listening on ").with_context(expected)?;
    let (url, admin) = match addresses.split_once(" (admin ") {
        Some((url, admin)) => (url, Some(admin.strip_suffix(')').with_context(expected)?)),
        None => (addresses, None),
    };
    ensure!(url.starts_with("http://") && admin.is_none_or(|admin| admin.starts_with("http://")), expected());
    Ok((url.to_string(), admin.map(str::to_string)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_addresses() {
        let both = listening_on("listening on http://127.0.0.1:80 (admin http://127.0.0.1:81)").unwrap();
        assert_eq!(both, ("http://127.0.0.1:80".into(), Some("http://127.0.0.1:81".into())));
        let one = listening_on("listening on http://[::1]:80").unwrap();
        assert_eq!(one, ("http://[::1]:80".into(), None));
        for wrong in ["", "listening", "listening on 127.0.0.1:80", "listening on http://a (admin http://b"] {
            listening_on(wrong).unwrap_err();
        }
    }

    #[test]
    fn reads_own_memory() {
        let memory = resident(std::process::id()).unwrap();
        assert!(memory.bytes > 100_000 && memory.peak_bytes >= memory.bytes, "{memory:?}");
    }

    #[tokio::test]
    async fn a_server_that_dies_shows_its_log() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such manifest >&2; exit 3"]);
        let error = Process::spawn(command).await.err().expect("it never listens");
        assert!(error.to_string().contains("no such manifest"), "{error}");
    }

    #[tokio::test]
    async fn a_dropped_server_is_killed() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo listening on http://127.0.0.1:1; echo started >&2; exec sleep 600"]);
        let process = Process::spawn(command).await.unwrap();
        assert_eq!((process.url(), process.admin()), ("http://127.0.0.1:1", None));
        let pid = process.pid().unwrap();
        drop(process);
        assert!(resident(pid).is_err(), "the server ends with its owner");
    }
}
