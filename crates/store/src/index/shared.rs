//! The index between threads: one writes, all read, and those who wait are woken.

use std::sync::{
    PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use model::Timestamp;
use tokio::sync::watch;

use super::{Advance, Change, Index, STRIDE};
use crate::{Error, Seq};

/// The index as threads share it, and the newest change it shows.
#[derive(Debug)]
pub(crate) struct Shared {
    index: Option<RwLock<Index>>,
    /// When the next decision ends, so that looking whether one has takes no lock.
    next_end: AtomicI64,
    seq: AtomicU64,
    moved: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new(index: Option<Index>, seq: Seq) -> Self {
        let next_end = index.as_ref().map_or(i64::MAX, Index::next_end);
        Self {
            index: index.map(RwLock::new),
            next_end: AtomicI64::new(next_end),
            seq: AtomicU64::new(seq.0),
            moved: watch::Sender::new(0),
        }
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.index.is_some()
    }

    pub(crate) fn seq(&self) -> Seq {
        Seq(self.seq.load(Ordering::Acquire))
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    pub(crate) fn read(&self) -> Result<RwLockReadGuard<'_, Index>, Error> {
        // The index has no half-done states a reader could see: a panic in it is a bug that left
        // at worst one decision out, and the next start repairs that.
        let index = self.index.as_ref().ok_or(Error::NoIndex)?;
        Ok(index.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self) -> Option<RwLockWriteGuard<'_, Index>> {
        Some(self.index.as_ref()?.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Applies what a commit changed. Only the writer calls this.
    pub(crate) fn apply(&self, changes: Vec<Change>, seq: Seq) {
        let mut changes = changes.into_iter().peekable();
        while changes.peek().is_some()
            && let Some(mut index) = self.write()
        {
            for change in changes.by_ref().take(STRIDE) {
                index.apply(change);
            }
            // While the lock is held, so that the last one to write it is right.
            self.next_end.store(index.next_end(), Ordering::Release);
        }
        // After the changes: a stream reads up to this number and must find them all.
        if self.seq.swap(seq.0, Ordering::AcqRel) != seq.0 {
            self.wake();
        }
    }

    /// Drops what has ended, and wakes those who watch if anything had: whoever notices an end first
    /// must tell, since nobody can notice it again.
    pub(crate) fn advance(&self, now: Timestamp) {
        let mut ended = false;
        if self.next_end.load(Ordering::Acquire) > now.unix_nanos() {
            return;
        }
        loop {
            let step = self.write().map_or(Advance::Nothing, |mut index| {
                let step = index.advance(now);
                self.next_end.store(index.next_end(), Ordering::Release);
                step
            });
            ended |= step != Advance::Nothing;
            if step != Advance::More {
                break;
            }
        }
        if ended {
            self.wake();
        }
    }

    /// What has to be told again as something else about its target has ended by itself.
    pub(crate) fn take_survivors(&self) -> Vec<i64> {
        let is_none = self.read().is_ok_and(|index| index.survivors.is_empty());
        if is_none {
            return Vec::new();
        }
        self.write().map_or_else(Vec::new, |mut index| std::mem::take(&mut index.survivors))
    }

    fn wake(&self) {
        self.moved.send_modify(|n_moves| *n_moves = n_moves.wrapping_add(1));
    }
}
