//! Objects under one prefix of an S3-compatible store. The usual variables hold its address and credentials
//! (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, `AWS_REGION` and so on).

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{
    ClientConfigKey, Error, ObjectStore, ObjectStoreExt, PutMode, PutPayload, RetryConfig, UpdateVersion,
};

use super::super::error::{Damage, RegistryError};
use super::wait::{LONG_TIMEOUT, SHORT_TIMEOUT, wait};
use crate::url::redacted;

/// Bytes up to which an object is transferred by the client with the short timeout.
const SMALL_OBJECT_BYTES: u64 = 4 << 20;

/// Number of retries, and the time after the first try within which they begin.
const MAX_RETRIES: usize = 2;
const RETRY_TIMEOUT: Duration = Duration::from_secs(4);

/// The mark of one state of an object, by which a change is noticed.
#[derive(Debug, Clone)]
pub(super) struct Mark(UpdateVersion);

/// The objects of one registry.
pub(super) struct Objects {
    /// The registry's name, without a user or a query.
    pub name: String,
    url: String,
    clients: OnceLock<Result<Clients, String>>,
}

struct Clients {
    prefix: String,
    /// The client for short answers.
    brief: AmazonS3,
    /// The client for the layers of all devices.
    long: AmazonS3,
}

impl fmt::Debug for Objects {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Objects").field(&self.name).finish()
    }
}

impl Clients {
    fn new(url: &str) -> Result<Clients, String> {
        let known = "a registry is in a directory, at postgres://…, or at s3://bucket/prefix";
        let rest = url.strip_prefix("s3://").ok_or(known)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() || bucket.contains(['@', ':', '?']) {
            return Err(format!("{known}\nhint: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"));
        }
        // The first caller installs the provider. All callers install the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = |limit: Duration| {
            let retry =
                RetryConfig { max_retries: MAX_RETRIES, retry_timeout: RETRY_TIMEOUT, ..RetryConfig::default() };
            let key = AmazonS3ConfigKey::Client;
            AmazonS3Builder::from_env()
                .with_bucket_name(bucket)
                .with_retry(retry)
                .with_config(key(ClientConfigKey::ConnectTimeout), "3s")
                .with_config(key(ClientConfigKey::Timeout), format!("{}s", limit.as_secs()))
                .build()
                .map_err(|error| error.to_string())
        };
        Ok(Clients { prefix: prefix.to_owned(), brief: client(SHORT_TIMEOUT / 2)?, long: client(LONG_TIMEOUT)? })
    }
}

impl Objects {
    pub fn new(url: &str) -> Objects {
        let url = url.trim_end_matches('/').to_owned();
        Objects { name: redacted(&url), url, clients: OnceLock::new() }
    }

    fn clients(&self) -> Result<&Clients, RegistryError> {
        let clients = self.clients.get_or_init(|| Clients::new(&self.url));
        clients.as_ref().map_err(|why| RegistryError::refused(&self.name, why))
    }

    /// Returns the client that transfers `bytes` bytes, and its timeout.
    fn client_for(&self, bytes: u64) -> Result<(&AmazonS3, Duration), RegistryError> {
        let clients = self.clients()?;
        let is_small = bytes <= SMALL_OBJECT_BYTES;
        Ok(if is_small { (&clients.brief, SHORT_TIMEOUT) } else { (&clients.long, LONG_TIMEOUT) })
    }

    fn failed(&self, error: Error) -> RegistryError {
        match error {
            Error::Generic { .. } | Error::JoinError { .. } => RegistryError::unavailable(&self.name, error),
            _ => RegistryError::refused(&self.name, error),
        }
    }

    /// Returns the path of an object of this registry.
    pub fn path(&self, parts: &[&str]) -> Path {
        let prefix = self.clients().map_or("", |clients| &clients.prefix);
        Path::from(format!("{prefix}/{}", parts.join("/")))
    }

    /// Returns the bytes of an object of at most `limit` bytes, and its mark. Returns `None` when there is no such
    /// object.
    pub fn get(&self, path: &Path, limit: u64) -> Result<Option<(Vec<u8>, Mark)>, RegistryError> {
        let (client, timeout) = self.client_for(limit)?;
        wait(&self.name, timeout, async {
            let found = match client.get(path).await {
                Err(Error::NotFound { .. }) => return Ok(None),
                found => found.map_err(|error| self.failed(error))?,
            };
            if found.meta.size > limit {
                let damage = Damage::Length { found: found.meta.size, expected: limit };
                return Err(RegistryError::damaged(format!("{}: {path}", self.name), damage));
            }
            let mark = Mark(UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() });
            let bytes = found.bytes().await.map_err(|error| self.failed(error))?;
            Ok(Some((bytes.into(), mark)))
        })
    }

    /// Returns whether there is such an object.
    pub fn is_there(&self, path: &Path) -> Result<bool, RegistryError> {
        let clients = self.clients()?;
        wait(&self.name, SHORT_TIMEOUT, async {
            match clients.brief.head(path).await {
                Err(Error::NotFound { .. }) => Ok(false),
                Err(error) => Err(self.failed(error)),
                Ok(_) => Ok(true),
            }
        })
    }

    /// Writes an object, and replaces any that is there.
    pub fn put(&self, path: &Path, bytes: Vec<u8>) -> Result<(), RegistryError> {
        self.put_as(path, bytes, PutMode::Overwrite).map(|_| ())
    }

    /// Replaces the object with this mark, or creates the object without a mark. Returns `None` when another object is
    /// there.
    pub fn put_if(&self, path: &Path, bytes: Vec<u8>, mark: Option<&Mark>) -> Result<Option<Mark>, RegistryError> {
        self.put_as(path, bytes, mark.map_or(PutMode::Create, |mark| PutMode::Update(mark.0.clone())))
    }

    fn put_as(&self, path: &Path, bytes: Vec<u8>, mode: PutMode) -> Result<Option<Mark>, RegistryError> {
        let (client, timeout) = self.client_for(bytes.len() as u64)?;
        wait(&self.name, timeout, async {
            match client.put_opts(path, PutPayload::from(bytes), mode.into()).await {
                Ok(put) => Ok(Some(Mark(put.into()))),
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(None),
                Err(error) => Err(self.failed(error)),
            }
        })
    }

    /// Removes an object, if it is there.
    pub fn delete(&self, path: &Path) -> Result<(), RegistryError> {
        let clients = self.clients()?;
        wait(&self.name, SHORT_TIMEOUT, async {
            match clients.brief.delete(path).await {
                Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(self.failed(error)),
            }
        })
    }

    /// Lists the direct children of a prefix: further prefixes, and objects.
    pub fn list(&self, prefix: &Path) -> Result<(Vec<Path>, Vec<Path>), RegistryError> {
        let clients = self.clients()?;
        let prefix = (!prefix.as_ref().is_empty()).then_some(prefix);
        wait(&self.name, SHORT_TIMEOUT, async {
            let found = clients.brief.list_with_delimiter(prefix).await.map_err(|error| self.failed(error))?;
            Ok((found.common_prefixes, found.objects.into_iter().map(|object| object.location).collect()))
        })
    }
}
