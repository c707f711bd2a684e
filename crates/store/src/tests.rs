//! The store as its callers see it, on a real file; and all of it again on a real PostgreSQL server.

use std::{os::unix::fs::PermissionsExt as _, time::Duration};

use model::{Alert, AlertEvent, Decision, NewDecision, Scope, Source, Time, Uuid};

use super::*;

mod broken;
mod postgres;

pub(crate) const T0: Timestamp = Timestamp::from_unix(1_700_000_000, 0);

pub(crate) fn at(seconds: i64) -> Timestamp {
    T0.plus_nanos(seconds * 1_000_000_000)
}

/// A store on a database of its own: a file, or, where the tests run once more for that, one on a
/// PostgreSQL server (`postgres`).
pub(crate) struct Bench {
    pub(crate) dir: Place,
    pub(crate) store: Store,
}

/// Where a store's database is.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    server: Option<Server>,
}

impl Place {
    pub(crate) fn path(&self) -> &std::path::Path {
        self.dir.path()
    }

    fn open(&self, index: Index, now: Timestamp) -> Result<Store, Error> {
        match &self.server {
            Some(server) => Store::connect(server, index, now),
            None => Store::open(&Settings { path: self.path().join("store.db"), index }, now),
        }
    }

    /// Does something as another program would.
    fn aside<T: Send>(&self, work: impl FnOnce(&Connection) -> T + Send) -> T {
        match &self.server {
            Some(server) => postgres::aside(server, work),
            None => {
                let conn = rusqlite::Connection::open(self.path().join("store.db")).unwrap();
                work(&Connection::Sqlite(conn))
            }
        }
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        let dir = Place { dir: tempfile::tempdir().unwrap(), server: postgres::fresh_database() };
        let store = dir.open(Index::Kept, T0).unwrap();
        Self { dir, store }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("store.db")
    }

    pub(crate) fn is_file(&self) -> bool {
        self.dir.server.is_none()
    }

    /// Opens the database once more, as a tool beside the server does.
    pub(crate) fn open_beside(&self, index: Index) -> Store {
        self.dir.open(index, T0).unwrap()
    }

    /// Closes the store and opens it again.
    pub(crate) fn reopen(self, now: Timestamp) -> Self {
        let Self { dir, store } = self;
        store.close();
        Self { store: dir.open(Index::Kept, now).unwrap(), dir }
    }

    /// Runs SQL as another program would.
    pub(crate) fn sql(&self, sql: &str) {
        self.dir.aside(|conn| conn.execute_batch(sql)).unwrap();
    }

    pub(crate) fn count(&self, sql: &str) -> i64 {
        let count = |conn: &Connection| {
            conn.prepare_cached(sql).unwrap().query_row((), |row| row.get(0)).unwrap()
        };
        self.dir.aside(count)
    }
}

pub(crate) fn open(path: &std::path::Path, now: Timestamp) -> Result<Store, Error> {
    Store::open(&Settings { path: path.to_path_buf(), index: Index::Kept }, now)
}

pub(crate) fn decision(value: &str, seconds: u64) -> NewDecision {
    let scope = if value.contains('/') { Scope::Range } else { Scope::Ip };
    NewDecision {
        uuid: None,
        origin: "crowdsec".to_owned(),
        scenario: "acme/ssh-bf".to_owned(),
        remediation: "ban".to_owned(),
        scope,
        value: value.to_owned(),
        duration: Duration::from_secs(seconds),
        simulated: false,
    }
}

pub(crate) fn alert(n: u128, decisions: Vec<NewDecision>) -> NewAlert {
    let value = decisions.first().map_or("9.9.9.9", |decision| &decision.value).to_owned();
    NewAlert {
        uuid: Uuid::from_random(n << 80 | n),
        machine: None,
        kind: "crowdsec".to_owned(),
        alert: Alert {
            scenario: "acme/ssh-bf".to_owned(),
            scenario_hash: "h".to_owned(),
            scenario_version: "0.1".to_owned(),
            message: "Ip did it".to_owned(),
            events_count: 6,
            start_at: Time::utc(T0),
            stop_at: Time::utc(T0),
            capacity: 5,
            leakspeed: Duration::from_secs(10),
            simulated: false,
            remediation: true,
            source: Source {
                scope: Scope::Ip,
                ip: value.clone(),
                value,
                range: String::new(),
                as_name: "ACME".to_owned(),
                as_number: "64500".to_owned(),
                cn: "FR".to_owned(),
                latitude: 48.5,
                longitude: 2.25,
            },
            events: vec![AlertEvent {
                timestamp: "2023-11-14T22:13:20Z".to_owned(),
                meta: vec![("source_ip".to_owned(), "9.9.9.9".to_owned())],
            }],
            meta: vec![("user".to_owned(), "[\"root\"]".to_owned())],
        },
        decisions,
        profile: None,
    }
}

pub(crate) fn values(decisions: &[Decision]) -> Vec<&str> {
    let mut values: Vec<&str> = decisions.iter().map(|decision| decision.value.as_str()).collect();
    values.sort_unstable();
    values
}

async fn ids(store: &Store, filter: AlertFilter) -> Vec<i64> {
    store.alerts(filter, at(1)).await.unwrap().iter().map(|alert| alert.id.0).collect()
}

#[tokio::test]
async fn an_alert_comes_back_as_it_was_stored() {
    let bench = Bench::new();
    let machine = NewMachine { name: "m1".to_owned(), validated: true, ..NewMachine::default() };
    bench.store.add_machine(machine, T0).await.unwrap();
    let mut sent = alert(1, vec![decision("1.2.3.4", 3600), decision("not an address", 60)]);
    sent.machine = Some("m1".to_owned());
    sent.profile = Some("ban_addresses".to_owned());
    let recorded = bench.store.record(vec![sent.clone()], at(1)).await.unwrap();
    let Recorded::Stored { id, decisions } = &recorded[0] else { panic!("{recorded:?}") };
    assert_eq!(decisions.len(), 1, "the value that is no address is left out");
    let bench = bench.reopen(at(2));
    let stored = bench.store.alert(*id).await.unwrap();
    assert_eq!(stored.alert, sent.alert);
    assert_eq!((stored.uuid, stored.machine.as_deref()), (sent.uuid.to_string(), Some("m1")));
    assert_eq!((stored.created_at, stored.kind.as_str()), (at(1), "crowdsec"));
    assert_eq!(stored.decisions[0].until, at(3600));
    assert_eq!(stored.profile.as_deref(), Some("ban_addresses"));
    assert_eq!(bench.store.machine("m1").await.unwrap().unwrap().last_push, Some(at(1)));
    let gone = bench.store.alert(AlertId(99)).await.unwrap_err();
    assert_eq!(gone.to_string(), "alert '99' not found");
    if bench.is_file() {
        let mode = std::fs::metadata(bench.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    }
}

#[tokio::test]
async fn the_same_alert_is_stored_once() {
    let bench = Bench::new();
    let first =
        bench.store.record(vec![alert(1, vec![decision("1.2.3.4", 60)])], T0).await.unwrap();
    let again = alert(1, vec![decision("1.2.3.4", 60)]);
    let second = bench.store.record(vec![again, alert(2, Vec::new())], at(1)).await.unwrap();
    assert_eq!(second[0], Recorded::Known(first[0].id().unwrap()));
    assert!(matches!(second[1], Recorded::Stored { .. }));
    assert_eq!(bench.store.active_count("1.2.3.4", at(1)).unwrap(), 1);
    let bad = vec![alert(3, vec![decision("nonsense", 60)])];
    assert_eq!(bench.store.record(bad, at(1)).await.unwrap(), [Recorded::Discarded]);
    assert_eq!(bench.count("SELECT count(*) FROM alerts"), 2);
}

#[tokio::test]
async fn values_become_canonical() {
    let bench = Bench::new();
    let sent = ["1.2.3.4/32", "10.0.0.7/8", "2001:DB8::1", "::ffff:5.6.7.8"];
    let decisions = sent.iter().map(|value| decision(value, 60)).collect();
    bench.store.record(vec![alert(1, decisions)], T0).await.unwrap();
    let found = bench.store.decisions(&DecisionFilter::default(), Page::default(), T0).unwrap();
    let seen: Vec<(&str, &str)> =
        found.iter().map(|decision| (decision.scope.name(), decision.value.as_str())).collect();
    let want =
        [("Ip", "1.2.3.4"), ("Range", "10.0.0.0/8"), ("Ip", "2001:db8::1"), ("Ip", "5.6.7.8")];
    assert_eq!(seen, want);
}

#[tokio::test]
async fn alerts_are_found_by_everything_one_can_ask() {
    let bench = Bench::new();
    let mut capi = decision("7.7.7.7", 3600);
    capi.origin = "CAPI".to_owned();
    let mut range = alert(3, vec![decision("4.4.4.0/24", 3600)]);
    range.alert.scenario = "acme/http".to_owned();
    range.kind = "waf".to_owned();
    range.alert.start_at = Time::utc(at(-7200));
    let mut v6 = alert(4, vec![decision("bbbb:db8::/81", 3600)]);
    v6.alert.simulated = true;
    let mut captcha = alert(5, vec![decision("8.8.8.8", 3600)]);
    captcha.decisions[0].remediation = "captcha".to_owned();
    let all = vec![
        alert(1, vec![decision("1.2.3.4", 0)]),
        alert(2, vec![capi]),
        range,
        v6,
        captcha,
        alert(6, Vec::new()),
    ];
    bench.store.record(all, T0).await.unwrap();
    let store = &bench.store;
    let all = AlertFilter::default;
    let net = |text: &str, relation| AlertFilter {
        net: Some((model::parse_target(text).unwrap(), relation)),
        ..all()
    };
    let check = async |filter: AlertFilter, want: &[i64]| {
        assert_eq!(ids(store, filter.clone()).await, want, "{filter:?}");
    };
    check(all(), &[6, 5, 4, 3, 2, 1]).await;
    check(AlertFilter { sort: Sort::Ascending, limit: Some(2), ..all() }, &[1, 2]).await;
    check(AlertFilter { after: Some((T0, 4)), limit: Some(2), ..all() }, &[3, 2]).await;
    check(net("4.4.4.3", Relation::Contains), &[3]).await;
    check(net("4.4.4.2/28", Relation::Contains), &[3]).await;
    check(net("4.4.0.0/16", Relation::Inside), &[3]).await;
    check(net("4.4.0.0/16", Relation::Contains), &[]).await;
    check(net("bbbb:db8:0:0:0:6fff:ffff:ffff", Relation::Contains), &[4]).await;
    check(net("bbbb:db8:0:0:0:8fff:ffff:ffff", Relation::Contains), &[]).await;
    check(net("bbbb:db8::/48", Relation::Inside), &[4]).await;
    check(net("0.0.0.0/0", Relation::Inside), &[5, 3, 2, 1]).await;
    check(AlertFilter { scenario: Some("acme/http".to_owned()), ..all() }, &[3]).await;
    check(AlertFilter { scenario: Some("acme/none".to_owned()), ..all() }, &[]).await;
    check(AlertFilter { value: Some("1.2.3.4".to_owned()), ..all() }, &[1]).await;
    check(AlertFilter { kind: Some("waf".to_owned()), ..all() }, &[3]).await;
    check(AlertFilter { scope: Some(Scope::Ip), limit: Some(1), ..all() }, &[6]).await;
    check(AlertFilter { decision_remediation: Some("captcha".to_owned()), ..all() }, &[5]).await;
    check(AlertFilter { origin: Some("CAPI".to_owned()), without_community: true, ..all() }, &[2])
        .await;
    check(AlertFilter { without_community: true, ..all() }, &[6, 5, 4, 3, 1]).await;
    check(AlertFilter { without_simulated: true, ..all() }, &[6, 5, 3, 2, 1]).await;
    check(AlertFilter { has_active: Some(HasActive::Yes), ..all() }, &[5, 4, 3, 2]).await;
    check(AlertFilter { has_active: Some(HasActive::NoneAtAll), ..all() }, &[6]).await;
    check(AlertFilter { started_since: Some(at(-60)), ..all() }, &[6, 5, 4, 2, 1]).await;
    check(AlertFilter { started_until: Some(at(-60)), ..all() }, &[3]).await;
    check(AlertFilter { created_before: Some(at(-1)), ..all() }, &[]).await;
    let both = AlertFilter {
        has_active: Some(HasActive::Yes),
        kind: Some("waf".to_owned()),
        ..net("4.4.4.4", Relation::Contains)
    };
    check(both, &[3]).await;
    assert_eq!(
        store.alert_counts().await.unwrap(),
        [("acme/http".to_owned(), 1), ("acme/ssh-bf".to_owned(), 4)]
    );

    let deleted = AlertFilter { kind: Some("waf".to_owned()), limit: Some(0), ..all() };
    assert_eq!(store.delete_alerts(deleted, at(1)).await.unwrap(), 1);
    assert!(store.delete_alert(AlertId(3), at(1)).await.is_err());
    store.delete_alert(AlertId(6), at(1)).await.unwrap();
    check(all(), &[5, 4, 2, 1]).await;
}

#[tokio::test]
async fn long_events_are_cut_to_fit() {
    let bench = Bench::new();
    let mut sent = alert(1, Vec::new());
    sent.alert.events[0].meta =
        vec![("line".to_owned(), "é".repeat(9000)), ("program".to_owned(), "sshd".to_owned())];
    let recorded = bench.store.record(vec![sent], T0).await.unwrap();
    let stored = bench.store.alert(recorded[0].id().unwrap()).await.unwrap();
    let meta = &stored.alert.events[0].meta;
    assert_eq!(meta[0].1, format!("{}<stripped>", "é".repeat(1024)));
    assert_eq!(meta[1].1, "sshd");
}

#[tokio::test]
async fn networks_around_an_address_are_looked_up_one_by_one() {
    let bench = Bench::new();
    if !bench.is_file() {
        // A server plans by what the tables hold; here they hold nothing.
        return;
    }
    let mut sql = "EXPLAIN QUERY PLAN SELECT d.id FROM decisions d WHERE ".to_owned();
    let mut values = Vec::new();
    let address = model::parse_target("2001:db8::1").unwrap();
    net::condition("d", address, Relation::Contains, &mut sql, &mut values);
    let plan: Vec<String> = bench.dir.aside(|conn| {
        let mut statement = conn.prepare_cached(&sql).unwrap();
        let steps = statement.query_map(values, |row| row.get(3)).unwrap();
        steps.collect::<Result<_, _>>().unwrap()
    });
    assert!(plan[0].contains("USING INDEX decision_start_ip_end_ip"), "{plan:?}");
}

#[tokio::test]
async fn decisions_end_when_told() {
    let bench = Bench::new();
    let store = &bench.store;
    let decisions = ["1.2.3.4", "1.2.3.0/24", "5.6.7.8"].map(|value| decision(value, 3600));
    let recorded = store.record(vec![alert(1, decisions.to_vec())], T0).await.unwrap();
    let net = model::parse_target("1.2.3.4").unwrap();
    let filter =
        DecisionFilter { net: Some((net, Relation::Contains)), ..DecisionFilter::default() };
    assert_eq!(store.decisions(&filter, Page::default(), at(1)).unwrap().len(), 2);
    let ended = store.expire(filter.clone(), at(1)).await.unwrap();
    assert_eq!(values(&ended), ["1.2.3.0/24", "1.2.3.4"]);
    assert!(ended.iter().all(|decision| decision.until == at(1)));
    assert!(store.decisions(&filter, Page::default(), at(1)).unwrap().is_empty());
    assert!(store.expire(filter, at(2)).await.unwrap().is_empty(), "only active ones end");
    let Recorded::Stored { decisions, .. } = &recorded[0] else { panic!() };
    let again = store.expire_one(decisions[0], at(3)).await.unwrap();
    assert_eq!(again.until, at(3), "a single one ends even twice");
    let missing = store.expire_one(model::DecisionId(77), at(3)).await.unwrap_err();
    assert_eq!(missing.to_string(), "decision '77' not found");
    assert_eq!(store.decision_count("1.2.3.4".to_owned(), None).await.unwrap(), 1);
    assert_eq!(store.decision_count("1.2.3.4".to_owned(), Some(T0)).await.unwrap(), 0);
    let counts = store.active_counts(at(3)).unwrap();
    assert_eq!((counts.len(), counts[0].n_decisions), (1, 1));
    assert!(store.active_counts(at(3600)).unwrap().is_empty(), "the last one ended by itself");
    let bench = bench.reopen(at(4));
    let found = bench.store.decisions(&DecisionFilter::default(), Page::default(), at(4)).unwrap();
    assert_eq!(values(&found), ["5.6.7.8"]);
}

#[tokio::test]
async fn an_end_between_two_ticks_of_the_database_is_told_once() {
    let bench = Bench::new();
    let nanos = |nanos: i64| at(60).plus_nanos(nanos);
    let mut sent = alert(1, vec![decision("1.2.3.4", 60)]);
    sent.alert.stop_at = Time::utc(T0.plus_nanos(1_700));
    bench.store.record(vec![sent], T0).await.unwrap();
    let mut from = From::Startup;
    let mut told = Vec::new();
    // A database may know microseconds only: the decision ends in the second, the polls lie around it.
    for now in [0, 900, 1_300, 1_690, 1_710, 2_500, 9_000].map(nanos) {
        let filter = DecisionFilter::default();
        let mut stream = bench.store.stream(from, filter.clone(), Dedup::Off, now).unwrap();
        while stream.next_new().is_some() {}
        while let Some(page) = stream.next_deleted().await.unwrap() {
            told.extend(page.iter().map(|_| now));
        }
        let n_active = bench.store.decisions(&filter, Page::default(), now).unwrap().len();
        assert_eq!(n_active + told.len(), 1, "at {now:?}");
        from = From::After(stream.cursor());
    }
    assert_eq!(told.len(), 1);
}

#[tokio::test]
async fn many_end_in_steps() {
    let bench = Bench::new();
    let many = (0..2500u32).map(|n| NewDecision {
        uuid: Some(Uuid::from_random(u128::from(n) << 80)),
        scenario: format!("acme/{}", n % 2),
        ..decision(&std::net::Ipv4Addr::from_bits(n << 8).to_string(), 100)
    });
    bench.store.record(vec![alert(1, many.collect())], T0).await.unwrap();
    let one =
        DecisionFilter { uuids: vec![Uuid::from_random(7 << 80)], ..DecisionFilter::default() };
    assert_eq!(values(&bench.store.expire(one, at(1)).await.unwrap()), ["0.0.7.0"]);
    let half = DecisionFilter { scenario: Some("acme/0".to_owned()), ..DecisionFilter::default() };
    assert_eq!(bench.store.expire(half, at(1)).await.unwrap().len(), 1250);
    assert_eq!(bench.store.expire(DecisionFilter::default(), at(1)).await.unwrap().len(), 1249);
    assert_eq!(
        bench.count("SELECT count(*) FROM decisions WHERE until > '2023-11-14 22:13:21+00:00'"),
        0
    );
    let none = AlertFilter { has_active: Some(HasActive::Yes), ..AlertFilter::default() };
    assert!(bench.store.alerts(none, at(2)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_newer_list_replaces_the_older() {
    let bench = Bench::new();
    let list = |n, values: &[&str]| {
        let decisions = values.iter().map(|value| {
            let mut decision = decision(value, 3600);
            decision.origin = "lists".to_owned();
            decision
        });
        alert(n, decisions.collect())
    };
    bench.store.replace(list(1, &["1.1.1.1", "2.2.2.2"]), T0).await.unwrap();
    bench.store.record(vec![alert(2, vec![decision("2.2.2.2", 60)])], T0).await.unwrap();
    bench.store.replace(list(3, &["2.2.2.2", "3.3.3.3"]), at(1)).await.unwrap();
    let check = |bench: &Bench| {
        let found =
            bench.store.decisions(&DecisionFilter::default(), Page::default(), at(1)).unwrap();
        assert_eq!(values(&found), ["1.1.1.1", "2.2.2.2", "2.2.2.2", "3.3.3.3"]);
    };
    check(&bench);
    assert_eq!(bench.count("SELECT count(*) FROM shieldwall_removed"), 0);
    check(&bench.reopen(at(1)));
}

#[tokio::test]
async fn machines_live_their_lives() {
    let bench = Bench::new();
    let store = &bench.store;
    let new =
        NewMachine { name: "m1".to_owned(), password: "hash".to_owned(), ..NewMachine::default() };
    let made = store.add_machine(new.clone(), T0).await.unwrap();
    assert!(!made.validated && made.last_heartbeat.is_none() && made.ip.is_none());
    let twice = store.add_machine(new, T0).await.unwrap_err();
    assert_eq!(twice.to_string(), "machine 'm1' already exists");
    let os = Os { name: "debian".to_owned(), family: "linux".to_owned(), version: "12".to_owned() };
    let change = MachineChange {
        validated: Some(true),
        last_heartbeat: Some(at(5)),
        os: Some(os.clone()),
        hub_state: Some("{}".to_owned()),
        ..MachineChange::default()
    };
    store.change_machine("m1", change, at(5)).await.unwrap();
    assert!(store.change_machine("m2", MachineChange::default(), T0).await.is_err());
    let seen = store.machine("m1").await.unwrap().unwrap();
    assert_eq!((seen.validated, seen.last_heartbeat, seen.os), (true, Some(at(5)), Some(os)));
    assert_eq!((seen.password.as_str(), seen.updated_at, seen.created_at), ("hash", at(5), T0));
    let mut sent = alert(1, Vec::new());
    sent.machine = Some("m1".to_owned());
    let id = store.record(vec![sent], at(6)).await.unwrap()[0].id().unwrap();
    assert_eq!(store.delete_machines(vec!["m1".to_owned(), "m2".to_owned()]).await.unwrap(), 1);
    assert!(store.machines().await.unwrap().is_empty());
    assert_eq!(store.alert(id).await.unwrap().machine, None, "its alerts stay");
}

#[tokio::test]
async fn a_key_is_forgotten_the_moment_anybody_withdraws_it() {
    let bench = Bench::new();
    let store = &bench.store;
    let add = async |name: &str| {
        let new =
            NewBouncer { name: name.to_owned(), key_hash: "k".to_owned(), ..NewBouncer::default() };
        store.add_bouncer(new, T0).await.unwrap();
    };
    let known = async || store.bouncers_with_key("k").await.unwrap();
    assert!(known().await.is_empty(), "and that there is none is not remembered");
    add("fw").await;
    for _ in 0..3 {
        assert_eq!(known().await.len(), 1);
    }
    bench.sql("UPDATE bouncers SET revoked = (1 = 1)");
    assert!(known().await[0].revoked, "by another program");
    bench.sql("DELETE FROM bouncers");
    assert!(known().await.is_empty());
    add("fw").await;
    add("gate").await;
    assert_eq!(known().await.len(), 2);
    store.delete_bouncers(vec!["fw".to_owned()]).await.unwrap();
    assert_eq!(known().await.len(), 1, "by this one");
}

#[tokio::test]
async fn bouncers_share_keys_and_keep_their_place() {
    let bench = Bench::new();
    let store = &bench.store;
    for (name, ip) in [("fw", "10.0.0.1"), ("fw@10.0.0.2", "10.0.0.2")] {
        let new = NewBouncer {
            name: name.to_owned(),
            key_hash: "k".to_owned(),
            ip: ip.to_owned(),
            ..NewBouncer::default()
        };
        store.add_bouncer(new, T0).await.unwrap();
    }
    let found = store.bouncers_with_key("k").await.unwrap();
    assert_eq!(
        found.iter().map(|bouncer| bouncer.ip.as_str()).collect::<Vec<_>>(),
        ["10.0.0.1", "10.0.0.2"]
    );
    assert!(store.bouncers_with_key("other").await.unwrap().is_empty());
    assert_eq!(found[0].cursor, None);
    let cursor = Cursor { seq: Seq(7), at: at(9) };
    let change = BouncerChange {
        cursor: Some(cursor),
        version: Some("1".to_owned()),
        ..BouncerChange::default()
    };
    store.change_bouncer(found[1].id, change, at(9)).await.unwrap();
    let seen = store.bouncer("fw@10.0.0.2").await.unwrap().unwrap();
    assert_eq!(
        (seen.cursor, seen.last_pull, seen.version.as_str()),
        (Some(cursor), Some(at(9)), "1")
    );
    assert_eq!(cursor.to_string().parse(), Ok(cursor));
    bench.sql("UPDATE bouncers SET last_pull = NULL");
    assert_eq!(store.bouncer("fw@10.0.0.2").await.unwrap().unwrap().cursor, None);
    assert_eq!(store.delete_bouncers(vec!["fw".to_owned()]).await.unwrap(), 1);
    assert_eq!(store.bouncers().await.unwrap().len(), 1);
    assert!(store.change_bouncer(BouncerId(99), BouncerChange::default(), T0).await.is_err());
}

#[tokio::test]
async fn allowlists_match_both_ways_and_end_bans() {
    let bench = Bench::new();
    let store = &bench.store;
    let bans = ["1.2.3.4", "1.2.0.0/16", "9.9.9.9"].map(|value| decision(value, 3600));
    store.record(vec![alert(1, bans.to_vec())], T0).await.unwrap();
    for name in ["foo", "Upper"] {
        let list = NewAllowlist { name: name.to_owned(), ..NewAllowlist::default() };
        store.add_allowlist(list.clone(), T0).await.unwrap();
        assert!(store.add_allowlist(list, T0).await.is_err());
    }
    let item = |value: &str, expires_at| NewAllowlistItem {
        net: model::parse_target(value).unwrap(),
        value: value.to_owned(),
        comment: "ours".to_owned(),
        expires_at,
    };
    let items =
        vec![item("1.2.3.0/24", None), item("1.2.3.0/24", None), item("8.8.8.8", Some(at(60)))];
    assert_eq!(store.add_allowlist_items("foo", items, at(1)).await.unwrap(), (2, 2));
    let left = store.decisions(&DecisionFilter::default(), Page::default(), at(1)).unwrap();
    assert_eq!(values(&left), ["9.9.9.9"]);
    store.add_allowlist_items("Upper", vec![item("1.2.3.4", None)], at(1)).await.unwrap();
    let ask = async |text: &str, now| {
        let found = store.allowed(vec![model::parse_target(text).unwrap()], now).await.unwrap();
        found[0]
            .iter()
            .map(|one| format!("{} from {}", one.value, one.allowlist))
            .collect::<Vec<_>>()
    };
    assert_eq!(ask("1.2.3.4", at(1)).await, ["1.2.3.4 from Upper", "1.2.3.0/24 from foo"]);
    assert_eq!(ask("1.0.0.0/8", at(1)).await, ["1.2.3.4 from Upper", "1.2.3.0/24 from foo"]);
    assert!(ask("1.2.4.4", at(1)).await.is_empty() && ask("::1", at(1)).await.is_empty());
    assert_eq!(ask("8.8.8.8", at(1)).await, ["8.8.8.8 from foo"]);
    assert!(ask("8.8.8.8", at(60)).await.is_empty(), "it has ended");
    let lists = store.allowlists(Items::Left).await.unwrap();
    assert_eq!(lists.iter().map(|list| list.name.as_str()).collect::<Vec<_>>(), ["Upper", "foo"]);
    assert_eq!(store.allowlist("foo").await.unwrap().items.len(), 2);
    let removed = store.remove_allowlist_items("foo", vec!["1.2.3.0/24".to_owned()], at(2)).await;
    assert_eq!(removed.unwrap(), 1);
    assert_eq!(ask("1.2.3.4", at(2)).await, ["1.2.3.4 from Upper"]);
    store.flush(&Retention::default(), at(100)).await.unwrap();
    assert!(store.allowlist("foo").await.unwrap().items.is_empty());
    store.delete_allowlist("Upper").await.unwrap();
    assert!(ask("1.2.3.4", at(2)).await.is_empty());
    assert_eq!(bench.count("SELECT count(*) FROM allow_list_items"), 0);
    let gone = store.allowlist("Upper").await.unwrap_err();
    assert_eq!(gone.to_string(), "allowlist 'Upper' not found");
}

#[tokio::test]
async fn small_things_are_kept() {
    let bench = Bench::new();
    let store = &bench.store;
    assert_eq!(store.config_item("apic_token").await.unwrap(), None);
    for value in ["a", "b"] {
        store.set_config_item("apic_token", value, T0).await.unwrap();
        assert_eq!(store.config_item("apic_token").await.unwrap().as_deref(), Some(value));
    }
    store.delete_config_item("apic_token").await.unwrap();
    assert_eq!(store.config_item("apic_token").await.unwrap(), None);
    let ten = Duration::from_secs(600);
    assert!(store.lock("pull", ten, T0).await.unwrap());
    assert!(!store.lock("pull", ten, at(599)).await.unwrap());
    assert!(store.lock("pull", ten, at(601)).await.unwrap(), "its holder is long gone");
    store.unlock("pull").await.unwrap();
    assert!(store.lock("pull", ten, at(602)).await.unwrap());
    store
        .add_metrics(MetricsSource::RemediationComponent, "fw", "{}".to_owned(), T0)
        .await
        .unwrap();
    let seen = store.metrics(MetricsFilter::Unpushed).await.unwrap();
    assert_eq!((seen.len(), seen[0].name.as_str(), seen[0].pushed_at), (1, "fw", None));
    store.mark_pushed(vec![seen[0].id], at(1)).await.unwrap();
    assert!(store.metrics(MetricsFilter::Unpushed).await.unwrap().is_empty());
    assert_eq!(store.metrics(MetricsFilter::All).await.unwrap()[0].pushed_at, Some(at(1)));
}

#[tokio::test]
async fn flush_takes_what_is_old_and_leaves_what_is_needed() {
    let bench = Bench::new();
    let store = &bench.store;
    let day = 86_400;
    store.record(vec![alert(1, vec![decision("1.1.1.1", 60)])], T0).await.unwrap();
    store.record(vec![alert(2, vec![decision("2.2.2.2", 30 * 86_400)])], T0).await.unwrap();
    store.record(vec![alert(3, Vec::new())], at(8 * day)).await.unwrap();
    let new =
        NewMachine { name: "m".to_owned(), ip: "10.0.0.1".to_owned(), ..NewMachine::default() };
    store.add_machine(new, T0).await.unwrap();
    let heard = MachineChange { last_heartbeat: Some(T0), ..MachineChange::default() };
    store.change_machine("m", heard, T0).await.unwrap();
    store.add_metrics(MetricsSource::LogProcessor, "m", "{}".to_owned(), T0).await.unwrap();
    let week = Some(Duration::from_secs(7 * 86_400));
    let retention = Retention {
        max_age: week,
        machines_password: week,
        metrics_max_age: week,
        ..Retention::default()
    };
    let pause = store.pause_flush();
    assert_eq!(store.flush(&retention, at(8 * day)).await.unwrap(), Flushed::default());
    drop(pause);
    let flushed = store.flush(&retention, at(8 * day)).await.unwrap();
    let want = Flushed { alerts: 1, machines: 1, metrics: 1, ..Flushed::default() };
    assert_eq!(flushed, want);
    assert_eq!(
        ids(store, AlertFilter::default()).await,
        [3, 2],
        "an active decision keeps its alert"
    );
    assert_eq!(bench.count("SELECT count(*) FROM events"), 2);
    assert_eq!(bench.count("SELECT count(*) FROM shieldwall_alert_facets WHERE alert_id = 1"), 0);
    let few = Retention { max_items: Some(1), ..Retention::default() };
    store.record(vec![alert(4, Vec::new()), alert(5, Vec::new())], at(8 * day)).await.unwrap();
    assert_eq!(store.flush(&few, at(8 * day)).await.unwrap().alerts, 1);
    assert_eq!(ids(store, AlertFilter::default()).await, [5, 4, 2]);
}

#[tokio::test]
async fn what_other_programs_write_is_taken_over() {
    let bench = Bench::new();
    let store = &bench.store;
    let mut watch = store.watch();
    let before = store.seq().unwrap();
    let tool = bench.open_beside(Index::None);
    tool.record(vec![alert(1, vec![decision("1.1.1.1", 3600), decision("2.2.2.2", 3600)])], T0)
        .await
        .unwrap();
    assert!(matches!(tool.seq(), Err(Error::NoIndex)));
    let active = || {
        let found = store.decisions(&DecisionFilter::default(), Page::default(), at(1)).unwrap();
        values(&found).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(active().is_empty());
    store.tick(at(1)).await.unwrap();
    assert_eq!(active(), ["1.1.1.1", "2.2.2.2"]);
    assert!(watch.has_changed().unwrap() && store.seq().unwrap() > before);
    watch.mark_unchanged();
    bench.sql("UPDATE decisions SET origin = 'CAPI' WHERE value = '1.1.1.1'");
    bench.sql(
        "INSERT INTO decisions (created_at, updated_at, until, scenario, type, scope, value, origin) \
         VALUES ('2023-11-14 22:13:20+00:00', '2023-11-14 22:13:20+00:00', '2033-11-14 22:13:20+00:00', \
         'by hand', 'ban', 'Ip', '3.3.3.3', 'cscli')",
    );
    store.tick(at(2)).await.unwrap();
    assert_eq!(active(), ["1.1.1.1", "2.2.2.2", "3.3.3.3"]);
    let capi = DecisionFilter { origins: vec!["CAPI".to_owned()], ..DecisionFilter::default() };
    assert_eq!(store.decisions(&capi, Page::default(), at(2)).unwrap().len(), 1);
    let community = AlertFilter { origin: Some("CAPI".to_owned()), ..AlertFilter::default() };
    assert_eq!(ids(store, community).await, [1], "the facet followed");
    bench.sql("DELETE FROM decisions WHERE value = '3.3.3.3'");
    store.tick(at(3)).await.unwrap();
    assert_eq!(active(), ["1.1.1.1", "2.2.2.2"]);
    assert!(watch.has_changed().unwrap());
    let last = store.seq().unwrap();
    let bench = bench.reopen(at(4));
    assert!(bench.store.seq().unwrap() >= last, "numbers go on after a restart");
}

#[tokio::test]
async fn requests_that_wait_share_a_transaction_and_fail_alone() {
    let bench = Bench::new();
    let machine = |n: usize| NewMachine { name: format!("m{}", n % 150), ..NewMachine::default() };
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let (store, machine) = (bench.store.clone(), machine(n));
            tokio::spawn(async move { store.add_machine(machine, T0).await })
        })
        .collect();
    let mut n_added = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => n_added += 1,
            Err(error) => assert!(matches!(error, Error::Exists { .. }), "{error}"),
        }
    }
    assert_eq!((n_added, bench.store.machines().await.unwrap().len()), (150, 150));
}
