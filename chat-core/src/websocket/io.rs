//! A connection that knows when something was heard on it, and where frames end.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// Bytes of a frame from which on nothing behind it is read along with it.
pub(super) const LARGE: u64 = 64 << 10;

/// Frames tell of themselves when they are complete; a large one on a slow line is a sign of life long before.
#[derive(Debug)]
pub(super) struct Heard<T> {
    io: T,
    last: Instant,
    /// When the first byte came of what is not complete yet.
    pub(super) unfinished: Option<Instant>,
    boundary: Boundary,
}

impl<T> Heard<T> {
    pub(super) fn new(io: T) -> Self {
        Self { io, last: Instant::now(), unfinished: None, boundary: Boundary::default() }
    }

    /// When a byte came last.
    pub(super) const fn last(&self) -> Instant {
        self.last
    }

    /// Whether what was read so far ends with a frame; so it does after a large one.
    pub(super) const fn is_between_frames(&self) -> bool {
        self.boundary.have == 0 && self.boundary.left == 0
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Heard<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = if self.boundary.is_large { self.boundary.left } else { u64::MAX };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let mut part = buffer.take(most);
        let read = Pin::new(&mut self.io).poll_read(context, &mut part);
        let bytes = part.filled();
        let count = bytes.len();
        if count > 0 {
            self.boundary.pass(bytes);
            self.last = Instant::now();
            let now = self.last;
            self.unfinished.get_or_insert(now);
            // These were just filled, through `part`.
            buffer.initialize_unfilled_to(count);
            buffer.advance(count);
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

/// Follows the frames of a client (RFC 6455, section 5.2) as far as their lengths.
#[derive(Debug, Default)]
struct Boundary {
    /// The head of a frame, as far as it came.
    head: [u8; 10],
    have: usize,
    /// Bytes that are missing of the frame, its mask included.
    left: u64,
    is_large: bool,
}

impl Boundary {
    fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let part = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                bytes = &bytes[part..];
                self.left -= part as u64;
                self.is_large &= self.left > 0;
                continue;
            }
            self.head[self.have] = bytes[0];
            (self.have, bytes) = (self.have + 1, &bytes[1..]);
            if let Some(left) = self.length() {
                (self.have, self.left, self.is_large) = (0, left, left >= LARGE);
            }
        }
    }

    /// The bytes behind the head, once that is complete.
    fn length(&self) -> Option<u64> {
        let head = &self.head[..self.have];
        let (&[_, short], more) = head.split_first_chunk()?;
        let mask = if short & 0x80 == 0 { 0 } else { 4 };
        let payload = match short & 0x7f {
            126 => u64::from(u16::from_be_bytes(*more.first_chunk()?)),
            127 => u64::from_be_bytes(*more.first_chunk()?),
            length => u64::from(length),
        };
        Some(payload.saturating_add(mask))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize) -> Vec<u8> {
        let mut frame = vec![0x81];
        match length {
            0..126 => frame.push(0x80 | u8::try_from(length).unwrap()),
            126..0x1_0000 => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(std::iter::repeat_n(0x7f, 4 + length));
        frame
    }

    #[test]
    fn frames_end_where_they_end() {
        let lengths = [0, 1, 125, 126, 127, 4000, 65_535, 65_536, 100_000, 3];
        for step in [1, 2, 3, 7, 4096, usize::MAX] {
            let mut boundary = Boundary::default();
            for length in lengths {
                let frame = frame(length);
                let (last, all) = frame.split_last().unwrap();
                for part in all.chunks(step.min(frame.len())) {
                    boundary.pass(part);
                }
                assert!(boundary.have > 0 || boundary.left > 0, "{length} by {step}");
                boundary.pass(&[*last]);
                assert_eq!(
                    (boundary.have, boundary.left, boundary.is_large),
                    (0, 0, false),
                    "{length} by {step}"
                );
            }
        }
    }

    #[tokio::test]
    async fn nothing_behind_a_large_frame_is_read_along_with_it() {
        use tokio::io::AsyncReadExt;
        let (large, small) = (frame(200_000), frame(5));
        let mut bytes = [frame(5), large.clone(), small.clone()].concat();
        let whole = bytes.clone();
        bytes.extend_from_slice(&frame(5)[..3]);
        let mut heard = Heard::new(&bytes[..]);
        let (mut buffer, mut read, mut boundaries) = (vec![0; 4096], Vec::new(), Vec::new());
        loop {
            let count = heard.read(&mut buffer).await.unwrap();
            if count == 0 {
                break;
            }
            read.extend_from_slice(&buffer[..count]);
            if heard.is_between_frames() {
                boundaries.push(read.len());
            }
        }
        assert_eq!(read, bytes);
        assert!(boundaries.contains(&(whole.len() - small.len())), "{boundaries:?}");
        assert!(!heard.is_between_frames(), "in the middle of the last one");
    }
}
