//! Failures of requests, for machines and people: RFC 9457 problem details.

use std::fmt;

use actix_web::http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use roomcast_storage::registry::RegistryError;

/// Kinds of failure. The name of a code never changes after its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request is not valid HTTP.
    BadRequest,
    /// A query parameter has an invalid value.
    InvalidParameter,
    /// The path has no query parameter of this name.
    UnknownParameter,
    /// The body does not match its content type, or is invalid.
    InvalidBody,
    /// The token is missing or unknown.
    Unauthorized,
    /// The token's scope does not include this request.
    Forbidden,
    /// A page of another site sent a request that may change something.
    CrossSite,
    /// The path does not exist.
    NotFound,
    /// The device has no readings before the origin.
    UnknownDevice,
    /// The path does not have this method.
    MethodNotAllowed,
    /// The body did not arrive in time.
    RequestTimeout,
    /// The registry has no usable models. The models in use stay in use.
    ReloadFailed,
    /// The server was started without a store for readings.
    NoStore,
    /// The table of rooms is that of the option `--rooms`.
    RoomsGiven,
    /// The body is larger than allowed.
    BodyTooLarge,
    /// The media type or encoding of the body is not supported.
    UnsupportedMediaType,
    /// The server has no tokens, and the request is meant for a host that is not a loopback one.
    MisdirectedRequest,
    /// The time is outside the history or the forecast.
    OutOfRange,
    /// Every row of the body is invalid. Nothing was stored, and the same rows would be refused again.
    RowsRefused,
    /// The history covers too many hours or devices for one request.
    HistoryTooLarge,
    /// Too many requests.
    RateLimited,
    /// Too many readings wait to be stored.
    QueueFull,
    /// The server failed; its log has the cause.
    Internal,
    /// The history is still being loaded, or the server is about to stop.
    NotReady,
    /// The store for readings is unavailable. Nothing was stored.
    StoreUnavailable,
    /// The model registry is unavailable.
    ModelsUnavailable,
}

impl Code {
    /// Returns the HTTP status, the stable name and the title of a code.
    fn row(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Code::BadRequest => (StatusCode::BAD_REQUEST, "bad_request", "the request is malformed"),
            Code::InvalidParameter => {
                (StatusCode::BAD_REQUEST, "invalid_parameter", "a parameter has an invalid value")
            }
            Code::UnknownParameter => (StatusCode::BAD_REQUEST, "unknown_parameter", "a parameter is unknown"),
            Code::InvalidBody => (StatusCode::BAD_REQUEST, "invalid_body", "the body is invalid"),
            Code::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "a valid token is required"),
            Code::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "the token's scope is insufficient"),
            Code::CrossSite => (StatusCode::FORBIDDEN, "cross_site", "requests from pages of other sites are refused"),
            Code::NotFound => (StatusCode::NOT_FOUND, "not_found", "the path does not exist"),
            Code::UnknownDevice => (StatusCode::NOT_FOUND, "unknown_device", "the device is unknown"),
            Code::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "the method is not allowed here")
            }
            Code::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "request_timeout", "the request took too long"),
            Code::ReloadFailed => (StatusCode::CONFLICT, "reload_failed", "the models could not be reloaded"),
            Code::NoStore => (StatusCode::CONFLICT, "no_store", "the server has no store for readings"),
            Code::RoomsGiven => (StatusCode::CONFLICT, "rooms_given", "the table of rooms is given by a file"),
            Code::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "the body is too large"),
            Code::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "the form of the body is not supported")
            }
            Code::MisdirectedRequest => {
                (StatusCode::MISDIRECTED_REQUEST, "misdirected_request", "the request is meant for another host")
            }
            Code::OutOfRange => (StatusCode::UNPROCESSABLE_ENTITY, "out_of_range", "the time is out of range"),
            Code::RowsRefused => (StatusCode::UNPROCESSABLE_ENTITY, "rows_refused", "every row is invalid"),
            Code::HistoryTooLarge => {
                (StatusCode::UNPROCESSABLE_ENTITY, "history_too_large", "the history is too large for one request")
            }
            Code::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many requests"),
            Code::QueueFull => (StatusCode::TOO_MANY_REQUESTS, "queue_full", "too many readings wait to be stored"),
            Code::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed"),
            Code::NotReady => (StatusCode::SERVICE_UNAVAILABLE, "not_ready", "the server is not ready"),
            Code::StoreUnavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", "the store for readings is unavailable")
            }
            Code::ModelsUnavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "models_unavailable", "the model registry is unavailable")
            }
        }
    }

    /// Returns the HTTP status of a code.
    pub fn status(self) -> StatusCode {
        self.row().0
    }
}

/// The answer of a handler.
pub type Reply = Result<HttpResponse, Problem>;

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The kind of failure.
    pub code: Code,
    /// The description of this failure.
    pub detail: String,
    /// Advice to the client.
    pub hint: Option<String>,
    /// Seconds after which another try may succeed.
    pub retry_after: Option<u64>,
    /// The methods that the path has.
    pub allow: Option<String>,
    /// The rows of the body that are invalid.
    pub refused: Vec<RefusedRow>,
}

/// An invalid row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RefusedRow {
    /// Position of the row, from 1: the element of an array, or the line of other bodies (the header of a CSV is line
    /// 1).
    #[schema(minimum = 1)]
    pub row: u64,
    /// The reason why it is invalid.
    pub reason: String,
}

/// A failed request: RFC 9457 problem details.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody<'a> {
    /// `urn:roomcast:problem:` followed by the code; it never changes.
    #[serde(rename = "type")]
    kind: String,
    /// The code.
    code: Code,
    /// The kind of failure, in words.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// The cause of this problem in this request.
    detail: &'a str,
    /// Advice to the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    /// The rows of the body that are invalid, where all of them are.
    #[serde(skip_serializing_if = "<[RefusedRow]>::is_empty")]
    refused: &'a [RefusedRow],
    /// The identifier of the request in the server's log.
    request_id: &'a str,
}

impl Problem {
    /// Returns a problem without a hint.
    pub fn new(code: Code, detail: impl Into<String>) -> Problem {
        Problem { code, detail: detail.into(), hint: None, retry_after: None, allow: None, refused: Vec::new() }
    }

    /// Returns the same problem with a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the same problem with the seconds after which to try again.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Problem {
        self.retry_after = Some(seconds.max(1));
        self
    }

    /// Returns the problem of a registry error: `code`, or [`Code::ModelsUnavailable`] while the registry is
    /// unavailable. Messages of the registry end in a line `hint: …`.
    pub fn registry(code: Code, error: &RegistryError) -> Problem {
        let message = error.to_string();
        let (detail, hint) =
            message.split_once("\nhint: ").map_or((&*message, None), |(what, hint)| (what, Some(hint)));
        let mut problem = Problem::new(if error.is_temporary() { Code::ModelsUnavailable } else { code }, detail);
        problem.hint = hint.map(String::from);
        if problem.code == Code::ModelsUnavailable {
            problem.hint.get_or_insert_with(|| "try again later".into());
            problem.retry_after = Some(5);
        }
        problem
    }

    /// Returns the problem of a parameter with an invalid value.
    pub fn parameter(name: &str, why: impl fmt::Display) -> Problem {
        Problem::new(Code::InvalidParameter, format!("{name}: {why}"))
    }

    /// Returns the problem of a failure of the server. The cause is logged, and not sent to the client.
    pub(crate) fn internal(cause: impl fmt::Display) -> Problem {
        tracing::error!(error = %cause, "a request failed");
        Problem::new(Code::Internal, "the server could not answer").hint("look up this request_id in the server's log")
    }

    /// Returns the problem of a status that Actix itself answered with.
    pub(crate) fn of_status(status: StatusCode) -> Problem {
        let (code, detail) = match status {
            StatusCode::NOT_FOUND => (Code::NotFound, "this path does not exist"),
            StatusCode::METHOD_NOT_ALLOWED => (Code::MethodNotAllowed, "this path does not have that method"),
            StatusCode::PAYLOAD_TOO_LARGE => (Code::BodyTooLarge, "the body is larger than allowed"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => (Code::UnsupportedMediaType, "the form of the body is not supported"),
            StatusCode::REQUEST_TIMEOUT => (Code::RequestTimeout, "the request did not arrive in time"),
            status if status.is_client_error() => (Code::BadRequest, "the request is malformed"),
            _ => (Code::Internal, "the server could not answer"),
        };
        let problem = Problem::new(code, detail);
        if code == Code::NotFound { problem.hint("GET /openapi.json lists all paths") } else { problem }
    }

    /// Returns the JSON that is sent.
    pub fn body(&self, request_id: &str) -> Vec<u8> {
        let (status, name, title) = self.code.row();
        let body = ProblemBody {
            kind: format!("urn:roomcast:problem:{name}"),
            code: self.code,
            title,
            status: status.as_u16(),
            detail: &self.detail,
            hint: self.hint.as_deref(),
            refused: &self.refused,
            request_id,
        };
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    /// Returns the head only. The middleware writes the body, because it has the request's id.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.status_code());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allow) = self.allow.as_ref().and_then(|allow| allow.parse().ok()) {
            headers.insert(ALLOW, allow);
        }
        if self.code == Code::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"roomcast\""));
        }
        response.extensions_mut().insert(self.clone());
        response
    }
}
