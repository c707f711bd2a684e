//! The local API under load: ours, and Debian's where it can do the work at all.
//!
//! Both start as real processes with fresh directories and the same configuration. First both get
//! a hundred thousand decisions through their own command lines; then ours runs on a database of a
//! million active and two million expired ones, which a program of the store fills beforehand and
//! which is kept for later runs. Every number stands beside what it should be.
//!
//! Reading order: this file says what runs on what; `subject` is a server, `load` the generator,
//! `http` what it speaks, `parts`, `searches` and `crowd` the measurements, `table` the result.

mod http;

mod load;

mod usage;

mod table;

mod subject;

mod parts;

mod searches;

mod crowd;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::Value;

use self::http::Credential;
use self::parts::N_IMPORTED;
use self::subject::Subject;
use self::table::{Table, Target, Whose};
use crate::child;
use crate::clients::Side;
use crate::clients::scene::Scene;
use crate::tree::{self, Tree};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Active decisions in the large database.
    #[arg(long, default_value_t = 1_000_000)]
    active: u32,
    /// Expired decisions beside them.
    #[arg(long, default_value_t = 2_000_000)]
    expired: u32,
    /// How long each load lasts.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// How long agents report; the target speaks of 60.
    #[arg(long, default_value_t = 60)]
    alert_seconds: u64,
    /// Enforcers that listen to the feed.
    #[arg(long, default_value_t = 2000)]
    feeds: usize,
    /// Only these parts.
    #[arg(long = "part", value_enum)]
    parts: Vec<Part>,
    /// Leave Debian's crowdsec out.
    #[arg(long)]
    ours_only: bool,
    /// Our program (default: a release build).
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// Both sides with 100,000 decisions.
    Small,
    /// Import into the large database.
    Import,
    /// Look-ups by address.
    Lookups,
    /// Filtered lists and searches on the command line.
    Searches,
    /// The full stream, and deltas.
    Stream,
    /// 500 bouncers with nothing new.
    Polls,
    /// One decision to all feeds.
    Feed,
    /// 1,000 alerts a second.
    Alerts,
}

impl Options {
    fn wants(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }

    fn length(&self) -> Duration {
        Duration::from_secs(self.seconds.max(1))
    }
}

/// The bouncers the fixture knows, and that have read all of it.
const N_BOUNCERS: u32 = 500;
/// A fixture older than this is made anew: its present lasts thirty days, its past must be past.
const FRESH: Duration = Duration::from_secs(7 * 86_400);

/// Runs the task. Fails when a target was missed.
pub(crate) fn run(tree: &Tree, options: &Options) -> Result<ExitCode> {
    let scene = Scene::open(tree, Side::Ours, options.binary.as_deref())?;
    let dir = tree.cache("bench-api")?;
    let mut table = Table::default();
    if options.wants(Part::Small) {
        small(&scene, Side::Ours, &dir.join("ours"), options, &mut table)?;
        if !options.ours_only {
            small(&scene, Side::Crowdsec, &dir.join("theirs"), options, &mut table)?;
        }
    }
    if options.parts.iter().any(|part| *part != Part::Small) || options.parts.is_empty() {
        large(tree, &scene, &dir, options, &mut table)?;
    }
    super::describe_machine();
    let n_missed = table.print();
    child::print(&format!("targets missed: {n_missed}"));
    Ok(if n_missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What both sides can do.
fn small(
    scene: &Scene,
    side: Side,
    dir: &Path,
    options: &Options,
    table: &mut Table,
) -> Result<()> {
    child::progress(&format!("{side:?} with {N_IMPORTED} decisions"));
    tree::fresh_dir(dir)?;
    let subject = Subject::start(scene, side, dir, None)?;
    parts::import(&subject, dir, 0, "100k: import", table)?;
    parts::lookups(&subject, N_IMPORTED, options.length(), "100k", table)?;
    parts::full_stream(&subject, u64::from(N_IMPORTED), "100k", table)?;
    let memory = subject.process()?.memory()?;
    table.note(subject.whose, "100k: resident", "MB", Target::None, memory.now);
    // Twenty keys for five hundred bouncers: each key's first answer is everything.
    let keys: Result<Vec<Credential>> =
        (0..20).map(|n| subject.bouncer(&format!("poller-{n}"))).collect();
    let keys = keys?;
    for key in &keys {
        subject.get("/v1/decisions/stream?startup=true", key)?;
    }
    if side == Side::Crowdsec || !options.wants(Part::Polls) {
        crowd::polls(&subject, &keys, options.length(), table)?;
    }
    if side == Side::Crowdsec {
        crowd::agents(
            &subject,
            dir,
            1000,
            Duration::from_secs(options.alert_seconds.min(20)),
            table,
        )?;
    }
    Ok(())
}

/// What only ours is asked to do.
fn large(
    tree: &Tree,
    scene: &Scene,
    dir: &Path,
    options: &Options,
    table: &mut Table,
) -> Result<()> {
    let (database, cursor) = fixture(tree, dir, options)?;
    let run_dir = dir.join("large");
    tree::fresh_dir(&run_dir)?;
    let name = format!("{}k + {}k expired", options.active / 1000, options.expired / 1000);
    child::progress(&format!("ours with {name}"));
    let subject = Subject::start(scene, Side::Ours, &run_dir, Some(&database))?;
    let resident = |subject: &Subject<'_>, when: &str, table: &mut Table| -> Result<()> {
        let memory = subject.process()?.memory()?;
        let most = Target::AtMost(250.0);
        table.note(Whose::Ours, &format!("large: resident {when}"), "MB", most, memory.now);
        table.note(Whose::Ours, &format!("large: peak {when}"), "MB", Target::None, memory.peak);
        Ok(())
    };
    resident(&subject, "after the start", table)?;
    let keys: Vec<Credential> =
        (0..N_BOUNCERS).map(|n| Credential::Key(format!("bench-key-{n}"))).collect();
    if options.wants(Part::Polls) {
        crowd::polls(&subject, &keys, options.length(), table)?;
    }
    if options.wants(Part::Lookups) {
        parts::lookups(&subject, options.active, options.length(), "large", table)?;
    }
    if options.wants(Part::Searches) {
        searches::run(&subject, options.active, table)?;
    }
    if options.wants(Part::Stream) {
        let n_all = u64::from(options.active) + u64::from(options.expired);
        parts::full_stream(&subject, n_all, "large", table)?;
    }
    if options.wants(Part::Feed) {
        crowd::feed(&subject, options.feeds, &cursor, table)?;
    }
    if options.wants(Part::Stream) {
        let key = keys.first().context("no bouncer")?;
        // The answer ends once the bouncer's new place is on disk: a flush of that is part of it.
        parts::delta(&subject, key, 1, Target::AtMost(50.0), table)?;
        parts::delta(&subject, key, 1000, Target::AtMost(100.0), table)?;
    }
    if options.wants(Part::Import) {
        parts::import(&subject, &run_dir, 0x8000_0000, "large: import of 100k", table)?;
    }
    if options.wants(Part::Alerts) {
        let length = Duration::from_secs(options.alert_seconds);
        crowd::agents(&subject, &run_dir, 1000, length, table)?;
    }
    resident(&subject, "at the end", table)?;
    drop(subject);
    // A gigabyte that nobody needs any more.
    fs::remove_dir_all(&run_dir).with_context(|| format!("removing {}", run_dir.display()))
}

/// The large database, and where a feed of its changes goes on.
fn fixture(tree: &Tree, dir: &Path, options: &Options) -> Result<(PathBuf, String)> {
    let Options { active, expired, .. } = options;
    let home = dir.join(format!("fixture-{active}-{expired}"));
    let (database, note) = (home.join("crowdsec.db"), home.join("fixture.json"));
    let is_fresh = || {
        let made = fs::metadata(&note).and_then(|meta| meta.modified()).ok()?;
        Some(SystemTime::now().duration_since(made).is_ok_and(|age| age < FRESH))
    };
    if !is_fresh().unwrap_or(false) {
        child::progress("filling a database; it is kept for later runs");
        tree::fresh_dir(&home)?;
        let mut command = tree.cargo();
        command.args(["run", "--quiet", "--release", "--package", "shieldwall-store"]);
        command.args(["--example", "fixture", "--"]).arg(&database);
        command.args([active, expired, &N_BOUNCERS].map(ToString::to_string));
        let text = child::output(&mut command, "filling a database")?;
        fs::write(&note, text)?;
    }
    let text = fs::read_to_string(&note).context("reading about the fixture")?;
    let value: Value = serde_json::from_str(&text).context("reading about the fixture")?;
    let cursor = value["cursor"].as_str().context("the fixture has no cursor")?;
    Ok((database, cursor.to_owned()))
}
