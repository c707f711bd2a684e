//! What runs for long: detection, the local API, or both, with what lies between them.
//!
//! `up`, `agent`, `serve` and the name `crowdsec` differ only in what they ask of a [`Daemon`].
//! Everything is started from the far end (store, API, outbox, agent) and stopped from the near
//! one, so that nothing is handed to somebody who has gone.

use super::{
    Output,
    up::{self, WatchArgs},
};
use crate::{
    clock::SystemClock,
    config::{self, Credentials, Location, Prometheus, Server, Settings},
    outside::World,
    profiles::Decider,
    report,
    rules::Keep,
    run::{
        Flushed, Sink,
        agent::{self, Agent, Detail, Running, Window},
        heartbeat,
        notify::Notify,
        outbox::{self, Outbox, deliver, local::Local, parent::Parent, remote::Remote},
        prometheus::Endpoint,
        serve::{self, Api},
    },
    terminal,
};
use acquis::Checkpoints;
use anyhow::{Context as _, Result, bail, ensure};
use engine::{Limits, Outside, Program};
use lapi::exposition::{Exposition, Kind};
use model::{Alert, Uuid};
use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::Duration,
};
use tokio::runtime::Handle;
use tracing::{error, info, warn};

/// How long what is left in the runtime may take.
pub(super) const FAREWELL: Duration = Duration::from_secs(5);

/// What is to run.
pub(super) struct Daemon<'a> {
    pub(super) watch: &'a WatchArgs,
    pub(super) role: Role,
    /// Where the local API listens, instead of where settings say.
    pub(super) listen: Option<&'a str>,
    pub(super) database: Option<&'a Path>,
    /// Credentials of parents, instead of those that settings name.
    pub(super) credentials: &'a [PathBuf],
    pub(super) show: Show,
}

/// Which parts run, as far as settings do not turn them off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Detection and the local API.
    Both,
    /// Detection, with nobody to send alerts to but those whose credentials are there.
    Watch,
    /// Detection, which must have somebody to send alerts to.
    Agent,
    /// The local API.
    Server,
}

/// What becomes of alerts on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    /// They are printed.
    Printed(Output),
    /// They are logged, as daemons do.
    Logged,
}

/// Those beside detection who have to do with it.
#[derive(Clone, Copy)]
struct Seen<'a> {
    window: &'a Window,
    api: Option<&'a Api>,
}

/// Shows Prometheus what is counted, where settings say so. Monitoring that cannot start is told
/// and keeps nothing else from running.
fn metrics(
    settings: Option<&Settings>,
    api: Option<&Api>,
    window: &Arc<Window>,
    runtime: &Handle,
) -> Option<Endpoint> {
    let Prometheus { address, full } = settings?.prometheus.clone()?;
    let (window, runtime) = (Arc::clone(window), runtime.clone());
    let service = api.map(|api| api.service().clone());
    let page = move || {
        let mut page = Exposition::default();
        page.name("cs_info", Kind::Gauge, "The version that runs.");
        page.sample("cs_info", &[("version", concat!("v", env!("CARGO_PKG_VERSION")))], 1);
        window.expose(if full { Detail::Full } else { Detail::Aggregated }, &mut page);
        if let Some(service) = &service {
            runtime.block_on(service.expose(&mut page));
        }
        page.finish()
    };
    match Endpoint::start(&address, page) {
        Ok(endpoint) => Some(endpoint),
        Err(error) => {
            let reason = terminal::quoted(&format!("{error:#}"));
            warn!(%reason, "no metrics for Prometheus");
            None
        }
    }
}

impl Daemon<'_> {
    /// Runs until a signal says so, or there is nothing left to read.
    pub(super) fn run(&self) -> Result<ExitCode> {
        let settings = up::settings(self.watch)?;
        up::start_log(self.watch, settings.as_ref())?;
        let settings = settings.as_ref();
        let outcome = self.run_with(settings);
        // Whoever reads the files is told too; our caller tells standard error.
        if let (Err(error), Some(config::Media::Files(_))) =
            (&outcome, settings.map(|it| &it.log.media))
        {
            error!("{error:#}");
        }
        outcome
    }

    fn run_with(&self, settings: Option<&Settings>) -> Result<ExitCode> {
        let server = self.server(settings);
        let detects = self.role != Role::Server && settings.is_none_or(|it| it.engine_enabled);
        if self.role == Role::Agent && !detects {
            bail!("the settings disable detection: `crowdsec_service` is absent or disabled");
        }
        ensure!(detects || server.is_some(), "you must run at least the API Server or crowdsec");
        let runtime = serve::runtime()?;
        let notify = Arc::new(Notify::from_environment());
        let outcome = match server {
            Some(server) if !detects => {
                info!("crowdsec agent is disabled");
                self.serve(settings, server, &notify, runtime.handle())
            }
            server => {
                if server.is_none() {
                    info!("crowdsec local API is disabled");
                }
                self.detect(settings, server, &notify, runtime.handle())
            }
        };
        // Requests that nobody waits for any more.
        runtime.shutdown_timeout(FAREWELL);
        outcome.map(|()| ExitCode::SUCCESS)
    }

    /// The local API to run.
    pub(super) fn server(&self, settings: Option<&Settings>) -> Option<Server> {
        if matches!(self.role, Role::Watch | Role::Agent) {
            return None;
        }
        let mut server = match settings {
            Some(settings) => settings.server.clone()?,
            None => Server::usual(),
        };
        if let Some(address) = self.listen {
            server.listen_socket = address.starts_with('/').then(|| address.into());
            server.listen_uri = (!address.starts_with('/')).then(|| address.to_owned());
        }
        Some(server)
    }

    /// The directory of positions, outbox and, where settings name none, the database.
    fn state(&self, settings: Option<&Settings>) -> Option<PathBuf> {
        let named = self.watch.state.clone();
        let of_settings = || settings.and_then(|settings| settings.state_dir.clone());
        named.or_else(of_settings).or_else(config::usual_state_dir)
    }

    pub(super) fn start_api(
        &self,
        settings: Option<&Settings>,
        server: Server,
        outside: Arc<dyn Outside>,
        notify: &Arc<Notify>,
        runtime: &Handle,
    ) -> Result<Api> {
        let decider = Decider::load(&server, outside)?;
        info!(profiles = decider.len(), "profiles loaded");
        let state = self.state(settings);
        let usual = state.map(|state| state.join("shieldwall.db"));
        let database = settings.map(|settings| settings.database.clone()).unwrap_or_default();
        let location = match self.database {
            Some(path) => Location::File(path.to_path_buf()),
            None => database.location(|| {
                usual.context("no place for the database; name one with --database FILE")
            })?,
        };
        // Tools without settings know a database by its file.
        let beside = match &location {
            Location::File(path) => Some(path.clone()),
            Location::Server(..) => None,
        };
        let plan = serve::Plan {
            server,
            database: location,
            retention: database.retention,
            decide: Arc::new(decider),
            notify: Arc::clone(notify),
            counting: match settings.and_then(|settings| settings.prometheus.as_ref()) {
                None => lapi::Counting::Nothing,
                Some(Prometheus { full: false, .. }) => lapi::Counting::Routes,
                Some(Prometheus { full: true, .. }) => lapi::Counting::Everything,
            },
        };
        let (socket, is_tls) = (plan.server.listen_socket.clone(), plan.server.tls.is_some());
        let api = Api::start(plan, runtime)?;
        // For tools without settings. With TLS they need settings, to know whom to trust.
        let address = api.address().filter(|_| !is_tls).map(own_url);
        let address = address.or_else(|| Some(socket?.display().to_string()));
        if let (Some(address), Some(beside)) = (address, beside)
            && let Err(error) = config::write_own_address(&beside, &address)
        {
            warn!(%error, "tools without settings will not find this local API");
        }
        Ok(api)
    }

    /// The local API alone.
    fn serve(
        &self,
        settings: Option<&Settings>,
        server: Server,
        notify: &Arc<Notify>,
        runtime: &Handle,
    ) -> Result<()> {
        let dns = settings.map(|settings| settings.dns).unwrap_or_default();
        let data = settings.and_then(|settings| settings.data_dir.as_deref());
        let outside: Arc<dyn Outside> = Arc::new(World::open(data, dns, &mut Vec::new()));
        let api = self.start_api(settings, server, Arc::clone(&outside), notify, runtime)?;
        let metrics = metrics(settings, Some(&api), &Arc::default(), runtime);
        let outcome = serve::wait(notify, &mut || self.reload_profiles(&api, &outside));
        drop(metrics);
        api.stop(runtime);
        outcome
    }

    /// Detection, with the local API if there is one to run.
    fn detect(
        &self,
        settings: Option<&Settings>,
        server: Option<Server>,
        notify: &Arc<Notify>,
        runtime: &Handle,
    ) -> Result<()> {
        let watch = self.watch;
        let mut loaded = up::load(watch, settings)?;
        // Where these rules come from decides what else is read there, so this is settled once.
        let sources = up::sources(watch, settings)?;
        for warning in std::mem::take(&mut loaded.warnings) {
            warn!("{warning}");
        }
        let rules = loaded.compile_and_tell(Keep::Read);
        let running = up::running(&rules, settings);
        let own = server.clone();
        let outside = Arc::clone(&running.outside);
        let start = |server| self.start_api(settings, server, outside, notify, runtime);
        let api = server.map(start).transpose()?;
        let window = Arc::<Window>::default();
        let metrics = metrics(settings, api.as_ref(), &window, runtime);
        let detected = self.parents(settings, api.as_ref(), own.as_ref(), &rules.program, runtime);
        let outcome = detected.and_then(|parents| {
            info!(program = %rules.program.describe(), sources = sources.len(), "starting");
            let named = watch.state.is_some();
            let checkpoints = up::checkpoints(self.state(settings).as_deref(), named)?;
            let kept = (sources, checkpoints);
            let seen = Seen { window: &window, api: api.as_ref() };
            self.watch(settings, running, kept, &parents, seen, notify)
        });
        drop(metrics);
        if let Some(api) = api {
            api.stop(runtime);
        }
        outcome
    }

    /// Follows the sources and sends what they show.
    fn watch(
        &self,
        settings: Option<&Settings>,
        running: Running,
        (sources, checkpoints): (Vec<acquis::Source>, Checkpoints),
        parents: &[Arc<dyn Parent>],
        seen: Seen<'_>,
        notify: &Notify,
    ) -> Result<()> {
        let outbox = if parents.is_empty() { None } else { Some(self.outbox(settings, parents)?) };
        let limits = Limits::default();
        let stopping = Arc::<AtomicBool>::default();
        let mut courier = Courier {
            show: self.show,
            color: terminal::stdout_color(),
            outbox: outbox.as_ref(),
            stopping: Arc::clone(&stopping),
        };
        let mut reload = || {
            let running = up::reload(self.watch)?;
            if let Some(api) = seen.api {
                self.reload_profiles(api, &running.outside);
            }
            Some(running)
        };
        let watch = Agent {
            rules: running,
            sources,
            checkpoints,
            limits: Limits { buckets: self.watch.max_buckets.unwrap_or(limits.buckets), ..limits },
            status_every: Duration::from_secs(self.watch.status.max(1)),
            sink: &mut courier,
            notify,
            is_alone: seen.api.is_none(),
            stopping,
            window: seen.window,
            reload: &mut reload,
        };
        let clock = SystemClock::start();
        let outcome = thread::scope(|scope| {
            // Nothing is ever sent: dropping it is the message.
            let (alive, stop) = crossbeam_channel::bounded(0);
            if let Some(outbox) = &outbox {
                for parent in parents {
                    agent::spawn(scope, "outbox", move || deliver::run(outbox, &**parent, clock))?;
                }
                agent::spawn(scope, "heartbeat", move || heartbeat::run(parents, &stop))?;
            }
            let outcome = watch.run();
            drop(alive);
            if let Some(outbox) = &outbox {
                outbox.close();
            }
            outcome
        });
        if settings.is_some_and(|settings| settings.client.unregister_on_exit) {
            for parent in parents {
                if let Err(trouble) = parent.leave() {
                    let reason = terminal::quoted(&trouble.to_string());
                    warn!(parent = parent.name(), %reason, "this machine is still registered");
                }
            }
        }
        outcome
    }

    fn outbox(&self, settings: Option<&Settings>, parents: &[Arc<dyn Parent>]) -> Result<Outbox> {
        let state = self.state(settings);
        let state = state.context("no directory for the outbox; name one with --state DIR")?;
        let keys: Vec<String> = parents.iter().map(|parent| parent.key().to_owned()).collect();
        Outbox::open(&state.join("outbox"), &keys, outbox::Limits::default())
    }

    /// Everybody who is to get the alerts.
    pub(super) fn parents(
        &self,
        settings: Option<&Settings>,
        api: Option<&Api>,
        own: Option<&Server>,
        program: &Program,
        runtime: &Handle,
    ) -> Result<Vec<Arc<dyn Parent>>> {
        let client = settings.map(|settings| settings.client.clone()).unwrap_or_default();
        let files: Vec<&PathBuf> = match self.credentials {
            [] => client.files().collect(),
            named => named.iter().collect(),
        };
        let mut parents: Vec<Arc<dyn Parent>> = Vec::new();
        let mut login = None;
        let mut is_own_parent = false;
        for file in files {
            // Packages make an empty file, to be filled when the machine is registered.
            let is_blank = fs::metadata(file).map_or(true, |file| file.len() == 0);
            if is_blank && self.credentials.is_empty() && self.role != Role::Agent {
                continue;
            }
            let credentials = Credentials::read(file)?;
            if own.is_some_and(|own| is_own(&credentials.url, own)) {
                login = credentials.login().map(str::to_owned);
                is_own_parent = true;
                continue;
            }
            let scenarios = program.scenarios.iter().map(|it| it.name.to_string()).collect();
            let remote = Remote::new(&credentials, &client, scenarios, runtime.clone())?;
            info!(parent = remote.name(), "alerts are sent to");
            parents.push(Arc::new(remote));
        }
        if let Some(api) = api.filter(|_| is_own_parent || parents.is_empty()) {
            let hostname = || fs::read_to_string("/proc/sys/kernel/hostname").ok();
            let hostname = || hostname().map(|name| name.trim().to_owned());
            let machine = login
                .or_else(hostname)
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| "localhost".to_owned());
            let service = api.service().clone();
            let local = Local::new(service, api.store(), runtime.clone(), machine)?;
            parents.insert(0, Arc::new(local));
        }
        ensure!(
            !parents.is_empty() || self.role != Role::Agent,
            "missing local API credentials for crowdsec agent, abort"
        );
        Ok(parents)
    }

    /// Reads the profiles anew. Mistakes keep the old ones.
    fn reload_profiles(&self, api: &Api, outside: &Arc<dyn Outside>) {
        let attempt = || -> Result<Decider> {
            let server = self.server(up::settings(self.watch)?.as_ref());
            let server = server.context("the settings have no local API any more")?;
            Decider::load(&server, Arc::clone(outside))
        };
        match attempt() {
            Ok(decider) => {
                info!(profiles = decider.len(), "profiles reloaded");
                api.replace_profiles(Arc::new(decider));
            }
            Err(error) => {
                let error = format!("{error:#}");
                error!(%error, "the new profiles are not used, the old ones stay");
            }
        }
    }
}

/// The address at which this host reaches what listens on another one.
fn own_url(listening: std::net::SocketAddr) -> String {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}/", std::net::SocketAddr::new(ip, listening.port()))
}

/// Whether an address is where a server of ours listens.
fn is_own(url: &str, own: &Server) -> bool {
    if url.starts_with('/') {
        return own.listen_socket.as_deref() == Some(Path::new(url));
    }
    let strip = |scheme: &str| url.strip_prefix(scheme);
    let Some(rest) = strip("http://").or_else(|| strip("https://")) else { return false };
    let there = rest.split('/').next().unwrap_or(rest);
    let Some(here) = own.listen_uri.as_deref() else { return false };
    let (Some((host, port)), Some((own_host, own_port))) =
        (there.rsplit_once(':'), here.rsplit_once(':'))
    else {
        return false;
    };
    let is_loopback = |host: &str| matches!(host, "127.0.0.1" | "localhost" | "[::1]");
    let is_any = |host: &str| matches!(host, "" | "0.0.0.0" | "[::]");
    port == own_port
        && (host == own_host || (is_loopback(host) && (is_loopback(own_host) || is_any(own_host))))
}

/// Shows alerts here, and hands them to the outbox.
struct Courier<'a> {
    show: Show,
    color: bool,
    outbox: Option<&'a Outbox>,
    stopping: Arc<AtomicBool>,
}

impl Sink for Courier<'_> {
    fn alert(&mut self, alert: &Alert, identity: Option<u128>) -> io::Result<()> {
        if let Some(outbox) = self.outbox {
            let uuid = match identity {
                Some(identity) => outbox.name(identity, &alert.source),
                None => random_uuid()?,
            };
            outbox.push(&wire(alert, uuid)?, &self.stopping);
        }
        match self.show {
            Show::Printed(output) => print(alert, output, self.color),
            // COMPAT(crowdsec): scripts wait for this very line.
            Show::Logged => {
                info!("{}", terminal::quoted(&alert.message));
                Ok(())
            }
        }
    }

    fn flush(&mut self) -> io::Result<Flushed> {
        Ok(self.outbox.map_or(Flushed::Safe, Outbox::sync))
    }
}

/// An identifier for what has none that lasts.
pub(super) fn random_uuid() -> io::Result<Uuid> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(Uuid::from_random(u128::from_le_bytes(bits)))
}

/// An alert as the outbox keeps it, with an identifier of its own.
pub(super) fn wire(alert: &Alert, uuid: Uuid) -> io::Result<String> {
    let mut wire = api::Alert::from_model(alert);
    wire.uuid = Some(uuid.to_string());
    wire.kind = Some("crowdsec".to_owned());
    Ok(serde_json::to_string(&wire)?)
}

/// Prints an alert, at once.
fn print(alert: &Alert, output: Output, color: bool) -> io::Result<()> {
    let mut text = match output {
        Output::Human => report::human(alert, color),
        Output::Json => serde_json::to_string(&report::WireAlert::new(alert))?,
    };
    text.push('\n');
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_everywhere_is_reached_on_loopback() {
        let check = |listening: &str, expect: &str| {
            assert_eq!(own_url(listening.parse().unwrap()), expect);
        };
        check("0.0.0.0:8080", "http://127.0.0.1:8080/");
        check("[::]:9", "http://[::1]:9/");
        check("192.0.2.1:8081", "http://192.0.2.1:8081/");
    }

    #[test]
    fn our_own_address_is_recognized() {
        let server = |uri: &str| Server { listen_uri: Some(uri.to_owned()), ..Server::usual() };
        let check = |url: &str, uri: &str, expect: bool| {
            assert_eq!(is_own(url, &server(uri)), expect, "{url} {uri}");
        };
        check("http://127.0.0.1:8080/", "127.0.0.1:8080", true);
        check("http://localhost:8080/", "127.0.0.1:8080", true);
        check("http://127.0.0.1:8080/", "0.0.0.0:8080", true);
        check("https://central:8080/", "0.0.0.0:8080", false);
        check("https://central:8080/", "central:8080", true);
        check("http://127.0.0.1:8081/", "127.0.0.1:8080", false);
        check("127.0.0.1:8080", "127.0.0.1:8080", false);
        let socket = Server { listen_socket: Some("/run/x.sock".into()), ..Server::usual() };
        assert!(is_own("/run/x.sock", &socket) && !is_own("/run/y.sock", &socket));
    }
}
