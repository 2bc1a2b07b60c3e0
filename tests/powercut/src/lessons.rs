//! Lessons made of noise, signed by a key of ours.

use std::path::Path;

use bbt_agent::store::{LessonKey, StoreOptions};
use contract::{
    assignment::AssignedLesson,
    hash::{Hash, Sha256},
    id::{KeyId, LessonId},
    lesson::{ChunkEntry, FileEntry, ItemKind, LessonItem, LessonManifest, LessonMeta},
    signed::{KeyRole, Signed, TrustedKey},
};
use ed25519_dalek::SigningKey;

use anyhow::{Context, Result};

/// Bytes of a chunk.
pub(crate) const CHUNK: usize = 16 * 1024;

/// A lesson and all its bytes.
#[derive(Debug)]
pub(crate) struct Lesson {
    /// As the console assigns it.
    pub(crate) assigned: AssignedLesson,
    /// Its signed manifest.
    pub(crate) document: Vec<u8>,
    /// What the document says.
    pub(crate) manifest: LessonManifest,
    /// The bytes of each file.
    pub(crate) bytes: Vec<Vec<u8>>,
}

impl Lesson {
    /// Signs a lesson that has these files.
    ///
    /// # Errors
    /// The id is none.
    pub(crate) fn new(id: &str, version: u32, files: Vec<Vec<u8>>) -> Result<Self> {
        let mut entries = Vec::new();
        for (n, bytes) in files.iter().enumerate() {
            entries.push(FileEntry {
                path: format!("file-{n}.bin").parse().context("Failed to name a file")?,
                media_type: "application/octet-stream".to_owned(),
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
            });
        }
        let manifest = LessonManifest {
            id: LessonId::new(id)?,
            version,
            meta: LessonMeta {
                title: format!("课 {id}"),
                ..LessonMeta::default()
            },
            items: vec![LessonItem {
                kind: ItemKind::Other,
                title: id.to_owned(),
                entry: entries[0].path.clone(),
                subtitles: vec![],
                duration_ms: None,
                thumbnail: None,
                converted: None,
                pages: vec![],
            }],
            files: entries,
            created_at: "2026-09-01T00:00:00Z".parse()?,
        };
        let document = serde_json::to_vec(&Signed::sign(&manifest, key_id()?, &key())?)?;
        Ok(Self {
            assigned: AssignedLesson {
                lesson: manifest.id.clone(),
                version,
                manifest: Hash::of(&document),
                size_bytes: manifest.stored_bytes(),
                pinned: false,
                needed_by: None,
            },
            document,
            manifest,
            bytes: files,
        })
    }

    /// As the store names it.
    pub(crate) fn key(&self) -> LessonKey {
        LessonKey {
            lesson: self.assigned.lesson.clone(),
            version: self.assigned.version,
        }
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn key_id() -> Result<KeyId> {
    Ok(KeyId::new("content")?)
}

/// How the store on the disk is opened.
///
/// # Errors
/// Never.
pub(crate) fn options(root: &Path) -> Result<StoreOptions> {
    Ok(StoreOptions {
        root: root.to_owned(),
        trusted: vec![TrustedKey::of(key_id()?, KeyRole::Content, &key())],
        reserve_bytes: 0,
        max_bytes: None,
    })
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
