//! Byte streams to a broker, encrypted or not.

use std::io;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A stream that can be read from and written to.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// A byte stream to a broker, below MQTT.
pub type Socket = Box<dyn Stream>;

/// Connects to a host, over TLS if there are certificates to trust (PEM).
///
/// # Errors
/// [`io::Error`] when the network or the host's certificate fails.
pub async fn connect(host: &str, port: u16, trusted: Option<&[u8]>) -> io::Result<Socket> {
    let tcp = TcpStream::connect((host, port)).await?;
    // Acknowledgements are already written together, so the kernel must not wait for more.
    tcp.set_nodelay(true)?;
    let Some(trusted) = trusted else { return Ok(Box::new(tcp)) };
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    Ok(Box::new(TlsConnector::from(Arc::new(config(trusted)?)).connect(name, tcp).await?))
}

/// Returns the client's settings for TLS 1.2 and 1.3, with these certificates (PEM) to trust.
fn config(trusted: &[u8]) -> io::Result<ClientConfig> {
    let certificates =
        CertificateDer::pem_slice_iter(trusted).collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(io::Error::other("there is no certificate to trust"));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
