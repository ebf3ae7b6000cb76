//! Publishes sensors' messages as Zigbee2MQTT does.

use std::time::Duration;

use anyhow::{Context, bail};
use rumqttc::{AsyncClient, Event, EventLoop, Packet, PublishOptions, QoS};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{Clock, Sent, script};
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_server::mqtt::broker::Broker;
use roomcast_simulate::Building;

/// Largest number of messages that wait for the broker.
const MAX_WAITING: usize = 100;

/// Time limit for the broker, at the start and at the end.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Interval at which the clock is read while no message is due.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Publishes to `zigbee2mqtt/DEVICE`, with QoS 1 and the time in `last_seen`, until the building's last day is over.
///
/// # Errors
/// Returns an error when the broker cannot be reached at the start, or does not acknowledge the last messages.
pub fn publish(building: &Building, broker: &Broker, speed: f64) -> anyhow::Result<Sent> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (client, connection) = AsyncClient::builder(broker.options(true)).capacity(MAX_WAITING).build();
        let (progress, mut acknowledged) = watch::channel((false, 0));
        tokio::spawn(drive(connection, progress));
        let Ok(Ok(_)) = timeout(TIMEOUT, acknowledged.wait_for(|state| state.0)).await else {
            bail!("{broker}: no connection");
        };
        let sent = play(building, &client, speed).await.with_context(|| broker.to_string())?;
        let all = sent.readings + sent.rests;
        let Ok(Ok(_)) = timeout(TIMEOUT, acknowledged.wait_for(|state| state.1 >= all)).await else {
            bail!("{broker}: the last messages were not acknowledged");
        };
        Ok(sent)
    })
}

/// Keeps the connection up; reports whether it was ever there, and how many messages the broker acknowledged.
async fn drive(mut connection: EventLoop, progress: watch::Sender<(bool, u64)>) {
    loop {
        match connection.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => progress.send_modify(|state| state.0 = true),
            Ok(Event::Incoming(Packet::PubAck(_))) => progress.send_modify(|state| state.1 += 1),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "the connection to the broker ended, connecting again");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn play(building: &Building, client: &AsyncClient, speed: f64) -> Result<Sent, rumqttc::ClientError> {
    let (names, mut sent) = (building.names(), Sent::default());
    let mut clock = None;
    for message in script(building) {
        let clock = clock.get_or_insert_with(|| Clock::new(message.time, speed));
        while clock.now() < message.time {
            sleep(POLL_INTERVAL).await;
        }
        let topic = format!("zigbee2mqtt/{}", names[message.device]);
        let payload = payload(message.time, message.occupied);
        client.publish(topic, payload, PublishOptions::new(QoS::AtLeastOnce)).await?;
        *if message.occupied { &mut sent.readings } else { &mut sent.rests } += 1;
    }
    Ok(sent)
}

fn payload(time: Timestamp, occupied: bool) -> String {
    let time = Calendar::default().rfc3339(time);
    format!("{{\"battery\":100,\"linkquality\":160,\"occupancy\":{occupied},\"last_seen\":\"{time}\"}}")
}
