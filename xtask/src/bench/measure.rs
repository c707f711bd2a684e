//! What a process costs: wall time, CPU time of all its threads, and the most memory it held.
//!
//! The kernel tells a process about its finished children as a whole, so each measurement goes
//! through one more process of ours that has exactly one child.

use std::env;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

/// What one run of a program cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Seconds from start to end.
    pub(crate) wall: f64,
    /// Seconds of CPU, user and system.
    pub(crate) cpu: f64,
    /// The largest resident size.
    pub(crate) peak_mib: f64,
}

/// Runs a command to its end and says what it cost. Its output is thrown away.
pub(crate) fn cost(command: &Command, stdin: Option<&Path>) -> Result<Cost> {
    let program = command.get_program().display().to_string();
    let out = tempfile::NamedTempFile::new().context("making a file for the cost")?;
    let mut outer = Command::new(env::current_exe().context("finding ourselves")?);
    outer.arg("measure").arg(out.path()).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            outer.env(name, value);
        }
    }
    match stdin {
        Some(path) => {
            outer.stdin(File::open(path).with_context(|| format!("opening {}", path.display()))?)
        }
        None => outer.stdin(Stdio::null()),
    };
    outer.stdout(Stdio::null()).stderr(Stdio::piped());
    let output = outer.output().with_context(|| format!("measuring {program}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program} ended with {}\n{}", output.status, crate::child::last_lines(&said, 8));
    }
    let text = fs::read_to_string(out.path()).context("reading the cost")?;
    let value: Value = serde_json::from_str(&text).context("reading the cost")?;
    let field =
        |name: &str| value[name].as_f64().with_context(|| format!("the cost has no {name}"));
    Ok(Cost { wall: field("wall")?, cpu: field("cpu")?, peak_mib: field("peak_mib")? })
}

/// The inner side: runs the program as our only child and writes what it cost.
pub(crate) fn run(out: &Path, command: &[String]) -> Result<ExitCode> {
    let (program, arguments) = command.split_first().context("nothing to measure")?;
    let started = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .status()
        .with_context(|| format!("starting {program}"))?;
    let wall = started.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("asking for the cost")?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let cost = json!({
        "wall": wall,
        "cpu": seconds(usage.user_time()) + seconds(usage.system_time()),
        "peak_mib": usage.max_rss() as f64 / 1024.0,
    });
    fs::write(out, cost.to_string()).with_context(|| format!("writing {}", out.display()))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
