//! Where addresses are: the city and AS databases in MaxMind's format.
//!
//! Whole files are kept in memory and answers borrow from them. Each database may be missing: then
//! its enrichers do nothing, and a warning says so once.

use engine::outside::{Asn, City};
use ipnet::IpNet;
use maxminddb::Reader;
use serde::Deserialize;
use std::{net::IpAddr, path::Path};

/// The file of places.
const CITY: &str = "GeoLite2-City.mmdb";
/// The file of autonomous systems.
const ASN: &str = "GeoLite2-ASN.mmdb";

/// Both databases.
#[derive(Default)]
pub(super) struct Geo {
    city: Option<Reader<Vec<u8>>>,
    asn: Option<Reader<Vec<u8>>>,
}

impl Geo {
    /// Opens the databases in `data`.
    pub(super) fn open(data: Option<&Path>, warnings: &mut Vec<String>) -> Self {
        let Some(data) = data else {
            warnings.push("no data directory: alerts will not tell countries and networks".into());
            return Self::default();
        };
        let mut open = |name: &str, lost: &str| {
            let path = data.join(name);
            let opened = Reader::open_readfile(&path);
            opened
                .map_err(|error| {
                    warnings.push(format!("{}: {error}; {lost}", path.display()));
                })
                .ok()
        };
        Self {
            city: open(CITY, "alerts will not tell countries"),
            asn: open(ASN, "alerts will not tell networks"),
        }
    }

    /// The place of an address. hot: enrichment of every line
    pub(super) fn city(&self, ip: IpAddr) -> Option<City<'_>> {
        let found = self.city.as_ref()?.lookup(ip).ok();
        let record = found.and_then(|found| found.decode::<CityRecord<'_>>().ok().flatten());
        let Some(record) = record else { return Some(City::default()) };
        let countries = [record.country, record.registered_country, record.represented_country];
        let country = countries.into_iter().find(|country| !country.iso_code.is_empty());
        let country = country.unwrap_or_default();
        Some(City {
            iso_code: country.iso_code,
            is_in_eu: country.is_in_european_union,
            latitude: record.location.latitude,
            longitude: record.location.longitude,
        })
    }

    /// The autonomous system of an address. hot: enrichment of every line
    pub(super) fn asn(&self, ip: IpAddr) -> Option<Asn<'_>> {
        let found = self.asn.as_ref()?.lookup(ip).ok().filter(maxminddb::LookupResult::has_data);
        let Some(found) = found else { return Some(Asn::default()) };
        let record = found.decode::<AsnRecord<'_>>().ok().flatten().unwrap_or_default();
        let network = found.network().ok();
        Some(Asn {
            number: record.autonomous_system_number,
            org: record.autonomous_system_organization,
            network: network.and_then(|it| IpNet::new(it.network(), it.prefix()).ok()),
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CityRecord<'a> {
    #[serde(borrow)]
    country: Country<'a>,
    registered_country: Country<'a>,
    represented_country: Country<'a>,
    location: Location,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Country<'a> {
    iso_code: &'a str,
    is_in_european_union: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Location {
    latitude: f64,
    longitude: f64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AsnRecord<'a> {
    autonomous_system_number: u32,
    autonomous_system_organization: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_networks_are_found() {
        let dir = tempfile::tempdir().unwrap();
        testkit::geo::write(dir.path()).unwrap();
        let mut warnings = Vec::new();
        let geo = Geo::open(Some(dir.path()), &mut warnings);
        assert!(warnings.is_empty());
        let city = geo.city("1.2.3.4".parse().unwrap()).unwrap();
        assert_eq!((city.iso_code, city.is_in_eu, city.latitude), ("FR", true, 46.0));
        let asn = geo.asn("1.2.3.4".parse().unwrap()).unwrap();
        assert_eq!((asn.number, asn.org), (4242, "Crowdsec"));
        assert_eq!(asn.network, "1.2.3.0/24".parse().ok());
        let unknown: IpAddr = "203.0.113.250".parse().unwrap();
        assert_eq!(geo.city(unknown).unwrap().iso_code, "");
        assert_eq!(geo.asn(unknown).unwrap().network, None);
    }

    #[test]
    fn missing_databases_are_a_warning_each() {
        let dir = tempfile::tempdir().unwrap();
        let mut warnings = Vec::new();
        let geo = Geo::open(Some(dir.path()), &mut warnings);
        assert_eq!(warnings.len(), 2);
        assert!(geo.city("1.2.3.4".parse().unwrap()).is_none());
    }
}
