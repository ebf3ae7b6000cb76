//! Sensors that post to `/readings`.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Url};
use rustls::crypto::ring;
use tokio::runtime::{Builder, Runtime};

use super::{Clock, PlayError, Played, script};
use roomcast_forecast::calendar::Calendar;
use roomcast_simulate::Building;

/// Largest number of rows in a request.
const ROWS: usize = 1000;

/// Interval between looks at the clock while no reading is due.
const LOOK: Duration = Duration::from_millis(100);

/// Time limit of a request.
const PATIENCE: Duration = Duration::from_secs(60);

/// Number of tries of a request: a server that is down or full may recover.
const TRIES: u32 = 60;

/// A server that takes readings.
pub struct Server {
    url: Url,
    client: Client,
    runtime: Runtime,
}

impl Server {
    /// Reads `http://host[:port][/]`, or the same with `https` and the certificates to trust (PEM).
    ///
    /// # Errors
    /// A message that says which part of the address, the certificates or the token is invalid.
    pub fn parse(url: &str, token: Option<String>, trusted: Option<&[u8]>) -> Result<Server, String> {
        let mut url: Url = url.parse().map_err(|error| format!("expected http://host:port: {error}"))?;
        if !url.username().is_empty() || url.path() != "/" || url.query().is_some() {
            return Err("expected http://host:port, without user and path".into());
        }
        url.set_path("readings");
        let trusted = match (url.scheme(), trusted) {
            ("http", _) => Vec::new(),
            ("https", Some(pem)) => Certificate::from_pem_bundle(pem)
                .map_err(|error| format!("the certificates cannot be read: {error}"))?,
            ("https", None) => return Err("https:// needs the certificates to trust\nhint: --live-ca FILE".into()),
            (other, _) => return Err(format!("expected http:// or https://, found {other}://")),
        };
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"))]);
        if let Some(token) = token {
            let value = HeaderValue::from_str(&format!("Bearer {}", token.trim()));
            headers.insert(AUTHORIZATION, value.map_err(|_| "the token has control characters")?);
        }
        // The HTTP client installs no provider of its own; an error means that one is installed already.
        let _ = ring::default_provider().install_default();
        let client = Client::builder().default_headers(headers).tls_certs_only(trusted).timeout(PATIENCE);
        let client = client.no_proxy().redirect(Policy::none()).build().map_err(message)?;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Ok(Server { url, client, runtime: runtime.map_err(|error| error.to_string())? })
    }

    /// Sends rows until they are stored.
    fn send(&self, rows: &str) -> Result<(), PlayError> {
        let target = || self.url.to_string();
        let mut tried = 0;
        loop {
            let (wait, failed) = match self.ask(rows) {
                Ok((200, ..)) => return Ok(()),
                Ok((status @ (429 | 503), wait, message)) => {
                    (wait.unwrap_or(1), PlayError::Refused { target: target(), status, message })
                }
                Ok((status, _, message)) => return Err(PlayError::Refused { target: target(), status, message }),
                Err(error) => (1, PlayError::Unreachable { target: target(), message: message(error) }),
            };
            tried += 1;
            if tried == TRIES {
                return Err(failed);
            }
            tracing::warn!(error = %failed, "trying again");
            std::thread::sleep(Duration::from_secs(wait.min(30)));
        }
    }

    /// Sends one request; returns the status, the seconds of `Retry-After` and the body of the answer.
    fn ask(&self, rows: &str) -> reqwest::Result<(u16, Option<u64>, String)> {
        let request = self.client.post(self.url.clone()).body(rows.to_owned());
        self.runtime.block_on(async {
            let answer = request.send().await?;
            let wait = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            Ok((answer.status().as_u16(), wait, answer.text().await?))
        })
    }
}

/// Returns the error's message with its causes, which the client's own message leaves out.
fn message(error: reqwest::Error) -> String {
    format!("{:#}", anyhow::Error::from(error.without_url()))
}

/// Posts the readings, one JSON object a line, until the building's last day is over.
///
/// # Errors
/// [`PlayError`] when the server cannot be reached or does not accept the readings.
pub fn post(building: &Building, server: &Server, speed: f64) -> Result<Played, PlayError> {
    let (names, calendar, mut played) = (building.names(), Calendar::default(), Played::default());
    let (mut rows, mut waiting, mut clock) = (String::new(), 0, None);
    for said in script(building).filter(|said| said.occupied) {
        let clock = clock.get_or_insert_with(|| Clock::new(said.time, speed));
        while waiting > 0 && (waiting >= ROWS || clock.now() < said.time) {
            server.send(&rows)?;
            rows.clear();
            waiting = 0;
        }
        while clock.now() < said.time {
            std::thread::sleep(LOOK);
        }
        let (time, device) = (calendar.format(said.time), &names[said.device]);
        rows += &format!("{{\"time\":\"{time}\",\"device\":\"{device}\"}}\n");
        waiting += 1;
        played.readings += 1;
    }
    if waiting > 0 {
        server.send(&rows)?;
    }
    Ok(played)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let server = Server::parse("http://localhost:5000/", Some(" t\n".into()), None).unwrap();
        assert_eq!(server.url.as_str(), "http://localhost:5000/readings");
        assert_eq!(Server::parse("http://[::1]", None, None).unwrap().url.host_str(), Some("[::1]"));
        assert!(Server::parse("http://localhost", Some("two\nlines".into()), None).is_err());
        for wrong in ["localhost", "https://host", "ftp://host", "http://", "http://a/b", "http://u@a", "http://a:b"] {
            assert!(Server::parse(wrong, None, None).is_err(), "{wrong}");
        }
    }
}
