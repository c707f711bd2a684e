//! The book's page of codes is made from the registers, so it lacks none and promises none too many.
//!
//! Each code has its meaning and, where the rule compiler's own tests have one, the shortest example
//! of what is said. `UPDATE_EXPECT=1` writes the page.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use syntax::{Diagnostics, Sources, Style, codes::Explained, render, yaml};

// The binary's own register: it has no library to take it from.
#[path = "../src/config/codes.rs"]
mod settings;

/// A wrong `acquis.yaml` for each code of settings.
const ACQUIS: &[(&str, &str)] = &[
    ("R0401", "filenames: [/var/log/nginx/*.log]\nlabels: {type: nginx}\nmod: tail\n"),
    ("R0402", "filenames: [/var/log/nginx/*.log]\nlabels: nginx\n"),
    ("R0403", "filenames: [/var/log/nginx/*.log]\n"),
    ("R0405", "source: docker\nlabels: {type: nginx}\n"),
    ("R0406", "source: journalctrl\nlabels: {type: syslog}\n"),
    ("R0407", "filenames: [/var/log/nginx/*.log]\nlabels: {type: nginx}\nmode: follow\n"),
];

/// A text for each code of the text layer, which has no examples in files.
const YAML: &[(&str, &str)] = &[
    ("R0001", "type: [leaky\n"),
    ("R0002", "name: acme/\u{1}\n"),
    ("R0004", "type: leaky\ntype: trigger\n"),
    ("R0005", "labels: *common\n"),
    ("R0006", "<<: leaky\ntype: leaky\n"),
];

#[test]
fn the_page_of_codes_is_complete() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("book/src/reference/codes.md");
    let page = page(&root.join("crates/rules/tests/ui"));
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, page).unwrap();
    } else {
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(written, page, "run with UPDATE_EXPECT=1 and read the diff");
    }
}

fn page(cases: &Path) -> String {
    let mut page = String::from(
        "<!-- Made by crates/shieldwall/tests/codes.rs; UPDATE_EXPECT=1 rewrites it. -->\n\
         # Codes of diagnostics\n\n\
         Each kind of mistake has a code, which stands in brackets behind `error` or `warning` and \
         keeps its meaning.\n\
         An error leaves out the item it is in, and the rest runs; a warning is about something \
         that will not do what it seems to.\n",
    );
    let sections: [(&str, &[Explained]); 4] = [
        ("Text", syntax::codes::ALL),
        ("Items and groks", rules::codes::ALL),
        ("Expressions", rules::expr::codes::ALL),
        ("Settings", settings::ALL),
    ];
    let mut seen: Vec<&str> = Vec::new();
    for (title, codes) in sections {
        write!(page, "\n## {title}\n").unwrap();
        for code in codes {
            let number = code.code.0;
            assert!(!seen.contains(&number), "{number} is used twice");
            seen.push(number);
            write!(page, "\n### {number}\n\n{}.\n", capitalized(code.meaning)).unwrap();
            if let Some(example) = example_of(number, cases) {
                write!(page, "\n```text\n{example}\n```\n").unwrap();
            }
        }
    }
    page
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The shortest thing said with a code.
fn example_of(code: &str, cases: &Path) -> Option<String> {
    if let Some((_, text)) = YAML.iter().find(|(of, _)| *of == code) {
        return Some(said_of_yaml(text, code));
    }
    if let Some((_, text)) = ACQUIS.iter().find(|(of, _)| *of == code) {
        return Some(said_of_acquis(text, code));
    }
    let mut names: Vec<_> =
        fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let of_code = |path: &&PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(code) && name.ends_with(".txt")
    };
    let said = names.iter().filter(of_code).flat_map(|path| {
        let text = fs::read_to_string(path).unwrap();
        // The name of the case says nothing to the reader of the page.
        let rule = path.with_extension("yaml");
        let rule = rule.file_name().unwrap_or_default().to_string_lossy();
        with_code(&text.replace(&*rule, "rule.yaml"), code)
    });
    // A suggestion makes the better example.
    said.min_by_key(|text| (!text.contains("help:"), text.len()))
        .map(|text| text.trim_end().to_owned())
}

fn said_of_yaml(text: &str, code: &str) -> String {
    let mut sources = Sources::new();
    let file = sources.add("rule.yaml", text);
    let mut found = Diagnostics::new();
    yaml::parse(file, &sources, &mut found);
    let style = Style { color: false, width: 100 };
    let shown: String = found.iter().map(|one| render(one, &sources, style) + "\n").collect();
    first_with_code(&shown, code)
}

/// What the program says before it gives up for want of a datasource.
fn said_of_acquis(text: &str, code: &str) -> String {
    let sandbox = tempfile::tempdir().unwrap();
    let scenarios = sandbox.path().join("rules/scenarios");
    fs::create_dir_all(&scenarios).unwrap();
    let scenario = "type: trigger\nname: acme/any\ndescription: any line\nfilter: 'true'\n";
    fs::write(scenarios.join("any.yaml"), scenario).unwrap();
    fs::write(sandbox.path().join("acquis.yaml"), text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_shieldwall"))
        .args(["up", "--rules", "rules", "--acquis", "acquis.yaml"])
        .current_dir(sandbox.path())
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stderr).unwrap();
    let (shown, _end) = shown.split_once("\nerror: ").unwrap_or((&shown, ""));
    first_with_code(shown, code)
}

fn first_with_code(shown: &str, code: &str) -> String {
    let said = with_code(shown, code).into_iter().next();
    said.unwrap_or_else(|| panic!("{code} must be shown:\n{shown}")).trim_end().to_owned()
}

/// The diagnostics of a rendered list that have a code. Each begins with its severity.
fn with_code(text: &str, code: &str) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    for line in text.lines() {
        let begins = line.starts_with("error[") || line.starts_with("warning[");
        match said.last_mut() {
            Some(last) if !begins => *last = format!("{last}\n{line}"),
            _ => said.push(line.to_owned()),
        }
    }
    said.retain(|one| one.contains(&format!("[{code}]")));
    said
}
