//! `GET /explain`: the contributions to the probability of one hour.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::predict::{asked, work};
use crate::http::auth::ReadAccess;
use crate::http::query::Query;
use crate::problem::{Code, Problem, ProblemBody};
use crate::state::site::Site;
use crate::state::snapshot::unknown;
use roomcast_forecast::forecast;
use roomcast_forecast::hourly::HORIZON;

/// What drove the probability of an hour.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExplanationAnswer {
    /// The device's name.
    device: String,
    /// When the hour begins.
    hour: String,
    /// The probability of the forecast.
    probability: f64,
    /// Its log-odds before silence is taken into account: the base and all contributions added up.
    score: f64,
    /// Log-odds that no feature accounts for.
    base: f64,
    /// What the probability was multiplied by because the sensor is silent; 1 for others.
    silent_share: f64,
    /// Every feature, by falling size of what it contributed.
    contributions: Vec<ContributionAnswer>,
}

/// What one feature added to the log-odds.
#[derive(Debug, Serialize, ToSchema)]
pub struct ContributionAnswer {
    /// Name of the feature.
    feature: &'static str,
    /// Its value; null when not known.
    value: Option<f32>,
    /// Its part of the log-odds.
    contribution: f64,
}

/// What drove the probability of one hour of a forecast
#[utoipa::path(
    get, path = "/explain", operation_id = "explain", tag = "forecasts",
    params(
        ("device" = String, Query, description = "The device"),
        ("hour" = String, Query, description = "The hour, one of the 24 after `at`", example = "2016-08-25 10:00:00"),
        ("at" = Option<String>, Query, description = "The instant the forecast is made at", example = "2016-08-24 23:59:59"),
    ),
    responses(
        (status = 200, description = "What each feature contributed", body = ExplanationAnswer),
        (status = "4XX", description = "What is wrong with the request", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "The server is not ready, or at fault", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(("bearer" = []), ("query" = [])),
)]
pub async fn get(_: ReadAccess, request: HttpRequest, site: Data<Site>) -> Result<HttpResponse, Problem> {
    let query = Query::parse(request.query_string(), &["device", "at", "hour"])?;
    let name = query.require("device")?.to_owned();
    if query.devices().nth(1).is_some() {
        return Err(Problem::parameter("device", "is given twice"));
    }
    query.require("hour")?;
    let calendar = &site.calendar;
    let hour = query.time("hour", calendar)?.map_or(0, |instant| calendar.hour(instant));
    let snapshot = site.snapshot()?;
    let (origin, _) = asked(&query, &site, &snapshot)?;
    let first = calendar.next_hour(origin);
    if !(first..first + HORIZON as i32).contains(&hour) {
        let problem = Problem::new(Code::OutOfRange, "the hour is not among the 24 of the forecast");
        return Err(problem.hint(format!("its first hour is {}", calendar.format(calendar.start(first)))));
    }
    let answer = work(move || {
        let grid = snapshot.grid(origin, &site.calendar);
        let Some(at) = grid.hourly.position(&name) else { return Err(unknown(&name, std::iter::empty())) };
        let layers = grid.loaded.models.layers(&name);
        let found = forecast::explain_with(&grid.hourly, &grid.rates, at, layers, hour);
        let found = found.map_err(Problem::internal)?;
        let contribution = |part: &forecast::Contribution| ContributionAnswer {
            feature: part.feature,
            value: (!part.value.is_nan()).then_some(part.value),
            contribution: part.contribution,
        };
        Ok(ExplanationAnswer {
            device: name,
            hour: site.calendar.rfc3339(site.calendar.start(found.hour)),
            probability: found.probability,
            score: found.score,
            base: found.base,
            silent_share: found.silent_share,
            contributions: found.contributions.iter().map(contribution).collect(),
        })
    })
    .await?;
    Ok(HttpResponse::Ok().json(answer))
}
