//! Routes: the handler of each path.

use actix_web::dev::Handler;
use actix_web::http::{Method, StatusCode};
use actix_web::{FromRequest, HttpResponse, Resource, Responder, guard, web};

use super::problem::{Code, Problem};
use crate::api::predict::{body, compact};
use crate::api::{alerts, devices, events, explain, health, models, predict, readings, schedule};
use crate::page;

/// Adds all routes. Their names are those of [`super::metrics::ROUTES`].
pub fn add(config: &mut web::ServiceConfig) {
    config
        .service(shown("/predict", "predict", "GET, HEAD, POST", predict::get).route(web::post().to(body::post)))
        .service(shown("/predict/compact", "predict", "GET, HEAD", compact::get))
        .service(shown("/devices", "devices", "GET, HEAD", devices::list))
        .service(shown("/devices/{id:.+}/history", "history", "GET, HEAD", devices::history))
        .service(shown("/devices/{id:.+}", "device", "GET, HEAD", devices::one))
        .service(shown("/schedule", "schedule", "GET, HEAD", schedule::get))
        .service(shown("/explain", "explain", "GET, HEAD", explain::get))
        .service(shown("/events", "events", "GET, HEAD", events::get))
        .service(shown("/models", "models", "GET, HEAD", models::list))
        .service(only("/models/reload", "reload", "POST").route(web::post().to(models::reload)))
        .service(only("/readings", "readings", "POST").route(web::post().to(readings::post)))
        .service(shown("/alerts", "alerts", "GET, HEAD", alerts::get))
        .service(shown("/healthz", "healthz", "GET, HEAD", health::healthz))
        .service(shown("/readyz", "readyz", "GET, HEAD", health::readyz))
        .service(shown("/metrics", "metrics", "GET, HEAD", health::metrics))
        .service(shown("/openapi.json", "openapi", "GET, HEAD", page::page))
        .service(shown("/docs", "docs", "GET, HEAD", page::page))
        .service(shown("/docs.js", "docs", "GET, HEAD", page::page))
        .service(shown("/docs.css", "docs", "GET, HEAD", page::page))
        .service(shown("/swagger-ui.js", "docs", "GET, HEAD", page::page))
        .service(shown("/swagger-ui.css", "docs", "GET, HEAD", page::page))
        .service(shown("/", "page", "GET, HEAD", page::page))
        .service(shown("/page.js", "page", "GET, HEAD", page::page))
        .service(shown("/panel.js", "page", "GET, HEAD", page::page))
        .service(shown("/style.css", "page", "GET, HEAD", page::page))
        .default_service(web::to(nothing));
}

async fn nothing() -> Result<HttpResponse, Problem> {
    Err(Problem::of_status(StatusCode::NOT_FOUND))
}

/// Returns a resource that answers other methods with the list of those it has.
fn only(path: &str, name: &str, allow: &'static str) -> Resource {
    web::resource(path).name(name).default_service(web::to(move || async move {
        let mut problem = Problem::new(Code::MethodNotAllowed, "this path does not have that method");
        problem.allow = Some(allow);
        Err::<HttpResponse, Problem>(problem.hint(format!("it has {allow}")))
    }))
}

/// Returns a resource that can be read; a HEAD gets the head of the answer to GET.
fn shown<F, A>(path: &str, name: &str, allow: &'static str, handler: F) -> Resource
where
    F: Handler<A>,
    A: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let readable = guard::Any(guard::Method(Method::GET)).or(guard::Method(Method::HEAD));
    only(path, name, allow).route(web::route().guard(readable).to(handler))
}
