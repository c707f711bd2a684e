//! Many at once: bouncers that poll, enforcers that listen to the feed, agents that report.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;

use super::http::{self, Credential};
use super::load::{self, Load};
use super::parts::address;
use super::subject::{self, Subject};
use super::table::{Table, Target};

/// Bouncers that poll every ten seconds and hear nothing new: what that costs of a core.
pub(super) fn polls(
    subject: &Subject<'_>,
    keys: &[Credential],
    length: Duration,
    table: &mut Table,
) -> Result<()> {
    let path = "/v1/decisions/stream?startup=false";
    let requests: Vec<Vec<u8>> = keys.iter().map(|key| http::get(path, key)).collect();
    let ask = |length: Duration| {
        load::run(Load {
            address: subject.address(),
            n_connections: 500,
            pace: Some(Duration::from_secs(10)),
            length,
            make: &mut |number, out| out.extend_from_slice(&requests[number % requests.len()]),
            accept: &mut |status, body| status == 200 && body.len() < 200,
        })
    };
    // Once around first: that a bouncer was seen is written down now and then.
    ask(Duration::from_secs(10))?;
    let process = subject.process()?;
    let (before, started) = (process.cpu()?, Instant::now());
    let outcome = ask(length)?;
    let share = (process.cpu()? - before) / started.elapsed().as_secs_f64() * 100.0;
    ensure!(outcome.n_wrong == 0, "{} of {} were wrong", outcome.n_wrong, outcome.n_answers);
    let most = Target::AtMost(5.0);
    table.note(subject.whose, "500 bouncers poll every 10 s, of a core", "%", most, share);
    let p99 = outcome.quantile(0.99);
    table.note(subject.whose, "500 bouncers poll every 10 s, p99", "ms", Target::None, p99);
    Ok(())
}

/// Enforcers on one key; how long until one decision has reached them all.
pub(super) fn feed(
    subject: &Subject<'_>,
    n_enforcers: usize,
    cursor: &str,
    table: &mut Table,
) -> Result<()> {
    let headers = [("Last-Event-ID", cursor)];
    let request = http::request("GET", "/v1/decisions/feed", &subject.key, &headers, None);
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut sockets = Vec::with_capacity(n_enforcers);
    for number in 0..n_enforcers {
        let mut socket = TcpStream::connect(subject.address()).context("connecting")?;
        socket.write_all(&request).context("asking")?;
        socket.set_nonblocking(true)?;
        let data = epoll::EventData::new_u64(u64::try_from(number)?);
        epoll::add(&epoll, &socket, data, epoll::EventFlags::IN)?;
        sockets.push((socket, Vec::new()));
    }
    wait_for(&epoll, &mut sockets, b"event: ready")?;
    let target = address(0xd000_0000);
    let body = subject::alert("bench/feed", target, &subject::now()?);
    let mut poster = TcpStream::connect(subject.address()).context("connecting")?;
    let started = Instant::now();
    poster.write_all(&http::post("/v1/alerts", &subject.machine, &body)).context("posting")?;
    let times = wait_for(&epoll, &mut sockets, target.to_string().as_bytes())?;
    let mut times: Vec<f64> =
        times.iter().map(|at| at.duration_since(started).as_secs_f64() * 1e3).collect();
    times.sort_by(f64::total_cmp);
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    let last = times.last().copied().unwrap_or_default();
    let (whose, name) = (subject.whose, format!("a decision reaches {n_enforcers} feeds"));
    table.note(whose, &format!("{name}, half"), "ms", Target::None, middle);
    table.note(whose, &format!("{name}, all"), "ms", Target::AtMost(1000.0), last);
    Ok(())
}

/// Reads until every socket has said `wanted` since the last time; when each did.
fn wait_for(
    epoll: impl rustix::fd::AsFd,
    sockets: &mut [(TcpStream, Vec<u8>)],
    wanted: &[u8],
) -> Result<Vec<Instant>> {
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut found: Vec<Option<Instant>> = vec![None; sockets.len()];
    let mut n_missing = sockets.len();
    let mut events = Vec::with_capacity(1024);
    let mut chunk = vec![0; 64 << 10];
    while n_missing > 0 {
        ensure!(Instant::now() < deadline, "{n_missing} enforcers still wait");
        let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
        match epoll::wait(&epoll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => bail!("waiting: {error}"),
        }
        for event in events.drain(..) {
            let number = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
            let Some((socket, read)) = sockets.get_mut(number) else { continue };
            match socket.read(&mut chunk) {
                Ok(0) => bail!("the server hung up on an enforcer"),
                Ok(n) => read.extend_from_slice(&chunk[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error).context("listening"),
            }
            if found[number].is_none() && read.windows(wanted.len()).any(|window| window == wanted)
            {
                found[number] = Some(Instant::now());
                n_missing -= 1;
            }
        }
    }
    for (_, read) in sockets {
        read.clear();
    }
    Ok(found.into_iter().flatten().collect())
}

/// Agents that report a thousand alerts a second between them; what becomes of the alerts.
pub(super) fn agents(
    subject: &Subject<'_>,
    dir: &Path,
    per_second: u32,
    length: Duration,
    table: &mut Table,
) -> Result<()> {
    let n_agents = 50u32;
    let tokens: Result<Vec<Credential>> =
        (0..n_agents).map(|n| subject.machine(&format!("bench-agent-{n}"), dir)).collect();
    let (tokens, at) = (tokens?, subject::now()?);
    let (scenario, mut n) = ("bench/flood", 0u32);
    let outcome = load::run(Load {
        address: subject.address(),
        n_connections: n_agents as usize,
        pace: Some(Duration::from_secs(1) * n_agents / per_second),
        length,
        make: &mut |number, out| {
            n += 1;
            let body = subject::alert(scenario, address(0xb000_0000 + n), &at);
            out.extend(http::post("/v1/alerts", &tokens[number], &body));
        },
        accept: &mut |status, body| status == 201 && body.starts_with(b"[\""),
    })?;
    let path = format!("/v1/decisions?origins=crowdsec&scenarios_containing={scenario}");
    let (body, _) = subject.get(&path, &subject.key)?;
    let n_kept = body.iter().filter(|byte| **byte == b'{').count();
    // Whoever got no answer will send it again; what was acknowledged and is gone is lost.
    let n_lost = (outcome.n_answers - outcome.n_wrong).saturating_sub(n_kept);
    let (whose, name) = (subject.whose, format!("{per_second} alerts/s from 50 agents"));
    let least = Target::AtLeast(f64::from(per_second) * 0.99);
    table.note(whose, &format!("{name}: stored"), "/s", least, outcome.per_second());
    let n_refused = outcome.n_wrong + outcome.n_missing;
    table.note(whose, &format!("{name}: refused"), "", Target::AtMost(0.0), n_refused as f64);
    table.note(whose, &format!("{name}: lost"), "", Target::AtMost(0.0), n_lost as f64);
    let p99 = outcome.quantile(0.99);
    table.note(whose, &format!("{name}: p99"), "ms", Target::AtMost(50.0), p99);
    Ok(())
}
