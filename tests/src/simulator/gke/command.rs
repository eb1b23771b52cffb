//! The program `simulator gke`.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use serde_json::Value;

use super::Gke;
use crate::simulator::{
    SimulatedClock, Simulator,
    command::{Common, Stop},
};

/// What `simulator gke` takes.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
    /// The project that is there from the beginning
    #[arg(long, default_value = "demo-project")]
    project: String,
    /// Where the key file of a service account with every permission is written to
    #[arg(long, value_name = "FILE", default_value = "service-account.json")]
    key_file: PathBuf,
}

/// Runs it until it is interrupted.
///
/// # Errors
/// It cannot start; why.
#[expect(clippy::print_stdout, reason = "it is what people read")]
pub async fn run(command: Arguments) -> Result<(), String> {
    let Arguments { common, project, key_file } = command;
    let stop = Stop::listen()?;
    let (clock, provider) = (SimulatedClock::running(common.speed), Gke::new(common.kubernetes()?));
    let started = Simulator::start(provider, clock, None, common.options()).await;
    let simulator = started.map_err(|error| format!("port {} cannot be had: {error}", common.port))?;
    common.load(&simulator)?;
    let account = simulator.service_account("kqueen", &project);
    let file: Value = account.key_file(&simulator.token_url());
    let written = serde_json::to_string_pretty(&file).map_err(|error| error.to_string())?;
    std::fs::write(&key_file, written).map_err(|error| format!("{} cannot be written: {error}", key_file.display()))?;
    let url = &simulator.url;
    println!("A simulated Google Kubernetes Engine runs at {url}.\n");
    println!("KQueen's settings:\n");
    println!("  [gke]\n  api_url = \"{url}\"\n  compute_url = \"{url}/compute/v1\"\n  token_url = \"{url}/token\"\n");
    println!("A key file for a provisioner in the project {project}: {}\n", key_file.display());
    println!("Faults, time, events and state: {url}/_simulator/help");
    common.run(Arc::new(simulator), stop).await
}
