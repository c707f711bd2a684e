//! Any program: it is told of each decision and does with it what it likes.
//!
//! Unlike the other back-ends it gets decisions as they were sent, of every scope, and not what
//! follows from them for addresses. Both ways of telling are the incumbent's, so its scripts work:
//!
//! - one process for each decision: `program add|del VALUE SECONDS SCENARIO JSON`;
//! - one process for all: a line of JSON on its standard input for each decision, with the
//!   additional key `action`.
//!
//! A program that hangs is ended after [`Settings::limit`] and costs no more than that. A long
//! running one that ended knows nothing any more: [`Custom::deliver`] says so, and its caller
//! tells everything again.

use std::{
    collections::HashSet,
    io::{self, Write as _},
    os::fd::AsFd as _,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use api::{Decision, DecisionDelta, duration};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use serde::Serialize;

use super::BackendError;

/// Which program, and how it is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The program.
    pub program: PathBuf,
    /// How it is told.
    pub told: Told,
    /// The same value and type is not told again within this.
    pub retention: Duration,
    /// A process that takes longer for one decision is ended.
    pub limit: Duration,
}

/// How a program is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// By the arguments of a process for each decision.
    ByArguments,
    /// By lines on the standard input of one process.
    ByLines {
        /// The arguments of that process.
        arguments: Vec<String>,
        /// How often it is started again when it ends; `None` for any number of times.
        retries: Option<u32>,
        /// How long to wait before that.
        delay: Duration,
    },
}

impl Settings {
    /// The incumbent's usual values for a program that is told by arguments.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        Self {
            program,
            told: Told::ByArguments,
            retention: Duration::from_secs(10),
            limit: Duration::from_secs(60),
        }
    }
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Decisions the program was told.
    pub n_told: usize,
    /// Decisions it was told a moment ago already.
    pub n_repeated: usize,
    /// Decisions that could not be told: incomplete, or the process failed.
    pub n_failed: usize,
    /// The program was started anew and knows nothing of what it was told before: tell it
    /// everything.
    pub was_restarted: bool,
}

/// A program that is told.
pub struct Custom {
    settings: Settings,
    child: Option<(Child, ChildStdin)>,
    n_starts: u32,
    repeated: HashSet<(String, String)>,
    repeated_since: Option<Instant>,
}

#[derive(Clone, Copy)]
enum Action {
    Add,
    Del,
}

impl Action {
    const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Del => "del",
        }
    }
}

/// One line for a program that reads lines.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    decision: &'a Decision,
    action: &'static str,
}

impl Custom {
    /// Starts nothing yet.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn new(settings: Settings) -> Result<Self, BackendError> {
        if !settings.program.is_file() {
            let program = settings.program.display();
            return Err(BackendError::Settings(format!("there is no program {program}")));
        }
        Ok(Self {
            settings,
            child: None,
            n_starts: 0,
            repeated: HashSet::new(),
            repeated_since: None,
        })
    }

    /// Tells the program what ends, and then what begins.
    ///
    /// # Errors
    /// When the program cannot be started, or ended more often than is allowed.
    pub fn deliver(&mut self, delta: &DecisionDelta) -> Result<Delivered, BackendError> {
        let mut delivered = Delivered::default();
        let deleted = delta.deleted.iter().map(|decision| (Action::Del, decision));
        for (action, decision) in deleted.chain(delta.new.iter().map(|new| (Action::Add, new))) {
            if self.is_repeated(action, decision) {
                delivered.n_repeated += 1;
                continue;
            }
            let was_told = match self.settings.told {
                Told::ByArguments => self.run(action, decision)?,
                Told::ByLines { .. } => self.write(action, decision, &mut delivered)?,
            };
            if was_told {
                delivered.n_told += 1;
            } else {
                delivered.n_failed += 1;
            }
        }
        Ok(delivered)
    }

    /// Lets a long-running program read what is left and end; ends it if it does not.
    pub fn close(&mut self) {
        if let Some((child, stdin)) = self.child.take() {
            drop(stdin);
            drop(wait(child, self.settings.limit));
        }
    }

    fn is_repeated(&mut self, action: Action, decision: &Decision) -> bool {
        let now = Instant::now();
        let since = *self.repeated_since.get_or_insert(now);
        if now.duration_since(since) >= self.settings.retention {
            self.repeated.clear();
            self.repeated_since = Some(now);
        }
        let text = |word: &Option<String>| word.clone().unwrap_or_default();
        let key = (text(&decision.value), text(&decision.remediation));
        match action {
            Action::Add => !self.repeated.insert(key),
            Action::Del => {
                // What is taken back may be given again.
                self.repeated.remove(&key);
                false
            }
        }
    }

    /// A process for one decision.
    fn run(&self, action: Action, decision: &Decision) -> Result<bool, BackendError> {
        let Decision { value: Some(value), duration: Some(length), scenario, .. } = decision else {
            return Ok(false);
        };
        let Ok(nanos) = duration::parse(length) else { return Ok(false) };
        let Ok(json) = serde_json::to_string(decision) else { return Ok(false) };
        let started = Command::new(&self.settings.program)
            .args([action.name(), value, &(nanos / 1_000_000_000).to_string()])
            .args([scenario.as_deref().unwrap_or_default(), &json])
            .stdin(Stdio::null())
            .spawn();
        let child = match started {
            Ok(child) => child,
            // A zero byte in a text cannot be an argument, and too long a text neither.
            Err(error) if is_about_arguments(&error) => return Ok(false),
            Err(source) => {
                return Err(BackendError::Refused { doing: "starting a program", source });
            }
        };
        let ended = wait(child, self.settings.limit);
        if let Some(problem) = &ended {
            tracing::warn!(value = %cut(value), problem = problem.as_str(), "program");
        }
        Ok(ended.is_none())
    }

    /// A line for the one process, which is started when it is not there.
    fn write(
        &mut self,
        action: Action,
        decision: &Decision,
        delivered: &mut Delivered,
    ) -> Result<bool, BackendError> {
        let Ok(mut line) = serde_json::to_vec(&Line { decision, action: action.name() }) else {
            return Ok(false);
        };
        line.push(b'\n');
        loop {
            if self.child.is_none() {
                delivered.was_restarted |= self.start()?;
            }
            let Some((child, stdin)) = &mut self.child else { return Ok(false) };
            // A pipe takes words for a process that has ended.
            let is_gone = matches!(child.try_wait(), Ok(Some(_)) | Err(_));
            match write_within(stdin, &line, self.settings.limit) {
                Ok(()) if !is_gone => return Ok(true),
                Ok(()) => tracing::warn!("program ended"),
                Err(error) => tracing::warn!(%error, "program no longer reads"),
            }
            if let Some((child, stdin)) = self.child.take() {
                drop(stdin);
                drop(wait(child, Duration::ZERO));
            }
        }
    }

    /// Starts the one process; `true` when it was there before.
    fn start(&mut self) -> Result<bool, BackendError> {
        let Told::ByLines { arguments, retries, delay } = &self.settings.told else {
            return Ok(false);
        };
        let is_again = self.n_starts > 0;
        if is_again {
            if retries.is_some_and(|retries| self.n_starts > retries) {
                return Err(BackendError::Unsupported(format!(
                    "{} ended {} times",
                    self.settings.program.display(),
                    self.n_starts
                )));
            }
            thread::sleep(*delay);
        }
        self.n_starts = self.n_starts.saturating_add(1);
        let doing = "starting a program";
        let refused = |source| BackendError::Refused { doing, source };
        let mut child = Command::new(&self.settings.program)
            .args(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .map_err(refused)?;
        let stdin = child.stdin.take().ok_or_else(|| refused(io::ErrorKind::BrokenPipe.into()))?;
        // So that a program that does not read cannot hold us.
        fcntl(&stdin, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
            .map_err(|errno| refused(errno.into()))?;
        self.child = Some((child, stdin));
        Ok(is_again)
    }
}

impl Drop for Custom {
    fn drop(&mut self) {
        self.close();
    }
}

fn is_about_arguments(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput || error.raw_os_error() == Some(Errno::E2BIG as i32)
}

/// Text from outside, for the log.
fn cut(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_default).collect()
}

/// Writes all of it, or says that nobody read for so long.
fn write_within(stdin: &mut ChildStdin, mut bytes: &[u8], limit: Duration) -> io::Result<()> {
    let start = Instant::now();
    while !bytes.is_empty() {
        match stdin.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let left = limit.saturating_sub(start.elapsed());
                if left.is_zero() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
                match poll(&mut [PollFd::new(stdin.as_fd(), PollFlags::POLLOUT)], timeout) {
                    Ok(_) | Err(Errno::EINTR) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits for the end of a process, and ends it when that takes too long. Tells what was wrong.
fn wait(mut child: Child, limit: Duration) -> Option<String> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(100);
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return None,
            Ok(Some(status)) => return Some(status.to_string()),
            Ok(None) if start.elapsed() < limit => {
                thread::sleep(pause);
                // Scripts end after a millisecond or after many.
                pause = (pause * 2).min(Duration::from_millis(10));
            }
            Ok(None) => {
                drop(child.kill());
                drop(child.wait());
                return Some("took too long".to_owned());
            }
            Err(error) => return Some(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    fn script(directory: &Path, text: &str) -> PathBuf {
        let path = directory.join("program");
        fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn decision(id: i64, value: &str) -> Decision {
        Decision {
            id: Some(id),
            value: Some(value.to_owned()),
            duration: Some("3h59m30s".to_owned()),
            origin: Some("cscli".to_owned()),
            scenario: Some("manual 'ban' from \"localhost\"; $(id)".to_owned()),
            scope: Some("Ip".to_owned()),
            remediation: Some("ban".to_owned()),
            ..Decision::default()
        }
    }

    fn delta(deleted: &[Decision], new: &[Decision]) -> DecisionDelta {
        DecisionDelta { new: new.to_vec(), deleted: deleted.to_vec() }
    }

    #[test]
    fn a_process_for_each_decision() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("out");
        let text = format!("for word in \"$@\"; do echo \"$word\"; done >> {}\n", out.display());
        let mut custom = Custom::new(Settings::new(script(directory.path(), &text))).unwrap();
        let (old, new) = (decision(1, "192.0.2.1"), decision(2, "192.0.2.2"));
        let told = custom.deliver(&delta(std::slice::from_ref(&old), &[new.clone(), new])).unwrap();
        assert_eq!((told.n_told, told.n_repeated, told.n_failed), (2, 1, 0));
        let json = |id: i64, value: &str| {
            format!(
                "{{\"duration\":\"3h59m30s\",\"id\":{id},\"origin\":\"cscli\",\
                 \"scenario\":\"manual 'ban' from \\\"localhost\\\"; $(id)\",\"scope\":\"Ip\",\
                 \"type\":\"ban\",\"value\":\"{value}\"}}"
            )
        };
        let scenario = "manual 'ban' from \"localhost\"; $(id)";
        assert_eq!(
            fs::read_to_string(out).unwrap(),
            format!(
                "del\n192.0.2.1\n14370\n{scenario}\n{}\nadd\n192.0.2.2\n14370\n{scenario}\n{}\n",
                json(1, "192.0.2.1"),
                json(2, "192.0.2.2")
            )
        );
        // What is taken back may be given again at once.
        let again = delta(&[decision(2, "192.0.2.2")], &[decision(3, "192.0.2.2")]);
        assert_eq!(custom.deliver(&again).unwrap().n_told, 2);
        let nonsense = [
            Decision { value: None, ..decision(4, "") },
            Decision { duration: Some("soon".to_owned()), ..decision(5, "192.0.2.5") },
            decision(6, "192.0.2.6\0"),
        ];
        let told = custom.deliver(&delta(&[], &nonsense)).unwrap();
        assert_eq!((told.n_told, told.n_failed), (0, 3));
    }

    #[test]
    fn one_process_for_all_of_them() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("out");
        // Ends after the second line, and is started again.
        let text = format!("head -n 2 >> {}\n", out.display());
        let program = script(directory.path(), &text);
        let told = Told::ByLines {
            arguments: Vec::new(),
            retries: Some(1),
            delay: Duration::from_millis(1),
        };
        let mut custom = Custom::new(Settings { told, ..Settings::new(program) }).unwrap();
        let first = delta(&[decision(1, "192.0.2.1")], &[decision(2, "192.0.2.2")]);
        assert_eq!(
            custom.deliver(&first).unwrap(),
            Delivered { n_told: 2, ..Delivered::default() }
        );
        let lines = || fs::read_to_string(&out).unwrap_or_default();
        let start = Instant::now();
        while lines().lines().count() < 2
            || custom.child.as_mut().is_some_and(|(child, _)| child.try_wait().unwrap().is_none())
        {
            assert!(start.elapsed() < Duration::from_secs(60), "{}", lines());
            thread::sleep(Duration::from_millis(5));
        }
        let value: serde_json::Value =
            serde_json::from_str(lines().lines().next().unwrap()).unwrap();
        assert_eq!(value["action"], "del");
        assert_eq!(value["value"], "192.0.2.1");
        assert_eq!(value["duration"], "3h59m30s");
        let more = custom.deliver(&delta(&[], &[decision(3, "192.0.2.3")])).unwrap();
        assert_eq!((more.n_told, more.was_restarted), (1, true));
        custom.close();
        assert_eq!(lines().lines().count(), 3);
        assert!(matches!(
            custom.deliver(&delta(&[], &[decision(4, "192.0.2.4")])),
            Err(BackendError::Unsupported(_))
        ));
    }

    #[test]
    fn who_hangs_is_ended() {
        let directory = tempfile::tempdir().unwrap();
        let program = script(directory.path(), "exec sleep 1000\n");
        let limit = Duration::from_millis(50);
        let mut custom = Custom::new(Settings { limit, ..Settings::new(program.clone()) }).unwrap();
        let told = custom.deliver(&delta(&[], &[decision(1, "192.0.2.1")])).unwrap();
        assert_eq!((told.n_told, told.n_failed), (0, 1));
        // One that does not read holds us no longer, however much there is to say.
        let told = Told::ByLines { arguments: Vec::new(), retries: Some(0), delay: Duration::ZERO };
        let mut custom = Custom::new(Settings { told, limit, ..Settings::new(program) }).unwrap();
        let many: Vec<Decision> = (0..5000).map(|id| decision(id, &format!("v{id}"))).collect();
        assert!(custom.deliver(&delta(&[], &many)).is_err());
    }
}
