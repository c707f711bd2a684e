//! Debian's crowdsec-firewall-bouncer with nftables: the kernel drops what we ban.
//!
//! Two namespaces and a cable: `wall` runs the server and the bouncer and answers datagrams,
//! `outside` has a banned and a free address. The free one shows that silence means a ban.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::namespace::{self, Namespace};
use super::running::{self, PATIENCE, Running};
use super::scene::Scene;
use super::server::Server;
use super::{Ending, Steps};
use crate::child;

const WALL: &str = "192.0.2.1";
const WALL_SIX: &str = "2001:db8::1";
const SUSPECT: &str = "192.0.2.66";
const OTHER: &str = "192.0.2.67";
const FREE: &str = "192.0.2.77";
const SUSPECT_SIX: &str = "2001:db8::66";
const FREE_SIX: &str = "2001:db8::77";

/// How long an answer over a cable inside the kernel may take.
const ANSWER: Duration = Duration::from_millis(250);

pub(crate) fn check(scene: &Scene, steps: &Steps<'_>) -> Result<Ending> {
    if let Some(reason) = Namespace::missing() {
        return Ok(Ending::Skipped(reason));
    }
    let program = scene.debian_program("crowdsec-firewall-bouncer")?;
    let dir = scene.fresh_run_dir("firewall-bouncer")?;
    let with_six = Path::new("/proc/net/if_inet6").exists();
    if !with_six {
        child::print("SKIPPED firewall-bouncer: IPv6: this kernel has none");
    }
    let (wall, outside) = (Namespace::make()?, Namespace::make()?);
    lay_cable(&wall, &outside, with_six)?;
    let four = Echo::start(&wall, WALL)?;
    let street = Street { outside: &outside, to: four.address, free: FREE.parse()? };
    steps.step("packets pass before", || {
        street.wait_until_free(SUSPECT)?;
        street.wait_until_free(FREE)
    })?;

    let server = Server::start(scene, scene.side(), &dir, Some(&wall))?;
    let admin = server.admin();
    let key = server.bouncer("firewall")?;
    admin.ban(SUSPECT, "1h")?;
    let config = write_config(&dir, &server.url(), &key, with_six)?;
    let mut command = Command::new(program);
    command.arg("-c").arg(config);
    let command = namespace::inside(Some(&wall), command);
    let bouncer = Running::start(&command, "the bouncer", &dir.join("bouncer.log"))?;

    steps.step("drops packets of an address that was banned before", || {
        street.wait_until_dropped(SUSPECT, &bouncer)
    })?;
    steps.step("drops packets of an address that is banned now", || {
        admin.ban(OTHER, "1h")?;
        street.wait_until_dropped(OTHER, &bouncer)
    })?;
    steps.step("lets packets pass when the ban is deleted", || {
        admin.unban(SUSPECT)?;
        street.wait_until_free(SUSPECT)?;
        ensure!(!street.answers(OTHER)?, "the other ban has to stay");
        Ok(())
    })?;
    steps.step("lets packets pass when a ban is over", || {
        admin.ban(SUSPECT, "8s")?;
        street.wait_until_dropped(SUSPECT, &bouncer)?;
        street.wait_until_free(SUSPECT)
    })?;
    if with_six {
        let six = Echo::start(&wall, WALL_SIX)?;
        let street = Street { outside: &outside, to: six.address, free: FREE_SIX.parse()? };
        steps.step("does the same for IPv6", || {
            street.wait_until_free(SUSPECT_SIX)?;
            admin.ban(SUSPECT_SIX, "1h")?;
            street.wait_until_dropped(SUSPECT_SIX, &bouncer)?;
            admin.unban(SUSPECT_SIX)?;
            street.wait_until_free(SUSPECT_SIX)
        })?;
    }
    steps.step("is known by its type", || {
        server.wait_for_bouncer("firewall", "crowdsec-firewall-bouncer")
    })?;
    Ok(Ending::Passed)
}

fn lay_cable(wall: &Namespace, outside: &Namespace, with_six: bool) -> Result<()> {
    wall.ip(&format!("link add wall0 type veth peer name out0 netns {}", outside.pid()))?;
    wall.ip(&format!("address add {WALL}/24 dev wall0"))?;
    for address in [SUSPECT, OTHER, FREE] {
        outside.ip(&format!("address add {address}/24 dev out0"))?;
    }
    if with_six {
        // Nobody else is here to have the same address, and asking takes a second.
        wall.ip(&format!("address add {WALL_SIX}/64 dev wall0 nodad"))?;
        for address in [SUSPECT_SIX, FREE_SIX] {
            outside.ip(&format!("address add {address}/64 dev out0 nodad"))?;
        }
    }
    wall.ip("link set wall0 up")?;
    outside.ip("link set out0 up")
}

/// Sends back every datagram, until it is dropped.
struct Echo {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    fn start(namespace: &Namespace, address: &str) -> Result<Self> {
        let address: IpAddr = address.parse()?;
        let socket = namespace.enter(|| UdpSocket::bind((address, 0)))?;
        let socket = socket.with_context(|| format!("listening at {address}"))?;
        socket.set_read_timeout(Some(ANSWER))?;
        let address = socket.local_addr()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let stopping = Arc::clone(&stopping);
            move || {
                let mut buffer = [0; 64];
                while !stopping.load(Ordering::SeqCst) {
                    let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                    // Whoever asked asks again.
                    drop(socket.send_to(&buffer[..length], from));
                }
            }
        });
        Ok(Self { address, stopping, thread: Some(thread) })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// The way from outside to the wall.
struct Street<'a> {
    outside: &'a Namespace,
    to: SocketAddr,
    free: IpAddr,
}

impl Street<'_> {
    fn wait_until_free(&self, from: &str) -> Result<()> {
        running::until(&format!("packets of {from} pass"), PATIENCE, || {
            Ok(self.answers(from)?.then_some(()))
        })
    }

    fn wait_until_dropped(&self, from: &str, bouncer: &Running) -> Result<()> {
        bouncer.until(&format!("packets of {from} are dropped"), PATIENCE, || {
            if self.answers(from)? {
                return Ok(None);
            }
            // Silence is a ban only while others are answered.
            ensure!(self.answers_address(self.free)?, "packets of {} are dropped too", self.free);
            Ok(Some(()))
        })
    }

    fn answers(&self, from: &str) -> Result<bool> {
        self.answers_address(from.parse()?)
    }

    /// Is true when one of three datagrams comes back.
    fn answers_address(&self, from: IpAddr) -> Result<bool> {
        let knock = || -> std::io::Result<bool> {
            let socket = UdpSocket::bind((from, 0))?;
            socket.connect(self.to)?;
            socket.set_read_timeout(Some(ANSWER))?;
            for n in 0..3_u8 {
                let sent = [n, 0x5a];
                // An error that arrives instead of an answer is none.
                match socket.send(&sent) {
                    Err(error) if error.kind() != ErrorKind::ConnectionRefused => {
                        return Err(error);
                    }
                    _ => {}
                }
                let mut buffer = [0; 64];
                if socket.recv(&mut buffer).is_ok_and(|length| buffer[1..length] == sent[1..]) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        let answered = self.outside.enter(knock)?;
        answered.with_context(|| format!("sending from {from} to {}", self.to))
    }
}

fn write_config(dir: &Path, url: &str, key: &str, with_six: bool) -> Result<PathBuf> {
    let config = dir.join("bouncer.yaml");
    let text = format!(
        "mode: nftables\n\
         pid_dir: {dir}/\n\
         update_frequency: 1s\n\
         daemonize: true\n\
         log_mode: stdout\n\
         log_dir: {dir}/\n\
         log_level: info\n\
         api_url: {url}\n\
         api_key: {key}\n\
         insecure_skip_verify: false\n\
         disable_ipv6: {}\n\
         deny_action: DROP\n\
         deny_log: false\n\
         supported_decisions_types: [ban]\n\
         blacklists_ipv4: crowdsec-blacklists\n\
         blacklists_ipv6: crowdsec6-blacklists\n\
         nftables:\n\
         \x20 ipv4: {{enabled: true, set-only: false, table: crowdsec, chain: crowdsec-chain}}\n\
         \x20 ipv6: {{enabled: {with_six}, set-only: false, table: crowdsec6, chain: crowdsec6-chain}}\n\
         prometheus: {{enabled: false}}\n",
        !with_six,
        dir = dir.display()
    );
    fs::write(&config, text)?;
    Ok(config)
}
