//! HTTP of a simulated cluster.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Response, StatusCode,
    body::{Bytes, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

use super::{
    Authorise, Content,
    object::{ObjectPath, Refusal},
};
use crate::simulator::{call::Request, tls::Tls};

/// Serves until it is dropped, and with it every connection.
pub(super) async fn serve(listener: TcpListener, tls: Tls, authorise: Authorise, content: Arc<Mutex<Content>>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let _undelayed = stream.set_nodelay(true);
        let (tls, authorise, content) = (tls.clone(), Arc::clone(&authorise), Arc::clone(&content));
        connections.spawn(async move {
            let Ok(stream) = tls.acceptor.accept(stream).await else { return };
            let service = service_fn(move |request| answer(Arc::clone(&authorise), Arc::clone(&content), request));
            let _end = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    authorise: Authorise,
    content: Arc<Mutex<Content>>,
    request: hyper::Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Ok(sent(400, &Value::Null)) };
    let request = Request::new(&head, body.to_bytes(), "");
    if content.lock().unwrap().is_silent {
        std::future::pending::<()>().await;
    }
    let (status, body) = respond(&request, &authorise, &mut content.lock().unwrap());
    Ok(sent(status, &body))
}

fn sent(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    response.header(header::CONTENT_TYPE, "application/json").body(Full::new(body.to_string().into())).unwrap()
}

fn respond(request: &Request, authorise: &Authorise, content: &mut Content) -> (u16, Value) {
    let path = request.path.as_str();
    // Everybody may ask for these, as in clusters that nobody has made stricter.
    match path {
        "/version" => return (200, version(&content.version)),
        "/readyz" | "/livez" | "/healthz" => return (200, "ok".into()),
        _ => {}
    }
    let token = request.bearer();
    if !token.is_some_and(|token| content.objects.accepts(token) || authorise(token)) {
        return (401, status(401, "Unauthorized", "Unauthorized"));
    }
    let Some(place) = ObjectPath::read(path) else {
        return (404, status(404, "NotFound", "the server could not find the requested resource"));
    };
    let nodes = |content: &Content| -> Vec<Value> {
        let of_nodes = place.group_version == "v1" && place.resource == "nodes";
        let nodes = content.nodes.iter().filter(|_| of_nodes).enumerate();
        nodes.map(|(number, node)| node.to_json(number)).collect()
    };
    let number = |name: &str| request.query(name).and_then(|value| value.parse::<usize>().ok());
    let done = match (&request.method, &place.name, place.part.as_deref()) {
        (&Method::GET, None, None) => {
            let limit = number("limit").filter(|limit| *limit > 0).unwrap_or(usize::MAX);
            let from = number("continue").unwrap_or_default();
            Ok((200, content.objects.list(&place, nodes(content), limit, from)))
        }
        (&Method::GET, Some(name), None) => {
            let node = nodes(content).into_iter().find(|node| node["metadata"]["name"] == name.as_str());
            node.map_or_else(|| content.objects.get(&place), Ok).map(|object| (200, object))
        }
        (&Method::POST, None, None) => {
            let object = request.json().ok_or(Refusal::Invalid);
            object.and_then(|object| content.objects.create(&place, object)).map(|object| (201, object))
        }
        (&Method::POST, Some(_), Some("token")) => {
            let asked = request.json().unwrap_or_else(|| json!({}));
            content.objects.request_token(&place, asked).map(|object| (201, object))
        }
        (&Method::DELETE, Some(_), None) => content.objects.delete(&place).map(|object| (200, object)),
        _ => return (405, status(405, "MethodNotAllowed", "the server does not allow this method")),
    };
    done.unwrap_or_else(|refusal| {
        let what = format!("{} \"{}\"", place.resource, place.name.as_deref().unwrap_or_default());
        match refusal {
            Refusal::NotFound => (404, status(404, "NotFound", &format!("{what} not found"))),
            Refusal::AlreadyExists => (409, status(409, "AlreadyExists", &format!("{what} already exists"))),
            Refusal::Invalid => (422, status(422, "Invalid", &format!("{what} is invalid"))),
        }
    })
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    })
}

fn version(version: &str) -> Value {
    let mut numbers = version.split('.');
    let mut next = || numbers.next().unwrap_or("0").to_owned();
    json!({
        "major": next(), "minor": next(), "gitVersion": format!("v{version}"), "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "2026-11-01T00:00:00Z", "goVersion": "go1.26", "compiler": "gc", "platform": "linux/amd64",
    })
}
