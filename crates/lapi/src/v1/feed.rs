//! The feed: decisions as server-sent events, the moment they are made.
//!
//! Ours, not the incumbent's. An enforcer keeps its own place: the `id` of the last event, which
//! it sends back as `Last-Event-ID`. The server remembers nothing, so any number of enforcers may
//! share a key. Events are named `reset` (forget everything; a full list follows), `delta` (a
//! [`api::DecisionDelta`]) and `ready` (the list is whole). Only the last event of a batch has an
//! `id`: an enforcer that is cut off in the middle asks for the batch again.

use std::{collections::VecDeque, time::Duration};

use api::{DecisionDelta, duration, text::to_json};
use axum::{
    body::Body,
    http::{HeaderValue, Response, header},
};
use bytes::Bytes;
use store::{Bouncer, Cursor, DecisionFilter, Dedup, From, Stream};
use tokio::{sync::watch, time::Instant};

use super::{filter, stream::streamed};
use crate::{Refusal, Service, auth, call::Call, connection::Peer};

/// Silence longer than this is filled, so that both ends notice a broken connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Whether the enforcer may still listen is found out this often, changes or not.
const CHECK_EVERY: Duration = Duration::from_secs(3);

/// `GET /decisions/feed`
pub(crate) fn answer(
    service: &Service,
    bouncer: Bouncer,
    call: &Call,
) -> Result<Response<Body>, Refusal> {
    let filter = filter::stream(&call.query)?;
    let seq = service.store().seq().map_err(|error| Refusal::store(&error, "unable to query"))?;
    // A place beyond the newest change was given by another database.
    let place: Option<Cursor> = call
        .header("last-event-id")
        .and_then(|text| text.parse().ok())
        .filter(|cursor: &Cursor| cursor.seq <= seq);
    let mut ready = VecDeque::new();
    if place.is_none() {
        ready.push_back(Bytes::from_static(b"event: reset\ndata: {}\n\n"));
    }
    let mut feed = Feed {
        // Watched before the first look, so that no change falls between the two.
        changes: service.store().watch(),
        service: service.clone(),
        stopping: call.peer.stopping.clone(),
        peer: call.peer.clone(),
        checked_at: Instant::now(),
        told_at: Instant::now(),
        bouncer,
        filter,
        place,
        batch: None,
        ready,
        was_told: false,
        is_first: true,
    };
    feed.begin().map_err(|error| Refusal::store(&error, "unable to query"))?;
    let body = futures_util::stream::unfold(feed, |mut feed| async move {
        let chunk = feed.next().await?;
        Some((chunk, feed))
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// What ended the waiting.
enum Woken {
    Change,
    Stop,
    Silence,
}

struct Feed {
    service: Service,
    bouncer: Bouncer,
    filter: DecisionFilter,
    changes: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    place: Option<Cursor>,
    batch: Option<Stream>,
    ready: VecDeque<Bytes>,
    peer: Peer,
    /// When it was last found out that the enforcer may listen.
    checked_at: Instant,
    /// When anything was last sent.
    told_at: Instant,
    /// Whether anything of the batch was sent.
    was_told: bool,
    is_first: bool,
}

impl Feed {
    fn begin(&mut self) -> Result<(), store::Error> {
        self.changes.mark_unchanged();
        let from = self.place.map_or(From::Startup, From::After);
        let now = self.service.now();
        let stream = self.service.store().stream(from, self.filter.clone(), Dedup::Longest, now)?;
        self.batch = Some(stream);
        self.was_told = false;
        Ok(())
    }

    /// The next piece; `None` ends the answer.
    async fn next(&mut self) -> Option<Result<Bytes, std::io::Error>> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                self.told_at = Instant::now();
                return Some(Ok(chunk));
            }
            tokio::task::yield_now().await;
            let step = if self.batch.is_some() { self.tell().await } else { self.wait().await };
            match step {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    tracing::error!(%error, bouncer = self.bouncer.name, "a feed broke off");
                    return Some(Err(std::io::Error::other("the store refused")));
                }
            }
        }
    }

    /// Tells some more of the batch.
    async fn tell(&mut self) -> Result<bool, store::Error> {
        let Some(batch) = &mut self.batch else { return Ok(true) };
        let now = self.service.now();
        if let Some(page) = batch.next_new() {
            if !page.is_empty() {
                let new = page.iter().map(|one| streamed(one, now, duration::remaining)).collect();
                self.push(&DecisionDelta { new, deleted: Vec::new() });
            }
            return Ok(true);
        }
        // On a reset there is nothing to remove: the enforcer has just forgotten everything.
        let page = if self.place.is_none() { None } else { batch.next_deleted().await? };
        if let Some(page) = page {
            if !page.is_empty() {
                let deleted =
                    page.iter().map(|one| streamed(one, now, duration::rounded)).collect();
                self.push(&DecisionDelta { new: Vec::new(), deleted });
            }
            return Ok(true);
        }
        let (cursor, stops_short) = (batch.cursor(), batch.stops_short());
        self.batch = None;
        self.place = Some(cursor);
        if self.was_told || self.is_first {
            self.is_first = false;
            self.ready
                .push_back(Bytes::from(format!("event: ready\nid: {cursor}\ndata: {{}}\n\n")));
        }
        if stops_short {
            // The rest is known already, nobody will wake us for it.
            self.begin()?;
        }
        Ok(true)
    }

    fn push(&mut self, delta: &DecisionDelta) {
        // JSON holds no line ends, so one `data` line is enough.
        let event = [b"event: delta\ndata: ", to_json(delta).as_slice(), b"\n\n"].concat();
        self.ready.push_back(Bytes::from(event));
        self.was_told = true;
    }

    /// Waits for a change. False ends the feed: the server stops, or the enforcer may not listen
    /// any more.
    async fn wait(&mut self) -> Result<bool, store::Error> {
        let check_at = self.checked_at + CHECK_EVERY;
        // All three are cancel-safe: what is not chosen has changed nothing.
        let woken = tokio::select! {
            changed = self.changes.changed() => if changed.is_ok() { Woken::Change } else { Woken::Stop },
            _ = self.stopping.wait_for(|stopping| *stopping) => Woken::Stop,
            () = tokio::time::sleep_until(check_at) => Woken::Silence,
        };
        if let Woken::Stop = woken {
            return Ok(false);
        }
        // However many changes there are: no bouncer is told of them once its key is withdrawn.
        if Instant::now() >= check_at {
            if !auth::still_there(&self.service, &self.bouncer, &self.peer).await {
                return Ok(false);
            }
            self.checked_at = Instant::now();
        }
        match woken {
            Woken::Stop => return Ok(false),
            Woken::Change => self.begin()?,
            Woken::Silence if self.told_at.elapsed() >= HEARTBEAT => {
                self.ready.push_back(Bytes::from_static(b": alive\n\n"));
            }
            Woken::Silence => {}
        }
        Ok(true)
    }
}
