//! The program `simulator aks`.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use serde_json::json;

use super::Aks;
use crate::simulator::{
    SimulatedClock, Simulator,
    command::{Common, Stop},
    tls::Tls,
};

/// What `simulator aks` takes.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
    /// The resource group that is there from the beginning
    #[arg(long, default_value = "demo")]
    resource_group: String,
    /// Where a service principal with every permission is written to
    #[arg(long, value_name = "FILE", default_value = "service-principal.json")]
    principal_file: PathBuf,
    /// Where the certificate of the authority is written to that vouches for the simulator, in PEM
    #[arg(long, value_name = "FILE", default_value = "simulator-ca.pem")]
    ca_file: PathBuf,
}

/// Runs it until it is interrupted.
///
/// # Errors
/// It cannot start; why.
#[expect(clippy::print_stdout, reason = "it is what people read")]
pub async fn run(command: Arguments) -> Result<(), String> {
    let Arguments { common, resource_group, principal_file, ca_file } = command;
    let stop = Stop::listen()?;
    let (clock, provider) = (SimulatedClock::running(common.speed), Aks::new(common.kubernetes()?));
    let started = Simulator::start(provider, clock, Some(Tls::on_loopback()), common.options()).await;
    let simulator = started.map_err(|error| format!("port {} cannot be had: {error}", common.port))?;
    common.load(&simulator)?;
    let principal = simulator.principal(1, &resource_group);
    let subscription = principal.subscriptions.first().cloned().unwrap_or_default();
    let file = json!({
        "tenant_id": principal.tenant, "client_id": principal.client_id, "client_secret": principal.secret,
        "subscription_id": subscription, "resource_group": resource_group,
    });
    let file = serde_json::to_string_pretty(&file).map_err(|error| error.to_string())?;
    for (path, text) in
        [(&principal_file, file.as_str()), (&ca_file, simulator.authority.as_deref().unwrap_or_default())]
    {
        std::fs::write(path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    }
    let url = &simulator.url;
    println!("A simulated Azure Kubernetes Service runs at {url}.\n");
    println!("KQueen's settings, with {} as the authority to trust (OUTBOUND_CA_FILE):\n", ca_file.display());
    println!("  [aks]\n  arm_url = \"{url}\"\n  login_url = \"{url}\"\n");
    println!(
        "A service principal for a provisioner in the resource group {resource_group}: {}\n",
        principal_file.display()
    );
    println!("  tenant        {}", principal.tenant);
    println!("  subscription  {subscription}");
    println!("  client id     {}", principal.client_id);
    println!("  client secret {}\n", principal.secret);
    println!("Faults, time, events and state: {url}/_simulator/help");
    common.run(Arc::new(simulator), stop).await
}
