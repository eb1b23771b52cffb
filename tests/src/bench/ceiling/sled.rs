//! Only sled: the product's keys and values, written as one batch for all waiting writers and made durable by `fdatasync`, in a store with
//! as many records as the product has.

use std::{
    fs::{self, File},
    path::Path,
    sync::Arc,
    time::Duration,
};

use super::{group, written::Written};
use crate::bench::sample::Sample;

/// The product's value.
const CACHE_BYTES: u64 = 16 << 20;

/// Copies the product's files, which no process may have open, to `folder`.
pub fn copy(product: &Path, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for entry in fs::read_dir(product).unwrap().map(Result::unwrap) {
        let to = folder.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Measures `tasks` tasks that each write a copy of `written` to the store in `folder`.
pub async fn measure(folder: &Path, written: &Arc<Written>, tasks: usize, span: Duration) -> Sample {
    let files = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(None).open().unwrap();
    let disk = File::open(folder.join("db")).unwrap();
    let written = written.clone();
    let sample = group::measure(tasks, span, move |group| {
        let mut batch = sled::Batch::default();
        for (key, value) in (0..group).flat_map(|_| written.anew()) {
            batch.insert(key.as_bytes(), value);
        }
        files.apply_batch(batch).unwrap();
        files.flush().unwrap();
        disk.sync_data().unwrap();
    });
    sample.await
}
