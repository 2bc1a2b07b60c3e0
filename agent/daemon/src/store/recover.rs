//! Makes files and index agree at each start, whatever the last cut left behind.
//!
//! Every step may be interrupted and done again: it only ever removes tombstones, adopts what is whole, and moves aside
//! what nobody knows. It looks at names, lengths and times of change, never at all bytes, so thousands of lessons take
//! well under a second; a file without a trusted row is hashed before it is played (`ContentStore::verify_next`).

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::Path,
    sync::atomic::Ordering,
};

use contract::{hash::Hash, lesson::SignedLesson};

use super::{
    LessonKey, StoreError,
    content::{Inner, failed},
    index::Changes,
    layout::{self, Stamp},
    rows::{FileRow, FileState, LessonRow},
    scrub::{Waiting, is_damage},
};

/// Rows written in one batch while recovering.
const BATCH: usize = 500;

/// What a start found and mended.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct OpenReport {
    /// Whole files that are there.
    pub files: usize,
    /// Lessons whose manifest is there.
    pub lessons: usize,
    /// Files that are arriving.
    pub parts: usize,
    /// Why the index was built anew, if it was.
    pub rebuilt: Option<String>,
    /// Files the index did not know of; hashed before they are played.
    pub adopted_files: usize,
    /// Manifests the index did not know of.
    pub adopted_lessons: usize,
    /// Files that were touched since they were verified; hashed before they are played.
    pub touched_files: usize,
    /// Files the index knew of and that are gone or cut short: fetched again.
    pub lost_files: usize,
    /// Lessons whose manifest is gone or was changed.
    pub lost_lessons: usize,
    /// Evictions that a cut had interrupted.
    pub finished_evictions: usize,
    /// Files that nobody knows, moved to `content/quarantine` or removed.
    pub strays: usize,
    /// Manifests without a believable signature, with the reason; left where they are.
    pub refused_manifests: Vec<String>,
}

/// Brings index and files together; `rebuilt` says why the index is empty, if it is.
pub(crate) fn reconcile(inner: &Inner, rebuilt: Option<String>) -> Result<OpenReport, StoreError> {
    let _write = inner.lock_write()?;
    let mut report = OpenReport {
        rebuilt,
        ..OpenReport::default()
    };
    finish_evictions(inner, &mut report)?;
    manifests(inner, &mut report)?;
    files(inner, &mut report)?;
    parts(inner, &mut report)?;
    inner.index.commit(Changes::default())?;
    in_order_of_use(inner)?;
    inner.forget_all();
    Ok(report)
}

/// What was used last is hashed first, until somebody knows better what is needed next.
fn in_order_of_use(inner: &Inner) -> Result<(), StoreError> {
    let mut lessons = Vec::new();
    for row in inner.index.lessons() {
        let (key, _) = row?;
        lessons.push((inner.index.last_used(&key.lesson)?, key));
    }
    lessons.sort_by(|one, two| two.cmp(one));
    let lessons: Vec<_> = lessons.into_iter().map(|(_, key)| key).collect();
    inner.verify_first(&lessons)
}

fn finish_evictions(inner: &Inner, report: &mut OpenReport) -> Result<(), StoreError> {
    let mut going = Vec::new();
    for row in inner.index.files() {
        let (hash, row) = row?;
        // Counted so that `unlink` may take it off again.
        if row.state == FileState::Evicting {
            inner.file_bytes.fetch_add(row.size, Ordering::SeqCst);
            going.push(hash);
        }
    }
    let mut done = Changes::default();
    inner.unlink(&going, &mut done)?;
    for row in inner.index.lessons() {
        let (key, row) = row?;
        if row.evicting {
            for (hash, _) in inner.index.needs(&key)? {
                done.drop_need(&key, hash);
            }
            inner.unlink_manifest(&key, &mut done)?;
            report.finished_evictions += 1;
        }
    }
    Ok(inner.index.apply(done)?)
}

fn manifests(inner: &Inner, report: &mut OpenReport) -> Result<(), StoreError> {
    let mut known: HashMap<LessonKey, LessonRow> = inner.index.lessons().collect::<Result<_, _>>()?;
    for (path, name, stamp) in list(&inner.layout.manifests())? {
        let Some(key) = layout::lesson_of(&name) else {
            stray(inner, &path, report)?;
            continue;
        };
        let row = known.remove(&key);
        if row.as_ref().is_some_and(|row| row.vouches_for(stamp)) {
            report.lessons += 1;
            continue;
        }
        let bytes = fs::read(&path).map_err(failed("read", &path))?;
        match inner.verify_manifest(&key, &bytes, None) {
            Ok(manifest) => {
                let changes = adopt_manifest(inner, &key, &manifest, Hash::of(&bytes))?;
                inner.index.apply(changes)?;
                report.adopted_lessons += usize::from(row.is_none());
                report.lessons += 1;
            }
            Err(error) => {
                tracing::warn!(lesson = %key, %error, "a stored manifest is not believed");
                report.refused_manifests.push(format!("{key}: {error}"));
                if row.is_some() {
                    drop_lesson(inner, &key)?;
                    report.lost_lessons += 1;
                }
                // With no trusted key at all nothing is wrong with the file; it is believed after enrolment.
                if !inner.options.trusted.is_empty() {
                    inner
                        .layout
                        .set_aside(&path)
                        .map_err(failed("set aside", &path))?;
                }
            }
        }
    }
    for key in known.keys() {
        drop_lesson(inner, key)?;
        report.lost_lessons += 1;
    }
    Ok(())
}

fn files(inner: &Inner, report: &mut OpenReport) -> Result<(), StoreError> {
    let mut known: HashMap<Hash, FileRow> = inner.index.files().collect::<Result<_, _>>()?;
    let mut changes = Changes::default();
    let mut to_verify = Waiting::default();
    let mut pending = 0;
    for (shard, name, _) in list(&inner.layout.files())? {
        if !shard.is_dir() {
            stray(inner, &shard, report)?;
            continue;
        }
        for (path, file, stamp) in list(&shard)? {
            let hash = layout::hash_of(&file)
                .filter(|_| file.to_string_lossy().starts_with(&*name.to_string_lossy()));
            let Some(hash) = hash else {
                stray(inner, &path, report)?;
                continue;
            };
            let row = known.remove(&hash);
            let expected = row.map(|row| row.size).or_else(|| size_of(inner, hash));
            if expected.is_some_and(|size| size != stamp.size) {
                tracing::error!(file = %hash, "a stored file has not its length; set aside");
                inner
                    .layout
                    .set_aside(&path)
                    .map_err(failed("set aside", &path))?;
                changes.drop_file(hash);
                report.lost_files += 1;
                continue;
            }
            report.files += 1;
            inner.file_bytes.fetch_add(stamp.size, Ordering::SeqCst);
            let unverified = FileRow {
                size: stamp.size,
                state: FileState::Unverified,
            };
            match row {
                Some(row) if row.vouches_for(stamp) => continue,
                Some(row) if row == unverified => {
                    to_verify.push(hash);
                    continue;
                }
                Some(_) => report.touched_files += 1,
                None => report.adopted_files += 1,
            }
            to_verify.push(hash);
            changes.put_file(hash, unverified)?;
            pending += 1;
            if pending >= BATCH {
                inner.index.apply(std::mem::take(&mut changes))?;
                pending = 0;
            }
        }
    }
    for hash in known.keys() {
        tracing::error!(file = %hash, "a stored file is gone; its lessons are incomplete again");
        changes.drop_file(*hash);
        report.lost_files += 1;
    }
    inner.memory().to_verify = to_verify;
    Ok(inner.index.apply(changes)?)
}

fn parts(inner: &Inner, report: &mut OpenReport) -> Result<(), StoreError> {
    let mut known: HashSet<Hash> = inner.index.parts().collect::<Result<_, _>>()?;
    for (path, name, _) in list(&inner.layout.parts())? {
        let Some(hash) = layout::hash_of(&name) else {
            stray(inner, &path, report)?;
            continue;
        };
        known.remove(&hash);
        let whole = inner.index.file(hash)?.is_some();
        // Without any trusted key no manifest speaks for a part; it may still be asked for after enrolment.
        let unneeded = inner.index.users(hash)?.is_empty() && !inner.options.trusted.is_empty();
        if whole || unneeded {
            remove_part(inner, hash)?;
            report.strays += 1;
        } else {
            report.parts += 1;
        }
    }
    let mut changes = Changes::default();
    for hash in known {
        inner.index.drop_part(hash, &mut changes)?;
    }
    Ok(inner.index.apply(changes)?)
}

/// What enters a verified manifest, whose file is durable, into the index, in place of an older document of the version.
pub(crate) fn adopt_manifest(
    inner: &Inner,
    key: &LessonKey,
    lesson: &SignedLesson,
    hash: Hash,
) -> Result<Changes, StoreError> {
    let path = inner.layout.manifest(key);
    let stamp = Stamp::of(&fs::metadata(&path).map_err(failed("read", &path))?);
    let mut changes = Changes::default();
    for (hash, _) in inner.index.needs(key)? {
        changes.drop_need(key, hash);
    }
    for file in &lesson.manifest.files {
        changes.put_need(key, file.hash, file.size)?;
    }
    changes.put_lesson(key, &LessonRow::of(lesson, hash, stamp))?;
    inner.forget_all();
    Ok(changes)
}

/// Moves a changed manifest aside and forgets its lesson; the files stay for the manifest that will be fetched again.
pub(crate) fn forget_manifest(inner: &Inner, key: &LessonKey) -> Result<(), StoreError> {
    let path = inner.layout.manifest(key);
    match inner.layout.set_aside(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("set aside", &path)(error));
        }
        _ => {}
    }
    drop_lesson(inner, key)?;
    inner.forget_all();
    Ok(())
}

fn drop_lesson(inner: &Inner, key: &LessonKey) -> Result<(), StoreError> {
    let mut changes = Changes::default();
    for (hash, _) in inner.index.needs(key)? {
        changes.drop_need(key, hash);
    }
    changes.drop_lesson(key);
    Ok(inner.index.commit(changes)?)
}

/// Moves a file aside whose bytes are not its own. The row goes second: one without a file is mended at any start.
pub(crate) fn quarantine_file(inner: &Inner, hash: Hash) -> Result<(), StoreError> {
    let path = inner.layout.file(hash);
    let size = inner.index.file(hash)?.map_or(0, |row| row.size);
    if let Err(error) = inner.layout.set_aside(&path) {
        // Where even that fails, the next one of this name takes its place.
        tracing::error!(file = %hash, %error, "could not set a bad file aside");
    }
    let mut changes = Changes::default();
    changes.drop_file(hash);
    inner.index.commit(changes)?;
    inner.desk.forget(hash);
    inner.file_bytes.fetch_sub(size, Ordering::SeqCst);
    Ok(())
}

/// Removes a part, its rows first: they may never promise what is not there.
pub(crate) fn remove_part(inner: &Inner, hash: Hash) -> Result<(), StoreError> {
    let mut changes = Changes::default();
    inner.index.drop_part(hash, &mut changes)?;
    inner.index.commit(changes)?;
    inner.desk.forget(hash);
    let path = inner.layout.part(hash);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path)(error)),
        _ => Ok(()),
    }
}

/// The length some lesson asks for.
fn size_of(inner: &Inner, hash: Hash) -> Option<u64> {
    let user = inner.index.users(hash).ok()?.into_iter().next()?;
    inner.index.need(&user, hash).ok()?
}

/// A half-written temporary goes; anything else nobody knows is moved aside.
fn stray(inner: &Inner, path: &Path, report: &mut OpenReport) -> Result<(), StoreError> {
    tracing::warn!(path = %path.display(), "a file that nobody knows lay in the store");
    report.strays += 1;
    if path.extension().is_some_and(|e| e == "tmp") && path.is_file() {
        fs::remove_file(path).map_err(failed("remove", path))
    } else {
        inner.layout.set_aside(path).map_err(failed("set aside", path))
    }
}

/// The entries of a folder: path, name, stamp. One that the disk does not give out any more is passed over, as if it were
/// gone: it is fetched again.
pub(crate) fn list(
    folder: &Path,
) -> Result<Vec<(std::path::PathBuf, std::ffi::OsString, Stamp)>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if is_damage(&error) => {
            tracing::error!(folder = %folder.display(), %error, "a folder cannot be read any more");
            return Ok(Vec::new());
        }
        other => other.map_err(failed("list", folder))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed("list", folder))?;
        let path = entry.path();
        match entry.metadata() {
            Ok(metadata) => found.push((path, entry.file_name(), Stamp::of(&metadata))),
            Err(error) if is_damage(&error) => {
                tracing::error!(path = %path.display(), %error, "cannot be read any more");
            }
            Err(error) => return Err(failed("read", &path)(error)),
        }
    }
    Ok(found)
}
