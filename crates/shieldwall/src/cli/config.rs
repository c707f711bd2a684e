//! `config`: the settings in force.
//!
//! Reading order: this file, [`go`] (single values in Go's spelling), [`yaml`] (the merged file).

mod go;

mod yaml;

use super::{
    table::facts,
    tool::{Form, Tool, ToolArgs},
};
use crate::config::{self, Settings};
use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Shows the settings in force.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  shieldwall config show
  shieldwall config show --key Config.API.Server.ListenURI
  shieldwall config show-yaml")]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    pub(super) command: ConfigCommand,
    #[command(flatten)]
    pub(super) tool: ToolArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Shows what the settings mean.
    Show {
        /// A single value, `Config.API.Server.ListenURI` for example.
        #[arg(long)]
        key: Option<String>,
    },
    /// Shows the settings file, amended by its `.local` file.
    ShowYaml,
    /// Lists optional behavior that can be switched on.
    FeatureFlags {
        /// Lists what was optional once, too.
        #[arg(long)]
        retired: bool,
    },
    /// Was removed.
    #[command(hide = true)]
    Backup {
        /// What nobody reads any more.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        rest: Vec<String>,
    },
    /// Was removed.
    #[command(hide = true)]
    Restore {
        /// What nobody reads any more.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        rest: Vec<String>,
    },
}

pub(super) fn run(command: &ConfigCommand, args: &ToolArgs) -> Result<ExitCode> {
    let removed = match command {
        ConfigCommand::Backup { .. } => Some("backup"),
        ConfigCommand::Restore { .. } => Some("restore"),
        _ => None,
    };
    if let Some(name) = removed {
        bail!(
            "'cscli config {name}' has been removed; the settings are plain files, which can be \
             copied as they are"
        );
    }
    let tool = Tool::open(args)?;
    match command {
        ConfigCommand::Show { key: Some(key) } => {
            let tree = tree(&tool)?;
            tool.line(&go::value(&tool.settings, &tree, key)?)?;
        }
        ConfigCommand::Show { key: None } => show(&tool)?,
        ConfigCommand::ShowYaml => {
            let text = yaml::print(&tree(&tool)?);
            tool.line(text.trim_end())?;
        }
        ConfigCommand::FeatureFlags { retired } => feature_flags(*retired, &tool)?,
        // Answered above.
        ConfigCommand::Backup { .. } | ConfigCommand::Restore { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn tree(tool: &Tool) -> Result<syntax::yaml::Yaml> {
    let path = tool.config.as_deref().context("there is no config.yaml; name one with --config")?;
    Ok(config::load(path)?.tree)
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn optional(path: Option<&PathBuf>) -> String {
    path.map(|path| path.display().to_string()).unwrap_or_default()
}

fn show(tool: &Tool) -> Result<()> {
    let settings = &tool.settings;
    match tool.form {
        Form::Json => tool.json(&wire(settings)),
        Form::Human | Form::Raw => tool.line(&human(tool)),
    }
}

fn human(tool: &Tool) -> String {
    let settings = &tool.settings;
    let places = &settings.places;
    let mut text = String::from("Global:\n");
    text += &facts(&[
        ("   Configuration file", optional(tool.config.as_ref())),
        ("   Configuration directory", path(&places.config_dir)),
        ("   Data directory", optional(settings.data_dir.as_ref())),
        ("   Hub directory", path(&places.hub_dir)),
        ("   Hub index", path(&places.index)),
        ("   Simulation file", path(&places.simulation)),
        ("   Log level", settings.log_level.clone()),
        ("   Database", settings.database.describe()),
    ]);
    let disabled = |enabled: bool| if enabled { "" } else { " (disabled)" };
    text += &format!("\nCrowdsec{}:\n", disabled(settings.engine_enabled));
    let acquisition: Vec<String> = settings.acquisition.iter().map(|file| path(file)).collect();
    text += &facts(&[
        ("   Acquisition file", acquisition.join(", ")),
        ("   Acquisition directory", optional(settings.acquisition_dir.as_ref())),
        ("   Credentials", optional(settings.client.credentials.as_ref())),
    ]);
    text += "\ncscli:\n";
    text += &facts(&[(
        "   Output",
        settings.tool_output.clone().unwrap_or_else(|| "human".to_owned()),
    )]);
    text += &format!("\nLocal API Server{}:\n", disabled(settings.server.is_some()));
    if let Some(server) = &settings.server {
        let trusted: Vec<String> = server.trusted_ips.iter().map(ToString::to_string).collect();
        text += &facts(&[
            ("   Listen URL", server.listen_uri.clone().unwrap_or_default()),
            ("   Listen socket", optional(server.listen_socket.as_ref())),
            ("   Profiles", path(&server.profiles)),
            (
                "   Certificate",
                server.tls.as_ref().map(|tls| path(&tls.cert_file)).unwrap_or_default(),
            ),
            ("   Trusted IPs", trusted.join(", ")),
        ]);
    }
    text
}

/// The settings under the names Go programs have for them.
fn wire(settings: &Settings) -> Value {
    let places = &settings.places;
    let server = settings.server.as_ref().map(|server| {
        let trusted: Vec<String> = server.trusted_ips.iter().map(ToString::to_string).collect();
        json!({
            "Enable": true,
            "ListenURI": server.listen_uri,
            "ListenSocket": server.listen_socket,
            "ProfilesPath": server.profiles,
            "TrustedIPs": trusted,
            "DisableRemoteLapiRegistration": server.disable_remote_registration,
            "DisableUsageMetricsExport": server.disable_usage_metrics_export,
            "OnlineClient": {"CredentialsFilePath": server.online_credentials},
        })
    });
    json!({
        "Common": {"LogLevel": settings.log_level},
        "ConfigPaths": {
            "ConfigDir": places.config_dir,
            "DataDir": settings.data_dir,
            "SimulationFilePath": places.simulation,
            "HubIndexFile": places.index,
            "HubDir": places.hub_dir,
        },
        "Crowdsec": {
            "Enable": settings.engine_enabled,
            "AcquisitionFilePath": settings.acquisition.first(),
            "AcquisitionDirPath": settings.acquisition_dir,
        },
        "Cscli": {"Output": settings.tool_output},
        "DbConfig": {"Type": settings.database.kind.name(), "DbPath": settings.database.path},
        "API": {
            "Client": {
                "CredentialsFilePath": settings.client.credentials,
                "InsecureSkipVerify": settings.client.insecure_skip_verify,
                "UnregisterOnExit": settings.client.unregister_on_exit,
            },
            "Server": server,
        },
    })
}

/// Optional behavior of the incumbent. Here all of it is as it should be, whatever the flags say.
const FLAGS: &[(&str, &str)] = &[
    ("disable_http_retry_backoff", "requests are repeated at once when they failed"),
    ("re2_grok_support", "groks are matched by RE2"),
    ("re2_disable_grok_support", "groks are not matched by RE2"),
    ("re2_regexp_in_file_support", "files of patterns are matched by RE2"),
    ("pprof_block_profile", "profiles of waiting threads are collected"),
];

const RETIRED: &[(&str, &str)] = &[
    ("chunked_decisions_stream", "the stream of decisions is sent in pieces"),
    ("papi_client", "orders of the console are obeyed"),
];

fn feature_flags(retired: bool, tool: &Tool) -> Result<()> {
    let dir = tool.config.as_deref().and_then(Path::parent);
    let dir = dir.unwrap_or(&tool.settings.places.config_dir);
    let names: Vec<&str> = FLAGS.iter().chain(RETIRED).map(|(name, _)| *name).collect();
    let enabled = config::enabled_features(dir, &names);
    let retired = if retired { RETIRED } else { &[] };
    for (name, what) in FLAGS.iter().chain(retired) {
        let mark = if enabled.contains(name) { '✓' } else { '✗' };
        tool.line(&format!("{mark} {name}: {what}"))?;
    }
    Ok(())
}
