//! `api.client`: to whom alerts are sent, and who this host is to them.

use super::raw::Desk;
use std::path::{Path, PathBuf};
use syntax::yaml::Yaml;

/// The parents of an agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    /// The file of credentials.
    pub(crate) credentials: Option<PathBuf>,
    /// Files of credentials of more local APIs that are sent the same alerts.
    pub(crate) more_credentials: Vec<PathBuf>,
    /// Whether any certificate of a server will do.
    pub(crate) insecure_skip_verify: bool,
    /// Whether the machine is deleted there when the program ends.
    pub(crate) unregister_on_exit: bool,
}

impl Client {
    /// What holds without a `config.yaml`.
    pub(super) fn in_dir(dir: &Path) -> Self {
        let credentials = dir.join("local_api_credentials.yaml");
        Self { credentials: Some(credentials).filter(|path| path.is_file()), ..Self::default() }
    }

    /// Every file of credentials.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.credentials.iter().chain(&self.more_credentials)
    }
}

/// Reads the section.
pub(super) fn read(tree: &Yaml, desk: &mut Desk) -> Client {
    let more = desk.texts(tree, "api.client.more_credentials_paths");
    Client {
        credentials: desk.text(tree, "api.client.credentials_path").map(PathBuf::from),
        more_credentials: more.into_iter().map(PathBuf::from).collect(),
        insecure_skip_verify: desk.flag(tree, "api.client.insecure_skip_verify").unwrap_or(false),
        unregister_on_exit: desk.flag(tree, "api.client.unregister_on_exit").unwrap_or(false),
    }
}
