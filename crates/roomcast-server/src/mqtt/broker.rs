//! The address of a broker and the identity of this client.

use std::io;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use rumqttc::MqttOptions;
use url::{ParseError, Url};

use super::socket::{self, Socket};

/// Largest packet that is read whole. Gateways also publish lists of all their devices.
pub(crate) const MAX_PACKET_BYTES: usize = 16 << 20;

/// Keep-alive of connections: the interval at which pings are sent.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// A broker, with the settings to connect to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Broker {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User and password, if the broker needs them.
    pub login: Option<(String, String)>,
    /// The certificates to trust, PEM. Without them the connection is not encrypted.
    pub trusted: Option<Vec<u8>>,
    /// Client id of the session. It is the same at every start, and no other client uses it.
    pub client_id: String,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::fmt::Display for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.trusted.is_some() { "mqtts" } else { "mqtt" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl Broker {
    /// Reads `mqtt://[user[:password]@]host[:port][/][?client_id=…]`, or the same with `mqtts`. A separate `password`
    /// takes precedence over one in the address. Without an id the client is `default_id`.
    ///
    /// # Errors
    /// Returns a message that names what is invalid, without the password.
    pub fn parse(
        url: &str,
        password: Option<&str>,
        trusted: Option<Vec<u8>>,
        default_id: &str,
    ) -> Result<Broker, String> {
        // No message repeats a part of the address: with a mistake in it, any part may be the password.
        let url = Url::parse(url).map_err(|error| match error {
            ParseError::InvalidPort => "expected a port from 1 to 65535 after the host\nhint: write / ? # and @ in a password as %2F %3F %23 and %40",
            _ => "expected mqtt://host:port or mqtts://host:port",
        })?;
        let (port, trusted) = match (url.scheme(), trusted) {
            ("mqtt" | "tcp", _) => (1883, None),
            ("mqtts" | "ssl", Some(trusted)) => (8883, Some(trusted)),
            ("mqtts" | "ssl", None) => {
                return Err(
                    "mqtts:// needs the certificates to trust\nhint: --mqtt-ca /etc/ssl/certs/ca-certificates.crt"
                        .into(),
                );
            }
            _ => return Err("expected an address that begins with mqtt:// or mqtts://".into()),
        };
        let host = decode(url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']'))?;
        if host.is_empty() || !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err("expected mqtt://host:port, without a path".into());
        }
        let login = match (url.username(), url.password()) {
            ("", None) => None,
            (user, own) => {
                let password = password.map_or_else(|| decode(own.unwrap_or_default()), |given| Ok(given.to_owned()));
                Some((decode(user)?, password?))
            }
        };
        let mut client_id = default_id.to_owned();
        for pair in url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("client_id", id)) if !id.is_empty() => client_id = decode(id)?,
                _ => return Err("expected nothing but client_id=… after the question mark".into()),
            }
        }
        Ok(Broker { host, port: url.port().unwrap_or(port), login, trusted, client_id })
    }

    /// Connects, over TLS if there are certificates to trust.
    ///
    /// # Errors
    /// [`io::Error`] when the network or the broker's certificate fails.
    pub async fn connect(&self) -> io::Result<Socket> {
        socket::connect(&self.host, self.port, self.trusted.as_deref()).await
    }

    /// Returns the options of a connection that publishes, with a persistent session or without.
    pub fn options(&self, persistent: bool) -> MqttOptions {
        let mut options = MqttOptions::new(&self.client_id, (self.host.as_str(), self.port));
        options.set_keep_alive(KEEP_ALIVE.as_secs() as u16);
        options.set_clean_session(!persistent).set_max_packet_size(MAX_PACKET_BYTES, MAX_PACKET_BYTES);
        if let Some((user, password)) = &self.login {
            options.set_credentials(user, password.clone());
        }
        let broker = self.clone();
        options.set_socket_connector(move |_, _| {
            let broker = broker.clone();
            async move { broker.connect().await }
        });
        options
    }
}

/// Decodes percent-encoding.
fn decode(text: &str) -> Result<String, String> {
    let wrong = || "a % in a user, password or id is followed by two hexadecimal digits".to_owned();
    let is_code = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|digit| digit.is_ascii_hexdigit());
    if !text.split('%').skip(1).all(is_code) {
        return Err(wrong());
    }
    percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let parse = |url| Broker::parse(url, None, None, "roomcast").unwrap();
        let plain = parse("mqtt://broker");
        assert_eq!((plain.host.as_str(), plain.port, plain.client_id.as_str()), ("broker", 1883, "roomcast"));
        let full = parse("mqtt://us%40er:p%3Aw:x@[::1]:1884/?client_id=here%201");
        assert_eq!((full.host.as_str(), full.port, full.client_id.as_str()), ("::1", 1884, "here 1"));
        assert_eq!(full.login, Some(("us@er".into(), "p:w:x".into())));
        assert_eq!(full.to_string(), "mqtt://::1:1884");
        let given = Broker::parse("mqtt://user@host", Some("secret"), None, "x").unwrap();
        assert_eq!(given.login, Some(("user".into(), "secret".into())));
        assert!(!format!("{given:?}").contains("secret"));
        let tls = Broker::parse("mqtts://host", None, Some(b"pem".to_vec()), "x").unwrap();
        assert_eq!((tls.port, tls.trusted.is_some()), (8883, true));
    }

    #[test]
    fn wrong_addresses_are_told_without_their_password() {
        for wrong in [
            "host",
            "http://host",
            "mqtt://",
            "mqtts://u:secret@host",
            "mqtt://u:secret@host:port",
            "mqtt://u:secret%4@host",
            "mqtt://host/path",
            "mqtt://host?id=4",
            "mqtt://user:secret",
            "u:secret@mqtt://host",
            "mqtt://u:secret?more@host",
            "mqtt://u:12?secret@host",
        ] {
            let error = Broker::parse(wrong, None, None, "x").unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
