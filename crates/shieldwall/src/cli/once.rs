//! Alerts of a one-shot run, straight to those who are to have them.
//!
//! There is no outbox: whoever started the run waits for it, learns when something could not be
//! sent, and can run it again.

use super::daemon::{Daemon, FAREWELL, random_uuid, wire};
use crate::{
    config::Settings,
    outside::World,
    rules::Rules,
    run::{
        Sink,
        notify::Notify,
        outbox::parent::{Parent, Trouble},
        serve,
    },
    terminal::{count, quoted},
};
use anyhow::{Context as _, Result, ensure};
use engine::Outside;
use model::Alert;
use std::{io, process::ExitCode, sync::Arc, thread, time::Duration};
use tracing::{error, info, warn};

/// Alerts in one delivery.
const BATCH: usize = 50;

/// How often a delivery is tried, and how long to wait in between.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(2);

impl Daemon<'_> {
    /// Reads something once, with the local API beside it if there is one to run: `read` hands over
    /// alerts, and everybody who is to have them has them when this returns.
    pub(super) fn once(
        &self,
        settings: &Settings,
        rules: &Rules,
        read: impl FnOnce(&mut dyn Sink) -> Result<ExitCode>,
    ) -> Result<ExitCode> {
        let runtime = serve::runtime()?;
        let server = self.server(Some(settings));
        let own = server.clone();
        let outside: Arc<dyn Outside> = Arc::new(World::for_rules(rules, settings.dns));
        let notify = Arc::new(Notify::from_environment());
        let start =
            |server| self.start_api(Some(settings), server, outside, &notify, runtime.handle());
        let api = server
            .map(start)
            .transpose()
            .context("another one may run: -no-api sends alerts to that")?;
        let outcome = self
            .parents(Some(settings), api.as_ref(), own.as_ref(), &rules.program, runtime.handle())
            .and_then(|parents| {
                if parents.is_empty() {
                    warn!("there are no credentials of a local API: alerts are only shown");
                }
                let mut courier = Direct::new(&parents);
                let code = read(&mut courier)?;
                courier.finish()?;
                Ok(code)
            });
        info!("Acquisition is finished, shutting down");
        if let Some(api) = api {
            api.stop(runtime.handle());
        }
        runtime.shutdown_timeout(FAREWELL);
        outcome
    }
}

/// Sends alerts while they are found.
struct Direct<'a> {
    parents: &'a [Arc<dyn Parent>],
    waiting: Vec<String>,
    n_lost: u64,
}

impl<'a> Direct<'a> {
    fn new(parents: &'a [Arc<dyn Parent>]) -> Self {
        Self { parents, waiting: Vec::new(), n_lost: 0 }
    }

    /// Sends what is left.
    ///
    /// # Errors
    /// When something could not be sent, now or before.
    fn finish(mut self) -> Result<()> {
        self.send();
        let n_lost = count(self.n_lost, "alert");
        ensure!(self.n_lost == 0, "{n_lost} could not be sent to the local API, see above");
        Ok(())
    }

    fn send(&mut self) {
        let alerts = std::mem::take(&mut self.waiting);
        if alerts.is_empty() {
            return;
        }
        for parent in self.parents {
            let n_lost = deliver(&**parent, &alerts, PAUSE);
            self.n_lost = self.n_lost.saturating_add(n_lost);
        }
    }
}

impl Sink for Direct<'_> {
    fn alert(&mut self, alert: &Alert, _: Option<u128>) -> io::Result<()> {
        // COMPAT(crowdsec): scripts wait for this very line.
        info!("{}", quoted(&alert.message));
        if !self.parents.is_empty() {
            self.waiting.push(wire(alert, random_uuid()?)?);
        }
        if self.waiting.len() >= BATCH {
            self.send();
        }
        Ok(())
    }
}

/// Delivers alerts; tells how many the parent does not have.
fn deliver(parent: &dyn Parent, alerts: &[String], pause: Duration) -> u64 {
    let name = parent.name();
    for attempt in 1..=TRIES {
        match parent.send(alerts) {
            Ok(()) => return 0,
            Err(Trouble::Never(reason)) if alerts.len() == 1 => {
                error!(parent = name, reason = %quoted(&reason), "an alert was refused");
                return 1;
            }
            // Those that were taken before an error are recognized when they come again.
            Err(Trouble::Never(_)) => {
                return alerts.chunks(1).map(|alert| deliver(parent, alert, pause)).sum();
            }
            Err(Trouble::Later(reason) | Trouble::Fault(reason)) => {
                let reason = quoted(&reason);
                warn!(parent = name, %reason, attempt, "alerts could not be sent, trying again");
                if attempt < TRIES {
                    thread::park_timeout(pause);
                }
            }
        }
    }
    u64::try_from(alerts.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Refuses as often as it is told to, and one alert always.
    struct Moody {
        refusals: Mutex<u32>,
        taken: Mutex<Vec<String>>,
    }

    impl Parent for Moody {
        fn name(&self) -> &str {
            "moody"
        }

        fn key(&self) -> &str {
            "moody"
        }

        fn send(&self, alerts: &[String]) -> Result<(), Trouble> {
            let mut refusals = self.refusals.lock().unwrap();
            if *refusals > 0 {
                *refusals -= 1;
                return Err(Trouble::Later("away".to_owned()));
            }
            if alerts.iter().any(|alert| alert == "bad") {
                return Err(Trouble::Never("no".to_owned()));
            }
            self.taken.lock().unwrap().extend_from_slice(alerts);
            Ok(())
        }

        fn beat(&self) -> Result<(), Trouble> {
            Ok(())
        }
    }

    #[test]
    fn one_that_is_refused_does_not_stop_the_others() {
        let alerts = ["a", "bad", "b"].map(str::to_owned);
        let moody = |refusals| Moody { refusals: Mutex::new(refusals), taken: Mutex::default() };
        let patient = moody(3);
        assert_eq!(deliver(&patient, &alerts, Duration::ZERO), 1);
        assert_eq!(*patient.taken.lock().unwrap(), ["a", "b"]);
        assert_eq!(deliver(&moody(99), &alerts, Duration::ZERO), 3);
    }
}
