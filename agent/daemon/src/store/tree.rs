//! The whole hash of a file that arrives in pieces, in any order, worked out while it arrives.
//!
//! BLAKE3 is a tree: an aligned power of two of bytes has a hash of its own that the root is made of. Each piece of 1 MiB is
//! hashed when the last byte of it is written and still in memory, so that the end of a large file costs one piece and not
//! the reading of all of it (40 MB took 40 boards on one machine 0.2 s at the end of a race; 4 GB take an eMMC 40 s).

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt};

use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};
use contract::hash::Hash;

/// Bytes of one piece.
const PIECE: u64 = 1024 * 1024;

/// Hashes of the pieces that are whole.
pub(super) struct TreeHash {
    size: u64,
    /// Bytes that each piece still misses.
    missing: Vec<u32>,
    known: Vec<Option<ChainingValue>>,
}

impl TreeHash {
    pub(super) fn new(size: u64) -> Self {
        let count = usize::try_from(size.div_ceil(PIECE)).unwrap_or(usize::MAX);
        let length = |n: usize| {
            let start = n as u64 * PIECE;
            u32::try_from((size - start).min(PIECE)).unwrap_or(u32::MAX)
        };
        Self {
            size,
            missing: (0..count).map(length).collect(),
            known: vec![None; count],
        }
    }

    /// These bytes lie in the file now and did not before. Answers which pieces became whole.
    pub(super) fn filled(&mut self, bytes: Range<u64>) -> Range<usize> {
        if bytes.is_empty() || self.missing.is_empty() {
            return 0..0;
        }
        let (first, last) = ((bytes.start / PIECE) as usize, ((bytes.end - 1) / PIECE) as usize);
        let last = last.min(self.missing.len() - 1);
        let mut whole = 0..0;
        for piece in first..=last {
            let own = self.place(piece);
            let took = bytes.end.min(own.end).saturating_sub(bytes.start.max(own.start));
            let left = &mut self.missing[piece];
            *left = left.saturating_sub(u32::try_from(took).unwrap_or(u32::MAX));
            if *left == 0 {
                whole = if whole.is_empty() {
                    piece..piece + 1
                } else {
                    whole.start..piece + 1
                };
            }
        }
        whole
    }

    /// Reads these pieces from `file` and hashes them.
    ///
    /// # Errors
    /// The file cannot be read, or is shorter than it should be.
    pub(super) fn hash(&mut self, pieces: Range<usize>, file: &File) -> io::Result<()> {
        let mut buffer = Vec::new();
        for piece in pieces {
            if self.known[piece].is_some() || self.missing[piece] > 0 {
                continue;
            }
            let place = self.place(piece);
            buffer.resize((place.end - place.start) as usize, 0);
            file.read_exact_at(&mut buffer, place.start)?;
            let mut hasher = blake3::Hasher::new();
            hasher.set_input_offset(place.start).update(&buffer);
            self.known[piece] = Some(hasher.finalize_non_root());
        }
        Ok(())
    }

    /// The hash of the whole; pieces that were not hashed yet are read from `file`, which must hold all bytes.
    ///
    /// # Errors
    /// The file cannot be read, or is shorter than it should be.
    pub(super) fn finish(&mut self, file: &File) -> io::Result<Hash> {
        if self.known.len() <= 1 {
            let mut bytes = vec![0; usize::try_from(self.size).unwrap_or(usize::MAX)];
            file.read_exact_at(&mut bytes, 0)?;
            return Ok(Hash(*blake3::hash(&bytes).as_bytes()));
        }
        self.missing.fill(0);
        self.hash(0..self.known.len(), file)?;
        let pieces: Vec<ChainingValue> = self.known.iter().copied().flatten().collect();
        let left = left_pieces(self.size);
        let root = merge_subtrees_root(
            &joined(&pieces[..left], left as u64 * PIECE),
            &joined(&pieces[left..], self.size - left as u64 * PIECE),
            Mode::Hash,
        );
        Ok(Hash(*root.as_bytes()))
    }

    fn place(&self, piece: usize) -> Range<u64> {
        let start = piece as u64 * PIECE;
        start..(start + PIECE).min(self.size)
    }
}

fn left_pieces(size: u64) -> usize {
    (left_subtree_len(size) / PIECE) as usize
}

fn joined(pieces: &[ChainingValue], size: u64) -> ChainingValue {
    match pieces {
        [one] => *one,
        _ => {
            let left = left_pieces(size);
            merge_subtrees_non_root(
                &joined(&pieces[..left], left as u64 * PIECE),
                &joined(&pieces[left..], size - left as u64 * PIECE),
                Mode::Hash,
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// In whatever order and however cut, with some of it noticed only at the end: the same as hashing it at once.
        #[test]
        fn pieces_make_the_hash_of_the_whole(
            size in prop_oneof![0u64..3000, (1u64..6, -2i64..3).prop_map(|(n, by)| (n * PIECE).saturating_add_signed(by)), 1u64..9 * PIECE],
            cuts in prop::collection::vec(any::<u32>(), 0..40),
            turn in any::<usize>(),
            unseen in any::<bool>(),
        ) {
            let bytes: Vec<u8> = (0..size).map(|n| (n * n / 7 + n) as u8).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            let mut ends: Vec<u64> = cuts.iter().map(|cut| u64::from(*cut) % (size + 1)).chain([0, size]).collect();
            ends.sort_unstable();
            let mut runs: Vec<_> = ends.windows(2).map(|pair| pair[0]..pair[1]).collect();
            let turn = turn % runs.len();
            runs.rotate_left(turn);
            let mut tree = TreeHash::new(size);
            for (n, run) in runs.into_iter().enumerate() {
                let whole = tree.filled(run);
                if !(unseen && n % 2 == 0) {
                    tree.hash(whole, &file).unwrap();
                }
            }
            prop_assert!(tree.missing.iter().all(|left| *left == 0));
            prop_assert_eq!(tree.finish(&file).unwrap(), Hash::of(&bytes));
        }
    }

    #[test]
    fn what_changed_after_it_was_hashed_is_not_taken_for_the_file() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; 3 * PIECE as usize]).unwrap();
        let mut tree = TreeHash::new(3 * PIECE);
        let whole = tree.filled(0..PIECE);
        file.write_all_at(b"wrong", 5).unwrap();
        tree.hash(whole, &file).unwrap();
        assert_ne!(
            tree.finish(&file).unwrap(),
            Hash::of(&vec![7; 3 * PIECE as usize])
        );
    }
}
