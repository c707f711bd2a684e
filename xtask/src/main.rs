//! Development tasks: `cargo xtask test` is the gate, the others are its parts and the benchmarks.
//!
//! Everything fetched or generated stays below `target/`; the machine's own package sources and
//! databases are read, never changed, except that `test` installs missing Debian packages when it
//! is root. Progress goes to standard error, results to standard output.
//!
//! Reading order: `tree` (where things are), `child` (running programs), `apt` (fetching the
//! incumbents), `hub` (their rules, installed), `peer` and `sink` (running Debian's crowdsec and
//! taking its alerts), then one file per task.

mod tree;

mod child;

mod apt;

mod hub;

mod peer;

mod sink;

mod alert;

mod collection;

mod conformance;

mod differential;

mod clients;

mod schemathesis;

mod bench;

mod tidy;

mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use testkit::loggen;

use crate::tree::Tree;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Development tasks of Shieldwall")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything a change must pass; installs the Debian packages that tests need when root.
    Test,
    /// Checks what the compiler does not: the crate table, purity, file lengths, foreign paths.
    Tidy,
    /// Runs the hub's own tests, fetched from Debian, against this engine.
    Conformance(conformance::Options),
    /// Checks our own rule collection: its index, what every item owes, its tests.
    Hub(collection::Options),
    /// Compares our alerts with those of Debian's crowdsec on generated logs.
    Differential(differential::Options),
    /// Runs real clients, fetched from Debian, PyPI and npm, against our server.
    Clients(clients::Options),
    /// Fuzzes the local API from its published description, with schemathesis from PyPI.
    Schemathesis(schemathesis::Options),
    /// Measures the whole process against the incumbents.
    Bench {
        #[command(subcommand)]
        what: bench::What,
    },
    /// Writes the generated logs into a directory, one file per kind.
    Generate {
        /// Where to write.
        dir: PathBuf,
        /// Where the pseudo-random choices start.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Runs a program and writes what it cost into a file; `bench` calls this.
    #[command(hide = true)]
    Measure {
        /// Where to write the cost, as JSON.
        out: PathBuf,
        /// The program and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            child::progress(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    let tree = Tree::find()?;
    match arguments.task {
        Task::Test => test::run(&tree),
        Task::Tidy => tidy::run(&tree),
        Task::Conformance(options) => conformance::run(&tree, &options),
        Task::Hub(options) => collection::run(&tree, &options),
        Task::Differential(options) => differential::run(&tree, &options),
        Task::Clients(options) => clients::run(&tree, &options),
        Task::Schemathesis(options) => schemathesis::run(&tree, &options),
        Task::Bench { what } => bench::run(&tree, what),
        Task::Generate { dir, seed } => {
            std::fs::create_dir_all(&dir)?;
            for log in loggen::generate(&loggen::Plan { seed, ..loggen::Plan::default() }) {
                let path = dir.join(format!("{}.log", log.kind));
                tree::write_lines(&path, &log.lines)?;
                child::progress(&format!("{}: {} lines", path.display(), log.lines.len()));
            }
            Ok(ExitCode::SUCCESS)
        }
        Task::Measure { out, command } => bench::measure::run(&out, &command),
    }
}
