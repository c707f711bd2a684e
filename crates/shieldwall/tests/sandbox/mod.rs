//! A directory with a few rules of our own, and the real program to run in it.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod http;

pub(crate) mod running;

use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Lines `date who what`: `demo 192.0.2.1 fail root`.
pub(crate) const PARSER: &str = r#"
name: test/demo
description: reads demo lines
filter: evt.Line.Labels.type == 'demo'
onsuccess: next_stage
grok:
  pattern: '^%{DATE_Y:date} %{WORD:what} from %{ADDR:source}$'
  apply_on: Line.Raw
pattern_syntax:
  DATE_Y: '\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ'
  ADDR: '[0-9a-f.:]+'
statics:
  - target: evt.StrTime
    expression: evt.Parsed.date
  - meta: source_ip
    expression: evt.Parsed.source
  - meta: log_type
    expression: evt.Parsed.what
"#;

pub(crate) const DATES: &str = r#"
name: test/dates
description: reads dates
filter: evt.StrTime != ''
statics:
  - method: ParseDate
    expression: evt.StrTime
  - target: evt.MarshaledTime
    expression: evt.Enriched.MarshaledTime
"#;

/// The third failure within a minute.
pub(crate) const SCENARIO: &str = r#"
type: leaky
name: test/three-fails
description: three failures
filter: evt.Meta.log_type == 'fail'
groupby: evt.Meta.source_ip
capacity: 2
leakspeed: 60s
labels:
  remediation: true
"#;

/// A temporary directory with rules installed in it.
pub(crate) struct Sandbox {
    dir: TempDir,
}

impl Sandbox {
    /// A sandbox with the rules above.
    pub(crate) fn new() -> Self {
        let sandbox = Self { dir: tempfile::tempdir().expect("a temporary directory") };
        sandbox.write("etc/parsers/s01-parse/demo.yaml", PARSER);
        sandbox.write("etc/parsers/s02-enrich/dates.yaml", DATES);
        sandbox.write("etc/scenarios/three-fails.yaml", SCENARIO);
        sandbox
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path(path);
        let dir = path.parent().expect("a file has a directory");
        fs::create_dir_all(dir).expect("a directory");
        fs::write(&path, text).expect("written");
        path
    }

    /// Adds to a file, as a server adds to its log.
    pub(crate) fn append(&self, path: &str, text: &str) {
        use std::io::Write as _;
        let file = fs::OpenOptions::new().append(true).create(true).open(self.path(path));
        file.expect("opened").write_all(text.as_bytes()).expect("written");
    }

    /// The program, in this directory and with nothing from outside.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_as(Path::new(env!("CARGO_BIN_EXE_shieldwall")), args)
    }

    /// The program under another name.
    pub(crate) fn command_as(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.dir.path()).env_clear();
        command.env("TZ", "UTC").env("XDG_STATE_HOME", self.path("state"));
        command.stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::new(self.command(args).output().expect("the program runs"))
    }
}

/// What came of a run.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// The output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.out, self.err))
    }
}

/// Failures of one address, one each second from a minute on.
pub(crate) fn fails(minute: u32, address: &str, n: u32) -> String {
    (0..n)
        .map(|second| format!("2024-03-01T10:{minute:02}:{second:02}Z fail from {address}\n"))
        .collect()
}

/// Waits until `found` gives something. A machine under load may be slow; a broken program is told
/// apart from it by a generous limit.
pub(crate) fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "waited too long for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
