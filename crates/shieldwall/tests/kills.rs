//! The whole program, killed over and over in the middle of its work: what it acknowledged is there
//! when it comes back, and what it acknowledged as gone stays gone.
//!
//! `SHIELDWALL_KILLS` says how often it is killed (100 without it, shared among the tests) and
//! `SHIELDWALL_KILLS_SEED` repeats a run, as far as threads and processes can be repeated.

#![allow(clippy::print_stderr, reason = "what a run did, and why it was skipped, is told")]

mod sandbox;

#[path = "kills/client.rs"]
mod client;

#[path = "kills/stage.rs"]
mod stage;

#[path = "kills/load.rs"]
mod load;

#[path = "kills/follow.rs"]
mod follow;

use client::Client;
use follow::Belief;
use sandbox::{Sandbox, http::Api, running::Up, wait_for};
use serde_json::Value;
use stage::{Curtain, Fact, Random, Stage};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt as _,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How often to kill in all.
fn n_kills() -> u64 {
    std::env::var("SHIELDWALL_KILLS").map_or(100, |text| text.parse().expect("a number"))
}

/// A seed, and where it can be read when the test fails.
fn seed() -> u64 {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let fresh = || u64::try_from(now().as_nanos() & u128::from(u32::MAX)).expect("it fits");
    let seed = std::env::var("SHIELDWALL_KILLS_SEED");
    let seed = seed.map_or_else(|_| fresh(), |text| text.parse().expect("a number"));
    eprintln!("SHIELDWALL_KILLS_SEED={seed}");
    seed
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "config.yaml",
        "common: {log_media: stdout, log_level: info}\n\
         config_paths: {config_dir: etc, data_dir: data}\n\
         crowdsec_service: {acquisition_path: acquis.yaml}\n\
         db_config: {type: sqlite, db_path: data/crowdsec.db, flush: {max_items: 1000000}}\n\
         api:\n  client: {credentials_path: credentials.yaml}\n  \
         server: {listen_uri: '127.0.0.1:0', profiles_path: profiles.yaml}\n",
    );
    sandbox.write("acquis.yaml", "filenames: [logs/*.log]\nlabels: {type: demo}\n");
    sandbox.write(
        "profiles.yaml",
        "name: usual\nfilters: [\"Alert.Remediation == true\"]\n\
         decisions: [{type: ban, duration: 4h}]\non_success: break\n",
    );
    sandbox.write("logs/demo.log", "");
    fs::create_dir_all(sandbox.path("data")).expect("a directory");
    sandbox
}

/// A running program that does not outlive the test.
struct Victim(Option<Up>);

impl Victim {
    /// Starts it; tokens stay good across restarts.
    fn start(sandbox: &Sandbox, args: &[&str]) -> Self {
        let mut command = sandbox.command(args);
        command.env("CS_LAPI_SECRET", "0123456789abcdef".repeat(4));
        Self(Some(Up::start(command)))
    }

    /// Starts one that serves; gives where.
    fn serve(sandbox: &Sandbox, args: &[&str]) -> (Self, String) {
        let victim = Self::start(sandbox, args);
        let line = victim.up().logged("CrowdSec Local API listening on 127");
        let address = line.rsplit(' ').next().expect("an address").to_owned();
        (victim, address)
    }

    fn up(&self) -> &Up {
        self.0.as_ref().expect("it runs")
    }

    fn kill(mut self) {
        self.0.take().expect("it runs").kill();
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        if let Some(mut up) = self.0.take() {
            let _gone = up.child.kill();
            let _reaped = up.child.wait();
        }
    }
}

/// Runs a tool that must work.
fn tool(sandbox: &Sandbox, args: &[&str]) -> String {
    let ran = sandbox.run(&[args, &["-c", "config.yaml"]].concat());
    assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
    ran.out
}

/// A machine's token.
fn token(sandbox: &Sandbox, address: &str) -> String {
    let url = format!("http://{address}");
    tool(sandbox, &["machines", "add", "agent-1", "--auto", "-u", &url, "-f", "central.yaml"]);
    let credentials = fs::read_to_string(sandbox.path("central.yaml")).expect("written");
    let proof = Api::with_credentials(address, &credentials).proof;
    proof.strip_prefix("Authorization: Bearer ").expect("a token").to_owned()
}

/// Who looks whether facts hold.
struct Checker<'a> {
    sandbox: &'a Sandbox,
    machine: Client,
    bouncer: Client,
}

impl Checker<'_> {
    fn ask(&self, client: &Client, address: &str, path: &str) -> client::Answer {
        client.ask(address, "GET", path, None).expect("an answer of a server nobody kills")
    }

    /// Whether a fact holds; machines are looked at elsewhere.
    fn holds(&self, address: &str, fact: &Fact) -> Option<bool> {
        let answer = match fact {
            Fact::Alert(id) => self.ask(&self.machine, address, &format!("/v1/alerts/{id}")),
            Fact::Decided(value) => {
                self.ask(&self.bouncer, address, &format!("/v1/decisions?ip={value}"))
            }
            Fact::Key(key) => {
                self.ask(&Client::with_key(key), address, "/v1/decisions?ip=203.0.113.1")
            }
            Fact::Allowed(value) => {
                self.ask(&self.machine, address, &format!("/v1/allowlists/check/{value}"))
            }
            Fact::Machine(_) => return None,
        };
        Some(match (fact, answer.status) {
            (Fact::Decided(_), 200) => !answer.body.is_null(),
            (Fact::Allowed(_), 200) => answer.body["allowlisted"] == true,
            (Fact::Alert(_) | Fact::Key(_), 200) => true,
            (Fact::Alert(_), 404) | (Fact::Key(_), 403) => false,
            _ => panic!("{fact:?}: {answer:?}"),
        })
    }

    fn check(&self, stage: &Stage, address: &str, facts: &[(Fact, bool)]) {
        for (fact, expect) in facts {
            let Some(found) = self.holds(address, fact) else { continue };
            // A tool beside the server may have begun to change it meanwhile.
            assert!(found == *expect || !stage.still(fact, *expect), "{fact:?} should be {expect}");
        }
    }

    fn check_machines(&self, facts: &[(Fact, bool)]) {
        let list = tool(self.sandbox, &["machines", "list", "-o", "json"]);
        let list: Vec<Value> = serde_json::from_str(&list).expect("JSON");
        let names: BTreeSet<&str> =
            list.iter().filter_map(|machine| machine["machineId"].as_str()).collect();
        for (fact, _) in facts {
            if let Fact::Machine(name) = fact {
                assert!(names.contains(name.as_str()), "{name} is not registered");
            }
        }
    }
}

/// Everything in force, asked by somebody who never asked before.
fn in_force(address: &str, key: &str) -> BTreeSet<String> {
    let client = Client::with_key(key);
    let answer = client.ask(address, "GET", "/v1/decisions/stream?startup=true", None);
    let answer = answer.expect("an answer of a server nobody kills");
    let new = answer.body["new"].as_array().cloned().unwrap_or_default();
    new.iter().map(|one| one["value"].as_str().expect("a value").to_owned()).collect()
}

#[test]
fn a_killed_server_has_everything_it_acknowledged() {
    let (n_kills, seed) = ((n_kills() / 2).max(1), seed());
    let sandbox = sandbox();
    let serve = ["serve", "-c", "config.yaml"];
    let (victim, address) = Victim::serve(&sandbox, &serve);
    let token = token(&sandbox, &address);
    for name in ["polls", "follows", "checks", "knows"] {
        tool(&sandbox, &["bouncers", "add", name, "--key", name]);
    }
    tool(&sandbox, &["allowlists", "create", "list", "-d", "x"]);
    victim.kill();

    let (stage, pool) = (Stage::default(), load::Pool::default());
    let (polled, followed) = (Belief::default(), Belief::default());
    let machine = Client::with_token(&token);
    let checker = Checker {
        sandbox: &sandbox,
        machine: Client::with_token(&token),
        bouncer: Client::with_key("checks"),
    };
    thread::scope(|scope| {
        let _curtain = Curtain(&stage);
        let (stage, pool, machine, sandbox) = (&stage, &pool, &machine, &sandbox);
        let (polled, followed) = (&polled, &followed);
        let workers = [
            scope.spawn(move || load::attack(stage, machine, 1, pool)),
            scope.spawn(move || load::attack(stage, machine, 2, pool)),
            scope.spawn(move || load::relent(stage, machine, pool, seed ^ 1)),
            scope.spawn(move || load::flash(stage, machine)),
            scope.spawn(move || load::register(stage)),
            scope.spawn(move || load::administer(stage, sandbox, seed ^ 2)),
        ];
        scope.spawn(move || follow::poll(stage, "polls", polled));
        scope.spawn(move || follow::follow(stage, "follows", followed));
        let mut random = Random::new(seed);
        for round in 0..n_kills {
            let (victim, address) = Victim::serve(sandbox, &serve);
            checker.check(stage, &address, &stage.fresh());
            if round % 25 == 24 {
                checker.check_machines(&stage.facts());
            }
            stage.open(&address);
            // How long it may live, which is what this is about; nothing waits for this.
            stage.pause(20 + random.below(130));
            victim.kill();
            stage.shut(&address);
            assert!(!stage.is_over(), "a client failed; see above");
        }
        let (victim, address) = Victim::serve(sandbox, &serve);
        stage.wind_down();
        stage.open(&address);
        for worker in workers {
            worker.join().expect("a client failed; see above");
        }
        let facts = stage.facts();
        checker.check(stage, &address, &facts);
        checker.check_machines(&facts);
        let there = in_force(&address, "knows");
        for (fact, is_so) in &facts {
            if let Fact::Decided(value) = fact {
                assert_eq!(there.contains(value), *is_so, "{value} in the stream");
            }
        }
        for (what, belief) in [("stream", polled), ("feed", followed)] {
            let believes = || belief.lock().expect("no panic").clone();
            let tell = |_: ()| {
                let believed = believes();
                let extra: Vec<_> = believed.difference(&there).collect();
                let missing: Vec<_> = there.difference(&believed).collect();
                panic!("who followed the {what} believes {extra:?} and misses {missing:?}");
            };
            let is_right = || (believes() == there).then_some(());
            if settled(is_right).is_none() {
                tell(());
            }
        }
        let count = |of: fn(&Fact) -> bool| facts.iter().filter(|(fact, _)| of(fact)).count();
        eprintln!(
            "{n_kills} kills: {} alerts, {} decisions ({} in force), {} machines, {} bouncers, \
             {} allowlist entries acknowledged and found",
            count(|it| matches!(it, Fact::Alert(_))),
            count(|it| matches!(it, Fact::Decided(_))),
            there.len(),
            count(|it| matches!(it, Fact::Machine(_))),
            count(|it| matches!(it, Fact::Key(_))),
            count(|it| matches!(it, Fact::Allowed(_))),
        );
        assert!(facts.len() > 20, "hardly anything was asked of the server: {}", facts.len());
        once_each(&checker.machine, &address);
        victim.kill();
    });
}

/// Waits as long as a loaded machine may need; `None` when it never comes.
fn settled(mut found: impl FnMut() -> Option<()>) -> Option<()> {
    for _ in 0..600 {
        if let Some(found) = found() {
            return Some(found);
        }
        thread::sleep(Duration::from_millis(50));
    }
    None
}

/// How often each source has an alert of each scenario.
fn alerts(machine: &Client, address: &str) -> BTreeMap<(String, String), u32> {
    let answer = machine.ask(address, "GET", "/v1/alerts?limit=0", None);
    let answer = answer.expect("an answer of a server nobody kills");
    let mut counts = BTreeMap::new();
    for alert in answer.body.as_array().cloned().unwrap_or_default() {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        *counts.entry((text(&alert["source"]["value"]), text(&alert["scenario"]))).or_default() +=
            1;
    }
    counts
}

/// Nothing was stored twice.
fn once_each(machine: &Client, address: &str) {
    let twice: Vec<_> =
        alerts(machine, address).into_iter().filter(|(_, count)| *count != 1).collect();
    assert!(twice.is_empty(), "stored more than once: {twice:?}");
}

/// One line, one alert: no bucket whose content a kill could lose.
const TRIGGER: &str = "
type: trigger
name: test/any-fail
description: a failure
filter: evt.Meta.log_type == 'fail'
groupby: evt.Meta.source_ip
labels:
  remediation: true
";

/// Writes attacks to a log, and rotates it now and then.
struct Log<'a> {
    sandbox: &'a Sandbox,
    positions: &'a str,
    random: Random,
    n: u32,
    attackers: Vec<String>,
}

impl<'a> Log<'a> {
    fn new(sandbox: &'a Sandbox, positions: &'a str, seed: u64) -> Self {
        Self { sandbox, positions, random: Random::new(seed), n: 0, attackers: Vec::new() }
    }

    fn write(&mut self) {
        for _ in 0..self.random.below(6) {
            let address = format!("10.9.{}.{}", self.n >> 8 & 255, self.n & 255);
            self.n += 1;
            // No date that tells lines apart, and all three in one write.
            let line = format!("2024-03-01T10:00:00Z fail from {address}\n");
            self.sandbox.append("logs/demo.log", &line.repeat(3));
            self.attackers.push(address);
        }
        // A file that comes and goes while nobody looks cannot be known, so only one that was met.
        if self.random.below(10) == 0 && self.is_met() {
            let path = format!("logs/demo.log.{}", self.n);
            fs::rename(self.sandbox.path("logs/demo.log"), self.sandbox.path(&path))
                .expect("renamed");
            self.sandbox.append("logs/demo.log", "");
        }
    }

    /// Whether a position in the log was saved.
    fn is_met(&self) -> bool {
        let number = fs::metadata(self.sandbox.path("logs/demo.log")).expect("it is there").ino();
        let saved = fs::read_to_string(self.sandbox.path(self.positions)).unwrap_or_default();
        saved.contains(&format!("\"ino\":{number},"))
    }

    /// Waits until each attacker has an alert for each line. More would be told by the caller.
    fn wait(&self, machine: &Client, address: &str) -> BTreeMap<(String, String), u32> {
        let want = |counts: &BTreeMap<(String, String), u32>| {
            let key = |address: &String| (address.clone(), "test/any-fail".to_owned());
            let missing =
                self.attackers.iter().filter(|it| counts.get(&key(it)).is_none_or(|n| *n < 3));
            missing.cloned().collect::<Vec<_>>()
        };
        let found = settled(|| want(&alerts(machine, address)).is_empty().then_some(()));
        let counts = alerts(machine, address);
        assert!(found.is_some(), "alerts are missing about {:?}", want(&counts));
        counts
    }
}

/// Each line made one alert; three of them at most one of the bucket.
fn assert_exact(counts: &BTreeMap<(String, String), u32>, log: &Log<'_>, n_kills: u64) {
    let wrong: Vec<_> = counts
        .iter()
        .filter(|((_, scenario), n)| **n != if scenario == "test/any-fail" { 3 } else { 1 })
        .collect();
    assert!(wrong.is_empty(), "not as often as there were lines: {wrong:?}");
    let n_buckets = counts.keys().filter(|(_, scenario)| scenario == "test/three-fails").count();
    eprintln!(
        "{n_kills} kills: {} attackers, each line one alert; {n_buckets} full buckets",
        log.attackers.len()
    );
}

fn with_trigger() -> Sandbox {
    let sandbox = sandbox();
    sandbox.write("etc/scenarios/any-fail.yaml", TRIGGER);
    sandbox
}

#[test]
fn a_killed_agent_loses_no_alert_and_tells_none_twice() {
    let (n_kills, seed) = ((n_kills() / 4).max(1), seed());
    let sandbox = with_trigger();
    let (server, address) = Victim::serve(&sandbox, &["serve", "-c", "config.yaml"]);
    let machine = Client::with_token(&token(&sandbox, &address));
    let args = ["agent", "--rules", "etc", "--acquis", "acquis.yaml", "--state", "agent"];
    let args = [&args[..], &["--credentials", "central.yaml", "--log-level", "info"]].concat();
    let mut log = Log::new(&sandbox, "agent/positions.json", seed);
    let first = Victim::start(&sandbox, &args);
    wait_for("positions", || sandbox.path("agent/positions.json").exists().then_some(()));
    first.kill();
    let mut random = Random::new(seed ^ 3);
    for _ in 0..n_kills {
        let agent = Victim::start(&sandbox, &args);
        if random.below(3) > 0 {
            agent.up().logged("starting");
        }
        for _ in 0..4 {
            log.write();
            thread::sleep(Duration::from_millis(5 + random.below(60)));
        }
        agent.kill();
    }
    let agent = Victim::start(&sandbox, &args);
    let counts = log.wait(&machine, &address);
    assert_exact(&counts, &log, n_kills);
    drop((agent, server));
}

#[test]
fn a_killed_whole_loses_no_alert_and_tells_none_twice() {
    let (n_kills, seed) = ((n_kills() / 4).max(1), seed());
    let sandbox = with_trigger();
    let (server, address) = Victim::serve(&sandbox, &["serve", "-c", "config.yaml"]);
    let machine = Client::with_token(&token(&sandbox, &address));
    server.kill();
    fs::remove_file(sandbox.path("credentials.yaml")).ok();
    let args = ["up", "-c", "config.yaml", "--state", "state"];
    let mut log = Log::new(&sandbox, "state/positions.json", seed);
    let first = Victim::start(&sandbox, &args);
    wait_for("positions", || sandbox.path("state/positions.json").exists().then_some(()));
    first.kill();
    let mut random = Random::new(seed ^ 3);
    for _ in 0..n_kills {
        let (up, _) = Victim::serve(&sandbox, &args);
        for _ in 0..4 {
            log.write();
            thread::sleep(Duration::from_millis(5 + random.below(60)));
        }
        up.kill();
    }
    let (up, address) = Victim::serve(&sandbox, &args);
    let counts = log.wait(&machine, &address);
    assert_exact(&counts, &log, n_kills);
    drop(up);
}
