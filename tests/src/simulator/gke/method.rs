//! The published methods of the APIs: which of them a request calls.

use std::sync::LazyLock;

use hyper::Method as HttpMethod;
use serde::Deserialize;

use crate::simulator::call::{Request, Route};

/// The token endpoint is not part of the published documents.
pub(super) const TOKEN: &str = "oauth2.token";

/// A published method.
#[derive(Debug, Deserialize)]
pub(super) struct Method {
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
    /// A name, and what follows it after a colon.
    Name {
        name: &'static str,
        verb: Option<String>,
    },
}

static METHODS: LazyLock<Vec<Method>> = LazyLock::new(|| {
    let text = include_str!("../../../data/simulator/gke/methods.json");
    let mut methods: Vec<Method> = serde_json::from_str(text).unwrap();
    for method in &mut methods {
        method.parts = method.path.split('/').skip(1).map(part).collect();
    }
    methods
});

fn part(text: &str) -> Part {
    let Some((name, verb)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
        return Part::Literal(text.to_owned());
    };
    // Both forms of paths name the same things differently.
    let name = match name {
        "projectsId" | "projectId" | "project" => "project",
        "locationsId" | "zonesId" | "zone" => "location",
        "clustersId" | "clusterId" => "cluster",
        "nodePoolsId" | "nodePoolId" => "nodePool",
        "operationsId" | "operationId" => "operation",
        "region" => "region",
        other => panic!("what is {other}?"),
    };
    Part::Name { name, verb: verb.strip_prefix(':').map(str::to_owned) }
}

impl Method {
    /// The published method of that name.
    pub(super) fn named(id: &str) -> Option<&'static Self> {
        METHODS.iter().find(|method| method.id == id)
    }

    fn matches(&self, segments: &[String]) -> Option<Vec<(&'static str, String)>> {
        if self.parts.len() != segments.len() {
            return None;
        }
        let mut names = Vec::new();
        for (part, segment) in self.parts.iter().zip(segments) {
            match part {
                Part::Literal(text) => {
                    if text != segment {
                        return None;
                    }
                }
                Part::Name { name, verb } => {
                    let value = match verb {
                        None => Some(segment.as_str()).filter(|segment| !segment.contains(':')),
                        Some(verb) => segment.strip_suffix(verb.as_str()).and_then(|rest| rest.strip_suffix(':')),
                    };
                    names.push((*name, value.filter(|value| !value.is_empty())?.to_owned()));
                }
            }
        }
        Some(names)
    }
}

/// Which published method a request calls.
pub(super) fn route(request: &Request) -> Option<Route> {
    let segments = request.segments();
    if segments == ["token"] && request.method == HttpMethod::POST {
        return Some(Route::new(TOKEN, true));
    }
    METHODS.iter().filter(|method| method.method == request.method.as_str()).find_map(|method| {
        let names = method.matches(&segments)?;
        let mut route = Route::new(method.id.as_str(), method.method == "GET");
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
    fn both_forms_of_paths_lead_to_their_methods() {
        for (method, path, kind) in [
            ("POST", "/token", TOKEN),
            ("GET", "/v1/projects/p/locations/-/clusters", "container.projects.locations.clusters.list"),
            (
                "POST",
                "/v1/projects/p/locations/l/clusters/c:setNetworkPolicy",
                "container.projects.locations.clusters.setNetworkPolicy",
            ),
            (
                "POST",
                "/v1/projects/p/locations/l/clusters/c/nodePools/n:setSize",
                "container.projects.locations.clusters.nodePools.setSize",
            ),
            (
                "POST",
                "/v1/projects/p/zones/z/clusters/c/nodePools/n/setSize",
                "container.projects.zones.clusters.nodePools.setSize",
            ),
            (
                "POST",
                "/v1/projects/p/zones/z/clusters/c:setNetworkPolicy",
                "container.projects.zones.clusters.setNetworkPolicy",
            ),
            (
                "POST",
                "/v1/projects/p/locations/l/operations/o:cancel",
                "container.projects.locations.operations.cancel",
            ),
            (
                "GET",
                "/v1/projects/p/locations/l/clusters/c:fetchClusterUpgradeInfo",
                "container.projects.locations.clusters.fetchClusterUpgradeInfo",
            ),
            ("GET", "/compute/v1/projects/p/zones/z/machineTypes", "compute.machineTypes.list"),
        ] {
            let route = called(method, path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(route.kind, kind);
        }
        let route = called("GET", "/v1/projects/p/locations/l/clusters/c").unwrap();
        assert_eq!(route.parameters["cluster"], "c");
        assert_eq!((route.is_read, &route.parameters["location"]), (true, &"l".to_owned()));
        for (method, path) in [
            ("PATCH", "/v1/projects/p/locations/l/clusters/c"),
            ("POST", "/v1/projects/p/locations/l/clusters/c:explode"),
            ("GET", "/v1/projects/p/locations/l/clusters/"),
            ("GET", "/v2/projects/p/locations/l/clusters"),
            ("GET", "/token"),
        ] {
            assert_eq!(called(method, path), None, "{method} {path}");
        }
    }
}
