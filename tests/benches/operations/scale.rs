//! Sizes and durations of the measurements.

use std::time::Duration;

use kqueen_tests::bench::options::Options;

/// More clusters than one installation is meant for are not measured here.
const MOST: usize = 10_000;

/// Sizes and durations of the measurements.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    /// Numbers of clusters that are reconciled.
    pub(crate) clusters: Vec<usize>,
    /// How often each is observed.
    pub(crate) interval: Duration,
    /// How long reconciling without a pause is measured.
    pub(crate) busy: Duration,
    /// Provisioners of which some hang, and clusters of each.
    pub(crate) provisioners: (usize, usize),
    /// How often those clusters are observed.
    pub(crate) short: Duration,
    /// How long they are watched before some hang, and afterwards.
    pub(crate) watched: (Duration, Duration),
    /// Changes that listeners receive.
    pub(crate) changes: usize,
    /// How often a leader, or a store, is lost.
    pub(crate) losses: u32,
    /// Whether this is only a quick run.
    pub(crate) quick: bool,
}

impl Scale {
    pub(crate) fn of(options: &Options) -> Self {
        let seconds = Duration::from_secs;
        if options.quick {
            return Self {
                clusters: vec![200],
                interval: seconds(4),
                busy: seconds(2),
                provisioners: (10, 6),
                short: seconds(1),
                watched: (seconds(4), seconds(8)),
                changes: 20,
                losses: 1,
                quick: true,
            };
        }
        Self {
            clusters: options.sizes.iter().copied().filter(|size| *size <= MOST).collect(),
            interval: seconds(60),
            busy: seconds(10),
            provisioners: (20, 50),
            short: seconds(5),
            watched: (seconds(30), seconds(60)),
            changes: 100,
            losses: options.rounds,
            quick: false,
        }
    }
}
