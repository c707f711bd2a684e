use super::{TokenKind, lex};
use crate::expr::codes;
use proptest::prelude::*;

/// Cuts a text that has no mistakes, and writes each token in a way that is short to compare.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let lexed = lex(text);
    assert_eq!(lexed.error, None, "{text}");
    let (end, tokens) = lexed.tokens.split_last().expect("there is always an end");
    assert_eq!(end.kind, TokenKind::End);
    let written: Vec<String> = tokens
        .iter()
        .map(|token| match &token.kind {
            TokenKind::Word => text[token.span.start as usize..token.span.end as usize].to_owned(),
            TokenKind::Sign(sign) => (*sign).to_owned(),
            TokenKind::Int(value) => format!("int {value}"),
            TokenKind::Float(value) => format!("float {value:?}"),
            TokenKind::Str(value) => format!("str {value}"),
            TokenKind::Bytes(value) => format!("bytes {value:?}"),
            TokenKind::End => unreachable!("the end is the last token"),
        })
        .collect();
    assert_eq!(written, expected, "{text}");
}

#[track_caller]
fn check_error(text: &str, code: syntax::Code, at: &str, message: &str) {
    let error = lex(text).error.expect("the text has a mistake");
    assert_eq!(error.code, code, "{text}");
    assert_eq!(&text[error.span.start as usize..error.span.end as usize], at, "{text}");
    assert_eq!(error.message, message);
}

#[test]
fn numbers() {
    check(
        "42 1_000 0x2A 0o17 0b101 007",
        &["int 42", "int 1000", "int 42", "int 15", "int 5", "int 7"],
    );
    check(
        "1.5 .5 1e3 1.5E-3 2.",
        &["float 1.5", "float 0.5", "float 1000.0", "float 0.0015", "float 2.0"],
    );
    check("9223372036854775807", &["int 9223372036854775807"]);
}

#[test]
fn a_range_is_not_a_fraction() {
    check("1..5", &["int 1", "..", "int 5"]);
    check("a[1:2]", &["a", "[", "int 1", ":", "int 2", "]"]);
    check("#.x..#.y", &["#", ".", "x", "..", "#", ".", "y"]);
}

#[test]
fn strings_have_escapes() {
    check(r#"'a\'b' "a\"b" '"'"#, &["str a'b", "str a\"b", "str \""]);
    check(r"'\n\t\\\x41\101\u0042\U00000043\u{1F600}'", &["str \n\t\\AABC\u{1F600}"]);
    check(r"'\ud83d\ude00'", &["str \u{1F600}"]);
    check(r"'\a\b\f\v\r'", &["str \u{7}\u{8}\u{c}\u{b}\r"]);
    check("'größe'", &["str größe"]);
}

#[test]
fn raw_strings_have_none() {
    check(r"`a\n``b`", &[r"str a\n`b"]);
    check("`two\nlines`", &["str two\nlines"]);
}

#[test]
fn a_code_in_a_byte_string_is_a_byte() {
    check(r#"b"\xff\u00ffA""#, &["bytes [255, 195, 191, 65]"]);
    check("b'x' b", &["bytes [120]", "b"]);
}

#[test]
fn comments_and_blanks_are_skipped() {
    check("a // to the end\n+ /* in\nbetween */ b", &["a", "+", "b"]);
    check(" \t\n", &[]);
}

#[test]
fn signs_are_as_long_as_they_can_be() {
    check("a??b?.c?d:e", &["a", "??", "b", "?.", "c", "?", "d", ":", "e"]);
    check("a?.5:.6", &["a", "?", "float 0.5", ":", "float 0.6"]);
    check("**<=>=!===", &["**", "<=", ">=", "!=", "=="]);
    check("::len |x#acc;", &["::", "len", "|", "x", "#", "acc", ";"]);
}

#[test]
fn names_may_hold_signs_and_letters_of_any_script() {
    check("$env _x1 größe x2y", &["$env", "_x1", "größe", "x2y"]);
}

#[test]
fn mistakes() {
    check_error("a & b", codes::CHARACTER, "&", "`&` means nothing in an expression");
    check_error("a == “b”", codes::CHARACTER, "“", "`“` means nothing in an expression");
    check_error("x == 'abc", codes::STRING_NOT_CLOSED, "'", "the string is not closed by `'`");
    check_error("'a\nb'", codes::STRING_NOT_CLOSED, "'", "the string is not closed by `'`");
    check_error("1 /* 2", codes::STRING_NOT_CLOSED, "/*", "the comment is not closed by `*/`");
    check_error(r"'\d+'", codes::ESCAPE, r"\d", r"`\d` is not an escape");
    check_error(
        r"'\xg1'",
        codes::ESCAPE,
        r"\x",
        r"`\x` is not followed by the code of a character",
    );
    check_error(
        r"'\ud800'",
        codes::ESCAPE,
        r"\u",
        r"`\u` is not followed by the code of a character",
    );
    check_error("12ab", codes::NUMBER, "12ab", "`12ab` is not a number");
    check_error("0x", codes::NUMBER, "0x", "`0x` is not a number");
    let too_large = "9223372036854775808";
    check_error(
        too_large,
        codes::NUMBER,
        too_large,
        "`9223372036854775808` does not fit a 64-bit number",
    );
    check_error("1e999", codes::NUMBER, "1e999", "`1e999` does not fit a 64-bit number");
}

proptest! {
    #[test]
    fn tokens_lie_in_order_within_the_text(text in "\\PC{0,80}|[-'\"`\\\\0-9a-fxub.?:*/_$# \n]{0,80}") {
        let lexed = lex(&text);
        let mut before = 0;
        for token in &lexed.tokens {
            prop_assert!(before <= token.span.start && token.span.start <= token.span.end);
            prop_assert!(text.get(token.span.start as usize..token.span.end as usize).is_some());
            before = token.span.end;
        }
        if let Some(error) = lexed.error {
            prop_assert!(text.get(error.span.start as usize..error.span.end as usize).is_some());
        }
    }
}
