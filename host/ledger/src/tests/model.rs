//! Random histories against a model that keeps no sums: it adds everything up anew for every question.

use crate::{Account, AccountSnapshot, Charge, Ledger, Refusal, RefusalKind, Snapshot, Spec};

const HISTORIES: u64 = 500;
const STEPS: usize = 300;
const LENDABLE: u64 = 100;
/// Larger than some ceilings, so that both kinds of refusal happen.
const CEILING_MAX: u64 = 130;
const FLOOR_MAX: u64 = 30;
const BYTES_MAX: u64 = 40;
const ACCOUNTS_MAX: usize = 12;

/// SplitMix64: each history can be repeated from its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn index(&mut self, length: usize) -> Option<usize> {
        (length > 0).then(|| self.below(length as u64) as usize)
    }
}

/// An account as the model knows it; `parent` is an index into the model's accounts, none for the root.
struct Known {
    parent: Option<usize>,
    name: String,
    ceiling: u64,
    floor: u64,
    handle: Option<Account>,
    peak: u64,
    refusals: u64,
}

/// The bytes of one charge, and the index of its account.
type Held = (usize, u64);

struct Model {
    ledger: Ledger,
    accounts: Vec<Known>,
    charges: Vec<(usize, Charge)>,
    peak: u64,
    refusals: u64,
    /// Of `Never` and of `FullNow`, to see that the histories meet both.
    refused: [u64; 2],
}

#[test]
fn random_histories_agree_with_the_model() {
    let mut refused = [0; 2];
    for seed in 0..HISTORIES {
        let mut random = Random(seed);
        let mut model = Model::new();
        for step in 0..STEPS {
            model.step(&mut random);
            assert_eq!(model.ledger.snapshot(), model.expected(), "seed {seed}, step {step}");
            model.check_invariants();
        }
        let Model { ledger, accounts, charges, refused: [never, full_now], .. } = model;
        refused = [refused[0] + never, refused[1] + full_now];
        drop((accounts, charges));
        let rest = ledger.snapshot();
        assert_eq!((rest.used, rest.accounts.len()), (0, 0), "seed {seed}: baseline");
    }
    assert!(refused.iter().all(|count| *count > HISTORIES), "too few refusals to tell: {refused:?}");
}

impl Model {
    fn new() -> Model {
        let ledger = Ledger::new(LENDABLE);
        Model { ledger, accounts: vec![], charges: vec![], peak: 0, refusals: 0, refused: [0; 2] }
    }

    fn step(&mut self, random: &mut Random) {
        match random.below(10) {
            0 => self.open(random),
            1 if random.below(3) == 0 => self.forget_account(random),
            1 | 2 => self.drop_charge(random),
            3 | 4 => self.grow(random),
            5 => self.shrink(random),
            6 => self.split(random),
            7 => self.merge(random),
            _ => self.charge(random),
        }
        self.peak = self.peak.max(self.root_used(&self.held()));
        for index in 0..self.accounts.len() {
            self.accounts[index].peak = self.accounts[index].peak.max(self.used(index, &self.held()));
        }
    }

    fn open(&mut self, random: &mut Random) {
        if (0..self.accounts.len()).filter(|index| self.lives(*index)).count() >= ACCOUNTS_MAX {
            return;
        }
        let ceiling = random.below(CEILING_MAX);
        let name = format!("account{}", self.accounts.len());
        let parent = self.any_handle(random).filter(|_| random.below(2) == 0);
        let floor = if parent.is_none() { random.below(FLOOR_MAX) } else { 0 };
        let spec = Spec { name: name.as_str().into(), ceiling, floor };
        let opened = match parent {
            Some(parent) => Ok(self.handle(parent).child(spec)),
            None => self.ledger.account(spec),
        };
        let name = parent.map_or(name.clone(), |parent| format!("{}/{name}", self.accounts[parent].name));
        let refusal = self.floor_refusal(&name, ceiling, floor);
        match opened {
            Ok(handle) => {
                assert_eq!(refusal, None);
                let handle = Some(handle);
                self.accounts.push(Known { parent, name, ceiling, floor, handle, peak: 0, refusals: 0 });
            }
            Err(actual) => {
                assert_eq!(Some(&actual), refusal.as_ref());
                self.refusals += u64::from(&*actual.account == "memory");
            }
        }
    }

    fn charge(&mut self, random: &mut Random) {
        let Some(account) = self.any_handle(random) else { return };
        let wanted = random.below(BYTES_MAX);
        let expected = self.refusal(account, 0, wanted);
        assert_eq!(self.handle(account).free() >= wanted, expected.is_none(), "free() tells what can be charged");
        match self.handle(account).charge(wanted) {
            Ok(charge) => {
                assert_eq!((charge.bytes(), expected), (wanted, None));
                self.charges.push((account, charge));
            }
            Err(actual) => self.refused(account, actual, expected),
        }
    }

    fn grow(&mut self, random: &mut Random) {
        let Some(index) = random.index(self.charges.len()) else { return };
        let (account, held) = (self.charges[index].0, self.charges[index].1.bytes());
        let by = random.below(BYTES_MAX);
        let expected = self.refusal(account, held, by);
        match self.charges[index].1.grow(by) {
            Ok(()) => assert_eq!((self.charges[index].1.bytes(), expected), (held + by, None)),
            Err(actual) => {
                assert_eq!(self.charges[index].1.bytes(), held);
                self.refused(account, actual, expected);
            }
        }
    }

    fn shrink(&mut self, random: &mut Random) {
        let Some(index) = random.index(self.charges.len()) else { return };
        let charge = &mut self.charges[index].1;
        charge.shrink(random.below(charge.bytes() + 1));
    }

    fn split(&mut self, random: &mut Random) {
        let Some(index) = random.index(self.charges.len()) else { return };
        let (account, charge) = &mut self.charges[index];
        let part = (*account, charge.split(random.below(charge.bytes() + 1)));
        self.charges.push(part);
    }

    fn merge(&mut self, random: &mut Random) {
        let Some(index) = random.index(self.charges.len()) else { return };
        let (account, taken) = self.charges.swap_remove(index);
        match self.charges.iter_mut().find(|(of, _)| *of == account) {
            Some((_, charge)) => charge.merge(taken),
            None => self.charges.push((account, taken)),
        }
    }

    fn drop_charge(&mut self, random: &mut Random) {
        if let Some(index) = random.index(self.charges.len()) {
            drop(self.charges.swap_remove(index));
        }
    }

    fn forget_account(&mut self, random: &mut Random) {
        if let Some(account) = self.any_handle(random) {
            self.accounts[account].handle = None;
        }
    }

    fn refused(&mut self, account: usize, actual: Refusal, expected: Option<Refusal>) {
        assert_eq!(Some(&actual), expected.as_ref());
        self.refused[usize::from(actual.kind == RefusalKind::FullNow)] += 1;
        for index in self.path(account) {
            self.accounts[index].refusals += 1;
            if self.accounts[index].name == *actual.account {
                return;
            }
        }
        self.refusals += 1;
    }

    /// Who would refuse a charge, by adding it and looking who is overfull: now, and with nobody else there.
    fn refusal(&self, account: usize, held: u64, by: u64) -> Option<Refusal> {
        let mut now = self.held();
        now.push((account, by));
        let full = self.overfull(account, &now)?;
        let never = self.overfull(account, &[(account, held + by)]);
        let kind = if never.is_some() { RefusalKind::Never } else { RefusalKind::FullNow };
        Some(match never.unwrap_or(full) {
            Some(index) => {
                let Known { name, ceiling, .. } = &self.accounts[index];
                let used = self.used(index, &self.held());
                Refusal { account: name.as_str().into(), wanted: by, used, limit: *ceiling, kind }
            }
            None => self.root_refusal(by, kind),
        })
    }

    fn floor_refusal(&self, name: &str, ceiling: u64, floor: u64) -> Option<Refusal> {
        if floor > ceiling {
            let kind = RefusalKind::Never;
            return Some(Refusal { account: name.into(), wanted: floor, used: 0, limit: ceiling, kind });
        }
        let never = floor + self.root_used(&[]) > LENDABLE;
        let kind = if never { RefusalKind::Never } else { RefusalKind::FullNow };
        (floor + self.root_used(&self.held()) > LENDABLE).then(|| self.root_refusal(floor, kind))
    }

    fn root_refusal(&self, wanted: u64, kind: RefusalKind) -> Refusal {
        Refusal { account: "memory".into(), wanted, used: self.root_used(&self.held()), limit: LENDABLE, kind }
    }

    /// The first on the way up that holds too much: an account, or the root as `Some(None)`.
    fn overfull(&self, account: usize, held: &[Held]) -> Option<Option<usize>> {
        let overfull =
            self.path(account).into_iter().find(|index| self.used(*index, held) > self.accounts[*index].ceiling);
        overfull.map(Some).or((self.root_used(held) > LENDABLE).then_some(None))
    }

    fn expected(&self) -> Snapshot {
        let held = self.held();
        let living = self.accounts.iter().enumerate().filter(|(index, _)| self.lives(*index));
        let accounts = living.map(|(index, known)| AccountSnapshot {
            name: known.name.as_str().into(),
            used: self.used(index, &held),
            peak: known.peak,
            ceiling: known.ceiling,
            floor: known.floor,
            refusals: known.refusals,
        });
        let (used, peak, refusals) = (self.root_used(&held), self.peak, self.refusals);
        Snapshot { lendable: LENDABLE, used, peak, refusals, accounts: accounts.collect() }
    }

    /// What must hold whatever the model thinks.
    fn check_invariants(&self) {
        let Snapshot { lendable, used, accounts, .. } = self.ledger.snapshot();
        let occupied = accounts.iter().filter(|account| !account.name.contains('/'));
        assert_eq!(used, occupied.map(|account| account.used.max(account.floor)).sum::<u64>());
        assert!(used <= lendable, "lent {used} of {lendable}");
        for account in &accounts {
            let prefix = format!("{}/", account.name);
            let is_child =
                |other: &&AccountSnapshot| other.name.strip_prefix(&prefix).is_some_and(|rest| !rest.contains('/'));
            let of_children = accounts.iter().filter(is_child).map(|child| child.used).sum::<u64>();
            assert!(of_children <= account.used && account.used <= account.ceiling, "{account:?}");
        }
    }

    fn held(&self) -> Vec<Held> {
        self.charges.iter().map(|(account, charge)| (*account, charge.bytes())).collect()
    }

    fn used(&self, account: usize, held: &[Held]) -> u64 {
        held.iter().filter(|(of, _)| self.path(*of).contains(&account)).map(|(_, bytes)| bytes).sum()
    }

    fn root_used(&self, held: &[Held]) -> u64 {
        let top = (0..self.accounts.len()).filter(|index| self.accounts[*index].parent.is_none() && self.lives(*index));
        top.map(|index| self.used(index, held).max(self.accounts[index].floor)).sum()
    }

    fn lives(&self, account: usize) -> bool {
        let handles =
            self.accounts.iter().enumerate().filter(|(_, known)| known.handle.is_some()).map(|(index, _)| index);
        let holders = self.charges.iter().map(|(of, _)| *of);
        handles.chain(holders).any(|holder| self.path(holder).contains(&account))
    }

    /// The account and all above it, the root excepted.
    fn path(&self, account: usize) -> Vec<usize> {
        std::iter::successors(Some(account), |index| self.accounts[*index].parent).collect()
    }

    fn any_handle(&self, random: &mut Random) -> Option<usize> {
        let open: Vec<usize> =
            (0..self.accounts.len()).filter(|index| self.accounts[*index].handle.is_some()).collect();
        random.index(open.len()).map(|index| open[index])
    }

    fn handle(&self, account: usize) -> &Account {
        self.accounts[account].handle.as_ref().expect("chosen among the open ones")
    }
}
