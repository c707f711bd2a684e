//! From the blocks of a story to something that can be played.

use super::{Block, Story};
use engine::Limits;
use model::{LineSource, TimeMode, Timestamp};
use rules::{FileKind, Origin, SourceFile};
use std::collections::BTreeMap;

/// Midnight of the day of all stories: 2024-03-01, a Friday.
pub(super) const DAY: i64 = 1_709_251_200;

const PROBE: &str = "\
type: trigger
name: probe/all
description: an alert of every line
filter: evt.GetType() == 'log'
scope: { type: probe, expression: \"'probe'\" }
";

/// A story, ready to be played.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) files: Vec<SourceFile>,
    pub(super) data: BTreeMap<String, String>,
    pub(super) world: String,
    pub(super) limits: Limits,
    pub(super) context_length: usize,
    pub(super) sources: Vec<LineSource>,
    pub(super) steps: Vec<Step>,
}

/// One line of a log.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// The time that comes before it.
    pub(super) at: Option<Timestamp>,
    /// Which source it is of, and its bytes; `None` when time passes and nothing else.
    pub(super) line: Option<(usize, Vec<u8>)>,
}

impl Script {
    pub(super) fn of(story: &Story) -> Result<Self, String> {
        let mut script = Self {
            files: Vec::new(),
            data: BTreeMap::new(),
            world: String::new(),
            limits: Limits::default(),
            context_length: rules::Options::default().context_length,
            sources: Vec::new(),
            steps: Vec::new(),
        };
        for block in &story.blocks {
            script.add(block).map_err(|error| format!("line {}: {error}", block.line))?;
        }
        Ok(script)
    }

    /// The same with a scenario that makes an alert of every line.
    pub(super) fn with_probe(&self) -> Self {
        let mut probed = self.clone();
        probed.files.push(SourceFile {
            kind: FileKind::Scenario,
            name: "scenarios/~probe.yaml".to_owned(),
            text: PROBE.to_owned(),
            origin: Origin::Local,
        });
        probed
    }

    fn add(&mut self, block: &Block) -> Result<(), String> {
        let mut arguments = block.arguments();
        match block.kind() {
            "parsers" | "postoverflows" => {
                let stage = arguments.next().ok_or("which stage?")?.to_owned();
                let directory = format!("{}/{stage}", block.kind());
                let kind = match block.kind() {
                    "parsers" => FileKind::Parser { stage },
                    _ => FileKind::Postoverflow { stage },
                };
                self.file(kind, &directory, arguments.next(), block);
            }
            "scenarios" => self.file(FileKind::Scenario, "scenarios", arguments.next(), block),
            "context" => {
                if let Some(length) = block.option("length") {
                    self.context_length = number(length)?;
                }
                self.file(FileKind::ConsoleContext, "console", Some("context.yaml"), block);
            }
            "simulation" => self.file(FileKind::Simulation, "", Some("simulation.yaml"), block),
            "patterns" => {
                let name = arguments.next().ok_or("which file?")?;
                self.file(FileKind::Patterns, "patterns", Some(name), block);
            }
            "data" => {
                let name = arguments.next().ok_or("which file?")?;
                self.data.insert(name.to_owned(), block.text.clone());
            }
            "world" => self.world.push_str(&block.text),
            "limits" => {
                for (key, value) in block.options() {
                    match key {
                        "buckets" => self.limits.buckets = number(value)?,
                        "queue" => self.limits.queue = number(value)?,
                        _ => return Err(format!("`{key}` is no limit")),
                    }
                }
            }
            "log" => self.log(block)?,
            kind if super::EXPECTATIONS.contains(&kind) => {}
            // Other blocks are for the reader.
            kind if block.words.first().is_some_and(|word| word == "yaml") => {
                return Err(format!("`yaml {kind}` is no kind of block"));
            }
            _ => {}
        }
        Ok(())
    }

    fn file(&mut self, kind: FileKind, directory: &str, name: Option<&str>, block: &Block) {
        let number = self.files.len() + 1;
        let name = name.map_or_else(|| format!("{number:02}.yaml"), str::to_owned);
        let origin = match block.option("hub") {
            None => Origin::Local,
            Some(version) => {
                Origin::Hub { version: version.to_owned(), hash: "5eed".to_owned(), tainted: false }
            }
        };
        let name = if directory.is_empty() { name } else { format!("{directory}/{name}") };
        self.files.push(SourceFile { kind, name, text: block.text.clone(), origin });
    }

    fn log(&mut self, block: &Block) -> Result<(), String> {
        let mut source = LineSource { module: "file".to_owned(), ..LineSource::default() };
        source.src = "/var/log/demo.log".to_owned();
        let mut words = block.arguments();
        if let Some(kind) = words.next() {
            source.labels.insert("type".to_owned(), kind.to_owned());
        }
        let words: Vec<&str> = words.collect();
        for (key, value) in block.options() {
            match key {
                "src" => source.src = value.to_owned(),
                "module" => source.module = value.to_owned(),
                _ => drop(source.labels.insert(key.to_owned(), value.to_owned())),
            }
        }
        // Two sources: the same but for whose clock rules.
        let live = self.sources.len();
        self.sources.push(LineSource { time_mode: TimeMode::Live, ..source.clone() });
        let replay = self.sources.len();
        self.sources.push(LineSource { time_mode: TimeMode::Event, ..source });
        for line in block.text.lines() {
            let (at, text) = match line.strip_prefix('@') {
                None => (None, Some(line)),
                Some(line) => match line.split_once(' ') {
                    None => (Some(time_of_day(line)?), None),
                    Some((time, text)) => (Some(time_of_day(time)?), Some(text)),
                },
            };
            let is_live = at.is_some() && !words.contains(&"replay");
            let source = if is_live { live } else { replay };
            let line = text.map(|text| {
                let bytes = if words.contains(&"escaped") {
                    unescape(text)
                } else {
                    text.as_bytes().to_vec()
                };
                (source, bytes)
            });
            self.steps.push(Step { at, line });
        }
        Ok(())
    }
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

/// `10:00:03.5` of the day of all stories; hours past 24 are of later days.
fn time_of_day(text: &str) -> Result<Timestamp, String> {
    let wrong = || format!("`{text}` is no time of day");
    let mut parts = text.split(':');
    let mut whole = || parts.next()?.parse::<i64>().ok();
    let minutes = whole().ok_or_else(wrong)? * 60 + whole().ok_or_else(wrong)?;
    let seconds: f64 = parts.next().and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
    #[expect(clippy::cast_possible_truncation, reason = "seconds of a minute, written by us")]
    let nanos = (seconds * 1e9).round() as i64;
    Ok(Timestamp::from_unix(DAY + minutes * 60, 0).plus_nanos(nanos))
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once("\\x") {
        bytes.extend(before.bytes());
        let code = escape.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        match code {
            Some(code) => bytes.push(code),
            None => bytes.extend(b"\\x"),
        }
        rest = if code.is_some() { &escape[2..] } else { escape };
    }
    bytes.extend(rest.bytes());
    bytes
}
