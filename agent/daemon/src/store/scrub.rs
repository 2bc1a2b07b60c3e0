//! Files that may not be what they were: looked at again, set aside where they are not, and so fetched again.

use contract::hash::Hash;

use super::{
    StoreError,
    content::Inner,
    index::Changes,
    rows::{FileRow, FileState},
};

impl Inner {
    /// Reading a file failed, or brought other bytes than its hash promises. Until it was hashed again its lessons are
    /// incomplete and nobody is served from it.
    pub(super) fn suspect(&self, hash: Hash) -> Result<(), StoreError> {
        self.desk.forget(hash);
        let _write = self.lock_write()?;
        let mut changes = Changes::default();
        match self.index.file(hash)? {
            Some(row) if row.state == FileState::Evicting => return Ok(()),
            Some(row) => changes.put_file(
                hash,
                FileRow {
                    state: FileState::Unverified,
                    ..row
                },
            )?,
            // Its chunks are hashed one by one when it is taken up again.
            None => self.index.drop_part(hash, &mut changes)?,
        }
        let whole = self.index.file(hash)?.is_some();
        self.index.note(changes)?;
        if whole {
            tracing::error!(file = %hash, "a stored file could not be read as it was stored; it is looked at again");
            let mut memory = self.memory();
            memory.to_verify.retain(|of| *of != hash);
            memory.to_verify.push_front(hash);
        }
        self.file_changed(hash)
    }
}
