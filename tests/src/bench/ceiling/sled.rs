//! sled alone: the keys and values the product puts, as one batch for all who wait, flushed and made durable by `fdatasync`.

use std::{fs::File, path::Path, sync::Arc, time::Duration};

use super::{group, written::Written};
use crate::bench::sample::Sample;

/// As the product has it.
const CACHE_BYTES: u64 = 16 << 20;

/// Measures `tasks` tasks that each put `written` once more into files of their own below `folder`.
pub async fn measure(folder: &Path, written: &Arc<Written>, tasks: usize, span: Duration) -> Sample {
    let folder = folder.join("raw");
    let files = sled::Config::new().path(&folder).cache_capacity(CACHE_BYTES).flush_every_ms(None).open().unwrap();
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
    let sample = sample.await;
    std::fs::remove_dir_all(&folder).unwrap();
    sample
}
