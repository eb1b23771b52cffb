//! Persistent volumes and persistent volume claims.
#![expect(missing_docs, reason = "the fields are those of the Kubernetes API reference")]

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    fragment::{Fragment, null_is_default},
    object::{Condition, LabelSelector, ObjectMeta, ObjectReference, Resources},
};

/// Storage that outlives pods.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PersistentVolume {
    #[serde(deserialize_with = "null_is_default")]
    pub metadata: ObjectMeta,
    #[serde(deserialize_with = "null_is_default")]
    pub spec: PersistentVolumeSpec,
    #[serde(deserialize_with = "null_is_default")]
    pub status: PersistentVolumeStatus,
}

/// The desired state of a volume. One of the storage types is set.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PersistentVolumeSpec {
    pub access_modes: Option<Vec<String>>,
    pub aws_elastic_block_store: Option<Fragment>,
    pub azure_disk: Option<Fragment>,
    pub azure_file: Option<Fragment>,
    pub cephfs: Option<Fragment>,
    pub cinder: Option<Fragment>,
    pub csi: Option<Fragment>,
    pub fc: Option<Fragment>,
    pub flex_volume: Option<Fragment>,
    pub flocker: Option<Fragment>,
    #[serde(rename = "gcePersistentDisk")]
    pub gce_persistent_disk: Option<Fragment>,
    pub glusterfs: Option<Fragment>,
    pub host_path: Option<Fragment>,
    pub iscsi: Option<Fragment>,
    pub local: Option<Fragment>,
    pub nfs: Option<Fragment>,
    pub photon_persistent_disk: Option<Fragment>,
    pub portworx_volume: Option<Fragment>,
    pub quobyte: Option<Fragment>,
    pub rbd: Option<Fragment>,
    #[serde(rename = "scaleIO")]
    pub scale_io: Option<Fragment>,
    pub storageos: Option<Fragment>,
    pub vsphere_volume: Option<Fragment>,
    pub capacity: Option<BTreeMap<String, String>>,
    pub claim_ref: Option<ObjectReference>,
    pub mount_options: Option<Vec<String>>,
    pub node_affinity: Option<Fragment>,
    pub persistent_volume_reclaim_policy: Option<String>,
    pub storage_class_name: Option<String>,
    pub volume_mode: Option<String>,
}

/// The observed state of a volume.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PersistentVolumeStatus {
    pub message: Option<String>,
    pub phase: Option<String>,
    pub reason: Option<String>,
}

/// A request for storage.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PersistentVolumeClaim {
    #[serde(deserialize_with = "null_is_default")]
    pub metadata: ObjectMeta,
    #[serde(deserialize_with = "null_is_default")]
    pub spec: PersistentVolumeClaimSpec,
    #[serde(deserialize_with = "null_is_default")]
    pub status: PersistentVolumeClaimStatus,
}

/// The desired state of a claim.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PersistentVolumeClaimSpec {
    pub access_modes: Option<Vec<String>>,
    pub resources: Option<Resources>,
    pub selector: Option<LabelSelector>,
    pub storage_class_name: Option<String>,
    pub volume_mode: Option<String>,
    pub volume_name: Option<String>,
}

/// The observed state of a claim.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PersistentVolumeClaimStatus {
    pub access_modes: Option<Vec<String>>,
    pub capacity: Option<BTreeMap<String, String>>,
    pub conditions: Option<Vec<Condition>>,
    pub phase: Option<String>,
}
