//! Liveness, readiness and metrics of the server.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::http::auth::{Access, admit};
use crate::http::tokens::Scope;
use crate::problem::{Code, Problem, ProblemBody};
use crate::state::live::Live;
use crate::state::site::{Phase, Site};
use crate::state::standing;

/// Whether the process lives
#[utoipa::path(get, path = "/healthz", operation_id = "healthz", tag = "operation", responses((status = 200, description = "It does", body = String, content_type = "text/plain")))]
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

/// Whether models and history are loaded
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "readyz",
    tag = "operation",
    responses(
        (status = 200, description = "They are"),
        (status = 503, description = "They are not yet, or the server is about to stop", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn readyz(site: Data<Site>) -> Result<HttpResponse, Problem> {
    match site.serving.phase() {
        Phase::Ready => Ok(HttpResponse::Ok().json(json!({ "status": Phase::Ready.name() }))),
        phase => Err(Problem::new(Code::NotReady, format!("the server is {}", phase.name())).retry_after(1)),
    }
}

/// What the server counts, for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "operation",
    responses(
        (status = 200, description = "Prometheus' text form", body = String, content_type = "text/plain"),
        (status = "4XX", description = "What is wrong with the request", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(("bearer" = []), ("query" = [])),
)]
pub async fn metrics(request: HttpRequest, site: Data<Site>, access: Data<Access>) -> Result<HttpResponse, Problem> {
    if !access.metrics_public {
        admit(&request, Scope::Read)?;
    }
    let mut text = site.metrics.text(&site.gauges());
    text += &standing::text(&site);
    text += &site.live.as_ref().map_or(String::new(), Live::metrics);
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text))
}
