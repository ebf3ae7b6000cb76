//! Forecasts as CSV and JSON.

use serde::Serializer;
use serde_json::json;

use super::DeviceForecast;
use crate::calendar::{Calendar, Timestamp};

/// Parts of one into which probabilities are divided in JSON, as in the CSV. Further digits are noise of 32-bit features.
const PARTS: f64 = 1e6;

/// Returns a probability with the digits that mean something.
pub fn rounded(probability: f64) -> f64 {
    (probability * PARTS).round() / PARTS
}

/// Serializes a probability with these digits.
///
/// # Errors
/// Returns the error of the serializer.
pub fn serialize_rounded<S: Serializer>(probability: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(rounded(*probability))
}

/// Returns the CSV of the contract, ordered by time, then device.
pub fn csv(forecasts: &[DeviceForecast], calendar: &Calendar, probabilities: bool) -> Vec<u8> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let mut header = vec!["time", "device", "activation_predicted"];
    if probabilities {
        header.push("probability");
    }
    // Writing to memory cannot fail. An error here would show as a missing line in the tests.
    let _ = out.write_record(&header);
    let hours = forecasts.first().map_or(0, |f| f.hours.len());
    for at in 0..hours {
        for forecast in forecasts {
            let hour = &forecast.hours[at];
            let time = calendar.format(calendar.start(hour.hour));
            let state = if hour.occupied { "1" } else { "0" };
            let probability = format!("{:.6}", hour.probability);
            let fields = [time.as_str(), &forecast.device, state, &probability];
            let _ = out.write_record(&fields[..header.len()]);
        }
    }
    out.into_inner().unwrap_or_default()
}

/// Returns one JSON object: the time of the request, and each device's status, source and hours.
///
/// # Errors
/// Returns no error in practice: every value can be written as JSON.
pub fn json(
    forecasts: &[DeviceForecast],
    calendar: &Calendar,
    origin: Timestamp,
    data_until: Timestamp,
    stale: bool,
) -> serde_json::Result<Vec<u8>> {
    let devices: Vec<_> = forecasts
        .iter()
        .map(|forecast| {
            let hours: Vec<_> = forecast
                .hours
                .iter()
                .map(|hour| {
                    json!({
                        "start": calendar.rfc3339(calendar.start(hour.hour)),
                        "probability": rounded(hour.probability),
                        "state": u8::from(hour.occupied),
                    })
                })
                .collect();
            json!({
                "device": forecast.device,
                "status": forecast.status,
                "source": forecast.source,
                "hours": hours,
            })
        })
        .collect();
    let mut bytes = serde_json::to_vec_pretty(&json!({
        "origin": calendar.rfc3339(origin),
        "data_until": calendar.rfc3339(data_until),
        "stale": stale,
        "devices": devices,
    }))?;
    bytes.push(b'\n');
    Ok(bytes)
}
