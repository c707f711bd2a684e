//! A program that runs while a test goes on.

use super::wait_for;
use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// A running program whose lines are collected.
pub(crate) struct Up {
    pub(crate) child: Child,
    out: mpsc::Receiver<String>,
    err: mpsc::Receiver<String>,
}

impl Up {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let out = lines(child.stdout.take().expect("a pipe"));
        let err = lines(child.stderr.take().expect("a pipe"));
        Self { child, out, err }
    }

    pub(crate) fn line(&self) -> String {
        self.out.recv_timeout(Duration::from_secs(60)).expect("a line in time")
    }

    /// Waits until a message that contains `text` was logged, and gives that.
    pub(crate) fn logged(&self, text: &str) -> String {
        wait_for(text, || self.err.try_iter().find(|line| line.contains(text)))
    }

    /// The first message so far that is as wanted; those before it are gone.
    pub(crate) fn try_logged(&self, mut is_it: impl FnMut(&str) -> bool) -> Option<String> {
        self.err.try_iter().find(|line| is_it(line))
    }

    /// Ends the program at once, as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("a status");
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.expect("kill runs").success());
    }

    pub(crate) fn wait(mut self) -> (Option<i32>, Vec<String>) {
        let status = wait_for("the end", || self.child.try_wait().expect("a status"));
        (status.code(), self.out.iter().collect())
    }

    pub(crate) fn stop(self) -> Vec<String> {
        self.signal("TERM");
        let (code, rest) = self.wait();
        assert_eq!(code, Some(0));
        rest
    }
}

fn lines(pipe: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
