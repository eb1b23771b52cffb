//! Checks provisioners' credentials, and looks for orphans at their providers, on the replica that leads.

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

/// How often it is seen who is due.
const ROUND: Duration = Duration::from_secs(1);
/// How soon a provisioner that is not well is checked again.
const UNWELL: Duration = Duration::from_secs(20);
/// How soon a provider is swept again where something is to be taken down.
const TAKING_DOWN: Duration = Duration::from_secs(5);
/// Most providers that are asked at a time.
const PARALLEL: usize = 64;

/// Checks and sweeps in the background.
pub struct ProvisionerMonitor {
    /// Knows the provisioners.
    pub catalog: Arc<Catalog>,
    /// Checks credentials.
    pub checks: Arc<Checks>,
    /// Looks for orphans.
    pub orphan_collector: Arc<OrphanCollector>,
    /// How often a provisioner that is well is checked.
    pub check_every: Duration,
    /// How often a provider is swept.
    pub sweep_every: Duration,
}

/// What is done to a provisioner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Chore {
    Check,
    Sweep,
}

impl ProvisionerMonitor {
    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let this = Arc::new(self);
        // When each chore is due; `None` while it is being done.
        let mut due: HashMap<(ProvisionerId, Chore), Option<Instant>> = HashMap::new();
        let mut chores: JoinSet<(ProvisionerId, Chore, Duration)> = JoinSet::new();
        let mut round = interval(ROUND);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = round.tick() => {}
                Some(Ok((id, chore, pause))) = chores.join_next() => {
                    due.insert((id, chore), Some(Instant::now() + pause));
                    continue;
                }
            }
            if this.checks.leadership.term().is_none() {
                continue;
            }
            let now = Instant::now();
            let there: HashSet<ProvisionerId> = this.catalog.provisioner_ids().into_iter().collect();
            due.retain(|(id, _), at| at.is_none() || there.contains(id));
            let urgent = this.taking_down();
            for id in there {
                for chore in [Chore::Check, Chore::Sweep] {
                    let at = due.entry((id, chore)).or_insert_with(|| Some(now + this.first(chore)));
                    let Some(time) = *at else { continue };
                    let time =
                        if chore == Chore::Sweep && urgent.contains(&id) { time.min(now + TAKING_DOWN) } else { time };
                    *at = Some(time);
                    if time <= now && chores.len() < PARALLEL {
                        *at = None;
                        let done = AssertUnwindSafe(this.clone().chore(id, chore)).catch_unwind();
                        // One that panics, which is logged where it does, is due again like one that failed.
                        chores.spawn(done.map(move |pause| (id, chore, pause.unwrap_or(UNWELL))));
                    }
                }
            }
        }
        chores.abort_all();
        while chores.join_next().await.is_some() {}
    }

    /// A provisioner was checked when it was made; its provider is swept soon after this replica has begun to lead.
    fn first(&self, chore: Chore) -> Duration {
        match chore {
            Chore::Check => UNWELL.min(self.check_every),
            Chore::Sweep => Duration::from_secs(10).min(self.sweep_every),
        }
    }

    /// Provisioners whose providers hold orphans that are to go.
    fn taking_down(&self) -> HashSet<ProvisionerId> {
        let orphans = self.catalog.orphans(Scope::All);
        let leaving = orphans.iter().map(|view| &view.orphan.record);
        leaving
            .filter(|orphan| matches!(orphan.state, OrphanState::Deleting { .. }))
            .map(|orphan| orphan.provisioner)
            .collect()
    }

    /// Does a chore; after how long it is due again.
    async fn chore(self: Arc<Self>, id: ProvisionerId, chore: Chore) -> Duration {
        let result = match chore {
            Chore::Check => self.checks.check(id).await.map(|phase| match phase {
                Some(ProvisionerPhase::Failed | ProvisionerPhase::NotReachable) => UNWELL.min(self.check_every),
                Some(ProvisionerPhase::Ready) | None => self.check_every,
            }),
            Chore::Sweep => self.orphan_collector.sweep(id).await.map(|()| self.sweep_every),
        };
        result.unwrap_or_else(|error| {
            if !matches!(error, StoreError::NotLeader) {
                tracing::warn!(provisioner.id = %id, %error, ?chore, "what was found cannot be stored");
            }
            UNWELL
        })
    }
}
