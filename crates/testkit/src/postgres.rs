//! A PostgreSQL server for tests: Debian's own, on a private port and directory.
//!
//! It listens on loopback and on a socket in its directory. On the socket everybody may be anybody;
//! on loopback the role `guard` needs its password. Where the server may not run as who we are
//! (root), it runs as `postgres` or `nobody`. It ends, and its directory goes, when the [`Server`]
//! is dropped or its owner dies.

use std::{
    fs,
    io::Write as _,
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// The role that needs a password on loopback.
pub const ROLE: &str = "guard";
/// Its password. The quote and the blank must survive every way it travels.
pub const PASSWORD: &str = "hunter2 it's";
/// Even a busy machine starts a server within this.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running server.
pub struct Server {
    programs: PathBuf,
    dir: PathBuf,
    owner: Option<(u32, u32)>,
    port: u16,
    options: Vec<String>,
    keeper: Option<Keeper>,
    n_databases: AtomicU32,
}

/// The shell that ends the server when our end of its input is closed, by us or by our death.
struct Keeper {
    shell: Child,
    input: Option<ChildStdin>,
}

/// Where Debian, or whoever, put the programs of the server; the newest.
#[must_use]
pub fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, bin)| bin.join("initdb").is_file() && bin.join("postgres").is_file())
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin)
}

impl Server {
    /// Starts a server; `None`, said loudly, where there is none to start.
    ///
    /// # Panics
    /// When there is one and it does not start.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// The same with settings of its own, as `name=value`.
    ///
    /// # Panics
    /// When there is one and it does not start.
    #[must_use]
    pub fn start_with(options: &[&str]) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Some(programs) = programs() else {
            loud("SKIPPED: no PostgreSQL server here (Debian: apt-get install postgresql)");
            return None;
        };
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        // Short, as the path of a socket may have 107 bytes.
        let dir = std::env::temp_dir().join(format!("swpg-{}-{n}", std::process::id()));
        fs::create_dir(&dir).expect("a fresh name in the directory for temporary files");
        let owner = owner_for(&dir);
        if let Some((uid, gid)) = owner {
            chown(&dir, Some(uid), Some(gid)).expect("root may give files away");
        }
        let mut server = Self {
            programs,
            dir,
            owner,
            port: 0,
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            keeper: None,
            n_databases: AtomicU32::new(0),
        };
        server.initialize();
        server.launch();
        let quoted = PASSWORD.replace('\'', "''");
        server.sql("postgres", &format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{quoted}'"));
        Some(server)
    }

    fn initialize(&self) {
        let mut initdb = self.command("initdb");
        initdb.args(["-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]);
        initdb.args(["--auth-local=trust", "--auth-host=scram-sha-256", "-D"]).arg(self.data());
        let made = initdb.output().expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    }

    /// Starts the server on a free port and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn launch(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.port == 0 {
                // Free now; should somebody take it in between, the next one is tried.
                let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
                self.port = listener.local_addr().expect("a bound port").port();
            }
            self.spawn();
            while self.is_running() && Instant::now() < deadline {
                if self.is_ready() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            // After a kill the backends of the old server may still be about to notice; and a port
            // that was never ours may have been taken.
            self.keeper = None;
            assert!(Instant::now() < deadline, "the server does not start: {}", self.log());
            if !self.data().join("postmaster.opts").is_file() {
                self.port = 0;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn spawn(&mut self) {
        let mut shell = self.owned("sh");
        shell
            .args(["-c", KEEPER, "keeper"])
            .arg(self.log_path())
            .arg(self.programs.join("postgres"));
        shell.arg("-D").arg(self.data());
        let settings = [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", self.dir.display()),
            // What a small machine has for some dozens of tests at once.
            "max_connections=200".to_owned(),
            "shared_buffers=32MB".to_owned(),
        ];
        for setting in settings.iter().chain(&self.options) {
            shell.arg("-c").arg(setting);
        }
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut shell = shell.spawn().expect("a shell runs");
        let input = shell.stdin.take();
        self.keeper = Some(Keeper { shell, input });
    }

    fn is_running(&mut self) -> bool {
        let keeper = self.keeper.as_mut();
        keeper.is_some_and(|keeper| matches!(keeper.shell.try_wait(), Ok(None)))
    }

    fn is_ready(&self) -> bool {
        let mut probe = self.command("pg_isready");
        probe.args(["-q", "-t", "2", "-d", "postgres", "-p", &self.port.to_string(), "-h"]);
        probe.arg(&self.dir).status().is_ok_and(|status| status.success())
    }

    /// Kills the server as a power cut would, without a farewell to anybody.
    ///
    /// # Panics
    /// When it is not running.
    pub fn kill(&mut self) {
        let pid = fs::read_to_string(self.data().join("postmaster.pid")).expect("it is running");
        let pid = pid.lines().next().expect("its first line is the process").to_owned();
        let killed = Command::new("sh").args(["-c", "kill -KILL \"$1\"", "kill", &pid]).status();
        assert!(killed.is_ok_and(|status| status.success()), "process {pid} could not be killed");
        // The shell ends with the server.
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.shell.wait());
        }
    }

    /// Ends the server in the way an administrator does who does not wait for its clients.
    ///
    /// # Panics
    /// When that cannot be done.
    pub fn stop(&mut self) {
        let mut stop = self.command("pg_ctl");
        stop.args(["stop", "-m", "fast", "-w", "-t", "60", "-D"]).arg(self.data());
        let stopped = stop.output().expect("pg_ctl runs");
        assert!(stopped.status.success(), "pg_ctl: {}", String::from_utf8_lossy(&stopped.stderr));
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.shell.wait());
        }
    }

    /// Makes a database of a name nobody has, which belongs to [`ROLE`], and tells the name.
    #[must_use]
    pub fn create_database(&self) -> String {
        let name = format!("db{}", self.n_databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name} OWNER {ROLE}"));
        name
    }

    /// Runs SQL as the administrator and returns what it answers, a row a line.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let mut psql = self.command("psql");
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres"]);
        psql.args(["-d", database, "-p", &self.port.to_string(), "-f", "-", "-h"]).arg(&self.dir);
        psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut psql = psql.spawn().expect("psql runs");
        let mut input = psql.stdin.take().expect("it was piped");
        input.write_all(sql.as_bytes()).expect("psql reads");
        drop(input);
        let answer = psql.wait_with_output().expect("psql ends");
        assert!(answer.status.success(), "{sql}: {}", String::from_utf8_lossy(&answer.stderr));
        String::from_utf8_lossy(&answer.stdout).trim().to_owned()
    }

    /// Sets something for the next launch, as `name=value`.
    pub fn set(&mut self, option: &str) {
        self.options.push(option.to_owned());
    }

    /// The directory of the socket.
    #[must_use]
    pub fn socket_directory(&self) -> &Path {
        &self.dir
    }

    /// The port, on loopback and of the socket.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the server wrote about itself.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Gives a file to who runs the server, so that it can be read there and nowhere else.
    ///
    /// # Panics
    /// When the file is not ours to give.
    pub fn give(&self, file: &Path) {
        if let Some((uid, gid)) = self.owner {
            chown(file, Some(uid), Some(gid)).expect("root may give files away");
        }
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// A program of the server, run as its owner.
    fn command(&self, program: &str) -> Command {
        self.owned(self.programs.join(program))
    }

    fn owned(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.dir).env("LC_ALL", "C.UTF-8");
        if let Some((uid, gid)) = self.owner {
            command.uid(uid).gid(gid);
        }
        command
    }
}

/// Starts the server, and ends it and removes its directory when its own input ends; ends by itself
/// when the server does.
const KEEPER: &str = "log=$1; shift; \"$@\" >>\"$log\" 2>&1 </dev/null & server=$!; exec 3<&0; \
    (cat <&3 >/dev/null; : >ending; kill -QUIT $server) & watch=$!; exec 3<&- </dev/null; \
    wait $server; if [ -e ending ]; then rm -rf \"$PWD\"; else kill $watch; fi 2>/dev/null; exit 0";

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.input.take());
            drop(keeper.shell.wait());
        }
        drop(fs::remove_dir_all(&self.dir));
    }
}

/// Who runs the server: we, unless we are root, whom it refuses.
fn owner_for(dir: &Path) -> Option<(u32, u32)> {
    // Who owns what we make is who we are.
    let is_root = fs::metadata(dir).is_ok_and(|made| made.uid() == 0);
    if !is_root {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let find = |name: &str| {
        users.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [user, _, uid, gid, ..] = fields.as_slice() else { return None };
            (*user == name).then_some((uid.parse().ok()?, gid.parse().ok()?))
        })
    };
    find("postgres").or_else(|| find("nobody")).or(Some((65_534, 65_534)))
}

/// Says something past the test harness, which hides what a passing test prints.
fn loud(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_starts_dies_and_starts_again() {
        let Some(mut server) = Server::start() else { return };
        let name = server.create_database();
        server.sql(&name, "CREATE TABLE t (n int); INSERT INTO t VALUES (7)");
        server.kill();
        server.launch();
        assert_eq!(server.sql(&name, "SELECT n FROM t"), "7");
        server.stop();
        server.launch();
        assert_eq!(server.sql(&name, "SELECT n FROM t"), "7");
        let dir = server.socket_directory().to_owned();
        drop(server);
        assert!(!dir.exists());
    }
}
