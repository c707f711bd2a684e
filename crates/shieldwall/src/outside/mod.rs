//! The world, as the engine asks for it: names of addresses, places, time zones.
//!
//! One [`World`] serves all threads. Every answer is bounded in time, and "unknown" is always one.
//!
//! Reading order: [`geo`], [`dns`].

mod dns;

mod geo;

use crate::{clock::SystemClock, config::DnsSettings, rules::Rules, terminal};
use engine::{
    Outside,
    outside::{Asn, City},
};
use geo::Geo;
use jiff::tz::TimeZone;
use std::{net::IpAddr, net::ToSocketAddrs, path::Path};
use tracing::debug;

/// Answers by asking the system.
pub(crate) struct World {
    resolver: dns::Resolver,
    geo: Geo,
    local: TimeZone,
}

impl World {
    /// Opens what a set of rules asks for; what cannot be opened is a warning.
    pub(crate) fn for_rules(rules: &Rules, dns: DnsSettings) -> Self {
        let mut warnings = Vec::new();
        let world = Self::open(rules.data.as_deref(), dns, &mut warnings);
        if rules.wants_geo {
            warnings.iter().for_each(|warning| terminal::warn(warning));
        }
        world
    }

    /// Opens the databases in `data`; what cannot be opened is told in `warnings`.
    pub(crate) fn open(data: Option<&Path>, dns: DnsSettings, warnings: &mut Vec<String>) -> Self {
        Self {
            resolver: dns::Resolver::of_system(dns, SystemClock::start()),
            geo: Geo::open(data, warnings),
            local: TimeZone::system(),
        }
    }
}

impl Outside for World {
    fn reverse_dns(&self, ip: IpAddr) -> Option<String> {
        self.resolver.reverse(ip)
    }

    fn lookup_host(&self, name: &str) -> Vec<String> {
        // The system's own resolver bounds the time this takes.
        let addresses = (name, 0).to_socket_addrs();
        let mut found: Vec<String> =
            addresses.into_iter().flatten().map(|address| address.ip().to_string()).collect();
        found.dedup();
        found
    }

    fn hostname(&self) -> Option<String> {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
        Some(name.trim_end().to_owned()).filter(|name| !name.is_empty())
    }

    fn local_offset(&self, unix_seconds: i64) -> i32 {
        offset(&self.local, unix_seconds)
    }

    fn zone_offset(&self, zone: &str, unix_seconds: i64) -> Option<i32> {
        match zone {
            "" | "UTC" => Some(0),
            "Local" => Some(self.local_offset(unix_seconds)),
            // The names of zones are paths to whoever looks them up; the look-up itself refuses
            // what is none.
            name => Some(offset(&TimeZone::get(name).ok()?, unix_seconds)),
        }
    }

    fn city(&self, ip: IpAddr) -> Option<City<'_>> {
        self.geo.city(ip)
    }

    fn asn(&self, ip: IpAddr) -> Option<Asn<'_>> {
        self.geo.asn(ip)
    }

    fn note(&self, text: &str) {
        debug!(text = %terminal::quoted(text), "a rule says");
    }
}

fn offset(zone: &TimeZone, unix_seconds: i64) -> i32 {
    jiff::Timestamp::from_second(unix_seconds).map_or(0, |at| zone.to_offset(at).seconds())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_offsets_and_unknown_ones_have_none() {
        let world = World::open(None, DnsSettings::default(), &mut Vec::new());
        assert_eq!(world.zone_offset("UTC", 0), Some(0));
        assert_eq!(world.zone_offset("Nowhere/City", 0), None);
        assert_eq!(world.zone_offset("../../etc/passwd", 0), None);
        let summer = 1_720_000_000;
        assert_eq!(world.zone_offset("Europe/Paris", summer), Some(7200));
        assert_eq!(world.zone_offset("Europe/Paris", i64::MAX), Some(0));
    }
}
