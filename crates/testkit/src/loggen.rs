//! Generates logs of the services the hub knows: attackers among innocents, hundreds of sources.
//!
//! A [`Log`] is what one program or host wrote, in the order of its times; its kind is the `type`
//! label under which the hub's parsers take it. Attackers come with a script, a pace and an
//! endurance, so some overflow a bucket, some stay just below, and some come back after a blackhole;
//! innocents mistype a password now and then. Equal [`Plan`]s give equal bytes.
//!
//! Reading order: this file, then `cast` (who takes part), `system` (what a host's syslog says),
//! `web` (access and error logs) and `accounts` (services with logs of their own).

mod accounts;
mod cast;
mod system;
mod web;

use crate::date::Moment;
use crate::rng::Rng;

/// What to generate.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Where the pseudo-random choices start.
    pub seed: u64,
    /// When the logs begin.
    pub start: Moment,
    /// How long they last, quiet tail included.
    pub n_hours: u64,
    /// How many attackers visit each log; one in which many services write is visited by more.
    pub n_attackers: u64,
    /// How many innocents do, likewise.
    pub n_innocents: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 1,
            start: Moment::from_civil(2023, 3, 6, 6, 0, 0),
            n_hours: 8,
            n_attackers: 40,
            n_innocents: 120,
        }
    }
}

/// The log of one program.
#[derive(Clone, Debug)]
pub struct Log {
    /// The `type` label.
    pub kind: &'static str,
    /// The lines, without their ends.
    pub lines: Vec<String>,
}

/// Every kind of log that can be generated, in the order of [`generate`].
#[must_use]
pub fn kinds() -> Vec<&'static str> {
    services().map(|service| service.kind).collect()
}

/// Generates one log of each kind.
#[must_use]
pub fn generate(plan: &Plan) -> Vec<Log> {
    services().map(|service| write(plan, service)).collect()
}

/// Generates the log of one kind, or nothing for a kind that is not known.
#[must_use]
pub fn generate_kind(plan: &Plan, kind: &str) -> Option<Log> {
    services().find(|service| service.kind == kind).map(|service| write(plan, service))
}

fn services() -> impl Iterator<Item = &'static Service> {
    [&system::SERVICE].into_iter().chain(&web::SERVICES).chain(&accounts::SERVICES)
}

/// One line to be written.
struct Visit<'a> {
    source: &'a str,
    at: Moment,
    /// Which of the visitor's lines this is, from 0.
    nth: u64,
}

/// Writes the line of one visit.
type Script = fn(&mut Rng, &Visit<'_>) -> String;

/// How somebody behaves towards a service.
struct Behavior {
    script: Script,
    /// How many lines, at least and at most.
    n_lines: (u64, u64),
    /// Milliseconds between two lines, at least and at most.
    gap: (u64, u64),
    sources: Sources,
}

/// Which addresses can stand in a service's log.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sources {
    Any,
    V4,
}

struct Service {
    kind: &'static str,
    attacks: &'static [Behavior],
    innocents: &'static [Behavior],
}

/// The last part of each log is quiet, so that no bucket overflows while a reader shuts down.
const QUIET_TAIL_MILLIS: u64 = 600_000;

/// A log with more ways to attack than this gets more visitors, or each way would be seen too rarely.
const USUAL_ATTACKS: u64 = 6;

fn write(plan: &Plan, service: &Service) -> Log {
    let mut rng = Rng::for_part(plan.seed, service.kind);
    let span = plan.n_hours.saturating_mul(3_600_000).saturating_sub(QUIET_TAIL_MILLIS).max(1);
    let mut lines: Vec<(Moment, String)> = Vec::new();
    let share = (service.attacks.len() as u64).div_ceil(USUAL_ATTACKS);
    for _ in 0..plan.n_innocents.saturating_mul(share) {
        let source = |rng: &mut Rng, sources| cast::innocent(rng, sources == Sources::V4);
        visit(&mut rng, plan.start, span, service.innocents, source, &mut lines);
    }
    for _ in 0..plan.n_attackers.saturating_mul(share) {
        let source = |rng: &mut Rng, sources| cast::attacker(rng, sources == Sources::V4);
        visit(&mut rng, plan.start, span, service.attacks, source, &mut lines);
    }
    for nth in 0..20 {
        let at = plan.start.plus(signed(span + QUIET_TAIL_MILLIS / 20 * nth));
        let behavior = &service.innocents[0];
        let source = cast::innocent(&mut rng, behavior.sources == Sources::V4);
        lines.push((at, (behavior.script)(&mut rng, &Visit { source: &source, at, nth: 0 })));
    }
    // Stable: lines of one millisecond keep the order in which they were made.
    lines.sort_by_key(|&(at, _)| at);
    Log { kind: service.kind, lines: lines.into_iter().map(|(_, line)| line).collect() }
}

/// Lets one visitor write its lines.
fn visit(
    rng: &mut Rng,
    start: Moment,
    span: u64,
    behaviors: &[Behavior],
    source: impl Fn(&mut Rng, Sources) -> String,
    lines: &mut Vec<(Moment, String)>,
) {
    let behavior = rng.pick(behaviors);
    let source = source(rng, behavior.sources);
    let mut at = start.plus(signed(rng.below(span)));
    let end = start.plus(signed(span));
    for nth in 0..rng.between(behavior.n_lines.0, behavior.n_lines.1) {
        if at >= end {
            return;
        }
        let line = (behavior.script)(rng, &Visit { source: &source, at, nth });
        // A few lines reach the log late, with the time at which they were due.
        let late = if rng.chance(2) { rng.between(500, 2500) } else { 0 };
        lines.push((at.plus(signed(late)), line));
        at = at.plus(signed(rng.between(behavior.gap.0, behavior.gap.1)));
    }
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_plan_gives_the_same_logs() {
        let first = generate(&Plan::default());
        let second = generate(&Plan::default());
        assert_eq!(first.len(), second.len());
        for (first, second) in first.iter().zip(&second) {
            assert_eq!(first.lines, second.lines, "{}", first.kind);
        }
        let other = generate(&Plan { seed: 2, ..Plan::default() });
        assert_ne!(first[0].lines, other[0].lines);
    }

    #[test]
    fn every_kind_writes_one_line_per_line() {
        let logs = generate(&Plan::default());
        assert_eq!(logs.iter().map(|log| log.kind).collect::<Vec<_>>(), kinds());
        for log in &logs {
            assert!(log.lines.len() > 300, "{}: {} lines", log.kind, log.lines.len());
            for line in &log.lines {
                assert!(!line.is_empty() && !line.contains('\n'), "{}: {line:?}", log.kind);
            }
        }
    }

    #[test]
    fn kinds_are_distinct_and_found_by_name() {
        let mut kinds = kinds();
        for kind in &kinds {
            let log = generate_kind(&Plan::default(), kind).expect("a known kind");
            assert_eq!(&log.kind, kind);
        }
        let n_kinds = kinds.len();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), n_kinds);
        assert!(generate_kind(&Plan::default(), "no such kind").is_none());
    }

    #[test]
    fn an_empty_plan_is_a_quiet_log() {
        let plan = Plan { n_attackers: 0, n_innocents: 0, n_hours: 0, ..Plan::default() };
        assert!(generate(&plan).iter().all(|log| log.lines.len() == 20));
    }
}
