//! Who asked for what, how often, and how long answers took: for Prometheus.
//!
//! Names, labels and buckets are the incumbent's, so that its dashboards go on working. Names of
//! machines and bouncers are labels, as there; only those that were let in get one, and only so
//! many, so that nobody outside can make up labels (I5).

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::http::Method;

use crate::{
    Service,
    auth::Caller,
    exposition::{Exposition, Kind},
    route::{ROUTES, Route},
    settings::Counting,
};

/// The upper ends of the buckets of durations, in milliseconds, and as they are written.
const BUCKETS: [(u64, &str); 12] = [
    (5, "0.005"),
    (10, "0.01"),
    (25, "0.025"),
    (50, "0.05"),
    (75, "0.075"),
    (100, "0.1"),
    (200, "0.2"),
    (300, "0.3"),
    (400, "0.4"),
    (500, "0.5"),
    (750, "0.75"),
    (1000, "1"),
];

/// So many machines, and so many bouncers, are counted by name.
const MOST_NAMES: usize = 10_000;

/// What is asked for where there is nothing; the last stands for all other verbs.
const VERBS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER"];

/// Counts requests.
#[derive(Debug)]
pub(crate) struct Meter {
    counting: Counting,
    routes: Vec<PerRoute>,
    nowhere: [AtomicU64; VERBS.len()],
    machines: Mutex<HashMap<String, Vec<u64>>>,
    bouncers: Mutex<HashMap<String, PerBouncer>>,
}

#[derive(Debug, Default)]
struct PerRoute {
    n_requests: AtomicU64,
    buckets: [AtomicU64; BUCKETS.len()],
    n_timed: AtomicU64,
    micros: AtomicU64,
}

#[derive(Clone, Debug, Default)]
struct PerBouncer {
    routes: Vec<u64>,
    n_found: u64,
    n_nothing: u64,
}

impl Meter {
    pub(crate) fn new(counting: Counting) -> Self {
        Self {
            counting,
            routes: ROUTES.iter().map(|_| PerRoute::default()).collect(),
            nowhere: Default::default(),
            machines: Mutex::default(),
            bouncers: Mutex::default(),
        }
    }

    /// Counts a request of `route`; COMPAT(crowdsec): whether the server is up is no request.
    pub(crate) fn asked(&self, route: &Route) {
        if self.counting != Counting::Nothing
            && let Some(counts) = at(route).and_then(|at| self.routes.get(at))
        {
            counts.n_requests.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a request for what is not there.
    pub(crate) fn lost(&self, verb: &Method) {
        if self.counting != Counting::Nothing {
            let at = VERBS.iter().position(|known| *known == verb.as_str());
            let count = at.and_then(|at| self.nowhere.get(at)).or_else(|| self.nowhere.last());
            if let Some(count) = count {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Counts a request of somebody who was let in.
    pub(crate) fn let_in(&self, caller: &Caller, route: &Route) {
        if self.counting != Counting::Everything {
            return;
        }
        let Some(at) = at(route) else { return };
        match caller {
            Caller::Machine(name) => {
                let mut machines = lock(&self.machines);
                if let Some(counts) = entry(&mut machines, name) {
                    bump(counts, at);
                }
            }
            Caller::Bouncer(bouncer) => {
                let mut bouncers = lock(&self.bouncers);
                if let Some(counts) = entry(&mut bouncers, &bouncer.name) {
                    bump(&mut counts.routes, at);
                }
            }
            Caller::Anyone | Caller::KeyHolder => {}
        }
    }

    /// Counts what a bouncer that asked for decisions was told.
    pub(crate) fn told(&self, bouncer: &str, found: bool) {
        if self.counting != Counting::Everything {
            return;
        }
        let mut bouncers = lock(&self.bouncers);
        if let Some(counts) = entry(&mut bouncers, bouncer) {
            let count = if found { &mut counts.n_found } else { &mut counts.n_nothing };
            *count = count.saturating_add(1);
        }
    }

    /// Notes how long an answer took.
    pub(crate) fn took(&self, route: &Route, time: Duration) {
        if self.counting != Counting::Everything {
            return;
        }
        let Some(counts) = at(route).and_then(|at| self.routes.get(at)) else { return };
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let fits = BUCKETS.iter().position(|(millis, _)| micros <= millis * 1000);
        if let Some(bucket) = fits.and_then(|at| counts.buckets.get(at)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        counts.n_timed.fetch_add(1, Ordering::Relaxed);
        counts.micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn expose(&self, page: &mut Exposition) {
        let name = "cs_lapi_route_requests_total";
        page.name(name, Kind::Counter, "Requests for each route.");
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        for (route, counts) in ROUTES.iter().zip(&self.routes) {
            let (n_requests, pattern) = (read(&counts.n_requests), pattern(route));
            if n_requests > 0 {
                let labels = [("route", pattern.as_str()), ("method", route.verb.name())];
                page.sample(name, &labels, n_requests);
            }
        }
        for (verb, count) in VERBS.iter().zip(&self.nowhere) {
            if read(count) > 0 {
                page.sample(name, &[("route", "invalid-endpoint"), ("method", verb)], read(count));
            }
        }
        if self.counting == Counting::Everything {
            self.expose_callers(page);
            self.expose_durations(page);
        }
    }

    fn expose_callers(&self, page: &mut Exposition) {
        let mut machines: Vec<_> = lock(&self.machines).clone().into_iter().collect();
        machines.sort();
        let name = "cs_lapi_machine_requests_total";
        page.name(name, Kind::Counter, "Requests of each machine.");
        for (machine, counts) in &machines {
            requests(page, name, ("machine", machine), counts);
        }
        let mut bouncers: Vec<_> = lock(&self.bouncers).clone().into_iter().collect();
        bouncers.sort_by(|(one, _), (other, _)| one.cmp(other));
        let name = "cs_lapi_bouncer_requests_total";
        page.name(name, Kind::Counter, "Requests of each bouncer.");
        for (bouncer, counts) in &bouncers {
            requests(page, name, ("bouncer", bouncer), &counts.routes);
        }
        let name = "cs_lapi_decisions_ok_total";
        page.name(name, Kind::Counter, "Questions of bouncers that found decisions.");
        for (bouncer, counts) in bouncers.iter().filter(|(_, counts)| counts.n_found > 0) {
            page.sample(name, &[("bouncer", bouncer)], counts.n_found);
        }
        let name = "cs_lapi_decisions_ko_total";
        page.name(name, Kind::Counter, "Questions of bouncers that found nothing.");
        for (bouncer, counts) in bouncers.iter().filter(|(_, counts)| counts.n_nothing > 0) {
            page.sample(name, &[("bouncer", bouncer)], counts.n_nothing);
        }
    }

    fn expose_durations(&self, page: &mut Exposition) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let name = "cs_lapi_request_duration_seconds";
        page.name(name, Kind::Histogram, "How long the beginning of an answer took.");
        for (route, counts) in ROUTES.iter().zip(&self.routes) {
            let n_timed = read(&counts.n_timed);
            if n_timed == 0 {
                continue;
            }
            let pattern = pattern(route);
            let both = [("endpoint", pattern.as_str()), ("method", route.verb.name())];
            let mut so_far = 0u64;
            for ((_, end), count) in BUCKETS.iter().zip(&counts.buckets) {
                so_far = so_far.saturating_add(read(count));
                let labels = [both[0], both[1], ("le", end)];
                page.sample(&format!("{name}_bucket"), &labels, so_far);
            }
            // Others may have been counted since; the last bucket must not be smaller.
            let n_timed = n_timed.max(so_far);
            page.sample(&format!("{name}_bucket"), &[both[0], both[1], ("le", "+Inf")], n_timed);
            let seconds = Duration::from_micros(read(&counts.micros)).as_secs_f64();
            page.sample(&format!("{name}_sum"), &both, seconds);
            page.sample(&format!("{name}_count"), &both, n_timed);
        }
    }
}

impl Service {
    /// Adds what the API knows: its requests, and what the store holds.
    pub async fn expose(&self, page: &mut Exposition) {
        let meter = self.meter();
        if meter.counting == Counting::Nothing {
            return;
        }
        meter.expose(page);
        if meter.counting != Counting::Everything {
            return;
        }
        let store = self.store();
        // What cannot be read now is not there now: a gap in a graph, and a line in the log.
        match store.active_counts(self.now()) {
            Ok(counts) => {
                let name = "cs_active_decisions";
                page.name(name, Kind::Gauge, "Decisions in force.");
                for count in counts {
                    let labels = [
                        ("reason", count.scenario.as_str()),
                        ("origin", &count.origin),
                        ("action", &count.remediation),
                    ];
                    page.sample(name, &labels, count.n_decisions);
                }
            }
            Err(error) => tracing::warn!(%error, "decisions cannot be counted"),
        }
        match store.alert_counts().await {
            Ok(counts) => {
                page.name("cs_alerts", Kind::Gauge, "Alerts on record.");
                for (scenario, n_alerts) in counts {
                    page.sample("cs_alerts", &[("reason", &scenario)], n_alerts);
                }
            }
            Err(error) => tracing::warn!(%error, "alerts cannot be counted"),
        }
        match store.machines().await {
            Ok(machines) => {
                let name = "cs_machines_last_heartbeat_timestamp";
                page.name(name, Kind::Gauge, "When each machine last said that it lives.");
                for machine in machines.iter().take(MOST_NAMES) {
                    if let Some(at) = machine.last_heartbeat {
                        page.sample(name, &[("machine", &machine.name)], at.unix().0);
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "machines cannot be counted"),
        }
    }
}

/// The place of a route that is counted.
fn at(route: &Route) -> Option<usize> {
    let at = ROUTES.iter().position(|one| one.endpoint == route.endpoint && one.verb == route.verb);
    at.filter(|_| route.path.starts_with("/v1/"))
}

/// A route as the incumbent writes it: `/v1/alerts/:alert_id`.
fn pattern(route: &Route) -> String {
    route.path.replace('{', ":").replace('}', "")
}

fn requests(page: &mut Exposition, name: &str, who: (&str, &str), counts: &[u64]) {
    for (route, count) in ROUTES.iter().zip(counts).filter(|(_, count)| **count > 0) {
        let pattern = pattern(route);
        page.sample(name, &[who, ("route", &pattern), ("method", route.verb.name())], *count);
    }
}

fn bump(counts: &mut Vec<u64>, at: usize) {
    counts.resize(ROUTES.len(), 0);
    if let Some(count) = counts.get_mut(at) {
        *count = count.saturating_add(1);
    }
}

fn entry<'a, T: Default>(map: &'a mut HashMap<String, T>, name: &str) -> Option<&'a mut T> {
    if !map.contains_key(name) {
        if map.len() >= MOST_NAMES {
            return None;
        }
        map.insert(name.to_owned(), T::default());
    }
    map.get_mut(name)
}

/// A panic elsewhere leaves numbers behind, and any number will do.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
