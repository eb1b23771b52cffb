//! What goes wrong, at which call.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::call::{Body, Call, Reply};

/// What the call itself does while its answer goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acts {
    /// It never takes effect.
    #[default]
    Never,
    /// It has taken effect before anything goes wrong.
    First,
    /// It takes effect so many seconds later, when nobody waits for its answer any more.
    Later(i64),
}

/// How late a call is that takes effect after its connection was cut, in seconds.
pub const LATE: i64 = 60;

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The connection is cut instead of an answer.
    Cut(Acts),
    /// No answer comes, and the connection stays open.
    Hang(Acts),
    /// This comes instead of the answer.
    Answers(Trouble, Acts),
    /// What is read is as it was before the last change.
    Stale,
    /// It is accepted, and fails afterwards.
    Doomed(Doom),
    /// The caller's process is to end here: the test is told, and no answer comes.
    CallerDies(Acts),
}

/// Why an operation fails that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Doom {
    /// The provider's code; empty for the one it gives when something went wrong inside.
    pub code: String,
    /// The provider's words; empty for those that go with the code.
    pub message: String,
    /// Whether part of what was to be made is there all the same.
    pub leaves_half: bool,
}

/// A wrong answer. The first group is given in the provider's own words, see [`Provider::trouble`](super::Provider::trouble), the
/// others are what stands in between.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// 400, by a provider that repeats the whole request, secrets included.
    BadRequest,
    /// 401
    Unauthenticated,
    /// 403, which names the permission that is lacking.
    Forbidden,
    /// 404: the project or resource group is not there. Nothing is said of the resource.
    ParentMissing,
    /// Something else is under way with this resource.
    Busy,
    /// The quota is used up.
    Quota,
    /// 429
    TooManyRequests(RetryAfter),
    /// 500
    Internal,
    /// 503
    Unavailable,

    /// 404 with a page for people, by something that knows nothing of the API.
    NoSuchRoute,
    /// 502, with a page for people.
    BadGateway,
    /// 503, with a page for people.
    Maintenance,
    /// 200, with a page for people.
    NotJson,
    /// 200, with nothing.
    EmptyBody,
    /// 200, with JSON that is something else.
    WrongShape,
    /// 200, with JSON that ends too early.
    TruncatedJson,
    /// 200, and the connection is cut in the middle of the body.
    HalfABody,
    /// Exactly this.
    Exactly {
        status: u16,
        #[serde(default)]
        headers: Vec<(String, String)>,
        body: String,
    },
}

/// How a provider says when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// Not at all.
    Untold,
    Seconds(u32),
    /// As an HTTP date, so many seconds from now.
    Date(u32),
}

impl Fault {
    /// One of every class that makes a difference to a caller.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::Stale, Self::Doomed(Doom::default())];
        for acts in [Acts::Never, Acts::First, Acts::Later(LATE)] {
            all.extend([Self::Cut(acts), Self::Hang(acts), Self::CallerDies(acts)]);
        }
        for trouble in Trouble::all() {
            all.push(Self::Answers(trouble.clone(), Acts::Never));
            if trouble.may_follow_success() {
                all.push(Self::Answers(trouble, Acts::First));
            }
        }
        all.push(Self::Answers(Trouble::BadGateway, Acts::Later(LATE)));
        all
    }

    /// What the call itself does.
    #[must_use]
    pub const fn acts(&self) -> Acts {
        match self {
            Self::Cut(acts) | Self::Hang(acts) | Self::Answers(_, acts) | Self::CallerDies(acts) => *acts,
            Self::Stale | Self::Doomed(_) => Acts::First,
        }
    }

    /// Whether it makes a difference at a call of that kind.
    #[must_use]
    pub const fn fits(&self, is_read: bool) -> bool {
        match self {
            Self::Stale => is_read,
            Self::Doomed(_) => !is_read,
            Self::Cut(_) | Self::Hang(_) | Self::Answers(..) | Self::CallerDies(_) => {
                matches!(self.acts(), Acts::Never) || !is_read
            }
        }
    }
}

impl Trouble {
    /// Every wrong answer that needs no further words.
    #[must_use]
    pub fn all() -> Vec<Self> {
        vec![
            Self::BadRequest,
            Self::Unauthenticated,
            Self::Forbidden,
            Self::ParentMissing,
            Self::Busy,
            Self::Quota,
            Self::TooManyRequests(RetryAfter::Untold),
            Self::TooManyRequests(RetryAfter::Seconds(0)),
            Self::TooManyRequests(RetryAfter::Seconds(17)),
            Self::TooManyRequests(RetryAfter::Date(17)),
            Self::Internal,
            Self::Unavailable,
            Self::NoSuchRoute,
            Self::BadGateway,
            Self::Maintenance,
            Self::NotJson,
            Self::EmptyBody,
            Self::WrongShape,
            Self::TruncatedJson,
            Self::HalfABody,
        ]
    }

    /// Whether a call that is answered like this may have taken effect.
    #[must_use]
    pub const fn may_follow_success(&self) -> bool {
        match self {
            Self::Internal
            | Self::Unavailable
            | Self::BadGateway
            | Self::NotJson
            | Self::EmptyBody
            | Self::WrongShape
            | Self::TruncatedJson
            | Self::HalfABody => true,
            Self::BadRequest
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::ParentMissing
            | Self::Busy
            | Self::Quota
            | Self::TooManyRequests(_)
            | Self::NoSuchRoute
            | Self::Maintenance
            | Self::Exactly { .. } => false,
        }
    }

    /// What is answered where it is not for the provider to find words. `answer` is the true answer, if the call has taken effect.
    #[must_use]
    pub fn reply(&self, answer: Option<&Reply>) -> Option<Reply> {
        let whole = || {
            let made_up = json!({"name": "nobody", "status": "RUNNING", "value": [], "items": []});
            answer.and_then(Reply::value).cloned().unwrap_or(made_up).to_string()
        };
        let half = |text: String| text.chars().take(text.chars().count() / 2).collect::<String>();
        let page = |title: &str| format!("<!DOCTYPE html><html><title>{title}</title><h1>{title}</h1></html>");
        Some(match self {
            Self::NoSuchRoute => Reply::page(404, page("Error 404 (Not Found)")),
            Self::BadGateway => Reply::page(502, page("502 Bad Gateway")),
            Self::Maintenance => Reply::page(503, page("We are down for maintenance")),
            Self::NotJson => Reply::page(200, page("Welcome!")),
            Self::EmptyBody => Reply::empty(200),
            Self::WrongShape => Reply::ok(json!({"result": ["something", 42, null]})),
            Self::TruncatedJson => {
                Reply { status: 200, headers: Vec::new(), body: Body::Text(half(whole()), "application/json") }
            }
            Self::HalfABody => Reply { status: 200, headers: Vec::new(), body: Body::Half(half(whole())) },
            Self::Exactly { status, headers, body } => {
                let json: Option<Value> = serde_json::from_str(body).ok();
                let body = json.map_or_else(|| Body::Text(body.clone(), "text/plain"), Body::Json);
                Reply { status: *status, headers: headers.clone(), body }
            }
            Self::BadRequest
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::ParentMissing
            | Self::Busy
            | Self::Quota
            | Self::TooManyRequests(_)
            | Self::Internal
            | Self::Unavailable => return None,
        })
    }
}

/// A fault and the calls it happens to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injection {
    /// The end of the names of the methods it happens to, whole words: `clusters.create` is
    /// `container.projects.locations.clusters.create`. All without it.
    #[serde(default)]
    pub call: Option<String>,
    /// Part of the path.
    #[serde(default)]
    pub path: Option<String>,
    /// Not the next such call, but the `nth` from now on; the first is 1.
    #[serde(default = "one")]
    pub nth: usize,
    /// So many such calls in a row.
    #[serde(default = "one")]
    pub times: usize,
    pub fault: Fault,
}

const fn one() -> usize {
    1
}

impl Injection {
    /// The next call of any kind.
    #[must_use]
    pub const fn any(fault: Fault) -> Self {
        Self { call: None, path: None, nth: 1, times: 1, fault }
    }

    /// The next call of that kind.
    #[must_use]
    pub fn on(call: &str, fault: Fault) -> Self {
        Self { call: Some(call.to_owned()), ..Self::any(fault) }
    }

    /// Only where this is part of the path.
    #[must_use]
    pub fn path(self, path: &str) -> Self {
        Self { path: Some(path.to_owned()), ..self }
    }

    /// Not the next such call, but the `nth` from now on; the first is 1.
    #[must_use]
    pub fn nth(self, nth: usize) -> Self {
        Self { nth, ..self }
    }

    /// So many such calls in a row.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// Every such call until the faults are cleared.
    #[must_use]
    pub fn until_cleared(self) -> Self {
        self.times(usize::MAX)
    }

    fn is_about(&self, call: &Call) -> bool {
        let kind = call.kind();
        let names =
            |end: &str| kind.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with(['.', '_', '/']));
        self.call.as_deref().is_none_or(names)
            && self.path.as_deref().is_none_or(|part| call.request.path.contains(part))
    }
}

/// The faults that are to happen, each with how many calls of its kind there were.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(Injection, usize)>);

impl Faults {
    pub(super) fn add(&mut self, injection: Injection) {
        self.0.push((injection, 0));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn list(&self) -> Vec<&Injection> {
        self.0.iter().map(|(injection, _)| injection).collect()
    }

    /// What happens to this call. Of several faults the one that was added first.
    pub(super) fn next(&mut self, call: &Call) -> Option<Fault> {
        let mut happens = None;
        for (injection, count) in &mut self.0 {
            if injection.is_about(call) {
                *count += 1;
                let is_due = *count >= injection.nth && *count - injection.nth < injection.times;
                if is_due && happens.is_none() {
                    happens = Some(injection.fault.clone());
                }
            }
        }
        happens
    }
}

/// What is special about a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Twist {
    /// It reads what was before the last change.
    pub is_stale: bool,
    /// What it begins fails.
    pub doom: Option<Doom>,
}

impl Twist {
    pub(super) fn of(fault: Option<&Fault>) -> Self {
        match fault {
            Some(Fault::Stale) => Self { is_stale: true, doom: None },
            Some(Fault::Doomed(doom)) => Self { is_stale: false, doom: Some(doom.clone()) },
            Some(Fault::Cut(_) | Fault::Hang(_) | Fault::Answers(..) | Fault::CallerDies(_)) | None => Self::default(),
        }
    }
}

/// The time after which a late call takes effect.
pub(super) const fn late(seconds: i64) -> TimeDelta {
    TimeDelta::seconds(seconds)
}
