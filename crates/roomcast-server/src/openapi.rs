//! The API's own description, generated from the code.

use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::api::predict::{body, compact};
use crate::api::{alerts, devices, events, explain, health, models, predict, readings, schedule};
use crate::problem;

/// All paths and schemas.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Roomcast",
        description = "Hourly room occupancy forecasts from motion sensors. Errors are RFC 9457 problem details with a stable `type`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/")),
    paths(
        predict::get,
        body::post,
        compact::get,
        schedule::get,
        explain::get,
        events::get,
        devices::list,
        devices::one,
        devices::history,
        models::list,
        models::reload,
        readings::post,
        alerts::get,
        health::healthz,
        health::readyz,
        health::metrics,
    ),
    components(schemas(problem::ProblemBody, problem::Code)),
    tags(
        (name = "forecasts", description = "The next 24 hours"),
        (name = "devices", description = "What is known of each sensor"),
        (name = "readings", description = "What the sensors see, as it happens"),
        (name = "models", description = "What forecasts come from"),
        (name = "operation", description = "For those who run the server"),
    ),
    modifiers(&Security),
)]
struct Document;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        let query = ApiKeyValue::with_description("token", "For clients that cannot send headers");
        components.add_security_scheme("query", SecurityScheme::ApiKey(ApiKey::Query(query)));
    }
}

/// Returns the document as JSON.
pub fn json() -> String {
    Document::openapi().to_pretty_json().unwrap_or_default() + "\n"
}
