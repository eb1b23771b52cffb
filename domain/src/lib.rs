//! The domain of KQueen, independent of technology: organizations and users, policies, provisioners and clusters, the decisions
//! about them, and the ports to the outside.
//!
//! Terms: an *organization* is a tenant with a unique *namespace*; a *provisioner* is an *engine*
//! (the driver for a provider) with its credentials; a *cluster* is one Kubernetes cluster; a *policy* maps actions to rules.
//!
//! An *operation* changes a cluster; the *ledger* records the resources it creates at a provider, the *timeline* the events.
//!
//! Reading order: the entities ([`organization`], [`user`], [`provisioner`], [`cluster`]), how clusters are operated ([`operation`],
//! [`ledger`], [`observation`], and [`cluster::plan`], which decides every step), [`access`] control, the [`catalog`] (the read
//! model), the [`port`]s, and the use cases in [`service`].

pub mod access;
pub mod catalog;
pub mod cluster;
pub mod document;
pub mod id;
pub mod invalid;
pub mod kubeconfig;
pub mod kubernetes;
pub mod ledger;
pub mod name;
pub mod observation;
pub mod operation;
pub mod organization;
pub mod orphan;
pub mod parameter;
pub mod port;
pub mod provisioner;
pub mod reason;
pub mod revision;
pub mod secret;
pub mod service;
pub mod timeline;
pub mod user;
