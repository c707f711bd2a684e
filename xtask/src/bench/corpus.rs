//! The files that are measured on: real logs made long, or generated ones.
//!
//! A short log repeated would be parsed from warm caches and pour into the same few buckets. So each
//! repetition gets addresses of its own and its own stretch of time; whoever was one source within a
//! repetition stays one.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use testkit::date::Moment;
use testkit::loggen::{self, Plan};

use crate::child;

/// A file to measure on.
pub(super) struct Input {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) path: PathBuf,
    pub(super) n_lines: usize,
}

/// Makes the inputs from the logs in `corpus`, or from generated ones when it holds none.
pub(super) fn inputs(corpus: &Path, dir: &Path, n_lines: usize) -> Result<Vec<Input>> {
    let mut sources = Vec::new();
    let mut paths: Vec<PathBuf> = Vec::new();
    if let Ok(entries) = fs::read_dir(corpus) {
        for entry in entries {
            paths.push(entry?.path());
        }
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    paths.sort();
    for path in paths {
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<String> =
            text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        sources.push((name, kind_of(&lines), lines));
    }
    if sources.is_empty() {
        child::progress(&format!("{} holds no logs, generating some", corpus.display()));
        let plan = Plan { n_attackers: 200, n_innocents: 2000, ..Plan::default() };
        for kind in ["syslog", "nginx"] {
            let log = loggen::generate_kind(&plan, kind).context("a kind that is generated")?;
            sources.push((format!("generated-{kind}"), kind, log.lines));
        }
    }
    sources
        .into_iter()
        .map(|(name, kind, lines)| {
            // The size of the original tells a corpus that changed from the one expanded before.
            let n_bytes: usize = lines.iter().map(String::len).sum();
            let path = dir.join(format!("{name}-{n_bytes}-{n_lines}.log"));
            if !path.exists() {
                child::progress(&format!("expanding {name} to {n_lines} lines"));
                expand(&lines, n_lines, &path)?;
            }
            Ok(Input { name, kind, path, n_lines })
        })
        .collect()
}

/// Writes the first `n_lines` of an input into a file of its own.
pub(super) fn slice(input: &Input, n_lines: usize) -> Result<PathBuf> {
    let path = input.path.with_extension(format!("first-{n_lines}"));
    let text = fs::read_to_string(&input.path)?;
    let lines: Vec<String> = text.lines().take(n_lines).map(str::to_owned).collect();
    crate::tree::write_lines(&path, &lines)?;
    Ok(path)
}

/// Writes one failed login from each of `n` addresses, a hundred a second.
pub(super) fn addresses(dir: &Path, n: u32) -> Result<PathBuf> {
    let path = dir.join(format!("addresses-{n}.log"));
    let start = Moment::from_civil(2023, 3, 6, 6, 0, 0);
    let mut out = BufWriter::new(File::create(&path)?);
    for nth in 0..n {
        let at = start.plus(i64::from(nth) * 10).syslog();
        writeln!(out, "{at} gate sshd[100]: Invalid user test from {} port 40000", address(nth))?;
    }
    out.flush()?;
    Ok(path)
}

/// The `nth` of half a billion distinct public addresses, spread over many networks.
fn address(nth: u32) -> Ipv4Addr {
    // An odd factor permutes the numbers below a power of two.
    const MASK: u32 = (1 << 29) - 1;
    Ipv4Addr::from(0x0b00_0000 + (nth.wrapping_mul(0x9e37_79b1) & MASK))
}

/// System logs begin with the name of a month; everything else we have is web logs.
fn kind_of(lines: &[String]) -> &'static str {
    let is_syslog = lines.first().is_some_and(|line| syslog_time(line).is_some());
    if is_syslog { "syslog" } else { "nginx" }
}

/// A year has room for this much of year-less time.
const LONGEST_MILLIS: f64 = 300.0 * 86_400_000.0;

/// Writes `n_lines` lines made from `lines` into `path`.
fn expand(lines: &[String], n_lines: usize, path: &Path) -> Result<()> {
    let base = Moment::from_civil(2023, 1, 2, 0, 0, 0);
    let times: Vec<Option<(usize, usize, Moment)>> =
        lines.iter().map(|line| syslog_time(line).or_else(|| http_time(line))).collect();
    let first = times.iter().flatten().map(|time| time.2).min().unwrap_or(base);
    let last = times.iter().flatten().map(|time| time.2).max().unwrap_or(base);
    let span = (last.0 - first.0 + 1000) as f64;
    let n_rounds = n_lines.div_ceil(lines.len().max(1));
    let scale = (LONGEST_MILLIS / (span * n_rounds as f64)).min(1.0);

    let mut renamed: HashMap<Ipv4Addr, Ipv4Addr> = HashMap::new();
    let mut n_addresses = 0;
    let mut out = BufWriter::new(File::create(path)?);
    for nth in 0..n_lines {
        let (round, index) = (nth / lines.len(), nth % lines.len());
        if index == 0 {
            renamed.clear();
        }
        let mut rename = |old: Ipv4Addr| {
            *renamed.entry(old).or_insert_with(|| {
                n_addresses += 1;
                address(n_addresses)
            })
        };
        let line = &lines[index];
        let Some((start, end, at)) = times[index] else {
            writeln!(out, "{}", with_addresses(line, &mut rename))?;
            continue;
        };
        let millis = (round as f64 * span + (at.0 - first.0) as f64) * scale;
        #[expect(clippy::cast_possible_truncation, reason = "below 300 days, as the scale ensures")]
        let at = base.plus(millis as i64);
        let time = if start == 0 { at.syslog() } else { at.http() };
        let head = with_addresses(&line[..start], &mut rename);
        let tail = with_addresses(&line[end..], &mut rename);
        writeln!(out, "{head}{time}{tail}")?;
    }
    out.flush()?;
    Ok(())
}

const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";

fn month(text: &str) -> Option<i64> {
    let at = MONTHS.find(text).filter(|at| text.len() == 3 && at % 3 == 0)?;
    i64::try_from(at / 3 + 1).ok()
}

/// Finds `Dec 10 06:55:46` at the start of a line: where it begins, where it ends, what it says.
fn syslog_time(line: &str) -> Option<(usize, usize, Moment)> {
    let text = line.get(..15)?;
    let month = month(text.get(..3)?)?;
    let day = text.get(4..6)?.trim().parse().ok()?;
    let (hour, minute, second) = clock(text.get(7..)?)?;
    Some((0, 15, Moment::from_civil(2024, month, day, hour, minute, second)))
}

/// Finds `17/May/2015:10:05:03 +0000` between brackets.
fn http_time(line: &str) -> Option<(usize, usize, Moment)> {
    let start = line.find('[')? + 1;
    let end = start + line.get(start..)?.find(']')?;
    let text = line.get(start..end)?;
    let day = text.get(..2)?.parse().ok()?;
    let month = month(text.get(3..6)?)?;
    let year = text.get(7..11)?.parse().ok()?;
    let (hour, minute, second) = clock(text.get(12..20)?)?;
    Some((start, end, Moment::from_civil(year, month, day, hour, minute, second)))
}

fn clock(text: &str) -> Option<(i64, i64, i64)> {
    let mut parts = text.split(':').map(str::parse);
    match (parts.next()?, parts.next()?, parts.next()?, parts.next()) {
        (Ok(hour), Ok(minute), Ok(second), None) => Some((hour, minute, second)),
        _ => None,
    }
}

/// Replaces each dotted quad that stands for itself.
fn with_addresses(text: &str, rename: &mut impl FnMut(Ipv4Addr) -> Ipv4Addr) -> String {
    let is_part = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len() + 8);
    let (mut copied, mut at) = (0, 0);
    while at < bytes.len() {
        if !is_part(bytes[at]) {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && is_part(bytes[at]) {
            at += 1;
        }
        // A sentence may end with an address.
        let word = text[start..at].trim_end_matches('.');
        let apart = start == 0 || !bytes[start - 1].is_ascii_alphanumeric();
        if let Some(old) = word.parse::<Ipv4Addr>().ok().filter(|_| apart) {
            out.push_str(&text[copied..start]);
            out.push_str(&rename(old).to_string());
            copied = start + word.len();
        }
    }
    out.push_str(&text[copied..]);
    out
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn addresses_are_replaced_where_they_stand_alone() {
        let mut rename = |_| Ipv4Addr::new(11, 0, 0, 1);
        let line = "from 10.0.0.1 [192.0.2.7]:22, é 203.0.113.9. v1.2.3.4 1.2.3 300.1.1.1";
        assert_eq!(
            with_addresses(line, &mut rename),
            "from 11.0.0.1 [11.0.0.1]:22, é 11.0.0.1. v1.2.3.4 1.2.3 300.1.1.1"
        );
    }

    #[test]
    fn addresses_are_distinct_and_public() {
        let mut seen = HashSet::new();
        for nth in 0..100_000 {
            let address = address(nth);
            assert!(seen.insert(address) && !address.is_private(), "{address}");
        }
    }

    #[test]
    fn rounds_differ_in_time_and_source_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("out");
        let lines = [
            "Dec 10 06:55:46 host sshd[1]: Invalid user x from 192.0.2.1",
            "Dec 10 06:55:48 host sshd[2]: Invalid user y from 192.0.2.1",
        ]
        .map(str::to_owned);
        expand(&lines, 5, &path).expect("expanded");
        let text = fs::read_to_string(&path).expect("a file");
        let out: Vec<&str> = text.lines().collect();
        assert_eq!(out.len(), 5);
        assert!(out[0].starts_with("Jan  2 00:00:00 host"), "{}", out[0]);
        assert!(out[1].starts_with("Jan  2 00:00:02 host"), "{}", out[1]);
        assert!(out[2].starts_with("Jan  2 00:00:03 host"), "{}", out[2]);
        let source = |line: &str| line.rsplit(' ').next().map(str::to_owned);
        assert_eq!(source(out[0]), source(out[1]));
        assert_ne!(source(out[1]), source(out[2]));
    }

    #[test]
    fn web_times_are_found() {
        let line = "192.0.2.1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1";
        let (start, end, at) = http_time(line).expect("a time");
        assert_eq!(&line[start..end], "17/May/2015:10:05:03 +0000");
        assert_eq!(at, Moment::from_civil(2015, 5, 17, 10, 5, 3));
        assert_eq!(kind_of(&[line.to_owned()]), "nginx");
        assert!(syslog_time(line).is_none() && http_time("no time").is_none());
    }
}
