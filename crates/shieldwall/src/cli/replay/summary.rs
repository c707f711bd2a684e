//! What a replay found, in numbers.

use crate::{
    run::replay::Tally,
    terminal::{count, quoted, thousands},
};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use engine::Program;
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write as _};

/// The summary as JSON.
#[derive(Serialize)]
pub(super) struct Wire<'a> {
    lines: u64,
    parsed: u64,
    unparsed: u64,
    whitelisted: u64,
    /// Lines of event time that carried no date and were in no bucket.
    undated: u64,
    cut: u64,
    errors: u64,
    alerts: u64,
    whitelisted_alerts: u64,
    buckets: usize,
    seconds: f64,
    lines_per_second: u64,
    alerts_by_scenario: &'a BTreeMap<String, u64>,
    parsers: Vec<ParserRow<'a>>,
    scenarios: BTreeMap<&'a str, ScenarioRow>,
}

/// What a parser of the first level did.
#[derive(Serialize)]
struct ParserRow<'a> {
    stage: &'a str,
    name: &'a str,
    entered: u64,
    succeeded: u64,
    failed: u64,
}

#[derive(Default, Serialize)]
struct ScenarioRow {
    poured: u64,
    buckets: u64,
    overflowed: u64,
    expired: u64,
}

impl<'a> Wire<'a> {
    pub(super) fn new(tally: &'a Tally, program: &'a Program) -> Self {
        let counters = &tally.counters;
        let mut scenarios: BTreeMap<&str, ScenarioRow> = BTreeMap::new();
        for (scenario, count) in program.scenarios.iter().zip(&tally.scenarios) {
            if count.poured + count.created > 0 {
                let row = scenarios.entry(&scenario.name).or_default();
                row.poured += count.poured;
                row.buckets += count.created;
                row.overflowed += count.overflowed;
                row.expired += count.expired;
            }
        }
        Self {
            lines: counters.lines,
            parsed: counters.parsed,
            unparsed: counters.lines - counters.parsed,
            whitelisted: counters.whitelisted,
            undated: counters.undated,
            cut: tally.n_cut,
            errors: counters.errors,
            alerts: tally.n_alerts,
            whitelisted_alerts: tally.n_whitelisted,
            buckets: tally.n_buckets,
            seconds: tally.wall.as_secs_f64(),
            lines_per_second: lines_per_second(tally),
            alerts_by_scenario: &tally.alerts_by_scenario,
            parsers: parsers(tally, program).collect(),
            scenarios,
        }
    }
}

/// Parsers that some line entered, in the order they are tried.
fn parsers<'a>(tally: &'a Tally, program: &'a Program) -> impl Iterator<Item = ParserRow<'a>> {
    program.parsers.iter().flat_map(move |stage| {
        stage.nodes.iter().filter_map(move |node| {
            let index = usize::try_from(node.id).ok()?;
            let count = tally.counters.nodes.get(index).filter(|count| count.hits > 0)?;
            Some(ParserRow {
                stage: program.pool.lit_text(stage.name),
                name: &node.name,
                entered: count.hits,
                succeeded: count.ok,
                failed: count.hits.saturating_sub(count.ok),
            })
        })
    })
}

fn lines_per_second(tally: &Tally) -> u64 {
    let micros = u64::try_from(tally.wall.as_micros()).unwrap_or(u64::MAX).max(1);
    tally.counters.lines.saturating_mul(1_000_000) / micros
}

/// The summary for people.
pub(super) fn human(tally: &Tally, program: &Program, color: bool) -> String {
    let counters = &tally.counters;
    let (bold, reset) = if color { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let mut text = String::new();
    // Writing to a string cannot fail, here and below.
    let _infallible = write!(
        text,
        "{bold}{}{reset}: {} parsed, {} unparsed",
        count(counters.lines, "line"),
        thousands(counters.parsed),
        thousands(counters.lines - counters.parsed),
    );
    for (n, what) in [
        (counters.whitelisted, "whitelisted"),
        (tally.n_cut, "cut for their length"),
        (counters.errors, "failed expressions"),
    ] {
        if n > 0 {
            let _infallible = write!(text, ", {} {what}", thousands(n));
        }
    }
    let _infallible = writeln!(
        text,
        " in {:.2} s ({} lines/s)",
        tally.wall.as_secs_f64(),
        thousands(lines_per_second(tally))
    );
    if counters.undated > 0 {
        let _infallible = writeln!(
            text,
            "{} without a date could not be poured; is a date parser installed \
             (crowdsecurity/dateparse-enrich)?",
            count(counters.undated, "line")
        );
    }
    let mut table = table(&["parser", "stage", "lines", "parsed", "unparsed"]);
    for row in parsers(tally, program) {
        let (name, stage) = (quoted(row.name), quoted(row.stage));
        let numbers = [row.entered, row.succeeded, row.failed].map(thousands);
        table.add_row([name, stage].into_iter().chain(numbers));
    }
    append(&mut text, &table, 2);
    let _infallible = write!(text, "{bold}{}{reset}", count(tally.n_alerts, "alert"));
    if tally.n_whitelisted > 0 {
        let _infallible = write!(text, ", {} whitelisted", thousands(tally.n_whitelisted));
    }
    text.push('\n');
    let mut by_count: Vec<_> = tally.alerts_by_scenario.iter().collect();
    by_count.sort_by_key(|(name, n)| (std::cmp::Reverse(**n), *name));
    let mut table = self::table(&["scenario", "alerts"]);
    for (name, n) in by_count {
        table.add_row([quoted(name), thousands(*n)]);
    }
    append(&mut text, &table, 1);
    text
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().copied());
    table
}

/// Adds a table unless it is empty; its columns from `first_number` on hold numbers.
fn append(text: &mut String, table: &Table, first_number: usize) {
    if table.row_count() == 0 {
        return;
    }
    let mut table = table.clone();
    for column in table.column_iter_mut().skip(first_number) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for line in table.lines() {
        // The first column brings a blank of its own.
        text.push(' ');
        text.push_str(line.trim_end());
        text.push('\n');
    }
}
