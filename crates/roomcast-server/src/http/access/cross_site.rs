//! Protection against pages of other sites that make a browser send requests to this server.
//!
//! A page may send forms to any address the browser can reach. A name under its control may also point to 127.0.0.1, so
//! that a browser takes this server for that page's own. The first is detected by the origin of a request, the second
//! by the host it is meant for.

use std::net::IpAddr;

use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName};

use crate::problem::{Code, Problem};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Checks that a request is meant for a loopback host. Without tokens nothing else distinguishes this server's pages
/// from those of other sites.
///
/// # Errors
/// Returns [`Code::MisdirectedRequest`] for any other host.
pub(crate) fn check_host(request: &ServiceRequest) -> Result<(), Problem> {
    let mut hosts = request.headers().get_all(header::HOST).map(|host| host.to_str().unwrap_or_default());
    let foreign = hosts.find(|host| !is_loopback(host));
    let foreign =
        foreign.or_else(|| request.uri().authority().map(|host| host.as_str()).filter(|host| !is_loopback(host)));
    match foreign {
        Some(host) => Err(Problem::new(
            Code::MisdirectedRequest,
            format!("a server without tokens does not answer for the host {host:?}"),
        )
        .hint("use localhost or 127.0.0.1, or start the server with a token instead of --no-auth")),
        None => Ok(()),
    }
}

fn is_loopback(host: &str) -> bool {
    let name = name(host);
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Returns a host without its port and brackets.
fn name(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((name, _)) => name,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    }
}

/// Checks that no page of another site sent a request that may change something or that carries a token in its address,
/// unless its origin is in `allowed`. An image on such a page could otherwise send wrong tokens until the visitor's address
/// is locked out.
///
/// # Errors
/// Returns [`Code::CrossSite`] when such a page sent it.
pub(crate) fn check_origin(request: &ServiceRequest, allowed: &[String]) -> Result<(), Problem> {
    let text = |name: HeaderName| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    let (origin, host) = (text(header::ORIGIN), text(header::HOST));
    if origin.is_some_and(|origin| allowed.iter().any(|allowed| allowed == origin)) {
        return Ok(());
    }
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        // Who follows a link sees what opens.
        let is_link = text(SEC_FETCH_DEST) == Some("document");
        let has_token = request.query_string().split('&').any(|pair| pair.starts_with("token="));
        if text(SEC_FETCH_SITE) != Some("cross-site") || is_link || !has_token {
            return Ok(());
        }
    }
    let is_foreign = match (text(SEC_FETCH_SITE), origin) {
        // The browser knows the origin, also when a proxy has put another host into the request.
        (Some("same-origin"), _) => false,
        (Some("cross-site"), _) => true,
        (_, Some(origin)) => !is_own(origin, host.unwrap_or_default()),
        (_, None) => false,
    };
    if !is_foreign {
        return Ok(());
    }
    Err(Problem::new(
        Code::CrossSite,
        format!("pages of {} may not send this request", origin.unwrap_or("another site")),
    )
    .hint("--cors-origin allows an origin"))
}

/// Returns whether an origin is that of a host.
fn is_own(origin: &str, host: &str) -> bool {
    let Some((scheme, own)) = origin.split_once("://") else { return false };
    let port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    own.eq_ignore_ascii_case(host.strip_suffix(port).unwrap_or(host))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn loopback_hosts_are_known() {
        for host in ["localhost", "LOCALHOST:5000", "127.0.0.1:5000", "127.8.9.1", "[::1]:5000", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["", "localhost.evil.example", "127.0.0.1.evil.example:5000", "0.0.0.0", "[::2]", "10.0.0.1", "[::1"]
        {
            assert!(!is_loopback(host), "{host}");
        }
        let whole = TestRequest::with_uri("http://evil.example/models").insert_header(("host", "localhost"));
        assert!(check_host(&whole.to_srv_request()).is_err());
        assert!(check_host(&TestRequest::with_uri("/models").to_srv_request()).is_ok());
    }

    #[test]
    fn pages_of_other_sites_are_known() {
        let allowed = ["https://dash.example".to_owned()];
        let passes = |method: Method, headers: &[(&'static str, &'static str)]| {
            let request = TestRequest::default().method(method).insert_header(("host", "rooms.example:5000"));
            let request = headers.iter().fold(request, |request, &header| request.insert_header(header));
            check_origin(&request.to_srv_request(), &allowed).is_ok()
        };
        for headers in [
            &[][..],
            &[("origin", "http://rooms.example:5000")],
            &[("origin", "https://Rooms.example:5000"), ("sec-fetch-site", "same-origin")],
            &[("origin", "https://dash.example"), ("sec-fetch-site", "cross-site")],
            &[("origin", "https://rooms.example"), ("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
        ] {
            assert!(passes(Method::POST, headers), "{headers:?}");
        }
        for headers in [
            &[("origin", "http://rooms.example")][..],
            &[("origin", "http://evil.example")],
            &[("origin", "null")],
            &[("origin", "http://evil.example"), ("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site")],
        ] {
            assert!(!passes(Method::POST, headers) && !passes(Method::DELETE, headers), "{headers:?}");
            assert!(passes(Method::GET, headers), "{headers:?}");
        }
        let asks = |dest, site, query| {
            let request = TestRequest::with_uri(query).insert_header(("host", "rooms.example:5000"));
            let request = request.insert_header(("sec-fetch-dest", dest)).insert_header(("sec-fetch-site", site));
            check_origin(&request.to_srv_request(), &allowed).is_ok()
        };
        assert!(
            !asks("image", "cross-site", "/devices?token=x") && !asks("empty", "cross-site", "/devices?a=b&token=x")
        );
        assert!(asks("image", "same-origin", "/devices?token=x") && asks("document", "cross-site", "/devices?token=x"));
        assert!(asks("image", "cross-site", "/devices?nottoken=x"));
        assert!(
            is_own("https://rooms.example", "rooms.example:443")
                && !is_own("https://rooms.example", "rooms.example:80")
        );
    }
}
