//! A decision: what shall happen to an address, a network or another value, and until when.
//!
//! Also the one place that turns the text of an address or a network into a number, so that the
//! store, the server and the enforcers agree on what a value covers.

use crate::{Scope, Timestamp};
use alloc::{borrow::ToOwned as _, string::String, sync::Arc};
use core::{fmt, net::IpAddr, str::FromStr, time::Duration};
use ipnet::IpNet;

/// Names one stored decision. Grows with each one and is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DecisionId(pub i64);

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The 128 bits of a universally unique identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub u128);

impl Uuid {
    /// A version 4 identifier made of random `bits`; the bits that say so are set here.
    #[must_use]
    pub const fn from_random(bits: u128) -> Self {
        Self((bits & !(0xf000 << 64) & !(0xc000 << 48)) | (0x4000 << 64) | (0x8000 << 48))
    }

    /// Reads the usual form: 32 hexadecimal digits in five groups. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 36 {
            return None;
        }
        let mut bits = 0u128;
        for (at, byte) in bytes.iter().enumerate() {
            if matches!(at, 8 | 13 | 18 | 23) {
                if *byte != b'-' {
                    return None;
                }
                continue;
            }
            bits = (bits << 4) | u128::from(char::from(*byte).to_digit(16)?);
        }
        Some(Self(bits))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0;
        let (a, b, c) = (bits >> 96, (bits >> 80) & 0xffff, (bits >> 64) & 0xffff);
        let (d, e) = ((bits >> 48) & 0xffff, bits & 0xffff_ffff_ffff);
        write!(f, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
    }
}

/// A decision as the store keeps it. Cloning is cheap: the repeated texts are shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Its number.
    pub id: DecisionId,
    /// Its identifier, absent for decisions that came from the central API.
    pub uuid: Option<Uuid>,
    /// Who decided: `crowdsec`, `cscli`, `CAPI`, `lists`, …
    pub origin: Arc<str>,
    /// The scenario, or the reason a person gave, or the name of a blocklist.
    pub scenario: Arc<str>,
    /// What to do: `ban`, `captcha`, … (`type` on the wire).
    pub remediation: Arc<str>,
    /// What kind of thing `value` is.
    pub scope: Scope,
    /// Whom it is about.
    pub value: String,
    /// When it ends.
    pub until: Timestamp,
    /// Whether it is only written down, not enforced.
    pub simulated: bool,
}

impl Decision {
    /// Whether it is still to be enforced at `now`.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.until > now
    }
}

/// A decision that is about to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDecision {
    /// Its identifier, when it has one.
    pub uuid: Option<Uuid>,
    /// Who decided.
    pub origin: String,
    /// The scenario, or the reason a person gave.
    pub scenario: String,
    /// What to do.
    pub remediation: String,
    /// What kind of thing `value` is.
    pub scope: Scope,
    /// Whom it is about.
    pub value: String,
    /// How long it holds, counted from the end of its alert. A negative length is given as zero.
    pub duration: Duration,
    /// Whether it is only written down, not enforced.
    pub simulated: bool,
}

/// A text that should name an address or a network and does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadTarget {
    /// Not an IPv4 or IPv6 address.
    Ip(String),
    /// Not an address, a slash and a prefix length.
    Range(String),
}

impl fmt::Display for BadTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(text) => write!(f, "invalid ip address '{text}'"),
            Self::Range(text) => {
                write!(f, "invalid ip range '{text}': invalid CIDR address: {text}")
            }
        }
    }
}

impl core::error::Error for BadTarget {}

/// Reads one address. An IPv4 address in IPv6 clothing (`::ffff:1.2.3.4`) is the IPv4 address.
///
/// # Errors
/// When `text` is not an address.
pub fn parse_ip(text: &str) -> Result<IpAddr, BadTarget> {
    IpAddr::from_str(text)
        .map(|address| address.to_canonical())
        .map_err(|_| BadTarget::Ip(text.to_owned()))
}

/// Reads a network in CIDR notation; host bits are cleared.
///
/// # Errors
/// When `text` is not an address, a slash and a prefix length.
pub fn parse_range(text: &str) -> Result<IpNet, BadTarget> {
    IpNet::from_str(text).map(canonical_net).map_err(|_| BadTarget::Range(text.to_owned()))
}

/// Reads an address or, where there is a slash, a network.
///
/// # Errors
/// When `text` is neither.
pub fn parse_target(text: &str) -> Result<IpNet, BadTarget> {
    if text.contains('/') { parse_range(text) } else { parse_ip(text).map(IpNet::from) }
}

/// Reads a scope as clients spell it: the four that are known in any case, others word for word.
#[must_use]
pub fn canonical_scope(name: &str) -> Scope {
    let known = ["Ip", "Range", "AS", "Country"];
    let spelled = known.into_iter().find(|known| known.eq_ignore_ascii_case(name));
    Scope::from_name(spelled.unwrap_or(name))
}

/// Clears the host bits and turns a network of IPv4-mapped IPv6 addresses into the IPv4 network.
#[must_use]
pub fn canonical_net(net: IpNet) -> IpNet {
    let net = net.trunc();
    let IpNet::V6(v6) = net else { return net };
    // `::ffff:0:0/96` and everything below it are IPv4 addresses.
    match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
        (Some(address), Some(length)) => {
            ipnet::Ipv4Net::new(address, length).map_or(net, IpNet::V4)
        }
        _ => net,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString as _;

    #[test]
    fn uuids_print_as_they_were_read() {
        let text = "00112233-4455-4677-8899-aabbccddeeff";
        assert_eq!(Uuid::parse(text).unwrap().to_string(), text);
        for bad in
            ["", "0011223344554677889900aabbccddeeff00", "+0112233-4455-4677-8899-aabbccddeeff"]
        {
            assert_eq!(Uuid::parse(bad), None, "{bad}");
        }
        assert_eq!(
            Uuid::from_random(u128::MAX).to_string(),
            "ffffffff-ffff-4fff-bfff-ffffffffffff"
        );
    }

    #[test]
    fn addresses_become_canonical() {
        let check = |text: &str, want: &str| {
            assert_eq!(parse_target(text).unwrap().to_string(), want, "{text}");
        };
        check("1.2.3.4", "1.2.3.4/32");
        check("::ffff:1.2.3.4", "1.2.3.4/32");
        check("4.4.4.2/28", "4.4.4.0/28");
        check("aaaa::1/48", "aaaa::/48");
        check("::ffff:1.2.3.4/120", "1.2.3.0/24");
        check("::/0", "::/0");
    }

    #[test]
    fn what_is_no_address_is_said_so() {
        assert_eq!(parse_target("1.2.3").unwrap_err().to_string(), "invalid ip address '1.2.3'");
        assert_eq!(
            parse_target("1.2.3.4/99").unwrap_err().to_string(),
            "invalid ip range '1.2.3.4/99': invalid CIDR address: 1.2.3.4/99"
        );
    }
}
