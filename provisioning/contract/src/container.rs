//! What a file is, by its first bytes; a name promises nothing.
//!
//! The console looks at whole files afterwards (`domain::import`); a board that makes its school's own lessons, or plays from a
//! teacher's disk, goes by this alone: whatever the rest holds, it is only ever played or handed out as what it began as.

/// Bytes of the start that are enough.
pub const HEAD_BYTES: usize = 4096;

/// A format that the start of a file tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// ISO base media with pictures or sound.
    Mp4,
    /// Apple's QuickTime, which browsers do not all play.
    QuickTime,
    /// HEIC, AVIF and raw pictures in ISO base media.
    Heif,
    /// PDF.
    Pdf,
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// Zip: a presentation or another office file, an exercise, an archive.
    Zip,
    /// MPEG audio layer III.
    Mp3,
    /// The office files of before 2007: ppt, doc, xls.
    OldOffice,
}

/// Tells the format from the start of a file; `None` for any other.
pub fn container(head: &[u8]) -> Option<Container> {
    let brand = head.get(8..12).filter(|_| head.get(4..8) == Some(b"ftyp"));
    if let Some(brand) = brand {
        return Some(match brand {
            b"qt  " => Container::QuickTime,
            b"heic" | b"heix" | b"mif1" | b"msf1" | b"avif" | b"crx " => Container::Heif,
            _ => Container::Mp4,
        });
    }
    // Readers allow junk before the header of a PDF; web browsers look at the first kilobyte.
    if head
        .get(..head.len().min(1024))
        .is_some_and(|start| start.windows(5).any(|w| w == b"%PDF-"))
    {
        return Some(Container::Pdf);
    }
    match head {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', ..] => Some(Container::Png),
        [0xff, 0xd8, 0xff, ..] => Some(Container::Jpeg),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Container::Zip),
        [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, ..] => Some(Container::OldOffice),
        [b'I', b'D', b'3', ..] => Some(Container::Mp3),
        [0xff, b1, ..] if b1 & 0xe6 == 0xe2 => Some(Container::Mp3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell() {
        for (head, found) in [
            (&b"\0\0\0\x20ftypisom"[..], Some(Container::Mp4)),
            (b"\0\0\0\x20ftypqt  ", Some(Container::QuickTime)),
            (b"\0\0\0\x20ftypheic", Some(Container::Heif)),
            (b"junk%PDF-1.7", Some(Container::Pdf)),
            (b"\x89PNG\r\n\x1a\n", Some(Container::Png)),
            (b"\xff\xd8\xff\xe0", Some(Container::Jpeg)),
            (b"PK\x03\x04rest", Some(Container::Zip)),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Some(Container::OldOffice)),
            (b"ID3\x04", Some(Container::Mp3)),
            (b"\xff\xfb\x90", Some(Container::Mp3)),
            (b"MZ\x90", None),
            (b"<html>", None),
            (b"", None),
        ] {
            assert_eq!(container(head), found, "{head:?}");
        }
    }
}
