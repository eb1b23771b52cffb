//! Checks the credentials of provisioners and looks for orphans at their providers, on the leading replica.

use std::{
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use futures::FutureExt;
use kqueen_domain::{
    catalog::{Catalog, Scope},
    id::ProvisionerId,
    orphan::OrphanState,
    port::store::StoreError,
    provisioner::ProvisionerPhase,
    service::{provisioners::checks::Checks, reconcile::orphan_collector::OrphanCollector},
};
use tokio::{
    task::JoinSet,
    time::{Instant, interval},
};
use tokio_util::sync::CancellationToken;

/// How often due jobs are started.
const TICK: Duration = Duration::from_secs(1);
/// How soon a provisioner that is not ready is checked again.
const RETRY: Duration = Duration::from_secs(20);
/// How soon a provider is swept again while orphans are being deleted there.
const DELETING: Duration = Duration::from_secs(5);
/// Maximum number of jobs at a time.
const PARALLEL: usize = 64;

/// Checks provisioners and sweeps providers in the background.
pub struct ProvisionerMonitor {
    /// The read model, which lists the provisioners.
    pub catalog: Arc<Catalog>,
    /// Checks credentials.
    pub checks: Arc<Checks>,
    /// Collects orphans.
    pub orphan_collector: Arc<OrphanCollector>,
    /// How often a provisioner that is ready is checked.
    pub check_every: Duration,
    /// How often a provider is swept.
    pub sweep_every: Duration,
}

/// A periodic job for a provisioner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Job {
    Check,
    Sweep,
}

impl ProvisionerMonitor {
    /// Runs until `stop` is cancelled.
    pub async fn run(self, stop: CancellationToken) {
        let this = Arc::new(self);
        // When each job is due; `None` while it runs.
        let mut due: HashMap<(ProvisionerId, Job), Option<Instant>> = HashMap::new();
        let mut jobs: JoinSet<(ProvisionerId, Job, Duration)> = JoinSet::new();
        let mut ticks = interval(TICK);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => {}
                Some(Ok((id, job, pause))) = jobs.join_next() => {
                    due.insert((id, job), Some(Instant::now() + pause));
                    continue;
                }
            }
            if this.checks.leadership.term().is_none() {
                continue;
            }
            let now = Instant::now();
            let provisioners: HashSet<ProvisionerId> = this.catalog.provisioner_ids().into_iter().collect();
            due.retain(|(id, _), at| at.is_none() || provisioners.contains(id));
            let deleting = this.deleting_orphans();
            for id in provisioners {
                for job in [Job::Check, Job::Sweep] {
                    let at = due.entry((id, job)).or_insert_with(|| Some(now + this.first(job)));
                    let Some(time) = *at else { continue };
                    let time =
                        if job == Job::Sweep && deleting.contains(&id) { time.min(now + DELETING) } else { time };
                    *at = Some(time);
                    if time <= now && jobs.len() < PARALLEL {
                        *at = None;
                        let done = AssertUnwindSafe(this.clone().job(id, job)).catch_unwind();
                        // A job that panics (the panic hook logs it) is due again like one that failed.
                        jobs.spawn(done.map(move |pause| (id, job, pause.unwrap_or(RETRY))));
                    }
                }
            }
        }
        jobs.abort_all();
        while jobs.join_next().await.is_some() {}
    }

    /// How soon a job runs for the first time. A provisioner was checked when it was created; its provider is swept soon after this
    /// replica has become the leader.
    fn first(&self, job: Job) -> Duration {
        match job {
            Job::Check => RETRY.min(self.check_every),
            Job::Sweep => Duration::from_secs(10).min(self.sweep_every),
        }
    }

    /// Provisioners whose providers have orphans that are being deleted.
    fn deleting_orphans(&self) -> HashSet<ProvisionerId> {
        let orphans = self.catalog.orphans(Scope::All);
        let records = orphans.iter().map(|view| &view.orphan.record);
        records
            .filter(|orphan| matches!(orphan.state, OrphanState::Deleting { .. }))
            .map(|orphan| orphan.provisioner)
            .collect()
    }

    /// Runs a job. Returns how soon it is due again.
    async fn job(self: Arc<Self>, id: ProvisionerId, job: Job) -> Duration {
        let result = match job {
            Job::Check => self.checks.check(id).await.map(|phase| match phase {
                Some(ProvisionerPhase::Failed | ProvisionerPhase::NotReachable) => RETRY.min(self.check_every),
                Some(ProvisionerPhase::Ready) | None => self.check_every,
            }),
            Job::Sweep => self.orphan_collector.sweep(id).await.map(|()| self.sweep_every),
        };
        result.unwrap_or_else(|error| {
            if !matches!(error, StoreError::NotLeader) {
                tracing::warn!(provisioner.id = %id, %error, ?job, "the result of a check or sweep cannot be stored");
            }
            RETRY
        })
    }
}
