//! Where addresses are: the city and AS databases in MaxMind's format.
//!
//! Whole files are kept in memory. Finding the record of an address is a walk of a few dozen steps;
//! decoding it costs several times as much, and few records are behind most addresses, so decoded
//! ones are kept. Each database may be missing: then its enrichers do nothing, and a warning says
//! so once.

use engine::outside::{Asn, City};
use ipnet::IpNet;
use maxminddb::{LookupResult, Reader};
use serde::Deserialize;
use std::{net::IpAddr, path::Path, sync::OnceLock};

/// The file of places.
const CITY: &str = "GeoLite2-City.mmdb";
/// The file of autonomous systems.
const ASN: &str = "GeoLite2-ASN.mmdb";

/// Decoded records kept. A slot keeps the record that came first, so reading needs no lock and
/// answers can borrow; a record that finds its slot taken is decoded each time.
const N_KNOWN: usize = 1 << KNOWN_BITS;
const KNOWN_BITS: u32 = 13;

/// Both databases.
#[derive(Default)]
pub(super) struct Geo {
    city: Option<Database<Place>>,
    asn: Option<Database<Network>>,
}

impl Geo {
    /// Opens the databases in `data`.
    pub(super) fn open(data: Option<&Path>, warnings: &mut Vec<String>) -> Self {
        let Some(data) = data else {
            warnings.push("no data directory: alerts will not tell countries and networks".into());
            return Self::default();
        };
        Self {
            city: Database::open(&data.join(CITY), "alerts will not tell countries", warnings),
            asn: Database::open(&data.join(ASN), "alerts will not tell networks", warnings),
        }
    }

    /// The place of an address. hot: enrichment of every line
    pub(super) fn city(&self, ip: IpAddr) -> Option<City<'_>> {
        let database = self.city.as_ref()?;
        let Some(found) = database.lookup(ip) else { return Some(City::default()) };
        if let Some(place) = database.known(&found, Place::decode) {
            return Some(City {
                iso_code: &place.iso_code,
                is_in_eu: place.is_in_eu,
                latitude: place.latitude,
                longitude: place.longitude,
            });
        }
        let record = decode::<CityRecord<'_>>(&found);
        let country = record.country();
        Some(City {
            iso_code: country.iso_code,
            is_in_eu: country.is_in_european_union,
            latitude: record.location.latitude,
            longitude: record.location.longitude,
        })
    }

    /// The autonomous system of an address. hot: enrichment of every line
    pub(super) fn asn(&self, ip: IpAddr) -> Option<Asn<'_>> {
        let database = self.asn.as_ref()?;
        let Some(found) = database.lookup(ip) else { return Some(Asn::default()) };
        let (number, org) = match database.known(&found, Network::decode) {
            Some(network) => (network.number, &*network.org),
            None => {
                let record = decode::<AsnRecord<'_>>(&found);
                (record.autonomous_system_number, record.autonomous_system_organization)
            }
        };
        let network = found.network().ok();
        let network = network.and_then(|it| IpNet::new(it.network(), it.prefix()).ok());
        Some(Asn { number, org, network })
    }
}

/// A file, and the records of it that were met.
struct Database<T> {
    reader: Reader<Vec<u8>>,
    /// By a hash of the record's offset, which stands beside it.
    known: Box<[OnceLock<(usize, T)>]>,
}

impl<T> Database<T> {
    fn open(path: &Path, lost: &str, warnings: &mut Vec<String>) -> Option<Self> {
        match Reader::open_readfile(path) {
            Ok(reader) => {
                let known = (0..N_KNOWN).map(|_| OnceLock::new()).collect();
                Some(Self { reader, known })
            }
            Err(error) => {
                warnings.push(format!("{}: {error}; {lost}", path.display()));
                None
            }
        }
    }

    /// The record of an address; `None` when there is none, or the address is of a kind that the
    /// database does not know.
    fn lookup(&self, ip: IpAddr) -> Option<LookupResult<'_, Vec<u8>>> {
        self.reader.lookup(ip).ok().filter(LookupResult::has_data)
    }

    /// The record decoded earlier or now, unless its slot is taken.
    fn known<'s>(
        &'s self,
        found: &LookupResult<'s, Vec<u8>>,
        decode: fn(&LookupResult<'s, Vec<u8>>) -> T,
    ) -> Option<&'s T> {
        let offset = found.offset()?;
        // Offsets are close to multiples of small numbers; a product with a large odd one spreads
        // them, and its upper bits are the good ones.
        let spread = u64::try_from(offset).ok()?.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let hash = usize::try_from(spread >> (u64::BITS - KNOWN_BITS)).ok()?;
        let slot = self.known.get(hash)?;
        let (known, record) = slot.get_or_init(|| (offset, decode(found)));
        (*known == offset).then_some(record)
    }
}

/// A record, or an empty one where it is not what it should be.
fn decode<'a, R: Deserialize<'a> + Default>(found: &LookupResult<'a, Vec<u8>>) -> R {
    found.decode().ok().flatten().unwrap_or_default()
}

/// What is kept of a city record.
struct Place {
    iso_code: Box<str>,
    is_in_eu: bool,
    latitude: f64,
    longitude: f64,
}

impl Place {
    fn decode(found: &LookupResult<'_, Vec<u8>>) -> Self {
        let record = decode::<CityRecord<'_>>(found);
        let country = record.country();
        Self {
            iso_code: country.iso_code.into(),
            is_in_eu: country.is_in_european_union,
            latitude: record.location.latitude,
            longitude: record.location.longitude,
        }
    }
}

/// What is kept of an AS record.
struct Network {
    number: u32,
    org: Box<str>,
}

impl Network {
    fn decode(found: &LookupResult<'_, Vec<u8>>) -> Self {
        let record = decode::<AsnRecord<'_>>(found);
        Self {
            number: record.autonomous_system_number,
            org: record.autonomous_system_organization.into(),
        }
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

impl<'a> CityRecord<'a> {
    /// Where the address is, else where its owner is.
    fn country(&self) -> Country<'a> {
        [self.country, self.registered_country, self.represented_country]
            .into_iter()
            .find(|country| !country.iso_code.is_empty())
            .unwrap_or_default()
    }
}

#[derive(Clone, Copy, Default, Deserialize)]
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
        let unknown: IpAddr = "8.8.8.8".parse().unwrap();
        assert_eq!(geo.city(unknown).unwrap().iso_code, "");
        assert_eq!(geo.asn(unknown).unwrap().network, None);
    }

    #[test]
    fn kept_records_say_what_the_file_says() {
        let dir = tempfile::tempdir().unwrap();
        testkit::geo::write_dense(dir.path()).unwrap();
        let geo = Geo::open(Some(dir.path()), &mut Vec::new());
        let fresh = Geo::open(Some(dir.path()), &mut Vec::new());
        let city = fresh.city.as_ref().unwrap();
        for n in 0..20_000_u32 {
            let ip = IpAddr::from(n.wrapping_mul(0x9e37_79b9).to_be_bytes());
            let place = geo.city(ip).unwrap();
            let record = city.lookup(ip).map(|found| decode::<CityRecord<'_>>(&found));
            let record = record.unwrap_or_default();
            assert_eq!(place.iso_code, record.country().iso_code, "{ip}");
            assert_eq!(place.latitude, record.location.latitude, "{ip}");
        }
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
