//! Which paths there are and which methods they take: for 404, 405, OPTIONS, and the endpoint's name in metrics.

use std::collections::{BTreeMap, HashMap};

use poem::http::Method;
use serde_json::Value;

use super::{API, parameters::Parameters};
use crate::metrics::RouteMetrics;

/// A path with places for ids.
#[derive(Debug)]
pub struct Route {
    /// Counts its requests, under the path as the document writes it: `/api/v1/clusters/{id}`.
    pub metrics: RouteMetrics,
    /// The methods it takes, for the `Allow` header.
    pub allow: String,
    /// The methods, with the query parameters of those the document describes.
    methods: BTreeMap<&'static str, Option<Parameters>>,
    /// `None` stands for a place for an id.
    segments: Vec<Option<String>>,
}

impl Route {
    fn new(template: &str) -> Self {
        let segment = |text: &str| (!text.starts_with('{')).then(|| text.to_owned());
        let segments = template.split('/').map(segment).collect();
        Self { metrics: RouteMetrics::of(template), allow: String::new(), methods: BTreeMap::new(), segments }
    }

    fn add(&mut self, method: &'static str, parameters: Option<Parameters>) {
        self.methods.insert(method, parameters);
        if method == "GET" {
            self.methods.insert("HEAD", None);
        }
        self.methods.insert("OPTIONS", None);
        self.allow = self.methods.keys().copied().collect::<Vec<_>>().join(", ");
    }

    /// Whether the path takes that method.
    #[must_use]
    pub fn takes(&self, method: &Method) -> bool {
        self.methods.contains_key(method.as_str())
    }

    /// The query parameters of a method the document describes.
    #[must_use]
    pub fn parameters(&self, method: &Method) -> Option<&Parameters> {
        self.methods.get(method.as_str())?.as_ref()
    }

    fn matches(&self, path: &str) -> bool {
        let mut parts = path.split('/');
        let all = self.segments.iter().all(|segment| {
            parts.next().is_some_and(|part| segment.as_ref().map_or(!part.is_empty(), |segment| segment == part))
        });
        all && parts.next().is_none()
    }
}

/// Every path that is served.
#[derive(Debug)]
pub struct Routes {
    /// Those without places for ids, by path.
    fixed: HashMap<String, Route>,
    /// The others by number of segments, those with fewer places first.
    by_length: HashMap<usize, Vec<Route>>,
    /// Those that take every path below them that nothing else takes, the longest first, each with where it begins.
    below: Vec<(String, Route)>,
    /// Counts requests for all other paths.
    pub unknown: RouteMetrics,
}

impl Routes {
    /// The paths of the OpenAPI document below `/api/v1`, and `others` that take GET. One of `others` that ends in `/*` takes every path
    /// below it that no other route takes; below `/api` there is no such path.
    #[must_use]
    pub fn new(document: &Value, others: &[&str]) -> Self {
        let mut fixed = HashMap::new();
        let mut by_length: HashMap<usize, Vec<Route>> = HashMap::new();
        let mut add = |route: Route| {
            if route.segments.iter().all(Option::is_some) {
                fixed.insert(route.metrics.endpoint.clone(), route);
            } else {
                by_length.entry(route.segments.len()).or_default().push(route);
            }
        };
        for (path, operations) in document["paths"].as_object().into_iter().flatten() {
            let mut route = Route::new(format!("{API}{path}").trim_end_matches('/'));
            for (key, method) in
                [("get", "GET"), ("post", "POST"), ("patch", "PATCH"), ("delete", "DELETE"), ("put", "PUT")]
            {
                if !operations[key].is_null() {
                    route.add(method, Some(Parameters::declared(document, &operations[key])));
                }
            }
            add(route);
        }
        let mut below = Vec::new();
        for path in others {
            let mut route = Route::new(path);
            route.add("GET", None);
            match path.strip_suffix('*') {
                Some(prefix) => below.push((prefix.to_owned(), route)),
                None => add(route),
            }
        }
        below.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        for routes in by_length.values_mut() {
            routes.sort_by_key(|route| route.segments.iter().filter(|segment| segment.is_none()).count());
        }
        Self { fixed, by_length, below, unknown: RouteMetrics::of("unknown") }
    }

    /// The route of a path that ends without a slash.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Route> {
        self.fixed.get(path).or_else(|| self.with_places(path)).or_else(|| self.below(path))
    }

    fn with_places(&self, path: &str) -> Option<&Route> {
        let length = path.bytes().filter(|byte| *byte == b'/').count() + 1;
        self.by_length.get(&length)?.iter().find(|route| route.matches(path))
    }

    fn below(&self, path: &str) -> Option<&Route> {
        if path == "/api" || path.starts_with("/api/") {
            return None;
        }
        self.below.iter().find(|(prefix, _)| path.starts_with(prefix.as_str())).map(|(_, route)| route)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_finds_its_template() {
        let operations = json!({"get": {}, "patch": {}});
        let document =
            json!({"paths": {"/": operations, "/clusters/{id}": operations, "/clusters/health": {"get": {}}}});
        let routes = Routes::new(&document, &["/metrics", "/"]);
        let template = |path: &str| routes.find(path).map(|route| route.metrics.endpoint.as_str());
        assert_eq!(template("/api/v1/clusters/health"), Some("/api/v1/clusters/health"));
        assert_eq!(template("/api/v1/clusters/x"), Some("/api/v1/clusters/{id}"));
        assert_eq!(template("/api/v1"), Some("/api/v1"));
        assert_eq!(template("/metrics"), Some("/metrics"));
        for unknown in ["/api/v1/clusters", "/api/v1/clusters/", "/api/v1/clusters/x/y", "/nothing", ""] {
            assert_eq!(template(unknown), None, "{unknown}");
        }
        let console = Routes::new(&document, &["/*", "/metrics", "/assets/*"]);
        for (path, template) in [
            ("/", Some("/*")),
            ("/clusters/x/y", Some("/*")),
            ("/assets/logo.svg", Some("/assets/*")),
            ("/metrics", Some("/metrics")),
            ("/apis", Some("/*")),
            ("/api", None),
            ("/api/v1/nothing", None),
            ("/api/v1/clusters/x", Some("/api/v1/clusters/{id}")),
        ] {
            assert_eq!(console.find(path).map(|route| route.metrics.endpoint.as_str()), template, "{path}");
        }
        assert_eq!(routes.find("/api/v1/clusters/x").unwrap().allow, "GET, HEAD, OPTIONS, PATCH");
    }
}
