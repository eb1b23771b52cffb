//! The first superadmin of an empty store.

use kqueen_domain::{
    name::{EmailAddress, Namespace, OrganizationName, Username},
    secret::Password,
};
use secrecy::ExposeSecret;

use super::{secret_key::is_well_known, settings::Settings, value};

const SHORTEST_PASSWORD: usize = 8;
/// What has to be there besides well-known words.
const OWN_CHARACTERS: usize = 4;

/// A superadmin to be made, with the organization it belongs to.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    /// What the superadmin logs in with.
    pub username: Username,
    /// And its password.
    pub password: Password,
    /// Its address.
    pub email: Option<EmailAddress>,
    /// The organization's name.
    pub organization: OrganizationName,
    /// The organization's namespace.
    pub namespace: Namespace,
}

impl Bootstrap {
    pub(super) fn read(settings: &mut Settings, dev_mode: bool) -> Option<Option<Self>> {
        let username = settings.get("bootstrap.admin_username", value::checked);
        let email = settings.get("bootstrap.admin_email", value::optional_checked);
        let organization = settings.get("bootstrap.admin_organization", value::checked);
        let namespace = settings.get("bootstrap.admin_namespace", value::checked);
        let Some(password) = settings.secret("bootstrap.admin_password")? else { return Some(None) };
        let text = password.expose_secret();
        if !dev_mode && (text.chars().count() < SHORTEST_PASSWORD || is_well_known(text, OWN_CHARACTERS)) {
            let wrong = "is short or easy to guess";
            settings.refuse("bootstrap.admin_password", wrong, "set 8 characters or more that nobody can guess");
        }
        Some(Some(Self {
            username: username?,
            password: Password::new(text.to_owned()),
            email: email?,
            organization: organization?,
            namespace: namespace?,
        }))
    }
}
