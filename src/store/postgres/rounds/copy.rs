//! The readings of a round: copied once, in order of device, a few at a time.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

use super::super::begin;
use super::super::read::LOOK;
use super::{Lease, Rounds, clear, stands};
use crate::calendar::Instant;
use crate::readings::{DeviceReadings, Times};
use crate::store::StoreError;
use crate::store::packed::{day, unpack};
use crate::store::varint;

/// Rows that are fetched at once: days of devices.
const ROWS: u32 = 4096;

/// Devices that are written at once.
const DEVICES: usize = 256;

impl Rounds {
    /// Copies all readings before an instant, as of now, into a round, instead of any that are there; `each` sees those of each
    /// device on the way, in order of name. False when another has taken the lead.
    pub async fn copy(
        &self,
        lead: Lease,
        until: Instant,
        mut each: impl FnMut(&DeviceReadings),
    ) -> Result<bool, StoreError> {
        self.copied(lead, until, &mut each).await.map_err(|error| self.failed(error))
    }

    async fn copied(
        &self,
        lead: Lease,
        until: Instant,
        each: &mut impl FnMut(&DeviceReadings),
    ) -> Result<bool, sqlx::Error> {
        let mut writing = begin(&self.store.pool).await?;
        if !stands(&mut writing, lead).await? {
            return Ok(false);
        }
        clear(&mut writing, lead.round).await?;
        writing.commit().await?;
        // Not one of the pool's: the cursor goes with it.
        let mut connection = self.store.pool.acquire().await?.detach();
        declare(&mut connection, until).await?;
        let fetch = format!("FETCH {ROWS} FROM copied");
        let mut devices: Vec<DeviceReadings> = Vec::new();
        loop {
            let rows = sqlx::query(AssertSqlSafe(fetch.as_str())).fetch_all(&mut connection).await?;
            let over = rows.is_empty();
            for row in rows {
                let name: &str = row.try_get(0)?;
                let times: Vec<Instant> = match row.try_get::<Option<i64>, _>(1)? {
                    Some(day) => unpack(day, row.try_get(2)?)?,
                    None => row.try_get(3)?,
                };
                match devices.last_mut().filter(|last| last.device == name) {
                    Some(last) => last.times.extend(times),
                    None => devices.push(DeviceReadings { device: name.to_owned(), times: times.into() }),
                }
            }
            // The last one may still grow.
            let complete = if over { devices.len() } else { devices.len().saturating_sub(1) };
            if over || complete >= DEVICES {
                for part in devices.drain(..complete).collect::<Vec<_>>().chunks_mut(DEVICES) {
                    if !self.insert(lead, until, part, each).await? {
                        return Ok(false);
                    }
                }
            }
            if over {
                connection.close().await?;
                return Ok(true);
            }
        }
    }

    /// Writes some devices; false when another has taken the lead.
    async fn insert(
        &self,
        lead: Lease,
        until: Instant,
        devices: &mut [DeviceReadings],
        each: &mut impl FnMut(&DeviceReadings),
    ) -> Result<bool, sqlx::Error> {
        let (mut names, mut times) = (Vec::new(), Vec::new());
        for device in devices {
            device.times.sort_unstable();
            device.times.dedup();
            device.times = device.times.before(until);
            if !device.times.is_empty() {
                each(device);
                names.push(device.device.clone());
                times.push(pack(&device.times));
            }
        }
        let mut writing = begin(&self.store.pool).await?;
        if !stands(&mut writing, lead).await? {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO round_devices (round, device, times) SELECT $1, * FROM unnest($2::text[], $3::bytea[])",
        )
        .bind(lead.round)
        .bind(names)
        .bind(times)
        .execute(&mut *writing)
        .await?;
        writing.commit().await?;
        Ok(true)
    }

    /// At most `limit` devices of a round with their readings, in order of name, after a name.
    pub async fn of_round(&self, round: i64, after: &str, limit: usize) -> Result<Vec<DeviceReadings>, StoreError> {
        let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(
            "SELECT device, times FROM round_devices WHERE round = $1 AND device > $2 ORDER BY device LIMIT $3",
        )
        .bind(round)
        .bind(after)
        .bind(limit as i64)
        .fetch_all(&self.store.pool)
        .await
        .map_err(|error| self.failed(error))?;
        let devices = rows.into_iter().map(|(device, times)| Ok(DeviceReadings { device, times: unpacked(&times)? }));
        devices.collect::<Result<_, _>>().map_err(|error| self.failed(error))
    }
}

/// Makes a cursor on the readings before an instant: a row for each packed day of a device, and one for its loose readings. It
/// outlives its transaction.
async fn declare(connection: &mut PgConnection, until: Instant) -> Result<(), sqlx::Error> {
    let last = day(until);
    let sql = format!(
        "DECLARE copied NO SCROLL CURSOR WITH HOLD FOR
         SELECT name, day, packed, loose FROM (
             SELECT device, NULL::bigint AS day, NULL::bytea AS packed, array_agg(time) AS loose
             FROM readings WHERE time < {until} GROUP BY device
             UNION ALL
             SELECT device, day, times, NULL::bigint[] FROM packed WHERE day <= {last}
         ) AS parts JOIN devices ON id = device ORDER BY name"
    );
    let mut view = connection.begin_with(LOOK).await?;
    view.execute(AssertSqlSafe(sql)).await?;
    view.commit().await
}

/// Instants, strictly ascending, as bytes: their differences.
fn pack(times: &[Instant]) -> Vec<u8> {
    let (mut bytes, mut last) = (Vec::with_capacity(2 * times.len()), 0);
    for &time in times {
        // A store holds the years 1971 to 2200.
        varint::put(&mut bytes, (time - last).unsigned_abs());
        last = time;
    }
    bytes
}

/// The instants in the bytes of [`pack`].
pub(super) fn unpacked(bytes: &[u8]) -> Result<Times, sqlx::Error> {
    let damaged = || sqlx::Error::Decode("the readings of a round are damaged".into());
    let differences = varint::all(bytes).ok_or_else(damaged)?;
    let times = differences.into_iter().scan(0, |time, more| {
        *time += more as Instant;
        Some(*time)
    });
    Ok(times.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_that_are_packed_come_out_again() {
        for times in [vec![], vec![1_467_331_200], vec![0, 1, 86_400, 7_289_654_399]] {
            assert_eq!(*unpacked(&pack(&times)).unwrap(), times);
        }
        let every_minute: Vec<Instant> = (0..1000).map(|minute| 1_467_331_200 + 60 * minute).collect();
        assert!(pack(&every_minute).len() < 1010);
        assert!(unpacked(&[3, 0x81]).is_err());
    }
}
