//! Listens, speaks TLS where asked to, and takes its leave politely.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode, Uri, header},
};
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::{
    Listen, Refusal, Service, access,
    connection::Connection,
    patience::Greeted,
    refusal::empty,
    route,
    tls::{Certificates, PeerCertificate},
};

/// So many callers at a time; more wait to be accepted.
const MOST_CONNECTIONS: usize = 8192;
/// A handshake, or the head of a request, that takes longer is not coming. Bouncers that ask less
/// often than this open a new connection.
const HEAD_PATIENCE: Duration = Duration::from_secs(90);
/// What is still being answered after this time is cut off.
const FAREWELL: Duration = Duration::from_secs(5);

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// There is nothing to listen on.
    #[error("no listen_uri or listen_socket specified")]
    Nowhere,
    /// The address cannot be had.
    #[error("listening on {at}: {source}")]
    Bind {
        /// The address or path.
        at: String,
        /// What the system said.
        source: io::Error,
    },
    /// The path of the socket is too long for the system.
    #[error("listening on {at}: path length exceeds system limit")]
    PathTooLong {
        /// The path.
        at: String,
    },
    /// The certificates cannot be used.
    #[error("certificates: {0}")]
    Tls(String),
}

/// A server that has its addresses and can be run.
pub struct Server {
    router: Router,
    service: Service,
    tcp: Option<TcpListener>,
    unix: Option<(UnixListener, PathBuf)>,
    certificates: Option<Arc<Certificates>>,
}

impl Server {
    /// Takes the addresses; callers wait from now on.
    ///
    /// # Errors
    /// When an address cannot be had or the certificates cannot be used.
    pub async fn bind(service: Service, listen: &Listen) -> Result<Self, BindError> {
        if listen.tcp.is_none() && listen.unix.is_none() {
            return Err(BindError::Nowhere);
        }
        let certificates = match &listen.tls {
            Some(tls) => Some(Arc::new(Certificates::load(tls.clone()).map_err(BindError::Tls)?)),
            None => None,
        };
        let tcp = match &listen.tcp {
            Some(at) => Some(
                TcpListener::bind(at.as_str())
                    .await
                    .map_err(|source| BindError::Bind { at: at.clone(), source })?,
            ),
            None => None,
        };
        let unix = match &listen.unix {
            Some(path) => Some((bind_unix(path)?, path.clone())),
            None => None,
        };
        let server =
            Self { router: route::router(service.clone()), service, tcp, unix, certificates };
        if let Some(address) = server.tcp_addr() {
            // Scripts wait for these words.
            tracing::info!("CrowdSec Local API listening on {address}");
        }
        if let Some((_, path)) = &server.unix {
            tracing::info!("CrowdSec Local API listening on Unix socket {}", path.display());
        }
        Ok(server)
    }

    /// The address taken, with its port.
    #[must_use]
    pub fn tcp_addr(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Answers until `stop` is done, then lets running answers end.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { router, service, tcp, unix, certificates } = self;
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let (tell_stop, stopping) = watch::channel(false);
        let shared = Shared { router, service, certificates, graceful, stopping };
        // INVARIANT: dropped with this future, and with it every connection: none is unowned.
        let mut connections = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let place = tokio::select! {
                () = &mut stop => break,
                // The semaphore is never closed; should it be, nobody can be let in.
                place = Arc::clone(&places).acquire_owned() => match place {
                    Ok(place) => place,
                    Err(_) => break,
                },
            };
            // Accepting is cancel-safe: a connection is either taken or still waiting.
            tokio::select! {
                () = &mut stop => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = accept_tcp(tcp.as_ref()) => match accepted {
                    Ok((socket, from)) => {
                        // Small answers must not wait for more; failing that they are just slower.
                        drop(socket.set_nodelay(true));
                        let ip = from.ip().to_canonical();
                        shared.take(&mut connections, socket, ip, Transport::AsConfigured, place);
                    }
                    Err(error) => pause(&error).await,
                },
                accepted = accept_unix(unix.as_ref()) => match accepted {
                    Ok(socket) => {
                        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
                        shared.take(&mut connections, socket, ip, Transport::Clear, place);
                    }
                    Err(error) => pause(&error).await,
                },
            }
        }
        tracing::info!("serve: shutting down api server");
        drop(tcp);
        if let Some((listener, path)) = unix {
            drop(listener);
            // Gone already, or in a directory that is: nothing is left to clean.
            drop(std::fs::remove_file(path));
        }
        tell_stop.send_replace(true);
        drop(tokio::time::timeout(FAREWELL, shared.graceful.shutdown()).await);
        connections.shutdown().await;
    }
}

struct Shared {
    router: Router,
    service: Service,
    certificates: Option<Arc<Certificates>>,
    graceful: GracefulShutdown,
    stopping: watch::Receiver<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Clear,
    AsConfigured,
}

impl Shared {
    /// Takes a connection and answers on it until it ends.
    fn take<S>(
        &self,
        connections: &mut JoinSet<()>,
        socket: S,
        address: IpAddr,
        transport: Transport,
        place: OwnedSemaphorePermit,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let certificates =
            self.certificates.clone().filter(|_| transport == Transport::AsConfigured);
        let connection = Connection { address, certificate: None, stopping: self.stopping.clone() };
        let (router, service) = (self.router.clone(), self.service.clone());
        let watcher = self.graceful.watcher();
        connections.spawn(async move {
            let _place = place;
            let Some(certificates) = certificates else {
                return talk(router, service, connection, socket, watcher).await;
            };
            let acceptor = TlsAcceptor::from(certificates.config());
            let handshake = tokio::time::timeout(HEAD_PATIENCE, acceptor.accept(socket)).await;
            let Ok(Ok(socket)) = handshake else {
                tracing::debug!(client = %address, "no TLS handshake");
                return;
            };
            let (_, session) = socket.get_ref();
            let shown = session.peer_certificates().filter(|chain| !chain.is_empty());
            let certificate = shown.map(|chain| {
                let chain = chain.iter().map(|one| one.clone().into_owned()).collect();
                Arc::new(PeerCertificate::new(chain, &certificates))
            });
            talk(router, service, Connection { certificate, ..connection }, socket, watcher).await;
        });
    }
}

async fn talk<S>(
    router: Router,
    service: Service,
    connection: Connection,
    socket: S,
    watcher: hyper_util::server::graceful::Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let address = connection.address;
    let answer = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (router, service, connection) = (router.clone(), service.clone(), connection.clone());
        async move {
            Ok::<_, std::convert::Infallible>(respond(router, service, connection, request).await)
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(64)
        .keep_alive_interval(HEAD_PATIENCE);
    let socket = Greeted::new(socket, HEAD_PATIENCE);
    let talking = builder.serve_connection(TokioIo::new(socket), answer);
    if let Err(error) = watcher.watch(talking.into_owned()).await {
        // A caller that hung up; nothing to do about it.
        tracing::debug!(client = %address, %error, "a connection broke");
    }
}

/// Answers one request and writes it down.
async fn respond(
    router: Router,
    service: Service,
    connection: Connection,
    request: Request<Incoming>,
) -> Response<Body> {
    let started = Instant::now();
    let at = service.now();
    let (mut parts, body) = request.into_parts();
    let peer = connection.peer(&parts.headers, &service.rules().trusted_proxies);
    let line = (parts.method.clone(), parts.uri.clone(), parts.version, peer.ip);
    let user_agent = parts.headers.get(header::USER_AGENT).cloned();
    if let Some(uri) = without_double_slash(&parts.uri) {
        parts.uri = uri;
    }
    parts.extensions.insert(peer);
    let answer = router.oneshot(Request::from_parts(parts, Body::new(body)));
    let response = match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        // A bug of ours must cost one request, not the server.
        Err(_) => {
            tracing::error!(uri = %line.1, "a request made the server panic");
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    };
    let refusal = response.extensions().get::<Refusal>().map(|refusal| refusal.message.clone());
    access::Line {
        ip: line.3,
        at,
        method: &line.0,
        uri: &line.1,
        version: line.2,
        status: response.status(),
        latency: started.elapsed(),
        user_agent: user_agent.as_ref().and_then(|text| text.to_str().ok()).unwrap_or_default(),
        refusal: refusal.as_deref().unwrap_or_default(),
    }
    .write(service.dates());
    response
}

/// COMPAT(crowdsec): clients that are given a base URL with a slash at its end ask for `//v1/…`.
fn without_double_slash(uri: &Uri) -> Option<Uri> {
    let path = uri.path_and_query()?.as_str();
    let rest = path.trim_start_matches('/');
    if path.len().saturating_sub(rest.len()) < 2 {
        return None;
    }
    format!("/{rest}").parse().ok()
}

async fn accept_tcp(
    listener: Option<&TcpListener>,
) -> io::Result<(tokio::net::TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

async fn accept_unix(
    listener: Option<&(UnixListener, PathBuf)>,
) -> io::Result<tokio::net::UnixStream> {
    match listener {
        Some((listener, _)) => listener.accept().await.map(|(socket, _)| socket),
        None => std::future::pending().await,
    }
}

/// Out of file descriptors, mostly: others must hang up first.
async fn pause(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

fn bind_unix(path: &PathBuf) -> Result<UnixListener, BindError> {
    let at = path.display().to_string();
    // 108 bytes with the terminating zero, on Linux.
    if path.as_os_str().len() >= 108 {
        return Err(BindError::PathTooLong { at });
    }
    // A socket left behind by a server that was killed. Anything else in its place is not ours.
    if std::os::unix::net::UnixStream::connect(path).is_err() && is_socket(path) {
        drop(std::fs::remove_file(path));
    }
    UnixListener::bind(path).map_err(|source| BindError::Bind { at, source })
}

fn is_socket(path: &PathBuf) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket())
}
