//! The request of a connection that is being answered, so that the connection hands on the next only after it.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_core::Stream;

/// Bytes of an answer that are handed on at a time. These bytes are copied.
const MAX_PIECE_BYTES: usize = 64 << 10;

/// The state of the request being answered. Once its body is complete, the next request waits for the answer.
#[derive(Default)]
pub struct Answering {
    /// The number of the request that is being answered; 0 for none.
    request: Cell<u64>,
    /// Number of requests so far.
    requests: Cell<u64>,
    /// Bytes of its body that have not arrived, if its length was announced.
    pub(crate) missing: Cell<Option<u64>>,
    is_complete: Cell<bool>,
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
        self.is_complete.set(!has_body || length == Some(0));
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

    fn complete(&self, number: u64) {
        if self.request.get() == number {
            self.is_complete.set(true);
        }
    }

    fn end(&self, number: u64) {
        if self.request.get() == number {
            self.request.set(0);
            self.missing.set(None);
            self.is_complete.set(false);
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
        }
    }

    /// Records that `bytes` more bytes of the body have arrived.
    pub(crate) fn record_arrival(&self, bytes: usize) {
        if let Some(missing) = self.missing.get() {
            let missing = missing.saturating_sub(bytes as u64);
            self.missing.set(Some(missing));
            if missing == 0 {
                self.is_complete.set(true);
            }
        }
    }

    /// Returns whether the next request has to wait. If so, the task is woken when the wait is over.
    pub(crate) fn holds(&self, context: &Context<'_>) -> bool {
        let holds = self.is_complete.get();
        if holds {
            self.reader.set(Some(context.waker().clone()));
        }
        holds
    }
}

type BoxedPayload = Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>;

/// The body of a request, which reports when it is complete.
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
            self.answering.complete(self.number);
        }
        next
    }
}

impl Drop for Body {
    /// Marks the body as whole: nothing reads the rest of it while the request is answered.
    fn drop(&mut self) {
        self.answering.complete(self.number);
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

/// The body of an answer in pieces of at most [`MAX_PIECE_BYTES`] bytes.
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
        let length = self.ready.len().min(MAX_PIECE_BYTES);
        Poll::Ready(Some(Ok(self.ready.split_to(length))))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn answers_are_handed_on_in_pieces() {
        let answering = Rc::new(Answering::default());
        let (_, answer) = answering.start(Payload::None, None);
        let mut body = answer.body(BoxBody::new(vec![7_u8; 3 * MAX_PIECE_BYTES + 1]));
        assert_eq!(body.size(), BodySize::Sized(3 * MAX_PIECE_BYTES as u64 + 1));
        let mut lengths = Vec::new();
        while let Some(piece) = poll_fn(|context| Pin::new(&mut body).poll_next(context)).await {
            lengths.push(piece.unwrap().len());
        }
        assert_eq!(lengths, [MAX_PIECE_BYTES, MAX_PIECE_BYTES, MAX_PIECE_BYTES, 1]);
        assert!(answering.is_complete.get());
        drop(body);
        assert!(!answering.is_complete.get());
    }
}
