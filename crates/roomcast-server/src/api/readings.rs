//! `POST /readings`: readings of the sensors, stored before they are acknowledged.

use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::predict::work;
use crate::api::predict::body::{self, MAX_BYTES};
use crate::http::access::auth::WriteAccess;
use crate::http::decompress::{Encoding, decompress};
use crate::http::query::{NoParameters, Query};
use crate::ingest::Source;
use crate::ingest::payload::rows::{self, Media, Rows, Unreadable};
use crate::ingest::writer::{Failure, Outcome, QueueFull, Reservation};
use crate::problem::{Code, Problem, ProblemBody, RefusedRow, Reply};
use crate::state::live::Live;
use crate::state::site::Site;
use roomcast_storage::readings::{Batch, Refused};

/// Seconds after which to try again: short for a full queue, which empties soon, and longer for an unavailable store.
const QUEUE_RETRY_SECONDS: u64 = 1;
const STORE_RETRY_SECONDS: u64 = 5;

/// Size up to which parsing a body takes a fraction of a millisecond. Handing it to another thread would cost about as
/// much again.
const MAX_INLINE_BYTES: usize = 64 << 10;

/// The outcome for the rows of a body. Every row is counted, and every stored reading is on disk.
#[derive(Debug, Serialize, ToSchema)]
pub struct Stored {
    /// Number of new readings.
    #[schema(minimum = 0)]
    stored: u64,
    /// Number of readings that were already stored.
    #[schema(minimum = 0)]
    duplicates: u64,
    /// Number of rows that report no motion: the end of the motion before, and a sign that the sensor is alive.
    #[schema(minimum = 0)]
    no_motion: u64,
    /// Invalid rows, in order. They are kept in quarantine.
    refused: Vec<RefusedRow>,
}

/// A sensor that detected motion, or reported that there is none.
#[derive(ToSchema)]
#[schema(as = SensorReading)]
#[allow(dead_code, reason = "the schema of a row, which ingest reads without HTTP")]
pub struct Row {
    /// Time of the event: local time `YYYY-MM-DD HH:MM:SS`, or RFC 3339, or a number of seconds or milliseconds since 1970;
    /// at most one day ahead. A server without a time zone takes local times alone.
    #[schema(example = "2016-07-01 05:35:00")]
    time: String,
    /// Name of the device: 1 to 256 bytes without control characters.
    #[schema(example = "device_1", min_length = 1)]
    device: String,
    /// 1 for motion, 0 for none; default: 1. Other accepted values are `true`, `false`, `on`, `off`, `occupied`, `vacant`
    /// and the like; another accepted name is `device_activated`. Fields of other names are ignored; a row without a state in
    /// which one of them may be it (a boolean, a state word, a count or a level) is refused.
    #[schema(minimum = 0, maximum = 1)]
    state: Option<u8>,
    /// The sender's identifier of the event. Events of one day with the same identifier are stored once.
    #[schema(max_length = 128)]
    id: Option<String>,
}

/// Send readings
///
/// The answer is sent after the readings are stored. A reading is a device and a second. It is stored once, however
/// often it is sent, so a client can repeat a request that got no answer. Invalid rows are listed in the answer and
/// kept in quarantine; the other rows are stored. When every row is invalid, the answer is 422. A body has at most 8 MiB (32 MiB decompressed, with
/// `Content-Encoding: gzip` or `zstd`) and 100,000 rows. The token needs the scope `write`.
#[utoipa::path(
    post, path = "/readings", operation_id = "send_readings", tag = "readings",
    request_body(content(
        (Vec<Row> = "application/json"),
        (String = "application/x-ndjson", example = "{\"time\":\"2016-07-01 05:35:00\",\"device\":\"device_1\"}\n"),
        (String = "text/csv", example = "time,device,device_activated\n2016-07-01 05:35:00,device_1,1\n"),
    )),
    responses(
        (status = 200, description = "Every row is stored or listed as invalid", body = Stored),
        (status = 422, description = "Every row is invalid: `refused` lists them, and they are in quarantine", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many readings wait to be stored; retry after `Retry-After` seconds", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The store is unavailable, and nothing was stored; retry after `Retry-After` seconds", body = ProblemBody, content_type = "application/problem+json"),
        (status = "4XX", description = "The request is refused, and nothing was stored", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "The server failed, and nothing was stored", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn post(
    _: WriteAccess,
    _: Query<NoParameters>,
    request: HttpRequest,
    site: Data<Site>,
    body: Payload,
) -> Reply {
    let live = live(&site)?;
    let (media, encoding) = (media(&request)?, Encoding::of(&request)?);
    live.counts.of(Source::Http).received.add(1);
    check_length(&request)?;
    // Room is taken for the bytes that have come, not for those announced: a slow sender would keep others from
    // sending.
    let mut room = live.writer.reserve(0).map_err(|full| queue_full(live, full))?;
    let reserve = |room: &mut Reservation, bytes| {
        room.join(live.writer.reserve(bytes).map_err(|full| queue_full(live, full))?);
        Ok(())
    };
    let body = body::read(body, |bytes| reserve(&mut room, bytes)).await?;
    let is_small = encoding == Encoding::Identity && body.len() <= MAX_INLINE_BYTES;
    let shared = site.clone();
    let read = move || {
        let live = self::live(&shared)?;
        let body = decompress(encoding, body, |bytes| {
            room.join(live.writer.reserve(bytes).map_err(|full| queue_full(live, full))?);
            Ok(())
        })?;
        Ok((rows::read(media, &body, &shared.calendar).map_err(unreadable)?, room))
    };
    let (read, room) = if is_small { read()? } else { work(read).await? };
    let Rows { events, refused: rows } = read;
    let refused = rows.iter().map(|row| Refused {
        source: Source::Http.name().into(),
        payload: row.payload.clone(),
        reason: row.reason.clone(),
    });
    let are_all_refused = events.is_empty() && !rows.is_empty();
    let batch = Batch { events, refused: refused.collect() };
    let tally = if batch.events.is_empty() && batch.refused.is_empty() {
        Outcome::default()
    } else {
        let answer = live.writer.submit(Source::Http, batch, room);
        let answer = answer.map_err(|full| queue_full(live, full))?;
        match answer.await {
            Ok(Ok(tally)) => tally,
            Ok(Err(Failure { message, temporary: false })) => return Err(Problem::internal(message)),
            Ok(Err(_)) | Err(_) => {
                let problem = Problem::new(Code::StoreUnavailable, "the store is unavailable; nothing was stored");
                return Err(problem.hint("send the same again").retry_after(STORE_RETRY_SECONDS));
            }
        }
    };
    let refused: Vec<RefusedRow> =
        rows.into_iter().map(|row| RefusedRow { row: row.row, reason: row.reason }).collect();
    let Outcome { stored, duplicates, no_motion } = tally;
    if let Some(first) = refused.first().filter(|_| are_all_refused) {
        let why = format!("every row was refused, the first because: {}", first.reason);
        let problem = Problem::new(Code::RowsRefused, why).hint("correct the rows; the same rows are refused again");
        return Err(Problem { refused, ..problem });
    }
    Ok(HttpResponse::Ok().json(Stored { stored, duplicates, no_motion, refused }))
}

pub(super) fn live(site: &Site) -> Result<&Live, Problem> {
    site.live.as_ref().ok_or_else(|| {
        Problem::new(Code::NoStore, "the server was started without a store for readings")
            .hint("start it with --store readings.db, or --store postgres://…")
    })
}

fn queue_full(live: &Live, _: QueueFull) -> Problem {
    live.counts.of(Source::Http).turned_away.add(1);
    Problem::new(Code::QueueFull, "the queue of readings that wait to be stored is full")
        .retry_after(QUEUE_RETRY_SECONDS)
}

fn media(request: &HttpRequest) -> Result<Media, Problem> {
    match body::media(request).as_str() {
        "application/json" => Ok(Media::Json),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
            Ok(Media::Ndjson)
        }
        "text/csv" => Ok(Media::Csv),
        other => Err(Problem::new(Code::UnsupportedMediaType, format!("the media type {other:?} is not supported"))
            .hint("send application/json, application/x-ndjson or text/csv")),
    }
}

/// Checks the announced length of the body before any of it is read.
fn check_length(request: &HttpRequest) -> Result<(), Problem> {
    let named = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if named.is_none_or(|length| length <= MAX_BYTES) {
        return Ok(());
    }
    let why = format!("a body has at most {} MiB", MAX_BYTES >> 20);
    Err(Problem::new(Code::BodyTooLarge, why).hint("send fewer rows at a time, or compress them"))
}

fn unreadable(error: Unreadable) -> Problem {
    match error {
        Unreadable::Form(why) => Problem::new(Code::InvalidBody, why),
        Unreadable::TooMany => Problem::new(Code::BodyTooLarge, error.to_string()).hint("send fewer rows at a time"),
    }
}
