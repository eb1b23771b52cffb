//! The requests that are measured.

use std::sync::Arc;

use kqueen_tests::bench::{
    fill::{MEMBER, PASSWORD},
    load::{Requests, request},
    options::Options,
};
use serde_json::json;

use crate::installation::Installation;

/// One case that is measured.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) requests: Requests,
    pub(crate) ceiling: Ceiling,
}

/// What a case is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ceiling {
    /// A bare handler that returns the same bytes; on etcd after a shared read, if the product makes one.
    Bare {
        fresh: bool,
    },
    /// The password hash.
    Hash,
    /// The raw transaction.
    CreateProvisioner,
    CreateCluster,
}

/// The names of cases, by which results are judged.
pub(crate) const LIST_PAGE: &str = "list page";
pub(crate) const LIST_FILTERED: &str = "list page, filtered";
pub(crate) const LIST_SORTED: &str = "list page, sorted";
pub(crate) const LIST_LAST: &str = "list page, last";
pub(crate) const LIST_MEMBER: &str = "list page of a member";
pub(crate) const LIST_FULL: &str = "list of 1,000";
pub(crate) const GET: &str = "get";
pub(crate) const GET_ANY: &str = "get, any cluster";
pub(crate) const WHOAMI: &str = "whoami";
pub(crate) const METRICS: &str = "metrics";
pub(crate) const AUTH: &str = "auth";
pub(crate) const CREATE_PROVISIONER: &str = "create provisioner";
pub(crate) const CREATE_CLUSTER: &str = "create cluster";

/// Everything that can be measured.
pub(crate) const NAMES: [&str; 13] = [
    LIST_PAGE,
    LIST_FILTERED,
    LIST_SORTED,
    LIST_LAST,
    LIST_MEMBER,
    LIST_FULL,
    GET,
    GET_ANY,
    WHOAMI,
    METRICS,
    AUTH,
    CREATE_PROVISIONER,
    CREATE_CLUSTER,
];

/// How many clusters [`GET`] reads in turn: as many as the service of 2018 was measured with.
const READ_AGAIN: usize = 1000;

/// The cases that only read.
pub(crate) fn reads(installation: &Installation, options: &Options) -> Vec<Case> {
    let get = |token: &str, path: &str| request("GET", path, Some(token), None);
    let superadmin = |query: &str| {
        let path = format!("/api/v1/clusters?all_namespaces=true&{query}");
        Requests::same(get(&installation.tokens.superadmin, &path))
    };
    let clusters = |number: usize| {
        let step = (installation.filled.clusters.len() / number).max(1);
        let sample = installation.filled.clusters.iter().step_by(step).take(number);
        let requests = sample.map(|id| get(&installation.tokens.superadmin, &format!("/api/v1/clusters/{id}")));
        Requests::InTurn(Arc::new(requests.collect()))
    };
    let last = installation.size.saturating_sub(20);
    let member = |path: &str| Requests::same(get(&installation.tokens.member, path));
    let all = [
        (LIST_PAGE, superadmin("offset=0")),
        (LIST_FILTERED, superadmin("offset=0&name=staging-7")),
        (LIST_SORTED, superadmin("offset=0&sortby=name")),
        (LIST_LAST, superadmin(&format!("offset={last}"))),
        (LIST_MEMBER, member("/api/v1/clusters?offset=0")),
        (LIST_FULL, superadmin("limit=1000")),
        (GET, clusters(READ_AGAIN)),
        (GET_ANY, clusters(installation.size)),
        (WHOAMI, member("/api/v1/users/whoami")),
        (METRICS, Requests::same(request("GET", "/metrics", None, None))),
    ];
    let case = |(name, requests)| Case { name, requests, ceiling: Ceiling::Bare { fresh: name != METRICS } };
    all.into_iter().map(case).filter(|case| options.wants(case.name)).collect()
}

/// The cases that take longer: a password hash, or a durable write.
pub(crate) fn writes(installation: &Installation, options: &Options) -> Vec<Case> {
    let credentials = json!({"username": MEMBER, "password": PASSWORD}).to_string();
    let log_in = request("POST", "/api/v1/auth", None, Some(&credentials));
    let create = |kind: &str, token: &str, body: serde_json::Value| {
        Requests::Numbered(request("POST", &format!("/api/v1/{kind}"), Some(token), Some(&body.to_string())))
    };
    let provisioner = create("provisioners", &installation.tokens.admin, Installation::new_provisioner());
    let cluster = create("clusters", &installation.tokens.member, installation.new_cluster());
    let all = [
        Case { name: AUTH, requests: Requests::same(log_in), ceiling: Ceiling::Hash },
        Case { name: CREATE_PROVISIONER, requests: provisioner, ceiling: Ceiling::CreateProvisioner },
        Case { name: CREATE_CLUSTER, requests: cluster, ceiling: Ceiling::CreateCluster },
    ];
    all.into_iter().filter(|case| options.wants(case.name)).collect()
}
