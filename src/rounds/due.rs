//! When the next round begins.

use super::{Memory, RoundsError, Worker};
use crate::calendar::Instant;
use crate::retrain;
use crate::store::rounds::{Lease, Round};

/// After a round that has ended, whatever came of it, so many seconds of readings are waited for, or the age that is allowed where
/// that is less.
const AGAIN: i64 = 86_400;

/// Whether a round was begun.
pub(super) enum Begun {
    /// This worker began it, and has the lead.
    Lead(Lease, Round),
    /// Another was quicker.
    ByAnother,
    /// None is due.
    NotDue,
}

impl Worker {
    /// Begins a round if one is due.
    ///
    /// # Errors
    /// [`RoundsError`] when store or registry cannot be read.
    pub(super) async fn begin(&self, memory: &mut Memory) -> Result<Begun, RoundsError> {
        let past = self.rounds.past().await?;
        let Some(known) = self.rounds.known().await? else { return Ok(Begun::NotDue) };
        let learned = self.champion(memory, known).await?;
        let until = self.until(known, learned);
        if !self.options.all && !self.is_due(until, known, learned, past.known) {
            return Ok(Begun::NotDue);
        }
        let seconds = i64::from(self.options.lease);
        let lead = self.rounds.begin(past, until, known, &self.holder, seconds).await?;
        let Some(lead) = lead else { return Ok(Begun::ByAnother) };
        memory.took_part = true;
        tracing::info!(round = lead.round, until = self.calendar.format(until), "a round begins");
        Ok(Begun::Lead(lead, Round { id: lead.round, until, prepared: false }))
    }

    /// Only readings before this instant are learned from: those after it are to judge on, where there is something to be
    /// judged against.
    fn until(&self, known: Instant, learned: Option<Instant>) -> Instant {
        match learned {
            None => known,
            Some(learned) => retrain::judged_from(known, self.options.judge_days, &self.calendar).max(learned),
        }
    }

    fn is_due(&self, until: Instant, known: Instant, learned: Option<Instant>, before: Option<Instant>) -> bool {
        let max_age = self.options.max_age;
        let over_age = learned.is_none_or(|learned| until - learned >= max_age);
        // What was kept, or could not be learned, is not tried again on the same readings.
        over_age && before.is_none_or(|before| known - before >= AGAIN.min(max_age))
    }

    /// Up to when the site's layers in use learned; none where there are none that may be used.
    async fn champion(&self, memory: &mut Memory, known: Instant) -> Result<Option<Instant>, RoundsError> {
        let (registry, calendar) = (self.registry.clone(), self.calendar.clone());
        let seen = memory.champion.take();
        let found = self.apart(move || {
            let in_use = registry.current()?;
            if let Some((version, _)) = &seen
                && in_use.as_ref() == Some(version)
            {
                return Ok((in_use, seen.and_then(|(_, learned)| learned)));
            }
            // The last reading is before the end of its hour.
            let learned = retrain::learned_until(&registry, known - 1, &calendar)?;
            Ok::<_, RoundsError>((in_use, learned))
        });
        let (version, learned) = found.await??;
        memory.champion = version.map(|version| (version, learned));
        Ok(learned)
    }
}
