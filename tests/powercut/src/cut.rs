//! Where the power goes, and what the disk has then.

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::disk::{Entry, Image, Record, SECTOR};

/// What becomes of writes that no flush had confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// All reached the disk.
    None,
    /// Each one is there or not, by the dice: it is kept with this chance in percent.
    Dropped(u8),
}

/// One cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    /// Which of the run; with the run's seed it makes the same image again.
    pub(crate) number: u64,
    /// After so many entries.
    pub(crate) at: usize,
    /// What unflushed writes do.
    pub(crate) loss: Loss,
    /// Whether the last write stopped in the middle, at a sector's bound.
    pub(crate) torn: bool,
}

impl Cut {
    /// Cut `number` of a run: anywhere, but more often where something has just been acknowledged.
    pub(crate) fn choose<A>(number: u64, seed: u64, record: &Record<A>) -> Self {
        let mut rng = dice(seed, number);
        let length = record.entries.len();
        let at = match record.promises.len() {
            0 => rng.random_range(0..=length),
            many if rng.random_bool(0.35) => {
                let (at, _) = record.promises[rng.random_range(0..many)];
                (at + rng.random_range(0..3)).min(length)
            }
            _ => rng.random_range(0..=length),
        };
        let loss = match rng.random_range(0..3) {
            0 => Loss::None,
            1 => Loss::Dropped(0),
            _ => Loss::Dropped(rng.random_range(5..95)),
        };
        Self {
            number,
            at,
            loss,
            torn: rng.random_bool(0.4),
        }
    }
}

/// Makes crash images of one record, cheapest where the cuts come in order.
#[derive(Debug)]
pub(crate) struct Images<'a, A> {
    record: &'a Record<A>,
    seed: u64,
    /// Everything up to the last flush before `confirmed`.
    durable: Image,
    confirmed: usize,
}

impl<'a, A> Images<'a, A> {
    /// Of this record, with the run's seed.
    pub(crate) fn new(record: &'a Record<A>, seed: u64) -> Self {
        Self {
            record,
            seed,
            durable: record.base.clone(),
            confirmed: 0,
        }
    }

    /// What the disk has after the cut. Cuts must come in the order of `at`.
    pub(crate) fn after(&mut self, cut: &Cut) -> Image {
        let entries = &self.record.entries;
        let flushed = entries[..cut.at]
            .iter()
            .rposition(|entry| matches!(entry, Entry::Flush))
            .map_or(0, |at| at + 1);
        while self.confirmed < flushed {
            apply(&mut self.durable, &entries[self.confirmed]);
            self.confirmed += 1;
        }
        let mut rng = dice(self.seed, cut.number ^ (1 << 63));
        let mut image = self.durable.clone();
        let open = &entries[flushed..cut.at];
        for (n, entry) in open.iter().enumerate() {
            let Entry::Write(offset, bytes) = entry else {
                continue;
            };
            let kept = match cut.loss {
                Loss::None => true,
                Loss::Dropped(percent) => rng.random_ratio(u32::from(percent), 100),
            };
            if n + 1 == open.len() && cut.torn {
                let sectors = bytes.len() / SECTOR;
                let reached = rng.random_range(0..=sectors) * SECTOR;
                image.write(*offset, &bytes[..reached]);
            } else if kept {
                image.write(*offset, bytes);
            }
        }
        image
    }
}

fn apply(image: &mut Image, entry: &Entry) {
    if let Entry::Write(offset, bytes) = entry {
        image.write(*offset, bytes);
    }
}

fn dice(seed: u64, number: u64) -> StdRng {
    StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use super::*;

    fn record() -> Record<()> {
        let write = |at: u64, byte: u8| Entry::Write(at * 4096, vec![byte; 4096].into());
        Record {
            base: Image::default(),
            entries: vec![
                write(0, 1),
                write(1, 1),
                Entry::Flush,
                write(0, 2),
                write(2, 2),
                write(3, 2),
            ],
            promises: vec![],
        }
    }

    fn first_bytes(image: &Image) -> Vec<(u64, u8)> {
        image.blocks().map(|(number, block)| (number, block[0])).collect()
    }

    #[test]
    fn what_was_flushed_is_there_and_the_rest_may_be() {
        let record = record();
        let cut = |number, loss, torn| Cut {
            number,
            at: 6,
            loss,
            torn,
        };
        let after = |cut: Cut| Images::new(&record, 7).after(&cut);
        assert_eq!(
            first_bytes(&after(cut(1, Loss::None, false))),
            [(0, 2), (1, 1), (2, 2), (3, 2)]
        );
        assert_eq!(
            first_bytes(&after(cut(1, Loss::Dropped(0), false))),
            [(0, 1), (1, 1)]
        );
        let seen: BTreeSet<_> = (0..200)
            .map(|n| first_bytes(&after(cut(n, Loss::Dropped(50), false))))
            .collect();
        assert_eq!(seen.len(), 8, "every choice of three open writes");
        let mut torn = BTreeSet::new();
        for n in 0..200 {
            let image = after(cut(n, Loss::None, true));
            let whole = image.blocks().find(|(number, _)| *number == 3);
            let sectors = whole.map_or(0, |(_, block)| block.iter().filter(|b| **b == 2).count());
            torn.insert(sectors / SECTOR);
        }
        assert_eq!(torn, (0..=8).collect(), "torn at each sector");
    }

    #[test]
    fn a_seed_gives_the_same_cuts_and_images_again() {
        let record = record();
        for number in 0..50 {
            let (one, two) = (Cut::choose(number, 3, &record), Cut::choose(number, 3, &record));
            assert_eq!((one.at, one.loss, one.torn), (two.at, two.loss, two.torn));
            let (one, two) = (
                Images::new(&record, 3).after(&one),
                Images::new(&record, 3).after(&two),
            );
            assert_eq!(first_bytes(&one), first_bytes(&two));
        }
    }
}
