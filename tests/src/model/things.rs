//! Where the provider keeps things: by name, by label, and as they were before their last change.

use std::collections::{BTreeMap, BTreeSet};

use super::thing::{Key, Thing};

/// A label with its value, in one project.
type Labelled = (String, String, String);

/// A thing as it was before its last change, or `None` if it was not there, and how many changes of anything there had been.
type Before = (u64, Option<Thing>);

/// All things.
#[derive(Debug, Default)]
pub(super) struct Things {
    now: BTreeMap<Key, Thing>,
    labelled: BTreeMap<Labelled, BTreeSet<Key>>,
    display: BTreeMap<Key, BTreeSet<Key>>,
    before: BTreeMap<Key, Before>,
    changes: u64,
}

impl Things {
    /// The thing of that name.
    pub(super) fn get(&self, key: &Key) -> Option<&Thing> {
        self.now.get(key)
    }

    /// The thing of that name as it was before its last change.
    pub(super) fn get_stale(&self, key: &Key) -> Option<&Thing> {
        match self.before.get(key) {
            Some((_, before)) => before.as_ref(),
            None => self.now.get(key),
        }
    }

    /// Everything there is.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Thing> {
        self.now.values()
    }

    /// What stands on a thing.
    pub(super) fn standing_on(&self, key: &Key) -> impl Iterator<Item = &Thing> {
        self.display.get(key).into_iter().flatten().filter_map(|key| self.now.get(key))
    }

    /// How many changes there were. One thing's versions are never the same.
    pub(super) const fn changes(&self) -> u64 {
        self.changes
    }

    /// Makes or changes a thing.
    pub(super) fn put(&mut self, mut thing: Thing) {
        self.changes += 1;
        thing.version = self.changes;
        let key = thing.key.clone();
        for labelled in labels_of(&thing) {
            self.labelled.entry(labelled).or_default().insert(key.clone());
        }
        if let Some(below) = below(&thing) {
            self.display.entry(below).or_default().insert(key.clone());
        }
        let old = self.now.insert(key.clone(), thing);
        if let Some(old) = &old {
            let kept: BTreeSet<Labelled> = labels_of(&self.now[&key]).collect();
            self.unlabel(old, &kept);
        }
        self.before.insert(key, (self.changes, old));
    }

    /// Ends a thing.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Thing> {
        let thing = self.now.remove(key)?;
        self.changes += 1;
        self.unlabel(&thing, &BTreeSet::new());
        if let Some(below) = below(&thing)
            && let Some(keys) = self.display.get_mut(&below)
        {
            keys.remove(key);
            if keys.is_empty() {
                self.display.remove(&below);
            }
        }
        self.before.insert(key.clone(), (self.changes, Some(thing.clone())));
        Some(thing)
    }

    fn unlabel(&mut self, thing: &Thing, kept: &BTreeSet<Labelled>) {
        for labelled in labels_of(thing).filter(|labelled| !kept.contains(labelled)) {
            if let Some(keys) = self.labelled.get_mut(&labelled) {
                keys.remove(&thing.key);
                if keys.is_empty() {
                    self.labelled.remove(&labelled);
                }
            }
        }
    }

    /// Up to `limit` things of a project that carry all of `labels`, in the order of their keys, behind `after`.
    pub(super) fn list(
        &self,
        project: &str,
        labels: &[(String, String)],
        after: Option<&Key>,
        limit: usize,
    ) -> Vec<&Thing> {
        let wanted = |key: &&Key| after.is_none_or(|after| *key > after);
        let carries = |thing: &&Thing| labels.iter().all(|(name, value)| thing.labels.get(name) == Some(value));
        // The rarest label leaves the least to look through.
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
                    let things = self.now.values().filter(|thing| thing.key.project == project);
                    things.filter(|thing| wanted(&&thing.key)).take(limit).collect()
                }
            },
            None => Vec::new(),
        }
    }

    /// As [`list`](Self::list), as it was before the last change of anything that carries `labels`.
    pub(super) fn list_stale(
        &self,
        project: &str,
        labels: &[(String, String)],
        after: Option<&Key>,
        limit: usize,
    ) -> Vec<&Thing> {
        let carries = |thing: &Thing| labels.iter().all(|(name, value)| thing.labels.get(name) == Some(value));
        let concerned = |key: &&Key| {
            let before = self.before.get(*key).and_then(|(_, before)| before.as_ref());
            key.project == project && [self.now.get(*key), before].into_iter().flatten().any(carries)
        };
        let last = self.before.keys().filter(concerned).max_by_key(|key| self.before[*key].0);
        let Some(last) = last else { return self.list(project, labels, after, limit) };
        let mut listed: Vec<&Thing> = self.list(project, labels, after, usize::MAX);
        listed.retain(|thing| thing.key != *last);
        let is_behind = after.is_none_or(|after| last > after);
        listed.extend(self.get_stale(last).filter(|before| is_behind && carries(before)));
        listed.sort_by(|one, other| one.key.cmp(&other.key));
        listed.truncate(limit);
        listed
    }
}

fn labels_of(thing: &Thing) -> impl Iterator<Item = Labelled> + '_ {
    thing.labels.iter().map(|(name, value)| (thing.key.project.clone(), name.clone(), value.clone()))
}

/// What a thing stands on.
fn below(thing: &Thing) -> Option<Key> {
    Some(Key::new(&thing.key.project, thing.key.kind.stands_on()?, thing.on.as_deref()?))
}
