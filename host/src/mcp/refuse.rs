//! Refusals that are about no message: there was none to read, or it was not looked at.

use http::StatusCode;

use super::error::{self, Error, HostLimit};
use super::{Reply, Service};
use crate::access::Full;
use crate::agent::{Agent, Failure};

impl Service {
    /// An error reply that is not about a message, since there was none to read.
    pub fn refuse(&self, status: StatusCode, message: &str) -> Reply {
        self.fail(None, &Error::http(status, message))
    }

    /// The limit that refuses what is new, while memory is really at its end.
    pub fn out_of_memory(&self) -> Option<HostLimit> {
        let reading = self.pressure.reading();
        reading.refusing.then(|| HostLimit {
            agent: None,
            version: None,
            limit: "pressure.maximum",
            unit: "bytes",
            cap: reading.limit,
            used: reading.used(),
            wanted: 0,
            retry_after_ms: Some(1_000),
        })
    }

    /// A refusal by a limit of the host, before a message was read.
    pub fn refuse_at_limit(&self, limit: HostLimit) -> Reply {
        self.fail(None, &Error::refused(limit))
    }

    /// A refusal because everything a principal may have is taken.
    pub fn refuse_full(&self, full: &Full) -> Reply {
        self.fail(None, &Error::full(full))
    }

    /// Why a resource cannot be read, to a client that speaks no MCP.
    pub fn refuse_read(&self, failure: Failure, agent: &Agent, uri: &str) -> Reply {
        let version = agent.offer().map(|offer| offer.version.clone()).unwrap_or_default();
        let agent = error::Agent { name: agent.name().into(), version };
        self.fail(None, &Error::of_plain_read(failure, uri, &agent))
    }

    /// A resource is too long for any stream.
    pub fn refuse_long(&self, agent: &Agent, size: u64) -> Reply {
        let agent = error::Agent { name: agent.name().into(), version: "".into() };
        self.fail(None, &Error::too_long(self.stream_bytes_max, size, &agent).with_status(StatusCode::BAD_GATEWAY))
    }

    /// A refusal by the ledger, before a message was read.
    pub fn refuse_unpaid(&self, refusal: &stockade_ledger::Refusal) -> Reply {
        self.fail(None, &Error::unpaid(refusal))
    }
}
