//! Who calls: machines by token, bouncers by key, both by certificate.
//!
//! Failing closed everywhere: what cannot be checked is refused, a store that does not answer too.

mod bouncer;
pub(crate) mod certificate;
pub mod key;
pub(crate) mod limit;
pub mod password;
pub(crate) mod token;

use store::Bouncer;

use crate::{Refusal, Service, call::Call, connection::Peer, route::Access};

/// Who was found to call.
pub(crate) enum Caller {
    /// Nobody was asked for.
    Anyone,
    /// A machine, by name.
    Machine(String),
    /// A bouncer.
    Bouncer(Box<Bouncer>),
    /// Somebody with a good key or certificate of a bouncer; which one was not asked.
    KeyHolder,
}

impl Caller {
    pub(crate) fn machine(&self) -> Result<String, Refusal> {
        match self {
            Self::Machine(name) => Ok(name.clone()),
            Self::Anyone | Self::Bouncer(_) | Self::KeyHolder => Err(Refusal::token("not allowed")),
        }
    }

    pub(crate) fn bouncer(self) -> Result<Bouncer, Refusal> {
        match self {
            Self::Bouncer(bouncer) => Ok(*bouncer),
            Self::Anyone | Self::Machine(_) | Self::KeyHolder => Err(Refusal::token("not allowed")),
        }
    }
}

/// Finds out who calls, or refuses.
pub(crate) async fn authenticate(
    service: &Service,
    access: Access,
    call: &Call,
) -> Result<Caller, Refusal> {
    match access {
        Access::Open => Ok(Caller::Anyone),
        Access::Machine => token::machine(service, call, token::Age::Valid).await,
        Access::RecentMachine => token::machine(service, call, token::Age::Recent).await,
        Access::TrustedMachine => {
            let caller = token::machine(service, call, token::Age::Valid).await?;
            let peer = &call.peer;
            let trusted = service.rules().trusted_ips.iter().any(|net| net.contains(&peer.ip));
            if peer.is_local || trusted {
                return Ok(caller);
            }
            Err(Refusal::new(
                axum::http::StatusCode::FORBIDDEN,
                format!("access forbidden from this IP ({})", peer.ip),
            ))
        }
        Access::Bouncer => bouncer::find(service, call).await,
        Access::Either => {
            let says_machine = call.header("authorization").is_some()
                || call.user_agent().starts_with("crowdsec/");
            if call.header(key::HEADER).is_none() && says_machine {
                return token::machine(service, call, token::Age::Valid).await;
            }
            bouncer::find(service, call).await
        }
    }
}

/// Whether a bouncer that has been let in may stay: neither its key nor its certificate was
/// withdrawn meanwhile, and the certificate has not ended.
pub(crate) async fn still_there(service: &Service, bouncer: &Bouncer, peer: &Peer) -> bool {
    if let Some(shown) = &peer.certificate {
        let allowed = &service.rules().bouncers_allowed_ou;
        if certificate::common_name(shown, allowed, service.now()).is_err() {
            return false;
        }
    }
    match service.store().bouncer(&bouncer.name).await {
        Ok(Some(now)) => !now.revoked && now.id == bouncer.id && now.key_hash == bouncer.key_hash,
        Ok(None) => false,
        // A store that is busy is no reason to cut off enforcers that were let in.
        Err(_) => true,
    }
}

/// The two halves of a user agent, if it has exactly two.
pub(crate) fn split_user_agent(text: &str) -> Option<(&str, &str)> {
    text.split_once('/').filter(|(_, version)| !version.contains('/'))
}
