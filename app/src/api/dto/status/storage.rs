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

/// A PersistentVolume: a piece of storage in the cluster.
#[derive(Debug, Object, Serialize)]
pub struct PersistentVolumeView {
    /// The version of the API: always `v1`.
    pub api_version: String,
    /// The kind: always `PersistentVolume`.
    pub kind: String,
    /// Standard object metadata.
    pub metadata: ObjectMetaView,
    /// Desired state of the persistent volume.
    pub spec: PersistentVolumeSpecView,
    /// Current state of the persistent volume.
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

/// Desired state of the persistent volume. Only the volume source that is used is set.
#[derive(Debug, Object, Serialize)]
pub struct PersistentVolumeSpecView {
    /// The access modes: `ReadWriteOnce`, `ReadOnlyMany`, `ReadWriteMany` or `ReadWriteOncePod`.
    #[oai(nullable)]
    pub access_modes: Option<Vec<String>>,
    /// The volume source: an AWS Elastic Block Store disk. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub aws_elastic_block_store: Option<FragmentView>,
    /// The volume source: an Azure Data Disk. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub azure_disk: Option<FragmentView>,
    /// The volume source: an Azure File share. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub azure_file: Option<FragmentView>,
    /// The volume source: a Ceph filesystem. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub cephfs: Option<FragmentView>,
    /// The volume source: a Cinder volume. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub cinder: Option<FragmentView>,
    /// The volume source: storage that an external CSI driver handles. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub csi: Option<FragmentView>,
    /// The volume source: a Fibre Channel resource. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub fc: Option<FragmentView>,
    /// The volume source: storage of a FlexVolume plugin. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub flex_volume: Option<FragmentView>,
    /// The volume source: a Flocker volume. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub flocker: Option<FragmentView>,
    /// The volume source: a Google Compute Engine disk. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub gce_persistent_disk: Option<FragmentView>,
    /// The volume source: a GlusterFS volume. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub glusterfs: Option<FragmentView>,
    /// The volume source: a directory on the node. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub host_path: Option<FragmentView>,
    /// The volume source: an iSCSI disk. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub iscsi: Option<FragmentView>,
    /// The volume source: a local device or directory of a node. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub local: Option<FragmentView>,
    /// The volume source: an NFS mount. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub nfs: Option<FragmentView>,
    /// The volume source: a Photon Controller persistent disk. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub photon_persistent_disk: Option<FragmentView>,
    /// The volume source: a Portworx volume. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub portworx_volume: Option<FragmentView>,
    /// The volume source: a Quobyte mount. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub quobyte: Option<FragmentView>,
    /// The volume source: a RADOS block device. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub rbd: Option<FragmentView>,
    /// The volume source: a ScaleIO persistent volume. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub scale_io: Option<FragmentView>,
    /// The volume source: a StorageOS volume. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub storageos: Option<FragmentView>,
    /// The volume source: a vSphere volume. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub vsphere_volume: Option<FragmentView>,
    /// The capacity of the volume.
    #[oai(nullable)]
    pub capacity: Option<BTreeMap<String, String>>,
    /// The PersistentVolumeClaim that the volume is bound to.
    #[oai(nullable)]
    pub claim_ref: Option<ObjectReferenceView>,
    /// The mount options.
    #[oai(nullable)]
    pub mount_options: Option<Vec<String>>,
    /// The constraints on the nodes from which the volume can be accessed. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub node_affinity: Option<FragmentView>,
    /// What happens to the volume when it is released: `Retain`, `Delete` or `Recycle`.
    #[oai(nullable)]
    pub persistent_volume_reclaim_policy: Option<String>,
    /// The name of the StorageClass of the volume.
    #[oai(nullable)]
    pub storage_class_name: Option<String>,
    /// The volume mode: `Filesystem` or `Block`.
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

/// Current state of the persistent volume.
#[derive(Debug, Object, Serialize)]
pub struct PersistentVolumeStatusView {
    /// Details about why the volume is in this state.
    #[oai(nullable)]
    pub message: Option<String>,
    /// The phase of the volume: `Available`, `Bound`, `Released`, `Failed` or `Pending`.
    #[oai(nullable)]
    pub phase: Option<String>,
    /// A brief reason for a failure.
    #[oai(nullable)]
    pub reason: Option<String>,
}

impl From<kubernetes::PersistentVolumeStatus> for PersistentVolumeStatusView {
    fn from(it: kubernetes::PersistentVolumeStatus) -> Self {
        Self { message: it.message, phase: it.phase, reason: it.reason }
    }
}

/// A PersistentVolumeClaim: a request for and claim to a persistent volume.
#[derive(Debug, Object, Serialize)]
pub struct PersistentVolumeClaimView {
    /// The version of the API: always `v1`.
    pub api_version: String,
    /// The kind: always `PersistentVolumeClaim`.
    pub kind: String,
    /// Standard object metadata.
    pub metadata: ObjectMetaView,
    /// Desired characteristics of the volume.
    pub spec: PersistentVolumeClaimSpecView,
    /// Current state of the claim.
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

/// Desired characteristics of the volume that a PersistentVolumeClaim requests.
#[derive(Debug, Object, Serialize)]
pub struct PersistentVolumeClaimSpecView {
    /// The access modes that the volume must have.
    #[oai(nullable)]
    pub access_modes: Option<Vec<String>>,
    /// The minimum resources that the volume must have.
    #[oai(nullable)]
    pub resources: Option<ResourcesView>,
    /// A label query over the volumes to consider for binding.
    #[oai(nullable)]
    pub selector: Option<LabelSelectorView>,
    /// The name of the required StorageClass.
    #[oai(nullable)]
    pub storage_class_name: Option<String>,
    /// The required volume mode: `Filesystem` or `Block`.
    #[oai(nullable)]
    pub volume_mode: Option<String>,
    /// The name of the PersistentVolume that the claim is bound to.
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

/// Current state of the claim.
#[derive(Debug, Object, Serialize)]
pub struct PersistentVolumeClaimStatusView {
    /// The access modes of the bound volume.
    #[oai(nullable)]
    pub access_modes: Option<Vec<String>>,
    /// The resources of the bound volume.
    #[oai(nullable)]
    pub capacity: Option<BTreeMap<String, String>>,
    /// The current conditions of the claim.
    #[oai(nullable)]
    pub conditions: Option<Vec<ConditionView>>,
    /// The phase of the claim: `Pending`, `Bound` or `Lost`.
    #[oai(nullable)]
    pub phase: Option<String>,
}

impl From<kubernetes::PersistentVolumeClaimStatus> for PersistentVolumeClaimStatusView {
    fn from(it: kubernetes::PersistentVolumeClaimStatus) -> Self {
        Self { access_modes: it.access_modes, capacity: it.capacity, conditions: views(it.conditions), phase: it.phase }
    }
}
