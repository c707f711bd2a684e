//! From what an API says to what the set takes, and how both stay the same over broken
//! connections.
//!
//! Whoever talks to an API (over HTTP, or to the store in the same process) turns its answers into
//! [`News`]; [`Follower`] applies them. A full list is gathered aside and takes effect at once when
//! it is whole, so a connection that breaks in the middle of it changes nothing. What was last
//! known good can be [kept](kept) on disk.
//!
//! Reading order: [`News`], [`Follower`], [`wire`], [`sse`], [`kept`].

pub mod kept;
pub mod sse;
pub mod wire;

use model::Timestamp;

use crate::set::{Change, DecisionSet, Delta};

/// One step of a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// What was told before no longer counts; a full list follows.
    Reset,
    /// A part of the full list, or, once that is whole, a change.
    Delta(Delta),
    /// The full list is whole; what follows are changes.
    Ready,
}

/// Applies news to a set.
#[derive(Debug)]
pub struct Follower {
    set: DecisionSet,
    /// The full list as far as it has come.
    fresh: Option<DecisionSet>,
}

impl Follower {
    /// Follows with a set that may hold what was kept.
    #[must_use]
    pub fn new(set: DecisionSet) -> Self {
        Self { set, fresh: None }
    }

    /// What is decided, as of the last whole list and the changes since.
    #[must_use]
    pub fn set(&self) -> &DecisionSet {
        &self.set
    }

    /// For what is not news: time, and the allowlist.
    pub fn set_mut(&mut self) -> &mut DecisionSet {
        &mut self.set
    }

    /// Takes one step. `None` while a full list is on its way.
    pub fn take(&mut self, news: &News, now: Timestamp) -> Option<Change> {
        match news {
            News::Reset => {
                self.fresh = Some(self.set.empty_twin());
                None
            }
            News::Delta(delta) => match &mut self.fresh {
                Some(fresh) => {
                    drop(fresh.apply(delta, now));
                    None
                }
                None => Some(self.set.apply(delta, now)),
            },
            News::Ready => {
                let mut fresh = self.fresh.take()?;
                if fresh.allowed() != self.set.allowed() {
                    drop(fresh.set_allowed(self.set.allowed()));
                }
                Some(self.set.replace(fresh, now))
            }
        }
    }

    /// The connection broke: half a full list is forgotten. Tells whether there was one, and so
    /// whether the full list must be asked for again.
    pub fn broke(&mut self) -> bool {
        self.fresh.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::set::{Decision, Settings};
    use model::DecisionId;

    fn delta(values: &[&str]) -> News {
        let add = values.iter().enumerate().map(|(id, value)| Decision {
            id: DecisionId(id as i64),
            net: model::parse_target(value).unwrap(),
            remediation: "ban".into(),
            origin: "cscli".into(),
            until: Timestamp::from_unix(1000, 0),
        });
        News::Delta(Delta { add: add.collect(), ..Delta::default() })
    }

    #[test]
    fn half_a_list_changes_nothing() {
        let now = Timestamp::from_unix(0, 0);
        let mut follower = Follower::new(DecisionSet::new(&Settings::default()));
        let change = follower.take(&delta(&["192.0.2.1", "192.0.2.2"]), now).unwrap();
        assert_eq!(change.add.len(), 2);
        assert!(follower.take(&News::Reset, now).is_none());
        assert!(follower.take(&delta(&["192.0.2.1"]), now).is_none());
        assert!(follower.broke());
        assert_eq!(follower.set().len(), 2, "as before");
        assert!(!follower.broke());
        // A whole one costs what differs.
        assert!(follower.take(&News::Reset, now).is_none());
        let allowed = ["192.0.2.3/32".parse().unwrap()];
        drop(follower.set_mut().set_allowed(&allowed));
        assert!(follower.take(&delta(&["192.0.2.1", "192.0.2.9", "192.0.2.3"]), now).is_none());
        let change = follower.take(&News::Ready, now).unwrap();
        assert_eq!((change.add.len(), change.remove.len()), (1, 1));
        assert!(follower.set().lookup("192.0.2.3".parse().unwrap(), now).is_none(), "allowed");
        assert!(follower.take(&News::Ready, now).is_none(), "nothing was on its way");
    }
}
