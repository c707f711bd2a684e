//! How fast elements get into the kernel, beside `nft -f` in the same run.
//!
//! `cargo run --example bulk -p shieldwall-bouncer -- [HOSTS] [RANGES]`, as root: everything
//! happens in a network namespace that ends with the program.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement for people")]

use std::{
    fmt::Write as _,
    io::Write as _,
    net::Ipv4Addr,
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bouncer::{
    backend::{
        Backend as _, Leave,
        nftables::{Nftables, Settings},
    },
    set::{Decision, DecisionSet, Delta, Removal},
};
use model::{DecisionId, Timestamp};

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_unix(i64::try_from(since.as_secs()).unwrap(), since.subsec_nanos())
}

fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("?");
    format!("resident {}, at most {}", line("VmRSS:").trim(), line("VmHWM:").trim())
}

/// Scattered over the address space, each once, the same in every run.
fn address(n: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0100_0000 + n.wrapping_mul(2_654_435_761) % 0xd000_0000)
}

fn decision(n: u32, net: ipnet::Ipv4Net, until: Timestamp) -> Decision {
    Decision {
        id: DecisionId(n.into()),
        net: net.into(),
        remediation: "ban".into(),
        origin: if n.is_multiple_of(3) { "CAPI".into() } else { "crowdsec".into() },
        until,
    }
}

fn main() {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    let mut sizes = std::env::args().skip(1).map(|word| word.parse::<u32>().unwrap());
    let n_hosts = sizes.next().unwrap_or(100_000);
    let n_ranges = sizes.next().unwrap_or(10_000);
    let until = now().plus_nanos(14_400_000_000_000);

    let start = Instant::now();
    let mut set = DecisionSet::new(&bouncer::set::Settings::default());
    // As a feed does: a page at a time.
    for page in (0..n_hosts).collect::<Vec<_>>().chunks(10_000) {
        let host = |n: &u32| {
            decision(*n, address(*n).into(), until.plus_nanos(i64::from(*n % 7200) * 1_000_000_000))
        };
        let add = page.iter().map(host).collect();
        drop(set.apply(&Delta { add, ..Delta::default() }, now()));
    }
    let ranges = (0..n_ranges).map(|n| {
        let base = Ipv4Addr::from(0xe000_0000 + n * 512);
        decision(n_hosts + n, ipnet::Ipv4Net::new(base, 24).unwrap(), until)
    });
    drop(set.apply(&Delta { add: ranges.collect(), ..Delta::default() }, now()));
    println!("set of {} filled in {:?}; {}", set.len(), start.elapsed(), resident());

    for batch in [256 << 10, 4 << 20, usize::MAX] {
        let mut backend = Nftables::new(Settings { batch, ..Settings::default() }).unwrap();
        backend.prepare().unwrap();
        let start = Instant::now();
        let wanted = set.wanted(now());
        let listed = start.elapsed();
        backend.reconcile(&wanted, now()).unwrap();
        println!(
            "batch {batch}: all in the kernel after {:?} ({listed:?} of it listing); {}",
            start.elapsed(),
            resident()
        );
        drop(wanted);
        if batch == usize::MAX {
            more(&mut set, backend, n_hosts + n_ranges, until);
        } else {
            backend.close(Leave::Nothing).unwrap();
        }
    }
    nft(&set, n_hosts, n_ranges);
}

/// What it costs to change a little, and to look at everything, with all of them present.
fn more(set: &mut DecisionSet, mut backend: Nftables, first: u32, until: Timestamp) {
    let mut times = Vec::new();
    for n in 0..200 {
        let new = decision(first + n, Ipv4Addr::from(0x0a00_0000 + n).into(), until);
        let start = Instant::now();
        let change = set.apply(&Delta { add: vec![new], ..Delta::default() }, now());
        backend.commit(&change, now()).unwrap();
        times.push(start.elapsed());
    }
    report("one more host", times);
    let mut times = Vec::new();
    for n in 0..50 {
        let net = ipnet::Ipv4Net::new(Ipv4Addr::from(0x0b00_0000 + n * 512), 24).unwrap();
        let new = decision(first + 1000 + n, net, until);
        let start = Instant::now();
        let change = set.apply(&Delta { add: vec![new], ..Delta::default() }, now());
        backend.commit(&change, now()).unwrap();
        times.push(start.elapsed());
    }
    report("one more range", times);
    let mut times = Vec::new();
    for n in 0..200 {
        let start = Instant::now();
        let remove = vec![Removal::Decision {
            id: DecisionId((first + n).into()),
            net: ipnet::Ipv4Net::from(Ipv4Addr::from(0x0a00_0000 + n)).into(),
        }];
        let change = set.apply(&Delta { remove, ..Delta::default() }, now());
        backend.commit(&change, now()).unwrap();
        times.push(start.elapsed());
    }
    report("one host less", times);
    let start = Instant::now();
    let applied = backend.reconcile(&set.wanted(now()), now()).unwrap();
    println!(
        "everything compared or replaced in {:?}: {applied:?}; {}",
        start.elapsed(),
        resident()
    );
    let times = (0..100).map(|_| {
        let start = Instant::now();
        backend.drift().unwrap();
        start.elapsed()
    });
    report("a look for drift", times.collect());
    drop(Command::new("nft").args(["flush", "ruleset"]).status());
    let start = Instant::now();
    backend.reconcile(&set.wanted(now()), now()).unwrap();
    println!("everything made anew after a flush in {:?}; {}", start.elapsed(), resident());
    backend.close(Leave::Nothing).unwrap();
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let (middle, last) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{what}: half within {middle:?}, all within {last:?}");
}

/// The same into the same kind of map, by `nft` with one file.
fn nft(set: &DecisionSet, n_hosts: u32, n_ranges: u32) {
    let mut text = String::from(
        "add table inet other\nadd counter inet other c\nadd map inet other hosts { type ipv4_addr : counter; flags timeout; }\n\
         add map inet other ranges { type ipv4_addr : counter; flags interval, timeout; }\n",
    );
    for (map, wants_hosts) in [("hosts", true), ("ranges", false)] {
        writeln!(text, "add element inet other {map} {{").unwrap();
        for (_, net, _) in set.decisions() {
            if (net.prefix_len() == 32) == wants_hosts {
                let name = if wants_hosts { net.addr().to_string() } else { net.to_string() };
                writeln!(text, "{name} timeout 4h : \"c\",").unwrap();
            }
        }
        text.push_str("}\n");
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let start = Instant::now();
    let status = Command::new("nft").arg("-f").arg(file.path()).stdin(Stdio::null()).status();
    println!("nft -f with {n_hosts} and {n_ranges}: {:?} ({status:?})", start.elapsed());
}
