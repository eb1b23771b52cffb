//! Measures each case and its ceiling alternately.

use std::{collections::HashMap, sync::Arc, time::Duration};

use kqueen_tests::bench::{
    ceiling::{
        append,
        bare::{Bare, Kept},
        etcd, hash, sled,
        written::Written,
    },
    load::{self, Requests},
    options::Options,
    process::memory,
    sample::{Figures, Sample, median},
};
use tokio::runtime::Runtime;

use crate::{
    cases::{self, Case, Ceiling},
    installation::Installation,
    results::{Beside, InstallationFigures, Measurement},
};

/// The most answers that the bare handler keeps of a case. For more requests it starts again with the first.
const KEPT_AT_MOST: usize = 1000;

/// Slow cases need more time for as many answers.
const LONGER: u32 = 4;

/// All selected measurements of one installation.
pub(crate) fn all(
    runtime: &Runtime,
    mut installation: Installation,
    options: &Options,
) -> (InstallationFigures, Vec<Measurement>) {
    let memory_after_start = memory(installation.pid()).resident_mb;
    let written = runtime.block_on(installation.written());
    let folder = tempfile::tempdir().unwrap();
    let reads = cases::reads(&installation, options);
    let kept: HashMap<_, _> =
        reads.iter().map(|case| (case.name, runtime.block_on(kept(&installation, case)))).collect();
    let bare = Bare::start(folder.path(), kept.values(), installation.fresh().as_ref());
    let bench = Bench { runtime, installation: &installation, options, bare, kept, written, folder: folder.path() };
    let mut measurements = bench.measure(&reads);
    let after_reads = memory(installation.pid());
    measurements.extend(bench.measure(&cases::writes(&installation, options)));
    let figures = InstallationFigures {
        store: installation.store.name(),
        size: installation.size,
        fill_seconds: installation.filled.took.as_secs_f64(),
        start_seconds: installation.start.as_secs_f64(),
        memory_after_start_mb: memory_after_start,
        memory_after_reads_mb: after_reads.resident_mb,
        memory_peak_mb: after_reads.peak_mb,
        create_cluster_keys: bench.written.1.keys(),
        create_cluster_bytes: bench.written.1.bytes(),
    };
    (figures, measurements)
}

/// The answers of the bare handler for a case: the same bytes for the same request.
async fn kept(installation: &Installation, case: &Case) -> Kept {
    let mut answers = Vec::new();
    for request in case.requests.all().iter().take(KEPT_AT_MOST) {
        let answer = load::ask(installation.address(), request).await.unwrap();
        assert_eq!(answer.status, 200, "{}: {}", case.name, String::from_utf8_lossy(&answer.body));
        answers.push(answer);
    }
    let path = format!("/{}", case.name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-"));
    Kept::new(path, case.ceiling == Ceiling::Bare { fresh: true }, answers)
}

struct Bench<'a> {
    runtime: &'a Runtime,
    installation: &'a Installation,
    options: &'a Options,
    bare: Bare,
    /// What the bare handler answers to a case of this name.
    kept: HashMap<&'static str, Kept>,
    /// What creating a provisioner and a cluster writes.
    written: (Arc<Written>, Arc<Written>),
    folder: &'a std::path::Path,
}

impl Bench<'_> {
    fn measure(&self, cases: &[Case]) -> Vec<Measurement> {
        let pairs = cases.iter().flat_map(|case| self.options.connections.iter().map(move |number| (case, *number)));
        pairs.map(|(case, connections)| self.one(case, connections)).collect()
    }

    fn one(&self, case: &Case, connections: usize) -> Measurement {
        eprintln!(
            "{}, {} clusters, {connections} connections: {}",
            self.installation.store.name(),
            self.installation.size,
            case.name
        );
        let span = if case.ceiling == Ceiling::Hash { self.options.span() * LONGER } else { self.options.span() };
        let (mut product, mut ceilings) = (Vec::new(), vec![Vec::new(); self.ceilings(case).len()]);
        for _ in 0..self.options.rounds {
            for (number, samples) in ceilings.iter_mut().enumerate() {
                samples.push(self.ceiling(case, number, connections, span));
            }
            product.push(load::measure(
                self.installation.address(),
                self.installation.pid(),
                connections,
                span,
                &case.requests,
            ));
        }
        let beside = self.ceilings(case).into_iter().zip(&ceilings).map(|(what, samples)| Beside {
            what,
            // Consecutive samples are compared, so that a slow moment of the machine affects both.
            share: median(product.iter().zip(samples).map(|(product, ceiling)| product.rate() / ceiling.rate())),
            figures: Figures::of(samples),
        });
        Measurement {
            store: self.installation.store.name(),
            size: self.installation.size,
            connections,
            what: case.name,
            beside: beside.collect(),
            figures: Figures::of(&product),
        }
    }

    /// The ceilings of a case. It is judged by the first.
    fn ceilings(&self, case: &Case) -> Vec<&'static str> {
        let on_etcd = self.installation.etcd.is_some();
        match case.ceiling {
            Ceiling::Bare { fresh: true } if on_etcd => vec!["bare handler after a shared read"],
            Ceiling::Bare { .. } => vec!["bare handler"],
            Ceiling::Hash => vec!["password hash"],
            Ceiling::CreateProvisioner | Ceiling::CreateCluster if on_etcd => vec!["raw transaction"],
            Ceiling::CreateProvisioner | Ceiling::CreateCluster => vec!["raw sled", "durable append"],
        }
    }

    fn ceiling(&self, case: &Case, number: usize, connections: usize, span: Duration) -> Sample {
        let written = match case.ceiling {
            Ceiling::Bare { .. } => return self.bare(case, connections, span),
            Ceiling::Hash => return self.runtime.block_on(hash::measure(connections, span)),
            Ceiling::CreateProvisioner => &self.written.0,
            Ceiling::CreateCluster => &self.written.1,
        };
        self.runtime.block_on(async {
            match (&self.installation.etcd, number) {
                (Some(etcd), _) => etcd::measure(&etcd.client().await, written, connections, span).await,
                (None, 0) => sled::measure(&self.installation.raw_sled(), written, connections, span).await,
                (None, _) => append::measure(self.folder, written.bytes(), connections, span).await,
            }
        })
    }

    /// Measures the bare handler with the same requests, apart from their paths.
    fn bare(&self, case: &Case, connections: usize, span: Duration) -> Sample {
        let requests = case.requests.all().iter().enumerate().map(|(number, request)| {
            let request = std::str::from_utf8(request).unwrap();
            let target = request.split(' ').nth(1).unwrap();
            let (asked, _) = target.split_once('?').unwrap_or((target, ""));
            request.replacen(asked, &self.kept[case.name].path_of(number), 1).into_bytes()
        });
        let requests = Requests::InTurn(Arc::new(requests.collect()));
        load::measure(self.bare.address, self.bare.pid(), connections, span, &requests)
    }
}
