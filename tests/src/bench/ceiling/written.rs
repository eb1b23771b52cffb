//! The writes of one creation, read from the store: the raw transaction has the same keys and sizes, whatever the layout of keys is.

use etcd_client::{Client, GetOptions};
use uuid::Uuid;

/// The keys and values of one transaction.
#[derive(Debug, Clone)]
pub struct Written {
    entries: Vec<(String, Vec<u8>)>,
    /// The id of what was created, which is in the keys.
    id: String,
    /// Keys of the records it refers to, which the transaction requires to exist.
    pub requires: Vec<String>,
}

impl Written {
    /// The writes below `prefix` at a revision of etcd.
    pub async fn on_etcd(client: &mut Client, prefix: &str, revision: u64, id: &str) -> Self {
        let revision = i64::try_from(revision).unwrap();
        let options = GetOptions::new().with_prefix().with_revision(revision).with_min_mod_revision(revision);
        let answer = client.get(prefix, Some(options)).await.unwrap();
        let entries = answer.kvs().iter().map(|kv| (kv.key_str().unwrap().to_owned(), kv.value().to_vec()));
        Self::of(entries.collect(), id)
    }

    /// The writes to sled at a revision. Values begin with the revision that wrote them.
    pub fn on_sled(files: &sled::Db, revision: u64, id: &str) -> Self {
        let all = files.iter().map(Result::unwrap);
        let written = all.filter(|(_, value)| value.starts_with(&revision.to_be_bytes()));
        let entries = written.map(|(key, value)| (String::from_utf8(key.to_vec()).unwrap(), value.to_vec()));
        Self::of(entries.collect(), id)
    }

    fn of(entries: Vec<(String, Vec<u8>)>, id: &str) -> Self {
        assert!(entries.iter().any(|(key, _)| key.contains(id)), "no written key contains {id}");
        // A reference is a separate key below the record it points to: uses/<kind>/<id>/…/<new id>.
        let requires = entries.iter().filter_map(|(key, _)| {
            let (before, rest) = key.split_once("uses/")?;
            let mut parts = rest.split('/');
            Some(format!("{before}shown/{}/{}", parts.next()?, parts.next()?))
        });
        Self { requires: requires.collect(), entries, id: id.to_owned() }
    }

    /// The same keys and values under a new id.
    #[must_use]
    pub fn anew(&self) -> Vec<(String, &[u8])> {
        let id = Uuid::new_v4().to_string();
        self.entries.iter().map(|(key, value)| (key.replace(&self.id, &id), &value[..])).collect()
    }

    /// The number of keys.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.entries.len()
    }

    /// The number of bytes of keys and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|(key, value)| key.len() + value.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_written_under_another_id() {
        // Random ids do not contain these letters.
        let entries = vec![
            ("p/shown/cluster/xy".to_owned(), vec![1; 10]),
            ("p/uses/user/u1/cluster/xy".to_owned(), Vec::new()),
            ("p/meta/clock".to_owned(), Vec::new()),
        ];
        let written = Written::of(entries, "xy");
        assert_eq!(written.requires, ["p/shown/user/u1"]);
        let anew = written.anew();
        assert!(anew.iter().all(|(key, _)| !key.contains("xy")));
        assert_eq!(anew[2].0, "p/meta/clock");
        assert_eq!((anew[0].1.len(), written.keys(), written.bytes()), (10, 3, 18 + 10 + 25 + 12));
    }
}
