//! Tiny but real lesson files, built in code so that no test depends on a tool being installed.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;

pub(crate) fn atom(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(body.len() + 8).unwrap().to_be_bytes().to_vec();
    out.extend(name);
    out.extend(body);
    out
}

fn track(handler: &[u8; 4], coding: &[u8; 4], offset: u32) -> Vec<u8> {
    let hdlr = atom(b"hdlr", &[&[0; 8][..], handler, &[0; 13]].concat());
    let entry = atom(coding, &[0; 28]);
    let stsd = atom(b"stsd", &[&[0, 0, 0, 0, 0, 0, 0, 1][..], &entry].concat());
    let stco = atom(
        b"stco",
        &[&[0, 0, 0, 0, 0, 0, 0, 1][..], &offset.to_be_bytes()].concat(),
    );
    let minf = atom(b"minf", &atom(b"stbl", &[stsd, stco].concat()));
    atom(b"trak", &atom(b"mdia", &[hdlr, minf].concat()))
}

/// `ftyp` and `moov` of a film of 12.5 s, its data at `offset`.
pub(crate) fn mp4_parts(video: &[u8; 4], sound: &[u8; 4], offset: u32) -> Vec<u8> {
    let mut out = atom(b"ftyp", b"isom\0\0\x02\0isomiso2avc1mp41");
    let mvhd = [
        &[0; 12][..],
        &1000_u32.to_be_bytes(),
        &12_500_u32.to_be_bytes(),
        &[0; 80],
    ]
    .concat();
    let moov = [
        atom(b"mvhd", &mvhd),
        track(b"vide", video, offset),
        track(b"soun", sound, offset),
    ]
    .concat();
    out.extend(atom(b"moov", &moov));
    out
}

/// A whole H.264/AAC file as far as its structure goes, with `media_bytes` of data that differ from place to place.
pub(crate) fn mp4(media_bytes: usize) -> Vec<u8> {
    let mut out = mp4_parts(b"avc1", b"mp4a", 30);
    out.extend(atom(b"mdat", &noise(media_bytes)));
    out
}

/// Bytes without a pattern, always the same.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

pub(crate) fn mp3(frames: usize) -> Vec<u8> {
    let frame = [&[0xff, 0xfb, 0x90, 0x00][..], &[0; 413]].concat();
    frame.repeat(frames)
}

pub(crate) fn mp3_with_xing(frames: usize) -> Vec<u8> {
    let mut out = mp3(frames);
    let bytes = u32::try_from(out.len()).unwrap();
    let tag = [
        b"Xing\0\0\0\x03".as_slice(),
        &u32::try_from(frames).unwrap().to_be_bytes(),
        &bytes.to_be_bytes(),
    ]
    .concat();
    out[36..36 + tag.len()].copy_from_slice(&tag);
    out
}

pub(crate) fn pdf() -> Vec<u8> {
    let body = "%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[]/Count 0>>\nendobj\n";
    let trailer = "xref\n0 1\n0000000000 65535 f \ntrailer\n<</Root 1 0 R/Size 3>>\n";
    format!("{body}{trailer}startxref\n{}\n%%EOF\n", body.len()).into_bytes()
}

pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    let chunk = |name: &[u8; 4], body: &[u8]| {
        let mut out = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        out.extend(name);
        out.extend(body);
        out.extend(crc32fast::hash(&[name.as_slice(), body].concat()).to_be_bytes());
        out
    };
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    out.extend(chunk(b"IHDR", &header));
    out.extend(chunk(b"IDAT", &[0x78, 0x9c, 0x03, 0, 0, 0, 0, 1]));
    out.extend(chunk(b"IEND", &[]));
    out
}

pub(crate) fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let mut out = vec![0xff, 0xd8, 0xff, 0xe0, 0, 16];
    out.extend(b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    out.extend([0xff, 0xc0, 0, 11, 8]);
    out.extend(height.to_be_bytes());
    out.extend(width.to_be_bytes());
    out.extend([1, 1, 0x11, 0]);
    out.extend([0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0]);
    out.extend([0x12, 0xff, 0x00, 0x34, 0xff, 0xd0, 0x56]);
    out.extend([0xff, 0xd9]);
    out
}

/// A zip of stored or deflated entries.
pub(crate) fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, body) in entries {
        out.start_file(*name, SimpleFileOptions::default()).unwrap();
        out.write_all(body).unwrap();
    }
    out.finish().unwrap().into_inner()
}

pub(crate) fn html5() -> Vec<u8> {
    zip(&[
        ("index.html", b"<!doctype html><script src=js/a.js></script>"),
        ("js/a.js", b"1"),
        ("img/a.png", &png(4, 4)),
    ])
}

pub(crate) fn pptx() -> Vec<u8> {
    zip(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("ppt/presentation.xml", b"<p/>"),
        ("_rels/.rels", b"<r/>"),
    ])
}

/// The head of a Windows program.
pub(crate) fn exe() -> Vec<u8> {
    let mut out = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0".to_vec();
    out.resize(4096, 0);
    out[0x3c] = 0x80;
    out[0x80..0x84].copy_from_slice(b"PE\0\0");
    out
}

/// A zip with an entry of a name that the writer itself would refuse: patched into a good zip of equal length.
pub(crate) fn zip_with_name(bad: &[u8]) -> Vec<u8> {
    let placeholder = "x".repeat(bad.len());
    let mut bytes = zip(&[("index.html", b"hi"), (&placeholder, b"evil")]);
    let at: Vec<usize> = (0..bytes.len() - bad.len())
        .filter(|i| &bytes[*i..*i + bad.len()] == placeholder.as_bytes())
        .collect();
    assert_eq!(at.len(), 2, "once in the local header, once in the directory");
    for start in at {
        bytes[start..start + bad.len()].copy_from_slice(bad);
    }
    bytes
}

pub(crate) fn zip_with_link() -> Vec<u8> {
    let mut out = zip::ZipWriter::new(Cursor::new(Vec::new()));
    out.start_file("index.html", SimpleFileOptions::default())
        .unwrap();
    out.add_symlink("link.html", "/etc/passwd", SimpleFileOptions::default())
        .unwrap();
    out.finish().unwrap().into_inner()
}

/// General purpose flag, bit 0, in the local header and in the directory.
pub(crate) fn zip_encrypted() -> Vec<u8> {
    let mut bytes = zip(&[("index.html", b"secret")]);
    let directory = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    bytes[6] |= 1;
    bytes[directory + 8] |= 1;
    bytes
}

/// Three million zeros in three thousand bytes.
pub(crate) fn zip_bomb() -> Vec<u8> {
    zip(&[("index.html", &vec![0; 3 << 20])])
}
