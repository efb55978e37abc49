//! Who may call with a token: names, roles and shares, beside the sha256 of each token.
//!
//! The table stands in the manifest, or in a file of its own whose mistakes are reported with its own name and lines.
//! Never holds a token and never shows one: what was written where a hash belongs is hidden in every message.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::problem::{Findings, quote};
use super::raw::{self, Entry, Node, Value};
use super::table::{Setting, Table, join};
use super::{AgentName, text};

/// Tokens of one host. Each presented token is compared with all of them.
pub const TOKENS_MAX: usize = 256;

/// How every token begins that this program makes, so that people and secret scanners know one when they see it.
pub const TOKEN_PREFIX: &str = "stk_";

/// Percent of a limit that one token may take, unless it says otherwise. Operators may take all.
const SHARE_PERCENT_DEFAULT: u32 = 50;
const SHARE_PERCENT_OPERATOR: u32 = 100;

/// Names that the host gives to callers of its own kind.
const RESERVED: [&str; 3] = ["anonymous", "host", "operator"];

/// Keys of a token whose values are no secrets, whatever an operator writes there.
const OPEN_KEYS: [&str; 3] = ["role", "names", "share"];

/// sha256 of a token.
pub type TokenHash = [u8; 32];

/// One token, known by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSpec {
    /// Of the token's text.
    pub sha256: TokenHash,
    /// What its bearer may do.
    pub role: Role,
    /// How much of a shared limit its bearer may take.
    pub share_percent: u32,
}

/// What a caller may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Call agents and read their resources.
    Reader,
    /// Also publish agents whose names fit one of these.
    Publisher(Vec<NamePattern>),
    /// Everything.
    Operator,
}

/// Names of agents: `demo` alone, or with `team-*` all that begin with `team-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamePattern {
    /// This agent.
    One(AgentName),
    /// Every agent whose name begins so.
    Beginning(String),
}

/// A role before it knows its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rank {
    Reader,
    Publisher,
    Operator,
}

/// The part of the manifest that this file checks.
#[derive(Default)]
pub(super) struct Tokens {
    pub specs: BTreeMap<Arc<str>, TokenSpec>,
    /// Whether the file names any, right or wrong.
    pub are_given: bool,
}

impl Role {
    /// The role's word in the manifest.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Publisher(_) => "publisher",
            Self::Operator => "operator",
        }
    }
}

impl NamePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The suggestion to show with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        const FORM: &str = "it is an agent's name, or the beginning of one with `*` at its end: demo, team-*";
        match text.strip_suffix('*') {
            Some("") => Ok(Self::Beginning(String::new())),
            // What any name that begins so would have: a hyphen at the end is legal when something follows.
            Some(start) if AgentName::parse(&format!("{start}x")).is_ok() => Ok(Self::Beginning(start.to_owned())),
            Some(_) => Err(FORM.to_owned()),
            None => AgentName::parse(text).map(Self::One).map_err(|error| format!("{error}; {FORM}")),
        }
    }

    /// Whether an agent of this name is meant.
    pub fn fits(&self, agent: &str) -> bool {
        match self {
            Self::One(name) => name.as_str() == agent,
            Self::Beginning(start) => agent.starts_with(start),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(name) => name.fmt(out),
            Self::Beginning(start) => write!(out, "{start}*"),
        }
    }
}

/// Reads the name of a token, which is formed as an agent's.
///
/// # Errors
/// What is wrong with it, without the text itself.
pub fn parse_token_name(text: &str) -> Result<Arc<str>, String> {
    if RESERVED.contains(&text) {
        return Err(format!("the names {} are the host's own", RESERVED.join(", ")));
    }
    AgentName::parse(text).map_err(|error| format!("tokens are named as agents are: {error}"))?;
    Ok(text.into())
}

/// Reads 64 hex digits, and nothing else.
fn parse_hash(text: &str) -> Option<TokenHash> {
    let mut hash = TokenHash::default();
    if text.len() != 2 * hash.len() {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        let [high, low] = [digits[0], digits[1]].map(|digit| char::from(digit).to_digit(16));
        *byte = u8::try_from(high? << 4 | low?).ok()?;
    }
    Some(hash)
}

pub(super) fn check(top: &mut Table<'_>, folder: &Path) -> Tokens {
    let findings = top.findings;
    let Some(entry) = top.entry("tokens") else { return Tokens::default() };
    match &entry.node.value {
        Value::Text(path) => Tokens { specs: from_file(path, entry, folder, findings), are_given: true },
        Value::Empty | Value::List(_) | Value::Table(_) => {
            if let Value::List(_) = entry.node.value {
                hide_texts(&entry.node, findings);
            }
            let table = Table::new(&entry.node, "tokens".to_owned(), Some(entry.place), findings);
            let entries = table.names();
            Tokens { are_given: !entries.is_empty(), specs: tokens(entries, "tokens", findings) }
        }
    }
}

/// Reads the table from a file of its own.
fn from_file(path: &str, entry: &Entry, folder: &Path, findings: &Findings<'_>) -> BTreeMap<Arc<str>, TokenSpec> {
    let place = Some(entry.node.place);
    if path.starts_with(TOKEN_PREFIX) {
        findings.hide(entry.node.place);
        findings.error(place, "`tokens` is a token (not shown), not a table or a file".to_owned(), HASHES_ONLY);
        return BTreeMap::new();
    }
    let file = folder.join(path);
    let text = match text::read(&file) {
        Ok(text) => text,
        Err(fault) => {
            findings.error(
                place,
                format!("the file of tokens {} {}", quote(path), fault.message),
                "`tokens` is a table, or the path of a YAML file that holds it, relative to the manifest's folder",
            );
            return BTreeMap::new();
        }
    };
    let own = Findings::new(&file, &text);
    let specs = match raw::parse(&text) {
        Ok(root) => {
            let entries = Table::new(&root, String::new(), None, &own).names();
            if report_repeated(entries, &own) { BTreeMap::new() } else { tokens(entries, "", &own) }
        }
        Err(fault) => {
            own.error(fault.place, fault.message, fault.suggestion);
            BTreeMap::new()
        }
    };
    findings.adopt(&own);
    specs
}

/// Whether a file of tokens repeats the manifest's key, below which it stands already.
fn report_repeated(entries: &[Entry], findings: &Findings<'_>) -> bool {
    let [Entry { key, place, node: Node { value: Value::Table(within), .. } }] = entries else { return false };
    let repeated = key == "tokens" && within.iter().all(|entry| entry.key != "sha256");
    if repeated {
        within.iter().for_each(|entry| hide_secrets(entry, findings));
        let suggestion = "the file holds what would stand below `tokens:`: delete this line, and indent the rest less";
        findings.error(Some(*place), "`tokens` stands in the manifest already".to_owned(), suggestion);
    }
    repeated
}

const HASHES_ONLY: &str =
    "a token itself stands in no file: `stockade token NAME` makes one, with its hash and the lines to write here";

/// Reads every token of a table.
fn tokens(entries: &[Entry], path: &str, findings: &Findings<'_>) -> BTreeMap<Arc<str>, TokenSpec> {
    // First, so that no complaint about a neighbour on the same line can show one.
    for entry in entries {
        hide_secrets(entry, findings);
    }
    if let Some(first_beyond) = entries.get(TOKENS_MAX) {
        let message = format!("there are {} tokens, at most {TOKENS_MAX} are served", entries.len());
        findings.error(Some(first_beyond.place), message, "give one token to callers that may be taken for each other");
        return BTreeMap::new();
    }
    let mut specs = BTreeMap::new();
    let mut owners: HashMap<TokenHash, &str> = HashMap::new();
    for entry in entries {
        let name = match parse_token_name(&entry.key) {
            Ok(name) => name,
            Err(error) => {
                let message = format!("this cannot name a token: {error}");
                findings.error(Some(entry.place), message, "choose a name such as `ci` or `ann-laptop`");
                continue;
            }
        };
        let Some(spec) = token(entry, path, findings) else { continue };
        if let Some(owner) = owners.insert(spec.sha256, &entry.key).filter(|owner| **owner != entry.key) {
            findings.error(
                Some(entry.place),
                format!("{} has the same token as {}", quote(&entry.key), quote(owner)),
                format!("a token says who calls: make another with `stockade token {name}`"),
            );
        }
        // A name that comes twice is reported where the table was read.
        specs.entry(name).or_insert(spec);
    }
    specs
}

/// Hides whatever in a token's entry could be a secret that somebody wrote in the wrong place.
fn hide_secrets(entry: &Entry, findings: &Findings<'_>) {
    if entry.key.starts_with(TOKEN_PREFIX) {
        findings.hide(entry.place);
    }
    match &entry.node.value {
        Value::Table(keys) => {
            for key in keys.iter().filter(|key| !OPEN_KEYS.contains(&key.key.as_str())) {
                hide_texts(&key.node, findings);
            }
        }
        Value::Empty | Value::Text(_) | Value::List(_) => hide_texts(&entry.node, findings),
    }
}

fn hide_texts(node: &Node, findings: &Findings<'_>) {
    match &node.value {
        Value::Empty => {}
        Value::Text(_) => findings.hide(node.place),
        Value::List(items) => items.iter().for_each(|item| hide_texts(item, findings)),
        Value::Table(keys) => keys.iter().for_each(|key| hide_texts(&key.node, findings)),
    }
}

/// Reads one token; none without a hash.
fn token(entry: &Entry, path: &str, findings: &Findings<'_>) -> Option<TokenSpec> {
    let path = join(path, &entry.key);
    if let Value::Text(_) = entry.node.value {
        let message = format!("`{path}` is a single value (not shown), not a table with `sha256` and `role`");
        findings.error(Some(entry.node.place), message, HASHES_ONLY);
        return None;
    }
    let mut table = Table::new(&entry.node, path, Some(entry.place), findings);
    let sha256 = hash(&mut table);
    let ranks = [("reader", Rank::Reader), ("publisher", Rank::Publisher), ("operator", Rank::Operator)];
    let rank = table.choice("role", Rank::Reader, &ranks).value;
    let names: Vec<NamePattern> = table.list("names", NamePattern::parse).into_iter().map(|name| name.value).collect();
    let share_default = if rank == Rank::Operator { SHARE_PERCENT_OPERATOR } else { SHARE_PERCENT_DEFAULT };
    let share = table.count("share", Setting::default(share_default), 1..=100).value;
    report_names(&mut table, rank);
    table.end();
    let role = match rank {
        Rank::Reader => Role::Reader,
        Rank::Publisher => Role::Publisher(names),
        Rank::Operator => Role::Operator,
    };
    Some(TokenSpec { sha256: sha256?, role, share_percent: share })
}

fn hash(table: &mut Table<'_>) -> Option<TokenHash> {
    let (findings, path) = (table.findings, join(&table.path, "sha256"));
    let Some(entry) = table.entry("sha256") else {
        findings.error(table.place, format!("`{path}` is missing"), HASHES_ONLY);
        return None;
    };
    let hash = match &entry.node.value {
        Value::Text(text) => parse_hash(text),
        Value::Empty | Value::List(_) | Value::Table(_) => None,
    };
    if hash.is_none() {
        let message =
            format!("`{path}` is not the 64 hex digits of a sha256; perhaps it is the token itself (not shown)");
        findings.error(Some(entry.node.place), message, HASHES_ONLY);
    }
    hash
}

/// Publishers have names, others have none.
fn report_names(table: &mut Table<'_>, rank: Rank) {
    let (findings, place) = (table.findings, table.place_of("names"));
    // What is there and wrong is reported where it was read.
    let are_none = match table.entry("names").map(|entry| &entry.node.value) {
        None | Some(Value::Empty) => true,
        Some(Value::List(names)) => names.is_empty(),
        Some(Value::Text(_) | Value::Table(_)) => false,
    };
    if rank == Rank::Publisher && are_none {
        let message = format!("`{}` is a publisher without names", table.path);
        findings.error(place, message, "add the agents it may publish: `names: [demo]`, or `names: [team-*]`");
    }
    if rank != Rank::Publisher && table.has("names") {
        let message = format!("`{}` is there, which only a publisher needs", join(&table.path, "names"));
        findings.error(place, message, "delete the key, or write `role: publisher`");
    }
}
