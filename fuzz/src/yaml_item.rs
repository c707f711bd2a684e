//! Rule files: any text taken for any kind of file, compiled, explained and run.
//!
//! The first byte of the input names the kind ([`KINDS`]); the rest is the text. Compiling must end
//! with a program; every diagnostic must render, without a control character in it; and the program
//! must take lines without complaint, whatever rules it was made of.

use super::bytes::{Bytes, text};
use engine::{Engine, Limits, NoOutside, Overflow, Pours, Settler};
use model::{Line, LineSource, SourceId, TimeMode, Timestamp};
use rules::{FileKind, Options, Origin, SourceFile, compile};
use std::collections::BTreeMap;
use std::sync::Arc;
use syntax::{Style, render};

/// Longest file, so that an input is a matter of milliseconds.
const MAX_TEXT: usize = 30_000;

/// Lines every program is given: with fields most rules look for.
const LINES: &[&[u8]] = &[
    b"Feb 12 14:10:21 host sshd[1]: Failed password for root from 192.0.2.7 port 22 ssh2",
    br#"192.0.2.7 - - [01/Jan/2024:00:00:00 +0000] "GET /x HTTP/1.1" 404 0 "-" "nikto""#,
    br#"{"a":{"b":[1,"x"]},"source_ip":"192.0.2.7"}"#,
    b"\xff\x00",
];

/// Runs the target.
pub fn run(data: &[u8]) {
    let mut input = Bytes(data);
    let kind = kind(input.byte());
    let text = text(input.rest());
    if MAX_TEXT < text.len() {
        return;
    }
    let mut files = vec![file(kind.clone(), "fuzz", text)];
    if matches!(kind, FileKind::Scenario | FileKind::Postoverflow { .. } | FileKind::Context) {
        files.push(file(
            FileKind::Parser { stage: "s00-raw".to_owned() },
            "parser",
            PARSER.to_owned(),
        ));
    }
    if matches!(kind, FileKind::Postoverflow { .. } | FileKind::Context | FileKind::Simulation) {
        files.push(file(FileKind::Scenario, "scenario", SCENARIO.to_owned()));
    }
    let mut data = |file: &rules::item::DataFile| {
        (!file.dest_file.contains("missing")).then(|| DATA.to_owned())
    };
    let compiled = compile(files, &mut data, &Options { keep_all: true, ..Options::default() });
    for diagnostic in compiled.diagnostics.iter().take(20) {
        for style in [Style { color: false, width: 100 }, Style { color: true, width: 0 }] {
            let shown = render(diagnostic, &compiled.sources, style);
            let clean = style.color || !shown.chars().any(|c| c.is_control() && c != '\n');
            assert!(clean, "{shown:?}");
        }
    }
    take_lines(compiled.program);
}

fn kind(byte: u8) -> FileKind {
    match byte {
        b'p' => FileKind::Parser { stage: "s01-parse".to_owned() },
        b's' => FileKind::Scenario,
        b'o' => FileKind::Postoverflow { stage: "s00-enrich".to_owned() },
        b'c' => FileKind::Context,
        b'C' => FileKind::ConsoleContext,
        b'S' => FileKind::Simulation,
        b'g' => FileKind::Patterns,
        byte if byte % 2 == 0 => FileKind::Parser { stage: "s00-raw".to_owned() },
        _ => FileKind::Scenario,
    }
}

fn file(kind: FileKind, name: &str, text: String) -> SourceFile {
    SourceFile { kind, name: name.to_owned(), text, origin: Origin::Local }
}

fn take_lines(program: engine::Program) {
    let program = Arc::new(program);
    let outside = Arc::new(NoOutside);
    let limits = Limits { buckets: 100, queue: 10 };
    let mut engine = Engine::new(Arc::clone(&program), outside.clone(), limits, 7);
    let mut settler = Settler::new(program, outside);
    for (id, time_mode) in [(SourceId(0), TimeMode::Live), (SourceId(1), TimeMode::Event)] {
        let labels = BTreeMap::from([("type".to_owned(), "syslog".to_owned())]);
        engine.parser.add_source(id, LineSource { labels, time_mode, ..LineSource::default() });
    }
    let mut overflows: Vec<Overflow> = Vec::new();
    for round in 0..3 {
        let now = Timestamp::from_unix(1_700_000_000 + 40 * round, 0);
        engine.advance(now, &mut overflows);
        for text in LINES {
            for source in [SourceId(0), SourceId(1)] {
                engine.process(Line { text, source, read_at: now }, now, &mut overflows);
            }
        }
        // Once: what overflows feed on each other need not end, and whoever drives the engine
        // bounds that.
        let mut pours = Pours::default();
        for overflow in overflows.drain(..) {
            let settled = settler.settle(overflow, now, &mut pours);
            assert!(!settled.into_alerts().is_empty());
        }
        engine.pour(&pours, &mut overflows);
        overflows.clear();
        assert!(engine.buckets.table.len() <= limits.buckets);
    }
}

/// Gives scenarios something to count.
const PARSER: &str = "\
name: fuzz/parser
filter: 'true'
onsuccess: next_stage
statics:
  - meta: source_ip
    value: 192.0.2.7
  - meta: log_type
    value: fuzz
  - target: evt.MarshaledTime
    value: '2024-01-01T00:00:00Z'
";

/// Gives postoverflows something to see.
const SCENARIO: &str = "\
type: trigger
name: fuzz/trigger
description: everything
filter: 'true'
labels:
  remediation: true
";

/// What every data file holds: lines, patterns, and a row of a map.
const DATA: &str = "\
{\"pattern\":\"nikto\",\"tag\":\"scanner\",\"type\":\"contains\"}
";
