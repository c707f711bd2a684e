//! Enrichers: what `method:` statics add to `evt.Enriched` (spec §3).

use crate::builtins::layout::GoLayout;
use crate::builtins::parse_date::parse_date_into;
use crate::builtins::time::DateTime;
use crate::eval::Cx;
use crate::event::Event;
use crate::outside::{Asn, City};
use crate::pool::{FieldId, known};
use crate::program::Enricher;
use crate::value::Text;
use alloc::{string::String, vec::Vec};
use core::fmt::Write as _;
use core::net::{IpAddr, Ipv4Addr};
use model::{Time, TimeMode};

/// Runs an enricher on a text. Nothing an enricher meets is an error for the line.
pub(crate) fn run(enricher: Enricher, input: &Text, cx: &mut Cx<'_>) {
    match enricher {
        Enricher::ParseDate => parse_date(input, cx),
        Enricher::UnmarshalJson => unmarshal_json(cx),
        Enricher::GeoIpCity | Enricher::GeoIpAsn | Enricher::IpToRange | Enricher::ReverseDns => {
            let text = input.get(cx.event, cx.pool);
            let Some(ip) = cx.scratch.geo.address(text) else { return };
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

/// The fields that tell where an address is, in the order of [`city_texts`].
const CITY: [FieldId; 4] = [known::ISO_CODE, known::IS_IN_EU, known::LATITUDE, known::LONGITUDE];

/// The fields that tell whose an address is, in the order of [`asn_texts`].
const ASN: [FieldId; 2] = [known::AS_NUMBER, known::AS_ORG];

fn city(ip: IpAddr, cx: &mut Cx<'_>) {
    let outside = cx.outside;
    let ask = |texts: &mut Texts| outside.city(ip).map(|city| city_texts(&city, texts)).is_some();
    if let Some(texts) = cx.scratch.geo.place(ip).city.answer(ask) {
        texts.set(&CITY, cx.event);
    }
}

fn asn(ip: IpAddr, cx: &mut Cx<'_>) {
    let outside = cx.outside;
    let ask = |texts: &mut Texts| outside.asn(ip).map(|asn| asn_texts(&asn, texts)).is_some();
    if let Some(texts) = cx.scratch.geo.place(ip).asn.answer(ask) {
        texts.set(&ASN, cx.event);
        if let Some(number) = cx.event.text(known::AS_NUMBER) {
            cx.event.set(known::ASN_NUMBER, false, &number);
        }
    }
}

fn range(ip: IpAddr, cx: &mut Cx<'_>) {
    let outside = cx.outside;
    let ask = |texts: &mut Texts| outside.asn(ip).map(|asn| asn_texts(&asn, texts)).is_some();
    let network = cx.scratch.geo.place(ip).asn.answer(ask).map_or("", |texts| texts.nth(2));
    if !network.is_empty() {
        cx.event.set_text(known::SOURCE_RANGE, network);
    }
}

fn city_texts(city: &City<'_>, texts: &mut Texts) {
    texts.push(|text| text.push_str(city.iso_code));
    texts.push(|text| text.push_str(if city.is_in_eu { "true" } else { "false" }));
    texts.push(|text| push_degrees(city.latitude, text));
    texts.push(|text| push_degrees(city.longitude, text));
}

fn asn_texts(asn: &Asn<'_>, texts: &mut Texts) {
    // Writing to a string cannot fail.
    texts.push(|text| _ = write!(text, "{}", asn.number));
    texts.push(|text| text.push_str(asn.org));
    texts.push(|text| {
        if let Some(network) = asn.network {
            _ = write!(text, "{network}");
        }
    });
}

/// Writes a number as Go's `%f` does: six digits after the point.
fn push_degrees(degrees: f64, text: &mut String) {
    // hot: databases hold multiples of a ten thousandth, for which the general way is slow. Far
    // enough from the middle between two millionths, both ways give the same.
    let scaled = degrees.abs() * 1e6;
    let millionths = libm::round(scaled);
    let is_plain = scaled < 1e12 && (scaled - millionths).abs() < 0.4 && millionths > 0.0;
    // Writing to a string cannot fail.
    if is_plain {
        let millionths = millionths as u64;
        let sign = if degrees < 0.0 { "-" } else { "" };
        _ = write!(text, "{sign}{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
    } else {
        _ = write!(text, "{degrees:.6}");
    }
}

/// Addresses whose records are remembered. Attackers and visitors come with many lines at a time, so
/// a few are enough to look most of them up once.
const MAX_PLACES: usize = 1024;

/// What the databases said about addresses lately, as texts: each address has one place to be.
#[derive(Debug, Default)]
pub(crate) struct GeoCache {
    places: Vec<Place>,
    /// The text read last, and the address it is: several enrichers ask about the same one.
    last_text: String,
    last_ip: Option<IpAddr>,
}

/// What is known of one address.
#[derive(Clone, Debug)]
struct Place {
    ip: IpAddr,
    city: Reply,
    asn: Reply,
}

/// What one database said.
#[derive(Clone, Debug, Default)]
struct Reply {
    state: State,
    texts: Texts,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    NotAsked,
    NoDatabase,
    Known,
}

/// A few texts in one.
#[derive(Clone, Debug, Default)]
struct Texts {
    text: String,
    ends: [u32; 4],
    n: usize,
}

impl GeoCache {
    /// The address a text is.
    fn address(&mut self, text: &str) -> Option<IpAddr> {
        if text != self.last_text || text.is_empty() {
            self.last_ip = text.parse().ok();
            self.last_text.clear();
            if self.last_ip.is_some() {
                self.last_text.push_str(text);
            }
        }
        self.last_ip
    }

    fn place(&mut self, ip: IpAddr) -> &mut Place {
        if self.places.is_empty() {
            let ip = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            let nobody = Place { ip, city: Reply::default(), asn: Reply::default() };
            self.places = alloc::vec![nobody; MAX_PLACES];
        }
        let bits = match ip {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            IpAddr::V6(ip) => (ip.to_bits() ^ (ip.to_bits() >> 64)) as u64,
        };
        let index = (bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % MAX_PLACES;
        let place = &mut self.places[index];
        if place.ip != ip {
            place.ip = ip;
            place.city.state = State::NotAsked;
            place.asn.state = State::NotAsked;
        }
        place
    }
}

impl Reply {
    /// What the database says, which `ask` finds out; `None` when there is no database.
    fn answer(&mut self, ask: impl FnOnce(&mut Texts) -> bool) -> Option<&Texts> {
        if let State::NotAsked = self.state {
            self.texts.text.clear();
            self.texts.n = 0;
            self.state = if ask(&mut self.texts) { State::Known } else { State::NoDatabase };
        }
        matches!(self.state, State::Known).then_some(&self.texts)
    }
}

impl Texts {
    fn push(&mut self, write: impl FnOnce(&mut String)) {
        write(&mut self.text);
        if let Some(end) = self.ends.get_mut(self.n) {
            *end = u32::try_from(self.text.len()).unwrap_or(0);
            self.n += 1;
        }
    }

    fn nth(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.get(start as usize..self.ends[index] as usize).unwrap_or("")
    }

    /// Sets one field after the other to the texts.
    fn set(&self, fields: &[FieldId], event: &mut Event) {
        let Text::Arena { start, len } = event.push(&self.text) else { return };
        if len as usize != self.text.len() {
            return;
        }
        let mut from = 0;
        for (field, end) in fields.iter().zip(self.ends) {
            event.set_range(*field, start + from, end - from);
            from = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn degrees_are_written_as_the_general_way_does(
            ten_thousandths in -1_800_000_i32..=1_800_000,
            any in proptest::num::f64::ANY,
            small in -200.0..200.0_f64,
        ) {
            for degrees in [f64::from(ten_thousandths) / 1e4, any, small, 0.0, -0.0, 0.000_000_5] {
                let mut text = String::new();
                push_degrees(degrees, &mut text);
                prop_assert_eq!(text, format!("{degrees:.6}"));
            }
        }
    }
}
