//! What the simulated provider has, and where it is kept.
//!
//! A small file beside the store: a person who restarts the program expects the clusters to be there still. It is not kept in the
//! store, since it stands for something outside that goes on by itself, and engines have no business there; nor could it follow from
//! what an engine is given, as that tells nothing of when things were asked for. It is read once and written as a whole after each
//! change, before the call is answered. One process has it: with several replicas each would have a cloud of its own.

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

/// Which layout the file has.
const FORMAT: u64 = 2;
/// A file that large is none of ours: a cluster takes about one kB, and there are at most [`super::provider::CLUSTERS`].
const LARGEST_FILE: u64 = 4 * 1024 * 1024;

/// All clusters of the simulated provider.
pub(super) type Clusters = BTreeMap<ClusterId, DemoCluster>;

/// The simulated provider.
pub struct DemoCloud {
    clock: Arc<dyn Clock>,
    /// Where it is kept; without one it ends with the process.
    file: Option<PathBuf>,
    /// Replaced as a whole, so that nobody who reads waits for the disk.
    clusters: Mutex<Arc<Clusters>>,
    /// Held from reading to having written.
    changing: Mutex<()>,
}

impl DemoCloud {
    /// The cloud kept in `file`, or an empty one that is kept nowhere. A file that cannot be read is told in the log, and the cloud is
    /// empty: it is only a simulation.
    pub async fn open(file: Option<PathBuf>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let kept = match file.clone() {
            Some(path) => spawn_blocking(move || kept(&path)).await.unwrap_or_default(),
            None => Clusters::new(),
        };
        Arc::new(Self { clock, file, clusters: Mutex::new(Arc::new(kept)), changing: Mutex::default() })
    }

    /// One cluster as it is now.
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

    /// Changes it, and returns when that is kept. What does not end well may have changed something too. A caller that does not wait
    /// for the end changes nothing about it.
    pub(super) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Clusters, DateTime<Utc>) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let cloud = Arc::clone(self);
        let changed = spawn_blocking(move || cloud.change_and_keep(change)).await;
        changed.unwrap_or_else(|_| {
            Err(EngineError::unreachable(ReasonCode::ProviderUnavailable, "the simulated cloud broke off"))
        })
    }

    fn change_and_keep<T>(
        &self,
        change: impl FnOnce(&mut Clusters, DateTime<Utc>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.now();
        let mut before = Clusters::clone(&self.clusters());
        before.retain(|_, cluster| cluster.at(now).is_some());
        let mut after = before.clone();
        let outcome = change(&mut after, now);
        if after != before {
            if let Some(path) = &self.file {
                keep(path, &after).map_err(|error| not_kept(path, &error))?;
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

fn not_kept(path: &Path, error: &io::Error) -> EngineError {
    EngineError::Rejected(Reason::new(
        ReasonCode::HostMisconfigured,
        format!("the simulated cloud cannot be kept in {}: {error}", path.display()),
        Responsible::Operator,
        "make the folder writable, then retry",
    ))
}

#[derive(Serialize, Deserialize)]
struct Kept {
    format: u64,
    clusters: Vec<DemoCluster>,
}

fn kept(path: &Path) -> Clusters {
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
    File::open(path)?.take(LARGEST_FILE).read_to_string(&mut text)?;
    let mut kept: Value = serde_json::from_str(&text)?;
    match kept["format"].as_u64() {
        Some(FORMAT) => {}
        Some(1) => tags_renamed(&mut kept),
        other => return Err(io::Error::other(format!("its format is {other:?} and not {FORMAT}"))),
    }
    let kept: Kept = serde_json::from_value(kept)?;
    if !kept.clusters.iter().all(DemoCluster::is_sound) {
        return Err(io::Error::other("it has a cluster as none can be"));
    }
    Ok(kept.clusters.into_iter().map(|cluster| (cluster.tag.cluster, cluster)).collect())
}

/// Format 1, which version 0.1 wrote, called the ownership tag a mark.
fn tags_renamed(kept: &mut Value) {
    for cluster in kept["clusters"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        if let Some(tag) = cluster.remove("mark") {
            cluster.insert("tag".to_owned(), tag);
        }
    }
}

/// Writes it beside and puts it in place at once: whatever ends us, the file is the old or the new one.
fn keep(path: &Path, clusters: &Clusters) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let draft = path.with_extension("json.part");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(&serde_json::to_vec(&Kept { format: FORMAT, clusters: clusters.values().cloned().collect() })?)?;
    file.sync_all()?;
    fs::rename(draft, path)
}
