//! A receiving connection to a broker.
//!
//! The client library's event loop ends the connection at a packet over its limit. The broker sends the packet again on
//! the next connection, so one large message would stop a session permanently. Here the bytes of such a message are
//! read and dropped, and its beginning is returned so that it is acknowledged. Acknowledgements are written together,
//! while the event loop would write each separately.

use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use rumqttc::mqttbytes::Error as PacketError;
use rumqttc::{Connect, ConnectReturnCode, FixedHeader, Packet, Publish};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::Broker;
use crate::ingest::payload::MAX_KEPT_BYTES;
use crate::mqtt::broker::{KEEP_ALIVE, MAX_PACKET_BYTES};
use crate::mqtt::socket::Socket;

/// Longest time to connect, and for the broker to accept written bytes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// Time without a packet after which the connection counts as lost. A ping is sent every [`KEEP_ALIVE`].
const SILENCE_TIMEOUT: Duration = KEEP_ALIVE.saturating_mul(2);

/// Bytes of buffer added for a read.
const READ_BUFFER_BYTES: usize = 64 << 10;

/// Bytes of a message that hold any topic and number, and the part of the payload that goes into quarantine.
const HEAD_BYTES: usize = 5 + 2 + u16::MAX as usize + 2 + MAX_KEPT_BYTES;

/// The upper four bits of the first byte of a PUBLISH packet.
const PUBLISH_TYPE: u8 = 3;

/// Reasons a connection cannot be made or has ended.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The network or TLS failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The broker sent a packet that is not MQTT 3.1.1.
    #[error("the broker sent an invalid packet: {0}")]
    Packet(#[from] PacketError),
    /// The broker rejected this client.
    #[error("the broker refuses the connection: {0:?}")]
    Refused(ConnectReturnCode),
    /// The broker sent another packet before it accepted the connection.
    #[error("the broker answered with another packet than a connection acknowledgement")]
    Unexpected,
    /// The broker closed the connection.
    #[error("the broker closed the connection")]
    Closed,
    /// The broker takes no bytes, or the connection is not made in time.
    #[error("the broker does not answer in time")]
    Timeout,
    /// The broker stopped answering.
    #[error("the broker does not answer any more")]
    Silent,
}

/// A packet or message from the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A whole packet.
    Packet(Packet),
    /// A message that was too large, with the beginning of its payload, and the payload's size.
    TooLarge(Publish, usize),
}

/// A message whose bytes are being dropped.
struct Skipped {
    beginning: Publish,
    bytes: usize,
    left: usize,
}

/// A connection with a persistent session.
pub struct Connection {
    socket: Socket,
    input: BytesMut,
    output: BytesMut,
    skipped: Option<Skipped>,
    received_at: Instant,
}

impl Connection {
    /// Connects, and returns whether the broker knew the session.
    ///
    /// # Errors
    /// [`ConnectionError`] when the connection cannot be made, or the broker rejects it.
    pub async fn open(broker: &Broker) -> Result<(Connection, bool), ConnectionError> {
        timeout(CONNECT_TIMEOUT, Connection::connect(broker)).await.map_err(|_| ConnectionError::Timeout)?
    }

    async fn connect(broker: &Broker) -> Result<(Connection, bool), ConnectionError> {
        let mut connection = Connection::new(broker.connect().await?);
        let mut connect = Connect::new(&broker.client_id);
        connect.clean_session = false;
        connect.keep_alive = KEEP_ALIVE.as_secs() as u16;
        if let Some((user, password)) = &broker.login {
            connect.set_credentials(user, password.clone());
        }
        connection.send([Packet::Connect(connect)]).await?;
        match connection.read().await? {
            Incoming::Packet(Packet::ConnAck(ack)) if ack.code == ConnectReturnCode::Success => {
                Ok((connection, ack.session_present))
            }
            Incoming::Packet(Packet::ConnAck(ack)) => Err(ConnectionError::Refused(ack.code)),
            _ => Err(ConnectionError::Unexpected),
        }
    }

    fn new(socket: Socket) -> Connection {
        let (input, output) = (BytesMut::new(), BytesMut::new());
        Connection { socket, input, output, skipped: None, received_at: Instant::now() }
    }

    /// Waits for the next packet. Cancelling the wait loses nothing.
    ///
    /// # Errors
    /// [`ConnectionError`] when the connection has ended, or the broker sent an invalid packet.
    pub async fn read(&mut self) -> Result<Incoming, ConnectionError> {
        loop {
            if let Some(incoming) = self.take()? {
                return Ok(incoming);
            }
            if self.socket.read_buf(&mut self.input).await? == 0 {
                return Err(ConnectionError::Closed);
            }
            self.received_at = Instant::now();
        }
    }

    /// Removes a packet from the input. Makes room for more input if no packet is complete.
    fn take(&mut self) -> Result<Option<Incoming>, ConnectionError> {
        if self.skipped.is_none() {
            match Packet::read(&mut self.input, MAX_PACKET_BYTES) {
                Ok(packet) => return Ok(Some(Incoming::Packet(packet))),
                Err(PacketError::InsufficientBytes(missing)) => {
                    self.make_room(missing);
                    return Ok(None);
                }
                Err(PacketError::PayloadSizeLimitExceeded(length)) if self.is_message() => {
                    if self.input.len() < HEAD_BYTES {
                        self.make_room(1);
                        return Ok(None);
                    }
                    self.skipped = Some(self.begin_skip(length)?);
                }
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(skipped) = &mut self.skipped {
            let dropped = skipped.left.min(self.input.len());
            self.input.advance(dropped);
            skipped.left -= dropped;
            if skipped.left > 0 {
                self.make_room(1);
                return Ok(None);
            }
        }
        Ok(self.skipped.take().map(|skipped| Incoming::TooLarge(skipped.beginning, skipped.bytes)))
    }

    /// Makes room for `missing` bytes if there is less. A packet that fits is not copied elsewhere.
    fn make_room(&mut self, missing: usize) {
        if self.input.capacity() - self.input.len() < missing {
            self.input.reserve(missing.max(READ_BUFFER_BYTES));
        }
    }

    fn is_message(&self) -> bool {
        self.input.first().is_some_and(|first| first >> 4 == PUBLISH_TYPE)
    }

    /// Takes the beginning of a message that is too large, of which `length` bytes follow its fixed header.
    fn begin_skip(&mut self, length: usize) -> Result<Skipped, PacketError> {
        let head = self.input.split_to(HEAD_BYTES).freeze();
        // The length is coded in up to four bytes. The last one has its highest bit clear.
        let digits = 1 + head.iter().skip(1).take_while(|byte| **byte & 0x80 != 0).count();
        let first = head.first().copied().unwrap_or_default();
        let header = FixedHeader::new(first, digits, length);
        let mut beginning = Publish::read(header, head)?;
        let left = header.frame_length().saturating_sub(HEAD_BYTES);
        let bytes = beginning.payload.len() + left;
        // The copy lets the input's memory be freed.
        beginning.payload = beginning.payload.iter().copied().take(MAX_KEPT_BYTES).collect();
        Ok(Skipped { beginning, bytes, left })
    }

    /// Sends packets together.
    ///
    /// # Errors
    /// [`ConnectionError`] when the packets are not sent. The connection is unusable then.
    pub async fn send(&mut self, packets: impl IntoIterator<Item = Packet>) -> Result<(), ConnectionError> {
        self.output.clear();
        for packet in packets {
            packet.write(&mut self.output, MAX_PACKET_BYTES)?;
        }
        let written = async {
            self.socket.write_all(&self.output).await?;
            self.socket.flush().await
        };
        Ok(timeout(WRITE_TIMEOUT, written).await.map_err(|_| ConnectionError::Timeout)??)
    }

    /// Sends a ping. The caller does so every [`KEEP_ALIVE`].
    ///
    /// # Errors
    /// As [`Connection::send`], and [`ConnectionError::Silent`] when the broker sent nothing for too long.
    pub async fn ping(&mut self) -> Result<(), ConnectionError> {
        if self.received_at.elapsed() > SILENCE_TIMEOUT {
            return Err(ConnectionError::Silent);
        }
        self.send([Packet::PingReq]).await
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::QoS;
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    fn publish(topic: &str, bytes: usize, pkid: u16) -> Packet {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, vec![b'x'; bytes]);
        publish.pkid = pkid;
        Packet::Publish(publish)
    }

    async fn write(mut broker: DuplexStream, packets: Vec<Packet>) {
        let mut bytes = BytesMut::new();
        for packet in packets {
            packet.write(&mut bytes, usize::MAX).unwrap();
        }
        broker.write_all(&bytes).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_too_large_is_skipped_and_known() {
        let (socket, broker) = duplex(10_000);
        let topic = "t".repeat(u16::MAX as usize);
        let sizes = [
            (17 << 20, 1),
            (3, 2),
            (MAX_PACKET_BYTES - topic.len() - 4, 3),
            (MAX_PACKET_BYTES - topic.len() - 3, 4),
            (4, 5),
        ];
        let packets = sizes.map(|(bytes, pkid)| publish(&topic, bytes, pkid)).to_vec();
        tokio::spawn(write(broker, packets.clone()));
        let mut connection = Connection::new(Box::new(socket));
        for ((bytes, pkid), packet) in sizes.into_iter().zip(packets) {
            match connection.read().await.unwrap() {
                Incoming::Packet(whole) => assert!(whole == packet && !matches!(pkid, 1 | 4), "{pkid}"),
                Incoming::TooLarge(beginning, size) => {
                    assert_eq!((size, beginning.payload.len(), beginning.pkid), (bytes, MAX_KEPT_BYTES, pkid));
                    assert!(beginning.topic == topic && matches!(pkid, 1 | 4));
                }
            }
            assert!(connection.input.capacity() < 2 * MAX_PACKET_BYTES);
        }
        assert!(matches!(connection.read().await, Err(ConnectionError::Closed)));
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_loses_nothing() {
        let (socket, broker) = duplex(1_000);
        let sent = tokio::spawn(write(broker, vec![publish("a", 17 << 20, 7), publish("b", 100, 8)]));
        let mut connection = Connection::new(Box::new(socket));
        let mut found = Vec::new();
        while found.len() < 2 {
            if let Ok(incoming) = timeout(Duration::from_micros(300), connection.read()).await {
                found.push(match incoming.unwrap() {
                    Incoming::Packet(Packet::Publish(publish)) => (publish.pkid, publish.payload.len()),
                    Incoming::TooLarge(beginning, bytes) => (beginning.pkid, bytes),
                    other => panic!("{other:?}"),
                });
            }
        }
        assert_eq!(found, [(7, 17 << 20), (8, 100)]);
        sent.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_no_message_may_not_be_large() {
        let (socket, mut broker) = duplex(10_000);
        // A SUBACK of 20 MiB.
        broker.write_all(&[0x90, 0x80, 0x80, 0x80, 0x0a]).await.unwrap();
        let mut connection = Connection::new(Box::new(socket));
        assert!(matches!(
            connection.read().await,
            Err(ConnectionError::Packet(PacketError::PayloadSizeLimitExceeded(_)))
        ));
    }
}
