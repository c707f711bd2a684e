//! What happened, as text.

use engine::{
    Overflow, Program,
    eval::{Cx, event_value},
    observe::{Counters, Step},
    pool::{Space, known},
    stage::pairs,
    table::Table,
    value::Value,
};
use model::{Alert, Scope, Time, TimeMode, Timestamp};
use rules::Compiled;
use std::fmt::{self, Write as _};
use syntax::Severity;

/// What is wrong with the rules, one line each.
pub(super) fn diagnostics(compiled: &Compiled) -> String {
    let mut out = String::new();
    for found in compiled.diagnostics.iter() {
        let level = match found.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let _ = writeln!(out, "{level}[{}]: {}", found.code.0, found.message);
    }
    out
}

/// An overflow: a line per alert, and all there is to know about each.
pub(super) fn overflow(overflow: &Overflow, alerts: &mut String, details: &mut String) {
    let keys: Vec<String> = overflow.sources.iter().map(|(key, _)| key.clone()).collect();
    let current: Vec<String> =
        overflow.current_sources().map(|(key, source)| format!("{key}={}", source.value)).collect();
    let excuse = if overflow.whitelisted {
        format!(" whitelisted={:?}", overflow.whitelist_reason)
    } else {
        String::new()
    };
    let mapkey = overflow.mapkey.clone();
    for (alert, key) in overflow.clone().into_alerts().iter().zip(keys) {
        let _ = writeln!(alerts, "{}{excuse}", Line { alert, key: &key });
        let _ = writeln!(details, "{}{excuse}", Line { alert, key: &key });
        detail(alert, details);
    }
    let _ = writeln!(details, "  key {mapkey}");
    let _ = writeln!(details, "  sources {}", current.join(" "));
}

fn detail(alert: &Alert, out: &mut String) {
    let leakspeed = i64::try_from(alert.leakspeed.as_nanos()).unwrap_or(i64::MAX);
    let leakspeed = engine::builtins::duration::format_duration(leakspeed);
    let _ = writeln!(out, "  {}", alert.message);
    let _ = writeln!(out, "  capacity {} leakspeed {leakspeed}", alert.capacity);
    if !alert.scenario_version.is_empty() || !alert.scenario_hash.is_empty() {
        let _ = writeln!(out, "  version {} {}", alert.scenario_version, alert.scenario_hash);
    }
    for event in &alert.events {
        let meta = event.meta.iter().map(|(key, value)| format!(" {key}={}", plain(value)));
        let _ = writeln!(out, "  event {}{}", event.timestamp, meta.collect::<String>());
    }
}

/// An alert in one line. What is as usual is not said.
struct Line<'a> {
    alert: &'a Alert,
    /// What the source was found under.
    key: &'a str,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Alert { source, events, events_count, .. } = self.alert;
        let scope = match &source.scope {
            Scope::Ip => "ip",
            Scope::Range => "range",
            Scope::Other(name) => name,
        };
        let value = plain(&source.value);
        let at = clock(self.alert.stop_at);
        write!(f, "{at} alert {} {scope}:{value} events={events_count}", self.alert.scenario)?;
        if events.len() != *events_count as usize {
            write!(f, " kept={}", events.len())?;
        }
        if self.alert.start_at != self.alert.stop_at {
            write!(f, " since={}", clock(self.alert.start_at))?;
        }
        let part = |name: &str, text: &str, usual: &str| {
            if text == usual { String::new() } else { format!(" {name}={}", plain(text)) }
        };
        let usual_ip = if source.scope == Scope::Ip { &source.value } else { "" };
        let usual_range = if source.scope == Scope::Range { &source.value } else { "" };
        f.write_str(&part("key", self.key, &source.value))?;
        f.write_str(&part("ip", &source.ip, usual_ip))?;
        f.write_str(&part("range", &source.range, usual_range))?;
        f.write_str(&part("cn", &source.cn, ""))?;
        f.write_str(&part("as", &source.as_number, ""))?;
        f.write_str(&part("org", &source.as_name, ""))?;
        if (source.latitude, source.longitude) != (0.0, 0.0) {
            write!(f, " at={},{}", source.latitude, source.longitude)?;
        }
        for (key, value) in &self.alert.meta {
            write!(f, " {key}={value}")?;
        }
        for (is_so, word) in
            [(self.alert.remediation, " remediation"), (self.alert.simulated, " simulated")]
        {
            if is_so {
                f.write_str(word)?;
            }
        }
        Ok(())
    }
}

/// A time: of day where it is the day of all stories and in UTC, in full otherwise.
fn clock(time: Time) -> String {
    let text = engine::builtins::rfc3339::format_rfc3339_nano(time.into());
    let of_day = text.strip_prefix("2024-03-01T").and_then(|rest| rest.strip_suffix('Z'));
    of_day.map_or_else(|| text.clone(), str::to_owned)
}

/// A text, quoted where it would be hard to see.
fn plain(text: &str) -> String {
    let is_plain = !text.is_empty()
        && text.trim() == text
        && !text.chars().any(|c| c.is_control() || c == '"');
    if is_plain { text.to_owned() } else { format!("{text:?}") }
}

/// What an event holds, as text.
#[derive(Debug)]
pub(super) struct EventText(String);

impl EventText {
    pub(super) fn of(cx: &mut Cx<'_>, now: Timestamp) -> Self {
        let mut text = String::new();
        let named = [
            ("Line.Raw", known::LINE_RAW),
            ("StrTime", known::STR_TIME),
            ("StrTimeFormat", known::STR_TIME_FORMAT),
            ("MarshaledTime", known::MARSHALED_TIME),
            ("WhitelistReason", known::WHITELIST_REASON),
        ];
        for (name, field) in named {
            if let Some(value) = cx.event.get(field, cx.pool)
                && (field != known::LINE_RAW || value.contains(char::REPLACEMENT_CHARACTER))
            {
                let _ = writeln!(text, "  {name} = {}", plain(value));
            }
        }
        if cx.event.time_mode == TimeMode::Event && cx.event.time != Time::utc(now) {
            let _ = writeln!(text, "  Time = {}", clock(cx.event.time));
        }
        for (name, space) in
            [("Parsed", Space::Parsed), ("Meta", Space::Meta), ("Enriched", Space::Enriched)]
        {
            for (key, value) in pairs(cx, space) {
                let _ = writeln!(text, "  {name}.{key} = {}", plain(value));
            }
        }
        if !cx.event.unmarshaled.entries.is_empty() {
            let whole = event_value(cx);
            if let Value::Object(event) = &whole
                && let Some(tree) = event.field("Unmarshaled")
            {
                let _ = writeln!(text, "  Unmarshaled = {}", cx.print(tree));
            }
        }
        if let Some(overflow) = &cx.event.overflow {
            for (key, source) in overflow.current_sources() {
                let (scope, value) = (&source.scope, &source.value);
                let _ = writeln!(text, "  Sources.{key} = {scope}:{value} ip={}", source.ip);
            }
        }
        Self(text)
    }
}

pub(super) fn event(title: &str, event: Option<&EventText>, out: &mut String) {
    let _ = writeln!(out, "{title}");
    if let Some(EventText(text)) = event {
        out.push_str(text);
    }
}

/// The nodes that were tried. Children come before their parent and are shown below it.
pub(super) fn tree(title: &str, nodes: &[(String, String, usize, Step)], out: &mut String) {
    let _ = writeln!(out, "{title}");
    let mut pending: Vec<(usize, String)> = Vec::new();
    for (stage, name, depth, step) in nodes {
        let verdict = match step {
            Step::Filtered => "filtered",
            Step::Failed => "failed",
            Step::Succeeded => "ok",
        };
        // Those deeper that are still waiting are this node's children.
        let first = pending.iter().position(|(of, _)| *of > *depth).unwrap_or(pending.len());
        let children: String = pending.drain(first..).map(|(_, text)| text).collect();
        let indent = "  ".repeat(depth + 1);
        let place = if *depth == 0 { format!("{stage} ") } else { String::new() };
        pending.push((*depth, format!("{indent}{place}{name}: {verdict}\n{children}")));
    }
    out.extend(pending.into_iter().map(|(_, text)| text));
}

/// What was counted. Zeros are not said.
pub(super) fn counts(
    program: &Program,
    counters: &Counters,
    table: &Table,
    names: &[String],
) -> String {
    let mut counts = String::new();
    let out = &mut counts;
    let line = |name: &str, numbers: &[(&str, u64)], out: &mut String| {
        let numbers: Vec<String> = numbers
            .iter()
            .filter(|(_, number)| *number > 0)
            .map(|(name, number)| format!(" {name}={number}"))
            .collect();
        let _ = writeln!(out, "{name}:{}", numbers.concat());
    };
    line(
        "lines",
        &[
            ("taken", counters.lines),
            ("parsed", counters.parsed),
            ("whitelisted", counters.whitelisted),
            ("undated", counters.undated),
            ("errors", counters.errors),
        ],
        out,
    );
    for (name, count) in names.iter().zip(&counters.nodes) {
        line(&format!("node {name}"), &[("hits", count.hits), ("ok", count.ok)], out);
    }
    for (scenario, count) in program.scenarios.iter().zip(&table.counts) {
        line(
            &format!("scenario {}", scenario.name),
            &[
                ("poured", count.poured),
                ("created", count.created),
                ("overflowed", count.overflowed),
                ("expired", count.expired),
                ("canceled", count.canceled),
                ("evicted", count.evicted),
            ],
            out,
        );
    }
    line("buckets", &[("live", table.len() as u64)], out);
    counts
}

/// A value: texts in quotes, so that `1` and `'1'` can be told apart.
pub(super) fn value(value: &Value, cx: &Cx<'_>) -> String {
    match value {
        Value::Text(_) => format!("{:?}", cx.print(value)),
        Value::Nil => "nil".to_owned(),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| self::value(item, cx)).collect();
            format!("[{}]", items.join(", "))
        }
        other => cx.print(other),
    }
}

/// Lines that are only in one of two texts, in their order.
pub(super) fn difference(expected: &str, happened: &str, out: &mut String) {
    let expected: Vec<&str> = expected.lines().collect();
    let happened: Vec<&str> = happened.lines().collect();
    let head = expected.iter().zip(&happened).take_while(|(a, b)| a == b).count();
    let tail = expected[head..]
        .iter()
        .rev()
        .zip(happened[head..].iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    for line in &expected[head..expected.len() - tail] {
        let _ = writeln!(out, "  - {line}");
    }
    for line in &happened[head..happened.len() - tail] {
        let _ = writeln!(out, "  + {line}");
    }
}
