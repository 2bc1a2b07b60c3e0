//! Zip files from strangers: every name judged before any byte is unpacked, every byte counted while it is.
//!
//! Never writes to a folder; the caller gets a checked path and a reader. What the directory of the zip declares is only used
//! to refuse early: the caps hold over the bytes that really come out.

use std::{
    collections::HashMap,
    io::{self, Read, Seek},
};

use contract::path::LessonPath;
use unicode_normalization::is_nfc;
use zip::{ZipArchive, read::Config, result::ZipError, unstable::read::ZipIterable};

use super::error::Reason;

/// Bounds of one zip.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of all entries unpacked.
    pub total_bytes: u64,
    /// Entries, folders included.
    pub entries: usize,
    /// Unpacked bytes per packed byte…
    pub ratio: u64,
    /// …judged only above this many unpacked bytes, because small texts pack very well.
    pub ratio_from: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total_bytes: 2 << 30,
            entries: 20_000,
            ratio: 200,
            ratio_from: 1 << 20,
        }
    }
}

/// One entry whose name and type are fine.
#[derive(Debug, Clone)]
struct Entry {
    index: usize,
    path: LessonPath,
    packed: u64,
}

/// A zip whose directory has passed every check.
pub struct SafeZip<R> {
    archive: ZipArchive<R>,
    entries: Vec<Entry>,
    limits: Limits,
}

/// What the zip is used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZipUse {
    /// A presentation; kept as it is.
    Pptx,
    /// An exercise whose page stands under this prefix: empty, or one folder with its slash.
    Html5 {
        /// Cut from every path.
        prefix: String,
    },
}

/// Reads and judges the directory of a zip.
///
/// # Errors
/// The first entry that breaks a rule, named.
pub fn open<R: Read + Seek>(mut file: R, limits: Limits) -> Result<SafeZip<R>, Reason> {
    let mut listed = judge(&mut file, limits)?;
    let mut archive = ZipArchive::new(file).map_err(zip_reason)?;
    if archive.has_overlapping_entries().map_err(zip_reason)? {
        return Err(Reason::ZipBomb("its entries share the same bytes".into()));
    }
    let mut entries = Vec::with_capacity(listed.len());
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(zip_reason)?;
        if let Some(path) = listed.remove(entry.name_raw()) {
            entries.push(Entry {
                index,
                path,
                packed: entry.compressed_size(),
            });
        }
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(SafeZip {
        archive,
        entries,
        limits,
    })
}

/// Walks the directory as it stands in the file. The library's archive type keeps one entry per name, so duplicates show
/// only here; and its memory grows with the entry count, so that is bounded first.
fn judge<R: Read + Seek>(file: &mut R, limits: Limits) -> Result<HashMap<Vec<u8>, LessonPath>, Reason> {
    let mut listing = ZipIterable::try_new(file, Config::default()).map_err(zip_reason)?;
    if listing.len() > limits.entries {
        return Err(Reason::ZipBomb(format!(
            "{} entries, {} are allowed",
            listing.len(),
            limits.entries
        )));
    }
    let mut files = HashMap::new();
    let mut seen = std::collections::HashSet::new();
    let mut declared = 0_u64;
    for entry in listing.files().map_err(zip_reason)? {
        let entry = entry.map_err(zip_reason)?;
        let name = decode_name(entry.name_raw());
        let show = || name.chars().take(200).collect::<String>();
        let refuse = |why: String| Reason::ZipName { name: show(), why };
        if !is_nfc(&name) {
            return Err(refuse("its letters are not in the composed form (NFC)".into()));
        }
        let folder = name.ends_with('/');
        let path: LessonPath = name
            .strip_suffix('/')
            .unwrap_or(&name)
            .parse()
            .map_err(|error: contract::path::PathError| refuse(error.reason.to_string()))?;
        if entry.encrypted() {
            return Err(Reason::ZipEncrypted(show()));
        }
        if entry
            .unix_mode()
            .is_some_and(|mode| !matches!(mode & 0o170_000, 0 | 0o100_000 | 0o040_000))
        {
            return Err(Reason::ZipSymlink(show()));
        }
        if !seen.insert(path.clone()) {
            return Err(Reason::ZipDuplicate(show()));
        }
        declared = declared.saturating_add(entry.size());
        if declared > limits.total_bytes {
            return Err(Reason::ZipBomb(format!("over {} bytes", limits.total_bytes)));
        }
        check_ratio(entry.size(), entry.compressed_size(), limits, path.as_str())?;
        if !folder && !is_litter(path.as_str()) {
            files.insert(entry.name_raw().to_vec(), path);
        }
    }
    // A file cannot also be a folder: `a` beside `a/b`.
    let paths: std::collections::HashSet<&str> = files.values().map(LessonPath::as_str).collect();
    let above = paths
        .iter()
        .flat_map(|path| path.match_indices('/').filter_map(|(at, _)| path.get(..at)));
    if let Some(clash) = above.into_iter().find(|folder| paths.contains(folder)) {
        return Err(Reason::ZipDuplicate(clash.to_owned()));
    }
    Ok(files)
}

impl<R: Read + Seek> SafeZip<R> {
    /// What this zip is for.
    ///
    /// # Errors
    /// [`Reason::ZipNoIndex`] when it is neither, [`Reason::Program`] for a presentation with macros.
    pub fn purpose(&self) -> Result<ZipUse, Reason> {
        let has = |name: &str| self.entries.iter().any(|e| e.path.as_str() == name);
        let below = |folder: &str| self.entries.iter().any(|e| e.path.as_str().starts_with(folder));
        if has("[Content_Types].xml") && below("ppt/") {
            if let Some(entry) = self
                .entries
                .iter()
                .find(|e| e.path.as_str().ends_with("vbaProject.bin"))
            {
                return Err(Reason::Program(entry.path.to_string()));
            }
            return Ok(ZipUse::Pptx);
        }
        if has("[Content_Types].xml") && (below("word/") || below("xl/")) {
            return Err(Reason::UnsupportedKind("Word/Excel".into()));
        }
        if has("index.html") {
            return Ok(ZipUse::Html5 {
                prefix: String::new(),
            });
        }
        // Zipping a folder from outside puts everything into one folder of that name.
        let first = self
            .entries
            .first()
            .and_then(|e| e.path.as_str().split_once('/'))
            .map(|(top, _)| format!("{top}/"));
        match first {
            Some(prefix)
                if has(&format!("{prefix}index.html"))
                    && self.entries.iter().all(|e| e.path.as_str().starts_with(&prefix)) =>
            {
                Ok(ZipUse::Html5 { prefix })
            }
            _ => Err(Reason::ZipNoIndex),
        }
    }

    /// Hands every file, in path order, to `each`, which must read it to its end. The reader fails when a cap is passed or a
    /// checksum is wrong.
    ///
    /// # Errors
    /// What `each` answered, or the cap that was passed.
    pub fn unpack(
        &mut self,
        mut each: impl FnMut(&LessonPath, &mut dyn Read) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        let mut left = self.limits.total_bytes;
        for entry in &self.entries {
            let file = self.archive.by_index(entry.index).map_err(zip_reason)?;
            let mut counted = Counted {
                inner: file,
                read: 0,
                most: left,
                bomb: None,
                packed: entry.packed,
                limits: self.limits,
            };
            let result = each(&entry.path, &mut counted);
            // The bomb explains the failed read better than the read itself.
            if let Some(what) = counted.bomb {
                return Err(Reason::ZipBomb(format!("{}: {what}", entry.path)));
            }
            result?;
            left -= counted.read;
        }
        Ok(())
    }
}

/// Counts what really comes out.
struct Counted<R> {
    inner: R,
    read: u64,
    most: u64,
    bomb: Option<String>,
    packed: u64,
    limits: Limits,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.read += got as u64;
        if self.read > self.most {
            self.bomb = Some("over the bytes allowed for one zip".into());
        } else if let Err(Reason::ZipBomb(what)) =
            check_ratio(self.read, self.packed, self.limits, "unpacked")
        {
            self.bomb = Some(what);
        }
        match &self.bomb {
            Some(what) => Err(io::Error::other(what.clone())),
            None => Ok(got),
        }
    }
}

fn check_ratio(unpacked: u64, packed: u64, limits: Limits, what: &str) -> Result<(), Reason> {
    if unpacked > limits.ratio_from && unpacked / packed.max(1) > limits.ratio {
        return Err(Reason::ZipBomb(format!(
            "{what}: {unpacked} bytes out of {packed}"
        )));
    }
    Ok(())
}

/// Names without the UTF-8 mark are UTF-8 anyway, or, from Windows in China, GB 18030.
fn decode_name(raw: &[u8]) -> String {
    match std::str::from_utf8(raw) {
        Ok(name) => name.to_owned(),
        Err(_) => encoding_rs::GB18030
            .decode_without_bom_handling(raw)
            .0
            .into_owned(),
    }
}

/// What operating systems leave in zips; nobody misses it.
fn is_litter(path: &str) -> bool {
    path.starts_with("__MACOSX/")
        || path
            .rsplit('/')
            .next()
            .is_some_and(|name| matches!(name, ".DS_Store" | "Thumbs.db" | "desktop.ini"))
}

fn zip_reason(error: ZipError) -> Reason {
    match error {
        ZipError::Io(error) => error.into(),
        ZipError::InvalidPassword => Reason::ZipEncrypted(String::new()),
        ZipError::CompressionMethodNotSupported(method) => Reason::UnsupportedKind(format!(
            "zip compression method {method}; use the ordinary one, deflate"
        )),
        ZipError::InvalidArchive(what) => {
            Reason::Truncated(format!("the zip's directory cannot be read: {what}"))
        }
        other => Reason::Damaged(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{self, zip, zip_bomb, zip_encrypted, zip_with_link, zip_with_name};
    use super::*;
    use std::io::{Cursor, Write};
    use zip::{ZipWriter, write::SimpleFileOptions};

    fn refused(bytes: Vec<u8>) -> Reason {
        match open(Cursor::new(bytes), Limits::default()) {
            Err(reason) => reason,
            Ok(mut zip) => zip
                .unpack(|_, r| Ok(io::copy(r, &mut io::sink()).map(drop)?))
                .unwrap_err(),
        }
    }

    #[test]
    fn names_that_could_leave_the_folder_are_refused() {
        for bad in [
            &b"../../evil.sh"[..],
            b"/etc/passwd",
            b"a\\..\\evil",
            b"C:/evil.js",
            b"a/./b/evil",
            b"a//evil.js",
            b"a\0evil.js",
        ] {
            let reason = refused(zip_with_name(bad));
            assert!(
                matches!(reason, Reason::ZipName { .. }),
                "{:?}: {reason:?}",
                String::from_utf8_lossy(bad)
            );
        }
        assert!(matches!(
            refused(zip_with_name("e\u{301}vil.html".as_bytes())),
            Reason::ZipName { .. }
        ));
    }

    #[test]
    fn names_from_chinese_windows_are_read() {
        let gbk = zip_with_name(b"\xbf\xce\xbc\xfe.html");
        let zip = open(Cursor::new(gbk), Limits::default()).unwrap();
        assert!(zip.entries.iter().any(|e| e.path.as_str() == "课件.html"));
    }

    #[test]
    fn two_entries_of_one_name_are_refused() {
        assert!(
            matches!(refused(zip_with_name(b"index.html")), Reason::ZipDuplicate(n) if n == "index.html")
        );
        assert!(matches!(refused(zip(&[("a", b"1"), ("a/b", b"2")])), Reason::ZipDuplicate(n) if n == "a"));
    }

    #[test]
    fn a_link_is_refused() {
        assert!(matches!(refused(zip_with_link()), Reason::ZipSymlink(_)));
    }

    #[test]
    fn a_password_is_refused() {
        assert!(matches!(refused(zip_encrypted()), Reason::ZipEncrypted(n) if n == "index.html"));
    }

    #[test]
    fn bombs_are_refused_by_ratio_by_total_and_by_count() {
        assert!(matches!(refused(zip_bomb()), Reason::ZipBomb(_)));
        let small = Limits {
            total_bytes: 1000,
            entries: 3,
            ..Limits::default()
        };
        let total = zip(&[("index.html", &[1; 600]), ("b", &[2; 600])]);
        assert!(matches!(
            open(Cursor::new(total), small).err().unwrap(),
            Reason::ZipBomb(_)
        ));
        let count = zip(&[("index.html", b""), ("b", b""), ("c", b""), ("d", b"")]);
        assert!(matches!(
            open(Cursor::new(count), small).err().unwrap(),
            Reason::ZipBomb(_)
        ));
    }

    /// The directory says 16 bytes; three million come out.
    #[test]
    fn a_bomb_that_lies_about_its_size_is_stopped_while_unpacking() {
        let mut bytes = zip_bomb();
        let directory = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
        for at in [22, directory + 24] {
            bytes[at..at + 4].copy_from_slice(&16_u32.to_le_bytes());
        }
        assert!(open(Cursor::new(bytes.clone()), Limits::default()).is_ok());
        let reason = refused(bytes);
        assert!(
            matches!(
                reason,
                Reason::ZipBomb(_) | Reason::Damaged(_) | Reason::Unreadable(_)
            ),
            "{reason:?}"
        );
    }

    #[test]
    fn a_cut_or_changed_zip_is_noticed() {
        let whole = fixtures::html5();
        for len in (0..whole.len()).step_by(7) {
            refused(whole[..len].to_vec());
        }
        let mut changed = zip(&[("index.html", b"some text that is stored")]);
        let body = changed.windows(4).position(|w| w == b"html").unwrap() + 6;
        changed[body] ^= 0xff;
        refused(changed);
    }

    #[test]
    fn purpose_is_found() {
        let purpose = |bytes: Vec<u8>| open(Cursor::new(bytes), Limits::default()).unwrap().purpose();
        assert_eq!(
            purpose(fixtures::html5()).unwrap(),
            ZipUse::Html5 {
                prefix: String::new()
            }
        );
        let inside = zip(&[
            ("练习/index.html", b"hi"),
            ("练习/a.js", b"1"),
            ("__MACOSX/._x", b"junk"),
        ]);
        assert_eq!(
            purpose(inside).unwrap(),
            ZipUse::Html5 {
                prefix: "练习/".into()
            }
        );
        assert_eq!(purpose(fixtures::pptx()).unwrap(), ZipUse::Pptx);
        assert!(matches!(
            purpose(zip(&[("a.html", b"hi")])),
            Err(Reason::ZipNoIndex)
        ));
        let macros = zip(&[("[Content_Types].xml", b""), ("ppt/vbaProject.bin", b"x")]);
        assert!(matches!(purpose(macros), Err(Reason::Program(_))));
    }

    #[test]
    fn unpacks_what_went_in() {
        let mut out = ZipWriter::new(Cursor::new(Vec::new()));
        out.start_file("index.html", SimpleFileOptions::default())
            .unwrap();
        out.write_all(b"hello").unwrap();
        let mut zip = open(Cursor::new(out.finish().unwrap().into_inner()), Limits::default()).unwrap();
        let mut got = Vec::new();
        zip.unpack(|path, reader| {
            let mut text = String::new();
            reader.read_to_string(&mut text)?;
            got.push((path.to_string(), text));
            Ok(())
        })
        .unwrap();
        assert_eq!(got, [("index.html".to_owned(), "hello".to_owned())]);
    }
}
