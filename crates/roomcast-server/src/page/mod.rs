//! Pages and files embedded in the binary: the web page, the API page, `/openapi.json`.

pub mod bundle;

use std::sync::LazyLock;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, EntityTag, HeaderValue, VARY,
};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use flate2::Compression;

use crate::api::predict::{gzip, wants_gzip};
use crate::http::etag;
use crate::page::bundle::Module;

/// The content security policy of the page: its own script, style and requests, nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

macro_rules! modules {
    ($($name:literal)*) => {
        [$((concat!($name, ".js"), include_str!(concat!("app/", $name, ".js")))),*]
    };
}

/// The modules of the page itself, in the order in which they import each other.
pub const PAGE: [Module; 14] =
    modules!("tools" "words" "api" "state" "alerts" "actual" "first" "grid" "keys" "head" "panel" "login" "live" "app");

/// The modules of the panel; a browser fetches them with the first panel.
pub const PANEL: [Module; 6] = modules!("pieces" "why" "schedule" "weeks" "room" "model");

/// A file, its type, and a tag that changes with its content.
struct File {
    path: &'static str,
    media: &'static str,
    bytes: Bytes,
    gzip: Bytes,
    tag: EntityTag,
}

static FILES: LazyLock<[File; 7]> = LazyLock::new(|| {
    let files = [
        ("/", HTML, include_str!("app/index.html").to_owned()),
        ("/page.js", SCRIPT, bundle::script(&PAGE, "/panel.js")),
        ("/panel.js", SCRIPT, bundle::script(&PANEL, "/page.js")),
        ("/style.css", STYLE, bundle::style(include_str!("app/style.css"))),
        ("/docs", HTML, include_str!("docs/index.html").to_owned()),
        ("/docs.js", SCRIPT, include_str!("docs/docs.js").to_owned()),
        ("/openapi.json", "application/json", super::openapi::json()),
    ];
    files.map(|(path, media, text)| {
        let tag = etag::of(text.as_bytes());
        // Compressed once for all clients, so at the best level.
        let gzip = gzip(text.as_bytes(), Compression::best()).unwrap_or_default();
        File { path, media, bytes: text.into(), gzip, tag }
    })
});

/// Sends the page or the API page.
pub async fn page(request: HttpRequest) -> HttpResponse {
    file(&request)
}

/// Sends the API's description, OpenAPI 3.1.
pub async fn openapi(request: HttpRequest) -> HttpResponse {
    file(&request)
}

fn file(request: &HttpRequest) -> HttpResponse {
    // The router has matched a path of the list, whatever its spelling.
    let path = request.match_pattern();
    let Some(file) = FILES.iter().find(|file| Some(file.path) == path.as_deref()) else {
        return HttpResponse::NotFound().finish();
    };
    let is_held = etag::is_held(request, &file.tag);
    let mut response = if is_held { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((ETAG, file.tag.to_string()))
        .insert_header((VARY, HeaderValue::from_static("Accept-Encoding")))
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-cache")))
        .insert_header((CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)));
    if is_held {
        return response.finish();
    }
    response.insert_header((CONTENT_TYPE, HeaderValue::from_static(file.media)));
    if file.gzip.is_empty() || !wants_gzip(request) {
        return response.body(file.bytes.clone());
    }
    response.insert_header((CONTENT_ENCODING, HeaderValue::from_static("gzip"))).body(file.gzip.clone())
}
