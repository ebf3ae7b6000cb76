//! Middleware of every request and answer: ids, limits, security headers, problem bodies, counting, one log line.

use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::{DefaultHeaders, Next};
use actix_web::{Error, HttpMessage, HttpResponse, web};

use super::access::auth::Access;
use super::access::cross_site;
use super::access::proxy::{self, Client};
use super::access::tokens::TokenLabel;
use crate::http::answering::Answering;
use crate::metrics::{OTHER, PREFLIGHT};
use crate::problem::Problem;
use crate::state::site::Site;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Seconds for which a browser may keep the answer to a preflight.
const PREFLIGHT_AGE: HeaderValue = HeaderValue::from_static("600");

/// Calls the next service and finishes its answer.
///
/// # Errors
/// Returns no errors of its own; routes turn every failure into an answer.
pub async fn process(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let watch = Instant::now();
    let (site, access) = (request.app_data::<web::Data<Site>>(), request.app_data::<web::Data<Access>>());
    let (Some(site), Some(access)) = (site.cloned(), access.cloned()) else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    let answer = request.conn_data::<Rc<Answering>>().cloned().map(|answering| {
        let length = body_length(request.headers());
        let (payload, answer) = answering.start(request.take_payload(), length);
        request.set_payload(payload);
        answer
    });
    site.metrics.in_flight.add(1);
    let _in_flight = InFlight(&site);
    let id = request_id(request.headers());
    let trace = trace(request.headers());
    let origin = allowed_origin(&access, request.headers());

    let client = request.peer_addr().map(|peer| proxy::client(peer.ip(), request.headers(), &access.proxies));
    if let Some(client) = client {
        request.extensions_mut().insert(client);
    }
    let refused = admit(&access, &request, client).err();
    let preflight = origin.is_some()
        && request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match refused {
        Some(problem) => request.error_response(problem),
        None if preflight => request.into_response(HttpResponse::NoContent().finish()),
        None => next.call(request).await?.map_into_boxed_body(),
    };
    response = write_problem(response, &id);
    add_headers(&access, site.serving.is_draining(), &mut response, &id, origin, preflight);
    let took = watch.elapsed();
    let route = if preflight { PREFLIGHT } else { response.request().match_name().unwrap_or(OTHER) };
    site.metrics.requests.count(route, response.status().as_u16(), took);
    log(&response, client, route, &id, trace.as_deref(), took);
    Ok(match answer {
        Some(answer) => response.map_body(|_, body| answer.body(body)),
        None => response,
    })
}

/// Returns the length of a request's body, if it is named.
fn body_length(headers: &HeaderMap) -> Option<u64> {
    let named = headers.get(header::CONTENT_LENGTH).filter(|_| !headers.contains_key(header::TRANSFER_ENCODING))?;
    named.to_str().ok()?.trim().parse().ok()
}

/// Checks a request against the limits that apply to every path.
fn admit(access: &Access, request: &ServiceRequest, client: Option<Client>) -> Result<(), Problem> {
    if access.tokens.is_empty() {
        cross_site::check_host(request)?;
    }
    // Exactly these paths, undecoded: orchestrators must be able to ask at any time.
    if !matches!(request.path(), "/healthz" | "/readyz") {
        client.map_or(Ok(()), |client| access.limits.address(client.0))?;
    }
    cross_site::check_origin(request, &access.cors)
}

/// Decrements the number of requests in flight when dropped, also when the client has disconnected.
struct InFlight<'a>(&'a Site);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.metrics.in_flight.sub(1);
    }
}

/// Writes the body of a problem. Makes a problem of a request that Actix itself rejected.
fn write_problem(response: ServiceResponse<BoxBody>, id: &str) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let known = response.response().extensions().get::<Problem>().cloned();
    let problem = match known {
        Some(problem) => problem,
        None if status.is_client_error() || status.is_server_error() => Problem::of_status(status),
        None => return response,
    };
    let body = problem.body(id);
    let mut response = response.map_body(|_, _| BoxBody::new(body));
    let json = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// Returns the headers of every answer that does not set them itself.
pub(crate) fn default_headers(is_encrypted: bool) -> DefaultHeaders {
    let headers = DefaultHeaders::new()
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::REFERRER_POLICY, "no-referrer"))
        .add((header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"))
        .add((header::CACHE_CONTROL, "no-store"));
    if is_encrypted { headers.add((header::STRICT_TRANSPORT_SECURITY, "max-age=31536000")) } else { headers }
}

/// Adds the headers that depend on the request and on the state of the server.
fn add_headers(
    access: &Access,
    draining: bool,
    response: &mut ServiceResponse<BoxBody>,
    id: &str,
    origin: Option<HeaderValue>,
    preflight: bool,
) {
    let headers = response.headers_mut();
    if draining {
        // Keep-alive would hold the connection open until the server closes it.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    if !access.cors.is_empty() {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers
            .insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("x-request-id, retry-after, etag"));
        if preflight {
            let methods = HeaderValue::from_static("GET, HEAD, POST, PUT");
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
            let allowed =
                HeaderValue::from_static("authorization, content-type, if-none-match, x-request-id, traceparent");
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE);
        }
    }
}

/// Returns the request's origin, if pages from there may read answers.
fn allowed_origin(access: &Access, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    access.cors.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
}

/// Returns the id the client sent, if it is a plain one, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let plain = |id: &&str| {
        (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let sent = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(plain);
    sent.map_or_else(new_id, str::to_owned)
}

/// Returns an id that no other request of this process has, and that is unlikely in another process.
fn new_id() -> String {
    static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{:016x}", SEED.hash_one(NEXT.fetch_add(1, Relaxed)))
}

/// Returns the client's own trace in a W3C `traceparent`, `00-<trace>-<span>-<flags>`: 32 hexadecimal digits.
fn trace(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(TRACEPARENT)?.to_str().ok()?;
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, span, flags, rest @ ..] = &parts[..] else { return None };
    let hex = |part: &str, length| part.len() == length && part.bytes().all(|b| b"0123456789abcdef".contains(&b));
    let is_set = |part: &str| part.bytes().any(|b| b != b'0');
    let is_known = hex(version, 2) && *version != "ff" && (*version != "00" || rest.is_empty());
    let is_whole = hex(trace, 32) && hex(span, 16) && hex(flags, 2) && is_set(trace) && is_set(span);
    (is_known && is_whole).then(|| (*trace).to_owned())
}

/// Logs one event per request, with the field names of the Elastic Common Schema. The query is left out, because it may
/// hold tokens.
fn log(
    response: &ServiceResponse<BoxBody>,
    client: Option<Client>,
    route: &str,
    id: &str,
    trace: Option<&str>,
    took: Duration,
) {
    let request = response.request();
    let label = request.extensions().get::<TokenLabel>().cloned();
    tracing::info!(
        http.request.method = request.method().as_str(),
        url.path = request.uri().path(),
        http.route = route,
        http.response.status_code = response.status().as_u16(),
        event.duration = took.as_nanos() as u64,
        client.ip = client.map(|client| tracing::field::display(client.0)),
        user.name = label.as_ref().map(|label| &*label.0),
        http.request.id = id,
        trace.id = trace,
        "request"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(name: HeaderName, value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn only_plain_ids_are_taken_over() {
        assert_eq!(request_id(&sent(REQUEST_ID, "abc-1.2_3")), "abc-1.2_3");
        for wrong in ["", "two words", "<b>", "a/b"] {
            assert_eq!(request_id(&sent(REQUEST_ID, wrong)).len(), 16, "{wrong}");
        }
    }

    #[test]
    fn traces_are_read_as_w3c_says() {
        let trace = |text| trace(&sent(TRACEPARENT, text));
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").as_deref(), Some(id));
        assert_eq!(trace("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more").as_deref(), Some(id));
        assert_eq!(trace("00-00000000000000000000000000000000-00f067aa0ba902b7-01"), None);
        assert_eq!(trace("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), None);
        assert_eq!(trace("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"), None);
    }
}
