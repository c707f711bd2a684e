//! Syntax errors in the words of people who write rules.
//!
//! The YAML library says which of its expectations failed; here that becomes what the author most
//! likely did and how to get out of it. Words it has that we do not know are passed on as they are.

use super::parse::MAX_DEPTH;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};

const QUOTE_IT: &str = "put the text into single quotes, or write it as a block after `|-`";
const LINE_UP: &str = "entries of one map or list must start in the same column";
const NO_TABS: &str = "indent with spaces";

/// What the library says, a part of it that tells it apart, what we say, and the way out.
const WORDS: &[(&str, &str, &str)] = &[
    ("mapping values are not allowed", "a `: ` is not expected here", QUOTE_IT),
    ("illegal placement of ':'", "a `:` is not expected here", QUOTE_IT),
    ("simple key expect", "this line should be a `key: value`", LINE_UP),
    ("did not find expected key", "a `key: value` or the end of the map is expected here", LINE_UP),
    ("did not find expected '-'", "a `- ` or the end of the list is expected here", LINE_UP),
    (
        "block sequence entries are not allowed",
        "a list cannot start here",
        "start the list on a line of its own",
    ),
    (
        "mapping keys are not allowed",
        "a map cannot start here",
        "start the map on a line of its own",
    ),
    (
        "did not find expected ',' or '}'",
        "a `,` or `}` is expected here",
        "the `{` before it was not closed",
    ),
    ("expected ',' or ']'", "a `,` or `]` is expected here", "the `[` before it was not closed"),
    ("did not find expected node content", "a value is expected here", QUOTE_IT),
    ("did not find expected next token", "no value can start with this character", QUOTE_IT),
    ("unexpected character", "no value can start with this character", QUOTE_IT),
    ("found unprintable character", "no value can start with this character", QUOTE_IT),
    ("misplaced bracket", "this bracket closes nothing", QUOTE_IT),
    (
        "invalid indentation in quoted",
        "a quoted text must be indented further than its key",
        LINE_UP,
    ),
    (
        "invalid indentation in flow",
        "what stands in brackets must be indented further than its key",
        LINE_UP,
    ),
    ("invalid indentation", "this line is indented wrongly", LINE_UP),
    (
        "wrongly indented line in block",
        "a line of a block is indented less than its first one",
        LINE_UP,
    ),
    (
        "block scalar content cannot start with a tab",
        "a block cannot be indented with tabs",
        NO_TABS,
    ),
    ("found a tab", "tabs cannot indent", NO_TABS),
    ("tab cannot be used", "tabs cannot indent", NO_TABS),
    ("tabs disallowed", "tabs cannot indent", NO_TABS),
    (
        "block scalar, did not find expected comment",
        "only a comment can follow on this line",
        "start the text below",
    ),
    ("indicator equal to 0", "a block cannot be indented by 0", "leave the digit out"),
    (
        "unexpected end of stream",
        "this quote is never closed",
        "add the same quote at the end of the text",
    ),
    (
        "quoted scalar, found unexpected document",
        "this quote is never closed",
        "add the same quote at the end of the text",
    ),
    (
        "invalid trailing content after double-quoted",
        "nothing can follow a closing quote",
        QUOTE_QUOTE,
    ),
    ("unknown escape character", "this text holds an escape that YAML does not know", ESCAPES),
    ("expected hexadecimal number", "an escape in this text lacks digits", ESCAPES),
    ("invalid Unicode character escape", "an escape in this text is no character", ESCAPES),
    ("comment intercepting", "a comment cannot stand within a text of several lines", QUOTE_IT),
    ("unexpected end of plain scalar", "a value is expected here", QUOTE_IT),
    ("plain scalar cannot start with '-'", "a text cannot start with `-` here", QUOTE_IT),
    (
        "must be separated from other tokens",
        "a blank is expected here",
        "a comment needs a blank before its `#`",
    ),
    (
        "is only valid inside a block",
        "a `- ` cannot stand in brackets",
        "separate the elements with commas",
    ),
    (
        "may not precede any of",
        "a blank is expected after this `:`",
        "in brackets too, a value needs a blank before it",
    ),
    ("must be followed by a valid YAML whitespace", "a blank is expected before this", NO_TABS),
    ("expected whitespace", "a blank is expected here", "a comment needs a blank before its `#`"),
    (
        "invalid content after document end",
        "nothing can follow `...` on its line",
        "start the next document with `---`",
    ),
    ("expected <document start>", "the document ends before this line", LINE_UP),
    (
        "document end marker before directive",
        "a `%` line is not expected here",
        "end the document before it with `...`",
    ),
    (
        "byte order mark",
        "a byte order mark can only start a file",
        "remove the invisible character",
    ),
    ("anchor or alias, did not find", "a name is expected after `&` or `*`", QUOTE_IT),
    ("the handle wasn't declared", "this tag is not known", QUOTE_IT),
    ("tag", "this is not a tag", "a value that starts with `!` must be quoted"),
    ("directive", "this is not a directive", "a line that starts with `%` must be quoted"),
];

const QUOTE_QUOTE: &str =
    "within single quotes a quote is written twice, within double quotes as `\\\"`";
const ESCAPES: &str = "in single quotes or in a block after `|-` a backslash is a backslash";

/// Turns the library's complaint about the character at `start` into ours.
pub(super) fn syntax_error(words: &str, file: FileId, text: &str, start: usize) -> Diagnostic {
    let place = place(file, text, start);
    if words.contains("unknown anchor") {
        return Diagnostic::error(codes::YAML_ALIAS, "no such anchor").at(place, "").help(
            "an alias `*name` repeats what was marked `&name` before it in the same document; a text that starts with `*` \
             must be quoted",
        );
    }
    if words == "recursion limit exceeded" {
        return too_deep(place);
    }
    match WORDS.iter().find(|(part, ..)| words.contains(part)) {
        Some(&(_, message, help)) => {
            Diagnostic::error(codes::YAML_SYNTAX, message).at(place, "").help(help)
        }
        None => Diagnostic::error(codes::YAML_SYNTAX, words).at(place, ""),
    }
}

/// Reports a text that is nested deeper than is sensible.
pub(super) fn too_deep(place: Span) -> Diagnostic {
    let message = format!("maps and lists are nested more than {MAX_DEPTH} deep");
    Diagnostic::error(codes::YAML_TOO_BIG, message).at(place, "here the limit is reached")
}

/// Covers the word that starts at `start`, or the character before it where a line ends.
fn place(file: FileId, text: &str, start: usize) -> Span {
    // More would underline half a line for what is wrong with its first character.
    const LONGEST: usize = 40;
    let start = text.floor_char_boundary(start);
    let rest = &text[start..];
    let word = rest
        .chars()
        .take(LONGEST)
        .take_while(|char| !char.is_whitespace())
        .map(char::len_utf8)
        .sum::<usize>();
    let length = match rest.chars().next() {
        Some('\n' | '\r') | None => 0,
        Some('"' | '\'' | '[' | ']' | '{' | '}' | ',' | ':' | '\t' | '%' | '@' | '`') => 1,
        Some(_) => word.max(1),
    };
    Span::new(file, start, start + length)
}
