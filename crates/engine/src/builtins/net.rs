//! Addresses and prefixes in text form.
//!
//! COMPAT(crowdsec): an IPv4 address mapped into IPv6 (`::ffff:192.0.2.1`) counts as the IPv4
//! address everywhere in here (spec 6.7). Whitelists of parsers do not work that way.

use alloc::{format, string::String};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Reads an address; a mapped one becomes IPv4. Zones (`%eth0`) are not part of addresses.
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Returns whether the text is an address.
pub fn is_ip(text: &str) -> bool {
    parse_ip(text).is_some()
}

/// Returns whether the text is an IPv4 address.
pub fn is_ipv4(text: &str) -> bool {
    matches!(parse_ip(text), Some(IpAddr::V4(_)))
}

/// Returns whether the text is an IPv6 address.
pub fn is_ipv6(text: &str) -> bool {
    matches!(parse_ip(text), Some(IpAddr::V6(_)))
}

/// Returns whether an address lies in a prefix such as `192.0.2.0/24`. False if either is not valid.
pub fn ip_in_range(address: &str, range: &str) -> bool {
    let (Some(address), Some((network, length))) = (parse_ip(address), parse_range(range)) else {
        return false;
    };
    mask(address, length) == network && address.is_ipv4() == network.is_ipv4()
}

/// Returns the prefix of a length (`64` or `/64`) that an address lies in, or nothing if either is
/// not valid.
pub fn ip_to_range(address: &str, length: &str) -> String {
    let length = length.strip_prefix('/').unwrap_or(length);
    let (Some(address), Some(length)) = (parse_ip(address), decimal(length)) else {
        return String::new();
    };
    if length > width(address) {
        return String::new();
    }
    format!("{}/{length}", mask(address, length))
}

/// Reads a prefix and clears the bits behind it.
fn parse_range(range: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = range.split_once('/')?;
    let address = address.parse::<IpAddr>().ok()?;
    let length = decimal(length).filter(|length| *length <= width(address))?;
    let network = mask(address, length);
    // `::ffff:192.0.2.0/120` is 192.0.2.0/24 in disguise.
    match (network.to_canonical(), length.checked_sub(96)) {
        (IpAddr::V4(inner), Some(length)) if network.is_ipv6() => Some((inner.into(), length)),
        _ => Some((network, length)),
    }
}

fn mask(address: IpAddr, length: u32) -> IpAddr {
    // Shifting by the whole width is what `checked_shl` refuses; nothing is left then.
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(length)).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(length)).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Reads a number that has no sign.
fn decimal(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_hold_addresses() {
        for (address, range, expect) in [
            ("192.0.2.7", "192.0.2.0/24", true),
            ("192.0.3.7", "192.0.2.0/24", false),
            ("192.0.2.7", "192.0.2.99/24", true),
            ("192.0.2.7", "0.0.0.0/0", true),
            ("192.0.2.7", "192.0.2.7/32", true),
            ("2001:db8::1", "2001:db8::/32", true),
            ("2001:db8::1", "::/0", true),
            ("192.0.2.7", "::/0", false),
            ("::ffff:192.0.2.7", "192.0.2.0/24", true),
            ("192.0.2.7", "::ffff:192.0.2.0/120", true),
            ("2001:db8::1", "0.0.0.0/0", false),
            ("x", "192.0.2.0/24", false),
            ("192.0.2.7", "192.0.2.0", false),
            ("192.0.2.7", "192.0.2.0/33", false),
            ("192.0.2.7", "192.0.2.0/+24", false),
            ("192.0.2.7", "192.0.2.0/", false),
            ("fe80::1%eth0", "fe80::/10", false),
        ] {
            assert_eq!(ip_in_range(address, range), expect, "{address} {range}");
        }
    }

    #[test]
    fn addresses_have_ranges() {
        for (address, length, expect) in [
            ("2001:db8:85a3::8a2e:370:7334", "/64", "2001:db8:85a3::/64"),
            ("2001:db8:85a3::8a2e:370:7334", "64", "2001:db8:85a3::/64"),
            ("192.0.2.7", "24", "192.0.2.0/24"),
            ("192.0.2.7", "0", "0.0.0.0/0"),
            ("192.0.2.7", "33", ""),
            ("192.0.2.7", "-1", ""),
            ("192.0.2.7", "", ""),
            ("x", "24", ""),
        ] {
            assert_eq!(ip_to_range(address, length), expect, "{address} {length}");
        }
    }

    #[test]
    fn families_are_told_apart() {
        assert!(is_ipv4("192.0.2.1") && !is_ipv6("192.0.2.1") && is_ip("192.0.2.1"));
        assert!(is_ipv4("::ffff:192.0.2.1") && !is_ipv6("::ffff:192.0.2.1"));
        assert!(is_ipv6("2001:db8::1") && !is_ipv4("2001:db8::1"));
        assert!(!is_ip("192.0.2.01") && !is_ip("192.0.2") && !is_ip(""));
    }

    proptest! {
        #[test]
        fn an_address_is_in_its_range(bits: u128, length in 0_u32..=128) {
            let address = format!("{}", Ipv6Addr::from_bits(bits));
            let range = ip_to_range(&address, &format!("{length}"));
            prop_assert!(range.is_empty() || ip_in_range(&address, &range), "{address} {range}");
        }

        #[test]
        fn never_panics(address: String, range in "\\PC{0,9}/?[-0-9]{0,4}") {
            drop((ip_in_range(&address, &range), ip_to_range(&address, &range)));
        }
    }
}
