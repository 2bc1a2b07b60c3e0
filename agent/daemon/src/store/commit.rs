//! How complete parts become files: fsync → the hash of the whole → rename → fsync folders → index rows → acknowledge.

use std::{collections::BTreeSet, fs, io, sync::atomic::Ordering};

use contract::hash::Hash;

use super::{
    StoreError,
    content::{ContentStore, Inner, failed},
    fault::Step,
    index::Changes,
    layout::Stamp,
    part::Part,
    recover,
    rows::{FileRow, FileState},
};

impl ContentStore {
    /// Makes whole files of complete parts. Many small ones share their folder syncs and one index commit.
    ///
    /// Answers for each in order. After `Ok` for a part its file survives a power cut.
    pub fn commit(&self, parts: Vec<Part>) -> Vec<Result<(), StoreError>> {
        let inner = &self.0;
        let mut answers: Vec<_> = parts.iter().map(|_| Ok(())).collect();
        let mut stamps = Vec::new();
        let mut parts = parts;
        for (part, answer) in parts.iter_mut().zip(&mut answers) {
            stamps.push(match part.seal() {
                Ok(stamp) => Some(stamp),
                Err(error) => {
                    *answer = Err(error);
                    None
                }
            });
        }
        let _write = match inner.lock_write() {
            Ok(guard) => guard,
            Err(_) => {
                return answers
                    .into_iter()
                    .map(|a| a.and(Err(StoreError::ReadOnly)))
                    .collect();
            }
        };
        let mut renamed = Vec::new();
        for ((part, stamp), answer) in parts.iter().zip(&stamps).zip(&mut answers) {
            let Some(stamp) = stamp else { continue };
            match part.rename() {
                Ok(()) => renamed.push((part.hash, *stamp)),
                Err(error) => *answer = Err(error),
            }
        }
        if let Err(error) = inner.acknowledge(&renamed) {
            // Which of them is durable is not known, so none is.
            let text = error.to_string();
            let mut first = Some(error);
            for (stamp, answer) in stamps.iter().zip(&mut answers) {
                if stamp.is_some() && answer.is_ok() {
                    *answer = Err(first.take().unwrap_or_else(|| {
                        failed("commit", inner.layout.root())(io::Error::other(text.clone()))
                    }));
                }
            }
        }
        answers
    }
}

impl Inner {
    /// The last steps of a commit: folders, then index rows. Call with the write lock held.
    fn acknowledge(&self, renamed: &[(Hash, Stamp)]) -> Result<(), StoreError> {
        if renamed.is_empty() {
            return Ok(());
        }
        let shards: BTreeSet<_> = renamed.iter().map(|(hash, _)| self.layout.shard(*hash)).collect();
        for folder in shards.iter().chain(std::iter::once(&self.layout.parts())) {
            self.sync_folder(folder)?;
        }
        let mut changes = Changes::default();
        for (hash, stamp) in renamed {
            changes.put_file(*hash, FileRow::verified(*stamp))?;
            self.index.drop_part(*hash, &mut changes)?;
        }
        if let Err(error) = self.index.commit(changes) {
            self.memory()
                .unconfirmed
                .extend(renamed.iter().map(|(hash, _)| *hash));
            return Err(error.into());
        }
        for (hash, stamp) in renamed {
            self.file_bytes.fetch_add(stamp.size, Ordering::SeqCst);
            self.part_changed(*hash)?;
        }
        self.changed();
        self.faults
            .before(Step::Done)
            .map_err(failed("finish", self.layout.root()))
    }
}

impl Part {
    /// fsync, then the whole hash. What comes out may become a file.
    fn seal(&mut self) -> Result<Stamp, StoreError> {
        let missing = self.have.iter().filter(|have| !**have).count();
        if missing > 0 || self.lost {
            return Err(StoreError::Incomplete {
                hash: self.hash,
                missing,
            });
        }
        self.sync()?;
        let path = self.store.layout.part(self.hash);
        let io = |e| failed("verify", &path)(e);
        self.store.faults.before(Step::PartVerify).map_err(io)?;
        let file = &self.offer.file;
        let found = self.tree.finish(file).map_err(io)?;
        let stamp = Stamp::of(&file.metadata().map_err(io)?);
        if found == self.hash && stamp.size == self.size {
            return Ok(stamp);
        }
        tracing::error!(file = %self.hash, found = %found, "a complete part does not have its hash; set aside");
        self.store
            .layout
            .set_aside(&path)
            .map_err(failed("set aside", &path))?;
        self.discard()?;
        Err(StoreError::Mismatch(self.hash))
    }

    /// The part becomes a file, if it is still asked for. Call with the write lock held.
    fn rename(&self) -> Result<(), StoreError> {
        let store = &self.store;
        let (path, target) = (store.layout.part(self.hash), store.layout.file(self.hash));
        if store.index.users(self.hash)?.is_empty() {
            recover::remove_part(store, self.hash)?;
            return Err(StoreError::Unneeded(self.hash));
        }
        if store
            .index
            .file(self.hash)?
            .is_some_and(|row| row.state == FileState::Evicting)
        {
            return Err(StoreError::Busy(self.hash));
        }
        store
            .faults
            .before(Step::Rename)
            .and_then(|()| fs::rename(&path, &target))
            .map_err(|e| store.write_failed("rename", &path, 0, e))
    }
}
