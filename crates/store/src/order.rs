//! A sorted list of record numbers, four bytes each: blocks of a few hundred, ordered by a key that
//! the records hold. A B-tree that stored the keys would take seven times the memory.

/// A block is split when it grows beyond this.
const BLOCK: usize = 512;

/// Record numbers in the order of their keys. Keys are passed in with every call and must be
/// unique and the same as at insertion.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// No block is empty.
    blocks: Vec<Vec<u32>>,
}

impl Order {
    /// Inserts `slot`, whose key is already readable through `key`.
    pub(crate) fn insert<K: Ord>(&mut self, slot: u32, key: impl Fn(u32) -> K) {
        let wanted = key(slot);
        // Most keys grow, so the end is tried before anything is searched.
        let is_last = self.last().is_none_or(|last| key(last) < wanted);
        let (block, at) =
            if is_last { (self.blocks.len(), 0) } else { self.seek(|other| key(other) < wanted) };
        let Some(slots) = self.blocks.get_mut(block) else {
            // Behind everything: the last block, unless it is full.
            match self.blocks.last_mut() {
                Some(last) if last.len() < BLOCK => last.push(slot),
                _ => {
                    let mut fresh = Vec::with_capacity(BLOCK);
                    fresh.push(slot);
                    self.blocks.push(fresh);
                }
            }
            return;
        };
        slots.insert(at, slot);
        if slots.len() > BLOCK {
            let tail = slots.split_off(slots.len() / 2);
            slots.shrink_to(BLOCK / 2 + BLOCK / 4);
            self.blocks.insert(block + 1, tail);
        }
    }

    /// Removes `slot`, whose key is still readable through `key`. Tells whether it was there.
    pub(crate) fn remove<K: Ord>(&mut self, slot: u32, key: impl Fn(u32) -> K) -> bool {
        let wanted = key(slot);
        let (block, at) = self.seek(|other| key(other) < wanted);
        let Some(slots) = self.blocks.get_mut(block) else { return false };
        if slots.get(at) != Some(&slot) {
            return false;
        }
        slots.remove(at);
        if slots.is_empty() {
            self.blocks.remove(block);
        } else if slots.len() < BLOCK / 4 {
            self.merge(block);
        }
        true
    }

    /// The records from the first on for which `before` no longer holds.
    pub(crate) fn iter_from(&self, before: impl Fn(u32) -> bool) -> impl Iterator<Item = u32> + '_ {
        let (block, at) = self.seek(before);
        let first = self.blocks.get(block).and_then(|slots| slots.get(at..)).unwrap_or_default();
        let rest = self.blocks.get(block.saturating_add(1)..).unwrap_or_default();
        first.iter().chain(rest.iter().flatten()).copied()
    }

    /// The first record.
    pub(crate) fn first(&self) -> Option<u32> {
        self.blocks.first().and_then(|slots| slots.first()).copied()
    }

    fn last(&self) -> Option<u32> {
        self.blocks.last().and_then(|slots| slots.last()).copied()
    }

    /// The record for which `compare` says it is the one, if there is one.
    pub(crate) fn find(&self, compare: impl Fn(u32) -> std::cmp::Ordering) -> Option<u32> {
        let (block, at) = self.seek(|slot| compare(slot).is_lt());
        let found = self.blocks.get(block)?.get(at).copied()?;
        compare(found).is_eq().then_some(found)
    }

    /// Where the first record lies for which `before` does not hold; behind the end if for all.
    fn seek(&self, before: impl Fn(u32) -> bool) -> (usize, usize) {
        let block =
            self.blocks.partition_point(|slots| slots.last().is_some_and(|slot| before(*slot)));
        let at =
            self.blocks.get(block).map_or(0, |slots| slots.partition_point(|slot| before(*slot)));
        (block, at)
    }

    /// Joins a small block with a neighbor where both fit into one.
    fn merge(&mut self, block: usize) {
        let left = if block + 1 < self.blocks.len() { block } else { block.saturating_sub(1) };
        let (Some(a), Some(b)) = (self.blocks.get(left), self.blocks.get(left + 1)) else { return };
        if a.len() + b.len() <= BLOCK * 3 / 4 {
            let tail = self.blocks.remove(left + 1);
            if let Some(slots) = self.blocks.get_mut(left) {
                slots.extend(tail);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_a_sorted_vector_would() {
        let mut order = Order::default();
        let mut model: Vec<u32> = Vec::new();
        let mut state = 7u32;
        for step in 0..20_000u32 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let slot = state >> 18;
            let found = model.binary_search(&slot);
            // The first half grows, the second shrinks, so that splits and merges both happen.
            match found {
                Ok(at) if step > 10_000 || state & 256 == 0 => {
                    model.remove(at);
                    assert!(order.remove(slot, |slot| slot));
                }
                Ok(_) => {}
                Err(_) if step > 10_000 => assert!(!order.remove(slot, |slot| slot)),
                Err(at) => {
                    model.insert(at, slot);
                    order.insert(slot, |slot| slot);
                }
            }
        }
        assert_eq!(order.iter_from(|_| false).collect::<Vec<_>>(), model);
        assert_eq!(order.first(), model.first().copied());
        for slot in 0..1 << 14 {
            let found = order.find(|other| other.cmp(&slot));
            assert_eq!(found.is_some(), model.binary_search(&slot).is_ok(), "{slot}");
        }
        let tail: Vec<u32> = model.iter().copied().filter(|slot| *slot >= 5000).collect();
        assert_eq!(order.iter_from(|slot| slot < 5000).collect::<Vec<_>>(), tail);
        while let Some(slot) = order.first() {
            order.remove(slot, |slot| slot);
        }
        assert!(order.blocks.is_empty());
    }
}
