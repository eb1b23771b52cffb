//! The parts of a running service: the store, the clock and the engines.

use std::{path::PathBuf, sync::Arc};

use chrono::TimeDelta;
use kqueen_adapters::{
    clock::SystemClock,
    engine::{self, AksEngine, AksUrls, DemoCloud, DemoEngine, GkeEngine, GkeUrls},
    inspector::{DemoInspector, KubeInspector, Limits as InspectorLimits},
    leader::{self, Candidate},
    outbound::{self, Outbound},
    password::Argon2id,
    storage::{self, EtcdSettings, Location, Memory, Stores},
};
use kqueen_domain::{
    catalog::Catalog,
    kubeconfig::AddressRules,
    name::ResourceName,
    port::{
        clock::Clock,
        engine::{Engine, EngineRegistry},
        inspector::ClusterInspector,
        password::PasswordHasher,
    },
    secret::SecretMap,
    service::people::bootstrap::{Bootstrap as Bootstrapper, FirstProvisioner},
};

use super::{Error, use_cases::Ports};
use crate::config::{Config, StorageKind};

/// The parts of a running service.
pub(super) struct Parts {
    pub(super) catalog: Arc<Catalog>,
    pub(super) stores: Arc<Stores>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) passwords: Arc<dyn PasswordHasher>,
    /// The simulated provider, if it is enabled.
    pub(super) demo: Option<Arc<DemoCloud>>,
    /// Engines in addition to the built-in ones.
    pub(super) more: Vec<Arc<dyn Engine>>,
    /// Sends requests to providers.
    pub(super) outbound: Outbound,
}

impl Parts {
    pub(super) async fn open(config: &Config) -> Result<Self, Error> {
        // The process-wide TLS provider; an error means that it is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let catalog = Arc::new(Catalog::new());
        let settings = storage::Settings {
            location: location(config),
            secret_key: config.secret_keys.current.clone(),
            previous_keys: config.secret_keys.previous.clone(),
            kubeconfig_cache_bytes: storage::Settings::KUBECONFIG_CACHE_BYTES,
        };
        let stores = Arc::new(storage::open(settings, catalog.clone()).await?);
        let passwords =
            Argon2id::new(config.auth.hashing_parallelism).map_err(|error| Error::Setup(Box::new(error)))?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let demo =
            if config.demo_enabled { Some(DemoCloud::open(demo_file(config), clock.clone()).await) } else { None };
        let outbound = outbound(config).await?;
        Ok(Self { catalog, stores, clock, passwords: Arc::new(passwords), demo, more: Vec::new(), outbound })
    }

    /// The available engines.
    pub(super) fn engines(&self, config: &Config) -> EngineRegistry {
        let gke = GkeUrls {
            api: config.gke.api_url.clone(),
            compute: config.gke.compute_url.clone(),
            token: config.gke.token_url.clone(),
        };
        let aks = AksUrls { arm: config.aks.arm_url.clone(), login: config.aks.login_url.clone() };
        engine::offered(engine::Settings {
            demo: self.demo.clone(),
            gke: Some(GkeEngine::new(self.outbound.clone(), gke, self.clock.clone())),
            aks: Some(AksEngine::new(self.outbound.clone(), aks, self.clock.clone())),
            more: self.more.clone(),
            whitelist: config.provisioners.engine_whitelist.clone(),
        })
    }

    /// The ports of the use cases, and this replica's candidate for leader election.
    pub(super) fn ports(&self, config: &Config) -> (Ports, Candidate) {
        let addresses = AddressRules::denying(config.clusters.address_deny.clone());
        let limits = InspectorLimits { probe: config.observe.timeout, ..InspectorLimits::default() };
        let inspector: Arc<dyn ClusterInspector> = Arc::new(KubeInspector::new(addresses.clone(), limits));
        let inspector = match &self.demo {
            Some(cloud) => Arc::new(DemoInspector::new(inspector, cloud.clone())),
            None => inspector,
        };
        let (leadership, candidate) = self.stores.leadership(leader::TTL);
        let ports = Ports {
            catalog: self.catalog.clone(),
            stores: self.stores.clone(),
            clock: self.clock.clone(),
            engines: self.engines(config),
            inspector,
            leadership,
            addresses,
            operation_timeout: TimeDelta::from_std(config.provisioners.timeout).unwrap_or(TimeDelta::MAX),
        };
        (ports, candidate)
    }

    pub(super) fn bootstrapper(&self) -> Bootstrapper {
        Bootstrapper {
            catalog: self.catalog.clone(),
            organizations: self.stores.organizations.clone(),
            users: self.stores.users.clone(),
            provisioners: self.stores.provisioners.clone(),
            read_barrier: self.stores.read_barrier.clone(),
            passwords: self.passwords.clone(),
            clock: self.clock.clone(),
        }
    }
}

/// The client for requests to providers.
async fn outbound(config: &Config) -> Result<Outbound, Error> {
    let Config { outbound, clusters, .. } = config;
    let certificates = match &outbound.ca_file {
        Some(path) => Some(tokio::fs::read(path).await.map_err(|error| Error::Setup(Box::new(error)))?),
        None => None,
    };
    let settings = outbound::Settings {
        certificates,
        proxy: outbound.proxy.clone(),
        no_proxy: (!outbound.no_proxy.is_empty()).then(|| outbound.no_proxy.join(",")),
        addresses: AddressRules::denying(clusters.address_deny.clone()),
    };
    Outbound::new(&settings).map_err(|error| Error::Setup(Box::new(error)))
}

fn location(config: &Config) -> Location {
    match config.storage.kind {
        StorageKind::Sled => Location::Sled { path: config.storage.sled_path.clone() },
        StorageKind::Memory => Location::Memory(Memory::default()),
        StorageKind::Etcd => {
            let etcd = &config.etcd;
            Location::Etcd(EtcdSettings {
                endpoints: etcd.endpoints.iter().map(|url| url.as_str().trim_end_matches('/').to_owned()).collect(),
                prefix: etcd.prefix.clone(),
                username: etcd.credentials.as_ref().map(|(username, _)| username.clone()),
                password: etcd.credentials.as_ref().map(|(_, password)| password.clone()),
                ca_file: etcd.ca_file.clone(),
                cert_file: etcd.identity.as_ref().map(|(certificate, _)| certificate.clone()),
                key_file: etcd.identity.as_ref().map(|(_, key)| key.clone()),
            })
        }
    }
}

/// The file of the simulated provider: next to the store, because its state belongs to the stored clusters.
fn demo_file(config: &Config) -> Option<PathBuf> {
    match config.storage.kind {
        StorageKind::Sled | StorageKind::Etcd => Some(config.storage.sled_path.with_extension("demo.json")),
        StorageKind::Memory => None,
    }
}

/// The provisioners a new installation starts with: one for the demo engine, if it is enabled.
pub(super) fn first_provisioners(engines: &EngineRegistry) -> Vec<FirstProvisioner> {
    let (Some(engine), Ok(name)) = (engines.get(DemoEngine::NAME), ResourceName::try_from("demo")) else {
        return Vec::new();
    };
    vec![FirstProvisioner { name, engine: engine.clone(), parameters: SecretMap::new() }]
}
