//! The end of a round: its models put together, judged, and published where they are not worse.

use std::sync::Arc;

use super::{Event, RoundsError, Worker};
use crate::batch::assemble::{Assembly, Run};
use crate::batch::part::Fitting;
use crate::batch::row::Row;
use crate::batch::site::Site;
use crate::batch::takeover::{self, Rules, TakeoverError};
use crate::model::registry;
use crate::readings::Readings;
use crate::retrain::report::Report;
use crate::store::rounds::{Ending, Lease, Outcome};

/// Results that are fetched at a time.
const CHUNK: usize = 1000;

impl Worker {
    /// Settles a round. Whoever takes the lead after a crash on the way comes to the same end, once.
    ///
    /// # Errors
    /// [`RoundsError`]; the lead may be given back then.
    pub(super) async fn settle(&self, lead: Lease, tell: &mut dyn FnMut(Event)) -> Result<(), RoundsError> {
        let Some((run, failed)) = self.assemble(lead).await? else { return Ok(()) };
        let run = Arc::new(run);
        let (registry, found) = (self.registry.clone(), run.clone());
        let (in_use, before) = self
            .apart(move || Ok::<_, TakeoverError>((registry.current()?, takeover::published(&registry, &found)?)))
            .await??;
        if let Some((version, report)) = before {
            // Whoever did it has not come to say so.
            return self.finish(lead, &run, failed, report, Some((version, true)), tell).await;
        }
        // Without anything to be judged against there is nothing to look at.
        let readings = if in_use.is_some() { self.rounds.readings().await? } else { Readings::default() };
        let rules =
            Rules { until: None, max_age: self.options.max_age, judge_days: self.options.judge_days, dry_run: false };
        let (registry, found) = (self.registry.clone(), run.clone());
        let verdict = self.apart(move || takeover::judge(&registry, &found, &readings, &rules)).await??;
        if !self.rounds.renew_lead(lead, i64::from(self.options.lease)).await? {
            tracing::warn!(round = lead.round, "another has taken the lead: what was judged is dropped");
            return Ok(());
        }
        let (registry, found) = (self.registry.clone(), run.clone());
        // Not to be left before it has ended: somebody who stops now would leave it to chance.
        let promoting = tokio::task::spawn_blocking(move || {
            let version = verdict.promote(&registry, &found)?;
            Ok::<_, TakeoverError>((verdict.report, version))
        });
        let (report, version) = promoting.await.map_err(|error| RoundsError::Broken(error.to_string()))??;
        self.finish(lead, &run, failed, report, version, tell).await
    }

    /// All models of a round, verified, and how many devices failed; none when another has taken the lead.
    async fn assemble(&self, lead: Lease) -> Result<Option<(Run, i64)>, RoundsError> {
        let damaged = |what: String| RoundsError::Damaged { round: lead.round, what };
        let Some(bytes) = self.rounds.site(lead.round).await? else { return Ok(None) };
        let mut assembly = Assembly::new(&bytes).map_err(damaged)?;
        let mut fitting = None;
        let (mut last, mut failed) = (String::new(), 0);
        loop {
            let outcomes = self.rounds.outcomes(lead.round, &last, CHUNK).await?;
            let Some((name, _)) = outcomes.last() else { break };
            last.clone_from(name);
            for (name, outcome) in outcomes {
                let row = match outcome {
                    Outcome::Done(row) => Row::decode(&row).map_err(damaged)?,
                    Outcome::Failed { device, why } => {
                        tracing::error!(
                            round = lead.round,
                            device = name,
                            why,
                            "not fitted: it gets the site's forecast"
                        );
                        failed += 1;
                        let fitting = match &fitting {
                            Some(fitting) => fitting,
                            None => &*fitting.insert(Fitting::new(Site::decode(&bytes)?, registry::sha256(&bytes))?),
                        };
                        fitting.unfitted(&device, &why)?
                    }
                    Outcome::Open => return Err(damaged(format!("device {name:?} is not done"))),
                };
                if row.device != name {
                    return Err(damaged(format!("device {name:?} has the result of {:?}", row.device)));
                }
                assembly.add(row).map_err(damaged)?;
            }
        }
        Ok(Some((assembly.finish().map_err(damaged)?, failed)))
    }

    /// Ends a round that was settled.
    async fn finish(
        &self,
        lead: Lease,
        run: &Run,
        failed: i64,
        report: Report,
        version: Option<(String, bool)>,
        tell: &mut dyn FnMut(Event),
    ) -> Result<(), RoundsError> {
        let ending = Ending {
            failed,
            version: version.as_ref().map(|(name, _)| name.clone()),
            promoted: report.promoted() as i64,
            kept: report.kept() as i64,
            note: match &version {
                None => Some("the models in use stay".into()),
                Some((_, false)) => Some("not activated: another version was made current meanwhile".into()),
                Some((_, true)) => None,
            },
        };
        if !self.rounds.end(lead, &ending).await? {
            tracing::warn!(round = lead.round, "another has taken the lead, and ends the round");
            return Ok(());
        }
        let (promoted, kept, version_made) =
            (ending.promoted, ending.kept, ending.version.as_deref().unwrap_or("none"));
        tracing::info!(round = lead.round, version = version_made, promoted, kept, failed, "the round is settled");
        let (round, skipped) = (lead.round, run.skipped.clone());
        tell(Event::Settled { round, report: Box::new(report), version, skipped });
        Ok(())
    }
}
