//! Diagnostics as authors see them: one bad rule for each code, beside what is said about it.
//!
//! The first line of a rule says what kind of file it is. `UPDATE_EXPECT=1` rewrites what is said.

use rules::{FileKind, Options, Origin, SourceFile, codes, compile, expr};
use std::{collections::BTreeSet, env, fs, path::Path};
use syntax::{Style, render};

#[test]
fn bad_rules_are_explained() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let mut names: Vec<String> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    names.sort();
    let mut wrong = Vec::new();
    for name in &names {
        let text = fs::read_to_string(directory.join(name)).unwrap();
        let shown = explain(name, &text);
        let code = &name[..5];
        if !shown.contains(&format!("[{code}]")) {
            wrong.push(format!("{name} must show {code}:\n{shown}"));
            continue;
        }
        let expect = directory.join(name).with_extension("txt");
        if env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&expect, &shown).unwrap();
        } else if fs::read_to_string(&expect).ok().as_deref() != Some(&shown) {
            wrong.push(format!("{name}:\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "run with UPDATE_EXPECT=1 and read the diff\n\n{}", wrong.join("\n"));
    let cases: BTreeSet<&str> = names.iter().map(|name| &name[..5]).collect();
    let codes = codes::ALL.iter().chain(expr::codes::ALL);
    let without: Vec<_> = codes.filter(|entry| !cases.contains(entry.code.0)).collect();
    assert!(without.is_empty(), "these have no case: {without:?}");
}

/// What is said about a rule.
fn explain(name: &str, text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let kind = match first {
        "# parser" => FileKind::Parser { stage: "s01-parse".to_owned() },
        "# postoverflow" => FileKind::Postoverflow { stage: "s00-enrich".to_owned() },
        "# scenario" => FileKind::Scenario,
        "# context" => FileKind::Context,
        "# console context" => FileKind::ConsoleContext,
        "# simulation" => FileKind::Simulation,
        other => panic!("{name} starts with {other:?}, which is no kind of file"),
    };
    let file =
        SourceFile { kind, name: name.to_owned(), text: text.to_owned(), origin: Origin::Local };
    let mut data = |file: &rules::item::DataFile| match file.dest_file.as_str() {
        "missing.txt" => None,
        _ => Some("( is neither JSON nor a regular expression\n".to_owned()),
    };
    let compiled = compile(vec![file], &mut data, &Options::default());
    let style = Style { color: false, width: 100 };
    let shown = compiled.diagnostics.iter().map(|found| render(found, &compiled.sources, style));
    shown.map(|text| text.trim_end().to_owned() + "\n").collect::<Vec<_>>().join("\n")
}
