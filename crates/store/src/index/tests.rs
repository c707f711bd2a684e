//! The index against a plain list that answers every question by looking at everything.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{DecisionFilter, Dedup, Page, Simulated};

const NOW: Timestamp = Timestamp::from_unix_nanos(1_000);

/// What may happen to the decisions.
#[derive(Clone, Debug)]
enum Step {
    Set { id: i64, target: u8, sort: u8, until: i64 },
    End(i64),
    Tell(i64),
    Remove(i64),
    Advance(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = 1..40i64;
    let step = prop_oneof![
        8 => (id.clone(), any::<u8>(), 0..6u8, 1_001..1_040i64)
            .prop_map(|(id, target, sort, until)| Step::Set { id, target, sort, until }),
        1 => id.clone().prop_map(Step::End),
        1 => id.clone().prop_map(Step::Tell),
        1 => id.prop_map(Step::Remove),
        1 => (1_001..1_040i64).prop_map(Step::Advance),
    ];
    prop::collection::vec(step, 1..120)
}

/// Few targets, nested in each other, so that they meet.
fn target(n: u8) -> (Scope, String) {
    let other = |scope: &str| Scope::Other(scope.to_owned());
    match n % 16 {
        0 => (Scope::Range, "0.0.0.0/0".to_owned()),
        1 => (Scope::Range, "10.0.0.0/8".to_owned()),
        2 => (Scope::Range, "10.1.0.0/16".to_owned()),
        3 => (Scope::Range, "10.1.2.0/24".to_owned()),
        4 => (Scope::Ip, "10.1.2.3".to_owned()),
        5 => (Scope::Ip, "10.1.2.4".to_owned()),
        6 => (Scope::Ip, "255.255.255.255".to_owned()),
        7 => (Scope::Range, "2001:db8::/32".to_owned()),
        8 => (Scope::Range, "2001:db8:0:1::/64".to_owned()),
        9 => (Scope::Range, "2001:db8:0:1::/81".to_owned()),
        10 => (Scope::Ip, "2001:db8:0:1::1".to_owned()),
        11 => (Scope::Ip, "2001:db8:0:1:8000::".to_owned()),
        12 => (other("Country"), "FR".to_owned()),
        13 => (other("username"), "10.1.2.3".to_owned()),
        // Spelled as only a hand-written row would.
        14 => (Scope::Range, "10.1.2.9/24".to_owned()),
        _ => (Scope::Ip, "2001:DB8:0:1::1".to_owned()),
    }
}

fn entry(id: i64, n: u8, sort: u8, until: i64, seq: u64) -> Entry {
    let (scope, value) = target(n);
    let net =
        matches!(scope, Scope::Ip | Scope::Range).then(|| model::parse_target(&value).unwrap());
    let decision = Decision {
        id: DecisionId(id),
        uuid: (id % 2 == 0).then_some(Uuid(id as u128)),
        origin: if sort.is_multiple_of(2) { "crowdsec".into() } else { "CAPI".into() },
        scenario: format!("s/{}", sort % 3).into(),
        remediation: if sort.is_multiple_of(3) { "captcha".into() } else { "ban".into() },
        scope,
        value,
        until: Timestamp::from_unix_nanos(until),
        simulated: sort == 5,
    };
    Entry { decision, net, seq: Seq(seq) }
}

/// The same as the filter says, one decision at a time, from its texts.
fn wanted(filter: &DecisionFilter, decision: &Decision) -> bool {
    let net = match decision.scope {
        Scope::Ip | Scope::Range => model::parse_target(&decision.value).ok(),
        Scope::Other(_) => None,
    };
    let net_fits = filter.net.is_none_or(|(asked, relation)| {
        net.is_some_and(|net| match relation {
            Relation::Contains => net.contains(&asked),
            Relation::Inside => asked.contains(&net),
        })
    });
    let value_fits = filter.value.as_ref().is_none_or(|value| match net {
        Some(net) => model::parse_target(value).is_ok_and(|asked| asked == net),
        None => *value == decision.value,
    });
    net_fits
        && value_fits
        && (filter.simulated == Simulated::Included || !decision.simulated)
        && (filter.scopes.is_empty() || filter.scopes.contains(&decision.scope))
        && (filter.origins.is_empty() || filter.origins.iter().any(|one| **one == *decision.origin))
        && filter.remediation.as_ref().is_none_or(|one| **one == *decision.remediation)
        && (filter.scenarios_containing.is_empty()
            || filter
                .scenarios_containing
                .iter()
                .any(|one| decision.scenario.contains(one.as_str())))
}

fn filters() -> Vec<DecisionFilter> {
    let mut filters = vec![
        DecisionFilter::default(),
        DecisionFilter { simulated: Simulated::Included, ..DecisionFilter::default() },
        DecisionFilter { origins: vec!["CAPI".to_owned()], ..DecisionFilter::default() },
        DecisionFilter { remediation: Some("ban".to_owned()), ..DecisionFilter::default() },
        DecisionFilter { scopes: vec![Scope::Ip, Scope::Range], ..DecisionFilter::default() },
        DecisionFilter { scenarios_containing: vec!["1".to_owned()], ..DecisionFilter::default() },
    ];
    for n in 0..16 {
        let (_, value) = target(n);
        filters.push(DecisionFilter { value: Some(value.clone()), ..DecisionFilter::default() });
        if let Ok(net) = model::parse_target(&value) {
            for relation in [Relation::Contains, Relation::Inside] {
                filters.push(DecisionFilter {
                    net: Some((net, relation)),
                    ..DecisionFilter::default()
                });
            }
        }
    }
    filters
}

/// What the index should be: entries by number.
type Naive = BTreeMap<i64, Entry>;

fn play(steps: &[Step]) -> (Index, Naive, Timestamp, u64) {
    let mut index = Index::new(Timestamp::MIN, Seq(0));
    let mut naive = Naive::new();
    let mut now = NOW;
    let mut seq = 0;
    for step in steps {
        seq += 1;
        match *step {
            Step::Set { id, target, sort, until } => {
                index.apply(Change::Set(entry(id, target, sort, until, seq)));
                naive.insert(id, entry(id, target, sort, until, seq));
            }
            Step::End(id) => {
                index.apply(Change::End { id, until: now, seq: Seq(seq) });
                naive.remove(&id);
            }
            Step::Tell(id) => {
                index.apply(Change::Tell { id, seq: Seq(seq) });
                if let Some(entry) = naive.get_mut(&id) {
                    entry.seq = Seq(seq);
                }
            }
            Step::Remove(id) => {
                index.apply(Change::Remove { id });
                naive.remove(&id);
            }
            Step::Advance(to) => {
                now = now.max(Timestamp::from_unix_nanos(to));
                while index.advance(now) == Advance::More {}
                naive.retain(|_, entry| entry.decision.until > now);
            }
        }
    }
    (index, naive, now, seq)
}

/// What the store answers, asked step by step as it does.
fn answer(index: &Index, filter: &Prepared, mut page: Page, now: Timestamp) -> Vec<Decision> {
    index.select(filter, page, now).unwrap_or_else(|| {
        let mut found = Vec::new();
        while index.scan(filter, &mut page, now, &mut found) == Scanned::Some {}
        found
    })
}

#[test]
fn a_wide_question_is_answered_in_steps() {
    let mut index = Index::new(Timestamp::MIN, Seq(0));
    let n = i64::try_from(WIDE * 2 + 100).unwrap();
    for id in 1..=n {
        let mut entry = entry(id, 4, i64::from(id % 1000 == 0) as u8, 2_000, 1);
        entry.decision.value = Ipv4Addr::from_bits(id as u32).to_string();
        entry.net = model::parse_target(&entry.decision.value).ok();
        index.apply(Change::Set(entry));
    }
    let ids = |page: Vec<Decision>| page.iter().map(|one| one.id.0).collect::<Vec<_>>();
    let all = DecisionFilter { simulated: Simulated::Included, ..DecisionFilter::default() };
    let inside = DecisionFilter {
        net: Some((model::parse_target("0.0.0.0/0").unwrap(), Relation::Inside)),
        ..all.clone()
    };
    for filter in [all, inside] {
        let filter = Prepared::new(filter);
        assert!(index.select(&filter, Page::default(), NOW).is_none(), "it is not one step");
        let mut page = Page::default();
        assert_eq!(index.scan(&filter, &mut page, NOW, &mut Vec::new()), Scanned::Some);
        assert_eq!(ids(answer(&index, &filter, Page::default(), NOW)), (1..=n).collect::<Vec<_>>());
        let page = Page { id_gt: Some(100), offset: WIDE, limit: Some(2) };
        let first = 101 + i64::try_from(WIDE).unwrap();
        assert_eq!(ids(answer(&index, &filter, page, NOW)), [first, first + 1]);
    }
    let rare = DecisionFilter { origins: vec!["CAPI".to_owned()], ..DecisionFilter::default() };
    let thousands: Vec<i64> = (1..=n).filter(|id| id % 1000 == 0).collect();
    assert_eq!(ids(answer(&index, &Prepared::new(rare), Page::default(), NOW)), thousands);
    let none = DecisionFilter { origins: vec!["x".to_owned()], ..DecisionFilter::default() };
    let (none, mut page) = (Prepared::new(none), Page::default());
    assert_eq!(index.scan(&none, &mut page, NOW, &mut Vec::new()), Scanned::All);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn answers_as_a_plain_list_would(steps in steps()) {
        let (index, naive, now, seq) = play(&steps);
        prop_assert_eq!(index.len(), naive.len());
        for filter in filters() {
            let prepared = Prepared::new(filter.clone());
            let want: Vec<&Entry> = naive
                .values()
                .filter(|entry| entry.decision.until > now && wanted(&filter, &entry.decision))
                .collect();
            let decisions: Vec<Decision> = want.iter().map(|entry| entry.decision.clone()).collect();
            prop_assert_eq!(answer(&index, &prepared, Page::default(), now), decisions, "{:?}", &filter);

            // The stream: by change, the longest of each target, scope and remediation. Two
            // spellings of an address are one target.
            let target = |decision: &Decision| {
                let net = match decision.scope {
                    Scope::Ip | Scope::Range => model::parse_target(&decision.value).ok(),
                    Scope::Other(_) => None,
                };
                (net, net.is_none().then(|| decision.value.clone()))
            };
            let after = seq / 2;
            let mut longest: Vec<&&Entry> = want
                .iter()
                .filter(|entry| entry.seq.0 > after)
                .filter(|entry| {
                    !want.iter().any(|other| {
                        target(&other.decision) == target(&entry.decision)
                            && other.decision.scope == entry.decision.scope
                            && other.decision.remediation == entry.decision.remediation
                            && other.decision.until > entry.decision.until
                    })
                })
                .collect();
            longest.sort_by_key(|entry| (entry.seq, entry.decision.id));
            let ids: Vec<DecisionId> = longest.iter().map(|entry| entry.decision.id).collect();
            let ask = Changed {
                after: (after, i64::MAX),
                through: Seq(seq),
                filter: &prepared,
                dedup: Dedup::Longest,
            };
            let (changed, next) = index.changed(&ask, now);
            prop_assert_eq!(next, None);
            prop_assert_eq!(changed.iter().map(|d| d.id).collect::<Vec<_>>(), ids, "{:?}", &filter);
        }
    }
}

#[test]
fn pages_are_whole_and_bounded() {
    let mut index = Index::new(Timestamp::MIN, Seq(0));
    for id in 1..=5000 {
        let mut entry = entry(id, 12, 1, 2_000, 7);
        entry.decision.value = format!("country {id}");
        index.apply(Change::Set(entry));
    }
    let filter = Prepared::new(DecisionFilter::default());
    let mut after = (0, i64::MIN);
    let mut ids = Vec::new();
    loop {
        let ask = Changed { after, through: Seq(7), filter: &filter, dedup: Dedup::Longest };
        let (page, next) = index.changed(&ask, NOW);
        assert!(page.len() <= 4 * STRIDE, "one page of {}", page.len());
        ids.extend(page.iter().map(|decision| decision.id.0));
        let Some(next) = next else { break };
        after = next;
    }
    assert_eq!(ids, (1..=5000).collect::<Vec<_>>());
    let page = Page { id_gt: Some(10), offset: 5, limit: Some(3) };
    let page = answer(&index, &filter, page, NOW);
    assert_eq!(page.iter().map(|decision| decision.id.0).collect::<Vec<_>>(), [16, 17, 18]);
}

#[test]
fn a_record_is_small() {
    assert_eq!(size_of::<Record>(), 72);
}
