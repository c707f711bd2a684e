//! The access log: one line for each request, in the form log readers know.
//!
//! Nothing secret is in it: tokens, keys and passwords travel in headers and bodies, of which only
//! the user agent is shown. Text from outside is cut and cannot break the line (I12).

use std::{
    borrow::Cow,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::http::{Method, StatusCode, Uri, Version};
use model::Timestamp;

/// What is known of a request once it was answered.
pub(crate) struct Line<'a> {
    pub(crate) ip: IpAddr,
    pub(crate) at: Timestamp,
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) version: Version,
    pub(crate) status: StatusCode,
    pub(crate) latency: Duration,
    pub(crate) user_agent: &'a str,
    pub(crate) refusal: &'a str,
}

/// The text of the current second, which very many requests share.
#[derive(Debug)]
pub(crate) struct Dates {
    last: Mutex<(i64, Arc<str>)>,
}

impl Default for Dates {
    fn default() -> Self {
        Self { last: Mutex::new((0, Arc::from(date(0)))) }
    }
}

impl Dates {
    fn text(&self, at: Timestamp) -> Arc<str> {
        let (seconds, _) = at.unix();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != seconds {
            *last = (seconds, Arc::from(date(seconds)));
        }
        Arc::clone(&last.1)
    }
}

impl Line<'_> {
    pub(crate) fn write(&self, dates: &Dates) {
        if !tracing::enabled!(target: "lapi::access", tracing::Level::INFO) {
            return;
        }
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let latency = i64::try_from(self.latency.as_nanos()).unwrap_or(i64::MAX);
        tracing::info!(
            target: "lapi::access",
            "{} - [{}] \"{} {} {:?} {} {} \"{}\" {}\"",
            self.ip,
            dates.text(self.at),
            self.method,
            cut(path),
            self.version,
            self.status.as_u16(),
            api::duration::format(latency),
            cut(self.user_agent),
            cut(self.refusal),
        );
    }
}

fn date(seconds: i64) -> String {
    let at = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    at.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string()
}

/// At most 256 characters, none of which ends the line or a quotation.
fn cut(text: &str) -> Cow<'_, str> {
    let is_plain =
        |byte: u8| (b' '..=b'~').contains(&byte) && !matches!(byte, b'"' | b'\'' | b'\\');
    if text.len() <= 256 && text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().take(256).flat_map(char::escape_default).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_the_line() {
        assert_eq!(cut("a\"b\nc"), "a\\\"b\\nc");
        assert_eq!(cut(&"x".repeat(1000)).len(), 256);
        assert_eq!(
            &*Dates::default().text(Timestamp::from_unix(1_700_000_000, 5)),
            "Tue, 14 Nov 2023 22:13:20 UTC"
        );
    }
}
