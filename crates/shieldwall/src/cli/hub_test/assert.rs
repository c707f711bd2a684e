//! Assertion files: one expression a line, each of which must hold.
//!
//! A line that is no expression breaks the whole test; one that cannot be evaluated is a failure and
//! the last line looked at. Unlike upstream, a line that does not hold is always a failure, whatever
//! its form.

use super::report::{Broken, Failure, rendered};
use engine::{
    NoOutside,
    data::DataFiles,
    eval::{Cx, Roots, Scratch},
    event::Event,
    expr::Expr,
    pool::Pool,
    value::{EvalError, Text, Value},
};
use model::{LineSource, SourceId, Timestamp};
use rules::expr::{check::Wanted, objects::Place};
use std::path::Path;
use syntax::{Diagnostics, Sources, Span};

/// What an assertion file says about a run.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// How many assertions there are.
    pub(super) n_asserts: usize,
    /// Those that do not hold.
    pub(super) failures: Vec<Failure>,
}

/// Evaluates the assertions in `text`, which is what `file` holds.
pub(super) fn check(
    file: &Path,
    text: &str,
    results: Value,
    data: &DataFiles,
    now: Timestamp,
) -> Result<Verdict, Broken> {
    let mut bench = Bench::new(results, data, now);
    let mut verdict = Verdict::default();
    for (index, line) in text.lines().enumerate() {
        let assert = line.trim();
        if assert.is_empty() {
            continue;
        }
        let number = index + 1;
        verdict.n_asserts += 1;
        let compared = by_base_name(assert);
        let compared = compared.as_deref().unwrap_or(assert);
        let expr = bench.compile(compared, Wanted::Bool).map_err(|errors| {
            // What was rewritten has no places of its own.
            let is_as_written = compared == assert;
            compile_error(file, text, number, line, is_as_written, errors)
        })?;
        let result = bench.test(&expr);
        if result == Ok(true) {
            continue;
        }
        let found = match &result {
            Ok(_) => bench.value_found(compared),
            Err(error) => Some(error.to_string()),
        };
        verdict.failures.push(Failure {
            file: file.to_owned(),
            line: number,
            assert: assert.to_owned(),
            found,
        });
        if result.is_err() {
            // What is missing here will be missing in the lines that follow.
            break;
        }
    }
    Ok(verdict)
}

/// COMPAT(crowdsec): old assertions compare paths of logs, which then were relative. They mean the
/// last part of the path.
fn by_base_name(assert: &str) -> Option<String> {
    if !assert.contains("datasource_path") || assert.contains("basename(") {
        return None;
    }
    let mut parts = assert.split("==");
    let (left, right) = (parts.next()?, parts.next()?);
    Some(format!("basename({}) == {}", left.trim(), right.trim()))
}

fn compile_error(
    file: &Path,
    text: &str,
    number: usize,
    line: &str,
    is_as_written: bool,
    errors: Vec<rules::expr::ExprError>,
) -> Broken {
    let mut sources = Sources::new();
    let mut diagnostics = Diagnostics::new();
    let id = sources.add(file.display().to_string(), text);
    let start: usize = text.lines().take(number - 1).map(|line| line.len() + 1).sum();
    let start = start + (line.len() - line.trim_start().len());
    let whole = Span::new(id, start, start + line.trim().len());
    diagnostics.extend(errors.into_iter().map(|error| {
        error.into_diagnostic(
            |range| {
                if is_as_written { whole.sub(range.start, range.end) } else { whole }
            },
        )
    }));
    Broken::Diagnostics(rendered(&diagnostics, &sources))
}

/// Where assertions are evaluated.
struct Bench<'a> {
    pool: Pool,
    event: Event,
    scratch: Scratch,
    roots: Roots,
    data: &'a DataFiles,
    now: Timestamp,
}

impl<'a> Bench<'a> {
    fn new(results: Value, data: &'a DataFiles, now: Timestamp) -> Self {
        let pool = Pool::new();
        Self {
            event: Event::new(pool.n_fields()),
            pool,
            scratch: Scratch::default(),
            roots: Roots { results: Some(results), no_event: true, ..Roots::default() },
            data,
            now,
        }
    }

    fn compile(&mut self, text: &str, wanted: Wanted) -> Result<Expr, Vec<rules::expr::ExprError>> {
        rules::compile_expr(text, Place::HubTest, wanted, &mut self.pool, self.data)
    }

    fn cx(&mut self) -> Cx<'_> {
        // Texts an expression makes go to the event's arena, which starts empty each time.
        self.event.begin_line(SourceId(0), &LineSource::default(), b"", &self.pool);
        self.scratch.begin();
        Cx {
            pool: &self.pool,
            data: self.data,
            event: &mut self.event,
            scratch: &mut self.scratch,
            outside: &NoOutside,
            now: self.now,
            roots: &self.roots,
        }
    }

    fn test(&mut self, expr: &Expr) -> Result<bool, EvalError> {
        self.cx().test(expr)
    }

    /// The value of what an assertion compares: what stands left of `==`, or right of `in`.
    fn value_found(&mut self, assert: &str) -> Option<String> {
        let left = assert.match_indices(" == ").map(|(at, _)| &assert[..at]);
        let right = assert.match_indices(" in ").map(|(at, word)| &assert[at + word.len()..]);
        left.chain(right).find_map(|side| {
            let expr = self.compile(side, Wanted::Anything).ok()?;
            let mut cx = self.cx();
            match cx.eval(&expr) {
                Ok(value) => Some(printed(&value, &cx)),
                Err(error) => Some(error.to_string()),
            }
        })
    }
}

/// Longest value that is shown, in bytes.
const LONGEST: usize = 400;

fn printed(value: &Value, cx: &Cx<'_>) -> String {
    let mut text = match value {
        Value::Text(text) => quote(text, cx),
        Value::List(items) if items.iter().all(|item| matches!(item, Value::Text(_))) => {
            let items: Vec<String> = items.iter().map(|item| printed(item, cx)).collect();
            format!("[{}]", items.join(", "))
        }
        other => cx.print(other),
    };
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    text
}

fn quote(text: &Text, cx: &Cx<'_>) -> String {
    serde_json::Value::from(text.get(cx.event, cx.pool)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    fn report(text: &str) -> String {
        let results = Value::list(vec![Value::shared("/tmp/x/a.log"), Value::shared("b")]);
        let data = DataFiles::default();
        match check(Path::new("t.assert"), text, results, &data, Timestamp::default()) {
            Ok(verdict) => {
                let mut out = format!("{} asserts\n", verdict.n_asserts);
                for failure in verdict.failures {
                    let found = failure.found.unwrap_or_default();
                    writeln!(out, "{}: {} -> {found}", failure.line, failure.assert).unwrap();
                }
                out
            }
            Err(broken) => broken.to_string(),
        }
    }

    #[test]
    fn what_does_not_hold_is_shown_with_its_value() {
        assert_eq!(report("len(results) == 2\n\n  results[1] == \"b\"  \n"), "2 asserts\n");
        assert_eq!(report("results[1] == \"c\"\n"), "1 asserts\n1: results[1] == \"c\" -> \"b\"\n");
        assert_eq!(report("len(results) == 3"), "1 asserts\n1: len(results) == 3 -> 2\n");
    }

    #[test]
    fn falsehoods_of_any_form_are_failures() {
        assert_eq!(
            report("\"z\" in results\nresults[1] != \"b\"\n"),
            "2 asserts\n1: \"z\" in results -> [\"/tmp/x/a.log\", \"b\"]\n2: results[1] != \"b\" -> \n"
        );
    }

    #[test]
    fn paths_of_logs_are_compared_by_their_last_part() {
        assert_eq!(by_base_name("results[0] == \"a.log\""), None);
        assert_eq!(by_base_name("basename(x[\"datasource_path\"]) == \"a\""), None);
        let rewritten = by_base_name("x[\"datasource_path\"] == \"a.log\"");
        assert_eq!(rewritten.as_deref(), Some("basename(x[\"datasource_path\"]) == \"a.log\""));
        assert_eq!(report("basename(results[0]) == \"a.log\""), "1 asserts\n");
    }

    #[test]
    fn what_is_no_assertion_breaks_the_test() {
        let error = report("len(results) == 2\nlen(results) ==\n");
        assert!(error.contains("t.assert:2"), "{error}");
        assert!(report("'a'").contains("t.assert:1"));
    }

    #[test]
    fn what_cannot_be_evaluated_is_the_last_failure() {
        assert_eq!(
            report("len(results) == 8\nresults[7] == \"b\"\nresults[8] == \"c\""),
            "2 asserts\n1: len(results) == 8 -> 2\n2: results[7] == \"b\" -> index out of range: \
             the list has 2 elements\n"
        );
    }
}
