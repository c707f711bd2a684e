//! The local API: the store, the server, and what must be done now and then.
//!
//! Everything asynchronous lives in one runtime, whose tasks end with [`Api::stop`]: first the
//! server, which finishes what it is answering, then the chores, then the store.

use super::notify::Notify;
use crate::{
    clock::SystemClock,
    config::{self, Server, Verification},
    terminal::quoted,
};
use anyhow::{Context as _, Result, ensure};
use lapi::{Decide, Service};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
    iterator::Signals,
};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use store::{Index, Retention, Store};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};
use tracing::{debug, error, info, warn};

/// How often what has ended is told to those who wait.
const TICK: Duration = Duration::from_secs(1);

/// However impatient a service manager is, not more often than this.
const SHORTEST_TICK: Duration = Duration::from_millis(50);

/// How often what is old enough is deleted.
const FLUSH: Duration = Duration::from_secs(60);

/// How long the chores may take to end.
const FAREWELL: Duration = Duration::from_secs(10);

/// What is to be served.
pub(crate) struct Plan {
    pub(crate) server: Server,
    pub(crate) database: PathBuf,
    pub(crate) retention: Retention,
    pub(crate) decide: Arc<dyn Decide>,
    pub(crate) notify: Arc<Notify>,
}

/// The local API, running.
pub(crate) struct Api {
    store: Store,
    service: Service,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    chores: JoinHandle<()>,
}

/// A runtime for everything that waits on sockets.
pub(crate) fn runtime() -> Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    Builder::new_multi_thread()
        .worker_threads(cores.clamp(2, 8))
        .thread_name("api")
        .enable_all()
        .build()
        .context("starting the runtime of the local API")
}

impl Api {
    /// Opens the store, listens and serves.
    ///
    /// # Errors
    /// When the database cannot be used, or an address not be listened on.
    pub(crate) fn start(plan: Plan, runtime: &Handle) -> Result<Self> {
        let Plan { server, database, retention, decide, notify } = plan;
        ensure!(
            server.listen_uri.is_some() || server.listen_socket.is_some(),
            "api server init: no listen_uri or listen_socket specified"
        );
        if let Some(dir) = database.parent() {
            std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        }
        let settings = store::Settings { path: database, index: Index::Kept };
        let store = Store::open(&settings, SystemClock::wall())
            .map_err(|error| remedied(error, &settings.path))
            .context("api server init: opening the database")?;
        let rules = rules(&server)?;
        let service = Service::new(store.clone(), rules, decide, Arc::new(SystemClock::wall))
            .context("api server init")?;
        let listen = listen(&server);
        let bound = runtime
            .block_on(lapi::Server::bind(service.clone(), &listen))
            .context("api server init")?;
        let (stop, stopped) = watch::channel(false);
        let until = wait_for(stopped.clone());
        let serving = runtime.spawn(async move {
            bound.run(until).await;
            info!("serve: shutting down api server");
        });
        let chores = runtime.spawn(chores(store.clone(), retention, notify, stopped));
        Ok(Self { store, service, stop, serving, chores })
    }

    /// What answers, for who is in this process.
    pub(crate) fn service(&self) -> &Service {
        &self.service
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Decides by other profiles from now on.
    pub(crate) fn replace_profiles(&self, decide: Arc<dyn Decide>) {
        self.service.replace_decide(decide);
    }

    /// Finishes what is being answered, then closes the store.
    pub(crate) fn stop(self, runtime: &Handle) {
        // Nobody listening means that both have ended already.
        let _all_ended = self.stop.send(true);
        runtime.block_on(async {
            for task in [self.serving, self.chores] {
                match tokio::time::timeout(FAREWELL, task).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => error!(%error, "a bug: a task of the local API failed"),
                    Err(_late) => warn!("the local API took too long to stop"),
                }
            }
        });
        let kept = runtime
            .block_on(async { tokio::time::timeout(FAREWELL, self.service.keep_places()).await });
        if kept.is_err() {
            warn!("storing the places of bouncers took too long");
        }
        drop(self.service);
        self.store.close();
    }
}

/// Says what can be done about a database that cannot be opened.
fn remedied(error: store::Error, path: &Path) -> anyhow::Error {
    let path = path.display();
    let remedy = match &error {
        store::Error::Corrupt { .. } => format!(
            "move {path} away and put a copy of it from before in its place, or what \
             `sqlite3 {path} .recover` saves of it; without any file, the next start makes an empty \
             database, and machines and bouncers have to be added again"
        ),
        store::Error::Full { .. } => format!("make room on the disk of {path}"),
        store::Error::ReadOnly { .. } => {
            format!("see to it that {path} and its directory can be written")
        }
        _ => return error.into(),
    };
    anyhow::anyhow!("{error}; {remedy}")
}

/// Waits for a signal that says to stop; SIGHUP calls `reload`.
///
/// # Errors
/// When signals cannot be listened to.
pub(crate) fn wait(notify: &Notify, reload: &mut dyn FnMut()) -> Result<()> {
    // The second request to stop does not wait for anything.
    let stopping = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 1, Arc::clone(&stopping))
            .context("listening for signals")?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("listening for signals")?;
    notify.ready();
    for signal in signals.forever() {
        if signal == SIGHUP {
            info!("SIGHUP received, reloading");
            notify.reloading();
            reload();
            notify.ready();
            continue;
        }
        info!("stopping");
        notify.stopping();
        stopping.store(true, Ordering::SeqCst);
        break;
    }
    Ok(())
}

/// Ends when the program does.
async fn wait_for(mut stopped: watch::Receiver<bool>) {
    // An error means that whoever would say so is gone.
    let _gone = stopped.wait_for(|stopped| *stopped).await;
}

async fn chores(
    store: Store,
    retention: Retention,
    notify: Arc<Notify>,
    stopped: watch::Receiver<bool>,
) {
    let stop = wait_for(stopped);
    tokio::pin!(stop);
    // The service manager hears from here, because nothing goes on when the store does not answer.
    // That it answers is enough: a full disk is no reason to be restarted.
    let tick = notify.pulse().map_or(TICK, |pulse| pulse.clamp(SHORTEST_TICK, TICK));
    let (mut ticks, mut flushes) = (interval(tick), interval(FLUSH));
    for timer in [&mut ticks, &mut flushes] {
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    // The first flush comes after a minute: whoever just started has better things to do.
    flushes.reset();
    let mut troubled = false;
    loop {
        // Cancel-safe: timers and the end keep their state, the work is awaited in the arm.
        let outcome = tokio::select! {
            () = &mut stop => return,
            _ = ticks.tick() => store.tick(SystemClock::wall()).await.map(drop),
            _ = flushes.tick() => {
                let flushed = store.flush(&retention, SystemClock::wall()).await;
                flushed.map(|flushed| debug!(?flushed, "old rows deleted"))
            }
        };
        notify.alive();
        match outcome {
            Err(error) if !troubled => {
                let error = quoted(&error.to_string());
                error!(%error, "the database refuses; trying again");
                troubled = true;
            }
            Err(_still_troubled) => {}
            Ok(()) if troubled => {
                info!("the database works again");
                troubled = false;
            }
            Ok(()) => {}
        }
    }
}

fn rules(server: &Server) -> Result<lapi::Rules> {
    let tls = server.tls.clone().unwrap_or_default();
    Ok(lapi::Rules {
        trusted_ips: server.trusted_ips.clone(),
        trusted_proxies: server.trusted_proxies.clone(),
        disable_remote_registration: server.disable_remote_registration,
        auto_registration: server.auto_registration.as_ref().map(|registration| {
            lapi::AutoRegistration {
                token: registration.token.clone(),
                allowed_ranges: registration.allowed_ranges.clone(),
            }
        }),
        agents_allowed_ou: tls.agents_allowed_ou,
        bouncers_allowed_ou: tls.bouncers_allowed_ou,
        token_secret: config::token_secret()?.map(|secret| secret.reveal().as_bytes().to_vec()),
    })
}

fn listen(server: &Server) -> lapi::Listen {
    lapi::Listen {
        tcp: server.listen_uri.clone(),
        unix: server.listen_socket.clone(),
        tls: server.tls.clone().map(|tls| lapi::Tls {
            cert_file: tls.cert_file,
            key_file: tls.key_file,
            ca_cert_path: tls.ca_cert_path,
            client_verification: match tls.verification {
                Verification::None => lapi::ClientVerification::None,
                Verification::Request => lapi::ClientVerification::Request,
                Verification::RequireAny => lapi::ClientVerification::RequireAny,
                Verification::VerifyIfGiven => lapi::ClientVerification::VerifyIfGiven,
                Verification::RequireAndVerify => lapi::ClientVerification::RequireAndVerify,
            },
            crl_path: tls.crl_path,
        }),
    }
}
