//! Measures captures of two grok patterns against `regex-automata`.
//!
//! Run with `cargo run --release -p shieldwall-re2 --example bench [SSHD_LOG [ACCESS_LOG]]`. Prints
//! the fastest of several rounds, in nanoseconds per line; without logs, on lines made up here.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::hint::black_box;
use std::time::Instant;

use re2::{Cache, LiteralSet, Regex, RegexSet, SetCache};
use regex_automata::meta;

const ROUNDS: usize = 15;

fn main() {
    let mut logs = std::env::args().skip(1);
    let mut log = |made_up: fn() -> String| match logs.next() {
        Some(path) => std::fs::read_to_string(path).expect("a readable log in UTF-8"),
        None => made_up(),
    };
    let (sshd, web) = (log(sshd_log), log(web_log));
    let sshd: Vec<&str> = sshd.lines().collect();
    let web: Vec<&str> = web.lines().collect();
    let messages: Vec<&str> =
        sshd.iter().filter_map(|line| Some(line.split_once("]: ")?.1)).collect();
    let failed: Vec<&str> =
        messages.iter().copied().filter(|text| text.starts_with("Failed ")).collect();

    println!(
        "{:<28} {:>6} {:>6} {:>9} {:>9} {:>9} {:>6}",
        "", "lines", "bytes", "re2", "meta", "KiB", "hits"
    );
    measure("syslog line", &syslog_line(), &sshd);
    measure("sshd failure, failures", &sshd_fail(), &failed);
    measure("sshd failure, all messages", &sshd_fail(), &messages);
    measure("sshd, no literal prefix", &sshd_pam(), &messages);
    measure("web access", &web_access(), &web);
    measure_literals(&messages);
    measure_set(&web);
}

fn measure(name: &str, pattern: &str, lines: &[&str]) {
    if lines.is_empty() {
        return;
    }
    let hir = re2::parse(pattern).expect("the patterns here are correct");
    let oracle = meta::Builder::new().build_from_hir(&hir).expect("not too large");
    let info = oracle.group_info().clone();
    let names: Vec<&str> = info.pattern_names(regex_automata::PatternID::ZERO).flatten().collect();
    let regex = Regex::with_groups(pattern, &names).expect("its own names");
    let mut cache = Cache::new();
    let mut slots = vec![None; names.len()];
    let mut hits = 0;
    let ours = fastest(|| {
        hits = 0;
        for line in lines {
            hits += usize::from(regex.captures(&mut cache, line, &mut slots));
            black_box(&slots);
        }
    });
    let mut captures = oracle.create_captures();
    let mut oracle_cache = oracle.create_cache();
    let theirs = fastest(|| {
        for line in lines {
            let input = regex_automata::Input::new(line);
            oracle.search_captures_with(&mut oracle_cache, &input, &mut captures);
            black_box(&captures);
        }
    });
    let n = lines.len() as f64;
    let bytes = lines.iter().map(|line| line.len()).sum::<usize>() / lines.len();
    println!(
        "{name:<28} {:>6} {bytes:>6} {:>9.1} {:>9.1} {:>9} {hits:>6}",
        lines.len(),
        ours / n,
        theirs / n,
        cache.memory() / 1024
    );
}

fn measure_literals(lines: &[&str]) {
    let literals = LiteralSet::new(&[
        "Failed ",
        "Invalid user",
        "Disconnected from ",
        "authentication failure; ",
        "Accepted ",
        "Connection closed by ",
        "Bad protocol version",
        "maximum authentication attempts",
        "Connection reset by ",
        "Unable to negotiate with ",
        "identification string",
    ]);
    let mut n_found = 0_usize;
    let time = fastest(|| {
        for line in lines {
            literals.for_each_match(line, |_| n_found += 1);
        }
    });
    black_box(n_found);
    println!("{:<28} {:>6} {:>6} {:>9.1}", "literals", lines.len(), "", time / lines.len() as f64);
}

fn measure_set(lines: &[&str]) {
    let patterns: Vec<String> =
        (0..600).map(|i| format!(r"\b{:05x}agent\b", i * 104_729)).collect();
    let set = RegexSet::new(&patterns).expect("correct");
    let agents: Vec<&str> = lines.iter().filter_map(|line| line.rsplit('"').nth(1)).collect();
    let mut cache = SetCache::new();
    let time = fastest(|| {
        for agent in &agents {
            black_box(set.is_match_any(&mut cache, agent));
        }
    });
    let n = agents.len();
    println!("{:<28} {n:>6} {:>6} {:>9.1}", "600 user agents", "", time / n as f64);
}

/// The time of the fastest round, in nanoseconds.
fn fastest(mut round: impl FnMut()) -> f64 {
    (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed().as_nanos() as f64
        })
        .fold(f64::MAX, f64::min)
}

const OCTETS: &str =
    r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}";
const IPV4: &str =
    r"(?:(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)\.){3}(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)";
const LABEL: &str = r"[0-9A-Za-z][0-9A-Za-z-]{0,62}";
const MONTH: &str = concat!(
    r"(?:\bJan(?:uary|uar)?|Feb(?:ruary|ruar)?|M(?:a|ä)?r(?:ch|z)?|Apr(?:il)?|Ma(?:y|i)?|Jun(?:e|i)?|",
    r"Jul(?:y)?|Aug(?:ust)?|Sep(?:tember)?|O(?:c|k)?t(?:ober)?|Nov(?:ember)?|De(?:c|z)(?:ember)?\b)"
);
const TIME: &str = r"(?:2[0123]|[01]?[0-9]):(?:[0-5][0-9]):(?:(?:[0-5]?[0-9]|60)(?:[:.,][0-9]+)?)";
const MONTHDAY: &str = r"(?:0[1-9]|[12][0-9]|3[01]|[1-9])";
const NUMBER: &str = r"(?:[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+))";

fn ip() -> String {
    let mut alternatives = Vec::new();
    for n in (1..=7).rev() {
        let head = format!("(?:[0-9A-Fa-f]{{1,4}}:){{{n}}}");
        let tail = match n {
            7 => "(?:[0-9A-Fa-f]{1,4}|:)".to_owned(),
            6 => format!("(?::[0-9A-Fa-f]{{1,4}}|{OCTETS}|:)"),
            _ => format!(
                "(?:(?::[0-9A-Fa-f]{{1,4}}){{1,{}}}|(?::[0-9A-Fa-f]{{1,4}}){{0,{}}}:{OCTETS}|:)",
                7 - n,
                5 - n
            ),
        };
        alternatives.push(head + &tail);
    }
    let short = format!(
        "(?::(?:(?::[0-9A-Fa-f]{{1,4}}){{1,7}}|(?::[0-9A-Fa-f]{{1,4}}){{0,5}}:{OCTETS}|:))"
    );
    alternatives.push(short);
    format!("(?:(?:(?:{})(?:%.+)?)|{IPV4})", alternatives.join("|"))
}

fn hostname() -> String {
    format!(r"(?:\b(?:{LABEL})(?:\.(?:{LABEL}))*(?:\.?|\b))")
}

fn syslog_line() -> String {
    let host = format!("(?:{}|{})", ip(), hostname());
    let iso = concat!(
        r"(?:\d\d){1,2}-(?:0?[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01]|[1-9])[T ](?:2[0123]|[01]?[0-9]):?",
        r"(?:[0-5][0-9])(?::?(?:(?:[0-5]?[0-9]|60)(?:[:.,][0-9]+)?))?",
        r"(?:Z|[+-](?:2[0123]|[01]?[0-9]):?[0-5][0-9])?"
    );
    format!(
        concat!(
            r"^(?:(?P<timestamp>{month} +{day} {time})|(?P<timestamp8601>{iso})) ",
            r"(?:<(?P<facility>\b[0-9]+\b).(?P<priority>\b[0-9]+\b)> )?(?P<logsource>{host})+",
            r"(?: (?P<program>[\x21-\x5a\x5c\x5e-\x7e]+)(?:\[(?P<pid>\b[1-9][0-9]*\b)\])?:|) ",
            r"(?P<message>.*)"
        ),
        month = MONTH,
        day = MONTHDAY,
        time = TIME,
        iso = iso,
        host = host
    )
}

fn sshd_fail() -> String {
    format!(
        concat!(
            r"Failed (?P<sshd_auth_type>\b\w+\b) for (?:invalid user )?(?P<user>[a-zA-Z0-9._-]+) ",
            r"from (?P<ip>{ip}) port (?P<port>{number}) (?P<protocol>\b\w+\b)"
        ),
        ip = ip(),
        number = NUMBER
    )
}

fn sshd_pam() -> String {
    format!(
        concat!(
            r"pam_(?P<kind>.*?)\(sshd:auth\): authentication failure; logname= uid=(?P<uid>{number})? ",
            r"euid=(?P<euid>{number})? tty=ssh ruser= rhost=(?P<ip>{ip})",
            r"( \s*user=(?P<user>[a-zA-Z0-9._-]+))?"
        ),
        ip = ip(),
        number = NUMBER
    )
}

fn web_access() -> String {
    format!(
        concat!(
            r"(?P<address>{ip}|{host}) - (?P<user>[a-zA-Z.@+_%-]+)? \[(?P<time>{day}/{month}/(?:\d\d){{1,2}}:{clock} ",
            r#"[+-]?[0-9]+)\] "(?P<verb>\b\w+\b) (?P<request>.*?) HTTP/(?P<version>{number})" "#,
            r#"(?P<status>{number}) (?P<size>{number}) "(?P<referer>[^"]*)" "(?P<agent>[^"]*)""#
        ),
        ip = ip(),
        host = hostname(),
        day = MONTHDAY,
        month = MONTH,
        clock = TIME,
        number = NUMBER
    )
}

fn sshd_log() -> String {
    let mut log = String::new();
    for i in 0_u32..4000 {
        let (a, b, day) = (i * 7919 % 251, i * 104_729 % 241, 1 + i / 400);
        let time = format!("Dec {day:>2} {:02}:{:02}:{:02}", i / 170 % 24, i / 7 % 60, i % 60);
        let message = match i % 5 {
            0 => format!("Failed password for root from 198.51.{a}.{b} port {} ssh2", 1024 + i),
            1 => format!("Failed password for invalid user u{b} from 203.0.{b}.{a} port 22 ssh2"),
            2 => format!("Invalid user admin{b} from 192.0.2.{a}"),
            3 => "Connection closed by 192.0.2.1 [preauth]".to_owned(),
            _ => format!(
                "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.{a}  user=root"
            ),
        };
        log.push_str(&format!("{time} host sshd[{}]: {message}\n", 1000 + i));
    }
    log
}

fn web_log() -> String {
    let mut log = String::new();
    for i in 0_u32..4000 {
        let (a, b) = (i * 7919 % 251, i * 104_729 % 241);
        log.push_str(&format!(
            "192.0.{a}.{b} - - [17/May/2025:10:{:02}:{:02} +0000] \"GET /pages/{b}/item-{a}.html HTTP/1.1\" 200 {} \"http://example.com/{a}\" \"Mozilla/5.0 (X11; Linux x86_64) Gecko/2010 Firefox/{b}.0\"\n",
            i / 60 % 60, i % 60, i * 31
        ));
    }
    log
}
