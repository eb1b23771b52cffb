//! Group commit: a thread that makes all waiting writes durable together.

use std::{thread, time::Duration};

use tokio::sync::{mpsc, oneshot};

use super::tasks;
use crate::bench::sample::Sample;

/// The maximum size of a group.
const GROUP: usize = 256;

/// Measures `tasks` tasks that each wait until their write is durable. `commit` gets the size of the group.
pub(super) async fn measure(tasks: usize, span: Duration, mut commit: impl FnMut(usize) + Send + 'static) -> Sample {
    let (queue, mut waiting) = mpsc::channel::<oneshot::Sender<()>>(GROUP);
    let committer = thread::spawn(move || {
        while let Some(first) = waiting.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP
                && let Ok(next) = waiting.try_recv()
            {
                group.push(next);
            }
            commit(group.len());
            for waiter in group {
                let _gone = waiter.send(());
            }
        }
    });
    let sample = tasks::measure(tasks, span, move || {
        let queue = queue.clone();
        async move {
            let (sender, done) = oneshot::channel();
            queue.send(sender).await.unwrap();
            done.await.unwrap();
        }
    });
    let sample = sample.await;
    committer.join().unwrap();
    sample
}
