//! Persistent volumes and claims on them.

use std::collections::BTreeMap;

use kqueen_domain::kubernetes;
use poem_openapi::Object;
use serde::Serialize;

use super::{
    fragment::{FragmentView, fragment},
    object::{ConditionView, LabelSelectorView, ObjectMetaView, ObjectReferenceView, ResourcesView},
    views,
};

/// Storage that outlives pods.
#[derive(Debug, Object, Serialize)]
pub struct PersistentVolumeView {
    /// `v1`.
    pub api_version: String,
    /// `PersistentVolume`.
    pub kind: String,
    pub metadata: ObjectMetaView,
    pub spec: PersistentVolumeSpecView,
    pub status: PersistentVolumeStatusView,
}

impl From<kubernetes::PersistentVolume> for PersistentVolumeView {
    fn from(it: kubernetes::PersistentVolume) -> Self {
        Self {
            api_version: "v1".to_owned(),
            kind: "PersistentVolume".to_owned(),
            metadata: it.metadata.into(),
            spec: it.spec.into(),
            status: it.status.into(),
        }
    }
}

/// What a volume is meant to be. One of the kinds of storage is there.
#[derive(Debug, Object, Serialize)]
pub struct PersistentVolumeSpecView {
    #[oai(nullable)]
    pub access_modes: Option<Vec<String>>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub aws_elastic_block_store: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub azure_disk: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub azure_file: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub cephfs: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub cinder: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub csi: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub fc: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub flex_volume: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub flocker: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub gce_persistent_disk: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub glusterfs: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub host_path: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub iscsi: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub local: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub nfs: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub photon_persistent_disk: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub portworx_volume: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub quobyte: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub rbd: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub scale_io: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub storageos: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub vsphere_volume: Option<FragmentView>,
    #[oai(nullable)]
    pub capacity: Option<BTreeMap<String, String>>,
    #[oai(nullable)]
    pub claim_ref: Option<ObjectReferenceView>,
    #[oai(nullable)]
    pub mount_options: Option<Vec<String>>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub node_affinity: Option<FragmentView>,
    #[oai(nullable)]
    pub persistent_volume_reclaim_policy: Option<String>,
    #[oai(nullable)]
    pub storage_class_name: Option<String>,
    #[oai(nullable)]
    pub volume_mode: Option<String>,
}

impl From<kubernetes::PersistentVolumeSpec> for PersistentVolumeSpecView {
    fn from(it: kubernetes::PersistentVolumeSpec) -> Self {
        Self {
            access_modes: it.access_modes,
            aws_elastic_block_store: fragment(it.aws_elastic_block_store),
            azure_disk: fragment(it.azure_disk),
            azure_file: fragment(it.azure_file),
            cephfs: fragment(it.cephfs),
            cinder: fragment(it.cinder),
            csi: fragment(it.csi),
            fc: fragment(it.fc),
            flex_volume: fragment(it.flex_volume),
            flocker: fragment(it.flocker),
            gce_persistent_disk: fragment(it.gce_persistent_disk),
            glusterfs: fragment(it.glusterfs),
            host_path: fragment(it.host_path),
            iscsi: fragment(it.iscsi),
            local: fragment(it.local),
            nfs: fragment(it.nfs),
            photon_persistent_disk: fragment(it.photon_persistent_disk),
            portworx_volume: fragment(it.portworx_volume),
            quobyte: fragment(it.quobyte),
            rbd: fragment(it.rbd),
            scale_io: fragment(it.scale_io),
            storageos: fragment(it.storageos),
            vsphere_volume: fragment(it.vsphere_volume),
            capacity: it.capacity,
            claim_ref: it.claim_ref.map(Into::into),
            mount_options: it.mount_options,
            node_affinity: fragment(it.node_affinity),
            persistent_volume_reclaim_policy: it.persistent_volume_reclaim_policy,
            storage_class_name: it.storage_class_name,
            volume_mode: it.volume_mode,
        }
    }
}

/// What a volume is.
#[derive(Debug, Object, Serialize)]
pub struct PersistentVolumeStatusView {
    #[oai(nullable)]
    pub message: Option<String>,
    #[oai(nullable)]
    pub phase: Option<String>,
    #[oai(nullable)]
    pub reason: Option<String>,
}

impl From<kubernetes::PersistentVolumeStatus> for PersistentVolumeStatusView {
    fn from(it: kubernetes::PersistentVolumeStatus) -> Self {
        Self { message: it.message, phase: it.phase, reason: it.reason }
    }
}

/// A wish for storage.
#[derive(Debug, Object, Serialize)]
pub struct PersistentVolumeClaimView {
    /// `v1`.
    pub api_version: String,
    /// `PersistentVolumeClaim`.
    pub kind: String,
    pub metadata: ObjectMetaView,
    pub spec: PersistentVolumeClaimSpecView,
    pub status: PersistentVolumeClaimStatusView,
}

impl From<kubernetes::PersistentVolumeClaim> for PersistentVolumeClaimView {
    fn from(it: kubernetes::PersistentVolumeClaim) -> Self {
        Self {
            api_version: "v1".to_owned(),
            kind: "PersistentVolumeClaim".to_owned(),
            metadata: it.metadata.into(),
            spec: it.spec.into(),
            status: it.status.into(),
        }
    }
}

/// What a claim asks for.
#[derive(Debug, Object, Serialize)]
pub struct PersistentVolumeClaimSpecView {
    #[oai(nullable)]
    pub access_modes: Option<Vec<String>>,
    #[oai(nullable)]
    pub resources: Option<ResourcesView>,
    #[oai(nullable)]
    pub selector: Option<LabelSelectorView>,
    #[oai(nullable)]
    pub storage_class_name: Option<String>,
    #[oai(nullable)]
    pub volume_mode: Option<String>,
    #[oai(nullable)]
    pub volume_name: Option<String>,
}

impl From<kubernetes::PersistentVolumeClaimSpec> for PersistentVolumeClaimSpecView {
    fn from(it: kubernetes::PersistentVolumeClaimSpec) -> Self {
        Self {
            access_modes: it.access_modes,
            resources: it.resources.map(Into::into),
            selector: it.selector.map(Into::into),
            storage_class_name: it.storage_class_name,
            volume_mode: it.volume_mode,
            volume_name: it.volume_name,
        }
    }
}

/// What a claim has got.
#[derive(Debug, Object, Serialize)]
pub struct PersistentVolumeClaimStatusView {
    #[oai(nullable)]
    pub access_modes: Option<Vec<String>>,
    #[oai(nullable)]
    pub capacity: Option<BTreeMap<String, String>>,
    #[oai(nullable)]
    pub conditions: Option<Vec<ConditionView>>,
    #[oai(nullable)]
    pub phase: Option<String>,
}

impl From<kubernetes::PersistentVolumeClaimStatus> for PersistentVolumeClaimStatusView {
    fn from(it: kubernetes::PersistentVolumeClaimStatus) -> Self {
        Self { access_modes: it.access_modes, capacity: it.capacity, conditions: views(it.conditions), phase: it.phase }
    }
}
