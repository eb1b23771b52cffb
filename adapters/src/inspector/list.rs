//! Lists of objects, read page by page.

use std::collections::HashSet;

use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::task::spawn_blocking;
use url::form_urlencoded;

use super::{Limits, client::ApiClient, failure::ProbeError};

/// Objects per page.
const PAGE: usize = 500;
/// Larger responses are parsed on a separate thread.
const LARGE: usize = 64 * 1024;

/// A page of a list as Kubernetes sends it.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Page<T> {
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    metadata: PageMetadata,
    /// Always present; null where Go had an empty list.
    #[serde(deserialize_with = "Option::deserialize")]
    items: Option<Vec<T>>,
}

#[derive(Deserialize, Default)]
struct PageMetadata {
    r#continue: Option<String>,
}

/// The items that were read of a list, and why it is incomplete.
pub(super) struct Listed<T> {
    pub(super) items: Vec<T>,
    pub(super) failure: Option<ProbeError>,
}

/// Reads the list at `path`.
///
/// The continue token of a list expires after a few minutes (410). The list is then read again from the start, once. If the token
/// expires again, reading continues with the token that the server offers; objects may then have changed between pages.
pub(super) async fn list<T: DeserializeOwned + Send + 'static>(
    client: &ApiClient,
    path: &str,
    limits: &Limits,
) -> Listed<T> {
    let mut items: Vec<T> = Vec::new();
    let mut token: Option<String> = None;
    let mut seen = HashSet::new();
    let mut restarted = false;
    loop {
        let page: Result<Page<T>, ProbeError> = match client.get(&query(path, PAGE, token.as_deref())).await {
            Ok(body) => parse(body).await,
            Err(failure) => Err(failure),
        };
        match page {
            Ok(page) => {
                items.extend(page.items.unwrap_or_default());
                if items.len() > limits.objects {
                    items.truncate(limits.objects);
                    return Listed { items, failure: Some(ProbeError::TooMany) };
                }
                token = page.metadata.r#continue.filter(|token| !token.is_empty());
                match &token {
                    None => return Listed { items, failure: None },
                    // The server repeats a token and would keep us in a loop.
                    Some(token) if !seen.insert(token.clone()) => {
                        return Listed { items, failure: Some(ProbeError::NotKubernetes) };
                    }
                    Some(_) => {}
                }
            }
            Err(ProbeError::Expired(_)) if !restarted => {
                restarted = true;
                items.clear();
                seen.clear();
                token = None;
            }
            Err(ProbeError::Expired(Some(next))) if seen.insert(next.clone()) => token = Some(next),
            Err(failure) => return Listed { items, failure: Some(failure) },
        }
    }
}

/// Whether at least one object of the list may be read: the cheapest request that needs credentials and a permission.
pub(super) async fn may_list(client: &ApiClient, path: &str) -> Result<(), ProbeError> {
    let body = client.get(&query(path, 1, None)).await?;
    parse::<serde::de::IgnoredAny>(body).await.map(drop)
}

async fn parse<T: DeserializeOwned + Send + 'static>(body: Bytes) -> Result<Page<T>, ProbeError> {
    let large = body.len() > LARGE;
    let parse = move || serde_json::from_slice::<Page<T>>(&body);
    let page = if large { spawn_blocking(parse).await.map_err(|_| ProbeError::NotKubernetes)? } else { parse() };
    let is_list = |page: &Page<T>| page.kind.as_ref().is_none_or(|kind| kind.ends_with("List"));
    page.ok().filter(is_list).ok_or(ProbeError::NotKubernetes)
}

fn query(path: &str, limit: usize, token: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::for_suffix(format!("{path}?"), path.len() + 1);
    query.append_pair("limit", &limit.to_string());
    if let Some(token) = token {
        query.append_pair("continue", token);
    }
    query.finish()
}
