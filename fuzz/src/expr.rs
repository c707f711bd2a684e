//! Expressions: any text in any place, read, checked, lowered and run on an event.
//!
//! The first byte of the input names the place ([`PLACES`]), the second what is wanted; then comes
//! the expression, and after a zero byte the line of the event. Mistakes must be placed inside the
//! text; what reads must print to text that reads the same; what compiles must evaluate to an end,
//! and to the same end with used caches as with fresh ones.

use super::bytes::{Bytes, text};
use engine::NoOutside;
use engine::data::{DataFiles, ListFile, MapFile, RegexFile};
use engine::eval::{Cx, Roots, Scratch};
use engine::event::Event;
use engine::expr::Expr;
use engine::pool::{Pool, Space};
use engine::value::{EventRef, Map, Missing, ObjectKind, Value};
use model::{LineSource, SourceId, Time, Timestamp};
use rules::compile_expr;
use rules::expr::ExprError;
use rules::expr::check::Wanted;
use rules::expr::objects::Place;
use rules::expr::parse::parse;
use std::collections::BTreeMap;
use std::sync::Arc;
use syntax::{Sources, Span, Style, render};

/// Which byte names which place.
const PLACES: &[(u8, Place)] = &[
    (b'e', Place::Event),
    (b'p', Place::Pour),
    (b'o', Place::Overflow),
    (b'a', Place::Profile),
    (b'c', Place::Context),
    (b'h', Place::HubTest),
];

/// Which byte names what is wanted.
const WANTED: &[(u8, Wanted)] =
    &[(b'*', Wanted::Anything), (b'?', Wanted::Bool), (b's', Wanted::Str)];

/// Longest expression: what is slow about longer ones is slow about these.
const MAX_TEXT: usize = 20_000;

/// Runs the target.
pub fn run(data: &[u8]) {
    let mut input = Bytes(data);
    let place = named(PLACES, input.byte());
    let wanted = named(WANTED, input.byte());
    let expression = text(input.until(0));
    let line = input.rest();
    if MAX_TEXT < expression.len() {
        return;
    }
    prints_back(&expression);
    thread_local! {
        static DATA: DataFiles = data_files();
    }
    DATA.with(|data| compile(&expression, place, wanted, data, line));
}

fn compile(expression: &str, place: Place, wanted: Wanted, data: &DataFiles, line: &[u8]) {
    let mut pool = Pool::new();
    for key in ["source_ip", "log_type", "http_path"] {
        pool.field(Space::Meta, key);
    }
    match compile_expr(expression, place, wanted, &mut pool, data) {
        Ok(expr) => {
            pool.finish();
            evaluate(&expr, &pool, data, place, line, expression);
        }
        Err(errors) => errors.into_iter().for_each(|error| explain(expression, error)),
    }
}

/// What a byte names; a byte that names nothing is taken for a number.
fn named<T: Copy>(names: &[(u8, T)], byte: u8) -> T {
    let found = names.iter().find(|(name, _)| *name == byte);
    found.unwrap_or_else(|| &names[usize::from(byte) % names.len()]).1
}

fn prints_back(expression: &str) {
    let Ok(ast) = parse(expression) else { return };
    let printed = ast.root.to_string();
    // Parentheses count as depth, and printing adds many: only small trees must read back.
    if 40 < ast.n_nodes || 4000 < printed.len() {
        return;
    }
    match parse(&printed) {
        Ok(again) => assert_eq!(again.root.to_string(), printed, "{expression:?}"),
        Err(error) => panic!("{expression:?} prints as {printed:?}: {}", error.message),
    }
}

fn explain(expression: &str, error: ExprError) {
    let in_text = |start: u32, end: u32| expression.get(start as usize..end as usize).is_some();
    let see = error.see.as_ref().map(|(span, _)| span);
    let replaced = error.replacement.as_ref().map(|(span, _)| span);
    for span in [Some(&error.span), see, replaced].into_iter().flatten() {
        assert!(in_text(span.start, span.end), "{expression:?}: bad place of {error:?}");
    }
    let mut sources = Sources::new();
    let file = sources.add("fuzz.yaml", expression);
    let diagnostic = error.into_diagnostic(|range| Span::new(file, range.start, range.end));
    let shown = render(&diagnostic, &sources, Style { color: false, width: 100 });
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
}

fn evaluate(
    expr: &Expr,
    pool: &Pool,
    data: &DataFiles,
    place: Place,
    line: &[u8],
    expression: &str,
) {
    let mut used = (Event::new(pool.n_fields()), Scratch::default());
    let mut first = None;
    for fresh in [true, false, true] {
        let mut new;
        let (event, scratch) = if fresh {
            new = (Event::new(pool.n_fields()), Scratch::default());
            (&mut new.0, &mut new.1)
        } else {
            (&mut used.0, &mut used.1)
        };
        fill(event, pool, line);
        scratch.begin();
        let roots = roots(place, event, pool);
        let now = Timestamp::from_unix(1_700_000_000, 5);
        let mut cx = Cx { pool, data, event, scratch, outside: &NoOutside, now, roots: &roots };
        let outcome = match cx.eval(expr) {
            Ok(value) => Ok(cx.print(&value)),
            Err(error) => Err(format!("{error:?}")),
        };
        match &first {
            None => first = Some(outcome),
            Some(first) => assert_eq!(&outcome, first, "{expression:?}, fresh: {fresh}"),
        }
    }
    // The short way to a truth must lead where the long one does.
    let (event, scratch) = &mut used;
    fill(event, pool, line);
    scratch.begin();
    let roots = roots(place, event, pool);
    let now = Timestamp::from_unix(1_700_000_000, 5);
    let mut cx = Cx { pool, data, event, scratch, outside: &NoOutside, now, roots: &roots };
    let truth = cx.test(expr).map(|truth| truth.to_string());
    if let (Ok(truth), Some(first)) = (truth, first) {
        assert_eq!(Ok(truth), first, "{expression:?}");
    }
}

fn fill(event: &mut Event, pool: &Pool, line: &[u8]) {
    let source = LineSource {
        module: "file".to_owned(),
        src: "/var/log/auth.log".to_owned(),
        labels: BTreeMap::from([("type".to_owned(), "syslog".to_owned())]),
        ..LineSource::default()
    };
    event.begin_line(SourceId(0), &source, line, pool);
    event.time = Time::utc(Timestamp::from_unix(1_700_000_000, 5));
    let line = text(line);
    for (field, space, key) in pool.fields() {
        let value = match (space, key) {
            (Space::Event | Space::Label, _) => continue,
            (_, "source_ip") => "192.0.2.7",
            (_, "log_type") => "ssh_failed-auth",
            (_, "unset") => continue,
            _ => line.as_str(),
        };
        event.set_text(field, value);
    }
}

/// What an expression of this place finds beside `evt`.
fn roots(place: Place, event: &Event, pool: &Pool) -> Roots {
    let kept = || Value::Event(EventRef::Kept(Arc::new(event.snapshot(&[], true, pool))));
    let queue = || {
        let events = vec![kept(), kept(), kept()];
        let fields = vec![("Queue", Value::list(events)), ("L", Value::Int(5))];
        Value::object(ObjectKind::Queue, fields)
    };
    let leaky = || {
        let fields = vec![
            ("Name", Value::shared("fuzz/bucket")),
            ("Total_count", Value::Int(3)),
            ("First_ts", Value::Time(event.time)),
            ("Queue", queue()),
            ("Leakspeed", Value::Duration(10_000_000_000)),
        ];
        Value::object(ObjectKind::Bucket, fields)
    };
    let alert = || {
        let source = vec![("IP", Value::shared("192.0.2.7")), ("Scope", Value::shared("Ip"))];
        let fields = vec![
            ("Scenario", Value::shared("fuzz/bucket")),
            ("EventsCount", Value::Int(6)),
            ("Source", Value::object(ObjectKind::Source, source)),
        ];
        Value::object(ObjectKind::Alert, fields)
    };
    match place {
        Place::Event | Place::Context => Roots::default(),
        Place::Pour => Roots { queue: Some(queue()), leaky: Some(leaky()), ..Roots::default() },
        Place::Overflow => {
            let fields = vec![("Mapkey", Value::shared("00ff")), ("Alert", alert())];
            Roots {
                queue: Some(queue()),
                leaky: Some(leaky()),
                signal: Some(Value::object(ObjectKind::Overflow, fields)),
                no_event: true,
                ..Roots::default()
            }
        }
        Place::Profile => Roots { alert: Some(alert()), ..Roots::default() },
        Place::HubTest => {
            let entries = BTreeMap::from([(Arc::from("s00-raw"), Value::list(vec![alert()]))]);
            let results = Value::Map(Arc::new(Map { missing: Missing::MapOfLists, entries }));
            Roots { results: Some(results), ..Roots::default() }
        }
    }
}

/// One file of each kind, under the names the seeds use.
fn data_files() -> DataFiles {
    let row = [("pattern", "nikto"), ("tag", "scanner"), ("type", "contains")];
    let mut map = MapFile { name: "tags.json".into(), ..MapFile::default() };
    map.contains.push(("nikto".into(), "scanner".into()));
    map.add_row(&row);
    let set = ::re2::RegexSet::new(&[r"\bnikto\b", "(?i)sqlmap/\\d", "^$"]).expect("they compile");
    DataFiles {
        lists: vec![ListFile::new("list.txt", &["admin", "/wp-login.php", "192.0.2.7", "é"])],
        regexes: vec![RegexFile { name: "regexes.txt".into(), set }],
        maps: vec![map],
    }
}
