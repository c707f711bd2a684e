//! What happens to one file, told step by step.

use super::*;
use crate::{config::Exclude, config::Mode, context::SourceError, file, testing::StopAtEnd};
use std::os::unix::fs::symlink;

const NOTHING: [&str; 0] = [];

#[test]
fn old_lines_are_not_news_but_new_files_are() {
    let bench = Bench::new(&["*.log"]);
    bench.append("a.log", "old\nhalf");
    let mut tailer = bench.tailer();
    assert_eq!(bench.step(&mut tailer), NOTHING);
    bench.append("a.log", " done\n\nnext\r\n");
    bench.append("b.log", "first of b\n");
    bench.append("other", "unrelated\n");
    assert_eq!(bench.step(&mut tailer), ["half done", "next\r", "first of b"]);
    let sources = bench.world.registry.since(0);
    assert_eq!(sources[1].src, bench.path("b.log").display().to_string());
    assert_eq!(sources[1].module, "file");
}

#[test]
fn an_unfinished_line_waits_for_its_end() {
    let bench = Bench::new(&["a.log"]);
    let mut tailer = bench.tailer();
    bench.append("a.log", "one\ntw");
    assert_eq!(bench.step(&mut tailer), ["one"]);
    bench.append("a.log", "o");
    assert_eq!(bench.step(&mut tailer), NOTHING);
    bench.append("a.log", "\n");
    assert_eq!(bench.step(&mut tailer), ["two"]);
}

#[test]
fn a_renamed_file_is_read_to_its_end_before_its_successor() {
    let bench = Bench::new(&["a.log"]);
    let mut tailer = bench.tailer();
    let mut log = writer(&bench.path("a.log"));
    log.write_all(b"one\n").unwrap();
    assert_eq!(bench.step(&mut tailer), ["one"]);
    log.write_all(b"two\n").unwrap();
    fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    bench.append("a.log", "four\n");
    log.write_all(b"three\n").unwrap();
    assert_eq!(bench.step(&mut tailer), ["two", "three", "four"]);
    // A server that was not told yet still writes to the old file.
    log.write_all(b"five\nunfinished").unwrap();
    assert_eq!(bench.step(&mut tailer), ["five"]);
    bench.world.clock.advance(Duration::from_secs(5));
    assert_eq!(bench.step(&mut tailer), ["unfinished"]);
    assert_eq!(bench.sink.counters().read().unfinished, 1);
    assert!(tailer.needs_polling());
    bench.world.clock.advance(Duration::from_secs(600));
    bench.step(&mut tailer);
    bench.step(&mut tailer);
    assert!(!tailer.needs_polling());
}

#[test]
fn a_deleted_file_is_let_go() {
    let bench = Bench::new(&["a.log"]);
    let mut tailer = bench.tailer();
    bench.append("a.log", "one\n");
    bench.step(&mut tailer);
    bench.append("a.log", "two\n");
    fs::remove_file(bench.path("a.log")).unwrap();
    assert_eq!(bench.step(&mut tailer), ["two"]);
    bench.world.clock.advance(Duration::from_secs(31));
    bench.step(&mut tailer);
    assert!(!tailer.needs_polling());
    bench.append("a.log", "three\n");
    assert_eq!(bench.step(&mut tailer), ["three"]);
}

#[test]
fn truncation_loses_nothing_that_was_copied() {
    for pattern in ["a.log", "a.log*"] {
        let bench = Bench::new(&[pattern]);
        let mut tailer = bench.tailer();
        bench.append("a.log", "one\n");
        assert_eq!(bench.step(&mut tailer), ["one"]);
        bench.append("a.log", "two\n");
        fs::copy(bench.path("a.log"), bench.path("a.log.1")).unwrap();
        if pattern == "a.log*" {
            assert_eq!(bench.step(&mut tailer), ["two"]);
            bench.append("a.log", "between copy and truncation, and longer than what follows\n");
        }
        File::options().write(true).truncate(true).open(bench.path("a.log")).unwrap();
        bench.append("a.log", "three, which makes it longer again\n");
        let expect: &[&str] = match pattern {
            "a.log" => &["two", "three, which makes it longer again"],
            _ => &["three, which makes it longer again"],
        };
        assert_eq!(bench.step(&mut tailer), expect, "{pattern}");
        assert_eq!(bench.step(&mut tailer), NOTHING);
        assert_eq!(bench.sink.counters().read().truncations, 1);
    }
}

#[test]
fn a_copy_is_not_read_even_while_it_is_being_made() {
    let bench = Bench::new(&["a.log*"]);
    let mut tailer = bench.tailer();
    bench.append("a.log", "one\ntwo\n");
    assert_eq!(bench.step(&mut tailer), ["one", "two"]);
    bench.append("a.log.1", "");
    assert_eq!(bench.step(&mut tailer), NOTHING);
    bench.append("a.log.1", "one\n");
    assert_eq!(bench.step(&mut tailer), NOTHING);
    bench.append("a.log.1", "two\n");
    assert_eq!(bench.step(&mut tailer), NOTHING);
    tailer.finish().unwrap();
    let mut tailer = bench.tailer();
    assert_eq!(bench.step(&mut tailer), NOTHING);
}

#[test]
fn rotation_while_down_is_made_up_for() {
    for pattern in ["a.log", "a.log*"] {
        let mut bench = Bench::new(&[pattern]);
        let mut tailer = bench.tailer();
        bench.append("a.log", "one\n");
        assert_eq!(bench.step(&mut tailer), ["one"]);
        tailer.finish().unwrap();
        bench.append("a.log", "two\n");
        fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
        bench.append("a.log", "three\n");
        bench.forget();
        let mut tailer = bench.tailer();
        assert_eq!(bench.step(&mut tailer), ["two", "three"]);
        assert_eq!(bench.sink.counters().read().lost_positions, 0);
    }
}

#[test]
fn truncation_while_down_is_made_up_for() {
    for pattern in ["a.log", "a.log*"] {
        let mut bench = Bench::new(&[pattern]);
        let mut tailer = bench.tailer();
        bench.append("a.log", "one\n");
        assert_eq!(bench.step(&mut tailer), ["one"]);
        tailer.finish().unwrap();
        bench.append("a.log", "two\n");
        fs::copy(bench.path("a.log"), bench.path("a.log.1")).unwrap();
        File::options().write(true).truncate(true).open(bench.path("a.log")).unwrap();
        bench.append("a.log", "three is long enough to lie behind the position\n");
        bench.forget();
        let mut tailer = bench.tailer();
        let expect = ["two", "three is long enough to lie behind the position"];
        assert_eq!(bench.step(&mut tailer), expect, "{pattern}");
    }
}

#[test]
fn a_file_created_while_down_is_news() {
    let mut bench = Bench::new(&["*.log"]);
    bench.append("a.log", "old\n");
    let mut tailer = bench.tailer();
    bench.step(&mut tailer);
    tailer.finish().unwrap();
    bench.append("b.log", "new\n");
    bench.append("c.txt", "not asked for before\n");
    bench.forget();
    bench.config.patterns.push(bench.path("*.txt").display().to_string());
    let mut tailer = bench.tailer();
    assert_eq!(bench.step(&mut tailer), ["new"]);
}

#[test]
fn a_position_that_cannot_be_found_is_reported() {
    let mut bench = Bench::new(&["a.log"]);
    let mut tailer = bench.tailer();
    bench.append("a.log", "one\n");
    bench.step(&mut tailer);
    tailer.finish().unwrap();
    fs::remove_file(bench.path("a.log")).unwrap();
    bench.append("a.log", "two\n");
    bench.forget();
    let mut tailer = bench.tailer();
    assert_eq!(bench.step(&mut tailer), ["two"]);
    assert_eq!(bench.sink.counters().read().lost_positions, 1);
}

#[test]
fn unacknowledged_lines_come_again() {
    let mut bench = Bench::new(&["a.log"]);
    let mut tailer = bench.tailer();
    bench.append("a.log", "one\n");
    bench.step(&mut tailer);
    bench.append("a.log", "two\n");
    bench.world.clock.advance(Duration::from_secs(5));
    tailer.step(&Changes::everything()).unwrap();
    let unprocessed: Vec<_> = bench.receiver.try_iter().collect();
    drop(unprocessed);
    bench.append("a.log", "three\n");
    assert_eq!(bench.step(&mut tailer), ["three"]);
    tailer.finish().unwrap();
    bench.forget();
    let mut tailer = bench.tailer();
    assert_eq!(bench.step(&mut tailer), ["two", "three"]);
}

#[test]
fn hostile_lines_are_bounded_and_counted() {
    let mut bench = Bench::new(&["a.log"]);
    bench.config.max_line = 100_000;
    let mut tailer = bench.tailer();
    bench.append("a.log", &format!("{}\nshort\n", "x".repeat(1_000_000)));
    let lines = bench.step(&mut tailer);
    assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [100_000, 5]);
    assert_eq!(bench.sink.counters().read().cut, 1);
    // A writer that does not append leaves a hole when its file is truncated.
    bench.append("a.log", &"\0".repeat(200_000));
    bench.append("a.log", "after the hole\nnul\0inside\n");
    assert_eq!(bench.step(&mut tailer), ["after the hole", "nul\0inside"]);
}

#[test]
fn excluded_compressed_and_special_files_are_left_alone() {
    let mut bench = Bench::new(&["*"]);
    bench.config.exclude = Exclude::new(|path| path.ends_with(".skip"));
    let mut tailer = bench.tailer();
    bench.append("a.skip", "x\n");
    bench.append("a.log.2.gz", "x\n");
    fs::create_dir(bench.path("dir")).unwrap();
    bench.append("a", "yes\n");
    assert_eq!(bench.step(&mut tailer), ["yes"]);
}

#[test]
fn a_retargeted_link_is_a_rotation() {
    let bench = Bench::new(&["current"]);
    bench.append("1", "old\n");
    symlink(bench.path("1"), bench.path("current")).unwrap();
    let mut tailer = bench.tailer();
    assert!(tailer.needs_polling());
    bench.append("1", "one\n");
    bench.append("2", "two\n");
    fs::remove_file(bench.path("current")).unwrap();
    symlink(bench.path("2"), bench.path("current")).unwrap();
    assert_eq!(bench.step(&mut tailer), ["one", "two"]);
}

#[test]
fn many_files_take_turns() {
    let bench = Bench::new(&["*.log"]);
    let mut tailer = bench.tailer();
    let text: String = (0..50_000).map(|n| format!("line {n} of some length\n")).collect();
    for name in ["a.log", "b.log"] {
        bench.append(name, &text);
    }
    bench.world.clock.advance(Duration::from_secs(1));
    tailer.step(&Changes::everything()).unwrap();
    let mut order = Vec::new();
    let mut n_lines = 0;
    for batch in bench.receiver.try_iter() {
        n_lines += batch.len();
        order.extend(batch.iter().map(|line| line.source.0));
        batch.ack();
    }
    assert_eq!(n_lines, 100_000);
    order.dedup();
    assert!(order.len() > 3, "{}", order.len());
}

#[test]
fn reading_once_goes_through_all_files_in_order() {
    let mut bench = Bench::new(&["b.log", "*.log"]);
    bench.config.common.mode = Mode::Cat;
    bench.append("a.log", "a\r\n");
    bench.append("b.log", "b");
    file::run(&bench.config, &bench.sink, &bench.world.context()).unwrap();
    assert_eq!(bench.received(), ["b", "a"]);
    assert_eq!(bench.world.registry.since(0)[0].time_mode, model::TimeMode::Event);
    bench.config.patterns.truncate(1);
    fs::remove_file(bench.path("b.log")).unwrap();
    let outcome = file::run(&bench.config, &bench.sink, &bench.world.context());
    assert!(matches!(outcome, Err(SourceError::Config(_))));
}

#[test]
fn a_running_source_notices_by_itself_and_stops_when_told() {
    let bench = Bench::new(&["*.log"]);
    bench.append("a.log", "old\n");
    std::thread::scope(|scope| {
        let context = bench.world.context();
        let _stop = StopAtEnd(&bench.world.stop);
        let running = scope.spawn(move || file::run(&bench.config, &bench.sink, &context));
        let (world, receiver) = (&bench.world, &bench.receiver);
        // Whether this lands before or behind the first look, b.log was not there at the start or
        // is old news; so write until something comes.
        let path = bench.dir.path().join("logs").join("b.log");
        let batch = loop {
            append(&path, "line\n");
            world.clock.advance(Duration::from_millis(20));
            if let Ok(batch) = receiver.recv_timeout(Duration::from_millis(20)) {
                break batch;
            }
        };
        assert!(batch.iter().all(|line| line.text == b"line"));
        batch.ack();
        world.stop.set();
        for batch in receiver.try_iter() {
            batch.ack();
        }
        drop(running.join());
    });
}
