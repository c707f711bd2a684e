//! From a bucket to an alert: sources, events, context (spec §5.8).

use crate::bucket::Bucket;
use crate::eval::Cx;
use crate::event::{Kind, Snapshot};
use crate::overflow::{self, Overflow};
use crate::pool::{FieldId, Pool, Space, known};
use crate::program::{Program, Scenario};
use crate::value::Value;
use alloc::{borrow::ToOwned, collections::BTreeMap, format, string::String, sync::Arc, vec::Vec};
use core::net::IpAddr;
use ipnet::IpNet;
use model::{Alert, AlertEvent, Scope, Source, Time};
use sha1::{Digest, Sha1};

/// Makes the overflow of a bucket; `None` when no source can be told. `cx` has a scratch event of
/// its own.
pub(crate) fn build(
    program: &Program,
    bucket: &Bucket,
    at: Time,
    cx: &mut Cx<'_>,
) -> Option<Overflow> {
    let scenario = program.scenario(bucket.scenario);
    let sources = sources(scenario, bucket, cx)?;
    let sources: Vec<(String, Source)> = sources.into_iter().collect();
    let (_, first_source) = sources.first()?;
    let first = bucket.first.unwrap_or(at);
    let lasted = at.at.nanos_since(first.at);
    let scope = first_source.scope.name().to_owned();
    let alert = Alert {
        scenario: scenario.name.clone().into_string(),
        scenario_hash: scenario.hash.clone().into_string(),
        scenario_version: scenario.version.clone().into_string(),
        message: overflow::message(
            &scope,
            &sources,
            &scenario.name,
            bucket.total,
            lasted,
            bucket.last,
        ),
        events_count: bucket.total,
        start_at: first,
        stop_at: at,
        capacity: scenario.capacity,
        leakspeed: scenario.leakspeed,
        simulated: scenario.simulated,
        remediation: scenario.remediation,
        source: first_source.clone(),
        events: bucket.queue.iter().map(|event| alert_event(event, cx.pool)).collect(),
        meta: context(program, bucket, cx),
    };
    let mapkey = mapkey(scenario, &bucket.partition);
    Some(Overflow {
        identity: identity(&mapkey, scenario, bucket),
        mapkey,
        reprocess: scenario.reprocess,
        whitelisted: false,
        whitelist_reason: "".into(),
        alert,
        sources,
    })
}

/// What names an overflow whenever and however often its lines are read: the bucket and the events in
/// it. Times are left out: of a line that is read again, the wall clock makes others.
fn identity(mapkey: &str, scenario: &Scenario, bucket: &Bucket) -> Option<u128> {
    let mut sha = Sha1::new();
    sha.update(mapkey.as_bytes());
    sha.update(scenario.hash.as_bytes());
    sha.update(bucket.total.to_be_bytes());
    let mut n_events = 0;
    for event in bucket.queue.iter() {
        if event.stamp.is_none() {
            return None;
        }
        sha.update(event.stamp.bits().to_be_bytes());
        n_events += 1;
    }
    // Without an event there is nothing to tell it by.
    let digest = sha.finalize();
    let bits = digest.iter().take(16).fold(0, |bits, byte| (bits << 8) | u128::from(*byte));
    (n_events > 0).then_some(bits)
}

/// The key of a bucket as upstream names it: SHA-1 of filter, partition and name (spec §5.3).
pub(crate) fn mapkey(scenario: &Scenario, partition: &str) -> String {
    let mut sha = Sha1::new();
    for (index, part) in [&*scenario.filter_text, partition, &*scenario.name].iter().enumerate() {
        if index > 0 {
            sha.update([0]);
        }
        sha.update(part.as_bytes());
    }
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    sha.finalize().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn alert_event(event: &Snapshot, pool: &Pool) -> AlertEvent {
    let meta = event
        .pairs(Space::Meta, pool)
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let timestamp = match event.get(known::MARSHALED_TIME, pool) {
        Some(text) if !text.is_empty() => text.to_owned(),
        _ => crate::builtins::rfc3339::format_rfc3339_nano(event.time.into()),
    };
    AlertEvent { timestamp, meta }
}

/// The union of the sources of all events, by key; of one key, the last event knows best. `None`: the
/// alert is lost.
fn sources(
    scenario: &Scenario,
    bucket: &Bucket,
    cx: &mut Cx<'_>,
) -> Option<BTreeMap<String, Source>> {
    let mut sources = BTreeMap::new();
    let is_plain = scenario.scope_expr.is_none() && !matches!(scenario.scope, Scope::Other(_));
    let mut last = None;
    for event in bucket.queue.iter() {
        match event.kind {
            Kind::Log => {
                // hot: mostly all events say the same.
                let texts = is_plain.then(|| source_texts(event, cx.pool));
                if texts.is_some() && texts == last {
                    continue;
                }
                last = texts;
                let source = log_source(scenario, event, cx)?;
                sources.insert(source.value.clone(), source);
            }
            Kind::Overflow => {
                let Some(overflow) = event.overflow() else { continue };
                for (key, source) in overflow.current_sources() {
                    if source.scope == scenario.scope {
                        sources.insert(key.to_owned(), source.clone());
                    } else if let Some(source) = range_of(scenario, event, source, cx)? {
                        sources.insert(source.value.clone(), source);
                    }
                }
            }
        }
    }
    Some(sources)
}

/// All that [`log_source`] reads where the scenario has no scope of its own.
fn source_texts<'a>(event: &'a Snapshot, pool: &'a Pool) -> [&'a str; 8] {
    const FIELDS: [FieldId; 8] = [
        known::META_SOURCE_IP,
        known::META_SOURCE_RANGE,
        known::AS_NUMBER,
        known::ASN_NUMBER,
        known::AS_ORG,
        known::ISO_CODE,
        known::LATITUDE,
        known::LONGITUDE,
    ];
    let mut texts = [""; 8];
    for (field, value) in event.fields(pool) {
        if let Some(index) = FIELDS.iter().position(|of| *of == field) {
            texts[index] = value;
        }
    }
    texts
}

fn log_source(scenario: &Scenario, event: &Snapshot, cx: &mut Cx<'_>) -> Option<Source> {
    let mut source = Source {
        scope: scenario.scope.clone(),
        value: String::new(),
        ip: String::new(),
        range: String::new(),
        as_name: String::new(),
        as_number: String::new(),
        cn: String::new(),
        latitude: 0.0,
        longitude: 0.0,
    };
    if matches!(scenario.scope, Scope::Other(_)) {
        source.value = scope_value(scenario, event, cx)?;
        return Some(source);
    }
    let pool = cx.pool;
    let text = |field| event.get(field, pool).unwrap_or("").to_owned();
    // One event without an address loses the whole alert (spec §13, trap 37).
    source.ip = text(known::META_SOURCE_IP);
    source.ip.parse::<IpAddr>().ok()?;
    source.as_number = match text(known::AS_NUMBER) {
        number if number.is_empty() => text(known::ASN_NUMBER),
        number => number,
    };
    source.as_name = text(known::AS_ORG);
    source.cn = text(known::ISO_CODE);
    source.latitude = text(known::LATITUDE).parse().unwrap_or(0.0);
    source.longitude = text(known::LONGITUDE).parse().unwrap_or(0.0);
    let range = text(known::META_SOURCE_RANGE);
    if !range.is_empty() {
        source.range = format!("{}", range.parse::<IpNet>().ok()?.trunc());
    }
    source.value = match (&scenario.scope, &scenario.scope_expr) {
        (Scope::Range, Some(_)) => scope_value(scenario, event, cx)?,
        (Scope::Range, None) => source.range.clone(),
        _ => source.ip.clone(),
    };
    Some(source)
}

/// The network of an address that an overflow was about, where the scenario counts networks. The
/// inner `None`: the source does not fit the scenario.
#[expect(clippy::option_option, reason = "lost alert, skipped source and source are three answers")]
fn range_of(
    scenario: &Scenario,
    event: &Snapshot,
    source: &Source,
    cx: &mut Cx<'_>,
) -> Option<Option<Source>> {
    if scenario.scope != Scope::Range || source.scope != Scope::Ip {
        return Some(None);
    }
    let value = match &scenario.scope_expr {
        Some(_) => scope_value(scenario, event, cx)?,
        None => source.range.clone(),
    };
    let range = Source { scope: Scope::Range, value, ip: String::new(), ..source.clone() };
    Some((!range.value.is_empty()).then_some(range))
}

/// What the scenario's scope expression gives for an event; empty when it is no text, `None` when it
/// fails.
fn scope_value(scenario: &Scenario, event: &Snapshot, cx: &mut Cx<'_>) -> Option<String> {
    let Some(expr) = &scenario.scope_expr else { return Some(String::new()) };
    cx.event.begin_kept(event, cx.pool);
    let roots = crate::eval::Roots::default();
    let mut inner = cx.with_roots(&roots);
    match inner.eval(expr).ok()? {
        Value::Text(text) => Some(inner.str(&text).to_owned()),
        _ => Some(String::new()),
    }
}

/// The alert context: for each key the values its expressions gave over all events, as JSON.
fn context(program: &Program, bucket: &Bucket, cx: &mut Cx<'_>) -> Vec<(String, String)> {
    if program.context.is_empty() {
        return Vec::new();
    }
    let roots = crate::eval::Roots::default();
    let mut values: Vec<Collected> = alloc::vec![Collected::default(); program.context.len()];
    let events: Vec<Arc<Snapshot>> = bucket.queue.iter().cloned().collect();
    for event in &events {
        cx.event.begin_kept(event, cx.pool);
        let mut inner = cx.with_roots(&roots);
        for (context, values) in program.context.iter().zip(&mut values) {
            // Values are dropped from the end until they fit: past that point none will be kept.
            if values.n_bytes > program.context_length {
                continue;
            }
            for expr in &context.exprs {
                inner.begin_rule();
                if let Ok(value) = inner.eval(expr) {
                    values.add(&value, &inner, program.context_length);
                }
            }
        }
    }
    program
        .context
        .iter()
        .zip(values)
        .filter(|(_, values)| !values.texts.is_empty())
        .map(|(context, values)| {
            (context.key.clone().into_string(), json_list(values.texts, program.context_length))
        })
        .collect()
}

/// The distinct values of one context key so far.
#[derive(Clone, Default)]
struct Collected {
    texts: Vec<String>,
    n_bytes: usize,
}

impl Collected {
    /// Adds what a value holds, until there is more than `max` bytes.
    fn add(&mut self, value: &Value, cx: &Cx<'_>, max: usize) {
        if self.n_bytes > max {
            return;
        }
        let text = match value {
            Value::Nil => return,
            Value::List(items) => {
                items.iter().for_each(|item| self.add(item, cx, max));
                return;
            }
            Value::Text(text) => cx.str(text).to_owned(),
            Value::Int(number) => format!("{number}"),
            Value::Bool(value) => format!("{value}"),
            other => cx.print(other),
        };
        if !text.is_empty() && !self.texts.contains(&text) {
            self.n_bytes = self.n_bytes.saturating_add(text.len());
            self.texts.push(text);
        }
    }
}

/// A JSON array no longer than `max` bytes: the last values are dropped, and a single one that is
/// still too long is halved, dots included, until it fits (spec §5.8).
fn json_list(mut values: Vec<String>, max: usize) -> String {
    loop {
        let text = crate::eval::json_texts(&values);
        if text.len() <= max {
            return text;
        }
        if values.len() > 1 {
            values.pop();
            continue;
        }
        let Some(only) = values.pop() else { return text };
        let mut half = only.len() / 2;
        while !only.is_char_boundary(half) {
            half -= 1;
        }
        let shorter = format!("{}...", &only[..half]);
        // Six bytes or less do not get shorter by this.
        if shorter.len() >= only.len() {
            return String::from("[]");
        }
        values.push(shorter);
    }
}
