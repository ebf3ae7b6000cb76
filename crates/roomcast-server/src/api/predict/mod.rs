//! `GET /predict`: the next 24 hours.

pub mod body;
pub mod compact;

use std::io::Write as _;
use std::sync::Arc;

use actix_web::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HeaderValue, VARY};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, web};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::http::auth::ReadAccess;
use crate::http::etag;
use crate::http::query::Query;
use crate::problem::{Problem, ProblemBody};
use crate::state::answer::Forecast;
use crate::state::cache::{Answer, Form, Key};
use crate::state::site::Site;
use crate::state::snapshot::{Snapshot, unknown};
use roomcast_forecast::calendar::Timestamp;

/// Size below which answers are not compressed.
const WORTH_GZIP: usize = 1024;

/// The next 24 hours of all devices, or of those named
///
/// `at` is any instant the history reaches; nothing at or after it is looked at. Without it the forecast is made at
/// the present (rounded up to five minutes, but not into the next hour) while readings come in, and at the end of the hour of the last reading
/// when that is more than 48 hours ago (in a store, 30 days).
#[utoipa::path(
    get,
    path = "/predict",
    operation_id = "predict",
    tag = "forecasts",
    params(
        ("device" = Option<Vec<String>>, Query, description = "Only this device (repeatable, at most 1,000)", style = Form, explode),
        ("at" = Option<String>, Query, description = "The instant the forecast is made at: local time `YYYY-MM-DD HH:MM:SS`, or RFC 3339", example = "2016-08-24 23:59:59"),
        ("format" = Option<String>, Query, description = "`json` or `csv`; goes before Accept", pattern = "^(json|csv)$"),
    ),
    responses(
        (status = 200, description = "The forecast", content(
            (Forecast = "application/json"),
            (String = "text/csv", example = "time,device,activation_predicted,probability\n2016-09-01 00:00:00,device_1,0,0.004179\n"),
        )),
        (status = 304, description = "The answer is the one that `If-None-Match` names"),
        (status = "4XX", description = "What is wrong with the request", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "The server is not ready, or at fault", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(("bearer" = []), ("query" = [])),
)]
pub async fn get(_: ReadAccess, request: HttpRequest, site: Data<Site>) -> Result<HttpResponse, Problem> {
    let query = Query::parse(request.query_string(), &["device", "at", "format"])?;
    let form = form(&request, &query)?;
    let snapshot = site.snapshot()?;
    let (origin, devices) = asked(&query, &site, &snapshot)?;
    let media = match form {
        Form::Csv => "text/csv; charset=utf-8",
        _ => "application/json",
    };
    let key = Key { origin, form, devices };
    let answer = cached(&site, snapshot, key, |site, snapshot, key| {
        let forecasts = snapshot.forecasts(key.origin, &key.devices, &site.calendar, &site.metrics)?;
        forecasts.render(key.form == Form::Csv, &site.calendar)
    })
    .await?;
    send(&request, answer, media).await
}

/// Returns the form named by `?format=`, else by `Accept`.
fn form(request: &HttpRequest, query: &Query) -> Result<Form, Problem> {
    match query.get("format") {
        Some("json") => Ok(Form::Json),
        Some("csv") => Ok(Form::Csv),
        Some(other) => Err(Problem::parameter("format", format!("expected json or csv, found {other:?}"))),
        None if prefers(request, "text/csv", "application/json") => Ok(Form::Csv),
        None => Ok(Form::Json),
    }
}

/// Returns whether `Accept` gives `this` a higher weight than `that`.
pub fn prefers(request: &HttpRequest, this: &str, that: &str) -> bool {
    let Some(accept) = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()) else { return false };
    weight(accept, this) > weight(accept, that)
}

/// Returns the weight `Accept` gives a media type, by the most specific range that holds it.
fn weight(accept: &str, media: &str) -> f32 {
    let (family, _) = media.split_once('/').unwrap_or((media, ""));
    let mut best = (0, 0.0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let specific = match name.split_once('/') {
            _ if name == media => 3,
            Some((own, "*")) if own == family => 2,
            Some(("*", "*")) => 1,
            _ => continue,
        };
        let q = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
        if specific > best.0 {
            best = (specific, q);
        }
    }
    best.1
}

/// Returns the origin and the positions of the devices a query asks for; no positions for all.
///
/// # Errors
/// Returns a `Problem` for an unknown device, or an instant that cannot be read or is out of reach.
pub fn asked(query: &Query, site: &Site, snapshot: &Snapshot) -> Result<(Timestamp, Vec<u32>), Problem> {
    let history = &snapshot.history;
    let origin = match query.time("at", &site.calendar)? {
        Some(at) => {
            history.check_origin(at, &site.calendar)?;
            at
        }
        None => history.present(&site.calendar),
    };
    let mut devices = Vec::new();
    for name in query.devices() {
        let (at, device) = history.device(name)?;
        if device.times.first().is_none_or(|&first| first >= origin) {
            let names = history.readings.devices.iter().filter(|d| d.times.first().is_some_and(|&t| t < origin));
            let mut problem = unknown(name, names.map(|d| d.device.as_str()));
            problem.detail = format!("{} before {}", problem.detail, site.calendar.format(origin));
            return Err(problem);
        }
        devices.push(at as u32);
    }
    devices.sort_unstable();
    devices.dedup();
    Ok((origin, devices))
}

/// Returns an answer from the cache, or renders it by `make` on a thread of its own.
///
/// # Errors
/// Returns the error of `make`.
pub async fn cached(
    site: &Data<Site>,
    snapshot: Arc<Snapshot>,
    key: Key,
    make: impl FnOnce(&Site, &Snapshot, &Key) -> Result<Vec<u8>, Problem> + Send + 'static,
) -> Result<Arc<Answer>, Problem> {
    if let Some(answer) = snapshot.answers.get(&key) {
        site.metrics.cache_hits.add(1);
        return Ok(answer);
    }
    let site = site.clone();
    work(move || {
        let _rendering = snapshot.answers.lock_rendering();
        // Another request may have rendered it while this one waited.
        if let Some(answer) = snapshot.answers.get(&key) {
            site.metrics.cache_hits.add(1);
            return Ok(answer);
        }
        site.metrics.cache_misses.add(1);
        let body = make(&site, &snapshot, &key)?;
        let tag = etag::of(&body);
        Ok(snapshot.answers.put(key, body, tag))
    })
    .await
}

/// Runs slow work away from the threads that serve connections.
///
/// # Errors
/// Returns the error of `job`, or a `Problem` when it panics.
pub async fn work<T: Send + 'static>(job: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    web::block(job).await.map_err(Problem::internal)?
}

/// Sends an answer, compressed for clients that accept it: once per answer, not once per request. A client that holds
/// it gets 304.
///
/// # Errors
/// Returns a `Problem` when compression fails, which it does not in memory.
pub async fn send(request: &HttpRequest, answer: Arc<Answer>, media: &'static str) -> Result<HttpResponse, Problem> {
    let mut response =
        if etag::is_held(request, &answer.tag) { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((ETAG, answer.tag.to_string()))
        .insert_header((VARY, HeaderValue::from_static("Accept, Accept-Encoding")));
    if etag::is_held(request, &answer.tag) {
        return Ok(response.finish());
    }
    response.content_type(media);
    if answer.body.len() < WORTH_GZIP || !wants_gzip(request) {
        return Ok(response.body(answer.body.clone()));
    }
    let packed = match answer.gzip.get() {
        Some(packed) => packed.clone(),
        None => {
            let answer = answer.clone();
            work(move || {
                let packed = gzip(&answer.body, answer.level).map_err(Problem::internal)?;
                Ok(answer.gzip.get_or_init(|| packed).clone())
            })
            .await?
        }
    };
    Ok(response.insert_header((CONTENT_ENCODING, HeaderValue::from_static("gzip"))).body(packed))
}

/// Returns whether the client accepts gzip.
pub fn wants_gzip(request: &HttpRequest) -> bool {
    let accept = request.headers().get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| {
        accept.split(',').any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            name.trim() == "gzip" && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
        })
    })
}

/// Compresses bytes.
///
/// # Errors
/// Returns an I/O error when compression fails, which it does not in memory.
pub fn gzip(bytes: &[u8], level: Compression) -> std::io::Result<Bytes> {
    let mut out = GzEncoder::new(Vec::with_capacity(bytes.len() / 8), level);
    out.write_all(bytes)?;
    Ok(out.finish()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_range_decides() {
        let json = |accept| weight(accept, "application/json");
        let csv = |accept| weight(accept, "text/csv");
        assert!(csv("text/csv") > json("text/csv"));
        assert!(csv("text/*;q=0.5, application/json") < json("text/*;q=0.5, application/json"));
        assert!(csv("*/*, text/csv;q=0") < json("*/*, text/csv;q=0"));
        assert_eq!((csv("*/*"), json("*/*"), csv("")), (1.0, 1.0, 0.0));
    }
}
