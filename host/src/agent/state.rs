//! What one store carries, and what a guest's imports do.
//!
//! Owns the guest's view of the world: its WASI context with nothing in it but the granted directories, its output, its
//! caller. Never gives a guest the network, the environment, arguments or standard input.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::Caller;
use super::contract::stockade::agent::{host, types};
use super::limiter::Limiter;
use super::output::Output;
use crate::manifest::{Access, AgentSpec};

/// Handles a guest may hold, to host resources of all kinds. Each open file may cost the host 64 KiB.
pub(super) const HANDLES_MAX: usize = 128;

/// Random bytes one call of `wasi:random` may ask for.
pub(super) const RANDOM_BYTES_MAX: u64 = 64 << 10;

/// Log messages kept of one call, and bytes of each.
const LOG_MESSAGES_MAX: u32 = 64;
const LOG_MESSAGE_BYTES_MAX: usize = 4 << 10;

/// The data of a store.
pub(super) struct State {
    pub limiter: Limiter,
    pub output: Output,
    agent: Arc<str>,
    pub caller: Arc<Caller>,
    logged: u32,
    wasi: WasiCtx,
    table: ResourceTable,
}

impl State {
    /// # Errors
    ///
    /// When a granted directory can no longer be opened.
    pub fn new(agent: Arc<str>, spec: &AgentSpec, limiter: Limiter, caller: Arc<Caller>) -> wasmtime::Result<Self> {
        let output = Output::default();
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(output.clone()).stderr(output.clone()).max_random_size(RANDOM_BYTES_MAX);
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
        Ok(Self { limiter, output, agent, caller, logged: 0, wasi: wasi.build(), table })
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl types::Host for State {}

impl host::Host for State {
    /// Goes to the host's own log, at its debug level: a guest cannot fill an operator's log by itself.
    fn log(&mut self, level: host::Level, message: String) -> wasmtime::Result<()> {
        self.logged = self.logged.saturating_add(1);
        if self.logged <= LOG_MESSAGES_MAX {
            let text = &message[..message.floor_char_boundary(LOG_MESSAGE_BYTES_MAX)];
            tracing::debug!(agent = &*self.agent, ?level, ?text, "guest log");
        }
        Ok(())
    }

    /// No client can hear of it: replies are single JSON documents, without notifications before them.
    fn progress(&mut self, done: f64, total: Option<f64>, _message: Option<String>) -> wasmtime::Result<()> {
        tracing::trace!(agent = &*self.agent, done, total, "guest progress");
        Ok(())
    }

    /// No client can have subscribed, so there is nobody to tell.
    fn changed(&mut self, what: host::Change) -> wasmtime::Result<()> {
        tracing::trace!(agent = &*self.agent, ?what, "guest change");
        Ok(())
    }

    fn request(&mut self) -> wasmtime::Result<host::RequestContext> {
        let Caller { principal, protocol_version, capabilities, answers, state } = &*self.caller;
        Ok(host::RequestContext {
            principal: principal.to_string(),
            protocol_version: (*protocol_version).to_owned(),
            capabilities: capabilities.clone(),
            answers: answers.clone(),
            state: state.clone(),
        })
    }
}
