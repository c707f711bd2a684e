//! An explanation as a tree for people.
//!
//! Everything a log or a rule can influence is shown with [`quoted`], so it cannot act on the
//! terminal (I12).

use super::{
    Explained, Outcome, Shown,
    buckets::{BucketState, ScenarioTrace},
    fields::Changes,
    near::Near,
    reads::Read,
    trace::{Ending, NodeTrace, Refusal, StageTrace},
};
use crate::{report, terminal::quoted};
use std::fmt::Write as _;

/// Colors, or nothing.
struct Paint {
    good: &'static str,
    bad: &'static str,
    dim: &'static str,
    bold: &'static str,
    end: &'static str,
}

const PLAIN: Paint = Paint { good: "", bad: "", dim: "", bold: "", end: "" };
const COLORS: Paint =
    Paint { good: "\x1b[32m", bad: "\x1b[31m", dim: "\x1b[2m", bold: "\x1b[1m", end: "\x1b[0m" };

/// Writes an explanation.
pub(super) fn write(explained: &Explained, shown: Shown, color: bool) -> String {
    let paint = if color { &COLORS } else { &PLAIN };
    let mut tree = Tree { text: String::new(), paint, shown };
    tree.explained(explained);
    tree.text
}

struct Tree<'a> {
    text: String,
    paint: &'a Paint,
    shown: Shown,
}

impl Tree<'_> {
    fn line(&mut self, indent: &str, words: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _infallible = writeln!(self.text, "{indent}{words}");
    }

    fn explained(&mut self, explained: &Explained) {
        let Paint { good, bad, bold, end, .. } = *self.paint;
        self.line(
            "",
            format_args!("{bold}line{end} {}: {}", explained.number, quoted(&explained.text)),
        );
        self.stages(&explained.stages);
        match &explained.outcome {
            Outcome::Parsed => self.line("└ ", format_args!("{good}parser success{end}")),
            Outcome::Whitelisted { reason } => self.line(
                "└ ",
                format_args!(
                    "{good}parser success, ignored by whitelist{end} ({})",
                    quoted(reason)
                ),
            ),
            Outcome::Unparsed => self.line("└ ", format_args!("{bad}parser failure{end}")),
        }
        if !explained.scenarios.is_empty() {
            self.line("", format_args!("{bold}scenarios{end}"));
            for scenario in &explained.scenarios {
                self.scenario(scenario);
            }
        }
        for overflow in &explained.overflows {
            let color = !end.is_empty();
            for alert in &overflow.alerts {
                self.line("", format_args!("{bold}alert{end} {}", report::human(alert, color)));
            }
            self.stages(&overflow.stages);
            if let Some(reason) = &overflow.whitelisted {
                self.line("└ ", format_args!("ignored by whitelist ({})", quoted(reason)));
            } else if overflow.reprocessed {
                self.line("└ ", format_args!("goes back to the scenarios"));
            }
            for scenario in &overflow.scenarios {
                self.scenario(scenario);
            }
        }
        self.text.push('\n');
    }

    fn stages(&mut self, stages: &[StageTrace]) {
        for stage in stages {
            self.line("├ ", format_args!("{}", quoted(&stage.name)));
            for node in &stage.nodes {
                self.node(TOP, node);
            }
        }
    }

    fn node(&mut self, indent: &str, node: &NodeTrace) {
        let Paint { good, bad, dim, end, .. } = *self.paint;
        if !node.succeeded() && self.shown.only_successful {
            return;
        }
        let name = called(node, indent);
        let inner = format!("{indent}  ");
        match &node.ending {
            Ending::Success { changes, whitelisted } => {
                let mut note = String::new();
                if whitelisted.is_some() {
                    note.push_str(" [whitelisted]");
                }
                if indent == TOP {
                    note.push(' ');
                    note.push_str(&summary(changes));
                }
                self.line(indent, format_args!("{good}✓ {name}{end}{note}"));
                if self.shown.verbose {
                    self.changes(&inner, changes);
                }
            }
            Ending::Filtered { filter, reads } => {
                self.line(
                    indent,
                    format_args!("{dim}✗ {name}: filter {}{end}", filtered(filter, reads)),
                );
            }
            Ending::Aborted { assign, gave } => {
                let assign = quoted(&one_line(assign));
                self.line(
                    indent,
                    format_args!(
                        "{bad}✗ {name}{end}: its static `{assign}` gives {gave}, which cannot be \
                         stored: the line is lost"
                    ),
                );
            }
            Ending::Failed { refusal } => {
                let why = match refusal {
                    Some(refusal) => refused(refusal),
                    None if node.children.is_empty() => "refused".to_owned(),
                    None => "none of its nodes took the line".to_owned(),
                };
                self.line(indent, format_args!("{bad}✗ {name}{end}: {why}"));
                // All children are shown below anyway when everything is wanted.
                let nearest = node.nearest().filter(|_| !self.shown.verbose);
                if let Some((below, near)) =
                    nearest.filter(|(below, _)| !std::ptr::eq(*below, node))
                {
                    let why = how_near(near);
                    let name = called(below, &inner);
                    self.line(&inner, format_args!("nearest: {name}: {why}"));
                }
            }
        }
        if self.shown.verbose {
            for child in &node.children {
                self.node(&inner, child);
            }
        }
    }

    fn changes(&mut self, indent: &str, changes: &Changes) {
        let Paint { good, bad, dim, end, .. } = *self.paint;
        for (field, text) in &changes.created {
            self.line(indent, format_args!("{good}+{end} {}: {}", quoted(field), value(text)));
        }
        for (field, (old, new)) in &changes.updated {
            let (old, new) = (value(old), value(new));
            self.line(indent, format_args!("~ {}: {dim}{old} →{end} {new}", quoted(field)));
        }
        for (field, text) in &changes.deleted {
            self.line(indent, format_args!("{bad}-{end} {}: {}", quoted(field), value(text)));
        }
    }

    fn scenario(&mut self, scenario: &ScenarioTrace) {
        let Paint { bold, end, .. } = *self.paint;
        let name = quoted(&scenario.name);
        let of = if scenario.partition.is_empty() {
            String::new()
        } else {
            format!(" [{}]", quoted(&scenario.partition))
        };
        let state = match &scenario.state {
            BucketState::Waiting { n_events, capacity: Some(capacity), in_use } => {
                let s = if *n_events == 1 { "" } else { "s" };
                format!("{n_events} event{s}, {in_use:.1} of {capacity} in use")
            }
            BucketState::Waiting { n_events, capacity: None, .. } => {
                let s = if *n_events == 1 { "" } else { "s" };
                format!("{n_events} event{s}")
            }
            BucketState::Duplicate => "not counted: its distinct value was seen before".to_owned(),
            BucketState::Overflowed => format!("{bold}overflow{end}"),
            BucketState::Silenced => {
                "overflow, kept silent by overflow_filter, blackhole or for want of a source"
                    .to_owned()
            }
            BucketState::Canceled => "ended by cancel_on".to_owned(),
            BucketState::Undated => "not poured: the line has no date".to_owned(),
        };
        self.line("├ ", format_args!("{name}{of}: {state}"));
    }
}

/// The indent of the nodes of a stage.
const TOP: &str = "│ ";

/// What a node is called. Most nodes below others have only the name of their parent to go by.
fn called(node: &NodeTrace, indent: &str) -> String {
    if indent != TOP && node.name.starts_with("child-") {
        return format!("node {}", node.place);
    }
    quoted(&node.name)
}

fn summary(changes: &Changes) -> String {
    if changes.is_empty() {
        return "(unchanged)".to_owned();
    }
    let counts =
        [('+', changes.created.len()), ('~', changes.updated.len()), ('-', changes.deleted.len())];
    let parts: Vec<String> =
        counts.iter().filter(|(_, n)| *n > 0).map(|(sign, n)| format!("{sign}{n}")).collect();
    format!("({})", parts.join(" "))
}

fn filtered(filter: &str, reads: &[Read]) -> String {
    let mut text = format!("`{}`", quoted(&one_line(filter)));
    let values: Vec<String> = reads
        .iter()
        .map(|read| match &read.value {
            Some(value) => format!("{} is {}", quoted(&read.field), quoted(value)),
            None => format!("{} is not set", quoted(&read.field)),
        })
        .collect();
    text.push_str(" is false");
    if !values.is_empty() {
        text.push_str(": ");
        text.push_str(&values.join(", "));
    }
    text
}

/// A text whose line breaks are blanks.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn refused(refusal: &Refusal) -> String {
    match refusal {
        Refusal::NothingToRead { field } => format!("{} is not set", quoted(field)),
        Refusal::NotComputed { error } => format!("its text cannot be computed: {}", quoted(error)),
        Refusal::NoField => "its pattern names no field, so it can never succeed".to_owned(),
        Refusal::Pattern(near) => how_near(near),
    }
}

fn how_near(near: &Near) -> String {
    let Near { matched, expected, column, found } = near;
    let (matched, expected) = (quoted(matched), quoted(expected));
    let found = if found.is_empty() {
        "the end of the text".to_owned()
    } else {
        format!("`{}`", quoted(found))
    };
    if matched.is_empty() {
        return format!("expected `{expected}`, not {found}");
    }
    format!("matched `{matched}`, then expected `{expected}` at column {column}: {found}")
}

fn value(text: &str) -> String {
    if text.is_empty() { "\"\"".to_owned() } else { quoted(text) }
}
