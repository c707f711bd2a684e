//! The guard under test: a few rules like those of the hub, and what it said.

use engine::{Engine, Limits, NoOutside, Outcome, Overflow};
use model::{Line, LineSource, SourceId, TimeMode, Timestamp};
use rules::{Compiled, FileKind, Options, Origin, SourceFile, compile};
use std::sync::Arc;

/// Lines that follow the wall clock.
pub(crate) const LIVE: SourceId = SourceId(0);

/// Lines that are judged by their own dates.
pub(crate) const REPLAY: SourceId = SourceId(1);

/// Noon of a day in 2024.
pub(crate) const NOON: i64 = 1_709_294_400;

/// An engine and what came out of it.
pub(crate) struct Guard {
    pub(crate) engine: Engine,
    pub(crate) overflows: Vec<Overflow>,
    pub(crate) now: Timestamp,
}

impl Guard {
    /// A guard with these rules, of which none may have an error.
    pub(crate) fn new(parsers: &[&str], scenarios: &[&str], limits: Limits) -> Self {
        let compiled = compiled(parsers, scenarios, &mut |_| None);
        assert!(!compiled.diagnostics.has_errors(), "{:?}", compiled.diagnostics);
        Self::with(compiled, limits)
    }

    pub(crate) fn with(compiled: Compiled, limits: Limits) -> Self {
        let program = Arc::new(compiled.program);
        let mut engine = Engine::new(program, Arc::new(NoOutside), limits, 7);
        engine.parser.add_source(LIVE, LineSource::default());
        let replay = LineSource { time_mode: TimeMode::Event, ..LineSource::default() };
        engine.parser.add_source(REPLAY, replay);
        Self { engine, overflows: Vec::new(), now: Timestamp::from_unix(NOON, 0) }
    }

    /// Takes a line as if it had just arrived.
    pub(crate) fn line(&mut self, text: impl AsRef<[u8]>) -> Outcome {
        self.line_from(LIVE, text)
    }

    pub(crate) fn line_from(&mut self, source: SourceId, text: impl AsRef<[u8]>) -> Outcome {
        let line = Line { text: text.as_ref(), source, read_at: self.now };
        self.engine.process(line, self.now, &mut self.overflows)
    }

    /// Who was reported, in order.
    pub(crate) fn sources(&self) -> Vec<&str> {
        self.overflows.iter().map(|overflow| overflow.alert.source.value.as_str()).collect()
    }
}

/// Compiles rules; `data` answers for data files.
pub(crate) fn compiled(
    parsers: &[&str],
    scenarios: &[&str],
    data: &mut dyn FnMut(&str) -> Option<String>,
) -> Compiled {
    let file = |kind: FileKind, name: String, text: &str| SourceFile {
        kind,
        name,
        text: text.to_owned(),
        origin: Origin::Local,
    };
    let mut files = Vec::new();
    for (n, text) in parsers.iter().enumerate() {
        let stage = "s00-raw".to_owned();
        files.push(file(FileKind::Parser { stage }, format!("parser{n}"), text));
    }
    for (n, text) in scenarios.iter().enumerate() {
        files.push(file(FileKind::Scenario, format!("scenario{n}"), text));
    }
    compile(files, &mut |file| data(&file.dest_file), &Options::default())
}

/// Failed logins: `<date> failed <user> from <address>`.
pub(crate) const LOGINS: &str = r"
name: test/logins
filter: 'true'
onsuccess: next_stage
grok:
  pattern: '^%{NOTSPACE:date} failed %{DATA:user} from %{IP:ip}$'
  apply_on: Line.Raw
statics:
  - meta: source_ip
    expression: evt.Parsed.ip
  - meta: user
    expression: evt.Parsed.user
  - method: ParseDate
    expression: evt.Parsed.date
  - target: evt.MarshaledTime
    expression: evt.Enriched.MarshaledTime
";

/// Three failed logins overflow.
pub(crate) const BRUTE_FORCE: &str = r"
type: leaky
name: test/bf
description: brute force
filter: evt.Meta.source_ip != ''
groupby: evt.Meta.source_ip
capacity: 2
leakspeed: 10s
labels:
  remediation: true
";
