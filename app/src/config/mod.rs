//! The configuration: built-in defaults, overridden by a TOML file, overridden by the environment, and validated before anything starts.
//!
//! `config/default.toml` lists and documents all settings. Their names are stable: `host` in `[etcd]` is `KQUEEN_ETCD_HOST`. Each module
//! reads one or two sections into structs; `settings` merges the layers and collects all problems, so that they are reported at once.

mod auth;
mod bootstrap;
mod clusters;
mod environment;
mod outbound;
mod outside;
mod problem;
mod secret_key;
mod server;
mod settings;
mod storage;
mod value;

use std::ffi::OsString;

use self::settings::Settings;
pub use self::{
    auth::{Auth, Jwt, Ldap},
    bootstrap::Bootstrap,
    clusters::{ClusterCaptions, Clusters, Observe, Provisioners},
    environment::{CONFIG_FILE, variables},
    outbound::{Aks, Gke, Outbound},
    outside::{Jenkins, JenkinsJob, Mail},
    problem::{Problem, Problems},
    secret_key::{MissingKey, SecretKeys},
    server::{Http, Log, LogFormat, Metrics, Server},
    settings::DEFAULTS,
    storage::{Etcd, Storage, StorageKind},
};

/// All settings. `Debug` hides secrets.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whether the server runs for evaluation or development on one machine.
    pub dev_mode: bool,
    /// The keys that sign tokens and encrypt secrets.
    pub secret_keys: SecretKeys,
    /// Where to listen.
    pub server: Server,
    /// Limits of clients.
    pub http: Http,
    /// The log.
    pub log: Log,
    /// The store.
    pub storage: Storage,
    /// The connection to etcd, if that is the store.
    pub etcd: Etcd,
    /// Tokens.
    pub jwt: Jwt,
    /// Login.
    pub auth: Auth,
    /// Clusters.
    pub clusters: Clusters,
    /// Provisioners.
    pub provisioners: Provisioners,
    /// Observation of clusters.
    pub observe: Observe,
    /// Access to the metrics.
    pub metrics: Metrics,
    /// Mail.
    pub mail: Mail,
    /// Jenkins.
    pub jenkins: Jenkins,
    /// Requests to providers.
    pub outbound: Outbound,
    /// Google Kubernetes Engine.
    pub gke: Gke,
    /// Azure Kubernetes Service.
    pub aks: Aks,
    /// Whether the demo engine is enabled.
    pub demo_enabled: bool,
    /// The first superadmin, if one is to be created.
    pub bootstrap: Option<Bootstrap>,
}

impl Config {
    /// Reads the configuration from the built-in defaults, the file named in `variables`, and `variables`.
    ///
    /// # Errors
    /// All problems of the configuration.
    pub fn load(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        missing_key: MissingKey,
    ) -> Result<Self, Problems> {
        Self::read(&mut Settings::gather(variables), missing_key)
    }

    /// The effective settings and their origins as text; secrets are hidden.
    ///
    /// # Errors
    /// All problems of the configuration.
    pub fn describe(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<String, Problems> {
        let mut settings = Settings::gather(variables);
        let config = Self::read(&mut settings, MissingKey::Temporary)?;
        let mut shown = settings.shown();
        if config.dev_mode && !settings.is_set("secret_key") && !settings.is_set("secret_key_file") {
            let path = secret_key::generated_path(&config.storage.sled_path);
            shown.push_str(&format!(
                "\n\n# KQUEEN_DEV_MODE: the secret key is generated at the first start and kept in {}",
                path.display()
            ));
        }
        Ok(shown)
    }

    fn read(settings: &mut Settings, missing_key: MissingKey) -> Result<Self, Problems> {
        let dev_mode = settings.get("dev_mode", value::boolean);
        let dev = dev_mode.unwrap_or(false);
        let demo_enabled = settings.get("demo.enabled", value::boolean);
        let server = Server::read(settings, dev);
        let http = Http::read(settings);
        let log = Log::read(settings);
        let storage = Storage::read(settings);
        let etcd = Etcd::read(settings);
        let jwt = Jwt::read(settings);
        let auth = Auth::read(settings);
        let clusters = Clusters::read(settings);
        let provisioners = Provisioners::read(settings);
        let observe = Observe::read(settings);
        let metrics = Metrics::read(settings);
        let mail = Mail::read(settings);
        let jenkins = Jenkins::read(settings);
        let outbound = Outbound::read(settings);
        let gke = Gke::read(settings);
        let aks = Aks::read(settings);
        let bootstrap = Bootstrap::read(settings, dev);
        // Last, so that no key is generated for a configuration that is rejected anyway.
        let missing_key = if settings.problems.is_empty() { missing_key } else { MissingKey::Temporary };
        let store = storage.as_ref().map(|storage| storage.sled_path.as_path());
        let secret_keys = SecretKeys::read(settings, dev, store, missing_key);
        let read = || {
            Some(Self {
                dev_mode: dev_mode?,
                secret_keys: secret_keys?,
                server: server?,
                http: http?,
                log: log?,
                storage: storage.clone()?,
                etcd: etcd?,
                jwt: jwt?,
                auth: auth?,
                clusters: clusters?,
                provisioners: provisioners?,
                observe: observe?,
                metrics: metrics?,
                mail: mail?,
                jenkins: jenkins?,
                outbound: outbound?,
                gke: gke?,
                aks: aks?,
                demo_enabled: demo_enabled?,
                bootstrap: bootstrap?,
            })
        };
        match read() {
            Some(config) if settings.problems.is_empty() => Ok(config),
            _ => Err(Problems(std::mem::take(&mut settings.problems))),
        }
    }
}

#[cfg(test)]
mod tests;
