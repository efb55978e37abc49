//! What an update adds and deletes, resolved against what is known.

use std::collections::{HashMap, HashSet};

use super::checked::{Added, Burden, Checked};
use super::names::New;
use super::{Entry, Kind, Ledger, Of, Place, Standing, WHOLE, find};
use crate::Malformed;
use crate::update::{Content, Id, Link, Section, Struct, Update, What};

/// Maps within maps: an agent in the root, and a map as a field.
const NESTING_MAX: u8 = 2;

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
        let Burden { entries, clients, deletions, comparisons } = checked.burden();
        self.holds("clients", capacity.clients, self.clients.len() + clients)?;
        self.holds("entries", capacity.entries, self.entries + entries)?;
        self.holds("ranges deleted", capacity.deletions, self.deletions + deletions)?;
        self.holds("comparisons of one update", capacity.comparisons, comparisons)?;
        self.holds("names of agents", capacity.agents, self.names.agents.len() + checked.agents.len())?;
        self.holds("names of fields", capacity.fields, self.names.fields.len() + checked.fields.len())
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
    /// Those whose places this update takes.
    replaced: HashSet<Id>,
    /// All but the last of those that are several in one, by client.
    several: HashMap<u64, Vec<[u32; 2]>>,
    /// Entries that it adds at each place.
    chains: HashMap<Place, u32>,
    comparisons: usize,
    taken: usize,
}

/// New structs of one client.
struct Open<'a> {
    client: u64,
    /// Those still to be resolved.
    rest: &'a [Struct<'a>],
    entries: Vec<Entry>,
    joins: bool,
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
                opens.push(open(section, next, end)?);
            }
        }
        let by_client = opens.iter().enumerate().map(|(place, open)| (open.client, place)).collect();
        let (agents, fields) = (New::behind(&ledger.names.agents), New::behind(&ledger.names.fields));
        Ok(Self {
            ledger,
            opens,
            by_client,
            agents,
            fields,
            touched: Vec::new(),
            replaced: HashSet::new(),
            several: HashMap::new(),
            chains: HashMap::new(),
            comparisons: 0,
            taken: 0,
        })
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
        let Open { client, at, .. } = self.opens[turn];
        let joined = match one.what {
            What::Item(Link::Origin(id), _) if of.kind != Kind::Gone => {
                let is_taken = !self.replaced.insert(id) || self.ledger.is_replaced(id) || self.is_within(id);
                if is_taken {
                    self.taken += 1;
                    self.compare(of.place);
                }
                !is_taken && id.client == client && id.clock.checked_add(1) == Some(at)
            }
            What::Item(..) if of.kind != Kind::Gone => {
                self.compare(of.place);
                false
            }
            // What is nowhere is one run, wherever it was.
            _ => true,
        };
        let open = &mut self.opens[turn];
        match open.entries.last() {
            None => {
                open.joins = joined;
                open.entries.push(Entry { clock: at, of });
            }
            Some(last) if joined && last.of == of => {}
            Some(_) => open.entries.push(Entry { clock: at, of }),
        }
        if of.kind != Kind::Gone {
            // A library makes one of those that are joined only when it has taken all.
            *self.chains.entry(of.place).or_default() += 1;
        }
        if one.len > 1 && of.kind != Kind::Gone {
            // In the order of their clocks: a client's structs are entered one after the other.
            self.several.entry(client).or_default().push([at, at + one.len - 1]);
        }
        open.begins += one.len;
        open.at = open.begins;
        open.rest = &open.rest[1..];
    }

    /// Whether a struct of this update is several in one, of which this is one and not the last.
    fn is_within(&self, id: Id) -> bool {
        let Some(ranges) = self.several.get(&id.client) else { return false };
        let first = ranges.partition_point(|range| range[1] <= id.clock);
        ranges.get(first).is_some_and(|range| range[0] <= id.clock)
    }

    /// A struct is compared with all that there are at its place.
    fn compare(&mut self, place: Place) {
        let there = [self.ledger.chains.get(&place), self.chains.get(&place)].into_iter().flatten();
        self.comparisons += 1 + there.sum::<u32>() as usize;
    }

    /// Those of this update whose places are taken: what others name, and all but the last of what is several in one.
    fn replaced(&self) -> HashMap<u64, Vec<[u32; 2]>> {
        let mut replaced: HashMap<u64, Vec<[u32; 2]>> = HashMap::new();
        for id in &self.replaced {
            replaced.entry(id.client).or_default().push([id.clock, id.clock + 1]);
        }
        for (client, ranges) in &self.several {
            replaced.entry(*client).or_default().extend(ranges);
        }
        replaced
    }

    /// Adds what is deleted.
    fn finish(mut self, update: &Update<'_>) -> Result<Checked, Standing> {
        let (mut deleted, mut apart) = (Vec::new(), 0);
        for each in &update.deleted {
            let ranges = self.newly_deleted(each.client, &each.ranges)?;
            let is_apart = |[from, to]: &&[u32; 2]| {
                self.ledger.clients.get(&each.client).is_none_or(|known| !known.deleted.touches(*from, *to))
            };
            apart += ranges.iter().filter(is_apart).count();
            if !ranges.is_empty() {
                deleted.push((each.client, ranges));
            }
        }
        self.touched.sort_unstable();
        self.touched.dedup();
        let (ledger, replaced) = (self.ledger, self.replaced());
        let added = |open: Open<'_>| {
            let known = ledger.next(open.client);
            Added { client: open.client, entries: open.entries, joins: open.joins, known, next: open.end }
        };
        Ok(Checked {
            version: ledger.version,
            added: self.opens.into_iter().map(added).collect(),
            replaced,
            deleted,
            apart,
            agents: self.agents.into_names(),
            fields: self.fields.into_names(),
            touched: self.touched,
            comparisons: self.comparisons,
            taken: self.taken,
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

/// The structs of a section that are new.
fn open<'a>(section: &'a Section<'a>, next: u32, end: u32) -> Result<Open<'a>, Standing> {
    let (mut rest, mut begins) = (section.structs.as_slice(), section.clock);
    while let Some((first, behind)) = rest.split_first()
        && begins + first.len <= next
    {
        (rest, begins) = (behind, begins + first.len);
    }
    // Of an item that is known in part, a library takes the rest for one that comes behind the known part, wherever that is, and
    // whatever is said here. Whoever is asked for the rest alone says so.
    let in_part = begins < next && matches!(rest.first(), Some(Struct { what: What::Item(..), .. }));
    if in_part {
        return Err(Standing::Gap { client: section.client, clock: next });
    }
    let entries = Vec::new();
    Ok(Open { client: section.client, rest, entries, joins: false, at: next, begins, end, waiting: Vec::new() })
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
