//! What else the program talks to: a mail server, and the Jenkins a Jenkins provisioner starts from.

use std::collections::BTreeMap;

use kqueen_domain::secret::SecretMap;
use secrecy::SecretString;
use url::Url;

use super::{settings::Settings, value};

/// Where mail is handed in.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Its host.
    pub server: String,
    /// Its port.
    pub port: u16,
}

impl Mail {
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        let server = settings.get("mail.server", value::text);
        let port = settings.get("mail.port", value::number(1..=u16::MAX));
        Some(Self { server: server?, port: port? })
    }
}

/// A Jenkins job and the parameters every run of it gets.
#[derive(Debug, Clone)]
pub struct JenkinsJob {
    /// Its name, with its folders.
    pub name: String,
    /// Parameters; they may hold passwords.
    pub context: SecretMap,
}

/// What a Jenkins provisioner starts from.
#[derive(Debug, Clone)]
pub struct Jenkins {
    /// Its address.
    pub api_url: Option<Url>,
    /// User.
    pub username: Option<String>,
    /// Password or token.
    pub password: Option<SecretString>,
    /// The job's parameter that tells one cluster's runs from the others'.
    pub anchor_parameter: String,
    /// Makes a cluster.
    pub provision: JenkinsJob,
    /// Takes one down.
    pub deprovision: JenkinsJob,
    /// Our parameter -> the job's.
    pub parameter_map: BTreeMap<String, String>,
}

impl Jenkins {
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        let api_url = settings.get("jenkins.api_url", value::optional_url(&["https", "http"]));
        let username = settings.get("jenkins.username", value::optional_text);
        let password = settings.secret("jenkins.password");
        let anchor_parameter = settings.get("jenkins.anchor_parameter", value::text);
        let provision_name = settings.get("jenkins.provision_job_name", value::text);
        let provision_context = settings.get("jenkins.provision_job_ctx", value::object);
        let deprovision_name = settings.get("jenkins.deprovision_job_name", value::text);
        let deprovision_context = settings.get("jenkins.deprovision_job_ctx", value::object);
        let parameter_map = settings.get("jenkins.parameter_map", value::renames);
        Some(Self {
            api_url: api_url?,
            username: username?,
            password: password?,
            anchor_parameter: anchor_parameter?,
            provision: JenkinsJob { name: provision_name?, context: provision_context?.into() },
            deprovision: JenkinsJob { name: deprovision_name?, context: deprovision_context?.into() },
            parameter_map: parameter_map?,
        })
    }
}
