//! `GET /events`: changes as they happen (server-sent events, as the HTML standard defines them).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpResponse, rt};
use tokio::sync::mpsc::Receiver;

use crate::http::access::auth::ReadAccess;
use crate::http::query::{NoParameters, Query};
use crate::problem::{Code, Problem, Reply};
use crate::state::site::Site;

/// Interval between comments sent while nothing happens. They show proxies and listeners that the connection is alive.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// A body that ends when its sender is dropped.
struct Stream(Receiver<Bytes>);

impl MessageBody for Stream {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(Ok))
    }
}

/// Changes as they happen
///
/// The answer is a stream of server-sent events. `readings` announces that readings were stored: it has the names of at
/// most 100 of their `devices` and the `count` of all of them. `models` announces that another `version` is in use.
/// `alerts` announces that `GET /alerts` has another answer. `GET /predict/compact` returns the forecasts of the named
/// devices. A comment is sent every 15 seconds to keep the connection open.
#[utoipa::path(
    get, path = "/events", operation_id = "events", tag = "forecasts",
    responses(
        (status = 200, description = "A stream that does not end", body = String, content_type = "text/event-stream"),
    ),
)]
pub async fn get(_: ReadAccess, _: Query<NoParameters>, site: Data<Site>) -> Reply {
    if site.serving.is_draining() {
        return Err(Problem::new(Code::NotReady, "the server is about to stop").retry_after(1));
    }
    let (sender, receiver) = site.events.listen()?;
    // The first line is sent at once: it opens the connection for the listener.
    let _ = sender.try_send(Bytes::from_static(b": listening\n\n"));
    let weak = sender.downgrade();
    drop(sender);
    rt::spawn(async move {
        loop {
            rt::time::sleep(KEEP_ALIVE_INTERVAL).await;
            let Some(sender) = weak.upgrade() else { break };
            if sender.try_send(Bytes::from_static(b": alive\n\n")).is_err() {
                break;
            }
        }
    });
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, HeaderValue::from_static("text/event-stream")))
        // Compression would hold events back until a block is full.
        .insert_header((CONTENT_ENCODING, HeaderValue::from_static("identity")));
    Ok(response.body(Stream(receiver)))
}
