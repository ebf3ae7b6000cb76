//! `roomcast healthcheck`: checks whether a server on this machine is alive, for containers without curl.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use super::serve::PORT;

/// Time limit of each step of the request.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Arguments of `roomcast healthcheck`.
#[derive(Debug, Args)]
pub struct HealthcheckArgs {
    /// Port of the server on this machine
    #[arg(long, value_name = "PORT", default_value_t = PORT)]
    port: u16,
    /// Check whether the readings and models are loaded, not only whether the process is alive
    #[arg(long)]
    ready: bool,
}

/// Requests `/healthz` or `/readyz`.
///
/// # Errors
/// Returns an error when there is no answer or its status is not 200.
pub fn run(args: &HealthcheckArgs) -> anyhow::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let path = if args.ready { "/readyz" } else { "/healthz" };
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.write_all(request.as_bytes())?;
        let mut head = vec![0; 12];
        stream.read_exact(&mut head)?;
        Ok(head)
    };
    let head = ask().with_context(|| format!("no answer from {address}"))?;
    if head != b"HTTP/1.1 200" {
        bail!("{address} answered {:?}", String::from_utf8_lossy(&head));
    }
    Ok(())
}
