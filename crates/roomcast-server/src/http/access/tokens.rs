//! Tokens and their scopes.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::problem::{Code, Problem};

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
    /// All scopes, the narrowest first.
    pub const ALL: [Scope; 4] = [Scope::Calendar, Scope::Read, Scope::Write, Scope::Admin];

    fn parse(text: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.name() == text)
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
const MIN_RANDOM_LENGTH: usize = 16;

/// The tokens of the server, as SHA-256 digests. Digests have one length, and no token stays in memory.
#[derive(Debug, Default)]
pub struct Tokens {
    known: HashMap<[u8; 32], KnownToken>,
    short: usize,
}

/// The name and scope of a known token.
#[derive(Debug, Clone)]
pub struct KnownToken {
    /// The scope.
    pub scope: Scope,
    /// The name.
    pub label: TokenLabel,
}

/// The name of a token in the log: its source and its scope, never its text. It is kept with the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenLabel(pub Arc<str>);

impl Tokens {
    /// Reads `PRIVATE_TOKEN` (scope admin), `ROOMCAST_TOKENS` (`calendar:…,read:…,write:…,admin:…`) and a file with one
    /// `scope:token` a line.
    ///
    /// # Errors
    /// Returns an error when the file cannot be read, or an entry has no scope or no token. Errors never contain a
    /// token.
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
        let known = KnownToken { scope, label: TokenLabel(format!("{place} ({})", scope.name()).into()) };
        match self.known.get_mut(&digest(token)) {
            Some(before) if before.scope < scope => *before = known,
            Some(_) => {}
            None => {
                self.short += usize::from(token.chars().count() < MIN_RANDOM_LENGTH);
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
    pub fn find(&self, token: &str) -> Option<(&KnownToken, [u8; 32])> {
        let token_digest = digest(token);
        let mut found = None;
        for (digest, known) in &self.known {
            if bool::from(digest.ct_eq(&token_digest)) {
                found = Some((known, token_digest));
            }
        }
        found
    }
}

/// Returns the SHA-256 digest of a token.
pub fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
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
