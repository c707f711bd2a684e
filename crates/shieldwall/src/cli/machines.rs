//! `machines`: the agents that may send alerts, straight from the database.
//!
//! Reading order: the arguments, [`run`], then `inspect` (one machine in full).

mod inspect;

use super::{
    listed::{self, Listed},
    tool::{Tool, ToolArgs, ago, date, random_text},
};
use crate::{
    config::{Credentials, Proof, Secret, Settings, credentials_address},
    terminal,
};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use clap::{Args, Subcommand};
use model::Timestamp;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufRead as _, IsTerminal as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};
use store::{Machine, MachineAuth, MachineChange, NewMachine};

/// The longest password: upstream's servers take no longer one.
const MAX_PASSWORD: usize = 72;

const EXAMPLES: &str = "Examples:
  shieldwall machines list
  shieldwall machines add web-1 --auto --file web-1.yaml --url http://192.0.2.1:8080
  shieldwall machines validate web-2
  shieldwall machines prune --duration 30d";

/// Manages the machines that may send alerts to the local API.
#[derive(Args, Debug)]
#[command(visible_alias = "machine", after_help = EXAMPLES)]
pub(super) struct MachinesArgs {
    #[command(subcommand)]
    pub(super) command: MachinesCommand,
    #[command(flatten)]
    pub(super) tool: ToolArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum MachinesCommand {
    /// Lists all machines.
    List,
    /// Adds a machine and writes its credentials to a file.
    Add(AddArgs),
    /// Deletes machines.
    #[command(visible_alias = "remove")]
    Delete {
        /// Their names.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// Says nothing about machines that do not exist.
        #[arg(long)]
        ignore_missing: bool,
    },
    /// Admits a machine that registered itself.
    Validate {
        /// Its name.
        name: String,
    },
    /// Deletes machines that were never admitted or not heard of for long.
    Prune {
        /// How long.
        #[arg(long, short, default_value = "10m", value_parser = super::duration)]
        duration: Duration,
        /// Only those that were never admitted.
        #[arg(long)]
        not_validated_only: bool,
        /// Does not ask.
        #[arg(long)]
        force: bool,
    },
    /// Shows everything known about a machine.
    Inspect {
        /// Its name.
        name: String,
        /// Shows its hub items.
        #[arg(long, short = 'H')]
        hub: bool,
    },
}

#[derive(Args, Debug)]
pub(super) struct AddArgs {
    /// Its name.
    name: Option<String>,
    /// Its password.
    #[arg(long, short)]
    password: Option<String>,
    /// Where its credentials go; `-` for standard error.
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The address of the local API for its credentials.
    #[arg(long, short)]
    url: Option<String>,
    /// Asks for the password.
    #[arg(long, short)]
    interactive: bool,
    /// Makes up a password, and a name if none is given.
    #[arg(long, short)]
    auto: bool,
    /// Replaces a machine of that name, and a file of credentials.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(command: &MachinesCommand, args: &ToolArgs) -> Result<ExitCode> {
    let tool = Tool::open(args)?;
    match command {
        MachinesCommand::List => list(&tool)?,
        MachinesCommand::Add(args) => add(args, &tool)?,
        MachinesCommand::Delete { names, ignore_missing } => delete(names, *ignore_missing, &tool)?,
        MachinesCommand::Validate { name } => validate(name, &tool)?,
        MachinesCommand::Prune { duration, not_validated_only, force } => {
            prune(*duration, *not_validated_only, *force, &tool)?;
        }
        MachinesCommand::Inspect { name, hub } => inspect::run(name, *hub, &tool)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A machine as scripts know it; what is empty is left out.
#[derive(Serialize)]
pub(super) struct Wire {
    created_at: String,
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_push: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_heartbeat: Option<String>,
    #[serde(rename = "machineId")]
    machine_id: String,
    #[serde(rename = "ipAddress", skip_serializing_if = "String::is_empty")]
    ip_address: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    version: String,
    #[serde(rename = "isValidated", skip_serializing_if = "is_false")]
    is_validated: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    auth_type: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    os: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    featureflags: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    datasources: BTreeMap<String, i64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Wire {
    fn new(machine: &Machine) -> Self {
        let datasources = machine.datasources.as_deref();
        Self {
            created_at: date(machine.created_at),
            updated_at: date(machine.updated_at),
            last_push: machine.last_push.map(date),
            last_heartbeat: machine.last_heartbeat.map(date),
            machine_id: machine.name.clone(),
            ip_address: machine.ip.clone().unwrap_or_default(),
            version: machine.version.clone().unwrap_or_default(),
            is_validated: machine.validated,
            auth_type: auth_type(machine.auth),
            os: os(machine.os.as_ref()),
            featureflags: flags(&machine.feature_flags),
            datasources: datasources
                .and_then(|json| serde_json::from_str(json).ok())
                .unwrap_or_default(),
        }
    }
}

const fn auth_type(auth: MachineAuth) -> &'static str {
    match auth {
        MachineAuth::Password => "password",
        MachineAuth::Tls => "tls",
    }
}

/// `debian/12`; empty when unknown.
pub(super) fn os(os: Option<&store::Os>) -> String {
    os.filter(|os| !os.name.is_empty())
        .map_or_else(String::new, |os| format!("{}/{}", os.name, os.version))
}

pub(super) fn flags(joined: &str) -> Vec<String> {
    joined.split(',').filter(|flag| !flag.is_empty()).map(str::to_owned).collect()
}

impl Listed for Machine {
    type Wire = Wire;

    const MANY: &'static str = "machines";

    const RAW: &'static [&'static str] = &[
        "machine_id",
        "ip_address",
        "updated_at",
        "validated",
        "version",
        "auth_type",
        "last_heartbeat",
        "os",
    ];

    const TABLE: &'static [&'static str] =
        &["Name", "IP Address", "Status", "Version", "OS", "Auth Type", "Last Heartbeat"];

    fn name(&self) -> &str {
        &self.name
    }

    fn heard(&self) -> Timestamp {
        self.last_heartbeat.unwrap_or(self.created_at)
    }

    fn wire(&self) -> Wire {
        Wire::new(self)
    }

    fn raw(&self) -> Vec<String> {
        let wire = Wire::new(self);
        vec![
            wire.machine_id,
            wire.ip_address,
            wire.updated_at,
            wire.is_validated.to_string(),
            wire.version,
            wire.auth_type.to_owned(),
            wire.last_heartbeat.unwrap_or_default(),
            wire.os,
        ]
    }

    fn row(&self, now: Timestamp) -> Vec<String> {
        vec![
            self.name.clone(),
            self.ip.clone().unwrap_or_default(),
            status(self).to_owned(),
            self.version.clone().unwrap_or_default(),
            os(self.os.as_ref()),
            auth_type(self.auth).to_owned(),
            last(self.last_heartbeat, now),
        ]
    }
}

const fn status(machine: &Machine) -> &'static str {
    if machine.validated { "validated" } else { "pending" }
}

fn list(tool: &Tool) -> Result<()> {
    let store = tool.store()?;
    let machines = tool.wait(store.machines())?.context("unable to list machines")?;
    listed::show(&machines, tool)
}

fn last(at: Option<Timestamp>, now: Timestamp) -> String {
    at.map_or_else(|| "never".to_owned(), |at| ago(at, now))
}

fn add(args: &AddArgs, tool: &Tool) -> Result<()> {
    let name = match (&args.name, args.auto) {
        (Some(name), _) => name.clone(),
        (None, true) => generated_name()?,
        (None, false) => bail!("please specify a machine name to add, or use --auto"),
    };
    let file = match (&args.file, &tool.settings.client.credentials) {
        (Some(file), _) | (None, Some(file)) => file.clone(),
        (None, None) => bail!("please specify a file for the credentials with --file"),
    };
    let to_stderr = file == Path::new("-");
    let exists = fs::metadata(&file).is_ok_and(|file| file.len() > 0);
    if !to_stderr && exists && !args.force {
        bail!(
            "credentials file '{}' already exists: please remove it, use \"--force\" or specify a \
             different file with \"-f\" (\"-f -\" for standard output)",
            file.display()
        );
    }
    let password = match (&args.password, args.auto, args.interactive) {
        (Some(password), ..) => password.clone(),
        (None, _, true) => ask_password()?,
        (None, true, false) => random_text(64)?,
        (None, false, false) => bail!("please specify a password with --password or use --auto"),
    };
    ensure!(password.len() <= MAX_PASSWORD, "password too long (max {MAX_PASSWORD} characters)");
    let url = match &args.url {
        Some(url) => url.clone(),
        None => own_address(&tool.settings)
            .context("unable to dump an api URL. Please provide it in your configuration or with the -u parameter")?,
    };
    let store = tool.store()?;
    let machine = NewMachine {
        name: name.clone(),
        password: lapi::password::hash(&password).map_err(|error| anyhow!(error))?,
        ip: "127.0.0.1".to_owned(),
        validated: true,
        ..NewMachine::default()
    };
    let hash = machine.password.clone();
    match tool.wait(store.add_machine(machine, tool.now()))? {
        Ok(_) => {}
        Err(store::Error::Exists { .. }) if args.force => {
            let change = MachineChange {
                password: Some(hash),
                validated: Some(true),
                ..MachineChange::default()
            };
            tool.wait(store.change_machine(&name, change, tool.now()))?
                .context("unable to create machine")?;
        }
        Err(store::Error::Exists { .. }) => {
            bail!("unable to create machine: user '{name}': user already exist")
        }
        Err(error) => return Err(anyhow!(error).context("unable to create machine")),
    }
    tool.tell(&format!("Machine '{name}' successfully added to the local API."));
    let credentials = Credentials {
        url: credentials_address(url),
        proof: Proof::Password { login: name, password: Secret::new(password) },
        ca_cert: None,
    };
    if to_stderr {
        // COMPAT(crowdsec): to standard error, whatever the flag's name suggests.
        terminal::complain(credentials.yaml().trim_end());
        return Ok(());
    }
    credentials.write(&file)?;
    tool.tell(&format!("API credentials written to '{}'.", file.display()));
    Ok(())
}

/// Gives the tools themselves a machine, with its credentials in a file.
pub(super) fn add_own(tool: &Tool, file: PathBuf) -> Result<()> {
    let args = AddArgs {
        name: Some("command-line".to_owned()),
        password: None,
        file: Some(file),
        url: None,
        interactive: false,
        auto: true,
        force: true,
    };
    add(&args, tool)
}

/// Where the local API of these settings is.
fn own_address(settings: &Settings) -> Option<String> {
    let server = settings.server.as_ref()?;
    if let Some(socket) = &server.listen_socket {
        return Some(socket.display().to_string());
    }
    server.listen_uri.as_ref().map(|address| format!("http://{address}"))
}

/// The name of this installation and something random behind it.
pub(super) fn generated_name() -> Result<String> {
    let machine = ["/etc/machine-id", "/var/lib/dbus/machine-id"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .map(|id| id.trim().to_owned())
        .find(|id| !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric()));
    let machine = match machine {
        Some(machine) => machine,
        None => random_text(32)?,
    };
    Ok(machine + &random_text(16)?)
}

fn ask_password() -> Result<String> {
    ensure!(io::stdin().is_terminal(), "there is no terminal to ask for the password");
    terminal::complain("Password (it is shown while you type):");
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let password = line.trim_end_matches(['\r', '\n']).to_owned();
    ensure!(!password.is_empty(), "no password was given");
    Ok(password)
}

fn delete(names: &[String], ignore_missing: bool, tool: &Tool) -> Result<()> {
    let store = tool.store()?;
    for name in names {
        let deleted = tool.wait(store.delete_machines(vec![name.clone()]))?;
        match deleted.context("unable to delete machine")? {
            0 if ignore_missing => {}
            // COMPAT(crowdsec): said, and no failure.
            0 => terminal::complain(&format!("unable to delete machine: '{name}' does not exist")),
            _ => tool.tell(&format!("machine '{name}' deleted successfully")),
        }
    }
    Ok(())
}

fn validate(name: &str, tool: &Tool) -> Result<()> {
    let store = tool.store()?;
    let change = MachineChange { validated: Some(true), ..MachineChange::default() };
    tool.wait(store.change_machine(name, change, tool.now()))?
        .with_context(|| format!("unable to validate machine '{name}'"))?;
    tool.tell(&format!("machine '{name}' validated successfully"));
    Ok(())
}

fn prune(duration: Duration, pending_only: bool, force: bool, tool: &Tool) -> Result<()> {
    let store = tool.store()?;
    let mut machines = tool.wait(store.machines())?.context("unable to list machines")?;
    let now = tool.now();
    machines.retain(|machine| {
        !machine.validated || (!pending_only && machine.is_silent(duration, now))
    });
    listed::prune(&machines, force, tool, |names| {
        tool.wait(store.delete_machines(names))?.context("unable to prune machines")
    })
}
