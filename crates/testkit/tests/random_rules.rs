//! Rules and lines made at random: what happens must not depend on how it is worked out.
//!
//! Picking candidates ([`engine::select`]) may pass over a node or a scenario only if it would have
//! failed; captures nobody reads may be dropped; the seed of the bucket table and the batch a line
//! comes in must not show. A word list, a few fields and short lines over a small alphabet make the
//! rules meet often enough to matter.

use proptest::{collection::vec, prelude::*, sample::select};
use std::fmt::Write as _;
use testkit::book;

/// Texts that fields and lines are compared with: few, so that they meet.
fn word() -> impl Strategy<Value = &'static str> {
    select(vec!["", "a", "b", "ab", "ba", "A", "AB", "b0"])
}

fn field() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        12 => select(vec!["evt.Parsed.a", "evt.Meta.m", "evt.Line.Raw"]),
        6 => select(vec!["evt.Parsed.b", "evt.Meta.n", "evt.Enriched.e"]),
        4 => select(vec!["Upper(evt.Parsed.a)", "Lower(evt.Line.Raw)"]),
        1 => select(vec!["evt.Stage", "evt.WhitelistReason", "evt.Line.Labels.type"]),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    let pattern = select(vec!["a+b|ba", "(?i)AB", "^a", "b?", "^(a|b0)$", "[ab]{2}"]);
    let leaf = prop_oneof![
        12 => (field(), word()).prop_map(|(field, word)| format!("{field} == '{word}'")),
        3 => (field(), word()).prop_map(|(field, word)| format!("{field} != '{word}'")),
        6 => (field(), word(), word()).prop_map(|(f, a, b)| format!("{f} in ['{a}', '{b}']")),
        9 => (field(), word()).prop_map(|(field, word)| format!("{field} contains '{word}'")),
        3 => (field(), word()).prop_map(|(field, word)| format!("{field} startsWith '{word}'")),
        3 => (field(), word()).prop_map(|(field, word)| format!("{field} endsWith '{word}'")),
        6 => (field(), pattern).prop_map(|(field, pattern)| format!("{field} matches '{pattern}'")),
        2 => field().prop_map(|f| format!("any(File('words.txt'), {{ {f} contains # }})")),
        2 => field().prop_map(|f| format!("any(File('words.txt'), {{ {f} == # }})")),
        2 => field().prop_map(|f| format!("any(File('words.txt'), {{ {f} startsWith # }})")),
        2 => field().prop_map(|f| format!("RegexpInFile({f}, 'patterns.txt')")),
        1 => select(vec![
            "'m' in evt.Meta",
            "evt.SetMeta('m', 'a')",
            "evt.SetParsed('a', 'b')",
            "evt.Unmarshaled.x.y == 'z'",
        ])
        .prop_map(str::to_owned),
    ];
    let both = (leaf.clone(), leaf.clone());
    let either = both.clone();
    prop_oneof![
        6 => leaf.clone(),
        2 => both.prop_map(|(a, b)| format!("({a}) && ({b})")),
        3 => either.prop_map(|(a, b)| format!("({a}) || ({b})")),
        1 => leaf.prop_map(|a| format!("!({a})")),
    ]
    .boxed()
}

/// One assignment, in the flow style of YAML.
fn assignment() -> impl Strategy<Value = String> {
    let to = prop_oneof![
        12 => select(vec!["parsed: a", "parsed: b", "meta: m", "meta: n", "enriched: e"]),
        2 => Just("target: evt.Line.Raw"),
        1 => Just("target: evt.Stage"),
    ];
    let from = prop_oneof![
        4 => select(vec!["a", "b", "ab", "b0", "s01"]).prop_map(|v| format!("value: '{v}'")),
        2 => field().prop_map(|field| format!("expression: \"{field}\"")),
        1 => field().prop_map(|field| format!("expression: \"{field} + 'a'\"")),
    ];
    (to, from).prop_map(|(to, from)| format!("{{ {to}, {from} }}"))
}

fn grok() -> impl Strategy<Value = String> {
    let input = select(vec!["Line.Raw", "Line.Raw", "a", "b", "absent"]);
    let pattern = select(vec![
        "^%{WORD:a}",
        "ab%{DATA:b}0",
        "a%{GREEDYDATA:a}b",
        "(?i)AB%{GREEDYDATA:c}",
        "%{INT:a}|%{WORD:b}",
        "^(ab|b%{DATA:a}) ",
        "(?:ab|ba)%{DATA:c}$",
        "b( %{WORD:b})?",
        "ab%{WORD}",
    ]);
    (input, pattern)
        .prop_map(|(input, pattern)| format!("{{ apply_on: {input}, pattern: '{pattern}' }}"))
}

#[derive(Clone, Debug)]
struct Node {
    filter: Option<String>,
    grok: Option<String>,
    whitelist: Option<String>,
    statics: Vec<String>,
    children: Vec<Self>,
    next_stage: bool,
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = (
        prop::option::weighted(0.8, condition()),
        prop::option::weighted(0.4, grok()),
        prop::option::weighted(0.03, condition()),
        vec(assignment(), 0..3),
        prop::bool::weighted(0.15),
    )
        .prop_map(|(filter, grok, whitelist, statics, next_stage)| Node {
            filter,
            grok,
            whitelist,
            statics,
            children: Vec::new(),
            next_stage,
        });
    leaf.prop_recursive(1, 4, 3, |inner| {
        (inner.clone(), vec(inner, 0..4)).prop_map(|(node, children)| Node { children, ..node })
    })
}

impl Node {
    fn write(&self, name: &str, indent: usize, out: &mut String) {
        let pad = " ".repeat(indent);
        let mut line = |text: &str| {
            let _ = writeln!(out, "{pad}{text}");
        };
        line(&format!("name: {name}"));
        if let Some(filter) = &self.filter {
            line(&format!("filter: \"{filter}\""));
        }
        if self.next_stage {
            line("onsuccess: next_stage");
        }
        if let Some(grok) = &self.grok {
            line(&format!("grok: {grok}"));
        }
        if let Some(whitelist) = &self.whitelist {
            line(&format!("whitelist: {{ reason: a, expression: [\"{whitelist}\"] }}"));
        }
        // Which nodes ran, and in which order, shows in Meta.
        line("statics:");
        line(&format!("  - {{ meta: ran, expression: \"evt.Meta.ran + ' {name}'\" }}"));
        for assignment in &self.statics {
            line(&format!("  - {assignment}"));
        }
        if !self.children.is_empty() {
            line("nodes:");
        }
        for (index, child) in self.children.iter().enumerate() {
            let mut text = String::new();
            child.write(&format!("{name}-{index}"), indent + 4, &mut text);
            let text = text.trim_start();
            let _ = write!(out, "{pad}  - {text}");
        }
    }
}

fn scenario() -> impl Strategy<Value = String> {
    let kind = select(vec!["type: trigger", "type: leaky\ncapacity: 1\nleakspeed: 3s"]);
    let group = prop::option::of(field());
    let distinct = prop::option::weighted(0.2, field());
    (kind, condition(), group, distinct).prop_map(|(kind, filter, group, distinct)| {
        let mut text = format!("{kind}\ndescription: random\nfilter: \"{filter}\"\n");
        if let Some(group) = group {
            let _ = writeln!(text, "groupby: {group}");
        }
        if let Some(distinct) = distinct.filter(|_| kind != "type: trigger") {
            let _ = writeln!(text, "distinct: {distinct}");
        }
        text.push_str("scope: { type: any, expression: evt.Meta.n }\n");
        text
    })
}

fn story() -> impl Strategy<Value = String> {
    let stage = || vec(node(), 2..10);
    let stages = prop_oneof![3 => vec(stage(), 1), 1 => vec(stage(), 2)];
    let lines = vec("[abAB0][abAB0 ]{0,7}", 1..12);
    (stages, vec(scenario(), 0..5), lines).prop_map(|(stages, scenarios, lines)| {
        let mut text = "## Random\n\n```data words.txt\na\nab\nb0\n```\n".to_owned();
        text.push_str("```data patterns.txt\n^a\nb+0\n```\n");
        for (stage, nodes) in stages.iter().enumerate() {
            let _ = writeln!(text, "```yaml parsers s0{stage}");
            for (index, node) in nodes.iter().enumerate() {
                node.write(&format!("n{stage}-{index}"), 0, &mut text);
                if stage + index == 0 {
                    text.push_str(
                        "data:\n  - { source_url: x, dest_file: words.txt, type: string }\n  \
                         - { source_url: x, dest_file: patterns.txt, type: regexp }\n",
                    );
                }
                text.push_str("---\n");
            }
            text.push_str("```\n");
        }
        text.push_str("```yaml scenarios\n");
        for (index, scenario) in scenarios.iter().enumerate() {
            let _ = writeln!(text, "name: random/{index}\n{scenario}---");
        }
        text.push_str("```\n```log demo\n");
        for (index, line) in lines.iter().enumerate() {
            let _ = writeln!(text, "@10:00:{index:02} {line}");
        }
        text.push_str("```\n");
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_happens_does_not_depend_on_how_it_is_worked_out(text in story()) {
        for story in book::stories(&text) {
            let differences = book::disagreements(&story).expect("random stories are well formed");
            prop_assert!(differences.is_empty(), "{}\n{}", text, differences);
        }
    }
}
