//! Publishes sensors' messages as Zigbee2MQTT does.

use std::time::Duration;

use rumqttc::{AsyncClient, Event, EventLoop, Packet, PublishOptions, QoS};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{Clock, PlayError, Played, script};
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_server::mqtt::broker::Broker;
use roomcast_simulate::Building;

/// Largest number of messages that wait for the broker.
const REQUESTS: usize = 100;

/// Time limit for the broker, at the start and at the end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Interval between looks at the clock.
const LOOK: Duration = Duration::from_millis(20);

/// Publishes to `zigbee2mqtt/DEVICE`, with QoS 1 and the time in `last_seen`, until the building's last day is over.
///
/// # Errors
/// [`PlayError::Unreachable`] when the broker cannot be reached at the start, or does not acknowledge the last
/// messages.
pub fn publish(building: &Building, broker: &Broker, speed: f64) -> Result<Played, PlayError> {
    let unreachable = |message: String| PlayError::Unreachable { target: broker.to_string(), message };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| unreachable(error.to_string()))?;
    runtime.block_on(async {
        let (client, connection) = AsyncClient::builder(broker.options(true)).capacity(REQUESTS).build();
        let (taken, mut acknowledged) = watch::channel((false, 0));
        tokio::spawn(drive(connection, taken));
        match timeout(PATIENCE, acknowledged.wait_for(|state| state.0)).await {
            Ok(Ok(_)) => {}
            _ => return Err(unreachable("no connection".into())),
        }
        let played = play(building, &client, speed).await.map_err(|error| unreachable(error.to_string()))?;
        let all = played.readings + played.rests;
        match timeout(PATIENCE, acknowledged.wait_for(|state| state.1 >= all)).await {
            Ok(Ok(_)) => Ok(played),
            _ => Err(unreachable("the last messages were not acknowledged".into())),
        }
    })
}

/// Keeps the connection up; reports whether it was ever there, and how many messages the broker acknowledged.
async fn drive(mut connection: EventLoop, taken: watch::Sender<(bool, u64)>) {
    loop {
        match connection.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => taken.send_modify(|state| state.0 = true),
            Ok(Event::Incoming(Packet::PubAck(_))) => taken.send_modify(|state| state.1 += 1),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "the connection to the broker ended, another is made");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn play(building: &Building, client: &AsyncClient, speed: f64) -> Result<Played, rumqttc::ClientError> {
    let (names, mut played) = (building.names(), Played::default());
    let mut clock = None;
    for said in script(building) {
        let clock = clock.get_or_insert_with(|| Clock::new(said.time, speed));
        while clock.now() < said.time {
            sleep(LOOK).await;
        }
        let topic = format!("zigbee2mqtt/{}", names[said.device]);
        let payload = payload(said.time, said.occupied);
        client.publish(topic, payload, PublishOptions::new(QoS::AtLeastOnce)).await?;
        *if said.occupied { &mut played.readings } else { &mut played.rests } += 1;
    }
    Ok(played)
}

fn payload(time: Timestamp, occupied: bool) -> String {
    let time = Calendar::default().rfc3339(time);
    format!("{{\"battery\":100,\"linkquality\":160,\"occupancy\":{occupied},\"last_seen\":\"{time}\"}}")
}
