//! `GET /predict`: the next 24 hours, or up to seven days.

pub mod body;
pub mod compact;

use std::io::Write as _;
use std::sync::Arc;

use actix_web::http::header::{
    Accept, AcceptEncoding, CONTENT_ENCODING, ETAG, Encoding, Header, HeaderValue, Preference, Quality, VARY,
};
use actix_web::mime::{self, Mime};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, web};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::access::auth::ReadAccess;
use crate::http::etag;
use crate::http::query::{self, Query};
use crate::problem::{Problem, Reply};
use crate::state::answer::Forecast;
use crate::state::cache::{Answer, Form, Key};
use crate::state::site::Site;
use crate::state::snapshot::{Snapshot, unknown};
use roomcast_forecast::calendar::Timestamp;
use roomcast_forecast::forecast::write;
use roomcast_forecast::rooms::Level;

/// Size below which answers are not compressed.
const MIN_GZIP_BYTES: usize = 1024;

/// Parameters of `GET /predict`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PredictQuery {
    /// Restricts the answer to this device; repeatable, at most 1,000 times
    #[serde(default)]
    #[param(style = Form, explode, value_type = Option<Vec<String>>)]
    device: Vec<String>,
    /// The instant the forecast is made at: local time `YYYY-MM-DD HH:MM:SS`, or RFC 3339
    at: Option<String>,
    /// Days of 24 hours to forecast; default: 1
    #[param(value_type = Option<usize>, minimum = 1, maximum = 7)]
    days: Option<String>,
    /// Level of the forecast: each `room` (default), or anyone on each `floor` or in each `building` of the table of rooms
    #[param(pattern = "^(room|floor|building)$")]
    level: Option<String>,
    /// `json` or `csv`; takes precedence over `Accept`
    #[param(pattern = "^(json|csv)$")]
    format: Option<String>,
}

/// The next 24 hours of all devices, or of the named ones; or up to seven days
///
/// `at` is any instant that the history covers. The forecast uses no reading at or after it. Without `at` the forecast is
/// made at the present time, rounded up to five minutes but not into the next hour. If the last reading is more than 48
/// hours old (30 days in a store), the forecast is made at the end of the hour of that reading. A floor is at least as
/// likely to be occupied as each of its rooms, and a building as each of its floors.
#[utoipa::path(
    get, path = "/predict", operation_id = "predict", tag = "forecasts",
    params(PredictQuery),
    responses(
        (status = 200, description = "The forecast", content(
            (Forecast = "application/json"),
            (String = "text/csv", example = "time,device,activation_predicted,probability\n2016-09-01 00:00:00,device_1,0,0.004179\n"),
        )),
        (status = 304, description = "The answer is unchanged: `If-None-Match` holds its `ETag`"),
    ),
)]
pub async fn get(_: ReadAccess, Query(query): Query<PredictQuery>, request: HttpRequest, site: Data<Site>) -> Reply {
    let form = form(&request, query.format.as_deref())?;
    let (level, rooms, snapshot) = at_level(query.level.as_deref(), &site).await?;
    let (origin, devices) = resolve(query.at.as_deref(), &query.device, &site, &snapshot)?;
    let media = match form {
        Form::Csv => "text/csv; charset=utf-8",
        _ => "application/json",
    };
    let key = Key { origin, form, days: query::days(query.days.as_deref())?, devices };
    let answer = cached(&site, snapshot, key, move |site, snapshot, key| {
        let (calendar, as_csv) = (&site.calendar, key.form == Form::Csv);
        if level == Level::Room && key.days == 1 {
            return snapshot.forecasts(key.origin, &key.devices, calendar, &site.metrics)?.render(as_csv, calendar);
        }
        let (grid, made) = rooms.of_level(level, (key.origin, key.days), &key.devices, calendar, &site.metrics)?;
        if as_csv { Ok(write::csv(&made, calendar, true)) } else { grid.render(&made, calendar) }
    })
    .await?;
    send(&request, answer, media).await
}

/// Returns the level that a query names, and data and models of the rooms and of that level.
///
/// # Errors
/// Returns a `Problem` for a level that the table of rooms does not have.
pub(crate) async fn at_level(
    level: Option<&str>,
    site: &Data<Site>,
) -> Result<(Level, Arc<Snapshot>, Arc<Snapshot>), Problem> {
    let (level, rooms) = (query::level(level)?, site.snapshot()?);
    rooms.history.check_level(level)?;
    if level == Level::Room {
        return Ok((level, rooms.clone(), rooms));
    }
    let (site, below) = (site.clone(), rooms.clone());
    let above = work(move || Ok(below.at(level, &site.calendar))).await?;
    Ok((level, rooms, above))
}

/// Returns the form named by `?format=`, else by `Accept`.
fn form(request: &HttpRequest, format: Option<&str>) -> Result<Form, Problem> {
    match format {
        Some("json") => Ok(Form::Json),
        Some("csv") => Ok(Form::Csv),
        Some(other) => Err(Problem::parameter("format", format!("expected json or csv, found {other:?}"))),
        None if prefers(request, "text/csv") => Ok(Form::Csv),
        None => Ok(Form::Json),
    }
}

/// Returns whether CSV is wanted rather than JSON, by `?format=`, else by `Accept`.
///
/// # Errors
/// Returns a `Problem` for another format.
pub fn prefers_csv(request: &HttpRequest, format: Option<&str>) -> Result<bool, Problem> {
    Ok(form(request, format)? == Form::Csv)
}

/// Returns whether `Accept` gives a media type a higher weight than JSON.
pub fn prefers(request: &HttpRequest, media: &str) -> bool {
    Accept::parse(request).is_ok_and(|accept| weight(&accept, media) > weight(&accept, "application/json"))
}

/// Returns the weight `Accept` gives a media type, by the most specific range that holds it.
fn weight(accept: &Accept, media: &str) -> Quality {
    let family = media.split('/').next().unwrap_or_default();
    let specificity = |range: &Mime| match (range.type_(), range.subtype()) {
        _ if range.essence_str() == media => Some(3),
        (own, mime::STAR) if own == family => Some(2),
        (mime::STAR, mime::STAR) => Some(1),
        _ => None,
    };
    let ranges = accept.iter().filter_map(|range| Some((specificity(&range.item)?, range.quality)));
    ranges.max().map_or(Quality::ZERO, |(_, quality)| quality)
}

/// Returns the origin of a forecast at `at`, and the positions of the named devices; no positions for all.
///
/// # Errors
/// Returns a `Problem` for an unknown device, and for an instant that is invalid or out of range.
pub(crate) fn resolve(
    at: Option<&str>,
    names: &[String],
    site: &Site,
    snapshot: &Snapshot,
) -> Result<(Timestamp, Vec<u32>), Problem> {
    let history = &snapshot.history;
    let origin = match query::time("at", at, &site.calendar)? {
        Some(at) => {
            history.check_origin(at, &site.calendar)?;
            at
        }
        None => history.present(&site.calendar),
    };
    let mut devices = Vec::new();
    for name in names {
        let (at, device) = history.device(name)?;
        if device.times.first().is_none_or(|first| first >= origin) {
            let names = history.readings.devices.iter().filter(|d| d.times.first().is_some_and(|t| t < origin));
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

/// Returns an answer from the cache, or renders it by `make` on a blocking thread.
///
/// # Errors
/// Returns the error of `make`.
pub(crate) async fn cached(
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
        let _rendering = snapshot.answers.lock_rendering(&key);
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

/// Sends an answer. Compresses it for clients that accept that, once per answer rather than once per request. Sends 304
/// to a client that has the answer.
///
/// # Errors
/// Returns a `Problem` when compression fails, which it does not in memory.
pub async fn send(request: &HttpRequest, answer: Arc<Answer>, media: &'static str) -> Reply {
    let mut response =
        if etag::matches(request, &answer.tag) { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((ETAG, answer.tag.to_string()))
        .insert_header((VARY, HeaderValue::from_static("Accept, Accept-Encoding")));
    if etag::matches(request, &answer.tag) {
        return Ok(response.finish());
    }
    response.content_type(media);
    if answer.body.len() < MIN_GZIP_BYTES || !wants_gzip(request) {
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
pub(crate) fn wants_gzip(request: &HttpRequest) -> bool {
    let gzip = Preference::Specific(Encoding::gzip());
    let accepts = |accept: AcceptEncoding| accept.iter().any(|item| item.item == gzip && item.quality > Quality::ZERO);
    AcceptEncoding::parse(request).is_ok_and(accepts)
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
    use actix_web::http::header::ACCEPT;
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_most_specific_range_decides() {
        let prefers_csv = |accept: &str| {
            let request = TestRequest::default().insert_header((ACCEPT, accept)).to_http_request();
            prefers(&request, "text/csv")
        };
        for accept in ["text/csv", "text/csv;header=present, */*;q=0.5", "Text/CSV", "text/*, application/json;q=0.9"] {
            assert!(prefers_csv(accept), "{accept}");
        }
        for accept in ["text/*;q=0.5, application/json", "*/*, text/csv;q=0", "*/*", "", "text", "application/json"] {
            assert!(!prefers_csv(accept), "{accept}");
        }
    }
}
