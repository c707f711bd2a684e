//! Measures the store with many decisions: import, look-ups, search, stream, resident memory.
//!
//! `cargo run --release -p shieldwall-store --example million [ACTIVE [EXPIRED [DIRECTORY]]]`
#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::{Duration, Instant},
};

use ipnet::IpNet;
use model::{Alert, NewDecision, Scope, Source, Time, Timestamp, Uuid};
use store::{
    AlertFilter, DecisionFilter, Dedup, From, HasActive, Index, NewAlert, Page, Relation, Settings,
    Store,
};

const NOW: Timestamp = Timestamp::from_unix(1_700_000_000, 0);
const STEP: u32 = 100_000;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The address that stands for the number `n`, spread over the whole range.
fn address(n: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(n.wrapping_mul(2_654_435_761))
}

fn alert(first: u32, n: u32, seconds: u64, origin: &str) -> NewAlert {
    let decision = |n: u32| NewDecision {
        uuid: Some(Uuid::from_random(u128::from(n) << 64 | 1)),
        origin: origin.to_owned(),
        scenario: format!("acme/scenario-{}", n % 50),
        remediation: "ban".to_owned(),
        scope: Scope::Ip,
        value: address(n).to_string(),
        duration: Duration::from_secs(seconds + u64::from(n % 3600)),
        simulated: false,
    };
    let value = address(first).to_string();
    NewAlert {
        uuid: Uuid::from_random(u128::from(first) << 80 | u128::from(seconds)),
        machine: None,
        kind: "cscli".to_owned(),
        alert: Alert {
            scenario: "import".to_owned(),
            scenario_hash: String::new(),
            scenario_version: String::new(),
            message: String::new(),
            events_count: 0,
            start_at: Time::utc(NOW),
            stop_at: Time::utc(NOW),
            capacity: 0,
            leakspeed: Duration::ZERO,
            simulated: false,
            remediation: true,
            source: Source {
                scope: Scope::Ip,
                ip: value.clone(),
                value,
                range: String::new(),
                as_name: String::new(),
                as_number: String::new(),
                cn: String::new(),
                latitude: 0.0,
                longitude: 0.0,
            },
            events: Vec::new(),
            meta: Vec::new(),
        },
        decisions: (first..first + n).map(decision).collect(),
        profile: None,
    }
}

/// Resident memory in MB, as the system counts it.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap_or(0);
    kilobytes / 1024
}

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u32| -> Outcome<u32> {
        Ok(arguments.next().map_or(Ok(default), |text| text.parse())?)
    };
    let (active, expired) = (number(1_000_000)?, number(2_000_000)?);
    let given = arguments.next().map(PathBuf::from);
    let scratch = tempfile::tempdir()?;
    let path = given.unwrap_or_else(|| scratch.path().to_path_buf()).join("store.db");
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(measure(&path, active, expired))?;
    let start = Instant::now();
    let store = Store::open(&Settings { path, index: Index::Kept }, NOW)?;
    println!("opened again in {:.2?}", start.elapsed());
    runtime.block_on(ask(&store, active))
}

async fn measure(path: &std::path::Path, active: u32, expired: u32) -> Outcome<()> {
    let store = Store::open(&Settings { path: path.to_path_buf(), index: Index::Kept }, NOW)?;
    let past = NOW.plus_nanos(-86_400 * 1_000_000_000);
    let start = Instant::now();
    for batch in (0..expired).step_by(5000) {
        // Many alerts, as agents make them, a hundred in each transaction.
        let alerts = (batch..expired.min(batch + 5000)).step_by(50).map(|first| {
            let n = 50.min(expired - first);
            let mut alert = alert(0x4000_0000 + first, n, 60, "crowdsec");
            alert.alert.stop_at = Time::utc(past);
            alert
        });
        store.record(alerts.collect(), past).await?;
    }
    println!(
        "{expired} expired in {} alerts stored in {:.2?}",
        expired.div_ceil(50),
        start.elapsed()
    );
    for first in (0..active).step_by(STEP as usize) {
        let batch = alert(first, STEP.min(active - first), 86_400, "cscli-import");
        let start = Instant::now();
        store.record(vec![batch], NOW).await?;
        println!(
            "import of {STEP} (one transaction): {:.2?}, resident {} MB",
            start.elapsed(),
            resident()
        );
    }
    ask(&store, active).await?;
    store.close();
    Ok(())
}

async fn ask(store: &Store, active: u32) -> Outcome<()> {
    let n_asked = 200_000u32;
    let start = Instant::now();
    let mut n_found = 0;
    for n in 0..n_asked {
        let net = IpNet::from(IpAddr::V4(address(n.wrapping_mul(7919) % (2 * active.max(1)))));
        let filter =
            DecisionFilter { net: Some((net, Relation::Contains)), ..DecisionFilter::default() };
        n_found += store.decisions(&filter, Page::default(), NOW)?.len();
    }
    let rate = f64::from(n_asked) / start.elapsed().as_secs_f64();
    println!("look-ups: {rate:.0}/s ({n_found} of {n_asked} found)");

    let start = Instant::now();
    let mut stream = store.stream(From::Startup, DecisionFilter::default(), Dedup::Longest, NOW)?;
    let mut n_new = 0;
    let mut first = None;
    while let Some(page) = stream.next_new() {
        first.get_or_insert_with(|| start.elapsed());
        n_new += page.len();
    }
    println!(
        "stream: {n_new} in {:.2?}, first page after {:.2?}",
        start.elapsed(),
        first.unwrap_or_default()
    );
    let start = Instant::now();
    let mut n_deleted = 0;
    while let Some(page) = stream.next_deleted().await? {
        n_deleted += page.len();
    }
    println!("deleted part of a startup: {n_deleted} in {:.2?}", start.elapsed());

    let all =
        || AlertFilter { limit: Some(100), without_decisions: true, ..AlertFilter::default() };
    let net = IpNet::from(IpAddr::V4(address(0x4000_0000 + 123)));
    for (name, filter) in [
        ("newest", all()),
        ("address", AlertFilter { net: Some((net, Relation::Contains)), ..all() }),
        (
            "address inside /8",
            AlertFilter {
                net: Some((model::parse_target("10.0.0.0/8")?, Relation::Inside)),
                ..all()
            },
        ),
        ("scenario", AlertFilter { scenario: Some("acme/scenario-7".to_owned()), ..all() }),
        ("origin", AlertFilter { origin: Some("cscli-import".to_owned()), ..all() }),
        ("type, none", AlertFilter { decision_remediation: Some("captcha".to_owned()), ..all() }),
        ("active", AlertFilter { has_active: Some(HasActive::Yes), ..all() }),
        ("without community", AlertFilter { without_community: true, ..all() }),
        ("since", AlertFilter { started_since: Some(NOW), ..all() }),
        (
            "rare and common",
            AlertFilter {
                has_active: Some(HasActive::Yes),
                scenario: Some("acme/scenario-7".to_owned()),
                ..all()
            },
        ),
    ] {
        let start = Instant::now();
        let n = store.alerts(filter, NOW).await?.len();
        println!("search by {name}: {n} in {:.2?}", start.elapsed());
    }
    println!("resident {} MB", resident());
    Ok(())
}
