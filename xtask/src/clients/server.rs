//! A local API: ours or Debian's, on a free loopback port, with a fresh database.
//!
//! Both read the same configuration and the same command line, which is the point: keys and
//! machines are made by the tool that belongs to the server. What the tools say goes through a
//! [`Station`] with credentials of its own, so every ban of a check is a real request.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::Side;
use super::namespace::{self, Namespace};
use super::running::{self, PATIENCE, Running};
use super::scene::Scene;
use super::station::{self, Station};

/// The password of every machine that is added.
pub(crate) const PASSWORD: &str = "Correct-Horse-7-Battery";

/// A local API that runs until this is dropped.
pub(crate) struct Server<'a> {
    scene: &'a Scene,
    side: Side,
    namespace: Option<&'a Namespace>,
    dir: PathBuf,
    address: SocketAddr,
    running: Option<Running>,
    admin: Station<'a>,
}

impl<'a> Server<'a> {
    /// Starts a server of one side, whose files are below `dir`.
    pub(crate) fn start(
        scene: &'a Scene,
        side: Side,
        dir: &Path,
        namespace: Option<&'a Namespace>,
    ) -> Result<Self> {
        let port = match namespace {
            Some(namespace) => namespace.enter(free_port)??,
            None => free_port()?,
        };
        let admin = Station::new(scene, &dir.join("admin"), namespace)?;
        let mut server = Self {
            scene,
            side,
            namespace,
            dir: dir.to_path_buf(),
            address: (Ipv4Addr::LOCALHOST, port).into(),
            running: None,
            admin,
        };
        let files = server.files();
        for part in ["data", "hub", "notifications", "plugins"] {
            fs::create_dir_all(files.join(part))?;
        }
        fs::write(files.join("simulation.yaml"), "simulation: false\n")?;
        fs::write(files.join("acquis.yaml"), "")?;
        fs::write(files.join("profiles.yaml"), PROFILES)?;
        fs::write(server.config(), server.config_text())?;
        server.machine("admin", &server.admin.credentials())?;
        server.begin()?;
        Ok(server)
    }

    /// Runs it, after [`Server::stop`] on the same port and database.
    pub(crate) fn begin(&mut self) -> Result<()> {
        let mut command = self.program("crowdsec");
        match self.side {
            Side::Ours => command.arg("serve").arg("-c").arg(self.config()),
            Side::Crowdsec => command.arg("-c").arg(self.config()).args(["-no-cs", "-no-capi"]),
        };
        let command = namespace::inside(self.namespace, command);
        let log = self.dir.join("server.log");
        let running = Running::start(&command, "the server", &log)?;
        running.until("the server listens", PATIENCE, || {
            let connect = || TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
            let connected = match self.namespace {
                Some(namespace) => namespace.enter(connect)?,
                None => connect(),
            };
            Ok(connected.ok().map(drop))
        })?;
        self.running = Some(running);
        Ok(())
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn stop(&mut self) {
        self.running = None;
    }

    /// Its address, with the slash at the end that Go clients want.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of its process, while it runs.
    pub(crate) fn process_id(&self) -> Option<u32> {
        self.running.as_ref().map(Running::id)
    }

    /// Whoever manages it, with credentials.
    pub(crate) const fn admin(&self) -> &Station<'a> {
        &self.admin
    }

    /// Adds a machine with the server's own tool, which writes its credentials.
    pub(crate) fn machine(&self, name: &str, credentials: &Path) -> Result<()> {
        let file = credentials.to_string_lossy();
        let url = self.url();
        self.tool(&[
            "machines",
            "add",
            name,
            "--password",
            PASSWORD,
            "--file",
            &file,
            "--url",
            &url,
        ])?;
        ensure!(credentials.is_file(), "machines add wrote no {}", credentials.display());
        Ok(())
    }

    /// Adds a bouncer with the server's own tool and returns its key.
    pub(crate) fn bouncer(&self, name: &str) -> Result<String> {
        let key = self.tool(&["bouncers", "add", name, "-o", "raw"])?.trim().to_owned();
        let is_bare = key.len() >= 16 && key.bytes().all(|byte| byte.is_ascii_graphic());
        ensure!(is_bare, "bouncers add -o raw should print a bare key, not {key:?}");
        Ok(key)
    }

    /// Runs the tool that belongs to the server, on its database.
    pub(crate) fn tool(&self, arguments: &[&str]) -> Result<String> {
        running::output(&self.tool_command(arguments), &arguments.join(" "))
    }

    /// A call of the tool that belongs to the server.
    pub(crate) fn tool_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program("cscli");
        command.args(arguments).arg("-c").arg(self.config());
        command
    }

    /// What the server knows about a machine.
    pub(crate) fn known_machine(&self, name: &str) -> Result<Value> {
        self.known("machines", "machineId", name)
    }

    /// What the server knows about a bouncer.
    pub(crate) fn known_bouncer(&self, name: &str) -> Result<Value> {
        self.known("bouncers", "name", name)
    }

    fn known(&self, kind: &str, key: &str, name: &str) -> Result<Value> {
        let rows = station::json(&self.tool(&[kind, "list", "-o", "json"])?)?;
        let mut rows = rows.as_array().into_iter().flatten();
        let row = rows.find(|row| row[key] == name);
        Ok(row.with_context(|| format!("{kind} list shows no {name}"))?.clone())
    }

    /// Waits for a heartbeat after the one that is known now. Agents send one each minute.
    pub(crate) fn wait_for_heartbeat(&self, machine: &str, agent: &Running) -> Result<()> {
        let last = self.known_machine(machine)?["last_heartbeat"].clone();
        agent.until("a heartbeat", Duration::from_secs(100), || {
            let now = self.known_machine(machine)?["last_heartbeat"].clone();
            Ok((now.is_string() && now != last).then_some(()))
        })
    }

    /// Waits until the server knows a bouncer by the type its user agent tells.
    pub(crate) fn wait_for_bouncer(&self, name: &str, kind: &str) -> Result<()> {
        running::until(&format!("bouncer {name} of type {kind}"), PATIENCE, || {
            let bouncer = self.known_bouncer(name)?;
            Ok((bouncer["type"] == kind && bouncer["last_pull"].is_string()).then_some(()))
        })
    }

    /// The program of the server's side; `peer_name` is what Debian calls it.
    fn program(&self, peer_name: &str) -> Command {
        match self.side {
            Side::Ours => {
                let binary = self.scene.binary();
                Command::new(binary.expect("our server is chosen together with a binary"))
            }
            Side::Crowdsec => self.scene.peer().program(peer_name),
        }
    }

    fn files(&self) -> PathBuf {
        self.dir.join("server")
    }

    fn config(&self) -> PathBuf {
        self.files().join("config.yaml")
    }

    fn config_text(&self) -> String {
        let files = self.files();
        let (dir, address) = (files.display(), self.address);
        let credentials = self.admin.credentials();
        format!(
            "common: {{daemonize: false, log_media: stdout, log_level: info, working_dir: .}}\n\
             config_paths:\n\
             \x20 config_dir: {dir}/\n\
             \x20 data_dir: {dir}/data/\n\
             \x20 simulation_path: {dir}/simulation.yaml\n\
             \x20 hub_dir: {dir}/hub/\n\
             \x20 index_path: {dir}/hub/.index.json\n\
             \x20 notification_dir: {dir}/notifications/\n\
             \x20 plugin_dir: {dir}/plugins/\n\
             crowdsec_service: {{acquisition_path: {dir}/acquis.yaml, parser_routines: 1}}\n\
             cscli: {{output: human}}\n\
             db_config: {{type: sqlite, db_path: {dir}/data/crowdsec.db, log_level: info,\n\
             \x20 flush: {{max_items: 100000000, max_age: 365d}}}}\n\
             api:\n\
             \x20 client:\n\
             \x20   insecure_skip_verify: false\n\
             \x20   credentials_path: {}\n\
             \x20 server:\n\
             \x20   log_level: info\n\
             \x20   listen_uri: {address}\n\
             \x20   profiles_path: {dir}/profiles.yaml\n\
             \x20   trusted_ips: [127.0.0.1, \"::1\"]\n\
             prometheus: {{enabled: false}}\n",
            credentials.display()
        )
    }
}

/// Addresses with a remediation are banned.
const PROFILES: &str = "\
name: ban_addresses
filters:
  - Alert.Remediation == true && Alert.GetScope() == \"Ip\"
decisions:
  - type: ban
    duration: 4h
on_success: break
";

/// A port that is free now, and most likely still is in a moment.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a port")?;
    Ok(listener.local_addr()?.port())
}
