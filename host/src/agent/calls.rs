//! The calls of the contract: admission, a fresh instance, one guest function, and what came of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use stockade_ledger::Charge;

use super::contract::{
    self, PromptPage, PromptResult, Reference, ResourcePage, Suggestions, TemplatePage, ToolPage, ToolResult,
};
use super::engine::GUEST_STACK_BYTES;
use super::failure::{
    Failure, KEY_BYTES_MAX, Limit, LimitName, QUESTION_BYTES_MAX, QUESTIONS_MAX, STATE_BYTES_MAX, Unit,
};
use super::live::{Live, Recipe, Thread};
use super::outcome::Scene;
use super::queue::{Closed, Need};
use super::stats::Cost;
use super::{Agent, Caller, Charged};
use crate::manifest::{AgentSpec, RESERVE_BYTES_DEFAULT};

/// Bytes of a cursor, of a list or of a read.
pub(super) const CURSOR_BYTES_MAX: usize = 4 << 10;

/// Bytes that the questions of an agent take besides their texts.
const QUESTIONS_BYTES: u64 = 4 << 10;

/// Bytes of a backtrace in the log.
const TRACE_BYTES_MAX: usize = 4 << 10;

/// Bytes of an agent's error text that are passed on, and entries of an error's list.
const ERROR_TEXT_BYTES_MAX: usize = 4 << 10;
const ERROR_LIST_MAX: usize = 16;

/// Calls one function of an exported interface on an instance: the two steps that every call shares.
macro_rules! on_guest {
    ($live:expr, $interface:ident . $function:ident ( $($argument:expr),* )) => {{
        let Live { store, instance, loaded, clock, .. } = &mut $live;
        let store = &mut **store;
        let call = async {
            let indices = loaded.$interface.as_ref().ok_or_else(|| {
                wasmtime::Error::msg(concat!("the agent has no `", stringify!($interface), "`"))
            })?;
            let instance = super::live::instantiated(&mut *store, loaded, instance).await?;
            indices.load(&mut *store, &instance)?.$function(&mut *store, $($argument),*).await
        };
        clock.bound(call).await
    }};
}
pub(super) use on_guest;

/// A whole call: enter, run, leave.
macro_rules! call {
    ($agent:ident, $by:ident, $interface:ident . $function:ident ( $($argument:expr),* )) => {{
        let mut live = $agent.enter($agent.spec(), $by, Thread::Shared, false).await?;
        let began = Instant::now();
        let outcome = on_guest!(live, $interface.$function($($argument),*));
        // `call_list_tools` is the binding's name for `list-tools`.
        $agent.leave(live, concat!(stringify!($interface), ".", stringify!($function)), began, outcome)
    }};
}

impl Agent {
    /// One page of the agent's resources.
    pub async fn list_resources(&self, by: &Arc<Caller>, cursor: Option<&str>) -> Called<ResourcePage> {
        let page = call!(self, by, resources.call_list_resources(cursor))?;
        self.check_next(cursor, page.value.next.as_deref())?;
        Ok(page)
    }

    /// One page of the agent's resource templates.
    pub async fn list_templates(&self, by: &Arc<Caller>, cursor: Option<&str>) -> Called<TemplatePage> {
        let page = call!(self, by, resources.call_list_templates(cursor))?;
        self.check_next(cursor, page.value.next.as_deref())?;
        Ok(page)
    }

    /// One page of the agent's tools.
    pub async fn list_tools(&self, by: &Arc<Caller>, cursor: Option<&str>) -> Called<ToolPage> {
        let page = call!(self, by, tools.call_list_tools(cursor))?;
        self.check_next(cursor, page.value.next.as_deref())?;
        Ok(page)
    }

    /// Runs a tool; `arguments` is a JSON object.
    pub async fn call_tool(&self, by: &Arc<Caller>, name: &str, arguments: &str) -> Called<ToolResult> {
        call!(self, by, tools.call_call(name, arguments))
    }

    /// One page of the agent's prompts.
    pub async fn list_prompts(&self, by: &Arc<Caller>, cursor: Option<&str>) -> Called<PromptPage> {
        let page = call!(self, by, prompts.call_list_prompts(cursor))?;
        self.check_next(cursor, page.value.next.as_deref())?;
        Ok(page)
    }

    /// A prompt with its arguments filled in.
    pub async fn get_prompt(
        &self,
        by: &Arc<Caller>,
        name: &str,
        arguments: &[(String, String)],
    ) -> Called<PromptResult> {
        call!(self, by, prompts.call_get(name, arguments))
    }

    /// Suggestions for an argument of a prompt or of a template.
    pub async fn complete(
        &self,
        by: &Arc<Caller>,
        of: &Reference,
        argument: &str,
        value: &str,
        known: &[(String, String)],
    ) -> Called<Suggestions> {
        call!(self, by, completion.call_complete(of, argument, value, known))
    }

    /// A list must come to its end.
    fn check_next(&self, cursor: Option<&str>, next: Option<&str>) -> Result<(), Failure> {
        match next {
            Some(next) if next.len() > CURSOR_BYTES_MAX => {
                Err(self
                    .broke(format!("a list's cursor of {} bytes; at most {CURSOR_BYTES_MAX} are allowed", next.len())))
            }
            Some(_) if next == cursor => Err(self.broke("the next page of a list is the page itself")),
            _ => Ok(()),
        }
    }

    /// Waits for a turn and makes an instance under these terms, which may have changed since a read that `goes_on` has begun.
    /// Holds nothing while it waits.
    pub(super) async fn enter(
        &self,
        spec: Arc<AgentSpec>,
        by: &Arc<Caller>,
        thread: Thread,
        goes_on: bool,
    ) -> Result<Live, Failure> {
        if let Some(resting) = self.quarantine.resting() {
            let figures = [u64::from(super::quarantine::FAILURES_MAX), u64::from(resting.failures), 0];
            let limit = self.limit(LimitName::Quarantine, Unit::Failures, figures).retry(resting.remaining);
            self.home.stats.refused(LimitName::Quarantine);
            return Err(Failure::Refused(limit));
        }
        let loaded = self.loaded().await?;
        let reserve = spec.reserve.unwrap_or(RESERVE_BYTES_DEFAULT.max(loaded.initial_memory)).min(spec.memory);
        let copies = spec.copies;
        let need = Need { reserve: reserve + GUEST_STACK_BYTES as u64, copies, goes_on };
        let came = Instant::now();
        let passed = self.home.means.door.pass(self.home.line, need, spec.queue_wait).await;
        self.home.stats.waited(came.elapsed());
        let ticket = match passed {
            Ok(ticket) => ticket,
            Err(closed) => return Err(self.refused(self.scene(&spec).closed(&closed))),
        };
        let recipe = Recipe {
            agent: &self.home.name,
            spec: &spec,
            reserve,
            growth: &self.home.growth,
            large: &self.home.means.large,
            relief: &self.home.means.relief,
            caller: by,
            changes: &self.home.means.changes,
            thread,
        };
        Live::new(&recipe, loaded, ticket).map_err(|error| {
            let cost = Cost { memory_peak: 0, cpu: Duration::ZERO, wall: Duration::ZERO };
            self.failed(&spec, by, "instantiate", &error, cost, String::new())
        })
    }

    /// Ends a call: books its cost, then turns what the guest answered into a result that pays for itself.
    fn leave<T>(
        &self,
        live: Live,
        what: &'static str,
        began: Instant,
        outcome: wasmtime::Result<Result<T, contract::Error>>,
    ) -> Called<T> {
        let cost = Cost { wall: began.elapsed(), ..live.cost() };
        let judged = self.judge(&live, what, cost, outcome);
        let Live { store, mut ticket, .. } = live;
        drop(store);
        let copies = ticket.copies.bytes();
        let charge = ticket.copies.split(copies);
        match judged {
            Ok(value) => Ok(Charged { value, charge }),
            Err(Failure::Answered(contract::Error::InputRequired(asked))) => Err(self.asks(asked, charge)),
            Err(failure) => Err(failure),
        }
    }

    /// What an agent asks, if it may be asked; the charge for copies pays for it.
    pub(super) fn asks(&self, asked: contract::InputRequired, mut charge: Charge) -> Failure {
        use contract::InputRequest::{Elicitation, Roots, Sampling};
        let length = |question: &contract::InputRequest| match question {
            Elicitation(text) | Sampling(text) => text.len(),
            Roots => 0,
        };
        let state = asked.state.as_ref().map_or(0, String::len);
        let too_much = if asked.requests.len() > QUESTIONS_MAX {
            format!("asks {} questions at once; at most {QUESTIONS_MAX} are allowed", asked.requests.len())
        } else if let Some((key, _)) = asked.requests.iter().find(|(key, _)| key.len() > KEY_BYTES_MAX) {
            format!("asks a question under a key of {} bytes; at most {KEY_BYTES_MAX} are allowed", key.len())
        } else if let Some((_, long)) = asked.requests.iter().find(|(_, it)| length(it) > QUESTION_BYTES_MAX) {
            format!("asks a question of {} bytes; at most {QUESTION_BYTES_MAX} are allowed", length(long))
        } else if state > STATE_BYTES_MAX {
            format!("wants a state of {state} bytes back; at most {STATE_BYTES_MAX} are allowed")
        } else if asked.requests.is_empty() && asked.state.is_none() {
            "needs input, and neither asks a question nor has a state".to_owned()
        } else {
            // Who asks may wait for a person: no longer than it must, it holds what it might have copied.
            let held = asked.requests.iter().map(|(key, it)| key.len() + length(it)).sum::<usize>() + state;
            let held = (held as u64 + QUESTIONS_BYTES).min(charge.bytes());
            if charge.account().name() == self.home.means.asked.name() {
                charge.shrink(charge.bytes() - held);
                return Failure::Asks(Box::new(Charged { value: asked, charge }));
            }
            // Nor does it stay in the place that its agent has for the next call.
            return match self.home.means.asked.charge(held) {
                Ok(charge) => Failure::Asks(Box::new(Charged { value: asked, charge })),
                Err(refusal) => self.refused(self.scene(&self.spec()).closed(&Closed::HostFull(refusal))),
            };
        };
        self.broke(too_much)
    }

    /// Judges one answer of a guest whose instance may live on.
    pub(super) fn judge<T>(
        &self,
        live: &Live,
        what: &'static str,
        cost: Cost,
        outcome: wasmtime::Result<Result<T, contract::Error>>,
    ) -> Result<T, Failure> {
        match outcome {
            Ok(answer) => {
                self.home.stats.ran(named(what), if answer.is_ok() { "ok" } else { "error" }, cost);
                self.memory_peak.fetch_max(cost.memory_peak, Ordering::Relaxed);
                self.quarantine.forgive();
                self.probation.pass(named(what));
                let Cost { memory_peak, cpu, wall } = cost;
                tracing::debug!(
                    agent = &*self.home.name,
                    what,
                    memory_peak,
                    ?cpu,
                    ?wall,
                    error = answer.is_err(),
                    "call"
                );
                answer.map_err(|error| Failure::Answered(trimmed(error)))
            }
            Err(error) => {
                let state = live.store.data();
                Err(self.failed(&live.spec, &state.caller, what, &error, cost, state.output.last_words()))
            }
        }
    }

    /// A call that was stopped or broke the contract: counted, logged in full, and named.
    pub(super) fn failed(
        &self,
        spec: &AgentSpec,
        by: &Arc<Caller>,
        what: &'static str,
        error: &wasmtime::Error,
        cost: Cost,
        words: String,
    ) -> Failure {
        let failure = Scene { cpu_spent: cost.cpu, last_words: words, ..self.scene(spec) }.stopped(error);
        let outcome = match &failure {
            Failure::Stopped(limit) | Failure::Refused(limit) => limit.limit.as_str(),
            _ => "broken",
        };
        self.home.stats.ran(named(what), outcome, cost);
        let Cost { memory_peak, cpu, wall } = cost;
        match &failure {
            Failure::Stopped(limit) => {
                self.home.stats.stopped(limit.limit);
                let Limit { agent, version, limit: name, cap, used, wanted, detail, .. } = limit;
                tracing::warn!(
                    agent = &**agent,
                    version = &**version,
                    what,
                    principal = &*by.principal,
                    limit = name.as_str(),
                    cap,
                    used,
                    wanted,
                    memory_peak,
                    ?cpu,
                    ?wall,
                    detail,
                    trace = bounded(error),
                    "call stopped"
                );
                if let Some(rest) = self.quarantine.blame(limit.limit, &by.principal) {
                    tracing::warn!(agent = &*self.home.name, ?rest, "agent in quarantine: too many failures in a row");
                }
                self.failed_anew(limit.limit, &by.principal);
            }
            Failure::Refused(limit) => self.home.stats.refused(limit.limit),
            Failure::Broken { reason, .. } => {
                self.home.stats.broken();
                tracing::warn!(agent = &*self.home.name, what, reason, trace = bounded(error), "contract broken");
            }
            Failure::Answered(_) | Failure::Asks(_) => unreachable!("an answer is not an error of the engine"),
        }
        failure
    }

    /// The agent broke the contract in what it answered, not by a trap.
    pub(super) fn broke(&self, reason: impl Into<String>) -> Failure {
        let reason = reason.into();
        self.home.stats.broken();
        tracing::warn!(agent = &*self.home.name, reason, "contract broken");
        self.scene(&self.spec()).broken(reason)
    }

    pub(super) fn refused(&self, failure: Failure) -> Failure {
        if let Failure::Refused(limit) = &failure {
            self.home.stats.refused(limit.limit);
            tracing::debug!(agent = &*self.home.name, limit = ?limit.limit, "call refused");
        }
        failure
    }
}

/// What a call answers.
pub type Called<T> = Result<Charged<T>, Failure>;

impl Live {
    /// What the instance has cost so far; the wall clock is the caller's to add.
    pub(super) fn cost(&self) -> Cost {
        let (memory_peak, cpu) = (self.store.data().limiter.peak(), self.clock.cpu_total());
        Cost { memory_peak, cpu, wall: Duration::ZERO }
    }
}

/// A function of the contract by its own name: the bindings call `list-tools` of `tools` `call_list_tools`.
fn named(what: &'static str) -> &'static str {
    const NAMES: [(&str, &str); 7] = [
        ("resources.call_list_resources", "resources.list-resources"),
        ("resources.call_list_templates", "resources.list-templates"),
        ("tools.call_list_tools", "tools.list-tools"),
        ("tools.call_call", "tools.call"),
        ("prompts.call_list_prompts", "prompts.list-prompts"),
        ("prompts.call_get", "prompts.get"),
        ("completion.call_complete", "completion.complete"),
    ];
    NAMES.iter().find(|(bound, _)| *bound == what).map_or(what, |(_, name)| name)
}

/// An error of the engine with its backtrace, cut to a size fit for a log: the names in it are the guest's.
fn bounded(error: &wasmtime::Error) -> String {
    struct Cut(String);
    impl fmt::Write for Cut {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = TRACE_BYTES_MAX - self.0.len();
            self.0.push_str(&text[..text.floor_char_boundary(room)]);
            if text.len() > room { Err(fmt::Error) } else { Ok(()) }
        }
    }
    let mut cut = Cut(String::new());
    // Not `{error:?}`: with RUST_BACKTRACE set that adds the host's own backtrace, and a guest's trap would make the host
    // read its debug information. An error of this write only says that it was cut.
    let _ = fmt::write(&mut cut, format_args!("{error:#}"));
    cut.0
}

/// An agent's own error, cut to a size that needs no charge.
fn trimmed(error: contract::Error) -> contract::Error {
    use contract::Error as E;
    let cut = |mut text: String| {
        text.truncate(text.floor_char_boundary(ERROR_TEXT_BYTES_MAX));
        text.shrink_to_fit();
        text
    };
    match error {
        E::NotFound(text) => E::NotFound(cut(text)),
        E::InvalidInput(text) => E::InvalidInput(cut(text)),
        E::Denied(text) => E::Denied(cut(text)),
        E::Failed(text) => E::Failed(cut(text)),
        E::MissingCapability(names) => {
            // Into a new list: the old one's allocation may be as large as all that was copied.
            let mut few = Vec::with_capacity(names.len().min(ERROR_LIST_MAX));
            few.extend(names.into_iter().take(ERROR_LIST_MAX).map(cut));
            E::MissingCapability(few)
        }
        E::Busy(_) => error,
        // Bounded and paid for by `asks`.
        E::InputRequired(_) => error,
    }
}
