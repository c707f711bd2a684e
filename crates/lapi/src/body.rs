//! Reads request bodies: packed or not, within limits of size, time and memory (I5).

use std::{io::Read as _, time::Duration};

use api::decode::{self, Body as Wanted};
use axum::{
    body::Body,
    http::{StatusCode, header},
};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt as _, Limited};

use crate::{Refusal, Service, call::Call};

/// What anybody may send.
pub(crate) const SMALL: usize = 2 << 20;
/// What those we know may send.
pub(crate) const LARGE: usize = 50 << 20;
/// Bodies up to this length need not wait for their turn.
const SHORT: u64 = 1 << 20;
/// A body that is not there by then is not coming.
const PATIENCE: Duration = Duration::from_secs(120);

/// Reads the body and inflates it; `limit` holds for both sizes.
async fn read(service: &Service, call: &Call, body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let packed = call
        .header(header::CONTENT_ENCODING.as_str())
        .is_some_and(|encoding| encoding.eq_ignore_ascii_case("gzip"));
    let length = axum::body::HttpBody::size_hint(&body).upper();
    if length.is_some_and(|length| length > u64::try_from(limit).unwrap_or(u64::MAX)) {
        return Err(too_large());
    }
    // Long bodies are read a few at a time, so that many of them cannot fill the memory. Whoever
    // hides the length is taken for long. Strangers wait for each other and for nobody we know:
    // a few of them that send slowly must not keep agents from posting.
    let turn = match length {
        Some(length) if length <= SHORT => None,
        _ if limit <= SMALL => service.strangers_body_turn().await,
        _ => service.large_body_turn().await,
    };
    let collected = tokio::time::timeout(PATIENCE, Limited::new(body, limit).collect());
    let bytes = match collected.await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => return Err(too_large()),
        Ok(Err(_)) => return Err(Refusal::bad_request("unexpected EOF")),
        Err(_) => return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive")),
    };
    drop(turn);
    if !packed {
        return Ok(bytes);
    }
    // Held for as long as the work takes, not for as long as the sender does.
    let _turn = service.inflating_turn().await;
    inflate(bytes, limit).await
}

async fn inflate(bytes: Bytes, limit: usize) -> Result<Bytes, Refusal> {
    let inflate = move || {
        let mut out = Vec::new();
        // One more byte than allowed tells "full" from "too long".
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let read = MultiGzDecoder::new(bytes.as_ref()).take(most).read_to_end(&mut out);
        match read {
            Ok(_) if out.len() > limit => Err(too_large()),
            Ok(_) => Ok(Bytes::from(out)),
            Err(_) => Err(Refusal::bad_request("gzip: invalid header")),
        }
    };
    // A bomb takes a good part of a second to reach the limit; others are served meanwhile.
    tokio::task::spawn_blocking(inflate)
        .await
        .unwrap_or_else(|_| Err(Refusal::internal("the body could not be inflated")))
}

fn too_large() -> Refusal {
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "http: request body too large")
}

/// Reads the body as JSON, whatever its content type says.
pub(crate) async fn json<T: Wanted>(
    service: &Service,
    call: &Call,
    body: Body,
    limit: usize,
) -> Result<T, Refusal> {
    let bytes = read(service, call, body, limit).await?;
    decode::read(&bytes).map_err(Refusal::bad_request)
}
