//! The threads that read: each with a connection of its own, all from one queue.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use tokio::sync::{mpsc, oneshot};

use crate::{Error, schema::Place, sql::Connection, writer::Failure};

type Question = Box<dyn FnOnce(&Connection) + Send>;

/// Work that was begun. Dropping it wastes the work and harms nobody.
pub(crate) struct Ahead<T> {
    answer: oneshot::Receiver<Result<T, Failure>>,
}

/// The way to the threads.
pub(crate) struct Readers {
    place: Place,
    questions: Option<mpsc::Sender<Question>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Starts `n_readers` threads.
    pub(crate) fn start(place: &Place, n_readers: usize) -> Result<Self, Error> {
        // Full: callers wait their turn.
        let (questions, inbox) = mpsc::channel::<Question>(1024);
        let inbox = Arc::new(Mutex::new(inbox));
        let mut threads = Vec::new();
        for _ in 0..n_readers {
            let conn = place.open_reader()?;
            conn.hurry();
            let inbox = Arc::clone(&inbox);
            let thread = std::thread::Builder::new()
                .name("store-reader".to_owned())
                .spawn(move || run(&conn, &inbox))
                .map_err(|error| Error::Unusable {
                    database: place.to_string(),
                    reason: error.to_string(),
                })?;
            threads.push(thread);
        }
        Ok(Self { place: place.clone(), questions: Some(questions), threads })
    }

    /// Begins `work` ahead of its need; `None` when others wait for the threads already.
    pub(crate) fn begin<T, F>(&self, work: F) -> Option<Ahead<T>>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let question: Question = Box::new(move |conn| drop(reply.send(work(conn))));
        self.questions.as_ref()?.try_send(question).ok()?;
        Some(Ahead { answer })
    }

    /// The answer to what was begun.
    pub(crate) async fn finish<T>(&self, ahead: Ahead<T>) -> Result<T, Error> {
        ahead.answer.await.map_err(|_| Error::Closed)?.map_err(|failure| failure.sort(&self.place))
    }

    /// Runs `work` on a connection that only reads, in one snapshot per statement.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let question: Question = Box::new(move |conn| drop(reply.send(work(conn))));
        let questions = self.questions.as_ref().ok_or(Error::Closed)?;
        questions.send(question).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?.map_err(|failure| failure.sort(&self.place))
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.questions = None;
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

fn run(conn: &Connection, inbox: &Mutex<mpsc::Receiver<Question>>) {
    loop {
        // One thread waits holding the queue, the others wait for the queue: each question wakes one.
        let question = inbox.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(question) = question else { return };
        // Where that fails the question fails too, and says why.
        drop(conn.revive());
        // A bug in one question must not cost the pool a thread; the asker sees a closed answer.
        drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| question(conn))));
    }
}
