//! How soon a new cluster is durable.

use std::time::Duration;

use kqueen_tests::{
    bench::{
        load::{self, DIGITS, Requests, request},
        options::{Options, Store},
        sample::Figures,
    },
    fixture::{
        app::App,
        etcd::{self, Etcd},
    },
};
use tokio::runtime::Runtime;

use crate::{
    CREATION,
    provider::{Provider, options as with_model_engine},
    results::{Figure, Part},
};

const PROVISIONERS: usize = 10;
const CONNECTIONS: [usize; 2] = [1, 8];
const PREFIX: &str = "/kqueen";

pub(crate) fn measure(runtime: &Runtime, options: &Options) -> Part {
    let mut figures = Vec::new();
    for &store in &options.stores {
        figures.extend(on(runtime, store, options).unwrap_or_default());
    }
    let how = format!(
        "{CREATION}: from POST /clusters, at a provisioner that deploys, to its answer, which is sent when record, operation and ledger are \
         durable; the reconciler deploys the new clusters meanwhile. The program is the same as in the other parts."
    );
    Part { name: CREATION, how, figures }
}

/// `None` where the store's server is not installed.
fn on(runtime: &Runtime, store: Store, options: &Options) -> Option<Vec<Figure>> {
    let etcd = match store {
        Store::Sled => None,
        Store::Etcd => Some(runtime.block_on(Etcd::start(etcd::Options { durable: true, ..Default::default() }))?),
    };
    let provider = runtime.block_on(Provider::start());
    let mut settings = with_model_engine("kqueen", Duration::from_secs(60), &options.settings);
    if let Some(etcd) = &etcd {
        settings = settings.on_etcd(etcd, PREFIX);
    }
    let app = runtime.block_on(App::start_with(settings));
    let customer = runtime.block_on(provider.customer(&app, PROVISIONERS));
    let body = customer.new_cluster(0, &format!("created-{DIGITS}")).to_string();
    let create = request("POST", "/api/v1/clusters", Some(&customer.tenant.member.token), Some(&body));
    let requests = Requests::Numbered(create);
    let mut figures = Vec::new();
    for connections in CONNECTIONS {
        eprintln!("{CREATION}: {}, {connections} connections", store.name());
        let pid = u32::try_from(app.pid()).unwrap();
        let samples: Vec<_> = (0..options.rounds)
            .map(|_| load::measure(app.address(), pid, connections, options.span(), &requests))
            .collect();
        let Figures { rate, p50_ms, p99_ms, .. } = Figures::of(&samples);
        figures.extend([
            Figure::new(format!("{}, {connections} connections, p50", store.name()), p50_ms, "ms"),
            Figure::new(format!("{}, {connections} connections, p99", store.name()), p99_ms, "ms"),
            Figure::new(format!("{}, {connections} connections", store.name()), rate, "a second"),
        ]);
    }
    Some(figures)
}
