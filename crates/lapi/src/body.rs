//! Reads request bodies: packed or not, within limits of size, time and memory (I5).

use std::{io::Read as _, time::Duration};

use axum::{
    body::Body,
    http::{StatusCode, header},
};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt as _, Limited};
use serde::de::DeserializeOwned;

use crate::{Refusal, Service, call::Call};

/// What anybody may send.
pub(crate) const SMALL: usize = 2 << 20;
/// What those we know may send.
pub(crate) const LARGE: usize = 50 << 20;
/// A body that is not there by then is not coming.
const PATIENCE: Duration = Duration::from_secs(120);

/// Reads the body and inflates it; `limit` holds for both sizes.
pub(crate) async fn read(
    service: &Service,
    call: &Call,
    body: Body,
    limit: usize,
) -> Result<Bytes, Refusal> {
    let packed = call
        .header(header::CONTENT_ENCODING.as_str())
        .is_some_and(|encoding| encoding.eq_ignore_ascii_case("gzip"));
    let length = axum::body::HttpBody::size_hint(&body).upper();
    // Long bodies are read a few at a time, so that many of them cannot fill the memory. Whoever
    // hides the length is taken for long.
    let _turn = match length {
        Some(length) if !packed && length <= 1 << 20 => None,
        _ => service.large_body_turn().await,
    };
    let collected = tokio::time::timeout(PATIENCE, Limited::new(body, limit).collect());
    let bytes = match collected.await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => return Err(too_large()),
        Ok(Err(_)) => return Err(Refusal::bad_request("unexpected EOF")),
        Err(_) => return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive")),
    };
    if packed { inflate(bytes, limit).await } else { Ok(bytes) }
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
pub(crate) async fn json<T: DeserializeOwned>(
    service: &Service,
    call: &Call,
    body: Body,
    limit: usize,
) -> Result<T, Refusal> {
    let bytes = read(service, call, body, limit).await?;
    parse(&bytes)
}

pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::bad_request("EOF"));
    }
    serde_json::from_slice(bytes).map_err(|error| Refusal::bad_request(format!("json: {error}")))
}
