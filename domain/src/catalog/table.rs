//! The table of one kind of record: rows in numbered slots, an index by id, and the sort orders per scope.

use std::{
    cmp::Ordering,
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    names::Names,
    order::Order,
    query::{Matcher, Page, Query, Scope, Sort, Visibility},
};
use crate::{
    id::{OrganizationId, UserId},
    revision::Revision,
};

/// A record at one revision.
#[derive(Debug, Clone)]
pub struct Stored<T> {
    /// The record.
    pub record: T,
    /// Its revision.
    pub revision: Revision,
}

impl<T> Stored<T> {
    /// A record at that revision.
    #[must_use]
    pub const fn new(record: T, revision: Revision) -> Self {
        Self { record, revision }
    }
}

/// A record, with the texts by which it is sorted and filtered, in lower case.
pub(super) struct Row<T, X> {
    pub(super) stored: Arc<Stored<T>>,
    pub(super) id: Uuid,
    pub(super) created_at: DateTime<Utc>,
    pub(super) organization: OrganizationId,
    pub(super) owner: Option<UserId>,
    pub(super) name: Box<str>,
    pub(super) provisioner: Arc<str>,
    pub(super) engine: Arc<str>,
    pub(super) state: &'static str,
    pub(super) extra: X,
}

impl<T, X> Row<T, X> {
    fn text(&self, sort: Sort) -> &str {
        match sort {
            Sort::Created => "",
            Sort::Name => &self.name,
            Sort::Provisioner => &self.provisioner,
            Sort::Engine => &self.engine,
            Sort::State => self.state,
        }
    }

    fn compare(&self, other: &Self, sort: Sort) -> Ordering {
        let by_text = self.text(sort).cmp(other.text(sort));
        by_text.then_with(|| self.created_at.cmp(&other.created_at)).then_with(|| self.id.cmp(&other.id))
    }
}

type Orders = [Order; Sort::ALL.len()];

pub(super) struct Table<T, X> {
    slots: Vec<Option<Row<T, X>>>,
    free: Vec<u32>,
    by_id: HashMap<Uuid, u32>,
    scopes: HashMap<Scope, Orders>,
    /// Built for the first filter by name, and rebuilt after a name has changed.
    names: OnceLock<Names>,
}

impl<T, X> Default for Table<T, X> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::new(),
            scopes: HashMap::new(),
            names: OnceLock::new(),
        }
    }
}

fn row_at<T, X>(slots: &[Option<Row<T, X>>], slot: u32) -> Option<&Row<T, X>> {
    slots.get(slot as usize).and_then(Option::as_ref)
}

/// Compares the row in a slot with `row`. Empty slots, which do not occur in orders, sort last.
fn compare_at<T, X>(slots: &[Option<Row<T, X>>], slot: u32, row: &Row<T, X>, sort: Sort) -> Ordering {
    row_at(slots, slot).map_or(Ordering::Greater, |other| other.compare(row, sort))
}

impl<T, X> Table<T, X> {
    pub(super) fn row(&self, id: Uuid) -> Option<&Row<T, X>> {
        row_at(&self.slots, *self.by_id.get(&id)?)
    }

    pub(super) fn get(&self, id: Uuid) -> Option<&Arc<Stored<T>>> {
        self.row(id).map(|row| &row.stored)
    }

    pub(super) fn find(&self, matches: impl Fn(&Row<T, X>) -> bool) -> Option<Arc<Stored<T>>> {
        self.slots.iter().flatten().find(|row| matches(row)).map(|row| row.stored.clone())
    }

    /// The first row in that order.
    pub(super) fn first(&self, sort: Sort) -> Option<&Row<T, X>> {
        let slots = self.scopes.get(&Scope::All)?[sort as usize].slots();
        slots.first().and_then(|slot| row_at(&self.slots, *slot))
    }

    /// The number of rows in a scope.
    pub(super) fn len(&self, scope: Scope) -> usize {
        self.scopes.get(&scope).map_or(0, |orders| orders[0].slots().len())
    }

    /// All rows, in no particular order.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row<T, X>> {
        self.slots.iter().flatten()
    }

    /// The rows of a scope, in order of creation.
    pub(super) fn rows_in(&self, scope: Scope) -> impl Iterator<Item = &Row<T, X>> {
        let slots = self.scopes.get(&scope).map_or(&[][..], |orders| orders[Sort::Created as usize].slots());
        slots.iter().filter_map(|slot| row_at(&self.slots, *slot))
    }

    /// Adds a row without sorting; [`Table::sort`] must follow.
    pub(super) fn push(&mut self, row: Row<T, X>) {
        self.names.take();
        if let Some(slot) = self.by_id.get(&row.id) {
            self.slots[*slot as usize] = Some(row);
            return;
        }
        let slot = self.allocate();
        self.by_id.insert(row.id, slot);
        for scope in [Scope::All, Scope::Organization(row.organization)] {
            for order in self.scopes.entry(scope).or_default() {
                order.push(slot);
            }
        }
        self.slots[slot as usize] = Some(row);
    }

    /// Sorts every order, after [`Table::push`].
    pub(super) fn sort(&mut self) {
        for sort in Sort::ALL {
            self.resort(sort);
        }
    }

    /// Sorts one order of every scope, after a text of many rows has changed.
    pub(super) fn resort(&mut self, sort: Sort) {
        let slots = &self.slots;
        for orders in self.scopes.values_mut() {
            orders[sort as usize].sort_by(|a, b| match (row_at(slots, a), row_at(slots, b)) {
                (Some(a), Some(b)) => a.compare(b, sort),
                _ => Ordering::Equal,
            });
        }
    }

    /// Adds a row or replaces the one with the same id. Orders whose text is unchanged are not touched.
    pub(super) fn put(&mut self, row: Row<T, X>) {
        let known = self.by_id.get(&row.id).and_then(|slot| Some((*slot, row_at(&self.slots, *slot)?)));
        match known {
            Some((slot, old)) if old.organization == row.organization && old.created_at == row.created_at => {
                if old.name != row.name {
                    self.names.take();
                }
                let moved: Vec<Sort> =
                    Sort::ALL.into_iter().filter(|sort| old.text(*sort) != row.text(*sort)).collect();
                self.remove_from_orders(slot, &moved);
                self.slots[slot as usize] = Some(row);
                self.insert_into_orders(slot, &moved);
            }
            Some((_, old)) => {
                let id = old.id;
                self.remove(id);
                self.add(row);
            }
            None => self.add(row),
        }
    }

    /// Removes the row with that id.
    pub(super) fn remove(&mut self, id: Uuid) -> Option<Row<T, X>> {
        let slot = self.by_id.get(&id).copied()?;
        self.remove_from_orders(slot, &Sort::ALL);
        self.names.take();
        self.by_id.remove(&id);
        let row = self.slots[slot as usize].take();
        self.free.push(slot);
        if let Some(row) = &row {
            let scope = Scope::Organization(row.organization);
            if self.len(scope) == 0 {
                self.scopes.remove(&scope);
            }
        }
        row
    }

    /// Changes rows in place. If `change` affects an order, [`Table::resort`] must follow.
    pub(super) fn for_each_mut(&mut self, mut change: impl FnMut(&mut Row<T, X>)) {
        self.slots.iter_mut().flatten().for_each(&mut change);
    }

    /// The extra data of a row, which does not affect its order.
    pub(super) fn extra_mut(&mut self, id: Uuid) -> Option<&mut X> {
        let slot = *self.by_id.get(&id)?;
        self.slots.get_mut(slot as usize)?.as_mut().map(|row| &mut row.extra)
    }

    /// Sets the state of a row and updates its position.
    pub(super) fn set_state(&mut self, id: Uuid, state: &'static str) {
        let Some(slot) = self.by_id.get(&id).copied() else { return };
        if row_at(&self.slots, slot).is_none_or(|row| row.state == state) {
            return;
        }
        self.remove_from_orders(slot, &[Sort::State]);
        if let Some(row) = self.slots[slot as usize].as_mut() {
            row.state = state;
        }
        self.insert_into_orders(slot, &[Sort::State]);
    }

    /// The requested part of the list, with each row mapped by `view`.
    pub(super) fn page<V>(&self, query: &Query, view: impl Fn(&Row<T, X>) -> V) -> Page<V> {
        let none = Page { items: Vec::new(), total: 0 };
        let Some(orders) = self.scopes.get(&query.scope) else { return none };
        let slots = orders[query.sort as usize].slots();
        let owner = match query.visibility {
            Visibility::All => None,
            Visibility::OwnedBy(user) => Some(user),
            Visibility::Nothing => return none,
        };
        let matcher = Matcher::of(&query.filter);
        let (offset, limit) = (query.window.offset, query.window.limit);
        if matcher.is_none() && owner.is_none() {
            let total = slots.len();
            let start = offset.min(total);
            let end = offset.saturating_add(limit).min(total);
            let items = |slots: &mut dyn Iterator<Item = &u32>| {
                let mut items = Vec::with_capacity(end - start);
                items.extend(slots.filter_map(|slot| row_at(&self.slots, *slot)).map(&view));
                items
            };
            let items = if query.descending {
                items(&mut slots[total - end..total - start].iter().rev())
            } else {
                items(&mut slots[start..end].iter())
            };
            return Page { items, total };
        }
        // If at least a quarter of all names have to be searched, search all of them at once.
        let all_names = || slots.len() >= self.slots.len() / 4;
        let name = matcher.as_ref().and_then(Matcher::name).filter(|_| all_names());
        let matches = name.map(|finder| self.names().matching(finder));
        if let Some(matches) = &matches
            && owner.is_none()
            && matcher.as_ref().is_none_or(Matcher::filters_only_names)
        {
            let matching = |slots: &mut dyn Iterator<Item = &u32>| {
                let page = slots.filter(|slot| matches.has(**slot)).skip(offset).take(limit);
                page.filter_map(|slot| row_at(&self.slots, *slot)).map(&view).collect()
            };
            let items = if query.descending { matching(&mut slots.iter().rev()) } else { matching(&mut slots.iter()) };
            let total = match query.scope {
                Scope::All => matches.len(),
                Scope::Organization(_) => slots.iter().filter(|slot| matches.has(**slot)).count(),
            };
            return Page { items, total };
        }
        let passes = |row: &Row<T, X>| {
            owner.is_none_or(|owner| row.owner == Some(owner))
                && matcher
                    .as_ref()
                    .is_none_or(|matcher| matcher.matches(&row.name, &row.provisioner, &row.engine, row.state))
        };
        let select = |slots: &mut dyn Iterator<Item = &u32>| {
            let mut page = Page { items: Vec::new(), total: 0 };
            for slot in slots.filter(|slot| matches.as_ref().is_none_or(|matches| matches.has(**slot))) {
                let Some(row) = row_at(&self.slots, *slot).filter(|row| passes(row)) else { continue };
                if page.total >= offset && page.items.len() < limit {
                    page.items.push(view(row));
                }
                page.total += 1;
            }
            page
        };
        if query.descending { select(&mut slots.iter().rev()) } else { select(&mut slots.iter()) }
    }

    fn names(&self) -> &Names {
        self.names.get_or_init(|| {
            let rows = self.slots.iter().zip(0..).filter_map(|(row, slot)| Some((slot, &*row.as_ref()?.name)));
            Names::of(rows, self.slots.len())
        })
    }

    fn add(&mut self, row: Row<T, X>) {
        self.names.take();
        let slot = self.allocate();
        self.by_id.insert(row.id, slot);
        self.slots[slot as usize] = Some(row);
        self.insert_into_orders(slot, &Sort::ALL);
    }

    fn allocate(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        })
    }

    fn insert_into_orders(&mut self, slot: u32, sorts: &[Sort]) {
        let slots = &self.slots;
        let Some(row) = row_at(slots, slot) else { return };
        for scope in [Scope::All, Scope::Organization(row.organization)] {
            let orders = self.scopes.entry(scope).or_default();
            for sort in sorts {
                orders[*sort as usize].insert(slot, |other| compare_at(slots, *other, row, *sort));
            }
        }
    }

    fn remove_from_orders(&mut self, slot: u32, sorts: &[Sort]) {
        let slots = &self.slots;
        let Some(row) = row_at(slots, slot) else { return };
        for scope in [Scope::All, Scope::Organization(row.organization)] {
            let Some(orders) = self.scopes.get_mut(&scope) else { continue };
            for sort in sorts {
                orders[*sort as usize].remove(|other| compare_at(slots, *other, row, *sort));
            }
        }
    }
}
