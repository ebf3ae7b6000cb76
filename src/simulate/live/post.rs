//! Sensors that post to `/readings`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};

use super::{Clock, PlayError, Played, script};
use crate::calendar::Calendar;
use crate::simulate::Building;

/// Rows of a request, at most.
const ROWS: usize = 1000;

/// How often what happened is sent.
const LOOK: Duration = Duration::from_millis(100);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tries of one request: a server that is away or full may be back soon.
const TRIES: u32 = 60;

/// Longest answer that is read.
const MOST_ANSWER: u64 = 64 << 20;

/// A server that takes readings.
pub struct Server {
    /// Its address, for messages.
    target: String,
    host: String,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
    token: Option<String>,
    stream: Option<BufReader<Box<dyn Connection>>>,
}

trait Connection: Read + Write {}
impl<T: Read + Write> Connection for T {}

impl Server {
    /// Reads `http://host[:port][/]`, or the same with `https` and the certificates to trust (PEM).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(url: &str, token: Option<String>, trusted: Option<&[u8]>) -> Result<Server, String> {
        let (scheme, rest) = url.split_once("://").ok_or("expected http://host:port")?;
        let place = rest.strip_suffix('/').unwrap_or(rest);
        let port = if scheme == "https" { 443 } else { 80 };
        let (host, port) = match place.rsplit_once(':') {
            Some((host, number)) if !number.ends_with(']') => {
                (host, number.parse().map_err(|_| format!("{number:?} is no port"))?)
            }
            _ => (place, port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || host.contains(['/', '@', '?']) {
            return Err("expected http://host:port, without user and path".into());
        }
        let tls = match (scheme, trusted) {
            ("http", _) => None,
            ("https", Some(pem)) => Some(Arc::new(config(pem)?)),
            ("https", None) => return Err("https:// needs the certificates to trust\nhint: --live-ca FILE".into()),
            (other, _) => return Err(format!("expected http:// or https://, found {other}://")),
        };
        let target = format!("{scheme}://{place}");
        let token = token.map(|token| token.trim().to_owned());
        if token.as_ref().is_some_and(|token| token.contains(char::is_control)) {
            return Err("the token has control characters".into());
        }
        Ok(Server { target, host, port, tls, token, stream: None })
    }

    /// Sends rows until they are stored.
    fn send(&mut self, rows: &str) -> Result<(), PlayError> {
        let mut tried = 0;
        loop {
            let (wait, failed) = match self.ask(rows) {
                Ok((200, ..)) => return Ok(()),
                Ok((status @ (429 | 503), wait, message)) => {
                    (wait.unwrap_or(1), PlayError::Refused { target: self.target.clone(), status, message })
                }
                Ok((status, _, message)) => {
                    return Err(PlayError::Refused { target: self.target.clone(), status, message });
                }
                Err(error) => {
                    self.stream = None;
                    (1, PlayError::Unreachable { target: self.target.clone(), message: error.to_string() })
                }
            };
            tried += 1;
            if tried == TRIES {
                return Err(failed);
            }
            tracing::warn!(error = %failed, "trying again");
            std::thread::sleep(Duration::from_secs(wait.min(30)));
        }
    }

    /// One request: status, seconds of `Retry-After`, and body of its answer.
    fn ask(&mut self, rows: &str) -> std::io::Result<(u16, Option<u64>, String)> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => BufReader::new(self.connect()?),
        };
        let token = self.token.as_ref().map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
        let head = format!(
            "POST /readings HTTP/1.1\r\nHost: {}\r\n{token}Content-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
            self.host,
            rows.len()
        );
        let connection = stream.get_mut();
        connection.write_all(head.as_bytes())?;
        connection.write_all(rows.as_bytes())?;
        connection.flush()?;
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let broken = || std::io::Error::new(std::io::ErrorKind::InvalidData, "the answer is no HTTP");
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
        let (mut length, mut wait, mut stays) = (0, None, true);
        loop {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                return Err(broken());
            }
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            match (name.to_ascii_lowercase().as_str(), value.trim()) {
                ("content-length", value) => length = value.parse().map_err(|_| broken())?,
                ("retry-after", value) => wait = value.parse().ok(),
                ("connection", "close") => stays = false,
                _ => {}
            }
        }
        let mut body = Vec::new();
        stream.by_ref().take(u64::min(length, MOST_ANSWER)).read_to_end(&mut body)?;
        self.stream = stays.then_some(stream);
        Ok((status, wait, String::from_utf8_lossy(&body).into_owned()))
    }

    fn connect(&self) -> std::io::Result<Box<dyn Connection>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let Some(config) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(self.host.clone()).map_err(std::io::Error::other)?;
        let connection = ClientConnection::new(config.clone(), name).map_err(std::io::Error::other)?;
        Ok(Box::new(StreamOwned::new(connection, stream)))
    }
}

/// TLS that trusts these certificates.
fn config(pem: &[u8]) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| format!("the certificates cannot be read: {error}"))?;
        roots.add(certificate).map_err(|error| format!("a certificate cannot be used: {error}"))?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Posts the readings, one JSON object a line, until the building's last day is over.
///
/// # Errors
/// [`PlayError`] when the server cannot be reached or does not take them.
pub fn post(building: &Building, server: &mut Server, speed: f64) -> Result<Played, PlayError> {
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
        assert_eq!((server.host.as_str(), server.port, server.token.as_deref()), ("localhost", 5000, Some("t")));
        assert_eq!(Server::parse("http://[::1]", None, None).unwrap().host, "::1");
        for wrong in ["localhost", "https://host", "ftp://host", "http://", "http://a/b", "http://u@a", "http://a:b"] {
            assert!(Server::parse(wrong, None, None).is_err(), "{wrong}");
        }
    }
}
