//! The examples of the README, the book and their like hold.
//!
//! Every command of ours in a `console` block must be one the real command line takes. In a block
//! marked `console run` it is run as well, in a directory that holds the document's `file=` blocks,
//! and what it prints must stand below it; `UPDATE_EXPECT=1` writes that down.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

use std::{
    env, fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
};

const BINARY: &str = env!("CARGO_BIN_EXE_shieldwall");

#[test]
fn commands_exist() {
    let mut n_checked = 0;
    let mut wrong = Vec::new();
    for path in documents() {
        for block in blocks(&read(&path)) {
            for command in block.commands().iter().flat_map(|line| our_commands(line)) {
                n_checked += 1;
                if let Err(said) = accepts(&command) {
                    wrong.push(format!("{}: {}\n{said}", path.display(), command.join(" ")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(n_checked > 20, "only {n_checked} commands were found; are the blocks still marked?");
}

#[test]
fn examples_print_what_they_say() {
    let mut n_run = 0;
    for path in documents() {
        let text = read(&path);
        let blocks = blocks(&text);
        if !blocks.iter().any(|block| block.is("run")) {
            continue;
        }
        let sandbox = tempfile::tempdir().unwrap();
        for block in &blocks {
            if let Some(name) = block.value("file") {
                let file = sandbox.path().join(name);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, block.body.join("\n") + "\n").unwrap();
            }
        }
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        // From the last to the first, so that the places of those before stay what they are.
        for block in blocks.iter().rev().filter(|block| block.is("run")) {
            let mut shown = Vec::new();
            for command in block.commands() {
                let words = our_commands(&command).pop().expect("a command of ours");
                n_run += 1;
                shown.push(format!("$ {command}"));
                shown.extend(run(&words, sandbox.path()).lines().map(str::to_owned));
            }
            lines.splice(block.first_line..block.first_line + block.body.len(), shown);
        }
        let now = lines.join("\n") + "\n";
        if env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&path, now).unwrap();
        } else {
            assert!(
                text == now,
                "{}: run with UPDATE_EXPECT=1 and read the diff, which begins\n{}",
                path.display(),
                first_difference(&text, &now)
            );
        }
    }
    assert!(n_run > 0, "no example is marked `run`");
}

/// Some lines from where two texts part.
fn first_difference(written: &str, now: &str) -> String {
    let same = written.lines().zip(now.lines()).take_while(|(a, b)| a == b).count();
    let some = |text: &str, sign| {
        let lines = text.lines().skip(same).take(8);
        lines.map(|line| format!("{sign} {line}\n")).collect::<String>()
    };
    some(written, '-') + &some(now, '+')
}

/// Everything that shows commands to people.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut open = vec![root.join("book/src")];
    let mut documents = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                documents.push(path);
            }
        }
    }
    documents.sort();
    documents
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A fenced block.
struct Block {
    /// The words behind the fence.
    info: Vec<String>,
    /// The number of its first line, from 0.
    first_line: usize,
    body: Vec<String>,
}

impl Block {
    fn is(&self, word: &str) -> bool {
        self.info.iter().any(|other| other == word)
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.info.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    /// The lines behind a prompt, joined where one ends with a backslash.
    fn commands(&self) -> Vec<String> {
        let mut commands = Vec::new();
        if !self.is("console") {
            return commands;
        }
        let mut lines = self.body.iter();
        while let Some(line) = lines.next() {
            let Some(first) = line.strip_prefix("$ ") else { continue };
            let mut command = first.to_owned();
            while let Some(begun) = command.strip_suffix('\\') {
                command = begun.to_owned() + lines.next().map_or("", |line| line.trim_start());
            }
            commands.push(command);
        }
        commands
    }
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let fence: String = line.chars().take_while(|char| *char == '`').collect();
        if fence.len() < 3 || line[fence.len()..].contains('`') {
            continue;
        }
        let info = line[fence.len()..].split_whitespace().map(str::to_owned).collect();
        let body = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != fence);
        let body = body.map(str::to_owned).collect();
        blocks.push(Block { info, first_line: number + 1, body });
    }
    blocks
}

/// The commands of ours in a line of shell, as words; others are not our business.
fn our_commands(line: &str) -> Vec<Vec<String>> {
    let words = words(line);
    let commands = words.split(|word| word == "|").map(<[String]>::to_vec);
    commands
        .filter_map(|command| {
            let ours = |word: &String| word == "shieldwall" || word == "crowdsec";
            let by_cargo = ["cargo", "run", "--release", "--"];
            if command.first().is_some_and(ours) {
                return Some(command);
            }
            let rest = command.strip_prefix(&by_cargo.map(str::to_owned)[..])?;
            Some([&["shieldwall".to_owned()], rest].concat())
        })
        .collect()
}

/// Words as a shell sees them, as far as examples need it: quotes, and comments.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for char in line.chars() {
        match quote {
            Some(end) if char == end => quote = None,
            Some(_) => word.get_or_insert_default().push(char),
            None if matches!(char, '"' | '\'') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            None if char == '#' && word.is_none() => break,
            None if char == ' ' => words.extend(word.take()),
            None => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

/// Whether the command line knows everything a command names. With the question for help behind it,
/// nothing is done.
fn accepts(command: &[String]) -> Result<(), String> {
    let output = Command::new(BINARY)
        .arg0(&command[0])
        .args(&command[1..])
        .arg(if command[0] == "crowdsec" { "-h" } else { "--help" })
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

/// What a command prints, errors first, numbers that differ from run to run left out.
fn run(command: &[String], directory: &Path) -> String {
    let output = Command::new(BINARY)
        .args(&command[1..])
        .current_dir(directory)
        .env_remove("SHIELDWALL_CONFIG")
        .env("TZ", "UTC")
        .output()
        .unwrap();
    let text = [output.stderr, output.stdout].map(|part| String::from_utf8(part).unwrap()).concat();
    let lines = text.lines().map(|line| {
        let line = line.trim_end();
        match line.split_once(" unparsed in ") {
            Some((numbers, speed)) if speed.ends_with(" lines/s)") => {
                format!("{numbers} unparsed in … s (… lines/s)")
            }
            _ => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}
