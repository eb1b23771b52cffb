//! Injected faults, and the calls they apply to.

use chrono::TimeDelta;
use serde_json::json;

use super::{
    call::{Call, CallKind},
    reply::Reply,
};

/// Whether and when a call takes effect while its response goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It never takes effect.
    Never,
    /// It takes effect before the fault.
    First,
    /// It takes effect this much later, when no caller waits for the response any more.
    Later(TimeDelta),
}

/// A fault of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The connection is closed without a response.
    Cut(Effect),
    /// No response is sent, and the connection stays open.
    Hang(Effect),
    /// This is sent instead of the response.
    Answers(Trouble, Effect),
    /// The state before the last change is read.
    Stale,
    /// The operation is accepted and fails later.
    Doomed,
    /// The caller's process is to end here: the test is notified, and no response is sent.
    CallerDies(Effect),
}

/// The delay of a call that takes effect after its connection was closed.
pub const LATE: TimeDelta = TimeDelta::seconds(60);

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 33] = [
        Self::Cut(Effect::Never),
        Self::Cut(Effect::First),
        Self::Cut(Effect::Later(LATE)),
        Self::Hang(Effect::Never),
        Self::Hang(Effect::First),
        Self::Hang(Effect::Later(LATE)),
        Self::Answers(Trouble::BadRequest, Effect::Never),
        Self::Answers(Trouble::Unauthenticated, Effect::Never),
        Self::Answers(Trouble::Forbidden, Effect::Never),
        Self::Answers(Trouble::ProjectMissing, Effect::Never),
        Self::Answers(Trouble::NoSuchRoute, Effect::Never),
        Self::Answers(Trouble::Busy, Effect::Never),
        Self::Answers(Trouble::Quota, Effect::Never),
        Self::Answers(Trouble::TooManyCalls { retry_after: 17 }, Effect::Never),
        Self::Answers(Trouble::TooManyCalls { retry_after: 0 }, Effect::Never),
        Self::Answers(Trouble::Internal, Effect::Never),
        Self::Answers(Trouble::Internal, Effect::First),
        Self::Answers(Trouble::BadGateway, Effect::Never),
        Self::Answers(Trouble::BadGateway, Effect::First),
        Self::Answers(Trouble::BadGateway, Effect::Later(LATE)),
        Self::Answers(Trouble::Unavailable, Effect::Never),
        Self::Answers(Trouble::Unavailable, Effect::First),
        Self::Answers(Trouble::NotJson, Effect::Never),
        Self::Answers(Trouble::NotJson, Effect::First),
        Self::Answers(Trouble::WrongShape, Effect::Never),
        Self::Answers(Trouble::WrongShape, Effect::First),
        Self::Answers(Trouble::HalfABody, Effect::Never),
        Self::Answers(Trouble::HalfABody, Effect::First),
        Self::Stale,
        Self::Doomed,
        Self::CallerDies(Effect::Never),
        Self::CallerDies(Effect::First),
        Self::CallerDies(Effect::Later(LATE)),
    ];

    /// Whether the fault makes a difference to this kind of call.
    #[must_use]
    pub const fn fits(self, call: CallKind) -> bool {
        match self {
            Self::Cut(effect) | Self::Hang(effect) | Self::Answers(_, effect) | Self::CallerDies(effect) => {
                matches!(effect, Effect::Never) || !call.is_read()
            }
            Self::Stale => matches!(call, CallKind::List | CallKind::Get(_)),
            Self::Doomed => !call.is_read(),
        }
    }

    /// Whether and when the call takes effect.
    #[must_use]
    pub const fn effect(self) -> Effect {
        match self {
            Self::Cut(effect) | Self::Hang(effect) | Self::Answers(_, effect) | Self::CallerDies(effect) => effect,
            Self::Stale | Self::Doomed => Effect::First,
        }
    }
}

/// A wrong response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// 400 from a provider that repeats the whole request, secrets included.
    BadRequest,
    /// 401
    Unauthenticated,
    /// 403, naming the missing right.
    Forbidden,
    /// 404: the project does not exist. It says nothing about the resource.
    ProjectMissing,
    /// 404 from a proxy that does not know the API.
    NoSuchRoute,
    /// 409: another operation is in progress.
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
    /// 502 with an HTML page.
    BadGateway,
    /// 503
    Unavailable,
    /// 200 with an HTML page.
    NotJson,
    /// 200 with JSON of another shape.
    WrongShape,
    /// 200, and the connection is closed in the middle of the body.
    HalfABody,
}

/// A wrong response as it is sent.
pub(super) enum WrongResponse {
    /// A response of the provider.
    Reply(Reply),
    /// A response of a proxy.
    Page(u16, &'static str),
    /// A part of a body whose announced length is greater.
    Half(String),
}

impl Trouble {
    /// The response to a call whose correct response is `reply`, if it has taken effect.
    pub(super) fn response(self, call: &Call, reply: Option<&Reply>) -> WrongResponse {
        WrongResponse::Reply(match self {
            Self::BadRequest => {
                let token = call.token.as_deref().unwrap_or_default();
                let request = format!("{} {} authorization: Bearer {token} {}", call.method, call.path, call.body);
                Reply::error(400, "invalid", format!("invalid request: {request}"))
            }
            Self::Unauthenticated => Reply::error(401, "unauthenticated", "unknown token"),
            Self::Forbidden => {
                let right = call.kind.right().map_or("projects.read", |right| right.as_str());
                Reply::error(403, "forbidden", format!("the right {right} is required")).with("right", right)
            }
            Self::ProjectMissing => Reply::error(404, "project_not_found", "the project does not exist"),
            Self::NoSuchRoute => return WrongResponse::Page(404, "<html><h1>404 Not Found</h1></html>"),
            Self::Busy => Reply::error(409, "operation_in_progress", "another operation is in progress"),
            Self::Quota => Reply::error(422, "quota_exceeded", "the quota of nodes is used up"),
            Self::TooManyCalls { retry_after } => {
                Reply::error(429, "too_many_calls", "too many calls").after(i64::from(retry_after))
            }
            Self::Internal => Reply::error(500, "internal", "something went wrong"),
            Self::BadGateway => return WrongResponse::Page(502, "<html><h1>502 Bad Gateway</h1></html>"),
            Self::Unavailable => Reply::error(503, "unavailable", "maintenance"),
            Self::NotJson => return WrongResponse::Page(200, "<html><h1>Welcome!</h1></html>"),
            Self::WrongShape => Reply::ok(json!({"result": ["something", 42, null]})),
            Self::HalfABody => {
                let whole = reply.map_or_else(|| json!({"items": [], "name": "nobody"}), |reply| reply.body.clone());
                let mut half = whole.to_string();
                half = half.chars().take(half.chars().count() / 2).collect();
                return WrongResponse::Half(half);
            }
        })
    }
}

/// A fault and the calls it applies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injection {
    call: Option<CallKind>,
    nth: usize,
    times: usize,
    fault: Fault,
}

impl Injection {
    /// The next call of any kind.
    #[must_use]
    pub const fn any(fault: Fault) -> Self {
        Self { call: None, nth: 1, times: 1, fault }
    }

    /// The next call of that kind.
    #[must_use]
    pub const fn on(call: CallKind, fault: Fault) -> Self {
        Self { call: Some(call), ..Self::any(fault) }
    }

    /// The `nth` such call from now on instead of the next; the first is 1.
    #[must_use]
    pub const fn nth(self, nth: usize) -> Self {
        Self { nth, ..self }
    }

    /// This many such calls in a row.
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

/// The injected faults, each with the number of matching calls so far.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(Injection, usize)>);

impl Faults {
    pub(super) fn add(&mut self, injection: Injection) {
        self.0.push((injection, 0));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault of the next call, which is of this kind. Of several faults, the one added first applies.
    pub(super) fn next(&mut self, call: CallKind) -> Option<Fault> {
        let mut next = None;
        for (injection, count) in &mut self.0 {
            if injection.call.is_none_or(|kind| kind == call) {
                *count += 1;
                let is_due = *count >= injection.nth && *count - injection.nth < injection.times;
                next = next.or_else(|| is_due.then_some(injection.fault));
            }
        }
        next
    }
}
