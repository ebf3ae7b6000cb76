//! The file that the steps share: the site's clock, grid and totals and, once fitted, its layers.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | `ROOMSITE` |
//! | 32 | SHA-256 of the rest |
//! | … | postcard: the maker, then the [`ShardSite`] |

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ShardError;
use crate::calendar::{Calendar, HOUR, Timestamp};
use crate::features::{self, SiteRates, Totals};
use crate::hourly::{Hourly, SiteDays};
use crate::model::SiteModel;
use crate::model::{codec, lightgbm};
use crate::readings::Readings;

const MAGIC: [u8; 8] = *b"ROOMSITE";

/// The maker of the file: models of two makers may differ.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Maker {
    roomcast: String,
    lightgbm: String,
    /// Version of the format of the packed models.
    schema: u32,
    features: Vec<String>,
}

impl Maker {
    fn this() -> Maker {
        Maker {
            roomcast: env!("CARGO_PKG_VERSION").into(),
            lightgbm: lightgbm::VERSION.into(),
            schema: codec::SCHEMA,
            features: features::columns().map(String::from).to_vec(),
        }
    }
}

/// A site as of an instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardSite {
    zone: Option<String>,
    weekend: [bool; 7],
    days_off: Vec<NaiveDate>,
    /// Hours for which a sensor may be on without an `off`.
    max_presence: i64,
    /// The end of the readings that are known.
    pub until: Timestamp,
    /// Number of devices.
    pub devices: u64,
    /// Number of hours with motion, over all devices.
    pub hours: u64,
    /// The site's daily totals, through which a device's hours depend on the other devices.
    pub days: SiteDays,
    totals: Totals,
    /// The site's layers as fitted before the history's cut and as fitted on everything; `None` before they are fitted,
    /// and for too little history.
    pub layers: Option<(SiteModel, SiteModel)>,
}

impl ShardSite {
    /// Makes the site from readings before `until`; of devices that never say `off` only the hours matter.
    pub fn new(readings: &Readings, calendar: &Calendar, until: Timestamp) -> ShardSite {
        let (hourly, days) = Hourly::with_days(readings, calendar, until);
        let hours = hourly.devices.iter().map(|device| device.hours_with_motion(calendar) as u64).sum();
        ShardSite {
            zone: calendar.zone().map(|zone| zone.name().into()),
            weekend: calendar.weekend(),
            days_off: calendar.days_off().collect(),
            max_presence: calendar.max_presence() / HOUR,
            until,
            devices: hourly.devices.len() as u64,
            hours,
            days,
            totals: Totals::new(&hourly),
            layers: None,
        }
    }

    /// Returns the same site with these layers.
    pub(crate) fn with_layers(self, layers: Option<(SiteModel, SiteModel)>) -> ShardSite {
        ShardSite { layers, ..self }
    }

    /// Returns the site's calendar.
    pub fn calendar(&self) -> Calendar {
        let zone = self.zone.as_deref().and_then(|name| name.parse().ok());
        let calendar = Calendar::new(zone).with_weekend(self.weekend).with_days_off(self.days_off.iter().copied());
        calendar.with_max_presence(self.max_presence)
    }

    /// Returns the site's grid without devices.
    pub fn grid(&self) -> Hourly {
        self.grid_with(&Readings::default(), &self.calendar())
    }

    /// Returns some devices on the site's grid.
    pub(crate) fn grid_with(&self, readings: &Readings, calendar: &Calendar) -> Hourly {
        Hourly::part(readings, calendar, self.until, &self.days)
    }

    /// Returns the totals and rates over all devices.
    pub fn site_rates(&self) -> SiteRates {
        SiteRates::from_totals(self.totals.clone(), &self.grid())
    }

    /// Encodes the file.
    ///
    /// # Errors
    /// [`ShardError::Site`] never in practice: writing to memory does not fail.
    pub fn encode(&self) -> Result<Vec<u8>, ShardError> {
        let body = codec::bytes(&(Maker::this(), self)).map_err(ShardError::Site)?;
        Ok([&MAGIC[..], &Sha256::digest(&body), &body].concat())
    }

    /// Decodes the file.
    ///
    /// # Errors
    /// [`ShardError::Site`] when the bytes are damaged, or made by another version of Roomcast.
    pub fn decode(bytes: &[u8]) -> Result<ShardSite, ShardError> {
        Self::read(bytes).map_err(ShardError::Site)
    }

    fn read(bytes: &[u8]) -> Result<ShardSite, String> {
        let rest = bytes.strip_prefix(&MAGIC).ok_or("it does not begin as a site")?;
        let (sum, body) = rest.split_at_checked(32).ok_or("it ends early")?;
        if Sha256::digest(body)[..] != *sum {
            return Err("damaged: the checksum does not match".into());
        }
        let (maker, rest) = postcard::take_from_bytes::<Maker>(body).map_err(|error| error.to_string())?;
        if maker != Maker::this() {
            let (theirs, ours) = (maker.roomcast, env!("CARGO_PKG_VERSION"));
            return Err(format!(
                "it was made by Roomcast {theirs}, whose models differ from those of this one ({ours})"
            ));
        }
        let site: ShardSite = codec::decode_value(rest)?;
        if site.calendar().zone().map(|zone| zone.name()) != site.zone.as_deref() {
            return Err("its time zone is not known here".into());
        }
        let (hours, totals) = (site.grid().locals.len(), &site.totals);
        let lengths = [&totals.occupied, &totals.observed, &totals.expected].map(Vec::len);
        if lengths != [hours - crate::hourly::HORIZON; 3] {
            return Err("its totals are not those of its hours".into());
        }
        Ok(site)
    }
}
