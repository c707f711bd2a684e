//! Fuzzes the local API from its published description, with schemathesis from PyPI.
//!
//! The description says what may be asked and what may be answered; schemathesis makes requests
//! from it, sensible ones and others, and checks each answer: status and body are those the
//! description promises, and a refusal blames the request and not the server (`schemathesis/
//! checks.py`). It runs once for each kind of caller. Its choices start at a fixed seed and their
//! number is limited, so a run takes minutes and repeats itself.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use serde_json::Value;

use crate::child;
use crate::clients::running::{self, PATIENCE, Running};
use crate::tree::{self, Tree};

const REQUIREMENT: &str = "schemathesis==4.32.5";
const CHECKS: &str = include_str!("schemathesis/checks.py");
const PASSWORD: &str = "Correct-Horse-7-Battery";

/// How long PyPI's client may take.
const FETCHING: Duration = Duration::from_secs(600);

/// How long one kind of caller may take.
const FUZZING: Duration = Duration::from_secs(900);

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Our program (default: a release build).
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Requests made up for each operation and kind of caller.
    #[arg(long, default_value_t = 25)]
    examples: u32,
    /// Where the choices start.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only these callers: nobody, stranger, machine, bouncer.
    callers: Vec<String>,
}

/// Operations that would keep a caller from going on: the feed has no end, and a machine that
/// unregisters is gone. Both have tests of their own.
const LEFT_OUT: [&str; 2] = ["/v1/decisions/feed", "/v1/watchers/self"];

/// Runs the task.
pub(crate) fn run(tree: &Tree, options: &Options) -> Result<ExitCode> {
    if !child::is_installed("python3") {
        child::print("SKIPPED schemathesis: there is no python3");
        return Ok(ExitCode::SUCCESS);
    }
    let binary = match &options.binary {
        Some(binary) => binary.canonicalize().context("looking for the program")?,
        None => tree.release_binary()?,
    };
    let cache = tree.cache("schemathesis")?;
    let program = fetch(&cache)?;
    let started = Instant::now();
    let dir = cache.join("run");
    tree::fresh_dir(&dir)?;
    let server = Server::start(&binary, &dir)?;
    fs::write(dir.join("checks.py"), CHECKS)?;
    let description = tree.root().join("openapi/lapi-v1.json");
    let mut failed = Vec::new();
    for (caller, headers) in server.callers()? {
        if !options.callers.is_empty() && !options.callers.iter().any(|name| name == caller) {
            continue;
        }
        child::progress(&format!("asking as {caller}"));
        let mut command = Command::new(&program);
        command.arg("run").arg(&description).current_dir(&dir);
        command.args(["--url", &format!("http://{}", server.address)]);
        for header in headers {
            command.args(["--header", &header]);
        }
        for path in LEFT_OUT {
            command.args(["--exclude-path", path]);
        }
        command.args(["--exclude-checks", EXCLUDED_CHECKS]);
        command.args(["--max-examples", &options.examples.to_string()]);
        command.args(["--seed", &options.seed.to_string()]);
        command.args(["--phases", "examples,coverage,fuzzing", "--workers", "1"]);
        command.args(["--suppress-health-check", "all", "--no-color"]);
        command.env("SCHEMATHESIS_HOOKS", "checks").env("PYTHONPATH", &dir);
        let mut bounded = running::bounded(&command, FUZZING);
        let outcome = child::run(&mut bounded, &format!("schemathesis as {caller}"));
        server.running.alive()?;
        match outcome {
            Ok(()) => child::print(&format!("ok schemathesis: {caller}")),
            Err(error) => {
                child::print(&format!("FAILED schemathesis: {caller}: {error:#}"));
                failed.push(caller);
            }
        }
    }
    let complaints = server.complaints();
    if !complaints.is_empty() {
        child::print(&format!("FAILED schemathesis: the server complained\n{complaints}"));
    }
    child::print(&format!("schemathesis: {:.0} s", started.elapsed().as_secs_f64()));
    let passed = failed.is_empty() && complaints.is_empty();
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// COMPAT(crowdsec): a filter that makes no sense is a 500 and an unknown one is ignored, a body
/// may lack a content type, and errors that clients compare have no headers they do not know. What
/// a 500 may say is checked by ours.
const EXCLUDED_CHECKS: &str = "not_a_server_error,negative_data_rejection,positive_data_acceptance,\
                               ensure_resource_availability,use_after_free,ignored_auth,\
                               missing_required_header";

/// Installs schemathesis into the cache; done once.
fn fetch(cache: &Path) -> Result<PathBuf> {
    let dir = cache.join(format!("venv-{}", REQUIREMENT.replace("==", "-")));
    let mark = dir.join(".complete");
    if !mark.exists() {
        tree::fresh_dir(&dir)?;
        child::progress(&format!("fetching {REQUIREMENT}"));
        let mut make = Command::new("python3");
        make.args(["-m", "venv"]).arg(&dir);
        child::run(&mut running::bounded(&make, FETCHING), "making a virtual environment")?;
        let mut install = Command::new(dir.join("bin/python"));
        install.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "install"]);
        install.arg(REQUIREMENT);
        child::run(&mut running::bounded(&install, FETCHING), "installing schemathesis")?;
        fs::write(&mark, "")?;
    }
    Ok(dir.join("bin/schemathesis"))
}

/// Our local API on a free loopback port, with a fresh database.
struct Server {
    binary: PathBuf,
    config: PathBuf,
    address: SocketAddr,
    running: Running,
}

impl Server {
    fn start(binary: &Path, dir: &Path) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a port")?;
        let address = listener.local_addr()?;
        drop(listener);
        fs::create_dir_all(dir.join("data"))?;
        let config = dir.join("config.yaml");
        let at = dir.display();
        let text = format!(
            "common: {{log_media: stdout, log_level: info}}\n\
             config_paths: {{config_dir: {at}, data_dir: {at}/data}}\n\
             db_config: {{type: sqlite, db_path: {at}/data/crowdsec.db}}\n\
             api:\n\
             \x20 client: {{credentials_path: {at}/credentials.yaml}}\n\
             \x20 server: {{listen_uri: '{address}', profiles_path: {at}/profiles.yaml}}\n\
             prometheus: {{enabled: false}}\n"
        );
        fs::write(&config, text)?;
        fs::write(
            dir.join("profiles.yaml"),
            "name: all\nfilters: [Alert.Remediation == true]\ndecisions: [{type: ban, duration: 4h}]\n",
        )?;
        let mut command = Command::new(binary);
        command.arg("serve").arg("-c").arg(&config);
        let running = Running::start(&command, "the server", &dir.join("server.log"))?;
        running.until("the server listens", PATIENCE, || {
            Ok(TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok().map(drop))
        })?;
        Ok(Self { binary: binary.to_path_buf(), config, address, running })
    }

    fn tool(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.binary);
        command.args(arguments).arg("-c").arg(&self.config);
        running::output(&command, &arguments.join(" "))
    }

    /// Each kind of caller, and the headers that make it one.
    fn callers(&self) -> Result<Vec<(&'static str, Vec<String>)>> {
        let file = self.config.with_file_name("machine.yaml");
        let file = file.to_string_lossy();
        let machine = ["machines", "add", "fuzzer", "--password", PASSWORD, "--file", &file];
        self.tool(&machine)?;
        let key = self.tool(&["bouncers", "add", "fuzzer", "-o", "raw"])?;
        // An allowlist, so that there is one to find.
        self.tool(&["allowlists", "create", "office", "-d", "ours"])?;
        self.tool(&["allowlists", "add", "office", "192.0.2.0/24"])?;
        let token = self.login()?;
        let agent = || "User-Agent: fuzzer/v1".to_owned();
        Ok(vec![
            ("nobody", vec![agent()]),
            (
                "stranger",
                vec![
                    agent(),
                    "Authorization: Bearer a.b.c".to_owned(),
                    "X-Api-Key: guess".to_owned(),
                ],
            ),
            ("machine", vec![agent(), format!("Authorization: Bearer {token}")]),
            ("bouncer", vec![agent(), format!("X-Api-Key: {}", key.trim())]),
        ])
    }

    fn login(&self) -> Result<String> {
        let body = serde_json::json!({"machine_id": "fuzzer", "password": PASSWORD}).to_string();
        let mut stream = TcpStream::connect(self.address).context("logging in")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "POST /v1/watchers/login HTTP/1.0\r\nUser-Agent: fuzzer/v1\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).context("logging in")?;
        let Some((head, body)) = answer.split_once("\r\n\r\n") else {
            bail!("no answer to a login")
        };
        ensure!(head.contains(" 200 "), "the login was refused: {body}");
        let token: Value = serde_json::from_str(body).context("reading a token")?;
        Ok(token["token"].as_str().context("no token")?.to_owned())
    }

    /// What the server logged of bugs and of its database; there is nothing to complain about.
    fn complaints(&self) -> String {
        let said = self.running.said();
        let is_complaint = |line: &&str| line.contains("panic") || line.contains("ERROR");
        said.lines().filter(is_complaint).take(20).collect::<Vec<_>>().join("\n")
    }
}
