//! `GET /alerts`: problems the operator of a site should know, at most one entry per kind.

use actix_web::HttpRequest;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::access::auth::ReadAccess;
use crate::http::etag;
use crate::http::query::{NoParameters, Query};
use crate::problem::Reply;
use crate::state::alerts::Alert;
use crate::state::site::Site;

/// The current problems of the site.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertsAnswer {
    /// At most one entry per kind, the most serious first; empty if there are no problems.
    alerts: Vec<Alert>,
}

/// Current problems of the site, at most one entry per kind
///
/// The server checks the site every few seconds. One entry covers all sensors, models or servers with the same problem.
#[utoipa::path(
    get, path = "/alerts", operation_id = "alerts", tag = "server",
    responses(
        (status = 200, description = "The current problems", body = AlertsAnswer),
        (status = 304, description = "The answer is unchanged: `If-None-Match` holds its `ETag`"),
    ),
)]
pub async fn get(_: ReadAccess, _: Query<NoParameters>, request: HttpRequest, site: Data<Site>) -> Reply {
    etag::json(&request, &AlertsAnswer { alerts: site.alerts.list() })
}
