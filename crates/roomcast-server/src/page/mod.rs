//! Pages and files embedded in the binary: the web page, the API page, `/openapi.json`.

pub mod bundle;
#[cfg(test)]
mod words;

use std::io::Read as _;
use std::sync::{LazyLock, OnceLock};

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, EntityTag, HeaderValue, VARY,
};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use flate2::Compression;
use flate2::read::GzDecoder;

use crate::api::predict::{gzip, wants_gzip};
use crate::http::access::auth::Access;
use crate::http::etag;
use crate::page::bundle::Module;
use crate::problem::Problem;
use crate::state::site::Site;

/// The content security policy of the page, which allows only its own script, style and requests. Pages of the same
/// origin may frame it, as Home Assistant's ingress does.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const JSON: &str = "application/json";

macro_rules! modules {
    ($($name:literal)*) => {
        [$((concat!($name, ".js"), include_str!(concat!("app/", $name, ".js")))),*]
    };
}

/// The modules of the page itself.
pub(crate) const PAGE: [Module; 26] = modules!(
    "app" "core/api" "core/groups" "core/language" "core/state" "core/tools" "core/words" "grid/grid" "grid/hindsight"
    "grid/keys" "grid/onboarding" "grid/rows" "panel/panel" "plan/facts" "plan/plan" "plan/week" "shell/alerts"
    "shell/controls" "shell/extras" "shell/head" "shell/live" "shell/load" "shell/login" "shell/settings"
    "shell/trust" "use/use"
);

/// The modules of the panel, which a browser fetches with the first panel.
pub(crate) const PANEL: [Module; 7] =
    modules!("panel/explore" "panel/model" "panel/pieces" "panel/room" "panel/schedule" "panel/weeks" "panel/why");

/// The sentences of the page in each of its languages; a browser fetches those of one.
pub(crate) const WORDS: [(&str, &str); 3] = [
    ("/words/en.json", include_str!("app/words/en.json")),
    ("/words/de.json", include_str!("app/words/de.json")),
    ("/words/fr.json", include_str!("app/words/fr.json")),
];

/// Path, in the list of files, of the page for clients that need no token. This page asks for none.
const OPEN_PAGE: &str = "/ without sign-in";

/// A file, its type, and a tag that changes with its content. It is embedded compressed, and decompressed once a client
/// asks for that.
struct File {
    path: &'static str,
    media: &'static str,
    gzip: Bytes,
    plain: OnceLock<Bytes>,
    tag: EntityTag,
}

/// Path, in the list of files, of the API's description at a site with a time zone.
const ZONED_OPENAPI: &str = "/openapi.json with a zone";

static FILES: LazyLock<[File; 15]> = LazyLock::new(|| {
    [
        own("/", HTML, &index("")),
        own(OPEN_PAGE, HTML, &index("data-open ")),
        own("/page.js", SCRIPT, &bundle::script(&PAGE, "./panel.js")),
        own("/panel.js", SCRIPT, &bundle::script(&PANEL, "./page.js")),
        own("/style.css", STYLE, &bundle::style(include_str!("app/style.css"))),
        own(WORDS[0].0, JSON, WORDS[0].1),
        own(WORDS[1].0, JSON, WORDS[1].1),
        own(WORDS[2].0, JSON, WORDS[2].1),
        own("/docs", HTML, include_str!("docs/index.html")),
        own("/docs.js", SCRIPT, include_str!("docs/docs.js")),
        own("/docs.css", STYLE, include_str!("docs/docs.css")),
        vendored("/swagger-ui.js", SCRIPT, include_bytes!("docs/vendor/swagger-ui-bundle.js.gz")),
        vendored("/swagger-ui.css", STYLE, include_bytes!("docs/vendor/swagger-ui.css.gz")),
        own("/openapi.json", JSON, &super::openapi::json(false)),
        own(ZONED_OPENAPI, JSON, &super::openapi::json(true)),
    ]
});

/// Returns the page with marks for its script.
fn index(marks: &str) -> String {
    include_str!("app/index.html").replacen("<html ", &format!("<html {marks}"), 1)
}

/// Returns a file of ours, compressed once for all clients, so at the best level.
fn own(path: &'static str, media: &'static str, text: &str) -> File {
    File {
        path,
        media,
        gzip: gzip(text.as_bytes(), Compression::best()).unwrap_or_default(),
        plain: OnceLock::new(),
        tag: etag::of(text.as_bytes()),
    }
}

/// Returns a file that is embedded in its compressed form.
fn vendored(path: &'static str, media: &'static str, gzip: &'static [u8]) -> File {
    File { path, media, gzip: Bytes::from_static(gzip), plain: OnceLock::new(), tag: etag::of(gzip) }
}

/// Sends the page, the API page, or a file of theirs.
pub async fn page(request: HttpRequest, access: Data<Access>, site: Data<Site>) -> Result<HttpResponse, Problem> {
    // The router has matched a path of the list, whatever its spelling.
    match request.match_pattern().as_deref() {
        Some("/") if access.tokens.is_empty() || access.is_signed_in(&request) => file(&request, OPEN_PAGE),
        Some("/openapi.json") if site.calendar.zone().is_some() => file(&request, ZONED_OPENAPI),
        path => file(&request, path.unwrap_or_default()),
    }
}

fn file(request: &HttpRequest, path: &str) -> Result<HttpResponse, Problem> {
    let Some(file) = FILES.iter().find(|file| file.path == path) else {
        return Err(Problem::of_status(StatusCode::NOT_FOUND));
    };
    let is_held = etag::matches(request, &file.tag);
    let mut response = if is_held { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((ETAG, file.tag.to_string()))
        .insert_header((VARY, HeaderValue::from_static("Accept-Encoding")))
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-cache")))
        .insert_header((CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)));
    if is_held {
        return Ok(response.finish());
    }
    response.insert_header((CONTENT_TYPE, HeaderValue::from_static(file.media)));
    if wants_gzip(request) {
        return Ok(response
            .insert_header((CONTENT_ENCODING, HeaderValue::from_static("gzip")))
            .body(file.gzip.clone()));
    }
    let plain = match file.plain.get() {
        Some(plain) => plain.clone(),
        None => {
            let mut plain = Vec::new();
            GzDecoder::new(&*file.gzip).read_to_end(&mut plain).map_err(Problem::internal)?;
            file.plain.get_or_init(|| plain.into()).clone()
        }
    };
    Ok(response.body(plain))
}
