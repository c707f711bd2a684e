//! A world that answers from a table.
//!
//! One line per answer:
//!
//! ```text
//! 192.0.2.0/24 country=FR eu lat=48.85 lon=2.35 as=64496 org=Example_Net
//! 192.0.2.7 ptr=host.example.
//! host.example. address=192.0.2.7
//! here hostname=guard offset=3600
//! ```
//!
//! The longest network that holds an address answers for it; blanks in names are written `_`.

use engine::{
    Outside,
    outside::{Asn, City},
};
use ipnet::IpNet;
use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

/// What the world answers.
#[derive(Debug, Default)]
pub struct World {
    networks: Vec<Network>,
    names: Vec<(IpAddr, String)>,
    hosts: Vec<(String, String)>,
    hostname: Option<String>,
    offset: i32,
    notes: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct Network {
    network: IpNet,
    country: String,
    is_in_eu: bool,
    latitude: f64,
    longitude: f64,
    number: u32,
    org: String,
}

impl World {
    /// Reads a table.
    ///
    /// # Errors
    /// The line that is no answer.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut world = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            world.answer(line).ok_or_else(|| format!("`{line}` is no answer of the world"))?;
        }
        world.networks.sort_by_key(|network| std::cmp::Reverse(network.network.prefix_len()));
        Ok(world)
    }

    fn answer(&mut self, line: &str) -> Option<()> {
        let (who, rest) = line.split_once(' ')?;
        let option = |key: &str| {
            let value = rest.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
            value.map(|value| value.replace('_', " "))
        };
        if who == "here" {
            self.hostname = option("hostname");
            self.offset = option("offset").map_or(Some(0), |offset| offset.parse().ok())?;
            return Some(());
        }
        if let Some(address) = option("address") {
            self.hosts.push((who.to_owned(), address));
            return Some(());
        }
        if let Some(name) = option("ptr") {
            self.names.push((who.parse().ok()?, name));
            return Some(());
        }
        let degrees = |key| option(key).map_or(Some(0.0), |degrees| degrees.parse().ok());
        self.networks.push(Network {
            network: who.parse().ok()?,
            country: option("country").unwrap_or_default(),
            is_in_eu: rest.split(' ').any(|word| word == "eu"),
            latitude: degrees("lat")?,
            longitude: degrees("lon")?,
            number: option("as").map_or(Some(0), |number| number.parse().ok())?,
            org: option("org").unwrap_or_default(),
        });
        Some(())
    }

    /// What rules told the world so far, one line each.
    #[must_use]
    pub fn notes(&self) -> String {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.iter().map(|note| format!("{note}\n")).collect()
    }

    fn network(&self, ip: IpAddr) -> Option<&Network> {
        self.networks.iter().find(|network| network.network.contains(&ip))
    }
}

impl Outside for World {
    fn reverse_dns(&self, ip: IpAddr) -> Option<String> {
        self.names.iter().find(|(of, _)| *of == ip).map(|(_, name)| name.clone())
    }

    fn lookup_host(&self, name: &str) -> Vec<String> {
        let found = self.hosts.iter().filter(|(of, _)| of == name);
        found.map(|(_, address)| address.clone()).collect()
    }

    fn hostname(&self) -> Option<String> {
        self.hostname.clone()
    }

    fn local_offset(&self, _: i64) -> i32 {
        self.offset
    }

    fn zone_offset(&self, zone: &str, _: i64) -> Option<i32> {
        match zone {
            "UTC" => Some(0),
            "Local" => Some(self.offset),
            _ => None,
        }
    }

    fn city(&self, ip: IpAddr) -> Option<City<'_>> {
        // Without any network there is no database; an address it does not know has an empty record.
        (!self.networks.is_empty()).then(|| {
            self.network(ip).map_or_else(City::default, |found| City {
                iso_code: &found.country,
                is_in_eu: found.is_in_eu,
                latitude: found.latitude,
                longitude: found.longitude,
            })
        })
    }

    fn asn(&self, ip: IpAddr) -> Option<Asn<'_>> {
        (!self.networks.is_empty()).then(|| {
            self.network(ip).map_or_else(Asn::default, |found| Asn {
                number: found.number,
                org: &found.org,
                network: Some(found.network),
            })
        })
    }

    fn note(&self, text: &str) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
    }
}
