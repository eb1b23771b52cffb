//! The REST API, version 1: one module per resource with thin handlers; shapes are in [`dto`], errors in [`crate::error`].

pub mod body;
pub mod document;
pub mod dto;
mod header;
mod json;
pub mod live;
pub mod page;
pub mod read_only;
pub mod rendered;
pub mod security;
pub mod view_cache;
pub mod views;

mod auth;
mod clusters;
mod configuration;
mod events;
mod no_body;
mod operations;
mod organizations;
mod orphans;
mod provisioners;
mod service;
mod users;

use std::sync::Arc;

use kqueen_domain::{
    port::store::ReadBarrier,
    revision::Revision,
    service::{
        Expected,
        clusters::{Clusters, orphans::Orphans},
        people::{organizations::Organizations, sessions::Sessions, users::Users},
        provisioners::Provisioners,
    },
};
use poem::{EndpointExt, endpoint::BoxEndpoint, web::Data};
use poem_openapi::{LicenseObject, OpenApiService, ServerObject, Tags};

use crate::error::ApiError;
use body::Body;
pub use document::document;
use live::LiveReads;
use views::Views;

use crate::{config::Auth, events::Events, http::API, worker::trigger::Trigger};

/// Everything the handlers use.
#[derive(Clone)]
pub struct Api {
    /// Logging in.
    pub sessions: Arc<Sessions>,
    /// Organizations.
    pub organizations: Arc<Organizations>,
    /// Users.
    pub users: Arc<Users>,
    /// Provisioners.
    pub provisioners: Arc<Provisioners>,
    /// Clusters.
    pub clusters: Arc<Clusters>,
    /// Resources that may be left at providers without a cluster.
    pub orphans: Arc<Orphans>,
    /// Event streams.
    pub events: Arc<Events>,
    /// Live views of clusters.
    pub live: Arc<LiveReads>,
    /// Checks whether the store is available.
    pub read_barrier: Arc<dyn ReadBarrier>,
    /// Renders objects.
    pub views: Arc<Views>,
    /// Triggers reconciles.
    pub trigger: Trigger,
    /// Whether a list of clusters triggers reconciles of those it shows.
    pub trigger_on_list: bool,
    /// Authentication methods.
    pub auth: Arc<Auth>,
    /// The OpenAPI document.
    pub document: Arc<str>,
}

/// Groups of operations.
#[derive(Tags)]
enum Tag {
    /// Logging in.
    Auth,
    /// Create or attach, observe, change and delete clusters.
    Clusters,
    /// The configuration of this installation.
    Configuration,
    /// The stream of changes to clusters, operations and provisioners.
    Events,
    /// Operations on clusters, and how to cancel, retry or abandon them.
    Operations,
    /// Organizations and their policies.
    Organizations,
    /// Resources that may be left at providers without a cluster.
    Orphans,
    /// Provisioners: engines with credentials and settings.
    Provisioners,
    /// Health of the service, and its API document.
    Service,
    /// Users: people and programs with an account.
    Users,
}

/// Grouped, because the framework supports at most 16 types in a tuple.
type Handlers = (
    (service::ServiceApi, auth::AuthApi),
    (clusters::ClustersApi, operations::OperationsApi, orphans::OrphansApi, events::EventsApi),
    provisioners::ProvisionersApi,
    (organizations::OrganizationsApi, users::UsersApi),
    configuration::ConfigurationApi,
);

/// The handlers as a service of the framework.
fn openapi_service() -> OpenApiService<Handlers, ()> {
    let handlers = (
        (service::ServiceApi, auth::AuthApi),
        (clusters::ClustersApi, operations::OperationsApi, orphans::OrphansApi, events::EventsApi),
        provisioners::ProvisionersApi,
        (organizations::OrganizationsApi, users::UsersApi),
        configuration::ConfigurationApi,
    );
    OpenApiService::new(handlers, "KQueen", env!("CARGO_PKG_VERSION"))
        .description("Provisions, imports, operates and observes Kubernetes clusters for many organizations.")
        .license(LicenseObject::new("Apache-2.0").url("https://www.apache.org/licenses/LICENSE-2.0"))
        .server(ServerObject::new(API))
}

/// The interactive documentation as one self-contained page.
#[must_use]
pub fn documentation_page(document: &str) -> String {
    let service = openapi_service();
    crate::http::docs::page(&service.swagger_ui_html(), &service.spec(), document)
}

/// The endpoint of all paths under `/api/v1`. The handlers' paths include this prefix: stripping it would build a new URI for every
/// request.
#[must_use]
pub fn endpoint(api: Api) -> BoxEndpoint<'static> {
    openapi_service().data(Arc::new(api)).boxed()
}

/// The shared state of handlers, see [`endpoint`].
type State<'a> = Data<&'a Arc<Api>>;

/// The revision expected by `If-Match`: an entity tag, or `*` for any. Of several tags, the one of the current revision (`now`), if it is
/// among them: a record never returns to an earlier revision, so that no other tag can match later.
///
/// A weak tag (`W/"7"`) matches like a strong one, unlike in RFC 9110. The API sends only strong tags, but proxies that compress a response
/// weaken its tag, which still names the revision: otherwise nothing could be changed safely through such a proxy.
fn expected(if_match: Option<&str>, now: impl FnOnce() -> Option<Revision>) -> Expected {
    let text = if_match.map(str::trim).filter(|text| *text != "*")?;
    // A tag of another form was not sent by the API and matches no revision.
    let revision = |tag: &str| {
        let tag = tag.trim();
        let number = tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?;
        number.parse().ok().filter(|number| *number > 0).map(Revision)
    };
    let tags: Vec<Revision> = text.split(',').filter_map(revision).collect();
    Some(match tags[..] {
        [] => NEVER,
        [only] => only,
        _ => now().filter(|now| tags.contains(now)).unwrap_or(NEVER),
    })
}

/// A revision that no record ever has.
const NEVER: Revision = Revision(0);

/// The idempotency key of a creation, with a hash of the request.
fn idempotency_key<T>(
    key: Option<String>,
    body: &Body<T>,
) -> Result<Option<kqueen_domain::service::idempotency::IdempotencyKey>, ApiError> {
    let Some(key) = key else { return Ok(None) };
    if key.is_empty() || key.len() > 255 || !key.chars().all(|c| c.is_ascii_graphic()) {
        let message = "must have 1 to 255 visible ASCII characters";
        return Err(kqueen_domain::invalid::Invalid::field("Idempotency-Key", message).into());
    }
    Ok(Some(kqueen_domain::service::idempotency::IdempotencyKey { key, fingerprint: body.fields.hash() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_names_a_revision() {
        let at = |number| Some(Revision(number));
        let never = Some(NEVER);
        for (text, revision) in [
            ("*", None),
            (" * ", None),
            ("\"7\"", at(7)),
            (" \"8\" ", at(8)),
            ("\"6\", \"7\"", at(7)),
            ("\"7\",\"9\",\"nonsense\"", at(7)),
            ("\"a,b\", \"7\"", at(7)),
            ("\"6\", \"8\"", never),
            ("W/\"7\"", at(7)),
            (" W/\"8\" ", at(8)),
            ("W/\"6\", W/\"7\"", at(7)),
            ("\"6\", W/\"7\"", at(7)),
            ("W/\"6\", W/\"8\"", never),
            ("w/\"7\"", never),
            ("W/7", never),
            ("W/\"0\"", never),
            ("\"7\u{fffd}\"", never),
            ("7", never),
            ("\"0\"", never),
            ("\"-7\"", never),
            ("\"", never),
            ("", never),
        ] {
            assert_eq!(expected(Some(text), || at(7)), revision, "{text}");
        }
        assert_eq!(expected(None, || at(7)), None);
        assert_eq!(expected(Some("\"6\", \"7\""), || None), never, "it is deleted");
    }
}
