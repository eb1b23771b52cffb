//! The aims, and whether they were reached.

use kqueen_tests::bench::aim::Aim;

use crate::{
    cases::{
        CREATE_CLUSTER, CREATE_PROVISIONER, GET, LIST_FILTERED, LIST_LAST, LIST_MEMBER, LIST_PAGE, LIST_SORTED, WHOAMI,
    },
    results::{InstallationFigures, Measurement},
};

/// The least share that reads should reach of a handler that only returns the same bytes. Answers are serialized from the types that
/// document them, and simple code is worth the other half.
const HALF: f64 = 0.5;

/// Compares figures with aims. What was not measured is not judged.
pub(crate) fn judge(installations: &[InstallationFigures], measurements: &[Measurement]) -> Vec<Aim> {
    let mut aims = Vec::new();
    for what in [LIST_PAGE, GET, WHOAMI] {
        aims.extend(lowest_share(measurements, "sled", what, None, HALF));
    }
    for what in [LIST_PAGE, LIST_SORTED] {
        aims.extend(growth(measurements, what));
    }
    aims.extend(filtered(measurements));
    for store in ["sled", "etcd"] {
        for what in [CREATE_PROVISIONER, CREATE_CLUSTER] {
            aims.extend(lowest_share(measurements, store, what, Some(64), 0.6));
        }
    }
    for what in [LIST_PAGE, LIST_FILTERED, LIST_SORTED, LIST_LAST, LIST_MEMBER] {
        aims.extend(lowest_share(measurements, "etcd", what, None, HALF));
    }
    for installation in installations {
        let InstallationFigures { store, size, start_seconds, memory_after_reads_mb, .. } = *installation;
        let (memory, start) = match size {
            0..=10_000 => (120.0, 2.0),
            _ => (350.0, 5.0),
        };
        aims.push(Aim::below(format!("memory, {size} on {store}"), memory_after_reads_mb, memory, " MB"));
        aims.push(Aim::below(format!("start, {size} on {store}"), start_seconds, start, " s"));
    }
    aims
}

/// The lowest share of the ceiling, of all sizes and numbers of connections.
fn lowest_share(
    measurements: &[Measurement],
    store: &str,
    what: &str,
    connections: Option<usize>,
    least: f64,
) -> Option<Aim> {
    let selected = measurements.iter().filter(|one| one.store == store && one.what == what);
    let selected = selected.filter(|one| connections.is_none_or(|number| one.connections == number));
    let lowest = selected.min_by(|one, other| one.beside[0].share.total_cmp(&other.beside[0].share))?;
    let at = format!(
        "{what} on {store}, of {} ({} clusters, {} connections)",
        lowest.beside[0].what, lowest.size, lowest.connections
    );
    Some(Aim::at_least(at, lowest.beside[0].share, least))
}

/// How the time of a page grows from the smallest store to the largest. Times are relative to the bare handler's in the same minute:
/// otherwise a machine that became busier in between would count as growth.
fn growth(measurements: &[Measurement], what: &str) -> Vec<Aim> {
    let all = measurements.iter().filter(|one| one.store == "sled" && one.what == what);
    let mut connections: Vec<usize> = all.clone().map(|one| one.connections).collect();
    connections.sort_unstable();
    connections.dedup();
    let growth = |number: usize| {
        let sizes = all.clone().filter(|one| one.connections == number);
        let (smallest, largest) = (sizes.clone().min_by_key(|one| one.size)?, sizes.max_by_key(|one| one.size)?);
        let of =
            format!("{what} on sled, time at {} over time at {} ({number} connections)", largest.size, smallest.size);
        let growth = smallest.beside[0].share / largest.beside[0].share;
        (smallest.size < largest.size).then(|| Aim::below(of, growth, 1.2, ""))
    };
    connections.into_iter().filter_map(growth).collect()
}

/// The time of a filtered page, which has to check every name.
fn filtered(measurements: &[Measurement]) -> Option<Aim> {
    let all = measurements.iter().filter(|one| one.store == "sled" && one.what == LIST_FILTERED);
    let fewest = all.clone().map(|one| one.connections).min()?;
    let slowest = all.filter(|one| one.connections == fewest).max_by_key(|one| one.size)?;
    let what = format!("{LIST_FILTERED} on sled, half of all ({} clusters, {fewest} connections)", slowest.size);
    Some(Aim::below(what, slowest.figures.p50_ms, 5.0, " ms"))
}
