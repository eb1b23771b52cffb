//! The use cases with doubles of their ports: permissions, what is stored, what is refused, and the messages.

mod bootstrap;
mod checks;
mod cluster_access;
mod cluster_edits;
mod clusters;
mod doubles;
mod form;
mod inputs;
mod issued_tokens;
mod kept;
mod organizations;
mod orphans;
mod provider;
mod provisioner_access;
mod provisioners;
mod reconcile;
mod sessions;
mod user_access;
mod users;
mod verbs;
mod world;
