use super::BASE;
use crate::grok::Registry;

/// What the first match of `%{name}` in a text is.
fn found<'t>(name: &str, text: &'t str) -> Option<&'t str> {
    let expanded = Registry::base().expand(&format!("%{{{name}}}")).unwrap();
    let regex = re2::Regex::new(&expanded.regex).unwrap();
    let (start, end) = regex.find(&mut re2::Cache::new(), text)?;
    Some(&text[start..end])
}

fn check(name: &str, whole: &[&str], parts: &[(&str, Option<&str>)]) {
    for text in whole {
        assert_eq!(found(name, text), Some(*text), "{name} on {text:?}");
    }
    for (text, expect) in parts {
        assert_eq!(found(name, text), *expect, "{name} on {text:?}");
    }
}

/// The fields of `%{name}` with their values after it matched `text`, empty ones left out.
fn fields(name: &str, text: &str) -> Vec<(String, String)> {
    let expanded = Registry::base().expand(&format!("%{{{name}}}")).unwrap();
    let groups: Vec<_> = expanded.fields.iter().map(|(_, group)| group.as_str()).collect();
    let regex = re2::Regex::with_groups(&expanded.regex, &groups).unwrap();
    let mut slots = vec![None; groups.len()];
    assert!(regex.captures(&mut re2::Cache::new(), text, &mut slots), "{name} on {text:?}");
    let values = slots
        .into_iter()
        .map(|slot| slot.map_or("", |(start, end)| &text[start as usize..end as usize]).to_owned());
    let names = expanded.fields.iter().map(|(field, _)| field.clone());
    names.zip(values).filter(|(_, value)| !value.is_empty()).collect()
}

fn check_fields(name: &str, text: &str, expect: &[(&str, &str)]) {
    let expect: Vec<_> =
        expect.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned())).collect();
    assert_eq!(fields(name, text), expect, "{name} on {text:?}");
}

#[test]
fn every_definition_is_a_regex_by_itself() {
    let mut registry = Registry::base();
    for (name, _) in BASE {
        assert!(registry.expand(&format!("%{{{name}}}")).is_ok(), "{name}");
    }
    let mut names: Vec<_> = BASE.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), BASE.len(), "a name is there twice");
}

#[test]
fn addresses() {
    // No boundaries: the address may be part of a longer number.
    check(
        "IPV4",
        &["192.0.2.7", "01.02.03.004"],
        &[("9192.0.2.789", Some("192.0.2.78")), ("1.2.3", None)],
    );
    check(
        "IPV6",
        &[
            "2001:db8:0:0:0:0:0:1",
            "2001:db8::1",
            "::1",
            "::",
            "1:2:3:4:5:6:192.0.2.7",
            "1:2:3:4:5:6:7::",
            "fe80::1%eth0 and the rest of the line",
        ],
        // Nothing behind it asks for more, so the first form that fits ends at the dot.
        &[("192.0.2.7", None), ("::ffff:192.0.2.7", Some("::ffff:192"))],
    );
    check("IP", &["192.0.2.7", "2001:db8::1"], &[]);
    check("IPORHOST", &["192.0.2.7", "www.example.org", "localhost"], &[]);
    check("HOSTPORT", &["www.example.org:443"], &[]);
    check("MAC", &["00:1a:2b:3c:4d:5e", "00-1a-2b-3c-4d-5e", "001a.2b3c.4d5e"], &[]);
}

#[test]
fn names() {
    check("USERNAME", &["john.doe-1_x"], &[("a b", Some("a")), ("@", None)]);
    check("EMAILADDRESS", &["a+b=c@example.org", "a/b<@example.org"], &[]);
    check("HOSTNAME", &["a.b-c.example."], &[("-a", Some("a"))]);
    check("HTTPDUSER", &["root", "root@example.org"], &[]);
    check("UUID", &["123e4567-e89b-12d3-a456-426614174000"], &[]);
}

#[test]
fn numbers_and_words() {
    check("INT", &["-12", "+7", "0"], &[]);
    check("NUMBER", &["-1.5", ".5", "12"], &[("1.", Some("1"))]);
    check("BASE16NUM", &["0xfF", "-1a"], &[]);
    check("POSINT", &["10"], &[("0", None), ("010", None)]);
    check("NONNEGINT", &["010"], &[]);
    check("WORD", &["a_1"], &[("é-b", Some("b"))]);
    check("QUOTEDSTRING", &[r#""a \" b""#, "''", "`x`", r#""""#], &[(r#""a"#, None)]);
    check("DATA", &[""], &[("abc", Some(""))]);
    check("GREEDYDATA", &["a b c"], &[("a\nb", Some("a"))]);
}

#[test]
fn paths_and_uris() {
    check("UNIXPATH", &["/var/log/a-b_c.log", "/"], &[]);
    check("WINPATH", &[r"C:\Temp\x y"], &[]);
    check("TTY", &["/dev/pts/0", "/dev/tty1"], &[]);
    check("URIPATHPARAM", &["/a/b.php?x=[1]&y=<2>", "/"], &[("/a b", Some("/a"))]);
    check("URI", &["https://joe:secret@example.org:8080/a?b#c", "http://"], &[]);
    check_fields("URI", "ftp://example.org:21/x", &[("port", "21")]);
}

#[test]
fn dates() {
    check("MONTH", &["Jan", "January", "Mär", "Okt", "Dezember"], &[("Ja", None)]);
    check("MONTHDAY", &["01", "31", "9"], &[("32", Some("3"))]);
    check("TIME", &["23:59:59", "1:02:03.456", "01:02:03,456"], &[("23:59:60", Some("23:59:6"))]);
    check(
        "TIMESTAMP_ISO8601",
        &["2024-03-01T10:11:12.345+01:00", "2024-03-01 10:11", "2024-03-01T10:11:12Z"],
        &[],
    );
    check("HTTPDATE", &["28/Jan/2016:14:19:36 +0300"], &[]);
    check("SYSLOGTIMESTAMP", &["Feb 12 14:10:23", "Feb  2 14:10:23"], &[]);
    check("HTTPDERROR_DATE", &["Wed Sep 28 10:11:12.123456 2022"], &[]);
    check("DATE", &["12/31/2024", "31.12.2024", "2024/12/31"], &[]);
    check("RFC1123Z", &["Mon, 02 Jan 2006 15:04:05 -0700"], &[]);
    check("RFC3339", &["2006-01-02T15:04:05Z"], &[]);
    check("KITCHEN", &["3:04PM"], &[]);
    check("ANSIC", &["Mon Jan _2 15:04:05 2006\""], &[("Mon Jan _2 15:04:05 2006", None)]);
    check("DATESTAMP_EVENTLOG", &["20240301101112"], &[]);
}

#[test]
fn syslog_lines() {
    check_fields(
        "SYSLOGBASE",
        "Feb 12 14:10:23 web1 sshd[123]: hello",
        &[
            ("timestamp", "Feb 12 14:10:23"),
            ("logsource", "web1"),
            ("program", "sshd"),
            ("pid", "123"),
        ],
    );
    check_fields("SYSLOGFACILITY", "<3.4>", &[("facility", "3"), ("priority", "4")]);
    check("PROG", &["a-b/c"], &[("[x]", Some("x"))]);
    check("LOGLEVEL", &["error", "ERROR", "Warning", "EMERGENCY", "crit"], &[("eRROR", None)]);
}

#[test]
fn web_server_lines() {
    check_fields(
        "COMBINEDAPACHELOG",
        r#"192.0.2.7 - joe [28/Jan/2016:14:19:36 +0300] "GET /a?b HTTP/1.1" 200 12 "-" "curl/8""#,
        &[
            ("clientip", "192.0.2.7"),
            ("ident", "-"),
            ("auth", "joe"),
            ("timestamp", "28/Jan/2016:14:19:36 +0300"),
            ("verb", "GET"),
            ("request", "/a?b"),
            ("httpversion", "1.1"),
            ("response", "200"),
            ("bytes", "12"),
            ("referrer", "\"-\""),
            ("agent", "\"curl/8\""),
        ],
    );
    // Timestamp and level of the older format are hidden by those of the newer one.
    check_fields(
        "HTTPD_ERRORLOG",
        "[Wed Sep 28 10:11:12 2022] [error] [client 192.0.2.7] File does not exist",
        &[("clientip", "192.0.2.7"), ("errormsg", "File does not exist")],
    );
    check_fields(
        "HTTPD_ERRORLOG",
        "[Wed Sep 28 10:11:12.123456 2022] [core:error] [pid 7:tid 8] (13)Permission denied: \
         [client 192.0.2.7:4711] AH00035: access denied",
        &[
            ("timestamp", "Wed Sep 28 10:11:12.123456 2022"),
            ("module", "core"),
            ("loglevel", "error"),
            ("pid", "7"),
            ("tid", "8"),
            ("proxy_errorcode", "13"),
            ("proxy_errormessage", "Permission denied"),
            ("client", "192.0.2.7"),
            ("clientport", "4711"),
            ("errorcode", "AH00035"),
            ("message", "access denied"),
        ],
    );
}
