//! Processes that end with their owner, and waiting for what they do.
//!
//! INVARIANT: no wait is without a deadline, every wait is for a condition, and no process outlives
//! its owner: it is ended when that is dropped, and by the kernel when we are killed ourselves.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::child;

/// How long anything may take that should be quick. Loaded machines are slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Looks until something is there.
pub(crate) fn until<T>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(started.elapsed() < within, "{what}: not within {} s", within.as_secs());
        thread::sleep(PAUSE);
    }
}

/// Runs a program to its end, which must come soon, and returns what it printed.
pub(crate) fn output(command: &Command, doing: &str) -> Result<String> {
    child::output(&mut bounded(command, Duration::from_secs(60)), doing)
}

/// A command that is ended when it takes longer than `within`.
pub(crate) fn bounded(command: &Command, within: Duration) -> Command {
    wrap(&["timeout", "--foreground", "--kill-after=5", &within.as_secs().to_string()], command)
}

/// A command that another program starts.
pub(crate) fn wrap(outer: &[&str], command: &Command) -> Command {
    let (program, arguments) = outer.split_first().expect("somebody starts the command");
    let mut wrapped = Command::new(program);
    wrapped.args(arguments).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        wrapped.current_dir(dir);
    }
    wrapped
}

/// A command that ends with the thread that starts it.
fn owned(command: &Command) -> Command {
    wrap(&["setpriv", "--pdeathsig", "KILL"], command)
}

/// A program that runs until this is dropped. What it says goes to a file.
pub(crate) struct Running {
    name: String,
    child: RefCell<Child>,
    log: PathBuf,
}

impl Running {
    /// Starts a program; its log is added to.
    pub(crate) fn start(command: &Command, name: &str, log: &Path) -> Result<Self> {
        let open = || File::options().create(true).append(true).open(log);
        let out = open().with_context(|| format!("opening {}", log.display()))?;
        let mut command = owned(command);
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let child = command.spawn().with_context(|| format!("starting {name}"))?;
        Ok(Self { name: name.to_owned(), child: RefCell::new(child), log: log.to_path_buf() })
    }

    /// The number of its process: what was wrapped around it has become it.
    pub(crate) fn id(&self) -> u32 {
        self.child.borrow().id()
    }

    /// Fails when the program ended.
    pub(crate) fn alive(&self) -> Result<()> {
        let Some(status) = self.child.borrow_mut().try_wait()? else { return Ok(()) };
        bail!("{} ended with {status}\n{}", self.name, child::last_lines(&self.said(), 12));
    }

    /// Everything the program said so far.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits, as long as the program runs, until something is there.
    pub(crate) fn until<T>(
        &self,
        what: &str,
        within: Duration,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        until(what, within, || {
            self.alive()?;
            look()
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(self.child.get_mut());
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself; then there is nothing to kill.
    drop(child.kill());
    drop(child.wait());
}

/// A program that answers questions: a line in, a line `answer JSON` out. Other lines are its log.
pub(crate) struct Dialog {
    child: Child,
    questions: ChildStdin,
    answers: Receiver<String>,
    log: PathBuf,
}

impl Dialog {
    /// Starts a program; what it says to standard error goes to `log`.
    pub(crate) fn start(command: &Command, log: &Path) -> Result<Self> {
        let err = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        let starting = || format!("starting {}", command.get_program().display());
        let mut command = owned(command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(err);
        let mut child = command.spawn().with_context(starting)?;
        let questions = child.stdin.take().context("no standard input")?;
        let lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let (sender, answers) = mpsc::channel();
        // Ends with the program; nobody has to join it.
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let Some(answer) = line.strip_prefix("answer ") else { continue };
                if sender.send(answer.to_owned()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, questions, answers, log: log.to_path_buf() })
    }

    /// Asks, and returns the answer. A program that answers `{"error": …}` failed.
    pub(crate) fn ask(&mut self, question: &str) -> Result<Value> {
        let asked = writeln!(self.questions, "{question}").and_then(|()| self.questions.flush());
        let answer = asked.ok().and_then(|()| self.answers.recv_timeout(PATIENCE).ok());
        let Some(answer) = answer else {
            let said = fs::read_to_string(&self.log).unwrap_or_default();
            bail!("`{question}` has no answer\n{}", child::last_lines(&said, 12));
        };
        let answer: Value = serde_json::from_str(&answer).context("reading an answer")?;
        if let Some(error) = answer["error"].as_str() {
            bail!("`{question}`: {error}");
        }
        Ok(answer)
    }

    /// Asks until the answer is the expected one.
    pub(crate) fn ask_until(&mut self, question: &str, expect: &Value) -> Result<()> {
        let mut last = Value::Null;
        let found = until(question, PATIENCE, || {
            last = self.ask(question)?;
            Ok((last == *expect).then_some(()))
        });
        found.with_context(|| format!("expected {expect}, last answer {last}"))
    }
}

impl Drop for Dialog {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends() {
        let error = until::<()>("never", Duration::ZERO, || Ok(None)).expect_err("a failure");
        assert_eq!(error.to_string(), "never: not within 0 s");
        let mut n = 0;
        let third = until("soon", PATIENCE, || {
            n += 1;
            Ok((n == 3).then_some(n))
        });
        assert_eq!(third.expect("the third look"), 3);
    }

    #[test]
    fn what_wraps_a_command_keeps_its_surroundings() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $GREETING; pwd"]).env("GREETING", "hello").current_dir("/");
        assert_eq!(output(&command, "greeting").expect("output"), "hello\n/\n");
        let mut slow = Command::new("tail");
        slow.args(["-f", "/dev/null"]);
        assert!(child::output(&mut bounded(&slow, Duration::from_secs(1)), "waiting").is_err());
    }

    #[test]
    fn programs_end_with_their_owner() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = dir.path().join("x.log");
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$; exec tail -f /dev/null"]);
        let running = Running::start(&command, "x", &log).expect("a process");
        let line = || Ok(running.said().lines().next().map(str::to_owned));
        let pid = running.until("its number", PATIENCE, line).expect("its number");
        drop(running);
        assert!(!Path::new("/proc").join(pid.trim()).exists());

        let gone = Running::start(Command::new("sh").args(["-c", "echo no; exit 3"]), "y", &log)
            .expect("a process");
        let error = gone.until::<()>("never", PATIENCE, || Ok(None)).expect_err("a failure");
        assert!(error.to_string().contains("y ended with exit status: 3"), "{error}");
    }

    #[test]
    fn a_dialog_takes_answers_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let script = "while read -r word; do echo log; echo \"answer [\\\"$word\\\"]\"; done";
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let mut dialog = Dialog::start(&command, &dir.path().join("x.log")).expect("a dialog");
        assert_eq!(dialog.ask("one").expect("an answer"), serde_json::json!(["one"]));
        dialog.ask_until("two", &serde_json::json!(["two"])).expect("an answer");
    }
}
