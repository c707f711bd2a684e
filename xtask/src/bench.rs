//! The engine against its contenders: whole processes, the same files, the same run.
//!
//! Every contender is started anew for every measurement, rounds are interleaved so that a change
//! of the machine's mood hits all alike, and the table shows medians. Contenders that would take
//! hours get the first part of the file and are compared per line, their start-up (measured on one
//! line) taken off; ours is never taken off.
//!
//! Reading order: this file says who runs on what; `corpus` makes the files, `measure` the numbers,
//! `contenders` the command lines.

pub(crate) mod measure;

mod api;

mod contenders;
mod corpus;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand};
use testkit::geo;

use self::contenders::{Contender, Field};
use self::corpus::Input;
use self::measure::{Cost, cost};
use crate::child;
use crate::tree::{self, Tree};

#[derive(Subcommand)]
pub(crate) enum What {
    /// Lines per CPU-second, memory, start-up, buckets and cores.
    Engine(Options),
    /// The local API: import, look-ups, searches, streams, feeds, alerts.
    Api(api::Options),
}

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Real logs; where there are none, generated ones are used.
    #[arg(long, default_value = "../shared/corpus")]
    corpus: PathBuf,
    /// How long each file becomes.
    #[arg(long, default_value_t = 500_000)]
    lines: usize,
    /// Measurements of each contender.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Only these parts.
    #[arg(long = "part", value_enum)]
    parts: Vec<Part>,
    /// Leave ourselves out and measure the others.
    #[arg(long)]
    others_only: bool,
    /// Leave the others out and measure ourselves.
    #[arg(long, conflicts_with = "others_only")]
    ours_only: bool,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// Lines per CPU-second of all contenders.
    Lines,
    /// Start-up time and memory with all rules and with a small set.
    Start,
    /// A million buckets from a million addresses.
    Buckets,
    /// One core and two.
    Cores,
}

/// Runs the task.
pub(crate) fn run(tree: &Tree, what: What) -> Result<ExitCode> {
    let options = match what {
        What::Engine(options) => options,
        What::Api(options) => return api::run(tree, &options),
    };
    let dir = tree.cache("bench")?;
    let field = Field::prepare(tree, &dir, options.others_only, options.ours_only)?;
    let corpus = tree.root().join(&options.corpus);
    let wants = |part| options.parts.is_empty() || options.parts.contains(&part);
    // The small databases end most look-ups early, which would flatter whoever looks up.
    let geo_dir = field.data_dir();
    geo::write_dense(geo_dir).with_context(|| format!("writing to {}", geo_dir.display()))?;
    describe_machine();

    if wants(Part::Lines) || wants(Part::Cores) {
        let inputs = corpus::inputs(&corpus, &dir, options.lines)?;
        for input in &inputs {
            if wants(Part::Lines) {
                lines(&field, input, &dir, options.runs)?;
            }
            if wants(Part::Cores) && !options.others_only {
                cores(&field, input, options.runs)?;
            }
        }
    }
    if wants(Part::Start) && !options.others_only {
        start(&field, &dir, options.runs)?;
    }
    if wants(Part::Buckets) && !options.others_only {
        buckets(&field, &dir)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn describe_machine() {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let n_cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    child::print(&format!(
        "machine: {n_cores} cores, {}",
        model.trim_start_matches([' ', '\t', ':'])
    ));
}

/// Measures all contenders on one file.
fn lines(field: &Field, input: &Input, dir: &Path, n_runs: usize) -> Result<()> {
    let mut contenders = field.contenders(input, dir)?;
    for contender in &mut contenders {
        if let Some(start_up) = &contender.start_up {
            contender.taken_off = cost(start_up, None)?.cpu;
        }
    }
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); contenders.len()];
    for round in 0..n_runs {
        for (contender, costs) in contenders.iter().zip(&mut costs) {
            child::progress(&format!("{} run {}: {}", input.name, round + 1, contender.name));
            costs.push(cost(&contender.command, contender.stdin.as_deref())?);
        }
    }
    let rows: Vec<Row> =
        contenders.iter().zip(&costs).map(|(contender, costs)| row(contender, costs)).collect();
    child::print(&format!(
        "\n{}: {} lines as {}, median of {n_runs}",
        input.name, input.n_lines, input.kind
    ));
    child::print(&format!(
        "  {:<22} {:>9} {:>13} {:>11} {:>8} {:>8} {:>9}",
        "contender", "lines", "lines/CPU-s", "min..max %", "of first", "wall s", "peak MiB"
    ));
    let first = rows.first().map_or(1.0, |row| row.per_cpu_second);
    for row in &rows {
        child::print(&format!(
            "  {:<22} {:>9} {:>13.0} {:>11} {:>8.3} {:>8.2} {:>9.1}",
            row.name,
            row.n_lines,
            row.per_cpu_second,
            row.spread,
            row.per_cpu_second / first,
            row.wall,
            row.peak
        ));
    }
    Ok(())
}

struct Row {
    name: &'static str,
    n_lines: usize,
    per_cpu_second: f64,
    /// How far the runs lie apart, in percent of the median.
    spread: String,
    wall: f64,
    peak: f64,
}

fn row(contender: &Contender, costs: &[Cost]) -> Row {
    let cpu = |cost: &Cost| (cost.cpu - contender.taken_off).max(1e-6);
    let median_cpu = median(costs.iter().map(cpu));
    let low = costs.iter().map(cpu).fold(f64::INFINITY, f64::min);
    let high = costs.iter().map(cpu).fold(0.0, f64::max);
    Row {
        name: contender.name,
        n_lines: contender.n_lines,
        per_cpu_second: contender.n_lines as f64 / median_cpu,
        spread: format!(
            "{:+.0}..{:+.0}",
            (low / median_cpu - 1.0) * 100.0,
            (high / median_cpu - 1.0) * 100.0
        ),
        wall: median(costs.iter().map(|cost| cost.wall)),
        peak: median(costs.iter().map(|cost| cost.peak_mib)),
    }
}

/// Measures ourselves with one thread and with two.
fn cores(field: &Field, input: &Input, n_runs: usize) -> Result<()> {
    let [one, two] = ["1", "2"].map(|jobs| field.ours(input, jobs));
    let mut walls = [Vec::new(), Vec::new()];
    for _ in 0..n_runs {
        for (command, walls) in [&one, &two].into_iter().zip(&mut walls) {
            walls.push(cost(command, None)?.wall);
        }
    }
    let [one, two] = walls.map(|walls| median(walls.into_iter()));
    child::print(&format!(
        "{}: one core {one:.2} s, two cores {two:.2} s, {:.2} ×",
        input.name,
        one / two
    ));
    Ok(())
}

/// Measures ourselves on one line: what is left is start-up.
fn start(field: &Field, dir: &Path, n_runs: usize) -> Result<()> {
    let line = "Mar  6 07:00:00 gate sshd[100]: Invalid user test from 192.0.2.1 port 40000";
    let path = dir.join("one-line.log");
    tree::write_lines(&path, &[line.to_owned()])?;
    for (name, rules) in
        [("all rules", field.all_rules()), ("linux, nginx, sshd", field.small_rules())]
    {
        let command = field.ours_on(&path, "syslog", rules, "1");
        let costs: Result<Vec<Cost>> = (0..n_runs).map(|_| cost(&command, None)).collect();
        let costs = costs?;
        child::print(&format!(
            "start-up, {name}: {:.3} s wall, {:.3} s CPU, {:.1} MiB",
            median(costs.iter().map(|cost| cost.wall)),
            median(costs.iter().map(|cost| cost.cpu)),
            median(costs.iter().map(|cost| cost.peak_mib))
        ));
    }
    Ok(())
}

/// Measures a million buckets, and whether an event costs more among many than among few.
fn buckets(field: &Field, dir: &Path) -> Result<()> {
    let rules = field.bucket_rules(dir)?;
    let mut per_line = Vec::new();
    for n_addresses in [100_000, 1_000_000] {
        let path = corpus::addresses(dir, n_addresses)?;
        let Cost { wall, cpu, peak_mib } =
            cost(&field.ours_on(&path, "syslog", &rules, "1"), None)?;
        per_line.push(cpu / f64::from(n_addresses) * 1e6);
        child::print(&format!(
            "{n_addresses} buckets: {wall:.2} s wall, {cpu:.2} s CPU, {peak_mib:.1} MiB, {:.2} µs per event",
            cpu / f64::from(n_addresses) * 1e6
        ));
    }
    ensure!(per_line.iter().all(|cost| cost.is_finite()), "no events were measured");
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (None, _) => 0.0,
        (Some(value), 1) => *value,
        (Some(value), _) => f64::midpoint(*value, values[middle - 1]),
    }
}

/// The arguments of a replay by ourselves.
fn replay(binary: &Path, log: &Path, kind: &str, rules: &Path, data: &Path, jobs: &str) -> Command {
    let mut command = Command::new(binary);
    command.arg("replay").arg(log).args(["--type", kind]).arg("--rules").arg(rules);
    command.arg("--data").arg(data).args(["-o", "json", "--jobs", jobs]).env("TZ", "UTC");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert_eq!(median(std::iter::empty()), 0.0);
    }
}
