//! What the dialect means, by example: most tests say what a pattern matches; the rest say which
//! text an error points at.

extern crate std;

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use proptest::prelude::*;
use regex_automata::meta::{Builder, Config, Regex};
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir};

use super::*;

fn build(hir: &Hir) -> Regex {
    // The one-pass engine would take most of the time to build, and decides nothing here.
    let config = Config::new().nfa_size_limit(Some(200 << 20)).onepass(false);
    Builder::new().configure(config).build_from_hir(hir).expect("the limits of `parse` suffice")
}

fn read(pattern: &str) -> Hir {
    parse(pattern).unwrap_or_else(|error| panic!("`{}`: {error}", scan::cut(pattern)))
}

fn regex(pattern: &str) -> Regex {
    let hir = read(pattern);
    assert!(hir.properties().is_utf8(), "`{}` may split a character", scan::cut(pattern));
    build(&hir)
}

/// All groups of the first match, as text.
fn groups<'t>(regex: &Regex, text: &'t str) -> Option<Vec<Option<&'t str>>> {
    let mut captures = regex.create_captures();
    regex.captures(text, &mut captures);
    let group = |index| captures.get_group(index).map(|span| &text[span.start..span.end]);
    captures.is_match().then(|| (0..captures.group_len()).map(group).collect())
}

#[track_caller]
fn finds(pattern: &str, text: &str, expected: &str) {
    let found = regex(pattern).find(text).map(|found| &text[found.range()]);
    assert_eq!(found, Some(expected), "`{pattern}` on {text:?}");
}

#[track_caller]
fn finds_nothing(pattern: &str, text: &str) {
    let found = regex(pattern).find(text).map(|found| &text[found.range()]);
    assert_eq!(found, None, "`{pattern}` on {text:?}");
}

/// `pattern` matches exactly these characters, of all there are.
#[track_caller]
fn is_class(pattern: &str, expected: &[(char, char)]) {
    let wanted = expected.iter().map(|&(low, high)| ClassUnicodeRange::new(low, high));
    let wanted = Hir::class(Class::Unicode(ClassUnicode::new(wanted)));
    assert_eq!(read(pattern), wanted, "`{pattern}`");
}

/// `pattern` is refused with `message`, which points at `blamed`.
#[track_caller]
fn refuses(pattern: &str, blamed: &str, message: &str) {
    let error = parse(pattern).expect_err(pattern);
    assert_eq!(
        (error.message.as_str(), pattern.get(error.start..error.end)),
        (message, Some(blamed)),
        "`{pattern}`"
    );
}

#[track_caller]
fn accepts(pattern: &str) {
    regex(pattern);
}

#[test]
fn a_brace_that_is_no_counter_is_literal() {
    finds("{foo}", "a{foo}b", "{foo}");
    finds("a{", "aa{", "a{");
    finds("x{2", "xx{2", "x{2");
    finds("a{,2}", "aaa{,2}", "a{,2}");
    finds("a{02}", "aa{02}", "a{02}");
    finds("a{1,02}", "a{1,02}", "a{1,02}");
    finds("a{ 2}", "aa a{ 2}", "a{ 2}");
    finds("a{2,3", "aaa{2,3", "a{2,3");
    finds("a{-1}", "a{-1}", "a{-1}");
    finds("a*{", "aa{", "aa{");
    finds("x{9876543210", "x{9876543210", "x{9876543210");
    finds("}", "}", "}");
    finds("%{IP:a.b}", "%{IP:a.b}", "%{IP:a.b}");
}

#[test]
fn counters_count() {
    finds("a{2}", "aaa", "aa");
    finds("a{2,}", "aaaa", "aaaa");
    finds("a{1,3}", "aaaa", "aaa");
    finds("a{1,3}?", "aaaa", "a");
    finds("a{0}b", "ab", "b");
    finds("ab{2}", "abb", "abb");
    finds("(?:ab){2}", "ababab", "abab");
    finds("é{2}", "ééé", "éé");
    finds("a{1000}", &"a".repeat(1000), &"a".repeat(1000));
    finds("a{0,0}b", "ab", "b");
}

#[test]
fn counts_have_a_limit_and_so_has_their_product() {
    refuses("ax{1001}", "{1001}", "repeat count is above 1000");
    refuses("x{1001,}", "{1001,}", "repeat count is above 1000");
    refuses("x{1,98765432109876543210}", "{1,98765432109876543210}", "repeat count is above 1000");
    refuses("x{2,1}", "{2,1}", "repeat count has its minimum above its maximum");
    // A bad counter is bad even with nothing to repeat.
    refuses("{1001}", "{1001}", "repeat count is above 1000");

    let product = "nested repeat counts multiply to more than 1000";
    accepts("(?:[a-z]{4}){0,250}");
    refuses("(?:[a-z]{4}){0,251}", "{0,251}", product);
    accepts("((a{10}){10}){10}");
    refuses("((a{10}){10}){11}", "{11}", product);
    refuses("(?:b|(c{2}d){11}){100}?", "{100}?", product);
    refuses("(?:x{500,}){3,}", "{3,}", product);
    // Ones, stars and what is never entered do not multiply.
    accepts("(?:(?:x{1000}){1}){1}");
    accepts("(?:(?:x{1000})*)+");
    accepts("(?:(?:x{1000}){0}){1000}");
    accepts("a{1000}b{1000}");
}

#[test]
fn repetition_needs_one_operand_and_one_operator() {
    let nested = "invalid nested repetition operator";
    refuses("a**", "**", nested);
    refuses("a*+", "*+", nested);
    refuses("a++", "++", nested);
    refuses("a?*", "?*", nested);
    refuses("a{1}*", "{1}*", nested);
    refuses("a{2}{3}b", "{2}{3}", nested);
    refuses("a*?*?", "*?*?", nested);
    refuses("a???", "???", nested);
    let missing = "missing argument to repetition operator";
    refuses("*a", "*", missing);
    refuses("a|+?b", "+?", missing);
}

#[test]
fn repetition_applies_to_whatever_is_before() {
    finds("^*a", "ba", "a");
    finds(r"\b+a", "a", "a");
    finds("(?:a*)*b", "aab", "aab");
    finds(r"\Qab\E+", "abbb", "abbb");
    finds(r"\Q+\E+", "+++", "+++");
    // Nothing was quoted, so the operator reaches what comes before the quotes.
    finds(r"a\Q\E*b", "aab", "aab");
    finds(r"a*\Q\E*b", "aab", "aab");
    finds("a(?i)*B", "aab", "aab");
    refuses(r"\Q\E*", "*", "missing argument to repetition operator");
}

#[test]
fn in_a_class_everything_but_a_few_is_literal() {
    is_class("[[]", &[('[', '[')]);
    is_class("[^[]", &[('\0', 'Z'), ('\\', char::MAX)]);
    is_class("[a[b]", &[('[', '['), ('a', 'b')]);
    is_class("[]a]", &[(']', ']'), ('a', 'a')]);
    is_class("[^]a]", &[('\0', '\\'), ('^', '`'), ('b', char::MAX)]);
    is_class("[a^]", &[('^', '^'), ('a', 'a')]);
    is_class("[a-z&&b]", &[('&', '&'), ('a', 'z')]);
    is_class("[~~]", &[('~', '~')]);
    is_class("[a-z--]", &[('-', '-'), ('a', 'z')]);
    is_class("[+--]", &[('+', '-')]);
    is_class("[--a]", &[('-', 'a')]);
    is_class("[a-]", &[('-', '-'), ('a', 'a')]);
    is_class("[-a]", &[('-', '-'), ('a', 'a')]);
    is_class("[a-b-c]", &[('-', '-'), ('a', 'c')]);
    is_class("[+-=]", &[('+', '=')]);
    is_class("[.*+?(){}|$]", &[('$', '$'), ('(', '+'), ('.', '.'), ('?', '?'), ('{', '}')]);
    is_class("[α-ε☺]", &[('α', 'ε'), ('☺', '☺')]);
    is_class("[#a ]", &[(' ', ' '), ('#', '#'), ('a', 'a')]);
    // A class may match a newline even without `(?s)`.
    finds("[^a]", "a\n", "\n");
}

#[test]
fn a_group_in_a_class_starts_no_range() {
    is_class(r"[\d-z]", &[('-', '-'), ('0', '9'), ('z', 'z')]);
    is_class(r"[\w-.]", &[('-', '.'), ('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]);
    is_class(r"[\w.-]", &[('-', '.'), ('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]);
    is_class(r"[[:digit:]-z]", &[('-', '-'), ('0', '9'), ('z', 'z')]);
    refuses(r"[a-\d]", r"\d", r"invalid escape sequence `\d`");
}

#[test]
fn a_bad_class_is_an_error() {
    refuses("x[a", "[a", "missing closing `]`");
    refuses("[", "[", "missing closing `]`");
    refuses("[]", "[]", "missing closing `]`");
    refuses("[^]", "[^]", "missing closing `]`");
    refuses("[a-", "[a-", "missing closing `]`");
    refuses("[xa-Z]", "a-Z", "invalid class range `a-Z`");
    refuses("[a--b]", "a--", "invalid class range `a--`");
    refuses("(?i)[z-A]", "z-A", "invalid class range `z-A`");
    refuses("[x[:foo:]]", "[:foo:]", "unknown class `[:foo:]`");
    refuses("[[:^foo:]]", "[:^foo:]", "unknown class `[:^foo:]`");
    refuses("[[:a]b:]", "[:a]b:]", "unknown class `[:a]b:]`");
    refuses(r"[\b]", r"\b", r"invalid escape sequence `\b`");
    refuses(r"[\Qa\E]", r"\Q", r"invalid escape sequence `\Q`");
    refuses(r"[\C]", r"\C", r"invalid escape sequence `\C`");
    refuses(r"[a\", r"\", "trailing backslash");
    // Without `:]` anywhere after it, `[:` is two characters.
    is_class("[[:a]", &[(':', ':'), ('[', '['), ('a', 'a')]);
    is_class("[:alpha:]", &[(':', ':'), ('a', 'a'), ('h', 'h'), ('l', 'l'), ('p', 'p')]);
}

#[test]
fn groups_are_ascii() {
    is_class(r"\d", &[('0', '9')]);
    is_class(r"\D", &[('\0', '/'), (':', char::MAX)]);
    is_class(r"\s", &[('\t', '\n'), ('\x0C', '\r'), (' ', ' ')]);
    is_class(r"[^\S]", &[('\t', '\n'), ('\x0C', '\r'), (' ', ' ')]);
    is_class(r"\w", &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]);
    is_class(r"[^\W]", &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]);
    is_class(r"[\s\S]", &[('\0', char::MAX)]);
    finds_nothing(r"\d", "٣");
    finds_nothing(r"\s", "\u{A0}\u{0B}");
    finds_nothing(r"\w", "é");
}

#[test]
fn posix_groups() {
    is_class("[[:alnum:]]", &[('0', '9'), ('A', 'Z'), ('a', 'z')]);
    is_class("[[:alpha:]]", &[('A', 'Z'), ('a', 'z')]);
    is_class("[[:ascii:]]", &[('\0', '\x7F')]);
    is_class("[[:blank:]]", &[('\t', '\t'), (' ', ' ')]);
    is_class("[[:cntrl:]]", &[('\0', '\x1F'), ('\x7F', '\x7F')]);
    is_class("[[:digit:]]", &[('0', '9')]);
    is_class("[[:graph:]]", &[('!', '~')]);
    is_class("[[:lower:]]", &[('a', 'z')]);
    is_class("[[:print:]]", &[(' ', '~')]);
    is_class("[[:punct:]]", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]);
    is_class("[[:space:]]", &[('\t', '\r'), (' ', ' ')]);
    is_class("[[:upper:]]", &[('A', 'Z')]);
    is_class("[[:word:]]", &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]);
    is_class("[[:xdigit:]]", &[('0', '9'), ('A', 'F'), ('a', 'f')]);
    is_class("[[:^lower:]]", &[('\0', '`'), ('{', char::MAX)]);
    is_class("[^[:^lower:]]", &[('a', 'z')]);
    is_class("[_[:digit:]x]", &[('0', '9'), ('_', '_'), ('x', 'x')]);
}

#[test]
fn words_are_ascii() {
    finds(r"\bk\b", "ék é", "k");
    finds(r"\b{start}", "a{start}", "{start}");
    finds(r"a\B.", "a ab", "ab");
    finds_nothing(r"\bé", "é");
}

#[test]
fn escaped_punctuation_is_literal() {
    for c in (0..0x80).map(char::from).filter(|c| !c.is_ascii_alphanumeric()) {
        let text = c.to_string();
        finds(&format!("\\{c}"), &text, &text);
        finds(&format!("[\\{c}]"), &text, &text);
    }
    // These are word boundaries for the Rust engines.
    finds(r"\<a\>", "a<a>", "<a>");
    refuses(r"a\é", r"\é", r"invalid escape sequence `\é`");
}

#[test]
fn escapes_of_characters() {
    finds(r"\a\f\n\r\t\v", "\x07\x0C\n\r\t\x0B", "\x07\x0C\n\r\t\x0B");
    finds(r"\x41\x{42}\x{00043}", "ABC", "ABC");
    finds(r"\xe9\x{10FFFF}", "é\u{10FFFF}", "é\u{10FFFF}");
    finds(r"\123\0\12\0123\777", "S\0\n\n3ǿ", "S\0\n\n3ǿ");
    finds(r"\08", "\x008", "\x008");
    is_class(r"[\012-\234]", &[('\n', '\u{9C}')]);
    is_class(r"[\x{41}-\x7a]", &[('A', 'z')]);
    // Surrogates can be written, but never occur.
    finds_nothing(r"\x{D800}", "\u{FFFD}");
    is_class(r"[\x{D7FF}-\x{E000}]", &[('\u{D7FF}', '\u{E000}')]);
    is_class(r"[a\x{D800}-\x{DFFF}]", &[('a', 'a')]);
}

#[test]
fn bad_escapes_are_errors() {
    for escape in [r"\Z", r"\q", r"\E", r"\G", r"\K", r"\R", r"\X", r"\h", r"\e", r"\c", r"\N"] {
        refuses(&format!("a{escape}b"), escape, &format!("invalid escape sequence `{escape}`"));
    }
    refuses(r"\u0041", r"\u", r"invalid escape sequence `\u`");
    refuses(r"\xg0", r"\x", r"invalid escape sequence `\x`");
    refuses(r"\x4g", r"\x4", r"invalid escape sequence `\x4`");
    refuses(r"\x{}", r"\x{", r"invalid escape sequence `\x{`");
    refuses(r"\x{41", r"\x{41", r"invalid escape sequence `\x{41`");
    refuses(r"\x{110000}", r"\x{110000", "the code point is above 10FFFF");
    refuses(r"ab\", r"\", "trailing backslash");
    refuses(r"(a)\1", r"\1", r"back-references are not supported: `\1`");
    refuses(r"\8", r"\8", r"back-references are not supported: `\8`");
    refuses(r"\k<a>", r"\k", r"back-references are not supported: `\k`");
}

#[test]
fn quoted_text_is_literal() {
    finds(r"\Q+|*?{[\E", "+|*?{[", "+|*?{[");
    finds(r"a\Q.*", "ab a.*", "a.*");
    finds(r"\Q\\E", r"\", r"\");
    finds(r"\Q\\\E", r"\\", r"\\");
    finds(r"\Qa\E|b", "b", "b");
    finds(r"(?i)\Qk.\E", "K.", "K.");
}

#[test]
fn any_byte_means_any_character() {
    finds(r"\C+", "aé\n", "aé\n");
}

#[test]
fn unicode_classes() {
    is_class(r"\p{Braille}", &[('\u{2800}', '\u{28FF}')]);
    is_class(r"\P{Braille}", &[('\0', '\u{27FF}'), ('\u{2900}', char::MAX)]);
    is_class(r"\p{^Braille}", &[('\0', '\u{27FF}'), ('\u{2900}', char::MAX)]);
    is_class(r"\P{^Braille}", &[('\u{2800}', '\u{28FF}')]);
    is_class(r"[^\p{^Braille}]", &[('\u{2800}', '\u{28FF}')]);
    is_class(r"\p{Any}", &[('\0', char::MAX)]);
    is_class(r"[a\P{Any}]", &[('a', 'a')]);
    is_class(r"\p{Zl}", &[('\u{2028}', '\u{2028}')]);
    is_class(r"[a\p{Cs}]", &[('a', 'a')]);
    finds(r"\pN+", "a٣3", "٣3");
    finds(r"\PN+", "٣a3", "a");
    finds(r"\p{Greek}+", "aλΩb", "λΩ");
    finds(r"\pLx", "éx", "éx");
    // Unassigned characters are in no category of RE2.
    finds_nothing(r"\pC", "\u{378}");
    finds(r"\pC", "\0", "\0");
}

#[test]
fn unicode_names_are_exact() {
    for name in ["Letter", "greek", "IsGreek", "Grek", "sc=Greek", "Foo", "", "^^L", "Old Italic"] {
        let pattern = format!(r"a\p{{{name}}}");
        let unknown = name.strip_prefix('^').unwrap_or(name);
        refuses(&pattern, &pattern[1..], &format!("unknown Unicode class `{unknown}`"));
    }
    refuses(r"\pQ", r"\pQ", "unknown Unicode class `Q`");
    refuses(r"\p", r"\p", "unknown Unicode class ``");
    refuses(r"\pé", r"\pé", "unknown Unicode class `é`");
    refuses(r"[\p{L]", r"\p{", "missing `}` after a Unicode class");
}

#[test]
fn dot_and_anchors() {
    finds(".+", "é☺\nb", "é☺");
    finds("(?s).+", "a\nb", "a\nb");
    finds_nothing("a$", "a\nb");
    finds_nothing("a$", "a\n");
    finds_nothing("^b", "a\nb");
    finds("(?m)a$", "a\nb", "a");
    finds("(?m)^b", "a\nb", "b");
    finds_nothing(r"(?m)\Ab", "a\nb");
    finds_nothing(r"(?m)a\z", "a\nb");
    finds(r"\Aab\z", "ab", "ab");
    finds("(?-m)^a$", "a", "a");
}

#[test]
fn flags_hold_to_the_end_of_the_group() {
    finds("(?i)ab", "AB", "AB");
    finds("(a(?i)b|c)d", "aBd", "aBd");
    finds("(a(?i)b|c)d", "Cd", "Cd");
    finds_nothing("(a(?i)b)d", "abD");
    finds("(?i:a)b", "Ab", "Ab");
    finds_nothing("(?i:a)b", "AB");
    finds("(?i)a(?-i)b", "Ab", "Ab");
    finds_nothing("(?i)a(?-i)b", "AB");
    finds("(?i-s:a.)", "A.", "A.");
    finds("(?U)a+", "aaa", "a");
    finds("(?U)a+?", "aaa", "aaa");
    finds("(?U)a{1,2}", "aaa", "a");
    finds("(?U:a+)a*", "aaa", "aaa");
    finds("(?ims)^A.$", "b\na\n", "a\n");
    // Repeating a flag, or setting none, is allowed; taking none away is not.
    accepts("(?ii)(?)a");
    for group in ["(?-)", "(?i-)", "(?--i)", "(?i-:", "(?i-s-m)", "(?x)", "(?ix)", "(?P)", "(?"] {
        let error = parse(group).expect_err(group);
        assert!(error.message.starts_with("invalid or unsupported group `(?"), "{error}");
    }
}

#[test]
fn folding_is_simple_folding() {
    is_class("(?i)k", &[('K', 'K'), ('k', 'k'), ('\u{212A}', '\u{212A}')]);
    is_class("(?i)s", &[('S', 'S'), ('s', 's'), ('ſ', 'ſ')]);
    is_class("(?i)ς", &[('Σ', 'Σ'), ('ς', 'ς'), ('σ', 'σ')]);
    is_class("(?i)[j-l]", &[('J', 'L'), ('j', 'l'), ('\u{212A}', '\u{212A}')]);
    is_class("(?i)[[:upper:]]", &[('A', 'Z'), ('a', 'z'), ('ſ', 'ſ'), ('\u{212A}', '\u{212A}')]);
    is_class("(?i)[^k]", &[('\0', 'J'), ('L', 'j'), ('l', '\u{2129}'), ('\u{212B}', char::MAX)]);
    is_class(
        r"(?i)[^\W]",
        &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z'), ('ſ', 'ſ'), ('\u{212A}', '\u{212A}')],
    );
    is_class("(?i)1", &[('1', '1')]);
    is_class("(?i)[B-\u{10FFFF}]", &[('A', char::MAX)]);
    finds(r"(?i)\p{Lu}+", "aÉé1", "aÉé");
    finds("(?i)straße", "STRAẞE", "STRAẞE");
    finds_nothing("(?i)ß", "ss");
    finds_nothing("(?i)i", "ı");
}

#[test]
fn captures_count_opening_parentheses() {
    let regex = regex("(a(?P<in>b))(?:c)(?<n2>d)|(?P<9_x>e)");
    let names: Vec<_> = regex.group_info().pattern_names(0.into()).collect();
    assert_eq!(names, [None, None, Some("in"), Some("n2"), Some("9_x")]);
    assert_eq!(
        groups(&regex, "abcd"),
        Some([Some("abcd"), Some("ab"), Some("b"), Some("d"), None].into())
    );
}

#[test]
fn a_capture_repeated_zero_times_still_counts() {
    let regex = regex("(?P<a>x(?P<b>y)){0}(z)");
    assert_eq!(groups(&regex, "xyz"), Some([Some("z"), None, None, Some("z")].into()));
    let names: Vec<_> = regex.group_info().pattern_names(0.into()).collect();
    assert_eq!(names, [None, Some("a"), Some("b"), None]);
}

#[test]
fn bad_groups_are_errors() {
    refuses("(", "(", "missing closing `)`");
    refuses("(a(?P<b>c", "(?P<b>", "missing closing `)`");
    refuses("(a|b|", "(", "missing closing `)`");
    refuses("a)", ")", "unexpected `)`");
    refuses("(a))b", ")", "unexpected `)`");
    refuses("(?P<n>a)(?<n>b)", "(?<n>", "the group name `n` is used twice");
    refuses("(?P<name", "(?P<", "missing `>` after a group name");
    refuses("(?<name", "(?<", "missing `>` after a group name");
    refuses("(?P<>a)", "(?P<>", "the group name is empty");
    let odd = |name| format!("the group name `{name}` has more than ASCII letters, digits and `_`");
    refuses("(?P<x y>a)", "x y", &odd("x y"));
    refuses("(?<a.b>a)", "a.b", &odd("a.b"));
    refuses("(?<é>a)", "é", &odd("é"));
}

#[test]
fn what_needs_backtracking_is_refused_by_name() {
    refuses("a(?=b)", "(?=", "look-around is not supported: `(?=`");
    refuses("a(?!b)", "(?!", "look-around is not supported: `(?!`");
    refuses("(?<=a>)b", "(?<=", "look-around is not supported: `(?<=`");
    refuses("(?<!a)b", "(?<!", "look-around is not supported: `(?<!`");
    refuses("(?>a)b", "(?>", "atomic groups are not supported: `(?>`");
    refuses("(?P=n)", "(?P=", "back-references are not supported: `(?P=`");
    refuses("(?P>n)", "(?P>", "recursion is not supported: `(?P>`");
    refuses("(?#c)", "(?#", "comments are not supported: `(?#`");
    refuses("(?'n'a)", "(?'", "quoted group names are not supported: `(?'`");
}

#[test]
fn alternatives() {
    finds("a|ab", "ab", "a");
    finds("ab|a", "ab", "ab");
    finds("|a", "a", "");
    finds("a|", "b", "");
    finds("x(|a|)y", "xay", "xay");
    finds("abc|[de]|f|xyz", "f", "f");
    finds("[ab]|c|é|.", "\né", "é");
    finds("(?:a|[bc])|(?:d|ee)", "ee", "ee");
    finds("", "a", "");
    accepts(&format!("({})", "|".repeat(12_345)));
    is_class("(?:[abc]|A|Z|é)", &[('A', 'A'), ('Z', 'Z'), ('a', 'c'), ('é', 'é')]);
}

#[test]
fn depth_is_limited_and_a_tree_at_the_limit_can_be_compiled() {
    let nest = |open: &str, inner: &str, close: &str, depth| {
        format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
    };
    accepts(&nest("(", "", ")", 999));
    accepts(&nest("(?:", "", ")*", 999));
    accepts(&nest("(?:", "a", ")", 1000));
    accepts(&nest("(?:", "[ab]", "c*)", 1000));
    accepts(&nest("(?:a", "b", "|c)", 498));
    accepts(&nest("(?:ab+|a.", "b", ")*", 332));
    accepts(&nest("(", "a", "){0}", 499));
    for pattern in [
        nest("(", "", ")", 1000),
        nest("(?:", "a", ")*", 1000),
        nest("(?:", "a", ")", 1001),
        nest("(?:a", "b", "|c)", 501),
        "(".repeat(MAX_PATTERN_LEN),
    ] {
        assert_eq!(
            parse(&pattern).expect_err(scan::cut(&pattern).as_str()).message,
            "the pattern nests too deeply"
        );
    }
}

#[test]
fn size_is_limited() {
    let too_large = "the pattern is too large";
    for pattern in [
        format!("({}){{1000}}", "(xx?)".repeat(1000)),
        "(xx?){1000}".repeat(1000),
        r"\pL".repeat(27_000),
        format!(r"(?i)[{}]", r"\pL".repeat(27_000)),
        ".a".repeat(MAX_PATTERN_LEN / 2),
        format!("{}{}{}", "(?:".repeat(999), ".a".repeat(60_000), ")x".repeat(999)),
    ] {
        let error = parse(&pattern).expect_err(scan::cut(&pattern).as_str());
        assert!(error.message.contains(too_large), "{error}");
    }
    let error = parse(&"a".repeat(MAX_PATTERN_LEN + 1)).expect_err("one byte too long");
    assert_eq!(error.message, "the pattern is longer than 1048576 bytes");
}

#[test]
fn large_patterns_of_few_parts_are_read() {
    let text = "a".repeat(MAX_PATTERN_LEN);
    assert!(read(&text).properties().is_literal());
    let words: Vec<_> = (0..50_000).map(|n| format!("word{n}")).collect();
    assert!(read(&words.join("|")).properties().is_alternation_literal());
    // Searches for an end that is not there happen once.
    assert!(parse(&"[[:".repeat(MAX_PATTERN_LEN / 3)).is_err());
    assert!(parse(&"{1".repeat(MAX_PATTERN_LEN / 2)).is_ok());
}

#[test]
fn errors_print_their_place_and_cut_what_they_quote() {
    let error = parse("ab[").expect_err("a class without end");
    assert_eq!(error.to_string(), "missing closing `]`, at byte 2");
    let error = parse(&format!(r"\p{{{}}}", "\n".repeat(100))).expect_err("no such class");
    assert_eq!(error.message, format!("unknown Unicode class `{}…`", r"\n".repeat(40)));
}

/// A pattern in this dialect, and the same in that of `regex_syntax`.
fn common() -> impl Strategy<Value = (String, String)> {
    let same = |text: &str| (String::from(text), String::from(text));
    let pair = |ours: &str, theirs: &str| (String::from(ours), String::from(theirs));
    let leaf = prop_oneof![
        4 => prop::sample::select([
            "a", "b", "k", "K", "s", "-", "é", "ς", r"\.", r"\x41", r"\n", ".", "^", "$", r"\z",
            r"\A", "[ab]", "[^a-k]", "[k-é]", "(?i:k)", "(?i:[^s])", "(?i)", "(?s)", "(?m)",
            "(?U)", "(?-i)", r"\pL", r"\P{Greek}", r"[\p{Lu}-]", "",
        ].to_vec()).prop_map(same),
        1 => prop::sample::select([
            (r"\d", "[0-9]"),
            (r"\D", "[^0-9]"),
            (r"\s", r"[\t\n\f\r ]"),
            (r"\b", r"(?-u:\b)"),
            (r"\101", r"\x41"),
            (r"\Q.*\E", r"\.\*"),
            ("{", r"\{"),
            (r"[\d-z]", r"[0-9\-z]"),
            ("[[&&~~]", r"[\[\&\~]"),
            (r"\<", "<"),
            (r"\p{^Greek}", r"\P{Greek}"),
        ].to_vec()).prop_map(move |(ours, theirs)| pair(ours, theirs)),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let repeat = prop::sample::select(
            ["*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}?", "{2,}"].to_vec(),
        );
        let list = prop::collection::vec(inner.clone(), 0..4);
        let join = |parts: Vec<(String, String)>, separator: &str| {
            let (ours, theirs): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
            (ours.join(separator), theirs.join(separator))
        };
        prop_oneof![
            2 => list.clone().prop_map(move |parts| join(parts, "")),
            1 => list.prop_map(move |parts| join(parts, "|")),
            1 => inner.clone().prop_map(|(a, b)| (format!("({a})"), format!("({b})"))),
            1 => (inner, repeat).prop_map(|((a, b), repeat)| {
                (format!("(?:{a}){repeat}"), format!("(?:{b}){repeat}"))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_regex_syntax_where_both_read_the_same(
        (ours, theirs) in common(),
        texts in prop::collection::vec("[abkKsSſ\u{212A}éςΣλA1{<&~. \n-]{0,8}", 8),
    ) {
        let theirs = build(&regex_syntax::parse(&theirs).expect("the other dialect"));
        let ours = regex(&ours);
        for text in &texts {
            prop_assert_eq!(groups(&ours, text), groups(&theirs, text), "on {:?}", text);
        }
    }

    #[test]
    fn never_panics(pattern in "\\PC{0,30}") {
        check_total(&pattern)?;
    }

    #[test]
    fn never_panics_on_syntax(parts in prop::collection::vec(prop::sample::select([
        "(", ")", "(?", "(?:", "(?P<", "<", ">", "(?i", "-", "=", "!", ":", "[", "[^", "]", "[[:", ":]",
        "{", "}", ",", "1", "0", "9999999999", "*", "+", "?", "|", "^", "$", ".", "\\", "\\Q", "\\E",
        "\\p", "\\P{", "L", "^", "\\x", "\\x{", "D800", "f", "\\b", "\\d", "a", "k", "é", "\n", "&&",
    ].to_vec()), 0..20)) {
        check_total(&parts.concat())?;
    }
}

/// An error points into the pattern; a tree can be compiled and counts its captures without holes.
fn check_total(pattern: &str) -> Result<(), TestCaseError> {
    match parse(pattern) {
        Err(error) => {
            prop_assert!(pattern.get(error.start..error.end).is_some(), "{:?}", error);
            prop_assert!(!error.message.is_empty());
        }
        Ok(hir) => {
            prop_assert!(hir.properties().is_utf8());
            if hir.properties().minimum_len().unwrap_or(0) < 10_000 {
                let regex = build(&hir);
                prop_assert_eq!(regex.captures_len(), regex.group_info().all_group_len());
            }
        }
    }
    Ok(())
}
