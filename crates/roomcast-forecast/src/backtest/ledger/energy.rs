//! An estimate of energy and money, from hours on and the power of rooms. Nothing is assumed and nothing extrapolated.

use std::collections::BTreeMap;

use serde::Serialize;

use super::POLICIES;
use crate::decisions::policies::Sums;

/// The power that rooms draw while they are on, and its price.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Power {
    /// The power of rooms without one of their own, kW.
    pub site: Option<f64>,
    /// The power of single rooms by name, kW.
    pub rooms: BTreeMap<String, f64>,
    /// The price of a kWh.
    pub price: Option<f64>,
}

/// Energy in the days of the ledger, if a room draws its power whenever it is on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Energy {
    /// Number of rooms with a power.
    pub rooms: usize,
    /// Number of rooms without one, which are left out.
    pub rooms_without_power: usize,
    /// The price of a kWh, if it was given.
    pub price: Option<f64>,
    /// The energy of each policy.
    pub policies: Vec<PolicyEnergy>,
    /// The effects that this estimate leaves out.
    pub caution: &'static str,
}

/// The energy of one policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PolicyEnergy {
    /// Its name.
    pub policy: &'static str,
    /// Energy, kWh.
    pub kwh: f64,
    /// Its price, if one was given.
    pub cost: Option<f64>,
}

/// The effects that the estimate does not know.
const CAUTION: &str = "An estimate: each room draws its given power whenever it is on. The weather, the heat that a room \
                       keeps, and what is drawn while it is off are not known.";

impl Energy {
    /// Returns the estimate; `None` where no room has a power.
    pub(super) fn new<'a>(
        power: &Power,
        rooms: impl Iterator<Item = (&'a str, &'a [BTreeMap<i32, Sums>; 4])>,
    ) -> Option<Energy> {
        let (mut with, mut without, mut kwh) = (0, 0, [0.0; 4]);
        for (device, sums) in rooms {
            let Some(kw) = power.rooms.get(device).copied().or(power.site) else {
                without += 1;
                continue;
            };
            with += 1;
            for (kwh, days) in kwh.iter_mut().zip(sums) {
                *kwh += kw * days.values().map(|day| day.on).sum::<f64>();
            }
        }
        let policy = |(&policy, kwh): (&&'static str, f64)| PolicyEnergy {
            policy,
            kwh,
            cost: power.price.map(|price| price * kwh),
        };
        (with > 0).then(|| Energy {
            rooms: with,
            rooms_without_power: without,
            price: power.price,
            policies: POLICIES.iter().zip(kwh).map(policy).collect(),
            caution: CAUTION,
        })
    }
}
