use super::{MAX_DEPTH, MAX_NODES, parse};
use crate::expr::ast::{Expr, Kind};
use crate::expr::codes;
use proptest::prelude::*;

/// Reads a text and compares the tree, written with parentheses around every compound operand.
#[track_caller]
fn check(text: &str, expected: &str) {
    match parse(text) {
        Ok(ast) => assert_eq!(ast.root.to_string(), expected, "{text}"),
        Err(error) => panic!("{text}: {error:?}"),
    }
}

/// Reads a text with a mistake; `expected` is its code, its place and its message, and then, each
/// on a line of its own, the related place, the help and the replacement.
#[track_caller]
fn check_error(text: &str, code: syntax::Code, expected: &[&str]) {
    let error = parse(text).expect_err("the text has a mistake");
    let at = |span: &super::Span| text[span.start as usize..span.end as usize].to_owned();
    let mut found = vec![at(&error.span), error.message];
    found.extend(error.see.map(|(span, shows)| format!("{} {shows}", at(&span))));
    found.extend(error.help);
    found.extend(error.replacement.map(|(span, with)| format!("{} -> {with}", at(&span))));
    assert_eq!(found, expected, "{text}");
    assert_eq!(error.code, code, "{text}");
}

// Operators.

#[test]
fn every_level_binds_tighter_than_the_one_before() {
    let levels: [(&str, &str); 8] = [
        ("a || b or c", "a || b || c"),
        ("a || b && c", "a || (b && c)"),
        ("a && b == c", "a && (b == c)"),
        ("a == b .. c", "a == (b .. c)"),
        ("a .. b + c", "a .. (b + c)"),
        ("a + b * c", "a + (b * c)"),
        ("a * b ** c", "a * (b ** c)"),
        ("a ** b ?? c", "a ** (b ?? c)"),
    ];
    for (text, expected) in levels {
        check(text, expected);
    }
    check("a == b && c or d", "((a == b) && c) || d");
    check("a - b - c", "(a - b) - c");
    check("a / b % c * d", "((a / b) % c) * d");
}

#[test]
fn power_is_right_associative_and_binds_tighter_than_a_sign() {
    check("a ** b ^ c", "a ** (b ** c)");
    check("-2 ** 2", "-(2 ** 2)");
    check("2 ** -1", "2 ** (-1)");
    check("-a * b", "(-a) * b");
    check("-a.b[0]", "-a.b[0]");
}

#[test]
fn not_binds_tighter_than_comparisons_but_not_than_sums_of_products() {
    check("not a == b", "(!a) == b");
    check("!a in b", "(!a) in b");
    check("not a * b", "!(a * b)");
    check("not a + b", "(!a) + b");
    check("not a and b", "(!a) && b");
    check("!!a", "!(!a)");
}

#[test]
fn operators_in_words_may_be_negated() {
    check("a not in b", "!(a in b)");
    check("a not contains b", "!(a contains b)");
    check("a not startsWith b && c not endsWith d", "(!(a startsWith b)) && (!(c endsWith d))");
    check("a not matches 'x'", "!(a matches \"x\")");
    check("not (a in b)", "!(a in b)");
}

#[test]
fn comparisons_chain() {
    check("a < b", "a < b");
    check("1 < a <= b > 2", "1 < a <= b > 2");
    check("(1 < a) < b", "(1 < a) < b");
    check("1 < a == b", "(1 < a) == b");
    let ast = parse("1 < a < 9").expect("well-formed");
    assert!(matches!(ast.root.kind, Kind::Comparison { .. }));
}

#[test]
fn coalescing_is_last_among_its_neighbors() {
    check("a ?? b ?? c", "(a ?? b) ?? c");
    check("x + a ?? b", "x + (a ?? b)");
    check("x == a ?? b && c", "(x == (a ?? b)) && c");
    check("(a ?? b) == c", "(a ?? b) == c");
    check("a ?? b ? c : d", "(a ?? b) ? c : d");
    check("a ?? b | f()", "f(a ?? b)");
}

#[test]
fn runs_of_logic_are_one_node() {
    let ast = parse("a && b && (c && d) && e").expect("well-formed");
    let Kind::Logic { operands, .. } = &ast.root.kind else { panic!("{:?}", ast.root.kind) };
    assert_eq!(operands.len(), 4);
    check("(a && b) && c", "(a && b) && c");
    check("a or b and c or d", "a || (b && c) || d");
}

// Structure.

#[test]
fn conditionals() {
    check("a ? b : c", "a ? b : c");
    check("a ? b : c ? d : e", "a ? b : (c ? d : e)");
    check("a ? b ? c : d : e", "a ? (b ? c : d) : e");
    check("a || b ?: c", "(a || b) ?: c");
    check("a ? : b", "a ?: b");
    check("if a { b } else { c }", "a ? b : c");
    check("if a { b } else if c { d } else { e; f }", "a ? b : (c ? d : (e; f))");
    check("x > 1 ? {a: 1} : [2]", "(x > 1) ? {\"a\": 1} : [2]");
}

#[test]
fn attached_parts() {
    check("evt.Meta['x'].y(1).z", "evt.Meta[\"x\"].y(1).z");
    check("a[1:3] + a[:2] + a[2:] + a[:]", "((a[1:3] + a[:2]) + a[2:]) + a[:]");
    check("[1, 2][0]", "[1, 2][0]");
    check("'abc'[1:]", "\"abc\"[1:]");
    check("(a + b).c", "(a + b).c");
    check("a.in.not.nil", "a.in.not.nil");
    check("$env.evt", "$env.evt");
    check("$env[\"evt\"]", "$env[\"evt\"]");
}

#[test]
fn a_chain_takes_in_what_follows_it() {
    let ast = parse("a?.b.c() ?? d").expect("well-formed");
    let Kind::Binary { left, .. } = &ast.root.kind else { panic!("{:?}", ast.root.kind) };
    assert!(matches!(left.kind, Kind::Chain(_)));
    check("a?.b?.[0].c", "a?.b?.[0].c");
    check("(a?.b).c", "(a?.b).c");
}

#[test]
fn pipes() {
    check("a | f()", "f(a)");
    check("a | f(b) | g(c, d)", "g(f(a, b), c, d)");
    check("a + b | f()", "f(a + b)");
    check("a ? b : c | f()", "a ? b : f(c)");
    check("a | f() ? b : c", "f(a) ? b : c");
    check("a | f()[0].b", "f(a)[0].b");
    check("a | ::len() == 2", "::len(a) == 2");
    check("k | evt.GetMeta()", "evt.GetMeta(k)");
    check("list | filter(.a > 1) | map(.b)", "map(filter(list, { #.a > 1 }), { #.b })");
}

#[test]
fn closures() {
    check("any(a, {# == 1})", "any(a, { # == 1 })");
    check("any(a, # == 1)", "any(a, { # == 1 })");
    check("filter(a, {.b.c in # })", "filter(a, { #.b.c in # })");
    check("map(a, {.b})", "map(a, { #.b })");
    check("map(a, {{b: #, \"c\": #index}})", "map(a, { {\"b\": #, \"c\": #index} })");
    check("reduce(a, #acc + #, 0)", "reduce(a, { #acc + # }, 0)");
    check("count(a)", "count(a)");
    check("sortBy(a, .x, 'desc',)", "sortBy(a, { #.x }, \"desc\")");
    check("all(a, {any(.b, {# > 1})})", "all(a, { any(#.b, { # > 1 }) })");
    check("any(a, {let x = .b; x == 1})", "any(a, { let x = #.b; x == 1 })");
    check("::any(a, # > 1)", "::any(a, { # > 1 })");
    check("any(a, # in b)", "any(a, { # in b })");
}

#[test]
fn variables_and_sequences() {
    check("let x = 1; x", "let x = 1; x");
    check("let x = 1; let y = x + 1; x * y", "let x = 1; let y = x + 1; x * y");
    check("a; b; c", "a; b; c");
    check("a; b;", "a; b");
    check("(a; b) + 1", "(a; b) + 1");
    check("(let x = 1; x) + 1", "(let x = 1; x) + 1");
    check("a;", "a");
}

#[test]
fn literals() {
    check("[1, 'a', nil, true, b'x', 1.5,]", "[1, \"a\", nil, true, b\"x\", 1.5]");
    check("{a: 1, 'b': 2, 3: 4, (c): 5, in: 6,}", "{\"a\": 1, \"b\": 2, 3: 4, (c): 5, \"in\": 6}");
    check("{}", "{}");
    check("[]", "[]");
    check("1..3", "1 .. 3");
}

#[test]
fn spans_cover_what_was_written() {
    let text = " a.b  +  Upper( 'x' ) ";
    let ast = parse(text).expect("well-formed");
    let mut written = Vec::new();
    collect(&ast.root, text, &mut written);
    assert_eq!(written, ["a.b  +  Upper( 'x' )", "a.b", "a", "Upper( 'x' )", "Upper", "'x'"]);
}

fn collect<'a>(expr: &Expr, text: &'a str, written: &mut Vec<&'a str>) {
    written.push(&text[expr.span.start as usize..expr.span.end as usize]);
    expr.for_each_child(&mut |child| collect(child, text, written));
}

// Mistakes.

#[test]
fn brackets_that_are_not_closed_point_at_the_opening_one() {
    check_error(
        "len(evt.Meta",
        codes::NOT_CLOSED,
        &["", "expected `)`, found the end of the expression", "( to close this `(`"],
    );
    check_error(
        "(a + b]",
        codes::NOT_CLOSED,
        &["]", "expected `)`, found `]`", "( to close this `(`"],
    );
    check_error(
        "a in ('x', 'y')",
        codes::NOT_CLOSED,
        &[
            ",",
            "expected `)`, found `,`",
            "( to close this `(`",
            "a list is written in square brackets: `[a, b]`",
        ],
    );
    check_error("a)", codes::UNEXPECTED, &[")", "`)` closes nothing"]);
}

#[test]
fn operators_of_other_languages_are_recognized() {
    let help = "did you mean `==`?";
    check_error("a = 'b'", codes::UNEXPECTED, &["=", "`=` is not an operator", help, "= -> =="]);
    check_error(
        "a is 'b'",
        codes::UNEXPECTED,
        &["is", "`is` is not an operator", help, "is -> =="],
    );
    check_error(
        "(a = b)",
        codes::NOT_CLOSED,
        &["=", "expected `)`, found `=`", "( to close this `(`", help, "= -> =="],
    );
    check_error(
        "a startswith 'b'",
        codes::UNEXPECTED,
        &[
            "startswith",
            "`startswith` is not an operator",
            "did you mean `startsWith`?",
            "startswith -> startsWith",
        ],
    );
    check_error(
        "a AND b",
        codes::UNEXPECTED,
        &["AND", "`AND` is not an operator", "did you mean `and`?", "AND -> and"],
    );
    check_error(
        "a === b",
        codes::UNEXPECTED,
        &["=", "expected a value after `==`, found `=`", "values are compared with `==` or `!=`"],
    );
    check_error(
        "a not == b",
        codes::UNEXPECTED,
        &[
            "==",
            "expected `in` or another operator in words after `not`, found `==`",
            "did you mean `!=`?",
            "not == -> !=",
        ],
    );
}

#[test]
fn what_is_missing_is_named() {
    check_error("", codes::EMPTY, &["", "the expression is empty"]);
    check_error("// nothing", codes::EMPTY, &["", "the expression is empty"]);
    check_error(
        "a &&",
        codes::UNEXPECTED,
        &["", "expected a value after `&&`, found the end of the expression"],
    );
    check_error("a + * b", codes::UNEXPECTED, &["*", "expected a value after `+`, found `*`"]);
    check_error(
        "a.'b'",
        codes::UNEXPECTED,
        &["'b'", "expected the name of a field after `.`, found a string"],
    );
    check_error(
        "a ? b",
        codes::UNEXPECTED,
        &[
            "",
            "expected `:` and the other value, found the end of the expression",
            "? for this `?`",
        ],
    );
    check_error(
        "if a { b }",
        codes::UNEXPECTED,
        &[
            "",
            "expected `else`, found the end of the expression",
            "an `if` always has an `else`, since it must have a value",
        ],
    );
    check_error(
        "let x 1; x",
        codes::UNEXPECTED,
        &["1", "expected `=` after the variable's name, found `1`"],
    );
    check_error(
        "let x = 1;",
        codes::UNEXPECTED,
        &["", "expected an expression after the `let`, found the end of the expression"],
    );
    check_error("{1.5.2: 3}", codes::UNEXPECTED, &[".2", "expected `:` after the key, found `.2`"]);
    check_error(
        "'a' 'b'",
        codes::UNEXPECTED,
        &["'b'", "expected an operator, found a string", "strings are joined with `+`"],
    );
    check_error(
        "1 + if a {b} else {c}",
        codes::UNEXPECTED,
        &[
            "if",
            "expected a value after `+`, found `if`",
            "put the `if` and all that belongs to it in parentheses",
        ],
    );
}

#[test]
fn nothing_may_follow_a_coalescing_operator_on_its_level() {
    check_error(
        "a ?? b + c",
        codes::COALESCE_MIXED,
        &[
            "+",
            "`+` cannot follow `??` without parentheses",
            "put the `??` and its operands in parentheses",
        ],
    );
    let error = parse("a ?? b && c").expect_err("mixed");
    assert_eq!(error.code, codes::COALESCE_MIXED);
}

#[test]
fn closures_have_their_place() {
    let help = "a closure is the second argument of `any`, `all`, `filter` and their like";
    check_error(
        "# == 1",
        codes::NO_CLOSURE,
        &["#", "`#` has a meaning only inside of a closure", help],
    );
    check_error(
        "any(.a, true)",
        codes::NO_CLOSURE,
        &[".", "`.Field` has a meaning only inside of a closure", help],
    );
    check_error(
        "any(a, {#indx == 1})",
        codes::UNKNOWN_NAME,
        &["indx", "there is no `#indx`", "did you mean `index`?", "indx -> index"],
    );
}

#[test]
fn pipes_need_calls() {
    check_error(
        "a | upper",
        codes::UNEXPECTED,
        &[
            "upper",
            "`|` needs a call on its right",
            "write the function with parentheses: `x | upper()`",
        ],
    );
    check_error("a | 1", codes::UNEXPECTED, &["1", "expected a function after `|`, found `1`"]);
    check_error("f()()", codes::NOT_CALLABLE, &["(", "only functions and methods can be called"]);
}

#[test]
fn of_two_mistakes_the_first_is_reported() {
    let error = parse("a + + 'open").expect_err("two mistakes");
    assert_eq!(error.code, codes::STRING_NOT_CLOSED);
    let error = parse("a b 'open").expect_err("two mistakes");
    assert_eq!(error.code, codes::UNEXPECTED);
}

// Limits.

/// A text that nests as deep as it may, and one that nests deeper.
#[track_caller]
fn check_depth(text: impl Fn(usize) -> String, levels: usize) {
    let ast = parse(&text(levels));
    assert!(ast.is_ok(), "{:?}", ast.err());
    drop(ast.map(|ast| ast.root.to_string()));
    let error = parse(&text(levels + 1)).expect_err("the text nests too deep");
    assert_eq!(error.code, codes::TOO_BIG);
    // However deep, it is refused before the stack is full.
    assert_eq!(parse(&text(20_000)).expect_err("the text nests too deep").code, codes::TOO_BIG);
}

#[test]
fn depth_is_limited() {
    let most = usize::from(MAX_DEPTH);
    check_depth(|n| format!("{}1{}", "(".repeat(n), ")".repeat(n)), most - 1);
    check_depth(|n| format!("{}1{}", "[".repeat(n), "]".repeat(n)), most - 1);
    check_depth(|n| format!("{}1", "-".repeat(n)), most - 1);
    check_depth(|n| format!("a{}", ".b".repeat(n)), most - 1);
    check_depth(|n| format!("1{}", " + 1".repeat(n)), most - 1);
    check_depth(|n| format!("1{}", " | f()".repeat(n)), most - 1);
    check_depth(|n| format!("{}1", "a ? b : ".repeat(n)), most - 1);
    check_depth(|n| format!("{}1", "let a = 1; ".repeat(n)), most - 1);
    check_depth(|n| format!("{}{{1}}", "if a {b} else ".repeat(n)), most - 1);
    check_depth(|n| format!("{}1{}", "any(a, {".repeat(n), "})".repeat(n)), (most - 1) / 2);
}

#[test]
fn long_runs_of_logic_are_not_deep() {
    let many = 3000;
    let text = vec!["x == 'y'"; many].join(" or ");
    let ast = parse(&text).expect("a long run is one level");
    let Kind::Logic { operands, .. } = &ast.root.kind else { panic!("{:?}", ast.root.kind) };
    assert_eq!(operands.len(), many);
}

#[test]
fn the_number_of_nodes_is_limited() {
    let most = MAX_NODES as usize;
    let list = |n: usize| format!("[{}]", vec!["1"; n].join(","));
    assert!(parse(&list(most - 1)).is_ok());
    assert_eq!(parse(&list(most)).expect_err("too many").code, codes::TOO_BIG);
    let run = |n: usize| vec!["a"; n].join("&&");
    assert_eq!(parse(&run(most + 1)).expect_err("too many").code, codes::TOO_BIG);
    let text = " ".repeat(crate::expr::lex::MAX_TEXT + 1);
    assert_eq!(parse(&text).expect_err("too long").code, codes::TOO_BIG);
}

// Properties.

/// Texts that are made of what expressions are made of, in any order.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a", "evt", "x", "1", "2.5", "'s'", "`r`", "b'x'", "nil", "true", "any", "map", "reduce",
        "len", "not", "in", "and", "or", "matches", "contains", "let", "if", "else", "=", "==",
        "!=", "<", "<=", "&&", "||", "+", "-", "*", "/", "%", "**", "..", "??", "?.", "?", ":",
        "::", ",", ";", ".", "#", "#acc", "(", ")", "[", "]", "{", "}", "|", "!", "$env", "\\",
        "'", "/*", "//", "é",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.join(" "))
}

/// Texts that are well-formed.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "a", "evt.Meta", "1", "2.5", "'s'", "nil", "true", "b'x'", "`r`", "[]",
    ]);
    let leaf = leaf.prop_map(str::to_owned);
    let operator = prop::sample::select(vec![
        "+",
        "-",
        "*",
        "/",
        "%",
        "**",
        "..",
        "==",
        "<",
        ">=",
        "&&",
        "or",
        "in",
        "not in",
        "matches",
        "contains",
        "not endsWith",
    ]);
    leaf.prop_recursive(5, 40, 4, move |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            (inner.clone(), operator.clone(), inner.clone())
                .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            (inner.clone(), operator.clone(), inner.clone())
                .prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
            two.clone().prop_map(|(a, b)| format!("(({a}) ?? ({b}))")),
            inner.clone().prop_map(|a| format!("!{a}")),
            inner.clone().prop_map(|a| format!("-{a}")),
            inner.clone().prop_map(|a| format!("({a})?.b[0]")),
            two.clone().prop_map(|(a, b)| format!("({a})[{b}:]")),
            two.clone().prop_map(|(a, b)| format!("({a}).f({b}).c")),
            two.clone().prop_map(|(a, b)| format!("{{k: {a}, ({b}): 1}}")),
            two.clone().prop_map(|(a, b)| format!("[{a}, {b}]")),
            two.clone().prop_map(|(a, b)| format!("any({a}, {{# == {b}; .c}})")),
            two.clone().prop_map(|(a, b)| format!("(let v = {a}; {b})")),
            two.clone().prop_map(|(a, b)| format!("({a}; {b})")),
            two.prop_map(|(a, b)| format!("(({a}) | f({b}))")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("(({a}) ? {b} : {c})")),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_at_a_place_within_it(text in soup()) {
        match parse(&text) {
            Ok(ast) => prop_assert!(text.get(ast.root.span.start as usize..ast.root.span.end as usize).is_some()),
            Err(error) => {
                prop_assert!(text.get(error.span.start as usize..error.span.end as usize).is_some());
                prop_assert!(!error.message.is_empty());
            }
        }
    }

    #[test]
    fn what_is_printed_reads_back(text in expression()) {
        let ast = parse(&text).expect("the text is well-formed");
        let printed = ast.root.to_string();
        let again = parse(&printed).expect("what is printed is well-formed");
        prop_assert_eq!(again.root.to_string(), printed);
        prop_assert_eq!(shape(&again.root), shape(&ast.root));
    }

    #[test]
    fn ids_are_unique_and_in_range(text in expression()) {
        let ast = parse(&text).expect("the text is well-formed");
        let mut seen = vec![false; ast.n_nodes as usize];
        let mut nodes = vec![&ast.root];
        while let Some(node) = nodes.pop() {
            prop_assert!(!core::mem::replace(&mut seen[node.id.index()], true));
            node.for_each_child(&mut |child| nodes.push(child));
        }
    }
}

/// The kinds of all nodes in order, without their places.
fn shape(root: &Expr) -> Vec<core::mem::Discriminant<Kind>> {
    let mut kinds = vec![core::mem::discriminant(&root.kind)];
    root.for_each_child(&mut |child| kinds.extend(shape(child)));
    kinds
}
