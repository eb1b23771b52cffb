//! Requests of users on clusters: permissions, states, and what exactly is stored.

mod conflicts;
mod forgetting;
mod table;
mod writes;

use std::sync::Arc;

use super::{
    doubles::{ATTACHING, engine},
    kept::{Commit, FakeStore, commits},
    provider::{Provider, able, policy},
    world::{World, caller, cluster},
};
use crate::{
    access::Caller,
    catalog::OperationView,
    cluster::{Cluster, Lifecycle},
    id::{ClusterId, OperationId},
    operation::{Operation, OperationKind, OperationStatus},
    port::engine::{Capabilities, EngineDescriptor, EngineRegistry},
    reason::{Reason, ReasonCode, Responsible},
    revision::Revision,
    service::{ServiceError, clusters::Clusters},
    timeline::{EventKind, TimelineEvent},
    user::User,
};

/// The states of a cluster in these tests.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Attached,
    Deploying,
    Ready,
    Updating,
    Destroying,
    Failed,
}

use State::{Attached, Deploying, Destroying, Failed, Ready, Updating};

const STATES: [State; 6] = [Attached, Deploying, Ready, Updating, Destroying, Failed];

fn failure() -> Reason {
    Reason::new(ReasonCode::ProvisioningFailed, "it broke", Responsible::Provider, "retry")
}

/// The use cases with one cluster of ann.
struct Fixture {
    world: Arc<World>,
    fake: FakeStore,
    clusters: Clusters,
    id: ClusterId,
}

impl Fixture {
    /// A cluster in `state`, with the operation that led there, requested by ada.
    fn with(state: State) -> Self {
        let (lifecycle, kind, status) = match state {
            Attached => return Self::of(None),
            Deploying => (Lifecycle::Deploying, OperationKind::Deploy, OperationStatus::Running),
            Ready => (Lifecycle::Ready, OperationKind::Deploy, OperationStatus::Succeeded),
            Updating => (Lifecycle::Updating, OperationKind::Resize { node_count: 3 }, OperationStatus::Running),
            Destroying => (Lifecycle::Destroying, OperationKind::Destroy, OperationStatus::Running),
            Failed => (Lifecycle::Failed { reason: failure() }, OperationKind::Deploy, OperationStatus::Failed),
        };
        Self::after(lifecycle, kind, status)
    }

    /// A cluster after an operation with `status`.
    fn after(lifecycle: Lifecycle, kind: OperationKind, status: OperationStatus) -> Self {
        let fixture = Self::of(Some(lifecycle));
        fixture.put_operation(kind, status);
        fixture
    }

    /// A provisioned cluster in `lifecycle`, or an attached one for `None`.
    fn of(lifecycle: Option<Lifecycle>) -> Self {
        let world = Arc::new(World::new());
        let id = match lifecycle {
            None => world.cluster,
            Some(lifecycle) => {
                let made = Cluster { lifecycle, ..cluster("made", world.making, &world.people.ann) };
                world.put_cluster(made.clone());
                made.id
            }
        };
        let fake = FakeStore::new(&world);
        let mut clusters = world.clusters_with(fake.store(), fake.read_barrier());
        clusters.engines = engines(able());
        Self { world, fake, clusters, id }
    }

    /// Stores an operation as the cluster's newest one.
    fn put_operation(&self, kind: OperationKind, status: OperationStatus) -> OperationId {
        let (ada, now) = (self.world.people.ada.id, self.world.now());
        let mut operation = Operation::requested(self.id, kind, ada, now, now + self.clusters.timeout);
        match status {
            OperationStatus::Pending | OperationStatus::Running => operation.status = status,
            OperationStatus::Succeeded => operation.end(status, None, now),
            OperationStatus::Failed | OperationStatus::Cancelled => operation.end(status, Some(failure()), now),
        }
        let id = operation.id;
        self.world.put_operation(operation);
        self.world.put_cluster(Cluster { operation: Some(id), ..self.cluster() });
        self.world.clock.advance(chrono::TimeDelta::seconds(1));
        id
    }

    fn cluster(&self) -> Cluster {
        self.world.catalog.cluster(self.id).unwrap().cluster.record.clone()
    }

    fn revision(&self) -> Revision {
        self.world.catalog.cluster(self.id).unwrap().cluster.revision
    }

    /// The newest operation.
    fn newest(&self) -> OperationView {
        self.world.catalog.operations_of(self.id).remove(0)
    }

    fn ann(&self) -> Caller {
        caller(&self.world.people.ann)
    }

    fn commits(&self) -> Vec<Commit> {
        commits(self.fake.events.take())
    }

    /// The only transaction. Requests of users do not depend on leadership.
    #[track_caller]
    fn commit(&self) -> Commit {
        let mut commits = self.commits();
        assert_eq!(commits.len(), 1, "exactly one transaction");
        let commit = commits.remove(0);
        assert_eq!(commit.work.term, None);
        commit
    }

    /// The timeline event of a request by `by`.
    fn timeline_event(&self, by: &User, operation: Option<OperationId>, message: &str) -> TimelineEvent {
        TimelineEvent {
            cluster: self.id,
            at: self.world.now(),
            kind: EventKind::Asked,
            message: message.into(),
            operation,
            by: Some(by.id),
            reason: None,
        }
    }
}

/// An operation that was cancelled by another request, and its timeline event.
fn stopped(operation: &Operation, why: &str, by: &User, fixture: &Fixture) -> (Operation, TimelineEvent) {
    let (now, reason) = (fixture.world.now(), Reason::new(ReasonCode::Superseded, why, Responsible::Requester, ""));
    let mut operation = operation.clone();
    operation.end(OperationStatus::Cancelled, Some(reason.clone()), now);
    let message = format!("cancelled: {}", operation.kind.infinitive());
    let event = fixture.timeline_event(by, Some(operation.id), &message);
    (operation, TimelineEvent { kind: EventKind::Ended, reason: Some(reason), ..event })
}

fn engines(descriptor: EngineDescriptor) -> EngineRegistry {
    let provider = Provider::new(&super::kept::EventLog::default());
    provider.descriptor.set(descriptor);
    EngineRegistry::default().with(Arc::new(engine(ATTACHING, Ok(())))).with(Arc::new(provider.engine()))
}
