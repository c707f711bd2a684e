//! The definitions everyone has: the vocabulary that rules out there are written in.
//!
//! Names and meanings are those of the public grok vocabulary, restated in one notation: no
//! capturing groups, since only `%{NAME:field}` yields anything. Oddities are kept where rules
//! rely on them, and said so.

/// One octet, leading zeros accepted.
macro_rules! octet {
    () => {
        "(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)"
    };
}

/// One octet as it is written inside an IPv6 address: no leading zeros.
macro_rules! strict_octet {
    () => {
        r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
    };
}

/// A dotted quad inside an IPv6 address.
macro_rules! strict_quad {
    () => {
        concat!(strict_octet!(), r"(?:\.", strict_octet!(), "){3}")
    };
}

/// Sixteen bits of an IPv6 address.
macro_rules! hextet {
    () => {
        "[0-9A-Fa-f]{1,4}"
    };
}

/// One way to write an IPv6 address: `$n` leading hextets, then up to `$after` behind `::`, or up
/// to `$before` and a dotted quad.
macro_rules! ipv6_form {
    ($n:literal, $after:literal, $before:literal) => {
        concat!(
            "(?:",
            hextet!(),
            ":){",
            $n,
            "}(?:(?::",
            hextet!(),
            "){1,",
            $after,
            "}|(?::",
            hextet!(),
            ")",
            $before,
            ":",
            strict_quad!(),
            "|:)"
        )
    };
}

/// A label of a host name.
macro_rules! label {
    () => {
        "[0-9A-Za-z][0-9A-Za-z-]{0,62}"
    };
}

/// Names and definitions, each referring only to earlier ones.
pub(super) const BASE: &[(&str, &str)] = &[
    // Names and addresses.
    ("USERNAME", "[a-zA-Z0-9._-]+"),
    ("USER", "%{USERNAME}"),
    // `+-=` is a range here, so commas, slashes and `<` are accepted.
    ("EMAILLOCALPART", "[a-zA-Z0-9_.+-=:]+"),
    ("HOSTNAME", concat!(r"\b", label!(), r"(?:\.", label!(), r")*(?:\.?|\b)")),
    ("EMAILADDRESS", "%{EMAILLOCALPART}@%{HOSTNAME}"),
    ("HTTPDUSER", "%{EMAILADDRESS}|%{USER}"),
    // Numbers.
    ("INT", "[+-]?[0-9]+"),
    ("BASE10NUM", r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"),
    ("NUMBER", "%{BASE10NUM}"),
    ("BASE16NUM", "[+-]?(?:0x)?[0-9A-Fa-f]+"),
    ("BASE16FLOAT", r"\b[+-]?(?:0x)?(?:[0-9A-Fa-f]+(?:\.[0-9A-Fa-f]*)?|\.[0-9A-Fa-f]+)\b"),
    ("POSINT", r"\b[1-9][0-9]*\b"),
    ("NONNEGINT", r"\b[0-9]+\b"),
    // Words and quotes.
    ("WORD", r"\b\w+\b"),
    ("NOTSPACE", r"\S+"),
    ("SPACE", r"\s*"),
    ("DATA", ".*?"),
    ("GREEDYDATA", ".*"),
    ("QUOTEDSTRING", r#""(?:\\.|[^\\"]+)+"|""|'(?:\\.|[^\\']+)+'|''|`(?:\\.|[^\\`]+)+`|``"#),
    ("QS", "%{QUOTEDSTRING}"),
    ("UUID", "[A-Fa-f0-9]{8}-(?:[A-Fa-f0-9]{4}-){3}[A-Fa-f0-9]{12}"),
    // Networking.
    ("CISCOMAC", r"(?:[A-Fa-f0-9]{4}\.){2}[A-Fa-f0-9]{4}"),
    ("WINDOWSMAC", "(?:[A-Fa-f0-9]{2}-){5}[A-Fa-f0-9]{2}"),
    ("COMMONMAC", "(?:[A-Fa-f0-9]{2}:){5}[A-Fa-f0-9]{2}"),
    ("MAC", "%{CISCOMAC}|%{WINDOWSMAC}|%{COMMONMAC}"),
    (
        "IPV6",
        concat!(
            "(?:",
            concat!("(?:", hextet!(), ":){7}(?:", hextet!(), "|:)"),
            "|",
            concat!("(?:", hextet!(), ":){6}(?::", hextet!(), "|", strict_quad!(), "|:)"),
            "|",
            concat!("(?:", hextet!(), ":){5}(?:(?::", hextet!(), "){1,2}|:", strict_quad!(), "|:)"),
            "|",
            ipv6_form!("4", "3", "?"),
            "|",
            ipv6_form!("3", "4", "{0,2}"),
            "|",
            ipv6_form!("2", "5", "{0,3}"),
            "|",
            ipv6_form!("1", "6", "{0,4}"),
            "|",
            concat!(
                ":(?:(?::",
                hextet!(),
                "){1,7}|(?::",
                hextet!(),
                "){0,5}:",
                strict_quad!(),
                "|:)"
            ),
            // The zone takes the rest of the line, as it always has.
            ")(?:%.+)?",
        ),
    ),
    // No boundaries: part of a longer number is an address too.
    ("IPV4", concat!("(?:", octet!(), r"\.){3}", octet!())),
    ("IP", "%{IPV6}|%{IPV4}"),
    ("IPORHOST", "%{IP}|%{HOSTNAME}"),
    ("HOSTPORT", "%{IPORHOST}:%{POSINT}"),
    // Paths and URIs.
    ("UNIXPATH", r"(?:/(?:[\w_%!$@:.,~-]+|\\.)*)+"),
    ("TTY", r"/dev/(?:pts|tty[pq]?)(?:\w+)?/?[0-9]+"),
    ("WINPATH", r"(?:[A-Za-z]+:|\\)(?:\\[^\\?*]*)+"),
    ("PATH", "%{UNIXPATH}|%{WINPATH}"),
    ("URIPROTO", r"[A-Za-z]+(?:\+[A-Za-z+]+)?"),
    ("URIHOST", "%{IPORHOST}(?::%{POSINT:port})?"),
    ("URIPATH", r"(?:/[A-Za-z0-9$.+!*'(){},~:;=@#%_-]*)+"),
    ("URIPARAM", r"\?[A-Za-z0-9$.+!*'|(){},~@#%&/=:;_?\-\[\]<>]*"),
    ("URIPATHPARAM", "%{URIPATH}(?:%{URIPARAM})?"),
    ("URI", "%{URIPROTO}://(?:%{USER}(?::[^@]*)?@)?(?:%{URIHOST})?(?:%{URIPATHPARAM})?"),
    // Dates. Boundaries of MONTH bind its first and last alternative only.
    (
        "MONTH",
        concat!(
            r"\bJan(?:uary|uar)?|Feb(?:ruary|ruar)?|M(?:a|ä)?r(?:ch|z)?|Apr(?:il)?|Ma(?:y|i)?",
            r"|Jun(?:e|i)?|Jul(?:y)?|Aug(?:ust)?|Sep(?:tember)?|O(?:c|k)?t(?:ober)?|Nov(?:ember)?",
            r"|De(?:c|z)(?:ember)?\b",
        ),
    ),
    ("MONTHNUM", "0?[1-9]|1[0-2]"),
    ("MONTHNUM2", "0[1-9]|1[0-2]"),
    ("MONTHDAY", "0[1-9]|[12][0-9]|3[01]|[1-9]"),
    (
        "DAY",
        concat!(
            "Mon(?:day)?|Tue(?:sday)?|Wed(?:nesday)?|Thu(?:rsday)?|Fri(?:day)?|Sat(?:urday)?",
            "|Sun(?:day)?",
        ),
    ),
    ("YEAR", r"(?:\d\d){1,2}"),
    ("HOUR", "2[0123]|[01]?[0-9]"),
    ("MINUTE", "[0-5][0-9]"),
    ("SECOND", "(?:[0-5]?[0-9]|60)(?:[:.,][0-9]+)?"),
    ("TIME", "%{HOUR}:%{MINUTE}:%{SECOND}"),
    ("DATE_US", "%{MONTHNUM}[/-]%{MONTHDAY}[/-]%{YEAR}"),
    ("DATE_EU", "%{MONTHDAY}[./-]%{MONTHNUM}[./-]%{YEAR}"),
    ("DATE_X", "%{YEAR}/%{MONTHNUM2}/%{MONTHDAY}"),
    ("ISO8601_TIMEZONE", "Z|[+-]%{HOUR}:?%{MINUTE}"),
    ("ISO8601_SECOND", "%{SECOND}|60"),
    (
        "TIMESTAMP_ISO8601",
        concat!(
            "%{YEAR}-%{MONTHNUM}-%{MONTHDAY}[T ]%{HOUR}:?%{MINUTE}(?::?%{SECOND})?",
            "%{ISO8601_TIMEZONE}?",
        ),
    ),
    ("DATE", "%{DATE_US}|%{DATE_EU}|%{DATE_X}"),
    ("DATESTAMP", "%{DATE}[- ]%{TIME}"),
    ("TZ", "[A-Z]{3}"),
    ("NUMTZ", r"[+-]\d{4}"),
    ("DATESTAMP_RFC822", "%{DAY} %{MONTH} %{MONTHDAY} %{YEAR} %{TIME} %{TZ}"),
    ("DATESTAMP_RFC2822", "%{DAY}, %{MONTHDAY} %{MONTH} %{YEAR} %{TIME} %{ISO8601_TIMEZONE}"),
    ("DATESTAMP_OTHER", "%{DAY} %{MONTH} %{MONTHDAY} %{TIME} %{TZ} %{YEAR}"),
    ("DATESTAMP_EVENTLOG", "%{YEAR}%{MONTHNUM2}%{MONTHDAY}%{HOUR}%{MINUTE}%{SECOND}"),
    ("HTTPDERROR_DATE", "%{DAY} %{MONTH} %{MONTHDAY} %{TIME} %{YEAR}"),
    // Ends by a quote, as it always has.
    ("ANSIC", r#"%{DAY} %{MONTH} [_123]\d %{TIME} %{YEAR}""#),
    ("UNIXDATE", r"%{DAY} %{MONTH} [_123]\d %{TIME} %{TZ} %{YEAR}"),
    ("RUBYDATE", r"%{DAY} %{MONTH} [0-3]\d %{TIME} %{NUMTZ} %{YEAR}"),
    ("RFC822Z", r"[0-3]\d %{MONTH} %{YEAR} %{TIME} %{NUMTZ}"),
    ("RFC850", r"%{DAY}, [0-3]\d-%{MONTH}-%{YEAR} %{TIME} %{TZ}"),
    ("RFC1123", r"%{DAY}, [0-3]\d %{MONTH} %{YEAR} %{TIME} %{TZ}"),
    ("RFC1123Z", r"%{DAY}, [0-3]\d %{MONTH} %{YEAR} %{TIME} %{NUMTZ}"),
    ("RFC3339", r"%{YEAR}-[01]\d-[0-3]\dT%{TIME}%{ISO8601_TIMEZONE}"),
    ("RFC3339NANO", r"%{YEAR}-[01]\d-[0-3]\dT%{TIME}\.\d{9}%{ISO8601_TIMEZONE}"),
    ("KITCHEN", r"\d{1,2}:\d{2}(?:AM|PM|am|pm)"),
    // Syslog.
    ("SYSLOGTIMESTAMP", "%{MONTH} +%{MONTHDAY} %{TIME}"),
    ("PROG", r"[\x21-\x5a\x5c\x5e-\x7e]+"),
    ("SYSLOGPROG", r"%{PROG:program}(?:\[%{POSINT:pid}\])?"),
    ("SYSLOGHOST", "%{IPORHOST}"),
    ("SYSLOGFACILITY", "<%{NONNEGINT:facility}.%{NONNEGINT:priority}>"),
    ("HTTPDATE", "%{MONTHDAY}/%{MONTH}/%{YEAR}:%{TIME} %{INT}"),
    (
        "LOGLEVEL",
        concat!(
            "[Aa]lert|ALERT|[Tt]race|TRACE|[Dd]ebug|DEBUG|[Nn]otice|NOTICE|[Ii]nfo|INFO",
            "|[Ww]arn(?:ing)?|WARN(?:ING)?|[Ee]rr(?:or)?|ERR(?:OR)?|[Cc]rit(?:ical)?|CRIT(?:ICAL)?",
            "|[Ff]atal|FATAL|[Ss]evere|SEVERE|EMERG(?:ENCY)?|[Ee]merg(?:ency)?",
        ),
    ),
    (
        "SYSLOGBASE",
        concat!(
            "%{SYSLOGTIMESTAMP:timestamp} (?:%{SYSLOGFACILITY} )?%{SYSLOGHOST:logsource} ",
            "%{SYSLOGPROG}:",
        ),
    ),
    // Web servers.
    (
        "COMMONAPACHELOG",
        concat!(
            r"%{IPORHOST:clientip} %{HTTPDUSER:ident} %{USER:auth} \[%{HTTPDATE:timestamp}\] ",
            r#""(?:%{WORD:verb} %{NOTSPACE:request}(?: HTTP/%{NUMBER:httpversion})?"#,
            r#"|%{DATA:rawrequest})" %{NUMBER:response} (?:%{NUMBER:bytes}|-)"#,
        ),
    ),
    ("COMBINEDAPACHELOG", "%{COMMONAPACHELOG} %{QS:referrer} %{QS:agent}"),
    (
        "HTTPD20_ERRORLOG",
        concat!(
            r"\[%{HTTPDERROR_DATE:timestamp}\] \[%{LOGLEVEL:loglevel}\] ",
            r"(?:\[client %{IPORHOST:clientip}\] )?%{GREEDYDATA:errormsg}",
        ),
    ),
    (
        "HTTPD24_ERRORLOG",
        concat!(
            r"\[%{HTTPDERROR_DATE:timestamp}\] \[%{WORD:module}:%{LOGLEVEL:loglevel}\] ",
            r"\[pid %{POSINT:pid}(?::tid %{NUMBER:tid})?\]",
            r"(?: \(%{POSINT:proxy_errorcode}\)%{DATA:proxy_errormessage}:)?",
            r"(?: \[client %{IPORHOST:client}:%{INT:clientport}\])? ",
            r"%{DATA:errorcode}: %{GREEDYDATA:message}",
        ),
    ),
    // Both give a timestamp and a level: those of the 2.4 branch count, empty for 2.0 lines.
    ("HTTPD_ERRORLOG", "%{HTTPD20_ERRORLOG}|%{HTTPD24_ERRORLOG}"),
];

#[cfg(test)]
mod tests;
