//! What runs in every simulated cluster: system components, monitoring and a small shop.

/// The namespaces of a simulated cluster.
pub(super) const NAMESPACES: [&str; 6] =
    ["default", "kube-node-lease", "kube-public", "kube-system", "monitoring", "shop"];

/// A deployment with its service and storage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Workload {
    pub(super) namespace: &'static str,
    pub(super) name: &'static str,
    pub(super) image: &'static str,
    pub(super) port: u16,
    pub(super) replicas: Replicas,
    /// CPU in millicores, memory in MiB.
    pub(super) requests: (u32, u32),
    pub(super) service: Option<Exposed>,
    /// Persistent storage in GiB.
    pub(super) storage: Option<u32>,
    /// The image before the last rollout.
    pub(super) previous_image: Option<&'static str>,
}

/// How many replicas a deployment has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Replicas {
    Fixed(usize),
    /// As many as there are nodes, but at least two.
    ByNodes,
}

impl Replicas {
    pub(super) fn on(self, nodes: usize) -> usize {
        match self {
            Self::Fixed(count) => count,
            Self::ByNodes => nodes.max(2),
        }
    }
}

/// The service in front of a deployment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exposed {
    pub(super) name: &'static str,
    pub(super) port: u16,
    /// Reachable from outside, through a load balancer.
    pub(super) public: bool,
    pub(super) addon: Option<Addon>,
}

/// How a service is shown among the addons.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addon {
    pub(super) name: &'static str,
    /// Whether it has a web page.
    pub(super) has_page: bool,
}

const NONE: Workload = Workload {
    namespace: "kube-system",
    name: "",
    image: "",
    port: 0,
    replicas: Replicas::Fixed(1),
    requests: (100, 128),
    service: None,
    storage: None,
    previous_image: None,
};

const fn internal(name: &'static str, port: u16) -> Option<Exposed> {
    Some(Exposed { name, port, public: false, addon: None })
}

const fn addon(name: &'static str, port: u16, shown: &'static str, has_page: bool) -> Option<Exposed> {
    Some(Exposed { name, port, public: false, addon: Some(Addon { name: shown, has_page }) })
}

const EVERYWHERE: [Workload; 8] = [
    Workload {
        name: "coredns",
        image: "registry.k8s.io/coredns/coredns:v1.12.1",
        port: 53,
        replicas: Replicas::Fixed(2),
        service: addon("kube-dns", 53, "CoreDNS (simulated)", false),
        ..NONE
    },
    Workload {
        name: "metrics-server",
        image: "registry.k8s.io/metrics-server/metrics-server:v0.8.0",
        port: 10250,
        service: addon("metrics-server", 443, "Metrics Server (simulated)", false),
        ..NONE
    },
    Workload {
        namespace: "monitoring",
        name: "prometheus",
        image: "quay.io/prometheus/prometheus:v3.5.0",
        port: 9090,
        requests: (500, 1024),
        service: internal("prometheus", 9090),
        storage: Some(50),
        ..NONE
    },
    Workload {
        namespace: "monitoring",
        name: "grafana",
        image: "docker.io/grafana/grafana:12.1.0",
        port: 3000,
        requests: (200, 256),
        service: addon("grafana", 80, "Grafana (simulated)", true),
        storage: Some(10),
        ..NONE
    },
    Workload {
        namespace: "shop",
        name: "web",
        image: "registry.example/shop/web:2.4.0",
        port: 8080,
        replicas: Replicas::ByNodes,
        service: Some(Exposed { name: "web", port: 80, public: true, addon: None }),
        previous_image: Some("registry.example/shop/web:2.3.1"),
        ..NONE
    },
    Workload {
        namespace: "shop",
        name: "cart",
        image: "registry.example/shop/cart:1.9.2",
        port: 8080,
        replicas: Replicas::Fixed(2),
        service: internal("cart", 8080),
        ..NONE
    },
    Workload {
        namespace: "shop",
        name: "mailer",
        image: "registry.example/shop/mailer:1.1.0",
        port: 8080,
        requests: (50, 64),
        ..NONE
    },
    Workload {
        namespace: "shop",
        name: "database",
        image: "docker.io/library/postgres:17.5",
        port: 5432,
        requests: (500, 1024),
        service: internal("database", 5432),
        storage: Some(20),
        ..NONE
    },
];

const CALICO: [Workload; 2] = [
    Workload { name: "calico-kube-controllers", image: "quay.io/calico/kube-controllers:v3.30.2", port: 9094, ..NONE },
    Workload {
        name: "calico-typha",
        image: "quay.io/calico/typha:v3.30.2",
        port: 5473,
        service: internal("calico-typha", 5473),
        ..NONE
    },
];

const CILIUM: [Workload; 1] = [Workload {
    name: "cilium-operator",
    image: "quay.io/cilium/operator-generic:v1.18.1",
    port: 9234,
    replicas: Replicas::Fixed(2),
    ..NONE
}];

/// The workloads of a cluster whose network policy is enforced by `enforcer`, if by any.
pub(super) fn workloads(enforcer: Option<&str>) -> impl Iterator<Item = Workload> {
    let enforcing: &[Workload] = match enforcer {
        None => &[],
        Some(name) if name.eq_ignore_ascii_case("CILIUM") => &CILIUM,
        Some(_) => &CALICO,
    };
    EVERYWHERE.iter().chain(enforcing).copied()
}
