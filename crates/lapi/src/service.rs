//! The service: the store, the rules and the keys that all requests share.

use std::sync::{Arc, PoisonError, RwLock};

use model::{NewDecision, Timestamp, Uuid};
use store::Store;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    Decide, Nobody, Observer, Rules,
    access::Dates,
    auth::{limit::Limiter, token::Tokens},
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
            large_bodies: Semaphore::new(4),
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

    pub(crate) fn decide(&self) -> Arc<dyn Decide> {
        Arc::clone(&self.shared.decide.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.shared.rules
    }

    pub(crate) fn observer(&self) -> &dyn Observer {
        self.shared.observer.as_ref()
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
