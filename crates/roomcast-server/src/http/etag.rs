//! Entity tags: an answer that a client already holds is not sent again.

use std::hash::{DefaultHasher, Hash, Hasher};

use actix_web::http::header::{ETAG, EntityTag, Header, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use crate::problem::{Problem, Reply};

/// Returns the tag of a body. It is weak, because the compressed form has the same one.
pub fn of(body: &[u8]) -> EntityTag {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    EntityTag::new_weak(format!("{:016x}", hasher.finish()))
}

/// Returns whether the client holds the answer with this tag, or any answer (`If-None-Match: *`).
pub fn matches(request: &HttpRequest, tag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|held| held.weak_eq(tag)),
        Ok(IfNoneMatch::Any) => true,
        Err(_) => false,
    }
}

/// Answers with JSON and its tag, or with 304 if the client has the current answer.
///
/// # Errors
/// Returns a `Problem` when a value cannot be written as JSON; in practice all can.
pub fn json(request: &HttpRequest, value: &impl Serialize) -> Reply {
    let body = serde_json::to_vec(value).map_err(Problem::internal)?;
    let tag = of(&body);
    if matches(request, &tag) {
        return Ok(HttpResponse::NotModified().insert_header((ETAG, tag.to_string())).finish());
    }
    Ok(HttpResponse::Ok().insert_header((ETAG, tag.to_string())).content_type("application/json").body(body))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::IF_NONE_MATCH;
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_body_that_is_held_is_not_sent_again() {
        let status = |held: &str| {
            let request = TestRequest::default().insert_header((IF_NONE_MATCH, held)).to_http_request();
            json(&request, &[1, 2]).unwrap().status().as_u16()
        };
        let tag = of(b"[1,2]").to_string();
        assert_eq!([status(&tag), status(&of(b"[1]").to_string()), status("*"), status("-")], [304, 200, 304, 200]);
    }
}
