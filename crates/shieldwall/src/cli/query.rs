//! Questions to the local API: filters as the command line spells them, and answers that are refusals.

use super::tool::Tool;
use anyhow::{Result, anyhow};
use api::client::{Client, ClientError};
use model::{canonical_scope, parse_ip, parse_range};
use std::{fmt, str::FromStr};

/// The local API, as the machine this host is.
pub(super) fn client(tool: &Tool) -> Result<Client> {
    let (credentials, _) = tool.credentials()?;
    tool.client(&credentials)
}

/// Waits for an answer of the local API.
pub(super) fn ask<T>(
    tool: &Tool,
    answer: impl Future<Output = Result<T, ClientError>>,
) -> Result<T> {
    tool.wait(answer)?.map_err(refused)
}

/// What a local API said, in the words scripts know.
pub(super) fn refused(error: ClientError) -> anyhow::Error {
    match error {
        ClientError::Refused { status, message } if message.is_empty() => {
            anyhow!("API error: http code {status}")
        }
        ClientError::Refused { message, .. } => anyhow!("API error: {message}"),
        ClientError::Unreachable { url, reason } => {
            anyhow!("error while performing request: {url}: {reason}")
        }
        other @ (ClientError::Settings(_) | ClientError::Answer(_)) => other.into(),
    }
}

/// A length of time, days included, that is sent in hours, minutes and seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) nanos: i64,
}

impl FromStr for Span {
    type Err = api::duration::BadDuration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        api::duration::parse(text).map(|nanos| Self { nanos })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&api::duration::format(self.nanos))
    }
}

/// The parameters of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    pairs: Vec<(&'static str, String)>,
}

impl Query {
    /// Adds a parameter.
    pub(super) fn add(&mut self, key: &'static str, value: impl Into<String>) {
        self.pairs.push((key, value.into()));
    }

    /// Adds a parameter where there is a value.
    pub(super) fn maybe<T: ToString>(&mut self, key: &'static str, value: Option<&T>) {
        if let Some(value) = value {
            self.add(key, value.to_string());
        }
    }

    /// Whether nothing was asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The parameters as the client takes them.
    pub(super) fn pairs(&self) -> Vec<(&str, &str)> {
        self.pairs.iter().map(|(key, value)| (*key, value.as_str())).collect()
    }
}

/// Whom a filter is about.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct WhomArgs {
    /// An address.
    #[arg(short, long, value_name = "IP")]
    pub(super) ip: Option<String>,
    /// A network.
    #[arg(short, long, value_name = "RANGE")]
    pub(super) range: Option<String>,
    /// A value, of any scope.
    #[arg(short, long, value_name = "VALUE")]
    pub(super) value: Option<String>,
    /// Look for what lies inside the network instead of for what contains it.
    #[arg(long)]
    pub(super) contained: bool,
}

impl WhomArgs {
    /// Adds what was asked for.
    pub(super) fn fill(&self, query: &mut Query) -> Result<()> {
        if let Some(ip) = &self.ip {
            query.add("ip", parse_ip(ip)?.to_string());
        }
        if let Some(range) = &self.range {
            parse_range(range)?;
            query.add("range", range.as_str());
        }
        query.maybe("value", self.value.as_ref());
        Ok(())
    }

    /// Adds how stored networks must lie to the one asked for.
    pub(super) fn relation(&self, query: &mut Query) {
        if self.contained {
            query.add("contains", "false");
        }
    }
}

/// A scope as the local API spells it.
pub(super) fn scope(text: &str) -> String {
    canonical_scope(text).name().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_sent_without_days() {
        assert_eq!("2d12h".parse::<Span>().unwrap().to_string(), "60h0m0s");
        let error = "toto".parse::<Span>().unwrap_err().to_string();
        assert_eq!(error, "time: invalid duration \"toto\"");
    }

    #[test]
    fn addresses_are_checked_before_they_are_sent() {
        let fill = |ip: Option<&str>, range: Option<&str>| {
            let mut query = Query::default();
            let (ip, range) = (ip.map(str::to_owned), range.map(str::to_owned));
            let whom = WhomArgs { ip, range, ..WhomArgs::default() };
            whom.fill(&mut query).map(|()| query).map_err(|error| error.to_string())
        };
        assert_eq!(fill(Some("::ffff:1.2.3.4"), None).unwrap().pairs(), [("ip", "1.2.3.4")]);
        assert_eq!(fill(None, Some("10.0.0.0/8")).unwrap().pairs(), [("range", "10.0.0.0/8")]);
        assert_eq!(fill(Some("x"), None).unwrap_err(), "invalid ip address 'x'");
        assert!(fill(None, Some("10.0.0.1")).is_err());
    }
}
