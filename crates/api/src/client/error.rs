//! What can go wrong between us and a local API, sorted by what the caller can do.

use std::error::Error;

/// Whether the same call can succeed later without anybody changing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Ask again: the server may be back, or the machine admitted.
    Later,
    /// The server will say the same again.
    Never,
}

/// Why a call did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The settings cannot be used.
    #[error("{0}")]
    Settings(String),
    /// The server cannot be reached, or the connection broke.
    #[error("talking to {url}: {reason}")]
    Unreachable {
        /// The server.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The server refused.
    #[error("{message} (status {status})")]
    Refused {
        /// The status.
        status: u16,
        /// The server's words; may be empty.
        message: String,
    },
    /// The answer makes no sense.
    #[error("the answer cannot be read: {0}")]
    Answer(String),
}

impl ClientError {
    /// Whether to ask again. Refused credentials count as "later": what waits to be sent must
    /// outlive a wrong password.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unreachable { .. } | Self::Answer(_) => Retry::Later,
            Self::Settings(_) => Retry::Never,
            Self::Refused { status: 400 | 404 | 405 | 413 | 422, .. } => Retry::Never,
            // COMPAT(crowdsec): an alert that is wrong is refused with 500, like a broken disk;
            // only the words tell them apart.
            Self::Refused { status: 500, message } if is_about_input(message) => Retry::Never,
            Self::Refused { .. } => Retry::Later,
        }
    }

    /// The status, where the server refused.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Settings(_) | Self::Unreachable { .. } | Self::Answer(_) => None,
        }
    }
}

fn is_about_input(message: &str) -> bool {
    message.starts_with("validation failure list")
        || ["unable to parse type", "invalid ip address / range", "invalid filter"]
            .iter()
            .any(|end| message.ends_with(end))
}

/// An error and what caused it, in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_words_are_not_repeated_and_broken_disks_are() {
        let refused =
            |status, message: &str| ClientError::Refused { status, message: message.to_owned() };
        assert_eq!(refused(500, "validation failure list:\nx").retry(), Retry::Never);
        assert_eq!(refused(500, "disk full: unable to insert bulk").retry(), Retry::Later);
        assert_eq!(refused(422, "").retry(), Retry::Never);
        assert_eq!(refused(401, "").retry(), Retry::Later);
        assert_eq!(refused(429, "").retry(), Retry::Later);
    }
}
