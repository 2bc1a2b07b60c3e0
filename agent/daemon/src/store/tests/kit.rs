//! Lessons made of noise, signed by a key of ours, and a folder to keep them in.

use std::{fs, io, path::Path};

use bytes::Bytes;
use contract::{
    assignment::AssignedLesson,
    hash::{Hash, Sha256},
    id::{KeyId, LessonId},
    lesson::{ChunkEntry, FileEntry, ItemKind, LessonItem, LessonManifest, LessonMeta},
    signed::{KeyRole, Signed, TrustedKey},
};
use ed25519_dalek::SigningKey;
use tempfile::TempDir;

use crate::store::{
    Begin, ContentStore, LessonKey, OpenReport, Part, StoreError, StoreOptions, VerifiedChunk, fault::Faults,
};

pub(crate) const CHUNK: usize = 4096;

/// A lesson and all its bytes.
pub(crate) struct Lesson {
    pub(crate) assigned: AssignedLesson,
    pub(crate) document: Vec<u8>,
    pub(crate) manifest: LessonManifest,
    pub(crate) bytes: Vec<Vec<u8>>,
}

impl Lesson {
    pub(crate) fn key(&self) -> LessonKey {
        LessonKey {
            lesson: self.assigned.lesson.clone(),
            version: self.assigned.version,
        }
    }
}

fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

pub(crate) fn trusted() -> Vec<TrustedKey> {
    vec![TrustedKey::of(
        KeyId::new("content").unwrap(),
        KeyRole::Content,
        &signing_key(),
    )]
}

/// Bytes that look like nothing else, the same for the same seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

pub(crate) fn entry(path: &str, bytes: &[u8]) -> FileEntry {
    FileEntry {
        path: path.parse().unwrap(),
        media_type: "application/octet-stream".into(),
        size: bytes.len() as u64,
        hash: Hash::of(bytes),
        sha256: Sha256([0; 32]),
        chunks: bytes
            .chunks(CHUNK)
            .map(|chunk| ChunkEntry {
                hash: Hash::of(chunk),
                size: chunk.len() as u32,
            })
            .collect(),
    }
}

pub(crate) fn lesson(id: &str, version: u32, files: &[Vec<u8>]) -> Lesson {
    let text = |s: &str| s.to_owned();
    let entries: Vec<_> = files
        .iter()
        .enumerate()
        .map(|(n, b)| entry(&format!("file-{n}.bin"), b))
        .collect();
    let manifest = LessonManifest {
        id: LessonId::new(id).unwrap(),
        version,
        meta: LessonMeta {
            title: format!("课 {id}"),
            stage: text("小学"),
            subject: text("数学"),
            edition: text("人教版"),
            grade: text("三年级"),
            volume: text("上册"),
            chapter: text("第五单元 倍的认识"),
            period: text("第1课时"),
            ..LessonMeta::default()
        },
        items: vec![LessonItem {
            kind: ItemKind::Video,
            title: text("微课"),
            entry: entries[0].path.clone(),
            subtitles: vec![],
            duration_ms: Some(60_000),
            thumbnail: None,
            converted: None,
            pages: Vec::new(),
        }],
        files: entries,
        created_at: "2026-09-01T00:00:00Z".parse().unwrap(),
    };
    let assigned = AssignedLesson {
        lesson: manifest.id.clone(),
        version,
        manifest: Hash([0; 32]),
        size_bytes: manifest.stored_bytes(),
        pinned: false,
        needed_by: None,
    };
    let mut lesson = Lesson {
        assigned,
        document: Vec::new(),
        manifest,
        bytes: files.to_vec(),
    };
    resign(&mut lesson);
    lesson
}

/// Signs the manifest again after it was changed.
pub(crate) fn resign(lesson: &mut Lesson) {
    let document = Signed::sign(&lesson.manifest, KeyId::new("content").unwrap(), &signing_key()).unwrap();
    lesson.document = serde_json::to_vec(&document).unwrap();
    lesson.assigned.manifest = Hash::of(&lesson.document);
}

pub(crate) fn options(root: &Path) -> StoreOptions {
    StoreOptions {
        root: root.to_owned(),
        trusted: trusted(),
        reserve_bytes: 0,
        max_bytes: None,
    }
}

pub(crate) fn folder() -> TempDir {
    // Memory where there is some: these tests cut, copy and open hundreds of times, and syncing a disk proves nothing here.
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

pub(crate) fn open(root: &Path) -> (ContentStore, OpenReport) {
    ContentStore::open(options(root)).unwrap()
}

pub(crate) fn open_hooked(
    root: &Path,
    hook: impl Fn(crate::store::fault::Step) -> io::Result<()> + Send + Sync + 'static,
) -> ContentStore {
    ContentStore::open_with(options(root), Faults::hooked(hook))
        .unwrap()
        .0
}

pub(crate) fn begin(store: &ContentStore, entry: &FileEntry) -> Part {
    match store.begin(entry).unwrap() {
        Begin::Part(part) => part,
        Begin::Have => panic!("{} is here already", entry.hash),
    }
}

/// Writes what is missing and says how many chunks that were.
pub(crate) fn fill(part: &mut Part, bytes: &[u8]) -> Result<usize, StoreError> {
    let mut written = 0;
    for run in part.missing(u64::MAX) {
        let mut offset = run.offset as usize;
        for index in run.first_chunk..run.first_chunk + run.chunks {
            let chunk = part.chunk(index).unwrap();
            let end = offset + chunk.size as usize;
            let verified = VerifiedChunk::check(chunk, Bytes::copy_from_slice(&bytes[offset..end])).unwrap();
            part.write(index, &verified)?;
            offset = end;
            written += 1;
        }
    }
    Ok(written)
}

/// Stores a whole lesson.
pub(crate) fn store_all(store: &ContentStore, lesson: &Lesson) -> Result<(), StoreError> {
    store.put_manifest(&lesson.document, &lesson.assigned)?;
    for (entry, bytes) in lesson.manifest.files.iter().zip(&lesson.bytes) {
        if let Begin::Part(mut part) = store.begin(entry)? {
            fill(&mut part, bytes)?;
            part.checkpoint()?;
            store.commit(vec![part]).remove(0)?;
        }
    }
    Ok(())
}

pub(crate) fn is_ready(store: &ContentStore, lesson: &Lesson) -> bool {
    store
        .held(&lesson.key())
        .unwrap()
        .is_some_and(|held| held.is_ready())
}

/// Every byte of the lesson as a player would get it; `None` where it would get nothing.
pub(crate) fn read_back(store: &ContentStore, lesson: &Lesson) -> Vec<Option<Vec<u8>>> {
    let read = |entry: &FileEntry| {
        let mut open = store.open_file(entry.hash).unwrap()?;
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut open.file, &mut bytes).unwrap();
        Some(bytes)
    };
    lesson.manifest.files.iter().map(read).collect()
}

/// Copies a data folder as it is on the disk at this moment, times of change included.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for found in fs::read_dir(from).unwrap() {
        let found = found.unwrap();
        let (path, target) = (found.path(), to.join(found.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            fs::File::options()
                .write(true)
                .open(&target)
                .unwrap()
                .set_modified(modified)
                .unwrap();
        }
    }
}
