//! Publishes forecasts for programs: `prediction:DEVICE` in Redis, which expires when the hour is over.

use std::fmt;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisError, TlsCertificates,
    pipe,
};
use async_trait::async_trait;

use super::{Feed, SiteForecast, Target};

/// Most keys set with one request.
const MAX_BATCH_KEYS: usize = 256;

/// Longest waits for a connection and for an answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// A Redis server.
pub struct Redis {
    client: Client,
    address: String,
}

/// The address is not that of a Redis server. It is not shown, because it may contain a password.
#[derive(Debug, thiserror::Error)]
#[error("expected redis://[user@]host[:port][/database], or the same with rediss:// and certificates to trust")]
pub struct RedisUrlError;

impl fmt::Display for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redis at {}", self.address)
    }
}

impl Redis {
    /// Reads the address of a server, `redis://[user[:password]@]host[:port][/database]`, or the same with `rediss` for
    /// an encrypted connection. One of the certificates in `trusted` (PEM) must vouch for that of the server then. The
    /// argument `password` takes precedence over a password in the address.
    ///
    /// # Errors
    /// Returns [`RedisUrlError`] when the address is not that of a Redis server.
    pub fn parse(url: &str, password: Option<&str>, trusted: Option<Vec<u8>>) -> Result<Redis, RedisUrlError> {
        let mut info: ConnectionInfo = url.into_connection_info().map_err(|_| RedisUrlError)?;
        if let Some(password) = password {
            let settings = info.redis_settings().clone().set_password(password);
            info = info.set_redis_settings(settings);
        }
        let address = info.addr().to_string();
        let encrypted = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        let client = match trusted.filter(|_| encrypted) {
            None if encrypted => return Err(RedisUrlError),
            None => Client::open(info),
            trusted => {
                // A provider that was installed earlier stays.
                let _ = rustls::crypto::ring::default_provider().install_default();
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: trusted })
            }
        };
        let client = client.map_err(|_| RedisUrlError)?;
        Ok(Redis { client, address })
    }
}

#[async_trait]
impl Target for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    async fn publish(&mut self, feed: &mut Feed) -> anyhow::Result<()> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        feed.connected();
        loop {
            if let Some(forecast) = feed.newest() {
                if write(&mut connection, &forecast, feed).await? {
                    feed.published(&forecast);
                } else {
                    feed.too_old(&forecast);
                }
            }
            if !feed.wait().await {
                return Ok(());
            }
        }
    }
}

/// Sets the keys of a forecast while its first hour is not over. Returns whether all are set.
async fn write(
    connection: &mut MultiplexedConnection,
    forecast: &SiteForecast,
    feed: &Feed,
) -> Result<bool, RedisError> {
    let rendered = forecast.render(&feed.calendar);
    for devices in forecast.forecasts.chunks(MAX_BATCH_KEYS) {
        let Some(seconds) = forecast.seconds_left(&feed.calendar, feed.calendar.now()) else { return Ok(false) };
        let mut request = pipe();
        for device in devices {
            let Ok(json) = rendered.prediction(device) else { continue };
            request.cmd("SET").arg(format!("prediction:{}", device.device)).arg(json).arg("EX").arg(seconds).ignore();
        }
        request.query_async::<()>(connection).await?;
        feed.counts.sent.add(devices.len() as u64);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_passwords_are_not_shown() {
        let redis = Redis::parse("redis://:s3cret@cache:6380/2", None, None).unwrap();
        assert_eq!(redis.to_string(), "Redis at cache:6380");
        let redis = Redis::parse("redis://cache", Some("s3cret"), None).unwrap();
        assert_eq!(redis.client.get_connection_info().redis_settings().password(), Some("s3cret"));
        for wrong in ["cache:6379", "http://s3cret@cache", "redis://s3cret@cache:port", "rediss://:s3cret@cache", ""] {
            assert!(!Redis::parse(wrong, None, None).map(|_| ()).unwrap_err().to_string().contains("s3cret"));
        }
    }
}
