//! The world as tests see it: the same on every machine.
//!
//! Places come from the geographic databases; the local zone is UTC, and no name server is asked.

use crate::{config::DnsSettings, outside::World};
use engine::{
    Outside,
    outside::{Asn, City},
};
use std::{net::IpAddr, path::Path};

/// Answers the questions of tests.
pub(super) struct TestWorld {
    inner: World,
}

impl TestWorld {
    /// Opens the databases in `data`. A test that needs one that is not there will fail and say so.
    pub(super) fn open(data: &Path) -> Self {
        let mut told_by_failures = Vec::new();
        Self { inner: World::open(Some(data), DnsSettings::default(), &mut told_by_failures) }
    }
}

impl Outside for TestWorld {
    fn reverse_dns(&self, _: IpAddr) -> Option<String> {
        None
    }

    fn lookup_host(&self, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn hostname(&self) -> Option<String> {
        None
    }

    fn local_offset(&self, _: i64) -> i32 {
        0
    }

    fn zone_offset(&self, zone: &str, unix_seconds: i64) -> Option<i32> {
        match zone {
            "" | "UTC" | "Local" => Some(0),
            name => self.inner.zone_offset(name, unix_seconds),
        }
    }

    fn city(&self, ip: IpAddr) -> Option<City<'_>> {
        self.inner.city(ip)
    }

    fn asn(&self, ip: IpAddr) -> Option<Asn<'_>> {
        self.inner.asn(ip)
    }

    fn note(&self, text: &str) {
        self.inner.note(text);
    }
}
