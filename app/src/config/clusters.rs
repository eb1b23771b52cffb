//! What is said of clusters and provisioners, how they are looked at, and which are let in.

use std::time::Duration;

use ipnet::IpNet;
use kqueen_domain::cluster::Phase;

use super::{settings::Settings, value};

/// How the phases are called in `state`.
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
    /// How `phase` is called.
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

/// Clusters.
#[derive(Debug, Clone)]
pub struct Clusters {
    /// What their states are called.
    pub captions: ClusterCaptions,
    /// Whether a list triggers reconciliation of the clusters it shows.
    pub state_on_list: bool,
    /// Networks a kubeconfig may not point to.
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

/// Provisioners.
#[derive(Debug, Clone)]
pub struct Provisioners {
    /// What the state `OK` is called.
    pub ok: String,
    /// What the state `Error` is called.
    pub error: String,
    /// What the state `Not Reachable` is called.
    pub unknown: String,
    /// Engines that are offered; `None` offers all.
    pub engine_whitelist: Option<Vec<String>>,
    /// How long anything may stay in a transient state.
    pub timeout: Duration,
    /// How often credentials are checked that were good the last time.
    pub check_interval: Duration,
    /// How often a provider is searched for things that belong to no cluster.
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

/// Looking at clusters.
#[derive(Debug, Clone)]
pub struct Observe {
    /// How often a quiet cluster is looked at.
    pub interval: Duration,
    /// How long one look may take.
    pub timeout: Duration,
    /// How many are looked at together, of those that answer soon.
    pub parallel: usize,
    /// How many of one provisioner are looked at together.
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
