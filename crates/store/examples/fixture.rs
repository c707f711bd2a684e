//! Fills a new database for benchmarks of the local API: a large past, a large present, and
//! bouncers that have read all of it.
//!
//! `cargo run --release -p shieldwall-store --example fixture FILE ACTIVE EXPIRED BOUNCERS`
//!
//! Prints, as JSON, where a feed of all changes would go on. The present holds for 30 days: nine in
//! ten decisions come from blocklists, a thousand to an alert, the others from scenarios, one to an
//! alert. The past is made of alerts of ten. The keys are `bench-key-0`, `bench-key-1`, …
#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

use std::{
    fmt::Write as _,
    net::Ipv4Addr,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use model::{Alert, NewDecision, Scope, Source, Time, Timestamp, Uuid};
use sha2::{Digest as _, Sha512};
use store::{
    BouncerChange, Cursor, DecisionFilter, Dedup, From, Index, NewAlert, NewBouncer, Settings,
    Store,
};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const DAY: u64 = 86_400;
/// So many decisions go into one transaction.
const STEP: u32 = 50_000;

/// The address with the number `n`: each is used once, and neighbors lie far apart.
fn address(n: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(n.wrapping_mul(2_654_435_761))
}

struct Sort {
    origin: &'static str,
    per_alert: u32,
    hours: u64,
}

const LIST: Sort = Sort { origin: "lists", per_alert: 1000, hours: 30 * 24 };
const SCENARIO: Sort = Sort { origin: "crowdsec", per_alert: 1, hours: 30 * 24 };
const PAST: Sort = Sort { origin: "crowdsec", per_alert: 10, hours: 4 };

fn alert(sort: &Sort, first: u32, n: u32, at: Timestamp) -> NewAlert {
    let scenario = |n: u32| match sort.origin {
        "lists" => format!("list-{}", n / 1000 % 7),
        _ => format!("crowdsecurity/scenario-{}", n % 50),
    };
    let decision = |n: u32| NewDecision {
        uuid: Some(Uuid::from_random((u128::from(n) << 64) | u128::from(!n))),
        origin: sort.origin.to_owned(),
        scenario: scenario(n),
        // A few of another type, which somebody will look for.
        remediation: if n % 10_000 == 7 { "captcha" } else { "ban" }.to_owned(),
        scope: Scope::Ip,
        value: address(n).to_string(),
        duration: Duration::from_secs(sort.hours * 3600 + u64::from(n % 3600)),
        simulated: false,
    };
    let value = address(first).to_string();
    NewAlert {
        uuid: Uuid::from_random((u128::from(first) << 80) | 1),
        machine: None,
        kind: "crowdsec".to_owned(),
        alert: Alert {
            scenario: scenario(first),
            scenario_hash: String::new(),
            scenario_version: String::new(),
            message: format!("Ip {value} performed '{}'", scenario(first)),
            events_count: 6,
            start_at: Time::utc(at),
            stop_at: Time::utc(at),
            capacity: 5,
            leakspeed: Duration::from_secs(10),
            simulated: false,
            remediation: true,
            source: Source {
                scope: if sort.origin == "lists" {
                    Scope::Other("lists:bench".to_owned())
                } else {
                    Scope::Ip
                },
                ip: value.clone(),
                value,
                range: String::new(),
                as_name: "EXAMPLE".to_owned(),
                as_number: "64496".to_owned(),
                cn: "DE".to_owned(),
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

/// Stores the decisions `first..end`; those of one transaction are `apart` from the next.
async fn fill(
    store: &Store,
    sort: &Sort,
    range: std::ops::Range<u32>,
    begin: Timestamp,
    apart: Duration,
) -> Outcome<()> {
    let mut at = begin;
    for batch in range.clone().step_by(STEP as usize) {
        let end = range.end.min(batch.saturating_add(STEP));
        let alerts = (batch..end)
            .step_by(sort.per_alert as usize)
            .map(|first| alert(sort, first, sort.per_alert.min(end - first), at));
        store.record(alerts.collect(), at).await?;
        at = at.after(apart);
    }
    Ok(())
}

async fn bouncers(store: &Store, n: u32, cursor: Cursor, now: Timestamp) -> Outcome<()> {
    for number in 0..n {
        let hash = Sha512::digest(format!("bench-key-{number}"));
        let key_hash = hash.iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        let new = NewBouncer {
            name: format!("bench-{number}"),
            key_hash,
            ip: "127.0.0.1".to_owned(),
            kind: "bench-bouncer".to_owned(),
            version: "v1".to_owned(),
            ..NewBouncer::default()
        };
        let bouncer = store.add_bouncer(new, now).await?;
        let read = BouncerChange { cursor: Some(cursor), ..BouncerChange::default() };
        store.change_bouncer(bouncer.id, read, now).await?;
    }
    Ok(())
}

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().ok_or("no file is named")?);
    let mut number = || -> Outcome<u32> { Ok(arguments.next().ok_or("too few numbers")?.parse()?) };
    let (active, expired, n_bouncers) = (number()?, number()?, number()?);
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let now = Timestamp::from_unix(i64::try_from(since.as_secs())?, 0);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let store = Store::open(&Settings { path, index: Index::Kept }, now)?;
    runtime.block_on(async {
        // The past lies four to two days back.
        let past = now.plus_nanos(-i64::try_from(4 * DAY)? * 1_000_000_000);
        let apart = Duration::from_secs(2 * DAY) / (expired / STEP + 1);
        fill(&store, &PAST, active..active + expired, past, apart).await?;
        let lists = active / 10 * 9;
        fill(&store, &LIST, 0..lists, now, Duration::ZERO).await?;
        fill(&store, &SCENARIO, lists..active, now, Duration::ZERO).await?;
        let filter = DecisionFilter { value: Some("-".to_owned()), ..DecisionFilter::default() };
        let cursor = store.stream(From::Startup, filter, Dedup::Off, now)?.cursor();
        bouncers(&store, n_bouncers, cursor, now).await?;
        println!("{{\"cursor\": \"{cursor}\"}}");
        Ok::<(), Box<dyn std::error::Error>>(())
    })?;
    store.close();
    Ok(())
}
