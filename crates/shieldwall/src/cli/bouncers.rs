//! `bouncers`: the enforcers that may read decisions, straight from the database.

use super::{
    listed::{self, Listed},
    machines::{flags, os},
    table::facts,
    tool::{Form, Tool, ToolArgs, ago, date},
};
use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, Subcommand};
use model::Timestamp;
use serde::Serialize;
use std::{process::ExitCode, time::Duration};
use store::{Bouncer, BouncerAuth, NewBouncer};

/// Manages the bouncers that may read decisions from the local API.
#[derive(Args, Debug)]
#[command(
    visible_alias = "bouncer",
    after_help = "Examples:
  shieldwall bouncers add my-firewall
  shieldwall bouncers list -o json
  shieldwall bouncers prune --duration 7d"
)]
pub(super) struct BouncersArgs {
    #[command(subcommand)]
    pub(super) command: BouncersCommand,
    #[command(flatten)]
    pub(super) tool: ToolArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum BouncersCommand {
    /// Lists all bouncers.
    List,
    /// Adds a bouncer and prints its key.
    Add {
        /// Its name.
        name: String,
        /// Its key, instead of one that is made up.
        #[arg(long, short)]
        key: Option<String>,
    },
    /// Deletes bouncers, with those that were made by themselves for the same key.
    #[command(visible_alias = "remove")]
    Delete {
        /// Their names.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// Says nothing about bouncers that do not exist.
        #[arg(long)]
        ignore_missing: bool,
    },
    /// Deletes bouncers that have not read decisions for long.
    Prune {
        /// How long.
        #[arg(long, short, default_value = "60m", value_parser = super::duration)]
        duration: Duration,
        /// Does not ask.
        #[arg(long)]
        force: bool,
    },
    /// Shows everything known about a bouncer.
    Inspect {
        /// Its name.
        name: String,
    },
}

pub(super) fn run(command: &BouncersCommand, args: &ToolArgs) -> Result<ExitCode> {
    let tool = Tool::open(args)?;
    match command {
        BouncersCommand::List => list(&tool)?,
        BouncersCommand::Add { name, key } => add(name, key.as_deref(), &tool)?,
        BouncersCommand::Delete { names, ignore_missing } => delete(names, *ignore_missing, &tool)?,
        BouncersCommand::Prune { duration, force } => prune(*duration, *force, &tool)?,
        BouncersCommand::Inspect { name } => inspect(name, &tool)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A bouncer as scripts know it: nearly nothing is left out.
#[derive(Serialize)]
pub(super) struct Wire {
    created_at: String,
    updated_at: String,
    name: String,
    revoked: bool,
    ip_address: String,
    #[serde(rename = "type")]
    kind: String,
    version: String,
    last_pull: Option<String>,
    auth_type: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    os: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    featureflags: Vec<String>,
    auto_created: bool,
}

impl Wire {
    fn new(bouncer: &Bouncer) -> Self {
        Self {
            created_at: date(bouncer.created_at),
            updated_at: date(bouncer.updated_at),
            name: bouncer.name.clone(),
            revoked: bouncer.revoked,
            ip_address: bouncer.ip.clone(),
            kind: bouncer.kind.clone(),
            version: bouncer.version.clone(),
            last_pull: bouncer.last_pull.map(date),
            auth_type: auth_type(bouncer.auth),
            os: os(bouncer.os.as_ref()),
            featureflags: flags(&bouncer.feature_flags),
            auto_created: bouncer.auto_created,
        }
    }
}

const fn auth_type(auth: BouncerAuth) -> &'static str {
    match auth {
        BouncerAuth::ApiKey => "api-key",
        BouncerAuth::Tls => "tls",
    }
}

impl Listed for Bouncer {
    type Wire = Wire;

    const MANY: &'static str = "bouncers";

    const RAW: &'static [&'static str] =
        &["name", "ip", "revoked", "last_pull", "type", "version", "auth_type"];

    const TABLE: &'static [&'static str] =
        &["Name", "IP Address", "Valid", "Last API pull", "Type", "Version", "Auth Type"];

    fn name(&self) -> &str {
        &self.name
    }

    fn heard(&self) -> Timestamp {
        self.last_pull.unwrap_or(self.created_at)
    }

    fn wire(&self) -> Wire {
        Wire::new(self)
    }

    fn raw(&self) -> Vec<String> {
        let wire = Wire::new(self);
        vec![
            wire.name,
            wire.ip_address,
            // COMPAT(crowdsec): so it is, below this name.
            if wire.revoked { "pending" } else { "validated" }.to_owned(),
            wire.last_pull.unwrap_or_default(),
            wire.kind,
            wire.version,
            wire.auth_type.to_owned(),
        ]
    }

    fn row(&self, now: Timestamp) -> Vec<String> {
        vec![
            self.name.clone(),
            self.ip.clone(),
            if self.revoked { "revoked" } else { "yes" }.to_owned(),
            self.last_pull.map_or_else(|| "never".to_owned(), |at| ago(at, now)),
            self.kind.clone(),
            self.version.clone(),
            auth_type(self.auth).to_owned(),
        ]
    }
}

fn list(tool: &Tool) -> Result<()> {
    let store = tool.store()?;
    let bouncers = tool.wait(store.bouncers())?.context("unable to list bouncers")?;
    listed::show(&bouncers, tool)
}

fn add(name: &str, key: Option<&str>, tool: &Tool) -> Result<()> {
    let key = match key {
        Some(key) => key.to_owned(),
        None => lapi::key::generate().context("making up a key")?,
    };
    let store = tool.store()?;
    let bouncer = NewBouncer {
        name: name.to_owned(),
        key_hash: lapi::key::hash(&key),
        ..NewBouncer::default()
    };
    match tool.wait(store.add_bouncer(bouncer, tool.now()))? {
        Ok(_) => {}
        Err(store::Error::Exists { .. }) => {
            bail!("unable to create bouncer: bouncer {name} already exists")
        }
        Err(error) => return Err(anyhow!(error).context("unable to create bouncer")),
    }
    match tool.form {
        Form::Json => tool.json(&key),
        Form::Raw => tool.line(&key),
        Form::Human => tool.line(&format!(
            "API key for '{name}':\n\n   {key}\n\nPlease keep this key since you will not be able \
             to retrieve it!"
        )),
    }
}

fn delete(names: &[String], ignore_missing: bool, tool: &Tool) -> Result<()> {
    let store = tool.store()?;
    let all = tool.wait(store.bouncers())?.context("unable to list bouncers")?;
    for name in names {
        let Some(bouncer) = all.iter().find(|bouncer| bouncer.name == *name) else {
            if ignore_missing {
                continue;
            }
            bail!("unable to delete bouncer {name}: ent: bouncer not found");
        };
        let parent = all
            .iter()
            .find(|other| !other.auto_created && other.key_hash == bouncer.key_hash)
            .filter(|_| bouncer.auto_created);
        if let Some(parent) = parent {
            if !names.contains(&parent.name) {
                tool.tell(&format!(
                    "bouncer '{name}' is auto-created and cannot be deleted, delete parent bouncer \
                     '{}' instead",
                    parent.name
                ));
            }
            continue;
        }
        let mut doomed = vec![name.clone()];
        doomed.extend(
            all.iter()
                .filter(|other| other.auto_created && other.key_hash == bouncer.key_hash)
                .filter(|other| other.name != *name)
                .map(|other| other.name.clone()),
        );
        for name in &doomed {
            tool.wait(store.delete_bouncers(vec![name.clone()]))?
                .with_context(|| format!("unable to delete bouncer {name}"))?;
            tool.tell(&format!("bouncer '{name}' deleted successfully"));
        }
    }
    Ok(())
}

fn prune(duration: Duration, force: bool, tool: &Tool) -> Result<()> {
    let store = tool.store()?;
    let mut bouncers = tool.wait(store.bouncers())?.context("unable to list bouncers")?;
    let now = tool.now();
    bouncers.retain(|bouncer| bouncer.is_silent(duration, now));
    listed::prune(&bouncers, force, tool, |names| {
        tool.wait(store.delete_bouncers(names))?.context("unable to prune bouncers")
    })
}

fn inspect(name: &str, tool: &Tool) -> Result<()> {
    let store = tool.store()?;
    let bouncer = tool.wait(store.bouncer(name))?.context("unable to read bouncer data")?;
    let Some(bouncer) = bouncer else {
        bail!("unable to read bouncer data '{name}': ent: bouncer not found");
    };
    if tool.form != Form::Human {
        return tool.json(&Wire::new(&bouncer));
    }
    let now = tool.now();
    tool.line(&facts(&[
        ("Name", bouncer.name.clone()),
        ("IP Address", bouncer.ip.clone()),
        ("Valid", if bouncer.revoked { "revoked" } else { "yes" }.to_owned()),
        ("Created At", date(bouncer.created_at)),
        ("Last Update", date(bouncer.updated_at)),
        ("Last Pull", bouncer.last_pull.map_or_else(|| "never".to_owned(), |at| ago(at, now))),
        ("Type", bouncer.kind.clone()),
        ("Version", bouncer.version.clone()),
        ("OS", os(bouncer.os.as_ref())),
        ("Auth Type", auth_type(bouncer.auth).to_owned()),
        ("Auto Created", if bouncer.auto_created { "yes" } else { "no" }.to_owned()),
        ("Feature Flags", bouncer.feature_flags),
    ]))
}
