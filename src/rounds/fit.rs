//! Devices that were leased: fitted, and what came of it written.

use std::sync::Arc;
use std::time::Instant as Stopwatch;

use super::{LOOK, RoundsError, Worker};
use crate::batch::BatchError;
use crate::batch::part::Fitting;
use crate::batch::row::Row;
use crate::store::rounds::{Lease, Leased};

/// A device's name with what came of its fit, if it was fitted.
type Fitted = (String, Option<Result<Row, BatchError>>);

impl Worker {
    /// Fits devices and writes what came of it, as far as they are still leased.
    ///
    /// # Errors
    /// [`RoundsError`]. Stopped, it has given the devices back.
    pub(super) async fn fit(&self, site: Arc<Fitting>, leased: Leased) -> Result<(), RoundsError> {
        let watch = Stopwatch::now();
        let Leased { lease, devices } = leased;
        let names: Vec<String> = devices.iter().map(|device| device.device.clone()).collect();
        let renewing = self.renewing(move |rounds, seconds| async move { Ok(rounds.renew(lease, seconds).await? > 0) });
        let stop = self.stop.clone();
        let fitted = self.apart(move || site.fit(devices, &|| stop.is_requested())).await;
        renewing.end().await;
        let fitted = match fitted {
            Ok(fitted) => fitted,
            Err(RoundsError::Broken(why)) => {
                let reasons: Vec<_> = names.into_iter().map(|name| (name, why.clone())).collect();
                tracing::error!(
                    round = lease.round,
                    devices = reasons.len(),
                    why,
                    "the fit of these devices broke off"
                );
                self.rounds.trouble(lease, &reasons).await?;
                return Ok(());
            }
            Err(error) => {
                let given = self.rounds.give_back(lease).await?;
                tracing::info!(round = lease.round, given, "stopped: devices were given back");
                return Err(error);
            }
        };
        self.write(lease, fitted, watch).await
    }

    async fn write(&self, lease: Lease, fitted: Vec<Fitted>, watch: Stopwatch) -> Result<(), RoundsError> {
        let (mut done, mut reasons) = (Vec::new(), Vec::new());
        for (name, row) in fitted {
            match row.map(|row| row.and_then(|row| row.encode())) {
                Some(Ok(bytes)) => done.push((name, bytes)),
                Some(Err(error)) => {
                    tracing::warn!(round = lease.round, device = name, %error, "a device cannot be fitted");
                    reasons.push((name, error.to_string()));
                }
                None => {}
            }
        }
        let written = loop {
            match self.rounds.write(lease, &done).await {
                // What was fitted outlives a database that is away for a while; the fence says whether it still counts.
                Err(error) if error.is_temporary() && !self.stop.is_requested() => {
                    tracing::warn!(round = lease.round, %error, "results are written again");
                    tokio::time::sleep(LOOK).await;
                }
                written => break written?,
            }
        };
        if !reasons.is_empty() {
            self.rounds.trouble(lease, &reasons).await?;
        }
        // Those that a worker which stops has not come to.
        let given = self.rounds.give_back(lease).await?;
        let lost = done.len() as u64 - written;
        if lost > 0 {
            tracing::warn!(
                round = lease.round,
                lost,
                "others have taken these devices over: what was fitted is dropped"
            );
        }
        let seconds = watch.elapsed().as_secs_f64();
        tracing::info!(round = lease.round, written, lost, troubled = reasons.len(), given, seconds, "devices fitted");
        Ok(())
    }
}
