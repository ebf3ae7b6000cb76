//! Access control: bearer tokens with scopes.
//!
//! Handlers name the access they need as an argument ([`ReadAccess`], [`WriteAccess`], [`AdminAccess`]). The path of a
//! request has no part in the decision, so no spelling of a path can bypass it.

use std::collections::HashMap;
use std::fs;
use std::future::{Ready, ready};
use std::path::Path;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::proxy::Client;
use super::query;
use crate::problem::{Code, Problem};
use crate::state::site::Site;

/// The scope of a token; each scope includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Subscribe to the schedule as a calendar.
    Calendar,
    /// Also ask for forecasts and everything that is shown.
    Read,
    /// Also send readings.
    Write,
    /// Also change what is served.
    Admin,
}

impl Scope {
    fn parse(text: &str) -> Option<Scope> {
        match text {
            "calendar" => Some(Scope::Calendar),
            "read" => Some(Scope::Read),
            "write" => Some(Scope::Write),
            "admin" => Some(Scope::Admin),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Scope::Calendar => "calendar",
            Scope::Read => "read",
            Scope::Write => "write",
            Scope::Admin => "admin",
        }
    }

    /// Checks that this scope includes another.
    ///
    /// # Errors
    /// Returns [`Code::Forbidden`] when it does not.
    pub fn check(self, needed: Scope) -> Result<(), Problem> {
        if self >= needed {
            return Ok(());
        }
        let detail = format!("this needs a token of scope {}, yours has {}", needed.name(), self.name());
        Err(Problem::new(Code::Forbidden, detail))
    }
}

/// Number of characters from which on a random token cannot be guessed.
const LONG: usize = 16;

/// The tokens the server knows, as SHA-256 digests: all have one length, and no token is in memory to leak.
#[derive(Debug, Default)]
pub struct Tokens {
    known: HashMap<[u8; 32], Known>,
    short: usize,
}

/// The name and scope of a known token.
#[derive(Debug, Clone)]
struct Known {
    scope: Scope,
    label: TokenLabel,
}

/// The name of a token in the log: its source and its scope, never its text. It is kept with the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenLabel(pub Arc<str>);

impl Tokens {
    /// Reads `PRIVATE_TOKEN` (scope admin), `ROOMCAST_TOKENS` (`calendar:…,read:…,write:…,admin:…`) and a file with one
    /// `scope:token` a line.
    ///
    /// # Errors
    /// Returns an error when the file cannot be read, or an entry has no scope or no token. Errors never hold a token.
    pub fn read(private: Option<&str>, list: Option<&str>, file: Option<&Path>) -> anyhow::Result<Tokens> {
        let mut tokens = Tokens::default();
        if let Some(token) = private.map(str::trim).filter(|token| !token.is_empty()) {
            tokens.add(token, Scope::Admin, "PRIVATE_TOKEN");
        }
        for (at, entry) in list.unwrap_or_default().split(',').map(str::trim).enumerate() {
            if !entry.is_empty() {
                let place = format!("ROOMCAST_TOKENS, entry {}", at + 1);
                tokens.entry(entry, &place).with_context(|| place.clone())?;
            }
        }
        if let Some(path) = file {
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            for (at, line) in text.lines().map(str::trim).enumerate() {
                if !line.is_empty() && !line.starts_with('#') {
                    let place = format!("{}: line {}", path.display(), at + 1);
                    tokens.entry(line, &place).with_context(|| place.clone())?;
                }
            }
        }
        Ok(tokens)
    }

    fn entry(&mut self, entry: &str, place: &str) -> anyhow::Result<()> {
        let parts = entry.split_once(':').and_then(|(scope, token)| Some((Scope::parse(scope.trim())?, token.trim())));
        match parts {
            Some((scope, token)) if !token.is_empty() => self.add(token, scope, place),
            _ => bail!("expected calendar:TOKEN, read:TOKEN, write:TOKEN or admin:TOKEN"),
        }
        Ok(())
    }

    fn add(&mut self, token: &str, scope: Scope, place: &str) {
        let known = Known { scope, label: TokenLabel(format!("{place} ({})", scope.name()).into()) };
        match self.known.get_mut(&digest(token)) {
            Some(before) if before.scope < scope => *before = known,
            Some(_) => {}
            None => {
                self.short += usize::from(token.chars().count() < LONG);
                self.known.insert(digest(token), known);
            }
        }
    }

    /// Returns the number of tokens that are so short that they can be guessed.
    pub fn short(&self) -> usize {
        self.short
    }

    /// Returns whether no token is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Returns the entry of a token, and its digest. All known tokens are compared, each in constant time.
    fn find(&self, token: &str) -> Option<(&Known, [u8; 32])> {
        let asked = digest(token);
        let mut found = None;
        for (digest, known) in &self.known {
            if bool::from(digest.ct_eq(&asked)) {
                found = Some((known, asked));
            }
        }
        found
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// The request may subscribe to a calendar, and do whatever else its scope allows.
pub struct CalendarAccess(pub Scope);

impl FromRequest for CalendarAccess {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(admit(request, Scope::Calendar).map(CalendarAccess))
    }
}

/// The request may read.
pub struct ReadAccess;

/// The request may send readings.
pub struct WriteAccess;

/// The request may change what is served.
pub struct AdminAccess;

impl FromRequest for ReadAccess {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(admit(request, Scope::Read).map(|_| ReadAccess))
    }
}

impl FromRequest for WriteAccess {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(admit(request, Scope::Write).map(|_| WriteAccess))
    }
}

impl FromRequest for AdminAccess {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(admit(request, Scope::Admin).map(|_| AdminAccess))
    }
}

/// Checks that a request has `scope` and that its token has requests left, and returns the scope it has.
///
/// # Errors
/// Returns [`Code::Unauthorized`] without a known token, [`Code::Forbidden`] when its scope does not suffice, and
/// [`Code::RateLimited`] when it has no requests left.
pub fn admit(request: &HttpRequest, scope: Scope) -> Result<Scope, Problem> {
    let Some(site) = request.app_data::<web::Data<Site>>() else { return Err(Problem::internal("no state")) };
    if site.tokens.is_empty() {
        // The server starts without tokens only with --no-auth, on loopback.
        return Ok(Scope::Admin);
    }
    let Some(token) = token(request) else {
        return Err(Problem::new(Code::Unauthorized, "the request carries no token")
            .hint("send it as `Authorization: Bearer TOKEN`, or as ?token=TOKEN"));
    };
    let Some((known, digest)) = site.tokens.find(&token) else {
        site.metrics.refused_tokens.add(1);
        if let Some(client) = request.extensions().get::<Client>() {
            site.limits.failed(client.0);
        }
        return Err(Problem::new(Code::Unauthorized, "the token is not known"));
    };
    request.extensions_mut().insert(known.label.clone());
    site.limits.token(digest)?;
    known.scope.check(scope)?;
    Ok(known.scope)
}

/// Returns the caller: the digest of its token, or of its address when no token is needed. Must be called for an
/// admitted request.
pub fn caller(request: &HttpRequest) -> [u8; 32] {
    match token(request) {
        Some(token) => digest(&token),
        None => digest(&request.peer_addr().map(|peer| peer.ip().to_string()).unwrap_or_default()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_and_the_widest_counts() {
        let tokens = Tokens::read(Some("boss"), Some("read:a, write:b,read:boss"), None).expect("tokens");
        let scope = |token| tokens.find(token).map(|found| found.0.scope);
        assert_eq!(scope("boss"), Some(Scope::Admin));
        assert_eq!((scope("a"), scope("b")), (Some(Scope::Read), Some(Scope::Write)));
        assert_eq!((scope("c"), scope("")), (None, None));
        let label = |token| tokens.find(token).map(|found| found.0.label.0.to_string());
        assert_eq!(label("boss").as_deref(), Some("PRIVATE_TOKEN (admin)"));
        assert_eq!(label("b").as_deref(), Some("ROOMCAST_TOKENS, entry 2 (write)"));
    }

    #[test]
    fn short_tokens_are_counted_once() {
        let list = "read:fifteen-letters,write:fifteen-letters,read:sixteen-letters!,calendar:a";
        assert_eq!(Tokens::read(Some("token"), Some(list), None).expect("tokens").short(), 3);
    }

    #[test]
    fn errors_do_not_hold_tokens() {
        for wrong in ["secret", "chief:secret", "read:ok,secret"] {
            let error = format!("{:#}", Tokens::read(None, Some(wrong), None).expect_err("no scope"));
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
