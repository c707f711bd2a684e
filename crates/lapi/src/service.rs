//! The service: the store, the rules and the keys that all requests share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use model::{NewDecision, Timestamp, Uuid};
use store::{BouncerChange, BouncerId, Cursor, Store};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    Decide, Nobody, Observer, Rules,
    access::Dates,
    auth::{limit::Limiter, token::Tokens},
    meter::Meter,
};

/// Tells the time; an argument so that tests can.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What all requests share. Clones are the same service.
#[derive(Clone)]
pub struct Service {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    rules: Rules,
    decide: RwLock<Arc<dyn Decide>>,
    observer: Arc<dyn Observer>,
    clock: Clock,
    tokens: Tokens,
    logins: Limiter,
    registrations: Limiter,
    hashing: Semaphore,
    large_bodies: Semaphore,
    strangers_bodies: Semaphore,
    inflating: Semaphore,
    /// Where bouncers are in the stream that have not asked again yet.
    places: Mutex<HashMap<BouncerId, Cursor>>,
    meter: Meter,
    dates: Dates,
}

/// An alert on its way in, from the wire or from an agent in this process.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The sender's identifier. A sender who repeats it repeats nothing.
    pub uuid: Option<Uuid>,
    /// `crowdsec`, `waf`, `cscli`, …
    pub kind: String,
    /// The alert.
    pub alert: model::Alert,
    /// What the sender decided; where it decided nothing, profiles do.
    pub decisions: Vec<NewDecision>,
}

/// Why there can be no service.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The secret that signs tokens is too short to be one.
    #[error("CS_LAPI_SECRET not strong enough")]
    WeakSecret,
    /// A list of organizational units has an empty entry.
    #[error("allowed_ou configuration contains invalid empty string")]
    EmptyUnit,
    /// The token for registration is too short to be one.
    #[error("token provided for auto_registration is too short (min 32 chars)")]
    ShortToken,
    /// The system has no randomness to give.
    #[error("no randomness: {0}")]
    Randomness(#[from] getrandom::Error),
}

impl Service {
    /// A service over `store`.
    ///
    /// # Errors
    /// When the rules cannot be meant.
    pub fn new(
        store: Store,
        rules: Rules,
        decide: Arc<dyn Decide>,
        clock: Clock,
    ) -> Result<Self, SetupError> {
        Self::observed(store, rules, decide, Arc::new(Nobody), clock)
    }

    /// A service over `store` that tells `observer` what was decided.
    ///
    /// # Errors
    /// When the rules cannot be meant.
    pub fn observed(
        store: Store,
        rules: Rules,
        decide: Arc<dyn Decide>,
        observer: Arc<dyn Observer>,
        clock: Clock,
    ) -> Result<Self, SetupError> {
        if rules.agents_allowed_ou.iter().chain(&rules.bouncers_allowed_ou).any(String::is_empty) {
            return Err(SetupError::EmptyUnit);
        }
        if rules.auto_registration.as_ref().is_some_and(|auto| auto.token.len() < 32) {
            return Err(SetupError::ShortToken);
        }
        let secret = match &rules.token_secret {
            Some(secret) if secret.len() < 64 => return Err(SetupError::WeakSecret),
            Some(secret) => secret.clone(),
            None => {
                let mut random = vec![0u8; 64];
                getrandom::fill(&mut random)?;
                random
            }
        };
        let shared = Shared {
            meter: Meter::new(rules.counting),
            store,
            rules,
            decide: RwLock::new(decide),
            observer,
            clock,
            tokens: Tokens::new(&secret),
            // Ten wrong passwords at once, then one every six seconds.
            logins: Limiter::new(10, 6),
            // A rack may introduce itself at once; a loop may not fill the database.
            registrations: Limiter::new(60, 1),
            // Each hash takes 19 MiB and some ten milliseconds.
            hashing: Semaphore::new(2),
            // Each may hold what the limit of its body allows.
            large_bodies: Semaphore::new(4),
            strangers_bodies: Semaphore::new(16),
            inflating: Semaphore::new(4),
            places: Mutex::default(),
            dates: Dates::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The store behind the service.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// What the clock says.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.shared.clock)()
    }

    /// Decides by other profiles from now on.
    pub fn replace_decide(&self, decide: Arc<dyn Decide>) {
        *self.shared.decide.write().unwrap_or_else(PoisonError::into_inner) = decide;
    }

    /// Where a bouncer is in the stream, where that is further than what is stored of it.
    pub(crate) fn place(&self, bouncer: BouncerId) -> Option<Cursor> {
        self.places().get(&bouncer).copied()
    }

    pub(crate) fn set_place(&self, bouncer: BouncerId, place: Cursor) {
        self.places().insert(bouncer, place);
    }

    fn places(&self) -> std::sync::MutexGuard<'_, HashMap<BouncerId, Cursor>> {
        self.shared.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores where bouncers are in the stream, for an orderly end: without it they are told once
    /// more what they were told last.
    pub async fn keep_places(&self) {
        let places = std::mem::take(&mut *self.places());
        let now = self.now();
        let writes = places.into_iter().map(|(bouncer, place)| {
            let change = BouncerChange { cursor: Some(place), ..BouncerChange::default() };
            self.store().change_bouncer(bouncer, change, now)
        });
        for outcome in futures_util::future::join_all(writes).await {
            match outcome {
                Ok(()) | Err(store::Error::NotFound { .. }) => {}
                Err(error) => {
                    tracing::warn!(%error, "the place of a bouncer is not stored");
                    return;
                }
            }
        }
    }

    pub(crate) fn decide(&self) -> Arc<dyn Decide> {
        Arc::clone(&self.shared.decide.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.shared.rules
    }

    pub(crate) fn observer(&self) -> &dyn Observer {
        self.shared.observer.as_ref()
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.shared.meter
    }

    pub(crate) fn dates(&self) -> &Dates {
        &self.shared.dates
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.shared.tokens
    }

    pub(crate) fn logins(&self) -> &Limiter {
        &self.shared.logins
    }

    pub(crate) fn registrations(&self) -> &Limiter {
        &self.shared.registrations
    }

    /// Waits for the right to hash a password. The semaphore is never closed; should it be, nobody
    /// waits.
    pub(crate) async fn hashing_turn(&self) -> Option<SemaphorePermit<'_>> {
        self.shared.hashing.acquire().await.ok()
    }

    /// Waits for the right to read a long body.
    pub(crate) async fn large_body_turn(&self) -> Option<SemaphorePermit<'_>> {
        self.shared.large_bodies.acquire().await.ok()
    }

    /// Waits for the right to read a long body of somebody we do not know.
    pub(crate) async fn strangers_body_turn(&self) -> Option<SemaphorePermit<'_>> {
        self.shared.strangers_bodies.acquire().await.ok()
    }

    /// Waits for the right to inflate a body.
    pub(crate) async fn inflating_turn(&self) -> Option<SemaphorePermit<'_>> {
        self.shared.inflating.acquire().await.ok()
    }
}

/// A random identifier.
pub(crate) fn random_uuid() -> Uuid {
    Uuid::from_random(uuid::Uuid::new_v4().as_u128())
}

/// So many random identifiers. Randomness is asked for once: the kernel takes longer to answer than
/// to draw.
pub(crate) fn random_uuids(n: usize) -> Vec<Uuid> {
    let mut bytes = vec![[0u8; 16]; n];
    if getrandom::fill(bytes.as_flattened_mut()).is_err() {
        return (0..n).map(|_| random_uuid()).collect();
    }
    bytes.into_iter().map(|bytes| Uuid::from_random(u128::from_le_bytes(bytes))).collect()
}
