//! Pages and files that come out of the binary itself: the web page, the API page, `/openapi.json`.

use std::sync::LazyLock;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, EntityTag, Header, HeaderValue, IfNoneMatch,
};
use actix_web::{HttpRequest, HttpResponse};
use sha2::{Digest, Sha256};

/// What the page may do: its own script, style and requests, nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// A file, its type, and a tag that changes with its content.
struct File {
    path: &'static str,
    media: &'static str,
    bytes: Vec<u8>,
    tag: EntityTag,
}

macro_rules! scripts {
    ($($name:literal)*) => {
        [$((concat!("/page/", $name, ".js"), include_bytes!(concat!("page/", $name, ".js")).as_slice())),*]
    };
}

/// The modules of the page, by path.
pub const SCRIPTS: [(&str, &[u8]); 19] = scripts!(
    "tools" "words" "api" "state" "alerts" "actual" "first" "grid" "keys" "head" "pieces" "why" "schedule" "weeks" "room" "model"
    "panel" "login" "app"
);

static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let files: [(&'static str, &'static str, Vec<u8>); 5] = [
        ("/", HTML, include_bytes!("page/index.html").to_vec()),
        ("/style.css", STYLE, include_bytes!("page/style.css").to_vec()),
        ("/docs", HTML, include_bytes!("docs/index.html").to_vec()),
        ("/docs.js", SCRIPT, include_bytes!("docs/docs.js").to_vec()),
        ("/openapi.json", "application/json", super::openapi::json().into_bytes()),
    ];
    let file = |(path, media, bytes): (_, _, Vec<u8>)| {
        let tag = hex::encode(&Sha256::digest(&bytes)[..8]);
        File { path, media, bytes, tag: EntityTag::new_strong(tag) }
    };
    let scripts = SCRIPTS.map(|(path, bytes)| (path, SCRIPT, bytes.to_vec()));
    files.into_iter().chain(scripts).map(file).collect()
});

/// The page and the API page.
pub async fn page(request: HttpRequest) -> HttpResponse {
    file(&request)
}

/// The API's description, OpenAPI 3.1.
pub async fn openapi(request: HttpRequest) -> HttpResponse {
    file(&request)
}

fn file(request: &HttpRequest) -> HttpResponse {
    // The router has matched a path of the list, whatever its spelling.
    let path = request.match_pattern();
    let Some(file) = FILES.iter().find(|file| Some(file.path) == path.as_deref()) else {
        return HttpResponse::NotFound().finish();
    };
    let known = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => false,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|tag| tag.weak_eq(&file.tag)),
        Err(_) => false,
    };
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((ETAG, file.tag.to_string()))
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-cache")))
        .insert_header((CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)));
    if known {
        return response.finish();
    }
    response.insert_header((CONTENT_TYPE, HeaderValue::from_static(file.media))).body(file.bytes.as_slice())
}
