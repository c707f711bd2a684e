//! Logs: to standard error, in a form that suits whoever reads them there.

use crate::terminal;
use std::io;
use tracing::level_filters::LevelFilter;

/// Starts logging messages of at least the severity called `level`, an incumbent's name or ours.
/// Called once, by the command that runs for long.
pub(crate) fn start(level: &str, json: bool) {
    let filter = level_filter(level);
    let subscriber = tracing_subscriber::fmt().with_max_level(filter).with_writer(io::stderr);
    // Setting it twice can only happen in tests, and then the first one stays.
    let _already_set = if json {
        subscriber.json().try_init()
    } else {
        subscriber.with_target(false).with_ansi(terminal::stderr_color()).try_init()
    };
}

/// COMPAT(crowdsec): its seven levels. Unknown words mean `info`.
fn level_filter(level: &str) -> LevelFilter {
    match level.to_ascii_lowercase().as_str() {
        "off" => LevelFilter::OFF,
        "panic" | "fatal" | "error" => LevelFilter::ERROR,
        "warning" | "warn" => LevelFilter::WARN,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => LevelFilter::INFO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_two_sets_of_names() {
        assert_eq!(level_filter("warning"), LevelFilter::WARN);
        assert_eq!(level_filter("Debug"), LevelFilter::DEBUG);
        assert_eq!(level_filter("fatal"), LevelFilter::ERROR);
        assert_eq!(level_filter("?"), LevelFilter::INFO);
    }
}
