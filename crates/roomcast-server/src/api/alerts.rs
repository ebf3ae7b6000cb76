//! `GET /alerts`: problems the operator of a site should know, at most one entry per kind.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::auth::ReadAccess;
use crate::http::etag;
use crate::http::query::Query;
use crate::problem::{Problem, ProblemBody};
use crate::state::alerts::Alert;
use crate::state::site::Site;

/// What is wrong now.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertsAnswer {
    /// At most one entry per kind, the gravest first; empty when all is well.
    alerts: Vec<Alert>,
}

/// What is wrong with the site: one entry per kind
///
/// The site is looked at every few seconds. Sensors, models and servers with the same trouble are one entry.
#[utoipa::path(
    get, path = "/alerts", operation_id = "alerts", tag = "operation",
    responses(
        (status = 200, description = "What is wrong now", body = AlertsAnswer),
        (status = 304, description = "The answer is the one that `If-None-Match` names"),
        (status = "4XX", description = "What is wrong with the request", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(("bearer" = []), ("query" = [])),
)]
pub async fn get(_: ReadAccess, request: HttpRequest, site: Data<Site>) -> Result<HttpResponse, Problem> {
    Query::parse(request.query_string(), &[])?;
    etag::json(&request, &AlertsAnswer { alerts: site.alerts.list() })
}
