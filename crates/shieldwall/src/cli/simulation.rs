//! `shieldwall simulation`: scenarios whose decisions are written down and not enforced.
//!
//! `simulation.yaml` says whether scenarios simulate at all, and lists those that do the opposite.
//! It is written whole, at once or not at all; a reload makes it count.

use super::tool::{Form, Tool, ToolArgs};
use crate::{
    config::Desk,
    hub::{
        index::{Index, Kind},
        installed::{self, with_suffix},
    },
    terminal,
};
use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

/// Manages which scenarios only simulate.
#[derive(Args, Debug)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  shieldwall simulation enable crowdsecurity/ssh-bf
  shieldwall simulation enable --global
  shieldwall simulation status"
)]
pub(super) struct SimulationArgs {
    #[command(subcommand)]
    pub(super) command: SimulationCommand,
    #[command(flatten)]
    pub(super) tool: ToolArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum SimulationCommand {
    /// Makes scenarios simulate.
    Enable(WhichArgs),
    /// Makes scenarios count again.
    Disable(WhichArgs),
    /// Shows which scenarios simulate.
    Status,
}

/// Which scenarios.
#[derive(Args, Debug)]
pub(super) struct WhichArgs {
    /// The scenarios.
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// All scenarios.
    #[arg(short, long)]
    global: bool,
}

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Simulation {
    /// Whether scenarios simulate unless excluded.
    simulation: bool,
    /// Scenarios that do the opposite.
    exclusions: Vec<String>,
}

pub(super) fn run(command: &SimulationCommand, args: &ToolArgs) -> Result<ExitCode> {
    let tool = Tool::open(args)?;
    let path = tool.settings.places.simulation.clone();
    let before = Simulation::read(&path)?;
    let wanted = match command {
        SimulationCommand::Status => {
            status(before.as_ref(), &tool)?;
            return Ok(ExitCode::SUCCESS);
        }
        SimulationCommand::Enable(which) => (which, true),
        SimulationCommand::Disable(which) => (which, false),
    };
    let (which, simulates) = wanted;
    let mut now = before.clone().unwrap_or_default();
    if which.global {
        // With all of them the exceptions lose their meaning.
        now = Simulation { simulation: simulates, exclusions: Vec::new() };
        tool.tell(&format!("global simulation: {}", enabled(simulates)));
    } else if which.scenarios.is_empty() {
        bail!("name the scenarios, or use --global");
    }
    let known =
        if simulates && !which.scenarios.is_empty() { Some(Known::read(&tool)?) } else { None };
    for scenario in &which.scenarios {
        let word = enabled(simulates);
        // Who lets one count again may have removed it before.
        match known.as_ref().map(|known| known.standing(scenario)) {
            Some(Standing::Unknown(nearest)) => {
                terminal::complain(&format!(
                    "'{scenario}' doesn't exist or is not a scenario{nearest}"
                ));
                continue;
            }
            Some(Standing::NotInstalled) => terminal::warn(&format!("'{scenario}' isn't enabled")),
            Some(Standing::Installed) | None => {}
        }
        if now.set(scenario, simulates) {
            tool.tell(&format!("simulation mode for '{scenario}' {word}"));
        } else {
            tool.tell(&format!("simulation mode for '{scenario}' is {word} already"));
        }
    }
    if before.unwrap_or_default() != now {
        now.write(&path)?;
        tool.tell(
            "Run 'sudo systemctl reload crowdsec' for the new configuration to be effective.",
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The scenarios there are.
struct Known {
    installed: BTreeSet<String>,
    /// Those of the hub, installed or not.
    hub: BTreeSet<String>,
}

/// How much a scenario is there.
enum Standing {
    Installed,
    NotInstalled,
    /// Not at all; with a hint at what may have been meant.
    Unknown(String),
}

impl Known {
    fn read(tool: &Tool) -> Result<Self> {
        let places = &tool.settings.places;
        let mut desk = Desk::default();
        let mut installed = BTreeSet::new();
        for file in installed::read(places)?.files {
            if file.kind == rules::FileKind::Scenario {
                let documents = desk.parse(&file.name, &file.text);
                let names = documents.iter().filter_map(|tree| tree.get("name")?.as_str());
                installed.extend(names.map(str::to_owned));
            }
        }
        let index =
            if places.index.is_file() { Index::read(&places.index)? } else { Index::default() };
        let is_scenario = |name: &&str| index.get(Kind::Scenario, name).is_some();
        let hub = index.names().filter(is_scenario).map(str::to_owned).collect();
        Ok(Self { installed, hub })
    }

    fn standing(&self, name: &str) -> Standing {
        if self.installed.contains(name) {
            return Standing::Installed;
        }
        if self.hub.contains(name) {
            return Standing::NotInstalled;
        }
        let all = self.installed.iter().chain(&self.hub).map(String::as_str);
        let nearest = syntax::nearest(name, all);
        Standing::Unknown(nearest.map(|it| format!(", did you mean '{it}'?")).unwrap_or_default())
    }
}

fn enabled(is: bool) -> &'static str {
    if is { "enabled" } else { "disabled" }
}

impl Simulation {
    /// Reads the file, amended by `.local`; `None` when it is not there.
    fn read(path: &Path) -> Result<Option<Self>> {
        let mut desk = Desk::default();
        let mut found = None;
        for path in [path.to_path_buf(), with_suffix(path, ".local")] {
            if !path.is_file() {
                continue;
            }
            let simulation: &mut Self = found.get_or_insert_default();
            for tree in desk.read(&path)? {
                desk.check_keys(&tree, &["simulation", "exclusions"]);
                if let Some(is) = desk.flag(&tree, "simulation") {
                    simulation.simulation = is;
                }
                if tree.get("exclusions").is_some() {
                    simulation.exclusions = desk.texts(&tree, "exclusions");
                }
            }
        }
        if desk.diagnostics.has_errors() {
            terminal::diagnostics(&desk.diagnostics, &desk.sources);
            bail!("{} has mistakes, shown above", path.display());
        }
        Ok(found)
    }

    /// Makes a scenario simulate or not; tells whether that is new.
    fn set(&mut self, scenario: &str, simulates: bool) -> bool {
        let at = self.exclusions.iter().position(|name| name == scenario);
        match (at, self.simulation == simulates) {
            (Some(at), true) => {
                self.exclusions.remove(at);
                true
            }
            (None, false) => {
                self.exclusions.push(scenario.to_owned());
                true
            }
            (Some(_), false) | (None, true) => false,
        }
    }

    fn write(&self, path: &Path) -> Result<()> {
        let doing = || format!("unable to write new simulation config in '{}'", path.display());
        let mut text = format!("simulation: {}\n", self.simulation);
        if self.exclusions.is_empty() {
            text += "exclusions: []\n";
        } else {
            text += "exclusions:\n";
            for name in &self.exclusions {
                // JSON strings are YAML strings.
                text += &format!("  - {}\n", serde_json::Value::from(name.as_str()));
            }
        }
        let fresh = with_suffix(path, ".new");
        let result = (|| -> io::Result<()> {
            let mut file = fs::File::create(&fresh)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&fresh, path)
        })();
        result.with_context(doing)
    }
}

fn status(simulation: Option<&Simulation>, tool: &Tool) -> Result<()> {
    let Some(simulation) = simulation else {
        if tool.form == Form::Json {
            return tool.json(&Simulation::default());
        }
        return tool.line("global simulation: disabled (configuration file is missing)");
    };
    if tool.form == Form::Json {
        return tool.json(simulation);
    }
    tool.line(&format!("global simulation: {}", enabled(simulation.simulation)))?;
    if simulation.exclusions.is_empty() {
        return Ok(());
    }
    tool.line(if simulation.simulation {
        "Scenarios not in simulation mode :"
    } else {
        "Scenarios in simulation mode :"
    })?;
    simulation
        .exclusions
        .iter()
        .try_for_each(|name| tool.line(&format!("  - {}", terminal::quoted(name))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_turn_the_rule_around() {
        let mut simulation = Simulation::default();
        assert!(simulation.set("a/b", true) && !simulation.set("a/b", true));
        assert_eq!(simulation.exclusions, ["a/b"]);
        assert!(simulation.set("a/b", false) && !simulation.set("a/b", false));
        assert!(simulation.exclusions.is_empty());
        simulation.simulation = true;
        assert!(!simulation.set("a/b", true) && simulation.set("a/b", false));
        assert_eq!(simulation.exclusions, ["a/b"]);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("simulation.yaml");
        assert_eq!(Simulation::read(&path).unwrap(), None);
        for exclusions in [vec![], vec!["a/b".to_owned(), "yes".to_owned(), "\"x\": y".to_owned()]]
        {
            let simulation = Simulation { simulation: true, exclusions };
            simulation.write(&path).unwrap();
            assert_eq!(Simulation::read(&path).unwrap(), Some(simulation));
        }
        fs::write(with_suffix(&path, ".local"), "simulation: false\n").unwrap();
        assert!(!Simulation::read(&path).unwrap().unwrap().simulation);
        fs::write(&path, "simulatoin: true\n").unwrap();
        assert!(Simulation::read(&path).is_err());
    }
}
