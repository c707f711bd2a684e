//! Alerts: taken in, decided about, shown, deleted.

use std::{collections::VecDeque, sync::Arc};

use api::{Alert, Decision, Deleted, Event, WireError};
use axum::{
    body::Body,
    http::{Response, StatusCode, header},
};
use bytes::Bytes;
use model::{NewDecision, Scope, Timestamp, Uuid, parse_target};
use sha2::{Digest as _, Sha256};
use store::{AlertFilter, AlertId, NewAlert, StoredAlert};
use tokio::runtime::Handle;

use super::{filter, history::Past};
use crate::{
    Incoming, Refusal, Service,
    auth::token,
    body,
    call::Call,
    refusal::{JSON, empty, json},
    service::{random_uuid, random_uuids},
};

/// Alerts are read and sent in pages of this many.
const PAGE: usize = 100;

/// `POST /alerts`
pub(crate) async fn post(
    service: &Service,
    machine: &str,
    call: &Call,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    let alerts: Option<Vec<Alert>> = body::json(service, call, body, body::LARGE).await?;
    let alerts = alerts.unwrap_or_default();
    // A body can take its time, in which the machine can be deleted.
    token::still_admitted(service, machine).await?;
    let mut missing = Vec::new();
    for (at, alert) in alerts.iter().enumerate() {
        alert.check(at, &mut missing);
    }
    if !missing.is_empty() {
        // COMPAT(crowdsec): 500, not 422 (trap 2).
        return Err(Refusal::internal(WireError::Missing(missing).to_string()));
    }
    let now = service.now();
    let incoming: Result<Vec<_>, Refusal> =
        alerts.into_iter().map(|alert| read(alert, now)).collect();
    let ids = service.submit(machine, incoming?).await?;
    let ids: Vec<String> = ids.into_iter().flatten().map(|id| id.0.to_string()).collect();
    Ok(json(StatusCode::CREATED, &ids))
}

fn read(alert: Alert, now: Timestamp) -> Result<Incoming, Refusal> {
    let uuid = alert.uuid.as_deref().and_then(Uuid::parse);
    let kind = alert.kind.clone().filter(|kind| !kind.is_empty());
    let (alert, decisions) =
        alert.into_model(now).map_err(|error| Refusal::internal(error.to_string()))?;
    Ok(Incoming { uuid, kind: kind.unwrap_or_else(|| "crowdsec".to_owned()), alert, decisions })
}

impl Service {
    /// Takes alerts in: drops those about allowlisted sources, lets profiles decide about those
    /// that come without decisions, stores the rest in one transaction.
    ///
    /// Answers in the order given; `None` for what was dropped.
    ///
    /// # Errors
    /// When a profile cannot be evaluated or the store refuses; then nothing is stored.
    pub async fn submit(
        &self,
        machine: &str,
        alerts: Vec<Incoming>,
    ) -> Result<Vec<Option<AlertId>>, Refusal> {
        let now = self.now();
        let is_import = alerts.iter().any(|alert| {
            alert.decisions.first().is_some_and(|decision| decision.origin == "cscli-import")
        });
        let _pause = is_import.then(|| self.store().pause_flush());
        let dropped = allowlisted(self, &alerts, now).await?;
        let mut places = Vec::with_capacity(alerts.len());
        let mut kept = Vec::with_capacity(alerts.len());
        for (alert, dropped) in alerts.into_iter().zip(dropped) {
            places.push((!dropped).then_some(kept.len()));
            if !dropped {
                kept.push(new_alert(machine, alert));
            }
        }
        let (kept, matched) = decide(self, kept, now).await?;
        let kept: Arc<[NewAlert]> = kept.into();
        let recorded = self.store().record_shared(Arc::clone(&kept), now).await;
        let recorded = recorded.map_err(|error| Refusal::store(&error, "unable to insert bulk"))?;
        for ((alert, matched), recorded) in kept.iter().zip(&matched).zip(&recorded) {
            if matches!(recorded, store::Recorded::Stored { .. }) {
                self.observer().stored(alert, matched);
            }
        }
        let answer = |place: Option<usize>| recorded.get(place?).and_then(store::Recorded::id);
        Ok(places.into_iter().map(answer).collect())
    }
}

/// For each alert, whether its source is allowlisted. What comes with decisions is never dropped.
async fn allowlisted(
    service: &Service,
    alerts: &[Incoming],
    now: Timestamp,
) -> Result<Vec<bool>, Refusal> {
    let mut dropped = vec![false; alerts.len()];
    let asked: Vec<(usize, ipnet::IpNet)> = alerts
        .iter()
        .enumerate()
        .filter(|(_, alert)| alert.decisions.is_empty())
        .filter(|(_, alert)| matches!(alert.alert.source.scope, Scope::Ip | Scope::Range))
        .filter_map(|(at, alert)| Some((at, parse_target(&alert.alert.source.value).ok()?)))
        .collect();
    if asked.is_empty() {
        return Ok(dropped);
    }
    let targets = asked.iter().map(|(_, net)| *net).collect();
    let matches = service.store().allowed(targets, now).await;
    let matches = matches.map_err(|error| Refusal::store(&error, "unable to query"))?;
    for ((at, net), matches) in asked.into_iter().zip(matches) {
        if let (Some(first), Some(dropped)) = (matches.first(), dropped.get_mut(at)) {
            tracing::info!(target_net = %net, allowlist = first.allowlist, "an alert about an allowlisted source was dropped");
            *dropped = true;
        }
    }
    Ok(dropped)
}

fn new_alert(machine: &str, incoming: Incoming) -> NewAlert {
    let mut decisions = incoming.decisions;
    name_all(&mut decisions);
    NewAlert {
        uuid: incoming.uuid.map_or_else(random_uuid, |uuid| own_uuid(machine, uuid)),
        machine: Some(machine.to_owned()),
        kind: incoming.kind,
        alert: incoming.alert,
        decisions,
        profile: None,
    }
}

/// Gives each decision an identifier.
fn name_all(decisions: &mut [NewDecision]) {
    let uuids = random_uuids(decisions.len());
    for (decision, uuid) in decisions.iter_mut().zip(uuids) {
        decision.uuid = Some(uuid);
    }
}

/// The identifier under which a machine's alert is stored. Made of both, so that no machine can
/// make another's alert look stored already.
fn own_uuid(machine: &str, uuid: Uuid) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(uuid.0.to_be_bytes());
    hash.update(machine.as_bytes());
    let bits =
        hash.finalize().iter().take(16).fold(0u128, |bits, byte| (bits << 8) | u128::from(*byte));
    Uuid::from_random(bits)
}

/// Lets profiles decide; tells which matched, for each alert.
async fn decide(
    service: &Service,
    mut alerts: Vec<NewAlert>,
    now: Timestamp,
) -> Result<(Vec<NewAlert>, Vec<Vec<usize>>), Refusal> {
    if alerts.is_empty() {
        return Ok((alerts, Vec::new()));
    }
    let (decide, store, runtime) = (service.decide(), service.store().clone(), Handle::current());
    let work = move || {
        let past = Past { store: &store, runtime: &runtime, now };
        let mut matched = Vec::with_capacity(alerts.len());
        for alert in &mut alerts {
            match decide.decide(&alert.alert, &past, now) {
                Ok(decided) => {
                    matched.push(decided.matched);
                    // What a sender decided stands; profiles then only say whom to notify.
                    if alert.decisions.is_empty() {
                        alert.decisions = decided.decisions;
                        alert.profile = decided.profile;
                        name_all(&mut alert.decisions);
                    }
                }
                Err(reason) if alert.decisions.is_empty() => return Err(Refusal::internal(reason)),
                Err(reason) => {
                    tracing::warn!(reason, "no profile was asked about an alert with decisions");
                    matched.push(Vec::new());
                }
            }
        }
        Ok((alerts, matched))
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Refusal::internal("the profiles could not be evaluated"))?
}

/// `GET /alerts`
pub(crate) async fn list(service: &Service, call: &Call) -> Result<Response<Body>, Refusal> {
    let now = service.now();
    let filter = filter::alerts(&call.query, now)?;
    if call.is_head() {
        return Ok(empty(StatusCode::OK));
    }
    let mut pages =
        Pages { service: service.clone(), left: filter.limit, filter, now, is_done: false };
    let first = pages.next().await?;
    if first.is_empty() {
        // COMPAT(crowdsec): nothing is null (trap 1).
        return Ok(json(StatusCode::OK, &None::<()>));
    }
    if pages.is_done {
        return Ok(json(StatusCode::OK, &first));
    }
    let state = (pages, VecDeque::from([array(&first, b"[")]));
    let stream = futures_util::stream::unfold(state, |(mut pages, mut ready)| async move {
        if ready.is_empty() && !pages.is_done {
            match pages.next().await {
                Ok(page) if !page.is_empty() => ready.push_back(array(&page, b",")),
                Ok(_) => {}
                // The answer breaks off in the middle, which no client takes for whole.
                Err(refusal) => {
                    pages.is_done = true;
                    let error = std::io::Error::other(refusal.message);
                    return Some((Err(error), (pages, VecDeque::new())));
                }
            }
            if pages.is_done {
                ready.push_back(Bytes::from_static(b"]"));
            }
        }
        let chunk = ready.pop_front()?;
        Some((Ok(chunk), (pages, ready)))
    });
    let mut response = Response::new(Body::from_stream(stream));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    Ok(response)
}

/// `alerts` as a piece of an array: after `before`, and without its end.
fn array(alerts: &[Alert], before: &[u8]) -> Bytes {
    let json = api::text::to_json(alerts);
    let inner = json.get(1..json.len().saturating_sub(1)).unwrap_or_default();
    Bytes::from([before, inner].concat())
}

/// Reads alerts page after page, so that no answer is ever held as a whole.
struct Pages {
    service: Service,
    filter: AlertFilter,
    left: Option<usize>,
    now: Timestamp,
    is_done: bool,
}

impl Pages {
    async fn next(&mut self) -> Result<Vec<Alert>, Refusal> {
        let size = self.left.map_or(PAGE, |left| left.min(PAGE));
        let filter = AlertFilter { limit: Some(size), ..self.filter.clone() };
        let page = self.service.store().alerts(filter, self.now).await;
        let page = page.map_err(|error| Refusal::store(&error, "unable to query"))?;
        self.left = self.left.map(|left| left.saturating_sub(page.len()));
        self.filter.after = page.last().map(|last| (last.created_at, last.id.0));
        self.is_done = page.len() < size || self.left == Some(0);
        Ok(page.iter().map(|alert| shown(alert, self.now)).collect())
    }
}

/// `GET /alerts/{id}`
pub(crate) async fn show(service: &Service, call: &Call) -> Result<Response<Body>, Refusal> {
    let alert = service.store().alert(id(call)?).await;
    let alert = alert.map_err(|error| Refusal::store(&error, "unable to query"))?;
    if call.is_head() {
        return Ok(empty(StatusCode::OK));
    }
    Ok(json(StatusCode::OK, &shown(&alert, service.now())))
}

fn id(call: &Call) -> Result<AlertId, Refusal> {
    let id = call.param.parse().map(AlertId);
    id.map_err(|_| Refusal::bad_request("alert_id must be valid integer"))
}

/// `DELETE /alerts`
pub(crate) async fn delete(service: &Service, call: &Call) -> Result<Response<Body>, Refusal> {
    let now = service.now();
    let deleted = service.store().delete_alerts(filter::alerts(&call.query, now)?, now).await;
    let deleted = deleted.map_err(|error| Refusal::store(&error, "unable to delete"))?;
    Ok(json(StatusCode::OK, &Deleted { n_deleted: deleted.to_string() }))
}

/// `DELETE /alerts/{id}`
pub(crate) async fn delete_one(service: &Service, call: &Call) -> Result<Response<Body>, Refusal> {
    match service.store().delete_alert(id(call)?, service.now()).await {
        Ok(()) => Ok(json(StatusCode::OK, &Deleted { n_deleted: "1".to_owned() })),
        // COMPAT(crowdsec): showing it is 404, deleting it 500 (trap 2).
        Err(store::Error::NotFound { .. }) => Err(Refusal::internal("ent: alert not found")),
        Err(error) => Err(Refusal::store(&error, "unable to delete")),
    }
}

/// A stored alert as it is told.
fn shown(stored: &StoredAlert, now: Timestamp) -> Alert {
    let alert = &stored.alert;
    let decisions: Vec<Decision> = stored
        .decisions
        .iter()
        .map(|decision| Decision {
            simulated: Some(decision.simulated),
            ..Decision::from_model(
                decision,
                api::duration::rounded(decision.until.nanos_since(now)),
            )
        })
        .collect();
    let events: Vec<Event> = alert
        .events
        .iter()
        .map(|event| Event {
            meta: Some(api::pairs(&event.meta)),
            // COMPAT(crowdsec): not RFC 3339 (trap 16).
            timestamp: Some(
                api::date::parse(&event.timestamp)
                    .map_or_else(|| event.timestamp.clone(), |time| api::date::printed(time.at)),
            ),
        })
        .collect();
    Alert {
        created_at: Some(api::date::seconds(stored.created_at)),
        // COMPAT(crowdsec): null where there is none.
        decisions: (!decisions.is_empty()).then_some(decisions),
        events: (!events.is_empty()).then_some(events),
        id: Some(stored.id.0),
        kind: (!stored.kind.is_empty()).then(|| stored.kind.clone()),
        machine_id: Some(stored.machine.clone().unwrap_or_else(|| "N/A".to_owned())),
        start_at: Some(api::date::seconds(alert.start_at.at)),
        stop_at: Some(api::date::seconds(alert.stop_at.at)),
        uuid: (!stored.uuid.is_empty()).then(|| stored.uuid.clone()),
        ..Alert::from_model(alert)
    }
}
