//! Pictures of diagnostics.

use proptest::prelude::*;

use super::*;
use crate::codes::Code;

const CODE: Code = Code("R0107");
const PLAIN: Style = Style { color: false, width: 100 };

struct Place<'a> {
    sources: &'a Sources,
    file: FileId,
}

impl Place<'_> {
    fn of(&self, part: &str) -> Span {
        let start = self.sources.text(self.file).find(part).expect("the part is there");
        Span::new(self.file, start, start + part.len())
    }
}

#[track_caller]
fn check(diagnostic: &Diagnostic, sources: &Sources, expect: &str) {
    let shown = render(diagnostic, sources, PLAIN);
    assert_eq!(shown.trim_end(), expect.trim(), "\n{shown}");
}

#[test]
fn two_files_and_a_fix() {
    let mut sources = Sources::new();
    let scenario =
        "type: leaky\nname: acme/ssh-bf\ndescription: x\nfilter: a\n\ngroupby: evt.Meta.sourceip\n";
    let scenario = sources.add("scenarios/acme/ssh-bf.yaml", scenario);
    let parser = "# a comment\n".repeat(30) + "  - meta: source_ip\n    value: x\n";
    let parser = sources.add("parsers/s01-parse/acme/sshd-logs.yaml", parser);
    let read = Place { sources: &sources, file: scenario }.of("evt.Meta.sourceip");
    let set = Place { sources: &sources, file: parser }.of("source_ip");
    let diagnostic = Diagnostic::error(CODE, "no parser sets `evt.Meta.sourceip`")
        .at(read, "read here")
        .see(set, "`source_ip` is set here")
        .fix("a similar field exists", read, "evt.Meta.source_ip")
        .help("or set it with a static")
        .note("fields are compared letter by letter");
    check(
        &diagnostic,
        &sources,
        r"
error[R0107]: no parser sets `evt.Meta.sourceip`
  --> scenarios/acme/ssh-bf.yaml:6:10
   |
 6 | groupby: evt.Meta.sourceip
   |          ^^^^^^^^^^^^^^^^^ read here
   |
  ::: parsers/s01-parse/acme/sshd-logs.yaml:31:11
   |
31 |   - meta: source_ip
   |           --------- `source_ip` is set here
   |
help: a similar field exists
   |
 6 | groupby: evt.Meta.source_ip
   |                         +
help: or set it with a static
note: fields are compared letter by letter
",
    );
}

#[test]
fn labels_that_lie_apart_in_one_file_get_their_own_excerpts() {
    let mut sources = Sources::new();
    let file = sources
        .add("a.yaml", "name: a\n".to_owned() + &"# more\n".repeat(40) + "name: b\nlast: c\n");
    let first = Place { sources: &sources, file }.of("name: a").sub(0, 4);
    let again = Place { sources: &sources, file }.of("name: b").sub(0, 4);
    let last = Place { sources: &sources, file }.of("c");
    let diagnostic = Diagnostic::warning(CODE, "twice")
        .at(again, "again")
        .see(first, "first")
        .see(last, "and this");
    check(
        &diagnostic,
        &sources,
        r"
warning[R0107]: twice
  --> a.yaml:42:1
   |
42 | name: b
   | ^^^^ again
43 | last: c
   |       - and this
   |
  ::: a.yaml:1:1
   |
 1 | name: a
   | ---- first
",
    );
}

#[test]
fn a_block_is_marked_as_a_whole_when_it_is_small() {
    let mut sources = Sources::new();
    let file = sources.add("a.yaml", "a: |\n  one\n  two\nb: c\n");
    let block = Place { sources: &sources, file }.of("one\n  two");
    check(
        &Diagnostic::error(CODE, "wrong").at(block, "all of it"),
        &sources,
        r"
error[R0107]: wrong
 --> a.yaml:2:3
  |
2 | /   one
3 | |   two
  | |_____^ all of it
",
    );
    let file = sources.add("b.yaml", "a:\n".to_owned() + &"  - line\n".repeat(50));
    let long = Span::new(file, 5, sources.text(file).len());
    check(
        &Diagnostic::error(CODE, "wrong").at(long, "all of it"),
        &sources,
        r"
error[R0107]: wrong
 --> b.yaml:2:3
  |
2 |   - line
  |   ^^^^^^ all of it
",
    );
}

#[test]
fn nothing_reaches_the_terminal_unescaped() {
    let mut sources = Sources::new();
    let file = sources.add("a\u{1b}[2J.yaml", "k: \u{1b}[31mred\u{9b}0m \u{202e}end\r\nx: y\n");
    let end = Place { sources: &sources, file }.of("end");
    let diagnostic = Diagnostic::error(CODE, "bad \u{7}\n\u{1b}[0m")
        .at(end, "\u{1b}[1m\there")
        .help("\u{1b}c")
        .fix("write", end, "\u{1b}fin");
    check(
        &diagnostic,
        &sources,
        r"
error[R0107]: bad \u{7}\n\u{1b}[0m
 --> a\u{1b}[2J.yaml:1:17
  |
1 | k: \u{1b}[31mred\u{9b}0m \u{202e}end
  |                                  ^^^ \u{1b}[1m\there
  |
help: \u{1b}c
help: write
  |
1 - k: \u{1b}[31mred\u{9b}0m \u{202e}end
1 + k: \u{1b}[31mred\u{9b}0m \u{202e}\u{1b}fin
  |
",
    );
}

#[test]
fn long_lines_are_cut_around_the_place_and_columns_stay_true() {
    let mut sources = Sources::new();
    let text = format!("key: {}WRONG{}\n", "a".repeat(1 << 20), "b".repeat(5000));
    let file = sources.add("a.yaml", text);
    let wrong = Place { sources: &sources, file }.of("WRONG");
    let started = std::time::Instant::now();
    let shown = render(&Diagnostic::error(CODE, "wrong").at(wrong, "here"), &sources, PLAIN);
    assert!(shown.contains(" --> a.yaml:1:1048582\n"), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 110), "{shown}");
    assert!(shown.contains("aWRONGb") && shown.contains("^^^^^ here"), "{shown}");
    assert!(started.elapsed().as_secs() < 5, "only an excerpt is looked at");
}

#[test]
fn the_end_of_a_file_can_be_pointed_at() {
    let mut sources = Sources::new();
    let file = sources.add("a.yaml", "a: [b\n");
    check(
        &Diagnostic::error(CODE, "unclosed").at(Span::new(file, 6, 6), ""),
        &sources,
        r"
error[R0107]: unclosed
 --> a.yaml:2:1
  |
2 |
  | ^
",
    );
    let empty = sources.add("b.yaml", "");
    check(
        &Diagnostic::error(CODE, "empty").at(Span::new(empty, 0, 0), ""),
        &sources,
        r"
error[R0107]: empty
 --> b.yaml:1:1
  |
1 |
  | ^
",
    );
    check(&Diagnostic::error(CODE, "nowhere"), &sources, "error[R0107]: nowhere");
}

#[test]
fn color_is_decoration() {
    let mut sources = Sources::new();
    let file = sources.add("a.yaml", "a: b\u{1}c\n");
    let diagnostic = Diagnostic::error(CODE, "wrong").at(Span::new(file, 5, 6), "here").help("do");
    let plain = render(&diagnostic, &sources, PLAIN);
    let mut colored = render(&diagnostic, &sources, Style { color: true, ..PLAIN });
    assert!(colored.contains("\u{1b}["));
    while let Some(start) = colored.find("\u{1b}[") {
        let end = colored[start..].find('m').expect("only colors are written") + start;
        colored.replace_range(start..=end, "");
    }
    assert_eq!(colored, plain);
}

proptest! {
    /// Whatever the text and the places, there is a picture, and it holds no control characters.
    #[test]
    fn there_is_always_a_picture(
        text in "([ -~]|[\t\r\n\u{0}\u{1b}\u{85}\u{9b}\u{202e}\u{feff}é漢😀]|\n){0,80}",
        spans in prop::collection::vec((0..90usize, 0..90usize, 0..2u32, any::<bool>()), 0..5),
        fix in prop::option::of((0..90usize, 0..90usize, "[a-c\n\u{1b}]{0,4}")),
        width in 0..120usize,
    ) {
        let mut sources = Sources::new();
        sources.add("a", text);
        let mut diagnostic = Diagnostic::error(CODE, "m");
        for (start, end, file, is_at) in spans {
            let span = Span::new(FileId(file), start, end);
            diagnostic = if is_at { diagnostic.at(span, "l") } else { diagnostic.see(span, "") };
        }
        if let Some((start, end, replacement)) = fix {
            diagnostic = diagnostic.fix("f", Span::new(FileId(0), start, end), replacement);
        }
        let shown = render(&diagnostic, &sources, Style { color: false, width });
        prop_assert!(shown.starts_with("error[R0107]: m\n"));
        prop_assert!(shown.chars().all(|char| char == '\n' || !char.is_control()), "{shown:?}");
    }
}
