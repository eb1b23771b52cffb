//! External services: the mail server, and the defaults of Jenkins provisioners.

use std::collections::BTreeMap;

use kqueen_domain::secret::SecretMap;
use secrecy::SecretString;
use url::Url;

use super::{settings::Settings, value};

/// The mail server.
#[derive(Debug, Clone)]
pub struct Mail {
    /// The host.
    pub server: String,
    /// The port.
    pub port: u16,
}

impl Mail {
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        let server = settings.get("mail.server", value::text);
        let port = settings.get("mail.port", value::number(1..=u16::MAX));
        Some(Self { server: server?, port: port? })
    }
}

/// A Jenkins job and the parameters of every run.
#[derive(Debug, Clone)]
pub struct JenkinsJob {
    /// The name, including folders.
    pub name: String,
    /// Parameters, which may contain passwords.
    pub context: SecretMap,
}

/// Defaults of Jenkins provisioners.
#[derive(Debug, Clone)]
pub struct Jenkins {
    /// The address of Jenkins.
    pub api_url: Option<Url>,
    /// The user name.
    pub username: Option<String>,
    /// The password or API token.
    pub password: Option<SecretString>,
    /// The job parameter that identifies the cluster of a run.
    pub anchor_parameter: String,
    /// The job that creates a cluster.
    pub provision: JenkinsJob,
    /// The job that deletes a cluster.
    pub deprovision: JenkinsJob,
    /// KQueen's parameter name -> the job's parameter name.
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
