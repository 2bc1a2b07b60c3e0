//! What a file is, by its first bytes: the name on a disk says nothing. Only what a browser plays and cannot run is known.

/// Bytes that are enough to tell.
pub(super) const HEAD: usize = 64;

/// The media type of what begins with `head`; `None` for whatever is not played, pages and scripts above all.
pub(super) fn sniff(head: &[u8]) -> Option<&'static str> {
    let at = |from: usize, mark: &[u8]| head.get(from..from + mark.len()) == Some(mark);
    if at(4, b"ftyp") {
        // Sound without a picture says so; everything else that is boxed like this is shown as video.
        return Some(match head.get(8..12) {
            Some(b"M4A " | b"M4B ") => "audio/mp4",
            Some(b"heic" | b"heix" | b"mif1" | b"avif") => return None,
            _ => "video/mp4",
        });
    }
    if at(0, &[0x1a, 0x45, 0xdf, 0xa3]) {
        let webm = head.windows(4).any(|w| w == b"webm");
        return Some(if webm { "video/webm" } else { "video/x-matroska" });
    }
    if at(0, b"RIFF") {
        return match head.get(8..12) {
            Some(b"WAVE") => Some("audio/wav"),
            Some(b"WEBP") => Some("image/webp"),
            _ => None,
        };
    }
    let fixed: [(&[u8], &str); 9] = [
        (b"ID3", "audio/mpeg"),
        (b"OggS", "audio/ogg"),
        (b"fLaC", "audio/flac"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"%PDF-", "application/pdf"),
        (b"\xef\xbb\xbf%PDF-", "application/pdf"),
    ];
    if let Some((_, kind)) = fixed.iter().find(|(mark, _)| at(0, mark)) {
        return Some(kind);
    }
    match head {
        // An MPEG audio frame of layer III, or AAC in ADTS; no reserved rate.
        [0xff, second, third, ..] if second & 0xe0 == 0xe0 && third & 0x0c != 0x0c => match second & 0x06 {
            0x02 if second & 0x18 != 0x08 && third & 0xf0 != 0xf0 => Some("audio/mpeg"),
            0x00 if second & 0xf0 == 0xf0 => Some("audio/aac"),
            _ => None,
        },
        // Bitmaps name their length; two letters alone would be a text.
        [b'B', b'M', ..] if head.get(6..10) == Some(&[0; 4]) => Some("image/bmp"),
        _ => None,
    }
}

/// What a file promises to be by its name, for a list that does not open thousands of files.
pub(super) fn promised(name: &[u8]) -> &'static str {
    match ending(name).as_deref() {
        Some("mp4" | "m4v" | "mov" | "webm" | "mkv") => "video",
        Some("mp3" | "m4a" | "m4b" | "wav" | "ogg" | "oga" | "opus" | "flac" | "aac") => "audio",
        Some("jpg" | "jpeg" | "jfif" | "png" | "gif" | "webp" | "bmp") => "image",
        Some("pdf") => "pdf",
        _ => "other",
    }
}

/// The ending of a name, in small letters.
pub(super) fn ending(name: &[u8]) -> Option<String> {
    let dot = name.iter().rposition(|b| *b == b'.')?;
    let ending = name.get(dot + 1..)?;
    (dot > 0 && ending.iter().all(u8::is_ascii_alphanumeric))
        .then(|| String::from_utf8_lossy(ending).to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_played_is_known_and_what_could_run_is_not() {
        for (head, kind) in [
            (&b"\0\0\0\x20ftypisom\0\0\x02\0"[..], "video/mp4"),
            (b"\0\0\0\x14ftypqt  \0\0", "video/mp4"),
            (b"\0\0\0\x20ftypM4A \0\0", "audio/mp4"),
            (b"\x1a\x45\xdf\xa3\x01\0\0\x42\x82\x84webm", "video/webm"),
            (
                b"\x1a\x45\xdf\xa3\x01\0\0\x42\x82\x88matroska",
                "video/x-matroska",
            ),
            (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
            (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
            (b"ID3\x04\0\0", "audio/mpeg"),
            (b"\xff\xfb\x90\x64\0", "audio/mpeg"),
            (b"\xff\xf1\x50\x80\0", "audio/aac"),
            (b"OggS\0\x02", "audio/ogg"),
            (b"fLaC\0\0\0\x22", "audio/flac"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
            (b"GIF89a\x01\0", "image/gif"),
            (b"BM\x36\x10\0\0\0\0\0\0\x36", "image/bmp"),
            (b"%PDF-1.7\n", "application/pdf"),
        ] {
            assert_eq!(sniff(head), Some(kind), "{:?}", String::from_utf8_lossy(head));
        }
        for head in [
            &b"<!doctype html><script>"[..],
            b"<svg xmlns=\"http://www.w3.org/2000/svg\">",
            b"<?xml version=\"1.0\"?>",
            b"\xef\xbb\xbf<html>",
            b"\xff\xfe<\0h\0t\0m\0l\0",
            b"\xfe\xff\0<\0h\0t\0m\0l",
            b"RIFF\x24\0\0\0AVI LIST",
            b"PK\x03\x04",
            b"MZ\x90\0",
            b"\x7fELF",
            b"#!/bin/sh",
            b"BMW is a car",
            b"WEBVTT\n",
            b"",
            b"%PD",
            b"\xff",
        ] {
            assert_eq!(sniff(head), None, "{:?}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn names_promise_a_kind() {
        for (name, kind) in [
            ("观潮.MP4", "video"),
            ("a.b.Mp3", "audio"),
            ("照片.JPG", "image"),
            ("教案.pdf", "pdf"),
            ("课件.pptx", "other"),
            ("page.html", "other"),
            ("无后缀", "other"),
            (".mp4", "other"),
        ] {
            assert_eq!(promised(name.as_bytes()), kind, "{name}");
        }
    }
}
