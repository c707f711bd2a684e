//! Logs: to standard error, to files that are turned over, or to the host's syslog.
//!
//! Requests to the local API go to a file of their own where logs are files.

mod files;

mod syslog;

use crate::{
    config::{Log, Media},
    terminal,
};
use anyhow::{Context as _, Result};
use files::Turning;
use std::{io, sync::Arc};
use syslog::Syslog;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, Registry,
    filter::filter_fn,
    fmt::{self, MakeWriter},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

/// What requests are logged as.
const ACCESS: &str = "lapi::access";

/// Starts logging messages of at least the severity called `level`, an incumbent's name or ours.
/// Called once, by the command that runs for long.
///
/// # Errors
/// When the files cannot be written.
pub(crate) fn start(level: &str, json: bool, log: &Log) -> Result<()> {
    let filter = level_filter(level);
    let (place, access) = match &log.media {
        Media::Terminal => {
            let color = log.force_color || terminal::stderr_color();
            (layer(io::stderr, json, color), None)
        }
        Media::Files(settings) => {
            let open = |name: &str| {
                Turning::open(settings.clone(), name)
                    .with_context(|| format!("opening {name}.log in {}", settings.dir.display()))
            };
            let (all, access) = (open("crowdsec")?, open("crowdsec_api")?);
            let all = layer(Arc::new(all), json, log.force_color);
            let access = layer(Arc::new(access), json, log.force_color);
            (all, Some(access))
        }
        Media::Syslog => match Syslog::open() {
            Ok(syslog) => (layer(Arc::new(syslog), json, false), None),
            Err(error) => {
                terminal::warn(&format!(
                    "no syslog listens on this host ({error}); logs go to standard error"
                ));
                (layer(io::stderr, json, terminal::stderr_color()), None)
            }
        },
    };
    let is_apart = access.is_some();
    let place = place.with_filter(filter_fn(move |meta| !(is_apart && meta.target() == ACCESS)));
    let access = access.map(|layer| layer.with_filter(filter_fn(|meta| meta.target() == ACCESS)));
    let mut places: Vec<Place> = vec![Box::new(place)];
    places.extend(access.map(|access| Box::new(access) as Place));
    // Setting it twice can only happen in tests, and then the first one stays.
    let _already_set = tracing_subscriber::registry().with(places).with(filter).try_init();
    Ok(())
}

/// Somewhere that lines go.
type Place = Box<dyn Layer<Registry> + Send + Sync>;

fn layer<W>(writer: W, json: bool, color: bool) -> Place
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer);
    if json { Box::new(lines.json()) } else { Box::new(lines.with_target(false).with_ansi(color)) }
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
