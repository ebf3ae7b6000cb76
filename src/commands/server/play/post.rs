//! Sensors that post to `/readings`.

use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Request, Url};
use rustls::crypto::ring;
use tokio::runtime::{Builder, Runtime};

use super::{Clock, Sent, script};
use roomcast_forecast::calendar::Calendar;
use roomcast_simulate::Building;

/// Largest number of rows in a request.
const MAX_ROWS: usize = 1000;

/// Interval at which the clock is read while no reading is due.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Time limit of a request.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Number of tries of a request: a server that is down or full may recover.
const MAX_TRIES: u32 = 60;

/// A server that takes readings.
pub struct Server {
    /// The request without its rows.
    request: Request,
    client: Client,
    runtime: Runtime,
}

impl Server {
    /// Reads `http://host[:port][/]`, or the same with `https` and the certificates to trust (PEM).
    ///
    /// # Errors
    /// Returns an error that says which part of the address, the certificates or the token is invalid.
    pub fn parse(url: &str, token: Option<&str>, trusted: Option<&[u8]>) -> anyhow::Result<Server> {
        let url: Url = url.parse().context("expected http://host:port")?;
        ensure!(
            url.username().is_empty() && url.path() == "/" && url.query().is_none(),
            "expected http://host:port, without user and path"
        );
        let trusted = match (url.scheme(), trusted) {
            ("http", _) => Vec::new(),
            ("https", Some(pem)) => Certificate::from_pem_bundle(pem).context("the certificates cannot be read")?,
            ("https", None) => bail!("https:// needs the certificates to trust\nhint: --live-ca FILE"),
            (other, _) => bail!("expected http:// or https://, found {other}://"),
        };
        // The HTTP client installs no provider of its own; an error means that one is installed already.
        let _ = ring::default_provider().install_default();
        let client = Client::builder().tls_certs_only(trusted).timeout(TIMEOUT).no_proxy().redirect(Policy::none());
        let client = client.build()?;
        let mut request = client.post(url.join("readings")?).header(CONTENT_TYPE, "application/x-ndjson");
        if let Some(token) = token {
            request = request.bearer_auth(token.trim());
        }
        let request = request.build().context("the token has control characters")?;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Server { request, client, runtime })
    }

    /// Sends rows until they are stored.
    fn send(&self, rows: &str) -> anyhow::Result<()> {
        let url = self.request.url();
        let mut tries = 0;
        loop {
            let (delay, failure) = match self.try_send(rows) {
                Ok((200, ..)) => return Ok(()),
                Ok((status, delay, answer)) => {
                    let failure = anyhow!("{url}: refused with status {status}: {answer}");
                    if !matches!(status, 429 | 503) {
                        return Err(failure);
                    }
                    (delay.unwrap_or(1), failure)
                }
                Err(error) => (1, anyhow::Error::from(error.without_url()).context(url.to_string())),
            };
            tries += 1;
            if tries == MAX_TRIES {
                return Err(failure);
            }
            tracing::warn!(error = format!("{failure:#}"), "trying again");
            std::thread::sleep(Duration::from_secs(delay.min(30)));
        }
    }

    /// Sends one request. Returns the status, the seconds of `Retry-After` and the body of the answer.
    fn try_send(&self, rows: &str) -> reqwest::Result<(u16, Option<u64>, String)> {
        let mut request = Request::new(self.request.method().clone(), self.request.url().clone());
        request.headers_mut().clone_from(self.request.headers());
        *request.body_mut() = Some(rows.to_owned().into());
        self.runtime.block_on(async {
            let answer = self.client.execute(request).await?;
            let delay = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            Ok((answer.status().as_u16(), delay, answer.text().await?))
        })
    }
}

/// Posts the readings, one JSON object a line, until the building's last day is over.
///
/// # Errors
/// Returns an error when the server cannot be reached or refuses the readings.
pub fn post(building: &Building, server: &Server, speed: f64) -> anyhow::Result<Sent> {
    let (names, calendar, mut sent) = (building.names(), Calendar::default(), Sent::default());
    let (mut rows, mut waiting, mut clock) = (String::new(), 0, None);
    for message in script(building).filter(|message| message.occupied) {
        let clock = clock.get_or_insert_with(|| Clock::new(message.time, speed));
        while waiting > 0 && (waiting >= MAX_ROWS || clock.now() < message.time) {
            server.send(&rows)?;
            rows.clear();
            waiting = 0;
        }
        while clock.now() < message.time {
            std::thread::sleep(POLL_INTERVAL);
        }
        let (time, device) = (calendar.format(message.time), &names[message.device]);
        rows += &format!("{{\"time\":\"{time}\",\"device\":\"{device}\"}}\n");
        waiting += 1;
        sent.readings += 1;
    }
    if waiting > 0 {
        server.send(&rows)?;
    }
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let server = Server::parse("http://localhost:5000/", Some(" t\n"), None).unwrap();
        assert_eq!(server.request.url().as_str(), "http://localhost:5000/readings");
        assert_eq!(Server::parse("http://[::1]", None, None).unwrap().request.url().host_str(), Some("[::1]"));
        assert!(Server::parse("http://localhost", Some("two\nlines"), None).is_err());
        for wrong in ["localhost", "https://host", "ftp://host", "http://", "http://a/b", "http://u@a", "http://a:b"] {
            assert!(Server::parse(wrong, None, None).is_err(), "{wrong}");
        }
    }
}
