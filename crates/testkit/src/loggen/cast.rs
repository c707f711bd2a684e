//! Who takes part: addresses and names.
//!
//! Most attackers sit in networks the geographic databases know, some come over IPv6, some from
//! behind a content-delivery network that the hub's post-overflow whitelist spares, some from
//! private space that its parser whitelist spares.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::rng::Rng;

/// Accounts that attackers try.
pub(super) const TRIED: [&str; 16] = [
    "root",
    "admin",
    "test",
    "oracle",
    "postgres",
    "ubuntu",
    "git",
    "deploy",
    "user",
    "guest",
    "ftpuser",
    "minecraft",
    "hadoop",
    "pi",
    "backup",
    "support",
];
/// Accounts that exist.
pub(super) const STAFF: [&str; 8] =
    ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"];

/// The address of an attacker.
pub(super) fn attacker(rng: &mut Rng, only_v4: bool) -> String {
    match rng.below(20) {
        0..=4 => v4(rng, [198, 51, 100]),
        5..=8 => v4(rng, [203, 0, 113]),
        9..=10 => v4(rng, [1, 2, 3]),
        11 => v4(rng, [2, 2, 2]),
        12..=13 if !only_v4 => v6(rng),
        14 => v4(rng, [104, 16, 7]),
        15 => v4(rng, [192, 168, 7]),
        _ => anywhere(rng),
    }
}

/// The address of somebody who means no harm.
pub(super) fn innocent(rng: &mut Rng, only_v4: bool) -> String {
    match rng.below(10) {
        0..=3 => v4(rng, [192, 0, 2]),
        4 if !only_v4 => v6(rng),
        5 => v4(rng, [10, 4, 9]),
        _ => anywhere(rng),
    }
}

/// A user name an attacker tries: mostly from a list, else made up.
pub(super) fn tried_name(rng: &mut Rng) -> String {
    if rng.chance(70) {
        return (*rng.pick(&TRIED)).to_owned();
    }
    format!("{}{}", rng.pick(&TRIED), rng.below(1000))
}

/// An ephemeral port.
pub(super) fn port(rng: &mut Rng) -> u64 {
    rng.between(32_768, 60_999)
}

fn v4(rng: &mut Rng, network: [u8; 3]) -> String {
    let last = u8::try_from(rng.between(1, 254)).unwrap_or(1);
    IpAddr::V4(Ipv4Addr::new(network[0], network[1], network[2], last)).to_string()
}

/// An address outside private, loopback and documentation space, known to no database.
fn anywhere(rng: &mut Rng) -> String {
    let byte = |rng: &mut Rng, low, high| u8::try_from(rng.between(low, high)).unwrap_or(1);
    let first = byte(rng, 61, 99);
    Ipv4Addr::new(first, byte(rng, 0, 255), byte(rng, 0, 255), byte(rng, 1, 254)).to_string()
}

fn v6(rng: &mut Rng) -> String {
    let group = |rng: &mut Rng| u16::try_from(rng.between(1, 0xffff)).unwrap_or(1);
    let address = Ipv6Addr::new(0x2001, 0xdb8, 0, group(rng) & 0xf, 0, 0, 0, group(rng));
    IpAddr::V6(address).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_parse_and_keep_to_their_family() {
        let mut rng = Rng::new(3);
        for _ in 0..500 {
            for text in [attacker(&mut rng, true), innocent(&mut rng, true)] {
                assert!(text.parse::<Ipv4Addr>().is_ok(), "{text}");
            }
            for text in [attacker(&mut rng, false), innocent(&mut rng, false)] {
                assert!(text.parse::<IpAddr>().is_ok(), "{text}");
            }
        }
    }
}
