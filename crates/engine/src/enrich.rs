//! Enrichers: what `method:` statics add to `evt.Enriched` (spec §3).

use crate::builtins::layout::GoLayout;
use crate::builtins::parse_date::parse_date_into;
use crate::builtins::time::DateTime;
use crate::eval::Cx;
use crate::pool::{FieldId, known};
use crate::program::Enricher;
use crate::value::Text;
use core::fmt::Write as _;
use core::net::IpAddr;
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
                _ => {
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
    let mut marshaled = alloc::string::String::with_capacity(40);
    let date = parse_date_into(cx.str(input), layout.as_ref(), now, &mut marshaled);
    cx.event.set_text(known::ENRICHED_TIME, &marshaled);
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
    let Some(city) = cx.outside.city(ip) else { return };
    cx.event.set_text(known::ISO_CODE, city.iso_code);
    cx.event.set_text(known::IS_IN_EU, if city.is_in_eu { "true" } else { "false" });
    print(known::LATITUDE, format_args!("{:.6}", city.latitude), cx);
    print(known::LONGITUDE, format_args!("{:.6}", city.longitude), cx);
}

fn asn(ip: IpAddr, cx: &mut Cx<'_>) {
    let Some(asn) = cx.outside.asn(ip) else { return };
    print(known::AS_NUMBER, format_args!("{}", asn.number), cx);
    if let Some(number) = cx.event.text(known::AS_NUMBER) {
        cx.event.set(known::ASN_NUMBER, false, &number);
    }
    cx.event.set_text(known::AS_ORG, asn.org);
}

fn range(ip: IpAddr, cx: &mut Cx<'_>) {
    if let Some(network) = cx.outside.asn(ip).and_then(|asn| asn.network) {
        print(known::SOURCE_RANGE, format_args!("{network}"), cx);
    }
}

fn print(field: FieldId, text: core::fmt::Arguments<'_>, cx: &mut Cx<'_>) {
    let printed = cx.event.build(|out| {
        // Writing to a `String` cannot fail.
        let _ = out.write_fmt(text);
    });
    cx.event.set(field, false, &printed);
}
