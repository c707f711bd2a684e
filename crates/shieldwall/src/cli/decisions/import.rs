//! `shieldwall decisions import`: many decisions at once, from a file or standard input.
//!
//! Everything is read and held against the allowlists before anything is stored, so a mistake in
//! the last line leaves nothing half done. What is stored goes in batches, each one alert, some of
//! them in each request: a batch is kept whole or not at all, and the local API never sees a body
//! that outgrows its limit. They go by address, since neighbors are stored beside each other: in a
//! large database that makes the difference between a page for each and a page for many.

use super::alert_of;
use crate::cli::{
    query::{self, Span, client},
    text::csv_rows,
    tool::Tool,
};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use api::{Alert, Decision, Source};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Deserialize;
use std::{
    collections::HashMap,
    fs,
    io::{self, Read as _},
    path::Path,
};

/// Values that are held against the allowlists in one question.
const CHECKED_AT_ONCE: usize = 1000;

/// Batches share a request up to about so many decisions.
const SENT_AT_ONCE: usize = 5_000;

/// More than this is no list of decisions.
const LONGEST_FILE: u64 = 1 << 30;

/// Imports decisions from JSON, CSV or a list of values.
#[derive(Args, Debug)]
#[command(after_help = "Each entry has a value, and may have duration, reason, scope and type:
  CSV     value,duration,scope on the first line, then a line for each
  JSON    [{\"value\": \"192.0.2.7\", \"duration\": \"24h\"}, …]
  values  one value a line

Examples:
  shieldwall decisions import -i list.csv --duration 24h
  printf '192.0.2.7\\n192.0.2.8\\n' | shieldwall decisions import -i - --format values")]
pub(in crate::cli) struct ImportArgs {
    /// The file; - for standard input.
    #[arg(short, long, value_name = "FILE")]
    input: String,
    /// How long, where an entry does not say.
    #[arg(short, long, value_name = "TIME", default_value = "4h")]
    duration: String,
    /// The scope, where an entry does not say.
    #[arg(long, value_name = "SCOPE", default_value = "Ip")]
    scope: String,
    /// Why, where an entry does not say.
    #[arg(short = 'R', long, value_name = "TEXT", default_value = "manual")]
    reason: String,
    /// What to do, where an entry does not say.
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "ban")]
    decision_type: String,
    /// So many decisions in one alert; 0 for all of them.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    batch: usize,
    /// json, csv or values (default: by the name of the file).
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

/// One entry as written; what is empty is filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Entry {
    value: String,
    duration: String,
    reason: String,
    scope: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
    Values,
}

impl Format {
    fn of(args: &ImportArgs) -> Result<Self> {
        let name = match &args.format {
            Some(name) => name.as_str(),
            None => Path::new(&args.input).extension().and_then(|it| it.to_str()).unwrap_or(""),
        };
        Ok(match (name, &args.format) {
            ("json", _) => Self::Json,
            ("csv", _) => Self::Csv,
            ("values", Some(_)) => Self::Values,
            (_, Some(name)) => {
                bail!("invalid format '{name}', expected one of 'json', 'csv', 'values'")
            }
            (_, None) => bail!(
                "unable to guess format from file extension, please provide a format with --format flag"
            ),
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Values => "values",
        }
    }
}

pub(super) fn run(args: &ImportArgs, tool: &Tool) -> Result<()> {
    let defaults = [
        ("duration", &args.duration),
        ("scope", &args.scope),
        ("reason", &args.reason),
        ("type", &args.decision_type),
    ];
    for (name, value) in defaults {
        ensure!(!value.is_empty(), "default {name} cannot be empty");
    }
    let format = Format::of(args)?;
    let text = read(&args.input)?;
    tool.line(&format!("Parsing {}", format.name()))?;
    let decisions = decisions(&entries(&text, format)?, args)?;
    ensure!(!decisions.is_empty(), "no decisions found");

    let client = client(tool)?;
    let decisions = tool.wait(without_allowed(&client, decisions, tool))??;
    let n_decisions = decisions.len();
    let mut rest = decisions;
    rest.sort_by_cached_key(place);
    let mut rest = rest.into_iter();
    let bar = bar(n_decisions);
    let size = if args.batch == 0 { n_decisions.max(1) } else { args.batch };
    let mut requests = std::iter::from_fn(|| request(&mut rest, size, &args.input, tool.now()));
    // Two at a time: while one is stored, the next one is read.
    let sent = tool.wait(async {
        while let Some(first) = requests.next() {
            let second = requests.next().unwrap_or_default();
            let (first, second) =
                tokio::join!(post(&client, &first, &bar), post(&client, &second, &bar));
            first.and(second)?;
        }
        Ok::<(), anyhow::Error>(())
    })?;
    sent.with_context(|| {
        format!("{} of {n_decisions} decisions were imported, then", bar.position())
    })?;
    bar.finish_and_clear();
    tool.line(&format!("Imported {n_decisions} decisions"))
}

/// The alerts of the next request; `None` at the end.
fn request(
    rest: &mut std::vec::IntoIter<Decision>,
    size: usize,
    input: &str,
    now: model::Timestamp,
) -> Option<Vec<Alert>> {
    let (mut alerts, mut n_taken) = (Vec::new(), 0usize);
    while alerts.is_empty() || n_taken.saturating_add(size) <= SENT_AT_ONCE {
        let batch: Vec<Decision> = rest.take(size).collect();
        let n = batch.len();
        if n == 0 {
            break;
        }
        n_taken += n;
        let reason = format!("import {input}: {n} IPs");
        let scope = Some("cscli/manual-import".to_owned());
        let source = Source { scope, value: Some(String::new()), ..Source::default() };
        let mut alert = alert_of(&reason, source, batch, now);
        alert.events_count = Some(i32::try_from(n).unwrap_or(i32::MAX));
        alerts.push(alert);
    }
    (!alerts.is_empty()).then_some(alerts)
}

/// Sends one request and moves the bar.
async fn post(client: &api::client::Client, alerts: &[Alert], bar: &ProgressBar) -> Result<()> {
    if alerts.is_empty() {
        return Ok(());
    }
    let stored = client.post_alerts(alerts).await.map_err(query::refused)?;
    let decisions = alerts.iter().flat_map(|alert| &alert.decisions).map(Vec::len);
    let n_sent: usize = decisions.sum();
    ensure!(stored.len() == alerts.len(), "the local API did not take all of {n_sent} decisions");
    bar.inc(u64::try_from(n_sent).unwrap_or(u64::MAX));
    Ok(())
}

fn read(input: &str) -> Result<String> {
    let mut bytes = Vec::new();
    let doing = || format!("unable to read '{input}'");
    let n = if input == "-" {
        io::stdin().lock().take(LONGEST_FILE + 1).read_to_end(&mut bytes).with_context(doing)?
    } else {
        let file = fs::File::open(input).with_context(|| format!("unable to open {input}"))?;
        file.take(LONGEST_FILE + 1).read_to_end(&mut bytes).with_context(doing)?
    };
    ensure!(u64::try_from(n).unwrap_or(u64::MAX) <= LONGEST_FILE, "{input} is too long");
    String::from_utf8(bytes).with_context(doing)
}

fn entries(text: &str, format: Format) -> Result<Vec<Entry>> {
    match format {
        Format::Json => {
            let entries: Option<Vec<Entry>> =
                serde_json::from_str(text).context("unable to parse json")?;
            Ok(entries.unwrap_or_default())
        }
        Format::Values => {
            let values = text.lines().map(str::trim).filter(|line| !line.is_empty());
            Ok(values.map(|value| Entry { value: value.to_owned(), ..Entry::default() }).collect())
        }
        Format::Csv => csv(text),
    }
}

fn csv(text: &str) -> Result<Vec<Entry>> {
    let mut rows = csv_rows(text)
        .map_err(|line| anyhow!("unable to parse csv: the quote on line {line} does not end"))?
        .into_iter();
    let Some(header) = rows.next() else { return Ok(Vec::new()) };
    let header: Vec<String> = header.iter().map(|name| name.trim().to_lowercase()).collect();
    ensure!(header.iter().any(|name| name == "value"), "the first line must name a column 'value'");
    let mut entries = Vec::new();
    for row in rows {
        let mut entry = Entry::default();
        for (name, cell) in header.iter().zip(row) {
            let field = match name.as_str() {
                "value" => &mut entry.value,
                "duration" => &mut entry.duration,
                "reason" => &mut entry.reason,
                "scope" => &mut entry.scope,
                "type" => &mut entry.kind,
                // COMPAT(crowdsec): other columns, `origin` too, are left aside.
                _ => continue,
            };
            cell.trim().clone_into(field);
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn decisions(entries: &[Entry], args: &ImportArgs) -> Result<Vec<Decision>> {
    // A list has few lengths and many lines.
    let mut spans: HashMap<&str, String> = HashMap::new();
    let mut decisions = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let or = |text: &str, usual: &str| {
            if text.is_empty() { usual.to_owned() } else { text.to_owned() }
        };
        let value = entry.value.trim();
        ensure!(!value.is_empty(), "item {}: missing 'value'", index + 1);
        let written = if entry.duration.is_empty() { &args.duration } else { &entry.duration };
        let duration = match spans.get(written.as_str()) {
            Some(duration) => duration.clone(),
            None => {
                let span: Span = written
                    .parse()
                    .with_context(|| format!("item {}: invalid 'duration'", index + 1))?;
                spans.entry(written).or_insert_with(|| span.to_string()).clone()
            }
        };
        decisions.push(Decision {
            duration: Some(duration),
            origin: Some("cscli-import".to_owned()),
            scenario: Some(or(&entry.reason, &args.reason)),
            scope: Some(query::scope(&or(&entry.scope, &args.scope))),
            remediation: Some(or(&entry.kind, &args.decision_type)),
            value: Some(value.to_owned()),
            ..Decision::default()
        });
    }
    Ok(decisions)
}

/// Where a decision is stored: by address, other scopes behind.
fn place(decision: &Decision) -> (bool, Option<(std::net::IpAddr, u8)>) {
    let value = decision.value.as_deref().unwrap_or_default();
    let net = model::parse_target(value).ok().map(|net| (net.addr(), net.prefix_len()));
    (net.is_none(), net)
}

/// Leaves out what allowlists cover, and says so.
async fn without_allowed(
    client: &api::client::Client,
    mut decisions: Vec<Decision>,
    tool: &Tool,
) -> Result<Vec<Decision>> {
    // Mostly there are none, and one question tells.
    let lists = client.allowlists().await.map_err(query::refused)?;
    if lists.iter().all(|list| list.items.is_empty()) {
        return Ok(decisions);
    }
    let mut allowed: HashMap<String, String> = HashMap::new();
    let targets: Vec<String> = decisions
        .iter()
        .filter(|decision| matches!(decision.scope.as_deref(), Some("Ip" | "Range")))
        .filter_map(|decision| decision.value.clone())
        .collect();
    for targets in targets.chunks(CHECKED_AT_ONCE) {
        let reply = client.check_allowlists(targets).await.map_err(query::refused)?;
        for found in reply.results {
            allowed.insert(found.target, found.allowlists.join(", "));
        }
    }
    for target in targets {
        if let Some(lists) = allowed.get(&target) {
            tool.line(&format!("Value {target} is allowlisted by [{lists}]"))?;
        }
    }
    decisions.retain(|decision| {
        let is_target = matches!(decision.scope.as_deref(), Some("Ip" | "Range"));
        let value = decision.value.as_deref().unwrap_or_default();
        !(is_target && allowed.contains_key(value))
    });
    Ok(decisions)
}

/// A bar on a terminal; nothing elsewhere.
fn bar(n_decisions: usize) -> ProgressBar {
    let length = u64::try_from(n_decisions).unwrap_or(u64::MAX);
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} decisions {eta}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        import: ImportArgs,
    }

    fn args(line: &str) -> ImportArgs {
        Line::try_parse_from(line.split(' ')).unwrap().import
    }

    fn check(text: &str, format: Format, expect: &str) {
        let shown = entries(text, format).and_then(|entries| decisions(&entries, &args("x -i a")));
        let shown = match shown {
            Ok(decisions) => decisions
                .iter()
                .map(|it| {
                    let parts = [&it.scope, &it.value, &it.remediation, &it.duration, &it.scenario];
                    parts.map(|part| part.clone().unwrap()).join(" ")
                })
                .collect::<Vec<_>>()
                .join("\n"),
            Err(error) => format!("{error:#}"),
        };
        assert_eq!(shown, expect);
    }

    #[test]
    fn entries_are_filled_in() {
        check(
            "value,scope,duration,origin\n1.2.3.4,,,x\n\"1.2.3.0/24\", range ,2d,\n",
            Format::Csv,
            "Ip 1.2.3.4 ban 4h0m0s manual\nRange 1.2.3.0/24 ban 48h0m0s manual",
        );
        check(
            r#"[{"value": "1.2.3.4", "reason": "x y", "type": "captcha"}]"#,
            Format::Json,
            "Ip 1.2.3.4 captcha 4h0m0s x y",
        );
        check(
            " 1.2.3.4 \n\n::1\r\n",
            Format::Values,
            "Ip 1.2.3.4 ban 4h0m0s manual\nIp ::1 ban 4h0m0s manual",
        );
        check("null", Format::Json, "");
    }

    #[test]
    fn mistakes_name_their_place() {
        check("value\n1.2.3.4\n\"\"\n", Format::Csv, "item 2: missing 'value'");
        check("values\n1\n", Format::Csv, "the first line must name a column 'value'");
        check(
            "value,duration\n1.2.3.4,soon\n",
            Format::Csv,
            "item 1: invalid 'duration': time: invalid duration \"soon\"",
        );
        check("a\n\"b", Format::Csv, "unable to parse csv: the quote on line 2 does not end");
    }

    #[test]
    fn the_format_is_guessed_from_the_name() {
        let format = |line: &str| Format::of(&args(line)).map_err(|error| error.to_string());
        assert_eq!(format("x -i a.json"), Ok(Format::Json));
        assert_eq!(format("x -i a.b.csv"), Ok(Format::Csv));
        assert_eq!(format("x -i - --format values"), Ok(Format::Values));
        assert_eq!(
            format("x -i a --format xml").unwrap_err(),
            "invalid format 'xml', expected one of 'json', 'csv', 'values'"
        );
        assert!(format("x -i -").unwrap_err().starts_with("unable to guess format"));
        assert!(format("x -i a.values").is_err());
    }
}
