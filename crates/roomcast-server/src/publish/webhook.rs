//! A web hook: posts messages about alerts to an address.
//!
//! The alert monitor hands them to a bounded queue and never waits. A task posts them one after the other, and tries a
//! message again with growing pauses. When the queue is full the oldest message is dropped, and counted. The address
//! may hold a secret, so the log names its host only.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Url};
use rustls::crypto::ring;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::backoff::{Backoff, Outage};
use crate::metrics::HookCounts;

/// Most messages that wait.
const MAX_WAITING: usize = 32;

/// Time limit of one try.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Age at which a message is given up.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// Shortest and longest pause before a message is tried again.
const PAUSES: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);

/// The address of a web hook, with its token.
pub struct Hook {
    url: Url,
    token: Option<HeaderValue>,
    client: Client,
}

/// Names the host: the rest of the address may be secret.
impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.url.scheme(), self.url.host_str().unwrap_or_default())
    }
}

impl Hook {
    /// Reads an address of `http` or `https`. The token is sent as a bearer token. Without certificates to trust (PEM),
    /// those of the system are trusted.
    ///
    /// # Errors
    /// Returns an error that says which part is invalid, without the address.
    pub fn parse(url: &str, token: Option<&str>, trusted: Option<&[u8]>) -> anyhow::Result<Hook> {
        let Ok(url) = url.parse::<Url>() else { bail!("expected https://host/path") };
        if !matches!(url.scheme(), "http" | "https") {
            bail!("expected http:// or https://, found {}://", url.scheme());
        }
        if token.is_some() && (!url.username().is_empty() || url.password().is_some()) {
            bail!("a token and a user in the address exclude each other");
        }
        let token = token.map(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))?;
            value.set_sensitive(true);
            Ok::<_, reqwest::header::InvalidHeaderValue>(value)
        });
        let token = token.transpose().context("the token has control characters")?;
        // The HTTP client installs no provider of its own; an error means that one is installed already.
        let _ = ring::default_provider().install_default();
        let mut client = Client::builder().timeout(TIMEOUT).redirect(Policy::none());
        if let Some(pem) = trusted {
            let trusted = Certificate::from_pem_bundle(pem).context("the certificates cannot be read")?;
            client = client.tls_certs_only(trusted);
        }
        Ok(Hook { url, token, client: client.build().map_err(reqwest::Error::without_url)? })
    }

    /// Posts a message once.
    async fn post(&self, body: &[u8]) -> Result<(), Failure> {
        let mut request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        let answer = request.body(body.to_vec()).send().await;
        let status = answer.map_err(|error| Failure::Temporary(error.without_url().to_string()))?.status();
        match status.as_u16() {
            200..=299 => Ok(()),
            408 | 425 | 429 | 500.. => Err(Failure::Temporary(format!("status {}", status.as_u16()))),
            other => Err(Failure::Lasting(format!("status {other}"))),
        }
    }
}

/// A message was not taken.
enum Failure {
    /// It may be taken later.
    Temporary(String),
    /// It will not be taken later either.
    Lasting(String),
}

/// Messages that wait, oldest first.
#[derive(Default)]
struct Queue {
    waiting: Mutex<VecDeque<(Instant, Vec<u8>)>>,
    added: Notify,
}

impl Queue {
    fn take(&self) -> Option<(Instant, Vec<u8>)> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// Posts messages to a web hook.
pub struct Notifier {
    queue: Arc<Queue>,
    counts: Arc<HookCounts>,
}

impl Notifier {
    /// Starts to post on a runtime, until it ends.
    pub fn start(runtime: &Handle, hook: Hook) -> Notifier {
        let (queue, counts) = (Arc::<Queue>::default(), Arc::<HookCounts>::default());
        runtime.spawn(deliver(hook, queue.clone(), counts.clone()));
        Notifier { queue, counts }
    }

    /// Queues a message, JSON.
    pub fn send(&self, body: Vec<u8>) {
        let mut waiting = self.queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() == MAX_WAITING {
            waiting.pop_front();
            self.counts.dropped.add(1);
        }
        waiting.push_back((Instant::now(), body));
        drop(waiting);
        self.queue.added.notify_one();
    }

    /// Returns the counts of messages.
    pub fn counts(&self) -> &HookCounts {
        &self.counts
    }
}

/// Posts the messages of a queue, one after the other.
async fn deliver(hook: Hook, queue: Arc<Queue>, counts: Arc<HookCounts>) {
    let mut outage = Outage::default();
    loop {
        let Some((since, body)) = queue.take() else {
            queue.added.notified().await;
            continue;
        };
        let mut pauses = Backoff::new(PAUSES);
        loop {
            match hook.post(&body).await {
                Ok(()) => {
                    counts.sent.add(1);
                    if outage.end() {
                        tracing::info!("alerts reach {hook} again");
                    }
                    break;
                }
                Err(Failure::Temporary(error)) if since.elapsed() < MAX_AGE => {
                    counts.failures.add(1);
                    if outage.begin() {
                        tracing::warn!(error, "alerts do not reach {hook}: trying again");
                    }
                    sleep(pauses.step()).await;
                }
                Err(Failure::Temporary(error) | Failure::Lasting(error)) => {
                    counts.failures.add(1);
                    counts.dropped.add(1);
                    tracing::warn!(error, "an alert was not taken by {hook}");
                    break;
                }
            }
        }
    }
}
