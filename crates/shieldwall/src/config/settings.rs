//! Settings as meant: `config.yaml` resolved, every default filled in.
//!
//! COMPAT(crowdsec): every key the incumbent knows is accepted, also where the part it belongs to
//! is not here yet, so that an installed `config.yaml` works as it is. Unknown keys are reported.

use super::{
    client::{self, Client},
    codes,
    database::{self, Database},
    keys::KEYS,
    log::{self, Log},
    raw::{Desk, value},
    server::{self, Server},
};
use crate::hub::installed::{Places, with_suffix};
use anyhow::{Context as _, Result, bail};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use syntax::{Diagnostic, Diagnostics, Sources, yaml::Yaml};

/// Where data files are unless settings say otherwise.
pub(crate) const DATA_DIR: &str = "/var/lib/crowdsec/data";

/// The longest JSON of a context value, and the most one may ask for.
const CONTEXT_LENGTH: usize = 4000;

/// Everything this program takes from `config.yaml`.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Where rules are.
    pub(crate) places: Places,
    /// Where data files are.
    pub(crate) data_dir: Option<PathBuf>,
    /// Where this program keeps what it must remember besides the database.
    pub(crate) state_dir: Option<PathBuf>,
    /// Files that say what to read.
    pub(crate) acquisition: Vec<PathBuf>,
    /// A directory of more such files.
    pub(crate) acquisition_dir: Option<PathBuf>,
    /// The longest JSON of a context value.
    pub(crate) context_length: usize,
    /// How reverse DNS is remembered.
    pub(crate) dns: DnsSettings,
    /// The least severe messages that are logged, a name of the incumbent's or of ours.
    pub(crate) log_level: String,
    /// Whether logs are JSON.
    pub(crate) log_json: bool,
    /// Where logs go.
    pub(crate) log: Log,
    /// Whether detection runs at all.
    pub(crate) engine_enabled: bool,
    /// Where what is to be kept is kept.
    pub(crate) database: Database,
    /// The local API; `None` where it is not to run here.
    pub(crate) server: Option<Server>,
    /// Where alerts go.
    pub(crate) client: Client,
    /// Where Prometheus reads; `None` where it does not.
    pub(crate) prometheus: Option<Prometheus>,
    /// The form of tools' output where the command line names none.
    pub(crate) tool_output: Option<String>,
    /// When tools' output has color where the command line does not say: yes, no or auto.
    pub(crate) tool_color: Option<String>,
}

/// What Prometheus may read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prometheus {
    /// `host:port`
    pub(crate) address: String,
    /// Whether numbers of single parsers, machines and bouncers are among them.
    pub(crate) full: bool,
}

/// How answers about names are remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DnsSettings {
    /// How long a name is.
    pub(crate) ttl: Duration,
    /// How long the absence of one is.
    pub(crate) negative_ttl: Duration,
    /// How many answers are.
    pub(crate) size: usize,
}

impl Default for DnsSettings {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(3600), negative_ttl: Duration::from_secs(300), size: 16384 }
    }
}

impl Settings {
    /// What holds for a configuration directory without a `config.yaml`.
    pub(crate) fn in_dir(dir: &Path) -> Self {
        let data = [dir.join("data"), PathBuf::from(DATA_DIR)].into_iter().find(|dir| dir.is_dir());
        let acquisition = dir.join("acquis.yaml");
        let acquisition_dir = dir.join("acquis.d");
        Self {
            places: Places::in_dir(dir),
            data_dir: data,
            state_dir: None,
            acquisition: Some(acquisition).filter(|path| path.is_file()).into_iter().collect(),
            acquisition_dir: Some(acquisition_dir).filter(|dir| dir.is_dir()),
            context_length: CONTEXT_LENGTH,
            dns: DnsSettings::default(),
            log_level: "info".to_owned(),
            log_json: false,
            log: Log::default(),
            engine_enabled: true,
            database: Database::default(),
            server: Some(Server::in_dir(dir)),
            client: Client::in_dir(dir),
            prometheus: None,
            tool_output: None,
            tool_color: None,
        }
    }
}

/// Settings, and what was wrong with their text.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) settings: Settings,
    /// The text, amended.
    pub(crate) tree: Yaml,
    pub(crate) diagnostics: Diagnostics,
    pub(crate) sources: Sources,
}

/// Reads `config.yaml` at `path`, amended by `config.yaml.local`.
pub(crate) fn load(path: &Path) -> Result<Read> {
    let mut desk = Desk::default();
    let mut documents = desk.read(path)?.into_iter();
    let Some(mut tree) = documents.next() else { bail!("{} is empty", path.display()) };
    let local = with_suffix(path, ".local");
    if local.is_file()
        && let Some(over) = desk.read(&local)?.into_iter().next()
    {
        tree = desk.merge(tree, over);
    }
    desk.check_keys(&tree, KEYS);
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let mut settings =
        settings(&tree, dir, &mut desk).with_context(|| format!("reading {}", path.display()))?;
    settings.database.written_in = Some(path.to_path_buf());
    Ok(Read { settings, tree, diagnostics: desk.diagnostics, sources: desk.sources })
}

fn settings(tree: &Yaml, dir: &Path, desk: &mut Desk) -> Result<Settings> {
    let path = |desk: &mut Desk, key: &str| desk.text(tree, key).map(PathBuf::from);
    let config_dir = path(desk, "config_paths.config_dir").unwrap_or_else(|| dir.to_path_buf());
    let data_dir = path(desk, "config_paths.data_dir");
    if data_dir.is_none() && value(tree, "config_paths.data_dir").is_none() {
        desk.report(no_data_dir(tree));
    }
    let hub_dir = path(desk, "config_paths.hub_dir").unwrap_or_else(|| config_dir.join("hub"));
    let index =
        path(desk, "config_paths.index_path").unwrap_or_else(|| hub_dir.join(".index.json"));
    let patterns =
        path(desk, "config_paths.pattern_dir").unwrap_or_else(|| config_dir.join("patterns"));
    let simulation = path(desk, "config_paths.simulation_path")
        .unwrap_or_else(|| config_dir.join("simulation.yaml"));
    let context = match path(desk, "crowdsec_service.console_context_path") {
        Some(context) if !context.is_file() => {
            bail!("`console_context_path` names {}, which is not there", context.display())
        }
        Some(context) => context,
        None => config_dir.join("console/context.yaml"),
    };
    let max = i64::try_from(CONTEXT_LENGTH).unwrap_or(i64::MAX);
    let context_length = desk
        .number(tree, "crowdsec_service.console_context_value_length", 0..=max)
        .and_then(|length| usize::try_from(length).ok())
        .filter(|length| *length > 0)
        .unwrap_or(CONTEXT_LENGTH);
    let usual = DnsSettings::default();
    let size = desk.number(tree, "crowdsec_service.dns_cache.size", 1..=10_000_000);
    let dns = DnsSettings {
        ttl: desk.duration(tree, "crowdsec_service.dns_cache.ttl").unwrap_or(usual.ttl),
        negative_ttl: desk
            .duration(tree, "crowdsec_service.dns_cache.negative_ttl")
            .unwrap_or(usual.negative_ttl),
        size: size.and_then(|size| usize::try_from(size).ok()).unwrap_or(usual.size),
    };
    let enabled = desk.flag(tree, "crowdsec_service.enable").unwrap_or(true);
    let data_database =
        data_dir.as_deref().unwrap_or_else(|| Path::new(DATA_DIR)).join("crowdsec.db");
    Ok(Settings {
        places: Places {
            hub_dir,
            index,
            patterns: Some(patterns).filter(|dir| dir.is_dir()),
            simulation,
            context,
            config_dir,
        },
        state_dir: data_dir.as_ref().map(|data| data.join("shieldwall")),
        data_dir,
        acquisition: path(desk, "crowdsec_service.acquisition_path").into_iter().collect(),
        acquisition_dir: path(desk, "crowdsec_service.acquisition_dir"),
        context_length,
        dns,
        log_level: desk.text(tree, "common.log_level").unwrap_or("info").to_owned(),
        log_json: desk.text(tree, "common.log_format") == Some("json"),
        log: log::read(tree, desk),
        engine_enabled: enabled && value(tree, "crowdsec_service").is_some(),
        database: database::read(tree, data_database, desk),
        server: server::read(tree, dir, desk),
        client: client::read(tree, desk),
        prometheus: prometheus(tree, desk),
        tool_output: desk.text(tree, "cscli.output").map(str::to_owned),
        tool_color: desk.text(tree, "cscli.color").map(str::to_owned),
    })
}

/// COMPAT(crowdsec): a section without `enabled` enables nothing.
fn prometheus(tree: &Yaml, desk: &mut Desk) -> Option<Prometheus> {
    let enabled = desk.flag(tree, "prometheus.enabled") == Some(true);
    let level = desk.text(tree, "prometheus.level");
    let full = match level {
        None | Some("full") => true,
        Some("aggregated") => false,
        Some("none") => return None,
        Some(_) => {
            if let Some(level) = value(tree, "prometheus.level") {
                desk.bad(level.span, "`prometheus.level` must be `full`, `aggregated` or `none`");
            }
            true
        }
    };
    let host = desk.text(tree, "prometheus.listen_addr").unwrap_or("127.0.0.1");
    // Port 0 takes any, as for the local API.
    let port = desk.number(tree, "prometheus.listen_port", 0..=65_535).unwrap_or(6060);
    let address =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    enabled.then_some(Prometheus { address, full })
}

fn no_data_dir(tree: &Yaml) -> Diagnostic {
    let missing = Diagnostic::error(
        codes::MISSING_SETTING,
        "the settings need `config_paths.data_dir`, the directory of data files",
    );
    let mut keys = tree.as_map().into_iter().flatten();
    let section = keys.find(|(key, _)| key.as_str() == Some("config_paths"));
    let (at, help) = match section {
        Some((key, _)) => (key.span, format!("write `data_dir: {DATA_DIR}` below `config_paths:`")),
        None => {
            let first = tree.as_map().and_then(|pairs| pairs.first());
            let at = first.map_or(tree.span, |(key, _)| key.span);
            (at, format!("write `config_paths: {{data_dir: {DATA_DIR}}}`"))
        }
    };
    missing.at(at, "missing here").help(help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn defaults_follow_from_the_place_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.yaml");
        fs::write(
            &path,
            "config_paths: {data_dir: /data}\ncrowdsec_service: {parser_routines: 1}\n",
        )
        .unwrap();
        let read = load(&path).unwrap();
        assert!(read.diagnostics.is_empty());
        let settings = read.settings;
        assert_eq!(settings.places.config_dir, dir.path());
        assert_eq!(settings.places.index, dir.path().join("hub/.index.json"));
        assert_eq!(settings.data_dir, Some(PathBuf::from("/data")));
        assert!(settings.engine_enabled);
        assert_eq!(settings.context_length, 4000);
    }

    #[test]
    fn a_local_file_amends_and_mistakes_are_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.yaml");
        fs::write(&path, "config_paths: {data_dir: /data}\nprometheus: {enabled: true}\n").unwrap();
        fs::write(
            with_suffix(&path, ".local"),
            "config_paths: {hub_dir: /hub}\ncrowdsec_service: {dns_cache: {ttl: 5m, sizes: 3}}\n",
        )
        .unwrap();
        let read = load(&path).unwrap();
        assert_eq!(read.settings.places.hub_dir, PathBuf::from("/hub"));
        assert_eq!(read.settings.dns.ttl, Duration::from_secs(300));
        let found: Vec<_> = read.diagnostics.iter().map(|it| it.message.as_str()).collect();
        assert_eq!(found, ["there is no setting `crowdsec_service.dns_cache.sizes`"]);
    }

    #[test]
    fn without_a_data_directory_nothing_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.yaml");
        fs::write(&path, "common: {}\n").unwrap();
        let told = |text: &str| {
            fs::write(&path, text).unwrap();
            let read = load(&path).unwrap();
            assert!(read.diagnostics.has_errors());
            let style = syntax::Style { color: false, width: 100 };
            let all = read.diagnostics.iter();
            all.map(|it| syntax::render(it, &read.sources, style)).collect::<String>()
        };
        for (text, help) in [
            ("common: {}\n", "write `config_paths: {data_dir: /var/lib/"),
            ("config_paths:\n  hub_dir: /h\n", "write `data_dir: /var/lib/"),
        ] {
            let told = told(text);
            assert!(told.contains("R0403") && told.contains("config.yaml:1:1"), "{told}");
            assert!(told.contains("`config_paths.data_dir`") && told.contains(help), "{told}");
        }
        fs::write(&path, "").unwrap();
        assert!(load(&path).is_err());
    }
}
