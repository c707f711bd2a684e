//! What only the world knows, asked for while a line is processed.
//!
//! The engine stays pure: an edge answers, and in tests a table does. Answers may take time (a DNS
//! query does), so an edge bounds them; every question has an answer that means "unknown".

use crate::profile::{History, NoHistory};
use alloc::{string::String, vec::Vec};
use core::net::IpAddr;

/// Answers questions about the world.
pub trait Outside: Send + Sync {
    /// The first PTR name of an address, with its trailing dot; `None` when there is none or nobody
    /// answered in time.
    fn reverse_dns(&self, ip: IpAddr) -> Option<String>;

    /// The addresses of a host name; empty when unknown.
    fn lookup_host(&self, name: &str) -> Vec<String>;

    /// The name of this host.
    fn hostname(&self) -> Option<String>;

    /// Seconds east of UTC of the local zone at an instant given in Unix seconds. Unix timestamps
    /// in logs are printed in it (spec §3.5).
    fn local_offset(&self, unix_seconds: i64) -> i32;

    /// Seconds east of UTC of a named zone (`Europe/Paris`) at an instant; `None` for unknown names.
    fn zone_offset(&self, zone: &str, unix_seconds: i64) -> Option<i32>;

    /// The city database's record of an address; `None` without a database.
    fn city(&self, ip: IpAddr) -> Option<City<'_>>;

    /// The AS database's record of an address; `None` without a database.
    fn asn(&self, ip: IpAddr) -> Option<Asn<'_>>;

    /// Told about what a rule wants to tell: `LogInfo`, and errors inside expressions.
    fn note(&self, text: &str);

    /// Earlier decisions. Only where profiles are evaluated are there any.
    fn history(&self) -> &dyn History {
        &NoHistory
    }
}

impl core::fmt::Debug for dyn Outside {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Outside")
    }
}

/// A record of the city database. All empty for an address it does not know.
#[derive(Clone, Debug, Default)]
pub struct City<'a> {
    /// ISO 3166 code of the first of country, registered country, represented country that has one.
    pub iso_code: &'a str,
    /// Whether that country is in the European Union.
    pub is_in_eu: bool,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

/// A record of the AS database.
#[derive(Clone, Debug, Default)]
pub struct Asn<'a> {
    /// The number, 0 when unknown.
    pub number: u32,
    /// The organization, empty when unknown.
    pub org: &'a str,
    /// The network of the record; `None` when the address is not in the database.
    pub network: Option<ipnet::IpNet>,
}

/// A world that knows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoOutside;

impl Outside for NoOutside {
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

    fn zone_offset(&self, zone: &str, _: i64) -> Option<i32> {
        matches!(zone, "UTC" | "Local" | "").then_some(0)
    }

    fn city(&self, _: IpAddr) -> Option<City<'_>> {
        None
    }

    fn asn(&self, _: IpAddr) -> Option<Asn<'_>> {
        None
    }

    fn note(&self, _: &str) {}
}
