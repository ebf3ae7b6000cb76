//! Access control: bearer tokens with scopes.
//!
//! Handlers name the access they need as an argument ([`ReadAccess`], [`WriteAccess`], [`AdminAccess`]). The path of a
//! request has no part in the decision, so no spelling of a path can bypass it.

use std::future::{Ready, ready};
use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use super::limits::Limits;
use super::proxy::{Client, Network};
use super::tokens::{self, Scope, TokenLabel, Tokens};
use super::uploads::Uploads;
use crate::http::query;
use crate::problem::{Code, Problem};
use crate::state::site::Site;

/// Decides whether a request reaches its handler.
pub struct Access {
    /// The known tokens; none with `--no-auth`.
    pub tokens: Tokens,
    /// The limits on requests.
    pub limits: Limits,
    /// Histories sent in requests.
    pub uploads: Uploads,
    /// True when metrics are shown without a token.
    pub metrics_public: bool,
    /// Origins whose pages may read answers.
    pub cors: Vec<String>,
    /// Proxies that may name the client of a request.
    pub proxies: Vec<Network>,
    /// The proxy that lets only users through whom it has signed in.
    pub sign_in_proxy: Option<IpAddr>,
    /// True when connections are encrypted.
    pub tls: bool,
}

impl Access {
    /// Returns whether a request comes from the proxy that signs users in. The address is that of the connection: what
    /// headers say of it does not count.
    pub(crate) fn is_signed_in(&self, request: &HttpRequest) -> bool {
        let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
        peer.is_some() && peer == self.sign_in_proxy
    }
}

/// Admits requests whose token has a scope, and holds the scope that it has.
pub struct Admitted<const SCOPE: u8>(pub Scope);

/// The request may subscribe to a calendar, and do everything else that its scope allows.
pub type CalendarAccess = Admitted<{ Scope::Calendar as u8 }>;

/// The request may read.
pub type ReadAccess = Admitted<{ Scope::Read as u8 }>;

/// The request may send readings.
pub type WriteAccess = Admitted<{ Scope::Write as u8 }>;

/// The request may change what is served.
pub type AdminAccess = Admitted<{ Scope::Admin as u8 }>;

impl<const SCOPE: u8> FromRequest for Admitted<SCOPE> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(admit(request, Scope::ALL[usize::from(SCOPE)]).map(Admitted))
    }
}

/// The scope of users whom a proxy has signed in.
const SIGNED_IN: Scope = Scope::Read;

/// Checks that a request has `scope` and that its token has requests left, and returns the scope it has.
///
/// # Errors
/// Returns [`Code::Unauthorized`] without a known token, [`Code::Forbidden`] when its scope does not suffice, and
/// [`Code::RateLimited`] when it has no requests left.
pub(crate) fn admit(request: &HttpRequest, scope: Scope) -> Result<Scope, Problem> {
    let (site, access) = (request.app_data::<Data<Site>>(), request.app_data::<Data<Access>>());
    let (Some(site), Some(access)) = (site, access) else { return Err(Problem::internal("no state")) };
    if access.tokens.is_empty() {
        // The server starts without tokens only with --no-auth, on loopback.
        return Ok(Scope::Admin);
    }
    let Some(token) = token(request) else {
        if access.is_signed_in(request) {
            request.extensions_mut().insert(TokenLabel("sign-in proxy (read)".into()));
            SIGNED_IN.check(scope)?;
            return Ok(SIGNED_IN);
        }
        return Err(Problem::new(Code::Unauthorized, "the request carries no token")
            .hint("send it as `Authorization: Bearer TOKEN`, or as ?token=TOKEN"));
    };
    let Some((known, digest)) = access.tokens.find(&token) else {
        site.metrics.refused_tokens.add(1);
        // All users whom a proxy signs in have its address: one of them must not lock out the others.
        let is_shared = access.is_signed_in(request);
        if let Some(client) = request.extensions().get::<Client>().filter(|_| !is_shared) {
            access.limits.failed(client.0);
        }
        return Err(Problem::new(Code::Unauthorized, "the token is not known"));
    };
    request.extensions_mut().insert(known.label.clone());
    access.limits.token(digest)?;
    known.scope.check(scope)?;
    Ok(known.scope)
}

/// Returns the caller: the digest of its token, or of its address when no token is needed. Must be called for an
/// admitted request.
pub(crate) fn caller(request: &HttpRequest) -> [u8; 32] {
    match token(request) {
        Some(token) => tokens::digest(&token),
        None => tokens::digest(&request.peer_addr().map(|peer| peer.ip().to_string()).unwrap_or_default()),
    }
}

/// Returns the token in the header, else in the query.
fn token(request: &HttpRequest) -> Option<String> {
    if let Some(value) = request.headers().get(AUTHORIZATION) {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned());
    }
    let raw = request.query_string().split('&').find_map(|pair| pair.strip_prefix("token="))?;
    query::decode(raw).ok()
}
