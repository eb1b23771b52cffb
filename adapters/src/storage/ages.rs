//! When clusters were last observed, in a fixed number of shards. A shard is rewritten as a whole when one of its times has changed.
//! Observing every cluster then takes a few writes, which touch no cluster's record or revision.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use kqueen_domain::id::ClusterId;
use uuid::Uuid;

use super::record::Unreadable;

/// Number of shards. Part of the key layout: changing it needs a migration.
const SHARDS: u8 = 64;

/// Bytes of one entry: the id and milliseconds since 1970.
const ENTRY: usize = 24;

/// The first byte of a stored shard.
const FORMAT: u8 = 1;

/// One of the shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Shard(u8);

impl Shard {
    /// The shard that stores a cluster's observation time. The last byte of a random UUID is random.
    pub(crate) fn of(cluster: ClusterId) -> Self {
        Self(cluster.uuid().as_bytes()[15] % SHARDS)
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        name.parse().ok().filter(|shard| *shard < SHARDS).map(Self)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}

/// The observation times in one shard, in milliseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// The revision it was read at, 0 if it has never been written.
    pub(crate) revision: u64,
    entries: BTreeMap<ClusterId, i64>,
}

impl Page {
    pub(crate) fn read(bytes: &[u8], revision: u64) -> Result<Self, Unreadable> {
        let damaged = || Unreadable::Damaged { kind: "ages", at: 0 };
        let (format, body) = bytes.split_first().ok_or_else(damaged)?;
        if *format != FORMAT {
            return Err(Unreadable::Newer { kind: "ages", format: u32::from(*format), known: u32::from(FORMAT) });
        }
        if body.len() % ENTRY != 0 {
            return Err(damaged());
        }
        let mut entries = BTreeMap::new();
        for entry in body.chunks_exact(ENTRY) {
            let (id, at) = entry.split_at(16);
            let id = Uuid::from_slice(id).map_err(|_| damaged())?;
            let at = at.try_into().map(i64::from_be_bytes).map_err(|_| damaged())?;
            entries.insert(id.into(), at);
        }
        Ok(Self { revision, entries })
    }

    pub(crate) fn written(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + self.entries.len() * ENTRY);
        bytes.push(FORMAT);
        for (id, at) in &self.entries {
            bytes.extend_from_slice(id.uuid().as_bytes());
            bytes.extend_from_slice(&at.to_be_bytes());
        }
        bytes
    }

    /// Takes over the times that are newer than the known ones; returns whether there was one.
    pub(crate) fn advance(&mut self, times: &[(ClusterId, DateTime<Utc>)]) -> bool {
        let mut changed = false;
        for (cluster, at) in times {
            let at = at.timestamp_millis();
            let known = self.entries.entry(*cluster).or_insert(i64::MIN);
            if *known < at {
                *known = at;
                changed = true;
            }
        }
        changed
    }

    /// Removes clusters that do not exist any more.
    pub(crate) fn retain(&mut self, clusters: &BTreeSet<ClusterId>) {
        self.entries.retain(|cluster, _| clusters.contains(cluster));
    }

    /// The entries that are newer here than in `older`, as the catalog takes them.
    pub(crate) fn newer_than(&self, older: &Self) -> Vec<(ClusterId, DateTime<Utc>)> {
        let newer = self.entries.iter().filter(|(id, at)| older.entries.get(id).is_none_or(|known| known < at));
        newer.filter_map(|(id, at)| Some((*id, DateTime::from_timestamp_millis(*at)?))).collect()
    }
}

/// The contents of every shard, as the feed last reported them.
#[derive(Debug, Default)]
pub(crate) struct Ages(Mutex<BTreeMap<Shard, Page>>);

impl Ages {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Shard, Page>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The known contents of a shard.
    pub(crate) fn page(&self, shard: Shard) -> Page {
        self.lock().get(&shard).cloned().unwrap_or_default()
    }

    /// Takes over a shard that was written; returns what is new in it.
    pub(crate) fn put(&self, shard: Shard, page: Page) -> Vec<(ClusterId, DateTime<Utc>)> {
        let mut pages = self.lock();
        let known = pages.entry(shard).or_default();
        let newer = page.newer_than(known);
        *known = page;
        newer
    }

    /// Removes a deleted cluster; its time is left out when its shard is written next.
    pub(crate) fn forget(&self, cluster: ClusterId) {
        if let Some(page) = self.lock().get_mut(&Shard::of(cluster)) {
            page.entries.remove(&cluster);
        }
    }

    pub(crate) fn replace(&self, pages: BTreeMap<Shard, Page>) {
        *self.lock() = pages;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(ms).unwrap()
    }

    #[test]
    fn a_page_is_read_back_from_its_bytes() {
        let mut page = Page::default();
        assert!(page.advance(&[(ClusterId::random(), at(5)), (ClusterId::random(), at(1_790_000_000_123))]));
        page.revision = 7;
        assert_eq!(Page::read(&page.written(), 7).unwrap(), page);
    }

    #[test]
    fn older_times_do_not_change_an_entry() {
        let cluster = ClusterId::random();
        let mut page = Page::default();
        assert!(page.advance(&[(cluster, at(10))]));
        let before = page.clone();
        assert!(!page.advance(&[(cluster, at(10)), (cluster, at(9))]));
        assert_eq!(page.newer_than(&before), []);
        assert!(page.advance(&[(cluster, at(11))]));
        assert_eq!(page.newer_than(&before), [(cluster, at(11))]);
    }

    #[test]
    fn damage_and_newer_formats_are_distinguished() {
        assert!(matches!(Page::read(&[], 1), Err(Unreadable::Damaged { .. })));
        assert!(matches!(Page::read(&[FORMAT, 1], 1), Err(Unreadable::Damaged { .. })));
        assert!(matches!(Page::read(&[FORMAT + 1], 1), Err(Unreadable::Newer { format: 2, known: 1, .. })));
    }

    #[test]
    fn the_stored_form_stays_readable() {
        let id: ClusterId = "6a8ed3a0-25b6-4d3c-8d4f-0c2f9d2b8a11".parse().unwrap();
        let stored = b"\x01\x6a\x8e\xd3\xa0\x25\xb6\x4d\x3c\x8d\x4f\x0c\x2f\x9d\x2b\x8a\x11\0\0\0\0\0\0\0\x2a";
        let page = Page::read(stored, 1).unwrap();
        assert_eq!(page.newer_than(&Page::default()), [(id, at(42))]);
        assert_eq!(page.written(), stored);
    }
}
