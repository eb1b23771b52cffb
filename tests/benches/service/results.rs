//! The results, for people and for programs.

use kqueen_tests::bench::{
    aim::{self, Aim},
    machine::Machine,
    options::Options,
    report::{Table, number},
    sample::Figures,
};
use serde::Serialize;

use crate::aims;

/// One case at one size with one number of connections.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measurement {
    pub(crate) store: &'static str,
    pub(crate) size: usize,
    pub(crate) connections: usize,
    pub(crate) what: &'static str,
    #[serde(flatten)]
    pub(crate) figures: Figures,
    /// Its ceilings; it is judged by the first.
    pub(crate) beside: Vec<Beside>,
}

/// A ceiling, measured alternately with the product.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Beside {
    pub(crate) what: &'static str,
    /// The product's rate divided by the ceiling's.
    pub(crate) share: f64,
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

/// The other figures of an installation.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct InstallationFigures {
    pub(crate) store: &'static str,
    pub(crate) size: usize,
    pub(crate) fill_seconds: f64,
    pub(crate) start_seconds: f64,
    pub(crate) memory_after_start_mb: f64,
    pub(crate) memory_after_reads_mb: f64,
    pub(crate) memory_peak_mb: f64,
    pub(crate) create_cluster_keys: usize,
    pub(crate) create_cluster_bytes: usize,
}

/// All results.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    machine: Machine,
    seconds: f64,
    rounds: u32,
    installations: Vec<InstallationFigures>,
    measurements: Vec<Measurement>,
    aims: Vec<Aim>,
}

impl Results {
    pub(crate) fn new(machine: Machine, options: &Options) -> Self {
        let Options { seconds, rounds, .. } = *options;
        Self { machine, seconds, rounds, installations: Vec::new(), measurements: Vec::new(), aims: Vec::new() }
    }

    /// Adds the measurements of one installation, and returns them as text.
    pub(crate) fn add(&mut self, installation: InstallationFigures, measurements: Vec<Measurement>) -> String {
        let InstallationFigures { store, size, .. } = installation;
        let mut text = format!(
            "{store}, {} clusters: filled in {} s, started in {} s; {} MB after the start, {} after the reads, {} at most; a new \
             cluster takes {} keys and {} bytes\n\n",
            number(size as f64),
            number(installation.fill_seconds),
            number(installation.start_seconds),
            number(installation.memory_after_start_mb),
            number(installation.memory_after_reads_mb),
            number(installation.memory_peak_mb),
            installation.create_cluster_keys,
            installation.create_cluster_bytes,
        );
        let mut table = Table::new(&[
            "what",
            "conns",
            "per second",
            "p50 ms",
            "p99 ms",
            "CPU µs",
            "share",
            "of",
            "ceiling",
            "p50 ms",
            "CPU µs",
        ]);
        for measurement in &measurements {
            for (row, beside) in measurement.beside.iter().enumerate() {
                let Figures { rate, p50_ms, p99_ms, cpu_us } = measurement.figures;
                let mut cells = vec![
                    measurement.what.to_owned(),
                    measurement.connections.to_string(),
                    number(rate),
                    number(p50_ms),
                    number(p99_ms),
                    number(cpu_us),
                ];
                if row > 0 {
                    cells.iter_mut().for_each(String::clear);
                }
                cells.extend([
                    format!("{:.0} %", beside.share * 100.0),
                    beside.what.to_owned(),
                    number(beside.figures.rate),
                    number(beside.figures.p50_ms),
                    if beside.figures.cpu_us > 0.0 { number(beside.figures.cpu_us) } else { String::new() },
                ]);
                table.row(cells);
            }
        }
        text += &table.text();
        self.installations.push(installation);
        self.measurements.extend(measurements);
        text
    }

    /// Compares the results with the aims, and returns the comparison as text.
    pub(crate) fn judge(&mut self) -> String {
        self.aims = aims::judge(&self.installations, &self.measurements);
        format!(
            "{}\nFor scale, the service of 2018 with 1,000 clusters: 0.45 list pages, 26 gets, 780 whoami a second; 340 MB.\n",
            aim::table(&self.aims).text()
        )
    }
}
