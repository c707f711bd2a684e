//! The one binary: settings, threads, files and terminals around the engine.
//!
//! Everything pure lives in the other crates; this one introduces them to each other and to the
//! world. Called as `crowdsec` or `cscli` it understands the incumbent's flags, called by any other name
//! its own commands.
//!
//! Reading order: [`cli`] (one file per command), [`rules`] and [`hub`] (from directories to a
//! program), [`config`] (settings), [`profiles`], [`run`] (threads), [`outside`] (what the engine asks of the
//! world), [`report`] (alerts as text), [`terminal`], [`log`], [`clock`].

mod cli;
mod rules;

mod hub;

mod config;

mod profiles;

mod run;

mod outside;

mod report;
mod terminal;

mod log;

mod clock;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main(std::env::args_os().collect())
}
