//! The life cycle of the server: from its settings to its end.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use actix_server::{ServerBuilder, ServerHandle};
use actix_web::rt;
use actix_web::rt::signal::unix::{SignalKind, signal};
use actix_web::web::Data;
use anyhow::Context;

use crate::http::access::auth::Access;
use crate::jobs::{activations, load, periodic, replay, scheduled, watch};
use crate::metrics::Requests;
use crate::routes;
use crate::state::site::{Phase, Site};
use crate::transport::{listener, tls};

/// Interval at which limits drop the keys without recent requests.
const TIDY_INTERVAL: Duration = Duration::from_secs(1);

/// The address and settings of the listener.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Address and port; port 0 for any that is free.
    pub bind: SocketAddr,
    /// The file to which the port is written once it is known.
    pub port_file: Option<PathBuf>,
    /// Certificate and key.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Threads that serve connections; one per processor if not set.
    pub workers: Option<usize>,
    /// Connections that an address may have; 0 for no limit.
    pub connections: usize,
    /// Time for which `/readyz` reports not ready before connections are refused.
    pub drain: Duration,
    /// Time that requests may still take after that.
    pub shutdown_timeout: Duration,
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// Returns an error when the address cannot be bound, TLS cannot be set up, or the readings cannot be read at the
/// start.
pub fn run(mut site: Site, access: Access, listen: &Listen) -> anyhow::Result<()> {
    site.metrics.requests = Requests::new(routes::labels());
    let site = Data::new(site);
    let ended = rt::System::new().block_on(serve(site.clone(), Data::new(access), listen));
    if let Some(live) = &site.live {
        live.release();
    }
    ended
}

async fn serve(site: Data<Site>, access: Data<Access>, listen: &Listen) -> anyhow::Result<()> {
    let tls = listen.tls.as_ref().map(|(certificate, key)| tls::config(certificate, key)).transpose()?;
    // Signals are handled here: readiness ends first, connections later.
    let configure = |builder: ServerBuilder| {
        let builder = builder.shutdown_timeout(listen.shutdown_timeout.as_secs()).disable_signals();
        match listen.workers {
            Some(workers) => builder.workers(workers),
            None => builder,
        }
    };
    let listening = listener::listen(&site, &access, listen.bind, tls, listen.connections, configure);
    let (server, address) = listening.with_context(|| format!("cannot listen on {}", listen.bind))?;
    let handle = server.handle();
    announce(address, listen)?;
    let loading = start_loading(site.clone(), handle.clone());
    for job in [periodic::run, scheduled::run, replay::run] {
        let site = site.clone();
        std::thread::spawn(move || job(&site));
    }
    rt::spawn(async move {
        loop {
            rt::time::sleep(TIDY_INTERVAL).await;
            access.limits.tidy();
        }
    });
    rt::spawn(stop_on_signal(site, handle, listen.drain));
    server.await.context("the server failed")?;
    // Without an outcome the server was stopped while loading, and there is nothing to report.
    loading.recv_timeout(Duration::ZERO).unwrap_or(Ok(()))
}

/// Announces the server's address: to people in the log, to programs in the port file.
fn announce(address: SocketAddr, listen: &Listen) -> anyhow::Result<()> {
    let scheme = if listen.tls.is_some() { "https" } else { "http" };
    // Not a log line: programs that start a server wait for it, whatever is logged. Nobody may read it any more.
    let _ = writeln!(std::io::stderr(), "listening on {}", open_address(address, scheme));
    if let Some(path) = &listen.port_file {
        let write = roomcast_forecast::files::write(path, format!("{}\n", address.port()).as_bytes());
        write.context("cannot write the port file")?;
    }
    Ok(())
}

/// Returns the address that is open, and one that a browser on this machine can open.
fn open_address(address: SocketAddr, scheme: &str) -> String {
    match address.ip().is_unspecified() {
        true => format!("all addresses of this machine, here as {scheme}://localhost:{}", address.port()),
        false => format!("{scheme}://{address}"),
    }
}

/// Loads, then watches, on its own thread. A failed start stops the server and sends its error through the channel.
fn start_loading(site: Data<Site>, handle: ServerHandle) -> std::sync::mpsc::Receiver<anyhow::Result<()>> {
    let (report, outcome) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let stamps = watch::stamps(&site);
        let started = load::start(&site);
        let failed = started.is_err();
        // The channel is closed once the server has stopped.
        let _ = report.send(started);
        if failed {
            rt::System::new().block_on(handle.stop(false));
        } else {
            std::thread::spawn({
                let site = site.clone();
                move || activations::follow(&site)
            });
            watch::run(&site, stamps);
        }
    });
    outcome
}

async fn stop_on_signal(site: Data<Site>, handle: ServerHandle, drain: Duration) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("cannot listen for signals: the server stops without draining");
        return;
    };
    let mut next = async || {
        tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
    };
    next().await;
    tracing::info!("stopping: finishing the requests in flight");
    site.serving.set_phase(Phase::Draining);
    site.events.close();
    // A second signal means to stop at once.
    if rt::time::timeout(drain, next()).await.is_err() {
        tokio::select! { () = handle.stop(true) => return, () = next() => () }
    }
    handle.stop(false).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_is_open_is_said() {
        let of = |address: &str| open_address(address.parse().unwrap(), "http");
        assert_eq!(of("127.0.0.1:5101"), "http://127.0.0.1:5101");
        let all = "all addresses of this machine, here as http://localhost:5101";
        assert_eq!((of("0.0.0.0:5101").as_str(), of("[::]:5101").as_str()), (all, all));
    }
}
