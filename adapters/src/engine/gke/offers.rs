//! What Google offers a service account: regions and zones, the machine types of a location, and its Kubernetes versions.

use std::collections::{BTreeMap, BTreeSet};

use kqueen_domain::{
    observation::EngineError,
    parameter::{Choice, Offer, Offers},
};
use serde::Deserialize;

use super::{client::Session, parameters::DEFAULT_MACHINE_TYPE};

/// A zone, as the Compute Engine API lists it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Zone {
    name: String,
    /// `UP` or `DOWN`.
    status: String,
}

/// A machine type, as the Compute Engine API lists it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct MachineType {
    name: String,
    guest_cpus: u32,
    memory_mb: u32,
    deprecated: Option<serde_json::Value>,
}

/// The versions that are offered in a location.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ServerConfig {
    channels: Vec<Channel>,
    default_cluster_version: String,
    valid_master_versions: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Channel {
    channel: String,
    default_version: String,
    valid_versions: Vec<String>,
}

/// What is offered, given the values chosen so far.
pub(super) async fn offers(session: &Session<'_>, values: &BTreeMap<String, String>) -> Offers {
    let location = values.get("location").map(|value| value.trim()).filter(|value| !value.is_empty());
    let channel = values.get("release_channel").map_or("REGULAR", String::as_str);
    let in_location = async {
        let Some(location) = location else { return (None, None) };
        let versions = async { Ok(versions(&session.server_config(location).await?, channel)) };
        let subjects = (["machine types", location], ["versions", location, channel]);
        let (machine_types, versions) = tokio::join!(
            session.offer(&subjects.0, machine_types(session, location)),
            session.offer(&subjects.1, versions),
        );
        (Some(machine_types), Some(versions))
    };
    let (locations, (machine_types, versions)) = tokio::join!(all_locations(session), in_location);
    let all = [("location", Some(locations)), ("machine_type", machine_types), ("kubernetes_version", versions)];
    let offered = all.into_iter().filter_map(|(field, offer)| Some((field, offer?.map_err(|error| error.reason()))));
    offered.collect()
}

/// The regions and zones that are up, read once for everything that needs them.
async fn all_locations(session: &Session<'_>) -> Result<Offer, EngineError> {
    session.offer(&["locations"], async { Ok(locations(&session.zones().await?)) }).await
}

/// A zone is called after its region, with a letter: `europe-west1-b`.
fn region_of(zone: &str) -> Option<&str> {
    zone.rsplit_once('-').map(|(region, _)| region)
}

/// Regions end in a number, zones in a letter.
fn is_zone(location: &str) -> bool {
    location.rsplit_once('-').is_some_and(|(_, last)| last.len() == 1)
}

/// The regions with their zones. Regions come first: their clusters survive the loss of a zone.
fn locations(zones: &[Zone]) -> (Vec<Choice>, Option<String>) {
    let up: BTreeSet<&str> = zones.iter().filter(|zone| zone.status != "DOWN").map(|zone| zone.name.as_str()).collect();
    let mut regions: BTreeMap<&str, usize> = BTreeMap::new();
    for region in up.iter().filter_map(|zone| region_of(zone)) {
        *regions.entry(region).or_default() += 1;
    }
    let regions = regions.into_iter().map(|(region, zones)| {
        let zones = if zones == 1 { "1 zone".to_owned() } else { format!("{zones} zones") };
        Choice::new(region.to_owned(), format!("{region} (region with {zones})"))
    });
    let zones = up.iter().map(|zone| Choice::new((*zone).to_owned(), format!("{zone} (zone)")));
    (regions.chain(zones).collect(), None)
}

/// The machine types of a zone, or of the first zone of a region that is up.
async fn machine_types(session: &Session<'_>, location: &str) -> Result<(Vec<Choice>, Option<String>), EngineError> {
    let mut machines = if is_zone(location) {
        session.machine_types(location).await?
    } else {
        let all = all_locations(session).await?;
        let mut zones = all.choices.iter().map(|choice| choice.value.as_ref()).filter(|location| is_zone(location));
        let zone = zones.find(|zone| region_of(zone) == Some(location)).unwrap_or(location);
        session.machine_types(zone).await?
    };
    machines.retain(|machine| machine.deprecated.is_none());
    // General-purpose machines first, then by size.
    machines.sort_by_key(|machine| {
        let is_general = machine.name.starts_with("e2-standard") || machine.name.starts_with("n2-standard");
        (!is_general, machine.guest_cpus, machine.memory_mb, machine.name.clone())
    });
    let label = |machine: &MachineType| {
        let gib = f64::from(machine.memory_mb) / 1_024.0;
        format!("{}: {} vCPU, {} GB RAM", machine.name, machine.guest_cpus, (gib * 100.0).round() / 100.0)
    };
    let default = machines.iter().find(|machine| machine.name == DEFAULT_MACHINE_TYPE).or(machines.first());
    let default = default.map(|machine| machine.name.clone());
    Ok((machines.iter().map(|machine| Choice::new(machine.name.clone(), label(machine))).collect(), default))
}

/// The versions of a release channel, or all of them for clusters in none.
fn versions(config: &ServerConfig, channel: &str) -> (Vec<Choice>, Option<String>) {
    let channel = config.channels.iter().find(|one| one.channel == channel);
    let (default, valid) = channel
        .map_or((&config.default_cluster_version, &config.valid_master_versions), |channel| {
            (&channel.default_version, &channel.valid_versions)
        });
    let first = Choice::new("", format!("The default version ({default})"));
    let others = valid.iter().map(|version| Choice::new(version.clone(), version.clone()));
    (std::iter::once(first).chain(others).collect(), Some(String::new()))
}

/// An offer that was read just now.
pub(super) fn offer((choices, default): (Vec<Choice>, Option<String>), at: chrono::DateTime<chrono::Utc>) -> Offer {
    Offer { choices: choices.into(), default: default.map(Into::into), at }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn regions_are_offered_with_the_number_of_their_zones_that_are_up() {
        let zones: Vec<Zone> = serde_json::from_value(json!([
            {"name": "us-east1-b", "status": "UP"}, {"name": "us-east1-c", "status": "DOWN"},
            {"name": "europe-west1-b", "status": "UP"}, {"name": "europe-west1-c", "status": "UP"},
        ]))
        .unwrap();
        let labels: Vec<_> = locations(&zones).0.into_iter().map(|choice| choice.label).collect();
        assert_eq!(
            labels,
            [
                "europe-west1 (region with 2 zones)",
                "us-east1 (region with 1 zone)",
                "europe-west1-b (zone)",
                "europe-west1-c (zone)",
                "us-east1-b (zone)",
            ]
        );
    }

    #[test]
    fn the_versions_are_those_of_the_channel() {
        let config: ServerConfig = serde_json::from_value(json!({
            "defaultClusterVersion": "1.33.5-gke.1", "validMasterVersions": ["1.34.1-gke.1", "1.33.5-gke.1"],
            "channels": [{"channel": "RAPID", "defaultVersion": "1.35.0-gke.1", "validVersions": ["1.35.0-gke.1"]}],
        }))
        .unwrap();
        let values = |channel| versions(&config, channel).0.into_iter().map(|choice| choice.value).collect::<Vec<_>>();
        assert_eq!(values("RAPID"), ["", "1.35.0-gke.1"]);
        assert_eq!(values("UNSPECIFIED"), ["", "1.34.1-gke.1", "1.33.5-gke.1"]);
        assert_eq!(versions(&config, "RAPID").0[0].label, "The default version (1.35.0-gke.1)");
    }
}
