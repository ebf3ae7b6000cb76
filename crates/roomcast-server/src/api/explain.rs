//! `GET /explain`: the contributions to the probability of one hour.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::predict::{resolve, work};
use crate::http::access::auth::ReadAccess;
use crate::http::query::{self, Query};
use crate::problem::{Code, Problem, Reply};
use crate::state::site::Site;
use crate::state::snapshot::unknown;
use roomcast_forecast::forecast::{self, write};
use roomcast_forecast::hourly::HORIZON;

/// The contributions to the probability of one hour.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExplanationAnswer {
    /// The device's name.
    device: String,
    /// Start of the hour.
    hour: String,
    /// The probability of the forecast.
    probability: f64,
    /// Log-odds before the silence of the sensor is taken into account: `base` plus all contributions.
    score: f64,
    /// Part of the log-odds that no feature contributes.
    base: f64,
    /// Factor applied to the probability because the sensor is silent; 1 for other sensors.
    silent_share: f64,
    /// Contributions of all features, the largest first.
    contributions: Vec<ContributionAnswer>,
}

/// The contribution of one feature.
#[derive(Debug, Serialize, ToSchema)]
pub struct ContributionAnswer {
    /// Name of the feature.
    feature: &'static str,
    /// Value of the feature; null if unknown.
    value: Option<f32>,
    /// Part of the log-odds that the feature contributes.
    contribution: f64,
}

/// Parameters of `GET /explain`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExplainQuery {
    /// The device
    device: String,
    /// The hour, one of the 24 of the forecast
    #[param(example = "2016-08-25 10:00:00")]
    hour: String,
    /// The instant the forecast is made at; default: as in `GET /predict`
    at: Option<String>,
}

/// Contributions of the features to the probability of one hour
#[utoipa::path(
    get, path = "/explain", operation_id = "explain", tag = "forecasts",
    params(ExplainQuery),
    responses(
        (status = 200, description = "The contribution of each feature", body = ExplanationAnswer),
    ),
)]
pub async fn get(_: ReadAccess, Query(query): Query<ExplainQuery>, site: Data<Site>) -> Reply {
    let (name, calendar) = (query.device, &site.calendar);
    let hour = query::time("hour", Some(&query.hour), calendar)?.map_or(0, |time| calendar.hour(time));
    let snapshot = site.snapshot()?;
    let (origin, _) = resolve(query.at.as_deref(), std::slice::from_ref(&name), &site, &snapshot)?;
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
            probability: write::rounded(found.probability),
            score: found.score,
            base: found.base,
            silent_share: found.silent_share,
            contributions: found.contributions.iter().map(contribution).collect(),
        })
    })
    .await?;
    Ok(HttpResponse::Ok().json(answer))
}
