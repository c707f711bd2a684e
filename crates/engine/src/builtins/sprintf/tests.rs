use super::*;
use alloc::vec;
use core::slice::from_ref;
use proptest::prelude::*;

fn check(format: &str, args: &[Arg<'_>], expect: &str) {
    assert_eq!(sprintf(format, args), expect, "{format}");
}

fn list<'a>(items: &[Arg<'a>]) -> Arg<'a> {
    Arg::List(items.to_vec(), Elements::Any)
}

#[test]
fn texts() {
    let hi = || [Arg::Text("hé")];
    check("%s|%v", &[Arg::Text("a"), Arg::Text("b")], "a|b");
    check("%5s|%-5s|%05s", &[Arg::Text("é"), Arg::Text("é"), Arg::Text("é")], "    é|é    |0000é");
    check("%.1s", &hi(), "h");
    check("%q", &[Arg::Text("a\"b\n\u{1}\u{a0}é")], r#""a\"b\n\x01\u00a0é""#);
    check("%+q", &hi(), r#""h\u00e9""#);
    check("%#q %#q", &[Arg::Text("a\"b"), Arg::Text("a`b")], "`a\"b` \"a`b\"");
    check(
        "%x %X %#x",
        &[Arg::Text("hé"), Arg::Text("hé"), Arg::Text("hé")],
        "68c3a9 68C3A9 0x68c3a9",
    );
    check("% x|% #x", &[Arg::Text("hé"), Arg::Text("hé")], "68 c3 a9|0x68 0xc3 0xa9");
    check("%d", &hi(), "%!d(string=hé)");
    check("%#v %T", &[Arg::Text("a\"b"), Arg::Text("")], "\"a\\\"b\" string");
}

#[test]
fn integers() {
    let n = |n| Arg::Int(n);
    check(
        "%d %v %5d|%-5d|%05d|%+d|% d",
        &[n(1), n(-2), n(3), n(4), n(-5), n(6), n(7)],
        "1 -2     3|4    |-0005|+6| 7",
    );
    check(
        "%x %X %#x %b %o %O %#o",
        &[n(255), n(-255), n(255), n(5), n(8), n(8), n(8)],
        "ff -FF 0xff 101 10 0o10 010",
    );
    check("%c %q %U", &[n(0x48), n(0x27), n(0x1f600)], "H '\\'' U+1F600");
    check("%.3d %8.3d %.0d|", &[n(5), n(5), n(0)], "005      005 |");
    check("%s", &[n(5)], "%!s(int=5)");
    check("%5z", &[n(5)], "%!z(int=    5)");
    check("%t", &[n(i64::MIN)], "%!t(int=-9223372036854775808)");
    check("%dh", &[n(4 * 2)], "8h");
}

#[test]
fn floats() {
    let f = |n| Arg::Float(n);
    check(
        "%f %.2f %8.2f|%-8.1f|%08.2f",
        &[f(1.5), f(2.345), f(3.0), f(4.0), f(-5.0)],
        "1.500000 2.35     3.00|4.0     |-0005.00",
    );
    check(
        "%v %g %e %E %G",
        &[f(1e6), f(0.5), f(1.5), f(1.5), f(1e-7)],
        "1e+06 0.5 1.500000e+00 1.500000E+00 1E-07",
    );
    check("%+f % .1f %+v", &[f(1.0), f(1.0), f(1.0)], "+1.000000  1.0 +1");
    check("%05v %v %f", &[f(f64::INFINITY), f(f64::NEG_INFINITY), f(f64::NAN)], " +Inf -Inf NaN");
    check("%d", &[f(1.5)], "%!d(float64=1.5)");
}

#[test]
fn other_values() {
    check("%t %v", &[Arg::Bool(true), Arg::Bool(false)], "true false");
    check("%d", &[Arg::Bool(true)], "%!d(bool=true)");
    check(
        "%v %s %d %T",
        &[Arg::Nil, Arg::Nil, Arg::Nil, Arg::Nil],
        "<nil> %!s(<nil>) %!d(<nil>) <nil>",
    );
    check(
        "%s %v %d",
        &[Arg::Duration(1_500_000_000), Arg::Duration(0), Arg::Duration(7)],
        "1.5s 0s 7",
    );
    check("%v", &[Arg::Time(DateTime::from_unix(0, 0, 0))], "1970-01-01 00:00:00 +0000 UTC");
    assert_eq!(to_text(&Arg::Float(2.0)), "2");
    assert_eq!(to_text(&Arg::Nil), "<nil>");
}

#[test]
fn lists_and_maps() {
    let items = list(&[Arg::Int(1), Arg::Text("a"), Arg::Nil]);
    check("%v", from_ref(&items), "[1 a <nil>]");
    check("%d", from_ref(&items), "[1 %!d(string=a) %!d(<nil>)]");
    check("%s", &[Arg::List(vec![Arg::Text("a"), Arg::Text("b")], Elements::Text)], "[a b]");
    check("%q", &[Arg::List(vec![Arg::Text("a")], Elements::Text)], "[\"a\"]");
    check(
        "%T %#v",
        &[items.clone(), items],
        "[]interface {} []interface {}{1, \"a\", interface {}(nil)}",
    );
    let map = Arg::Map(vec![("b", list(&[])), ("a", Arg::Int(1))], Elements::Any);
    check("%v", from_ref(&map), "map[a:1 b:[]]");
    check(
        "%T %#v",
        &[map.clone(), map],
        "map[string]interface {} map[string]interface {}{\"a\":1, \"b\":[]interface {}{}}",
    );
    check("%!", &[list(&[Arg::Text("x")])], "[%!!(string=x)]");
}

#[test]
fn mistakes_are_told() {
    check("100%%", &[], "100%");
    check("%d %s", &[Arg::Int(1)], "1 %!s(MISSING)");
    check("x", &[Arg::Int(1), Arg::Nil, Arg::Text("a")], "x%!(EXTRA int=1, <nil>, string=a)");
    check("%", &[], "%!(NOVERB)");
    check("%-", &[], "%!(NOVERB)");
    check("%z", &[], "%!z(MISSING)");
    check("%é", &[Arg::Int(1)], "%!é(int=1)");
}

#[test]
fn arguments_can_be_picked() {
    let args = [Arg::Int(1), Arg::Int(2)];
    check("%[2]d %[1]d", &args, "2 1");
    check("%[2]d", &args, "2");
    check("%[3]*.[2]*[1]f|", &[Arg::Float(12.0), Arg::Int(2), Arg::Int(6)], " 12.00|");
    check("%[1]5d %[1].2d %.[3]d", &args, "%!d(BADINDEX) %!d(BADINDEX) %!d(BADINDEX)");
    check("%[3]d", &args, "%!d(BADINDEX)");
    check("%[x]d", &args, "%!d(BADINDEX)");
    check("%[1", &args, "%!(NOVERB)");
    check("%*d|%-*d|", &[Arg::Int(3), Arg::Int(7), Arg::Int(-3), Arg::Int(7)], "  7|7  |");
    check("%.*f", &[Arg::Int(1), Arg::Float(0.25)], "0.2");
    check("%*d", &[Arg::Text("x"), Arg::Int(7)], "%!(BADWIDTH)7");
    check("%.*d", &[Arg::Nil, Arg::Int(7)], "%!(BADPREC)7");
}

#[test]
fn output_is_bounded() {
    let args: Vec<_> = (0..100).map(Arg::Int).collect();
    assert!(sprintf(&"%999999d".repeat(100), &args).len() < MAX_OUTPUT + 2_000_000);
    let long = "x".repeat(100_000);
    let args = vec![Arg::Text(&long); 1000];
    assert!(sprintf(&"%s".repeat(1000), &args).len() < MAX_OUTPUT + 200_000);
    assert!(sprintf("", &args).len() < MAX_OUTPUT + 200_000);
    let mut deep = Arg::Int(1);
    for _ in 0..300 {
        deep = list(&[deep]);
    }
    assert!(sprintf("%v", &[deep]).contains('…'));
}

proptest! {
    #[test]
    fn never_panics(format in "(%[-+# 0]{0,2}(\\*|[0-9]{0,3})(\\.[0-9*]?)?(\\[[0-9]?\\]?)?[a-zA-Z%é]|x){0,6}", text: String, int: i64, float: f64) {
        let args = [
            Arg::Text(&text),
            Arg::Int(int),
            Arg::Float(float),
            Arg::Nil,
            Arg::Duration(int),
            list(&[Arg::Text(&text), Arg::Bool(true), Arg::Time(DateTime::from_unix(int, 0, 0))]),
        ];
        sprintf(&format, &args);
        sprintf(&text, &args);
    }

    #[test]
    fn verbatim_text_stays(text in "[^%]{0,20}") {
        prop_assert_eq!(sprintf(&text, &[]), text);
    }
}
