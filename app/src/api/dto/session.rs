//! Login.

use kqueen_domain::{invalid::Invalid, secret::Password};
use poem_openapi::Object;
use serde::Serialize;

use crate::api::body::Body;

/// A user name and a password.
#[derive(Object)]
pub struct Credentials {
    /// The user name.
    #[oai(validator(max_length = 1024))]
    pub username: String,
    /// The password.
    #[oai(validator(max_length = 1024))]
    pub password: String,
}

/// A token for requests to the API.
#[derive(Serialize, Object)]
pub struct Token {
    /// The token. Send it as `Authorization: Bearer <token>`.
    pub access_token: String,
}

impl Body<Credentials> {
    /// Parses user name and password.
    ///
    /// # Errors
    /// All invalid fields.
    pub fn read(self) -> Result<(String, Password), Invalid> {
        let mut fields = self.fields;
        let username: Option<String> = fields.required_text("username");
        let password = fields.required_text::<String>("password").map(Password::new);
        let texts = [("username", username.as_deref()), ("password", password.as_ref().map(Password::expose))];
        for (name, text) in texts {
            if text.is_some_and(|text| text.len() > 4096) {
                fields.wrong(name, "is too long");
            }
        }
        fields.finish(username.zip(password))
    }
}
