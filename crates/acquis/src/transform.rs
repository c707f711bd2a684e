//! Changing lines between a source and whoever takes them.
//!
//! What a line becomes is decided by a function of the caller: this crate knows no expressions. It
//! runs on the source's own thread, before the batch is sent, so a slow one slows its source alone.
//! Checkpoints are not concerned: a batch is acknowledged as a whole, whatever it was made into.

use crate::{batch::Batch, registry::Registry};
use model::{Line, LineSource};
use std::{fmt, sync::Arc};

/// What lines become.
#[derive(Clone)]
pub struct Transform(Arc<Function>);

/// `None` leaves a line as it is; otherwise the lines take its place, in order.
type Function = dyn Fn(&LineSource, Line<'_>) -> Option<Vec<String>> + Send + Sync;

impl Transform {
    /// Asks `made_of` about each line: `None` leaves it as it is, otherwise the texts take its place,
    /// in order, each a line of the same source read at the same time.
    pub fn new(
        made_of: impl Fn(&LineSource, Line<'_>) -> Option<Vec<String>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(made_of))
    }

    /// Changes the lines of a batch that it has not changed before.
    pub fn apply(&self, batch: &mut Batch, registry: &Registry) {
        let nobody = LineSource::default();
        batch.transform(|line| match registry.source(line.source) {
            Some(source) => (self.0)(&source, line),
            None => (self.0)(&nobody, line),
        });
    }
}

/// Two are equal when they are the same one.
impl PartialEq for Transform {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Transform {}

impl fmt::Debug for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transform(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{batch::Refused, channel, testing::FakeClock};
    use model::{SourceId, Timestamp};

    fn line(text: &str, source: SourceId) -> Line<'_> {
        Line { text: text.as_bytes(), source, read_at: Timestamp::from_unix(1, 0) }
    }

    fn texts(batch: &Batch) -> Vec<String> {
        batch.iter().map(|line| String::from_utf8_lossy(line.text).into_owned()).collect()
    }

    /// Splits lines at commas; those that start with `-` vanish, those without a comma stay.
    fn splitting() -> Transform {
        Transform::new(|source, line| {
            let text = String::from_utf8_lossy(line.text);
            if text.starts_with('-') {
                return Some(Vec::new());
            }
            text.contains(',')
                .then(|| text.split(',').map(|part| format!("{}:{part}", source.src)).collect())
        })
    }

    #[test]
    fn lines_become_none_one_or_many_in_their_place() {
        let registry = Registry::new();
        let source =
            registry.register(LineSource { src: String::from("s"), ..LineSource::default() });
        let (sink, receiver) = channel(1);
        let sink = sink.with_transform(splitting(), registry);
        let mut batch = sink.batch();
        for text in ["a,b", "plain", "- gone", "c,", ""] {
            batch.push(line(text, source));
        }
        sink.send(batch, &FakeClock::default()).unwrap();
        let batch = receiver.recv().unwrap();
        assert_eq!(texts(&batch), ["s:a", "s:b", "plain", "s:c", "s:", ""]);
        assert!(batch.iter().all(|line| line.source == source));
        assert!(batch.iter().all(|line| line.read_at == Timestamp::from_unix(1, 0)));
        assert_eq!(sink.counters().read().lines, 6);
    }

    #[test]
    fn a_batch_that_was_refused_is_not_changed_twice() {
        let registry = Registry::new();
        let source = registry.register(LineSource::default());
        let (sink, receiver) = channel(1);
        let again = Transform::new(|_, line| {
            Some(vec![format!("<{}>", String::from_utf8_lossy(line.text))])
        });
        let sink = sink.with_transform(again, registry);
        sink.send(sink.batch(), &FakeClock::default()).unwrap();
        let mut batch = sink.batch();
        batch.push(line("one", source));
        let Err(Refused::Full(mut batch)) = sink.try_send(batch) else {
            panic!("there is room for one batch only")
        };
        batch.push(line("two", source));
        drop(receiver.recv());
        sink.send(batch, &FakeClock::default()).unwrap();
        assert_eq!(texts(&receiver.recv().unwrap()), ["<one>", "<two>"]);
    }
}
