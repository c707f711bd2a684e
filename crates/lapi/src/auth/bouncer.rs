//! Bouncers: a key may be shared, and each address that uses it has a row and a place in the
//! stream of its own.

use std::sync::Arc;

use axum::http::header;
use store::{Bouncer, BouncerAuth, BouncerChange, NewBouncer};

use super::{Caller, certificate, key, split_user_agent};
use crate::{Refusal, Service, call::Call};

/// More hosts than this do not share one key; somebody who has it is making up addresses.
const MOST_PER_KEY: usize = 4096;

/// The bouncer that calls. For HEAD: only whether its key is good; nothing is written.
pub(super) async fn find(service: &Service, call: &Call) -> Result<Caller, Refusal> {
    // COMPAT(crowdsec): who shows a certificate is judged by it alone, whatever key comes along.
    if let Some(shown) = &call.peer.certificate {
        let allowed = &service.rules().bouncers_allowed_ou;
        let name = certificate::common_name(shown, allowed, service.now())
            .map_err(|reason| refused(call, &reason))?;
        if call.is_head() {
            return Ok(Caller::KeyHolder);
        }
        let bouncer = by_certificate(service, call, &name).await?;
        return Ok(described(service, call, bouncer).await);
    }
    let key = call.header(key::HEADER).filter(|key| !key.is_empty());
    let hash = key::hash(key.ok_or_else(|| refused(call, "no key"))?);
    let rows = rows(service, &hash).await?;
    if call.is_head() {
        let any = good(&rows, &hash).any(|row| row.auth == BouncerAuth::ApiKey);
        return if any { Ok(Caller::KeyHolder) } else { Err(refused(call, "unknown key")) };
    }
    let bouncer = by_key(service, call, &hash, &rows).await?;
    Ok(described(service, call, bouncer).await)
}

fn refused(call: &Call, reason: &str) -> Refusal {
    tracing::info!(client = %call.peer.ip, reason, "a bouncer was refused");
    Refusal::forbidden()
}

/// The rows of a key, of which only [`good`] ones may be used.
async fn rows(service: &Service, hash: &str) -> Result<Arc<[Bouncer]>, Refusal> {
    let rows = service.store().bouncers_with_key(hash).await;
    rows.map_err(|error| Refusal::store(&error, "unable to query"))
}

/// The rows a key may use.
fn good<'a>(rows: &'a [Bouncer], hash: &'a str) -> impl Iterator<Item = &'a Bouncer> {
    rows.iter().filter(move |row| !row.revoked && key::same(&row.key_hash, hash))
}

async fn by_key(
    service: &Service,
    call: &Call,
    hash: &str,
    rows: &[Bouncer],
) -> Result<Bouncer, Refusal> {
    let ip = call.peer.ip.to_string();
    if let Some(row) = good(rows, hash).find(|row| row.ip == ip) {
        if row.auth != BouncerAuth::ApiKey {
            return Err(refused(call, "the bouncer has a certificate, not a key"));
        }
        return Ok(row.clone());
    }
    let keyed: Vec<&Bouncer> =
        good(rows, hash).filter(|row| row.auth == BouncerAuth::ApiKey).collect();
    let Some(first) = keyed.first() else { return Err(refused(call, "unknown key")) };
    if keyed.len() == 1 && first.ip.is_empty() {
        // The first host to use the key; `described` writes its address down.
        return Ok((*first).clone());
    }
    if keyed.len() >= MOST_PER_KEY {
        return Err(refused(call, "too many hosts share the key"));
    }
    let base = first.name.split('@').next().unwrap_or(&first.name);
    let new = NewBouncer {
        name: format!("{base}@{ip}"),
        key_hash: hash.to_owned(),
        ip: ip.clone(),
        auth: BouncerAuth::ApiKey,
        auto_created: true,
        kind: first.kind.clone(),
        version: first.version.clone(),
    };
    match service.store().add_bouncer(new, service.now()).await {
        Ok(row) => Ok(row),
        // Another request of the same host was faster.
        Err(store::Error::Exists { .. }) => rows_now(service, call, hash, &ip).await,
        Err(error) => Err(Refusal::store(&error, "unable to insert bulk")),
    }
}

async fn rows_now(
    service: &Service,
    call: &Call,
    hash: &str,
    ip: &str,
) -> Result<Bouncer, Refusal> {
    let rows = rows(service, hash).await?;
    good(&rows, hash)
        .find(|row| row.ip == ip)
        .cloned()
        .ok_or_else(|| refused(call, "another key's bouncer has this name"))
}

async fn by_certificate(service: &Service, call: &Call, cn: &str) -> Result<Bouncer, Refusal> {
    let ip = call.peer.ip.to_string();
    let name = format!("{cn}@{ip}");
    if let Some(row) = certified(service, call, &name).await? {
        return Ok(row);
    }
    // Nobody knows this key, so that the row cannot be used with one.
    let unknown = key::generate().map_err(|_| Refusal::internal("no randomness"))?;
    let new = NewBouncer {
        name: name.clone(),
        key_hash: key::hash(&unknown),
        ip,
        auth: BouncerAuth::Tls,
        auto_created: true,
        ..NewBouncer::default()
    };
    match service.store().add_bouncer(new, service.now()).await {
        Ok(row) => Ok(row),
        // Another request of the same host was faster.
        Err(store::Error::Exists { .. }) => certified(service, call, &name)
            .await?
            .ok_or_else(|| refused(call, "the bouncer was deleted meanwhile")),
        Err(error) => Err(Refusal::store(&error, "unable to insert bulk")),
    }
}

/// The bouncer of this name, if it is one with a certificate.
async fn certified(service: &Service, call: &Call, name: &str) -> Result<Option<Bouncer>, Refusal> {
    let found = service.store().bouncer(name).await;
    let found = found.map_err(|error| Refusal::store(&error, "unable to query"))?;
    if found.as_ref().is_some_and(|row| row.auth != BouncerAuth::Tls) {
        return Err(refused(call, "the bouncer of this name has a key, not a certificate"));
    }
    if found.as_ref().is_some_and(|row| row.revoked) {
        return Err(refused(call, "the bouncer was revoked"));
    }
    Ok(found)
}

/// Writes down what the request says of the bouncer, if that is news.
async fn described(service: &Service, call: &Call, mut row: Bouncer) -> Caller {
    let agent: String =
        call.header(header::USER_AGENT.as_str()).unwrap_or_default().chars().take(255).collect();
    let (kind, version) = split_user_agent(&agent).unwrap_or((&agent, "N/A"));
    let ip = call.peer.ip.to_string();
    let news = |old: &str, new: &str| (old != new).then(|| new.to_owned());
    let change = BouncerChange {
        ip: news(&row.ip, &ip),
        kind: news(&row.kind, kind),
        version: news(&row.version, version),
        ..BouncerChange::default()
    };
    if change.ip.is_some() || change.kind.is_some() || change.version.is_some() {
        row.ip = ip;
        kind.clone_into(&mut row.kind);
        version.clone_into(&mut row.version);
        // Only for people to look at: a full disk must not keep a bouncer from its decisions.
        if let Err(error) = service.store().change_bouncer(row.id, change, service.now()).await {
            tracing::debug!(%error, bouncer = row.name, "what a bouncer says of itself was not noted");
        }
    }
    Caller::Bouncer(Box::new(row))
}
