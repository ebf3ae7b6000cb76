//! One client's connection, which takes bounded memory whatever the client does.
//!
//! Actix reads as many requests as a client sends ahead and keeps all of them, however slowly the client takes the
//! answers. So a connection gives Actix the bytes of one request, and those of the next only when that was answered
//! ([`Answering`], which the middleware keeps up to date). It knows two things of HTTP: an empty line ends a head, and a
//! named length is that of the body. Other empty lines only make the parts that are read shorter. A connection whose
//! client takes nothing of an answer is closed.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::{Bytes, BytesMut};
use futures_core::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::slots::Slot;

/// Bytes of an answer that are handed on at a time. These bytes are copied.
const PIECE: usize = 64 << 10;

/// The state of the request being answered. While it has come whole and is being answered, the next has to wait.
#[derive(Default)]
pub struct Answering {
    /// The number of the request that is being answered; 0 for none.
    request: Cell<u64>,
    /// Number of requests so far.
    requests: Cell<u64>,
    /// Bytes of its body that have not come, if its length was named.
    missing: Cell<Option<u64>>,
    is_whole: Cell<bool>,
    /// The task that waits to read the next request.
    reader: Cell<Option<Waker>>,
}

impl Answering {
    /// Starts a request with a body of this length, if it names one. A request without a body is whole at once. The
    /// payload of any other request reports when it is whole.
    pub fn start(self: &Rc<Self>, payload: Payload, length: Option<u64>) -> (Payload, Answer) {
        let number = self.requests.get() + 1;
        let has_body = !matches!(payload, Payload::None);
        self.requests.set(number);
        self.request.set(number);
        self.missing.set(length.filter(|_| has_body));
        self.is_whole.set(!has_body || length == Some(0));
        let answer = Answer { answering: self.clone(), number };
        let payload = match payload {
            Payload::None => Payload::None,
            payload => {
                let body: BoxedPayload = Box::pin(Body { payload, answering: self.clone(), number });
                Payload::Stream { payload: body }
            }
        };
        (payload, answer)
    }

    fn whole(&self, number: u64) {
        if self.request.get() == number {
            self.is_whole.set(true);
        }
    }

    fn end(&self, number: u64) {
        if self.request.get() == number {
            self.request.set(0);
            self.missing.set(None);
            self.is_whole.set(false);
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
        }
    }

    /// Records that so many more bytes of the body have come.
    fn came(&self, bytes: usize) {
        if let Some(missing) = self.missing.get() {
            let missing = missing.saturating_sub(bytes as u64);
            self.missing.set(Some(missing));
            if missing == 0 {
                self.is_whole.set(true);
            }
        }
    }

    /// Returns whether the next request has to wait. If so, the task is woken when the wait is over.
    fn holds(&self, context: &Context<'_>) -> bool {
        let holds = self.is_whole.get();
        if holds {
            self.reader.set(Some(context.waker().clone()));
        }
        holds
    }
}

type BoxedPayload = Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>;

/// The body of a request, which reports when it has come whole.
struct Body {
    payload: Payload,
    answering: Rc<Answering>,
    number: u64,
}

impl Stream for Body {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = Pin::new(&mut self.payload).poll_next(context);
        if !matches!(next, Poll::Pending | Poll::Ready(Some(Ok(_)))) {
            self.answering.whole(self.number);
        }
        next
    }
}

impl Drop for Body {
    /// Marks the body as whole: nothing reads the rest of it while the request is answered.
    fn drop(&mut self) {
        self.answering.whole(self.number);
    }
}

/// The answer to a request; dropping it ends the answer.
pub struct Answer {
    answering: Rc<Answering>,
    number: u64,
}

impl Answer {
    /// Returns the same body in pieces. The answer ends with the last of them.
    pub fn body(self, body: BoxBody) -> BoxBody {
        BoxBody::new(Pieces { body, ready: Bytes::new(), _answer: self })
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.answering.end(self.number);
    }
}

/// The body of an answer in pieces of at most [`PIECE`] bytes.
struct Pieces {
    body: BoxBody,
    /// The rest of the chunk that was read last.
    ready: Bytes,
    _answer: Answer,
}

impl MessageBody for Pieces {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.ready.is_empty() {
            match Pin::new(&mut self.body).poll_next(context) {
                Poll::Ready(Some(Ok(bytes))) => self.ready = bytes,
                other => return other,
            }
        }
        let length = self.ready.len().min(PIECE);
        Poll::Ready(Some(Ok(self.ready.split_to(length))))
    }
}

/// A connection.
pub struct Connection<T> {
    inner: T,
    answering: Rc<Answering>,
    /// Bytes that were read after the end of a request.
    rest: BytesMut,
    /// True when the bytes handed on end with a complete line.
    is_line_over: bool,
    /// True when the requests handed on must be looked at before the rest is handed on.
    pauses: bool,
    /// Longest time in which the client may take nothing of what it is sent.
    patience: Duration,
    /// A timer that runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    _slot: Option<Slot>,
}

impl<T> Connection<T> {
    /// Returns a connection over `inner`.
    pub fn new(inner: T, patience: Duration, slot: Option<Slot>) -> Connection<T> {
        let (answering, rest, stalled) = (Rc::default(), BytesMut::new(), None);
        Connection { inner, answering, rest, is_line_over: false, pauses: false, patience, stalled, _slot: slot }
    }

    /// Returns the state that keeps its requests apart.
    pub fn answering(&self) -> Rc<Answering> {
        self.answering.clone()
    }

    /// Passes on the outcome of a write, or an error when there was none for too long.
    fn timed<R>(&mut self, written: Poll<io::Result<R>>, context: &mut Context<'_>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        match self.stalled.get_or_insert_with(|| Box::pin(sleep(patience))).as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Returns the number of these bytes to hand on before the next look: the rest of a body, or all up to the end of an
/// empty line.
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
            answering.came(end);
            this.rest.extend_from_slice(&read[end..]);
            to.set_filled(before + end);
        } else {
            let most = this.rest.len().min(to.remaining());
            let end = part(&this.rest[..most], answering, &mut this.is_line_over);
            answering.came(end);
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

    use super::*;

    /// Gives all bytes each time it is asked, and takes none.
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

    /// Returns what a reader gets before it is told that there is nothing more.
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

    #[test]
    fn answers_are_handed_on_in_pieces() {
        let answering = Rc::new(Answering::default());
        let (_, answer) = answering.start(Payload::None, None);
        let mut body = answer.body(BoxBody::new(vec![7_u8; 3 * PIECE + 1]));
        assert_eq!(body.size(), BodySize::Sized(3 * PIECE as u64 + 1));
        let mut lengths = Vec::new();
        run(async {
            while let Some(piece) = poll_fn(|context| Pin::new(&mut body).poll_next(context)).await {
                lengths.push(piece.unwrap().len());
            }
        });
        assert_eq!(lengths, [PIECE, PIECE, PIECE, 1]);
        assert!(answering.is_whole.get());
        drop(body);
        assert!(!answering.is_whole.get());
    }
}
