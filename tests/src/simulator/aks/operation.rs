//! Operations: what is under way with a cluster, and how it shows.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{cluster::ClusterName, error};
use crate::simulator::{
    call::{Call, Reply},
    fault::Doom,
    provider::Moment,
};

/// What an operation does when it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Effect {
    Create,
    Update,
    Upgrade,
    Tags,
    Delete,
    Stop,
    Start,
    Rotate,
    /// Another operation is ended where it is.
    Abort(String),
    CreatePool(String),
    ScalePool(String),
    UpdatePool(String),
    UpgradePool(String),
    DeletePool(String),
}

impl Effect {
    /// What a cluster or pool shows while it is under way, and how long that takes at the real provider, as far as minutes matter.
    fn kind(&self) -> (&'static str, TimeDelta) {
        match self {
            Self::Create => ("Creating", TimeDelta::minutes(5)),
            Self::Update => ("Updating", TimeDelta::minutes(2)),
            Self::Upgrade => ("Upgrading", TimeDelta::minutes(8)),
            Self::Tags => ("Updating", TimeDelta::seconds(20)),
            Self::Delete => ("Deleting", TimeDelta::minutes(4)),
            Self::Stop => ("Stopping", TimeDelta::minutes(2)),
            Self::Start => ("Starting", TimeDelta::minutes(3)),
            Self::Rotate => ("RotatingClusterCertificates", TimeDelta::minutes(10)),
            Self::Abort(_) => ("Canceling", TimeDelta::seconds(30)),
            Self::CreatePool(_) => ("Creating", TimeDelta::minutes(2)),
            Self::ScalePool(_) => ("Scaling", TimeDelta::seconds(90)),
            Self::UpdatePool(_) => ("Updating", TimeDelta::seconds(60)),
            Self::UpgradePool(_) => ("Upgrading", TimeDelta::minutes(5)),
            Self::DeletePool(_) => ("Deleting", TimeDelta::seconds(90)),
        }
    }

    pub(super) fn state(&self) -> &'static str {
        self.kind().0
    }

    pub(super) fn takes(&self) -> TimeDelta {
        self.kind().1
    }

    /// The pool it is about, and not the whole cluster.
    pub(super) fn pool(&self) -> Option<&str> {
        match self {
            Self::CreatePool(pool)
            | Self::ScalePool(pool)
            | Self::UpdatePool(pool)
            | Self::UpgradePool(pool)
            | Self::DeletePool(pool) => Some(pool),
            Self::Create
            | Self::Update
            | Self::Upgrade
            | Self::Tags
            | Self::Delete
            | Self::Stop
            | Self::Start
            | Self::Rotate
            | Self::Abort(_) => None,
        }
    }

    /// What AKS calls it where it says that it is under way.
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Upgrade => "upgrade",
            Self::Delete => "delete",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Rotate => "rotate certificates",
            Self::Abort(_) => "abort",
            Self::Update
            | Self::Tags
            | Self::CreatePool(_)
            | Self::ScalePool(_)
            | Self::UpdatePool(_)
            | Self::UpgradePool(_)
            | Self::DeletePool(_) => "update",
        }
    }
}

/// What has become of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    Succeeded,
    /// Code and words.
    Failed(String, String),
    Canceled,
}

/// An operation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) cluster: ClusterName,
    pub(super) location: String,
    pub(super) effect: Effect,
    pub(super) started: DateTime<Utc>,
    /// When it is, or was, done.
    pub(super) ends: DateTime<Utc>,
    pub(super) outcome: Option<Outcome>,
    pub(super) doom: Option<Doom>,
    /// What its status says while it is under way, if not the usual words.
    pub(super) word: Option<String>,
}

/// How long callers are told to wait, where nothing is made faster than it is.
const WAIT: TimeDelta = TimeDelta::seconds(10);

/// As many seconds as that is here, and never none.
fn retry_after(moment: &Moment) -> String {
    let wait = (moment.after(WAIT) - moment.now).num_milliseconds();
    ((wait + 999) / 1_000).max(1).to_string()
}

impl Operation {
    /// Why it fails, in Azure's words: code and message.
    pub(super) fn failure(&self) -> Option<(String, String)> {
        let Doom { code, message, .. } = self.doom.as_ref()?;
        let (code, usual) = match code.as_str() {
            "" => ("InternalOperationError", "Internal server error".to_owned()),
            "AllocationFailed" => (
                "AllocationFailed",
                "Allocation failed. We do not have sufficient capacity for the requested VM size in this region. Read \
                 more about improving likelihood of allocation success at http://aka.ms/allocation-guidance"
                    .to_owned(),
            ),
            "QuotaExceeded" => (
                "QuotaExceeded",
                format!(
                    "Operation could not be completed as it results in exceeding approved Total Regional Cores quota. \
                     Additional details - Deployment Model: Resource Manager, Location: {}, Current Limit: 10, Current \
                     Usage: 10, Additional Required: 2, (Minimum) New Limit Required: 12.",
                    self.location
                ),
            ),
            "VMExtensionProvisioningError" => (
                "VMExtensionProvisioningError",
                "VM has reported a failure when processing extension 'vmssCSE' (publisher 'Microsoft.Azure.Extensions' \
                 and type 'CustomScript'). Error message: \"Enable failed: failed to execute command: command terminated \
                 with exit status=50\". More information on troubleshooting is available at \
                 https://aka.ms/aks-required-ports-and-addresses"
                    .to_owned(),
            ),
            other => (other, "Internal server error".to_owned()),
        };
        Some((code.to_owned(), if message.is_empty() { usual } else { message.clone() }))
    }

    /// What its status says. Words that no documentation names mean that it is under way.
    fn status(&self, now: DateTime<Utc>) -> String {
        match (&self.outcome, &self.word) {
            (Some(Outcome::Succeeded), _) => "Succeeded".to_owned(),
            (Some(Outcome::Failed(..)), _) => "Failed".to_owned(),
            (Some(Outcome::Canceled), _) => "Canceled".to_owned(),
            (None, Some(word)) => word.clone(),
            (None, None) => {
                let whole = (self.ends - self.started).num_milliseconds().max(1);
                let percent = (now - self.started).num_milliseconds() * 100 / whole;
                let is_control_plane = self.effect == Effect::Create && (20..70).contains(&percent);
                if is_control_plane { "ProvisionControlPlane".to_owned() } else { "InProgress".to_owned() }
            }
        }
    }

    /// As the API shows it.
    pub(super) fn to_json(&self, now: DateTime<Utc>) -> Value {
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let mut shown = json!({"name": self.id, "status": self.status(now), "startTime": time(self.started)});
        match &self.outcome {
            None => return shown,
            Some(Outcome::Succeeded) => {}
            Some(Outcome::Failed(code, message)) => {
                shown["error"] = error::detail(&(code.clone(), message.clone()));
            }
            Some(Outcome::Canceled) => {
                let message = "The operation was canceled by a later abort request.";
                shown["error"] = error::detail(&("OperationCanceled".to_owned(), message.to_owned()));
            }
        }
        shown["endTime"] = time(self.ends).into();
        shown
    }

    fn url(&self, origin: &str, kind: &str) -> String {
        format!(
            "{origin}/subscriptions/{}/providers/Microsoft.ContainerService/locations/{}/{kind}/{}?api-version=2025-03-01",
            self.cluster.subscription, self.location, self.id
        )
    }

    /// An answer that says where to ask how the operation is.
    pub(super) fn polled(&self, call: &Call, moment: &Moment, status: u16, body: Option<Value>) -> Reply {
        let origin = &call.request.origin;
        let reply = body.map_or_else(|| Reply::empty(status), |body| Reply::json(status, body));
        let reply = reply.header("azure-asyncoperation", self.url(origin, "operations"));
        let reply = if status == 202 { reply.header("location", self.url(origin, "operationresults")) } else { reply };
        reply.header("retry-after", retry_after(moment))
    }

    /// The answer to who asks how it is.
    pub(super) fn shown(&self, moment: &Moment) -> Reply {
        let reply = Reply::ok(self.to_json(moment.now));
        if self.outcome.is_none() { reply.header("retry-after", retry_after(moment)) } else { reply }
    }

    /// The answer to who asks for what it came to.
    pub(super) fn result(&self, call: &Call, moment: &Moment) -> Reply {
        match &self.outcome {
            None => self.polled(call, moment, 202, None),
            Some(Outcome::Succeeded) => Reply::empty(204),
            Some(Outcome::Failed(code, message)) => error::aks(400, code, message.clone()),
            Some(Outcome::Canceled) => error::aks(409, "OperationCanceled", "The operation was canceled."),
        }
    }
}
