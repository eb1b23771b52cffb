//! The handler of each kind of call.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    call::{Call, CallKind},
    cloud::{Cloud, Overrides},
    reply::Reply,
    resource::{Key, Kind, Policy, Resource, Shape, Status},
};

impl Cloud {
    /// Performs a call without checking the caller's rights.
    pub(super) fn perform(&mut self, call: &Call, now: DateTime<Utc>, overrides: Overrides) -> Reply {
        let result = match call.kind {
            CallKind::Project => Ok(Reply::ok(json!({"project": call.project}))),
            CallKind::List => self.list(call, now, overrides),
            CallKind::Get(_) => self.get(call, now, overrides),
            CallKind::Create(_) => self.create(call, now, overrides),
            CallKind::Repair(_) => self.repair(call, now, overrides),
            CallKind::Delete(_) => self.delete(call, now, overrides),
            CallKind::Resize => self.resize(call, now, overrides),
            CallKind::SetNetworkPolicy => self.set_network_policy(call, now, overrides),
            CallKind::Kubeconfig => self.kubeconfig(call),
        };
        result.unwrap_or_else(|error| error)
    }

    fn list(&self, call: &Call, now: DateTime<Utc>, overrides: Overrides) -> Result<Reply, Reply> {
        let after = match &call.page {
            None => None,
            Some(page) => Some(page_start(&call.project, page).ok_or_else(|| invalid("page"))?),
        };
        let (limit, after) = (self.settings.page, after.as_ref());
        let mut found = if overrides.is_stale {
            self.resources.list_stale(&call.project, &call.labels, after, limit + 1)
        } else {
            self.resources.list(&call.project, &call.labels, after, limit + 1)
        };
        let has_more = found.len() > limit;
        found.truncate(limit);
        let next =
            found.last().filter(|_| has_more).map(|last| format!("{}/{}", last.key.kind.plural(), last.key.name));
        let items: Vec<Value> = found.into_iter().map(|resource| resource.to_json(now)).collect();
        Ok(Reply::ok(json!({"items": items, "next": next})))
    }

    fn get(&self, call: &Call, now: DateTime<Utc>, overrides: Overrides) -> Result<Reply, Reply> {
        let key = call.key().ok_or_else(|| invalid("name"))?;
        let resource = if overrides.is_stale { self.resources.get_stale(&key) } else { self.resources.get(&key) };
        Ok(Reply::ok(resource.ok_or_else(|| not_found(&key))?.to_json(now)))
    }

    fn create(&mut self, call: &Call, now: DateTime<Utc>, overrides: Overrides) -> Result<Reply, Reply> {
        let key = call.key().filter(|key| !key.name.is_empty()).ok_or_else(|| invalid("name"))?;
        let labels: BTreeMap<String, String> =
            serde_json::from_value(call.body["labels"].clone()).map_err(|_| invalid("labels"))?;
        let mut shape = Shape::default();
        let text = |name: &str| call.body[name].as_str().map(str::to_owned);
        match key.kind {
            Kind::Network => {}
            Kind::Cluster => shape.network_policy = policy(&call.body["network_policy"])?,
            Kind::Nodepool => shape.node_count = Some(count(&call.body)?),
        }
        if self.resources.get(&key).is_some() {
            let message = format!("the {} {} already exists", key.kind.as_str(), key.name);
            return Err(Reply::error(409, "already_exists", message));
        }
        let parent = match key.kind.parent() {
            None => None,
            Some(kind) => {
                let parent = Key::new(&call.project, kind, &text(kind.as_str()).ok_or_else(|| invalid(kind.as_str()))?);
                let status = self.resources.get(&parent).map(|resource| resource.status);
                if !matches!(status, Some(Status::Running | Status::Updating)) {
                    let message = format!("the {} {} is not ready yet", kind.as_str(), parent.name);
                    return Err(Reply::error(409, "not_ready", message));
                }
                Some(parent.name)
            }
        };
        self.within_quota(&key, shape.node_count)?;
        let id = format!("{}-{:06}", key.kind.as_str(), self.next_serial());
        let resource = Resource {
            key: key.clone(),
            id,
            labels,
            status: Status::Creating,
            message: None,
            parent,
            shape,
            target: None,
            admin_password: text("admin_password"),
            created_at: now,
            operation: None,
            will_fail: false,
            has_run: false,
            is_planted: false,
            version: 0,
        };
        self.accounts.entry(key.clone()).or_default().made += 1;
        self.begin(resource, Status::Creating, self.creation_time(key.kind), now, overrides.will_fail);
        self.accepted(&key, now)
    }

    fn repair(&mut self, call: &Call, now: DateTime<Utc>, overrides: Overrides) -> Result<Reply, Reply> {
        let resource = self.target(call)?;
        let key = resource.key.clone();
        match resource.status {
            Status::Running => {}
            Status::Error if resource.has_run => {
                self.begin(resource, Status::Updating, self.settings.changing, now, overrides.will_fail);
            }
            Status::Error => {
                self.begin(resource, Status::Creating, self.creation_time(key.kind), now, overrides.will_fail)
            }
            Status::Creating | Status::Updating | Status::Deleting => return Err(operation_in_progress(&resource)),
        }
        self.accepted(&key, now)
    }

    fn delete(&mut self, call: &Call, now: DateTime<Utc>, overrides: Overrides) -> Result<Reply, Reply> {
        let resource = self.target(call)?;
        let key = resource.key.clone();
        if resource.status.is_in_progress() {
            return Err(operation_in_progress(&resource));
        }
        let users: Vec<String> = self.resources.dependents_of(&key).map(|user| user.id.clone()).collect();
        if !users.is_empty() {
            let message = format!("the {} {} is in use", key.kind.as_str(), key.name);
            return Err(Reply::error(409, "in_use", message).with("used_by", users));
        }
        self.begin(resource, Status::Deleting, self.settings.deleting, now, overrides.will_fail);
        self.accepted(&key, now)
    }

    fn resize(&mut self, call: &Call, now: DateTime<Utc>, overrides: Overrides) -> Result<Reply, Reply> {
        let nodes = count(&call.body)?;
        let key = call.key().ok_or_else(|| invalid("name"))?;
        self.change(
            call,
            now,
            overrides,
            |shape| shape.node_count = Some(nodes),
            |cloud| cloud.within_quota(&key, Some(nodes)),
        )
    }

    fn set_network_policy(&mut self, call: &Call, now: DateTime<Utc>, overrides: Overrides) -> Result<Reply, Reply> {
        let policy = policy(&call.body)?.ok_or_else(|| invalid("provider"))?;
        self.change(call, now, overrides, |shape| shape.network_policy = Some(policy), |_| Ok(()))
    }

    fn change(
        &mut self,
        call: &Call,
        now: DateTime<Utc>,
        overrides: Overrides,
        change: impl FnOnce(&mut Shape),
        check: impl FnOnce(&Self) -> Result<(), Reply>,
    ) -> Result<Reply, Reply> {
        let mut resource = self.target(call)?;
        let key = resource.key.clone();
        if resource.status.is_in_progress() {
            return Err(operation_in_progress(&resource));
        }
        if !resource.has_run {
            let message = format!("the {} {} has never run", key.kind.as_str(), key.name);
            return Err(Reply::error(409, "never_ran", message));
        }
        check(self)?;
        let mut target = resource.shape.clone();
        change(&mut target);
        resource.target = Some(target);
        self.begin(resource, Status::Updating, self.settings.changing, now, overrides.will_fail);
        self.accepted(&key, now)
    }

    fn kubeconfig(&self, call: &Call) -> Result<Reply, Reply> {
        let resource = self.target(call)?;
        if !resource.has_run || resource.status == Status::Deleting {
            return Err(Reply::error(409, "not_ready", "the cluster is not running"));
        }
        let user = json!({"token": format!("key-of-{}", resource.id)});
        let mut cluster = json!({"server": self.settings.api_server});
        if let Some(authority) = &self.settings.api_authority {
            cluster["certificate-authority-data"] = STANDARD.encode(authority).into();
        }
        Ok(Reply::ok(json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "model",
            "clusters": [{"name": "model", "cluster": cluster}],
            "users": [{"name": "admin", "user": user}],
            "contexts": [{"name": "model", "context": {"cluster": "model", "user": "admin"}}],
        })))
    }

    /// The resource that a call addresses.
    fn target(&self, call: &Call) -> Result<Resource, Reply> {
        let key = call.key().ok_or_else(|| invalid("name"))?;
        let resource = self.resources.get(&key).ok_or_else(|| not_found(&key))?;
        if call.only_id.as_ref().is_some_and(|id| *id != resource.id) {
            let message = format!("the {} {} has another id", key.kind.as_str(), key.name);
            return Err(Reply::error(412, "another_one", message));
        }
        Ok(resource.clone())
    }

    fn within_quota(&self, key: &Key, nodes: Option<u32>) -> Result<(), Reply> {
        let (Some(limit), Some(nodes)) = (self.quota(&key.project), nodes) else { return Ok(()) };
        let others =
            self.resources.iter().filter(|resource| resource.key.project == key.project && resource.key != *key);
        let counts = others.filter_map(|resource| resource.target.as_ref().unwrap_or(&resource.shape).node_count);
        if counts.sum::<u32>() + nodes > limit {
            let message = format!("the project's quota is {limit} nodes");
            return Err(Reply::error(422, "quota_exceeded", message));
        }
        Ok(())
    }

    fn accepted(&self, key: &Key, now: DateTime<Utc>) -> Result<Reply, Reply> {
        Ok(Reply::accepted(self.resources.get(key).ok_or_else(|| not_found(key))?.to_json(now)))
    }
}

/// Where a page starts: after the last resource of the previous page.
fn page_start(project: &str, page: &str) -> Option<Key> {
    let (plural, name) = page.split_once('/')?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.plural() == plural)?;
    Some(Key::new(project, kind, name))
}

fn policy(given: &Value) -> Result<Option<Policy>, Reply> {
    serde_json::from_value(given.clone()).map_err(|_| invalid("network policy"))
}

fn count(body: &Value) -> Result<u32, Reply> {
    let nodes = body["node_count"].as_u64().and_then(|nodes| u32::try_from(nodes).ok());
    nodes.filter(|nodes| (1..=1_000).contains(nodes)).ok_or_else(|| invalid("node_count"))
}

fn invalid(field: &str) -> Reply {
    Reply::error(400, "invalid", format!("{field} is missing or invalid"))
}

fn not_found(key: &Key) -> Reply {
    Reply::error(404, "not_found", format!("the {} {} does not exist", key.kind.as_str(), key.name))
}

fn operation_in_progress(resource: &Resource) -> Reply {
    let message = format!("an operation on the {} {} is in progress", resource.key.kind.as_str(), resource.key.name);
    Reply::error(409, "operation_in_progress", message)
}
