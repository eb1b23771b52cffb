//! Calls the service with the client progenitor generates from the API document.

use std::error::Error;

use futures_util::StreamExt;
use kqueen::{
    Client,
    types::{self, ClusterUpdateName, ListedCluster, UserCreateOrganization, UserCreatePassword},
};
use progenitor::progenitor_client::Error as CallError;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::json;
use uuid::Uuid;

#[allow(clippy::all, missing_docs, reason = "generated code")]
mod kqueen {
    progenitor::generate_api!(spec = "../../../openapi/kqueen.json", interface = Builder);
}

fn connect(token: Option<&str>) -> Result<Client, Box<dyn Error>> {
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse()?);
    }
    let client = reqwest::Client::builder().default_headers(headers).build()?;
    Ok(Client::new_with_client(&format!("{}/api/v1", std::env::var("KQUEEN_ORIGIN")?), client))
}

/// The error a call was answered with.
fn refusal<T>(answer: Result<T, CallError<types::Error>>) -> types::Error {
    match answer {
        Err(CallError::ErrorResponse(refused)) => refused.into_inner(),
        Err(error) => panic!("not an error of the API: {error}"),
        Ok(_) => panic!("this is refused"),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let token = connect(None)?.auth().body_map(|body| body.username("admin").password("default")).send().await?;
    let client = connect(Some(&token.access_token))?;

    assert_eq!(client.user_whoami().send().await?.username, "admin");
    let organization =
        client.organization_create().body_map(|body| body.name("Progenitor").namespace("progenitor")).send().await?;
    let password = UserCreatePassword::try_from("correct horse")?;
    let reference = UserCreateOrganization::try_from(format!("Organization:{}", organization.id))?;
    let user = client
        .user_create()
        .body_map(|body| body.username("progenitor").password(password).organization(reference))
        .send()
        .await?;
    assert_eq!(user.organization.name, "Progenitor");

    // Engines and provisioners share their names with parameters of lists.
    let engines = client.engine_list().send().await?;
    assert!(engines.iter().any(|engine| engine.name == "kqueen.engines.ManualEngine"), "{engines:?}");
    let provisioner = client
        .provisioner_create()
        .body_map(|body| body.name("p").engine("kqueen.engines.ManualEngine"))
        .send()
        .await?;

    let mut events = client.event_stream().send().await?.into_inner();
    let start = events.next().await.ok_or("no event")??;
    assert!(start.starts_with(b"retry:"), "{start:?}");

    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": ""}}], "users": [],
    });
    let reference = format!("Provisioner:{}", provisioner.id);
    let cluster = client
        .cluster_create()
        .body_map(|body| body.name("progenitor").provisioner(reference).kubeconfig(kubeconfig))
        .send()
        .await?;
    let page = client.cluster_list().offset(0).limit(1_u64).name("PROGENITOR").engine("manual").provisioner("P");
    match page.send().await?.into_inner() {
        ListedCluster::Object { items, total: 1 } => assert_eq!(items[0].id, cluster.id),
        other => panic!("unexpected: {other:?}"),
    }

    let revision = cluster.headers().get("etag").ok_or("no ETag")?.to_str()?;
    let name = ClusterUpdateName::try_from("renamed")?;
    let rename = || client.cluster_update().id(cluster.id).if_match(revision).body_map(|body| body.name(name.clone()));
    assert_eq!(rename().send().await?.name, "renamed");
    assert_eq!(refusal(rename().send().await).error, "changed_meanwhile");
    let absent = refusal(client.cluster_get().id(Uuid::from_u128(1)).send().await);
    assert_eq!((absent.code, absent.error.as_str()), (404, "not_found"));
    assert_eq!(client.cluster_delete().id(cluster.id).send().await?.state, "deleted");
    println!("ok");
    Ok(())
}
