//! What the tools share: settings, the form of their output, the store, the local API.
//!
//! A tool is a command that looks at or changes what a server keeps: `machines`, `bouncers`,
//! `lapi`, `config`. Each is one file with a `…Command` enum (the verbs, as clap reads them), a
//! `run(&…Command, &ToolArgs)`, and one function per verb; a verb opens what it needs of [`Tool`],
//! writes data to standard output by [`Tool::json`], [`Tool::raw`] or a [`super::table`], and tells
//! people what it did by [`Tool::tell`]. The same enums hang below `shieldwall` and below `cscli`.
//!
//! COMPAT(crowdsec): names of flags, the keys of JSON, the columns of raw output, exit codes, and
//! the messages that scripts look for.

use crate::{
    clock::SystemClock,
    config::{self, Credentials, Location, Settings},
    run::outbox::remote,
    terminal,
};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use model::Timestamp;
use serde::Serialize;
use std::{
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};
use store::{Index, Store};

/// The options of all tools.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ToolArgs {
    /// Settings (default: /etc/shieldwall/config.yaml or /etc/crowdsec/config.yaml).
    #[arg(long, short, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// The form of the output: human, json or raw.
    #[arg(long, short, value_name = "FORM", global = true)]
    pub(crate) output: Option<String>,
    /// The database (default: what the settings say).
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) database: Option<PathBuf>,
    /// Whether messages for people are left out.
    #[arg(skip)]
    pub(crate) quiet: bool,
}

/// The form of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Tables for people.
    Human,
    /// Pretty JSON.
    Json,
    /// CSV, or a bare value.
    Raw,
}

impl Form {
    /// Reads a form's name.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            "raw" => Ok(Self::Raw),
            other => {
                bail!("output format '{other}' not supported: must be one of human, json, raw")
            }
        }
    }
}

/// What a tool works with.
pub(crate) struct Tool {
    pub(crate) form: Form,
    pub(crate) settings: Settings,
    /// The file the settings come from, if any.
    pub(crate) config: Option<PathBuf>,
    database: Option<PathBuf>,
    quiet: bool,
}

impl Tool {
    /// Reads the settings.
    pub(crate) fn open(args: &ToolArgs) -> Result<Self> {
        // Before anything is read: a form that does not exist is the first thing to say.
        let form = args.output.as_deref().map(Form::parse).transpose()?;
        let (config, settings) = match config::usual(args.config.as_deref()) {
            config::Usual::File(path) => {
                let settings = super::up::read_settings(&path)?;
                (Some(path), settings)
            }
            config::Usual::Directory(dir) => (None, Settings::in_dir(&dir)),
            config::Usual::Nothing => (None, Settings::in_dir(Path::new("/etc/shieldwall"))),
        };
        let form = match (form, settings.tool_output.as_deref()) {
            (Some(form), _) => form,
            (None, Some(name)) => Form::parse(name)?,
            (None, None) => Form::Human,
        };
        if let Some(color) = &settings.tool_color {
            terminal::set_color(terminal::Color::parse(color));
        }
        let quiet = args.quiet || form != Form::Human;
        Ok(Self { form, settings, config, database: args.database.clone(), quiet })
    }

    /// Opens the database of the local API beside a server that may be running.
    pub(crate) fn store(&self) -> Result<Store> {
        if self.settings.server.is_none() {
            bail!("local API is disabled -- this command must be run on the local API machine");
        }
        let database = self.database()?;
        database.open(Index::None, self.now()).context("unable to open the database")
    }

    /// Where the database is.
    fn database(&self) -> Result<Location> {
        if let Some(path) = &self.database {
            return Ok(Location::File(path.clone()));
        }
        let usual = || Ok(config::state_dir(&self.settings)?.join("shieldwall.db"));
        self.settings.database.location(usual)
    }

    /// Runs something of the store or of a client to its end.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("starting a runtime")?;
        Ok(runtime.block_on(work))
    }

    /// The credentials for the local API, and where they are.
    pub(crate) fn credentials(&self) -> Result<(Credentials, PathBuf)> {
        match &self.settings.client.credentials {
            Some(path) => Ok((Credentials::read(path)?, path.clone())),
            None if self.config.is_none() => self.own_credentials(),
            None => bail!("loading api client: no API client section in configuration"),
        }
    }

    /// The credentials for the local API, where they are there already.
    pub(crate) fn credentials_if_any(&self) -> Option<Credentials> {
        let beside = || {
            let database = self.database().ok()?;
            Some(database.file().ok()?.with_file_name("local_api_credentials.yaml"))
        };
        let path = self.settings.client.credentials.clone().or_else(beside)?;
        Credentials::read(&path).ok()
    }

    /// Credentials beside the database, made at their first use: where nobody wrote settings, the
    /// API that `up` runs is used by the tools without further ado. Who may write the database may
    /// do all that they can.
    fn own_credentials(&self) -> Result<(Credentials, PathBuf)> {
        let location = self.database()?;
        let database = location.file()?;
        if !database.is_file() {
            bail!(
                "there is no local API on this host yet ({} is not there): start one with \
                 `shieldwall up`, or name the settings of another one with --config FILE",
                database.display()
            );
        }
        let path = database.with_file_name("local_api_credentials.yaml");
        if !path.is_file() {
            super::machines::add_own(self, path.clone())?;
        }
        let mut credentials = Credentials::read(&path)?;
        // The server may listen elsewhere than when they were made.
        if let Some(address) = config::read_own_address(database) {
            credentials.url = address;
        }
        Ok((credentials, path))
    }

    /// A client of the local API.
    pub(crate) fn client(&self, credentials: &Credentials) -> Result<api::client::Client> {
        remote::client(credentials, &self.settings.client, Vec::new())
    }

    pub(crate) fn now(&self) -> Timestamp {
        SystemClock::wall()
    }

    /// Tells people what was done. Scripts that ask for JSON or raw output do not hear it.
    pub(crate) fn tell(&self, text: &str) {
        if !self.quiet {
            terminal::complain(text);
        }
    }

    /// Prints a value as JSON.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_string_pretty(value)?;
        // COMPAT(crowdsec): Go's encoder does so, and scripts compare.
        for (plain, escaped) in [("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")] {
            text = text.replace(plain, escaped);
        }
        self.line(&text)
    }

    /// Prints rows as CSV.
    pub(crate) fn raw(&self, header: &[&str], rows: &[Vec<String>]) -> Result<()> {
        let mut text = String::new();
        csv_line(header.iter().copied(), &mut text);
        for row in rows {
            csv_line(row.iter().map(String::as_str), &mut text);
        }
        io::stdout().lock().write_all(text.as_bytes())?;
        Ok(())
    }

    /// Prints a line of data.
    pub(crate) fn line(&self, text: &str) -> Result<()> {
        say(text)
    }

    /// Asks whether to go on. Where nobody can answer, nobody agreed.
    pub(crate) fn confirm(&self, question: &str) -> Result<bool> {
        if !io::stdin().is_terminal() {
            bail!("{question} Nobody is there to answer; use --force to go on without asking");
        }
        let mut err = io::stderr().lock();
        write!(err, "{question} [y/N] ")?;
        err.flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }
}

/// Prints a line of data.
pub(crate) fn say(text: &str) -> Result<()> {
    writeln!(io::stdout().lock(), "{text}")?;
    Ok(())
}

fn csv_line<'a>(fields: impl Iterator<Item = &'a str>, out: &mut String) {
    for (index, field) in fields.enumerate() {
        if index > 0 {
            out.push(',');
        }
        let is_plain = !field.contains([',', '"', '\n', '\r']) && !field.starts_with([' ', '\t']);
        if is_plain {
            out.push_str(field);
        } else {
            out.push('"');
            out.push_str(&field.replace('"', "\"\""));
            out.push('"');
        }
    }
    out.push('\n');
}

/// A date as Go writes it in JSON.
pub(crate) fn date(at: Timestamp) -> String {
    engine::builtins::rfc3339::format_rfc3339_nano(model::Time::utc(at).into())
}

/// How long ago something was, in words: `12s ago`, `3h 12m ago`.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", super::text::span(now.nanos_since(at).max(0)))
}

/// Characters chosen at random, for passwords and names.
pub(crate) fn random_text(length: usize) -> Result<String> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789Aa";
    let mut bytes = vec![0_u8; length];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 64)])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_quotes_what_would_be_misread() {
        let mut out = String::new();
        csv_line(["a", "b,c", "d\"e", "", " f"].into_iter(), &mut out);
        assert_eq!(out, "a,\"b,c\",\"d\"\"e\",,\" f\"\n");
    }

    #[test]
    fn the_past_has_words() {
        let at = |seconds| Timestamp::from_unix(seconds, 0);
        let check = |seconds, expect: &str| assert_eq!(ago(at(0), at(seconds)), expect);
        check(12, "12s ago");
        check(75, "1m 15s ago");
        check(3 * 3600 + 12 * 60 + 5, "3h 12m ago");
        check(3 * 86400 + 3600, "3d 1h ago");
        check(-5, "0s ago");
    }

    #[test]
    fn forms_have_names() {
        assert_eq!(Form::parse("raw").unwrap(), Form::Raw);
        assert_eq!(
            Form::parse("xml").unwrap_err().to_string(),
            "output format 'xml' not supported: must be one of human, json, raw"
        );
    }

    #[test]
    fn random_texts_differ() {
        let (a, b) = (random_text(64).unwrap(), random_text(64).unwrap());
        assert!(a != b && a.len() == 64 && a.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}
