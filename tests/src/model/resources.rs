//! The provider's store of resources: by name, by label, and with their state before the last change.

use std::collections::{BTreeMap, BTreeSet};

use super::resource::{Key, Resource};

/// A label with its value, in one project.
type LabelKey = (String, String, String);

/// The number of the resource's last change, and the resource before it; `None` if it did not exist.
type Previous = (u64, Option<Resource>);

/// All resources.
#[derive(Debug, Default)]
pub(super) struct Resources {
    now: BTreeMap<Key, Resource>,
    labelled: BTreeMap<LabelKey, BTreeSet<Key>>,
    dependents: BTreeMap<Key, BTreeSet<Key>>,
    before: BTreeMap<Key, Previous>,
    changes: u64,
}

impl Resources {
    /// The resource of that name.
    pub(super) fn get(&self, key: &Key) -> Option<&Resource> {
        self.now.get(key)
    }

    /// The resource of that name before its last change.
    pub(super) fn get_stale(&self, key: &Key) -> Option<&Resource> {
        match self.before.get(key) {
            Some((_, before)) => before.as_ref(),
            None => self.now.get(key),
        }
    }

    /// All resources.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Resource> {
        self.now.values()
    }

    /// The resources that depend on a resource.
    pub(super) fn dependents_of(&self, key: &Key) -> impl Iterator<Item = &Resource> {
        self.dependents.get(key).into_iter().flatten().filter_map(|key| self.now.get(key))
    }

    /// The number of changes. No two versions of a resource are the same.
    pub(super) const fn changes(&self) -> u64 {
        self.changes
    }

    /// Creates or changes a resource.
    pub(super) fn put(&mut self, mut resource: Resource) {
        self.changes += 1;
        resource.version = self.changes;
        let key = resource.key.clone();
        for labelled in labels_of(&resource) {
            self.labelled.entry(labelled).or_default().insert(key.clone());
        }
        if let Some(parent) = parent_of(&resource) {
            self.dependents.entry(parent).or_default().insert(key.clone());
        }
        let old = self.now.insert(key.clone(), resource);
        if let Some(old) = &old {
            let kept: BTreeSet<LabelKey> = labels_of(&self.now[&key]).collect();
            self.unlabel(old, &kept);
        }
        self.before.insert(key, (self.changes, old));
    }

    /// Removes a resource.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Resource> {
        let resource = self.now.remove(key)?;
        self.changes += 1;
        self.unlabel(&resource, &BTreeSet::new());
        if let Some(parent) = parent_of(&resource)
            && let Some(keys) = self.dependents.get_mut(&parent)
        {
            keys.remove(key);
            if keys.is_empty() {
                self.dependents.remove(&parent);
            }
        }
        self.before.insert(key.clone(), (self.changes, Some(resource.clone())));
        Some(resource)
    }

    fn unlabel(&mut self, resource: &Resource, kept: &BTreeSet<LabelKey>) {
        for labelled in labels_of(resource).filter(|labelled| !kept.contains(labelled)) {
            if let Some(keys) = self.labelled.get_mut(&labelled) {
                keys.remove(&resource.key);
                if keys.is_empty() {
                    self.labelled.remove(&labelled);
                }
            }
        }
    }

    /// Up to `limit` resources of a project that have all of `labels`, in the order of their keys, after `after`.
    pub(super) fn list(
        &self,
        project: &str,
        labels: &[(String, String)],
        after: Option<&Key>,
        limit: usize,
    ) -> Vec<&Resource> {
        let wanted = |key: &&Key| after.is_none_or(|after| *key > after);
        let carries =
            |resource: &&Resource| labels.iter().all(|(name, value)| resource.labels.get(name) == Some(value));
        // The rarest label leaves the fewest resources to filter.
        let sets: Option<Vec<&BTreeSet<Key>>> = labels
            .iter()
            .map(|(name, value)| self.labelled.get(&(project.to_owned(), name.clone(), value.clone())))
            .collect();
        match sets {
            Some(sets) => match sets.into_iter().min_by_key(|set| set.len()) {
                Some(rarest) => {
                    let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
                    let keys = rarest.range((from, std::ops::Bound::Unbounded));
                    keys.filter_map(|key| self.now.get(key)).filter(carries).take(limit).collect()
                }
                None => {
                    let resources = self.now.values().filter(|resource| resource.key.project == project);
                    resources.filter(|resource| wanted(&&resource.key)).take(limit).collect()
                }
            },
            None => Vec::new(),
        }
    }

    /// [`list`](Self::list) before the last change of a resource that has `labels`.
    pub(super) fn list_stale(
        &self,
        project: &str,
        labels: &[(String, String)],
        after: Option<&Key>,
        limit: usize,
    ) -> Vec<&Resource> {
        let carries = |resource: &Resource| labels.iter().all(|(name, value)| resource.labels.get(name) == Some(value));
        let matches = |key: &&Key| {
            let before = self.before.get(*key).and_then(|(_, before)| before.as_ref());
            key.project == project && [self.now.get(*key), before].into_iter().flatten().any(carries)
        };
        let last = self.before.keys().filter(matches).max_by_key(|key| self.before[*key].0);
        let Some(last) = last else { return self.list(project, labels, after, limit) };
        let mut listed: Vec<&Resource> = self.list(project, labels, after, usize::MAX);
        listed.retain(|resource| resource.key != *last);
        let is_after = after.is_none_or(|after| last > after);
        listed.extend(self.get_stale(last).filter(|before| is_after && carries(before)));
        listed.sort_by(|one, other| one.key.cmp(&other.key));
        listed.truncate(limit);
        listed
    }
}

fn labels_of(resource: &Resource) -> impl Iterator<Item = LabelKey> + '_ {
    resource.labels.iter().map(|(name, value)| (resource.key.project.clone(), name.clone(), value.clone()))
}

/// The resource that a resource depends on.
fn parent_of(resource: &Resource) -> Option<Key> {
    Some(Key::new(&resource.key.project, resource.key.kind.parent()?, resource.parent.as_deref()?))
}
