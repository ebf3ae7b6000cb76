//! The devices of a round: leased, done, given back, given up.

use super::copy::unpacked;
use super::{Lease, Rounds};
use crate::readings::DeviceReadings;
use crate::store::StoreError;

/// Devices that are leased at once, by how often they have been leased before without an answer. So what ends a process ends it
/// alone at last, and is known.
const BATCHES: [i64; 3] = [100, 10, 1];

/// Devices that are leased to somebody, in order of name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// The lease on all of them.
    pub lease: Lease,
    /// Their readings.
    pub devices: Vec<DeviceReadings>,
}

/// What was written of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The result.
    Done(Vec<u8>),
    /// It was given up.
    Failed {
        /// The device and its readings.
        device: DeviceReadings,
        /// Why.
        why: String,
    },
    /// Nothing yet.
    Open,
}

/// A device's name, result, reason to be given up, and readings if it was.
type Row = (String, Option<Vec<u8>>, Option<String>, Option<Vec<u8>>);

impl Rounds {
    /// Leases some devices of a round that are not done and that nobody has; none when there are none at the moment. Devices that
    /// were leased three times without an answer are given up.
    pub async fn lease(&self, round: i64, holder: &str, seconds: i64) -> Result<Option<Leased>, StoreError> {
        self.leased(round, holder, seconds).await.map_err(|error| self.failed(error))
    }

    async fn leased(&self, round: i64, holder: &str, seconds: i64) -> Result<Option<Leased>, sqlx::Error> {
        for (attempts, most) in (0_i32..).zip(BATCHES) {
            let taken: Vec<(String, i64, Vec<u8>)> = sqlx::query_as(
                "WITH free AS (
                     SELECT device FROM round_devices
                     WHERE round = $1 AND attempts = $2 AND result IS NULL AND failed IS NULL
                         AND leased_until <= clock_timestamp()
                     ORDER BY device LIMIT $3 FOR UPDATE SKIP LOCKED
                 ), number AS MATERIALIZED (SELECT nextval('fences') AS fence)
                 UPDATE round_devices AS mine SET holder = $4, fence = number.fence, attempts = mine.attempts + 1,
                     leased_until = clock_timestamp() + make_interval(secs => $5)
                 FROM free, number WHERE mine.round = $1 AND mine.device = free.device
                 RETURNING mine.device, mine.fence, mine.times",
            )
            .bind(round)
            .bind(attempts)
            .bind(most)
            .bind(holder)
            .bind(seconds as f64)
            .fetch_all(&self.store.pool)
            .await?;
            let Some(&(_, fence, _)) = taken.first() else { continue };
            let mut devices = Vec::with_capacity(taken.len());
            for (device, _, times) in taken {
                devices.push(DeviceReadings { device, times: unpacked(&times)? });
            }
            devices.sort_unstable_by(|a, b| a.device.cmp(&b.device));
            return Ok(Some(Leased { lease: Lease { round, fence }, devices }));
        }
        sqlx::query(
            "UPDATE round_devices SET holder = NULL, fence = nextval('fences'),
                 failed = coalesce(trouble, 'who worked on it ended three times without an answer')
             WHERE round = $1 AND result IS NULL AND failed IS NULL AND attempts >= $2
                 AND leased_until <= clock_timestamp()",
        )
        .bind(round)
        .bind(BATCHES.len() as i32)
        .execute(&self.store.pool)
        .await?;
        Ok(None)
    }

    /// Renews a lease on devices; says how many of them are still leased under it.
    pub async fn renew(&self, lease: Lease, seconds: i64) -> Result<u64, StoreError> {
        let renewed = sqlx::query(
            "UPDATE round_devices SET leased_until = clock_timestamp() + make_interval(secs => $3)
             WHERE round = $1 AND fence = $2 AND holder IS NOT NULL AND result IS NULL AND failed IS NULL",
        )
        .bind(lease.round)
        .bind(lease.fence)
        .bind(seconds as f64)
        .execute(&self.store.pool)
        .await;
        Ok(renewed.map_err(|error| self.failed(error))?.rows_affected())
    }

    /// Writes results of devices, by name; says how many of them were still leased under this lease. The others are dropped.
    pub async fn write(&self, lease: Lease, results: &[(String, Vec<u8>)]) -> Result<u64, StoreError> {
        let (names, results): (Vec<&str>, Vec<&[u8]>) =
            results.iter().map(|(name, result)| (name.as_str(), result.as_slice())).unzip();
        let written = sqlx::query(
            "UPDATE round_devices AS mine SET result = new.result, holder = NULL, trouble = NULL
             FROM unnest($3::text[], $4::bytea[]) AS new (device, result)
             WHERE mine.round = $1 AND mine.fence = $2 AND mine.device = new.device
                 AND mine.result IS NULL AND mine.failed IS NULL",
        )
        .bind(lease.round)
        .bind(lease.fence)
        .bind(names)
        .bind(results)
        .execute(&self.store.pool)
        .await;
        Ok(written.map_err(|error| self.failed(error))?.rows_affected())
    }

    /// Gives back devices that could not be worked on, by name and with the reason. That counts as an attempt.
    pub async fn trouble(&self, lease: Lease, reasons: &[(String, String)]) -> Result<u64, StoreError> {
        let (names, reasons): (Vec<&str>, Vec<&str>) =
            reasons.iter().map(|(name, reason)| (name.as_str(), reason.as_str())).unzip();
        let written = sqlx::query(
            "UPDATE round_devices AS mine SET trouble = new.reason, holder = NULL, leased_until = '-infinity'
             FROM unnest($3::text[], $4::text[]) AS new (device, reason)
             WHERE mine.round = $1 AND mine.fence = $2 AND mine.device = new.device
                 AND mine.result IS NULL AND mine.failed IS NULL",
        )
        .bind(lease.round)
        .bind(lease.fence)
        .bind(names)
        .bind(reasons)
        .execute(&self.store.pool)
        .await;
        Ok(written.map_err(|error| self.failed(error))?.rows_affected())
    }

    /// Gives back all devices of a lease that are not done, as if they had not been leased; says how many.
    pub async fn give_back(&self, lease: Lease) -> Result<u64, StoreError> {
        let given = sqlx::query(
            "UPDATE round_devices SET holder = NULL, leased_until = '-infinity', attempts = attempts - 1
             WHERE round = $1 AND fence = $2 AND holder IS NOT NULL AND result IS NULL AND failed IS NULL",
        )
        .bind(lease.round)
        .bind(lease.fence)
        .execute(&self.store.pool)
        .await;
        Ok(given.map_err(|error| self.failed(error))?.rows_affected())
    }

    /// What was written of at most `limit` devices of a round, in order of name, after a name.
    pub async fn outcomes(&self, round: i64, after: &str, limit: usize) -> Result<Vec<(String, Outcome)>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT device, result, failed, CASE WHEN failed IS NOT NULL THEN times END AS times
             FROM round_devices WHERE round = $1 AND device > $2 ORDER BY device LIMIT $3",
        )
        .bind(round)
        .bind(after)
        .bind(limit as i64)
        .fetch_all(&self.store.pool)
        .await
        .map_err(|error| self.failed(error))?;
        let outcome = |(name, result, failed, times): Row| {
            let outcome = match (result, failed, times) {
                (Some(result), _, _) => Outcome::Done(result),
                (None, Some(why), Some(times)) => {
                    let device = DeviceReadings { device: name.clone(), times: unpacked(&times)? };
                    Outcome::Failed { device, why }
                }
                _ => Outcome::Open,
            };
            Ok((name, outcome))
        };
        rows.into_iter().map(outcome).collect::<Result<_, _>>().map_err(|error| self.failed(error))
    }
}
