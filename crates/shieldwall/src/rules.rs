//! From what the command line or the settings name to a compiled program.
//!
//! Hides where rules, patterns and data files are looked for. [`RuleArgs`] are the options all
//! commands share; [`Loaded`] is what they lead to; [`Loaded::compile`] never fails as a whole
//! (I3).

use crate::{
    config::{self, CONFIG_DIRS, Settings},
    hub::{files, index::Index, installed, select},
    terminal::{self, Reported},
};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use engine::Program;
use rules::{Compiled, FileKind, Options, SourceFile, item::DataFile};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where rules come from.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Rules")]
pub(crate) struct RuleArgs {
    /// A configuration directory in which items are installed (default: /etc/shieldwall or
    /// /etc/crowdsec).
    #[arg(long, value_name = "DIR", conflicts_with = "hub")]
    pub(crate) rules: Option<PathBuf>,
    /// A hub tree with its `.index.json`, to take the items named by --with from.
    #[arg(long, value_name = "DIR")]
    pub(crate) hub: Option<PathBuf>,
    /// Items of the hub, collections with all they list.
    #[arg(long = "with", value_name = "ITEM", num_args = 1.., requires = "hub")]
    pub(crate) with: Vec<String>,
    /// Grok pattern files (default: those beside the rules). Names they lack keep the meaning that
    /// comes with this program.
    #[arg(long, value_name = "DIR")]
    pub(crate) patterns: Option<PathBuf>,
    /// Data files: lists, patterns, geographic databases (default: those of the configuration).
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// Everything to compile, and where its data files are.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// The texts.
    pub(crate) files: Vec<SourceFile>,
    /// Where data files lie; `None` when nobody said and no usual place exists.
    pub(crate) data: Option<PathBuf>,
    /// What could not be used.
    pub(crate) warnings: Vec<String>,
    /// The longest JSON of one context value.
    pub(crate) context_length: Option<usize>,
    /// The `config.yaml` of the directory, where it has one.
    pub(crate) settings: Option<config::Read>,
}

impl RuleArgs {
    /// Reads the rules these options name.
    pub(crate) fn load(&self) -> Result<Loaded> {
        match (&self.hub, &self.rules) {
            (Some(hub), _) => self.load_hub(hub),
            (None, Some(dir)) => self.load_dir(dir),
            (None, None) => {
                let usual = CONFIG_DIRS.iter().map(Path::new).find(|dir| dir.is_dir());
                let dir = usual.context(
                    "no rules given and none installed; name a directory with --rules DIR, or a \
                     hub and its items with --hub DIR --with ITEM",
                )?;
                self.load_dir(dir)
            }
        }
    }

    /// The pattern files to use where no configuration names any.
    pub(crate) fn usual_patterns(&self) -> Option<PathBuf> {
        let usual = CONFIG_DIRS.iter().map(|dir| Path::new(dir).join("patterns"));
        self.patterns.clone().or_else(|| usual.into_iter().find(|dir| dir.is_dir()))
    }

    fn load_hub(&self, hub: &Path) -> Result<Loaded> {
        if self.with.is_empty() {
            bail!(
                "--hub alone loads nothing; name items with --with, crowdsecurity/linux for example"
            );
        }
        let index = Index::open(hub)?;
        let items = select::closure(&index, &self.with)?;
        let mut files = select::read(hub, &index, &items)?;
        if let Some(dir) = self.patterns.clone().or_else(|| patterns_of_hub(hub)) {
            files.extend(pattern_files(&dir)?);
        }
        let data = self.data.clone().or_else(|| {
            let usual = [hub.join(".cache/data"), hub.join("../data"), config::DATA_DIR.into()];
            usual.into_iter().find(|dir| dir.is_dir())
        });
        Ok(Loaded { files, data, ..Loaded::default() })
    }

    fn load_dir(&self, dir: &Path) -> Result<Loaded> {
        if !dir.is_dir() {
            bail!("there is no directory {}", dir.display());
        }
        let config = dir.join("config.yaml");
        if !config.is_file() {
            return self.load_settings(&Settings::in_dir(dir));
        }
        let read = config::load(&config)?;
        let loaded = self.load_settings(&read.settings)?;
        Ok(Loaded { settings: Some(read), ..loaded })
    }

    /// Reads the rules that settings name, as far as these options do not name others.
    pub(crate) fn load_settings(&self, settings: &Settings) -> Result<Loaded> {
        if let Some(hub) = &self.hub {
            return self.load_hub(hub);
        }
        let mut places = settings.places.clone();
        if let Some(patterns) = &self.patterns {
            places.patterns = Some(existing(patterns)?);
        }
        let found = installed::read(&places)?;
        Ok(Loaded {
            files: found.files,
            warnings: found.warnings,
            data: self.data.clone().or_else(|| settings.data_dir.clone()),
            context_length: Some(settings.context_length),
            settings: None,
        })
    }
}

fn existing(dir: &Path) -> Result<PathBuf> {
    if !dir.is_dir() {
        bail!("there is no directory {} to take patterns from", dir.display());
    }
    Ok(dir.to_path_buf())
}

/// The pattern files that go with a hub: those beside it, else those installed.
pub(crate) fn patterns_of_hub(hub: &Path) -> Option<PathBuf> {
    let beside = [hub.join("patterns"), hub.join("../config/patterns"), hub.join("../patterns")];
    let usual = CONFIG_DIRS.iter().map(|dir| Path::new(dir).join("patterns"));
    beside.into_iter().chain(usual).find(|dir| dir.is_dir())
}

/// Reads the pattern files of a directory.
pub(crate) fn pattern_files(dir: &Path) -> Result<Vec<SourceFile>> {
    installed::patterns(&existing(dir)?)
}

/// Whether captures and fields that no rule reads are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Only what something reads: ordinary runs.
    Read,
    /// Everything: for people who look.
    All,
}

impl Loaded {
    /// Whether there is any parser or scenario.
    pub(crate) fn has_rules(&self) -> bool {
        self.files
            .iter()
            .any(|file| matches!(file.kind, FileKind::Parser { .. } | FileKind::Scenario))
    }

    /// Prints what was wrong before anything was compiled.
    pub(crate) fn tell(&self) -> Reported {
        for warning in &self.warnings {
            terminal::warn(warning);
        }
        let mut reported = Reported { n_errors: 0, n_warnings: self.warnings.len() };
        if let Some(settings) = &self.settings {
            reported += terminal::diagnostics(&settings.diagnostics, &settings.sources);
        }
        reported
    }

    /// Compiles everything.
    pub(crate) fn compile(self, keep: Keep) -> Compiled {
        let mut options = Options { keep_all: keep == Keep::All, ..Options::default() };
        if let Some(length) = self.context_length {
            options.context_length = length;
        }
        let data = self.data;
        let mut read = |file: &DataFile| read_data(data.as_deref(), file);
        rules::compile(self.files, &mut read, &options)
    }

    /// Compiles, printing what is wrong to standard error.
    pub(crate) fn compile_and_tell(self, keep: Keep) -> Rules {
        self.tell();
        let data = self.data.clone();
        let compiled = self.compile(keep);
        terminal::diagnostics(&compiled.diagnostics, &compiled.sources);
        Rules::new(compiled, data)
    }
}

/// Rules ready to run.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) program: Arc<Program>,
    /// Where data files lie.
    pub(crate) data: Option<PathBuf>,
    /// Whether a rule declares a geographic database.
    pub(crate) wants_geo: bool,
}

impl Rules {
    /// What was compiled, with the data files it was compiled with.
    pub(crate) fn new(compiled: Compiled, data: Option<PathBuf>) -> Self {
        let is_database = |file: &DataFile| file.dest_file.ends_with(".mmdb");
        let wants_geo = compiled.data_files.iter().any(is_database);
        Self { program: Arc::new(compiled.program), data, wants_geo }
    }
}

/// The text of a data file, if it can be read. The compiler says so where it cannot.
fn read_data(dir: Option<&Path>, file: &DataFile) -> Option<String> {
    let path = files::below(dir?, &file.dest_file)?;
    files::read_data(&path).ok()
}
