//! A connection that notes when something was heard on it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// Frames tell of themselves when they are complete; a large one on a slow line is a sign of life long before.
#[derive(Debug)]
pub(super) struct Heard<T> {
    io: T,
    last: Instant,
    /// When the first byte came of what is not complete yet.
    pub(super) unfinished: Option<Instant>,
}

impl<T> Heard<T> {
    pub(super) fn new(io: T) -> Self {
        Self { io, last: Instant::now(), unfinished: None }
    }

    /// When a byte came last.
    pub(super) const fn last(&self) -> Instant {
        self.last
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Heard<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.last = Instant::now();
            let now = self.last;
            self.unfinished.get_or_insert(now);
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Heard<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
