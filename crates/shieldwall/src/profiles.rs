//! Profiles: from files to what the local API asks about each alert.
//!
//! `profiles.yaml.local` is tried before `profiles.yaml`. Without either, and only where nobody named
//! one, the usual profiles count: whoever misbehaves is banned for four hours.

use crate::{
    config::Server,
    hub::{files, installed::with_suffix},
    terminal::{self, quoted},
};
use anyhow::{Result, bail, ensure};
use engine::{
    Outside,
    profile::{self, Profiles},
};
use model::{Alert, Timestamp};
use std::{sync::Arc, time::Duration};

/// What counts where there is no file.
const USUAL: &str = include_str!("profiles/usual.yaml");

/// Decides about alerts by profiles.
pub(crate) struct Decider {
    profiles: Profiles,
    outside: Arc<dyn Outside>,
}

impl Decider {
    /// Reads the profiles of a server and shows what is wrong with them.
    ///
    /// # Errors
    /// When there are none, or any has a mistake: an alert would go unanswered.
    pub(crate) fn load(server: &Server, outside: Arc<dyn Outside>) -> Result<Self> {
        let path = &server.profiles;
        let mut texts = Vec::new();
        for path in [with_suffix(path, ".local"), path.clone()] {
            if path.is_file() {
                texts.push((path.display().to_string(), files::read_rule(&path)?));
            }
        }
        if texts.is_empty() {
            ensure!(
                !server.profiles_named,
                "`api.server.profiles_path` names {}, which is not there",
                path.display()
            );
            texts.push(("the usual profiles".to_owned(), USUAL.to_owned()));
        }
        let compiled = rules::compile_profiles(texts);
        terminal::diagnostics(&compiled.diagnostics, &compiled.sources);
        if compiled.diagnostics.has_errors() {
            bail!("the profiles have mistakes, shown above");
        }
        ensure!(!compiled.profiles.list.is_empty(), "zero profiles loaded for LAPI");
        Ok(Self { profiles: compiled.profiles, outside })
    }

    /// How many profiles there are.
    pub(crate) fn len(&self) -> usize {
        self.profiles.list.len()
    }
}

impl lapi::Decide for Decider {
    fn decide(
        &self,
        alert: &Alert,
        history: &dyn lapi::History,
        now: Timestamp,
    ) -> Result<lapi::Decided, String> {
        let outcome = self.profiles.decide(alert, &*self.outside, &Past(history), now);
        let outcome = outcome.map_err(|error| quoted(&error.to_string()))?;
        let decided_by = outcome.decided_by.and_then(|index| self.profiles.list.get(index));
        let name = decided_by.map(|profile| profile.name.to_string());
        Ok(lapi::Decided {
            decisions: outcome.decisions,
            matched: outcome.matched,
            profile: name.filter(|name| !name.is_empty()),
        })
    }
}

/// The API's history as the engine asks for it.
struct Past<'a>(&'a dyn lapi::History);

impl profile::History for Past<'_> {
    fn decisions(&self, value: &str) -> Result<u64, String> {
        self.0.decisions(value)
    }

    fn decisions_since(&self, value: &str, since: Timestamp) -> Result<u64, String> {
        self.0.decisions_since(value, since)
    }

    fn active_decisions(&self, value: &str) -> Result<u64, String> {
        self.0.active_decisions(value)
    }

    fn active_time_left(&self, value: &str) -> Result<Duration, String> {
        self.0.active_time_left(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::NoOutside;
    use std::fs;

    fn load(dir: &std::path::Path, named: bool) -> Result<Decider> {
        let server = Server {
            profiles: dir.join("profiles.yaml"),
            profiles_named: named,
            ..Server::usual()
        };
        Decider::load(&server, Arc::new(NoOutside))
    }

    #[test]
    fn the_usual_profiles_are_right_and_count_only_where_none_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let usual = load(dir.path(), false).unwrap();
        let names: Vec<&str> = usual.profiles.list.iter().map(|it| &*it.name).collect();
        assert_eq!(names, ["default_ip_remediation", "default_range_remediation"]);
        assert!(load(dir.path(), true).is_err());
    }

    #[test]
    fn local_profiles_come_first_and_mistakes_are_no_profiles() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("profiles.yaml", "name: main\nfilters: ['true']\n");
        write("profiles.yaml.local", "name: mine\nfilters: ['true']\n");
        let loaded = load(dir.path(), true).unwrap();
        let names: Vec<&str> = loaded.profiles.list.iter().map(|it| &*it.name).collect();
        assert_eq!(names, ["mine", "main"]);
        write("profiles.yaml.local", "name: mine\nfiltres: ['true']\n");
        assert!(load(dir.path(), true).is_err());
        write("profiles.yaml.local", "");
        write("profiles.yaml", "# nothing\n");
        let error = load(dir.path(), true).map(|it| it.len()).unwrap_err().to_string();
        assert_eq!(error, "zero profiles loaded for LAPI");
    }
}
