use super::{Checked, Meaning, Wanted, check as check_tree};
use crate::expr::ast::{Ast, Expr, Kind};
use crate::expr::objects::{Object, Place, Root};
use crate::expr::parse::parse;
use crate::expr::types::Type;
use crate::expr::{ExprError, codes};
use engine::function::{Function, Method};
use proptest::prelude::*;

fn read(text: &str, place: Place, wanted: Wanted) -> Result<(Ast, Checked), Vec<ExprError>> {
    let ast = parse(text).expect("the test's text is well-formed");
    let pattern =
        |pattern: &str| if pattern.contains('(') { Err("missing `)`".to_owned()) } else { Ok(()) };
    let checked = check_tree(&ast, place, wanted, &pattern)?;
    Ok((ast, checked))
}

/// Checks an expression without mistakes; `expected` names its type.
#[track_caller]
fn check_in(place: Place, text: &str, expected: &str) {
    match read(text, place, Wanted::Anything) {
        Ok((ast, checked)) => {
            assert_eq!(checked.type_of(&ast.root).to_string(), expected, "{text}")
        }
        Err(errors) => panic!("{text}: {errors:?}"),
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    check_in(Place::Event, text, expected);
}

/// Checks an expression with one mistake; `expected` is its place and its message, and then, if
/// there are any, its help and its replacement.
#[track_caller]
fn check_error_in(place: Place, text: &str, code: syntax::Code, expected: &[&str]) {
    let mut errors = read(text, place, Wanted::Anything).expect_err("the text has a mistake");
    assert_eq!(errors.len(), 1, "{errors:?}");
    let error = errors.remove(0);
    let at =
        |span: &crate::expr::ast::Span| text[span.start as usize..span.end as usize].to_owned();
    let mut found = vec![at(&error.span), error.message];
    found.extend(error.help);
    found.extend(error.replacement.map(|(span, with)| format!("{} -> {with}", at(&span))));
    assert_eq!(found, expected, "{text}");
    assert_eq!(error.code, code, "{text}");
}

#[track_caller]
fn check_error(text: &str, code: syntax::Code, expected: &[&str]) {
    check_error_in(Place::Event, text, code, expected);
}

// What works.

#[test]
fn idioms_of_rules() {
    check("evt.Line.Labels.type == 'syslog'", "a boolean");
    check("'source_ip' in evt.Meta", "a boolean");
    check("evt.Meta.log_type in ['a','b'] && evt.Parsed.program startsWith 'sshd'", "a boolean");
    check("any(File('x.txt'), { evt.Meta.http_user_agent contains # })", "a boolean");
    check("Upper(evt.Parsed.x) matches Upper('a(')", "a boolean");
    check("JsonExtract(evt.Line.Raw, \"a.b[0].c\")", "a string");
    check("evt.Meta.source_ip + evt.Meta.target_user", "a string");
    check("UnmarshalJSON(evt.Line.Raw, evt.Unmarshaled, 'k') in ['', nil]", "a boolean");
    check("evt.Unmarshaled?.k?.user?.name ?? 'none'", "a value");
    check("evt.Unmarshaled.k.list[0]['x'].y != nil", "a boolean");
    check("evt.GetType() == 'overflow' && evt.Overflow.Alert.Source.Cn == 'FR'", "a boolean");
    check(
        "evt.Overflow.Alert.Remediation == true and evt.Overflow.Alert.GetScope() == 'Ip'",
        "a boolean",
    );
    check(
        "let p = ParseUri(evt.Parsed.uri); any(keys(p), {# contains 'x'}) || 'q' in p",
        "a boolean",
    );
    check("Sprintf('%s-%d', evt.Meta.a, len(evt.Meta))", "a string");
    check("{Jan: '01', Feb: '02'}[evt.Parsed.month]", "a string");
    check("evt.SetMeta('a', 'b') && LogInfo('x %s', evt.Meta.y)", "a boolean");
    check("CrowdsecCTI(evt.Meta.source_ip).GetMaliciousnessScore() > 0.5", "a boolean");
    check("GeoIPEnrich(evt.Meta.source_ip)?.Country.IsoCode", "a string");
    check(
        "evt.Time.Hour() >= 18 || evt.Time.Weekday().String() in ['Saturday', 'Sunday']",
        "a boolean",
    );
    check("evt.Unmarshaled.x.Foo(1)", "a value");
}

#[test]
fn each_place_has_its_names() {
    check_in(
        Place::Pour,
        "len(queue.Queue) >= 3 and any(queue.Queue, {.Meta.x == 'y'})",
        "a boolean",
    );
    check_in(
        Place::Pour,
        "AverageInterval(map(queue.Queue, {#.Time})) < duration('5s')",
        "a boolean",
    );
    check_in(
        Place::Pour,
        "leaky.Total_count > 5 && leaky.Last_ts.Sub(leaky.First_ts).Seconds() < 10",
        "a boolean",
    );
    check_in(
        Place::Overflow,
        "all(signal.APIAlerts, {.GetEventsCount() > 1}) && evt == nil",
        "a boolean",
    );
    check_in(
        Place::Profile,
        "Alert.Remediation == true && Alert.GetScope() == \"Ip\"",
        "a boolean",
    );
    check_in(
        Place::Profile,
        "Sprintf('%dh', (GetDecisionsCount(Alert.GetValue()) + 1) * 4)",
        "a string",
    );
    check_in(Place::Context, "evt.Meta.uri + match.name + req.Header.Get('x')", "a string");
    check_in(
        Place::HubTest,
        "results['s01-parse']['x'][0].Evt.Parsed['a'][4:] == 'b'",
        "a boolean",
    );
    check_in(
        Place::HubTest,
        "basename(results[0].Overflow.Alert.Events[1].GetMeta('p')) == 'x'",
        "a boolean",
    );
    check("$env.evt.Meta.x + $env['evt'].Meta.y", "a string");
}

#[test]
fn operators_have_types() {
    check("1 + 2", "an integer");
    check("1 + 2.5", "a float");
    check("7 / 2", "a float");
    check("7 % 2", "an integer");
    check("2 ** 3", "a float");
    check("1..3", "a list of integers");
    check("now() - evt.Time", "a duration");
    check("now() - duration('1h')", "a time");
    check("duration('1h') + evt.Time", "a time");
    check("duration('1h') * 2", "a duration");
    check("-duration('1h')", "a duration");
    check("evt.Time > now()", "a boolean");
    check("1 < evt.Type <= 3.5", "a boolean");
    check("evt.Unmarshaled.x + 'a'", "a string");
    check("nil contains 'x'", "a boolean");
    check("evt.Meta.x == nil", "a boolean");
    check("nil ?? 'a'", "a string");
    check("evt.Time.Weekday() == 1", "a boolean");
    check("'Type' in evt", "a boolean");
    check("1 in nil", "a boolean");
    check("evt.Whitelisted ?: false", "a boolean");
    check("!(true in [false])", "a boolean");
    check("'abc'[0]", "an integer");
    check("evt.Line.Raw[4:-1]", "a string");
    check("b'abc'[1:]", "a byte string");
}

#[test]
fn functions_give_what_they_are_given() {
    check("filter(['a'], # != 'b')", "a list of strings");
    check("map([1, 2], # * 1.5)", "a list of floats");
    check("first([1, 2]) + 1", "an integer");
    check("groupBy(['a'], #)", "a map of lists");
    check("sum([1, 2])", "an integer");
    check("sum(['a'], len(#))", "an integer");
    check("reduce([1, 2], #acc + # + #index, 0)", "a value");
    check("sortBy(['a'], #, 'desc')", "a list of strings");
    check("values(evt.Meta)", "a list of strings");
    check("get(evt.Meta, 'x')", "a string");
    check("abs(-1.5)", "a float");
    check("[1, 'a'][0]", "a value");
    check("ParseQuery('a=b').a[0]", "a string");
    check("['a'] | map(upper(#)) | join(',')", "a string");
    check("::len('x')", "an integer");
    check("evt.Appsec.MatchedRules.ByKind('waf')[0].name", "a value");
    check("any(evt.Appsec.MatchedRules, {.msg == 'x'})", "a boolean");
}

#[test]
fn meanings_are_noted_where_the_text_does_not_say_them() {
    let text = "let v = evt.Meta; any(File('f'), {any([1], {# == 1}) && # == v.x && evt.GetMeta('k') == ''})";
    let (ast, checked) = read(text, Place::Event, Wanted::Bool).expect("no mistakes");
    let mut found = Vec::new();
    let mut nodes = vec![&ast.root];
    while let Some(node) = nodes.pop() {
        let meaning = checked.meaning_of(node);
        if meaning != Meaning::Plain {
            found.push((&text[node.span.start as usize..node.span.end as usize], meaning));
        }
        let mut children = Vec::new();
        node.for_each_child(&mut |child| children.push(child));
        nodes.extend(children.into_iter().rev());
    }
    assert_eq!(
        found,
        [
            (text, Meaning::Variable(0)),
            ("evt.Meta", Meaning::Field(Object::Event, "Meta")),
            ("evt", Meaning::Root(Root::Event)),
            (&text[18..], Meaning::Function(Function::Any)),
            ("File('f')", Meaning::Function(Function::File)),
            (&text[33..text.len() - 1], Meaning::Closure(0)),
            ("any([1], {# == 1})", Meaning::Function(Function::Any)),
            ("{# == 1}", Meaning::Closure(1)),
            ("#", Meaning::Closure(1)),
            ("#", Meaning::Closure(0)),
            ("v.x", Meaning::Key),
            ("v", Meaning::Variable(0)),
            ("evt.GetMeta('k')", Meaning::Method(Method::GetMeta)),
            ("evt", Meaning::Root(Root::Event)),
        ]
    );
    assert_eq!((checked.n_variables, checked.n_closures), (1, 2));
}

#[test]
fn dynamic_values_have_any_method() {
    let meaning = |text: &str| {
        let (ast, checked) = read(text, Place::HubTest, Wanted::Anything).expect("no mistakes");
        checked.meaning_of(&ast.root)
    };
    assert_eq!(meaning("results.GetScope()"), Meaning::Method(Method::GetScope));
    assert_eq!(meaning("results.Frobnicate()"), Meaning::DynamicMethod);
    assert_eq!(meaning("results.Frob"), Meaning::Dynamic);
}

#[test]
fn variables_end_with_their_body() {
    let text = "(let a = 1; a) + (let b = 2; let c = 3; b + c)";
    let (ast, checked) = read(text, Place::Event, Wanted::Anything).expect("no mistakes");
    assert_eq!(checked.n_variables, 2);
    assert_eq!(*checked.type_of(&ast.root), Type::Int);
    let Kind::Binary { left, right, .. } = &ast.root.kind else { panic!("{:?}", ast.root.kind) };
    let number = |of: &Expr| checked.meaning_of(of);
    assert_eq!((number(left), number(right)), (Meaning::Variable(0), Meaning::Variable(0)));
    check_error("(let a = 1; a) + a", codes::UNKNOWN_NAME, &["a", "unknown name `a`"]);
}

// What does not.

#[test]
fn unknown_names() {
    check_error(
        "evnt.Meta.x",
        codes::UNKNOWN_NAME,
        &["evnt", "unknown name `evnt`", "did you mean `evt`?", "evnt -> evt"],
    );
    check_error(
        "Meta.source_ip == 'x'",
        codes::UNKNOWN_NAME,
        &["Meta", "unknown name `Meta`", "did you mean `evt.Meta`?", "Meta -> evt.Meta"],
    );
    check_error(
        "len(queue.Queue) > 1",
        codes::UNKNOWN_NAME,
        &["queue", "`queue` is not available here", "available here: `evt`"],
    );
    check_error(
        "True",
        codes::UNKNOWN_NAME,
        &["True", "unknown name `True`", "did you mean `true`?", "True -> true"],
    );
    check_error(
        "upper == 'X'",
        codes::UNKNOWN_NAME,
        &["upper", "`upper` is a function and must be called", "write `upper(…)`"],
    );
    check_error("$env.foo", codes::UNKNOWN_NAME, &["foo", "unknown name `foo`"]);
    check_error(
        "any([1], #acc)",
        codes::UNKNOWN_NAME,
        &["#acc", "`#acc` has a meaning only in `reduce`"],
    );
}

#[test]
fn unknown_functions_fields_and_methods() {
    check_error(
        "Uper('x')",
        codes::UNKNOWN_FUNCTION,
        &["Uper", "unknown function `Uper`", "did you mean `Upper`?", "Uper -> Upper"],
    );
    check_error(
        "basename('x')",
        codes::UNKNOWN_FUNCTION,
        &["basename", "`basename` is offered only to the assertions of hub tests"],
    );
    check_error(
        "::Upper('x')",
        codes::UNKNOWN_FUNCTION,
        &["Upper", "the language has no function `Upper`", "write the name without `::`"],
    );
    check_error(
        "evt.Mata.x",
        codes::UNKNOWN_FIELD,
        &["Mata", "an event has no field `Mata`", "did you mean `Meta`?", "Mata -> Meta"],
    );
    check_error(
        "evt['Mata']",
        codes::UNKNOWN_FIELD,
        &["Mata", "an event has no field `Mata`", "did you mean `Meta`?", "Mata -> Meta"],
    );
    check_error("evt.Line.Raw.x", codes::UNKNOWN_FIELD, &["x", "a string has no field `x`"]);
    check_error(
        "evt.GetType == 'log'",
        codes::UNKNOWN_FIELD,
        &[
            "GetType",
            "`GetType` is a method and must be called",
            "write `GetType()`",
            "GetType -> GetType()",
        ],
    );
    check_error(
        "evt.getMeta('x')",
        codes::UNKNOWN_METHOD,
        &[
            "getMeta",
            "an event has no method `getMeta`",
            "did you mean `GetMeta`?",
            "getMeta -> GetMeta",
        ],
    );
    check_error(
        "evt.Line.Raw()",
        codes::UNKNOWN_METHOD,
        &[
            "Raw",
            "the line of an event has no method `Raw`",
            "`Raw` is a field and is read without parentheses",
        ],
    );
    check_error(
        "evt('x')",
        codes::NOT_CALLABLE,
        &["evt", "`evt` is not a function and cannot be called"],
    );
}

#[test]
fn wrong_arguments() {
    check_error("Upper()", codes::ARGUMENT_COUNT, &["Upper", "`Upper` takes 1 argument, not 0"]);
    check_error("now(1)", codes::ARGUMENT_COUNT, &["now", "`now` takes no arguments, not 1"]);
    check_error(
        "split('a')",
        codes::ARGUMENT_COUNT,
        &["split", "`split` takes 2 to 3 arguments, not 1"],
    );
    check_error(
        "Sprintf()",
        codes::ARGUMENT_COUNT,
        &["Sprintf", "`Sprintf` takes at least 1 argument, not 0"],
    );
    check_error("any([1])", codes::ARGUMENT_COUNT, &["any", "`any` takes 2 arguments, not 1"]);
    check_error(
        "evt.GetMeta()",
        codes::ARGUMENT_COUNT,
        &["GetMeta", "`GetMeta` takes 1 argument, not 0"],
    );
    check_error(
        "Upper(1)",
        codes::ARGUMENT_TYPE,
        &["1", "`Upper` needs a string here, this is an integer", "convert it with `string(…)`"],
    );
    check_error(
        "Upper(nil)",
        codes::ARGUMENT_TYPE,
        &["nil", "`Upper` needs a string here, this is nil"],
    );
    check_error(
        "ParseKV(evt.Line.Raw, evt.Parsed, 'k')",
        codes::ARGUMENT_TYPE,
        &[
            "evt.Parsed",
            "`ParseKV` needs a map that can hold any value, such as `evt.Unmarshaled` here, this is a map of strings",
        ],
    );
    check_error(
        "any(evt.Line.Raw, # == 1)",
        codes::ARGUMENT_TYPE,
        &["evt.Line.Raw", "`any` needs a list here, this is a string"],
    );
    check_error(
        "filter([1], # + 1)",
        codes::ARGUMENT_TYPE,
        &["# + 1", "the closure of `filter` must give a boolean, but gives an integer"],
    );
    check_error(
        "evt.Time.Before('x')",
        codes::ARGUMENT_TYPE,
        &["'x'", "`Before` needs a time here, this is a string"],
    );
}

#[test]
fn wrong_operands() {
    let help = "compare with a string in quotes, or convert with `int(…)` or `string(…)`";
    check_error(
        "evt.Parsed.port == 22",
        codes::OPERAND_TYPE,
        &["evt.Parsed.port == 22", "`==` does not work on a string and an integer", help],
    );
    check_error(
        "evt.Parsed.port > 22",
        codes::OPERAND_TYPE,
        &["evt.Parsed.port > 22", "`>` does not work on a string and an integer", help],
    );
    check_error(
        "'a' + 1",
        codes::OPERAND_TYPE,
        &[
            "'a' + 1",
            "`+` does not work on a string and an integer",
            "turn the other side into a string with `string(…)`",
        ],
    );
    check_error(
        "evt.Meta.x == 'a' or 'b'",
        codes::OPERAND_TYPE,
        &[
            "'b'",
            "`||` needs booleans, this is a string",
            "each side is an expression of its own: `x == 'a' or x == 'b'`",
        ],
    );
    check_error(
        "not evt.Meta.x in ['a']",
        codes::OPERAND_TYPE,
        &[
            "not evt.Meta.x",
            "`not` belongs to what follows it, not to `in`",
            "write `x not in y`, or put all after the `not` in parentheses",
        ],
    );
    check_error(
        "!evt.Unmarshaled.x contains 'a'",
        codes::OPERAND_TYPE,
        &[
            "!evt.Unmarshaled.x",
            "`not` belongs to what follows it, not to `contains`",
            "write `x not contains y`, or put all after the `not` in parentheses",
        ],
    );
    check_error(
        "!evt.Meta.x",
        codes::OPERAND_TYPE,
        &["evt.Meta.x", "`!` needs a boolean, this is a string"],
    );
    check_error(
        "'a' in evt.Meta.x",
        codes::OPERAND_TYPE,
        &["'a' in evt.Meta.x", "`in` does not look into strings", "write `text contains part`"],
    );
    check_error(
        "1 in ['a']",
        codes::OPERAND_TYPE,
        &["1 in ['a']", "`in` does not work on an integer and a list of strings"],
    );
    check_error(
        "['a'] contains 'a'",
        codes::OPERAND_TYPE,
        &[
            "['a'] contains 'a'",
            "`contains` does not work on a list of strings and a string",
            "`contains` is about strings; write `x in list` for elements",
        ],
    );
}

#[test]
fn patterns_are_tried() {
    check_error(
        "evt.Meta.x matches 'a('",
        codes::BAD_PATTERN,
        &["'a('", "the pattern is not a regular expression: missing `)`"],
    );
}

#[test]
fn wrong_parts() {
    check_error("evt.Type[0]", codes::NOT_INDEXABLE, &["evt.Type", "an integer cannot be indexed"]);
    check_error(
        "[1]['a']",
        codes::NOT_INDEXABLE,
        &["'a'", "a list of integers is indexed by an integer, not by a string"],
    );
    check_error(
        "evt.Meta[1:]",
        codes::NOT_INDEXABLE,
        &["evt.Meta", "a map of strings cannot be sliced"],
    );
    check_error(
        "'abc'['a':]",
        codes::NOT_INDEXABLE,
        &["'a'", "a slice begins and ends at an integer, not at a string"],
    );
    check_error(
        "evt.Meta.x ? 1 : 2",
        codes::OPERAND_TYPE,
        &["evt.Meta.x", "a condition must be a boolean, this is a string"],
    );
}

#[test]
fn names_in_use_cannot_be_declared() {
    check_error(
        "let evt = 1; 2",
        codes::VARIABLE_TAKEN,
        &["evt", "`evt` cannot be declared: it is a variable of the environment"],
    );
    check_error(
        "let len = 1; 2",
        codes::VARIABLE_TAKEN,
        &["len", "`len` cannot be declared: it is a function"],
    );
    check_error(
        "let x = 1; let x = 2; x",
        codes::VARIABLE_TAKEN,
        &["x", "`x` cannot be declared: it is a variable already"],
    );
}

#[test]
fn the_result_must_fit_its_place() {
    let error = |text, wanted| {
        read(text, Place::Event, wanted).expect_err("the result does not fit").remove(0)
    };
    let found = error("evt.Meta.x", Wanted::Bool);
    assert_eq!(found.code, codes::RESULT_TYPE);
    assert_eq!(found.message, "the expression must give a boolean, but gives a string");
    let found = error("1", Wanted::Str);
    assert_eq!(found.message, "the expression must give a string, but gives an integer");
    assert!(read("evt.Unmarshaled.x", Place::Event, Wanted::Bool).is_ok());
}

#[test]
fn all_mistakes_are_reported_once() {
    let text = "evt.Mata.x == 1 && Uper(evt.Lime.y) contains 'a' && 'b'";
    let errors = read(text, Place::Event, Wanted::Bool).expect_err("the text has mistakes");
    let found: Vec<&str> = errors.iter().map(|error| error.code.0).collect();
    let expected =
        [codes::UNKNOWN_FIELD, codes::UNKNOWN_FIELD, codes::UNKNOWN_FUNCTION, codes::OPERAND_TYPE];
    let mut expected: Vec<&str> = expected.iter().map(|code| code.0).collect();
    expected.sort_unstable();
    let mut sorted = found;
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
}

#[test]
fn mistakes_without_end_come_to_an_end() {
    let text = format!("[{}]", vec!["Uper(x)"; 3000].join(","));
    let errors = read(&text, Place::Event, Wanted::Anything).expect_err("the text has mistakes");
    assert!((20..30).contains(&errors.len()), "{}", errors.len());
}

#[test]
fn the_deepest_trees_can_be_checked() {
    let most = usize::from(crate::expr::parse::MAX_DEPTH) - 1;
    let deep = |before: &str, after: &str, n: usize| {
        format!("{}evt.Meta.x{}", before.repeat(n), after.repeat(n))
    };
    check(&deep("", " + 'x'", most - 2), "a string");
    check(&deep("Upper(", ")", most - 2), "a string");
    check(&deep("true ? 'x' : ", "", most - 2), "a string");
    check(&deep("string(any(['y'], {# == ", "}))", (most - 2) / 4), "a string");
    check(&deep("evt.GetMeta(", ")", most - 2), "a string");
}

proptest! {
    #[test]
    fn every_tree_is_checked_or_refused(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "evt.Meta", "evt", "1", "'s'", "nil", "[1]", "{a: 1}", "b'x'", "Upper('x')", "now()",
                "evt.Time", "evt.Unmarshaled.x", "any(", "map(", "reduce(", "{#", "#acc", "}", ",", ")",
                "+", "==", "in", "not", "&&", "matches", "contains", "..", "??", "?.x", ".GetMeta(",
                "[0]", "[1:]", "?", ":", "let v =", ";", "v", "|", "len()", "(", "$env", "<",
            ]),
            0..24,
        ),
    ) {
        let text = pieces.join(" ");
        if let Ok(ast) = parse(&text) {
            for place in Place::ALL {
                match check_tree(&ast, *place, Wanted::Anything, &|_| Ok(())) {
                    Ok(_) => {}
                    Err(errors) => {
                        prop_assert!(!errors.is_empty());
                        for error in errors {
                            prop_assert!(text.get(error.span.start as usize..error.span.end as usize).is_some());
                        }
                    }
                }
            }
        }
    }
}
