//! The known paths and their methods: for 404, 405, OPTIONS, and the endpoint's name in metrics.

use std::collections::{BTreeMap, HashMap};

use poem::http::Method;
use serde_json::Value;

use super::{API, parameters::Parameters};
use crate::metrics::RouteMetrics;

/// A path template.
#[derive(Debug)]
pub struct Route {
    /// Its metrics, named by the template as in the document: `/api/v1/clusters/{id}`.
    pub metrics: RouteMetrics,
    /// The supported methods, for the `Allow` header.
    pub allow: String,
    /// The supported methods, with the query parameters of those in the document.
    methods: BTreeMap<&'static str, Option<Parameters>>,
    /// The segments; `None` is a placeholder for an id.
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

    /// Whether the path supports a method.
    #[must_use]
    pub fn allows(&self, method: &Method) -> bool {
        self.methods.contains_key(method.as_str())
    }

    /// The query parameters of a method that is in the document.
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

/// All paths that are served.
#[derive(Debug)]
pub struct Routes {
    /// Paths without placeholders.
    fixed: HashMap<String, Route>,
    /// Paths with placeholders by number of segments, those with fewer placeholders first.
    by_length: HashMap<usize, Vec<Route>>,
    /// Catch-all routes with their prefixes, the longest prefix first.
    catch_all: Vec<(String, Route)>,
    /// Metrics of requests for unknown paths.
    pub unknown: RouteMetrics,
}

impl Routes {
    /// The paths of the OpenAPI document below `/api/v1`, and `others`, which support GET. One of `others` that ends in `/*` matches every
    /// path below it that no other route matches, except below `/api`.
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
        let mut catch_all = Vec::new();
        for path in others {
            let mut route = Route::new(path);
            route.add("GET", None);
            match path.strip_suffix('*') {
                Some(prefix) => catch_all.push((prefix.to_owned(), route)),
                None => add(route),
            }
        }
        catch_all.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        for routes in by_length.values_mut() {
            routes.sort_by_key(|route| route.segments.iter().filter(|segment| segment.is_none()).count());
        }
        Self { fixed, by_length, catch_all, unknown: RouteMetrics::of("unknown") }
    }

    /// The route of a path without a trailing slash.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Route> {
        self.fixed.get(path).or_else(|| self.with_placeholders(path)).or_else(|| self.catch_all(path))
    }

    fn with_placeholders(&self, path: &str) -> Option<&Route> {
        let length = path.bytes().filter(|byte| *byte == b'/').count() + 1;
        self.by_length.get(&length)?.iter().find(|route| route.matches(path))
    }

    fn catch_all(&self, path: &str) -> Option<&Route> {
        if path == "/api" || path.starts_with("/api/") {
            return None;
        }
        self.catch_all.iter().find(|(prefix, _)| path.starts_with(prefix.as_str())).map(|(_, route)| route)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_matches_its_template() {
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
