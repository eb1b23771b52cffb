//! What goes wrong, at which call.

use chrono::TimeDelta;
use serde_json::json;

use super::{
    call::{Call, CallKind},
    reply::Reply,
};

/// What the call itself does while its answer goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Acts {
    /// It never takes effect.
    Never,
    /// It has taken effect before anything goes wrong.
    First,
    /// It takes effect so much later, when nobody waits for its answer any more.
    Later(TimeDelta),
}

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    Doomed,
    /// The caller's process is to end here: the test is told, and no answer comes.
    CallerDies(Acts),
}

/// How late a call is that takes effect after its connection was cut.
pub const LATE: TimeDelta = TimeDelta::seconds(60);

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 33] = [
        Self::Cut(Acts::Never),
        Self::Cut(Acts::First),
        Self::Cut(Acts::Later(LATE)),
        Self::Hang(Acts::Never),
        Self::Hang(Acts::First),
        Self::Hang(Acts::Later(LATE)),
        Self::Answers(Trouble::BadRequest, Acts::Never),
        Self::Answers(Trouble::Unauthenticated, Acts::Never),
        Self::Answers(Trouble::Forbidden, Acts::Never),
        Self::Answers(Trouble::ProjectMissing, Acts::Never),
        Self::Answers(Trouble::NoSuchRoute, Acts::Never),
        Self::Answers(Trouble::Busy, Acts::Never),
        Self::Answers(Trouble::Quota, Acts::Never),
        Self::Answers(Trouble::TooManyCalls { retry_after: 17 }, Acts::Never),
        Self::Answers(Trouble::TooManyCalls { retry_after: 0 }, Acts::Never),
        Self::Answers(Trouble::Internal, Acts::Never),
        Self::Answers(Trouble::Internal, Acts::First),
        Self::Answers(Trouble::BadGateway, Acts::Never),
        Self::Answers(Trouble::BadGateway, Acts::First),
        Self::Answers(Trouble::BadGateway, Acts::Later(LATE)),
        Self::Answers(Trouble::Unavailable, Acts::Never),
        Self::Answers(Trouble::Unavailable, Acts::First),
        Self::Answers(Trouble::NotJson, Acts::Never),
        Self::Answers(Trouble::NotJson, Acts::First),
        Self::Answers(Trouble::WrongShape, Acts::Never),
        Self::Answers(Trouble::WrongShape, Acts::First),
        Self::Answers(Trouble::HalfABody, Acts::Never),
        Self::Answers(Trouble::HalfABody, Acts::First),
        Self::Stale,
        Self::Doomed,
        Self::CallerDies(Acts::Never),
        Self::CallerDies(Acts::First),
        Self::CallerDies(Acts::Later(LATE)),
    ];

    /// Whether it makes a difference at such a call.
    #[must_use]
    pub const fn fits(self, call: CallKind) -> bool {
        match self {
            Self::Cut(acts) | Self::Hang(acts) | Self::Answers(_, acts) | Self::CallerDies(acts) => {
                matches!(acts, Acts::Never) || !call.is_read()
            }
            Self::Stale => matches!(call, CallKind::List | CallKind::Get(_)),
            Self::Doomed => !call.is_read(),
        }
    }

    /// What the call itself does.
    #[must_use]
    pub const fn acts(self) -> Acts {
        match self {
            Self::Cut(acts) | Self::Hang(acts) | Self::Answers(_, acts) | Self::CallerDies(acts) => acts,
            Self::Stale | Self::Doomed => Acts::First,
        }
    }
}

/// A wrong answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// 400, by a provider that repeats the whole request, secrets included.
    BadRequest,
    /// 401
    Unauthenticated,
    /// 403, which names the right that is lacking.
    Forbidden,
    /// 404: the project is not there. Nothing is said of the thing.
    ProjectMissing,
    /// 404 by something in between that knows nothing of the API.
    NoSuchRoute,
    /// 409: something else is under way.
    Busy,
    /// 422: the quota is used up.
    Quota,
    /// 429
    TooManyCalls {
        /// In seconds.
        retry_after: u32,
    },
    /// 500
    Internal,
    /// 502, with a page for people.
    BadGateway,
    /// 503
    Unavailable,
    /// 200, with a page for people.
    NotJson,
    /// 200, with JSON that is something else.
    WrongShape,
    /// 200, and the connection is cut in the middle of the body.
    HalfABody,
}

/// A wrong answer as it is sent.
pub(super) enum Wrong {
    /// As the provider itself answers.
    Reply(Reply),
    /// As something in between answers.
    Page(u16, &'static str),
    /// This much of a body that is announced as longer.
    Half(String),
}

impl Trouble {
    /// What is sent to a call, whose true answer is `answer` if it has taken effect.
    pub(super) fn wrong(self, call: &Call, answer: Option<&Reply>) -> Wrong {
        Wrong::Reply(match self {
            Self::BadRequest => {
                let token = call.token.as_deref().unwrap_or_default();
                let request = format!("{} {} authorization: Bearer {token} {}", call.method, call.path, call.body);
                Reply::refuse(400, "invalid", format!("this makes no sense: {request}"))
            }
            Self::Unauthenticated => Reply::refuse(401, "unauthenticated", "the token is not known"),
            Self::Forbidden => {
                let right = call.kind.right().map_or("projects.read", |right| right.as_str());
                Reply::refuse(403, "forbidden", format!("{right} is needed")).with("right", right)
            }
            Self::ProjectMissing => Reply::refuse(404, "project_not_found", "there is no such project"),
            Self::NoSuchRoute => return Wrong::Page(404, "<html><h1>404 Not Found</h1></html>"),
            Self::Busy => Reply::refuse(409, "operation_in_progress", "something else is under way"),
            Self::Quota => Reply::refuse(422, "quota_exceeded", "the quota of nodes is used up"),
            Self::TooManyCalls { retry_after } => {
                Reply::refuse(429, "too_many_calls", "slow down").after(i64::from(retry_after))
            }
            Self::Internal => Reply::refuse(500, "internal", "something went wrong"),
            Self::BadGateway => return Wrong::Page(502, "<html><h1>502 Bad Gateway</h1></html>"),
            Self::Unavailable => Reply::refuse(503, "unavailable", "maintenance"),
            Self::NotJson => return Wrong::Page(200, "<html><h1>Welcome!</h1></html>"),
            Self::WrongShape => Reply::ok(json!({"result": ["something", 42, null]})),
            Self::HalfABody => {
                let whole = answer.map_or_else(|| json!({"items": [], "name": "nobody"}), |answer| answer.body.clone());
                let mut half = whole.to_string();
                half = half.chars().take(half.chars().count() / 2).collect();
                return Wrong::Half(half);
            }
        })
    }
}

/// A fault and the calls it happens to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injection {
    on: Option<CallKind>,
    nth: usize,
    times: usize,
    fault: Fault,
}

impl Injection {
    /// The next call of any kind.
    #[must_use]
    pub const fn any(fault: Fault) -> Self {
        Self { on: None, nth: 1, times: 1, fault }
    }

    /// The next call of that kind.
    #[must_use]
    pub const fn on(call: CallKind, fault: Fault) -> Self {
        Self { on: Some(call), ..Self::any(fault) }
    }

    /// Not the next such call, but the `nth` from now on; the first is 1.
    #[must_use]
    pub const fn nth(self, nth: usize) -> Self {
        Self { nth, ..self }
    }

    /// So many such calls in a row.
    #[must_use]
    pub const fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// Every such call until the faults are cleared.
    #[must_use]
    pub const fn until_cleared(self) -> Self {
        self.times(usize::MAX)
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

    /// What happens to the next call, which is of this kind. Of several faults the one that was added first.
    pub(super) fn next(&mut self, call: CallKind) -> Option<Fault> {
        let mut happens = None;
        for (injection, count) in &mut self.0 {
            if injection.on.is_none_or(|on| on == call) {
                *count += 1;
                let is_due = *count >= injection.nth && *count - injection.nth < injection.times;
                happens = happens.or_else(|| is_due.then_some(injection.fault));
            }
        }
        happens
    }
}
