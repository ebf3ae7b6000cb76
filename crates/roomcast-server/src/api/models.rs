//! `GET /models` and `POST /models/reload`: the models that forecasts come from.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use chrono::NaiveDate;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::predict::work;
use crate::http::auth::{AdminAccess, ReadAccess};
use crate::http::etag;
use crate::http::query::Query;
use crate::jobs::load;
use crate::problem::{Code, Problem, ProblemBody};
use crate::state::site::Site;
use roomcast_forecast::model::fit;
use roomcast_forecast::scores::calibration::{self, BINS, Bin};

/// Time for which a list of versions counts as present: in a directory every byte of them is verified.
const FRESH: Duration = Duration::from_secs(10);

/// What forecasts come from.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelsAnswer {
    /// The version in use; null where the models in use are not from the registry.
    current: Option<String>,
    /// All versions of the registry, the latest cutoff first: their manifests, or why they cannot be used.
    #[schema(value_type = Vec<Object>)]
    versions: Value,
    /// What the last try to load models or readings, or to retrain, met, if it failed.
    error: Option<String>,
    /// Forecasts for hours of the training data that were held back from fitting, by probability, and how many of them
    /// turned out occupied. They are the last third of the data before `reliability_until`, 4 to 28 days; how strict the
    /// fit was and how many trees it has was chosen on the same hours.
    reliability: Vec<Reliability>,
    /// The end of these hours; null where none were held back.
    reliability_until: Option<String>,
    /// Forecasts made at the beginning of their hour, by models that had not seen it, of `live_reliability_days` days.
    live_reliability: Vec<Reliability>,
    /// How many days these are.
    live_reliability_days: i32,
    /// The last of them; null before the first hour was scored.
    #[schema(example = "2016-08-31")]
    live_reliability_until: Option<String>,
    /// How far a server without trained models has come; null once it has some.
    learning: Option<Learning>,
}

/// What a server waits for before it trains its first models. Until then it answers with the rate of the hour of the week.
#[derive(Debug, Serialize, ToSchema)]
pub struct Learning {
    /// Whole days from the first reading to the last.
    #[schema(minimum = 0)]
    days: i32,
    /// Days from which on models are trained.
    #[schema(minimum = 1)]
    days_needed: i32,
    /// Whether this server has a store, and takes readings by `POST /readings`.
    takes_readings: bool,
}

/// Forecasts of a range of probabilities.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reliability {
    /// Probability from which on they are counted.
    from: f64,
    /// Probability up to which they are.
    to: f64,
    /// The mean probability of these forecasts; null without any, and where it is not kept.
    mean_probability: Option<f64>,
    /// How many there were.
    forecasts: u64,
    /// How many of these hours turned out occupied.
    occupied: u64,
}

/// A reload that worked.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reloaded {
    /// The version in use now.
    current: String,
}

/// The registry's versions, and how reliable the forecasts of the one in use are
#[utoipa::path(
    get, path = "/models", operation_id = "models", tag = "models",
    responses(
        (status = 200, description = "The versions", body = ModelsAnswer),
        (status = 304, description = "The answer is the one that `If-None-Match` names"),
        (status = "4XX", description = "What is wrong with the request", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "The server is not ready, or at fault", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(("bearer" = []), ("query" = [])),
)]
pub async fn list(_: ReadAccess, request: HttpRequest, site: Data<Site>) -> Result<HttpResponse, Problem> {
    Query::parse(request.query_string(), &[])?;
    let snapshot = site.snapshot()?;
    let answer = work(move || {
        let trouble = site.serving.trouble();
        let (versions, away) = versions(&site)?;
        let models = trouble.models.or(away);
        let live = site.scores.lock().reliability();
        let layers = &snapshot.loaded.models.site;
        let judged = !layers.out_of_sample.is_empty();
        let errors: Vec<String> =
            models.into_iter().chain(trouble.readings).chain(trouble.store).chain(trouble.retraining).collect();
        Ok(ModelsAnswer {
            current: snapshot.loaded.manifest.as_ref().map(|manifest| manifest.version.clone()),
            versions,
            error: (!errors.is_empty()).then(|| errors.join("\n")),
            reliability: reliability(&layers.out_of_sample.reliability(BINS)),
            reliability_until: judged.then(|| site.calendar.rfc3339(snapshot.loaded.models.cutoff)),
            live_reliability: reliability(&live.0),
            live_reliability_days: calibration::WINDOW,
            learning: snapshot.loaded.is_baseline().then(|| Learning {
                days: snapshot.history.days(&site.calendar),
                days_needed: fit::FEWEST_DAYS,
                takes_readings: site.live.is_some(),
            }),
            live_reliability_until: live.1.and_then(NaiveDate::from_epoch_days).map(|day| day.to_string()),
        })
    })
    .await?;
    etag::json(&request, &answer)
}

/// Takes the registry's current models now, rather than within seconds
#[utoipa::path(
    post, path = "/models/reload", operation_id = "reload", tag = "models",
    responses(
        (status = 200, description = "The models in use now", body = Reloaded),
        (status = "4XX", description = "Why the old ones stay", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "The server is not ready, or at fault", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(("bearer" = []), ("query" = [])),
)]
pub async fn reload(_: AdminAccess, request: HttpRequest, site: Data<Site>) -> Result<HttpResponse, Problem> {
    Query::parse(request.query_string(), &[])?;
    site.snapshot()?;
    let current =
        work(move || load::reload(&site).map_err(|error| Problem::registry(Code::ReloadFailed, &error))).await?;
    Ok(HttpResponse::Ok().json(Reloaded { current }))
}

/// Returns the registry's versions as last known, and, when the registry is away, the reason.
fn versions(site: &Site) -> Result<(Value, Option<String>), Problem> {
    let mut listed = site.listed.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((when, versions, away)) = listed.as_ref()
        && when.elapsed() < FRESH
    {
        return Ok((versions.clone(), away.clone()));
    }
    let entries = match site.registry.overview() {
        Err(error) if error.is_temporary() => {
            let last = listed.take().map_or(Value::Array(Vec::new()), |(_, versions, _)| versions);
            let now = (last, Some(error.to_string()));
            *listed = Some((Instant::now(), now.0.clone(), now.1.clone()));
            return Ok(now);
        }
        entries => entries.map_err(Problem::internal)?,
    };
    let entry = |entry: &roomcast_storage::registry::Entry| match &entry.manifest {
        Ok(manifest) => {
            let mut value = json!(manifest);
            value["current"] = json!(entry.current);
            value
        }
        Err(error) => json!({ "version": entry.version, "current": entry.current, "error": error.to_string() }),
    };
    let versions: Value = entries.iter().map(entry).collect();
    *listed = Some((Instant::now(), versions.clone(), None));
    Ok((versions, None))
}

/// Returns bins of equal width from 0 to 1.
fn reliability(bins: &[Bin]) -> Vec<Reliability> {
    let edge = |at: usize| at as f64 / bins.len() as f64;
    let bin = |(at, bin): (usize, &Bin)| Reliability {
        from: edge(at),
        to: edge(at + 1),
        mean_probability: bin.mean_probability,
        forecasts: bin.hours,
        occupied: bin.occupied,
    };
    bins.iter().enumerate().map(bin).collect()
}
