//! One pass over a file: its chunks, its BLAKE3, its SHA-256, and a copy, in bounded memory.
//!
//! The console cuts the county's lessons with it and a board its school's own: the same bytes are the same chunks wherever
//! they were cut, so boards hold and exchange them once.

use std::io::{self, Read, Write};

use fastcdc::v2020::{Error, Normalization, StreamCDC};
use sha2::Digest;

use crate::{
    container::{Container, container},
    hash::{Hash, Sha256},
    lesson::ChunkEntry,
};

/// Files below this are one chunk.
pub const ONE_CHUNK_BELOW: u64 = 256 * 1024;
/// How a stretch of a file is cut. Changing it costs every device a full fetch of every changed lesson.
#[derive(Debug, Clone, Copy)]
struct Cut {
    min: usize,
    average: usize,
    max: usize,
    level: Normalization,
}

/// Measured (`cargo xtask bench delta`): about 64 KiB a chunk with little spread, so that an edit moves less than with the same
/// average and a wider spread; smaller ones move less still, but the lists grow faster than that.
const COARSE: Cut = Cut {
    min: 24 * 1024,
    average: 56 * 1024,
    max: 112 * 1024,
    level: Normalization::Level3,
};
/// For the tables of a video, most of which an edit of its metadata leaves as they were, and the small entries of a zip.
const FINE: Cut = Cut {
    min: 512,
    average: 2 * 1024,
    max: 8 * 1024,
    level: Normalization::Level2,
};
/// Tables longer than this are cut as everything else; read whole, so this bounds memory.
const FINE_BYTES: u64 = 8 * 1024 * 1024;
/// Other boxes of a video up to this length are cut with its tables.
const SMALL_BOX: u64 = 64 * 1024;
/// After so many boxes the rest of a video is cut as everything else: it is one of thousands of fragments.
const BOXES: usize = 16;
/// Entries of a zip, e.g. a picture of a presentation, from this length on are cut apart from their neighbours.
const LARGE_ENTRY: u64 = 64 * 1024;
/// Length of a zip's local header before its name (APPNOTE 4.3.7).
const ZIP_HEADER: usize = 30;

/// What the manifest says about a file's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digested {
    /// Length in bytes.
    pub size: u64,
    /// BLAKE3 of the whole.
    pub hash: Hash,
    /// SHA-256 of the whole.
    pub sha256: Sha256,
    /// In order, without gaps; none for an empty file.
    pub chunks: Vec<ChunkEntry>,
}

/// Why the pass stopped.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The file could not be read.
    #[error("reading failed: {0}")]
    Read(io::Error),
    /// The copy could not be written.
    #[error("writing failed: {0}")]
    Write(io::Error),
    /// More than `limit` bytes came.
    #[error("more than {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
}

/// Reads `from` to its end, copies it to `to`, cuts and hashes it. `progress` hears the bytes of each chunk.
///
/// # Errors
/// See [`CopyError`]; then `to` holds a part.
pub fn digest_copy(
    from: &mut dyn Read,
    to: &mut dyn Write,
    limit: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<Digested, CopyError> {
    // The first bytes decide: a short file is one chunk, of which fastcdc would make up to eight.
    let mut head = Vec::new();
    from.take(ONE_CHUNK_BELOW)
        .read_to_end(&mut head)
        .map_err(CopyError::Read)?;
    let mut pass = Pass {
        whole: blake3::Hasher::new(),
        sha: sha2::Sha256::new(),
        chunks: Vec::new(),
        size: 0,
        limit,
    };
    if (head.len() as u64) < ONE_CHUNK_BELOW {
        if !head.is_empty() {
            pass.chunk(&head, to, progress)?;
        }
        return Ok(pass.finish());
    }
    let kind = container(&head);
    let mut whole = head.as_slice().chain(from);
    match kind {
        Some(Container::Mp4 | Container::QuickTime) => pass.video(&mut whole, to, progress)?,
        Some(Container::Zip) => pass.zip(&mut whole, to, progress)?,
        _ => pass.cut(&mut whole, COARSE, to, progress)?,
    }
    Ok(pass.finish())
}

struct Pass {
    whole: blake3::Hasher,
    sha: sha2::Sha256,
    chunks: Vec<ChunkEntry>,
    size: u64,
    limit: u64,
}

impl Pass {
    /// An MP4: its tables apart from its pictures and sound. New metadata shifts the tables by a few bytes; what follows them is
    /// the same, and begins a chunk of its own. A file that only looks like one is cut all the same.
    fn video(
        &mut self,
        from: &mut dyn Read,
        to: &mut dyn Write,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), CopyError> {
        let mut fine = Vec::new();
        for _ in 0..BOXES {
            let mut head = Vec::with_capacity(16);
            from.take(8).read_to_end(&mut head).map_err(CopyError::Read)?;
            let Some(length) = box_length(&mut head, from)? else {
                self.cut(&mut fine.as_slice(), FINE, to, progress)?;
                return self.cut(&mut head.as_slice().chain(from), COARSE, to, progress);
            };
            let left = length.saturating_sub(head.len() as u64);
            let limit = if head.get(4..8) == Some(b"moov") {
                FINE_BYTES
            } else {
                SMALL_BOX
            };
            if length <= limit && fine.len() as u64 + length <= FINE_BYTES {
                fine.append(&mut head);
                from.take(left).read_to_end(&mut fine).map_err(CopyError::Read)?;
            } else {
                self.cut(&mut fine.as_slice(), FINE, to, progress)?;
                fine.clear();
                self.cut(&mut head.as_slice().chain(from.take(left)), COARSE, to, progress)?;
            }
        }
        self.cut(&mut fine.as_slice(), FINE, to, progress)?;
        self.cut(from, COARSE, to, progress)
    }

    /// A zip, e.g. a presentation: its large entries apart from what lies between them, so that other words on a slide move no
    /// picture. What follows an entry whose length is only said after it is cut as everything else.
    fn zip(
        &mut self,
        from: &mut dyn Read,
        to: &mut dyn Write,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), CopyError> {
        let mut fine = Vec::new();
        loop {
            let mut head = Vec::with_capacity(ZIP_HEADER);
            from.take(ZIP_HEADER as u64)
                .read_to_end(&mut head)
                .map_err(CopyError::Read)?;
            let Some(left) = entry_length(&head) else {
                fine.append(&mut head);
                break;
            };
            if left >= LARGE_ENTRY {
                self.cut(&mut fine.as_slice(), FINE, to, progress)?;
                fine.clear();
                self.cut(&mut head.as_slice().chain(from.take(left)), COARSE, to, progress)?;
                continue;
            }
            fine.append(&mut head);
            from.take(left).read_to_end(&mut fine).map_err(CopyError::Read)?;
            if fine.len() as u64 > FINE_BYTES {
                break;
            }
        }
        // The directory at the end is as small as the entries between.
        from.take(FINE_BYTES.saturating_sub(fine.len() as u64))
            .read_to_end(&mut fine)
            .map_err(CopyError::Read)?;
        if (fine.len() as u64) < FINE_BYTES {
            return self.cut(&mut fine.as_slice(), FINE, to, progress);
        }
        self.cut(&mut fine.as_slice().chain(from), COARSE, to, progress)
    }

    fn cut(
        &mut self,
        from: &mut dyn Read,
        cut: Cut,
        to: &mut dyn Write,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), CopyError> {
        for chunk in StreamCDC::with_level(from, cut.min, cut.average, cut.max, cut.level) {
            let chunk = chunk.map_err(|error| match error {
                Error::IoError(error) => CopyError::Read(error),
                other => CopyError::Read(io::Error::other(other.to_string())),
            })?;
            self.chunk(&chunk.data, to, progress)?;
        }
        Ok(())
    }

    fn chunk(
        &mut self,
        data: &[u8],
        to: &mut dyn Write,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), CopyError> {
        self.size += data.len() as u64;
        if self.size > self.limit {
            return Err(CopyError::TooLarge { limit: self.limit });
        }
        self.whole.update(data);
        self.sha.update(data);
        let size = u32::try_from(data.len()).map_err(|e| CopyError::Read(io::Error::other(e)))?;
        self.chunks.push(ChunkEntry {
            hash: Hash::of(data),
            size,
        });
        to.write_all(data).map_err(CopyError::Write)?;
        progress(data.len() as u64);
        Ok(())
    }

    fn finish(self) -> Digested {
        Digested {
            size: self.size,
            hash: Hash(*self.whole.finalize().as_bytes()),
            sha256: Sha256(self.sha.finalize().into()),
            chunks: self.chunks,
        }
    }
}

/// Length of the box that begins with `head`, header included; `None` where it goes to the end of the file, or is no box. Reads
/// the longer header where there is one.
fn box_length(head: &mut Vec<u8>, from: &mut dyn Read) -> Result<Option<u64>, CopyError> {
    let Some(short) = head.first_chunk::<4>() else {
        return Ok(None);
    };
    let mut length = u64::from(u32::from_be_bytes(*short));
    if length == 1 {
        from.take(8).read_to_end(head).map_err(CopyError::Read)?;
        length = head
            .last_chunk::<8>()
            .filter(|_| head.len() == 16)
            .map_or(0, |long| u64::from_be_bytes(*long));
    }
    Ok((length >= head.len() as u64).then_some(length))
}

/// Bytes that follow the local header of a zip's entry: its name, its extra fields, its data. `None` if it is no such header, or
/// does not say how long the data is.
fn entry_length(head: &[u8]) -> Option<u64> {
    let two = |at: usize| Some(u16::from_le_bytes(head.get(at..at + 2)?.try_into().ok()?));
    let said_later = two(6)? & 8 != 0;
    let packed = u32::from_le_bytes(head.get(18..22)?.try_into().ok()?);
    let is_entry = head.len() == ZIP_HEADER && head.starts_with(b"PK\x03\x04");
    // All ones: longer than 4 GiB, said elsewhere.
    if !is_entry || said_later || packed == u32::MAX {
        return None;
    }
    Some(u64::from(two(26)?) + u64::from(two(28)?) + u64::from(packed))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that do not repeat (xorshift).
    fn noise(len: usize) -> Vec<u8> {
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

    fn run(mut bytes: &[u8]) -> Digested {
        let mut copy = Vec::new();
        let mut seen = 0;
        let whole = bytes;
        let digested = digest_copy(&mut bytes, &mut copy, u64::MAX, &mut |n| seen += n).unwrap();
        assert_eq!(copy, whole);
        assert_eq!(seen, digested.size);
        digested
    }

    #[test]
    fn chunks_cover_the_file_and_hashes_fit() {
        for len in [0, 1, 256 * 1024 - 1, 256 * 1024, 3_000_000] {
            let bytes = noise(len);
            let digested = run(&bytes);
            assert_eq!(digested.hash, Hash::of(&bytes));
            assert_eq!(digested.sha256, Sha256(sha2::Sha256::digest(&bytes).into()));
            let mut at = 0;
            for chunk in &digested.chunks {
                let end = at + chunk.size as usize;
                assert_eq!(chunk.hash, Hash::of(&bytes[at..end]));
                assert!(
                    end == len
                        || (COARSE.min..=COARSE.max).contains(&(chunk.size as usize))
                        || len < 256 * 1024
                );
                at = end;
            }
            assert_eq!(at, len);
            assert!(len >= 256 * 1024 || digested.chunks.len() <= 1);
            assert!(len < 1_000_000 || digested.chunks.len() > 4);
        }
    }

    #[test]
    fn an_insertion_changes_few_chunks() {
        let before = noise(4 << 20);
        let mut after = before.clone();
        after.splice(1_000_000..1_000_000, *b"a word more");
        let known: std::collections::HashSet<_> = run(&before).chunks.into_iter().map(|c| c.hash).collect();
        let fresh = run(&after)
            .chunks
            .iter()
            .filter(|c| !known.contains(&c.hash))
            .count();
        assert!(fresh <= 3, "{fresh} chunks are new");
    }

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut bytes = (body.len() as u32 + 8).to_be_bytes().to_vec();
        bytes.extend_from_slice(kind);
        bytes.extend_from_slice(body);
        bytes
    }

    fn new_bytes(before: &[u8], after: &[u8]) -> u64 {
        let known: std::collections::HashSet<_> = run(before).chunks.into_iter().map(|c| c.hash).collect();
        run(after)
            .chunks
            .iter()
            .filter(|c| !known.contains(&c.hash))
            .map(|c| u64::from(c.size))
            .sum()
    }

    #[test]
    fn a_title_in_a_video_moves_no_pictures() {
        let (tables, pictures) = (noise(60_000), noise(2_000_000));
        let film = |title: &[u8]| {
            let moov = [tables.as_slice(), title].concat();
            [
                boxed(b"ftyp", b"isom0000"),
                boxed(b"moov", &moov),
                boxed(b"free", b""),
                boxed(b"mdat", &pictures),
            ]
            .concat()
        };
        let moved = new_bytes(&film(b""), &film(b"a title"));
        assert!(moved < 40_000, "{moved} bytes");
    }

    fn entry(name: &str, data: &[u8], flags: u16) -> Vec<u8> {
        let mut bytes = b"PK\x03\x04\x14\0".to_vec();
        bytes.extend_from_slice(&flags.to_le_bytes());
        bytes.extend_from_slice(&[0; 10]);
        let size = if flags & 8 == 0 { data.len() as u32 } else { 0 };
        bytes.extend_from_slice(&size.to_le_bytes());
        bytes.extend_from_slice(&size.to_le_bytes());
        bytes.extend_from_slice(&(name.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(data);
        bytes
    }

    #[test]
    fn other_words_on_a_slide_move_no_picture() {
        let picture = noise(900_000);
        let deck = |words: &str, flags: u16| {
            let mut bytes = Vec::new();
            for n in 0..8 {
                let slide = format!("{} {n}", words.repeat(if n % 4 == 0 { 100 } else { 1 }));
                bytes.extend(entry(&format!("ppt/slides/slide{n}.xml"), slide.as_bytes(), 0));
                bytes.extend(entry(
                    &format!("ppt/media/image{n}.png"),
                    &picture[n * 100_000..(n + 1) * 100_000 + 7],
                    flags,
                ));
            }
            bytes.extend_from_slice(b"PK\x01\x02 and so on");
            bytes
        };
        let moved = new_bytes(&deck("old words", 0), &deck("other words", 0));
        assert!(moved < 8_000, "{moved} bytes");
        // Without lengths it is cut as everything else, and is whole all the same.
        let streamed = new_bytes(&deck("old words", 8), &deck("other words", 8));
        assert!((12_000..600_000).contains(&streamed), "{streamed} bytes");
    }

    #[test]
    fn what_only_looks_like_a_zip_is_cut_all_the_same() {
        let noise = noise(600_000);
        let long = entry("a", &noise[..10], 0);
        let mut lying = long.clone();
        lying[18..22].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
        let mut many = entry("a", b"", 0).repeat(300_000);
        many.extend_from_slice(&noise);
        for bytes in [
            [b"PK\x03\x04".to_vec(), noise.clone()].concat(),
            [b"PK\x05\x06".to_vec(), noise.clone()].concat(),
            [long, noise.clone()].concat(),
            [lying, noise.clone()].concat(),
            many,
        ] {
            let digested = run(&bytes);
            let sum: u64 = digested.chunks.iter().map(|c| u64::from(c.size)).sum();
            assert_eq!(sum, bytes.len() as u64);
        }
    }

    #[test]
    fn what_only_looks_like_a_video_is_cut_all_the_same() {
        let noise = noise(600_000);
        let ftyp = boxed(b"ftyp", b"isom0000");
        let mut long = 1_u32.to_be_bytes().to_vec();
        long.extend_from_slice(b"mdat");
        long.extend_from_slice(&(u64::MAX).to_be_bytes());
        for more in [
            vec![0, 0, 0, 3],
            vec![0, 0, 0, 3, b'm', b'o', b'o', b'v'],
            vec![0, 0, 0, 0, b'm', b'd', b'a', b't'],
            vec![0xff, 0xff, 0xff, 0xff, b'm', b'o', b'o', b'v'],
            long,
            vec![0, 0, 0, 1, b'm', b'd', b'a', b't'],
            boxed(b"moof", b"0123456789").repeat(40),
        ] {
            let bytes = [ftyp.clone(), more, noise.clone()].concat();
            let digested = run(&bytes);
            let sum: u64 = digested.chunks.iter().map(|c| u64::from(c.size)).sum();
            assert_eq!(sum, bytes.len() as u64);
            assert!(
                digested
                    .chunks
                    .iter()
                    .all(|c| c.size > 0 && c.size as usize <= COARSE.max)
            );
        }
    }

    #[test]
    fn the_limit_holds() {
        let bytes = noise(1000);
        let error = digest_copy(&mut bytes.as_slice(), &mut Vec::new(), 999, &mut |_| ()).unwrap_err();
        assert!(matches!(error, CopyError::TooLarge { limit: 999 }));
    }
}
