//! One client's connection, which takes bounded memory whatever the client does.
//!
//! Actix reads as many requests as a client sends ahead and keeps all of them, however slowly the client reads the
//! answers. A connection therefore passes Actix the bytes of one request, and those of the next only after its answer
//! ([`Answering`], which the middleware keeps up to date). It uses two facts of HTTP: an empty line ends a head, and a
//! named length is that of the body. Other empty lines only make the parts that are read shorter. A connection whose
//! client reads nothing of an answer is closed.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::web::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::slots::Slot;
use crate::http::answering::Answering;

/// A connection.
pub struct Connection<T> {
    inner: T,
    answering: Rc<Answering>,
    /// Bytes that were read after the end of a request.
    rest: BytesMut,
    /// True when the bytes handed on end with a complete line.
    is_line_over: bool,
    /// True when the requests passed on must be examined before the rest is passed on.
    pauses: bool,
    /// Longest time in which the client may read nothing of an answer.
    stall_timeout: Duration,
    /// A timer that runs while the client reads nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    _slot: Option<Slot>,
}

impl<T> Connection<T> {
    /// Returns a connection over `inner`.
    pub fn new(inner: T, stall_timeout: Duration, slot: Option<Slot>) -> Connection<T> {
        let (answering, rest, stalled) = (Rc::default(), BytesMut::new(), None);
        Connection { inner, answering, rest, is_line_over: false, pauses: false, stall_timeout, stalled, _slot: slot }
    }

    /// Returns the state that keeps its requests apart.
    pub(crate) fn answering(&self) -> Rc<Answering> {
        self.answering.clone()
    }

    /// Passes on the outcome of a write, or an error when there was none for too long.
    fn timed<R>(&mut self, written: Poll<io::Result<R>>, context: &mut Context<'_>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stall_timeout = self.stall_timeout;
        match self.stalled.get_or_insert_with(|| Box::pin(sleep(stall_timeout))).as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Returns the number of these bytes to pass on before the next examination: the rest of a body, or all up to the end
/// of an empty line.
fn part(bytes: &[u8], answering: &Answering, is_line_over: &mut bool) -> usize {
    if let Some(missing) = answering.missing.get() {
        *is_line_over = false;
        return usize::try_from(missing).map_or(bytes.len(), |missing| missing.min(bytes.len()));
    }
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' if *is_line_over => {
                *is_line_over = false;
                return at + 1;
            }
            b'\n' => *is_line_over = true,
            b'\r' => {}
            _ => *is_line_over = false,
        }
    }
    bytes.len()
}

impl<T: AsyncRead + Unpin> AsyncRead for Connection<T> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let answering = &this.answering;
        if answering.holds(context) {
            this.pauses = false;
            return Poll::Pending;
        }
        if std::mem::take(&mut this.pauses) {
            // The reader goes on until there is nothing more, so it is told that there is nothing, and woken to come
            // again.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if this.rest.is_empty() {
            let before = to.filled().len();
            ready!(Pin::new(&mut this.inner).poll_read(context, to))?;
            let read = &to.filled()[before..];
            let end = part(read, answering, &mut this.is_line_over);
            answering.record_arrival(end);
            this.rest.extend_from_slice(&read[end..]);
            to.set_filled(before + end);
        } else {
            let most = this.rest.len().min(to.remaining());
            let end = part(&this.rest[..most], answering, &mut this.is_line_over);
            answering.record_arrival(end);
            to.put_slice(&this.rest.split_to(end));
        }
        this.pauses = !this.rest.is_empty();
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Connection<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(context, bytes);
        this.timed(written, context)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.inner).poll_flush(context);
        this.timed(flushed, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let closed = Pin::new(&mut this.inner).poll_shutdown(context);
        this.timed(closed, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write_vectored(context, parts);
        this.timed(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use actix_web::dev::Payload;
    use actix_web::web::Bytes;

    use super::*;

    /// A stream that gives the same bytes at every read, and accepts none.
    struct Endless(&'static [u8]);

    impl AsyncRead for Endless {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            to.put_slice(&self.0[..self.0.len().min(to.remaining())]);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Endless {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    fn run<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    /// Returns the bytes that a reader gets before the end of the stream.
    async fn turn(connection: &mut Connection<Endless>) -> Vec<u8> {
        let mut read = Vec::new();
        poll_fn(|context| {
            loop {
                let mut bytes = [0; 8192];
                let mut to = ReadBuf::new(&mut bytes);
                match Pin::new(&mut *connection).poll_read(context, &mut to) {
                    Poll::Ready(outcome) => outcome.unwrap(),
                    Poll::Pending => return Poll::Ready(()),
                }
                read.extend_from_slice(to.filled());
            }
        })
        .await;
        read
    }

    #[test]
    fn the_next_request_waits_for_the_answer_to_the_one_before() {
        run(async {
            let head = b"GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: 0123456789012345678901234567\r\n\r\n";
            let mut connection = Connection::new(Endless(&[*head; 50].concat().leak()[..]), Duration::MAX, None);
            let answering = connection.answering();
            for _ in 0..3 {
                assert_eq!(turn(&mut connection).await, head);
                let (_, answer) = answering.start(Payload::None, None);
                assert_eq!(turn(&mut connection).await, b"");
                drop(answer);
                // An answer that is over does not end the next one.
            }
            // The body of a request is read while the request is answered; the bytes after it are not.
            assert_eq!(turn(&mut connection).await, head);
            let (payload, answer) = answering.start(Payload::from(Bytes::from_static(b"body")), None);
            assert_eq!(turn(&mut connection).await, head);
            let Payload::Stream { mut payload } = payload else { panic!("no body") };
            while poll_fn(|context| payload.as_mut().poll_next(context)).await.is_some() {}
            assert_eq!(turn(&mut connection).await, b"");
            drop(answer);
            assert_eq!(turn(&mut connection).await, head);
            // A body of known length is read to its end, whatever it holds, and no further.
            let (_payload, answer) = answering.start(Payload::from(Bytes::new()), Some(head.len() as u64 + 5));
            assert_eq!(turn(&mut connection).await, [&head[..], b"GET /"].concat());
            assert_eq!(turn(&mut connection).await, b"");
            drop(answer);
            assert_eq!(turn(&mut connection).await, head[5..]);
        });
    }

    #[test]
    fn a_client_that_takes_nothing_is_given_up() {
        run(async {
            let mut connection = Connection::new(Endless(b""), Duration::from_millis(50), None);
            let written = poll_fn(|context| Pin::new(&mut connection).poll_write(context, b"answer")).await;
            assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        });
    }
}
