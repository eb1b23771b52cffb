//! The program `simulator`.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    Options, Provider, Simulator,
    kubernetes::{Given, Kubernetes},
};

/// A simulated cloud on loopback, for anyone who wants to try KQueen without an account.
#[derive(Debug, Parser)]
#[command(name = "simulator", after_help = AFTER)]
pub struct Command {
    #[command(subcommand)]
    pub cloud: Cloud,
}

const AFTER: &str =
    "While it runs it takes faults, time and events, and shows what it knows: GET /_simulator/help says how.";

/// The clouds there are.
#[derive(Debug, Subcommand)]
pub enum Cloud {
    /// Google Kubernetes Engine, with the parts of Compute Engine and of the OAuth server that go with it
    Gke(super::gke::command::Arguments),
    /// Azure Kubernetes Service, with the parts of Resource Manager and of the login host that go with it
    Aks(super::aks::command::Arguments),
}

/// Runs the cloud that the command line names, until it is interrupted.
///
/// # Errors
/// It cannot start; why.
pub async fn run(command: Command) -> Result<(), String> {
    match command.cloud {
        Cloud::Gke(arguments) => super::gke::command::run(arguments).await,
        Cloud::Aks(arguments) => super::aks::command::run(arguments).await,
    }
}

/// What all clouds take.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The port on 127.0.0.1; a free one without it
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// How much faster than the real provider things are done: at 60, minutes become seconds
    #[arg(long, default_value_t = 1.0)]
    pub speed: f64,
    /// The Kubernetes API server that all clusters lead to, as https://HOST:PORT; each has a simulated one without it
    #[arg(long, value_name = "URL", requires = "kubernetes_ca")]
    pub kubernetes: Option<String>,
    /// The certificate of the authority that vouches for that API server, in PEM
    #[arg(long, value_name = "FILE", requires = "kubernetes")]
    pub kubernetes_ca: Option<PathBuf>,
    /// A token that the API server accepts: the cloud hands it out as its own
    #[arg(long, value_name = "FILE", requires = "kubernetes")]
    pub kubernetes_token: Option<PathBuf>,
    /// Where everything is kept that customers have, from one run to the next
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
}

/// The signals that end the program.
pub struct Stop {
    interrupted: Signal,
    terminated: Signal,
}

impl Stop {
    /// Handles the signals from now on. Call it before anything is printed: whoever reads that may send one.
    ///
    /// # Errors
    /// The signals cannot be handled.
    pub fn listen() -> Result<Self, String> {
        let failed = |error: io::Error| format!("signals cannot be handled: {error}");
        let interrupted = signal(SignalKind::interrupt()).map_err(failed)?;
        let terminated = signal(SignalKind::terminate()).map_err(failed)?;
        Ok(Self { interrupted, terminated })
    }
}

impl Common {
    /// How the server behaves.
    #[must_use]
    pub fn options(&self) -> Options {
        Options { port: self.port, ..Options::default() }
    }

    /// Where clusters lead to.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn kubernetes(&self) -> Result<Kubernetes, String> {
        let (Some(url), Some(authority)) = (&self.kubernetes, &self.kubernetes_ca) else {
            return Ok(Kubernetes::Simulated);
        };
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
        };
        let token = self.kubernetes_token.as_ref().map(read).transpose()?;
        let token = token.map(|token| token.trim().to_owned());
        Ok(Kubernetes::Given(Given { url: url.clone(), authority: read(authority)?, token }))
    }

    /// Has a provider carry on from its state file, if there is one.
    ///
    /// # Errors
    /// The file cannot be read, or is something else.
    pub fn load<P: Provider>(&self, simulator: &Simulator<P>) -> Result<(), String> {
        let Some(path) = self.state.as_ref().filter(|path| path.exists()) else { return Ok(()) };
        let told = |error: String| format!("{} cannot be read: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| told(error.to_string()))?;
        let state = serde_json::from_str(&text).map_err(|error| told(error.to_string()))?;
        simulator.with(|provider, moment| provider.load(state, moment)).map_err(told)
    }

    /// Serves until it is interrupted, and keeps the state file up to date.
    ///
    /// # Errors
    /// The state file cannot be written.
    pub async fn run<P: Provider>(&self, simulator: Arc<Simulator<P>>, mut stop: Stop) -> Result<(), String> {
        let mut kept = String::new();
        loop {
            let is_over = tokio::select! {
                _ = stop.interrupted.recv() => true,
                _ = stop.terminated.recv() => true,
                () = tokio::time::sleep(Duration::from_secs(1)) => false,
            };
            if let Some(path) = &self.state {
                let now = simulator.with(|provider, _| provider.save()).to_string();
                if now != kept {
                    // Renamed into place, so that it is never half written.
                    let part = path.with_extension("part");
                    let written = std::fs::write(&part, &now).and_then(|()| std::fs::rename(&part, path));
                    written.map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
                    kept = now;
                }
            }
            if is_over {
                return Ok(());
            }
        }
    }
}
