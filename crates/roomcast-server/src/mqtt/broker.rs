//! The address of a broker and the identity of this client.

use std::time::Duration;

use rumqttc::MqttOptions;

use super::socket;

/// Largest packet that is read whole. Gateways also publish lists of all their devices.
pub(crate) const MOST_BYTES: usize = 16 << 20;

/// Keep-alive of connections: the interval at which the broker is asked whether it is there.
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
    /// Name of the session at the broker: the same at every start, and used by no other client.
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
        let (scheme, rest) = url.split_once("://").ok_or("expected mqtt://host:port or mqtts://host:port")?;
        let port = match (scheme, &trusted) {
            ("mqtt" | "tcp", _) => 1883,
            ("mqtts" | "ssl", Some(_)) => 8883,
            ("mqtts" | "ssl", None) => {
                return Err(
                    "mqtts:// needs the certificates to trust\nhint: --mqtt-ca /etc/ssl/certs/ca-certificates.crt"
                        .into(),
                );
            }
            _ => return Err("expected an address that begins with mqtt:// or mqtts://".into()),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (login, place) = rest.rsplit_once('@').map_or((None, rest), |(login, place)| (Some(login), place));
        let place = place.strip_suffix('/').unwrap_or(place);
        let (host, port) = match place.rsplit_once(':') {
            Some((host, number)) if !number.ends_with(']') => {
                // Not repeated: in an address without a host, or with a password that is not encoded, it is the password.
                (host, number.parse().map_err(|_| "expected a port from 1 to 65535 after the host")?)
            }
            _ => (place, port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || host.contains('/') {
            return Err("expected mqtt://host:port, without a path".into());
        }
        let login = match login {
            None => None,
            Some(login) => {
                let (user, own) = login.split_once(':').unwrap_or((login, ""));
                Some((decode(user)?, password.map_or_else(|| decode(own), |given| Ok(given.to_owned()))?))
            }
        };
        let mut client_id = default_id.to_owned();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("client_id", id)) if !id.is_empty() => client_id = decode(id)?,
                _ => return Err("expected nothing but client_id=… after the question mark".into()),
            }
        }
        let trusted = trusted.filter(|_| port_is_encrypted(scheme));
        Ok(Broker { host, port, login, trusted, client_id })
    }

    /// Returns the options of a connection that publishes, with a persistent session or without.
    pub fn options(&self, persistent: bool) -> MqttOptions {
        let mut options = MqttOptions::new(&self.client_id, (self.host.as_str(), self.port));
        options.set_keep_alive(KEEP_ALIVE.as_secs() as u16);
        options.set_clean_session(!persistent).set_max_packet_size(MOST_BYTES, MOST_BYTES);
        if let Some((user, password)) = &self.login {
            options.set_credentials(user, password.clone());
        }
        let broker = self.clone();
        options.set_socket_connector(move |_, _| {
            let broker = broker.clone();
            async move { socket::connect(&broker).await }
        });
        options
    }
}

fn port_is_encrypted(scheme: &str) -> bool {
    matches!(scheme, "mqtts" | "ssl")
}

/// Decodes percent-encoding.
fn decode(text: &str) -> Result<String, String> {
    let wrong = || "a % in a user, password or id is followed by two hexadecimal digits".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (code, after) = rest.split_at_checked(2).ok_or_else(wrong)?;
        let code = std::str::from_utf8(code).ok().and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(code.ok_or_else(wrong)?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| wrong())
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
