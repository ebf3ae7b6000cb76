//! Who may do what: bearer tokens with scopes.
//!
//! Handlers name the access they need as an argument ([`ReadAccess`], [`WriteAccess`], [`AdminAccess`]), so the path of a request has no
//! part in the decision and no spelling of it can go around.

use std::collections::HashMap;
use std::fs;
use std::future::{Ready, ready};
use std::path::Path;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, web};
use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::problem::{Code, Problem};
use super::query;
use super::site::Site;

/// How far a token reaches; each scope includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Ask for forecasts and everything that is shown.
    Read,
    /// Also send readings.
    Write,
    /// Also change what is served.
    Admin,
}

impl Scope {
    fn parse(text: &str) -> Option<Scope> {
        match text {
            "read" => Some(Scope::Read),
            "write" => Some(Scope::Write),
            "admin" => Some(Scope::Admin),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Write => "write",
            Scope::Admin => "admin",
        }
    }
}

/// The tokens the server knows, as SHA-256 digests: all of one length, and no token in memory to leak.
#[derive(Debug, Default)]
pub struct Tokens {
    known: HashMap<[u8; 32], Scope>,
}

impl Tokens {
    /// Reads `PRIVATE_TOKEN` (scope admin), `ROOMCAST_TOKENS` (`read:…,write:…,admin:…`) and a file with one
    /// `scope:token` a line.
    ///
    /// # Errors
    /// When the file cannot be read or an entry has no scope or no token. Errors never hold a token.
    pub fn read(private: Option<&str>, list: Option<&str>, file: Option<&Path>) -> anyhow::Result<Tokens> {
        let mut tokens = Tokens::default();
        if let Some(token) = private.map(str::trim).filter(|token| !token.is_empty()) {
            tokens.add(token, Scope::Admin);
        }
        for (at, entry) in list.unwrap_or_default().split(',').map(str::trim).enumerate() {
            if !entry.is_empty() {
                tokens.entry(entry).with_context(|| format!("ROOMCAST_TOKENS, entry {}", at + 1))?;
            }
        }
        if let Some(path) = file {
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            for (at, line) in text.lines().map(str::trim).enumerate() {
                if !line.is_empty() && !line.starts_with('#') {
                    tokens.entry(line).with_context(|| format!("{}: line {}", path.display(), at + 1))?;
                }
            }
        }
        Ok(tokens)
    }

    fn entry(&mut self, entry: &str) -> anyhow::Result<()> {
        let parts = entry.split_once(':').and_then(|(scope, token)| Some((Scope::parse(scope.trim())?, token.trim())));
        match parts {
            Some((scope, token)) if !token.is_empty() => self.add(token, scope),
            _ => bail!("expected read:TOKEN, write:TOKEN or admin:TOKEN"),
        }
        Ok(())
    }

    fn add(&mut self, token: &str, scope: Scope) {
        let known = self.known.entry(digest(token)).or_insert(scope);
        *known = scope.max(*known);
    }

    /// Whether no token is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The scope of a token and its digest. All known ones are compared, each in constant time.
    fn find(&self, token: &str) -> Option<(Scope, [u8; 32])> {
        let asked = digest(token);
        let mut found = None;
        for (known, scope) in &self.known {
            if bool::from(known.ct_eq(&asked)) {
                found = Some((*scope, asked));
            }
        }
        found
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
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
        ready(admit(request, Scope::Read).map(|()| ReadAccess))
    }
}

impl FromRequest for WriteAccess {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(admit(request, Scope::Write).map(|()| WriteAccess))
    }
}

impl FromRequest for AdminAccess {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(admit(request, Scope::Admin).map(|()| AdminAccess))
    }
}

/// Whether a request may do what needs `scope`, and its token has requests left.
///
/// # Errors
/// [`Code::Unauthorized`], [`Code::Forbidden`], [`Code::RateLimited`].
pub fn admit(request: &HttpRequest, scope: Scope) -> Result<(), Problem> {
    let Some(site) = request.app_data::<web::Data<Site>>() else { return Err(Problem::internal("no state")) };
    if site.tokens.is_empty() {
        // The server starts without tokens only where --no-auth was given, on loopback.
        return Ok(());
    }
    let Some(token) = token(request) else {
        return Err(Problem::new(Code::Unauthorized, "the request carries no token")
            .hint("send it as `Authorization: Bearer TOKEN`, or as ?token=TOKEN"));
    };
    let Some((has, digest)) = site.tokens.find(&token) else {
        site.metrics.refused_tokens.add(1);
        if let Some(address) = request.peer_addr() {
            site.limits.failed(address.ip())?;
        }
        return Err(Problem::new(Code::Unauthorized, "the token is not known"));
    };
    site.limits.token(digest)?;
    if has < scope {
        let detail = format!("this needs a token of scope {}, yours has {}", scope.name(), has.name());
        return Err(Problem::new(Code::Forbidden, detail));
    }
    Ok(())
}

/// The token in the header, else in the query.
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
        let scope = |token| tokens.find(token).map(|found| found.0);
        assert_eq!(scope("boss"), Some(Scope::Admin));
        assert_eq!((scope("a"), scope("b")), (Some(Scope::Read), Some(Scope::Write)));
        assert_eq!((scope("c"), scope("")), (None, None));
    }

    #[test]
    fn errors_do_not_hold_tokens() {
        for wrong in ["secret", "chief:secret", "read:ok,secret"] {
            let error = format!("{:#}", Tokens::read(None, Some(wrong), None).expect_err("no scope"));
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
