//! Accepts connections and hands them to Actix: plain or encrypted, a limited number per address.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol, Request};
use actix_server::{GracefulShutdownSignal, Server, ServerBuilder};
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Extensions};
use actix_web::middleware::{Compress, from_fn};
use actix_web::web::Data;
use actix_web::{App, Error};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connection::Connection;
use super::slots::Connections;
use crate::http::access::auth::Access;
use crate::http::middleware;
use crate::routes;
use crate::state::site::Site;

/// Longest time for a request's head, and for which an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// Longest time for a handshake, for a client to read part of an answer, and for closing a connection.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Connections that wait to be accepted.
const ACCEPT_BACKLOG: u32 = 1024;

/// A connection in the form Actix expects.
type Accepted<T> = (Connection<T>, Protocol, Option<SocketAddr>);

/// Listens at an address; `configure` sets the number of threads and the like. Also returns the address, whose port may
/// have been left open. `limit` is the number of connections that an address may have, 0 for no limit.
///
/// # Errors
/// Returns an error when the address cannot be bound.
pub fn listen(
    site: &Data<Site>,
    access: &Data<Access>,
    address: SocketAddr,
    tls: Option<ServerConfig>,
    limit: usize,
    configure: impl FnOnce(ServerBuilder) -> ServerBuilder,
) -> io::Result<(Server, SocketAddr)> {
    let listener = bind(address)?;
    let address = listener.local_addr()?;
    let builder = configure(Server::build());
    let signal = builder.graceful_shutdown_signal();
    let connections = Connections::new(limit);
    let (site, access) = (site.clone(), access.clone());
    let builder = match tls {
        None => builder.listen("roomcast", listener, move || {
            let (connections, own) = (connections.clone(), site.clone());
            fn_service(move |stream| plain(stream, connections.clone(), own.clone()))
                .and_then(http(&site, &access, &signal))
        })?,
        Some(mut config) => {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            let acceptor = TlsAcceptor::from(Arc::new(config));
            builder.listen("roomcast", listener, move || {
                let (connections, own, acceptor) = (connections.clone(), site.clone(), acceptor.clone());
                fn_service(move |stream| secure(stream, acceptor.clone(), connections.clone(), own.clone()))
                    .and_then(http(&site, &access, &signal))
            })?
        }
    };
    Ok((builder.run(), address))
}

fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_BACKLOG)?.into_std()
}

/// Answers the requests of connections.
fn http<T: AsyncRead + AsyncWrite + Unpin + 'static>(
    site: &Data<Site>,
    access: &Data<Access>,
    signal: &GracefulShutdownSignal,
) -> impl ServiceFactory<Accepted<T>, Config = (), Response = (), Error = DispatchError, InitError = ()> + use<T> {
    let app = App::new()
        .app_data(site.clone())
        .app_data(access.clone())
        .wrap(from_fn(middleware::process))
        .wrap(middleware::default_headers(access.tls))
        .wrap(Compress::default())
        .configure(routes::add);
    let app = IntoServiceFactory::<_, Request>::into_factory(app).map_err(|error: Error| error.error_response());
    let signal = signal.clone();
    HttpService::build()
        .graceful_shutdown_signal(move || {
            let signal = signal.clone();
            async move { signal.notified().await }
        })
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(CLOSE_TIMEOUT)
        .keep_alive(IDLE_TIMEOUT)
        .on_connect_ext(|connection: &Connection<T>, data: &mut Extensions| {
            data.insert(connection.answering());
        })
        .finish(map_config(app, |()| AppConfig::default()))
}

/// Accepts a plain connection.
async fn plain(
    stream: TcpStream,
    connections: Arc<Connections>,
    site: Data<Site>,
) -> Result<Accepted<TcpStream>, DispatchError> {
    let peer = stream.peer_addr().map_err(DispatchError::Io)?;
    let slot = connections.admit(peer.ip()).ok_or_else(|| refuse(&site, peer))?;
    Ok((Connection::new(stream, STALL_TIMEOUT, Some(slot)), Protocol::Http1, Some(peer)))
}

/// Accepts a connection and performs the TLS handshake.
async fn secure(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    connections: Arc<Connections>,
    site: Data<Site>,
) -> Result<Accepted<TlsStream<TcpStream>>, DispatchError> {
    let peer = stream.peer_addr().map_err(DispatchError::Io)?;
    let slot = connections.admit(peer.ip()).ok_or_else(|| refuse(&site, peer))?;
    let stream = match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(accepted) => accepted.map_err(DispatchError::Io)?,
        Err(_) => return Err(DispatchError::Io(io::ErrorKind::TimedOut.into())),
    };
    Ok((Connection::new(stream, STALL_TIMEOUT, Some(slot)), Protocol::Http1, Some(peer)))
}

/// Ends a connection of an address that already has as many as it may.
fn refuse(site: &Site, peer: SocketAddr) -> DispatchError {
    site.metrics.refused_connections.add(1);
    tracing::debug!(client.address = %peer.ip(), "an address has too many connections");
    DispatchError::Io(io::ErrorKind::ConnectionRefused.into())
}
