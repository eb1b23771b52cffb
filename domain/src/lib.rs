//! What KQueen is about, without any of the technology it runs on: organizations and their users, policies, provisioners and
//! clusters, the decisions made about them, and the ports through which the outside is reached.
//!
//! The vocabulary is that of the field: an *organization* is a tenant with a unique *namespace*; a *provisioner* is an *engine*
//! (code that drives a provider) with its credentials; a *cluster* is one Kubernetes cluster; a *policy* maps actions to rules.
//!
//! What is done to a cluster is an *operation*; the *ledger* holds what it makes at a provider, the *timeline* tells the story.
//!
//! Reading order: the entities ([`organization`], [`user`], [`provisioner`], [`cluster`]), how clusters are operated ([`operation`],
//! [`ledger`], [`observation`], and [`cluster::plan`], which decides every step), [`access`] for who may do what, the
//! [`catalog`] that answers lists, the [`port`]s, and the use cases in [`service`].

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
