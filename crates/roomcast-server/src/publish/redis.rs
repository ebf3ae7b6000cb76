//! Publishes forecasts for programs: `prediction:DEVICE` in Redis, which expires when the hour is over.

use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisError, TlsCertificates,
    pipe,
};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Edition, Given, Hold};
use crate::backoff::Backoff;
use roomcast_forecast::calendar::Calendar;

/// Number of keys set with one request.
const AT_ONCE: usize = 256;

/// Longest waits for a connection and for an answer.
const CONNECTING: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(10);

/// First and longest wait between tries.
const WAITS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// A Redis server.
#[derive(Clone)]
pub struct Redis {
    client: Client,
    place: String,
}

/// The address is not that of a Redis server. It is not shown, because it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("expected redis://[user@]host[:port][/database], or the same with rediss:// and certificates to trust")]
pub struct RedisUrlError;

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.place)
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
        let place = info.addr().to_string();
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
        Ok(Redis { client, place })
    }
}

/// Writes each edition until the runtime ends, and connects while no other server publishes. An unreachable Redis
/// server is tried again and again, and gets the newest edition when it is back.
pub async fn run(
    target: Redis,
    mut editions: watch::Receiver<Option<Arc<Edition>>>,
    calendar: Calendar,
    given: Arc<Given>,
    mut hold: Hold,
) {
    let mut waits = Backoff::new(WAITS.0, WAITS.1);
    let mut failing = false;
    loop {
        hold.begin().await;
        let Err(error) = session(&target, &mut editions, &calendar, &given, &mut waits, &mut failing).await else {
            return;
        };
        given.connected.set(0);
        given.failures.add(1);
        if failing {
            tracing::debug!(redis = target.place, %error, "Redis is still away");
        } else {
            tracing::warn!(redis = target.place, %error, "forecasts do not reach Redis, it is tried again");
        }
        failing = true;
        sleep(waits.step()).await;
    }
}

/// Serves one connection, until it fails or no more editions are made.
async fn session(
    target: &Redis,
    editions: &mut watch::Receiver<Option<Arc<Edition>>>,
    calendar: &Calendar,
    given: &Given,
    waits: &mut Backoff,
    failing: &mut bool,
) -> Result<(), RedisError> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECTING)).set_response_timeout(Some(ANSWER));
    let mut connection = target.client.get_multiplexed_async_connection_with_config(&config).await?;
    given.connected.set(1);
    tracing::debug!(redis = target.place, "connected to Redis");
    loop {
        let edition = editions.borrow_and_update().clone();
        if let Some(edition) = edition {
            write(&mut connection, &edition, calendar, given).await?;
            waits.reset();
            if std::mem::take(failing) {
                tracing::info!(redis = target.place, "forecasts reach Redis again");
            }
        }
        if editions.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// Sets the keys of an edition while its first hour is not over.
async fn write(
    connection: &mut MultiplexedConnection,
    edition: &Edition,
    calendar: &Calendar,
    given: &Given,
) -> Result<(), RedisError> {
    let rendered = edition.render(calendar);
    for some in edition.forecasts.chunks(AT_ONCE) {
        let Some(seconds) = edition.seconds_left(calendar, calendar.now()) else { return Ok(()) };
        let mut request = pipe();
        for forecast in some {
            let Ok(json) = rendered.prediction(forecast) else { continue };
            request.cmd("SET").arg(format!("prediction:{}", forecast.device)).arg(json).arg("EX").arg(seconds).ignore();
        }
        request.query_async::<()>(connection).await?;
        given.sent.add(some.len() as u64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_passwords_are_not_shown() {
        let redis = Redis::parse("redis://:s3cret@cache:6380/2", None, None).unwrap();
        assert_eq!(format!("{redis:?}"), "cache:6380");
        let redis = Redis::parse("redis://cache", Some("s3cret"), None).unwrap();
        assert_eq!(redis.client.get_connection_info().redis_settings().password(), Some("s3cret"));
        for wrong in ["cache:6379", "http://s3cret@cache", "redis://s3cret@cache:port", "rediss://:s3cret@cache", ""] {
            assert!(!Redis::parse(wrong, None, None).unwrap_err().to_string().contains("s3cret"));
        }
    }
}
