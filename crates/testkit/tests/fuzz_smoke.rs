//! The fuzz targets for a moment: every seed, and seeded mutations of them.
//!
//! The bodies are those of `fuzz/`, so that they cannot rot, and so that a defect they once found
//! stays found: an input worth keeping goes to `fuzz/seeds/<target>/`.

#![expect(clippy::print_stderr, reason = "a failed test shows the input that made it fail")]

#[path = "../../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "the file is a library where it is at home")]
mod bodies;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use testkit::rng::Rng;

/// Longest mutated input.
const MAX_LEN: usize = 2000;

#[test]
fn bucket_ops() {
    smoke("bucket_ops", 60);
}

#[test]
fn expr() {
    smoke("expr", 400);
}

#[test]
fn grok() {
    smoke("grok", 200);
}

#[test]
fn re2() {
    smoke("re2", 200);
}

#[test]
fn syslog_line() {
    smoke("syslog_line", 1500);
}

#[test]
fn yaml_item() {
    smoke("yaml_item", 150);
}

#[test]
fn every_target_has_seeds() {
    for (name, _) in bodies::TARGETS {
        assert!(!seeds(name).is_empty(), "fuzz/seeds/{name} is empty");
    }
}

fn smoke(name: &str, n_mutations: usize) {
    let found = bodies::TARGETS.iter().find(|(target, _)| *target == name);
    let (_, run) = found.expect("every test names a target");
    let (seeds, words) = (seeds(name), words(name));
    run_one(*run, &[]);
    for seed in &seeds {
        run_one(*run, seed);
    }
    let mut rng = Rng::for_part(1, name);
    for _ in 0..n_mutations {
        let mut input = rng.pick(&seeds).clone();
        for _ in 0..rng.between(1, 6) {
            mutate(&mut input, &seeds, &words, &mut rng);
        }
        input.truncate(MAX_LEN);
        run_one(*run, &input);
    }
}

fn run_one(run: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(input))) {
        let input = input.escape_ascii();
        std::eprintln!("the input was b\"{input}\"");
        std::panic::resume_unwind(panic);
    }
}

/// Changes an input a little.
fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[Vec<u8>], rng: &mut Rng) {
    let place = |input: &[u8], rng: &mut Rng| index(rng, input.len() + 1);
    let at = place(input, rng);
    match rng.below(6) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << index(rng, 8);
            }
        }
        1 => input.insert(at, [0, b'\n', b' ', 0x7f, 0xff, b'"', b'(', b'9'][index(rng, 8)]),
        2 => {
            let end = (at + index(rng, 12)).min(input.len());
            input.drain(at..end);
        }
        3 => {
            let end = (at + index(rng, 40)).min(input.len());
            let piece = input[at..end].to_vec();
            let to = place(input, rng);
            input.splice(to..to, piece);
        }
        4 if !words.is_empty() => {
            let word = rng.pick(words).clone();
            input.splice(at..at, word);
        }
        _ => {
            let other = rng.pick(seeds);
            let from = index(rng, other.len() + 1);
            let piece = &other[from..(from + index(rng, 60)).min(other.len())];
            input.splice(at..at, piece.iter().copied());
        }
    }
}

fn index(rng: &mut Rng, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).expect("it is below a `usize`")
}

/// The seeds of a target, by name.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let directory = home().join("seeds").join(name);
    let entries = fs::read_dir(&directory).expect("each target has seeds");
    let mut paths: Vec<_> =
        entries.map(|entry| entry.expect("a directory can be read to its end").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("seeds are files")).collect()
}

/// The words of a target's dictionary, which may have none.
fn words(name: &str) -> Vec<Vec<u8>> {
    let path = home().join("dict").join(name).with_extension("dict");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'))
        .map(unescape)
        .collect()
}

/// Reads `\x41`, `\\` and `\"`.
fn unescape(word: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = word.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'x') => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let value = digit().zip(digit()).map(|(high, low)| high * 16 + low);
                bytes.extend(value.and_then(|value| u8::try_from(value).ok()));
            }
            escaped => bytes.extend(escaped),
        }
    }
    bytes
}

fn home() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}
