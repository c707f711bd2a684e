//! The bucket table against a naive model (spec §5.3 to §5.6).
//!
//! The first bytes of the input choose a scenario; then every three bytes are an event: which
//! partition, which distinct value, whether it cancels, and how far the clock moves. Engine and model
//! must agree, event by event, on every overflow, on how many buckets live and on how many were
//! evicted.

use super::bytes::Bytes;
use super::model_table::{Drop, Kind, Model, Rule, Spilled};
use engine::builtins::rfc3339::format_rfc3339_nano;
use engine::{Engine, Limits, NoOutside, Overflow, Program};
use model::{Line, LineSource, SourceId, Time, TimeMode, Timestamp};
use rules::{FileKind, Options, Origin, SourceFile, compile};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

const MILLI: i64 = 1_000_000;

/// When the story begins.
const START: i64 = 1_700_000_000_000 * MILLI;

/// How far the clock moves, in milliseconds. Backward only where the log's own dates rule.
const STEPS: &[i64] =
    &[0, 0, 0, 250, 500, 1000, 1000, 2000, 3000, 4000, 5000, 9000, 60_000, -250, -1000, -20_000];

/// Most events of one input.
const MAX_EVENTS: usize = 400;

/// What the first bytes choose.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Choices {
    shape: u8,
    capacity: i64,
    speed: i64,
    duration: Option<i64>,
    blackhole: Option<i64>,
    cache_size: Option<i64>,
    grouped: bool,
    distinct: bool,
    cancels: bool,
}

/// Runs the target.
pub fn run(data: &[u8]) {
    let mut input = Bytes(data);
    let flags = input.byte();
    let choices = Choices {
        shape: flags % 4,
        grouped: flags & 4 == 0,
        distinct: flags & 8 != 0,
        cancels: flags & 16 != 0,
        capacity: *input.pick(&[1, 2, 3, 5, 40]),
        speed: *input.pick(&[1000, 3000, 500, 7000, 10]),
        duration: *input.pick(&[None, None, Some(2000), Some(5000), Some(60_000)]),
        blackhole: *input.pick(&[None, None, Some(1000), Some(5000), Some(60_000)]),
        cache_size: *input.pick(&[None, None, Some(1), Some(2), Some(100)]),
    };
    let live = flags & 32 != 0;
    let most = *input.pick(&[1000, 1, 2, 3, 5]);
    // Which of several silences that begin at one instant makes room for the next depends on the
    // order in which their buckets ended, which is the engine's own business.
    let buckets = if live && choices.blackhole.is_some() { 1000 } else { most };
    let limits = Limits { buckets, queue: *input.pick(&[10_000, 0, 1, 4]) };
    let rule = choices.rule(live, limits);
    let outside = Arc::new(NoOutside);
    let mut engine = Engine::new(program(&choices), outside, limits, u64::from(flags));
    let time_mode = if live { TimeMode::Live } else { TimeMode::Event };
    engine.parser.add_source(SourceId(0), LineSource { time_mode, ..LineSource::default() });
    let mut model = Model::default();
    let mut at = START;
    for id in 0..MAX_EVENTS {
        if input.is_empty() {
            break;
        }
        let id = u32::try_from(id).expect("there are not that many");
        let (who, what, step) = (input.byte(), input.byte(), *input.pick(STEPS));
        at += if live { step.max(0) } else { step } * MILLI;
        let event = Event {
            id,
            key: if choices.grouped { KEYS[usize::from(who) % KEYS.len()] } else { "" },
            value: VALUES[usize::from(what) % VALUES.len()],
            cancels: what & 0xe0 == 0xe0,
            dated: live || who & 0xc0 != 0xc0,
            at,
        };
        let told = format!("{choices:?} {rule:?}: {event:?}");
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        if live {
            engine.advance(Timestamp::from_unix_nanos(at), &mut ours);
            theirs = model.advance(&rule, at);
        }
        pour(&mut engine, &event, &mut ours);
        theirs.extend(model.pour(&rule, &event.drop(&choices)));
        // Buckets that end at the same instant do so in no particular order.
        let mut ours: Vec<Spilled> =
            ours.iter().map(|overflow| spilled(overflow, &event)).collect();
        ours.sort();
        theirs.sort();
        assert_eq!(ours, theirs, "overflows, {told}");
        assert_eq!(engine.buckets.table.len(), model.len(), "live buckets, {told}");
        assert!(model.len() <= limits.buckets, "{told}");
        assert_eq!(engine.buckets.table.counts[0].evicted, model.evicted, "evicted, {told}");
    }
}

/// Partitions. Few, so that buckets fill.
const KEYS: &[&str] = &["a", "b", "c", "d", "e", "aa"];

/// Values of `distinct`.
const VALUES: &[&str] = &["u", "v", "w", "uu", "x"];

#[derive(Debug)]
struct Event {
    id: u32,
    key: &'static str,
    value: &'static str,
    cancels: bool,
    dated: bool,
    at: i64,
}

impl Event {
    fn drop(&self, choices: &Choices) -> Drop<'_> {
        Drop {
            id: self.id,
            key: self.key,
            distinct: choices.distinct.then_some(self.value),
            cancels: choices.cancels && self.cancels,
            at: self.dated.then_some(self.at),
            now: self.at,
        }
    }
}

fn pour(engine: &mut Engine, event: &Event, out: &mut Vec<Overflow>) {
    let now = Timestamp::from_unix_nanos(event.at);
    let date = match event.dated {
        true => format_rfc3339_nano(Time::utc(now).into()),
        false => "undated".to_owned(),
    };
    let Event { id, value, .. } = event;
    let key = if event.key.is_empty() { "-" } else { event.key };
    let cancel = if event.cancels { "yes" } else { "no" };
    let line = format!("{id} {key} {value} {cancel} {date}");
    let line = Line { text: line.as_bytes(), source: SourceId(0), read_at: now };
    engine.process(line, now, out);
}

fn spilled(overflow: &Overflow, event: &Event) -> Spilled {
    let alert = &overflow.alert;
    let ids = alert.events.iter().map(|event| event.meta("id").unwrap_or_default());
    let ids: Vec<u32> = ids.map(|id| id.parse().expect("events carry their numbers")).collect();
    assert!(ids.iter().all(|id| *id <= event.id), "an event of the future: {ids:?}");
    Spilled {
        key: alert.source.value.clone(),
        total: alert.events_count,
        first: alert.start_at.at.unix_nanos(),
        at: alert.stop_at.at.unix_nanos(),
        queue: ids,
    }
}

impl Choices {
    fn rule(&self, live: bool, limits: Limits) -> Rule {
        let (capacity, speed) = (self.capacity, self.speed * MILLI);
        let duration = self.duration.map(|millis| millis * MILLI);
        let (kind, unbounded, lifetime) = match self.shape {
            0 => (Kind::Leaky { capacity, speed }, false, Some((capacity + 1) * speed)),
            1 => (Kind::Trigger, false, None),
            2 => (Kind::Counter, true, None),
            _ => (Kind::Conditional { total: 3 }, true, Some(speed)),
        };
        let size = |millis: i64| usize::try_from(millis).expect("sizes are positive");
        let queue = match (self.cache_size, unbounded) {
            (Some(cache), false) if cache <= capacity => size(cache),
            (Some(cache), true) => size(cache),
            (None, true) => usize::MAX,
            (_, false) => size(capacity),
        };
        Rule {
            kind,
            queue: queue.min(limits.queue),
            lifetime: match kind {
                Kind::Leaky { .. } => duration.or(lifetime),
                Kind::Trigger => None,
                Kind::Counter => Some(self.counter_life() * MILLI),
                // COMPAT(crowdsec): the length of the life is that of the leak speed.
                Kind::Conditional { .. } => lifetime,
            },
            timed: match kind {
                Kind::Leaky { .. } | Kind::Conditional { .. } => duration.is_some(),
                Kind::Trigger => false,
                Kind::Counter => true,
            },
            blackhole: self.blackhole.map(|millis| millis * MILLI),
            looks: self.distinct || self.cancels,
            live,
            max: limits.buckets,
        }
    }

    fn counter_life(&self) -> i64 {
        self.duration.unwrap_or(4000)
    }

    fn yaml(&self) -> String {
        let Self { capacity, speed, .. } = self;
        let mut text = String::from(
            "name: fuzz/buckets\ndescription: fuzz\nfilter: evt.Meta.id != ''\n\
             scope:\n  type: key\n  expression: >-\n    evt.Meta.key == '-' ? '' : evt.Meta.key\n",
        );
        let mut add = |key: &str, value: &str| {
            writeln!(text, "{key}: {value}").expect("a `String` takes any text");
        };
        let millis = |millis: i64| format!("{millis}ms");
        match self.shape {
            0 => {
                add("type", "leaky");
                add("capacity", &capacity.to_string());
                add("leakspeed", &millis(*speed));
            }
            1 => add("type", "trigger"),
            2 => {
                add("type", "counter");
                add("capacity", "-1");
                add("duration", &millis(self.counter_life()));
            }
            _ => {
                add("type", "conditional");
                add("capacity", "-1");
                add("leakspeed", &millis(*speed));
                add("condition", "leaky.Total_count >= 3");
            }
        }
        if let Some(duration) = self.duration.filter(|_| self.shape.is_multiple_of(3)) {
            add("duration", &millis(duration));
        }
        if let Some(blackhole) = self.blackhole {
            add("blackhole", &millis(blackhole));
        }
        if let Some(size) = self.cache_size {
            add("cache_size", &size.to_string());
        }
        if self.grouped {
            add("groupby", "evt.Meta.key");
        }
        if self.distinct {
            add("distinct", "evt.Parsed.value");
        }
        if self.cancels {
            add("cancel_on", "evt.Parsed.cancel == 'yes'");
        }
        text
    }
}

/// Compiling costs a thousand events; there are not many scenarios.
fn program(choices: &Choices) -> Arc<Program> {
    thread_local! {
        static KNOWN: RefCell<HashMap<Choices, Arc<Program>>> = RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| {
        if known.len() > 2000 {
            known.clear();
        }
        let make = || {
            let file = |kind, name: &str, text| SourceFile {
                kind,
                name: name.to_owned(),
                text,
                origin: Origin::Local,
            };
            let parser = FileKind::Parser { stage: "s00-raw".to_owned() };
            let files = vec![
                file(parser, "parser", PARSER.to_owned()),
                file(FileKind::Scenario, "scenario", choices.yaml()),
            ];
            let compiled = compile(files, &mut |_| None, &Options::default());
            assert!(!compiled.diagnostics.has_errors(), "{choices:?}: {:?}", compiled.diagnostics);
            assert_eq!(compiled.program.scenarios.len(), 1, "{choices:?}");
            Arc::new(compiled.program)
        };
        Arc::clone(known.entry(choices.clone()).or_insert_with(make))
    })
}

const PARSER: &str = r"
name: fuzz/lines
filter: 'true'
onsuccess: next_stage
grok:
  pattern: '^%{INT:id} %{NOTSPACE:key} %{WORD:value} %{WORD:cancel} %{NOTSPACE:date}$'
  apply_on: Line.Raw
statics:
  - meta: id
    expression: evt.Parsed.id
  - meta: key
    expression: evt.Parsed.key
  - target: evt.MarshaledTime
    expression: evt.Parsed.date
";
