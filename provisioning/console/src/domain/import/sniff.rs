//! What a file is, by its content; the name only has to agree with it.

use std::io::{BufReader, Read, Seek, SeekFrom};

use contract::container::{Container, container};

use super::{
    error::Reason,
    image, mp3, mp4, pdf,
    zip_safe::{self, Limits, ZipUse},
};

/// Bytes of the start that are looked at first.
pub const HEAD_BYTES: usize = contract::container::HEAD_BYTES;

/// The format family that the first bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// ISO base media.
    Mp4,
    /// MPEG audio layer III.
    Mp3,
    /// PDF.
    Pdf,
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// Zip: HTML5 or presentation, its entries tell.
    Zip,
}

/// What a file that passed every check is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Plays as video.
    Video {
        /// Milliseconds, where known.
        duration_ms: Option<u64>,
    },
    /// Plays as sound.
    Audio {
        /// MIME type.
        media_type: &'static str,
        /// Milliseconds, where known.
        duration_ms: Option<u64>,
    },
    /// A picture.
    Image {
        /// MIME type.
        media_type: &'static str,
    },
    /// A document.
    Pdf,
    /// A presentation.
    Pptx,
    /// An exercise to be unpacked.
    Html5 {
        /// Cut from every entry's path.
        prefix: String,
    },
}

/// Tells the family from the start of a file.
///
/// # Errors
/// [`Reason::Empty`], or [`Reason::UnsupportedKind`] naming what it looks like.
pub fn family(head: &[u8]) -> Result<Family, Reason> {
    if head.is_empty() {
        return Err(Reason::Empty);
    }
    match container(head) {
        Some(Container::Mp4) => Ok(Family::Mp4),
        Some(Container::Mp3) => Ok(Family::Mp3),
        Some(Container::Pdf) => Ok(Family::Pdf),
        Some(Container::Png) => Ok(Family::Png),
        Some(Container::Jpeg) => Ok(Family::Jpeg),
        Some(Container::Zip) => Ok(Family::Zip),
        Some(Container::QuickTime) => Err(Reason::UnsupportedKind("QuickTime (mov)".into())),
        Some(Container::Heif) => Err(Reason::UnsupportedKind("HEIC/AVIF".into())),
        Some(Container::OldOffice) | None => Err(Reason::UnsupportedKind(describe(head))),
    }
}

/// What an unusable start looks like, for the message.
pub fn describe(head: &[u8]) -> String {
    match infer::get(head) {
        Some(kind) => format!("{} ({})", kind.extension(), kind.mime_type()),
        None if head.is_empty() => "empty".into(),
        None if std::str::from_utf8(head).is_ok() || head.iter().all(|b| *b >= 9) => "text".into(),
        None => "unknown".into(),
    }
}

/// Whether the start is that of a program for any system.
pub fn is_program(head: &[u8]) -> bool {
    infer::is_app(head)
}

/// Fails if `extension` (lower case) promises something else than the content is. Extensions nobody knows promise nothing.
///
/// # Errors
/// [`Reason::Mislabelled`].
pub fn check_name(extension: &str, family: Result<Family, Reason>, head: &[u8]) -> Result<Family, Reason> {
    let promised: &[Family] = match extension {
        "mp4" | "m4v" | "m4a" => &[Family::Mp4],
        "mp3" => &[Family::Mp3],
        "pdf" => &[Family::Pdf],
        // Chat programs name every picture .jpg; any of the two shows the same.
        "png" | "jpg" | "jpeg" => &[Family::Png, Family::Jpeg],
        "pptx" | "zip" => &[Family::Zip],
        _ => return family,
    };
    match family {
        Ok(found) if promised.contains(&found) => Ok(found),
        Err(Reason::Empty) => Err(Reason::Empty),
        // A promised family whose start is unknown may be a damaged file, or another one renamed.
        _ => Err(Reason::Mislabelled {
            named: extension.to_owned(),
            found: describe(head),
        }),
    }
}

/// Checks the whole file of `len` bytes, whose name has `extension` (lower case).
///
/// # Errors
/// The first thing found wrong.
pub fn check<R: Read + Seek>(
    file: &mut R,
    len: u64,
    extension: &str,
    limits: Limits,
) -> Result<Content, Reason> {
    let mut head = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    let family = check_name(extension, family(&head), &head)?;
    file.seek(SeekFrom::Start(0))?;
    let content = match family {
        Family::Mp4 => {
            let found = mp4::check(&mut BufReader::new(file), len)?;
            match found.has_video {
                true => Content::Video {
                    duration_ms: found.duration_ms,
                },
                false => Content::Audio {
                    media_type: "audio/mp4",
                    duration_ms: found.duration_ms,
                },
            }
        }
        Family::Mp3 => Content::Audio {
            media_type: "audio/mpeg",
            duration_ms: mp3::check(file, len)?,
        },
        Family::Pdf => pdf::check(file, len).map(|()| Content::Pdf)?,
        Family::Png => image::check_png(&mut BufReader::new(file)).map(|()| Content::Image {
            media_type: "image/png",
        })?,
        Family::Jpeg => image::check_jpeg(&mut BufReader::new(file)).map(|()| Content::Image {
            media_type: "image/jpeg",
        })?,
        Family::Zip => match zip_safe::open(BufReader::new(file), limits)?.purpose()? {
            ZipUse::Pptx => Content::Pptx,
            ZipUse::Html5 { prefix } => Content::Html5 { prefix },
        },
    };
    match (&content, extension) {
        (Content::Html5 { .. }, "pptx") | (Content::Pptx, "zip") => {
            let found = if extension == "zip" { "pptx" } else { "zip" };
            Err(Reason::Mislabelled {
                named: extension.to_owned(),
                found: found.to_owned(),
            })
        }
        _ => Ok(content),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;
    use std::io::Cursor;

    fn run(name: &str, bytes: &[u8]) -> Result<Content, Reason> {
        check(
            &mut Cursor::new(bytes),
            bytes.len() as u64,
            name,
            Limits::default(),
        )
    }

    #[test]
    fn content_decides() {
        assert_eq!(
            run("mp4", &fixtures::mp4(100)).unwrap(),
            Content::Video {
                duration_ms: Some(12_500)
            }
        );
        assert!(matches!(
            run("mp3", &fixtures::mp3(10)).unwrap(),
            Content::Audio {
                media_type: "audio/mpeg",
                ..
            }
        ));
        assert_eq!(run("pdf", &fixtures::pdf()).unwrap(), Content::Pdf);
        assert_eq!(
            run("jpg", &fixtures::png(4, 4)).unwrap(),
            Content::Image {
                media_type: "image/png"
            }
        );
        assert_eq!(
            run("", &fixtures::jpeg(4, 4)).unwrap(),
            Content::Image {
                media_type: "image/jpeg"
            }
        );
        assert_eq!(run("pptx", &fixtures::pptx()).unwrap(), Content::Pptx);
        assert_eq!(
            run("zip", &fixtures::html5()).unwrap(),
            Content::Html5 {
                prefix: String::new()
            }
        );
    }

    #[test]
    fn a_renamed_program_is_named_for_what_it_is() {
        for name in ["mp4", "mp3", "pdf", "png", "jpg", "pptx", "zip"] {
            let reason = run(name, &fixtures::exe()).unwrap_err();
            assert!(
                matches!(&reason, Reason::Mislabelled { named, found } if named == name && found.contains("exe")),
                "{reason:?}"
            );
        }
        assert!(
            matches!(run("exe", &fixtures::exe()).unwrap_err(), Reason::UnsupportedKind(k) if k.contains("exe"))
        );
        assert!(is_program(&fixtures::exe()) && is_program(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0>\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"));
    }

    #[test]
    fn a_name_that_lies_is_refused() {
        assert!(matches!(
            run("mp4", &fixtures::pdf()).unwrap_err(),
            Reason::Mislabelled { .. }
        ));
        assert!(matches!(
            run("zip", &fixtures::pptx()).unwrap_err(),
            Reason::Mislabelled { .. }
        ));
        assert!(
            matches!(run("mp4", b"hello").unwrap_err(), Reason::Mislabelled { found, .. } if found == "text")
        );
        assert!(matches!(run("mp4", b"").unwrap_err(), Reason::Empty));
        assert!(matches!(run("txt", b"hello").unwrap_err(), Reason::UnsupportedKind(k) if k == "text"));
    }
}
