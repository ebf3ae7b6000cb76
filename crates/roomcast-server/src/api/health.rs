//! `GET /healthz` and `GET /readyz`: liveness and readiness of the server.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::json;

use crate::problem::{Code, Problem, ProblemBody, Reply};
use crate::state::site::{Phase, Site};

/// Liveness of the process
#[utoipa::path(get, path = "/healthz", operation_id = "healthz", tag = "server", responses((status = 200, description = "The process is alive", body = String, content_type = "text/plain")), security(()))]
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

/// Readiness: models and history are loaded
#[utoipa::path(
    get, path = "/readyz", operation_id = "readyz", tag = "server",
    responses(
        (status = 200, description = "Models and history are loaded"),
        (status = 503, description = "Models or history are not loaded yet, or the server is about to stop", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub async fn readyz(site: Data<Site>) -> Reply {
    match site.serving.phase() {
        Phase::Ready => Ok(HttpResponse::Ok().json(json!({ "status": Phase::Ready.name() }))),
        phase => Err(Problem::new(Code::NotReady, format!("the server is {}", phase.name())).retry_after(1)),
    }
}
