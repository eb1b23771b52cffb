//! The state of the simulated provider, and the file that stores it.
//!
//! It is a small file next to the store: people who restart the program expect the clusters to still exist. It is not kept in the
//! store, because it represents an external system that keeps running, and engines have no access to the store. Nor could it be derived
//! from what an engine is given, which does not include when requests were made. It is read once and written as a whole after each
//! change, before the call returns. Only one process uses it: with several replicas each would have a separate cloud.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use kqueen_domain::{
    id::ClusterId,
    observation::EngineError,
    port::clock::Clock,
    reason::{Reason, ReasonCode, Responsible},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::spawn_blocking;

use super::cluster::{DemoCluster, Moment};

/// The format of the file.
const FORMAT: u64 = 2;
/// A larger file is not one of ours: a cluster takes about 1 kB, and there are at most [`super::provider::MAX_CLUSTERS`].
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// All clusters of the simulated provider.
pub(super) type Clusters = BTreeMap<ClusterId, DemoCluster>;

/// The simulated provider.
pub struct DemoCloud {
    clock: Arc<dyn Clock>,
    /// The file that stores the clusters; without one they are lost when the process ends.
    file: Option<PathBuf>,
    /// Replaced as a whole, so that readers do not wait for the disk.
    clusters: Mutex<Arc<Clusters>>,
    /// Held from reading the clusters until the change is saved.
    changing: Mutex<()>,
}

impl DemoCloud {
    /// The cloud stored in `file`, or an empty one that is not stored. If the file cannot be read, that is logged and the cloud is empty:
    /// it is only a simulation.
    pub async fn open(file: Option<PathBuf>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let loaded = match file.clone() {
            Some(path) => spawn_blocking(move || load(&path)).await.unwrap_or_default(),
            None => Clusters::new(),
        };
        Arc::new(Self { clock, file, clusters: Mutex::new(Arc::new(loaded)), changing: Mutex::default() })
    }

    /// One cluster and its current state.
    pub(crate) fn cluster(&self, id: ClusterId) -> Option<(DemoCluster, Moment)> {
        let cluster = self.clusters().get(&id)?.clone();
        let moment = cluster.at(self.now())?;
        Some((cluster, moment))
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(super) fn clusters(&self) -> Arc<Clusters> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Applies a change and returns once it is saved. A change that returns an error may have changed something too. It completes even
    /// if the caller stops waiting.
    pub(super) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Clusters, DateTime<Utc>) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let cloud = Arc::clone(self);
        let changed = spawn_blocking(move || cloud.change_and_save(change)).await;
        changed.unwrap_or_else(|_| {
            Err(EngineError::unreachable(ReasonCode::ProviderUnavailable, "the simulated cloud failed unexpectedly"))
        })
    }

    fn change_and_save<T>(
        &self,
        change: impl FnOnce(&mut Clusters, DateTime<Utc>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let _lock = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.now();
        let mut before = Clusters::clone(&self.clusters());
        before.retain(|_, cluster| cluster.at(now).is_some());
        let mut after = before.clone();
        let outcome = change(&mut after, now);
        if after != before {
            if let Some(path) = &self.file {
                save(path, &after).map_err(|error| not_saved(path, &error))?;
            }
            *self.clusters.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(after);
        }
        outcome
    }
}

impl std::fmt::Debug for DemoCloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DemoCloud").field("file", &self.file).finish_non_exhaustive()
    }
}

fn not_saved(path: &Path, error: &io::Error) -> EngineError {
    EngineError::Rejected(Reason::new(
        ReasonCode::HostMisconfigured,
        format!("the simulated cloud cannot be saved in {}: {error}", path.display()),
        Responsible::Operator,
        "make the folder writable, then retry",
    ))
}

#[derive(Serialize, Deserialize)]
struct SavedCloud {
    format: u64,
    clusters: Vec<DemoCluster>,
}

fn load(path: &Path) -> Clusters {
    match read(path) {
        Ok(clusters) => clusters,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Clusters::new(),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the simulated cloud cannot be read and starts empty");
            Clusters::new()
        }
    }
}

fn read(path: &Path) -> io::Result<Clusters> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE_BYTES).read_to_string(&mut text)?;
    let mut saved: Value = serde_json::from_str(&text)?;
    match saved["format"].as_u64() {
        Some(FORMAT) => {}
        Some(1) => rename_marks(&mut saved),
        other => return Err(io::Error::other(format!("its format is {other:?} and not {FORMAT}"))),
    }
    let saved: SavedCloud = serde_json::from_value(saved)?;
    if !saved.clusters.iter().all(DemoCluster::is_valid) {
        return Err(io::Error::other("it contains an invalid cluster"));
    }
    Ok(saved.clusters.into_iter().map(|cluster| (cluster.tag.cluster, cluster)).collect())
}

/// Format 1, written by version 0.1, called the ownership tag `mark`.
fn rename_marks(saved: &mut Value) {
    for cluster in saved["clusters"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        if let Some(tag) = cluster.remove("mark") {
            cluster.insert("tag".to_owned(), tag);
        }
    }
}

/// Writes a draft and renames it into place: whatever ends the process, the file is either the old or the new one.
fn save(path: &Path, clusters: &Clusters) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let draft = path.with_extension("json.part");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(&serde_json::to_vec(&SavedCloud {
        format: FORMAT,
        clusters: clusters.values().cloned().collect(),
    })?)?;
    file.sync_all()?;
    fs::rename(draft, path)
}
