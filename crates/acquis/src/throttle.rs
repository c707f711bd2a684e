//! Keeps a log line that repeats from filling the journal: one in ten seconds, with a count.

use std::time::Duration;

const PAUSE: Duration = Duration::from_secs(10);

/// Decides whether an occurrence is reported.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    quiet_until: Duration,
    n_held_back: u64,
}

impl Throttle {
    /// How many occurrences this report stands for, or `None` to stay quiet.
    pub(crate) fn report(&mut self, now: Duration) -> Option<u64> {
        self.n_held_back += 1;
        if now < self.quiet_until {
            return None;
        }
        self.quiet_until = now.saturating_add(PAUSE);
        Some(std::mem::take(&mut self.n_held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_counted() {
        let mut throttle = Throttle::default();
        let at = Duration::from_secs;
        assert_eq!(throttle.report(at(1)), Some(1));
        assert_eq!(throttle.report(at(2)), None);
        assert_eq!(throttle.report(at(10)), None);
        assert_eq!(throttle.report(at(11)), Some(3));
    }
}
