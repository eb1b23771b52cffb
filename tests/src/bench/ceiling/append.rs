//! Only the disk: bytes appended to a file, and `fdatasync`.

use std::{fs::OpenOptions, io::Write, path::Path, time::Duration};

use super::group;
use crate::bench::sample::Sample;

/// Measures `tasks` tasks that each append `bytes` bytes to a file in `folder` and wait until they are durable.
pub async fn measure(folder: &Path, bytes: usize, tasks: usize, span: Duration) -> Sample {
    let path = folder.join("append");
    let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
    let block = vec![0x5a; bytes];
    let sample = group::measure(tasks, span, move |group| {
        let blocks = block.repeat(group);
        file.write_all(&blocks).unwrap();
        file.sync_data().unwrap();
    });
    let sample = sample.await;
    std::fs::remove_file(&path).unwrap();
    sample
}
