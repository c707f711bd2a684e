//! What a caller hears when the answer is no.

use api::{Message, text::to_json};
use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};

/// JSON as every answer is labelled.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// A refused request: the status, and words that are harmless to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// What the caller reads.
    pub message: String,
    shape: Shape,
}

/// COMPAT(crowdsec): what concerns tokens says the status once more in its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Message,
    Token,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), shape: Shape::Message }
    }

    /// The caller's token or credentials are no good.
    pub(crate) fn token(message: impl Into<String>) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, message: message.into(), shape: Shape::Token }
    }

    /// COMPAT(crowdsec): bouncers tell a bad key by 403, not 401.
    pub(crate) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "access forbidden")
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// COMPAT(crowdsec): what is wrong with a filter or an alert is a 500, told apart by its words.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// The store refused while doing what `suffix` names. The caller learns which kind of trouble
    /// it is; the path and the system's words are for the log.
    pub(crate) fn store(error: &store::Error, suffix: &str) -> Self {
        use store::Error;
        let status = match error {
            Error::Full { .. } => StatusCode::INSUFFICIENT_STORAGE,
            Error::ReadOnly { .. }
            | Error::Busy { .. }
            | Error::Unreachable { .. }
            | Error::Refused { .. }
            | Error::Closed => StatusCode::SERVICE_UNAVAILABLE,
            Error::NotFound { .. }
            | Error::Exists { .. }
            | Error::Corrupt { .. }
            | Error::Schema { .. }
            | Error::Unusable { .. }
            | Error::NoIndex => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let kind = match error {
            Error::NotFound { .. } => return Self::not_found(),
            Error::Exists { what, name } => {
                return Self::internal(format!("{what} '{name}' exists"));
            }
            Error::Full { .. } => "no space left for the database",
            Error::ReadOnly { .. } => "the database cannot be written",
            Error::Corrupt { .. } => "the database is damaged",
            Error::Schema { .. } => "the database does not fit this program",
            Error::Busy { .. } => "the database is busy",
            Error::Unusable { .. } => "the database cannot be used",
            Error::Unreachable { .. } | Error::Refused { .. } => "the database cannot be reached",
            Error::NoIndex | Error::Closed => "the database is closed",
        };
        if error.retry() == store::Retry::Later {
            // The store tells about its disk itself, and not once for each request.
            tracing::debug!(%error, doing = suffix, "the store refused a request");
        } else {
            tracing::error!(%error, doing = suffix, "the store refused a request");
        }
        Self::new(status, format!("{kind}: {suffix}"))
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "object not found")
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let code = match self.shape {
            Shape::Message => None,
            Shape::Token => Some(self.status.as_u16()),
        };
        let mut response = json(self.status, &Message { code, message: self.message.clone() });
        if self.shape == Shape::Token {
            let realm = HeaderValue::from_static("JWT realm=\"Crowdsec API local\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
        }
        // For the access log.
        response.extensions_mut().insert(Self { shape: Shape::Message, ..self });
        response
    }
}

/// An answer with a body, sent in one piece.
pub(crate) fn json<T: serde::Serialize + ?Sized>(status: StatusCode, value: &T) -> Response<Body> {
    let mut response = Response::new(Body::from(to_json(value)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
