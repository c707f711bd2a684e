//! Patience with callers that say nothing.
//!
//! Which version of HTTP a caller speaks is found out from its first bytes, and only then does a
//! timer of that version run. Until then this one does, or anybody could keep connections open by
//! connecting and falling silent.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// As many bytes tell the versions of HTTP apart: the greeting of the second is that long.
const ENOUGH: usize = 24;

/// A connection whose first bytes must come in time.
pub(crate) struct Greeted<S> {
    inner: S,
    /// `None` once they came.
    deadline: Option<Pin<Box<Sleep>>>,
    n_read: usize,
}

impl<S> Greeted<S> {
    pub(crate) fn new(inner: S, within: Duration) -> Self {
        Self { inner, deadline: Some(Box::pin(sleep(within))), n_read: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut this.inner).poll_read(context, buffer) {
            this.n_read = this.n_read.saturating_add(buffer.filled().len().saturating_sub(before));
            if this.n_read >= ENOUGH {
                this.deadline = None;
            }
            return Poll::Ready(result);
        }
        let Some(deadline) = &mut this.deadline else { return Poll::Pending };
        ready!(deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
