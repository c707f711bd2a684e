//! The set against a model that looks at every decision for every address.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Two small corners of the address space, so that everything overlaps; at its very ends too.
fn addresses() -> Vec<IpAddr> {
    let v4 =
        (0..32u32).chain(u32::MAX - 15..=u32::MAX).map(|bits| IpAddr::from(bits.to_be_bytes()));
    let v6 =
        (0..16u128).chain(u128::MAX - 15..=u128::MAX).map(|bits| IpAddr::from(bits.to_be_bytes()));
    v4.chain(v6).collect()
}

fn net() -> impl Strategy<Value = IpNet> {
    let address = prop::sample::select(addresses());
    // Hosts, small networks, and now and then a very wide one.
    (address, prop_oneof![3 => Just(0u8), 5 => 1u8..6, 1 => 6u8..=128]).prop_map(|(address, up)| {
        let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
        IpNet::new(address, bits.saturating_sub(up)).unwrap().trunc()
    })
}

fn decision() -> impl Strategy<Value = Decision> {
    let kinds = prop::sample::select(vec!["ban", "captcha", "throttle", "odd"]);
    let origins = prop::sample::select(vec!["crowdsec", "lists:a"]);
    (0i64..24, net(), kinds, origins, 1i64..60).prop_map(|(id, net, kind, origin, until)| {
        Decision {
            id: DecisionId(id),
            net,
            remediation: kind.into(),
            origin: origin.into(),
            // Far enough apart that none counts as told again.
            until: Timestamp::from_unix(until * 10, 0),
        }
    })
}

fn removal() -> impl Strategy<Value = Removal> {
    let id = 0i64..24;
    prop_oneof![
        id.clone().prop_map(|id| Removal::Id(DecisionId(id))),
        (id, net()).prop_map(|(id, net)| Removal::Decision { id: DecisionId(id), net }),
        (net(), prop::option::of(Just("ban")), prop::option::of(Just("crowdsec"))).prop_map(
            |(net, remediation, origin)| Removal::Value {
                net,
                remediation: remediation.map(Into::into),
                origin: origin.map(Into::into),
            }
        ),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Apply(Vec<Removal>, Vec<Decision>),
    Wait(i64),
    Allow(Vec<IpNet>),
    Replace(Vec<Decision>),
}

fn step() -> impl Strategy<Value = Step> {
    let removals = prop::collection::vec(removal(), 0..3);
    prop_oneof![
        6 => (removals, prop::collection::vec(decision(), 0..6)).prop_map(|(a, b)| Step::Apply(a, b)),
        2 => (1i64..200).prop_map(Step::Wait),
        1 => prop::collection::vec(net(), 0..3).prop_map(Step::Allow),
        1 => prop::collection::vec(decision(), 0..10).prop_map(Step::Replace),
    ]
}

/// Every decision, and nothing derived from it.
#[derive(Default)]
struct Naive {
    decisions: Vec<Decision>,
    allowed: Vec<IpNet>,
}

impl Naive {
    fn add(&mut self, decision: &Decision, now: Timestamp) {
        if decision.until <= now {
            return;
        }
        self.decisions.retain(|old| (old.id, old.net) != (decision.id, decision.net));
        self.decisions.push(decision.clone());
    }

    /// What an `Id` removal may have removed: numbers may repeat here, and then any one goes.
    fn remove(&mut self, removal: &Removal) {
        match removal {
            Removal::Id(id) => self.decisions.retain(|old| old.id != *id),
            Removal::Decision { id, net } => {
                self.decisions.retain(|old| (old.id, old.net) != (*id, *net));
            }
            Removal::Value { net, remediation, origin } => self.decisions.retain(|old| {
                old.net != *net
                    || remediation.as_ref().is_some_and(|kind| old.remediation != *kind)
                    || origin.as_ref().is_some_and(|origin| old.origin != *origin)
            }),
        }
    }

    fn verdict(&self, address: IpAddr, now: Timestamp) -> Option<(u8, Timestamp)> {
        if self.allowed.iter().any(|net| net.contains(&address)) {
            return None;
        }
        let covering = self.decisions.iter().filter(|held| held.net.contains(&address));
        covering
            .filter(|held| held.until > now)
            .map(|held| (strength(&held.remediation), held.until))
            .max()
    }
}

fn strength(kind: &str) -> u8 {
    match kind {
        "ban" => 30,
        "captcha" => 20,
        "throttle" => 10,
        _ => 0,
    }
}

/// A back-end that knows nothing but the changes it was told.
#[derive(Default)]
struct Mirror<A: Address> {
    hosts: BTreeMap<A, Effect>,
    spans: BTreeMap<(A, A), Effect>,
}

impl<A: Address> Mirror<A> {
    fn take(&mut self, add: &Entries<A>, extend: &Entries<A>, remove: &Entries<A>) {
        for host in &remove.hosts {
            assert!(self.hosts.remove(&host.address).is_some(), "removed and not there: {host:?}");
        }
        for span in &remove.spans {
            let gone = self.spans.remove(&(span.first, span.last));
            assert!(gone.is_some(), "removed and not there: {span:?}");
        }
        for host in &extend.hosts {
            let before = self.hosts.insert(host.address, host.effect);
            assert_ne!(before.expect("extended and not there"), host.effect, "no news");
        }
        for span in &extend.spans {
            let before = self.spans.insert((span.first, span.last), span.effect);
            assert_ne!(before.expect("extended and not there"), span.effect, "no news");
        }
        for host in &add.hosts {
            assert!(self.hosts.insert(host.address, host.effect).is_none(), "there: {host:?}");
        }
        for span in &add.spans {
            let before = self.spans.insert((span.first, span.last), span.effect);
            assert!(before.is_none(), "there: {span:?}");
        }
        let mut end = None;
        for (first, last) in self.spans.keys() {
            assert!(first <= last && end.is_none_or(|end| end < *first), "spans overlap");
            end = Some(*last);
        }
    }

    fn verdict(&self, address: A, now: Timestamp, labels: &Labels) -> Option<(u8, Timestamp)> {
        let span =
            self.spans.iter().find(|((first, last), _)| *first <= address && address <= *last);
        let effects = self.hosts.get(&address).into_iter().chain(span.map(|(_, effect)| effect));
        effects
            .filter(|effect| !effect.until.is_over(now))
            .map(|effect| {
                (strength(labels.remediation(effect.remediation)), effect.until.timestamp())
            })
            .max()
    }

    fn as_entries(&self, now: Timestamp) -> Entries<A> {
        let hosts =
            self.hosts.iter().map(|(address, effect)| Host { address: *address, effect: *effect });
        let spans = self.spans.iter().map(|((first, last), effect)| Span {
            first: *first,
            last: *last,
            effect: *effect,
        });
        Entries {
            hosts: hosts.filter(|host| !host.effect.until.is_over(now)).collect(),
            spans: spans.filter(|span| !span.effect.until.is_over(now)).collect(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever happens in whatever order, the set, and a back-end that only heard of changes,
    /// say of every address what the model says.
    #[test]
    fn agrees_with_a_naive_model(steps in prop::collection::vec(step(), 1..24)) {
        let mut now = Timestamp::from_unix(1, 0);
        let mut set = DecisionSet::new(&Settings::default());
        let mut naive = Naive::default();
        let (mut v4, mut v6) = (Mirror::<u32>::default(), Mirror::<u128>::default());
        for step in steps {
            let change = match step {
                Step::Apply(remove, add) => {
                    // A number lies about one value only, as it does in a feed, so that removing
                    // by number alone has one meaning.
                    let add: Vec<Decision> = add.into_iter().filter(|new| {
                        naive.decisions.iter().all(|old| old.id != new.id || old.net == new.net)
                    }).fold(Vec::new(), |mut kept: Vec<Decision>, new| {
                        if kept.iter().all(|old| old.id != new.id || old.net == new.net) {
                            kept.push(new);
                        }
                        kept
                    });
                    for removal in &remove {
                        naive.remove(removal);
                    }
                    for decision in &add {
                        naive.add(decision, now);
                    }
                    set.apply(&Delta { remove, add }, now)
                }
                Step::Wait(seconds) => {
                    now = now.plus_nanos(seconds * 1_000_000_000);
                    set.expire(now)
                }
                Step::Allow(nets) => {
                    naive.allowed.clone_from(&nets);
                    let early = set.expire(now);
                    prop_assert!(early.is_empty(), "time has not moved");
                    set.set_allowed(&nets)
                }
                Step::Replace(add) => {
                    naive.decisions.clear();
                    let mut fresh = set.empty_twin();
                    for decision in &add {
                        if naive.decisions.iter().all(|old| old.id != decision.id) {
                            naive.add(decision, now);
                            drop(fresh.apply(&Delta { add: vec![decision.clone()], ..Delta::default() }, now));
                        }
                    }
                    set.replace(fresh, now)
                }
            };
            naive.decisions.retain(|held| held.until > now);
            v4.take(&change.add.v4, &change.extend.v4, &change.remove.v4);
            v6.take(&change.add.v6, &change.extend.v6, &change.remove.v6);
            for address in addresses() {
                let want = naive.verdict(address, now);
                let got = set.lookup(address, now).map(|effect| {
                    (strength(set.labels().remediation(effect.remediation)), effect.until.timestamp())
                });
                prop_assert_eq!(got, want, "lookup of {}", address);
                let told = match address {
                    IpAddr::V4(address) => v4.verdict(address.to_bits(), now, set.labels()),
                    IpAddr::V6(address) => v6.verdict(address.to_bits(), now, set.labels()),
                };
                prop_assert_eq!(told, want, "what the changes told of {}", address);
            }
            let wanted = set.wanted(now).entries;
            prop_assert_eq!(&v4.as_entries(now), &wanted.v4);
            prop_assert_eq!(&v6.as_entries(now), &wanted.v6);
            // Joined networks hold the same addresses, each once.
            let nets = wanted.aggregated();
            for address in addresses() {
                let n = nets.iter().filter(|net| net.contains(&address)).count();
                prop_assert_eq!(n, usize::from(naive.verdict(address, now).is_some()), "{}", address);
            }
            prop_assert_eq!(set.len(), naive.decisions.len());
        }
    }
}

fn ban(id: i64, net: &str, until: i64) -> Decision {
    Decision {
        id: DecisionId(id),
        net: model::parse_target(net).unwrap(),
        remediation: "ban".into(),
        origin: "crowdsec".into(),
        until: Timestamp::from_unix(until, 0),
    }
}

fn add(decisions: &[Decision]) -> Delta {
    Delta { remove: Vec::new(), add: decisions.to_vec() }
}

#[test]
fn neighbors_become_one_span_and_part_again() {
    let now = Timestamp::from_unix(0, 0);
    let mut set = DecisionSet::new(&Settings::default());
    let change = set.apply(&add(&[ban(1, "10.0.0.0/25", 100), ban(2, "10.0.0.128/25", 100)]), now);
    let spans = &change.add.v4.spans;
    assert_eq!(spans.len(), 1);
    assert_eq!(
        (spans[0].first.to_ip(), spans[0].last.to_ip()),
        ("10.0.0.0".parse().unwrap(), "10.0.0.255".parse().unwrap())
    );
    assert_eq!(set.wanted(now).entries.aggregated(), ["10.0.0.0/24".parse().unwrap()]);
    let gone = Removal::Id(DecisionId(1));
    let change = set.apply(&Delta { remove: vec![gone], add: Vec::new() }, now);
    assert_eq!((change.add.len(), change.remove.len()), (1, 1));
}

#[test]
fn told_again_is_no_news() {
    let now = Timestamp::from_unix(0, 0);
    let mut set = DecisionSet::new(&Settings::default());
    let first = add(&[ban(1, "192.0.2.1", 100), ban(2, "198.51.100.0/24", 100)]);
    assert_eq!(set.apply(&first, now).add.len(), 2);
    let again = add(&[ban(1, "192.0.2.1", 101), ban(2, "198.51.100.0/24", 99)]);
    assert!(set.apply(&again, now).is_empty());
    let mut fresh = set.empty_twin();
    drop(fresh.apply(&again, now));
    assert!(set.replace(fresh, now).is_empty());
    let longer = set.apply(&add(&[ban(1, "192.0.2.1", 200)]), now);
    assert_eq!((longer.add.len(), longer.extend.len(), longer.remove.len()), (0, 1, 0));
}

#[test]
fn a_shorter_decision_ends_unseen_and_a_longer_one_takes_over() {
    let mut set = DecisionSet::new(&Settings::default());
    let at = |seconds| Timestamp::from_unix(seconds, 0);
    drop(set.apply(&add(&[ban(1, "192.0.2.1", 100), ban(2, "192.0.2.1", 50)]), at(0)));
    assert!(set.expire(at(60)).is_empty());
    assert_eq!(set.len(), 1);
    let mut captcha = ban(3, "192.0.2.1", 500);
    captcha.remediation = "captcha".into();
    assert!(set.apply(&add(&[captcha]), at(60)).is_empty(), "weaker, so not in effect");
    let change = set.expire(at(100));
    assert_eq!((change.remove.len(), change.add.len()), (1, 1));
    let effect = set.lookup("192.0.2.1".parse().unwrap(), at(100)).unwrap();
    assert_eq!(set.labels().remediation(effect.remediation), "captcha");
}

#[test]
fn is_bounded() {
    let now = Timestamp::from_unix(0, 0);
    let mut set = DecisionSet::new(&Settings { limit: 2, ..Settings::default() });
    let change = set.apply(
        &add(&[ban(1, "192.0.2.1", 90), ban(2, "192.0.2.2", 90), ban(3, "192.0.2.3", 90)]),
        now,
    );
    assert_eq!((change.add.len(), change.n_refused), (2, 1));
    let change = set.apply(&add(&[ban(2, "192.0.2.2", 190)]), now);
    assert_eq!((change.extend.len(), change.n_refused), (1, 0), "one that is known may change");
    // One decision told again and again with another end does not grow what is kept about time.
    for until in 0..20_000 {
        drop(set.apply(&add(&[ban(1, "192.0.2.1", 100 + 10 * until)]), now));
    }
    assert_eq!(set.len(), 2);
    let many_origins = (0..5000).map(|n| Decision {
        origin: format!("lists:{n}").into(),
        ..ban(1, "192.0.2.1", 1_000_000 + 10 * n)
    });
    for decision in many_origins {
        drop(set.apply(&add(&[decision]), now));
    }
    assert!(set.labels().origins().len() <= 4096);
}
