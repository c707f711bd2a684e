//! What was acknowledged is there after SIGKILL, at whatever moment it comes.
//!
//! The test starts itself again as a child that writes and says on its standard output what was
//! acknowledged; the parent kills it after a while that differs each time, and looks.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test: a panic is a failure, and the child reports on standard output"
)]

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use model::{Alert, NewDecision, Scope, Source, Time, Timestamp, Uuid};
use store::{
    AlertFilter, AlertId, DecisionFilter, Error, Index, NewAlert, NewMachine, Page, Seq, Server,
    ServerAddress, Settings, SslMode, Store,
};

const CHILD: &str = "SHIELDWALL_STORE_KILL_TEST";
const NOW: Timestamp = Timestamp::from_unix(1_700_000_000, 0);
const N_KILLS: u64 = 12;

/// Opens the database at `place`: a file, or `port name directory` of one on a server.
fn open(place: &str) -> Result<Store, Error> {
    let words: Vec<&str> = place.splitn(3, ' ').collect();
    let [port, database, directory] = words.as_slice() else {
        return Store::open(&Settings { path: place.into(), index: Index::Kept }, NOW);
    };
    let server = Server {
        address: ServerAddress::Socket { directory: directory.into(), port: port.parse().unwrap() },
        user: "postgres".to_owned(),
        password: String::new(),
        database: (*database).to_owned(),
        ssl_mode: SslMode::Disable,
        ca_cert: None,
        client_cert: None,
        max_connections: 4,
    };
    Store::connect(&server, Index::Kept, NOW)
}

/// The address that stands for the number `n`.
fn address(n: u32) -> String {
    std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).to_string()
}

fn alert(n: u32) -> NewAlert {
    let decision = NewDecision {
        uuid: None,
        origin: "crowdsec".to_owned(),
        scenario: "acme/ssh-bf".to_owned(),
        remediation: "ban".to_owned(),
        scope: Scope::Ip,
        value: address(n),
        duration: Duration::from_secs(3600),
        simulated: false,
    };
    NewAlert {
        uuid: Uuid::from_random(u128::from(n) + 1),
        machine: None,
        kind: "crowdsec".to_owned(),
        alert: Alert {
            scenario: "acme/ssh-bf".to_owned(),
            scenario_hash: String::new(),
            scenario_version: String::new(),
            message: String::new(),
            events_count: 1,
            start_at: Time::utc(NOW),
            stop_at: Time::utc(NOW),
            capacity: 1,
            leakspeed: Duration::from_secs(1),
            simulated: false,
            remediation: true,
            source: Source {
                scope: Scope::Ip,
                value: address(n),
                ip: address(n),
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
        decisions: vec![decision],
        profile: None,
    }
}

/// Writes until it is killed. Three of four writers add alerts and end every fifth decision, the
/// fourth adds machines.
async fn write_on(store: Store, round: u32, writer: u32) {
    for step in 0.. {
        let n = (round << 18) | (writer << 16) | step;
        if writer == 3 {
            let machine = NewMachine { name: format!("m{n}"), ..NewMachine::default() };
            store.add_machine(machine, NOW).await.unwrap();
            println!("\nmachine {n} .");
            continue;
        }
        let id = store.record(vec![alert(n)], NOW).await.unwrap()[0].id().unwrap();
        let seq = store.seq().unwrap().0;
        println!("\nalert {n} {} {seq} .", id.0);
        if n.is_multiple_of(5) {
            let filter = DecisionFilter { value: Some(address(n)), ..DecisionFilter::default() };
            assert_eq!(store.expire(filter, NOW).await.unwrap().len(), 1);
            println!("\nended {n} {seq} .");
        }
    }
}

/// Does nothing unless the parent asks.
#[test]
fn child() {
    let Some(order) = std::env::var_os(CHILD) else { return };
    let order = order.into_string().unwrap();
    let (round, place) = order.split_once(' ').unwrap();
    let round = round.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let store = open(place).unwrap();
        let writers: Vec<_> =
            (0..4).map(|writer| tokio::spawn(write_on(store.clone(), round, writer))).collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

#[tokio::test]
async fn what_was_acknowledged_survives() {
    let dir = tempfile::tempdir().unwrap();
    survives(dir.path().join("store.db").to_str().unwrap()).await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_on_a_server() {
    let Some(server) = testkit::postgres::Server::start() else { return };
    let directory = server.socket_directory().display();
    survives(&format!("{} {} {directory}", server.port(), server.create_database())).await;
}

async fn survives(place: &str) {
    let mut acknowledged: Vec<Vec<String>> = Vec::new();
    let mut newest = 0;
    for round in 0..N_KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(CHILD, format!("{round} {place}"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut n_lines = 0;
        // Killed after so many acknowledgements, in the middle of what follows them.
        let enough = 1 + round * 17;
        for line in lines.lines() {
            let line = line.unwrap();
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            // A line without its last word was cut by the kill.
            if words.last().is_some_and(|last| last == ".") {
                acknowledged.push(words);
                n_lines += 1;
                if n_lines == enough {
                    child.kill().unwrap();
                }
            }
        }
        child.wait().unwrap();
        assert!(n_lines >= enough, "the child stopped by itself after {n_lines} lines");
        let store = open(place).unwrap();
        check(&store, &acknowledged).await;
        let Seq(seq) = store.seq().unwrap();
        assert!(seq >= newest, "numbers of changes never go back");
        newest = seq;
    }
    println!("{} acknowledged changes survived {N_KILLS} kills", acknowledged.len());
}

async fn check(store: &Store, acknowledged: &[Vec<String>]) {
    let machines = store.machines().await.unwrap();
    let ended: Vec<&str> = acknowledged
        .iter()
        .filter(|words| words[0] == "ended")
        .map(|words| words[1].as_str())
        .collect();
    for words in acknowledged {
        let n: u32 = words[1].parse().unwrap();
        match words[0].as_str() {
            "machine" => {
                let name = format!("m{n}");
                assert!(machines.iter().any(|machine| machine.name == name), "{name} is gone");
            }
            "alert" => {
                let stored = store.alert(AlertId(words[2].parse().unwrap())).await.unwrap();
                assert_eq!(stored.alert.source.value, address(n));
                assert_eq!(stored.decisions.len(), 1);
                let seq: u64 = words[3].parse().unwrap();
                assert!(store.seq().unwrap() >= Seq(seq), "a number of a change is gone");
                let filter =
                    DecisionFilter { value: Some(address(n)), ..DecisionFilter::default() };
                let active = store.decisions(&filter, Page::default(), NOW).unwrap();
                if ended.contains(&words[1].as_str()) {
                    assert!(active.is_empty(), "{n} was ended and is back");
                } else if !n.is_multiple_of(5) {
                    assert_eq!(active.len(), 1, "the decision of {n} is gone");
                }
            }
            _ => {}
        }
    }
    // Nothing is half there: every alert has its decision.
    let filter =
        AlertFilter { has_active: Some(store::HasActive::NoneAtAll), ..AlertFilter::default() };
    assert!(store.alerts(filter, NOW).await.unwrap().is_empty());
}
