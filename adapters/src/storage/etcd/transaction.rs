//! Our transactions as transactions of etcd: conditions are compares, and if they do not hold, the keys they depend on are read in the
//! same step, so that the reason is known.

use std::{collections::BTreeMap, convert::Infallible};

use etcd_client::{Compare, CompareOp, GetOptions, Txn, TxnOp, TxnOpResponse, TxnResponse};

use crate::storage::{
    backend::{Refusal, State, Test, Transaction, Write},
    key::Key,
};

/// The prefix of all our keys.
#[derive(Debug, Clone)]
pub(crate) struct Prefix(String);

impl Prefix {
    pub(crate) fn new(text: &str) -> Self {
        Self(format!("{}/", text.trim_end_matches('/')))
    }

    pub(crate) fn full(&self, key: &Key) -> Vec<u8> {
        let mut full = Vec::with_capacity(self.0.len() + key.as_bytes().len());
        full.extend_from_slice(self.0.as_bytes());
        full.extend_from_slice(key.as_bytes());
        full
    }

    /// Our key without the prefix; `None` for a key that is not ours.
    pub(crate) fn strip(&self, full: &[u8]) -> Option<Key> {
        Key::from_bytes(full.strip_prefix(self.0.as_bytes())?)
    }
}

/// The end of the range of keys that start with `prefix`.
pub(crate) fn range_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}

fn number(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

/// Converts `transaction` for etcd.
pub(crate) fn compile(transaction: &Transaction, prefix: &Prefix) -> Txn {
    let (mut compares, mut reads) = (Vec::new(), Vec::new());
    for condition in &transaction.conditions {
        let key = prefix.full(&condition.key);
        let options = GetOptions::new().with_keys_only();
        let (compare, options) = match condition.test {
            Test::Absent => (Compare::create_revision(key.clone(), CompareOp::Equal, 0), options),
            Test::Present => (Compare::create_revision(key.clone(), CompareOp::Greater, 0), options),
            // etcd reports revision 0 for a key that does not exist, but nothing was ever written at that revision.
            Test::At(0) => (Compare::mod_revision(key.clone(), CompareOp::Less, 0), options),
            Test::At(revision) => (Compare::mod_revision(key.clone(), CompareOp::Equal, number(revision)), options),
            // Over a range a compare must hold for every key in it, so it fails if any key exists.
            Test::NothingBelow => (
                Compare::create_revision(key.clone(), CompareOp::Equal, 0).with_range(range_end(&key)),
                options.with_range(range_end(&key)).with_limit(1),
            ),
        };
        compares.push(compare);
        reads.push(TxnOp::get(key, Some(options)));
    }
    let writes: Vec<TxnOp> = transaction
        .writes
        .iter()
        .map(|write| match write {
            Write::Put(key, value) => TxnOp::put(prefix.full(key), &value[..], None),
            Write::Delete(key) => TxnOp::delete(prefix.full(key), None),
        })
        .collect();
    Txn::new().when(compares).and_then(writes).or_else(reads)
}

/// The refusal of the condition of `transaction` that did not hold, by what was read instead of writing.
pub(crate) fn refusal(transaction: &Transaction, answer: &TxnResponse) -> Refusal {
    let mut read_keys = ReadKeys::default();
    for (condition, read) in transaction.conditions.iter().zip(answer.op_responses()) {
        let TxnOpResponse::Get(read) = read else { continue };
        let revision = read.kvs().first().map(|kv| u64::try_from(kv.mod_revision()).unwrap_or_default());
        read_keys.0.insert(condition.key.clone(), revision);
    }
    let Ok(checked) = transaction.check(&read_keys);
    checked.err().unwrap_or(Refusal::Conflict)
}

/// What was read: for a key its revision, for a prefix the revision of any key below it.
#[derive(Default)]
struct ReadKeys(BTreeMap<Key, Option<u64>>);

impl State for ReadKeys {
    type Error = Infallible;

    fn revision(&self, key: &Key) -> Result<Option<u64>, Infallible> {
        Ok(self.0.get(key).copied().flatten())
    }

    fn anything_below(&self, prefix: &Key) -> Result<bool, Infallible> {
        self.revision(prefix).map(|found| found.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::key::{all_shown, newest_revision};

    #[test]
    fn keys_are_prefixed_and_stripped() {
        for text in ["/kqueen", "/kqueen/"] {
            let prefix = Prefix::new(text);
            assert_eq!(prefix.full(&newest_revision()), b"/kqueen/meta/revision");
            assert_eq!(prefix.strip(b"/kqueen/meta/revision"), Some(newest_revision()));
            assert_eq!(prefix.strip(b"/kqueen2/meta/revision"), None);
        }
        assert_eq!(Prefix::new("").full(&all_shown()), b"/shown/");
    }

    #[test]
    fn a_range_ends_after_everything_with_its_prefix() {
        assert_eq!(range_end(b"a/"), b"a0");
        assert_eq!(range_end(b"a\xff"), b"b");
        assert_eq!(range_end(b"\xff"), b"\0");
    }
}
