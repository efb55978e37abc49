//! What an update adds and deletes, resolved against what is known.

use std::collections::HashMap;

use super::names::New;
use super::{Entry, Kind, Ledger, Of, Place, Standing, Touch, WHOLE, find, push};
use crate::Malformed;
use crate::update::{Content, Id, Link, Section, Struct, Update, What};

/// Maps within maps: an agent in the root, and a map as a field.
const NESTING_MAX: u8 = 2;

/// An update that fits, and what it would change. To be [admitted](Ledger::admit) once it is applied.
#[derive(Debug)]
pub struct Checked {
    /// Of the ledger it was checked against.
    pub(super) version: u64,
    pub(super) added: Vec<Added>,
    /// Ranges that were not deleted before.
    pub(super) deleted: Vec<(u64, Vec<[u32; 2]>)>,
    /// Names that are new.
    pub(super) agents: Vec<Box<str>>,
    pub(super) fields: Vec<Box<str>>,
    touched: Vec<Place>,
}

/// Structs of one client that are new.
#[derive(Debug)]
pub(super) struct Added {
    pub client: u64,
    pub entries: Vec<Entry>,
    /// The first clock of them.
    pub known: u32,
    /// The first clock behind them.
    pub next: u32,
}

impl Checked {
    /// True if it changes nothing: all of it is known.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.deleted.is_empty()
    }

    /// Clients of whom it brings structs, and how many of theirs were known before.
    pub fn writers(&self) -> impl Iterator<Item = (u64, u32)> {
        self.added.iter().map(|added| (added.client, added.known))
    }

    /// What it would set or delete, each once. `ledger` is the one that checked it.
    pub fn touches<'a>(&'a self, ledger: &'a Ledger) -> impl Iterator<Item = Touch<'a>> {
        let agents = &ledger.names.agents;
        let fields = &ledger.names.fields;
        self.touched.iter().filter_map(move |place| {
            let agent = name(agents.get(place.agent), &self.agents, place.agent as usize, agents.len())?;
            let field = match place.field {
                WHOLE => None,
                field => {
                    let number = field - 1;
                    Some(name(fields.get(number), &self.fields, number as usize, fields.len())?)
                }
            };
            Some(Touch { agent, field })
        })
    }
}

fn name<'a>(known: Option<&'a str>, new: &'a [Box<str>], number: usize, count: usize) -> Option<&'a str> {
    known.or_else(|| new.get(number.checked_sub(count)?).map(|name| &**name))
}

impl Ledger {
    /// Holds a foreign update against what is known.
    ///
    /// # Errors
    ///
    /// When it cannot be taken as it is; nothing has changed then.
    pub fn check(&self, update: &Update<'_>) -> Result<Checked, Standing> {
        for section in &update.sections {
            if self.host.contains(&section.client) && end(section) > self.next(section.client) {
                return Err(Standing::Forged(section.client));
            }
        }
        let checked = self.check_own(update)?;
        self.check_room(&checked)?;
        Ok(checked)
    }

    /// The same for an update of the host's own, which finds room where others do not.
    ///
    /// # Errors
    ///
    /// When the host has made a mistake, or what it stored is damaged.
    pub fn check_own(&self, update: &Update<'_>) -> Result<Checked, Standing> {
        let mut resolving = Resolving::new(self, update)?;
        resolving.resolve()?;
        resolving.finish(update)
    }

    /// Whether there is room for it, too.
    fn check_room(&self, checked: &Checked) -> Result<(), Standing> {
        let capacity = &self.capacity;
        let new_clients = checked.added.iter().filter(|added| added.known == 0).count();
        let new_entries: usize = checked.added.iter().map(|added| added.entries.len()).sum();
        self.holds("clients", capacity.clients, self.clients.len() + new_clients)?;
        self.holds("entries", capacity.entries, self.entries + new_entries)?;
        self.holds("names of agents", capacity.agents, self.names.agents.len() + checked.agents.len())?;
        self.holds("names of fields", capacity.fields, self.names.fields.len() + checked.fields.len())
    }

    fn next(&self, client: u64) -> u32 {
        self.clients.get(&client).map_or(0, |client| client.next)
    }

    fn holds(&self, limit: &'static str, max: usize, wanted: usize) -> Result<(), Standing> {
        match wanted > max {
            true => Err(Standing::Full { limit, max: max as u64, wanted: wanted as u64 }),
            false => Ok(()),
        }
    }
}

/// The first clock behind a section.
fn end(section: &Section<'_>) -> u32 {
    section.clock + section.structs.iter().map(|each| each.len).sum::<u32>()
}

/// The new structs of an update, being resolved in the order of their dependencies.
struct Resolving<'a> {
    ledger: &'a Ledger,
    opens: Vec<Open<'a>>,
    by_client: HashMap<u64, usize>,
    agents: New<'a>,
    fields: New<'a>,
    touched: Vec<Place>,
}

/// New structs of one client.
struct Open<'a> {
    client: u64,
    /// Those still to be resolved.
    rest: &'a [Struct<'a>],
    entries: Vec<Entry>,
    /// Up to here it is known, or resolved.
    at: u32,
    /// The clock that `rest` begins with: before `at`, if the first of it is known in part.
    begins: u32,
    end: u32,
    /// Who waits for which clock of this client's.
    waiting: Vec<(u32, usize)>,
}

/// What came of looking for a struct.
enum Found {
    Of(Of),
    /// It is in this update, and not resolved yet.
    Later(usize),
}

impl<'a> Resolving<'a> {
    fn new(ledger: &'a Ledger, update: &'a Update<'a>) -> Result<Self, Standing> {
        let mut opens = Vec::new();
        for section in &update.sections {
            let next = ledger.next(section.client);
            if section.clock > next {
                return Err(Standing::Gap { client: section.client, clock: next });
            }
            let end = end(section);
            if end > next {
                opens.push(open(section, next, end));
            }
        }
        let by_client = opens.iter().enumerate().map(|(place, open)| (open.client, place)).collect();
        let (agents, fields) = (New::behind(&ledger.names.agents), New::behind(&ledger.names.fields));
        Ok(Self { ledger, opens, by_client, agents, fields, touched: Vec::new() })
    }

    /// Resolves all structs. Each client's in turn, as far as they go; who waits for another's is woken by it.
    fn resolve(&mut self) -> Result<(), Standing> {
        let mut ready: Vec<usize> = (0..self.opens.len()).collect();
        while let Some(turn) = ready.pop() {
            while let Some(one) = self.opens[turn].rest.first() {
                match self.resolve_one(one)? {
                    Found::Of(of) => self.enter(turn, one, of),
                    Found::Later(other) => {
                        let clock = needs(one).map_or(0, |id| id.clock);
                        self.opens[other].waiting.push((clock, turn));
                        break;
                    }
                }
            }
            let Open { waiting, at, .. } = &mut self.opens[turn];
            ready.extend(waiting.extract_if(.., |(clock, _)| *clock < *at).map(|(_, other)| other));
        }
        match self.opens.iter().all(|open| open.rest.is_empty()) {
            true => Ok(()),
            false => Err(Malformed::Broken("structs depend on each other in a circle").into()),
        }
    }

    fn resolve_one(&mut self, one: &Struct<'a>) -> Result<Found, Standing> {
        const GONE: Of = Of { place: Place { agent: 0, field: WHOLE }, depth: 0, kind: Kind::Gone };
        let What::Item(link, content) = one.what else { return Ok(Found::Of(GONE)) };
        let kind = match content {
            Content::Deleted => Kind::Deleted,
            Content::Value => Kind::Value,
            Content::Map => Kind::Map,
        };
        let of = match link {
            Link::Root(key) => Of { place: Place { agent: self.agents.number(key), field: WHOLE }, depth: 1, kind },
            Link::Origin(id) => match self.find(id)? {
                Found::Of(origin) if origin.kind == Kind::Gone => GONE,
                Found::Of(origin) => Of { kind, ..origin },
                later @ Found::Later(_) => return Ok(later),
            },
            Link::Within(id, key) => match self.find(id)? {
                Found::Of(Of { kind: Kind::Gone | Kind::Deleted, .. }) => GONE,
                Found::Of(Of { kind: Kind::Value, .. }) => {
                    return Err(Malformed::Broken("a key within something that is no map").into());
                }
                Found::Of(Of { place, depth: 1, .. }) => {
                    Of { place: Place { field: 1 + self.fields.number(key), ..place }, depth: 2, kind }
                }
                Found::Of(Of { place, depth, .. }) => Of { place, depth: depth + 1, kind },
                later @ Found::Later(_) => return Ok(later),
            },
        };
        if of.kind == Kind::Map && of.depth > NESTING_MAX {
            return Err(Malformed::beyond("nesting of maps", NESTING_MAX.into(), of.depth.into()).into());
        }
        Ok(Found::Of(of))
    }

    fn find(&self, id: Id) -> Result<Found, Standing> {
        if let Some(of) = self.ledger.find(id.client, id.clock) {
            return Ok(Found::Of(of));
        }
        let gap = || Standing::Gap { client: id.client, clock: self.ledger.next(id.client) };
        let other = *self.by_client.get(&id.client).ok_or_else(gap)?;
        let open = &self.opens[other];
        if id.clock >= open.end {
            return Err(gap());
        }
        Ok(match id.clock < open.at {
            true => Found::Of(find(&open.entries, id.clock).ok_or_else(gap)?),
            false => Found::Later(other),
        })
    }

    fn enter(&mut self, turn: usize, one: &Struct<'a>, of: Of) {
        if of.kind != Kind::Gone {
            self.touched.push(of.place);
        }
        let open = &mut self.opens[turn];
        push(&mut open.entries, Entry { clock: open.at, of });
        open.begins += one.len;
        open.at = open.begins;
        open.rest = &open.rest[1..];
    }

    /// Adds what is deleted.
    fn finish(mut self, update: &Update<'_>) -> Result<Checked, Standing> {
        let mut deleted = Vec::new();
        for each in &update.deleted {
            let ranges = self.newly_deleted(each.client, &each.ranges)?;
            if !ranges.is_empty() {
                deleted.push((each.client, ranges));
            }
        }
        self.touched.sort_unstable();
        self.touched.dedup();
        let ledger = self.ledger;
        let added = |open: Open<'_>| {
            let known = ledger.next(open.client);
            Added { client: open.client, entries: open.entries, known, next: open.end }
        };
        Ok(Checked {
            version: ledger.version,
            added: self.opens.into_iter().map(added).collect(),
            deleted,
            agents: self.agents.into_names(),
            fields: self.fields.into_names(),
            touched: self.touched,
        })
    }

    /// The parts of these ranges that are not deleted yet; what they belong to is touched.
    fn newly_deleted(&mut self, client: u64, ranges: &[[u32; 2]]) -> Result<Vec<[u32; 2]>, Standing> {
        let known = self.ledger.clients.get(&client);
        let open = self.by_client.get(&client).map(|place| &self.opens[*place]);
        let next = known.map_or(0, |known| known.next);
        let end = open.map_or(next, |open| open.end);
        let mut new = Vec::new();
        for &[from, to] in ranges {
            if to > end {
                return Err(Standing::Gap { client, clock: end });
            }
            match known {
                Some(known) => new.extend(known.deleted.missing(from, to)),
                None => new.push([from, to]),
            }
        }
        for &[from, to] in &new {
            let of = known.map(|known| (&known.entries, next)).into_iter();
            for (entries, end) in of.chain(open.map(|open| (&open.entries, open.end))) {
                self.touched.extend(places(entries, from, to.min(end)));
            }
        }
        Ok(new)
    }
}

fn open<'a>(section: &'a Section<'a>, next: u32, end: u32) -> Open<'a> {
    let (mut rest, mut begins) = (section.structs.as_slice(), section.clock);
    while let Some((first, behind)) = rest.split_first()
        && begins + first.len <= next
    {
        (rest, begins) = (behind, begins + first.len);
    }
    Open { client: section.client, rest, entries: Vec::new(), at: next, begins, end, waiting: Vec::new() }
}

/// The struct that one depends on.
fn needs(one: &Struct<'_>) -> Option<Id> {
    match one.what {
        What::Item(Link::Origin(id) | Link::Within(id, _), _) => Some(id),
        _ => None,
    }
}

/// What the structs from `from` to `to` belong to.
fn places(entries: &[Entry], from: u32, to: u32) -> impl Iterator<Item = Place> {
    // None, should they all lie behind these entries.
    let to = if from < to { to } else { 0 };
    let first = entries.partition_point(|entry| entry.clock <= from).saturating_sub(1);
    let within = entries[first..].iter().take_while(move |entry| entry.clock < to);
    within.filter(|entry| entry.of.kind != Kind::Gone).map(|entry| entry.of.place)
}
