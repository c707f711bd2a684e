//! Texts that many records share, each kept once and counted.

use std::{
    hash::{BuildHasher as _, Hash, RandomState},
    sync::Arc,
};

use hashbrown::HashTable;

/// Values that are kept once, with a number each and a count of their users.
#[derive(Debug)]
pub(crate) struct Shelf<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    find: HashTable<u32>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Slot<T> {
    value: Option<T>,
    n_users: u32,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            find: HashTable::new(),
            hasher: RandomState::new(),
        }
    }
}

impl<T: Eq + Hash> Shelf<T> {
    /// The number of `value`, which is put on the shelf if it is not there.
    pub(crate) fn take(&mut self, value: T) -> u32 {
        let hash = self.hasher.hash_one(&value);
        let slots = &self.slots;
        let same = |slot: &u32| {
            slots.get(*slot as usize).is_some_and(|slot| slot.value.as_ref() == Some(&value))
        };
        if let Some(found) = self.find.find(hash, same) {
            let found = *found;
            if let Some(slot) = self.slots.get_mut(found as usize) {
                slot.n_users += 1;
            }
            return found;
        }
        let fresh = Slot { value: Some(value), n_users: 1 };
        let number = match self.free.pop() {
            Some(number) => {
                if let Some(slot) = self.slots.get_mut(number as usize) {
                    *slot = fresh;
                }
                number
            }
            None => {
                let number =
                    u32::try_from(self.slots.len()).expect("memory ends before 2^32 texts");
                self.slots.push(fresh);
                number
            }
        };
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.find.insert_unique(hash, number, |slot| {
            slots
                .get(*slot as usize)
                .and_then(|slot| slot.value.as_ref())
                .map_or(0, |value| hasher.hash_one(value))
        });
        number
    }

    /// Gives one use of a number back; the last one frees it.
    pub(crate) fn give(&mut self, number: u32) {
        let Some(slot) = self.slots.get_mut(number as usize) else { return };
        slot.n_users = slot.n_users.saturating_sub(1);
        if slot.n_users > 0 {
            return;
        }
        if let Some(value) = slot.value.take() {
            let hash = self.hasher.hash_one(&value);
            if let Ok(entry) = self.find.find_entry(hash, |other| *other == number) {
                entry.remove();
            }
            self.free.push(number);
        }
    }

    /// The value behind a number.
    pub(crate) fn value(&self, number: u32) -> Option<&T> {
        self.slots.get(number as usize)?.value.as_ref()
    }

    /// The values in use with their numbers.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (u32, &T)> {
        (0u32..).zip(&self.slots).filter_map(|(number, slot)| Some((number, slot.value.as_ref()?)))
    }

    /// How many numbers were ever in use at once.
    pub(crate) fn n_slots(&self) -> usize {
        self.slots.len()
    }

    /// The values in use with how many use them.
    pub(crate) fn counted(&self) -> impl Iterator<Item = (&T, u32)> {
        self.slots.iter().filter_map(|slot| Some((slot.value.as_ref()?, slot.n_users)))
    }

    /// The number of a value that is on the shelf.
    pub(crate) fn find<Q>(&self, value: &Q) -> Option<u32>
    where
        T: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(value);
        self.find
            .find(hash, |slot| self.value(*slot).is_some_and(|other| other.borrow() == value))
            .copied()
    }
}

/// Texts on a shelf.
pub(crate) type Names = Shelf<Arc<str>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once_until_its_last_user_goes() {
        let mut names = Names::default();
        let a = names.take(Arc::from("a"));
        assert_eq!(names.take(Arc::from("a")), a);
        let b = names.take(Arc::from("b"));
        assert_ne!(a, b);
        assert_eq!(names.find("a"), Some(a));
        names.give(a);
        assert_eq!(names.value(a).map(|name| &**name), Some("a"));
        names.give(a);
        assert_eq!((names.value(a), names.find("a")), (None, None));
        assert_eq!(names.take(Arc::from("c")), a, "the number is used again");
        for n in 0..1000 {
            names.take(Arc::from(format!("n{n}")));
        }
        assert_eq!(names.find("n500").and_then(|n| names.value(n)).map(|n| &**n), Some("n500"));
    }
}
