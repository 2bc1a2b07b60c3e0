//! A lesson as a device receives it: immutable, verifiable file by file and chunk by chunk.

use std::collections::HashSet;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    hash::{Hash, Sha256},
    id::LessonId,
    path::LessonPath,
    signed::{KeyRole, SignatureError, Signed, SignedBody, TrustedKey},
};

/// Largest signed manifest a device reads, in bytes: about 40 GB of lesson at 128 KiB a chunk.
pub const MAX_MANIFEST_BYTES: usize = 32 * 1024 * 1024;
/// Most files in one lesson; an HTML5 exercise may hold thousands.
pub const MAX_FILES: usize = 20_000;
/// Largest chunk in bytes; bounds the memory that verifying one needs.
pub const MAX_CHUNK_BYTES: u32 = 1024 * 1024;

/// One version of one lesson. Never changed once signed: another content is another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LessonManifest {
    /// The lesson, over all versions.
    pub id: LessonId,
    /// Counts from 1; a higher one replaces a lower one.
    pub version: u32,
    /// Where the lesson belongs in the curriculum.
    pub meta: LessonMeta,
    /// What the teacher opens, in teaching order.
    pub items: Vec<LessonItem>,
    /// Everything that is stored, each path once.
    pub files: Vec<FileEntry>,
    /// When this version was made, by the console's clock.
    pub created_at: Timestamp,
}

/// The national model's fields; the controlled vocabularies are data of the console.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LessonMeta {
    /// 课题, e.g. "三角形的内角和".
    pub title: String,
    /// 学段, e.g. "小学".
    pub stage: String,
    /// 学科, e.g. "数学".
    pub subject: String,
    /// 版本, e.g. "人教版".
    pub edition: String,
    /// 年级, e.g. "三年级".
    pub grade: String,
    /// 册次, e.g. "上册".
    pub volume: String,
    /// 章节, e.g. "第五单元 倍的认识".
    pub chapter: String,
    /// 课时, e.g. "第1课时".
    pub period: String,
    /// 资源类型, e.g. "课堂实录".
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resource_type: String,
    /// 课标年份, e.g. 2022.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_year: Option<u16>,
    /// 修订年份 of the textbook, e.g. 2024.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revised_year: Option<u16>,
    /// Who made it or where it was taken from.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Who may use it and until when; none is without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<Licence>,
}

/// What its owner allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Licence {
    /// A word of the console's vocabulary, e.g. "county".
    pub scope: String,
    /// From then on it is not shown any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// One thing a teacher opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LessonItem {
    /// How the player shows it.
    pub kind: ItemKind,
    /// Its name on the page.
    pub title: String,
    /// The file to open first; for [`ItemKind::Html5`] the page inside the exercise's folder.
    pub entry: LessonPath,
    /// Subtitle tracks of a video or audio, WebVTT.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subtitles: Vec<Subtitle>,
    /// Playing time of a video or audio in milliseconds, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// A small picture of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<LessonPath>,
    /// An office file as PDF, converted at the console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub converted: Option<LessonPath>,
    /// The same page by page, as pictures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<LessonPath>,
}

impl LessonItem {
    /// Every file it names.
    pub fn paths(&self) -> impl Iterator<Item = &LessonPath> {
        std::iter::once(&self.entry)
            .chain(self.subtitles.iter().map(|s| &s.path))
            .chain(&self.thumbnail)
            .chain(&self.converted)
            .chain(&self.pages)
    }
}

/// How the player shows an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// H.264/AAC in MP4.
    Video,
    /// MP3.
    Audio,
    /// PNG or JPEG.
    Image,
    /// PDF.
    Pdf,
    /// A folder of HTML, unpacked at the console, with its own start page.
    Html5,
    /// PPTX and the like: offered as the original file.
    Office,
    /// A kind that a newer console knows; shown as a file to download.
    #[serde(other)]
    Other,
}

/// One WebVTT track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subtitle {
    /// BCP 47, e.g. `zh-CN`.
    pub lang: String,
    /// The track's name on the page.
    pub label: String,
    /// The .vtt file.
    pub path: LessonPath,
}

/// One file of a lesson.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileEntry {
    /// Where it stands in the lesson.
    pub path: LessonPath,
    /// MIME type, found from the content at import, not from the name.
    pub media_type: String,
    /// Length in bytes; the sum of the chunks.
    pub size: u64,
    /// BLAKE3 of the whole file; its name in every store.
    pub hash: Hash,
    /// SHA-256 of the whole file, for outside tools.
    pub sha256: Sha256,
    /// The file in order, without gaps.
    pub chunks: Vec<ChunkEntry>,
}

/// One stretch of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChunkEntry {
    /// BLAKE3 of the stretch.
    pub hash: Hash,
    /// Its length in bytes, at most [`MAX_CHUNK_BYTES`].
    pub size: u32,
}

impl SignedBody for LessonManifest {
    const KIND: &'static str = "lesson-manifest/1";
    const ROLE: KeyRole = KeyRole::Content;
}

/// A lesson that a school made itself (校本): signed by one of the authors its plan names, shown in that school alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SchoolLesson {
    /// Official code of the school.
    pub school: String,
    /// The lesson; its id begins with `school-`.
    pub manifest: LessonManifest,
}

impl SignedBody for SchoolLesson {
    const KIND: &'static str = "school-lesson/1";
    const ROLE: KeyRole = KeyRole::School;
}

/// Longest code of a school, in bytes.
pub const MAX_SCHOOL_BYTES: usize = 64;

/// Who made a school's own lesson.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SchoolMark {
    /// Official code of the school.
    pub school: String,
    /// Public key of the author whose signature was found good (base64): its name could be anybody's.
    pub author: String,
}

/// A lesson whose signature is good, the county's or a school's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedLesson {
    /// What it is.
    pub manifest: LessonManifest,
    /// Where a school made it.
    pub school: Option<SchoolMark>,
}

/// A signed document that is no lesson.
#[derive(Debug, thiserror::Error)]
pub enum LessonRefused {
    /// No JSON of that shape.
    #[error("not a signed lesson: {0}")]
    Syntax(#[from] serde_json::Error),
    /// Not signed as it must be.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It contradicts itself.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A school's own lesson under a name that only the county gives, or for no school.
    #[error("lesson {0} is signed by a school, whose lessons begin with \"school-\" and name the school")]
    School(LessonId),
}

impl SignedLesson {
    /// Reads the document that is said to be `lesson` and verifies it. The name decides who must have signed: for names
    /// that begin with `school-` an author of a school, for all others the county. So neither can take the other's place.
    ///
    /// # Errors
    /// Not readable, not signed as it must be, or a contradiction in itself. That it *is* `lesson` is the caller's to check.
    pub fn open(document: &[u8], lesson: &LessonId, keys: &[TrustedKey]) -> Result<Self, LessonRefused> {
        let opened = if lesson.is_school_made() {
            let signed: Signed<SchoolLesson> = serde_json::from_slice(document)?;
            let (SchoolLesson { school, manifest }, key) = signed.verify_with(keys)?;
            let named = (1..=MAX_SCHOOL_BYTES).contains(&school.len());
            if !named || !manifest.id.is_school_made() {
                return Err(LessonRefused::School(manifest.id));
            }
            Self {
                manifest,
                school: Some(SchoolMark {
                    school,
                    author: key.public_key.clone(),
                }),
            }
        } else {
            let signed: Signed<LessonManifest> = serde_json::from_slice(document)?;
            Self {
                manifest: signed.verify(keys)?,
                school: None,
            }
        };
        opened.manifest.check()?;
        Ok(opened)
    }
}

/// A manifest that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Version 0.
    #[error("lesson {0}: version 0 is not allowed, versions count from 1")]
    Version(LessonId),
    /// Nothing in it, or over [`MAX_FILES`].
    #[error("lesson {0}: has {1} files; 1 to {MAX_FILES} are allowed")]
    FileCount(LessonId, usize),
    /// The same path twice.
    #[error("lesson {0}: path {1} stands twice")]
    Twice(LessonId, LessonPath),
    /// Chunks do not add up to the size, or one is empty or too long.
    #[error("lesson {0}: the chunks of {1} do not fit its size")]
    Chunks(LessonId, LessonPath),
    /// One hash with two sizes.
    #[error("lesson {0}: {1} has the hash of another file but not its size")]
    HashReused(LessonId, LessonPath),
    /// An item or subtitle names a file that is not there.
    #[error("lesson {0}: item names {1}, which is not among its files")]
    Missing(LessonId, LessonPath),
}

impl LessonManifest {
    /// Checks the manifest against itself; whoever receives one calls this before acting on it.
    ///
    /// # Errors
    /// The first contradiction found.
    pub fn check(&self) -> Result<(), ManifestError> {
        let id = || self.id.clone();
        if self.version == 0 {
            return Err(ManifestError::Version(id()));
        }
        if self.files.is_empty() || self.files.len() > MAX_FILES {
            return Err(ManifestError::FileCount(id(), self.files.len()));
        }
        let mut paths = HashSet::new();
        let mut sizes = std::collections::HashMap::new();
        for file in &self.files {
            if !paths.insert(&file.path) {
                return Err(ManifestError::Twice(id(), file.path.clone()));
            }
            let fits = file
                .chunks
                .iter()
                .all(|c| c.size > 0 && c.size <= MAX_CHUNK_BYTES);
            let sum: u64 = file.chunks.iter().map(|c| u64::from(c.size)).sum();
            if !fits || sum != file.size {
                return Err(ManifestError::Chunks(id(), file.path.clone()));
            }
            if *sizes.entry(file.hash).or_insert(file.size) != file.size {
                return Err(ManifestError::HashReused(id(), file.path.clone()));
            }
        }
        for item in &self.items {
            for path in item.paths() {
                if !paths.contains(path) {
                    return Err(ManifestError::Missing(id(), path.clone()));
                }
            }
        }
        Ok(())
    }

    /// Bytes that a device must hold for this lesson: every distinct file once.
    pub fn stored_bytes(&self) -> u64 {
        let mut seen = HashSet::new();
        self.files
            .iter()
            .filter(|f| seen.insert(f.hash))
            .map(|f| f.size)
            .sum()
    }
}
