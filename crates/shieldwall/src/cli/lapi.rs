//! `lapi`: this machine and its local API.
//!
//! Reading order: the arguments, [`run`], then `context` (what alerts tell).

mod context;

use super::{
    machines::generated_name,
    tool::{Tool, ToolArgs, random_text},
};
use crate::config::{Credentials, Proof, Secret, credentials_address};
use anyhow::{Context as _, Result, anyhow, bail};
use api::client::{ClientError, Registered};
use clap::{Args, Subcommand};
use std::{path::PathBuf, process::ExitCode};

/// Manages how this machine talks to the local API.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  shieldwall lapi status
  shieldwall lapi register --url http://192.0.2.1:8080 --machine web-1
  shieldwall lapi context add --key user --value evt.Meta.target_user")]
pub(super) struct LapiArgs {
    #[command(subcommand)]
    pub(super) command: LapiCommand,
    #[command(flatten)]
    pub(super) tool: ToolArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum LapiCommand {
    /// Registers this machine at a local API, whose administrator then admits it.
    Register {
        /// The address of the local API.
        #[arg(long, short)]
        url: Option<String>,
        /// Where the credentials go.
        #[arg(long, short, value_name = "FILE")]
        file: Option<PathBuf>,
        /// The name of this machine, instead of one that is made up.
        #[arg(long)]
        machine: Option<String>,
        /// A token that admits this machine at once.
        #[arg(long)]
        token: Option<String>,
    },
    /// Checks that the local API lets this machine in.
    Status,
    /// Manages what alerts tell besides their events.
    #[command(subcommand)]
    Context(context::ContextCommand),
}

pub(super) fn run(command: &LapiCommand, args: &ToolArgs) -> Result<ExitCode> {
    let tool = Tool::open(args)?;
    match command {
        LapiCommand::Register { url, file, machine, token } => {
            let file = file.as_ref().or(tool.settings.client.credentials.as_ref());
            register(url.as_deref(), file, machine.as_deref(), token.as_deref(), &tool)?;
        }
        LapiCommand::Status => status(&tool)?,
        LapiCommand::Context(command) => context::run(command, &tool)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn register(
    url: Option<&str>,
    file: Option<&PathBuf>,
    machine: Option<&str>,
    token: Option<&str>,
    tool: &Tool,
) -> Result<()> {
    let url = match url {
        Some(url) => url.to_owned(),
        None => tool.credentials()?.0.url,
    };
    let login = match machine {
        Some(machine) => machine.to_owned(),
        None => generated_name()?,
    };
    let credentials = Credentials {
        url: credentials_address(url),
        proof: Proof::Password { login, password: Secret::new(random_text(64)?) },
        ca_cert: None,
    };
    let client = tool.client(&credentials)?;
    let registered = tool
        .wait(client.register(token))?
        .map_err(|error| anyhow!(refusal(&error)))
        .context("api client register")?;
    tool.tell("Successfully registered to Local API (LAPI)");
    let Some(file) = file else {
        return tool.line(credentials.yaml().trim_end());
    };
    credentials.write(file)?;
    tool.tell(&format!("Local API credentials written to '{}'", file.display()));
    if registered == Registered::Waiting {
        tool.tell("The machine must be validated at the local API: machines validate NAME");
    }
    tool.tell("Run 'sudo systemctl reload crowdsec' for the new configuration to be effective.");
    Ok(())
}

fn status(tool: &Tool) -> Result<()> {
    let (credentials, path) = tool.credentials()?;
    tool.line(&format!("Loaded credentials from {}", path.display()))?;
    let who = credentials.login().unwrap_or("the client certificate");
    tool.line(&format!("Trying to authenticate with username {who} on {}", credentials.url))?;
    let client = tool.client(&credentials)?;
    if let Err(error) = tool.wait(client.login())? {
        bail!("failed to authenticate to Local API (LAPI): {}", reason(&error));
    }
    tool.line("You can successfully interact with Local API (LAPI)")
}

/// What a server said, as scripts look for it.
fn reason(error: &ClientError) -> String {
    match error {
        ClientError::Refused { message, .. } => format!("API error: {message}"),
        other => other.to_string(),
    }
}

/// The same with the status in front: `401 Unauthorized: API error: …`.
fn refusal(error: &ClientError) -> String {
    let Some(status) = error.status() else { return reason(error) };
    let words = match status {
        401 => " Unauthorized",
        403 => " Forbidden",
        404 => " Not Found",
        422 => " Unprocessable Entity",
        500 => " Internal Server Error",
        _ => "",
    };
    match error {
        ClientError::Refused { message, .. } if status == 422 => {
            format!("{status}{words}: API error: http code {status}, invalid request: {message}")
        }
        other => format!("{status}{words}: {}", reason(other)),
    }
}
