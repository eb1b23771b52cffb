//! What is measured and for how long. All benchmarks take the same options: `cargo bench` hands them to each.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};

/// Measures the service beside what its building blocks can do, and then operating clusters; prints tables and writes JSON.
///
/// Everything runs on this machine, over loopback: the service, its store and the clients share the cores, as they do when the ceilings
/// are measured.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "cargo bench --package kqueen-tests --",
    after_help = "\
Examples, with make:
  make bench                                            everything; takes some 30 minutes
  make bench BENCH=--quick                              a look: few clusters, short measurements; about two minutes
  make bench BENCH='--stores sled --only list,get'      some of it
  make bench BENCH='--only idle,hole'                   some of operating clusters
Parts of operating clusters: reconciling and idle, black hole, event fan-out, create to durable, fail-over.
The stores are made in $TMPDIR (else /tmp), which should be on the disk that is meant."
)]
pub struct Options {
    /// How many clusters the store holds; at most 10,000 are operated
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,50000", value_name = "N,…")]
    pub sizes: Vec<usize>,
    /// Which stores
    #[arg(long, value_delimiter = ',', default_value = "sled,etcd", value_name = "STORE,…")]
    pub stores: Vec<Store>,
    /// How many clients ask at once, each over a connection of its own
    #[arg(long, value_delimiter = ',', default_value = "8,64", value_name = "N,…")]
    pub connections: Vec<usize>,
    /// Only what has one of these words in its name
    #[arg(long, value_delimiter = ',', value_name = "WORD,…")]
    pub only: Vec<String>,
    /// How long each measurement takes
    #[arg(long, default_value_t = 0.6)]
    pub seconds: f64,
    /// How often each measurement is made; medians are shown
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: u32,
    /// 1,000 clusters, half a second for each measurement, once
    #[arg(long)]
    pub quick: bool,
    /// A setting of the service, to see what it costs: LOG_LEVEL=warn
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub settings: Vec<(String, String)>,
    /// Where the results are written
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../bench-results.json"), value_name = "FILE")]
    pub json: PathBuf,
    /// Said by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Where the service keeps its records.
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
    /// Reads the command line. `None` if this is not a run of `cargo bench`: `cargo test --all-targets` starts benchmarks too, and
    /// does not want to wait.
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

    /// Whether something with that name is wanted.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| name.contains(word.as_str()))
    }

    /// How long each measurement takes.
    #[must_use]
    pub fn span(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}
