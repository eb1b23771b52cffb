//! Facts about operations and bodies that the framework does not know.

/// The error statuses of an operation, and its list parameters.
pub(super) struct Facts {
    pub(super) operation: &'static str,
    pub(super) errors: &'static [u16],
    pub(super) list: Option<List>,
}

/// The query parameters of a list.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum List {
    /// All list parameters.
    Full,
    /// Those that apply to organizations and users.
    Named,
    /// The scope and the page.
    Part,
    /// Only the scope.
    Scope,
}

/// Operations without the common errors: all others return 401 without a valid token, and 503 while the store is unavailable.
pub(super) const OPEN: &[&str] = &["index", "health", "ready", "auth", "swagger"];

const fn facts(operation: &'static str, errors: &'static [u16]) -> Facts {
    Facts { operation, errors, list: None }
}

const fn list(operation: &'static str, errors: &'static [u16], list: List) -> Facts {
    Facts { operation, errors, list: Some(list) }
}

pub(super) const FACTS: &[Facts] = &[
    facts("index", &[]),
    facts("health", &[]),
    facts("ready", &[503]),
    facts("swagger", &[]),
    facts("auth", &[400, 401, 413, 415, 422, 429, 503]),
    facts("configuration_auth", &[]),
    list("cluster_list", &[403, 422], List::Full),
    facts("cluster_create", &[400, 403, 409, 413, 415, 422]),
    list("cluster_health", &[403, 422], List::Scope),
    facts("cluster_get", &[404]),
    facts("cluster_update", &[400, 403, 404, 409, 412, 413, 415, 422]),
    facts("cluster_delete", &[403, 404, 409, 412]),
    facts("cluster_status", &[404, 409, 429, 502, 504]),
    facts("cluster_topology", &[404, 409, 429, 502, 504]),
    facts("cluster_kubeconfig", &[403, 404, 409]),
    facts("cluster_progress", &[404, 409]),
    facts("cluster_resize", &[400, 403, 404, 409, 412, 413, 415, 422]),
    facts("cluster_set_network_policy", &[400, 403, 404, 409, 412, 413, 415, 422]),
    facts("cluster_retry", &[400, 403, 404, 409, 413, 415, 422]),
    facts("cluster_forget", &[400, 403, 404, 409, 412, 413, 415, 422]),
    facts("cluster_timeline", &[404, 422]),
    facts("operation_list", &[404]),
    facts("operation_get", &[404]),
    facts("operation_cancel", &[400, 403, 404, 409, 413, 415, 422]),
    list("orphan_list", &[403, 422], List::Part),
    facts("orphan_delete", &[400, 403, 404, 409, 413, 415, 422]),
    facts("orphan_ignore", &[400, 403, 404, 409, 413, 415, 422]),
    facts("event_stream", &[406, 429]),
    list("provisioner_list", &[403, 422], List::Full),
    facts("provisioner_create", &[400, 403, 409, 413, 415, 422]),
    facts("engine_list", &[]),
    list("provisioner_health", &[403, 422], List::Scope),
    facts("provisioner_form", &[403, 404, 409, 422]),
    facts("provisioner_get", &[404]),
    facts("provisioner_update", &[400, 403, 404, 409, 412, 413, 415, 422]),
    facts("provisioner_delete", &[403, 404, 409, 412]),
    list("organization_list", &[403, 422], List::Named),
    facts("organization_create", &[400, 403, 409, 413, 415, 422]),
    facts("organization_get", &[404]),
    facts("organization_update", &[400, 403, 404, 409, 412, 413, 415, 422]),
    facts("organization_delete", &[403, 404, 409, 412]),
    facts("organization_policy_get", &[404]),
    facts("organization_policy_update", &[400, 403, 404, 409, 412, 413, 415, 422]),
    facts("organization_deletable", &[403, 404]),
    list("user_list", &[403, 422], List::Named),
    facts("user_create", &[400, 403, 409, 413, 415, 422]),
    facts("user_whoami", &[]),
    facts("user_get", &[404]),
    facts("user_update", &[400, 403, 404, 409, 412, 413, 415, 422]),
    facts("user_delete", &[403, 404, 409, 412]),
    facts("user_update_password", &[400, 403, 404, 409, 412, 413, 415, 422]),
];

/// The schemas of request bodies.
pub(super) const BODIES: &[&str] = &[
    "ClusterCreate",
    "ClusterUpdate",
    "Credentials",
    "NetworkPolicy",
    "OrganizationCreate",
    "OrganizationUpdate",
    "PasswordUpdate",
    "ProvisionerCreate",
    "ProvisionerUpdate",
    "Resize",
    "UserCreate",
    "UserUpdate",
];
