//! The parent that runs in this very process.

use super::parent::{Parent, Trouble};
use crate::clock::SystemClock;
use anyhow::{Context as _, Result, anyhow};
use lapi::{Incoming, Service};
use model::Uuid;
use store::{NewMachine, Store};
use tokio::runtime::Handle;

/// The local API of this process.
pub(crate) struct Local {
    service: Service,
    runtime: Handle,
    machine: String,
}

impl Local {
    /// Makes sure that the API knows this agent under a name.
    ///
    /// # Errors
    /// When the database refuses.
    pub(crate) fn new(
        service: Service,
        store: &Store,
        runtime: Handle,
        machine: String,
    ) -> Result<Self> {
        let known =
            runtime.block_on(store.machine(&machine)).context("looking for this machine")?;
        if known.is_none() {
            // Nobody logs in with it: a password that nobody knows.
            let password = lapi::key::generate().context("making up a password")?;
            let password = lapi::password::hash(&password).map_err(|error| anyhow!(error))?;
            let machine = NewMachine {
                name: machine.clone(),
                password,
                ip: "127.0.0.1".to_owned(),
                validated: true,
                ..NewMachine::default()
            };
            runtime
                .block_on(store.add_machine(machine, SystemClock::wall()))
                .context("adding this machine")?;
        }
        Ok(Self { service, runtime, machine })
    }
}

impl Parent for Local {
    fn name(&self) -> &str {
        "this process"
    }

    fn key(&self) -> &str {
        "local"
    }

    fn send(&self, alerts: &[String]) -> Result<(), Trouble> {
        let now = SystemClock::wall();
        let mut incoming = Vec::with_capacity(alerts.len());
        for alert in alerts {
            let never = |error: String| Trouble::Never(error);
            let wire: api::Alert =
                serde_json::from_str(alert).map_err(|error| never(error.to_string()))?;
            let uuid = wire.uuid.as_deref().and_then(Uuid::parse);
            let kind = wire.kind.clone().unwrap_or_default();
            let (alert, decisions) =
                wire.into_model(now).map_err(|error| never(error.to_string()))?;
            incoming.push(Incoming { uuid, kind, alert, decisions });
        }
        let outcome = self.runtime.block_on(self.service.submit(&self.machine, incoming));
        // The API runs in this process: whatever it refuses now, it may take once its disk or its
        // profiles are in order again. What concerns the disk is no plain 500.
        outcome.map(drop).map_err(|refusal| match refusal.status.as_u16() {
            500 => Trouble::Fault(refusal.message),
            _ => Trouble::Later(refusal.message),
        })
    }

    fn beat(&self) -> Result<(), Trouble> {
        let outcome = self.runtime.block_on(self.service.heartbeat(&self.machine));
        outcome.map_err(|refusal| Trouble::Later(refusal.message))
    }
}
