//! The outbox with real files, and with a parent that is away now and then.

use super::{
    parent::{Parent, Trouble},
    *,
};
use crate::clock::SystemClock;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

const SOON: Duration = Duration::from_millis(1);

/// Nobody stops.
static GO: AtomicBool = AtomicBool::new(false);

fn open(dir: &Path, parents: &[&str]) -> Outbox {
    let parents: Vec<String> = parents.iter().map(|it| (*it).to_owned()).collect();
    Outbox::open(dir, &parents, Limits::default()).unwrap()
}

fn push(outbox: &Outbox, alerts: &[&str]) {
    alerts.iter().for_each(|alert| outbox.push(alert, &GO));
    outbox.sync();
}

/// Takes everything there is for a parent.
fn drain(outbox: &Outbox, parent: &str) -> Vec<String> {
    let mut all = Vec::new();
    while let Next::Batch(batch) = outbox.next(parent, 2, SOON) {
        all.extend(batch.alerts);
        outbox.done(parent, batch.end);
    }
    all
}

fn segments(dir: &Path) -> usize {
    segment::found(dir).unwrap().len()
}

#[test]
fn each_parent_gets_everything_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path(), &["a", "b"]);
    push(&outbox, &["1", "2", "3"]);
    assert_eq!(drain(&outbox, "a"), ["1", "2", "3"]);
    push(&outbox, &["4"]);
    assert_eq!(drain(&outbox, "a"), ["4"]);
    assert_eq!(drain(&outbox, "b"), ["1", "2", "3", "4"]);
    assert_eq!((outbox.waiting("a"), outbox.waiting("b")), (0, 0));
    assert!(matches!(outbox.next("a", 1, SOON), Next::Nothing));
}

#[test]
fn what_was_not_delivered_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path(), &["a"]);
    push(&outbox, &["1", "2", "3"]);
    let Next::Batch(batch) = outbox.next("a", 2, SOON) else { panic!("there are alerts") };
    outbox.done("a", batch.end);
    // Pushed and never synced: it never counted as taken.
    outbox.push("lost", &GO);
    drop(outbox);
    let outbox = open(dir.path(), &["a", "new"]);
    push(&outbox, &["4"]);
    assert_eq!(drain(&outbox, "a"), ["3", "4"]);
    assert_eq!(drain(&outbox, "new"), ["1", "2", "3", "4"]);
    drop(outbox);
    // All is delivered: the old segment is gone, and nothing comes twice.
    assert_eq!(drain(&open(dir.path(), &["a"]), "a"), Vec::<String>::new());
}

#[test]
fn a_torn_or_damaged_line_is_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path(), &["a"]);
    push(&outbox, &["one", "two", "three"]);
    drop(outbox);
    let path = dir.path().join("alerts-000000000001.log");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(3).position(|it| it == b"two").unwrap();
    bytes[at] = b'T';
    bytes.extend_from_slice(b"0123456789abcdef {\"half\":");
    fs::write(&path, bytes).unwrap();
    let outbox = open(dir.path(), &["a"]);
    push(&outbox, &["four"]);
    assert_eq!(drain(&outbox, "a"), ["one", "three", "four"]);
}

#[test]
fn a_position_that_cannot_be_true_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path(), &["a"]);
    push(&outbox, &["1"]);
    drop(outbox);
    for text in ["", "x", "1 99999999999", "18446744073709551615 0"] {
        fs::write(position_path(dir.path(), "a"), text).unwrap();
        let outbox = open(dir.path(), &["a"]);
        let Next::Batch(batch) = outbox.next("a", 1, SOON) else { panic!("it is there: {text}") };
        assert_eq!(batch.alerts, ["1"]);
    }
}

#[test]
fn numbers_are_not_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path(), &["a"]);
    push(&outbox, &["1"]);
    assert_eq!(drain(&outbox, "a"), ["1"]);
    outbox.close();
    assert_eq!(segments(dir.path()), 0);
    let outbox = open(dir.path(), &["a"]);
    push(&outbox, &["2"]);
    assert_eq!(drain(&outbox, "a"), ["2"]);
}

#[test]
fn long_alerts_pass_and_segments_go_when_all_have_them() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path(), &["a", "b"]);
    let long = "x".repeat(3 << 20);
    push(&outbox, &[&long]);
    push(&outbox, &["2"]);
    assert_eq!(segments(dir.path()), 2);
    assert_eq!(drain(&outbox, "a"), [long, "2".to_owned()]);
    assert_eq!(segments(dir.path()), 2, "b has not read them");
    assert_eq!(drain(&outbox, "b").len(), 2);
    assert_eq!(segments(dir.path()), 1);
    outbox.push(&"x".repeat(MAX_ALERT + 1), &GO);
    outbox.push("two\nlines", &GO);
    outbox.sync();
    assert_eq!(drain(&outbox, "a"), Vec::<String>::new());
}

#[test]
fn past_the_limit_the_oldest_go() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { total: 5 << 20, ..Limits::default() };
    let outbox = Outbox::open(dir.path(), &["a".to_owned()], limits).unwrap();
    for number in 0..10 {
        push(&outbox, &[&format!("{number}{}", "x".repeat(1 << 20))]);
    }
    let kept: Vec<String> = drain(&outbox, "a").iter().map(|it| it[..1].to_owned()).collect();
    assert_eq!(kept, ["6", "7", "8", "9"]);
}

#[test]
fn a_disk_that_refuses_is_waited_for() {
    // Root may write everywhere; a directory in the way refuses root as well.
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path(), &["a", "b"]);
    push(&outbox, &["0"]);
    drop(outbox);
    let outbox = open(dir.path(), &["a", "b"]);
    let obstacle = dir.path().join("alerts-000000000002.log");
    fs::create_dir(&obstacle).unwrap();
    push(&outbox, &["1"]);
    assert!(outbox.is_troubled());
    // Delivered from memory meanwhile.
    assert_eq!(drain(&outbox, "a"), ["0", "1"]);
    push(&outbox, &["2"]);
    assert!(outbox.is_troubled());
    fs::remove_dir(&obstacle).unwrap();
    push(&outbox, &["3"]);
    assert!(!outbox.is_troubled());
    drop(outbox);
    let outbox = open(dir.path(), &["a", "b"]);
    assert_eq!(drain(&outbox, "b"), ["0", "1", "2", "3"]);
    assert_eq!(drain(&outbox, "a"), ["2", "3"]);
}

/// A parent that takes alerts only from the third attempt on, and never one called `bad`.
struct Moody {
    attempts: AtomicUsize,
    taken: Mutex<Vec<String>>,
}

impl Parent for Moody {
    fn name(&self) -> &str {
        "moody"
    }

    fn key(&self) -> &str {
        "moody"
    }

    fn send(&self, alerts: &[String]) -> Result<(), Trouble> {
        if self.attempts.fetch_add(1, Ordering::SeqCst) < 2 {
            return Err(Trouble::Later("away".into()));
        }
        if alerts.iter().any(|alert| alert == "bad") {
            return Err(Trouble::Never("what is that?".into()));
        }
        self.taken.lock().unwrap().extend(alerts.iter().cloned());
        Ok(())
    }

    fn beat(&self) -> Result<(), Trouble> {
        Ok(())
    }
}

#[test]
fn deliveries_go_on_until_all_is_there_but_what_nobody_takes() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path(), &["moody"]);
    let moody = Moody { attempts: AtomicUsize::new(0), taken: Mutex::default() };
    push(&outbox, &["1", "bad", "2"]);
    thread::scope(|scope| {
        scope.spawn(|| deliver::run(&outbox, &moody, SystemClock::start()));
        while moody.attempts.load(Ordering::SeqCst) < 3 {
            thread::yield_now();
        }
        push(&outbox, &["3"]);
        outbox.close();
    });
    assert_eq!(*moody.taken.lock().unwrap(), ["1", "2", "3"]);
    assert_eq!(segments(dir.path()), 0);
}

#[test]
fn a_parent_that_is_away_does_not_hold_up_the_end() {
    struct Away;
    impl Parent for Away {
        fn name(&self) -> &str {
            "away"
        }

        fn key(&self) -> &str {
            "away"
        }

        fn send(&self, _: &[String]) -> Result<(), Trouble> {
            Err(Trouble::Later("away".into()))
        }

        fn beat(&self) -> Result<(), Trouble> {
            Err(Trouble::Later("away".into()))
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path(), &["away"]);
    push(&outbox, &["1"]);
    outbox.close();
    deliver::run(&outbox, &Away, SystemClock::start());
    assert_eq!(drain(&open(dir.path(), &["away"]), "away"), ["1"]);
}

/// A parent that fails over every batch with one of these in it; `ill`: over all.
#[derive(Default)]
struct Stumbling {
    over: Vec<&'static str>,
    ill: AtomicBool,
    away: AtomicBool,
    attempts: AtomicUsize,
    taken: Mutex<Vec<String>>,
}

impl Parent for Stumbling {
    fn name(&self) -> &str {
        "stumbling"
    }

    fn key(&self) -> &str {
        "stumbling"
    }

    fn send(&self, alerts: &[String]) -> Result<(), Trouble> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        if self.away.load(Ordering::SeqCst) {
            return Err(Trouble::Later("no room".into()));
        }
        let is_bad = |alert: &String| self.over.iter().any(|over| alert == over);
        if self.ill.load(Ordering::SeqCst) || alerts.iter().any(is_bad) {
            return Err(Trouble::Fault("a profile failed".into()));
        }
        self.taken.lock().unwrap().extend(alerts.iter().cloned());
        Ok(())
    }

    fn beat(&self) -> Result<(), Trouble> {
        Ok(())
    }
}

fn search(outbox: &Outbox, parent: &Stumbling, most: usize) -> Result<Option<Vec<String>>, String> {
    let Next::Batch(batch) = outbox.next("stumbling", most, SOON) else { panic!("no alerts") };
    let found = culprit::search(outbox, parent, &batch.alerts, batch.end)?;
    Ok(found.map(|found| found.refused.into_iter().map(|(alert, _)| alert).collect()))
}

#[test]
fn only_what_is_refused_while_others_are_taken_is_to_blame() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path(), &["stumbling"]);
    push(&outbox, &["bad", "worse", "good", "last"]);
    let parent = Stumbling { over: vec!["bad", "worse"], ..Stumbling::default() };
    let both = Ok(Some(vec!["bad".to_owned(), "worse".to_owned()]));
    assert_eq!(search(&outbox, &parent, 4), both);
    // Nothing in the batch gets through, and something behind it does.
    assert_eq!(search(&outbox, &parent, 2), both);
    parent.ill.store(true, Ordering::SeqCst);
    assert_eq!(search(&outbox, &parent, 4), Ok(None), "it is the parent that is ill");
    parent.away.store(true, Ordering::SeqCst);
    assert!(search(&outbox, &parent, 4).is_err(), "an outage is nobody's fault");
}

#[test]
fn an_alert_the_parent_fails_over_is_set_aside_and_can_be_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path(), &["stumbling"]);
    let alert = |name: &str| serde_json::json!({ "scenario": name }).to_string();
    let bad: &'static str = Box::leak(alert("bad").into_boxed_str());
    let parent = Stumbling { over: vec![bad], ..Stumbling::default() };
    push(&outbox, &[&alert("first"), bad, &alert("second")]);
    thread::scope(|scope| {
        scope.spawn(|| deliver::run(&outbox, &parent, SystemClock::start()));
        for _ in 0..6000 {
            if outbox.waiting("stumbling") == 0 {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        outbox.close();
    });
    let mut taken = parent.taken.lock().unwrap().clone();
    taken.sort();
    taken.dedup();
    assert_eq!(taken, [alert("first"), alert("second")]);
    let aside = dir.path().join("refused-stumbling.jsonl");
    assert_eq!(fs::read_to_string(&aside).unwrap(), format!("{bad}\n"));
    drop(outbox);
    // Mended: it comes again, and what is no alert does no harm.
    fs::write(dir.path().join(aside::AGAIN), format!("{bad}\nnonsense\n")).unwrap();
    let outbox = open(dir.path(), &["stumbling"]);
    assert_eq!(drain(&outbox, "stumbling"), [bad]);
    assert!(!dir.path().join(aside::AGAIN).exists());
}

#[test]
fn the_same_overflow_has_the_same_name_in_one_outbox_only() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = |value: &str| Source {
        scope: model::Scope::Ip,
        value: value.to_owned(),
        ip: value.to_owned(),
        range: String::new(),
        as_name: String::new(),
        as_number: String::new(),
        cn: String::new(),
        latitude: 0.0,
        longitude: 0.0,
    };
    let name = |dir: &Path, identity, value: &str| open(dir, &["a"]).name(identity, &source(value));
    let first = name(one.path(), 7, "192.0.2.1");
    assert_eq!(name(one.path(), 7, "192.0.2.1"), first, "also after a restart");
    assert_ne!(name(one.path(), 8, "192.0.2.1"), first);
    assert_ne!(name(one.path(), 7, "192.0.2.2"), first);
    assert_ne!(name(other.path(), 7, "192.0.2.1"), first);
}

#[test]
fn who_brings_alerts_waits_while_there_is_no_room_and_loses_none() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { memory: 1 << 10, ..Limits::default() };
    let outbox = Outbox::open(dir.path(), &["a".to_owned()], limits).unwrap();
    let obstacles: Vec<PathBuf> =
        (1..9).map(|n| dir.path().join(format!("alerts-{n:012}.log"))).collect();
    obstacles.iter().for_each(|path| fs::create_dir(path).unwrap());
    let long = "x".repeat(2 << 10);
    outbox.push(&long, &GO);
    assert_eq!(outbox.sync(), Flushed::InMemory);
    // Nobody waits for ever: told to stop, it goes without, and says that it is not safe.
    outbox.push("lost", &AtomicBool::new(true));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| outbox.push("kept", &GO));
        while !waiting.is_finished() && obstacles[0].exists() {
            obstacles.iter().for_each(|path| drop(fs::remove_dir(path)));
        }
    });
    assert_eq!(outbox.sync(), Flushed::InMemory, "its lines must be read again");
    assert_eq!(drain(&outbox, "a"), [long, "kept".to_owned()]);
}
