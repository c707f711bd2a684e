//! nftables with the real kernel and real packets, in namespaces of the tests' own. What is in the
//! kernel is read by `nft`, which knows nothing of us.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a panic is a failed test, and what is skipped says so"
)]

mod common;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    process::{Command, Stdio},
    sync::atomic::Ordering,
};

use bouncer::{
    backend::{
        Backend, BackendError, Counted, Drift, Leave, enforce,
        nftables::{Hook, Log, Nftables, Ownership, Settings, Stop},
        repair,
    },
    set::{Decision, DecisionSet, Delta, Removal},
};
use common::{Namespace, Prober, Reached, Server, World, now, ping, reached, tcp, udp, wait_for};
use model::{DecisionId, Timestamp};
use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestRunner},
};
use serde_json::Value;

fn open(namespace: &Namespace, settings: Settings) -> Nftables {
    namespace.run(|| Nftables::new(settings).unwrap())
}

fn ban(id: i64, value: &str, seconds: i64) -> Decision {
    Decision {
        id: DecisionId(id),
        net: model::parse_target(value).unwrap(),
        remediation: "ban".into(),
        origin: "crowdsec".into(),
        until: now().plus_nanos(seconds * 1_000_000_000),
    }
}

/// A set and the back-end that follows it.
struct Wall {
    set: DecisionSet,
    backend: Nftables,
}

impl Wall {
    fn new(world: &World, settings: Settings) -> Self {
        let mut backend = open(&world.wall, settings);
        backend.prepare().unwrap();
        Self { set: DecisionSet::new(&bouncer::set::Settings::default()), backend }
    }

    fn apply(&mut self, remove: Vec<Removal>, add: Vec<Decision>) {
        let change = self.set.apply(&Delta { remove, add }, now());
        self.backend.commit(&change, now()).unwrap();
    }

    fn add(&mut self, add: &[Decision]) {
        self.apply(Vec::new(), add.to_vec());
    }

    fn remove(&mut self, id: i64) {
        self.apply(vec![Removal::Id(DecisionId(id))], Vec::new());
    }

    fn repair(&mut self, compare: bool) {
        repair(&mut self.backend, compare, || self.set.wanted(now()), now()).unwrap();
    }
}

#[test]
fn banned_hosts_and_ranges_cannot_connect_and_others_can() {
    let Some(world) = World::new() else { return };
    let server = Server::start(&world.wall);
    let (v4, v6) = ("10.77.0.1", "fd77::1");
    let mut wall = Wall::new(&world, Settings::default());
    let all = [("10.77.2.2", v4), ("10.77.3.3", v4), ("fd77::2:2", v6), ("fd77::3:3", v6)];
    let attempts = |from, to| {
        [
            tcp(&world.outside, from, to, server.port),
            udp(&world.outside, from, to, server.port),
            ping(&world.outside, from, to),
        ]
    };
    // All three, or none of them.
    let reaches = |from, to| {
        let all = attempts(from, to);
        if all == [Reached::Yes; 3] { Reached::Yes } else { all[0] }
    };
    let silence = |from, to| assert_eq!(attempts(from, to), [Reached::Silence; 3], "{from}");
    for (from, to) in all {
        reached(&format!("{from} before"), || reaches(from, to));
    }
    wall.add(&[ban(1, "10.77.2.2", 600), ban(2, "fd77::2:2", 600)]);
    wall.add(&[ban(3, "10.77.4.0/22", 600), ban(4, "fd77::4:0/110", 600)]);
    // Inside the ranges, and one of them banned by itself as well.
    wall.add(&[ban(5, "10.77.5.5", 600)]);
    for (from, to) in [
        ("10.77.2.2", v4),
        ("10.77.5.5", v4),
        ("10.77.7.7", v4),
        ("fd77::2:2", v6),
        ("fd77::4:4", v6),
        ("fd77::7:7", v6),
    ] {
        silence(from, to);
    }
    for (from, to) in [("10.77.3.3", v4), ("10.77.8.8", v4), ("fd77::3:3", v6), ("fd77::8:8", v6)] {
        reached(from, || reaches(from, to));
    }
    wall.remove(3);
    reached("the range is gone", || reaches("10.77.7.7", v4));
    // The host in it is not.
    silence("10.77.5.5", v4);
    for id in [1, 2, 4, 5] {
        wall.remove(id);
    }
    for (from, to) in [("10.77.2.2", v4), ("10.77.5.5", v4), ("fd77::2:2", v6), ("fd77::7:7", v6)] {
        reached(&format!("{from} after"), || reaches(from, to));
    }
    // What was stopped was counted, by origin and family.
    let counters = wall.backend.counters().unwrap();
    for is_ipv6 in [false, true] {
        let stopped = Counted::Stopped { origin: "crowdsec".to_owned() };
        for counted in [stopped, Counted::Processed] {
            let counter = counters.iter().find(|c| c.counted == counted && c.is_ipv6 == is_ipv6);
            let counter = counter.unwrap_or_else(|| panic!("no counter of {counted:?}"));
            assert!(counter.packets >= 6 && counter.bytes > counter.packets * 20, "{counter:?}");
        }
    }
    wall.backend.close(Leave::Nothing).unwrap();
    assert_eq!(world.wall.nft("list ruleset"), "");
}

#[test]
fn what_is_for_others_behind_us_is_stopped_too() {
    let Some(world) = World::new() else { return };
    let server = Server::start(&world.inside);
    let mut wall = Wall::new(&world, Settings::default());
    wall.add(&[ban(1, "10.77.2.2", 600), ban(2, "fd77::4:0/110", 600)]);
    let reaches = |from, to| tcp(&world.outside, from, to, server.port);
    assert_eq!(reaches("10.77.2.2", "10.88.0.2"), Reached::Silence);
    assert_eq!(reaches("fd77::5:5", "fd88::2"), Reached::Silence);
    reached("it passes", || reaches("10.77.3.3", "10.88.0.2"));
    reached("it passes", || reaches("fd77::3:3", "fd88::2"));
    // Without the hook they pass.
    let hooks = vec![Hook::Input];
    drop(Wall::new(&world, Settings { hooks, ..Settings::default() }));
    reached("it passes", || reaches("10.77.2.2", "10.88.0.2"));
    let hooks = vec![Hook::Prerouting];
    let mut wall = Wall::new(&world, Settings { hooks, priority: -310, ..Settings::default() });
    assert_eq!(reaches("10.77.2.2", "10.88.0.2"), Reached::Silence, "adopted, at another hook");
    assert_eq!(wall.backend.drift().unwrap(), Drift::None);
}

#[test]
fn refused_or_dropped_as_told() {
    let Some(world) = World::new() else { return };
    let server = Server::start(&world.wall);
    let log = Some(Log { prefix: "wall: ".to_owned(), per_second: 10, group: None });
    let settings = Settings { stop: Stop::Reject, log, ..Settings::default() };
    let mut wall = Wall::new(&world, settings);
    // The wall must know the way back: neighbors are asked by packets that are stopped, too.
    reached("it passes", || udp(&world.outside, "fd77::2:2", "fd77::1", server.port));
    wall.add(&[ban(1, "10.77.2.2", 600), ban(2, "fd77::2:2", 600)]);
    use nix::errno::Errno::{EACCES, ECONNREFUSED, EHOSTUNREACH};
    let out = &world.outside;
    assert_eq!(tcp(out, "10.77.2.2", "10.77.0.1", server.port), Reached::Told(ECONNREFUSED));
    assert_eq!(tcp(out, "fd77::2:2", "fd77::1", server.port), Reached::Told(ECONNREFUSED));
    assert_eq!(udp(out, "10.77.2.2", "10.77.0.1", server.port), Reached::Told(EHOSTUNREACH));
    assert_eq!(udp(out, "fd77::2:2", "fd77::1", server.port), Reached::Told(EACCES));
    let rules = world.wall.nft("list chain inet shieldwall stop");
    for part in [
        "limit rate 10/second",
        "log prefix \"wall: \"",
        "reject with tcp reset",
        "admin-prohibited",
    ] {
        assert!(rules.contains(part), "{part} in {rules}");
    }
}

#[test]
fn bans_end_on_time_with_nobody_left_to_end_them() {
    let Some(world) = World::new() else { return };
    let server = Server::start(&world.wall);
    let froms = ["10.77.2.2", "10.77.4.4", "fd77::2:2", "fd77::4:4"];
    let to = |from: &str| if from.contains(':') { "fd77::1" } else { "10.77.0.1" };
    {
        let mut wall = Wall::new(&world, Settings::default());
        wall.add(&[
            ban(1, "10.77.2.2", 15),
            ban(2, "10.77.4.0/24", 15),
            ban(3, "fd77::2:2", 15),
            ban(4, "fd77::4:0/112", 15),
            // Around the second, and longer: what is left of it goes on.
            ban(5, "10.77.8.0/22", 600),
            ban(6, "10.77.8.0/24", 15),
        ]);
        for from in froms {
            assert_eq!(
                udp(&world.outside, from, to(from), server.port),
                Reached::Silence,
                "{from}"
            );
        }
    }
    for from in froms {
        wait_for("the end of a ban", || {
            udp(&world.outside, from, to(from), server.port) == Reached::Yes
        });
    }
    assert_eq!(udp(&world.outside, "10.77.8.8", "10.77.0.1", server.port), Reached::Silence);
}

#[test]
fn a_longer_ban_extends_and_a_shorter_word_does_not() {
    let Some(world) = World::new() else { return };
    let mut wall = Wall::new(&world, Settings::default());
    wall.add(&[ban(1, "10.77.2.2", 100), ban(2, "10.77.4.0/24", 100)]);
    wall.add(&[ban(3, "10.77.2.2", 5000), ban(4, "10.77.4.0/24", 5000)]);
    wall.add(&[ban(5, "10.77.2.2", 50), ban(6, "10.77.4.0/24", 50)]);
    let kernel = elements(&world.wall);
    assert_eq!(kernel.len(), 2);
    for (place, (_, seconds)) in kernel {
        assert!((4900..=5000).contains(&seconds), "{place:?} has {seconds}");
    }
    // And back: the longer one is withdrawn.
    wall.remove(3);
    wall.remove(4);
    for (place, (_, seconds)) in elements(&world.wall) {
        assert!((1..=100).contains(&seconds), "{place:?} has {seconds}");
    }
}

#[test]
fn what_others_break_is_mended() {
    let Some(world) = World::new() else { return };
    let server = Server::start(&world.wall);
    let mut wall = Wall::new(&world, Settings::default());
    let bans: Vec<Decision> = (0..200)
        .map(|n| ban(n, &format!("192.0.2.{n}"), 600))
        .chain([ban(1000, "10.77.2.2", 600), ban(1001, "fd77::4:0/110", 600)])
        .collect();
    wall.add(&bans);
    assert_eq!(wall.backend.drift().unwrap(), Drift::None);
    let is_stopped = |from: &str, to: &str| {
        assert_eq!(udp(&world.outside, from, to, server.port), Reached::Silence, "{from}");
    };
    let dump = |world: &World| elements(&world.wall).into_keys().collect::<Vec<_>>();
    let whole = dump(&world);
    for breakage in [
        "flush ruleset",
        "delete table inet shieldwall",
        "flush map inet shieldwall hosts4",
        "flush chain inet shieldwall input",
        "insert rule inet shieldwall input accept",
        "add table inet shieldwall { flags dormant; }",
        "add chain inet shieldwall more",
        "add element inet shieldwall hosts4 { 10.77.3.3 timeout 1h : \"crowdsec-v4\" }",
        "delete element inet shieldwall hosts4 { 10.77.2.2 }",
        "delete element inet shieldwall ranges6 { fd77::4:0/110 }",
        "flush map inet shieldwall ranges6",
    ] {
        world.wall.nft(breakage);
        let start = std::time::Instant::now();
        assert_ne!(wall.backend.drift().unwrap(), Drift::None, "{breakage}");
        wall.repair(true);
        // The first look may have taken note of the change already.
        let wanted = wall.set.wanted(now());
        wall.backend.reconcile(&wanted, now()).unwrap();
        eprintln!("mended after {:?}: {breakage}", start.elapsed());
        assert_eq!(dump(&world), whole, "{breakage}");
        is_stopped("10.77.2.2", "10.77.0.1");
        is_stopped("fd77::5:5", "fd77::1");
        reached("it passes", || udp(&world.outside, "10.77.3.3", "10.77.0.1", server.port));
        assert_eq!(wall.backend.drift().unwrap(), Drift::None, "{breakage}");
    }
    // What is certain is mended without being asked to compare.
    for breakage in ["flush ruleset", "flush map inet shieldwall hosts4"] {
        world.wall.nft(breakage);
        wall.repair(false);
        assert_eq!(dump(&world), whole, "{breakage}");
    }
    // Changes to what is not ours leave everything as it is.
    world.wall.nft("add table inet other");
    assert_eq!(wall.backend.drift().unwrap(), Drift::Possible);
    assert_eq!(wall.backend.drift().unwrap(), Drift::None);
    // A commit into a table that is gone fails, and is put right.
    world.wall.nft("flush ruleset");
    let change =
        wall.set.apply(&Delta { add: vec![ban(2000, "10.77.3.3", 600)], remove: vec![] }, now());
    let applied = enforce(&mut wall.backend, &change, || wall.set.wanted(now()), now()).unwrap();
    assert!(applied.was_rebuilt && applied.n_added == 203, "{applied:?}");
    is_stopped("10.77.3.3", "10.77.0.1");
}

/// A process of its own that bans and waits; it is this test, started again by
/// `a_killed_process_leaves_no_gap`.
#[test]
fn child_that_bans() {
    let Ok(values) = std::env::var("BANS_FOR_TEST") else { return };
    let mut backend = Nftables::new(Settings::default()).unwrap();
    backend.prepare().unwrap();
    let mut set = DecisionSet::new(&bouncer::set::Settings::default());
    let add = values.split(' ').enumerate().map(|(id, value)| ban(id as i64, value, 600)).collect();
    drop(set.apply(&Delta { add, remove: vec![] }, now()));
    // Adopts what is there, and then never stops changing things until it is killed.
    backend.reconcile(&set.wanted(now()), now()).unwrap();
    eprintln!("READY");
    let mut id = 10_000;
    loop {
        id += 1;
        let value = format!("198.51.100.{}", id % 250);
        let change = set.apply(&Delta { add: vec![ban(id, &value, 600)], remove: vec![] }, now());
        backend.commit(&change, now()).unwrap();
    }
}

#[test]
fn a_killed_process_leaves_no_gap() {
    let Some(world) = World::new() else { return };
    let server = Server::start(&world.wall);
    let values = "10.77.2.2 10.77.4.0/24 fd77::2:2";
    let start = || {
        world.wall.run(|| {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "child_that_bans", "--nocapture"])
                .env("BANS_FOR_TEST", values)
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let stderr = child.stderr.take().unwrap();
            let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stderr));
            assert!(lines.any(|line| line.unwrap() == "READY"), "the child did not start");
            (child, lines)
        })
    };
    // The lines are kept: whoever closes them makes the child's next word fail.
    let (mut child, mut lines) = start();
    let bad = Prober::start(&world.outside, "10.77.2.2", "10.77.0.1", server.port);
    let worse = Prober::start(&world.outside, "10.77.4.4", "10.77.0.1", server.port);
    bad.some_more();
    for _ in 0..5 {
        child.kill().unwrap();
        child.wait().unwrap();
        bad.some_more();
        drop(lines);
        (child, lines) = start();
        worse.some_more();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop((bad, worse, lines));
    assert_eq!(server.n_packets.load(Ordering::SeqCst), 0, "packets of banned addresses passed");
    // Whoever comes next finds all of it in effect.
    let mut wall = Wall::new(&world, Settings::default());
    let add = values.split(' ').enumerate().map(|(id, value)| ban(id as i64, value, 600)).collect();
    drop(wall.set.apply(&Delta { add, remove: vec![] }, now()));
    let applied = wall.backend.reconcile(&wall.set.wanted(now()), now()).unwrap();
    assert_eq!(applied.n_added, 0, "{applied:?}");
    assert!(!applied.was_rebuilt, "{applied:?}");
    assert_eq!(elements(&world.wall).len(), 3);
}

#[test]
fn replacing_everything_lets_nobody_through() {
    let Some(world) = World::new() else { return };
    let server = Server::start(&world.wall);
    let mut wall = Wall::new(&world, Settings::default());
    let constant = [ban(1, "10.77.2.2", 6000), ban(2, "10.77.4.0/24", 6000)];
    wall.add(&constant);
    let host = Prober::start(&world.outside, "10.77.2.2", "10.77.0.1", server.port);
    let range = Prober::start(&world.outside, "10.77.4.4", "10.77.0.1", server.port);
    for round in 0..20i64 {
        // Everything else changes, around the ranges too, and with it the end of what stays.
        let mut fresh = wall.set.empty_twin();
        let mut add = vec![
            ban(1, "10.77.2.2", 6000 + 100 * round),
            ban(2, "10.77.4.0/24", 6000 + 100 * round),
        ];
        if round % 2 == 1 {
            add.push(ban(3, "10.77.4.0/23", 3000));
        }
        add.extend((0..2000).map(|n| {
            let n = u32::try_from(n + 3000 * round).unwrap();
            let address = IpAddr::from((0xc633_0000 + n).to_be_bytes());
            ban(100 + i64::from(n), &address.to_string(), 600)
        }));
        drop(fresh.apply(&Delta { add, remove: vec![] }, now()));
        let change = wall.set.replace(fresh, now());
        match round % 3 {
            // Rules and chains made again in passing.
            0 => {
                wall.backend = {
                    // Compared in one round, emptied and filled in the other.
                    let compare_at_most = if round % 2 == 0 { 0 } else { 1_000_000 };
                    let settings = Settings { compare_at_most, ..Settings::default() };
                    let mut backend = open(&world.wall, settings);
                    backend.prepare().unwrap();
                    backend.reconcile(&wall.set.wanted(now()), now()).unwrap();
                    backend
                }
            }
            1 => drop(wall.backend.commit(&change, now()).unwrap()),
            _ => drop(wall.backend.reconcile(&wall.set.wanted(now()), now()).unwrap()),
        }
    }
    host.some_more();
    range.some_more();
    drop((host, range));
    assert_eq!(server.n_packets.load(Ordering::SeqCst), 0, "packets of banned addresses passed");
}

#[test]
fn only_sets_in_a_table_of_somebody_else() {
    let Some(world) = World::new() else { return };
    let server = Server::start(&world.wall);
    let settings = Settings {
        table: "mine".to_owned(),
        set_prefix: "wall-".to_owned(),
        ownership: Ownership::SetsOnly,
        ..Settings::default()
    };
    let mut early = open(&world.wall, settings.clone());
    assert!(matches!(early.prepare(), Err(BackendError::Missing(_))));
    world.wall.nft("add table inet mine");
    let mut wall = Wall::new(&world, settings);
    world.wall.nft("add chain inet mine input { type filter hook input priority 0; }");
    world.wall.nft("add rule inet mine input ip saddr @wall-hosts4 drop");
    world.wall.nft("add rule inet mine input ip saddr @wall-ranges4 drop");
    wall.add(&[ban(1, "10.77.2.2", 600), ban(2, "10.77.4.0/23", 600)]);
    let reaches = |from| udp(&world.outside, from, "10.77.0.1", server.port);
    assert_eq!(reaches("10.77.2.2"), Reached::Silence);
    assert_eq!(reaches("10.77.5.5"), Reached::Silence);
    reached("it passes", || reaches("10.77.3.3"));
    world.wall.nft("flush set inet mine wall-hosts4");
    wall.repair(false);
    assert_eq!(reaches("10.77.2.2"), Reached::Silence);
    wall.backend.close(Leave::Nothing).unwrap();
    reached("it passes", || reaches("10.77.2.2"));
    reached("it passes", || reaches("10.77.5.5"));
    assert!(world.wall.nft("list ruleset").contains("@wall-hosts4 drop"), "rules stay");
}

#[test]
fn without_the_right_to_it_nothing_is_done_and_the_reason_said() {
    let Some(world) = World::new() else { return };
    let error = world.wall.run(|| {
        // Rights belong to a thread, and this one ends here.
        let none = rustix::thread::CapabilitySet::empty();
        let none =
            rustix::thread::CapabilitySets { effective: none, permitted: none, inheritable: none };
        rustix::thread::set_capabilities(None, none).unwrap();
        Nftables::new(Settings::default()).and_then(|mut backend| backend.prepare()).unwrap_err()
    });
    assert!(matches!(error, BackendError::Unsupported(_)), "{error}");
    assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
    assert_eq!(world.wall.nft("list ruleset"), "");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let wrong = [
        Settings { table: "a b".to_owned(), ..Settings::default() },
        Settings { hooks: vec![], ..Settings::default() },
        Settings { hooks: vec![Hook::Input, Hook::Input], ..Settings::default() },
        Settings { set_prefix: "x;".to_owned(), ..Settings::default() },
    ];
    for settings in wrong {
        let error = Nftables::new(settings.clone()).err();
        assert!(matches!(error, Some(BackendError::Settings(_))), "{settings:?}: {error:?}");
    }
}

/// First and last address.
type Place = (IpAddr, IpAddr);

/// What is in the kernel, by `nft`: counter and seconds of each host and range.
fn elements(namespace: &Namespace) -> BTreeMap<Place, (String, u64)> {
    let listed: Value = serde_json::from_str(&namespace.nft("-j list ruleset")).unwrap();
    let mut found = BTreeMap::new();
    for object in listed["nftables"].as_array().unwrap() {
        for element in object["map"]["elem"].as_array().into_iter().flatten() {
            let (value, counter) = (&element[0]["elem"], element[1].as_str().unwrap());
            let seconds = value["expires"].as_u64().unwrap();
            let before = found.insert(place(&value["val"]), (counter.to_owned(), seconds));
            assert!(before.is_none(), "twice: {value}");
        }
    }
    found
}

fn place(value: &Value) -> Place {
    let ip = |value: &Value| value.as_str().unwrap().parse::<IpAddr>().unwrap();
    if let Some(range) = value.get("range") {
        return (ip(&range[0]), ip(&range[1]));
    }
    if let Some(prefix) = value.get("prefix") {
        let length = prefix["len"].as_u64().unwrap().try_into().unwrap();
        let net = ipnet::IpNet::new(ip(&prefix["addr"]), length).unwrap();
        return (net.network(), net.broadcast());
    }
    (ip(value), ip(value))
}

/// The corners of both families, so that spans touch each other and the ends of everything.
fn value() -> impl Strategy<Value = String> {
    let v4 = prop::sample::select(vec![0u32, 7, 0x0a4d_0000, 0x0a4d_00ff, u32::MAX - 9, u32::MAX]);
    let v6 = prop::sample::select(vec![0u128, 9, 0xfd77 << 112, u128::MAX - 5, u128::MAX]);
    prop_oneof![
        (v4, 0u32..24, 0u8..=32).prop_map(|(base, off, length)| {
            let address = IpAddr::from(base.wrapping_add(off).to_be_bytes());
            format!("{address}/{}", if length < 20 { 32 } else { length })
        }),
        (v6, 0u128..24, 0u8..=128).prop_map(|(base, off, length)| {
            let address = IpAddr::from(base.wrapping_add(off).to_be_bytes());
            format!("{address}/{}", if length < 90 { 128 } else { length })
        }),
    ]
}

/// Whatever changes come, in the kernel is what the set wants, as `nft` sees it.
#[test]
fn the_kernel_holds_what_is_wanted() {
    let Some(world) = World::new() else { return };
    let step = prop::collection::vec((0i64..40, value(), 0i64..2, any::<bool>()), 1..12);
    let steps = prop::collection::vec(step, 1..6);
    let mut runner = TestRunner::new(ProptestConfig { cases: 40, ..ProptestConfig::default() });
    let result = runner.run(&steps, |steps| {
        let mut wall = Wall::new(&world, Settings::default());
        wall.backend.reconcile(&wall.set.wanted(now()), now()).unwrap();
        for step in steps {
            let (mut remove, mut add) = (Vec::new(), Vec::new());
            for (id, value, kind, goes) in step {
                if goes {
                    remove.push(Removal::Id(DecisionId(id)));
                } else {
                    let origin = if kind == 0 { "crowdsec" } else { "lists:a b" };
                    let seconds = 600 + 100 * kind;
                    add.push(Decision { origin: origin.into(), ..ban(id, &value, seconds) });
                }
            }
            let change = wall.set.apply(&Delta { remove, add }, now());
            let committed = wall.backend.commit(&change, now());
            prop_assert!(committed.is_ok(), "{committed:?} for {change:?}");
            let at = now();
            let kernel = elements(&world.wall);
            let wanted = wanted(&wall.set, at);
            same(&kernel, &wanted)?;
            prop_assert_eq!(wall.backend.drift().unwrap(), Drift::None);
        }
        let applied = wall.backend.reconcile(&wall.set.wanted(now()), now()).unwrap();
        prop_assert!(applied.is_nothing(), "{applied:?}");
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

fn wanted(set: &DecisionSet, now: Timestamp) -> BTreeMap<Place, (String, u64)> {
    use bouncer::set::{Address, Entries, Labels};
    fn family<A: Address>(
        entries: &Entries<A>,
        labels: &Labels,
        now: Timestamp,
        all: &mut BTreeMap<Place, (String, u64)>,
    ) {
        let hosts = entries.hosts.iter().map(|host| (host.address, host.address, host.effect));
        let spans = entries.spans.iter().map(|span| (span.first, span.last, span.effect));
        for (first, last, effect) in hosts.chain(spans) {
            let origin = labels.origin(effect.origin).to_owned();
            let seconds = effect.until.left(now).as_secs();
            all.insert((first.to_ip(), last.to_ip()), (origin, seconds));
        }
    }
    let mut all = BTreeMap::new();
    let wanted = set.wanted(now);
    family(&wanted.entries.v4, &wanted.labels, now, &mut all);
    family(&wanted.entries.v6, &wanted.labels, now, &mut all);
    all
}

fn same(
    kernel: &BTreeMap<Place, (String, u64)>,
    wanted: &BTreeMap<Place, (String, u64)>,
) -> Result<(), TestCaseError> {
    let places = |map: &BTreeMap<Place, (String, u64)>| map.keys().copied().collect::<Vec<_>>();
    prop_assert_eq!(places(kernel), places(wanted));
    for (place, (counter, seconds)) in kernel {
        let (origin, left) = &wanted[place];
        let stem = if origin == "crowdsec" { "crowdsec-v" } else { "o-lists-a-b-" };
        prop_assert!(counter.starts_with(stem), "{} for {}", counter, origin);
        prop_assert!(seconds.abs_diff(*left) <= 30, "{:?}: {} and {}", place, seconds, left);
    }
    Ok(())
}
