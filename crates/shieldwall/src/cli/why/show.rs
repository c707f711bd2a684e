//! The answer on one screen.

use super::{Findings, Reader, Reason, Verdict};
use crate::{
    cli::{cells::text, table::table, text::span, tool::ago},
    terminal::{count, quoted},
};
use api::{Alert, Event};
use model::Timestamp;
use std::fmt::Write as _;

/// So many of each are shown; `-o json` shows all.
const DECISIONS: usize = 10;
const ALERTS: usize = 5;
const EVENTS: usize = 3;

/// Meta of events that says nothing new beside its alert.
const KNOWN: [&str; 9] = [
    "ASNNumber",
    "ASNOrg",
    "IsInEU",
    "IsoCode",
    "SourceRange",
    "datasource_path",
    "datasource_type",
    "source_ip",
    "timestamp",
];

/// Everything, for people.
pub(super) fn screen(findings: &Findings, now: Timestamp, color: bool) -> String {
    let mut out = headline(findings, color);
    if !findings.decisions.is_empty() {
        let _ = write!(out, "\n\nDecisions\n{}", decisions(&findings.decisions));
        more(findings.decisions.len(), DECISIONS, "decision", &mut out);
    }
    if !findings.allowlists.is_empty() {
        out += "\n\nAllowlists";
        for allowed in &findings.allowlists {
            let (value, list) = (quoted(&allowed.value), quoted(&allowed.allowlist));
            let _ = write!(out, "\n  {value} is on {list}");
            if !allowed.comment.is_empty() {
                let _ = write!(out, ": {}", quoted(&allowed.comment));
            }
        }
    }
    if !findings.alerts.is_empty() {
        out += "\n\nAlerts";
        for alert in findings.alerts.iter().take(ALERTS) {
            out += &one(alert, now);
        }
        more(findings.alerts.len(), ALERTS, "alert", &mut out);
        if findings.is_cut {
            out += "\n  There may be older ones that were not looked at.";
        }
    }
    for log in &findings.logs {
        let _ = write!(out, "\n\nIn {}, latest last", quoted(&log.path));
        for line in &log.lines {
            let parser = match &line.parser {
                Some(parser) => format!("understood by {}", quoted(parser)),
                None => "no parser understands it".to_owned(),
            };
            let _ = write!(out, "\n  {}\n     {parser}", quoted(&line.text));
        }
    }
    match &findings.bouncers {
        Some(bouncers) if !bouncers.is_empty() => {
            out += "\n\nBouncers";
            for bouncer in bouncers {
                let _ = write!(out, "\n  {}", reader(bouncer, now));
            }
        }
        Some(_) => {
            out += "\n\nNo bouncer enforces anything: add one with `shieldwall bouncers add`."
        }
        None => out += "\n\nWhich bouncers enforce this is known where the local API runs.",
    }
    out.push('\n');
    out
}

fn more(n: usize, shown: usize, one: &str, out: &mut String) {
    if n > shown {
        let more = count(u64::try_from(n - shown).unwrap_or(u64::MAX), one);
        let _ = write!(out, "\n  and {more} more, with -o json");
    }
}

fn headline(findings: &Findings, color: bool) -> String {
    let paint = |code: &str, word: &str| {
        if color { format!("\x1b[1;{code}m{word}\x1b[0m") } else { word.to_owned() }
    };
    let target = &findings.target;
    let first = findings.decisions.first();
    let longest = |reason: &Reason| {
        let left = span(reason.expires_in.saturating_mul(1_000_000_000));
        let (kind, scenario) = (quoted(&reason.remediation), quoted(&reason.scenario));
        format!("{kind} for {left} more, until {}: {scenario}", reason.until)
    };
    match (findings.verdict, first) {
        (Verdict::Blocked, Some(first)) => {
            format!("{target} is {}: {}", paint("31", "blocked"), longest(first))
        }
        (Verdict::PartlyBlocked, _) => {
            let n = findings.decisions.iter().filter(|it| it.active && !it.simulated).count();
            let n = count(u64::try_from(n).unwrap_or(u64::MAX), "decision");
            format!("{target} is {}: {n} about parts of it", paint("33", "partly blocked"))
        }
        (Verdict::Simulated, Some(first)) => {
            format!(
                "{target} is not blocked, only {}: {}",
                paint("33", "simulated"),
                longest(first)
            )
        }
        (Verdict::Allowed, _) => format!("{target} is {}", paint("32", "allowlisted")),
        (Verdict::NotBlocked, Some(first)) => {
            let since = span(first.expires_in.saturating_mul(1_000_000_000));
            format!(
                "{target} is {}; the last decision ended {since} ago",
                paint("32", "not blocked")
            )
        }
        (Verdict::NotBlocked, None) => {
            format!(
                "{target} is {}; it was seen, and nothing was decided",
                paint("32", "not blocked")
            )
        }
        (Verdict::Unknown | Verdict::Blocked | Verdict::Simulated, _) => {
            format!("{target} is {}: nothing is known about it", paint("32", "not blocked"))
        }
    }
}

fn decisions(decisions: &[Reason]) -> String {
    let row = |reason: &Reason| {
        let nanos = reason.expires_in.saturating_mul(1_000_000_000);
        let action = if reason.simulated { "(simul)" } else { "" };
        vec![
            reason.id.to_string(),
            format!("{action}{}", reason.remediation),
            format!("{}:{}", reason.scope, reason.value),
            reason.scenario.clone(),
            origin(reason),
            reason.until.clone(),
            if reason.active {
                span(nanos.max(1_000_000_000))
            } else {
                format!("ended {} ago", span(nanos))
            },
            reason.alert_id.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = decisions.iter().take(DECISIONS).map(row).collect();
    let header =
        ["ID", "Action", "Scope:Value", "Reason", "Decided by", "Until", "expires in", "Alert ID"];
    table(&header, &rows)
}

/// Who decided, in words.
fn origin(reason: &Reason) -> String {
    let machine = if reason.machine.is_empty() { "?" } else { reason.machine.as_str() };
    if let Some(profile) = &reason.profile {
        return format!("profile {profile}");
    }
    match reason.origin.split_once('/') {
        // What a profile writes behind the slash says more than that it was one.
        Some(("crowdsec", word)) => format!("a profile ({word})"),
        _ => match reason.origin.as_str() {
            "crowdsec" => "a profile".to_owned(),
            "cscli" => format!("a person on {machine}"),
            "cscli-import" => format!("an import on {machine}"),
            "CAPI" => "the community".to_owned(),
            "lists" => "a blocklist".to_owned(),
            other => other.to_owned(),
        },
    }
}

/// One alert: what it is, its arithmetic, and its last events.
fn one(alert: &Alert, now: Timestamp) -> String {
    let mut out = String::new();
    let created = text(&alert.created_at);
    let when = api::date::parse(created).map(|time| ago(time.at, now)).unwrap_or_default();
    let machine = match text(&alert.machine_id) {
        "" => String::new(),
        machine => format!(" on {}", quoted(machine)),
    };
    let _ = write!(
        out,
        "\n  #{} {} ({when}) {}{machine}",
        alert.id.unwrap_or(0),
        quoted(created),
        quoted(text(&alert.scenario)),
    );
    let version = text(&alert.scenario_version);
    if !version.is_empty() {
        let _ = write!(out, ", version {}", quoted(version));
    }
    if alert.simulated == Some(true) {
        out += ", simulated";
    }
    if let Some(arithmetic) = arithmetic(alert) {
        let _ = write!(out, "\n     {arithmetic}");
    }
    for pair in alert.meta.iter().flatten() {
        let _ = write!(out, "\n     {} = {}", quoted(&pair.key), quoted(&pair.value));
    }
    let events = alert.events.as_deref().unwrap_or_default();
    for event in events.iter().skip(events.len().saturating_sub(EVENTS)) {
        let _ = write!(out, "\n     {}", line(event));
    }
    out
}

/// Why the bucket overflowed: how much was poured, how much it holds, how fast it leaks.
fn arithmetic(alert: &Alert) -> Option<String> {
    let n = u64::try_from(alert.events_count.unwrap_or(0)).unwrap_or(0);
    // What people and blocklists decide comes from no bucket.
    if n == 0 || matches!(alert.kind.as_deref(), Some("cscli" | "capi" | "papi")) {
        return None;
    }
    let at = |field: &Option<String>| api::date::parse(text(field)).map(|time| time.at);
    let took = match (at(&alert.start_at), at(&alert.stop_at)) {
        (Some(start), Some(stop)) => format!(" in {}", span(stop.nanos_since(start).max(0))),
        _ => String::new(),
    };
    let poured = format!("{}{took}", count(n, "event"));
    let leak = api::duration::parse(text(&alert.leakspeed)).unwrap_or(0);
    let leaks =
        if leak > 0 { format!(" and leaks one every {}", span_exact(leak)) } else { String::new() };
    Some(match alert.capacity.unwrap_or(0) {
        0 => format!("{poured}; one is enough"),
        capacity if capacity < 0 => format!("{poured}; the bucket counts without a limit{leaks}"),
        capacity => format!("{poured}; the bucket holds {capacity}{leaks}"),
    })
}

/// Short lengths need their fraction: a bucket may leak ten times a second.
fn span_exact(nanos: i64) -> String {
    if nanos < 1_000_000_000 { api::duration::format(nanos) } else { span(nanos) }
}

/// An event as one line: its date, and what is particular about it.
fn line(event: &Event) -> String {
    let mut line = quoted(text(&event.timestamp));
    for pair in event.meta.iter().flatten() {
        if !KNOWN.contains(&pair.key.as_str()) && !pair.value.is_empty() {
            let _ = write!(line, " {}={}", quoted(&pair.key), quoted(&pair.value));
        }
    }
    line
}

fn reader(bouncer: &Reader, now: Timestamp) -> String {
    let name = quoted(&bouncer.name);
    let kind = if bouncer.kind.is_empty() {
        String::new()
    } else {
        format!(" ({})", quoted(&bouncer.kind))
    };
    let read = match (bouncer.at, bouncer.knows) {
        _ if bouncer.revoked => "is revoked and reads nothing".to_owned(),
        (None, _) => "has never read decisions".to_owned(),
        (Some(at), Some(true)) => format!("enforces it: read decisions {}", ago(at, now)),
        (Some(at), Some(false)) => {
            format!("does not know it yet: read decisions {}", ago(at, now))
        }
        (Some(at), None) => format!("read decisions {}", ago(at, now)),
    };
    format!("{name}{kind} {read}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert() -> Alert {
        serde_json::from_str(
            r#"{"id":7,"scenario":"a/ssh-bf","kind":"crowdsec","machine_id":"m","events_count":6,
                "capacity":5,"leakspeed":"10s","scenario_version":"0.3","simulated":false,
                "created_at":"2026-01-02T03:04:05Z","start_at":"2026-01-02T03:03:53Z","stop_at":"2026-01-02T03:04:05Z",
                "source":{"scope":"Ip","value":"192.0.2.1"},
                "events":[{"timestamp":"one","meta":[{"key":"log_type","value":"x"}]},{"timestamp":"two"},{"timestamp":"three"},
                          {"timestamp":"four","meta":[{"key":"source_ip","value":"192.0.2.1"},{"key":"user","value":"ro\u001bot"}]}]}"#,
        )
        .unwrap()
    }

    fn at(text: &str) -> Timestamp {
        api::date::parse(text).unwrap().at
    }

    #[test]
    fn one_screen_says_it_all() {
        let created = at("2026-01-02T03:04:05Z");
        let reason = |id: i64, active: bool, expires_in: i64| Reason {
            id,
            alert_id: 7,
            remediation: "ban".to_owned(),
            scope: "Ip".to_owned(),
            value: "192.0.2.1".to_owned(),
            origin: "crowdsec".to_owned(),
            scenario: "a/ssh-bf".to_owned(),
            machine: "m".to_owned(),
            profile: (id == 9).then(|| "ban_addresses".to_owned()),
            decided_at: "2026-01-02T03:04:05Z".to_owned(),
            until: "2026-01-02T07:04:05Z".to_owned(),
            expires_in,
            active,
            simulated: false,
            covers: true,
            at: created,
        };
        let reader = |name: &str, at: Option<Timestamp>, knows: bool| Reader {
            name: name.to_owned(),
            kind: String::new(),
            last_pull: None,
            revoked: false,
            knows: Some(knows),
            at,
        };
        let now = at("2026-01-02T03:52:05Z");
        let findings = Findings {
            target: "192.0.2.1".to_owned(),
            verdict: Verdict::Blocked,
            decisions: vec![reason(9, true, 11_520), reason(8, false, -60)],
            allowlists: vec![super::super::Allowed {
                allowlist: "office".to_owned(),
                value: "192.0.2.0/30".to_owned(),
                comment: "ours".to_owned(),
            }],
            alerts: vec![alert()],
            bouncers: Some(vec![
                reader("fw", Some(at("2026-01-02T03:51:55Z")), true),
                reader("old", Some(at("2026-01-02T03:00:00Z")), false),
                reader("new", None, false),
            ]),
            logs: vec![super::super::LogLines {
                path: "/var/log/auth.log".to_owned(),
                lines: vec![super::super::LogLine {
                    text: "fail from 192.0.2.1".to_owned(),
                    parser: Some("a/sshd-logs".to_owned()),
                }],
            }],
            is_cut: false,
        };
        let expect = "\
192.0.2.1 is blocked: ban for 3h 12m more, until 2026-01-02T07:04:05Z: a/ssh-bf

Decisions
┌────┬────────┬──────────────┬──────────┬───────────────────────┬──────────────────────┬──────────────┬──────────┐
│ ID ┆ Action ┆ Scope:Value  ┆ Reason   ┆ Decided by            ┆ Until                ┆ expires in   ┆ Alert ID │
╞════╪════════╪══════════════╪══════════╪═══════════════════════╪══════════════════════╪══════════════╪══════════╡
│ 9  ┆ ban    ┆ Ip:192.0.2.1 ┆ a/ssh-bf ┆ profile ban_addresses ┆ 2026-01-02T07:04:05Z ┆ 3h 12m       ┆ 7        │
│ 8  ┆ ban    ┆ Ip:192.0.2.1 ┆ a/ssh-bf ┆ a profile             ┆ 2026-01-02T07:04:05Z ┆ ended 1m ago ┆ 7        │
└────┴────────┴──────────────┴──────────┴───────────────────────┴──────────────────────┴──────────────┴──────────┘

Allowlists
  192.0.2.0/30 is on office: ours

Alerts
  #7 2026-01-02T03:04:05Z (48m ago) a/ssh-bf on m, version 0.3
     6 events in 12s; the bucket holds 5 and leaks one every 10s
     two
     three
     four user=ro\u{fffd}ot

In /var/log/auth.log, latest last
  fail from 192.0.2.1
     understood by a/sshd-logs

Bouncers
  fw enforces it: read decisions 10s ago
  old does not know it yet: read decisions 52m 5s ago
  new has never read decisions
";
        assert_eq!(screen(&findings, now, false), expect);
        assert!(screen(&findings, now, true).contains("\x1b[1;31mblocked\x1b[0m"));
    }

    #[test]
    fn buckets_are_explained() {
        let check = |capacity: i32, leakspeed: &str, kind: &str, expect: Option<&str>| {
            let alert = Alert {
                capacity: Some(capacity),
                leakspeed: Some(leakspeed.to_owned()),
                kind: Some(kind.to_owned()),
                ..alert()
            };
            assert_eq!(arithmetic(&alert).as_deref(), expect);
        };
        check(0, "0s", "crowdsec", Some("6 events in 12s; one is enough"));
        check(-1, "0s", "crowdsec", Some("6 events in 12s; the bucket counts without a limit"));
        check(
            40,
            "500ms",
            "crowdsec",
            Some("6 events in 12s; the bucket holds 40 and leaks one every 500ms"),
        );
        check(0, "0", "cscli", None);
    }
}
