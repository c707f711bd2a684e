//! What an enforcer is told, poll after poll.

use super::*;
use crate::tests::{Bench, T0, alert, at, decision, values};
use crate::{AlertId, BouncerChange, NewBouncer, Recorded, Retention};

/// An enforcer: what it was told last.
struct Enforcer {
    cursor: Option<Cursor>,
    filter: DecisionFilter,
}

impl Enforcer {
    fn new() -> Self {
        Self { cursor: None, filter: DecisionFilter::default() }
    }

    async fn poll(&mut self, bench: &Bench, now: Timestamp) -> (Vec<String>, Vec<String>) {
        let from = self.cursor.map_or(From::Startup, From::After);
        let mut stream =
            bench.store.stream(from, self.filter.clone(), Dedup::Longest, now).unwrap();
        let (mut new, mut deleted) = (Vec::new(), Vec::new());
        while let Some(page) = stream.next_new() {
            new.extend(page);
        }
        while let Some(page) = stream.next_deleted().await.unwrap() {
            deleted.extend(page);
        }
        self.cursor = Some(stream.cursor());
        let own =
            |decisions: &[Decision]| values(decisions).into_iter().map(str::to_owned).collect();
        (own(&new), own(&deleted))
    }
}

async fn ban(bench: &Bench, n: u128, value: &str, seconds: u64, now: Timestamp) -> Recorded {
    let recorded = bench.store.record(vec![alert(n, vec![decision(value, seconds)])], now).await;
    recorded.unwrap().remove(0)
}

fn told(new: &[&str], deleted: &[&str]) -> (Vec<String>, Vec<String>) {
    let own = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    (own(new), own(deleted))
}

#[tokio::test]
async fn a_delta_tells_what_changed_and_no_more() {
    let bench = Bench::new();
    let mut enforcer = Enforcer::new();
    ban(&bench, 1, "1.1.1.1", 100, T0).await;
    ban(&bench, 2, "2.2.2.2", 20, T0).await;
    assert_eq!(enforcer.poll(&bench, at(1)).await, told(&["1.1.1.1", "2.2.2.2"], &[]));
    assert_eq!(enforcer.poll(&bench, at(2)).await, told(&[], &[]));
    ban(&bench, 3, "3.3.3.3", 100, at(3)).await;
    assert_eq!(enforcer.poll(&bench, at(4)).await, told(&["3.3.3.3"], &[]));
    assert_eq!(enforcer.poll(&bench, at(20)).await, told(&[], &["2.2.2.2"]), "it ended by itself");
    let ended = DecisionFilter { value: Some("1.1.1.1".to_owned()), ..DecisionFilter::default() };
    bench.store.expire(ended, at(30)).await.unwrap();
    assert_eq!(enforcer.poll(&bench, at(31)).await, told(&[], &["1.1.1.1"]), "somebody ended it");
    assert_eq!(enforcer.poll(&bench, at(32)).await, told(&[], &[]), "nothing is told twice");
    let mut late = Enforcer::new();
    assert_eq!(late.poll(&bench, at(33)).await, told(&["3.3.3.3"], &["1.1.1.1", "2.2.2.2"]));
}

#[tokio::test]
async fn an_end_is_told_even_when_it_was_slow_to_be_written() {
    let bench = Bench::new();
    let mut enforcer = Enforcer::new();
    ban(&bench, 1, "1.1.1.1", 1000, T0).await;
    enforcer.poll(&bench, at(100)).await;
    // Asked for at 50, written after the poll at 100.
    bench.store.expire(DecisionFilter::default(), at(50)).await.unwrap();
    assert_eq!(enforcer.poll(&bench, at(101)).await, told(&[], &["1.1.1.1"]));
}

#[tokio::test]
async fn the_longest_wins_and_covers_the_others() {
    let bench = Bench::new();
    let mut enforcer = Enforcer::new();
    ban(&bench, 1, "1.1.1.1", 100, T0).await;
    enforcer.poll(&bench, at(1)).await;
    ban(&bench, 2, "1.1.1.1", 50, at(2)).await;
    assert_eq!(enforcer.poll(&bench, at(3)).await, told(&[], &[]), "a shorter one is not told");
    ban(&bench, 3, "1.1.1.1", 500, at(4)).await;
    assert_eq!(enforcer.poll(&bench, at(5)).await, told(&["1.1.1.1"], &[]), "a longer one is");
    assert_eq!(enforcer.poll(&bench, at(120)).await, told(&[], &[]), "the longer one still covers");
    assert_eq!(enforcer.poll(&bench, at(500)).await, told(&[], &["1.1.1.1"]));
}

#[tokio::test]
async fn what_was_hidden_is_told_when_the_longer_one_is_lifted() {
    let bench = Bench::new();
    let mut enforcer = Enforcer::new();
    ban(&bench, 1, "1.1.1.1", 100, T0).await;
    let longer = ban(&bench, 2, "1.1.1.1", 5000, T0).await;
    enforcer.poll(&bench, at(1)).await;
    let Recorded::Stored { decisions, .. } = longer else { panic!() };
    bench.store.expire_one(decisions[0], at(2)).await.unwrap();
    let mut stream = bench
        .store
        .stream(
            From::After(enforcer.cursor.unwrap()),
            DecisionFilter::default(),
            Dedup::Longest,
            at(3),
        )
        .unwrap();
    let new = stream.next_new().unwrap();
    assert_eq!((new.len(), new[0].until), (1, at(100)), "the ban is shorter from now on");
    while let Some(page) = stream.next_deleted().await.unwrap() {
        assert!(page.is_empty(), "it is still banned");
    }
}

async fn captcha(bench: &Bench, n: u128, value: &str, seconds: u64) {
    let mut captcha = decision(value, seconds);
    captcha.remediation = "captcha".to_owned();
    bench.store.record(vec![alert(n, vec![captcha])], T0).await.unwrap();
}

#[tokio::test]
async fn what_survives_under_another_remediation_is_told_in_the_next_answer() {
    let bench = Bench::new();
    let (mut prompt, mut late) = (Enforcer::new(), Enforcer::new());
    ban(&bench, 1, "1.1.1.1", 500, T0).await;
    captcha(&bench, 2, "1.1.1.1", 100).await;
    for enforcer in [&mut prompt, &mut late] {
        assert_eq!(enforcer.poll(&bench, at(1)).await, told(&["1.1.1.1", "1.1.1.1"], &[]));
    }
    let bans = DecisionFilter { remediation: Some("ban".to_owned()), ..DecisionFilter::default() };
    bench.store.expire(bans, at(2)).await.unwrap();
    assert_eq!(prompt.poll(&bench, at(3)).await, told(&[], &["1.1.1.1"]));
    assert_eq!(prompt.poll(&bench, at(4)).await, told(&["1.1.1.1"], &[]), "the captcha stays");
    assert_eq!(prompt.poll(&bench, at(5)).await, told(&[], &[]));
    // Who asks after both is told in two answers all the same, and of what came later as well.
    ban(&bench, 3, "2.2.2.2", 500, at(6)).await;
    assert_eq!(late.poll(&bench, at(7)).await, told(&[], &["1.1.1.1"]));
    assert_eq!(late.poll(&bench, at(8)).await, told(&["1.1.1.1", "2.2.2.2"], &[]));
    assert_eq!(late.poll(&bench, at(9)).await, told(&[], &[]));
    assert_eq!(prompt.poll(&bench, at(101)).await, told(&["2.2.2.2"], &["1.1.1.1"]));
}

#[tokio::test]
async fn what_survives_an_end_by_time_is_told_in_the_next_answer() {
    let bench = Bench::new();
    let (mut prompt, mut late) = (Enforcer::new(), Enforcer::new());
    ban(&bench, 1, "1.1.1.1", 50, T0).await;
    captcha(&bench, 2, "1.1.1.1", 100).await;
    // Another ban covers this one: nothing has to be told when the first ends.
    ban(&bench, 3, "2.2.2.2", 50, T0).await;
    ban(&bench, 4, "2.2.2.2", 500, T0).await;
    captcha(&bench, 5, "2.2.2.2", 500).await;
    for enforcer in [&mut prompt, &mut late] {
        enforcer.poll(&bench, at(1)).await;
    }
    assert_eq!(prompt.poll(&bench, at(50)).await, told(&[], &["1.1.1.1"]), "before the tick");
    bench.store.tick(at(51)).await.unwrap();
    let mut again = Vec::new();
    for second in 52..55 {
        let (new, deleted) = prompt.poll(&bench, at(second)).await;
        assert!(deleted.is_empty());
        again.extend(new);
    }
    assert_eq!(again, ["1.1.1.1"], "once");
    assert_eq!(late.poll(&bench, at(60)).await, told(&[], &["1.1.1.1"]));
    assert_eq!(late.poll(&bench, at(61)).await, told(&["1.1.1.1"], &[]));
    assert_eq!(late.poll(&bench, at(62)).await, told(&[], &[]));
}

#[tokio::test]
async fn a_startup_tells_the_longest_of_each_ended_target_once() {
    let bench = Bench::new();
    for n in 0..40u32 {
        let value = format!("10.0.0.{}", n % 20);
        ban(&bench, u128::from(n) + 1, &value, 10 + u64::from(n), T0).await;
    }
    ban(&bench, 100, "10.0.0.3", 1000, T0).await;
    let mut stream = bench
        .store
        .stream(From::Startup, DecisionFilter::default(), Dedup::Longest, at(60))
        .unwrap();
    while stream.next_new().is_some() {}
    let mut deleted = Vec::new();
    while let Some(page) = stream.next_deleted().await.unwrap() {
        deleted.extend(page);
    }
    // All but the one that is banned still, each with the later of its two ends.
    assert_eq!(deleted.len(), 19);
    assert!(deleted.iter().all(|one| one.until >= at(30)), "{deleted:?}");
}

#[tokio::test]
async fn a_filter_judges_alone() {
    let bench = Bench::new();
    let mut capi = decision("1.1.1.1", 50);
    capi.origin = "CAPI".to_owned();
    bench.store.record(vec![alert(1, vec![capi])], T0).await.unwrap();
    ban(&bench, 2, "1.1.1.1", 500, T0).await;
    let mut enforcer = Enforcer::new();
    enforcer.filter.origins = vec!["CAPI".to_owned()];
    assert_eq!(
        enforcer.poll(&bench, at(1)).await,
        told(&["1.1.1.1"], &[]),
        "the longer one is not its business"
    );
    assert_eq!(enforcer.poll(&bench, at(60)).await, told(&[], &["1.1.1.1"]));
}

#[tokio::test]
async fn a_restart_loses_nothing() {
    let bench = Bench::new();
    let mut enforcer = Enforcer::new();
    for (n, value) in [(1, "1.1.1.1"), (2, "2.2.2.2"), (3, "3.3.3.3")] {
        ban(&bench, n, value, 100 * u64::try_from(n).unwrap(), T0).await;
    }
    enforcer.poll(&bench, at(1)).await;
    ban(&bench, 4, "4.4.4.4", 1000, at(2)).await;
    let ended = DecisionFilter { value: Some("3.3.3.3".to_owned()), ..DecisionFilter::default() };
    bench.store.expire(ended, at(3)).await.unwrap();
    // 1.1.1.1 ends while nobody runs.
    let bench = bench.reopen(at(150));
    assert_eq!(enforcer.poll(&bench, at(151)).await, told(&["4.4.4.4"], &["1.1.1.1", "3.3.3.3"]));
    assert_eq!(enforcer.poll(&bench, at(160)).await, told(&[], &[]));
}

#[tokio::test]
async fn deleting_an_alert_lifts_its_bans() {
    let bench = Bench::new();
    let mut enforcer = Enforcer::new();
    ban(&bench, 1, "1.1.1.1", 1000, T0).await;
    enforcer.poll(&bench, at(1)).await;
    bench.store.delete_alert(AlertId(1), at(2)).await.unwrap();
    assert_eq!(enforcer.poll(&bench, at(3)).await, told(&[], &["1.1.1.1"]));
}

#[tokio::test]
async fn an_end_stays_on_record_until_bouncers_have_heard() {
    let bench = Bench::new();
    let bouncer = NewBouncer { name: "fw".to_owned(), ..NewBouncer::default() };
    let bouncer = bench.store.add_bouncer(bouncer, T0).await.unwrap();
    let mut enforcer = Enforcer::new();
    ban(&bench, 1, "1.1.1.1", 100, T0).await;
    enforcer.poll(&bench, at(10)).await;
    let read = |cursor| BouncerChange { cursor, ..BouncerChange::default() };
    bench.store.change_bouncer(bouncer.id, read(enforcer.cursor), at(10)).await.unwrap();
    let all = Retention { max_age: Some(std::time::Duration::ZERO), ..Retention::default() };
    assert_eq!(bench.store.flush(&all, at(200)).await.unwrap().alerts, 0);
    assert_eq!(enforcer.poll(&bench, at(201)).await, told(&[], &["1.1.1.1"]));
    bench.store.change_bouncer(bouncer.id, read(enforcer.cursor), at(201)).await.unwrap();
    assert_eq!(bench.store.flush(&all, at(202)).await.unwrap().alerts, 1);
}

#[tokio::test]
async fn many_are_streamed_in_pages() {
    let bench = Bench::new();
    let many =
        (0..5000u32).map(|n| decision(&std::net::Ipv4Addr::from_bits(n << 8).to_string(), 100));
    bench.store.record(vec![alert(1, many.collect())], T0).await.unwrap();
    let mut stream = bench
        .store
        .stream(From::Startup, DecisionFilter::default(), Dedup::Longest, at(1))
        .unwrap();
    // What changes while a slow reader reads belongs to the next stream.
    ban(&bench, 2, "255.1.1.1", 1000, at(2)).await;
    let mut n_new = 0;
    while let Some(page) = stream.next_new() {
        assert!(page.len() <= 1024);
        n_new += page.len();
    }
    assert_eq!(n_new, 5000);
    let from = From::After(stream.cursor());
    let mut stream =
        bench.store.stream(from, DecisionFilter::default(), Dedup::Longest, at(100)).unwrap();
    assert_eq!(stream.next_new().map(|page| page.len()), Some(1));
    let mut n_deleted = 0;
    while let Some(page) = stream.next_deleted().await.unwrap() {
        assert!(page.len() <= PAGE);
        n_deleted += page.len();
    }
    assert_eq!(n_deleted, 5000);
}

#[tokio::test]
async fn watchers_wake_when_something_ends() {
    let bench = Bench::new();
    let mut watch = bench.store.watch();
    ban(&bench, 1, "1.1.1.1", 100, T0).await;
    assert!(watch.has_changed().unwrap());
    watch.mark_unchanged();
    bench.store.tick(at(50)).await.unwrap();
    assert!(!watch.has_changed().unwrap());
    bench.store.tick(at(100)).await.unwrap();
    assert!(watch.has_changed().unwrap());
}

#[test]
fn cursors_from_elsewhere_are_refused() {
    for text in ["", "1", "-", "x-1", "1-x", "99999999999999999999-1"] {
        assert_eq!(text.parse::<Cursor>(), Err(BadCursor), "{text}");
    }
}
