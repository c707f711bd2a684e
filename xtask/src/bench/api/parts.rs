//! What is measured on one connection or many that ask the same: import, look-ups, the stream.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::http;
use super::load::{self, Load};
use super::subject::{self, Subject};
use super::table::{Table, Target, Whose};
use crate::tree;

/// Imports are this long.
pub(super) const N_IMPORTED: u32 = 100_000;

/// The address with the number `n`. The fixture uses the same numbers, from zero.
pub(super) fn address(n: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(n.wrapping_mul(2_654_435_761))
}

/// Imports a list with the server's command line. `first` numbers its addresses.
pub(super) fn import(
    subject: &Subject<'_>,
    dir: &Path,
    first: u32,
    name: &str,
    table: &mut Table,
) -> Result<()> {
    let list = dir.join(format!("import-{first}.csv"));
    let header = std::iter::once("duration,scope,value".to_owned());
    let lines = (first..first + N_IMPORTED).map(|n| format!("24h,ip,{}", address(n)));
    tree::write_lines(&list, &header.chain(lines).collect::<Vec<_>>())?;
    let before = subject.process()?.cpu()?;
    let took = subject.tool(&["decisions", "import", "-i", &list.to_string_lossy()])?;
    let cpu = subject.process()?.cpu()? - before;
    table.note(subject.whose, name, "s", Target::AtMost(0.7), took / 1e3);
    // On a machine with other work this says more than the time.
    table.note(subject.whose, &format!("{name}, CPU of the server"), "s", Target::None, cpu);
    let (body, _) = subject.get(&format!("/v1/decisions?ip={}", address(first)), &subject.key)?;
    ensure!(body.starts_with(b"["), "what was imported is not there");
    Ok(())
}

/// Live bouncers ask for addresses, half of which have a decision.
pub(super) fn lookups(
    subject: &Subject<'_>,
    n_known: u32,
    length: Duration,
    name: &str,
    table: &mut Table,
) -> Result<()> {
    let mut n = 0u32;
    let mut n_found = 0usize;
    let requests: Vec<Vec<u8>> = (0..50_000u32)
        .map(|n| {
            // Known ones have the numbers below; from the upper half nothing was ever decided.
            let known = n.wrapping_mul(7919) % n_known;
            let number = if n % 2 == 0 { known } else { 0xf000_0000 | known };
            http::get(&format!("/v1/decisions?ip={}", address(number)), &subject.key)
        })
        .collect();
    let before = subject.process()?.cpu()?;
    let outcome = load::run(Load {
        address: subject.address(),
        n_connections: 32,
        pace: None,
        length,
        make: &mut |_, out| {
            n = n.wrapping_add(1);
            out.extend_from_slice(&requests[n as usize % requests.len()]);
        },
        accept: &mut |status, body| {
            n_found += usize::from(body.len() > 4);
            status == 200
        },
    })?;
    ensure!(outcome.n_wrong == 0, "{} of {} failed", outcome.n_wrong, outcome.n_answers);
    let share = n_found as f64 / outcome.n_answers as f64;
    ensure!((0.4..0.6).contains(&share), "half should have been found, not {share:.2}");
    let rate = Target::AtLeast(30_000.0);
    table.note(
        subject.whose,
        &format!("{name}: look-ups by address"),
        "/s",
        rate,
        outcome.per_second(),
    );
    let cpu = (subject.process()?.cpu()? - before) / outcome.n_answers as f64 * 1e6;
    let cost = format!("{name}: look-ups, CPU of the server each");
    table.note(subject.whose, &cost, "us", Target::None, cpu);
    let p99 = outcome.quantile(0.99);
    table.note(subject.whose, &format!("{name}: look-ups, p99"), "ms", Target::AtMost(5.0), p99);
    Ok(())
}

/// A bouncer starts and reads everything there is.
pub(super) fn full_stream(
    subject: &Subject<'_>,
    n_least: u64,
    name: &str,
    table: &mut Table,
) -> Result<()> {
    let process = subject.process()?;
    let before = process.memory()?;
    process.forget_peak();
    let request = http::get("/v1/decisions/stream?startup=true", &subject.key);
    let mut socket = TcpStream::connect(subject.address()).context("connecting")?;
    socket.set_read_timeout(Some(Duration::from_secs(120)))?;
    let started = Instant::now();
    socket.write_all(&request).context("asking")?;
    let mut chunk = vec![0; 1 << 20];
    let (mut n_bytes, mut n_decisions, mut end) = (0usize, 0usize, Vec::new());
    let mut first = None;
    loop {
        let n = socket.read(&mut chunk).context("reading the stream")?;
        if n == 0 {
            bail!("the stream broke off after {n_bytes} bytes");
        }
        let read = &chunk[..n];
        n_bytes += n;
        n_decisions += read.iter().filter(|byte| **byte == b'{').count();
        first.get_or_insert_with(|| started.elapsed());
        end.extend_from_slice(&read[n.saturating_sub(16)..]);
        end.drain(..end.len().saturating_sub(16));
        if end.ends_with(b"\r\n0\r\n\r\n") {
            break;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let n_decisions = u64::try_from(n_decisions)?.saturating_sub(1);
    ensure!(n_decisions >= n_least, "{n_decisions} of {n_least} decisions were told");
    let grown = (process.memory()?.peak - before.now).max(0.0);
    let whose = subject.whose;
    let first = first.unwrap_or_default().as_secs_f64() * 1e3;
    let most = Target::AtMost(100.0);
    table.note(whose, &format!("{name}: full stream, first byte"), "ms", most, first);
    let rate = n_bytes as f64 / 1e6 / seconds;
    let least = if whose == Whose::Ours { Target::AtLeast(100.0) } else { Target::None };
    table.note(whose, &format!("{name}: full stream"), "MB/s", least, rate);
    table.note(whose, &format!("{name}: full stream, all of it"), "s", Target::None, seconds);
    table.note(whose, &format!("{name}: full stream, memory"), "MB", Target::AtMost(32.0), grown);
    Ok(())
}

/// A bouncer that is up to date asks again after `n_changes`.
pub(super) fn delta(
    subject: &Subject<'_>,
    key: &http::Credential,
    n_changes: u32,
    target: Target,
    table: &mut Table,
) -> Result<()> {
    let path = "/v1/decisions/stream?startup=false";
    subject.get(path, key)?;
    let mut times = Vec::new();
    for round in 0..5u32 {
        let first = 0xe000_0000 + (n_changes * 8 + round) * 4096;
        for n in first..first + n_changes {
            let body = subject::alert("bench/delta", address(n), &subject::now()?);
            let request = http::post("/v1/alerts", &subject.machine, &body);
            let (status, body) = http::ask(subject.address(), &request)?;
            ensure!(status == 201, "{status} {}", String::from_utf8_lossy(&body));
        }
        let (body, took) = subject.get(path, key)?;
        let n_told = body.iter().filter(|byte| **byte == b'{').count() - 1;
        ensure!(n_told >= n_changes as usize, "{n_told} of {n_changes} changes were told");
        times.push(took);
    }
    times.sort_by(f64::total_cmp);
    let name = format!("delta of {n_changes} on a new connection");
    table.note(subject.whose, &name, "ms", target, times[times.len() / 2]);
    Ok(())
}
