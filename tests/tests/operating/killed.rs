//! `kill -9` of the process at every kind of call that it makes to the provider.

use chrono::TimeDelta;
use futures::future::join_all;
use kqueen_tests::{
    fixture::app::App,
    model::{CallKind, Effect, Fault, Injection, Model},
};

use super::{Customer, PATIENCE, options, provider};

/// Processes that are tested at the same time. Most of the time they wait.
const AT_ONCE: usize = 7;

/// A process with its own provider.
struct World {
    model: Model,
    app: App,
    customer: Customer,
}

impl World {
    async fn new() -> Self {
        let model = provider(TimeDelta::zero()).await;
        let app = App::start_with(options("the one that is killed")).await;
        let customer = Customer::new(&app, &model).await;
        Self { model, app, customer }
    }

    /// A cluster whose operation leads to a call of that kind.
    async fn cluster_before(&self, kind: CallKind, fault: Fault) -> String {
        let Self { model, app, customer } = self;
        let is_made = matches!(kind, CallKind::Delete(_) | CallKind::Resize | CallKind::SetNetworkPolicy);
        let running = if is_made { Some(customer.deploy(app).await) } else { None };
        if let Some(cluster) = &running {
            customer.ended(app, cluster).await;
        }
        if let CallKind::Repair(kind) = kind {
            model.inject(Injection::on(CallKind::Create(kind), Fault::Doomed));
        }
        model.inject(Injection::on(kind, fault));
        let Some(cluster) = running else { return customer.deploy(app).await };
        match kind {
            CallKind::Resize => customer.resize(app, &cluster).await,
            CallKind::SetNetworkPolicy => customer.set_network_policy(app, &cluster).await,
            CallKind::Delete(_) => customer.destroy(app, &cluster).await,
            CallKind::Project
            | CallKind::List
            | CallKind::Get(_)
            | CallKind::Create(_)
            | CallKind::Repair(_)
            | CallKind::Kubeconfig => unreachable!("deploying makes this call"),
        }
        cluster
    }

    /// Waits until the call has arrived, whose answer is never delivered. For a repair, the failed operation is retried first.
    async fn until_the_call(&self, kind: CallKind, cluster: &str, deaths: usize) {
        let mut seen = self.model.deaths();
        let is_repair = matches!(kind, CallKind::Repair(_));
        let retried = async {
            if is_repair {
                self.customer.ended(&self.app, cluster).await;
                self.customer.retry(&self.app, cluster).await;
            }
            std::future::pending::<()>().await;
        };
        let called = async { drop(seen.wait_for(|so_far| *so_far > deaths).await.unwrap()) };
        let waited = tokio::time::timeout(PATIENCE, async {
            tokio::select! {
                () = called => {}
                () = retried => {}
            }
        });
        waited.await.unwrap_or_else(|_| panic!("{kind:?} is not called"));
    }

    /// Kills the process at such a call, and returns the cluster and what is wrong with it. The cluster is left in deletion, which takes a
    /// minute after a call with an unknown outcome.
    async fn case(&mut self, kind: CallKind, acts: Effect) -> (String, Vec<String>) {
        let deaths = *self.model.deaths().borrow();
        let cluster = self.cluster_before(kind, Fault::CallerDies(acts)).await;
        self.until_the_call(kind, &cluster, deaths).await;
        self.app.kill();
        self.app.restart().await;
        let Self { model, app, customer } = self;
        if matches!(kind, CallKind::Delete(_)) {
            return (cluster, Vec::new());
        }
        let complaints = customer.complaints(app, model, &cluster).await;
        customer.destroy(app, &cluster).await;
        (cluster, complaints)
    }
}

/// Every kind of call, before it takes effect and, where it has one, after.
fn cases() -> Vec<(CallKind, Effect)> {
    let cases = CallKind::ALL.into_iter().flat_map(|kind| [(kind, Effect::Never), (kind, Effect::First)]);
    cases.filter(|(kind, acts)| Fault::CallerDies(*acts).fits(*kind)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_at_any_call_leaves_nothing_unfinished_duplicated_or_unlisted() {
    let cases = cases();
    assert_eq!(cases.len(), 28, "the number of cases has changed: {cases:?}");
    let workers = (0..AT_ONCE).map(|first| {
        let cases: Vec<_> = cases.iter().copied().skip(first).step_by(AT_ONCE).collect();
        async move {
            let mut world = World::new().await;
            let (mut deleting, mut all) = (Vec::new(), Vec::new());
            for (kind, acts) in cases {
                let (cluster, complaints) = world.case(kind, acts).await;
                all.extend(complaints.into_iter().map(|complaint| format!("{kind:?}, {acts:?}: {complaint}")));
                deleting.push((kind, acts, cluster));
            }
            let World { model, app, customer } = &world;
            for (kind, acts, cluster) in deleting {
                let complaints = customer.complaints_after_deletion(app, model, &cluster).await;
                all.extend(complaints.into_iter().map(|complaint| format!("{kind:?}, {acts:?}: {complaint}")));
            }
            all
        }
    });
    let complaints: Vec<String> = join_all(workers).await.into_iter().flatten().collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}
