//! Book tests: stories in Markdown that say what rules make of lines.
//!
//! A story is a heading of the second level and the fenced blocks below it. What stands before a
//! file's first story belongs to all of them. Some blocks say what there is:
//!
//! | block | what it holds |
//! |---|---|
//! | `yaml parsers STAGE [FILE]` | nodes of a parser stage |
//! | `yaml postoverflows STAGE [FILE]` | nodes that see overflows |
//! | `yaml scenarios [FILE] [hub=VERSION]` | scenarios, the operator's own unless `hub` is there |
//! | `yaml context [length=BYTES]` | an alert context |
//! | `yaml simulation` | which scenarios only simulate |
//! | `patterns FILE` | grok definitions |
//! | `data FILE` | a data file, if a rule declares it |
//! | `world` | what the world answers, see [`world`] |
//! | `limits [buckets=N] [queue=N]` | what memory the engine may take |
//! | `log TYPE [replay] [KEY=VALUE…]` | lines; `src` and `module` are known keys, others are labels |
//!
//! A line of a log that begins with `@10:00:00` is read at that time of a fixed day, and its buckets
//! follow that clock. A line without goes by its own date, as in a replay; so do all lines of a
//! `replay` log. A time alone passes that time. The word `escaped` lets a log write `\xHH` for bytes.
//!
//! Other blocks say what comes of it, and are compared. With `UPDATE_EXPECT` set they are rewritten:
//!
//! | block | what it shows |
//! |---|---|
//! | `expect` | what is wrong with the rules, and one line per alert |
//! | `alerts` | everything the alerts hold |
//! | `lines` | what became of each line |
//! | `event` | what each line's event holds in the end |
//! | `nodes` | which nodes took each line, and which refused |
//! | `counts` | what scenarios and nodes counted |
//! | `values` | expressions, and what each gives for the first line |
//! | `notes` | what rules told the world |
//!
//! Every story is played four ways, which must agree: as in production; observed, where every node
//! is tried in turn and every capture kept; with another seed; and with its lines parsed before any
//! is poured. So each story is also a test that picking candidates loses none (`engine::select`)
//! and that alerts do not depend on the table's hash (I2). The first two are played once more with a
//! probe, a scenario that makes an alert of every line, so that all of Meta is compared.
//!
//! Reading order: [`read`] (Markdown), `script` (blocks to something to play), `play`, `show`.

mod play;
mod read;
mod script;
mod show;
pub mod world;

pub use read::{Block, Story, rewrite, stories};

use play::{Manner, Rules, Transcript, play};
use script::Script;
use std::fmt::Write as _;

/// What a story said and what happened.
#[derive(Debug)]
pub struct Verdict {
    /// What differs, for people; empty when nothing does.
    pub differences: String,
    /// The blocks that should say something else: their place in the story, and what.
    pub rewrites: Vec<(usize, String)>,
}

/// Blocks that are compared.
const EXPECTATIONS: &[&str] =
    &["expect", "alerts", "lines", "event", "nodes", "counts", "values", "notes"];

/// Plays a story and compares what happens with what it says.
#[must_use]
pub fn check(story: &Story) -> Verdict {
    let mut verdict = Verdict { differences: String::new(), rewrites: Vec::new() };
    let script = match Script::of(story) {
        Ok(script) => script,
        Err(error) => {
            verdict.differences = format!("cannot be played: {error}\n");
            return verdict;
        }
    };
    let (plain, observed) = compare(&script, &mut verdict.differences);
    for (index, block) in story.blocks.iter().enumerate() {
        let happened = match block.kind() {
            "expect" => format!("{}{}", plain.diagnostics, plain.alerts),
            "alerts" => plain.details.clone(),
            "lines" => plain.outcomes.clone(),
            "event" => observed.events.clone(),
            "nodes" => observed.trees.clone(),
            "counts" => observed.counts.clone(),
            "values" => play::values(&script, &block.text),
            "notes" => plain.notes.clone(),
            _ => continue,
        };
        if happened != block.text {
            let _ = writeln!(verdict.differences, "`{}` at line {}:", block.kind(), block.line);
            show::difference(&block.text, &happened, &mut verdict.differences);
            verdict.rewrites.push((index, happened));
        }
    }
    if !story.blocks.iter().any(|block| EXPECTATIONS.contains(&block.kind())) {
        verdict.differences.push_str("says nothing about what happens\n");
    }
    verdict
}

/// Plays a story in all manners and says where they disagree; empty when they do not.
///
/// What the story expects does not matter, so a story made at random can be asked, too.
///
/// # Errors
/// The story cannot be played.
pub fn disagreements(story: &Story) -> Result<String, String> {
    let script = Script::of(story)?;
    let mut differences = String::new();
    compare(&script, &mut differences);
    Ok(differences)
}

/// Plays in all manners; gives what happened as in production and observed.
fn compare(script: &Script, out: &mut String) -> (Transcript, Transcript) {
    let (rules, all) = (Rules::of(script), Rules::keeping_all(script));
    let plain = play(script, &rules, Manner::Plain);
    let observed = play(script, &all, Manner::Observed);
    disagreement(&plain, &observed, "observed", out);
    disagreement(&plain, &play(script, &rules, Manner::OtherSeed), "under another seed", out);
    disagreement(&plain, &play(script, &rules, Manner::Batch), "in batches", out);
    let probed = script.with_probe();
    let with_probe = play(&probed, &Rules::of(&probed), Manner::Plain);
    let watched = play(&probed, &Rules::keeping_all(&probed), Manner::Observed);
    disagreement(&with_probe, &watched, "observed and probed", out);
    (plain, observed)
}

fn disagreement(plain: &Transcript, other: &Transcript, how: &str, out: &mut String) {
    for (what, left, right) in
        [("alerts", &plain.details, &other.details), ("lines", &plain.outcomes, &other.outcomes)]
    {
        if left != right {
            let _ = writeln!(out, "{how}, the {what} differ:");
            show::difference(left, right, out);
        }
    }
}
