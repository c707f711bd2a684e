//! The decision stream: what a bouncer must add and remove since it last asked.
//!
//! The answer is written page by page in constant memory. The bouncer's place in the stream moves
//! after the last page was taken by the connection, and the answer ends after that: a caller that
//! hangs up half-way gets the same again, and one that read to the end never does.
//!
//! What is *stored* of that place is where the answer began, since by asking for more the caller shows
//! that it has everything before. A server that is killed while an answer is under way cannot know
//! whether it arrived; after that it tells the bouncer the last answer once more, which changes
//! nothing, rather than never.

use api::{Decision, duration};
use axum::{
    body::Body,
    http::{HeaderValue, Response, header},
};
use bytes::Bytes;
use model::Timestamp;
use store::{Bouncer, BouncerChange, Cursor, Dedup, From, Stream};

use super::filter;
use crate::{Refusal, Service, call::Call};

/// An empty answer is written down this often at most: it moves the bouncer's place nowhere.
const NOTE_EVERY: i64 = 60 * 1_000_000_000;

/// `GET /decisions/stream`
pub(crate) fn answer(
    service: &Service,
    bouncer: Bouncer,
    call: &Call,
) -> Result<Response<Body>, Refusal> {
    let now = service.now();
    let filter = filter::stream(&call.query)?;
    let dedup = if call.query("dedup") == Some("false") { Dedup::Off } else { Dedup::Longest };
    let began = service.place(bouncer.id).or(bouncer.cursor);
    let began = began.filter(|_| call.query("startup") != Some("true"));
    let from = began.map_or(From::Startup, From::After);
    let stream = service.store().stream(from, filter, dedup, now);
    let stream = stream.map_err(|error| Refusal::store(&error, "unable to query"))?;
    let answer = Answer {
        service: service.clone(),
        bouncer,
        began,
        stream,
        now,
        step: Step::New,
        is_empty: true,
    };
    let body = futures_util::stream::unfold(answer, |mut answer| async move {
        let chunk = answer.next().await?;
        Some((chunk, answer))
    });
    let mut response = Response::new(Body::from_stream(body));
    let plain = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    Ok(response)
}

struct Answer {
    service: Service,
    bouncer: Bouncer,
    /// Where the caller was; `None` for one that begins.
    began: Option<Cursor>,
    stream: Stream,
    now: Timestamp,
    step: Step,
    is_empty: bool,
}

/// How far the answer is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    New,
    MoreNew,
    Deleted,
    MoreDeleted,
    Move,
    End,
}

impl Answer {
    /// The next piece. An error breaks the answer off, which no client takes for whole.
    async fn next(&mut self) -> Option<std::io::Result<Bytes>> {
        // Between two pieces others get their turn, however fast the reader is.
        tokio::task::yield_now().await;
        match self.step {
            Step::New | Step::MoreNew => Some(Ok(self.next_new())),
            Step::Deleted | Step::MoreDeleted => {
                let page = self.stream.next_deleted().await;
                let chunk = page.map(|page| self.next_deleted(page));
                Some(self.broken_off(chunk))
            }
            Step::Move => {
                self.step = Step::End;
                // The answer is whole. A bouncer whose place is not noted (a full disk) hears the
                // same again, which is better for it than hearing nothing.
                if let Err(error) = self.move_cursor().await {
                    let bouncer = &self.bouncer.name;
                    tracing::warn!(%error, bouncer, "a bouncer's place in the stream was not noted");
                }
                None
            }
            Step::End => None,
        }
    }

    fn broken_off(&mut self, result: Result<Bytes, store::Error>) -> std::io::Result<Bytes> {
        result.map_err(|error| {
            self.step = Step::End;
            tracing::error!(%error, bouncer = self.bouncer.name, "a decision stream broke off");
            std::io::Error::other("the store refused")
        })
    }

    fn next_new(&mut self) -> Bytes {
        let before: &[u8] = if self.step == Step::New { b"{\"new\": [" } else { b"" };
        let Some(page) = self.stream.next_new() else {
            self.step = Step::Deleted;
            return Bytes::from([before, b"], \"deleted\": ["].concat());
        };
        let is_first = self.step == Step::New || self.is_empty;
        self.step = Step::MoreNew;
        self.write(before, is_first, &page, duration::whole_remaining)
    }

    fn next_deleted(&mut self, page: Option<Vec<model::Decision>>) -> Bytes {
        let Some(page) = page else {
            self.step = Step::Move;
            return Bytes::from_static(b"]}");
        };
        let is_first = self.step == Step::Deleted;
        if !page.is_empty() {
            self.step = Step::MoreDeleted;
        }
        self.write(b"", is_first, &page, duration::round)
    }

    fn write(
        &mut self,
        before: &[u8],
        is_first: bool,
        page: &[model::Decision],
        whole: impl Fn(i64) -> i64,
    ) -> Bytes {
        let mut out = Vec::with_capacity(page.len().saturating_mul(256).saturating_add(64));
        out.extend_from_slice(before);
        for (at, decision) in page.iter().enumerate() {
            if !(is_first && at == 0) {
                out.push(b',');
            }
            api::write_decision(&mut out, decision, whole(decision.until.nanos_since(self.now)));
            self.is_empty = false;
        }
        Bytes::from(out)
    }

    async fn move_cursor(&self) -> Result<(), store::Error> {
        let is_noted = self.bouncer.cursor.is_some()
            && self.bouncer.last_pull.is_some_and(|last| self.now.nanos_since(last) < NOTE_EVERY);
        let place = self.stream.cursor();
        self.service.set_place(self.bouncer.id, place);
        if self.is_empty && is_noted && !self.stream.stops_short() {
            return Ok(());
        }
        let change = BouncerChange {
            // Who begins and is cut off has nothing, and begins again.
            cursor: Some(self.began.unwrap_or(place)),
            last_pull: Some(self.now),
            ..BouncerChange::default()
        };
        match self.service.store().change_bouncer(self.bouncer.id, change, self.now).await {
            // While the disk cannot be written, memory has to do.
            Err(error) if error.retry() == store::Retry::Later => Ok(()),
            changed => changed,
        }
    }
}

/// A decision as the feed tells it: the stream writes the same, faster.
pub(super) fn streamed(
    decision: &model::Decision,
    now: Timestamp,
    text: impl Fn(i64) -> String,
) -> Decision {
    Decision {
        uuid: decision.uuid.map(|uuid| uuid.to_string()),
        ..Decision::from_model(decision, text(decision.until.nanos_since(now)))
    }
}
