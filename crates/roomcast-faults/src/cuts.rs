//! Connections to PostgreSQL that break at a chosen statement, before or after the server has done it.
//!
//! PostgreSQL itself is real, and takes care of its disk. What can go wrong above it is that a connection is lost: before
//! a statement has reached the server, or after it was done and before the answer has come back. A commit is such a
//! statement.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// A place at which a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The statement does not reach the server.
    BeforeStatement,
    /// The server has done the statement, and its answer does not come back.
    BeforeAnswer,
}

#[derive(Default)]
struct State {
    /// The next cut, and the number of statements that pass before it.
    next: Option<(u64, Cut)>,
    statements: u64,
    cuts: u64,
}

/// Stands between a store and its server.
#[derive(Clone)]
pub struct Proxy {
    /// The port on which it listens.
    pub port: u16,
    state: Arc<Mutex<State>>,
}

impl Proxy {
    /// Starts a proxy of a server on the present runtime.
    ///
    /// # Errors
    /// Returns the error of the operating system when there is no port.
    pub async fn start(server: &'static str) -> io::Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let proxy = Proxy { port: listener.local_addr()?.port(), state: Arc::default() };
        let own = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let proxy = own.clone();
                tokio::spawn(async move {
                    // A connection that ends is no error.
                    let _ = proxy.connect(client, server).await;
                });
            }
        });
        Ok(proxy)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts the connection at a statement from now on.
    pub fn arm(&self, statements: u64, cut: Cut) {
        self.state().next = Some((statements, cut));
    }

    /// Cuts nothing more.
    pub fn disarm(&self) {
        self.state().next = None;
    }

    /// Returns the number of statements that have come, and of connections that were cut.
    pub fn counts(&self) -> (u64, u64) {
        let state = self.state();
        (state.statements, state.cuts)
    }

    /// Returns the cut at the present statement.
    fn at_statement(&self) -> Option<Cut> {
        let mut state = self.state();
        state.statements += 1;
        match &mut state.next {
            Some((0, cut)) => {
                let cut = *cut;
                state.next = None;
                state.cuts += 1;
                Some(cut)
            }
            Some((statements, _)) => {
                *statements -= 1;
                None
            }
            None => None,
        }
    }

    async fn connect(&self, client: TcpStream, server: &str) -> io::Result<()> {
        let server = TcpStream::connect(server).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let ((mut from_client, to_client), (from_server, mut to_server)) = (client.into_split(), server.into_split());
        // The first message has no type.
        let length = from_client.read_u32().await?;
        let mut start = vec![0; length as usize - 4];
        from_client.read_exact(&mut start).await?;
        to_server.write_u32(length).await?;
        to_server.write_all(&start).await?;
        // True when the server's answers are no longer passed on.
        let is_mute = Arc::new(Mutex::new(false));
        let answers = tokio::spawn(pass_on_answers(from_server, to_client, is_mute.clone()));
        let done = self.pass_on_statements(&mut from_client, &mut to_server, &is_mute).await;
        if *is_mute.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = answers.await;
        } else {
            answers.abort();
        }
        done
    }

    /// Passes messages on until the connection ends or is cut.
    async fn pass_on_statements(
        &self,
        client: &mut OwnedReadHalf,
        server: &mut OwnedWriteHalf,
        is_mute: &Mutex<bool>,
    ) -> io::Result<()> {
        loop {
            let message = message(client).await?;
            // A statement ends with `Sync`, a plain one is a `Query`. What comes before changes nothing.
            let cut = if matches!(message[0], b'S' | b'Q') { self.at_statement() } else { None };
            match cut {
                None => server.write_all(&message).await?,
                Some(Cut::BeforeStatement) => return Ok(()),
                Some(Cut::BeforeAnswer) => {
                    *is_mute.lock().unwrap_or_else(PoisonError::into_inner) = true;
                    return server.write_all(&message).await;
                }
            }
        }
    }
}

/// Passes answers on. Once mute, waits for the end of the statement and ends both connections.
async fn pass_on_answers(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    is_mute: Arc<Mutex<bool>>,
) -> io::Result<()> {
    loop {
        let message = message(&mut server).await?;
        if !*is_mute.lock().unwrap_or_else(PoisonError::into_inner) {
            client.write_all(&message).await?;
        } else if message[0] == b'Z' {
            return Ok(());
        }
    }
}

/// Reads a message: its type, its length and its content.
async fn message(from: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let mut message = vec![0; 5];
    from.read_exact(&mut message).await?;
    let length = u32::from_be_bytes([message[1], message[2], message[3], message[4]]) as usize;
    message.resize(length + 1, 0);
    from.read_exact(&mut message[5..]).await?;
    Ok(message)
}
