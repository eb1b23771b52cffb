//! Operations and orphans, put together from parts as well.

use kqueen_domain::{
    access::Caller,
    catalog::{OperationView, OrphanView},
    id::UserId,
    ledger::ResourceRecord,
    orphan::OrphanState,
    service::people::users::Users,
};

use super::{Renderer, member, namespace, part};
use crate::api::dto::{
    operation::{ClusterName, OperationRecord, Requester, resources},
    orphan::OrphanRecord,
};

/// Somebody by name, where `caller` may see who it is.
#[must_use]
pub fn requester(users: &Users, caller: &Caller, id: UserId) -> Requester {
    let user = users.get(caller, id).ok();
    Requester { id: id.uuid(), username: user.map(|view| view.user.record.username.to_string()) }
}

impl Renderer {
    /// An operation as `caller` sees it, with what exists at the provider if that was looked up.
    pub fn operation(
        &self,
        out: &mut Vec<u8>,
        users: &Users,
        caller: &Caller,
        view: &OperationView,
        rows: Option<&[ResourceRecord]>,
    ) {
        let operation = &view.operation.record;
        out.extend(part(&OperationRecord::from(operation)));
        let name = view.cluster_name.to_string();
        member(out, "cluster", &ClusterName { id: operation.cluster.uuid(), name });
        member(out, "requested_by", &requester(users, caller, operation.requested_by));
        if let Some(rows) = rows {
            member(out, "resources", &resources(rows));
        }
        out.push(b'}');
    }

    /// An orphan as `caller` sees it; `named` adds its namespace.
    pub fn orphan(&self, out: &mut Vec<u8>, users: &Users, caller: &Caller, view: &OrphanView, named: bool) {
        out.extend(part(&OrphanRecord::from(&view.orphan.record)));
        let decided_by = match &view.orphan.record.state {
            OrphanState::Listed => None,
            OrphanState::Deleting { by, .. } | OrphanState::Ignored { by, .. } => Some(*by),
        };
        member(out, "decided_by", &decided_by.map(|by| requester(users, caller, by)));
        out.extend_from_slice(b",\"provisioner\":");
        match &view.provisioner {
            Some(provisioner) => self.provisioner(out, caller, provisioner, false),
            None => out.extend_from_slice(b"null"),
        }
        namespace(out, named, view.organization.as_ref());
        out.push(b'}');
    }
}
