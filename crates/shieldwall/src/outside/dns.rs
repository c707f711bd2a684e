//! Reverse DNS: the first name of an address, remembered, within three seconds.
//!
//! Questions, answers and their memory are hickory's; this hides its runtime, which lives only
//! while somebody waits for an answer: no thread, no task of ours. What is added here is patience:
//! when nobody answers several times in a row, nobody is asked for a while, since an attack must
//! not make every alert wait for a dead name server.

use crate::{clock::SystemClock, config::DnsSettings};
use acquis::Clock as _;
use hickory_resolver::{
    TokioResolver,
    config::{NameServerConfig, ResolveHosts, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{Name, RData},
    system_conf,
};
use std::{
    collections::HashMap,
    fs,
    net::{IpAddr, Ipv4Addr},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use tokio::runtime::Runtime;
use tracing::debug;

/// How long one look-up may take, over all servers.
const TIMEOUT: Duration = Duration::from_secs(3);

/// How often a question is repeated that nobody answered.
const N_REPEATS: u32 = 1;

/// Look-ups without any answer after which servers are left alone for [`PAUSE`].
const PATIENCE: u32 = 3;

/// How long they are left alone.
const PAUSE: Duration = Duration::from_secs(30);

/// The longest name there is, as text.
const MAX_NAME: usize = 255;

/// Asks for names and remembers the answers.
pub(super) struct Resolver {
    servers: ResolverConfig,
    hosts: HashMap<IpAddr, String>,
    settings: DnsSettings,
    limit: Duration,
    clock: SystemClock,
    /// Made by the first question: most runs ask none. `None` when the system gave us nothing to
    /// ask with.
    asking: OnceLock<Option<Asking>>,
    silence: Mutex<Silence>,
}

struct Asking {
    runtime: Runtime,
    resolver: TokioResolver,
}

/// How long nobody has answered.
#[derive(Default)]
struct Silence {
    n_silent: u32,
    asleep_until: Duration,
}

/// What became of a question.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Name(String),
    /// Somebody answered, and gave no name.
    NoName,
    Silence,
}

impl Resolver {
    /// A resolver that asks whom the system asks.
    pub(super) fn of_system(settings: DnsSettings, clock: SystemClock) -> Self {
        let servers = match system_conf::read_system_conf() {
            Ok((servers, _options)) => servers,
            Err(error) => {
                // As the system's own resolver does: whoever serves this host.
                debug!(%error, "no name server is configured, asking this host");
                let local = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
                ResolverConfig::from_name_servers(vec![local])
            }
        };
        let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
        Self::new(servers, static_names(&hosts), settings, TIMEOUT, clock)
    }

    fn new(
        servers: ResolverConfig,
        hosts: HashMap<IpAddr, String>,
        settings: DnsSettings,
        limit: Duration,
        clock: SystemClock,
    ) -> Self {
        let (asking, silence) = (OnceLock::new(), Mutex::default());
        Self { servers, hosts, settings, limit, clock, asking, silence }
    }

    /// The first name of an address, with its final dot.
    pub(super) fn reverse(&self, ip: IpAddr) -> Option<String> {
        if let Some(name) = self.hosts.get(&ip) {
            return Some(name.clone());
        }
        if self.clock.monotonic() < self.silence().asleep_until {
            return None;
        }
        // Not under the lock: others may find their answers meanwhile.
        let answer = self.ask(ip);
        let now = self.clock.monotonic();
        let mut silence = self.silence();
        match answer {
            Answer::Name(name) => {
                silence.n_silent = 0;
                Some(name)
            }
            Answer::NoName => {
                silence.n_silent = 0;
                None
            }
            Answer::Silence => {
                silence.n_silent += 1;
                if silence.n_silent >= PATIENCE {
                    debug!("no name server answers, leaving them alone for a while");
                    *silence = Silence { n_silent: 0, asleep_until: now.saturating_add(PAUSE) };
                }
                None
            }
        }
    }

    fn silence(&self) -> MutexGuard<'_, Silence> {
        // Two numbers: a panic elsewhere leaves nothing half done.
        self.silence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, ip: IpAddr) -> Answer {
        let Some(asking) = self.asking.get_or_init(|| self.start()) else {
            return Answer::NoName;
        };
        let asked = asking.runtime.block_on(async {
            tokio::time::timeout(self.limit, asking.resolver.reverse_lookup(ip)).await
        });
        match asked {
            Ok(Ok(found)) => {
                let names = found.answers().iter().filter_map(|record| match &record.data {
                    RData::PTR(name) => text_of(&name.0),
                    _ => None,
                });
                names.into_iter().next().map_or(Answer::NoName, Answer::Name)
            }
            // No such name, or a refusal: of somebody who is there.
            Ok(Err(NetError::Dns(_))) => Answer::NoName,
            Ok(Err(error)) => {
                debug!(%ip, %error, "no name server answered");
                Answer::Silence
            }
            Err(_late) => Answer::Silence,
        }
    }

    fn start(&self) -> Option<Asking> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.inspect_err(|error| debug!(%error, "nothing to ask for names with")).ok()?;
        let provider = TokioRuntimeProvider::default();
        let mut builder = TokioResolver::builder_with_config(self.servers.clone(), provider);
        let options = builder.options_mut();
        // One name with many addresses leaves the order of the file to us; see `static_names`.
        options.use_hosts_file = ResolveHosts::Never;
        options.timeout = self.limit / (N_REPEATS + 1);
        options.attempts = usize::try_from(N_REPEATS).unwrap_or(1);
        options.cache_size = u64::try_from(self.settings.size).unwrap_or(u64::MAX);
        // The operator says how long names live, whatever the zone says.
        options.positive_min_ttl = Some(self.settings.ttl);
        options.positive_max_ttl = Some(self.settings.ttl);
        options.negative_min_ttl = Some(self.settings.negative_ttl);
        options.negative_max_ttl = Some(self.settings.negative_ttl);
        let resolver = builder.build();
        let resolver =
            resolver.inspect_err(|error| debug!(%error, "nobody to ask for names")).ok()?;
        Some(Asking { runtime, resolver })
    }
}

/// A name as text, with its final dot. Labels hold letters, digits, `-` and `_`; a name with others
/// is none, since its text would be read as something else.
fn text_of(name: &Name) -> Option<String> {
    let mut text = String::new();
    for label in name.iter() {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !label.iter().all(is_plain) {
            return None;
        }
        text.extend(label.iter().copied().map(char::from));
        text.push('.');
    }
    (!text.is_empty() && text.len() <= MAX_NAME).then_some(text)
}

/// The first name of each address of a `hosts` file: the one the system gives, too.
fn static_names(hosts: &str) -> HashMap<IpAddr, String> {
    let mut names = HashMap::new();
    for line in hosts.lines() {
        let text = line.split('#').next().unwrap_or("");
        let mut words = text.split_whitespace();
        if let (Some(ip), Some(name)) = (words.next().and_then(|ip| ip.parse().ok()), words.next())
        {
            let dot = if name.ends_with('.') { "" } else { "." };
            names.entry(ip).or_insert_with(|| format!("{name}{dot}"));
        }
    }
    names
}

#[cfg(test)]
mod tests;
