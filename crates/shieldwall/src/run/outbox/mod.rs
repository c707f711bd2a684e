//! The outbox: alerts on their way to local APIs, on disk until each of them has said it has them.
//!
//! One journal of numbered segments, and for each parent a position in it. What [`Outbox::sync`]
//! returned from survives the process and the power; a segment is deleted when every parent is
//! past it. An alert carries its own identifier, so that a parent that is told twice (its answer
//! was lost, or the position was) stores it once.
//!
//! INVARIANT: segments that were there at the start are never written again, so what a crash left
//! half written is found by its checksum and skipped. A disk that refuses makes the newest segments
//! live in memory until it takes them. Both kinds are bounded (I5): past the limit the oldest
//! segment goes, loudly.
//!
//! Reading order: [`Outbox`], [`segment`] (bytes and checksums), [`name`] (identifiers), [`deliver`]
//! (a thread for each parent), [`culprit`] and [`aside`] (alerts a parent will not have), [`parent`]
//! (who takes alerts), [`local`] and [`remote`].

mod segment;

mod name;

pub(crate) mod deliver;

mod culprit;

mod aside;

pub(crate) mod parent;

pub(crate) mod local;

pub(crate) mod remote;

#[cfg(test)]
mod tests;

use super::Flushed;
use anyhow::{Context as _, Result};
use model::{Source, Uuid};
use segment::{Body, Segment};
use std::{
    collections::{BTreeMap, VecDeque},
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tracing::{error, info, warn};

/// A segment that is longer is followed by a new one.
const SEGMENT: u64 = 1 << 20;

/// The current segment is given up when everybody has all of it and it is longer than this.
const WORTH_DELETING: u64 = 64 << 10;

/// The longest alert that is taken.
const MAX_ALERT: usize = 16 << 20;

/// How much the outbox may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes in all; past them the oldest segment goes.
    pub(crate) total: u64,
    /// Bytes in memory while the disk refuses; past them whoever brings alerts waits.
    pub(crate) memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { total: 256 << 20, memory: 32 << 20 }
    }
}

/// How often whoever waits for room tries the disk again.
const RETRY: Duration = Duration::from_millis(500);

/// Alerts on their way.
#[derive(Debug)]
pub(crate) struct Outbox {
    dir: PathBuf,
    secret: name::Secret,
    limits: Limits,
    state: Mutex<State>,
    /// Told when there is something to read, and when the outbox closes.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Oldest first; the last one is written to if `is_open`.
    segments: VecDeque<Segment>,
    is_open: bool,
    /// Lines that were pushed and are not in a segment yet.
    fresh: Vec<u8>,
    next_number: u64,
    positions: BTreeMap<String, Position>,
    closing: bool,
    /// Whether the disk refused the last time.
    refused: bool,
    /// Whether an alert was lost because there was neither disk nor memory for it.
    lost: bool,
    /// Whether it was told that positions cannot be written.
    position_told: bool,
}

/// A place in the journal: everything before it was delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    segment: u64,
    offset: u64,
}

/// Alerts to deliver, and where the parent is once it has them.
#[derive(Debug)]
pub(crate) struct Batch {
    /// One alert each, as given to [`Outbox::push`]. May be empty: only broken lines were there.
    pub(crate) alerts: Vec<String>,
    pub(crate) end: Position,
}

/// What there is for a parent.
#[derive(Debug)]
pub(crate) enum Next {
    Batch(Batch),
    /// Nothing came in time.
    Nothing,
    /// Nothing is left, and nothing will come.
    Closed,
}

impl Outbox {
    /// Opens the journal in `dir`, which is made where it is not there, for these parents. Those it
    /// does not know yet get everything that is still there.
    ///
    /// # Errors
    /// When the directory cannot be made or read.
    pub(crate) fn open(dir: &Path, parents: &[String], limits: Limits) -> Result<Self> {
        let doing = || format!("opening the outbox {}", dir.display());
        fs::create_dir_all(dir).with_context(doing)?;
        let segments = segment::found(dir).with_context(doing)?;
        let secret = name::secret(dir).with_context(doing)?;
        let mut next_number = segments.back().map_or(1, |last| last.number.saturating_add(1));
        let mut positions = BTreeMap::new();
        for parent in parents {
            let position = read_position(dir, parent, &segments).unwrap_or_default();
            // Numbers are not used again, also when every segment is gone.
            next_number = next_number.max(position.segment.saturating_add(1));
            positions.insert(parent.clone(), position);
        }
        let waiting: u64 = segments.iter().map(|segment| segment.length).sum();
        if waiting > 0 {
            info!(bytes = waiting, "alerts of the last run are in the outbox");
        }
        let state = State { segments, next_number, positions, ..State::default() };
        let outbox = Self {
            dir: dir.to_path_buf(),
            secret,
            limits,
            state: Mutex::new(state),
            changed: Condvar::new(),
        };
        outbox.forget_delivered(&mut outbox.lock());
        let again = aside::take_again(dir, |alerts| {
            alerts.iter().for_each(|alert| outbox.lock().append(alert));
            outbox.sync() == Flushed::Safe
        });
        if let Err(error) = again {
            warn!(%error, file = aside::AGAIN, "alerts to be sent again cannot be read");
        }
        Ok(outbox)
    }

    /// The identifier of the alert that an overflow makes about a source: the same each time.
    pub(crate) fn name(&self, identity: u128, source: &Source) -> Uuid {
        name::name(self.secret, identity, source)
    }

    /// Takes an alert, a text without line breaks. It counts as taken when [`Self::sync`] says so.
    /// Where there is neither disk nor memory for it, this waits, until `stopping` is set.
    pub(crate) fn push(&self, alert: &str, stopping: &AtomicBool) {
        if alert.len() > MAX_ALERT || alert.contains('\n') {
            error!(bytes = alert.len(), "an alert is too large to be sent, and is lost");
            return;
        }
        let mut state = self.lock();
        let is_full = |state: &State| {
            let in_memory = state.in_memory().saturating_add(state.fresh.len() as u64);
            state.refused && in_memory > self.limits.memory
        };
        if is_full(&state) {
            warn!("the outbox cannot be written and memory is full: detection waits");
        }
        while is_full(&state) && !stopping.load(Ordering::SeqCst) {
            drop(state);
            self.sync();
            let waiting = self.changed.wait_timeout(self.lock(), RETRY);
            state = waiting.unwrap_or_else(PoisonError::into_inner).0;
        }
        if is_full(&state) {
            // Its lines are never acknowledged, so the next start reads them again.
            state.lost = true;
            error!("there is neither disk nor memory for an alert; its lines are read again later");
            return;
        }
        state.append(alert);
    }

    /// Brings everything that was pushed to the disk. When the disk refuses, it is kept in memory,
    /// the next call tries again, and this says so. What every parent has is safe too.
    pub(crate) fn sync(&self) -> Flushed {
        let mut state = self.lock();
        let outcome = self.write(&mut state);
        match (&outcome, state.refused) {
            (Err(error), false) => {
                let error = format!("{error:#}");
                error!(%error, "alerts are only in memory until the outbox can be written");
            }
            (Ok(()), true) => info!("the outbox can be written again"),
            (Ok(()), false) | (Err(_), true) => {}
        }
        state.refused = outcome.is_err();
        self.shed(&mut state);
        self.changed.notify_all();
        if state.is_safe() { Flushed::Safe } else { Flushed::InMemory }
    }

    /// Whether alerts are waiting for a disk that refused.
    pub(crate) fn is_troubled(&self) -> bool {
        self.lock().refused
    }

    /// The next alerts for a parent: up to `most`, at least one if there is any. Waits up to `wait`.
    pub(crate) fn next(&self, parent: &str, most: usize, wait: Duration) -> Next {
        let mut state = self.lock();
        let rest_of = |state: &State| state.rest_after(*state.positions.get(parent)?).map(drop);
        let is_empty = |state: &mut State| rest_of(state).is_none() && !state.closing;
        if is_empty(&mut state) {
            state = self
                .changed
                .wait_timeout_while(state, wait, |state| is_empty(state))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        let position = state.positions.get(parent).copied();
        match position.and_then(|position| state.batch_after(position, most)) {
            Some(batch) => Next::Batch(batch),
            None if state.closing => Next::Closed,
            None => Next::Nothing,
        }
    }

    /// The alerts behind a place, which nobody is said to have; `None` at the end.
    fn after(&self, position: Position, most: usize) -> Option<Batch> {
        self.lock().batch_after(position, most)
    }

    /// Sets alerts aside that a parent will not have; gives the file they are in now.
    ///
    /// # Errors
    /// When they cannot be written; then they are still to be delivered.
    fn set_aside(&self, parent: &str, alerts: &[String]) -> Result<PathBuf> {
        aside::add(&self.dir, parent, alerts)
    }

    /// Notes that a parent has everything before `end`.
    pub(crate) fn done(&self, parent: &str, end: Position) {
        let mut state = self.lock();
        let Some(position) = state.positions.get_mut(parent) else { return };
        *position = end.max(*position);
        let position = *position;
        // Not synced: an older position means that alerts are sent again, and recognized.
        let outcome = write_position(&self.dir, parent, position);
        if let Err(error) = &outcome
            && !state.position_told
        {
            let error = format!("{error:#}");
            warn!(%error, "the position in the outbox cannot be written");
        }
        state.position_told = outcome.is_err();
        self.forget_delivered(&mut state);
    }

    /// How many bytes wait for a parent.
    pub(crate) fn waiting(&self, parent: &str) -> u64 {
        let state = self.lock();
        let position = state.positions.get(parent).copied().unwrap_or_default();
        state.segments.iter().map(|segment| segment.length_after(position)).sum()
    }

    /// Nothing will be pushed any more.
    pub(crate) fn close(&self) {
        self.sync();
        let mut state = self.lock();
        state.closing = true;
        self.forget_delivered(&mut state);
        self.changed.notify_all();
    }

    /// Whether [`Self::close`] was called.
    pub(crate) fn is_closing(&self) -> bool {
        self.lock().closing
    }

    /// Waits so long, or until the outbox is closed.
    pub(crate) fn rest(&self, pause: Duration) {
        let _woken = self
            .changed
            .wait_timeout_while(self.lock(), pause, |state| !state.closing)
            .unwrap_or_else(PoisonError::into_inner);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; if something did, the journal is still in order.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what is only in memory: segments the disk refused, then fresh lines.
    fn write(&self, state: &mut State) -> Result<()> {
        let mut outcome = Ok(());
        for segment in &mut state.segments {
            if outcome.is_ok() {
                outcome = segment.save(&self.dir);
            }
        }
        if state.fresh.is_empty() {
            return outcome;
        }
        let fresh = std::mem::take(&mut state.fresh);
        let is_full = state.segments.back().is_none_or(|last| last.length >= SEGMENT);
        if !state.is_open || is_full || outcome.is_err() {
            let number = state.next_number;
            state.next_number += 1;
            state.segments.push_back(Segment::in_memory(number, Vec::new()));
            state.is_open = true;
        }
        let last = state.segments.back_mut().expect("one was pushed if there was none");
        if outcome.is_ok() {
            outcome = last.append(&self.dir, &fresh);
            if outcome.is_err() {
                // What of it was written lies behind the length that counts; it goes elsewhere.
                let number = state.next_number;
                state.next_number += 1;
                state.segments.push_back(Segment::in_memory(number, fresh));
            }
        } else {
            last.append_in_memory(&fresh);
        }
        outcome
    }

    /// Lets the oldest segments go when there is too much.
    fn shed(&self, state: &mut State) {
        let mut total: u64 = state.segments.iter().map(|segment| segment.length).sum();
        while total > self.limits.total && state.segments.len() > 1 {
            let Some(oldest) = state.segments.pop_front() else { return };
            total -= oldest.length;
            error!(
                bytes = oldest.length,
                "the outbox is full: its oldest alerts are lost; is the local API reachable?"
            );
            oldest.delete();
        }
    }

    /// Deletes the segments that everybody is past.
    fn forget_delivered(&self, state: &mut State) {
        loop {
            let Some(first) = state.segments.front() else { return };
            let is_current = state.is_open && state.segments.len() == 1;
            let is_done = |position: &Position| first.length_after(*position) == 0;
            if !state.positions.values().all(is_done)
                || state.positions.is_empty()
                || (is_current && first.length < WORTH_DELETING && !state.closing)
            {
                return;
            }
            let Some(first) = state.segments.pop_front() else { return };
            first.delete();
            state.is_open &= !state.segments.is_empty();
        }
    }
}

impl State {
    fn append(&mut self, alert: &str) {
        segment::write_line(alert, &mut self.fresh);
    }

    /// The segment that is read next from a position on, and from where.
    fn rest_after(&self, position: Position) -> Option<(&Segment, u64)> {
        self.segments
            .iter()
            .find(|segment| segment.length_after(position) > 0)
            .map(|segment| (segment, segment.length - segment.length_after(position)))
    }

    fn batch_after(&self, position: Position, most: usize) -> Option<Batch> {
        let (segment, offset) = self.rest_after(position)?;
        let number = segment.number;
        Some(match segment.read(offset, most) {
            Ok((alerts, n_broken, end)) => {
                if n_broken > 0 {
                    warn!(n = n_broken, "alerts in the outbox were damaged and are skipped");
                }
                Batch { alerts, end: Position { segment: number, offset: end } }
            }
            Err(error) => {
                // What cannot be read now cannot be read later either: go on behind it.
                error!(%error, segment = number, "a part of the outbox cannot be read");
                let end = Position { segment: number, offset: segment.length };
                Batch { alerts: Vec::new(), end }
            }
        })
    }

    /// Whether everything pushed is on disk or with every parent.
    fn is_safe(&self) -> bool {
        let has_it = |position: &Position, of: &Segment| of.length_after(*position) == 0;
        let is_safe = |segment: &Segment| {
            matches!(segment.body, Body::File(_))
                || self.positions.values().all(|position| has_it(position, segment))
        };
        !self.lost && self.fresh.is_empty() && self.segments.iter().all(is_safe)
    }

    fn in_memory(&self) -> u64 {
        let of_memory = |segment: &&Segment| matches!(segment.body, Body::Memory(_));
        self.segments.iter().filter(of_memory).map(|segment| segment.length).sum()
    }
}

fn position_path(dir: &Path, parent: &str) -> PathBuf {
    dir.join(format!("{parent}.position"))
}

/// What was written down; `None` for what cannot be, so that alerts come twice rather than never.
fn read_position(dir: &Path, parent: &str, segments: &VecDeque<Segment>) -> Option<Position> {
    /// More segments than will ever be written.
    const ENDLESS: u64 = 1 << 48;
    let text = fs::read_to_string(position_path(dir, parent)).ok()?;
    let (segment, offset) = text.trim().split_once(' ')?;
    let position = Position { segment: segment.parse().ok()?, offset: offset.parse().ok()? };
    let of_it = segments.iter().find(|segment| segment.number == position.segment);
    let fits = of_it.is_none_or(|segment| position.offset <= segment.length);
    (fits && position.segment < ENDLESS).then_some(position)
}

fn write_position(dir: &Path, parent: &str, position: Position) -> Result<()> {
    let path = position_path(dir, parent);
    let fresh = path.with_extension("new");
    let doing = || format!("writing {}", path.display());
    let mut file = File::create(&fresh).with_context(doing)?;
    writeln!(file, "{} {}", position.segment, position.offset).with_context(doing)?;
    fs::rename(&fresh, &path).with_context(doing)
}
