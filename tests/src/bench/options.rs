//! The command line: what is measured and for how long. `cargo bench` passes the same options to every benchmark.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};

/// Measures the service and the ceilings set by its building blocks, then operating clusters; prints tables and writes JSON.
///
/// Everything runs on this machine, over loopback: the service, its store and the clients share the cores, also when the ceilings are
/// measured.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "cargo bench --package kqueen-tests --",
    after_help = "\
Examples, with make:
  make bench                                            everything; takes about 30 minutes
  make bench BENCH=--quick                              few clusters, short measurements; takes about two minutes
  make bench BENCH='--stores sled --only list,get'      only these stores and cases
  make bench BENCH='--only idle,hole'                   only these parts of operating clusters
Parts of operating clusters: reconciling and idle, black hole, event fan-out, create to durable, fail-over.
The stores are created in $TMPDIR (default /tmp), which should be on the disk to be measured."
)]
pub struct Options {
    /// Numbers of clusters in the store; at most 10,000 are operated
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,50000", value_name = "N,…")]
    pub sizes: Vec<usize>,
    /// Stores to measure
    #[arg(long, value_delimiter = ',', default_value = "sled,etcd", value_name = "STORE,…")]
    pub stores: Vec<Store>,
    /// Numbers of concurrent clients, each with one connection
    #[arg(long, value_delimiter = ',', default_value = "8,64", value_name = "N,…")]
    pub connections: Vec<usize>,
    /// Run only what has one of these words in its name
    #[arg(long, value_delimiter = ',', value_name = "WORD,…")]
    pub only: Vec<String>,
    /// Duration of each measurement
    #[arg(long, default_value_t = 0.6)]
    pub seconds: f64,
    /// Repetitions of each measurement; medians are shown
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: u32,
    /// 1,000 clusters, half a second for each measurement, once
    #[arg(long)]
    pub quick: bool,
    /// A setting of the service, for example LOG_LEVEL=warn, to measure its cost
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub settings: Vec<(String, String)>,
    /// File for the results
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../bench-results.json"), value_name = "FILE")]
    pub json: PathBuf,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The store of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Store {
    /// The embedded store.
    Sled,
    /// A server, with fsync on.
    Etcd,
}

impl Store {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Etcd => "etcd",
        }
    }
}

fn setting(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.trim_start_matches("KQUEEN_").to_owned(), value.to_owned()))
}

impl Options {
    /// Reads the command line. `None` if this is not a run of `cargo bench`: `cargo test --all-targets` starts benchmarks too, but should
    /// not run them.
    #[must_use]
    pub fn read() -> Option<Self> {
        let mut options = Self::parse();
        if !options.bench {
            return None;
        }
        if options.quick {
            options.sizes = vec![1000];
            options.seconds = 0.5;
            options.rounds = 1;
        }
        Some(options)
    }

    /// Whether the benchmark of that name is selected.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| name.contains(word.as_str()))
    }

    /// The duration of each measurement.
    #[must_use]
    pub fn span(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}
