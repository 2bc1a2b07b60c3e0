//! Why a lesson was refused: the file, a stable reason code, and what makes it right.

use std::{collections::BTreeMap, fmt, io, path::PathBuf};

use crate::{config::Language, domain::vocab::WordFault, messages, objects::ObjectError};

/// One lesson that was refused. Names the lesson, the file in it where there is one, and the reason.
#[derive(Debug, thiserror::Error)]
pub struct ImportError {
    /// The lesson's folder or title, as the person who imports it knows it.
    pub lesson: String,
    /// The file inside it; empty when the lesson as a whole is at fault.
    pub file: String,
    /// What is wrong with it.
    pub reason: Reason,
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place(), self.reason, self.reason.fix())
    }
}

impl ImportError {
    /// Key of the message catalogues; the sentence there has the places `{file}` and `{detail}`.
    pub fn code(&self) -> &'static str {
        self.reason.code()
    }

    /// What fills `{file}`: the lesson, and the file in it where one is at fault.
    pub fn place(&self) -> String {
        if self.file.is_empty() {
            self.lesson.clone()
        } else {
            format!("{}/{}", self.lesson, self.file)
        }
    }

    /// The sentence for an operator: the thing, the reason, the fix.
    pub fn message(&self, language: Language) -> String {
        let args = BTreeMap::from([("file", self.place()), ("detail", self.detail())]);
        messages::text(language, self.code(), &args)
    }

    /// What fills `{detail}`.
    pub fn detail(&self) -> String {
        self.reason.detail()
    }
}

/// What was found wrong.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// No byte in it.
    #[error("the file is empty")]
    Empty,
    /// Over the limit.
    #[error("the file has {size} bytes, more than the {limit} allowed")]
    TooLarge {
        /// Bytes found, or the bytes read until the limit was passed.
        size: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The operating system would not give it, or it is a link, a pipe, a device.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// Changed between two looks at it.
    #[error("it changed while it was being read")]
    Changed,
    /// Content of a kind that lessons do not have.
    #[error("files of this kind ({0}) cannot be used in a lesson")]
    UnsupportedKind(String),
    /// The name promises another kind than the content is.
    #[error("the name says {named} but the content is {found}")]
    Mislabelled {
        /// What the extension promises.
        named: String,
        /// What the content is.
        found: String,
    },
    /// The end is missing.
    #[error("the end of the file is missing: {0}")]
    Truncated(String),
    /// Contradicts its own format.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// A sound or picture coding that the classroom's player does not have.
    #[error("its coding {0} does not play on classroom devices")]
    Codec(String),
    /// A film could not be brought into the boards' coding.
    #[error("it could not be transcoded: {0}")]
    Transcode(String),
    /// A picture that would not fit into a device's memory.
    #[error("the picture has {pixels} pixels, more than the {limit} allowed")]
    TooManyPixels {
        /// Width × height.
        pixels: u64,
        /// Most allowed.
        limit: u64,
    },
    /// An entry whose name could leave the folder or clash.
    #[error("the zip entry {name:?} is not allowed: {why}")]
    ZipName {
        /// The entry's name, cut to 200 characters.
        name: String,
        /// The rule it breaks.
        why: String,
    },
    /// An entry that is a link or a device.
    #[error("the zip entry {0:?} is a link or a special file")]
    ZipSymlink(String),
    /// Two entries with one name.
    #[error("the zip has the entry {0:?} twice")]
    ZipDuplicate(String),
    /// Needs a password.
    #[error("the zip entry {0:?} is encrypted")]
    ZipEncrypted(String),
    /// Unpacks to more than any honest exercise.
    #[error("the zip unpacks to too much: {0}")]
    ZipBomb(String),
    /// Nothing to open.
    #[error("the zip has no index.html at its top, so it is not an HTML5 exercise")]
    ZipNoIndex,
    /// A program inside the zip or the presentation.
    #[error("it holds a program: {0}")]
    Program(String),
    /// A subtitle file without one readable cue.
    #[error("the subtitles cannot be read: {0}")]
    Subtitle(String),
    /// `lesson.toml` is not there.
    #[error("there is no lesson.toml in the folder")]
    NoLessonToml,
    /// `lesson.toml` or the form cannot be used.
    #[error("the description of the lesson cannot be used: {0}")]
    Description(String),
    /// A word that its field does not allow.
    #[error("the description of the lesson cannot be used: {0}")]
    Word(Box<WordFault>),
    /// `lesson.toml` names a file that is not there.
    #[error("lesson.toml names this file but it is not in the folder")]
    MissingFile,
    /// A name that cannot stand in a lesson.
    #[error("the name is not allowed: {0}")]
    Path(String),
    /// Nothing a teacher could open.
    #[error("there is no file a teacher could open")]
    NoItems,
    /// The console's disk, not the file.
    #[error("the console's disk is full: {needed} bytes are needed in {folder}, {free} are free")]
    DiskFull {
        /// The folder of the objects.
        folder: PathBuf,
        /// Bytes asked for, the reserve included.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// The console itself failed; not the lesson's fault.
    #[error("the console could not keep the lesson: {0}")]
    Console(String),
}

impl Reason {
    /// Key of the message catalogues.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "import_empty",
            Self::TooLarge { .. } => "import_too_large",
            Self::Unreadable(_) => "import_unreadable",
            Self::Changed => "import_changed",
            Self::UnsupportedKind(_) => "import_unsupported_kind",
            Self::Mislabelled { .. } => "import_mislabelled",
            Self::Truncated(_) => "import_truncated",
            Self::Damaged(_) => "import_damaged",
            Self::Codec(_) => "import_codec",
            Self::Transcode(_) => "import_transcode",
            Self::TooManyPixels { .. } => "import_too_many_pixels",
            Self::ZipName { .. } => "import_zip_name",
            Self::ZipSymlink(_) => "import_zip_symlink",
            Self::ZipDuplicate(_) => "import_zip_duplicate",
            Self::ZipEncrypted(_) => "import_zip_encrypted",
            Self::ZipBomb(_) => "import_zip_bomb",
            Self::ZipNoIndex => "import_zip_no_index",
            Self::Program(_) => "import_program",
            Self::Subtitle(_) => "import_subtitle",
            Self::NoLessonToml => "import_no_lesson_toml",
            Self::Description(_) => "import_description",
            Self::Word(_) => "import_word",
            Self::MissingFile => "import_missing_file",
            Self::Path(_) => "import_path",
            Self::NoItems => "import_no_items",
            Self::DiskFull { .. } => "import_disk_full",
            Self::Console(_) => "import_console",
        }
    }

    /// What exactly, for the `{detail}` of the catalogue's sentence.
    pub fn detail(&self) -> String {
        match self {
            Self::Unreadable(s)
            | Self::UnsupportedKind(s)
            | Self::Truncated(s)
            | Self::Damaged(s)
            | Self::Codec(s)
            | Self::Transcode(s)
            | Self::ZipSymlink(s)
            | Self::ZipDuplicate(s)
            | Self::ZipEncrypted(s)
            | Self::ZipBomb(s)
            | Self::Program(s)
            | Self::Subtitle(s)
            | Self::Description(s)
            | Self::Path(s)
            | Self::Console(s) => s.clone(),
            Self::Word(fault) => format!(
                "meta.{} “{}” → {}",
                fault.field().path(),
                fault.word(),
                fault.near().join("、")
            ),
            Self::TooLarge { size, limit } => format!("{size} > {limit}"),
            Self::TooManyPixels { pixels, limit } => format!("{pixels} > {limit}"),
            Self::Mislabelled { named, found } => format!("{named} ≠ {found}"),
            Self::ZipName { name, why } => format!("{name}: {why}"),
            Self::DiskFull { folder, needed, free } => {
                format!("{}: {needed} > {free}", folder.display())
            }
            Self::Empty
            | Self::Changed
            | Self::ZipNoIndex
            | Self::NoLessonToml
            | Self::MissingFile
            | Self::NoItems => String::new(),
        }
    }

    /// What makes it right, in English; the catalogues carry it in the operator's language.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Empty | Self::Truncated(_) | Self::Damaged(_) => "copy the file again from where it came",
            Self::TooLarge { .. } => "make it smaller or raise max_upload_bytes in console.toml",
            Self::Unreadable(_) => {
                "check the file and its permissions; links must be replaced by the file itself"
            }
            Self::Changed => "wait until nothing writes to it and import again",
            Self::UnsupportedKind(_) => {
                "use mp4, mp3, pdf, png, jpg, pptx or a zipped HTML5 exercise, or take the file out of the lesson"
            }
            Self::Mislabelled { .. } => "give it the right extension or put the right file there",
            Self::Codec(_) => "convert it to H.264 video with AAC sound",
            Self::Transcode(_) => {
                "convert it by hand to H.264 video with AAC sound, or install ffmpeg on the console"
            }
            Self::TooManyPixels { .. } => "make the picture smaller",
            Self::ZipName { .. } | Self::ZipDuplicate(_) => "rename the entry and zip the folder again",
            Self::ZipSymlink(_) => "replace it by the file itself and zip the folder again",
            Self::ZipEncrypted(_) => "zip the folder again without a password",
            Self::ZipBomb(_) => "zip only what the exercise needs",
            Self::ZipNoIndex => "zip the exercise so that index.html stands at the top",
            Self::Program(_) => "take the program out; save presentations without macros",
            Self::Subtitle(_) => "save the subtitles as UTF-8 .vtt or .srt",
            Self::NoLessonToml => "add one with a [meta] table, see the guide",
            Self::Description(_) => "correct the field it names",
            Self::Word(_) => "choose one of the words of the vocabulary",
            Self::MissingFile => "put the file there or correct its name",
            Self::Path(_) => "rename the file",
            Self::NoItems => "add a video, audio, picture, PDF, presentation or HTML5 zip",
            Self::DiskFull { .. } => "free space on that disk, or retire lessons, and import again",
            Self::Console(_) => "see the console's log",
        }
    }

    /// Every code, so that a test can hold the catalogues against them.
    pub const CODES: [&str; 26] = [
        "import_empty",
        "import_too_large",
        "import_unreadable",
        "import_changed",
        "import_unsupported_kind",
        "import_mislabelled",
        "import_truncated",
        "import_damaged",
        "import_codec",
        "import_too_many_pixels",
        "import_zip_name",
        "import_zip_symlink",
        "import_zip_duplicate",
        "import_zip_encrypted",
        "import_zip_bomb",
        "import_zip_no_index",
        "import_program",
        "import_subtitle",
        "import_no_lesson_toml",
        "import_description",
        "import_word",
        "import_missing_file",
        "import_path",
        "import_no_items",
        "import_disk_full",
        "import_console",
    ];

    /// Short form for a contradiction in a format.
    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }

    /// Short form for a missing end.
    pub(super) fn truncated(what: impl Into<String>) -> Self {
        Self::Truncated(what.into())
    }
}

/// A read that ran out of file is a truncated file; any other failure is the operating system's.
impl From<io::Error> for Reason {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated("it ends in the middle of a structure".into()),
            _ => Self::Unreadable(error.to_string()),
        }
    }
}

impl From<ObjectError> for Reason {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::DiskFull { folder, needed, free } => Self::DiskFull { folder, needed, free },
            ObjectError::TooLarge { limit } => Self::TooLarge {
                size: limit + 1,
                limit,
            },
            ObjectError::Source(error) => error.into(),
            other => Self::Console(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_sentence_in_both_languages() {
        let args = BTreeMap::from([("file", "三角形/a.mp4".to_owned()), ("detail", "x".to_owned())]);
        for code in Reason::CODES {
            for language in [Language::ZhCn, Language::En] {
                let text = messages::text(language, code, &args);
                assert!(
                    text.contains("三角形/a.mp4") && !text.contains('{'),
                    "{code} {language}: {text}"
                );
            }
        }
    }
}
