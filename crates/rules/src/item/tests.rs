use super::*;
use crate::{Checked, FileKind, Origin, SourceFile, check};
use core::time::Duration;
use proptest::prelude::*;

fn file(kind: FileKind, name: &str, text: &str) -> SourceFile {
    SourceFile { kind, name: name.to_owned(), text: text.to_owned(), origin: Origin::Local }
}

fn parser(name: &str, text: &str) -> SourceFile {
    let stage = name.split('/').next().unwrap().to_owned();
    file(FileKind::Parser { stage }, name, text)
}

fn scenario(name: &str, text: &str) -> SourceFile {
    file(FileKind::Scenario, name, text)
}

/// Checks files that have nothing wrong with them.
fn clean(files: Vec<SourceFile>) -> Items {
    let checked = check(files);
    let messages: Vec<_> = checked.diagnostics.iter().map(|found| &found.message).collect();
    assert!(messages.is_empty(), "{messages:?}");
    checked.items
}

fn messages(checked: &Checked) -> Vec<&str> {
    checked.diagnostics.iter().map(|found| found.message.as_str()).collect()
}

fn text(expr: Option<&ExprSource>) -> Option<&str> {
    expr.map(ExprSource::text)
}

#[test]
fn a_parser_is_read_whole() {
    let items = clean(vec![parser(
        "s01-parse/demo.yaml",
        r#"
format: 2.0
name: acme/demo
author: acme
description: "Demo"
references: [https://example.org]
debug: yes
filter: "evt.Parsed.program == 'demo'"
onsuccess: next_stage
pattern_syntax:
  DEMO_ID: 'id=%{INT:id}'
grok:
  name: DEMO_ID
  apply_on: message
  statics:
    - enriched: id
      expression: evt.Parsed.id
stash:
  - name: seen
    key: evt.Parsed.id
    value: evt.Meta.user
    ttl: 1m
    strategy: LFU
nodes:
  - grok:
      pattern: "%{DEMO_ID:all}"
      expression: evt.Parsed.message
    statics:
      - method: ParseDate
        expression: evt.StrTime
      - target: evt.Line.Labels.type
        value: 42
  - whitelist:
      reason: ours
      ip: [192.0.2.7, "::ffff:192.0.2.7"]
      cidr: [192.0.2.9/24]
      expression: ["evt.Meta.user == 'root'"]
statics:
  - parsed: on
    value: true
  - target: StrTime
    expression: evt.Parsed.date
data:
  - source_url: https://example.org/a.txt
    dest_file: lists/a.txt
    type: regexp
    ttl: 10m
  - dest_file: b.mmdb
"#,
    )]);
    assert_eq!(items.parsers.len(), 1);
    assert_eq!(items.parsers[0].name, "s01-parse");
    let [node] = items.parsers[0].nodes.as_slice() else { panic!() };
    assert_eq!(
        (node.name.as_str(), node.debug, node.on_success),
        ("acme/demo", true, OnSuccess::NextStage)
    );
    assert_eq!(text(node.filter.as_ref()), Some("evt.Parsed.program == 'demo'"));

    let grok = node.grok.as_ref().unwrap();
    assert_eq!(grok.name.as_deref(), Some("DEMO_ID"));
    assert!(matches!(&grok.input, GrokInput::Parsed(key) if key == "message"));
    assert_eq!(grok.pattern.regex, "(?:id=(?P<__f0>[+-]?[0-9]+))");
    assert_eq!(grok.statics[0].to, Destination::Enriched("id".to_owned()));

    let stash = &node.stashes[0];
    assert_eq!((stash.name.as_str(), stash.ttl), ("seen", Duration::from_secs(60)));
    assert_eq!((stash.size.get(), stash.strategy), (100, Eviction::Lfu));

    let [first, second] = node.children.as_slice() else { panic!() };
    assert_eq!((first.name.as_str(), first.debug), ("child-acme/demo", true));
    let grok = first.grok.as_ref().unwrap();
    assert!(matches!(&grok.input, GrokInput::Expr(expr) if expr.text() == "evt.Parsed.message"));
    let names: Vec<_> = grok.pattern.fields.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(names, ["all", "id"]);
    assert_eq!(first.statics[0].to, Destination::Method(Enricher::ParseDate));
    assert_eq!(first.statics[1].to, Destination::Target(Target::LineLabel("type".to_owned())));
    assert!(matches!(&first.statics[1].from, Value::Literal(value) if value == "42"));

    let whitelist = second.whitelist.as_ref().unwrap();
    assert_eq!(whitelist.reason, "ours");
    assert_eq!(whitelist.ips.len(), 2);
    assert_ne!(whitelist.ips[0], whitelist.ips[1], "a mapped address is another address");
    assert_eq!(whitelist.networks[0].to_string(), "192.0.2.0/24");
    assert_eq!(whitelist.expressions[0].text(), "evt.Meta.user == 'root'");

    // The key `on` is a word here, not a boolean, and so is the value.
    assert_eq!(node.statics[0].to, Destination::Parsed("on".to_owned()));
    assert!(matches!(&node.statics[0].from, Value::Literal(value) if value == "true"));
    assert_eq!(node.statics[1].to, Destination::Target(Target::StrTime));

    let [list, database] = node.data.as_slice() else { panic!() };
    let cache = Cache {
        strategy: Eviction::Lru,
        size: core::num::NonZeroU32::new(50).unwrap(),
        ttl: Some(Duration::from_secs(600)),
    };
    assert_eq!((list.kind, list.cache), (Some(DataKind::Regexp), Some(cache)));
    assert_eq!(list.dest_file, "lists/a.txt");
    assert_eq!((database.kind, database.cache, &database.source_url), (None, None, &None));
}

#[test]
fn expressions_know_where_they_are_written() {
    let yaml = "name: acme/a\nfilter: 'evt.Meta.x == ''y'''\nstatics: [{meta: a, value: b}]\n";
    let checked = check(vec![parser("s01-parse/a.yaml", yaml)]);
    let filter = checked.items.parsers[0].nodes[0].filter.clone().unwrap();
    assert_eq!(filter.text(), "evt.Meta.x == 'y'");
    assert_eq!(&yaml[filter.locate(14..17).range()], "''y''");
    assert_eq!(&yaml[filter.span().range()], "'evt.Meta.x == ''y'''");
}

#[test]
fn stages_and_files_are_in_order_of_their_names() {
    let node = |name: &str| format!("name: {name}\nstatics: [{{meta: a, value: b}}]\n");
    let items = clean(vec![
        parser("s01-parse/b.yaml", &node("b")),
        parser("s01-parse/a.yaml", &(node("a1") + "---\n" + &node("a2") + "---\n")),
        parser("s00-raw/z.yaml", &node("z")),
        file(FileKind::Postoverflow { stage: "s00-enrich".to_owned() }, "p.yaml", &node("p")),
    ]);
    let names = |stages: &[Stage]| -> Vec<(String, Vec<String>)> {
        let nodes = |stage: &Stage| stage.nodes.iter().map(|node| node.name.clone()).collect();
        stages.iter().map(|stage| (stage.name.clone(), nodes(stage))).collect()
    };
    let strings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        names(&items.parsers),
        [
            ("s00-raw".to_owned(), strings(&["z"])),
            ("s01-parse".to_owned(), strings(&["a1", "a2", "b"]))
        ]
    );
    assert_eq!(names(&items.postoverflows), [("s00-enrich".to_owned(), strings(&["p"]))]);
}

#[test]
fn a_wrong_item_leaves_the_others_alone() {
    let checked = check(vec![
        parser("s01-parse/a.yaml", "name: a\nfilter: [x]\nstatics: [{meta: a, value: b}]\n"),
        parser("s01-parse/b.yaml", "name: b\nname: c\nstatics: [{meta: a, value: b}]\n"),
        parser("s01-parse/c.yaml", "name: c\nstatics: [{meta: a, value: b}]\n---\nname: [\n"),
        parser("s02-enrich/d.yaml", "name: d\nnodes: [{filter: x}]\n"),
    ]);
    let [stage] = checked.items.parsers.as_slice() else { panic!("s02 has no node") };
    let names: Vec<_> = stage.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["c"]);
    assert_eq!(checked.diagnostics.len(), 4, "{:?}", messages(&checked));
}

#[test]
fn definitions_are_shared_in_order_and_by_family() {
    let define = |name: &str, text: &str, used: &str| {
        format!(
            "name: {name}\npattern_syntax:\n  X: '{text}'\n\
             grok: {{pattern: '%{{{used}:f}}', apply_on: message}}\n"
        )
    };
    let post = FileKind::Postoverflow { stage: "s00-enrich".to_owned() };
    let checked = check(vec![
        file(FileKind::Patterns, "patterns/base", "# comment\nFROM_FILE [a-z]\n"),
        file(FileKind::Patterns, "patterns/base.bak", "FROM_FILE [0-9]\n"),
        parser("s01-parse/b.yaml", &define("b", "second", "X")),
        parser("s01-parse/a.yaml", &define("a", "first%{FROM_FILE}", "X")),
        file(post, "p.yaml", &define("p", "third", "X")),
    ]);
    assert_eq!(messages(&checked), ["`X` is defined already; this definition has no effect"]);
    let regex = |stage: &Stage, node: usize| stage.nodes[node].grok.clone().unwrap().pattern.regex;
    let items = checked.items;
    assert_eq!(regex(&items.parsers[0], 0), "(?P<__f0>first(?:[a-z]))");
    assert_eq!(regex(&items.parsers[0], 1), "(?P<__f0>first(?:[a-z]))");
    assert_eq!(regex(&items.postoverflows[0], 0), "(?P<__f0>third)");
}

#[test]
fn pattern_files_may_not_define_twice() {
    let checked = check(vec![
        file(FileKind::Patterns, "patterns/a", "WORD x\nNEW x\nBAD (\n"),
        file(FileKind::Patterns, "patterns/b", "NEW x\n"),
    ]);
    let messages = messages(&checked);
    assert_eq!(messages[..2], ["`WORD` is defined already", "missing closing `)`"]);
    assert_eq!(messages[2..], ["`NEW` is defined already"]);
}

const HEAD: &str = "name: acme/x\ndescription: d\nfilter: 'true'\n";

/// The scenario that `HEAD` and these lines make.
fn one(lines: &str) -> Scenario {
    let mut items = clean(vec![scenario("x.yaml", &format!("{HEAD}{lines}"))]);
    assert_eq!(items.scenarios.len(), 1);
    items.scenarios.remove(0)
}

#[test]
fn a_leaky_scenario_is_read_whole() {
    let scenario = one(
        "type: leaky\ncapacity: 5\nleakspeed: 10s\ngroupby: evt.Meta.source_ip\ndistinct: evt.Meta.u\n\
         cancel_on: evt.Meta.ok == '1'\ncondition: len(queue.Queue) > 2\noverflow_filter: 'true'\n\
         blackhole: 5m\ncache_size: 3\nscope: {type: username, expression: evt.Meta.u}\n\
         labels:\n  remediation: yes\n  service: ssh\n  confidence: 3\n  tags: [a, {b: null}]\n\
         reprocess: true\ndebug: on\nversion: 1.2\n",
    );
    let Shape::Leaky { capacity, speed, lifetime: None, condition: Some(_) } = &scenario.shape
    else {
        panic!("{:?}", scenario.shape)
    };
    assert_eq!((capacity.get(), *speed), (5, Duration::from_secs(10)));
    assert_eq!((scenario.capacity, scenario.leakspeed), (5, Duration::from_secs(10)));
    assert_eq!(text(scenario.group_by.as_ref()), Some("evt.Meta.source_ip"));
    assert_eq!(text(scenario.distinct.as_ref()), Some("evt.Meta.u"));
    assert_eq!(text(scenario.cancel_on.as_ref()), Some("evt.Meta.ok == '1'"));
    assert_eq!(scenario.blackhole, Some(Duration::from_secs(300)));
    assert_eq!(scenario.queue, QueueLimit::Events(3));
    assert!(matches!(&scenario.scope, ScenarioScope::Other { name, .. } if name == "username"));
    assert!(scenario.remediation && scenario.reprocess && scenario.debug);
    let labels: Vec<_> =
        scenario.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(labels, ["remediation=true", "service=ssh", "confidence=3", "tags=[a map[b:]]"]);
}

#[test]
fn every_kind_carries_what_it_needs() {
    let trigger = one("type: trigger\n");
    assert!(matches!(trigger.shape, Shape::Trigger));
    assert_eq!((trigger.queue, trigger.capacity), (QueueLimit::Events(0), 0));

    let counter = one("type: counter\ncapacity: -1\nduration: 1m\n");
    let minute = Duration::from_secs(60);
    assert!(
        matches!(counter.shape, Shape::Counter { lifetime, condition: None } if lifetime == minute)
    );
    assert_eq!(counter.queue, QueueLimit::Unbounded);

    let conditional =
        one("type: conditional\ncapacity: -1\nleakspeed: 1m\ncondition: 'true'\ncache_size: 9\n");
    let Shape::Conditional { lifetime, ending: Ending::Quiet, .. } = conditional.shape else {
        panic!()
    };
    assert_eq!((lifetime, conditional.queue), (minute, QueueLimit::Events(9)));

    let bayesian =
        one("type: bayesian\ncapacity: -1\nleakspeed: 1m\nduration: 2m\nbayesian_prior: 0.5\n\
         bayesian_threshold: 1\nbayesian_conditions:\n\
         - {condition: 'true', prob_given_evil: 0.8, prob_given_benign: 0, guillotine: true}\n");
    let Shape::Bayesian(Bayesian { prior, threshold, conditions, ending, .. }) = bayesian.shape
    else {
        panic!()
    };
    assert_eq!((prior, threshold, ending), (0.5, 1.0, Ending::Overflow));
    assert_eq!((conditions[0].given_evil, conditions[0].given_benign), (0.8, 0.0));
    assert!(conditions[0].guillotine);
}

#[test]
fn scopes_without_an_expression() {
    assert!(matches!(one("type: trigger\nscope: {type: ''}\n").scope, ScenarioScope::Ip));
    assert!(matches!(
        one("type: trigger\nscope: {type: Range}\n").scope,
        ScenarioScope::Range(None)
    ));
}

#[test]
fn only_the_boolean_asks_for_remediation() {
    let asks = |value: &str| {
        one(&format!("type: trigger\nlabels: {{remediation: {value}}}\n")).remediation
    };
    assert!(asks("true") && asks("on"));
    assert!(!asks("\"true\"") && !asks("false") && !asks("1"));
}

#[test]
fn a_large_cache_is_no_larger_than_the_bucket() {
    let text = format!("{HEAD}type: leaky\ncapacity: 5\nleakspeed: 1s\ncache_size: 9\n");
    let checked = check(vec![scenario("x.yaml", &text)]);
    assert_eq!(messages(&checked), ["`cache_size` has no effect above `capacity`"]);
    assert_eq!(checked.items.scenarios[0].queue, QueueLimit::Events(5));
}

#[test]
fn of_two_files_the_local_scenario_wins() {
    let text =
        |what: &str| format!("type: trigger\nname: acme/x\ndescription: {what}\nfilter: 'true'\n");
    let mut hub = scenario("a.yaml", &text("hub"));
    hub.origin = Origin::Hub { version: "0.1".to_owned(), hash: "00".to_owned(), tainted: false };
    let local = scenario("b.yaml", &text("local"));
    let checked = check(vec![hub, local]);
    let [scenario] = checked.items.scenarios.as_slice() else { panic!() };
    assert_eq!(scenario.description, "local");
    assert_eq!(messages(&checked), ["another scenario is called `acme/x`; this one is left out"]);
}

#[test]
fn contexts_add_up() {
    let items = clean(vec![
        file(FileKind::Context, "a.yaml", "context:\n  path: [evt.Meta.a]\n  verb: [evt.Meta.v]\n"),
        file(FileKind::ConsoleContext, "b.yaml", "path: [evt.Meta.b, evt.Meta.c]\n"),
    ]);
    let entries = items.context.entries.iter();
    let entries: Vec<_> = entries
        .map(|(key, list)| (key.as_str(), list.iter().map(ExprSource::text).collect::<Vec<_>>()))
        .collect();
    assert_eq!(
        entries,
        [("path", vec!["evt.Meta.a", "evt.Meta.b", "evt.Meta.c"]), ("verb", vec!["evt.Meta.v"])]
    );
}

#[test]
fn simulation_is_amended_key_by_key() {
    let items = clean(vec![
        file(FileKind::Simulation, "simulation.yaml.local", "simulation: on\n"),
        file(FileKind::Simulation, "simulation.yaml", "simulation: off\nexclusions: [acme/x]\n"),
    ]);
    assert!(items.simulation.applies_to("acme/y"));
    assert!(!items.simulation.applies_to("acme/x"));
    assert!(!Simulation::default().applies_to("acme/x"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Lines of real keys in random order, depth and company.
    #[test]
    fn any_text_is_read(
        lines in prop::collection::vec(
            (0..4_usize, prop::sample::select(WORDS), prop::sample::select(VALUES)),
            0..25,
        ),
        kind in prop::sample::select(vec![
            FileKind::Parser { stage: "s".to_owned() },
            FileKind::Scenario,
            FileKind::Context,
            FileKind::ConsoleContext,
            FileKind::Simulation,
            FileKind::Patterns,
        ]),
    ) {
        let line = |(depth, word, value): &(usize, &str, &str)| {
            format!("{}{word}: {value}\n", "  ".repeat(*depth))
        };
        let text: String = lines.iter().map(line).collect();
        let checked = check(vec![file(kind, "x", &text)]);
        for found in &checked.diagnostics {
            let style = syntax::Style { color: false, width: 80 };
            prop_assert!(!syntax::render(found, &checked.sources, style).is_empty());
        }
    }
}

const WORDS: &[&str] = &[
    "name",
    "type",
    "filter",
    "grok",
    "pattern",
    "apply_on",
    "- grok",
    "nodes",
    "statics",
    "- meta",
    "- target",
    "value",
    "expression",
    "whitelist",
    "ip",
    "cidr",
    "stash",
    "- name",
    "ttl",
    "size",
    "description",
    "capacity",
    "leakspeed",
    "duration",
    "bayesian_conditions",
    "- condition",
    "scope",
    "labels",
    "data",
    "- dest_file",
    "context",
    "format",
    "pattern_syntax",
    "A",
    "---",
    "simulation",
];

const VALUES: &[&str] = &[
    "",
    "leaky",
    "bayesian",
    "counter",
    "10s",
    "-1",
    "99999999999",
    "[]",
    "{}",
    "[a, b]",
    "true",
    "'%{IP:ip}'",
    "\"%{A} ä %{B:c\"",
    "evt.Meta.x",
    "../x",
    "{a: b}",
    "- x",
    "&a x",
    "*a",
    "2.0",
    "~",
    "evt.Overflow.Alert.Source.",
    "Parsed.",
    "1.2.3.4/99",
    ".nan",
    "|\n    text",
    "'",
];
