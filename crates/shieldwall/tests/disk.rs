//! Disks that are full, turn read-only or lie, beneath a running program: it says so, goes on as far as
//! it can, and works again by itself.
//!
//! The disks are small file systems in a mount namespace of their own, which ends with the test
//! whichever way that ends. Making one needs root.

#![allow(clippy::print_stderr, reason = "what a run did, and why it was skipped, is told")]

mod sandbox;

#[path = "kills/client.rs"]
mod client;

use client::{Answer, Client};
use sandbox::{Sandbox, http::Api, running::Up, wait_for};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// A small file system at `small` in a sandbox, seen by the programs started in it only.
struct Disk<'a> {
    sandbox: &'a Sandbox,
    /// Keeps the namespace. It ends when its input does, so also when the test is killed.
    holder: Child,
}

impl<'a> Disk<'a> {
    /// Mounts one with a shell command that is given the directory; `None`, loudly, without root.
    fn mount(sandbox: &'a Sandbox, mount: &str) -> Option<Self> {
        fs::create_dir_all(sandbox.path("small")).expect("a directory");
        let script = format!("{mount} >&2 && echo mounted && exec cat >/dev/null");
        let mut holder = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"])
            .arg(sandbox.path("small"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = String::new();
        let out = holder.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut line).expect("a pipe");
        let disk = Self { sandbox, holder };
        if line.trim() != "mounted" {
            eprintln!(
                "SKIPPED: no small file system can be mounted here (that needs root): {mount}"
            );
            return None;
        }
        Some(disk)
    }

    fn tmpfs(sandbox: &'a Sandbox) -> Option<Self> {
        Self::mount(sandbox, "mount -t tmpfs -o size=4m none \"$1\"")
    }

    /// A command that runs in the namespace.
    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.holder.id()));
        // A working directory from outside the namespace would have no path in it.
        command.args(["sh", "-c", "cd \"$0\" && exec \"$@\""]).arg(self.sandbox.path(""));
        command.arg(program).args(args).env_clear();
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("TZ", "UTC");
        command.env("CS_LAPI_SECRET", "0123456789abcdef".repeat(4)).stdin(Stdio::null());
        command
    }

    fn start(&self, args: &[&str]) -> Running {
        Running(Some(Up::start(self.command(env!("CARGO_BIN_EXE_shieldwall"), args))))
    }

    fn run(&self, program: &str, args: &[&str]) {
        let output = self.command(program, args).output().expect("it runs");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {args:?}: {err}");
    }

    /// A path on the disk, as seen from outside.
    fn path(&self, name: &str) -> PathBuf {
        let root = format!("/proc/{}/root", self.holder.id());
        let inside = self.sandbox.path("small").join(name);
        PathBuf::from(root).join(inside.strip_prefix("/").expect("an absolute path"))
    }

    /// Leaves no room.
    fn fill(&self) {
        let mut file = fs::File::create(self.path("fill")).expect("made");
        let mut size = 1 << 16;
        while size > 0 {
            if file.write_all(&vec![b'x'; size]).is_err() {
                size /= 2;
            }
        }
    }

    fn free(&self) {
        fs::remove_file(self.path("fill")).expect("removed");
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _gone = self.holder.kill();
        let _reaped = self.holder.wait();
    }
}

/// A program that does not outlive the test.
struct Running(Option<Up>);

impl Running {
    fn up(&self) -> &Up {
        self.0.as_ref().expect("it runs")
    }

    fn address(&self) -> String {
        let line = self.up().logged("CrowdSec Local API listening on 127");
        line.rsplit(' ').next().expect("an address").to_owned()
    }

    fn kill(mut self) {
        self.0.take().expect("it runs").kill();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut up) = self.0.take() {
            let _gone = up.child.kill();
            let _reaped = up.child.wait();
        }
    }
}

fn sandbox(data: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "config.yaml",
        &format!(
            "common: {{log_media: stdout}}\n\
             config_paths: {{config_dir: etc, data_dir: {data}}}\n\
             crowdsec_service: {{acquisition_path: acquis.yaml}}\n\
             db_config: {{type: sqlite, db_path: {data}/crowdsec.db}}\n\
             api:\n  client: {{credentials_path: credentials.yaml}}\n  \
             server: {{listen_uri: '127.0.0.1:0', profiles_path: profiles.yaml}}\n"
        ),
    );
    sandbox.write("acquis.yaml", "filenames: [logs/*.log]\nlabels: {type: demo}\n");
    sandbox.write(
        "profiles.yaml",
        "name: usual\nfilters: [\"Alert.Remediation == true\"]\n\
         decisions: [{type: ban, duration: 4h}]\non_success: break\n",
    );
    sandbox.write("logs/demo.log", "");
    fs::create_dir_all(sandbox.path(data)).expect("a directory");
    sandbox
}

const SERVE: [&str; 3] = ["serve", "-c", "config.yaml"];

/// A server on a disk, and who talks to it.
struct Talk {
    machine: Client,
    bouncer: Client,
    n: u32,
    stored: BTreeSet<String>,
}

impl Talk {
    fn begin(disk: &Disk<'_>, address: &str) -> Self {
        let program = env!("CARGO_BIN_EXE_shieldwall");
        let run = |args: &[&str]| disk.run(program, &[args, &["-c", "config.yaml"]].concat());
        run(&["bouncers", "add", "wall", "--key", "secret"]);
        let url = format!("http://{address}");
        run(&["machines", "add", "agent", "--auto", "-u", &url, "-f", "central.yaml"]);
        let credentials = fs::read_to_string(disk.sandbox.path("central.yaml")).expect("written");
        let api = Api::with_credentials(address, &credentials);
        let machine = Client { proof: api.proof + "\r\n" };
        Self { machine, bouncer: Client::with_key("secret"), n: 0, stored: BTreeSet::new() }
    }

    /// Posts one more alert.
    fn post(&mut self, address: &str) -> Answer {
        let value = format!("10.1.{}.{}", self.n >> 8 & 255, self.n & 255);
        self.n += 1;
        let now = jiff::Timestamp::now().to_string();
        // Long enough that the disk has to grow for it.
        let meta = json!([{ "key": "a", "value": "b".repeat(4000) }]);
        let body = json!([{
            "scenario": "test/disk", "scenario_hash": "", "scenario_version": "", "message": "",
            "events_count": 1, "capacity": 0, "leakspeed": "10s", "start_at": now, "stop_at": now,
            "simulated": false, "remediation": true,
            "source": { "scope": "Ip", "value": value, "ip": value },
            "events": [{ "timestamp": now, "meta": meta }],
        }]);
        let answer = self.machine.ask(address, "POST", "/v1/alerts", Some(&body));
        let answer = answer.expect("an answer");
        if answer.status == 201 {
            self.stored.insert(value);
        }
        answer
    }

    /// What can be read: nothing but what was acknowledged, and all of that.
    fn reads(&self, address: &str) {
        let get = |client: &Client, path: &str| {
            let answer = client.ask(address, "GET", path, None).expect("an answer");
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            answer.body
        };
        get(&Client { proof: String::new() }, "/health");
        let decisions = get(&self.bouncer, "/v1/decisions");
        let values: BTreeSet<String> = decisions
            .as_array()
            .expect("decisions")
            .iter()
            .map(|one| one["value"].as_str().expect("a value").to_owned())
            .collect();
        assert_eq!(values, self.stored);
        let stream = get(&self.bouncer, "/v1/decisions/stream?startup=true");
        assert_eq!(stream["new"].as_array().map(Vec::len), Some(self.stored.len()));
        let alerts = get(&self.machine, "/v1/alerts?limit=0");
        assert_eq!(alerts.as_array().map(Vec::len), Some(self.stored.len()));
    }
}

#[test]
fn a_server_on_a_full_disk_says_so_and_recovers() {
    let sandbox = sandbox("small");
    let Some(disk) = Disk::tmpfs(&sandbox) else { return };
    let server = disk.start(&SERVE);
    let address = server.address();
    let mut talk = Talk::begin(&disk, &address);
    for _ in 0..20 {
        assert_eq!(talk.post(&address).status, 201);
    }
    disk.fill();
    // Pages that were made before may still take some.
    let refused = wait_for("a refusal", || {
        let answer = talk.post(&address);
        (answer.status != 201).then_some(answer)
    });
    assert_eq!(refused.status, 507, "{refused:?}");
    assert!(
        refused.body["message"].as_str().expect("words").contains("no space left"),
        "{refused:?}"
    );
    for _ in 0..200 {
        assert_eq!(talk.post(&address).status, 507);
    }
    talk.reads(&address);
    let ended = talk.machine.ask(&address, "DELETE", "/v1/decisions?ip=10.1.0.0", None);
    assert_eq!(ended.expect("an answer").status, 507);
    talk.reads(&address);
    disk.free();
    assert_eq!(talk.post(&address).status, 201);
    talk.reads(&address);
    let told = server.up().logged("transactions are stored again");
    assert!(told.contains("n="), "{told}");
    // Killed on a full disk, started on a full disk, and started when there is room again.
    disk.fill();
    wait_for("a refusal", || (talk.post(&address).status != 201).then_some(()));
    server.kill();
    let started = disk.start(&SERVE);
    let outcome = wait_for("a start or an end", || started_or_ended(&started));
    if let Started::Serves(address) = &outcome {
        talk.reads(address);
    }
    drop(started);
    disk.free();
    let server = disk.start(&SERVE);
    let address = server.address();
    talk.reads(&address);
    assert_eq!(talk.post(&address).status, 201);
    talk.reads(&address);
}

enum Started {
    Serves(String),
    Ended,
}

/// Whether a start came to something: on a full disk both are right.
fn started_or_ended(running: &Running) -> Option<Started> {
    let line = running.up().try_logged(|line| {
        line.contains("CrowdSec Local API listening on 127") || line.contains("no space left")
    })?;
    if line.contains("no space left") {
        return Some(Started::Ended);
    }
    Some(Started::Serves(line.rsplit(' ').next().expect("an address").to_owned()))
}

#[test]
fn the_log_of_a_full_disk_stays_short() {
    let sandbox = sandbox("small");
    let Some(disk) = Disk::tmpfs(&sandbox) else { return };
    let server = disk.start(&SERVE);
    let address = server.address();
    let mut talk = Talk::begin(&disk, &address);
    disk.fill();
    wait_for("a refusal", || (talk.post(&address).status != 201).then_some(()));
    for _ in 0..300 {
        assert_ne!(talk.post(&address).status, 201);
    }
    disk.free();
    assert_eq!(talk.post(&address).status, 201);
    let mut about_it = 0;
    wait_for("the end of the trouble", || {
        server.up().try_logged(|line| {
            // The access log has a line for each request, whatever came of it.
            let is_access = line.contains("HTTP/1.1");
            about_it += u32::from(!is_access && (line.contains("WARN") || line.contains("ERROR")));
            line.contains("transactions are stored again")
        })
    });
    assert!((1..30).contains(&about_it), "{about_it} lines about one full disk");
}

#[test]
fn a_server_whose_disk_turns_read_only_goes_on_reading() {
    let sandbox = sandbox("small");
    // Only a real file system can be made to fail as one does that found itself damaged.
    fs::write(sandbox.path("image"), vec![0; 16 << 20]).expect("written");
    let mount = "mkfs.ext4 -q \"$1/../image\" && mount -o loop \"$1/../image\" \"$1\"";
    let Some(disk) = Disk::mount(&sandbox, mount) else { return };
    let server = disk.start(&SERVE);
    let address = server.address();
    let mut talk = Talk::begin(&disk, &address);
    for _ in 0..20 {
        assert_eq!(talk.post(&address).status, 201);
    }
    let small = sandbox.path("small").display().to_string();
    disk.run("mount", &["-o", "remount,abort", &small]);
    for _ in 0..20 {
        let refused = talk.post(&address);
        assert_eq!(refused.status, 503, "{refused:?}");
        let words = refused.body["message"].as_str().expect("words");
        assert!(words.contains("cannot be written"), "{refused:?}");
    }
    talk.reads(&address);
    server.kill();
    // Mended, as one does it.
    disk.run("umount", &[&small]);
    let image = sandbox.path("image").display().to_string();
    // Its exit code says that something was mended.
    let mended = disk.command("fsck.ext4", &["-p", &image]).output().expect("it runs");
    assert!(mended.status.code().is_some_and(|code| code < 4), "{mended:?}");
    disk.run("mount", &["-o", "loop", &image, &small]);
    let server = disk.start(&SERVE);
    let address = server.address();
    talk.reads(&address);
    assert_eq!(talk.post(&address).status, 201);
}

#[test]
fn a_damaged_database_is_named_with_what_to_do() {
    let sandbox = sandbox("data");
    sandbox.write("data/crowdsec.db", &"no database at all\n".repeat(1000));
    let ran = sandbox.run(&SERVE);
    assert_eq!(ran.code, Some(1));
    for part in ["data/crowdsec.db is damaged", "move ", ".recover"] {
        assert!(ran.err.contains(part), "{}", ran.err);
    }
}

#[test]
fn damage_beneath_a_running_server_is_told_and_the_rest_works() {
    let sandbox = sandbox("data");
    let up = |args: &[&str]| Running(Some(Up::start(sandbox.command(args))));
    let mut server = up(&SERVE);
    let address = server.address();
    let url = format!("http://{address}");
    let run = |args: &[&str]| {
        let ran = sandbox.run(&[args, &["-c", "config.yaml"]].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    };
    run(&["bouncers", "add", "wall", "--key", "secret"]);
    run(&["machines", "add", "agent", "--auto", "-u", &url, "-f", "central.yaml"]);
    let credentials = fs::read_to_string(sandbox.path("central.yaml")).expect("written");
    let login = |address: &str| Client {
        proof: Api::with_credentials(address, &credentials).proof + "\r\n",
    };
    let bouncer = Client::with_key("secret");
    let machine = login(&address);
    let mut talk = Talk { machine, bouncer, n: 0, stored: BTreeSet::new() };
    for _ in 0..200 {
        assert_eq!(talk.post(&address).status, 201);
    }
    // All of it into one file, and out of every cache.
    server.0.take().expect("it runs").stop();
    let server = up(&SERVE);
    let address = server.address();
    talk.machine = login(&address);
    let path = sandbox.path("data/crowdsec.db");
    // The long texts of events: pages that only alerts are made of.
    let mut damaged = fs::read(&path).expect("read");
    let is_text = |page: &[u8]| page.iter().filter(|byte| **byte == b'b').count() > page.len() / 2;
    let mut n_damaged = 0;
    for page in damaged.chunks_mut(4096).filter(|page| is_text(page)) {
        page.fill(0xff);
        n_damaged += 1;
    }
    assert!(n_damaged > 10, "{n_damaged}");
    fs::write(&path, damaged).expect("written");
    let answer = talk.machine.ask(&address, "GET", "/v1/alerts?limit=0", None);
    match answer {
        // Told before anything was sent.
        Ok(answer) => {
            assert_eq!(answer.status, 500, "damage goes unnoticed");
            assert!(answer.body["message"].as_str().expect("words").contains("damaged"));
        }
        // Or in the middle: the answer breaks off.
        Err(_broken_off) => {}
    }
    server.up().logged("is damaged");
    let health = Client { proof: String::new() }.ask(&address, "GET", "/health", None);
    assert_eq!(health.expect("an answer").status, 200);
    let decisions = talk.bouncer.ask(&address, "GET", "/v1/decisions", None).expect("an answer");
    assert_eq!(decisions.body.as_array().map(Vec::len), Some(200));
}

/// How often each address has an alert.
fn sources(machine: &Client, address: &str) -> Vec<String> {
    let alerts = machine.ask(address, "GET", "/v1/alerts?limit=0", None).expect("an answer");
    let value = |alert: &Value| alert["source"]["value"].as_str().expect("a value").to_owned();
    let mut values: Vec<String> = alerts.body.as_array().into_iter().flatten().map(value).collect();
    values.sort_unstable();
    values
}

#[test]
fn an_agent_on_a_full_disk_loses_nothing() {
    let sandbox = sandbox("data");
    let Some(disk) = Disk::tmpfs(&sandbox) else { return };
    let server = disk.start(&SERVE);
    let address = server.address();
    let talk = Talk::begin(&disk, &address);
    server.kill();
    let agent = ["agent", "--rules", "etc", "--acquis", "acquis.yaml", "--state", "small"];
    let agent = [&agent[..], &["--credentials", "central.yaml"]].concat();
    // Ten alerts are more than fits into what is left of a file's last page.
    let attack = |n: u32| {
        for host in 0..10 {
            let line = format!("2024-03-01T10:00:00Z fail from 192.0.{n}.{host}\n");
            sandbox.append("logs/demo.log", &line.repeat(3));
        }
    };
    let first = disk.start(&agent);
    wait_for("positions", || disk.path("positions.json").exists().then_some(()));
    attack(1);
    first.up().logged("alerts wait in the outbox");
    disk.fill();
    attack(2);
    first.up().logged("alerts are only in memory");
    let before = fs::read_to_string(disk.path("positions.json")).expect("positions");
    attack(3);
    first.kill();
    assert_eq!(fs::read_to_string(disk.path("positions.json")).expect("positions"), before);
    // Killed with two of them in memory alone. They come from their lines again.
    let second = disk.start(&agent);
    second.up().logged("alerts are only in memory");
    disk.free();
    second.up().logged("the outbox can be written again");
    let listen = [&SERVE[..], &["--listen", &address]].concat();
    let server = disk.start(&listen);
    let address = server.address();
    wait_for("all alerts", || (sources(&talk.machine, &address).len() >= 30).then_some(()));
    // Delivered from memory while the disk is full.
    disk.fill();
    attack(4);
    wait_for("one more", || (sources(&talk.machine, &address).len() >= 40).then_some(()));
    disk.free();
    second.kill();
    let third = disk.start(&agent);
    third.up().logged("starting");
    attack(5);
    wait_for("the last", || (sources(&talk.machine, &address).len() >= 50).then_some(()));
    let want: Vec<String> =
        (1..=5).flat_map(|n| (0..10).map(move |host| format!("192.0.{n}.{host}"))).collect();
    assert_eq!(sources(&talk.machine, &address), want, "each of them once");
}
