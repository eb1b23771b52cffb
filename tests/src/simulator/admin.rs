//! The admin path, for people who run a simulator as a program: what tests do with [`Simulator`](super::Simulator), over HTTP.

use chrono::TimeDelta;
use hyper::Method;
use kqueen_domain::port::clock::Clock;
use serde_json::json;

use super::{
    call::{Reply, Request},
    fault::Injection,
    provider::{Moment, Provider},
    server::Shared,
};

const PREFIX: &str = "/_simulator";

/// What there is, for people.
const HELP: &str = "\
GET    /_simulator/state                              everything the provider knows
GET    /_simulator/journal?last=20                    the last exchanges
GET    /_simulator/counts                             how often each method was called
GET    /_simulator/check                              every difference from the published schema
GET    /_simulator/faults                             the faults that are to happen
POST   /_simulator/faults                             one more: {\"call\":\"clusters.create\",\"nth\":1,\"times\":1,\"fault\":...}
DELETE /_simulator/faults                             none any more
POST   /_simulator/time     {\"seconds\":300}           lets time pass
POST   /_simulator/control  {\"event\":...}             what happens to resources, or what is offered: README.md beside the code has a list
fault  \"stale\" | {\"hang\":\"first\"} | {\"cut\":\"never\"} | {\"cut\":{\"later\":60}} | {\"answers\":[\"internal\",\"never\"]}
       | {\"answers\":[{\"too_many_requests\":{\"seconds\":17}},\"never\"]} | {\"doomed\":{\"code\":\"\",\"message\":\"\"}}
";

/// The answer to a request on the admin path; `None` for all others.
pub(super) fn answer<P: Provider>(shared: &Shared<P>, request: &Request) -> Option<Reply> {
    let rest = request.path.strip_prefix(PREFIX)?;
    let mut state = shared.state.lock().unwrap();
    state.pass(&shared.clock);
    let (get, post, delete) =
        (request.method == Method::GET, request.method == Method::POST, request.method == Method::DELETE);
    Some(match rest {
        "/state" if get => Reply::ok(state.provider.save()),
        "/journal" if get => {
            let most = request.query("last").and_then(|most| most.parse().ok()).unwrap_or(20);
            Reply::ok(state.journal.last(most))
        }
        "/counts" if get => Reply::ok(json!(state.journal.counts())),
        "/check" if get => Reply::ok(json!(state.journal.check(|exchange| state.provider.check(exchange)))),
        "/faults" if get => Reply::ok(json!(state.faults.list())),
        "/faults" if post => match request.json().map(serde_json::from_value::<Injection>) {
            Some(Ok(injection)) => {
                state.faults.add(injection);
                Reply::ok(json!(state.faults.list()))
            }
            Some(Err(error)) => refusal(&error.to_string()),
            None => refusal("the body is not JSON"),
        },
        "/faults" if delete => {
            state.faults.clear();
            Reply::ok(json!([]))
        }
        "/time" if post => match request.json().as_ref().and_then(|body| body["seconds"].as_i64()) {
            Some(seconds) => {
                shared.clock.advance(TimeDelta::seconds(seconds));
                state.pass(&shared.clock);
                Reply::ok(json!({"now": shared.clock.now()}))
            }
            None => refusal("seconds is missing"),
        },
        "/control" if post => match request.json() {
            Some(event) => {
                let moment = Moment::of(&shared.clock, shared.clock.now());
                state.provider.control(&event, &moment).map_or_else(|error| refusal(&error), Reply::ok)
            }
            None => refusal("the body is not JSON"),
        },
        _ => Reply { body: super::call::Body::Text(HELP.to_owned(), "text/plain"), ..Reply::empty(404) },
    })
}

fn refusal(why: &str) -> Reply {
    Reply::json(400, json!({"error": why}))
}
