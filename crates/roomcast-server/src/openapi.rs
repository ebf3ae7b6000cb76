//! The table of the API's operations. The routes, their labels in metrics and the API's own description follow from it.

mod times;

use actix_web::http::Method;
use actix_web::{Route, web};
use utoipa::openapi::path::HttpMethod;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, Ref, Response, ResponseBuilder};
use utoipa::{OpenApi, Path};

use crate::api::predict::{body, compact};
use crate::api::{
    alerts, devices, events, explain, health, ledger, metrics, models, predict, readings, rooms, schedule, utilisation,
};
use crate::problem;

/// Declares the operations: the label of each path in metrics, and the handlers of its methods.
///
/// The `utoipa::path` attribute of a handler states its path, its method, its parameters and its documentation. The
/// parts that most operations share, access control and problems, are added to the description.
macro_rules! operations {
    ($($label:literal: $($module:ident::$handler:ident),+;)+) => {
        #[derive(OpenApi)]
        #[openapi(paths($($($module::$handler),+),+))]
        struct Paths;

        /// Returns the operations of each path, with the path's label in metrics. A path stands before those that also
        /// match it.
        pub(crate) fn operations() -> Vec<(&'static str, Vec<Operation>)> {
            pastey::paste! {
                vec![$((
                    $label,
                    vec![$(Operation::of::<$module::[<__path_ $handler>]>(web::to($module::$handler))),+],
                )),+]
            }
        }
    };
}

operations! {
    "predict": predict::get, body::post;
    "predict": compact::get;
    "schedule": schedule::get;
    "ledger": ledger::get;
    "utilisation": utilisation::get;
    "explain": explain::get;
    "events": events::get;
    "devices": devices::list;
    "history": devices::history;
    "device": devices::one;
    "models": models::list;
    "reload": models::reload;
    "readings": readings::post;
    "rooms": rooms::get, rooms::put;
    "alerts": alerts::get;
    "healthz": health::healthz;
    "readyz": health::readyz;
    "metrics": metrics::get;
}

/// An operation: a method of a path, and its handler.
pub struct Operation {
    /// The path as Actix reads it.
    pub path: String,
    /// The method.
    pub method: Method,
    /// The handler.
    pub route: Route,
}

impl Operation {
    fn of<P: Path>(route: Route) -> Operation {
        let method = match P::methods().first() {
            Some(HttpMethod::Post) => Method::POST,
            Some(HttpMethod::Put) => Method::PUT,
            Some(HttpMethod::Patch) => Method::PATCH,
            Some(HttpMethod::Delete) => Method::DELETE,
            _ => Method::GET,
        };
        // Names of devices may hold slashes.
        Operation { path: P::path().replace("{id}", "{id:.+}"), method, route }
    }
}

/// The parts of the description besides paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Roomcast",
        description = "Hourly room occupancy forecasts from motion sensors. Errors are RFC 9457 problem details with a stable `type`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/")),
    components(schemas(problem::ProblemBody, problem::Code)),
    tags(
        (name = "forecasts", description = "The next 24 hours"),
        (name = "devices", description = "Status, history and scores of each sensor"),
        (name = "readings", description = "Readings of the sensors as they arrive"),
        (name = "rooms", description = "The sensors of each room, floor and building"),
        (name = "models", description = "The models used for forecasts"),
        (name = "server", description = "Health, alerts and metrics of the server"),
    ),
)]
struct Document;

/// Returns the API's description as JSON. Times of a site without a zone have no offset, so they have another format.
pub fn json(is_zoned: bool) -> String {
    let mut document = Document::openapi().merge_from(Paths::openapi());
    let components = document.components.get_or_insert_default();
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.description = Some("A token of the server, such as the value of PRIVATE_TOKEN, as a header".into());
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let query = ApiKeyValue::with_description("token", "The same token in the address, for clients without headers");
    components.add_security_scheme("token", SecurityScheme::ApiKey(ApiKey::Query(query)));
    for schema in components.schemas.values_mut() {
        times::add_formats(schema, is_zoned);
    }
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            // `security(())` marks operations without access control, which cannot be refused.
            if operation.security.take().is_some() {
                continue;
            }
            let scheme = |name: &str| SecurityRequirement::new(name, [""; 0]);
            operation.security = Some(vec![scheme("bearer"), scheme("token")]);
            for (status, description) in [
                ("4XX", "The request is refused; the problem has the reason"),
                ("5XX", "The server is not ready, or it failed"),
            ] {
                let responses = &mut operation.responses.responses;
                responses.entry(status.to_owned()).or_insert_with(|| failure(description).into());
            }
        }
    }
    document.to_pretty_json().unwrap_or_default() + "\n"
}

/// Returns the description of an answer that is a problem.
fn failure(description: &str) -> Response {
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new().description(description).content("application/problem+json", content).build()
}
