//! Rounds: work on every device of a site that any number of processes do together, leased from the database.
//!
//! A round is a copy of all readings before an instant, as of one moment, with a row for each device. So whoever takes a device
//! sees what everybody else has seen of it, whatever arrives, is packed or dropped meanwhile.
//!
//! What somebody does is leased to them, by the database's clock. Every lease has a *fence*, a number larger than any
//! before. What is written names the fence it was leased under, and is dropped once another has taken over: a process that
//! was thought dead and is not cannot spoil anything.

mod copy;
mod devices;

use sqlx::PgConnection;

pub use devices::{Leased, Outcome};

use super::{PostgresStore, begin};
use crate::calendar::{Calendar, Hour, Instant};
use crate::readings::Readings;
use crate::store::{Store, StoreError, is_postgres, shown};

/// The rounds of a PostgreSQL store.
///
/// # Errors
/// Every method fails with a [`StoreError`], as those of [`Store`] do.
pub struct Rounds {
    store: PostgresStore,
}

/// The round that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// Its number.
    pub id: i64,
    /// Only readings before this instant are in it.
    pub until: Instant,
    /// Whether its devices can be leased.
    pub prepared: bool,
}

/// The round that was begun last, if any, and how far rounds have looked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Past {
    /// The number of the last round, ended or not; 0 before the first.
    pub last: i64,
    /// The latest instant up to which readings were known to a round that has ended.
    pub known: Option<Instant>,
}

/// A lease on a round, or on some of its devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The round's number.
    pub round: i64,
    /// What tells this lease from all others.
    pub fence: i64,
}

/// What came of a round, as it stays in the table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ending {
    /// Devices that could not be worked on.
    pub failed: i64,
    /// The version that was made, if one was.
    pub version: Option<String>,
    /// Devices with something new.
    pub promoted: i64,
    /// Devices that keep what they had.
    pub kept: i64,
    /// What else there is to say.
    pub note: Option<String>,
}

impl Rounds {
    /// The rounds of a store.
    ///
    /// # Errors
    /// As [`crate::store::open`]; SQLite has none.
    pub async fn open(url: &str, calendar: &Calendar) -> Result<Rounds, StoreError> {
        if !is_postgres(url) {
            let message = "only a PostgreSQL store (postgres://…) can be worked on by several processes\n\
                           hint: roomcast retrain renews the models of any store";
            return Err(StoreError::refused(&shown(url), message));
        }
        Ok(Rounds { store: PostgresStore::open(url, calendar).await? })
    }

    fn failed(&self, error: sqlx::Error) -> StoreError {
        self.store.error(error)
    }

    /// All readings, as they are now.
    pub async fn readings(&self) -> Result<Readings, StoreError> {
        Ok(self.store.load(None).await?.0)
    }

    /// The end of the hour of the last reading; none without readings.
    pub async fn known(&self) -> Result<Option<Instant>, StoreError> {
        let last = sqlx::query_scalar::<_, Option<Hour>>("SELECT max(hour) FROM hourly").fetch_one(&self.store.pool);
        let last = last.await.map_err(|error| self.failed(error))?;
        Ok(last.map(|hour| self.store.calendar.start(hour + 1)))
    }

    /// The round that is open, if one is.
    pub async fn current(&self) -> Result<Option<Round>, StoreError> {
        let sql = "SELECT id, until, site IS NOT NULL FROM rounds WHERE ended IS NULL";
        let row = sqlx::query_as(sql).fetch_optional(&self.store.pool).await.map_err(|error| self.failed(error))?;
        Ok(row.map(|(id, until, prepared)| Round { id, until, prepared }))
    }

    /// What there was before.
    pub async fn past(&self) -> Result<Past, StoreError> {
        let sql = "SELECT coalesce(max(id), 0), max(known) FILTER (WHERE ended IS NOT NULL) FROM rounds";
        let row = sqlx::query_as(sql).fetch_one(&self.store.pool).await.map_err(|error| self.failed(error))?;
        let (last, known) = row;
        Ok(Past { last, known })
    }

    /// Begins a round, and takes its lead; none when one is open, or was begun after the `past` that was seen.
    pub async fn begin(
        &self,
        past: Past,
        until: Instant,
        known: Instant,
        holder: &str,
        seconds: i64,
    ) -> Result<Option<Lease>, StoreError> {
        let row = sqlx::query_as::<_, (i64, i64)>(
            "INSERT INTO rounds (until, known, holder, fence, leased_until)
             SELECT $1, $2, $3, nextval('fences'), clock_timestamp() + make_interval(secs => $4)
             WHERE (SELECT coalesce(max(id), 0) FROM rounds) = $5
             ON CONFLICT DO NOTHING RETURNING id, fence",
        )
        .bind(until)
        .bind(known)
        .bind(holder)
        .bind(seconds as f64)
        .bind(past.last)
        .fetch_optional(&self.store.pool)
        .await
        .map_err(|error| self.failed(error))?;
        Ok(row.map(|(round, fence)| Lease { round, fence }))
    }

    /// Takes the lead of a round where nobody has it and something is left for a lead to do: before its devices can be leased,
    /// and when all are done.
    pub async fn lead(&self, round: i64, holder: &str, seconds: i64) -> Result<Option<Lease>, StoreError> {
        let fence = sqlx::query_scalar(
            "UPDATE rounds SET holder = $2, fence = nextval('fences'),
                 leased_until = clock_timestamp() + make_interval(secs => $3)
             WHERE id = $1 AND ended IS NULL AND (holder IS NULL OR leased_until <= clock_timestamp()) AND (
                 site IS NULL
                 OR NOT EXISTS (SELECT FROM round_devices WHERE round = $1 AND result IS NULL AND failed IS NULL)
             ) RETURNING fence",
        )
        .bind(round)
        .bind(holder)
        .bind(seconds as f64)
        .fetch_optional(&self.store.pool)
        .await
        .map_err(|error| self.failed(error))?;
        Ok(fence.map(|fence| Lease { round, fence }))
    }

    /// Renews the lead; false when another has it.
    pub async fn renew_lead(&self, lead: Lease, seconds: i64) -> Result<bool, StoreError> {
        let renewed = sqlx::query(
            "UPDATE rounds SET leased_until = clock_timestamp() + make_interval(secs => $3)
             WHERE id = $1 AND fence = $2 AND holder IS NOT NULL AND ended IS NULL",
        )
        .bind(lead.round)
        .bind(lead.fence)
        .bind(seconds as f64)
        .execute(&self.store.pool)
        .await;
        Ok(renewed.map_err(|error| self.failed(error))?.rows_affected() > 0)
    }

    /// Gives the lead back, if it is still this one.
    pub async fn release_lead(&self, lead: Lease) -> Result<(), StoreError> {
        sqlx::query("UPDATE rounds SET holder = NULL, leased_until = '-infinity' WHERE id = $1 AND fence = $2")
            .bind(lead.round)
            .bind(lead.fence)
            .execute(&self.store.pool)
            .await
            .map_err(|error| self.failed(error))?;
        Ok(())
    }

    /// Writes what all devices share, from when on they can be leased, and gives the lead back; false when another has it. For so
    /// many seconds nobody abandons the round: those who understand it have to look at it first.
    pub async fn prepared(&self, lead: Lease, site: &[u8], seconds: i64) -> Result<bool, StoreError> {
        let written = sqlx::query(
            "UPDATE rounds SET site = $3, holder = NULL, leased_until = clock_timestamp() + make_interval(secs => $4),
                 devices = (SELECT count(*) FROM round_devices WHERE round = $1)
             WHERE id = $1 AND fence = $2 AND ended IS NULL AND site IS NULL",
        )
        .bind(lead.round)
        .bind(lead.fence)
        .bind(site)
        .bind(seconds as f64)
        .execute(&self.store.pool)
        .await;
        Ok(written.map_err(|error| self.failed(error))?.rows_affected() > 0)
    }

    /// What all devices share; none once the round has ended.
    pub async fn site(&self, round: i64) -> Result<Option<Vec<u8>>, StoreError> {
        let site = sqlx::query_scalar::<_, Option<Vec<u8>>>("SELECT site FROM rounds WHERE id = $1").bind(round);
        Ok(site.fetch_optional(&self.store.pool).await.map_err(|error| self.failed(error))?.flatten())
    }

    /// Ends a round: a line of it stays, its rows go. False when another has the lead.
    pub async fn end(&self, lead: Lease, ending: &Ending) -> Result<bool, StoreError> {
        self.ended(lead, ending).await.map_err(|error| self.failed(error))
    }

    async fn ended(&self, lead: Lease, ending: &Ending) -> Result<bool, sqlx::Error> {
        let mut writing = begin(&self.store.pool).await?;
        let ended = sqlx::query(
            "UPDATE rounds SET ended = clock_timestamp(), site = NULL, holder = NULL, failed = $3, version = $4,
                 promoted = $5, kept = $6, note = $7
             WHERE id = $1 AND fence = $2 AND ended IS NULL",
        )
        .bind(lead.round)
        .bind(lead.fence)
        .bind(ending.failed)
        .bind(ending.version.as_deref())
        .bind(ending.promoted)
        .bind(ending.kept)
        .bind(ending.note.as_deref())
        .execute(&mut *writing)
        .await?;
        if ended.rows_affected() == 0 {
            return Ok(false);
        }
        clear(&mut writing, lead.round).await?;
        writing.commit().await?;
        Ok(true)
    }

    /// Ends a round that nobody works on, as if it had never been; false when somebody does, or has finished something while the
    /// lease of it would still stand.
    pub async fn abandon(&self, round: i64, note: &str) -> Result<bool, StoreError> {
        self.abandoned(round, note).await.map_err(|error| self.failed(error))
    }

    async fn abandoned(&self, round: i64, note: &str) -> Result<bool, sqlx::Error> {
        let mut writing = begin(&self.store.pool).await?;
        let ended = sqlx::query(
            "UPDATE rounds SET ended = clock_timestamp(), known = NULL, site = NULL, holder = NULL, note = $2
             WHERE id = $1 AND ended IS NULL AND leased_until <= clock_timestamp() AND NOT EXISTS (
                 SELECT FROM round_devices WHERE round = $1 AND leased_until > clock_timestamp()
             )",
        )
        .bind(round)
        .bind(note)
        .execute(&mut *writing)
        .await?;
        if ended.rows_affected() == 0 {
            return Ok(false);
        }
        clear(&mut writing, round).await?;
        writing.commit().await?;
        Ok(true)
    }
}

/// Removes a round's rows.
async fn clear(writing: &mut PgConnection, round: i64) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM round_devices WHERE round = $1").bind(round).execute(writing).await?;
    Ok(())
}

/// Whether a lease on a round still stands; nobody else takes it before the transaction ends.
async fn stands(writing: &mut PgConnection, lead: Lease) -> Result<bool, sqlx::Error> {
    let sql = "SELECT id FROM rounds WHERE id = $1 AND fence = $2 AND ended IS NULL FOR NO KEY UPDATE";
    let found: Option<i64> = sqlx::query_scalar(sql).bind(lead.round).bind(lead.fence).fetch_optional(writing).await?;
    Ok(found.is_some())
}
