//! `manifest.json`: the description of a version, for people and for programs that load it.

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::features;
use roomcast_forecast::model::checksum::sha256;
use roomcast_forecast::model::codec::SCHEMA;
use roomcast_forecast::model::{Check, Models, Source, lightgbm};
use roomcast_forecast::rooms::Rooms;
use roomcast_forecast::train::TrainingInfo;

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The description of a version. Times are RFC 3339, without an offset at a site without a zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The schema of the files.
    pub schema_version: u32,
    /// The version's name: the cutoff and the beginning of a hash over the inputs of the version.
    pub version: String,
    /// Time of the save, UTC.
    pub created_at: String,
    /// Version of the Roomcast that trained it.
    pub roomcast: String,
    /// Version of the LightGBM that trained it.
    pub lightgbm: String,
    /// The site's IANA time zone. `None` where instants are wall time.
    pub timezone: Option<String>,
    /// The weekly days off, `mon` to `sun`.
    pub weekend: Vec<String>,
    /// SHA-256 of the days off besides the weekly ones between the first reading and the cutoff; none of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days_off_sha256: Option<String>,
    /// First reading learned from.
    pub first_reading: String,
    /// Last reading learned from.
    pub last_reading: String,
    /// The models learned only from readings before this time.
    pub cutoff: String,
    /// Number of readings learned from.
    pub readings: usize,
    /// SHA-256 of these readings.
    pub data_sha256: String,
    /// Number of devices.
    pub devices: usize,
    /// Number of devices by the source of their forecasts.
    pub sources: Sources,
    /// Scores over all devices, if any device was scored.
    pub scores: Option<Scores>,
    /// Seconds that training took.
    pub training_seconds: f64,
    /// Length of `models.bin`.
    pub models_bytes: u64,
    /// SHA-256 of `models.bin`.
    pub models_sha256: String,
    /// SHA-256 of `report.json`, if these models come from a retraining.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_sha256: Option<String>,
    /// Length of `report.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_bytes: Option<u64>,
    /// SHA-256 of the table of rooms; none where each device is a room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rooms_sha256: Option<String>,
    /// The columns of the design matrix, in order.
    pub features: Vec<String>,
}

/// Number of devices by the source of their forecasts, as [`Source`] names it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    /// Devices with trees of their own, on top of the site's layers or beside them.
    pub model: usize,
    /// Devices that use the layers all devices share.
    pub building: usize,
    /// Devices that use the prior alone.
    pub baseline: usize,
}

/// Mean log loss over the rows of all devices, on hours after those fitted on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Number of rows scored.
    pub rows: u64,
    /// Log loss of the prior alone.
    pub prior: f64,
    /// Log loss of the layers all devices share.
    pub building: f64,
    /// Log loss of the devices' own layers.
    pub device: f64,
}

impl Manifest {
    /// Describes models and the bytes that they were packed into.
    ///
    /// # Errors
    /// Returns the message of [`Manifest::check`].
    pub(super) fn new(models: &Models, about: &TrainingInfo, packed: &[u8]) -> Result<Manifest, String> {
        let calendar = about.calendar;
        let time = |instant| calendar.rfc3339(instant);
        let now = DateTime::from_timestamp(Calendar::utc_now(), 0).unwrap_or_default();
        let weekend = WEEKDAYS.iter().zip(calendar.weekend()).filter(|(_, off)| *off);
        let mut manifest = Manifest {
            schema_version: SCHEMA,
            version: String::new(),
            created_at: now.to_rfc3339_opts(SecondsFormat::Secs, true),
            roomcast: env!("CARGO_PKG_VERSION").into(),
            lightgbm: lightgbm::VERSION.into(),
            timezone: calendar.zone().map(|zone| zone.name().into()),
            weekend: weekend.map(|(day, _)| day.to_string()).collect(),
            days_off_sha256: Some(days_off(calendar, about.first_reading, models.cutoff)),
            first_reading: time(about.first_reading),
            last_reading: time(about.last_reading),
            cutoff: time(models.cutoff),
            readings: about.readings,
            data_sha256: about.fingerprint.clone(),
            devices: models.devices.len(),
            sources: sources(models),
            scores: scores(models),
            training_seconds: rounded(about.training.as_secs_f64(), 1e3),
            models_bytes: packed.len() as u64,
            models_sha256: sha256(packed),
            report_sha256: None,
            report_bytes: None,
            rooms_sha256: about.rooms.clone(),
            features: features::columns().map(String::from).to_vec(),
        };
        manifest.check(models.cutoff, models.devices.len())?;
        let cutoff = DateTime::from_timestamp(models.cutoff, 0).unwrap_or_default().format("%Y%m%dT%H%M%S");
        let utc = if manifest.timezone.is_some() { "Z" } else { "" };
        manifest.version = format!("{cutoff}{utc}-{}", &manifest.content()[..8]);
        Ok(manifest)
    }

    /// Adds the report of the retraining that made the models.
    pub(super) fn with_report(mut self, report: &str) -> Manifest {
        self.report_sha256 = Some(sha256(report.as_bytes()));
        self.report_bytes = Some(report.len() as u64);
        self
    }

    /// Returns a hash over the content of a version. The time, reason and duration of its making do not count.
    pub(super) fn content(&self) -> String {
        let mut parts = vec![&self.models_sha256, &self.data_sha256, &self.roomcast, &self.lightgbm];
        parts.extend([&self.first_reading, &self.last_reading, &self.cutoff]);
        parts.extend(&self.timezone);
        parts.extend(&self.weekend);
        parts.extend(&self.features);
        parts.extend(&self.rooms_sha256);
        sha256(parts.into_iter().map(|part| format!("{part}\n")).collect::<String>().as_bytes())
    }

    /// Checks that the cutoff and the number of devices match the manifest, that the last reading learned from lies
    /// before the cutoff, and that the first is not after the last.
    ///
    /// # Errors
    /// Returns a message that names the field that does not match.
    pub(super) fn check(&self, cutoff: Timestamp, devices: usize) -> Result<(), String> {
        // The texts of a site with a zone carry offsets, so any zone reads them.
        let calendar = Calendar::new(self.timezone.as_ref().map(|_| Tz::UTC));
        let instant = |text: &str| calendar.parse(text).map_err(|error| error.to_string());
        if instant(&self.cutoff)? != cutoff {
            return Err(format!("{} is not the cutoff of these models", self.cutoff));
        }
        if instant(&self.last_reading)? >= cutoff {
            return Err(format!("the last reading, {}, is not before the cutoff, {}", self.last_reading, self.cutoff));
        }
        if instant(&self.first_reading)? > instant(&self.last_reading)? {
            return Err(format!("the first reading, {}, is after the last, {}", self.first_reading, self.last_reading));
        }
        if self.devices != devices {
            return Err(format!("{devices} devices but the manifest has {}", self.devices));
        }
        Ok(())
    }

    /// Returns, in words, how a calendar differs from the one the models were trained with, and `None` if it does not.
    /// Hours and days off have another meaning under another calendar.
    pub fn mismatch(&self, calendar: &Calendar) -> Option<String> {
        let zone = calendar.zone().map(|zone| zone.name());
        if self.timezone.as_deref() != zone {
            let name = |zone: Option<&str>| zone.unwrap_or("none").to_owned();
            return Some(format!(
                "trained with time zone {}, used with {}",
                name(self.timezone.as_deref()),
                name(zone)
            ));
        }
        let off = calendar.weekend();
        let same = WEEKDAYS.iter().zip(off).all(|(day, off)| self.weekend.iter().any(|own| own == day) == off);
        if !same {
            return Some(format!("trained with {} off every week, used with others", self.weekend.join(" and ")));
        }
        let period = calendar.parse(&self.first_reading).ok().zip(calendar.parse(&self.cutoff).ok());
        let now = period.map(|(from, to)| days_off(calendar, from, to));
        let is_other = self.days_off_sha256.is_some() && now.is_some() && self.days_off_sha256 != now;
        is_other.then(|| "trained with other holidays, closed or open days than it is used with".into())
    }

    /// Returns, in words, why models must not be used with a table of rooms: they were trained without one, or with one and
    /// there is none now. Their names would mean something else. `None` if they may be used; a table may have changed.
    pub fn rooms_mismatch(&self, rooms: &Rooms) -> Option<String> {
        match (&self.rooms_sha256, rooms.is_empty()) {
            (Some(_), true) => Some("trained on rooms of several sensors, used without --rooms".into()),
            (None, false) => Some("trained without --rooms, used with it".into()),
            _ => None,
        }
    }
}

/// Returns a hash over the days off of a period that are not those of every week, and the weekly ones that are open.
fn days_off(calendar: &Calendar, from: Timestamp, to: Timestamp) -> String {
    let (first, last) = (calendar.wall(from).date(), calendar.wall(to).date());
    let is_weekly = |date: &NaiveDate| calendar.weekend()[date.weekday().num_days_from_monday() as usize];
    let days = first.iter_days().take_while(|date| *date <= last);
    let special = days.filter(|date| calendar.is_off(*date) != is_weekly(date));
    sha256(special.map(|date| format!("{date}\n")).collect::<String>().as_bytes())
}

fn sources(models: &Models) -> Sources {
    let mut sources = Sources::default();
    for device in models.devices.values() {
        match device.source() {
            Source::Model => sources.model += 1,
            Source::Building => sources.building += 1,
            Source::Baseline => sources.baseline += 1,
        }
    }
    sources
}

fn scores(models: &Models) -> Option<Scores> {
    let checks: Vec<_> = models.devices.values().filter_map(|device| device.check).collect();
    let rows: u64 = checks.iter().map(|check| u64::from(check.rows)).sum();
    let mean = |loss: fn(&Check) -> f64| {
        let sum: f64 = checks.iter().map(|check| f64::from(check.rows) * loss(check)).sum();
        rounded(sum / rows as f64, 1e6)
    };
    (rows > 0).then(|| Scores {
        rows,
        prior: mean(|c| c.prior),
        building: mean(|c| c.building),
        device: mean(|c| c.device),
    })
}

/// Rounds a number, so that it is short to read and unchanged by a round trip through JSON.
fn rounded(number: f64, places: f64) -> f64 {
    (number * places).round() / places
}
