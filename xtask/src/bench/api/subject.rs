//! A running server that is measured, and the little that is done with it by hand.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::http::{self, Credential};
use super::table::Whose;
use super::usage::Process;
use crate::clients::Side;
use crate::clients::scene::Scene;
use crate::clients::server::{PASSWORD, Server};

/// The server, with a bouncer and a machine that may ask it.
pub(super) struct Subject<'a> {
    server: Server<'a>,
    pub(super) whose: Whose,
    pub(super) key: Credential,
    pub(super) machine: Credential,
}

impl<'a> Subject<'a> {
    /// Starts a server on `database`, or on a new one.
    pub(super) fn start(
        scene: &'a Scene,
        side: Side,
        dir: &Path,
        database: Option<&Path>,
    ) -> Result<Self> {
        if let Some(database) = database {
            let data = dir.join("server/data");
            fs::create_dir_all(&data)?;
            fs::copy(database, data.join("crowdsec.db")).context("copying the database")?;
        }
        let server = Server::start(scene, side, dir, None)?;
        let key = Credential::Key(server.bouncer("bench")?);
        let machine = http::log_in(server.address(), "admin", PASSWORD)?;
        let whose = match side {
            Side::Ours => Whose::Ours,
            Side::Crowdsec => Whose::Theirs,
        };
        Ok(Self { server, whose, key, machine })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub(super) fn process(&self) -> Result<Process> {
        self.server.process_id().map(Process).context("the server does not run")
    }

    /// Asks for `path` with a new connection; the body, and how many milliseconds it took.
    pub(super) fn get(&self, path: &str, credential: &Credential) -> Result<(Vec<u8>, f64)> {
        let started = Instant::now();
        let (status, body) = http::ask(self.address(), &http::get(path, credential))?;
        let milliseconds = started.elapsed().as_secs_f64() * 1e3;
        ensure!(status == 200, "{path}: {status} {}", String::from_utf8_lossy(&body));
        Ok((body, milliseconds))
    }

    /// Adds a bouncer and returns its key.
    pub(super) fn bouncer(&self, name: &str) -> Result<Credential> {
        self.server.bouncer(name).map(Credential::Key)
    }

    /// Adds a machine and logs it in.
    pub(super) fn machine(&self, name: &str, dir: &Path) -> Result<Credential> {
        self.server.machine(name, &dir.join(format!("{name}.yaml")))?;
        http::log_in(self.address(), name, PASSWORD)
    }

    /// Runs the server's command line; how many milliseconds it took.
    pub(super) fn tool(&self, arguments: &[&str]) -> Result<f64> {
        let mut command = self.server.tool_command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let started = Instant::now();
        let output = command.output().with_context(|| arguments.join(" "))?;
        let milliseconds = started.elapsed().as_secs_f64() * 1e3;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {said}", arguments.join(" "));
        Ok(milliseconds)
    }
}

/// An alert about an address that profiles will ban, as agents send it.
pub(super) fn alert(scenario: &str, address: std::net::Ipv4Addr, at: &str) -> String {
    serde_json::json!([{
        "capacity": 5, "decisions": [], "events": [], "events_count": 6, "labels": null,
        "leakspeed": "10s", "message": format!("Ip {address} performed '{scenario}'"),
        "remediation": true, "scenario": scenario, "scenario_hash": "", "scenario_version": "",
        "simulated": false, "start_at": at, "stop_at": at,
        "source": {"scope": "Ip", "value": address.to_string(), "ip": address.to_string()},
    }])
    .to_string()
}

/// The time as alerts give it.
pub(super) fn now() -> Result<String> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(format!("{}Z", testkit::date::Moment(i64::try_from(since.as_millis())?).iso_millis('T')))
}
