//! Probes and snapshots, combined from single requests.

use futures::{StreamExt, future::BoxFuture, stream};
use kqueen_domain::kubernetes::{Section, Snapshot, VersionInfo};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::{
    Limits,
    client::ApiClient,
    failure::ProbeError,
    list::{Listed, list, may_list},
};

/// Number of lists that are read from one cluster at the same time.
const PARALLEL: usize = 4;

const fn path(section: Section) -> &'static str {
    match section {
        Section::Version => "/version",
        Section::Nodes => "/api/v1/nodes",
        Section::Pods => "/api/v1/pods",
        Section::Services => "/api/v1/services",
        Section::Namespaces => "/api/v1/namespaces",
        Section::PersistentVolumes => "/api/v1/persistentvolumes",
        Section::PersistentVolumeClaims => "/api/v1/persistentvolumeclaims",
        Section::Deployments => "/apis/apps/v1/deployments",
        Section::ReplicaSets => "/apis/apps/v1/replicasets",
        Section::EndpointSlices => "/apis/discovery.k8s.io/v1/endpointslices",
    }
}

/// The version of a cluster that accepts our credentials. Anyone may read the version, so lists are requested as well: one list that
/// may be read proves that the credentials are valid and have permissions.
pub(super) async fn probe(client: ApiClient) -> Result<String, ProbeError> {
    let version = version(&client).await?;
    // The lists that restricted users can most often read come first.
    let probes =
        [Section::Namespaces].into_iter().chain(Section::LISTS.into_iter().filter(|it| *it != Section::Namespaces));
    let mut failures = Vec::new();
    for section in probes {
        match may_list(&client, path(section)).await {
            // The server authenticates a request before it decides that it is too busy.
            Ok(()) | Err(ProbeError::Busy) => return Ok(shown(version)),
            Err(failure @ (ProbeError::Forbidden | ProbeError::NotServed)) => failures.push(failure),
            Err(failure) => return Err(failure),
        }
    }
    Err(of_all(failures))
}

/// The answer of `/version`; `None` if we may not read it.
async fn version(client: &ApiClient) -> Result<Option<VersionInfo>, ProbeError> {
    match client.get(path(Section::Version)).await {
        Ok(body) => match serde_json::from_slice::<VersionInfo>(&body) {
            Ok(version) if version.git_version.is_some() || version.major.is_some() => Ok(Some(version)),
            _ => Err(ProbeError::NotKubernetes),
        },
        Err(ProbeError::Forbidden) => Ok(None),
        Err(ProbeError::NotServed) => Err(ProbeError::NotKubernetes),
        Err(failure) => Err(failure),
    }
}

/// The version as it is stored and shown: one short line, whatever the server returns.
fn shown(version: Option<VersionInfo>) -> String {
    let numbers = |version: &VersionInfo| Some(format!("v{}.{}", version.major.as_ref()?, version.minor.as_ref()?));
    let version = version.and_then(|it| it.git_version.clone().or_else(|| numbers(&it))).unwrap_or_default();
    let line: String = version.chars().filter(char::is_ascii_graphic).take(64).collect();
    if line.is_empty() { "(unknown version)".to_owned() } else { line }
}

/// Stores the result of one section in a snapshot.
type Apply = Box<dyn FnOnce(&mut Snapshot) + Send>;

/// Everything that is shown of a cluster. Sections that fail, or are not read by `deadline`, are listed in its errors; if no section
/// can be read, that is the failure.
pub(super) async fn snapshot(
    client: ApiClient,
    limits: &Limits,
    deadline: Instant,
    slices: bool,
) -> Result<Snapshot, ProbeError> {
    let mut snapshot = Snapshot { version: version(&client).await?, ..Snapshot::default() };
    if snapshot.version.is_none() {
        snapshot.errors.insert(Section::Version, ProbeError::Forbidden.of_section(Section::Version));
    }
    let read = Read { client: &client, limits, deadline };
    let mut sections: Vec<BoxFuture<'_, (Option<ProbeError>, Apply)>> = vec![
        read.section(Section::Pods, |all| &mut all.pods),
        read.section(Section::ReplicaSets, |all| &mut all.replica_sets),
        read.section(Section::Deployments, |all| &mut all.deployments),
        read.section(Section::Services, |all| &mut all.services),
        read.section(Section::Nodes, |all| &mut all.nodes),
        read.section(Section::Namespaces, |all| &mut all.namespaces),
        read.section(Section::PersistentVolumes, |all| &mut all.persistent_volumes),
        read.section(Section::PersistentVolumeClaims, |all| &mut all.persistent_volume_claims),
    ];
    if slices {
        sections.push(read.section(Section::EndpointSlices, |all| &mut all.endpoint_slices));
    }
    let mut failures = Vec::new();
    let count = sections.len();
    let mut done = stream::iter(sections).buffer_unordered(PARALLEL);
    while let Some((failure, apply)) = done.next().await {
        apply(&mut snapshot);
        failures.extend(failure.filter(|failure| *failure != ProbeError::TooMany));
    }
    if failures.len() < count {
        return Ok(snapshot);
    }
    Err(of_all(failures))
}

/// The failure to report if nothing could be read. One that is not about permissions says more than one that is.
fn of_all(failures: Vec<ProbeError>) -> ProbeError {
    let forbidden = failures.contains(&ProbeError::Forbidden);
    let specific =
        failures.into_iter().find(|failure| !matches!(failure, ProbeError::Forbidden | ProbeError::NotServed));
    specific.unwrap_or(if forbidden { ProbeError::NothingAllowed } else { ProbeError::NotKubernetes })
}

struct Read<'a> {
    client: &'a ApiClient,
    limits: &'a Limits,
    deadline: Instant,
}

impl<'a> Read<'a> {
    /// Reads one section, to be stored in the field that `target` returns.
    fn section<T: DeserializeOwned + Send + 'static>(
        &self,
        section: Section,
        target: fn(&mut Snapshot) -> &mut Vec<T>,
    ) -> BoxFuture<'a, (Option<ProbeError>, Apply)> {
        let (client, limits, deadline) = (self.client, self.limits, self.deadline);
        Box::pin(async move {
            let read = timeout_at(deadline, list::<T>(client, path(section), limits)).await;
            let Listed { items, failure } =
                read.unwrap_or_else(|_| Listed { items: Vec::new(), failure: Some(ProbeError::NoAnswer) });
            let error = failure.as_ref().map(|failure| failure.of_section(section));
            let apply: Apply = Box::new(move |snapshot: &mut Snapshot| {
                *target(snapshot) = items;
                snapshot.errors.extend(error.map(|error| (section, error)));
            });
            (failure, apply)
        })
    }
}
