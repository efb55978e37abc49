//! What one store carries, and what a guest's imports do.
//!
//! Owns the guest's view of the world: its WASI context with nothing in it but the granted directories, its output, its
//! caller. Never gives a guest the network, the environment, arguments or standard input.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::Caller;
use super::changes::{Changes, Kinds};
use super::contract::stockade::agent::{host, types};
use super::feedback::{LOG_MESSAGES_MAX, TEXT_BYTES_MAX};
use super::limiter::Limiter;
use super::live::Thread;
use super::output::Output;
use crate::manifest::{Access, AgentSpec};

/// Handles a guest may hold, to host resources of all kinds. Each open file may cost the host 64 KiB.
pub(super) const HANDLES_MAX: usize = 128;

/// Random bytes one call of `wasi:random` may ask for.
pub(super) const RANDOM_BYTES_MAX: u64 = 64 << 10;

/// Changes one call may announce. Each is a flag that costs us a look at who listens.
const CHANGES_MAX: u32 = 1024;

/// The data of a store.
pub(super) struct State {
    pub limiter: Limiter,
    pub output: Output,
    agent: Arc<str>,
    pub caller: Arc<Caller>,
    changes: Changes,
    logged: u32,
    announced: u32,
    wasi: WasiCtx,
    table: ResourceTable,
}

impl State {
    /// # Errors
    ///
    /// When a granted directory can no longer be opened.
    pub fn new(
        agent: Arc<str>,
        spec: &AgentSpec,
        limiter: Limiter,
        (caller, changes): (Arc<Caller>, Changes),
        thread: Thread,
    ) -> wasmtime::Result<Self> {
        let output = Output::default();
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(output.clone()).stderr(output.clone()).max_random_size(RANDOM_BYTES_MAX);
        wasi.allow_blocking_current_thread(thread == Thread::Own);
        wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
        for (guest_path, grant) in &spec.dirs {
            let permissions = match grant.access {
                Access::Read => FsPerms::ReadOnly,
                Access::Write => FsPerms::ReadWrite,
            };
            wasi.preopened_dir(&grant.path, guest_path, permissions)?;
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        let wasi = wasi.build();
        Ok(Self { limiter, output, agent, caller, changes, logged: 0, announced: 0, wasi, table })
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl types::Host for State {}

impl host::Host for State {
    /// Goes to whoever follows the call, and to the host's own log at its debug level: a guest cannot fill an operator's log
    /// by itself.
    fn log(&mut self, level: host::Level, message: String) -> wasmtime::Result<()> {
        self.logged = self.logged.saturating_add(1);
        if self.logged <= LOG_MESSAGES_MAX {
            let text = &message[..message.floor_char_boundary(TEXT_BYTES_MAX)];
            tracing::debug!(agent = &*self.agent, ?level, ?text, "guest log");
        }
        if let Some(feedback) = &self.caller.feedback {
            feedback.log(level, message);
        }
        Ok(())
    }

    fn progress(&mut self, done: f64, total: Option<f64>, message: Option<String>) -> wasmtime::Result<()> {
        if let Some(feedback) = &self.caller.feedback {
            feedback.progress(done, total, message);
        }
        Ok(())
    }

    fn changed(&mut self, what: host::Change) -> wasmtime::Result<()> {
        self.announced = self.announced.saturating_add(1);
        if self.announced > CHANGES_MAX {
            return Ok(());
        }
        match what {
            host::Change::Tools => self.changes.lists_changed(&self.agent, Kinds::TOOLS),
            host::Change::Prompts => self.changes.lists_changed(&self.agent, Kinds::PROMPTS),
            host::Change::Resources => self.changes.lists_changed(&self.agent, Kinds::RESOURCES),
            host::Change::Resource(uri) => self.changes.resource_changed(&self.agent, &uri),
        }
        Ok(())
    }

    fn request(&mut self) -> wasmtime::Result<host::RequestContext> {
        let Caller { principal, protocol_version, capabilities, answers, state, .. } = &*self.caller;
        Ok(host::RequestContext {
            principal: principal.to_string(),
            protocol_version: (*protocol_version).to_owned(),
            capabilities: capabilities.clone(),
            answers: answers.clone(),
            state: state.clone(),
        })
    }
}
