//! Routes: the operations of the API and the files of the page.

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, Resource, guard, web};

use crate::openapi::{self, Operation};
use crate::page;
use crate::problem::{Code, Problem};

/// The files of the page and the API's description: the label of each in metrics, and its path.
const FILES: [(&str, &str); 13] = [
    ("openapi", "/openapi.json"),
    ("docs", "/docs"),
    ("docs", "/docs.js"),
    ("docs", "/docs.css"),
    ("docs", "/swagger-ui.js"),
    ("docs", "/swagger-ui.css"),
    ("page", "/"),
    ("page", "/page.js"),
    ("page", "/panel.js"),
    ("page", "/style.css"),
    ("page", "/words/en.json"),
    ("page", "/words/de.json"),
    ("page", "/words/fr.json"),
];

/// Returns the labels of all routes in metrics; several routes may share one.
pub fn labels() -> impl Iterator<Item = &'static str> {
    let operations = openapi::operations().into_iter().map(|(label, _)| label);
    operations.chain(FILES.iter().map(|(label, _)| *label))
}

/// Adds all routes. The name of each is its label in metrics.
pub fn add(config: &mut web::ServiceConfig) {
    for (label, operations) in openapi::operations() {
        config.service(resource(label, operations));
    }
    for (label, path) in FILES {
        config.service(resource(
            label,
            vec![Operation { path: path.into(), method: Method::GET, route: web::to(page::page) }],
        ));
    }
    config.default_service(web::to(async || Err::<HttpResponse, _>(Problem::of_status(StatusCode::NOT_FOUND))));
}

/// Returns the resource of the operations of one path. It answers other methods with the list of those it has.
fn resource(label: &str, operations: Vec<Operation>) -> Resource {
    let path = operations.first().map_or(String::new(), |operation| operation.path.clone());
    let mut allow = Vec::new();
    let mut resource = web::resource(path).name(label);
    for Operation { method, route, .. } in operations {
        allow.push(method.to_string());
        let mut guard = guard::Any(guard::Method(method.clone()));
        if method == Method::GET {
            // A HEAD gets the head of the answer to GET.
            allow.push(Method::HEAD.to_string());
            guard = guard.or(guard::Method(Method::HEAD));
        }
        resource = resource.route(route.guard(guard));
    }
    let allow = allow.join(", ");
    resource.default_service(web::to(move || {
        let problem = Problem::new(Code::MethodNotAllowed, "this path does not have that method");
        let problem = Problem { allow: Some(allow.clone()), ..problem.hint(format!("it has {allow}")) };
        async { Err::<HttpResponse, _>(problem) }
    }))
}
