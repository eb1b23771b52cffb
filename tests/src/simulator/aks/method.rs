//! The published methods of the APIs: which of them a request calls.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::simulator::call::{Request, Route};

pub(super) const TOKEN: &str = "oauth2.token";
pub(super) const OPENID: &str = "openid.configuration";

/// A published method.
#[derive(Debug, Deserialize)]
pub(super) struct Method {
    /// As Azure's own client for Python names it.
    pub(super) id: String,
    method: String,
    path: String,
    /// The schema of the body that is sent.
    pub(super) request: Option<String>,
    /// The schema of the answer.
    pub(super) response: Option<String>,
    #[serde(skip)]
    parts: Vec<Part>,
}

/// A part of a path.
#[derive(Debug)]
enum Part {
    Literal(String),
    Name(&'static str),
}

static METHODS: LazyLock<Vec<Method>> = LazyLock::new(|| {
    let text = include_str!("../../../data/simulator/aks/methods.json");
    let mut methods: Vec<Method> = serde_json::from_str(text).unwrap();
    for method in &mut methods {
        method.parts = method.path.split('/').skip(1).map(part).collect();
    }
    methods
});

fn part(text: &str) -> Part {
    let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return Part::Literal(text.to_owned());
    };
    Part::Name(match name {
        "tenantId" => "tenant",
        "subscriptionId" => "subscription",
        "resourceGroupName" => "group",
        "resourceName" => "cluster",
        "agentPoolName" => "pool",
        "operationId" => "operation",
        "resourceProviderNamespace" => "namespace",
        "location" => "location",
        "roleName" => "role",
        "commandId" => "command",
        "mode" => "mode",
        other => panic!("what is {other}?"),
    })
}

impl Method {
    /// The published method of that name.
    pub(super) fn named(id: &str) -> Option<&'static Self> {
        METHODS.iter().find(|method| method.id == id)
    }

    fn is_read(&self) -> bool {
        let asks = [TOKEN, "get_access_profile"].iter().any(|end| self.id.ends_with(end)) || self.id.contains(".list_");
        self.method == "GET" || asks
    }

    /// What the path names, if it is one of this method. The words in paths are the same in capitals and not.
    fn matches(&self, segments: &[String]) -> Option<Vec<(&'static str, String)>> {
        if self.parts.len() != segments.len() {
            return None;
        }
        let mut names = Vec::new();
        for (part, segment) in self.parts.iter().zip(segments) {
            match part {
                Part::Literal(text) if !text.eq_ignore_ascii_case(segment) => return None,
                Part::Literal(_) => {}
                Part::Name(_) if segment.is_empty() => return None,
                Part::Name(name) => names.push((*name, segment.clone())),
            }
        }
        Some(names)
    }
}

/// Which published method a request calls.
pub(super) fn route(request: &Request) -> Option<Route> {
    let segments = request.segments();
    METHODS.iter().filter(|method| method.method == request.method.as_str()).find_map(|method| {
        let names = method.matches(&segments)?;
        let mut route = Route::new(method.id.as_str(), method.is_read());
        for (name, value) in names {
            route = route.with(name, value);
        }
        Some(route)
    })
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, body::Bytes};

    use super::*;

    fn called(method: &str, path: &str) -> Option<Route> {
        route(&Request {
            method: method.parse().unwrap(),
            path: path.to_owned(),
            raw_query: String::new(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            origin: String::new(),
        })
    }

    #[test]
    fn paths_lead_to_their_methods() {
        let group = "/subscriptions/s/resourceGroups/g";
        let aks = "providers/Microsoft.ContainerService";
        for (method, path, kind, is_read) in [
            ("POST", "/t/oauth2/v2.0/token".to_owned(), TOKEN, true),
            ("GET", "/t/v2.0/.well-known/openid-configuration".to_owned(), OPENID, true),
            ("GET", "/subscriptions/s".to_owned(), "subscriptions.get", true),
            ("GET", "/subscriptions/s/resourcegroups/g".to_owned(), "resource_groups.get", true),
            ("GET", group.to_owned(), "resource_groups.get", true),
            ("POST", format!("/subscriptions/s/{aks}/register"), "providers.register", false),
            ("GET", format!("/subscriptions/s/{aks}"), "providers.get", true),
            ("GET", format!("/subscriptions/s/{aks}/managedClusters"), "managed_clusters.list", true),
            ("GET", format!("{group}/{aks}/managedclusters"), "managed_clusters.list_by_resource_group", true),
            ("PUT", format!("{group}/{aks}/managedClusters/c"), "managed_clusters.create_or_update", false),
            ("PUT", format!("{group}/{aks}/managedClusters/c/agentPools/p"), "agent_pools.create_or_update", false),
            (
                "POST",
                format!("{group}/{aks}/managedClusters/c/listClusterAdminCredential"),
                "managed_clusters.list_cluster_admin_credentials",
                true,
            ),
            ("POST", format!("{group}/{aks}/managedClusters/c/stop"), "managed_clusters.stop", false),
            ("GET", format!("/subscriptions/s/{aks}/locations/l/operations/o"), "operations.get", true),
        ] {
            let route = called(method, &path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!((route.kind.as_ref(), route.is_read), (kind, is_read), "{path}");
        }
        let route = called("GET", &format!("{group}/{aks}/managedClusters/c")).unwrap();
        assert_eq!((&route.parameters["cluster"], &route.parameters["group"]), (&"c".to_owned(), &"g".to_owned()));
        for (method, path) in [
            ("PATCH", format!("{group}/{aks}/managedClusters")),
            ("POST", format!("{group}/{aks}/managedClusters/c/explode")),
            ("GET", format!("{group}/{aks}/managedClusters/")),
        ] {
            assert_eq!(called(method, &path), None, "{method} {path}");
        }
    }
}
