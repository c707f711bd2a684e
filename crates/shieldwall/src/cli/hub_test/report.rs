//! What became of a test, and how it is told.

use std::{fmt, path::PathBuf};
use syntax::{Diagnostics, Severity, Sources, Style};

/// What became of a test.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Every assertion holds.
    Passed {
        /// How many there are.
        n_asserts: usize,
    },
    /// Some do not.
    Failed {
        /// How many there are.
        n_asserts: usize,
        /// Those that do not hold.
        failures: Vec<Failure>,
    },
    /// It could not be run.
    Broken(Broken),
    /// Assertions were written for it.
    Written(Vec<(PathBuf, usize)>),
}

impl Outcome {
    /// Whether the test counts as passed.
    pub(super) fn is_good(&self) -> bool {
        matches!(self, Self::Passed { .. } | Self::Written(_))
    }
}

/// An assertion that does not hold.
#[derive(Debug)]
pub(super) struct Failure {
    /// The file it stands in.
    pub(super) file: PathBuf,
    /// The line, from one.
    pub(super) line: usize,
    /// Its text.
    pub(super) assert: String,
    /// The value of what was compared, as far as it could be told.
    pub(super) found: Option<String>,
}

/// Why a test could not be run.
#[derive(Debug)]
pub(super) enum Broken {
    /// In one sentence.
    Plain(String),
    /// Rules or assertions are wrong: rendered diagnostics.
    Diagnostics(String),
    /// The world refused.
    World(anyhow::Error),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => f.write_str(text),
            Self::Diagnostics(text) => f.write_str(text.trim_end()),
            Self::World(error) => write!(f, "{error:#}"),
        }
    }
}

impl From<anyhow::Error> for Broken {
    fn from(error: anyhow::Error) -> Self {
        Self::World(error)
    }
}

/// Columns of excerpts in reports.
const WIDTH: usize = 100;

/// The errors among diagnostics, as text. Reports are kept and compared, so they have no color.
pub(super) fn rendered(diagnostics: &Diagnostics, sources: &Sources) -> String {
    let style = Style { color: false, width: WIDTH };
    let errors = diagnostics.iter().filter(|it| it.severity == Severity::Error);
    errors.map(|diagnostic| syntax::render(diagnostic, sources, style)).collect()
}

/// The failures of one test that are shown in full.
const SHOWN: usize = 10;

/// Writes what became of the test called `name`.
pub(super) fn describe(name: &str, outcome: &Outcome) -> String {
    let mut text = String::new();
    match outcome {
        Outcome::Passed { n_asserts } => {
            line(&mut text, format_args!("ok   {name} ({})", count(*n_asserts)));
        }
        Outcome::Written(files) => {
            for (path, n_asserts) in files {
                let path = path.display();
                line(&mut text, format_args!("new  {name}: wrote {path} ({})", count(*n_asserts)));
            }
        }
        Outcome::Failed { n_asserts, failures } => {
            let n = failures.len();
            line(&mut text, format_args!("FAIL {name}: {n} of {} do not hold", count(*n_asserts)));
            for failure in failures.iter().take(SHOWN) {
                let Failure { file, line: number, assert, found } = failure;
                line(&mut text, format_args!("  {}:{number}", file.display()));
                line(&mut text, format_args!("    {assert}"));
                let found = found.as_deref().unwrap_or("no value");
                line(&mut text, format_args!("    found: {found}"));
            }
            if n > SHOWN {
                line(&mut text, format_args!("  … and {} more", n - SHOWN));
            }
        }
        Outcome::Broken(broken) => {
            line(&mut text, format_args!("FAIL {name}: could not be run"));
            for reason in broken.to_string().lines() {
                line(&mut text, format_args!("  {reason}"));
            }
        }
    }
    text
}

fn count(n_asserts: usize) -> String {
    let s = if n_asserts == 1 { "" } else { "s" };
    format!("{n_asserts} assertion{s}")
}

fn line(text: &mut String, words: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _infallible = fmt::Write::write_fmt(text, words);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_assertion_value_and_place() {
        let failure = Failure {
            file: ".tests/x/parser.assert".into(),
            line: 3,
            assert: "len(results) == 3".into(),
            found: Some("2".into()),
        };
        let text = describe("x", &Outcome::Failed { n_asserts: 9, failures: vec![failure] });
        assert_eq!(
            text,
            "FAIL x: 1 of 9 assertions do not hold\n  .tests/x/parser.assert:3\n    \
             len(results) == 3\n    found: 2\n"
        );
    }

    #[test]
    fn long_lists_are_cut() {
        let failure =
            |line| Failure { file: "a".into(), line, assert: "false".into(), found: None };
        let failures = (1..=12).map(failure).collect();
        let text = describe("x", &Outcome::Failed { n_asserts: 12, failures });
        assert!(text.ends_with("  … and 2 more\n"), "{text}");
    }
}
