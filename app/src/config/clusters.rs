//! Clusters and provisioners: captions of their states, how they are observed, and which are allowed.

use std::time::Duration;

use ipnet::IpNet;
use kqueen_domain::cluster::Phase;

use super::{settings::Settings, value};

/// Captions of the phases, shown as `state`.
#[derive(Debug, Clone)]
pub struct ClusterCaptions {
    /// [`Phase::Ready`].
    pub ok: String,
    /// [`Phase::Failed`].
    pub error: String,
    /// [`Phase::Deploying`].
    pub provisioning: String,
    /// [`Phase::Destroying`].
    pub deprovisioning: String,
    /// [`Phase::Updating`].
    pub updating: String,
    /// [`Phase::Unknown`].
    pub unknown: String,
}

impl ClusterCaptions {
    /// The caption of `phase`.
    #[must_use]
    pub fn of(&self, phase: Phase) -> &str {
        match phase {
            Phase::Ready => &self.ok,
            Phase::Failed => &self.error,
            Phase::Deploying => &self.provisioning,
            Phase::Destroying => &self.deprovisioning,
            Phase::Updating => &self.updating,
            Phase::Unknown => &self.unknown,
        }
    }
}

/// Settings of clusters.
#[derive(Debug, Clone)]
pub struct Clusters {
    /// Captions of their states.
    pub captions: ClusterCaptions,
    /// Whether a list triggers reconciliation of the clusters it shows.
    pub state_on_list: bool,
    /// Networks that a kubeconfig must not point to.
    pub address_deny: Vec<IpNet>,
}

impl Clusters {
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        let ok = settings.get("cluster.ok_state", value::caption);
        let error = settings.get("cluster.error_state", value::caption);
        let provisioning = settings.get("cluster.provisioning_state", value::caption);
        let deprovisioning = settings.get("cluster.deprovisioning_state", value::caption);
        let updating = settings.get("cluster.updating_state", value::caption);
        let unknown = settings.get("cluster.unknown_state", value::caption);
        let state_on_list = settings.get("cluster.state_on_list", value::boolean);
        let address_deny = settings.get("cluster.address_deny", value::list(value::network));
        let captions = ClusterCaptions {
            ok: ok?,
            error: error?,
            provisioning: provisioning?,
            deprovisioning: deprovisioning?,
            updating: updating?,
            unknown: unknown?,
        };
        Some(Self { captions, state_on_list: state_on_list?, address_deny: address_deny? })
    }
}

/// Settings of provisioners.
#[derive(Debug, Clone)]
pub struct Provisioners {
    /// The caption of the state `OK`.
    pub ok: String,
    /// The caption of the state `Error`.
    pub error: String,
    /// The caption of the state `Not Reachable`.
    pub unknown: String,
    /// The available engines; `None` allows all.
    pub engine_whitelist: Option<Vec<String>>,
    /// How long a cluster may stay in a transient state.
    pub timeout: Duration,
    /// How often credentials that were valid at the last check are checked again.
    pub check_interval: Duration,
    /// How often the inventory of a provider is searched for orphans.
    pub inventory_interval: Duration,
}

impl Provisioners {
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        let ok = settings.get("provisioner.ok_state", value::caption);
        let error = settings.get("provisioner.error_state", value::caption);
        let unknown = settings.get("provisioner.unknown_state", value::caption);
        let whitelist = settings.get("provisioner.engine_whitelist", value::list(value::text));
        let most = Duration::from_secs(30 * 86400);
        let timeout = settings.get("provisioner.timeout", value::duration(Duration::from_secs(1)..=most));
        let often = || value::duration(Duration::from_secs(1)..=Duration::from_secs(86400));
        let check_interval = settings.get("provisioner.check_interval", often());
        let inventory_interval = settings.get("provisioner.inventory_interval", often());
        Some(Self {
            ok: ok?,
            error: error?,
            unknown: unknown?,
            engine_whitelist: Some(whitelist?).filter(|whitelist| !whitelist.is_empty()),
            timeout: timeout?,
            check_interval: check_interval?,
            inventory_interval: inventory_interval?,
        })
    }
}

/// Observation of clusters.
#[derive(Debug, Clone)]
pub struct Observe {
    /// How often a cluster is observed while nothing is in progress.
    pub interval: Duration,
    /// How long one observation may take.
    pub timeout: Duration,
    /// Maximum number of clusters observed at once, not counting slow ones.
    pub parallel: usize,
    /// Maximum number of clusters of one provisioner observed at once.
    pub per_provisioner: usize,
}

impl Observe {
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        let interval = value::duration(Duration::from_secs(1)..=Duration::from_secs(86400));
        let interval = settings.get("observe.interval", interval);
        let timeout = value::duration(Duration::from_millis(10)..=Duration::from_secs(600));
        let timeout = settings.get("observe.timeout", timeout);
        let parallel = settings.get("observe.parallel", value::number(1..=10_000_u16));
        let per_provisioner = settings.get("observe.per_provisioner", value::number(1..=10_000_u16));
        Some(Self {
            interval: interval?,
            timeout: timeout?,
            parallel: usize::from(parallel?),
            per_provisioner: usize::from(per_provisioner?),
        })
    }
}
