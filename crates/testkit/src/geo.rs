//! The geographic databases that tests and benchmarks run on.
//!
//! `GeoLite2-City.mmdb` and `GeoLite2-ASN.mmdb` hold personal data under a license of their own,
//! so we build small ones in their shape. [`NETWORKS`] answers what the hub's tests ask (two
//! networks, an address that is in none) and gives the generator's sources countries of every
//! kind: in and out of the European Union, known by registration only, IPv6.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use crate::mmdb::{Database, RecordSize, Value};
use crate::rng::Rng;

/// The file name under which programs look for the database of places.
pub const CITY_FILE: &str = "GeoLite2-City.mmdb";
/// The file name under which programs look for the database of autonomous systems.
pub const ASN_FILE: &str = "GeoLite2-ASN.mmdb";

/// Which key of a city record names the country.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// `country`: where the address is.
    Located,
    /// `registered_country` only: where its owner registered it.
    Registered,
}

/// What the databases say about one network.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// First address.
    pub address: &'static str,
    /// Length of the prefix in bits.
    pub prefix: u32,
    /// How the country is known.
    pub known: Known,
    /// ISO code of the country.
    pub iso_code: &'static str,
    /// Whether that country is in the European Union.
    pub in_eu: bool,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Number of the autonomous system.
    pub as_number: u32,
    /// Who runs it.
    pub as_org: &'static str,
}

/// Every network of our databases. The first two are what the hub's tests expect; the others lie
/// in documentation space, with numbers reserved for documentation.
pub const NETWORKS: [Network; 6] = [
    Network {
        address: "1.2.3.0",
        prefix: 24,
        known: Known::Located,
        iso_code: "FR",
        in_eu: true,
        latitude: 46.0,
        longitude: 2.0,
        as_number: 4242,
        as_org: "Crowdsec",
    },
    Network {
        address: "2.0.0.0",
        prefix: 12,
        known: Known::Located,
        iso_code: "FR",
        in_eu: true,
        latitude: 48.8582,
        longitude: 2.3387,
        as_number: 3215,
        as_org: "Orange",
    },
    Network {
        address: "198.51.100.0",
        prefix: 24,
        known: Known::Located,
        iso_code: "US",
        in_eu: false,
        latitude: 37.751,
        longitude: -97.822,
        as_number: 64_496,
        as_org: "Example Hosting",
    },
    Network {
        address: "203.0.113.0",
        prefix: 24,
        known: Known::Registered,
        iso_code: "DE",
        in_eu: true,
        latitude: 51.2993,
        longitude: 9.491,
        as_number: 64_497,
        as_org: "Beispiel Netz",
    },
    Network {
        address: "192.0.2.0",
        prefix: 24,
        known: Known::Located,
        iso_code: "BR",
        in_eu: false,
        latitude: -22.8305,
        longitude: -43.2192,
        as_number: 64_498,
        as_org: "Exemplo Telecom",
    },
    Network {
        address: "2001:db8::",
        prefix: 32,
        known: Known::Located,
        iso_code: "JP",
        in_eu: false,
        latitude: 35.69,
        longitude: 139.69,
        as_number: 64_499,
        as_org: "Example Six",
    },
];

/// The date the files carry: fixed, so that equal contents are equal bytes.
const BUILT_AT: u64 = 1_675_209_600;

/// Writes both databases into `dir`.
///
/// # Errors
///
/// When a file cannot be written.
pub fn write(dir: &Path) -> io::Result<()> {
    fs::write(dir.join(CITY_FILE), city(&NETWORKS))?;
    fs::write(dir.join(ASN_FILE), asn(&NETWORKS))
}

/// Writes databases into `dir` in which every public IPv4 address has a record.
///
/// Benchmarks use these: in the small ones most look-ups end after a few bits, which would flatter
/// whoever is measured.
///
/// # Errors
///
/// When a file cannot be written.
pub fn write_dense(dir: &Path) -> io::Result<()> {
    let mut rng = Rng::new(0x6e0);
    let mut city_database = Database::new("GeoLite2-City");
    let mut asn_database = Database::new("GeoLite2-ASN");
    for first in 1..=223_u8 {
        for second in 0..=255_u8 {
            let template = rng.pick(&NETWORKS);
            let network = Network {
                as_number: 64_500 + u32::try_from(rng.below(2000)).unwrap_or(0),
                latitude: template.latitude + f64::from(second) / 100.0,
                ..*template
            };
            let address = IpAddr::V4(Ipv4Addr::new(first, second, 0, 0));
            city_database.insert(address, 16, &place(&network));
            asn_database.insert(address, 16, &system(&network));
            // Real databases are finer than this in places.
            let third = u8::try_from(rng.below(256)).unwrap_or(0);
            let inner = IpAddr::V4(Ipv4Addr::new(first, second, third, 0));
            city_database.insert(inner, 24, &place(template));
            asn_database.insert(inner, 24, &system(template));
        }
    }
    fs::write(dir.join(CITY_FILE), city_database.to_bytes(RecordSize::Bits28, BUILT_AT))?;
    fs::write(dir.join(ASN_FILE), asn_database.to_bytes(RecordSize::Bits24, BUILT_AT))
}

/// Builds the database of places.
#[must_use]
pub fn city(networks: &[Network]) -> Vec<u8> {
    let mut database = Database::new("GeoLite2-City");
    for network in networks {
        database.insert(address(network), network.prefix, &place(network));
    }
    database.to_bytes(RecordSize::Bits28, BUILT_AT)
}

/// Builds the database of autonomous systems.
#[must_use]
pub fn asn(networks: &[Network]) -> Vec<u8> {
    let mut database = Database::new("GeoLite2-ASN");
    for network in networks {
        database.insert(address(network), network.prefix, &system(network));
    }
    database.to_bytes(RecordSize::Bits24, BUILT_AT)
}

fn address(network: &Network) -> IpAddr {
    network.address.parse().expect("the table holds addresses, as its test shows")
}

fn place(network: &Network) -> Value {
    let mut country = vec![("iso_code", Value::text(network.iso_code))];
    // The real databases leave the flag out where it is false.
    if network.in_eu {
        country.insert(0, ("is_in_european_union", Value::Bool(true)));
    }
    let key = match network.known {
        Known::Located => "country",
        Known::Registered => "registered_country",
    };
    Value::Map(vec![
        (key, Value::Map(country)),
        (
            "location",
            Value::Map(vec![
                ("accuracy_radius", Value::Uint16(100)),
                ("latitude", Value::Double(network.latitude)),
                ("longitude", Value::Double(network.longitude)),
            ]),
        ),
    ])
}

fn system(network: &Network) -> Value {
    Value::Map(vec![
        ("autonomous_system_number", Value::Uint32(network.as_number)),
        ("autonomous_system_organization", Value::text(network.as_org)),
    ])
}

#[cfg(test)]
mod tests {
    use maxminddb::{Reader, geoip2};

    use super::*;

    #[test]
    fn every_network_reads_back() {
        let (city, asn) = (city(&NETWORKS), asn(&NETWORKS));
        let city = Reader::from_source(&city[..]).expect("a readable database");
        let asn = Reader::from_source(&asn[..]).expect("a readable database");
        for network in &NETWORKS {
            let address = address(network);
            let place: geoip2::City<'_> =
                city.lookup(address).expect("a look-up").decode().expect("a record").expect("it");
            let country = match network.known {
                Known::Located => place.country,
                Known::Registered => place.registered_country,
            };
            assert_eq!(country.iso_code, Some(network.iso_code));
            assert_eq!(country.is_in_european_union.unwrap_or(false), network.in_eu);
            assert_eq!(place.location.latitude, Some(network.latitude));
            assert_eq!(place.location.longitude, Some(network.longitude));
            let found = asn.lookup(address).expect("a look-up");
            let expected = format!("{}/{}", network.address, network.prefix);
            assert_eq!(found.network().expect("a network").to_string(), expected);
            let system: geoip2::Asn<'_> = found.decode().expect("a record").expect("it");
            assert_eq!(system.autonomous_system_number, Some(network.as_number));
            assert_eq!(system.autonomous_system_organization, Some(network.as_org));
        }
        let loopback = "127.0.0.1".parse().expect("an address");
        assert!(!city.lookup(loopback).expect("a look-up").has_data());
    }
}
