//! Decisions: asked one by one by bouncers in live mode, ended by people.

use std::cmp::Reverse;

use api::{Decision, Deleted, duration};
use axum::{
    body::Body,
    http::{Response, StatusCode, header},
};
use bytes::Bytes;
use model::{DecisionId, Timestamp};
use store::{Bouncer, BouncerChange, DecisionFilter, Page};

use super::filter;
use crate::{
    Refusal, Service,
    call::Call,
    refusal::{JSON, json},
};

/// Answers longer than this are sent in pieces.
const PAGE: usize = 10_000;
/// COMPAT(crowdsec): that a bouncer asked is written down this often at most.
const NOTE_EVERY: i64 = 60 * 1_000_000_000;

/// `GET /decisions`
pub(crate) async fn list(
    service: &Service,
    bouncer: Bouncer,
    call: &Call,
) -> Result<Response<Body>, Refusal> {
    let now = service.now();
    let (filter, page) = filter::decisions(&call.query)?;
    let limit = page.limit.unwrap_or(usize::MAX);
    let first = read(service, &filter, Page { limit: Some(limit.min(PAGE)), ..page }, now)?;
    note_pull(service, &bouncer, now).await;
    service.meter().told(&bouncer.name, !first.is_empty());
    if first.is_empty() {
        // COMPAT(crowdsec): four bytes; some clients compare them, and take anything else for a ban.
        return Ok(json(StatusCode::OK, &None::<()>));
    }
    if first.len() < PAGE || limit <= PAGE {
        return Ok(json(StatusCode::OK, &shown(first, now)));
    }
    Ok(in_pieces(service, filter, first, limit, now))
}

fn read(
    service: &Service,
    filter: &DecisionFilter,
    page: Page,
    now: Timestamp,
) -> Result<Vec<model::Decision>, Refusal> {
    let found = service.store().decisions(filter, page, now);
    found.map_err(|error| Refusal::store(&error, "unable to query"))
}

/// Many clients look at the first element alone: the most severe one comes first.
fn shown(mut decisions: Vec<model::Decision>, now: Timestamp) -> Vec<Decision> {
    decisions.sort_by_key(|decision| {
        let severity = match decision.remediation.as_ref() {
            "ban" => 0,
            "captcha" => 1,
            _ => 2,
        };
        (severity, Reverse(decision.until), Reverse(decision.id))
    });
    decisions.iter().map(|decision| live(decision, now)).collect()
}

fn live(decision: &model::Decision, now: Timestamp) -> Decision {
    Decision::from_model(decision, duration::remaining(decision.until.nanos_since(now)))
}

/// A long answer, read in pages by number. Nobody asks for ten thousand decisions to look at the
/// first, so the order by severity is left out.
fn in_pieces(
    service: &Service,
    filter: DecisionFilter,
    first: Vec<model::Decision>,
    limit: usize,
    now: Timestamp,
) -> Response<Body> {
    struct Pieces {
        page: Vec<model::Decision>,
        left: usize,
        before: &'static [u8],
    }
    let service = service.clone();
    let start = Pieces { page: first, left: limit, before: b"[" };
    let stream = futures_util::stream::unfold(Some(start), move |pieces| {
        let step = pieces.map(|pieces| {
            let Some(last) = pieces.page.last().map(|last| last.id.0) else {
                return (Ok(Bytes::from_static(b"]")), None);
            };
            let shown: Vec<Decision> = pieces.page.iter().map(|one| live(one, now)).collect();
            let json = api::text::to_json(&shown);
            let inner = json.get(1..json.len().saturating_sub(1)).unwrap_or_default();
            let chunk = Bytes::from([pieces.before, inner].concat());
            let left = pieces.left.saturating_sub(pieces.page.len());
            let next = Page { id_gt: Some(last), offset: 0, limit: Some(left.min(PAGE)) };
            let page = if left == 0 { Ok(Vec::new()) } else { read(&service, &filter, next, now) };
            match page {
                Ok(page) => (Ok(chunk), Some(Pieces { page, left, before: b"," })),
                // The answer breaks off, which no client takes for whole.
                Err(refusal) => (Err(std::io::Error::other(refusal.message)), None),
            }
        });
        std::future::ready(step)
    });
    let mut response = Response::new(Body::from_stream(stream));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

async fn note_pull(service: &Service, bouncer: &Bouncer, now: Timestamp) {
    if bouncer.last_pull.is_some_and(|last| now.nanos_since(last) < NOTE_EVERY) {
        return;
    }
    let change = BouncerChange { last_pull: Some(now), ..BouncerChange::default() };
    // Only for people to look at: a full disk must not keep a bouncer from its answer.
    if let Err(error) = service.store().change_bouncer(bouncer.id, change, now).await {
        tracing::debug!(%error, bouncer = bouncer.name, "that a bouncer asked was not noted");
    }
}

/// `DELETE /decisions`
pub(crate) async fn delete(service: &Service, call: &Call) -> Result<Response<Body>, Refusal> {
    let filter = filter::ended_decisions(&call.query)?;
    let ended = service.store().expire(filter, service.now()).await;
    let ended = ended.map_err(|error| Refusal::store(&error, "unable to delete"))?;
    service.observer().ended(&ended);
    Ok(json(StatusCode::OK, &Deleted { n_deleted: ended.len().to_string() }))
}

/// `DELETE /decisions/{id}`
pub(crate) async fn delete_one(service: &Service, call: &Call) -> Result<Response<Body>, Refusal> {
    let id: i64 = call
        .param
        .parse()
        .map_err(|_| Refusal::bad_request("decision_id must be valid integer"))?;
    match service.store().expire_one(DecisionId(id), service.now()).await {
        Ok(ended) => {
            service.observer().ended(&[ended]);
            Ok(json(StatusCode::OK, &Deleted { n_deleted: "1".to_owned() }))
        }
        Err(store::Error::NotFound { .. }) => Err(Refusal::internal(format!(
            "decision with id '{id}' doesn't exist: unable to delete"
        ))),
        Err(error) => Err(Refusal::store(&error, "unable to delete")),
    }
}
