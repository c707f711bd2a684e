//! Settings of a journal source.

use crate::{config::Common, file::MAX_LINE};

/// Which entries to read.
#[derive(Clone, Debug)]
pub struct JournaldConfig {
    /// What all sources have. In [`Mode::Cat`](crate::Mode::Cat) the journal is read once.
    pub common: Common,
    /// Arguments for `journalctl` that select entries, such as `_SYSTEMD_UNIT=ssh.service`.
    pub filters: Vec<String>,
    /// Where reading once begins, as `journalctl --since` understands it.
    pub since: Option<String>,
    /// The longest message handed over whole, in bytes.
    pub max_line: usize,
}

impl JournaldConfig {
    /// Follows the entries that `filters` select.
    #[must_use]
    pub const fn new(common: Common, filters: Vec<String>) -> Self {
        Self { common, filters, since: None, max_line: MAX_LINE }
    }

    /// The name of this source in `evt.Line.Src`.
    pub(super) fn src(&self) -> String {
        format!("journalctl-{}", self.filters.join("."))
    }
}
