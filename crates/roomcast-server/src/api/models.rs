//! `GET /models` and `POST /models/reload`: the models used for forecasts.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use chrono::NaiveDate;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::devices::LiveScores;
use super::predict::work;
use crate::http::access::auth::{AdminAccess, ReadAccess};
use crate::http::etag;
use crate::http::query::{NoParameters, Query};
use crate::jobs::load;
use crate::problem::{Code, Problem, ProblemBody, Reply};
use crate::state::site::Site;
use roomcast_forecast::measures::calibration::{self, BINS, Bin};
use roomcast_forecast::model::fit;
use roomcast_forecast::rooms::Level;

/// Age up to which a list of versions is used. Listing a directory verifies every byte of its versions.
const MAX_LIST_AGE: Duration = Duration::from_secs(10);

/// The models used for forecasts.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelsAnswer {
    /// The version in use; null if the models in use are not from the registry.
    current: Option<String>,
    /// All versions in the registry, the latest cutoff first. Each has its manifest, or the reason why it is unusable.
    #[schema(value_type = Vec<Object>)]
    versions: Value,
    /// Errors of the last attempts to load models or readings, or to retrain; null if all of them succeeded.
    error: Option<String>,
    /// Forecasts for hours of the training data that were held back from fitting, by probability. The hours are the
    /// last third of the data before `reliability_until`, 4 to 28 days. The regularization and the number of trees were
    /// chosen on the same hours.
    reliability: Vec<Reliability>,
    /// End of the hours that were held back; null if there are none.
    reliability_until: Option<String>,
    /// Forecasts of the last `live_reliability_days` days, made at the start of their hour by models that had not
    /// learned from it.
    live_reliability: Vec<Reliability>,
    /// Number of these days.
    live_reliability_days: i32,
    /// The last of these days; null before the first hour was scored.
    #[schema(example = "2016-08-31")]
    live_reliability_until: Option<String>,
    /// Scores of the levels above the rooms that the table of rooms has: floors, buildings.
    levels: Vec<LevelScores>,
    /// Progress of a server without trained models; null once it has some.
    learning: Option<Learning>,
}

/// Scores of the forecasts of a level above the rooms, as of devices in `GET /devices`.
#[derive(Debug, Serialize, ToSchema)]
pub struct LevelScores {
    /// `floor` or `building`.
    #[schema(value_type = String, pattern = "^(floor|building)$")]
    level: Level,
    /// The scores of all its series together; null until the first hour was scored.
    live: Option<LiveScores>,
    /// The scores of each floor or building that has some, in order of name.
    series: Vec<SeriesScores>,
}

/// Scores of the forecasts of a floor or building.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeriesScores {
    /// The name of the floor or building.
    name: String,
    /// The scores.
    live: LiveScores,
}

/// Progress towards the first models. Until they are trained, a forecast is the rate of the hour of the week.
#[derive(Debug, Serialize, ToSchema)]
pub struct Learning {
    /// Whole days from the first reading to the last.
    #[schema(minimum = 0)]
    days: i32,
    /// Days that are needed to train models.
    #[schema(minimum = 1)]
    days_needed: i32,
    /// True if this server has a store and accepts `POST /readings`.
    takes_readings: bool,
}

/// Forecasts within a range of probabilities.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reliability {
    /// Lower end of the range.
    from: f64,
    /// Upper end of the range.
    to: f64,
    /// Mean probability of the forecasts; null if there are none, or if it is not recorded.
    mean_probability: Option<f64>,
    /// Number of forecasts.
    forecasts: u64,
    /// Number of forecasts whose hour was occupied.
    occupied: u64,
}

/// The result of a reload.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reloaded {
    /// The version that is now in use.
    current: String,
}

/// Versions in the registry, and the reliability of the version in use
#[utoipa::path(
    get, path = "/models", operation_id = "models", tag = "models",
    responses(
        (status = 200, description = "The versions", body = ModelsAnswer),
        (status = 304, description = "The answer is unchanged: `If-None-Match` holds its `ETag`"),
    ),
)]
pub async fn list(_: ReadAccess, _: Query<NoParameters>, request: HttpRequest, site: Data<Site>) -> Reply {
    let snapshot = site.snapshot()?;
    let answer = work(move || {
        let trouble = site.serving.trouble();
        let (versions, unavailable) = versions(&site)?;
        let models = trouble.models.or(unavailable);
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
            levels: snapshot.history.rooms.levels().into_iter().map(|level| level_scores(&site, level)).collect(),
            learning: snapshot.loaded.is_baseline().then(|| Learning {
                days: snapshot.history.days(&site.calendar),
                days_needed: fit::MIN_DAYS,
                takes_readings: site.live.is_some(),
            }),
            live_reliability_until: live.1.and_then(NaiveDate::from_epoch_days).map(|day| day.to_string()),
        })
    })
    .await?;
    etag::json(&request, &answer)
}

/// Loads the current models of the registry at once
#[utoipa::path(
    post, path = "/models/reload", operation_id = "reload", tag = "models",
    responses(
        (status = 200, description = "The version that is now in use", body = Reloaded),
        (status = "4XX", description = "The models in use stay in use; the problem has the reason", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn reload(_: AdminAccess, _: Query<NoParameters>, site: Data<Site>) -> Reply {
    site.snapshot()?;
    let current =
        work(move || load::reload(&site).map_err(|error| Problem::registry(Code::ReloadFailed, &error))).await?;
    Ok(HttpResponse::Ok().json(Reloaded { current }))
}

/// Returns the registry's versions as last listed. Adds the reason if the registry is unreachable.
fn versions(site: &Site) -> Result<(Value, Option<String>), Problem> {
    let mut listed = site.listed.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((when, versions, unavailable)) = listed.as_ref()
        && when.elapsed() < MAX_LIST_AGE
    {
        return Ok((versions.clone(), unavailable.clone()));
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

fn level_scores(site: &Site, level: Level) -> LevelScores {
    let scores = site.scores.of(level);
    let series = scores.devices().map(|(name, live)| SeriesScores { name: name.to_owned(), live: live.into() });
    LevelScores { level, live: scores.site().map(LiveScores::from), series: series.collect() }
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
