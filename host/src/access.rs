//! Who calls: a token in, a principal out, and what a principal may do and take.
//!
//! Owns the hashes of tokens, the operator's own token and the shares of limits. A token's text lives only as long as it
//! takes to hash it; nothing here logs one or writes one anywhere but into the operator's file.
//!
//! # Layout
//!
//! - `token`: fresh tokens and their hashes. `operator`: the file with the operator's token.
//! - `places`: a limit on how many things may be at once, with a share for each principal.

pub mod operator;
mod places;
mod token;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use subtle::ConstantTimeEq as _;

use crate::manifest::{Manifest, Role, TokenHash};

pub use places::{Full, Place, Places};
pub use token::{Token, random};

/// Name of a caller without a token.
const ANONYMOUS: &str = "anonymous";

/// Percent of a limit that all callers without a token may take together: everything while nobody has a token.
const ANONYMOUS_SHARE_PERCENT: u32 = 25;

/// Percent that means everything.
const WHOLE_PERCENT: u32 = 100;

/// Name of whoever holds the token that the host itself made.
const OPERATOR: &str = "operator";

/// Somebody who calls.
#[derive(Debug, PartialEq, Eq)]
pub struct Principal {
    /// Name of the token, else `anonymous`.
    pub name: Arc<str>,
    /// What it may do.
    pub role: Role,
    /// Percent of a shared limit.
    share_percent: u32,
    /// Tells the principals of one host apart, densely, from 0.
    index: usize,
}

impl Principal {
    /// Whoever has no token.
    pub(crate) fn anonymous(share_percent: u32) -> Self {
        Self { name: ANONYMOUS.into(), role: Role::Reader, share_percent, index: 0 }
    }

    /// The same with another role.
    pub(crate) fn in_role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    /// Whether it has sent no token.
    pub fn is_anonymous(&self) -> bool {
        self.index == 0
    }

    /// Its number among the principals of this host, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// How much of a limit it may take alone; at least 1.
    pub fn share_of(&self, cap: u32) -> u32 {
        let share = (u64::from(cap) * u64::from(self.share_percent)).div_ceil(u64::from(WHOLE_PERCENT));
        u32::try_from(share).unwrap_or(cap).max(1)
    }

    /// Whether it may publish an agent of this name.
    pub fn may_publish(&self, agent: &str) -> bool {
        match &self.role {
            Role::Reader => false,
            Role::Publisher(names) => names.iter().any(|name| name.fits(agent)),
            Role::Operator => true,
        }
    }
}

/// Everybody who may call. A cheap handle.
#[derive(Debug, Clone)]
pub struct Access(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    known: Vec<(TokenHash, Arc<Principal>)>,
    anonymous: Arc<Principal>,
    principals: usize,
}

impl Access {
    /// What the manifest says, and who holds the operator's token of this host, if it has one.
    pub fn new(manifest: &Manifest, operator: Option<TokenHash>) -> Self {
        let alone = manifest.tokens.is_empty();
        let share_percent = if alone { WHOLE_PERCENT } else { ANONYMOUS_SHARE_PERCENT };
        let named = manifest.tokens.iter().map(|(name, spec)| {
            let principal = (name.clone(), spec.role.clone(), spec.share_percent);
            (spec.sha256, principal)
        });
        let own = operator.map(|sha256| (sha256, (OPERATOR.into(), Role::Operator, WHOLE_PERCENT)));
        let known = named.chain(own).zip(1..).map(|((sha256, (name, role, share_percent)), index)| {
            (sha256, Arc::new(Principal { name, role, share_percent, index }))
        });
        // Where other machines can call, nobody is anonymous.
        let anonymous_calls = manifest.listen.ip().to_canonical().is_loopback();
        let principals = manifest.tokens.len() + usize::from(anonymous_calls);
        Self(Arc::new(Inner {
            known: known.collect(),
            anonymous: Arc::new(Principal::anonymous(share_percent)),
            principals,
        }))
    }

    /// Who a token belongs to. Takes as long for a wrong token as for a right one, whichever it is.
    pub fn by_token(&self, token: &str) -> Option<Arc<Principal>> {
        let said = token::hash(token);
        let mut found = None;
        for (sha256, principal) in &self.0.known {
            if bool::from(sha256.ct_eq(&said)) {
                found = Some(principal);
            }
        }
        found.cloned()
    }

    /// Who calls without a token.
    pub fn anonymous(&self) -> Arc<Principal> {
        self.0.anonymous.clone()
    }

    /// How many callers of agents the host can tell apart. The operator's own token is for looking after the host, so it
    /// does not count.
    pub fn principals(&self) -> usize {
        self.0.principals
    }
}
