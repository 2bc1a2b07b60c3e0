//! Append-only files of records: `length (u32 LE) | CRC-32 of length and payload (u32 LE) | payload`.
//!
//! One `fsync` a batch. What a cut tore off at the end is dropped when the file is opened, and counted. A run of zeros,
//! as some file systems leave it after a cut, is no record: the checksum covers the length.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

const HEADER: usize = 8;
/// Longest payload in bytes; a longer length is damage.
pub const MAX_PAYLOAD: usize = 1024 * 1024;

/// What a file holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Payloads in order.
    pub payloads: Vec<Vec<u8>>,
    /// Bytes up to the end of the last whole record.
    pub good_bytes: u64,
    /// Bytes after it that are no record.
    pub torn_bytes: u64,
}

/// Appends one record to a buffer; its length in the file comes back.
pub fn encode(payload: &[u8], buffer: &mut Vec<u8>) -> io::Result<u32> {
    let length = u32::try_from(payload.len())
        .ok()
        .filter(|_| payload.len() <= MAX_PAYLOAD)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "record is longer than 1 MiB"))?;
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(&checksum(length, payload).to_le_bytes());
    buffer.extend_from_slice(payload);
    Ok(length + HEADER as u32)
}

fn checksum(length: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// Reads records until the end or the first damage.
pub fn scan(bytes: &[u8]) -> Scan {
    let mut scan = Scan::default();
    let mut rest = bytes;
    while let Some((payload, after)) = first(rest) {
        scan.payloads.push(payload.to_vec());
        rest = after;
    }
    scan.torn_bytes = rest.len() as u64;
    scan.good_bytes = (bytes.len() - rest.len()) as u64;
    scan
}

fn first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (expected, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    if length as usize > MAX_PAYLOAD {
        return None;
    }
    let (payload, rest) = rest.split_at_checked(length as usize)?;
    (checksum(length, payload) == u32::from_le_bytes(*expected)).then_some((payload, rest))
}

/// A file that is appended to.
#[derive(Debug)]
pub struct RecordFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    broken: bool,
}

impl RecordFile {
    /// Opens or creates the file, drops a torn tail, and reads what is there.
    ///
    /// # Errors
    /// The file cannot be opened, read or cut.
    pub fn open(path: &Path) -> io::Result<(Self, Scan)> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let scan = scan(&bytes);
        if scan.torn_bytes > 0 {
            file.set_len(scan.good_bytes)?;
            file.sync_all()?;
        }
        file.seek(SeekFrom::Start(scan.good_bytes))?;
        Ok((
            Self {
                path: path.to_owned(),
                file,
                bytes: scan.good_bytes,
                broken: false,
            },
            scan,
        ))
    }

    /// Appends encoded records and waits until the disk has them.
    ///
    /// # Errors
    /// Nothing of it counts. If the file's end is not certain any more, every later call fails too: start a new file.
    pub fn append(&mut self, encoded: &[u8]) -> io::Result<()> {
        if self.broken {
            let name = self.path.display();
            return Err(io::Error::other(format!(
                "{name} failed before; it is not written to any more"
            )));
        }
        // A failed fsync may have lost pages for good: no second try on the same file can be believed.
        let written = self.file.write_all(encoded).map_err(|e| (e, false));
        let synced = written.and_then(|()| self.file.sync_data().map_err(|e| (e, true)));
        if let Err((error, sync_failed)) = synced {
            let cut = self
                .file
                .set_len(self.bytes)
                .and_then(|()| self.file.seek(SeekFrom::Start(self.bytes)));
            self.broken = sync_failed || cut.is_err();
            return Err(error);
        }
        self.bytes += encoded.len() as u64;
        Ok(())
    }

    /// Whole records, in bytes.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether it can still be appended to.
    pub const fn is_broken(&self) -> bool {
        self.broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_and_flipped_bits_are_no_records() {
        assert_eq!(scan(&[0; 64]).payloads.len(), 0);
        let mut bytes = Vec::new();
        for payload in [&b"one"[..], b"", b"three"] {
            encode(payload, &mut bytes).unwrap();
        }
        assert_eq!(
            scan(&bytes).payloads,
            [b"one".to_vec(), vec![], b"three".to_vec()]
        );
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(scan(&damaged).payloads.len() < 3, "byte {at}");
        }
    }

    #[test]
    fn cut_anywhere_the_whole_records_before_stay_and_appending_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = Vec::new();
        let mut ends = vec![0];
        for n in 0..5u8 {
            encode(&vec![n; usize::from(n) * 3], &mut bytes).unwrap();
            ends.push(bytes.len());
        }
        for cut in 0..=bytes.len() {
            let path = dir.path().join(cut.to_string());
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            let (mut file, found) = RecordFile::open(&path).unwrap();
            assert_eq!(found.payloads.len(), whole, "cut at {cut}");
            assert_eq!(found.torn_bytes as usize, cut - ends[whole], "cut at {cut}");
            let mut more = Vec::new();
            encode(b"more", &mut more).unwrap();
            file.append(&more).unwrap();
            let (_, found) = RecordFile::open(&path).unwrap();
            assert_eq!(
                (found.payloads.len(), found.torn_bytes),
                (whole + 1, 0),
                "cut at {cut}"
            );
        }
    }
}
