//! Enrichers: what `method:` statics add to `evt.Enriched` (spec §3).

use crate::builtins::layout::GoLayout;
use crate::builtins::parse_date::parse_date_into;
use crate::builtins::time::DateTime;
use crate::eval::Cx;
use crate::outside::{Asn, City};
use crate::pool::known;
use crate::program::Enricher;
use crate::value::Text;
use alloc::{boxed::Box, format, vec::Vec};
use core::net::{IpAddr, Ipv4Addr};
use model::{Time, TimeMode};

/// Runs an enricher on a text. Nothing an enricher meets is an error for the line.
pub(crate) fn run(enricher: Enricher, input: &Text, cx: &mut Cx<'_>) {
    match enricher {
        Enricher::ParseDate => parse_date(input, cx),
        Enricher::UnmarshalJson => unmarshal_json(cx),
        Enricher::GeoIpCity | Enricher::GeoIpAsn | Enricher::IpToRange | Enricher::ReverseDns => {
            let Ok(ip) = cx.str(input).parse::<IpAddr>() else { return };
            match enricher {
                Enricher::GeoIpCity => city(ip, cx),
                Enricher::GeoIpAsn => asn(ip, cx),
                Enricher::IpToRange => range(ip, cx),
                Enricher::ReverseDns | Enricher::ParseDate | Enricher::UnmarshalJson => {
                    if let Some(name) = cx.outside.reverse_dns(ip) {
                        cx.event.set_text(known::REVERSE_DNS, &name);
                    }
                }
            }
        }
    }
}

/// Sets `Enriched.MarshaledTime`, and in a replay the event's own time (spec §3.5).
fn parse_date(input: &Text, cx: &mut Cx<'_>) {
    let offset = cx.outside.local_offset(cx.now.unix().0);
    let now = DateTime::from(Time { at: cx.now, offset });
    let layout = cx
        .event
        .get(known::STR_TIME_FORMAT, cx.pool)
        .filter(|layout| !layout.is_empty())
        .map(GoLayout::compile);
    // The text is a piece of the arena that the result is appended to.
    let mut marshaled = core::mem::take(&mut cx.scratch.date);
    marshaled.clear();
    let date = parse_date_into(cx.str(input), layout.as_ref(), now, &mut marshaled);
    cx.event.set_text(known::ENRICHED_TIME, &marshaled);
    cx.scratch.date = marshaled;
    if cx.event.time_mode == TimeMode::Event
        && let Some(date) = date
    {
        cx.event.time = date.into();
    }
}

fn unmarshal_json(cx: &mut Cx<'_>) {
    let raw = cx.event.get(known::LINE_RAW, cx.pool).unwrap_or("");
    match crate::eval::parse_json(raw) {
        Ok(crate::value::Value::Map(map)) => {
            let map = alloc::sync::Arc::unwrap_or_clone(map);
            cx.event.unmarshaled.entries.extend(map.entries);
        }
        Ok(_) => cx.outside.note("UnmarshalJSON: the line is not a JSON object"),
        Err(error) => cx.outside.note(&error),
    }
}

fn city(ip: IpAddr, cx: &mut Cx<'_>) {
    let outside = cx.outside;
    let place = cx.scratch.geo.place(ip);
    let Some(city) = place.city.get_or_insert_with(|| outside.city(ip).as_ref().map(CityTexts::of))
    else {
        return;
    };
    cx.event.set_text(known::ISO_CODE, &city.iso_code);
    cx.event.set_text(known::IS_IN_EU, if city.is_in_eu { "true" } else { "false" });
    cx.event.set_text(known::LATITUDE, &city.latitude);
    cx.event.set_text(known::LONGITUDE, &city.longitude);
}

fn asn(ip: IpAddr, cx: &mut Cx<'_>) {
    let outside = cx.outside;
    let place = cx.scratch.geo.place(ip);
    let Some(asn) = place.asn.get_or_insert_with(|| outside.asn(ip).as_ref().map(AsnTexts::of))
    else {
        return;
    };
    cx.event.set_text(known::AS_NUMBER, &asn.number);
    if let Some(number) = cx.event.text(known::AS_NUMBER) {
        cx.event.set(known::ASN_NUMBER, false, &number);
    }
    cx.event.set_text(known::AS_ORG, &asn.org);
}

fn range(ip: IpAddr, cx: &mut Cx<'_>) {
    let outside = cx.outside;
    let place = cx.scratch.geo.place(ip);
    let asn = place.asn.get_or_insert_with(|| outside.asn(ip).as_ref().map(AsnTexts::of));
    if let Some(network) = asn.as_ref().and_then(|asn| asn.network.as_deref()) {
        cx.event.set_text(known::SOURCE_RANGE, network);
    }
}

/// Addresses whose records are remembered. Attackers and visitors come with many lines at a time, so
/// a few are enough to look most of them up once.
const MAX_PLACES: usize = 1024;

/// What the databases said about addresses lately, as texts: each address has one place to be.
#[derive(Debug, Default)]
pub(crate) struct GeoCache {
    places: Vec<Place>,
}

/// What is known of one address. The inner `None`: there is no database.
#[derive(Clone, Debug)]
#[expect(clippy::option_option, reason = "not asked yet and no database are different")]
struct Place {
    ip: IpAddr,
    city: Option<Option<CityTexts>>,
    asn: Option<Option<AsnTexts>>,
}

#[derive(Clone, Debug)]
struct CityTexts {
    iso_code: Box<str>,
    is_in_eu: bool,
    latitude: Box<str>,
    longitude: Box<str>,
}

#[derive(Clone, Debug)]
struct AsnTexts {
    number: Box<str>,
    org: Box<str>,
    network: Option<Box<str>>,
}

impl GeoCache {
    fn place(&mut self, ip: IpAddr) -> &mut Place {
        if self.places.is_empty() {
            let nobody = Place { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), city: None, asn: None };
            self.places = alloc::vec![nobody; MAX_PLACES];
        }
        let bits = match ip {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            IpAddr::V6(ip) => (ip.to_bits() ^ (ip.to_bits() >> 64)) as u64,
        };
        let index = (bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % MAX_PLACES;
        let place = &mut self.places[index];
        if place.ip != ip {
            *place = Place { ip, city: None, asn: None };
        }
        place
    }
}

impl CityTexts {
    fn of(city: &City<'_>) -> Self {
        Self {
            iso_code: city.iso_code.into(),
            is_in_eu: city.is_in_eu,
            latitude: format!("{:.6}", city.latitude).into(),
            longitude: format!("{:.6}", city.longitude).into(),
        }
    }
}

impl AsnTexts {
    fn of(asn: &Asn<'_>) -> Self {
        Self {
            number: format!("{}", asn.number).into(),
            org: asn.org.into(),
            network: asn.network.map(|network| format!("{network}").into()),
        }
    }
}
