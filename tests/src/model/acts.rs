//! What each kind of call does.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    call::{Call, CallKind},
    cloud::{Cloud, Twist},
    reply::Reply,
    thing::{Key, Kind, Policy, Shape, Status, Thing},
};

impl Cloud {
    /// Does what a call asks for, whoever asked.
    pub(super) fn perform(&mut self, call: &Call, now: DateTime<Utc>, twist: Twist) -> Reply {
        let done = match call.kind {
            CallKind::Project => Ok(Reply::ok(json!({"project": call.project}))),
            CallKind::List => self.list(call, now, twist),
            CallKind::Get(_) => self.get(call, now, twist),
            CallKind::Create(_) => self.create(call, now, twist),
            CallKind::Repair(_) => self.repair(call, now, twist),
            CallKind::Delete(_) => self.delete(call, now, twist),
            CallKind::Resize => self.resize(call, now, twist),
            CallKind::SetNetworkPolicy => self.set_network_policy(call, now, twist),
            CallKind::Kubeconfig => self.kubeconfig(call),
        };
        done.unwrap_or_else(|refusal| refusal)
    }

    fn list(&self, call: &Call, now: DateTime<Utc>, twist: Twist) -> Result<Reply, Reply> {
        let after = match &call.page {
            None => None,
            Some(page) => Some(place(&call.project, page).ok_or_else(|| invalid("page"))?),
        };
        let (most, after) = (self.settings.page, after.as_ref());
        let mut found = if twist.is_stale {
            self.things.list_stale(&call.project, &call.labels, after, most + 1)
        } else {
            self.things.list(&call.project, &call.labels, after, most + 1)
        };
        let has_more = found.len() > most;
        found.truncate(most);
        let next =
            found.last().filter(|_| has_more).map(|last| format!("{}/{}", last.key.kind.plural(), last.key.name));
        let items: Vec<Value> = found.into_iter().map(|thing| thing.to_json(now)).collect();
        Ok(Reply::ok(json!({"items": items, "next": next})))
    }

    fn get(&self, call: &Call, now: DateTime<Utc>, twist: Twist) -> Result<Reply, Reply> {
        let key = call.key().ok_or_else(|| invalid("name"))?;
        let thing = if twist.is_stale { self.things.get_stale(&key) } else { self.things.get(&key) };
        Ok(Reply::ok(thing.ok_or_else(|| not_found(&key))?.to_json(now)))
    }

    fn create(&mut self, call: &Call, now: DateTime<Utc>, twist: Twist) -> Result<Reply, Reply> {
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
        if self.things.get(&key).is_some() {
            let message = format!("there is a {} {} already", key.kind.as_str(), key.name);
            return Err(Reply::refuse(409, "already_exists", message));
        }
        let on = match key.kind.stands_on() {
            None => None,
            Some(kind) => {
                let on = Key::new(&call.project, kind, &text(kind.as_str()).ok_or_else(|| invalid(kind.as_str()))?);
                let below = self.things.get(&on).map(|thing| thing.status);
                if !matches!(below, Some(Status::Running | Status::Updating)) {
                    let message = format!("the {} {} is not there yet", kind.as_str(), on.name);
                    return Err(Reply::refuse(409, "not_ready", message));
                }
                Some(on.name)
            }
        };
        self.within_quota(&key, shape.node_count)?;
        let id = format!("{}-{:06}", key.kind.as_str(), self.next_serial());
        let thing = Thing {
            key: key.clone(),
            id,
            labels,
            status: Status::Creating,
            message: None,
            on,
            shape,
            target: None,
            admin_password: text("admin_password"),
            made_at: now,
            under_way: None,
            is_doomed: false,
            has_run: false,
            is_planted: false,
            version: 0,
        };
        self.accounts.entry(key.clone()).or_default().made += 1;
        self.begin(thing, Status::Creating, self.making(key.kind), now, twist.is_doomed);
        self.shown(&key, now)
    }

    fn repair(&mut self, call: &Call, now: DateTime<Utc>, twist: Twist) -> Result<Reply, Reply> {
        let thing = self.target(call)?;
        let key = thing.key.clone();
        match thing.status {
            Status::Running => {}
            Status::Error if thing.has_run => {
                self.begin(thing, Status::Updating, self.settings.changing, now, twist.is_doomed);
            }
            Status::Error => self.begin(thing, Status::Creating, self.making(key.kind), now, twist.is_doomed),
            Status::Creating | Status::Updating | Status::Deleting => return Err(in_progress(&thing)),
        }
        self.shown(&key, now)
    }

    fn delete(&mut self, call: &Call, now: DateTime<Utc>, twist: Twist) -> Result<Reply, Reply> {
        let thing = self.target(call)?;
        let key = thing.key.clone();
        if thing.status.is_under_way() {
            return Err(in_progress(&thing));
        }
        let users: Vec<String> = self.things.standing_on(&key).map(|user| user.id.clone()).collect();
        if !users.is_empty() {
            let message = format!("the {} {} is in use", key.kind.as_str(), key.name);
            return Err(Reply::refuse(409, "in_use", message).with("used_by", users));
        }
        self.begin(thing, Status::Deleting, self.settings.deleting, now, twist.is_doomed);
        self.shown(&key, now)
    }

    fn resize(&mut self, call: &Call, now: DateTime<Utc>, twist: Twist) -> Result<Reply, Reply> {
        let nodes = count(&call.body)?;
        let key = call.key().ok_or_else(|| invalid("name"))?;
        self.change(
            call,
            now,
            twist,
            |shape| shape.node_count = Some(nodes),
            |cloud| cloud.within_quota(&key, Some(nodes)),
        )
    }

    fn set_network_policy(&mut self, call: &Call, now: DateTime<Utc>, twist: Twist) -> Result<Reply, Reply> {
        let wanted = policy(&call.body)?.ok_or_else(|| invalid("provider"))?;
        self.change(call, now, twist, |shape| shape.network_policy = Some(wanted), |_| Ok(()))
    }

    fn change(
        &mut self,
        call: &Call,
        now: DateTime<Utc>,
        twist: Twist,
        change: impl FnOnce(&mut Shape),
        may: impl FnOnce(&Self) -> Result<(), Reply>,
    ) -> Result<Reply, Reply> {
        let mut thing = self.target(call)?;
        let key = thing.key.clone();
        if thing.status.is_under_way() {
            return Err(in_progress(&thing));
        }
        if !thing.has_run {
            let message = format!("the {} {} has never run", key.kind.as_str(), key.name);
            return Err(Reply::refuse(409, "never_ran", message));
        }
        may(self)?;
        let mut target = thing.shape.clone();
        change(&mut target);
        thing.target = Some(target);
        self.begin(thing, Status::Updating, self.settings.changing, now, twist.is_doomed);
        self.shown(&key, now)
    }

    fn kubeconfig(&self, call: &Call) -> Result<Reply, Reply> {
        let thing = self.target(call)?;
        if !thing.has_run || thing.status == Status::Deleting {
            return Err(Reply::refuse(409, "not_ready", "the cluster does not run"));
        }
        let user = json!({"token": format!("key-of-{}", thing.id)});
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

    /// The thing a call is about.
    fn target(&self, call: &Call) -> Result<Thing, Reply> {
        let key = call.key().ok_or_else(|| invalid("name"))?;
        let thing = self.things.get(&key).ok_or_else(|| not_found(&key))?;
        if call.only_id.as_ref().is_some_and(|id| *id != thing.id) {
            let message = format!("the {} {} is another one", key.kind.as_str(), key.name);
            return Err(Reply::refuse(412, "another_one", message));
        }
        Ok(thing.clone())
    }

    fn within_quota(&self, key: &Key, nodes: Option<u32>) -> Result<(), Reply> {
        let (Some(most), Some(nodes)) = (self.quota(&key.project), nodes) else { return Ok(()) };
        let others = self.things.iter().filter(|thing| thing.key.project == key.project && thing.key != *key);
        let counts = others.filter_map(|thing| thing.target.as_ref().unwrap_or(&thing.shape).node_count);
        if counts.sum::<u32>() + nodes > most {
            let message = format!("the project may have {most} nodes");
            return Err(Reply::refuse(422, "quota_exceeded", message));
        }
        Ok(())
    }

    fn shown(&self, key: &Key, now: DateTime<Utc>) -> Result<Reply, Reply> {
        Ok(Reply::accepted(self.things.get(key).ok_or_else(|| not_found(key))?.to_json(now)))
    }
}

/// Where a page begins: behind the last thing of the page before it.
fn place(project: &str, page: &str) -> Option<Key> {
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

fn invalid(what: &str) -> Reply {
    Reply::refuse(400, "invalid", format!("{what} is missing or makes no sense"))
}

fn not_found(key: &Key) -> Reply {
    Reply::refuse(404, "not_found", format!("there is no {} {}", key.kind.as_str(), key.name))
}

fn in_progress(thing: &Thing) -> Reply {
    let message = format!("the {} {} is being worked on", thing.key.kind.as_str(), thing.key.name);
    Reply::refuse(409, "operation_in_progress", message)
}
