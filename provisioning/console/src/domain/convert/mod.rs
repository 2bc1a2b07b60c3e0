//! What is made of a lesson's files at the console, so that nothing is ever transcoded on a board: small pictures, pages of a
//! presentation, films in the coding that boards decode.
//!
//! The programs that do it (ffmpeg, poppler, LibreOffice) are other people's and may be missing; then the lesson comes
//! without, and the linter says so. What was made stands under [`DERIVED`] and counts for nothing when two versions are
//! compared: another release of the program would make another picture of the same lesson.

mod run;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use contract::{
    lesson::{FileEntry, ItemKind, LessonItem},
    path::LessonPath,
};

pub use run::ConvertError;
use run::Tool;

use super::{
    import::{
        error::Reason,
        lesson_toml::Description,
        mp4,
        prepare::{Bytes, Fault, Prepared, Source},
    },
    lint::{self, Examined},
};
use crate::objects::{Objects, Sealed};

/// The folder of what was made; a lesson folder of the same name is not imported.
pub const DERIVED: &str = "_derived";
/// The longer side of a small picture, in pixels.
const THUMBNAIL: u32 = 480;
/// Pages of a presentation that become pictures.
const MOST_PAGES: u32 = 200;
const SHORT: Duration = Duration::from_secs(30);
const OFFICE: Duration = Duration::from_secs(180);
const FILM: Duration = Duration::from_secs(3600);
/// Largest picture or PDF taken over from a program.
const MOST_BYTES: u64 = 512 * 1024 * 1024;

/// The programs of this machine.
#[derive(Debug, Clone)]
pub struct Tools {
    ffmpeg: Tool,
    pdftoppm: Tool,
    soffice: Tool,
}

impl Tools {
    /// Looked for once in the life of the process.
    pub fn of_this_machine() -> &'static Self {
        static TOOLS: OnceLock<Tools> = OnceLock::new();
        TOOLS.get_or_init(|| Self {
            ffmpeg: Tool::find("ffmpeg", "ffmpeg"),
            pdftoppm: Tool::find("pdftoppm", "poppler-utils"),
            soffice: Tool::find("soffice", "libreoffice-impress"),
        })
    }

    /// Each program, its Debian package, and whether it is here.
    pub fn list(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        [&self.ffmpeg, &self.pdftoppm, &self.soffice]
            .into_iter()
            .map(|tool| (tool.program, tool.package, tool.is_here()))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Films can be brought into the boards' coding.
    pub fn can_transcode(&self) -> bool {
        self.ffmpeg.is_here()
    }

    /// A small JPEG of a film, a picture or the first page of a PDF.
    ///
    /// # Errors
    /// The program is missing or did not like the file.
    pub fn thumbnail(&self, kind: ItemKind, from: &Path, folder: &Path) -> Result<PathBuf, ConvertError> {
        let out = folder.join("thumbnail.jpg");
        let scale = format!(
            "scale='min({THUMBNAIL},iw)':'min({THUMBNAIL},ih)':force_original_aspect_ratio=decrease:force_divisible_by=2"
        );
        match kind {
            ItemKind::Pdf => {
                let stem = folder.join("thumbnail");
                let args: [&std::ffi::OsStr; 9] = [
                    "-jpeg".as_ref(),
                    "-singlefile".as_ref(),
                    "-f".as_ref(),
                    "1".as_ref(),
                    "-scale-to".as_ref(),
                    "480".as_ref(),
                    "-q".as_ref(),
                    from.as_os_str(),
                    stem.as_os_str(),
                ];
                self.pdftoppm.run(folder, &args, SHORT)?;
            }
            _ => {
                // Some way in: the first picture of many a film is black.
                let seek: &[&str] = if kind == ItemKind::Video {
                    &["-ss", "1"]
                } else {
                    &[]
                };
                let grab = |seek: &[&str]| {
                    let mut args: Vec<&std::ffi::OsStr> =
                        ["-nostdin", "-v", "error", "-y", "-protocol_whitelist", "file"]
                            .iter()
                            .chain(seek)
                            .map(|arg| arg.as_ref())
                            .collect();
                    args.extend(["-i".as_ref(), from.as_os_str()]);
                    args.extend(
                        ["-frames:v", "1", "-an", "-q:v", "5", "-bitexact", "-vf", &scale]
                            .map(AsRef::<std::ffi::OsStr>::as_ref),
                    );
                    args.push(out.as_os_str());
                    self.ffmpeg.run(folder, &args, SHORT)
                };
                grab(seek)?;
                if !out.is_file() {
                    grab(&[])?;
                }
            }
        }
        present(out, "ffmpeg")
    }

    /// A presentation or document as PDF.
    ///
    /// # Errors
    /// The program is missing, did not like the file, or took too long.
    pub fn office_to_pdf(
        &self,
        from: &Path,
        extension: &str,
        folder: &Path,
    ) -> Result<PathBuf, ConvertError> {
        if let Some(target) = outside(from) {
            return Err(ConvertError::Failed {
                program: self.soffice.program,
                words: format!("it refers to something outside of itself: {target}"),
            });
        }
        // Known by its extension, and never given the name that somebody chose.
        let named = folder.join(format!("office.{extension}"));
        link_or_copy(from, &named).map_err(|source| ConvertError::Io {
            program: self.soffice.program,
            source,
        })?;
        let profile = format!("-env:UserInstallation=file://{}/profile", folder.display());
        let args: [&std::ffi::OsStr; 11] = [
            profile.as_ref(),
            "--headless".as_ref(),
            "--norestore".as_ref(),
            "--nolockcheck".as_ref(),
            "--nodefault".as_ref(),
            "--nofirststartwizard".as_ref(),
            "--convert-to".as_ref(),
            "pdf".as_ref(),
            "--outdir".as_ref(),
            folder.as_os_str(),
            named.as_os_str(),
        ];
        self.soffice.run(folder, &args, OFFICE)?;
        present(folder.join("office.pdf"), self.soffice.program)
    }

    /// The pages of a PDF as JPEG, 1920 pixels wide at most, in order.
    ///
    /// # Errors
    /// The program is missing or did not like the file.
    pub fn pages(&self, pdf: &Path, folder: &Path) -> Result<Vec<PathBuf>, ConvertError> {
        let stem = folder.join("page");
        let last = MOST_PAGES.to_string();
        let args: [&std::ffi::OsStr; 9] = [
            "-jpeg".as_ref(),
            "-l".as_ref(),
            last.as_ref(),
            "-scale-to-x".as_ref(),
            "1920".as_ref(),
            "-scale-to-y".as_ref(),
            "-1".as_ref(),
            pdf.as_os_str(),
            stem.as_os_str(),
        ];
        self.pdftoppm.run(folder, &args, OFFICE)?;
        let io = |source| ConvertError::Io {
            program: self.pdftoppm.program,
            source,
        };
        let mut pages: Vec<_> = fs::read_dir(folder)
            .map_err(io)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
                name.starts_with("page-") && name.ends_with(".jpg")
            })
            .collect();
        pages.sort();
        Ok(pages)
    }

    /// A film or sound in the coding that every board decodes: H.264 High@4.1, 8-bit 4:2:0, at most 1920×1080 and 30 pictures
    /// a second, AAC-LC stereo, its table of contents in front.
    ///
    /// # Errors
    /// The program is missing, did not like the file, or took longer than an hour.
    pub fn transcode(&self, from: &Path, folder: &Path) -> Result<PathBuf, ConvertError> {
        let out = folder.join("film.mp4");
        let mut args: Vec<&std::ffi::OsStr> = [
            "-nostdin",
            "-v",
            "error",
            "-y",
            "-protocol_whitelist",
            "file",
            "-i",
        ]
        .map(AsRef::as_ref)
        .to_vec();
        args.push(from.as_os_str());
        args.extend(
            [
                "-map", "0:v:0?", "-map", "0:a:0?", "-map_metadata", "-1", "-c:v", "libx264", "-preset", "veryfast",
                "-profile:v", "high", "-level", "4.1", "-pix_fmt", "yuv420p", "-crf", "23", "-maxrate", "6M", "-bufsize",
                "12M", "-vf",
                "scale='min(1920,iw)':'min(1080,ih)':force_original_aspect_ratio=decrease:force_divisible_by=2",
                "-fpsmax", "30", "-g", "60", "-c:a", "aac", "-b:a", "128k", "-ac", "2", "-ar", "48000", "-movflags",
                "+faststart",
            ]
            .map(AsRef::<std::ffi::OsStr>::as_ref),
        );
        args.push(out.as_os_str());
        self.ffmpeg.run(folder, &args, FILM)?;
        present(out, self.ffmpeg.program)
    }
}

/// What an Office Open XML file would have its reader load from elsewhere: a linked picture or film on the network, or on this
/// machine. Links that a person would click are no such thing.
fn outside(from: &Path) -> Option<String> {
    const MOST: u64 = 4 * 1024 * 1024;
    let file = File::open(from).ok()?;
    let mut zip = match zip::ZipArchive::new(std::io::BufReader::new(file)) {
        Ok(zip) => zip,
        Err(error) => return Some(error.to_string()),
    };
    for n in 0..zip.len() {
        let Ok(entry) = zip.by_index(n) else {
            return Some(format!("entry {n} cannot be read"));
        };
        if !entry.name().is_ok_and(|name| name.ends_with(".rels")) {
            continue;
        }
        let mut bytes = Vec::new();
        if std::io::Read::read_to_end(&mut std::io::Read::take(entry, MOST), &mut bytes).is_err() {
            return Some(format!("entry {n} cannot be read"));
        }
        // UTF-16 would hide the words.
        let text: String = String::from_utf8_lossy(&bytes)
            .chars()
            .filter(|c| *c != '\0')
            .collect();
        for relation in text.split('<').filter(|tag| tag.contains("External")) {
            if !relation.contains("/hyperlink") {
                return Some(relation.chars().take(200).collect());
            }
        }
    }
    None
}

fn present(out: PathBuf, program: &'static str) -> Result<PathBuf, ConvertError> {
    if out.metadata().is_ok_and(|m| m.len() > 0) {
        return Ok(out);
    }
    Err(ConvertError::Failed {
        program,
        words: "it wrote nothing".into(),
    })
}

fn link_or_copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(|_| ()))
}

/// Whether a path is of something that was made here.
pub fn is_derived(path: &LessonPath) -> bool {
    path.as_str().starts_with("_derived/")
}

/// Adds to a prepared lesson what can be made of it on this machine. What cannot be made is left out and told in the log; the
/// lesson is none the worse. Blocking.
///
/// # Errors
/// The console's own disk, and nothing that lies with the file.
pub fn enrich(objects: &Objects, prepared: &mut Prepared, tools: &Tools) -> Result<(), Reason> {
    for n in 0..prepared.items.len() {
        let Some(item) = prepared.items.get(n) else { break };
        let Some(from) = sealed_of(prepared, item) else {
            continue;
        };
        let mut made = Made {
            objects,
            base: format!("{DERIVED}/{}", n + 1),
            files: Vec::new(),
        };
        let change = match made.make(item, &from, tools) {
            Ok(change) => change,
            Err(Trouble::Convert(error)) => {
                tracing::info!(lesson.file = %item.entry, %error, "nothing could be made of a file");
                // What was made before the trouble is good.
                made.so_far(item)
            }
            Err(Trouble::Own(reason)) => return Err(reason),
        };
        prepared.files.append(&mut made.files);
        if let Some(item) = prepared.items.get_mut(n) {
            item.thumbnail = change.thumbnail;
            item.converted = change.converted;
            item.pages = change.pages;
        }
    }
    prepared.files.sort_by(|a, b| a.0.path.cmp(&b.0.path));
    Ok(())
}

/// Extensions of films and sounds that schools bring along.
const FILMS: [&str; 14] = [
    "mp4", "m4v", "mov", "mkv", "avi", "wmv", "flv", "webm", "mpg", "mpeg", "ts", "rmvb", "m4a", "wav",
];

/// Replaces every film or sound that boards do not decode by one that they do; the others are left as they are. Blocking.
///
/// # Errors
/// The file, and why it could not be transcoded.
pub fn bring_in(
    objects: &Objects,
    description: &mut Description,
    sources: &mut [Source],
    tools: &Tools,
) -> Result<(), Fault> {
    let taken: Vec<LessonPath> = sources.iter().map(|s| s.path.clone()).collect();
    for source in sources {
        if !FILMS.contains(&source.path.extension().as_str()) {
            continue;
        }
        let name = source.path.to_string();
        let fault = |why: String| (name.clone(), Reason::Transcode(why));
        let at = match &source.bytes {
            Bytes::Disk(path) => path.clone(),
            Bytes::Uploaded(staged) => staged.path().to_owned(),
        };
        if plays(&source.path, &at, source.size) {
            continue;
        }
        let folder = tempfile::Builder::new()
            .prefix("part-")
            .tempdir_in(objects.folder())
            .map_err(|error| fault(error.to_string()))?;
        let made = tools
            .transcode(&at, folder.path())
            .map_err(|error| fault(error.to_string()))?;
        let mut staged = objects.stage().map_err(|error| (name.clone(), error.into()))?;
        let size = File::open(&made)
            .and_then(|mut file| std::io::copy(&mut file, &mut staged))
            .map_err(|error| fault(error.to_string()))?;
        let path = renamed(&source.path, &taken).map_err(fault)?;
        for item in &mut description.items {
            if item.file == source.path {
                item.file = path.clone();
            }
        }
        *source = Source {
            path,
            size,
            bytes: Bytes::Uploaded(staged),
        };
    }
    Ok(())
}

/// Whether an MP4 passes the linter as it is.
fn plays(path: &LessonPath, at: &Path, size: u64) -> bool {
    if !matches!(path.extension().as_str(), "mp4" | "m4v" | "m4a") {
        return false;
    }
    let whole = File::open(at).is_ok_and(|mut file| mp4::check(&mut file, size).is_ok());
    let item = LessonItem {
        kind: ItemKind::Video,
        title: String::new(),
        entry: path.clone(),
        subtitles: Vec::new(),
        duration_ms: None,
        thumbnail: None,
        converted: None,
        pages: Vec::new(),
    };
    let file = Examined {
        path: path.to_string(),
        media_type: "video/mp4".into(),
        size,
        at: at.to_owned(),
    };
    whole && lint::passes(&lint::examine(&[item], &[file]))
}

/// The same name as an MP4, beside no other file of that name.
fn renamed(path: &LessonPath, taken: &[LessonPath]) -> Result<LessonPath, String> {
    let text = path.as_str();
    let base = text.rsplit_once('.').map_or(text, |(base, _)| base);
    for n in 1..100 {
        let name = if n == 1 {
            format!("{base}.mp4")
        } else {
            format!("{base}-{n}.mp4")
        };
        let candidate: LessonPath = name
            .parse()
            .map_err(|error: contract::path::PathError| error.to_string())?;
        if candidate == *path || !taken.contains(&candidate) {
            return Ok(candidate);
        }
    }
    Err("too many files of the same name".into())
}

fn sealed_of(prepared: &Prepared, item: &LessonItem) -> Option<PathBuf> {
    let wanted = prepared
        .files
        .iter()
        .find(|(entry, _)| entry.path == item.entry)?;
    Some(wanted.1.path().to_owned())
}

#[derive(Default)]
struct Change {
    thumbnail: Option<LessonPath>,
    converted: Option<LessonPath>,
    pages: Vec<LessonPath>,
}

enum Trouble {
    Convert(ConvertError),
    Own(Reason),
}

impl From<ConvertError> for Trouble {
    fn from(error: ConvertError) -> Self {
        Self::Convert(error)
    }
}

struct Made<'a> {
    objects: &'a Objects,
    base: String,
    files: Vec<(FileEntry, Sealed)>,
}

impl Made<'_> {
    fn make(&mut self, item: &LessonItem, from: &Path, tools: &Tools) -> Result<Change, Trouble> {
        let folder = tempfile::Builder::new()
            .prefix("bbt-convert-")
            .tempdir()
            .map_err(|error| Trouble::Own(Reason::Console(error.to_string())))?;
        let folder = folder.path();
        match item.kind {
            ItemKind::Video | ItemKind::Image | ItemKind::Pdf => {
                let small = tools.thumbnail(item.kind, from, folder)?;
                self.keep("thumbnail.jpg", "image/jpeg", &small)?;
            }
            ItemKind::Office => {
                let extension = item.entry.extension();
                let pdf = tools.office_to_pdf(from, &extension, folder)?;
                self.keep("pages.pdf", "application/pdf", &pdf)?;
                let small = tools.thumbnail(ItemKind::Pdf, &pdf, folder)?;
                self.keep("thumbnail.jpg", "image/jpeg", &small)?;
                for (n, page) in tools.pages(&pdf, folder)?.iter().enumerate() {
                    self.keep(&format!("page-{:03}.jpg", n + 1), "image/jpeg", page)?;
                }
            }
            ItemKind::Audio | ItemKind::Html5 | ItemKind::Other => {}
        }
        Ok(self.so_far(item))
    }

    fn so_far(&self, _item: &LessonItem) -> Change {
        let mut change = Change::default();
        for (entry, _) in &self.files {
            let name = entry.path.as_str().rsplit('/').next().unwrap_or_default();
            match name {
                "thumbnail.jpg" => change.thumbnail = Some(entry.path.clone()),
                "pages.pdf" => change.converted = Some(entry.path.clone()),
                _ => change.pages.push(entry.path.clone()),
            }
        }
        change
    }

    fn keep(&mut self, name: &str, media_type: &str, from: &Path) -> Result<(), Trouble> {
        let own = |reason: String| Trouble::Own(Reason::Console(reason));
        let path: LessonPath = format!("{}/{name}", self.base)
            .parse()
            .map_err(|error: contract::path::PathError| own(error.to_string()))?;
        let mut file = File::open(from).map_err(|error| own(error.to_string()))?;
        let size = file.metadata().map_err(|error| own(error.to_string()))?.len();
        let sealed = self
            .objects
            .seal_from(&mut file, size, MOST_BYTES, &mut |_| ())
            .map_err(|error| Trouble::Own(error.into()))?;
        let entry = FileEntry {
            path,
            media_type: media_type.to_owned(),
            size: sealed.digested.size,
            hash: sealed.digested.hash,
            sha256: sealed.digested.sha256,
            chunks: sealed.digested.chunks.clone(),
        };
        self.files.push((entry, sealed));
        Ok(())
    }
}
