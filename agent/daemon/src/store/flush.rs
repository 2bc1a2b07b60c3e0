//! sled's `flush`, made to end.
//!
//! sled 0.34 never wakes who waits for a buffer that could not be written (its `exit_reservation` notes the error and tells
//! nobody), so on a disk that turned read-only `flush` waits for good, and every later reader behind the next writer. So the
//! waiting is done by a thread of its own; one more asks after a while, and finds the error that the first was not told.
//! That works as long as nobody else of the process writes to any sled database meanwhile: the index holds a lock of ours.

use std::{
    io,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

/// A flush that takes longer is asked for once more.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// So often; then the disk counts as broken.
const ASKED: u32 = 30;

/// Hands sled's buffers to the system.
///
/// # Errors
/// sled's own, or no answer within a minute. Nothing may be written to `db` after that.
pub(super) fn flush(db: &sled::Db) -> Result<(), sled::Error> {
    let (tell, told) = mpsc::channel();
    for _ in 0..ASKED {
        let (db, tell) = (db.clone(), tell.clone());
        thread::Builder::new()
            .name("index-flush".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || {
                let flushed = db.flush();
                // Not the last one: letting go of the database flushes, too.
                drop(db);
                let _ = tell.send(flushed);
            })?;
        match told.recv_timeout(ASK_AGAIN) {
            Ok(flushed) => return flushed.map(|_| ()),
            Err(RecvTimeoutError::Timeout) => tracing::warn!("the disk takes long to write the index"),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Err(sled::Error::Io(io::Error::new(
        io::ErrorKind::TimedOut,
        "the disk did not answer",
    )))
}
