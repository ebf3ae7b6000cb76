//! `GET /models` and `POST /models/reload`: what forecasts come from.

use std::sync::PoisonError;
use std::time::{Duration, Instant as Stopwatch};

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::auth::{AdminAccess, ReadAccess};
use super::load;
use super::predict::work;
use super::problem::{Code, Problem, ProblemBody};
use super::query::Query;
use super::site::Site;
use crate::model::rule::OutOfSample;

/// How long a list of versions is taken for the present one: in a directory every byte of them is verified.
const FRESH: Duration = Duration::from_secs(10);

/// Bins of the reliability table.
const BINS: usize = 10;

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
    /// Forecasts for hours the models had not seen, by probability, and how many of them turned out occupied.
    reliability: Vec<Reliability>,
}

/// Forecasts of a range of probabilities.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reliability {
    /// Probability from which on they are counted.
    from: f64,
    /// Probability up to which they are.
    to: f64,
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
        (status = "4XX", description = "What is wrong with the request", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "The server is not ready, or at fault", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(("bearer" = []), ("query" = [])),
)]
pub async fn list(_: ReadAccess, request: HttpRequest, site: Data<Site>) -> Result<HttpResponse, Problem> {
    Query::parse(request.query_string(), &[])?;
    let snapshot = site.snapshot()?;
    let answer = work(move || {
        let trouble = site.trouble();
        let (versions, away) = versions(&site)?;
        let models = trouble.models.or(away);
        let errors: Vec<String> = models.into_iter().chain(trouble.readings).chain(trouble.retraining).collect();
        Ok(ModelsAnswer {
            current: snapshot.loaded.manifest.as_ref().map(|manifest| manifest.version.clone()),
            versions,
            error: (!errors.is_empty()).then(|| errors.join("\n")),
            reliability: reliability(&snapshot.loaded.models.site.out_of_sample),
        })
    })
    .await?;
    Ok(HttpResponse::Ok().json(answer))
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

/// The registry's versions as they were last known, and why that is not now where the registry is away.
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
            *listed = Some((Stopwatch::now(), now.0.clone(), now.1.clone()));
            return Ok(now);
        }
        entries => entries.map_err(Problem::internal)?,
    };
    let entry = |entry: &crate::model::registry::Entry| match &entry.manifest {
        Ok(manifest) => {
            let mut value = json!(manifest);
            value["current"] = json!(entry.current);
            value
        }
        Err(error) => json!({ "version": entry.version, "current": entry.current, "error": error.to_string() }),
    };
    let versions: Value = entries.iter().map(entry).collect();
    *listed = Some((Stopwatch::now(), versions.clone(), None));
    Ok((versions, None))
}

/// The two halves of [`OutOfSample`] as they are stored.
#[derive(Deserialize)]
struct Halves {
    occupied: Vec<u64>,
    vacant: Vec<u64>,
}

fn reliability(seen: &OutOfSample) -> Vec<Reliability> {
    let Ok(halves) = serde_json::to_value(seen).and_then(serde_json::from_value::<Halves>) else { return Vec::new() };
    let fine = halves.occupied.len().max(halves.vacant.len());
    let count = |bins: &[u64], at: usize| -> u64 {
        bins.get(at * fine / BINS..(at + 1) * fine / BINS).map_or(0, |bins| bins.iter().sum())
    };
    let bin = |at: usize| {
        let occupied = count(&halves.occupied, at);
        Reliability {
            from: at as f64 / BINS as f64,
            to: (at + 1) as f64 / BINS as f64,
            forecasts: occupied + count(&halves.vacant, at),
            occupied,
        }
    };
    (0..BINS).map(bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reliability_counts_every_forecast_once() {
        let mut seen = OutOfSample::default();
        for n in 0..100 {
            seen.add(f64::from(n) / 100.0 + 0.001, n % 2 == 0);
        }
        let bins = reliability(&seen);
        assert!(bins.iter().all(|bin| (bin.forecasts, bin.occupied) == (10, 5)), "{bins:?}");
        assert!(reliability(&OutOfSample::default()).iter().all(|bin| bin.forecasts == 0));
    }
}
