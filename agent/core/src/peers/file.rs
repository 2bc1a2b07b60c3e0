//! One file that is worked on: what is here, on its way, begun by others, and with whom it can be had.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use super::{Bits, FileKey, Priority, Want, weigh};
use crate::time::Millis;

/// A stretch of the file that is at most one request; the same on every board.
#[derive(Debug, Clone, Copy)]
struct Block {
    first: u32,
    offset: u64,
}

#[derive(Debug)]
pub(super) struct File {
    pub(super) key: FileKey,
    pub(super) seed: u64,
    pub(super) priority: Priority,
    pub(super) over_metered: bool,
    pub(super) sizes: Arc<[u32]>,
    blocks: Vec<Block>,
    /// Blocks before this one are here.
    done_blocks: usize,
    pub(super) have: Bits,
    /// Asked of a peer, or fetched over the line by us.
    pub(super) taken: Bits,
    /// Begun over the line by others.
    pub(super) claimed: Bits,
    /// Has a peer whose word counts.
    pub(super) held: Bits,
    /// How many such peers.
    avail: Vec<u8>,
    /// May be asked whatever our place in the row is.
    pub(super) free: Bits,
    /// What each peer says it has, by slot.
    pub(super) offers: BTreeMap<usize, Bits>,
    /// Peers that want to be told, one bit for each slot.
    pub(super) wanters: u64,
    /// When work on it began.
    pub(super) since: Millis,
    /// Nothing of it comes over the line.
    pub(super) not_at_console: bool,
    /// Wrong bytes over the line.
    pub(super) wrongs: u32,
    /// Not told yet.
    pub(super) news: Vec<(u32, u32)>,
    /// News are told then.
    pub(super) tell_at: Option<Millis>,
    pub(super) told_at: Option<Millis>,
}

impl File {
    pub(super) fn new(want: Want, span_bytes: u32, wanters: u64, now: Millis) -> Self {
        let len = u32::try_from(want.chunks.len()).unwrap_or(u32::MAX);
        let have = if want.have.len() == len {
            want.have
        } else {
            Bits::none(len)
        };
        Self {
            key: want.file,
            seed: weigh::of_file(want.file),
            priority: want.priority,
            over_metered: want.over_metered,
            blocks: blocks(&want.chunks, span_bytes),
            done_blocks: 0,
            sizes: want.chunks,
            have,
            taken: Bits::none(len),
            claimed: Bits::none(len),
            held: Bits::none(len),
            avail: vec![0; len as usize],
            free: Bits::none(len),
            offers: BTreeMap::new(),
            wanters,
            since: now,
            not_at_console: false,
            wrongs: 0,
            news: Vec::new(),
            tell_at: None,
            told_at: None,
        }
    }

    pub(super) fn len(&self) -> u32 {
        self.have.len()
    }

    pub(super) fn missing(&self) -> u32 {
        self.have.len() - self.have.count()
    }

    pub(super) fn size(&self, index: u32) -> u64 {
        self.sizes.get(index as usize).copied().map_or(0, u64::from)
    }

    pub(super) fn bytes(&self, chunks: Range<u32>) -> u64 {
        chunks.map(|index| self.size(index)).sum()
    }

    /// Where chunks lie in the file.
    pub(super) fn place(&self, chunks: Range<u32>) -> Range<u64> {
        let block = self.blocks[..].partition_point(|block| block.first <= chunks.start);
        let from = match self.blocks.get(block.wrapping_sub(1)) {
            Some(block) => block.offset + self.bytes(block.first..chunks.start),
            None => 0,
        };
        from..from + self.bytes(chunks)
    }

    /// How many peers whose word counts have it.
    pub(super) fn holders(&self, index: u32) -> u8 {
        self.avail.get(index as usize).copied().unwrap_or(0)
    }

    /// The peer in `slot` says it has these. Whether anything is new.
    pub(super) fn offer(&mut self, slot: usize, chunks: Range<u32>, counts: bool) -> bool {
        let len = self.len();
        let bits = self.offers.entry(slot).or_insert_with(|| Bits::none(len));
        let mut news = false;
        for index in chunks {
            if bits.set(index) {
                news = true;
                if counts {
                    self.avail[index as usize] = self.avail[index as usize].saturating_add(1);
                    self.held.set(index);
                }
            }
        }
        news
    }

    /// The peer in `slot` does not have these.
    pub(super) fn withdraw(&mut self, slot: usize, chunks: Range<u32>, counts: bool) {
        let Some(bits) = self.offers.get_mut(&slot) else {
            return;
        };
        for index in chunks {
            if bits.unset(index) && counts {
                Self::one_less(&mut self.avail, &mut self.held, index);
            }
        }
    }

    /// The word of the peer in `slot` counts from now on, or counts no more.
    pub(super) fn count(&mut self, slot: usize, counts: bool) {
        let Some(bits) = self.offers.get(&slot) else {
            return;
        };
        for index in bits.iter() {
            if counts {
                self.avail[index as usize] = self.avail[index as usize].saturating_add(1);
                self.held.set(index);
            } else {
                Self::one_less(&mut self.avail, &mut self.held, index);
            }
        }
    }

    /// The peer in `slot` is gone.
    pub(super) fn forget(&mut self, slot: usize, counts: bool) {
        if counts {
            self.count(slot, false);
        }
        self.offers.remove(&slot);
        self.wanters &= !(1 << slot);
    }

    fn one_less(avail: &mut [u8], held: &mut Bits, index: u32) {
        let count = &mut avail[index as usize];
        *count = count.saturating_sub(1);
        if *count == 0 {
            held.unset(index);
        }
    }

    /// Chunks that nobody has, has begun or was asked for: 64 of them.
    fn open_word(&self, at: usize) -> u64 {
        let closed = self.have.word(at) | self.taken.word(at) | self.claimed.word(at) | self.held.word(at);
        let rest = self.len() as usize - (at * 64).min(self.len() as usize);
        let within = if rest >= 64 { u64::MAX } else { (1 << rest) - 1 };
        !closed & within
    }

    fn is_open(&self, index: u32) -> bool {
        self.open_word(index as usize / 64) >> (index % 64) & 1 == 1
    }

    /// How many chunks are open.
    pub(super) fn open(&self) -> u32 {
        (0..self.have.words())
            .map(|at| self.open_word(at).count_ones())
            .sum()
    }

    pub(super) fn mean_size(&self) -> u64 {
        let len = self.sizes.len().max(1);
        let total = self
            .blocks
            .last()
            .map_or(0, |last| last.offset + self.bytes(last.first..self.len()));
        (total / len as u64).max(1)
    }

    /// The first run of open chunks of a block in which `mine` is true, at most `most_bytes` long but at least one chunk;
    /// where there is no such block, of the one for which `weight` is highest.
    pub(super) fn open_run(
        &mut self,
        most_bytes: u64,
        mine: impl Fn(usize) -> bool,
        weight: impl Fn(usize) -> u64,
    ) -> Option<(u32, u32)> {
        while self.done_blocks < self.blocks.len()
            && self.block(self.done_blocks).all(|index| self.have.get(index))
        {
            self.done_blocks += 1;
        }
        let mut best: Option<(u64, u32)> = None;
        let mut looked_at = 0;
        for block in self.done_blocks..self.blocks.len() {
            let Some(first) = self.block(block).find(|index| self.is_open(*index)) else {
                continue;
            };
            if mine(block) {
                best = Some((u64::MAX, first));
                break;
            }
            let weight = weight(block);
            if best.is_none_or(|(most, _)| weight > most) {
                best = Some((weight, first));
            }
            looked_at += 1;
            if looked_at >= LOOK_AT_BLOCKS {
                break;
            }
        }
        let (_, first) = best?;
        let end = self.block(self.block_of(first)).end;
        let mut bytes = self.size(first);
        let mut count = 1;
        for index in first + 1..end {
            bytes += self.size(index);
            if bytes > most_bytes || !self.is_open(index) {
                break;
            }
            count += 1;
        }
        Some((first, count))
    }

    /// Which block a chunk lies in.
    pub(super) fn block_of(&self, index: u32) -> usize {
        self.blocks
            .partition_point(|block| block.first <= index)
            .saturating_sub(1)
    }

    fn block(&self, block: usize) -> Range<u32> {
        let start = self.blocks.get(block).map_or(self.len(), |block| block.first);
        let end = self.blocks.get(block + 1).map_or(self.len(), |block| block.first);
        start..end
    }

    /// A chunk is here; whether that is new.
    pub(super) fn got(&mut self, index: u32) -> bool {
        self.taken.unset(index);
        let new = self.have.set(index);
        if new {
            match self.news.last_mut() {
                Some((first, count)) if *first + *count == index => *count += 1,
                _ => self.news.push((index, 1)),
            }
        }
        new
    }

    /// A chunk that was here is not.
    pub(super) fn lost(&mut self, index: u32) {
        if self.have.unset(index) {
            self.done_blocks = self.done_blocks.min(self.block_of(index));
        }
    }
}

/// Free blocks that are compared before one is chosen.
const LOOK_AT_BLOCKS: usize = 64;

fn blocks(sizes: &[u32], span_bytes: u32) -> Vec<Block> {
    let mut blocks = Vec::new();
    let (mut offset, mut bytes) = (0, 0);
    for (index, size) in (0u32..).zip(sizes) {
        if blocks.is_empty() || bytes + u64::from(*size) > u64::from(span_bytes) {
            blocks.push(Block { first: index, offset });
            bytes = 0;
        }
        bytes += u64::from(*size);
        offset += u64::from(*size);
    }
    blocks
}

#[cfg(test)]
mod tests {
    use contract::hash::Hash;
    use proptest::prelude::*;

    use super::*;

    fn file(sizes: &[u32], have: Bits) -> File {
        let want = Want {
            file: Hash::of(b"f"),
            chunks: sizes.into(),
            have,
            priority: Priority {
                class: 0,
                due: 0,
                order: 0,
            },
            over_metered: false,
        };
        File::new(want, 1000, 0, Millis(0))
    }

    proptest! {
        #[test]
        fn runs_lie_in_one_block_and_places_add_up(sizes in prop::collection::vec(1u32..1500, 1..200), gone in any::<u64>()) {
            let len = sizes.len() as u32;
            let mut have = Bits::none(len);
            (0..len).filter(|index| gone >> (index % 61) & 1 == 1).for_each(|index| { have.set(index); });
            let mut file = file(&sizes, have.clone());
            let mut seen = have;
            while let Some((first, count)) = file.open_run(700, |_| false, |block| weigh::mix(7, block as u64)) {
                let offset: u64 = sizes[..first as usize].iter().map(|size| u64::from(*size)).sum();
                let bytes: u64 = sizes[first as usize..(first + count) as usize].iter().map(|size| u64::from(*size)).sum();
                prop_assert_eq!(file.place(first..first + count), offset..offset + bytes);
                prop_assert!(count == 1 || bytes <= 700);
                prop_assert_eq!(file.block_of(first), file.block_of(first + count - 1));
                for index in first..first + count {
                    prop_assert!(seen.set(index), "chunk {} twice", index);
                    file.taken.set(index);
                }
            }
            prop_assert!(seen.is_full());
        }

        #[test]
        fn availability_is_the_sum_of_those_that_count(
            words in prop::collection::vec((0usize..4, 0u32..40, 1u32..10, 0u8..4), 0..60),
        ) {
            let mut file = file(&[100; 40], Bits::none(40));
            let mut counts = [true; 4];
            for (slot, first, count, what) in words {
                let chunks = first..(first + count).min(40);
                match what {
                    0 => { file.offer(slot, chunks, counts[slot]); }
                    1 => file.withdraw(slot, chunks, counts[slot]),
                    2 => { counts[slot] = !counts[slot]; file.count(slot, counts[slot]); }
                    _ => file.forget(slot, counts[slot]),
                }
            }
            for index in 0..40 {
                let holders = file.offers.iter().filter(|(slot, bits)| counts[**slot] && bits.get(index)).count();
                prop_assert_eq!(usize::from(file.holders(index)), holders);
                prop_assert_eq!(file.held.get(index), holders > 0);
            }
        }
    }
}
