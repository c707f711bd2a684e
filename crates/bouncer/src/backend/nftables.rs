//! nftables, spoken to over netlink: no program is started, no library is linked.
//!
//! One table of the family `inet` holds maps from addresses to counters, for hosts and for ranges
//! of both families, and base chains that look packets up in them. Every element has a timeout of
//! its own, so bans end on time with nobody left to end them. A change is one transaction, and so
//! is the repair of everything: packets see the old content or the new one, never a part.
//!
//! Somebody else's changes are found by the generation number of the ruleset, which grows with
//! every transaction: while it is what our own transactions made it, nobody else was here. That is
//! one small question instead of a subscription that would tell us each of our own elements.
//!
//! Reading order: [`Settings`], [`Nftables`], `layout` (tables, chains, rules), `elements`,
//! `socket`, `wire`.

mod elements;
mod layout;
mod socket;
mod wire;

use std::{collections::HashSet, time::Instant};

use model::Timestamp;
use nix::errno::Errno;

use super::{Applied, Backend, BackendError, Counted, Counter, Drift, Leave};
use crate::set::{Address, Change, Effect, Entries, Host, Labels, Span, Wanted};
use elements::{Held, Work};
use layout::{Counts, Found, SetKind};
use socket::{Outcome, Socket, refused};
use wire::{Messages, number};

/// How packets are stopped, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The table, of the family `inet`.
    pub table: String,
    /// What the names of the sets begin with.
    pub set_prefix: String,
    /// Whose table it is.
    pub ownership: Ownership,
    /// Where packets are looked at.
    pub hooks: Vec<Hook>,
    /// Before or after whom: lower is earlier. 0 is where packet filters usually are.
    pub priority: i32,
    /// What happens to a packet.
    pub stop: Stop,
    /// Whether stopped packets are written to the kernel's log.
    pub log: Option<Log>,
    /// Whether all packets are counted, too.
    pub count_processed: bool,
    /// Which remediation types this back-end enforces; others it leaves to others.
    pub remediations: Vec<String>,
    /// Bytes after which a change of hosts is continued in another transaction.
    pub batch: usize,
    /// How many elements of a set are read back to be compared. The kernel begins at the first
    /// element again for each page it hands out, so reading many takes minutes; a larger set is
    /// emptied and filled in one transaction instead.
    pub compare_at_most: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            table: "shieldwall".to_owned(),
            set_prefix: String::new(),
            ownership: Ownership::Table,
            hooks: vec![Hook::Input, Hook::Forward],
            priority: -10,
            stop: Stop::Drop,
            log: None,
            count_processed: true,
            remediations: vec!["ban".to_owned()],
            // Measured: from 1 MiB on the kernel's pace no longer grows; more takes memory.
            batch: 4 << 20,
            // Measured: a quarter of a second.
            compare_at_most: 30_000,
        }
    }
}

/// Whose table it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Ours: everything in it is made, repaired and removed by us.
    Table,
    /// Somebody else's: only the sets in it are ours, and rules that are not ours use them.
    SetsOnly,
}

/// Where in its way through the kernel a packet is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// On arrival, before it is known where it goes.
    Prerouting,
    /// When it is for this host.
    Input,
    /// When it is for another host, a container for example.
    Forward,
}

impl Hook {
    const fn number(self) -> u32 {
        match self {
            Self::Prerouting => 0,
            Self::Input => 1,
            Self::Forward => 2,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
        }
    }
}

/// What happens to a packet that is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It vanishes.
    Drop,
    /// Its sender is told: TCP connections are closed, others are forbidden by ICMP.
    Reject,
}

/// How stopped packets are logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// What each line begins with.
    pub prefix: String,
    /// How many lines there are at most in a second.
    pub per_second: u32,
    /// The `nflog` group that gets them instead of the kernel's log.
    pub group: Option<u16>,
}

/// See the module.
pub struct Nftables {
    settings: Settings,
    socket: Socket,
    /// What we left.
    known: Option<Found>,
    counts: Counts,
    /// The number of the ruleset's state after our latest transaction.
    generation: u32,
    /// The counters there are.
    counters: HashSet<String>,
    /// How an element is removed: 6.3 and later do not mind when it is gone.
    removal: u16,
}

/// What is to be done to the four sets.
#[derive(Debug, Default)]
struct Plan {
    hosts4: Work<u32, Host<u32>>,
    spans4: Work<(u32, u32), Span<u32>>,
    hosts6: Work<u128, Host<u128>>,
    spans6: Work<(u128, u128), Span<u128>>,
}

impl Plan {
    fn applied(&self) -> Applied {
        let parts =
            [self.hosts4.applied, self.spans4.applied, self.hosts6.applied, self.spans6.applied];
        parts.into_iter().fold(Applied::default(), |sum, part| Applied {
            n_added: sum.n_added + part.n_added,
            n_changed: sum.n_changed + part.n_changed,
            n_removed: sum.n_removed + part.n_removed,
            was_rebuilt: false,
        })
    }
}

/// What the elements of a change need to know: counters by origin, and who is enforced here.
struct Context<'a> {
    labels: &'a Labels,
    counters: Vec<[String; 2]>,
    /// The time when the work began, and the clock since.
    now: Timestamp,
    begun: Instant,
    enforced: &'a [String],
    has_counters: bool,
}

impl<'a> Context<'a> {
    fn new(settings: &'a Settings, labels: &'a Labels, now: Timestamp) -> Self {
        let has_counters = settings.ownership == Ownership::Table;
        let names = |origin: &str| [false, true].map(|v6| layout::origin_counter(origin, v6));
        let counters = labels.origins().map(|(_, origin)| names(origin)).collect();
        let enforced = &settings.remediations;
        Self { labels, counters, now, begun: Instant::now(), enforced, has_counters }
    }

    /// The time by now: a timeout counts from when it is written.
    fn by_now(&self) -> Timestamp {
        self.now.after(self.begun.elapsed())
    }

    /// Whether an effect is ours to enforce.
    fn is_enforced(&self, effect: Effect) -> bool {
        let name = self.labels.remediation(effect.remediation);
        self.enforced.iter().any(|enforced| enforced.eq_ignore_ascii_case(name))
    }

    /// Whether there is still something to enforce.
    fn takes(&self, effect: Effect) -> bool {
        !effect.until.is_over(self.now) && self.is_enforced(effect)
    }

    /// The counter an effect is counted on; empty for none.
    fn counter(&self, effect: Effect, is_ipv6: bool) -> &str {
        if !self.has_counters {
            return "";
        }
        let names = self.counters.get(effect.origin.index());
        names.map_or("", |names| names[usize::from(is_ipv6)].as_str())
    }
}

impl Nftables {
    /// Opens the way to the kernel; changes nothing yet.
    ///
    /// # Errors
    /// When the settings make no sense, or the kernel has no nf_tables.
    pub fn new(settings: Settings) -> Result<Self, BackendError> {
        check(&settings)?;
        let mut socket = Socket::open()?;
        let generation = socket.generation()?;
        Ok(Self {
            settings,
            socket,
            known: None,
            counts: Vec::new(),
            generation,
            counters: HashSet::new(),
            removal: number::DESTROY_ELEMENT,
        })
    }

    /// Reads what there is, and which counters.
    fn look(&mut self) -> Result<(Found, Counts), BackendError> {
        self.generation = self.socket.generation()?;
        let (found, counts) = layout::find(&mut self.socket, &self.settings)?;
        if self.settings.ownership == Ownership::SetsOnly && found.table.is_none() {
            return Err(BackendError::Missing(format!(
                "there is no table `inet {}` to keep sets in",
                self.settings.table
            )));
        }
        if self.settings.ownership == Ownership::SetsOnly
            && !layout::can_adopt(&found, &self.settings)
        {
            return Err(BackendError::Missing(format!(
                "a set in the table `inet {}` has one of our names and another type",
                self.settings.table
            )));
        }
        let counters = if found.table.is_some() && self.settings.ownership == Ownership::Table {
            layout::counters(&mut self.socket, &self.settings)?
        } else {
            Vec::new()
        };
        self.counters = counters.into_iter().map(|counter| counter.name).collect();
        Ok((found, counts))
    }

    /// Remembers what we left behind. Handles are only known once things are made.
    fn remember(&mut self) -> Result<bool, BackendError> {
        let (found, counts) = layout::find(&mut self.socket, &self.settings)?;
        let is_whole = layout::is_whole(&found, &self.settings);
        self.known = Some(found);
        self.counts = counts;
        Ok(is_whole)
    }

    /// Whether removing what is not there is an error in this kernel. Needs the sets.
    fn try_removal(&mut self) -> Result<(), BackendError> {
        let mut batch = self.socket.begin();
        let gone = [elements::Element::Gone { address: u32::MIN }];
        elements::write(
            &mut batch,
            number::DESTROY_ELEMENT,
            &self.settings.table,
            &SetKind::Hosts4.name(&self.settings),
            gone.into_iter(),
        );
        if matches!(self.socket.transact(batch, "removing a set element")?, Outcome::Refused(_)) {
            self.removal = number::DEL_ELEMENT;
        }
        Ok(())
    }

    /// Remembers about how many elements a set has, where the kernel says so.
    fn count(&mut self, kind: SetKind, n_come: usize, n_gone: usize) {
        let name = kind.name(&self.settings);
        if let Some((_, count)) = self.counts.iter_mut().find(|(counted, _)| *counted == name) {
            let clamped = |n| u32::try_from(n).unwrap_or(u32::MAX);
            *count = count.saturating_add(clamped(n_come)).saturating_sub(clamped(n_gone));
        }
    }

    fn own_transaction(&mut self) {
        // The kernel skips 0.
        self.generation = self.generation.checked_add(1).unwrap_or(1);
    }

    /// Writes what makes the table whole, if it is not.
    fn mend(&mut self, batch: &mut Messages, found: &Found) -> bool {
        let is_kept = layout::can_adopt(found, &self.settings);
        if is_kept && self.known.as_ref() == Some(found) && layout::is_whole(found, &self.settings)
        {
            return false;
        }
        let nothing = Found::default();
        let found = if is_kept || found.table.is_none() {
            found
        } else {
            self.counters.clear();
            layout::remove_table(batch, &self.settings);
            &nothing
        };
        if self.settings.ownership == Ownership::Table && self.settings.count_processed {
            // The table first: a counter lives in it. Making it again is no error.
            batch.write(number::NEW_TABLE, number::CREATE, number::INET, |body| {
                body.text(1, &self.settings.table);
            });
            for is_ipv6 in [false, true] {
                let name = layout::processed_counter(is_ipv6);
                if self.counters.insert(name.clone()) {
                    layout::add_counter(batch, &self.settings.table, &name, "");
                }
            }
        }
        layout::rebuild(batch, found, &self.settings);
        true
    }

    /// Writes the counters that the plan needs and that do not exist.
    fn add_counters(&mut self, batch: &mut Messages, plan: &Plan, context: &Context<'_>) {
        if !context.has_counters {
            return;
        }
        let mut needed = vec![[false; 2]; context.counters.len()];
        let effects4 = plan.hosts4.add.iter().map(|host| host.effect);
        for effect in effects4.chain(plan.spans4.add.iter().map(|span| span.effect)) {
            if let Some(needed) = needed.get_mut(effect.origin.index()) {
                needed[0] = true;
            }
        }
        let effects6 = plan.hosts6.add.iter().map(|host| host.effect);
        for effect in effects6.chain(plan.spans6.add.iter().map(|span| span.effect)) {
            if let Some(needed) = needed.get_mut(effect.origin.index()) {
                needed[1] = true;
            }
        }
        for (id, origin) in context.labels.origins() {
            for family in [0, 1] {
                let name = &context.counters[id.index()][family];
                if needed[id.index()][family] && self.counters.insert(name.clone()) {
                    layout::add_counter(batch, &self.settings.table, name, origin);
                }
            }
        }
    }

    /// Carries out a plan. `batch` may hold what must come first; hosts are continued in further
    /// transactions once one is `limit` long.
    fn carry_out(
        &mut self,
        mut batch: Messages,
        plan: &Plan,
        context: &Context<'_>,
        limit: usize,
    ) -> Result<Outcome, BackendError> {
        self.add_counters(&mut batch, plan, context);
        let mut writer =
            Writer { batch, limit, has_work: false, removal: self.removal, context, target: self };
        writer.has_work = writer.batch.len() > EMPTY;
        writer.spans(&plan.spans4, SetKind::Ranges4);
        writer.spans(&plan.spans6, SetKind::Ranges6);
        if let Outcome::Refused(errno) = writer.hosts(&plan.hosts4, SetKind::Hosts4)? {
            return Ok(Outcome::Refused(errno));
        }
        if let Outcome::Refused(errno) = writer.hosts(&plan.hosts6, SetKind::Hosts6)? {
            return Ok(Outcome::Refused(errno));
        }
        writer.flush()
    }

    /// How many elements a set has, or is thought to have, is known without reading them.
    fn is_large(&self, counts: &Counts, kind: SetKind, n_wanted: usize) -> bool {
        let name = kind.name(&self.settings);
        let counted = counts.iter().find(|(counted, _)| *counted == name);
        let n = counted.and_then(|(_, count)| usize::try_from(*count).ok()).unwrap_or(n_wanted);
        n > self.settings.compare_at_most
    }

    /// One attempt at making everything as wanted.
    fn reconcile_once(
        &mut self,
        wanted: &Wanted,
        now: Timestamp,
        anew: bool,
    ) -> Result<(Applied, Outcome), BackendError> {
        let (mut found, counts) = self.look()?;
        let mut batch = self.socket.begin();
        if anew && self.settings.ownership == Ownership::Table && found.table.is_some() {
            layout::remove_table(&mut batch, &self.settings);
            self.counters.clear();
            found = Found::default();
        }
        let is_mended = self.mend(&mut batch, &found);
        let settings = self.settings.clone();
        let context = Context::new(&settings, &wanted.labels, now);
        let is_kept = found.table.is_some() && layout::can_adopt(&found, &settings);
        let entries = &wanted.entries;
        let there = There { found: &found, counts: &counts, is_kept };
        let kinds = [SetKind::Hosts4, SetKind::Ranges4];
        let (hosts4, spans4) = self.compare(&there, kinds, &entries.v4, &context)?;
        let kinds = [SetKind::Hosts6, SetKind::Ranges6];
        let (hosts6, spans6) = self.compare(&there, kinds, &entries.v6, &context)?;
        let plan = Plan { hosts4, spans4, hosts6, spans6 };
        let applied = Applied { was_rebuilt: is_mended, ..plan.applied() };
        // Into empty sets nothing can come half; everything else is replaced in one step.
        let limit = if applied.n_removed + applied.n_changed == 0 {
            self.settings.batch
        } else {
            usize::MAX
        };
        let outcome = self.carry_out(batch, &plan, &context, limit)?;
        Ok((applied, outcome))
    }

    #[expect(clippy::type_complexity, reason = "the two halves of a plan")]
    fn compare<A: Address>(
        &mut self,
        there: &There<'_>,
        [hosts, ranges]: [SetKind; 2],
        wanted: &Entries<A>,
        context: &Context<'_>,
    ) -> Result<(Work<A, Host<A>>, Work<(A, A), Span<A>>), BackendError> {
        let is_ipv6 = A::BITS == 128;
        let counter = |effect| context.counter(effect, is_ipv6);
        let taken = |effect: Effect| context.takes(effect);
        let is_all = wanted.hosts.iter().all(|host| taken(host.effect))
            && wanted.spans.iter().all(|span| taken(span.effect));
        let filtered;
        let wanted = if is_all {
            wanted
        } else {
            filtered = Entries {
                hosts: wanted.hosts.iter().filter(|host| taken(host.effect)).copied().collect(),
                spans: wanted.spans.iter().filter(|span| taken(span.effect)).copied().collect(),
            };
            &filtered
        };
        let mut read = |kind: SetKind, n_wanted: usize| {
            let name = kind.name(&self.settings);
            if !there.is_kept || !there.found.sets.iter().any(|set| set.name == name) {
                return Ok(Some(Held::nothing()));
            }
            if self.is_large(there.counts, kind, n_wanted) {
                return Ok(None);
            }
            let mut held = elements::read::<A>(&mut self.socket, &self.settings, kind)?;
            held.took = context.begun.elapsed();
            Ok(Some(held))
        };
        let hosts = match read(hosts, wanted.hosts.len())? {
            Some(held) => held.hosts(&wanted.hosts, context.now, &counter),
            None => Work::anew(wanted.hosts.clone()),
        };
        let spans = match read(ranges, wanted.spans.len() * 2)? {
            Some(held) => held.spans(&wanted.spans, context.now, &counter),
            None => Work::anew(wanted.spans.clone()),
        };
        Ok((hosts, spans))
    }
}

/// What a reconciliation finds, elements aside.
struct There<'a> {
    found: &'a Found,
    counts: &'a Counts,
    /// Whether the sets stay, with what is in them.
    is_kept: bool,
}

/// Writes the elements of a plan, and sends what is long enough.
struct Writer<'a, 'b> {
    batch: Messages,
    limit: usize,
    has_work: bool,
    removal: u16,
    context: &'a Context<'b>,
    target: &'a mut Nftables,
}

/// A transaction in which nothing was written yet.
const EMPTY: usize = 20;

/// Hosts that are written between two looks at the length of the transaction.
const STRIDE: usize = 8192;

impl Writer<'_, '_> {
    /// All spans, in one piece: what is cut and joined must change together.
    fn spans<A: Address>(&mut self, work: &Work<(A, A), Span<A>>, kind: SetKind) {
        let (table, set) = (&self.target.settings.table, kind.name(&self.target.settings));
        let is_ipv6 = A::BITS == 128;
        self.has_work |= work.is_anew || !work.remove.is_empty() || !work.add.is_empty();
        if work.is_anew {
            elements::flush(&mut self.batch, table, &set);
        }
        let gone = work.remove.iter().flat_map(|place| elements::gone(*place));
        elements::write(&mut self.batch, self.removal, table, &set, gone);
        let (context, now) = (self.context, self.context.by_now());
        let come = work.add.iter().flat_map(|span| {
            let counter =
                Some(context.counter(span.effect, is_ipv6)).filter(|name| !name.is_empty());
            let left = elements::milliseconds(span.effect.until, now);
            elements::begin_and_end(span, left, counter)
        });
        elements::write(&mut self.batch, number::NEW_ELEMENT, table, &set, come);
    }

    /// Hosts in order of their addresses, so that what goes and comes again does so at once.
    fn hosts<A: Address>(
        &mut self,
        work: &Work<A, Host<A>>,
        kind: SetKind,
    ) -> Result<Outcome, BackendError> {
        let set = kind.name(&self.target.settings);
        let is_ipv6 = A::BITS == 128;
        if work.is_anew {
            self.has_work = true;
            elements::flush(&mut self.batch, &self.target.settings.table, &set);
        }
        let (mut remove, mut add) = (work.remove.as_slice(), work.add.as_slice());
        while !remove.is_empty() || !add.is_empty() {
            self.has_work = true;
            // Both up to the same address.
            let bound = [remove.get(STRIDE).copied(), add.get(STRIDE).map(|host| host.address)];
            let bound = bound.into_iter().flatten().min();
            let cut = |at: A| bound.is_none_or(|bound| at < bound);
            let (gone, rest) = remove.split_at(remove.partition_point(|at| cut(*at)));
            remove = rest;
            let (come, rest) = add.split_at(add.partition_point(|host| cut(host.address)));
            add = rest;
            let table = &self.target.settings.table;
            let gone = gone.iter().map(|address| elements::Element::Gone { address: *address });
            elements::write(&mut self.batch, self.removal, table, &set, gone);
            let (context, now) = (self.context, self.context.by_now());
            let come = come.iter().map(|host| elements::Element::Begin {
                address: host.address,
                milliseconds: elements::milliseconds(host.effect.until, now),
                counter: Some(context.counter(host.effect, is_ipv6))
                    .filter(|name| !name.is_empty()),
            });
            elements::write(&mut self.batch, number::NEW_ELEMENT, table, &set, come);
            if self.batch.len() >= self.limit
                && let Outcome::Refused(errno) = self.flush()?
            {
                return Ok(Outcome::Refused(errno));
            }
        }
        Ok(Outcome::Done)
    }

    fn flush(&mut self) -> Result<Outcome, BackendError> {
        let next = self.target.socket.begin();
        let batch = std::mem::replace(&mut self.batch, next);
        if !std::mem::take(&mut self.has_work) {
            return Ok(Outcome::Done);
        }
        let outcome = self.target.socket.transact(batch, "changing nftables")?;
        if matches!(outcome, Outcome::Done) {
            self.target.own_transaction();
        }
        // The sequence has moved on.
        self.batch = self.target.socket.begin();
        Ok(outcome)
    }
}

impl Backend for Nftables {
    fn name(&self) -> &'static str {
        "nftables"
    }

    fn prepare(&mut self) -> Result<(), BackendError> {
        let doing = "making the table of nftables";
        for _ in 0..3 {
            let (found, _) = self.look()?;
            let mut batch = self.socket.begin();
            if self.mend(&mut batch, &found) && batch.len() > EMPTY {
                match self.socket.transact(batch, doing)? {
                    Outcome::Done => self.own_transaction(),
                    Outcome::Refused(Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT) => {
                        return Err(BackendError::Unsupported(
                            "this kernel has no tables for IPv4 and IPv6 together".to_owned(),
                        ));
                    }
                    Outcome::Refused(errno) => return Err(refused(doing, errno)),
                }
            }
            if self.remember()? {
                return self.try_removal();
            }
        }
        Err(BackendError::Busy { doing })
    }

    fn commit(&mut self, change: &Change, now: Timestamp) -> Result<Applied, BackendError> {
        let settings = self.settings.clone();
        let context = Context::new(&settings, &change.labels, now);
        // Where gone elements are an error, those that end about now are left to the kernel.
        let may_be_gone = |effect: Effect| {
            self.removal == number::DEL_ELEMENT
                && effect.until.is_over(now.plus_nanos(2_000_000_000))
        };
        let Change { add, extend, remove, .. } = change;
        let plan = Plan {
            hosts4: hosts([&add.v4, &extend.v4, &remove.v4], &context, may_be_gone),
            spans4: spans([&add.v4, &extend.v4, &remove.v4], &context, may_be_gone),
            hosts6: hosts([&add.v6, &extend.v6, &remove.v6], &context, may_be_gone),
            spans6: spans([&add.v6, &extend.v6, &remove.v6], &context, may_be_gone),
        };
        let batch = self.socket.begin();
        let outcome = self.carry_out(batch, &plan, &context, settings.batch)?;
        match outcome {
            Outcome::Done => {
                self.count(SetKind::Hosts4, plan.hosts4.add.len(), plan.hosts4.remove.len());
                self.count(SetKind::Hosts6, plan.hosts6.add.len(), plan.hosts6.remove.len());
                let (come, gone) = (plan.spans4.add.len() * 2, plan.spans4.remove.len() * 2);
                self.count(SetKind::Ranges4, come, gone);
                let (come, gone) = (plan.spans6.add.len() * 2, plan.spans6.remove.len() * 2);
                self.count(SetKind::Ranges6, come, gone);
                Ok(plan.applied())
            }
            Outcome::Refused(errno) => {
                // Which counters were made is not known for sure any more.
                self.counters.clear();
                Err(refused("changing nftables", errno))
            }
        }
    }

    fn reconcile(&mut self, wanted: &Wanted, now: Timestamp) -> Result<Applied, BackendError> {
        let mut last = Errno::EAGAIN;
        // Twice with what is there; if that is refused, everything of ours is made anew.
        for anew in [false, false, true] {
            let (applied, outcome) = self.reconcile_once(wanted, now, anew)?;
            match outcome {
                Outcome::Refused(errno) => last = errno,
                Outcome::Done if self.remember()? => return Ok(applied),
                Outcome::Done => {}
            }
        }
        Err(refused("repairing nftables", last))
    }

    fn drift(&mut self) -> Result<Drift, BackendError> {
        let generation = self.socket.generation()?;
        if generation == self.generation && self.known.is_some() {
            return Ok(Drift::None);
        }
        let (found, counts) = layout::find(&mut self.socket, &self.settings)?;
        if self.known.as_ref() != Some(&found) {
            return Ok(Drift::Certain);
        }
        // Elements end all the time, but not half of them.
        let is_emptied = self.counts.iter().any(|(name, before)| {
            let now = counts.iter().find(|(found, _)| found == name);
            now.is_some_and(|(_, now)| now.saturating_mul(2) < *before)
        });
        self.generation = generation;
        self.counts = counts;
        Ok(if is_emptied { Drift::Certain } else { Drift::Possible })
    }

    fn counters(&mut self) -> Result<Vec<Counter>, BackendError> {
        if self.settings.ownership == Ownership::SetsOnly {
            return Ok(Vec::new());
        }
        let found = layout::counters(&mut self.socket, &self.settings)?;
        let counters = found.into_iter().filter_map(|counter| {
            let is_ipv6 = counter.name.ends_with("-v6");
            let counted = if counter.name == layout::processed_counter(is_ipv6) {
                Counted::Processed
            } else {
                Counted::Stopped { origin: counter.comment? }
            };
            Some(Counter { counted, is_ipv6, packets: counter.packets, bytes: counter.bytes })
        });
        Ok(counters.collect())
    }

    fn close(&mut self, leave: Leave) -> Result<(), BackendError> {
        if leave == Leave::InEffect {
            return Ok(());
        }
        let doing = "removing what is ours from nftables";
        let (found, _) = layout::find(&mut self.socket, &self.settings)?;
        if found.table.is_none() {
            return Ok(());
        }
        let mut batch = self.socket.begin();
        match self.settings.ownership {
            Ownership::Table => layout::remove_table(&mut batch, &self.settings),
            Ownership::SetsOnly => {
                for set in &found.sets {
                    elements::flush(&mut batch, &self.settings.table, &set.name);
                }
            }
        }
        match self.socket.transact(batch, doing)? {
            Outcome::Done | Outcome::Refused(Errno::ENOENT) => {
                self.known = None;
                Ok(())
            }
            Outcome::Refused(errno) => Err(refused(doing, errno)),
        }
    }
}

fn hosts<A: Address>(
    [add, extend, remove]: [&Entries<A>; 3],
    context: &Context<'_>,
    may_be_gone: impl Fn(Effect) -> bool,
) -> Work<A, Host<A>> {
    let mut work = Work::default();
    let all = add.hosts.iter().chain(&extend.hosts);
    work.add = all.filter(|host| context.takes(host.effect)).copied().collect();
    let changed = extend.hosts.iter().filter(|host| context.is_enforced(host.effect));
    let gone = remove.hosts.iter().filter(|host| context.is_enforced(host.effect));
    let gone = gone.filter(|host| !may_be_gone(host.effect));
    work.remove = gone.chain(changed).map(|host| host.address).collect();
    work.add.sort_unstable();
    work.remove.sort_unstable();
    work.applied = applied(work.add.len(), work.remove.len(), extend.hosts.len());
    work
}

fn spans<A: Address>(
    [add, extend, remove]: [&Entries<A>; 3],
    context: &Context<'_>,
    may_be_gone: impl Fn(Effect) -> bool,
) -> Work<(A, A), Span<A>> {
    let mut work = Work::default();
    let all = add.spans.iter().chain(&extend.spans);
    work.add = all.filter(|span| context.takes(span.effect)).copied().collect();
    let changed = extend.spans.iter().filter(|span| context.is_enforced(span.effect));
    let gone = remove.spans.iter().filter(|span| context.is_enforced(span.effect));
    let gone = gone.filter(|span| !may_be_gone(span.effect));
    work.remove = gone.chain(changed).map(|span| (span.first, span.last)).collect();
    work.add.sort_unstable();
    work.remove.sort_unstable();
    work.applied = applied(work.add.len(), work.remove.len(), extend.spans.len());
    work
}

/// What changes is counted once, and not as gone and come.
fn applied(n_come: usize, n_gone: usize, n_changed: usize) -> Applied {
    Applied {
        n_added: n_come.saturating_sub(n_changed),
        n_changed,
        n_removed: n_gone.saturating_sub(n_changed),
        was_rebuilt: false,
    }
}

fn check(settings: &Settings) -> Result<(), BackendError> {
    let is_name = |name: &str| {
        name.len() <= 128
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
    };
    let wrong = |what: String| Err(BackendError::Settings(what));
    if !is_name(&settings.table) {
        return wrong(format!("{:?} cannot name a table", settings.table));
    }
    if !settings.set_prefix.is_empty() && !is_name(&settings.set_prefix) {
        return wrong(format!("{:?} cannot begin the name of a set", settings.set_prefix));
    }
    if settings.ownership == Ownership::Table {
        let twice = |(at, hook)| settings.hooks.iter().skip(at + 1).any(|other| other == hook);
        if settings.hooks.is_empty() || settings.hooks.iter().enumerate().any(twice) {
            return wrong("hooks are needed, each of them once".to_owned());
        }
    }
    if let Some(log) = &settings.log
        && (log.prefix.len() > 120 || log.prefix.contains('\0') || log.per_second == 0)
    {
        return wrong("a log prefix has at most 120 bytes, and the rate is above 0".to_owned());
    }
    Ok(())
}
