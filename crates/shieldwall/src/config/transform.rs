//! `transform:` of a datasource: an expression that says what a line becomes.
//!
//! A text is the line from then on; a list of texts is one line each, in order. Whatever else it
//! gives, errors included, leaves the line as it was: nothing is lost to a mistake. The expression
//! sees `evt` with nothing but the line, its source and its labels.

use super::raw::{Desk, value};
use crate::{clock::SystemClock, config::DnsSettings, outside::World, terminal};
use acquis::Transform;
use engine::{
    data::DataFiles,
    eval::{Cx, Roots, Scratch},
    event::Event,
    expr::Expr,
    pool::Pool,
    value::Value,
};
use model::{Line, LineSource, Time};
use rules::{
    compile_expr,
    expr::{ExprError, check::Wanted, objects::Place},
};
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};
use syntax::yaml::Yaml;
use tracing::{debug, warn};

/// Lines that one line may become; a line that would become more stays as it is.
const MAX_LINES: usize = 10_000;

/// Bytes they may have together.
const MAX_BYTES: usize = 16 << 20;

/// Reads the key of a datasource. What is wrong with the expression is reported.
pub(super) fn read(document: &Yaml, desk: &mut Desk) -> Option<Transform> {
    let written = value(document, "transform")?;
    let Some(scalar) = written.as_scalar().filter(|_| written.as_str().is_some()) else {
        desk.wrong(written, "`transform`", "an expression");
        return None;
    };
    // COMPAT(crowdsec): an empty one is none.
    if scalar.text.trim().is_empty() {
        return None;
    }
    match compile(&scalar.text) {
        Ok(transform) => Some(transform),
        Err(errors) => {
            for error in errors {
                let place = |range: std::ops::Range<usize>| scalar.locate(range.start, range.end);
                desk.report(error.into_diagnostic(place));
            }
            None
        }
    }
}

/// Reads an expression given on the command line.
///
/// # Errors
/// With everything that is wrong with it.
pub(crate) fn given(text: &str) -> anyhow::Result<Transform> {
    compile(text).map_err(|errors| {
        let errors: Vec<String> = errors.into_iter().map(|error| error.message).collect();
        anyhow::anyhow!("the expression {text:?}: {}", errors.join("; "))
    })
}

/// Compiles an expression.
fn compile(text: &str) -> Result<Transform, Vec<ExprError>> {
    let (mut pool, data) = (Pool::new(), DataFiles::default());
    let expr = compile_expr(text, Place::Event, Wanted::Anything, &mut pool, &data)?;
    let asked = Mutex::new(Asked {
        event: Event::new(pool.n_fields()),
        scratch: Scratch::default(),
        outside: World::open(None, DnsSettings::default(), &mut Vec::new()),
        pool,
        data,
        expr,
    });
    let text = terminal::quoted(text);
    let told = AtomicBool::new(false);
    Ok(Transform::new(move |source, line| {
        // Each line starts over, so a panic elsewhere leaves nothing half done.
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        match asked.made_of(source, line) {
            Ok(lines) => Some(lines),
            Err(reason) => {
                // Once, or a rule that never fits would fill the disk.
                if !told.swap(true, Ordering::Relaxed) {
                    warn!(transform = %text, reason, "a line is left as it is, and others may be");
                }
                debug!(transform = %text, reason, "a line is left as it is");
                None
            }
        }
    }))
}

/// The expression, and what it takes to evaluate it.
struct Asked {
    expr: Expr,
    pool: Pool,
    data: DataFiles,
    event: Event,
    scratch: Scratch,
    outside: World,
}

impl Asked {
    /// What a line becomes; why it stays as it is.
    fn made_of(&mut self, source: &LineSource, line: Line<'_>) -> Result<Vec<String>, String> {
        self.event.begin_line(line.source, source, line.text, &self.pool);
        self.event.time = Time::utc(SystemClock::wall());
        self.event.line_time = Time::utc(line.read_at);
        let roots = Roots::default();
        let mut cx = Cx {
            pool: &self.pool,
            data: &self.data,
            event: &mut self.event,
            scratch: &mut self.scratch,
            outside: &self.outside,
            now: SystemClock::wall(),
            roots: &roots,
        };
        cx.scratch.begin();
        let value = cx.eval(&self.expr).map_err(|error| error.to_string())?;
        let text = |value: &Value| match value {
            Value::Text(text) => Some(text.get(cx.event, cx.pool).to_owned()),
            _ => None,
        };
        let Value::List(items) = &value else {
            let text = text(&value).ok_or("it is neither a text nor a list of texts")?;
            return if text.len() > MAX_BYTES { Err(too_much()) } else { Ok(vec![text]) };
        };
        if items.len() > MAX_LINES {
            return Err(too_much());
        }
        let raw = || String::from_utf8_lossy(line.text).into_owned();
        let (mut lines, mut n_bytes) = (Vec::with_capacity(items.len()), 0_usize);
        for item in items.iter() {
            // COMPAT(crowdsec): the line itself takes the place of what is no text.
            let line = text(item).unwrap_or_else(raw);
            n_bytes = n_bytes.saturating_add(line.len());
            if n_bytes > MAX_BYTES {
                return Err(too_much());
            }
            lines.push(line);
        }
        Ok(lines)
    }
}

fn too_much() -> String {
    format!("it gives more than {MAX_LINES} lines or {MAX_BYTES} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use acquis::{Batch, Registry};
    use model::Timestamp;

    /// What a line of a source with the label `type: demo` becomes.
    fn become_of(transform: &str, text: &str) -> Vec<String> {
        let registry = Registry::new();
        let labels = [("type".to_owned(), "demo".to_owned())].into();
        let source = LineSource { src: "/log".to_owned(), labels, ..LineSource::default() };
        let mut batch = Batch::new();
        let read_at = Timestamp::from_unix(1, 0);
        batch.push(Line { text: text.as_bytes(), source: registry.register(source), read_at });
        compile(transform).expect("a good expression").apply(&mut batch, &registry);
        batch.iter().map(|line| String::from_utf8_lossy(line.text).into_owned()).collect()
    }

    #[test]
    fn a_text_is_the_line() {
        assert_eq!(become_of("upper(evt.Line.Raw)", "abc"), ["ABC"]);
        assert_eq!(become_of("evt.Line.Labels.type + evt.Line.Src", "abc"), ["demo/log"]);
        assert_eq!(become_of("''", "abc"), [""]);
        assert_eq!(become_of(r#"JsonExtract(evt.Line.Raw, "m")"#, r#"{"m": "x"}"#), ["x"]);
    }

    #[test]
    fn a_list_is_one_line_each() {
        assert_eq!(become_of("split(evt.Line.Raw, ',')", "a,b,,c"), ["a", "b", "", "c"]);
        let records = r#"map(JsonExtractSlice(evt.Line.Raw, "r"), ToJsonString(#))"#;
        assert_eq!(
            become_of(records, r#"{"r": [{"a": 1}, {"b": 2}]}"#),
            [r#"{"a":1}"#, r#"{"b":2}"#]
        );
        assert!(become_of("[]", "abc").is_empty());
        // What is no text is the line itself.
        assert_eq!(become_of("['x', 1, nil]", "abc"), ["x", "abc", "abc"]);
    }

    #[test]
    fn whatever_else_leaves_the_line() {
        for transform in ["1 + 1", "nil", "evt.Line.Raw == ''", "{'a': 'b'}"] {
            assert_eq!(become_of(transform, "abc"), ["abc"], "{transform}");
        }
        assert_eq!(become_of("map(1..20000, 'x')", "abc"), ["abc"]);
    }

    #[test]
    fn no_line_spends_what_is_another_s() {
        let registry = Registry::new();
        let source = registry.register(LineSource::default());
        let mut batch = Batch::new();
        for _ in 0..2000 {
            let read_at = Timestamp::from_unix(1, 0);
            batch.push(Line { text: b"a", source, read_at });
        }
        let transform = compile("join(map(1..1000, evt.Line.Raw), '')").expect("good");
        transform.apply(&mut batch, &registry);
        assert!(batch.iter().all(|line| line.text.len() == 1000));
    }
}
