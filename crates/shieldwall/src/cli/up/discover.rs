//! The usual logs of a host, for those who have configured nothing.

use acquis::{Common, Source, file::FileConfig, journald::JournaldConfig};
use std::path::Path;
use tracing::info;

/// Logs and what their lines are. Of a row, all that exist are read.
const LOGS: &[(&str, &[&str])] = &[
    ("syslog", &["/var/log/auth.log", "/var/log/secure"]),
    ("syslog", &["/var/log/syslog", "/var/log/messages", "/var/log/kern.log"]),
    ("nginx", &["/var/log/nginx/access.log", "/var/log/nginx/error.log"]),
    ("apache2", &["/var/log/apache2/access.log", "/var/log/apache2/error.log"]),
    ("apache2", &["/var/log/httpd/access_log", "/var/log/httpd/error_log"]),
];

/// Journal entries that systems with these directories keep.
const JOURNALS: [&str; 2] = ["/var/log/journal", "/run/log/journal"];

/// What logins leave behind, by syslog facility: 4 is `auth`, 10 is `authpriv`.
const LOGINS: [&str; 2] = ["SYSLOG_FACILITY=4", "SYSLOG_FACILITY=10"];

/// The logs that are here.
pub(super) fn usual() -> Vec<Source> {
    let here = |path: &&&str| Path::new(path).is_file();
    let mut sources = Vec::new();
    for (kind, paths) in LOGS {
        let found: Vec<String> = paths.iter().filter(here).map(|path| (*path).to_owned()).collect();
        if !found.is_empty() {
            info!(files = ?found, kind, "found logs");
            sources.push(Source::File(FileConfig::new(common(kind), found)));
        }
    }
    // Hosts that keep logins in a file have them in the journal as well; reading both would count
    // each failure twice.
    let has_logins = LOGS.first().is_some_and(|(_, paths)| paths.iter().any(|path| here(&path)));
    let has_journal = JOURNALS.iter().any(|dir| Path::new(dir).is_dir());
    if has_journal && !has_logins {
        info!("found the journal, reading logins from it");
        let filters = LOGINS.map(str::to_owned).to_vec();
        sources.push(Source::Journald(JournaldConfig::new(common("syslog"), filters)));
    }
    sources
}

fn common(kind: &str) -> Common {
    let labels = [("type".to_owned(), kind.to_owned())].into_iter().collect();
    Common { labels, ..Common::default() }
}
