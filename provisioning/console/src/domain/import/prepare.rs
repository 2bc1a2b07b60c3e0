//! One lesson from disk to sealed files and a manifest's contents. Blocking; memory bounded; registers nothing.
//!
//! Every byte is checked in the copy that will be stored, so a file that somebody changes meanwhile cannot slip through.

use std::{
    fs::File,
    io::{Cursor, Read},
    path::PathBuf,
    sync::Arc,
};

use contract::{
    lesson::{FileEntry, ItemKind, LessonItem, MAX_FILES, Subtitle},
    path::{LessonPath, PathError},
};

use super::{
    error::Reason,
    lesson_toml::Description,
    plan::{self, PlannedItem, PlannedSubtitle, stem},
    sniff::{self, Content},
    subtitle,
    zip_safe::{self, Limits},
};
use crate::objects::{Objects, Sealed, Staged};

/// Where a file's bytes are before the import.
#[derive(Debug)]
pub enum Bytes {
    /// In somebody's folder.
    Disk(PathBuf),
    /// Uploaded, in our own staging.
    Uploaded(Staged),
}

/// One file of the lesson to be.
#[derive(Debug)]
pub struct Source {
    /// Its place in the lesson.
    pub path: LessonPath,
    /// Its length when it was listed.
    pub size: u64,
    /// Its bytes.
    pub bytes: Bytes,
}

/// A lesson that passed every check; its files are sealed, not yet stored.
#[derive(Debug)]
pub struct Prepared {
    /// Manifest items.
    pub items: Vec<LessonItem>,
    /// Manifest files in path order, each with its sealed bytes.
    pub files: Vec<(FileEntry, Sealed)>,
    /// Files that nothing named.
    pub ignored: Vec<LessonPath>,
}

/// How far one lesson's import is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The lesson's folder or title.
    pub lesson: String,
    /// The file being read.
    pub file: String,
    /// Bytes read so far, all files.
    pub done_bytes: u64,
    /// Bytes to be read; HTML5 counts unpacked, so `done_bytes` may pass it.
    pub total_bytes: u64,
}

/// Hears of progress; called from the importing thread, for every chunk.
pub type OnProgress = Arc<dyn Fn(Progress) + Send + Sync>;

/// Bounds of one lesson.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of all its files together.
    pub lesson_bytes: u64,
    /// Bounds of each zip in it.
    pub zip: Limits,
}

/// A failure and the file at fault.
pub type Fault = (String, Reason);

/// Checks, cuts, hashes and copies everything the description asks for.
///
/// # Errors
/// The first file that is not fit, and why. Nothing is left behind.
pub fn prepare(
    objects: &Objects,
    name: &str,
    description: &Description,
    sources: Vec<Source>,
    bounds: Bounds,
    progress: &OnProgress,
) -> Result<Prepared, Fault> {
    let total_bytes = sources.iter().fold(0_u64, |sum, s| sum.saturating_add(s.size));
    if total_bytes > bounds.lesson_bytes {
        let largest = sources
            .iter()
            .max_by_key(|s| s.size)
            .map(|s| s.path.to_string())
            .unwrap_or_default();
        return Err((
            largest,
            Reason::TooLarge {
                size: total_bytes,
                limit: bounds.lesson_bytes,
            },
        ));
    }
    let paths: Vec<_> = sources.iter().map(|s| s.path.clone()).collect();
    let planned = plan::plan(&paths, description)
        .map_err(|(file, reason)| (file.map(|f| f.to_string()).unwrap_or_default(), reason))?;
    let mut work = Work {
        objects,
        bounds,
        sources,
        files: Vec::new(),
        progress,
        now: Progress {
            lesson: name.to_owned(),
            file: String::new(),
            done_bytes: 0,
            total_bytes,
        },
    };
    let mut items = Vec::with_capacity(planned.items.len());
    for item in &planned.items {
        let at = |reason| (item.file.to_string(), reason);
        items.push(work.item(item, &paths).map_err(|(file, reason)| match file {
            Some(file) => (file, reason),
            None => at(reason),
        })?);
    }
    let mut files = work.files;
    files.sort_by(|a, b| a.0.path.cmp(&b.0.path));
    Ok(Prepared {
        items,
        files,
        ignored: planned.ignored,
    })
}

struct Work<'a> {
    objects: &'a Objects,
    bounds: Bounds,
    sources: Vec<Source>,
    files: Vec<(FileEntry, Sealed)>,
    progress: &'a OnProgress,
    now: Progress,
}

/// A reason, and the file if it is another than the item's own.
type ItemFault = (Option<String>, Reason);

fn own<E: Into<Reason>>(error: E) -> ItemFault {
    (None, error.into())
}

impl Work<'_> {
    fn item(&mut self, item: &PlannedItem, paths: &[LessonPath]) -> Result<LessonItem, ItemFault> {
        self.now.file = item.file.to_string();
        let source = self.take(&item.file)?;
        let (entry, content) = if self.looks_like_zip(&source).map_err(own)? {
            self.zip(item, source, paths).map_err(own)?
        } else {
            self.plain(item, source).map_err(own)?
        };
        let (kind, duration_ms) = match content {
            Content::Video { duration_ms } => (ItemKind::Video, duration_ms),
            Content::Audio { duration_ms, .. } => (ItemKind::Audio, duration_ms),
            Content::Image { .. } => (ItemKind::Image, None),
            Content::Pdf => (ItemKind::Pdf, None),
            Content::Pptx => (ItemKind::Office, None),
            Content::Html5 { .. } => (ItemKind::Html5, None),
        };
        let mut subtitles = Vec::new();
        for track in &item.subtitles {
            if !matches!(kind, ItemKind::Video | ItemKind::Audio) {
                let what = format!("{} is neither video nor sound and has no subtitles", item.file);
                return Err((Some(track.file.to_string()), Reason::Subtitle(what)));
            }
            subtitles.push(
                self.subtitle(track)
                    .map_err(|reason| (Some(track.file.to_string()), reason))?,
            );
        }
        Ok(LessonItem {
            kind,
            title: item.title.clone(),
            entry,
            subtitles,
            duration_ms,
            thumbnail: None,
            converted: None,
            pages: Vec::new(),
        })
    }

    fn take(&mut self, path: &LessonPath) -> Result<Source, ItemFault> {
        let at = self.sources.iter().position(|s| s.path == *path);
        // Subtitles may be shared by two items; everything else is planned once.
        at.map(|at| self.sources.swap_remove(at))
            .ok_or((None, Reason::MissingFile))
    }

    /// Looks at the first bytes before anything is copied: a renamed program of gigabytes costs one read.
    fn looks_like_zip(&self, source: &Source) -> Result<bool, Reason> {
        let mut file = open(&source.bytes)?;
        let mut head = Vec::new();
        (&mut file)
            .take(sniff::HEAD_BYTES as u64)
            .read_to_end(&mut head)?;
        let family = sniff::check_name(&source.path.extension(), sniff::family(&head), &head)?;
        Ok(family == sniff::Family::Zip)
    }

    fn plain(&mut self, item: &PlannedItem, source: Source) -> Result<(LessonPath, Content), Reason> {
        let sealed = self.seal(source)?;
        let content = sniff::check(
            &mut sealed.open()?,
            sealed.digested.size,
            &item.file.extension(),
            self.bounds.zip,
        )?;
        self.keep(item.file.clone(), media_type(&content).to_owned(), sealed)?;
        Ok((item.file.clone(), content))
    }

    /// A presentation is kept whole, an exercise is unpacked into a folder of its name.
    fn zip(
        &mut self,
        item: &PlannedItem,
        source: Source,
        paths: &[LessonPath],
    ) -> Result<(LessonPath, Content), Reason> {
        let mut file = open(&source.bytes)?;
        let content = sniff::check(&mut file, source.size, &item.file.extension(), self.bounds.zip)?;
        let Content::Html5 { prefix } = &content else {
            return self.plain(item, source);
        };
        let folder = folder_for(&item.file, paths);
        let mut zip = zip_safe::open(std::io::BufReader::new(file), self.bounds.zip)?;
        zip.unpack(|path, reader| {
            let inner = path
                .as_str()
                .strip_prefix(prefix.as_str())
                .unwrap_or(path.as_str());
            let place: LessonPath = format!("{folder}/{inner}")
                .parse()
                .map_err(|error: PathError| Reason::Path(error.to_string()))?;
            let mut head = Vec::new();
            reader.take(sniff::HEAD_BYTES as u64).read_to_end(&mut head)?;
            if sniff::is_program(&head) {
                return Err(Reason::Program(format!("{path}: {}", sniff::describe(&head))));
            }
            let guessed = mime_guess::from_path(inner)
                .first_raw()
                .unwrap_or("application/octet-stream");
            let expected = head.len() as u64;
            let sealed = self.seal_from(&mut Cursor::new(head).chain(reader), expected)?;
            self.keep(place, guessed.to_owned(), sealed)
        })?;
        let entry = format!("{folder}/index.html")
            .parse()
            .map_err(|error: PathError| Reason::Path(error.to_string()))?;
        Ok((entry, content))
    }

    fn subtitle(&mut self, track: &PlannedSubtitle) -> Result<Subtitle, Reason> {
        self.now.file = track.file.to_string();
        let told = Subtitle {
            lang: track.lang.clone(),
            label: track.label.clone(),
            path: track.stored_as.clone(),
        };
        if self.files.iter().any(|(entry, _)| entry.path == track.stored_as) {
            return Ok(told);
        }
        let source = self.take(&track.file).map_err(|(_, reason)| reason)?;
        if source.size == 0 {
            return Err(Reason::Empty);
        }
        if source.size > subtitle::MAX_BYTES {
            return Err(Reason::TooLarge {
                size: source.size,
                limit: subtitle::MAX_BYTES,
            });
        }
        let mut bytes = Vec::new();
        open(&source.bytes)?
            .take(subtitle::MAX_BYTES)
            .read_to_end(&mut bytes)?;
        let vtt = subtitle::to_webvtt(&bytes)?;
        let expected = vtt.len() as u64;
        let sealed = self.seal_from(&mut vtt.as_slice(), expected)?;
        self.keep(track.stored_as.clone(), "text/vtt".to_owned(), sealed)?;
        Ok(told)
    }

    fn seal(&mut self, source: Source) -> Result<Sealed, Reason> {
        let size = source.size;
        let sealed = match source.bytes {
            Bytes::Disk(_) => {
                let mut file = open(&source.bytes)?;
                self.seal_from(&mut file, size)?
            }
            Bytes::Uploaded(staged) => {
                let (progress, now) = (self.progress, &mut self.now);
                self.objects
                    .seal(staged, self.bounds.lesson_bytes, &mut |bytes| {
                        tell(progress, now, bytes)
                    })?
            }
        };
        if sealed.digested.size != size {
            Err(Reason::Changed)
        } else {
            Ok(sealed)
        }
    }

    fn seal_from(&mut self, from: &mut dyn Read, expected: u64) -> Result<Sealed, Reason> {
        let (progress, now, limit) = (self.progress, &mut self.now, self.bounds.lesson_bytes);
        let sealed = self
            .objects
            .seal_from(from, expected, limit, &mut |bytes| tell(progress, now, bytes))?;
        Ok(sealed)
    }

    fn keep(&mut self, path: LessonPath, media_type: String, sealed: Sealed) -> Result<(), Reason> {
        if self.files.len() >= MAX_FILES {
            return Err(Reason::Description(format!(
                "a lesson has at most {MAX_FILES} files"
            )));
        }
        let digested = &sealed.digested;
        let entry = FileEntry {
            path,
            media_type,
            size: digested.size,
            hash: digested.hash,
            sha256: digested.sha256,
            chunks: digested.chunks.clone(),
        };
        self.files.push((entry, sealed));
        Ok(())
    }
}

fn tell(progress: &OnProgress, now: &mut Progress, bytes: u64) {
    now.done_bytes += bytes;
    progress(now.clone());
}

fn open(bytes: &Bytes) -> Result<File, Reason> {
    match bytes {
        Bytes::Disk(path) => Ok(File::open(path)?),
        Bytes::Uploaded(staged) => Ok(staged.reopen()?),
    }
}

fn media_type(content: &Content) -> &'static str {
    match content {
        Content::Video { .. } => "video/mp4",
        Content::Audio { media_type, .. } | Content::Image { media_type } => media_type,
        Content::Pdf => "application/pdf",
        Content::Pptx => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        Content::Html5 { .. } => "text/html",
    }
}

/// The exercise's own folder, beside no other file of that name.
fn folder_for(zip: &LessonPath, paths: &[LessonPath]) -> String {
    let base = stem(zip.as_str());
    let taken = |folder: &str| {
        let inside = format!("{folder}/");
        paths.iter().any(|p| {
            p != zip
                && (p.as_str() == folder || p.as_str().starts_with(&inside) || stem(p.as_str()) == folder)
        })
    };
    let mut folder = base.to_owned();
    let mut n = 1;
    while taken(&folder) || folder == zip.as_str() {
        n += 1;
        folder = format!("{base}-{n}");
    }
    folder
}
