//! What the store needs while nobody asks anything of it: doubtful files hashed, everything looked at once in a while, and the
//! bytes counted that all this wrote.

use std::{
    fs,
    time::{Duration, Instant},
};

use contract::{event::StorageFault, health::Readings};

use super::{agent::Agent, watching::Trouble};
use crate::store::{ContentStore, LessonKey, Scrub, StoreError};

/// The slow round reads at most so much in a second.
const SCRUB_BYTES_PER_S: u64 = 1_000_000;
/// And only after nobody has read, fetched or been served for so long.
const IDLE: Duration = Duration::from_secs(30);
/// How often to look whether that is so, and whether a file is doubted.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// From the end of one round to the next.
const ROUND_EVERY: Duration = Duration::from_secs(24 * 3600);
/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(30);
/// After the index failed.
const PAUSE: Duration = Duration::from_secs(600);

/// Keeps the store in order for as long as the process lives.
pub(super) async fn keep(store: ContentStore, trouble: Trouble) {
    let mut next_round = Instant::now();
    loop {
        verify_all(&store).await;
        if store.idle_for() < IDLE || Instant::now() < next_round {
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        }
        match blocking(&store, ContentStore::scrub_step).await {
            Some(Ok(Scrub::Read(bytes))) => {
                tokio::time::sleep(Duration::from_secs_f64(bytes as f64 / SCRUB_BYTES_PER_S as f64)).await;
            }
            Some(Ok(Scrub::Bad(file))) => trouble.note(StorageFault::Corrupt, file.to_string()),
            Some(Ok(Scrub::RoundEnded)) => {
                tracing::info!("looked at everything that is held");
                next_round = Instant::now() + ROUND_EVERY;
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "could not look at what is held");
                tokio::time::sleep(PAUSE).await;
            }
            None => return,
        }
    }
}

/// Hashes, one by one, the files that nobody has hashed since they were found or doubted.
async fn verify_all(store: &ContentStore) {
    let mut told: Option<Instant> = None;
    loop {
        match blocking(store, ContentStore::verify_next).await {
            Some(Ok(Some(_))) => {}
            Some(Ok(None)) | None => break,
            // It waits for the next start, or for the fetch that needs it.
            Some(Err(error)) => tracing::warn!(%error, "could not verify a file"),
        }
        if told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            if let Some(Ok((files, bytes))) = blocking(store, ContentStore::to_verify).await {
                tracing::info!(
                    files,
                    bytes,
                    "files are still to be hashed before their lessons play"
                );
            }
            told = Some(Instant::now());
        }
    }
}

async fn blocking<T: Send + 'static>(
    store: &ContentStore,
    work: impl FnOnce(&ContentStore) -> Result<T, StoreError> + Send + 'static,
) -> Option<Result<T, StoreError>> {
    let store = store.clone();
    tokio::task::spawn_blocking(move || work(&store)).await.ok()
}

/// Bytes that were counted up to some moment.
#[derive(Debug, Default)]
pub(super) struct Counted {
    written: u64,
    copied: u64,
}

impl Counted {
    /// From here on.
    pub(super) fn now(store: &ContentStore) -> Self {
        let traffic = store.traffic();
        Self {
            // What the kernel counts has index, journal and outbox in it, too.
            written: written_by_process().unwrap_or(traffic.stored_bytes),
            copied: traffic.copied_bytes,
        }
    }
}

impl Agent {
    /// Lessons that are needed next are hashed first.
    pub(super) fn verify_in_order(&self) {
        let Some(store) = self.store.clone() else { return };
        let mut order: Vec<_> = self.lessons.assigned_lessons().iter().collect();
        order.sort_by_key(|a| (!a.pinned, a.needed_by.is_none(), a.needed_by));
        let order: Vec<_> = order
            .into_iter()
            .map(|a| LessonKey {
                lesson: a.lesson.clone(),
                version: a.version,
            })
            .collect();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = store.verify_first(&order) {
                tracing::warn!(%error, "could not order what is to be hashed");
            }
        });
    }

    /// What was written to the disk, and copied on it, since the last sample.
    pub(super) fn read_disk(&mut self, readings: &mut Readings) {
        let Some(store) = &self.store else { return };
        let now = Counted::now(store);
        readings.written_bytes = Some(now.written.saturating_sub(self.counted.written));
        readings.copied_bytes = Some(now.copied.saturating_sub(self.counted.copied));
        self.counted = now;
    }
}

/// Bytes that this process caused to be written to disks, in whole pages.
fn written_by_process() -> Option<u64> {
    written_in(&fs::read_to_string("/proc/self/io").ok()?)
}

fn written_in(io: &str) -> Option<u64> {
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_counts_is_read() {
        let io = "rchar: 1\nwchar: 2\nread_bytes: 3\nwrite_bytes: 40960\ncancelled_write_bytes: 5\n";
        assert_eq!(written_in(io), Some(40_960));
        assert_eq!(written_in("rchar: 1\n"), None);
    }
}
