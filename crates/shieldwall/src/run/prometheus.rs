//! Numbers for Prometheus: a page over HTTP, written anew for each reader.
//!
//! Nothing is counted for this beyond what the parts count anyway; they are asked when somebody
//! reads. One reader at a time, with little patience: the address is for this host's own monitoring.

use anyhow::{Context as _, Result};
use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use tracing::{info, warn};

/// How long a reader may take to ask, and to take each piece of the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest question.
const LONGEST: usize = 8 * 1024;

/// The page, being served.
pub(crate) struct Endpoint {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// Serves what `page` writes at `/metrics`.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub(crate) fn start(at: &str, page: impl Fn() -> String + Send + 'static) -> Result<Self> {
        let listener = TcpListener::bind(at).with_context(|| format!("listening on {at}"))?;
        let address = listener.local_addr().context("asking for the address")?;
        let stopping = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stopping);
        let serve = move || {
            for reader in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                // A reader who hangs up early has only itself to blame.
                let _gone = reader.and_then(|reader| answer(reader, &page));
            }
        };
        let thread = thread::Builder::new().name("prometheus".to_owned()).spawn(serve);
        let thread = thread.context("starting the thread `prometheus`")?;
        info!("Prometheus metrics are at http://{address}/metrics");
        Ok(Self { address, stopping, thread: Some(thread) })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the thread; it looks whether to stop before it listens to anybody.
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() {
                Ipv4Addr::LOCALHOST.into()
            } else {
                Ipv6Addr::LOCALHOST.into()
            });
        }
        let woken = TcpStream::connect_timeout(&address, PATIENCE);
        let Some(thread) = self.thread.take() else { return };
        if woken.is_err() {
            warn!("the metrics cannot be stopped in order");
            return;
        }
        if thread.join().is_err() {
            warn!("a bug: the thread of the metrics failed");
        }
    }
}

fn answer(mut reader: TcpStream, page: &dyn Fn() -> String) -> io::Result<()> {
    reader.set_read_timeout(Some(PATIENCE))?;
    reader.set_write_timeout(Some(PATIENCE))?;
    let (status, body) = match question(&mut reader)? {
        Some(path) if path == "/metrics" => ("200 OK", page()),
        Some(_) => ("404 Not Found", String::new()),
        None => ("400 Bad Request", String::new()),
    };
    write!(
        reader,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    reader.shutdown(Shutdown::Both)
}

/// The path that is asked for; `None` for what is no question.
fn question(reader: &mut TcpStream) -> io::Result<Option<String>> {
    let (mut head, mut piece) = (Vec::new(), [0u8; 1024]);
    // As many reads as a head has pieces: whoever sends single bytes is not waited for.
    for _ in 0..64 {
        let n = reader.read(&mut piece)?;
        head.extend_from_slice(piece.get(..n).unwrap_or_default());
        let is_whole = head.windows(4).any(|end| end == b"\r\n\r\n");
        if is_whole {
            let head = String::from_utf8_lossy(&head);
            let mut words = head.split_ascii_whitespace();
            let path = (words.next() == Some("GET")).then(|| words.next()).flatten();
            return Ok(path.map(|path| path.split('?').next().unwrap_or(path).to_owned()));
        }
        if n == 0 || head.len() > LONGEST {
            return Ok(None);
        }
    }
    Err(ErrorKind::TimedOut.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(address: SocketAddr, text: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn the_page_is_at_its_place_and_nothing_else_is() {
        let endpoint = Endpoint::start("127.0.0.1:0", || "x 1\n".to_owned()).unwrap();
        let address = endpoint.address;
        let found = ask(address, "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(found.starts_with("HTTP/1.1 200 OK\r\n") && found.ends_with("\r\n\r\nx 1\n"));
        assert!(ask(address, "GET /metrics?a=b HTTP/1.0\r\n\r\n").ends_with("\r\n\r\nx 1\n"));
        assert!(ask(address, "GET /debug/pprof HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(ask(address, "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400"));
        drop(endpoint);
        assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    }
}
