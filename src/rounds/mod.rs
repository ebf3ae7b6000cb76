//! Rounds of retraining: any number of workers on any number of machines renew all models of a site, again and again.
//!
//! They share a PostgreSQL store, which holds the work of a round ([`crate::store::rounds`]), and a registry:
//!
//! 1. When the models in use are over age, one worker takes the *lead*: it copies the readings into the round and makes the
//!    site of them (`prepare`).
//! 2. All workers lease devices, a hundred at a time, fit them on top of that site and write what they got (`fit`).
//! 3. When all are done one takes the lead again, puts them together, judges them against the models in use on readings after
//!    everything that both have learned from, and publishes them (`settle`).
//!
//! Each part calls what `roomcast train` and the steps of [`crate::batch`] call. The lead and the devices are leases with fences:
//! whoever dies or falls asleep over one is replaced, and what they still write to the store afterwards is dropped.

mod due;
mod fit;
mod prepare;
mod settle;
mod stop;
mod tasks;

use std::sync::Arc;
use std::time::Duration;

pub use self::stop::{Stop, Stopper};
use crate::batch::BatchError;
use crate::batch::part::Fitting;
use crate::batch::site::Site;
use crate::batch::takeover::TakeoverError;
use crate::calendar::{Calendar, Instant};
use crate::model::registry::{self, Registry, RegistryError};
use crate::retrain::report::Report;
use crate::store::rounds::{Lease, Round, Rounds};
use crate::store::{self, StoreError};

/// How long to wait for others of the same round.
const LOOK: Duration = Duration::from_secs(1);

/// How long to wait before it is asked again whether a round is due, and after something went wrong.
const REST: Duration = Duration::from_secs(20);

/// What a worker is asked.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Seconds after which others take over what nothing is heard of.
    pub lease: u32,
    /// Seconds from which on what was learned is over age: a round is due then.
    pub max_age: i64,
    /// Whole local days before the present that are left out of a round, to judge its models on.
    pub judge_days: u16,
    /// Whether to end after one round.
    pub once: bool,
    /// Whether a round is due whatever the age of the models.
    pub all: bool,
}

/// Why a worker cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RoundsError {
    /// The store cannot do what it is asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Models cannot be read or written.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The models of a round cannot be judged or published.
    #[error(transparent)]
    Takeover(#[from] TakeoverError),
    /// A step of training failed.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Something that the round holds is damaged.
    #[error("round {round} is damaged: {what}")]
    Damaged {
        /// The round's number.
        round: i64,
        /// What is wrong.
        what: String,
    },
    /// A part of the work broke off.
    #[error("a task broke off: {0}")]
    Broken(String),
    /// The worker was stopped.
    #[error("stopped")]
    Stopped,
}

impl RoundsError {
    /// Whether the same may work later.
    fn is_temporary(&self) -> bool {
        match self {
            RoundsError::Store(error) => error.is_temporary(),
            RoundsError::Registry(error) | RoundsError::Takeover(TakeoverError::Registry(error)) => {
                error.is_temporary()
            }
            _ => false,
        }
    }
}

/// Whether whoever leads next would come to the same error on the same round.
fn comes_again(error: &RoundsError) -> bool {
    match error {
        RoundsError::Broken(_) | RoundsError::Batch(_) | RoundsError::Damaged { .. } => true,
        RoundsError::Takeover(TakeoverError::Registry(error)) => matches!(error, RegistryError::Unsound(_)),
        RoundsError::Takeover(_) => true,
        _ => false,
    }
}

/// What became of a round that this worker had the lead of.
#[derive(Debug)]
pub enum Event {
    /// It was settled.
    Settled {
        /// The round's number.
        round: i64,
        /// How its models were judged.
        report: Box<Report>,
        /// The version that was made, and whether it is current.
        version: Option<(String, bool)>,
        /// Devices without a model that was judged, with the reason.
        skipped: Vec<(String, String)>,
    },
    /// It ended without models.
    Ended {
        /// The round's number.
        round: i64,
        /// Why.
        note: String,
    },
    /// No round is due, and none is waited for.
    NothingDue,
}

/// One of the workers.
pub struct Worker {
    rounds: Arc<Rounds>,
    registry: Registry,
    calendar: Calendar,
    options: Options,
    stop: Stop,
    /// The name under which it holds leases.
    holder: String,
}

/// What a worker need not look up again.
#[derive(Default)]
struct Memory {
    /// The site of a round.
    site: Option<(i64, Arc<Fitting>)>,
    /// A version, and up to when its site's layers learned; none where they must not be used.
    champion: Option<(String, Option<Instant>)>,
    /// Whether it has seen a round.
    took_part: bool,
}

/// What is to be done next.
enum Next {
    /// Look for more.
    More,
    /// Wait.
    Wait(Duration),
    /// Nothing any more.
    Over,
}

impl Worker {
    /// A worker on a store's rounds, for the models in a registry.
    pub fn new(rounds: Rounds, registry: Registry, calendar: Calendar, options: Options, stop: Stop) -> Worker {
        Worker { rounds: Arc::new(rounds), registry, calendar, options, stop, holder: store::holder() }
    }

    /// Works until it is stopped; with [`Options::once`], until a round has ended or none is due. What goes wrong is tried again
    /// later, but for that last case. `tell` hears what becomes of rounds.
    ///
    /// # Errors
    /// [`RoundsError`], only with [`Options::once`].
    pub async fn run(&self, tell: &mut dyn FnMut(Event)) -> Result<(), RoundsError> {
        let mut memory = Memory::default();
        loop {
            let pause = match self.next(&mut memory, tell).await {
                Ok(Next::More) => continue,
                Ok(Next::Wait(pause)) => pause,
                Ok(Next::Over) | Err(RoundsError::Stopped) => return Ok(()),
                Err(error) if self.options.once && !error.is_temporary() => return Err(error),
                Err(error) => {
                    tracing::error!(error = format!("{:#}", anyhow::Error::from(error)), "the work is tried again");
                    REST
                }
            };
            tokio::select! {
                () = self.stop.requested() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn next(&self, memory: &mut Memory, tell: &mut dyn FnMut(Event)) -> Result<Next, RoundsError> {
        self.stop.check()?;
        let Some(round) = self.rounds.current().await? else {
            return self.between(memory, tell).await;
        };
        memory.took_part = true;
        if !round.prepared {
            return self.as_lead(round, tell).await;
        }
        let Some(site) = self.site(round, memory).await? else { return Ok(Next::Wait(LOOK)) };
        let leased = self.rounds.lease(round.id, &self.holder, i64::from(self.options.lease)).await?;
        match leased {
            Some(leased) => self.fit(site, leased).await.map(|()| Next::More),
            None => self.as_lead(round, tell).await,
        }
    }

    /// Between two rounds: begins the next when it is due.
    async fn between(&self, memory: &mut Memory, tell: &mut dyn FnMut(Event)) -> Result<Next, RoundsError> {
        if self.options.once && memory.took_part {
            return Ok(Next::Over);
        }
        match self.begin(memory).await? {
            due::Begun::Lead(lead, round) => self.lead(lead, round, tell).await.map(|()| Next::More),
            due::Begun::ByAnother => Ok(Next::More),
            due::Begun::NotDue if self.options.once => {
                tell(Event::NothingDue);
                Ok(Next::Over)
            }
            due::Begun::NotDue => Ok(Next::Wait(REST)),
        }
    }

    /// What a lead has to do in a round, if nobody else does it.
    async fn as_lead(&self, round: Round, tell: &mut dyn FnMut(Event)) -> Result<Next, RoundsError> {
        match self.rounds.lead(round.id, &self.holder, i64::from(self.options.lease)).await? {
            Some(lead) => self.lead(lead, round, tell).await.map(|()| Next::More),
            None => Ok(Next::Wait(LOOK)),
        }
    }

    async fn lead(&self, lead: Lease, round: Round, tell: &mut dyn FnMut(Event)) -> Result<(), RoundsError> {
        tracing::info!(round = round.id, fence = lead.fence, prepared = round.prepared, "leading");
        let renewing = self.renewing(move |rounds, seconds| async move { rounds.renew_lead(lead, seconds).await });
        let done = if round.prepared { self.settle(lead, tell).await } else { self.prepare(lead, round).await };
        let done = match done {
            Err(error) if comes_again(&error) => {
                self.end_without(lead, format!("{:#}", anyhow::Error::from(error)), tell).await
            }
            done => done,
        };
        renewing.end().await;
        if done.is_err()
            && let Err(error) = self.rounds.release_lead(lead).await
        {
            tracing::warn!(%error, "the lead could not be given back, it ends by itself");
        }
        done
    }

    /// The site of a round, laid out; none when the round has just ended.
    async fn site(&self, round: Round, memory: &mut Memory) -> Result<Option<Arc<Fitting>>, RoundsError> {
        if let Some((of, site)) = &memory.site
            && *of == round.id
        {
            return Ok(Some(site.clone()));
        }
        memory.site = None;
        let Some(bytes) = self.rounds.site(round.id).await? else { return Ok(None) };
        match self.apart(move || Fitting::new(Site::decode(&bytes)?, registry::sha256(&bytes))).await? {
            Ok(site) => {
                let site = Arc::new(site);
                memory.site = Some((round.id, site.clone()));
                Ok(Some(site))
            }
            // Of another version of Roomcast, most likely: whoever made it may still be at work.
            Err(error) => {
                if self.rounds.abandon(round.id, &error.to_string()).await? {
                    tracing::warn!(round = round.id, %error, "nobody works on this round: abandoned");
                    return Ok(None);
                }
                Err(error.into())
            }
        }
    }
}
