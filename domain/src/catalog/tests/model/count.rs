//! Counts, computed from scratch each time.

use super::{
    super::super::{ClusterCounts, ProvisionerCounts, Scope, Tally, UserCounts, Visibility},
    Kind, Model, in_scope, visible,
};
use crate::{cluster::Phase, revision::Versioned, user::Role};

impl Model {
    pub(in super::super) fn user_counts(&self) -> UserCounts {
        let members = |id| self.users.iter().filter(|u| u.value.organization == id).count();
        let with_role = |role| self.users.iter().filter(|u| u.value.role == role).count();
        UserCounts {
            by_namespace: self.organizations.iter().map(|o| (o.value.namespace.clone(), members(o.value.id))).collect(),
            by_role: Role::ALL.into_iter().map(|role| (role, with_role(role))).collect(),
            active: self.users.iter().filter(|u| u.value.active).count(),
        }
    }

    pub(in super::super) fn cluster_counts(&self) -> ClusterCounts {
        let mut counts = ClusterCounts::new();
        for Versioned { value, .. } in &self.clusters {
            let phase = self.display(value.id).unwrap().phase;
            *counts.entry((phase, self.cluster_line(value).engine)).or_default() += 1;
        }
        counts
    }

    pub(in super::super) fn provisioner_counts(&self) -> ProvisionerCounts {
        let mut counts = ProvisionerCounts::new();
        for Versioned { value, .. } in &self.provisioners {
            *counts.entry((self.shown(value).check.phase, value.engine.to_string())).or_default() += 1;
        }
        counts
    }

    pub(in super::super) fn cluster_tally(&self, scope: Scope, visibility: Visibility) -> Tally {
        self.tally(Kind::Clusters, scope, visibility, Phase::Ready.as_str())
    }

    pub(in super::super) fn provisioner_tally(&self, scope: Scope, visibility: Visibility) -> Tally {
        self.tally(Kind::Provisioners, scope, visibility, "OK")
    }

    fn tally(&self, kind: Kind, scope: Scope, visibility: Visibility, healthy_state: &str) -> Tally {
        let mut lines = self.lines(kind);
        lines.retain(|line| in_scope(line.organization, scope) && visible(line.owner, visibility));
        Tally { total: lines.len(), healthy: lines.iter().filter(|line| line.state == healthy_state).count() }
    }
}
