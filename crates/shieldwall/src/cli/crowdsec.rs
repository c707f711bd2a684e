//! What the program does when it is called `crowdsec`: the incumbent's daemon.
//!
//! COMPAT(crowdsec): its flags are those of Go programs: one dash or two, values behind a blank or
//! an equals sign, no positional arguments. A flag that does not exist ends with 2, flags that do
//! not go together with 1.

use super::{
    Output, WRONG_INPUT, check,
    daemon::{Daemon, Role, Show},
    replay::Job,
    up::WatchArgs,
    version,
};
use crate::{
    clock::SystemClock,
    config::{self, Log, Settings},
    log,
    profiles::Decider,
    rules::{Keep, RuleArgs},
    run::replay::Origin,
    terminal,
};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use engine::{NoOutside, builtins::glob::glob_match};
use model::{LineSource, TimeMode};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};
use tracing::info;

/// Where the incumbent's settings are.
const CONFIG: &str = "/etc/crowdsec/config.yaml";

const HELP: &str = "\
Usage: crowdsec [FLAGS]

Shieldwall under the name of crowdsec: the same rules and settings, detection and local API.

  -c FILE            settings (default: /etc/crowdsec/config.yaml)
  -dsn URL           read this once and stop: file:///var/log/auth.log, file:///var/log/nginx/*.gz
  -type TYPE         what the lines are; needed with -dsn
  -transform EXPR    what each line of -dsn becomes before anybody reads it
  -label K:V[,K:V]   more labels for the lines of -dsn
  -t                 check settings and rules, then stop
  -version           print the version
  -trace -debug -info -warning -error -fatal
                     least severe messages to log
  -no-api            no local API here: alerts go to the one whose credentials the settings name
  -no-cs             no detection: the local API alone
  -no-capi -order-event
                     accepted; there is no central API here, and events are always in order
";

/// The flags, read.
#[derive(Debug, Default, PartialEq, Eq)]
struct Flags {
    config: Option<PathBuf>,
    dsn: Option<String>,
    kind: Option<String>,
    labels: BTreeMap<String, String>,
    transform: Option<String>,
    level: Option<&'static str>,
    test: bool,
    version: bool,
    help: bool,
    no_api: bool,
    no_cs: bool,
}

/// Runs under the name `crowdsec`. The first argument is that name.
pub(super) fn run(args: &[OsString]) -> Result<ExitCode> {
    let flags = match Flags::read(args.get(1..).unwrap_or_default()) {
        Ok(flags) => flags,
        Err(error) => {
            terminal::complain_error(&error);
            terminal::complain(HELP);
            return Ok(ExitCode::from(WRONG_INPUT));
        }
    };
    if flags.help {
        terminal::complain(HELP);
        return Ok(ExitCode::SUCCESS);
    }
    if flags.version {
        version::print("crowdsec (shieldwall)")?;
        return Ok(ExitCode::SUCCESS);
    }
    flags.check()?;
    if flags.test {
        return test(&flags);
    }
    match &flags.dsn {
        Some(dsn) => one_shot(dsn, &flags),
        None => {
            let watch = WatchArgs {
                config: Some(flags.config()),
                log_level: flags.level.map(str::to_owned),
                status: 60,
                ..WatchArgs::default()
            };
            let role = match (flags.no_cs, flags.no_api) {
                (true, _) => Role::Server,
                (false, true) => Role::Agent,
                (false, false) => Role::Both,
            };
            let daemon = Daemon {
                watch: &watch,
                role,
                listen: None,
                database: None,
                credentials: &[],
                show: Show::Logged,
            };
            daemon.run()
        }
    }
}

impl Flags {
    fn read(args: &[OsString]) -> Result<Self> {
        let mut flags = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let text = arg.to_str().with_context(|| format!("{arg:?} is not text"))?;
            let Some(flag) = text.strip_prefix("--").or_else(|| text.strip_prefix('-')) else {
                bail!("argument provided but not defined: {text}");
            };
            let (name, inline) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (flag, None),
            };
            let mut value = || -> Result<String> {
                if let Some(value) = inline {
                    return Ok(value.to_owned());
                }
                let next =
                    args.next().with_context(|| format!("flag needs an argument: -{name}"))?;
                Ok(next.to_str().with_context(|| format!("{next:?} is not text"))?.to_owned())
            };
            match name {
                "c" => flags.config = Some(PathBuf::from(value()?)),
                "dsn" => flags.dsn = Some(value()?),
                "type" => flags.kind = Some(value()?),
                "label" => {
                    let labels = super::labels(&value()?).map_err(|error| anyhow!(error))?;
                    flags.labels.extend(labels);
                }
                "transform" => flags.transform = Some(value()?),
                "dump-data" => bail!(
                    "-dump-data is not supported; `shieldwall explain` shows what became of lines, \
                     `shieldwall replay -o json` the alerts"
                ),
                "cpu-profile" => bail!("-cpu-profile is not supported; use perf"),
                _ => {
                    let on = match inline {
                        None | Some("true" | "1" | "t" | "T" | "TRUE" | "True") => true,
                        Some("false" | "0" | "f" | "F" | "FALSE" | "False") => false,
                        Some(value) => bail!("-{name} is true or false, not {value:?}"),
                    };
                    flags.switch(name, on)?;
                }
            }
        }
        Ok(flags)
    }

    /// Whether the flags go together.
    fn check(&self) -> Result<()> {
        ensure!(self.dsn.is_none() || self.kind.is_some(), "-dsn requires a -type argument");
        if self.dsn.is_none() {
            ensure!(self.transform.is_none(), "-transform requires a -dsn argument");
            ensure!(self.kind.is_none(), "-type requires a -dsn argument");
            ensure!(self.labels.is_empty(), "-label requires a -dsn argument");
        }
        ensure!(!(self.no_api && self.no_cs), "you must run at least the API Server or crowdsec");
        Ok(())
    }

    fn switch(&mut self, name: &str, on: bool) -> Result<()> {
        let level = ["trace", "debug", "info", "warning", "error", "fatal"]
            .into_iter()
            .find(|level| *level == name);
        match name {
            "t" => self.test = on,
            "version" => self.version = on,
            "h" | "help" => self.help = on,
            "no-api" => self.no_api = on,
            "no-cs" => self.no_cs = on,
            "no-capi" | "order-event" => {}
            _ => match level {
                Some(level) if on => self.level = Some(level),
                Some(_) => {}
                None => bail!("flag provided but not defined: -{name}"),
            },
        }
        Ok(())
    }

    fn config(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| PathBuf::from(CONFIG))
    }
}

/// Reads the settings; mistakes in them end the run, as they do there.
fn settings(flags: &Flags) -> Result<Settings> {
    let path = flags.config();
    let read = config::load(&path)?;
    let mistakes = terminal::diagnostics(&read.diagnostics, &read.sources);
    ensure!(mistakes.n_errors == 0, "{} has mistakes, shown above", path.display());
    Ok(read.settings)
}

/// `-t`: is everything right?
fn test(flags: &Flags) -> Result<ExitCode> {
    let settings = settings(flags)?;
    let loaded = RuleArgs::default().load_settings(&settings)?;
    let mut mistakes = loaded.tell();
    let compiled = loaded.compile(Keep::Read);
    mistakes += terminal::diagnostics(&compiled.diagnostics, &compiled.sources);
    mistakes += check::acquisition(&settings)?;
    if let Some(server) = &settings.server {
        Decider::load(server, Arc::new(NoOutside))?;
    }
    if mistakes.n_errors == 0 {
        log::start(flags.level.unwrap_or("info"), settings.log_json, &Log::default())?;
        info!("Configuration test done");
    }
    Ok(if mistakes.n_errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `-dsn`: reads something once. The alerts go where those of the daemon go.
fn one_shot(dsn: &str, flags: &Flags) -> Result<ExitCode> {
    let paths = files_of(dsn)?;
    let transform = flags.transform.as_deref().map(config::transform).transpose()?;
    let settings = settings(flags)?;
    let level = flags.level.unwrap_or(&settings.log_level);
    log::start(level, settings.log_json, &settings.log)?;
    let rules = RuleArgs::default().load_settings(&settings)?.compile_and_tell(Keep::Read);
    let mut labels = flags.labels.clone();
    labels.insert("type".to_owned(), flags.kind.clone().unwrap_or_default());
    let origins = paths
        .into_iter()
        .map(|path| {
            // COMPAT(crowdsec): scripts wait for these words.
            info!("Adding file {} to filelist", path.display());
            info!("reading {} at once", path.display());
            let source = LineSource {
                module: "file".to_owned(),
                src: path.to_string_lossy().into_owned(),
                labels: labels.clone(),
                time_mode: TimeMode::Event,
            };
            (Origin::File(path), source)
        })
        .collect();
    let job = Job {
        output: Output::Human,
        jobs: None,
        now: SystemClock::wall(),
        limit: None,
        max_buckets: None,
        transform,
    };
    let watch = WatchArgs { config: Some(flags.config()), ..WatchArgs::default() };
    let daemon = Daemon {
        watch: &watch,
        role: if flags.no_api { Role::Watch } else { Role::Both },
        listen: None,
        database: None,
        credentials: &[],
        show: Show::Logged,
    };
    daemon.once(&settings, &rules, |sink| job.run(origins, &rules, settings.dns, Some(sink)))
}

/// The files a DSN names, in the order of its pattern.
pub(super) fn files_of(dsn: &str) -> Result<Vec<PathBuf>> {
    let Some((scheme, rest)) = dsn.split_once("://") else {
        bail!("{dsn:?} is no DSN; write file:///var/log/auth.log, for example");
    };
    ensure!(scheme == "file", "one-shot reading of `{scheme}` is not supported yet");
    // Its options set a log level and a buffer size, neither of which matters here.
    let (pattern, options) = rest.split_once('?').unwrap_or((rest, ""));
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let name = option.split('=').next().unwrap_or(option);
        ensure!(
            matches!(name, "log_level" | "max_buffer_size"),
            "the DSN has an option {name:?}, which does not exist"
        );
    }
    ensure!(!pattern.is_empty(), "the DSN names no file");
    let paths = matching(Path::new(pattern));
    ensure!(!paths.is_empty(), "no file matches {pattern}");
    Ok(paths)
}

/// The files a pattern of `*` and `?` matches, sorted.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern {
        let text = part.to_string_lossy();
        if !text.contains(['*', '?']) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        found = found.iter().flat_map(|dir| entries(dir, &text)).collect();
    }
    found.retain(|path| path.is_file());
    found.sort();
    found
}

/// The entries of a directory whose names match; hidden ones only if the pattern says so.
fn entries(dir: &Path, pattern: &str) -> Vec<PathBuf> {
    let here = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let entries = fs::read_dir(here).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            glob_match(pattern, &name) && (pattern.starts_with('.') || !name.starts_with('.'))
        })
        .map(|entry| dir.join(entry.file_name()))
        .collect()
}

/// Whether the program was called by the incumbent's name.
pub(super) fn is_called(args: &[OsString]) -> bool {
    let name = args.first().and_then(|name| Path::new(name).file_name());
    name.is_some_and(|name| name == "crowdsec")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Result<Flags> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        Flags::read(&args)
    }

    #[test]
    fn flags_come_in_the_ways_of_go() {
        let flags = read(&[
            "-c",
            "/x.yaml",
            "--dsn=file:///a=b",
            "-type",
            "syslog",
            "-label",
            "a:b,c:d",
            "-no-api",
            "--order-event=false",
            "-warning",
        ])
        .unwrap();
        assert_eq!(flags.config(), PathBuf::from("/x.yaml"));
        assert_eq!(flags.dsn.as_deref(), Some("file:///a=b"));
        assert_eq!(flags.labels.len(), 2);
        assert_eq!((flags.level, flags.no_api), (Some("warning"), true));
        assert_eq!(read(&[]).unwrap().config(), PathBuf::from(CONFIG));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for args in [&["x"][..], &["-c"], &["-nope"], &["-t=maybe"], &["-dump-data", "d"]] {
            assert!(read(args).is_err(), "{args:?}");
        }
        for (args, expect) in [
            (&["-dsn", "file:///x"][..], "-dsn requires a -type argument"),
            (&["-type", "syslog"], "-type requires a -dsn argument"),
            (&["-transform", "x"], "-transform requires a -dsn argument"),
            (&["-no-api", "-no-cs"], "you must run at least the API Server or crowdsec"),
        ] {
            assert_eq!(read(args).unwrap().check().unwrap_err().to_string(), expect);
        }
        let unknown = read(&["-foobar"]).unwrap_err().to_string();
        assert_eq!(unknown, "flag provided but not defined: -foobar");
        let stray = read(&["trololo"]).unwrap_err().to_string();
        assert_eq!(stray, "argument provided but not defined: trololo");
    }

    #[test]
    fn patterns_name_files_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b/x.log", "a/x.log", "a/.x.log", "a/y.txt"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = matching(&dir.path().join("?/*.log"));
        assert_eq!(found, ["a/x.log", "b/x.log"].map(|name| dir.path().join(name)));
        assert_eq!(matching(&dir.path().join("a/y.txt")).len(), 1);
    }

    #[test]
    fn only_files_are_read_once() {
        assert!(files_of("journalctl://filters=a").unwrap_err().to_string().contains("journalctl"));
        assert!(files_of("/var/log/x").is_err());
        assert!(files_of("file:///nowhere/*.log").is_err());
        assert!(files_of("file:///nowhere?bufsize=1").is_err());
    }
}
