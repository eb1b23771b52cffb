//! The first superadmin of an empty store.

use kqueen_domain::{
    name::{EmailAddress, Namespace, OrganizationName, Username},
    secret::Password,
};
use secrecy::ExposeSecret;

use super::{secret_key::is_well_known, settings::Settings, value};

const MIN_PASSWORD_LENGTH: usize = 8;
/// Minimum number of characters besides well-known words.
const MIN_OTHER_CHARACTERS: usize = 4;

/// The superadmin to create, with its organization.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    /// The user name.
    pub username: Username,
    /// The password.
    pub password: Password,
    /// The e-mail address.
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
        if !dev_mode && (text.chars().count() < MIN_PASSWORD_LENGTH || is_well_known(text, MIN_OTHER_CHARACTERS)) {
            let wrong = "is short or easy to guess";
            settings.reject("bootstrap.admin_password", wrong, "use at least 8 characters that are hard to guess");
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
