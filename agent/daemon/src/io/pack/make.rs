//! A school's own lesson (校本), made on the board from a teacher's files: looked at, cut and hashed as the console does,
//! signed with the board's author key, stored like any other lesson. No network, no console.
//!
//! The order: every file is read once for its hashes → the manifest is signed and stored → every file is read again and
//! stored chunk by chunk, each hashed → only the caller's note (`own`) shows it. A cut before that leaves a lesson that is
//! not whole or not noted; the next start lets go of the one and takes up the other (`desk`).

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use contract::{
    assignment::AssignedLesson,
    chunks::{CopyError, digest_copy},
    container::{Container, HEAD_BYTES, container},
    hash::Hash,
    id::LessonId,
    lesson::{FileEntry, ItemKind, LessonItem, LessonManifest, LessonMeta, SchoolLesson},
    path::LessonPath,
    signed::Signed,
};

use super::{
    folder::DiskError,
    import::{FileSource, ImportError, Progress, fill},
    loose::{Loose, LooseError},
};
use crate::{
    author::Author,
    store::{ContentStore, LessonKey, StoreError},
    trust::TrustDoor,
};

/// Most files of one lesson.
pub const MOST_FILES: usize = 200;
/// Longest title, subject, grade and so on, in characters.
pub const MOST_CHARS: usize = 60;
/// Longest name of a file in a lesson, in bytes, without its number.
const MOST_NAME_BYTES: usize = 180;

/// What somebody wants made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewLesson {
    /// 课题.
    pub title: String,
    /// 学科.
    pub subject: String,
    /// 年级; may be empty.
    pub grade: String,
    /// 册次; may be empty.
    pub volume: String,
    /// 章节; may be empty.
    pub chapter: String,
    /// Files in teaching order, each by its names from the disk's root on.
    pub files: Vec<Vec<Vec<u8>>>,
    /// The lesson of which it is a new version.
    pub again: Option<LessonId>,
}

/// Who makes it, and where it goes.
#[derive(Debug)]
pub struct Maker<'a> {
    /// The lessons here.
    pub store: &'a ContentStore,
    /// What is believed.
    pub trust: &'a TrustDoor,
    /// Who signs.
    pub author: &'a Author,
    /// Code of the school.
    pub school: &'a str,
}

/// Why there is no lesson.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// Title or subject is empty, or a field is too long.
    #[error("title and subject are needed, and no field may be longer than {MOST_CHARS} characters")]
    Words,
    /// None, or too many.
    #[error("{0} files; 1 to {MOST_FILES} are allowed")]
    FileCount(usize),
    /// Which school the board is in is not known.
    #[error("this board does not know its school yet")]
    NoSchool,
    /// A file is of no kind that boards show.
    #[error("{0} is no PPT, PDF, MP4, MP3 or picture")]
    Kind(String),
    /// A file is empty.
    #[error("{0} is empty")]
    Empty(String),
    /// A file changed while it was read.
    #[error("{0} changed while it was read")]
    Changed(String),
    /// A file could not be read.
    #[error("{0} could not be read: {1}")]
    Unread(String, LooseError),
    /// It was told to stop.
    #[error("it was stopped")]
    Stopped,
    /// Less room than it needs.
    #[error("it needs {needed} bytes, {free} are free for lessons")]
    NoRoom {
        /// Bytes of its files.
        needed: u64,
        /// Bytes that lessons may still take.
        free: u64,
    },
    /// The key of the school's own lessons cannot be had.
    #[error("the board's key cannot be used: {0}")]
    Key(io::Error),
    /// Storing it failed.
    #[error(transparent)]
    Store(ImportError),
}

impl From<StoreError> for MakeError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}

struct Chosen<'a> {
    name: String,
    path: &'a [Vec<u8>],
    size: u64,
    kind: ItemKind,
    media_type: &'static str,
}

impl NewLesson {
    /// Checks what can be checked without a disk.
    ///
    /// # Errors
    /// The first thing wrong.
    pub fn check(&self) -> Result<(), MakeError> {
        let fields = [
            &self.title,
            &self.subject,
            &self.grade,
            &self.volume,
            &self.chapter,
        ];
        let too_long =
            |text: &&String| text.chars().count() > MOST_CHARS || text.chars().any(char::is_control);
        if self.title.trim().is_empty() || self.subject.trim().is_empty() || fields.iter().any(too_long) {
            return Err(MakeError::Words);
        }
        if self.files.is_empty() || self.files.len() > MOST_FILES {
            return Err(MakeError::FileCount(self.files.len()));
        }
        Ok(())
    }

    /// Its name and version: a new one, or the next of the lesson that it replaces.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn version(&self, store: &ContentStore, trust: &TrustDoor) -> Result<LessonKey, StoreError> {
        let Some(lesson) = self.again.clone().filter(LessonId::is_school_made) else {
            let mark: [u8; 10] = rand::random();
            let name = format!("{}{}", contract::id::SCHOOL_PREFIX, hex::encode(mark));
            let lesson = LessonId::new(name).map_err(|e| StoreError::Io {
                doing: "name",
                path: PathBuf::new(),
                reason: io::Error::other(e),
            })?;
            return Ok(LessonKey { lesson, version: 1 });
        };
        let here = store.current(&lesson)?.map_or(0, |key| key.version);
        let highest = trust.with(|trust| trust.highest(&lesson));
        Ok(LessonKey {
            version: here.max(highest).saturating_add(1),
            lesson,
        })
    }
}

/// Makes `wanted` as `key` from the files on `disk`. Blocks; `tell` hears how far it is, every byte counting twice. What is
/// half stored when it fails is let go of.
///
/// # Errors
/// Why there is no lesson.
pub fn make(
    maker: &Maker<'_>,
    disk: &Loose,
    wanted: &NewLesson,
    key: &LessonKey,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(Progress),
) -> Result<AssignedLesson, MakeError> {
    wanted.check()?;
    let chosen = choose(disk, wanted)?;
    let total: u64 = chosen.iter().map(|file| file.size).sum();
    let free = maker.store.0.room()?;
    if total > free {
        return Err(MakeError::NoRoom { needed: total, free });
    }
    let mut read = 0;
    let mut told = |bytes: u64| {
        read += bytes;
        tell(Progress {
            done_bytes: read,
            total_bytes: 2 * total,
            read_bytes: bytes,
        });
    };
    let (manifest, paths) = manifest(maker, disk, wanted, key, &chosen, stop, &mut told)?;
    let body = SchoolLesson {
        school: maker.school.to_owned(),
        manifest,
    };
    let signed = Signed::sign(&body, maker.author.public.key_id.clone(), &maker.author.key);
    let document = signed.and_then(|signed| serde_json::to_vec(&signed));
    let document = document.map_err(|error| MakeError::Key(io::Error::other(error)))?;
    let made = AssignedLesson {
        lesson: key.lesson.clone(),
        version: key.version,
        manifest: Hash::of(&document),
        size_bytes: body.manifest.stored_bytes(),
        pinned: false,
        needed_by: None,
    };
    let manifest = maker.store.put_manifest(&document, &made)?;
    let open = |entry: &FileEntry| -> Result<Box<dyn FileSource + '_>, DiskError> {
        let strange = |why| DiskError::Strange(PathBuf::from(entry.path.as_str()), why);
        let at = manifest.files.iter().position(|file| file.hash == entry.hash);
        let path = at
            .and_then(|at| paths.get(at))
            .ok_or_else(|| strange("not one of ours"))?;
        let file = disk
            .file(path)
            .map_err(|_| DiskError::Missing(PathBuf::from(entry.path.as_str())))?;
        if file.size != entry.size {
            return Err(strange("of another length"));
        }
        Ok(Box::new(Plain(file.file, entry.path.clone())))
    };
    let mut stored = |now: Progress| {
        tell(Progress {
            done_bytes: total + now.done_bytes.min(total),
            total_bytes: 2 * total,
            read_bytes: now.read_bytes,
        });
    };
    match fill(maker.store, key, &manifest, &open, stop, &mut stored) {
        Ok(()) => Ok(made),
        Err(error) => {
            if let Err(error) = maker.store.evict(key) {
                tracing::warn!(lesson.id = %key.lesson, %error, "what was half made could not be let go of");
            }
            Err(match error {
                ImportError::Stopped => MakeError::Stopped,
                ImportError::Damaged(hash) => MakeError::Changed(
                    manifest
                        .files
                        .iter()
                        .find(|file| file.hash == hash)
                        .map_or_else(String::new, |file| file.path.to_string()),
                ),
                error => MakeError::Store(error),
            })
        }
    }
}

struct Plain(File, LessonPath);

impl FileSource for Plain {
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> Result<(), DiskError> {
        self.0
            .read_exact_at(buffer, offset)
            .map_err(|error| DiskError::Unreadable(PathBuf::from(self.1.as_str()), error))
    }
}

/// Looks at every file: there, of a kind that boards show, not empty.
fn choose<'a>(disk: &Loose, wanted: &'a NewLesson) -> Result<Vec<Chosen<'a>>, MakeError> {
    let mut chosen = Vec::with_capacity(wanted.files.len());
    for path in &wanted.files {
        let name = path.last().map(|name| String::from_utf8_lossy(name).into_owned());
        let name = name.unwrap_or_default();
        let unread = |error| MakeError::Unread(name.clone(), error);
        let found = disk.file(path).map_err(unread)?;
        if found.size == 0 {
            return Err(MakeError::Empty(name));
        }
        let mut head = vec![0; HEAD_BYTES.min(usize::try_from(found.size).unwrap_or(HEAD_BYTES))];
        found
            .file
            .read_exact_at(&mut head, 0)
            .map_err(|error| MakeError::Unread(name.clone(), LooseError::Unreadable(error)))?;
        let Some((kind, media_type)) = kind_of(&head, &name) else {
            return Err(MakeError::Kind(name));
        };
        chosen.push(Chosen {
            name,
            path,
            size: found.size,
            kind,
            media_type,
        });
    }
    Ok(chosen)
}

/// What a file is to a board; `None` if it shows no such thing. Exercises and anything else that runs come from the county.
pub fn kind_of(head: &[u8], name: &str) -> Option<(ItemKind, &'static str)> {
    let extension = name
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension)
        .to_lowercase();
    Some(match container(head)? {
        Container::Mp4 if extension == "m4a" || head.get(8..12) == Some(b"M4A ") => {
            (ItemKind::Audio, "audio/mp4")
        }
        Container::Mp4 => (ItemKind::Video, "video/mp4"),
        Container::Mp3 => (ItemKind::Audio, "audio/mpeg"),
        Container::Pdf => (ItemKind::Pdf, "application/pdf"),
        Container::Png => (ItemKind::Image, "image/png"),
        Container::Jpeg => (ItemKind::Image, "image/jpeg"),
        Container::Zip => (
            ItemKind::Office,
            match extension.as_str() {
                "pptx" | "ppsx" => {
                    "application/vnd.openxmlformats-officedocument.presentationml.presentation"
                }
                "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                _ => return None,
            },
        ),
        Container::OldOffice => (
            ItemKind::Office,
            match extension.as_str() {
                "ppt" | "pps" | "dps" => "application/vnd.ms-powerpoint",
                "doc" | "wps" => "application/msword",
                "xls" | "et" => "application/vnd.ms-excel",
                _ => return None,
            },
        ),
        Container::QuickTime | Container::Heif => return None,
    })
}

type Paths<'a> = Vec<&'a [Vec<u8>]>;

fn manifest<'a>(
    maker: &Maker<'_>,
    disk: &Loose,
    wanted: &NewLesson,
    key: &LessonKey,
    chosen: &[Chosen<'a>],
    stop: &AtomicBool,
    told: &mut dyn FnMut(u64),
) -> Result<(LessonManifest, Paths<'a>), MakeError> {
    let mut files = Vec::with_capacity(chosen.len());
    let mut items = Vec::with_capacity(chosen.len());
    let mut paths = Vec::with_capacity(chosen.len());
    for (at, file) in chosen.iter().enumerate() {
        let name = || file.name.clone();
        let mut found = disk
            .file(file.path)
            .map_err(|error| MakeError::Unread(name(), error))?;
        let digested = digest_copy(&mut found.file, &mut Nowhere(stop), file.size, told).map_err(
            |error| match error {
                CopyError::Read(error) => MakeError::Unread(name(), LooseError::Unreadable(error)),
                CopyError::Write(_) => MakeError::Stopped,
                CopyError::TooLarge { .. } => MakeError::Changed(name()),
            },
        )?;
        if digested.size != file.size {
            return Err(MakeError::Changed(name()));
        }
        let path = path_of(at + 1, &file.name)?;
        let title = file
            .name
            .rsplit_once('.')
            .map_or(file.name.as_str(), |(stem, _)| stem);
        items.push(LessonItem {
            kind: file.kind,
            title: title.chars().filter(|c| !c.is_control()).take(120).collect(),
            entry: path.clone(),
            subtitles: Vec::new(),
            duration_ms: None,
            thumbnail: None,
            converted: None,
            pages: Vec::new(),
        });
        files.push(FileEntry {
            path,
            media_type: file.media_type.to_owned(),
            size: digested.size,
            hash: digested.hash,
            sha256: digested.sha256,
            chunks: digested.chunks,
        });
        paths.push(file.path);
    }
    let trimmed = |text: &str| text.trim().to_owned();
    let manifest = LessonManifest {
        id: key.lesson.clone(),
        version: key.version,
        meta: LessonMeta {
            title: trimmed(&wanted.title),
            stage: stage_of(&wanted.grade).to_owned(),
            subject: trimmed(&wanted.subject),
            edition: "校本版".to_owned(),
            grade: trimmed(&wanted.grade),
            volume: trimmed(&wanted.volume),
            chapter: trimmed(&wanted.chapter),
            ..LessonMeta::default()
        },
        items,
        files,
        // Certainly not before; what the wall clock says may be anything.
        created_at: maker.trust.floor(),
    };
    Ok((manifest, paths))
}

/// Takes everything, until it is told to stop.
struct Nowhere<'a>(&'a AtomicBool);

impl Write for Nowhere<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.load(Ordering::Relaxed) {
            return Err(io::Error::other("stopped"));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where the `number`th file stands in the lesson: its own name as far as that may stand there, with the number before it.
fn path_of(number: usize, name: &str) -> Result<LessonPath, MakeError> {
    let allowed = |c: char| {
        if c.is_control() || matches!(c, '\\' | ':' | '/') {
            '_'
        } else {
            c
        }
    };
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let mut stem: String = stem.chars().map(allowed).collect();
    while stem.len() > MOST_NAME_BYTES {
        stem.pop();
    }
    let extension: String = extension
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(8)
        .collect();
    format!("{number:02}-{stem}.{extension}")
        .parse()
        .or_else(|_| format!("{number:02}.{extension}").parse())
        .map_err(|_| MakeError::Kind(name.to_owned()))
}

/// 学段, as far as the grade tells.
fn stage_of(grade: &str) -> &'static str {
    if grade.contains('高') {
        return "高中";
    }
    match grade.trim().chars().next() {
        Some('一' | '二' | '三' | '四' | '五' | '六') => "小学",
        Some('七' | '八' | '九' | '初') => "初中",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_go_by_content_and_office_files_by_their_name_besides() {
        let kind = |head: &[u8], name: &str| kind_of(head, name).map(|(kind, _)| kind);
        assert_eq!(kind(b"\0\0\0\x20ftypisom", "a.mp4"), Some(ItemKind::Video));
        assert_eq!(kind(b"\0\0\0\x20ftypM4A ", "a.mp4"), Some(ItemKind::Audio));
        assert_eq!(kind(b"PK\x03\x04", "a.PPTX"), Some(ItemKind::Office));
        assert_eq!(
            kind(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a.ppt"),
            Some(ItemKind::Office)
        );
        for (head, name) in [
            (&b"PK\x03\x04"[..], "game.zip"),
            (b"MZ\x90\0", "a.ppt"),
            (b"<html>", "a.pdf"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a.msi"),
            (b"\0\0\0\x20ftypqt  ", "a.mov"),
        ] {
            assert_eq!(kind(head, name), None, "{name}");
        }
    }

    #[test]
    fn any_name_becomes_a_path_of_ours() {
        assert_eq!(
            path_of(3, "第三课 观潮.mp4").unwrap().as_str(),
            "03-第三课 观潮.mp4"
        );
        assert_eq!(path_of(1, "a:b\\c\u{7}.pdf").unwrap().as_str(), "01-a_b_c_.pdf");
        assert!(path_of(200, &"长".repeat(200)).unwrap().as_str().len() < 240);
        assert_eq!(path_of(1, "..").unwrap().as_str(), "01-..");
    }

    #[test]
    fn words_are_bounded() {
        let mut lesson = NewLesson {
            title: "观潮".into(),
            subject: "语文".into(),
            files: vec![vec![b"a.pdf".to_vec()]],
            ..NewLesson::default()
        };
        lesson.check().unwrap();
        lesson.grade = "长".repeat(MOST_CHARS + 1);
        assert!(matches!(lesson.check(), Err(MakeError::Words)));
        lesson.grade = String::new();
        lesson.title = "  ".into();
        assert!(matches!(lesson.check(), Err(MakeError::Words)));
        lesson.title = "观潮".into();
        lesson.files.clear();
        assert!(matches!(lesson.check(), Err(MakeError::FileCount(0))));
    }
}
