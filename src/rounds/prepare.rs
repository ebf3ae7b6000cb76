//! The beginning of a round: readings copied, the site made of them.

use std::sync::Arc;

use super::{Event, RoundsError, Worker};
use crate::batch::BatchError;
use crate::batch::part::{Ground, bare_site, hours_with_motion};
use crate::model::fit::{self, Sample};
use crate::readings::Readings;
use crate::store::rounds::{Ending, Lease, Round};

/// Devices whose readings are held at a time.
const CHUNK: usize = 256;

impl Worker {
    /// Prepares a round.
    ///
    /// # Errors
    /// [`RoundsError`]; the lead may be given back then, and the next one begins anew.
    pub(super) async fn prepare(&self, lead: Lease, round: Round) -> Result<(), RoundsError> {
        let Some(site) = self.site_of(lead, round).await? else {
            tracing::warn!(round = lead.round, "another has taken the lead: what was prepared is dropped");
            return Ok(());
        };
        if self.rounds.prepared(lead, &site, i64::from(self.options.lease)).await? {
            tracing::info!(round = lead.round, bytes = site.len(), "the site is made, devices can be leased");
        } else {
            tracing::warn!(round = lead.round, "another has taken the lead: the site is dropped");
        }
        Ok(())
    }

    /// Ends a round without models.
    pub(super) async fn end_without(
        &self,
        lead: Lease,
        note: String,
        tell: &mut dyn FnMut(Event),
    ) -> Result<(), RoundsError> {
        let ending = Ending { note: Some(note.clone()), ..Ending::default() };
        if self.rounds.end(lead, &ending).await? {
            tracing::error!(round = lead.round, note, "the round ends without models");
            tell(Event::Ended { round: lead.round, note });
        } else {
            tracing::warn!(round = lead.round, note, "another has taken the lead, and goes on");
        }
        Ok(())
    }

    /// The site with its layers; none when another has taken the lead.
    async fn site_of(&self, lead: Lease, round: Round) -> Result<Option<Vec<u8>>, RoundsError> {
        let calendar = self.calendar.clone();
        let mut devices = Vec::new();
        let copy = self.rounds.copy(lead, round.until, |device| devices.push(hours_with_motion(device, &calendar)));
        let whole = tokio::select! {
            () = self.stop.requested() => return Err(RoundsError::Stopped),
            whole = copy => whole?,
        };
        if !whole {
            return Ok(None);
        }
        let (hours, until) = (Readings { devices }, round.until);
        tracing::info!(round = round.id, devices = hours.devices.len(), hours = hours.len(), "readings copied");
        let ground =
            self.apart(move || Ok::<_, BatchError>(Ground::new(bare_site(&hours, &calendar, Some(until))?))).await??;
        let ground = Arc::new(ground);
        let mut samples: Vec<Sample> = Vec::new();
        let mut last = String::new();
        loop {
            let devices = self.rounds.of_round(round.id, &last, CHUNK).await?;
            let Some(device) = devices.last() else { break };
            last.clone_from(&device.device);
            let ground = ground.clone();
            let part = self.apart(move || ground.samples(devices)).await??;
            samples.extend(part.into_iter().map(|(_, sample)| sample));
        }
        let site = self.apart(move || {
            let layers = fit::train_site(&samples, until).map_err(BatchError::from)?;
            if layers.is_none() {
                return Err(BatchError::Site("there is too little history to learn from".into()));
            }
            ground.site().clone().with_layers(layers).encode()
        });
        Ok(Some(site.await??))
    }
}
