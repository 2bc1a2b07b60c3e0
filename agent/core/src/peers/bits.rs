//! One bit for each chunk of a file.

/// A set of chunk indices of one file, as long as the file has chunks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bits {
    len: u32,
    ones: u32,
    words: Vec<u64>,
}

impl Bits {
    /// `len` chunks, none of them set.
    pub fn none(len: u32) -> Self {
        Self {
            len,
            ones: 0,
            words: vec![0; words(len)],
        }
    }

    /// `len` chunks, all of them set.
    pub fn all(len: u32) -> Self {
        let mut bits = Self::none(len);
        bits.words.fill(u64::MAX);
        bits.trim();
        bits.ones = len;
        bits
    }

    /// From [`Self::to_bytes`]; `None` if the bytes are not as many as `len` chunks take, or bits beyond are set.
    pub fn from_bytes(len: u32, bytes: &[u8]) -> Option<Self> {
        if bytes.len() != (len as usize).div_ceil(8) {
            return None;
        }
        let mut bits = Self::none(len);
        for (word, eight) in bits.words.iter_mut().zip(bytes.chunks(8)) {
            let mut raw = [0; 8];
            raw[..eight.len()].copy_from_slice(eight);
            *word = u64::from_le_bytes(raw);
        }
        let whole = bits.words.clone();
        bits.trim();
        bits.recount();
        (whole == bits.words).then_some(bits)
    }

    /// Chunk 0 is the lowest bit of the first byte; `len` bits, rounded up to whole bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let all = self.words.iter().flat_map(|word| word.to_le_bytes());
        all.take((self.len as usize).div_ceil(8)).collect()
    }

    /// How many chunks the file has.
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether the file has no chunk at all.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many are set.
    pub const fn count(&self) -> u32 {
        self.ones
    }

    /// Whether every chunk is set.
    pub const fn is_full(&self) -> bool {
        self.ones == self.len
    }

    /// Whether `index` is set; what lies outside never is.
    pub fn get(&self, index: u32) -> bool {
        index < self.len && self.words[index as usize / 64] >> (index % 64) & 1 == 1
    }

    /// Sets one; whether that changed anything.
    pub fn set(&mut self, index: u32) -> bool {
        let new = index < self.len && !self.get(index);
        if new {
            self.words[index as usize / 64] |= 1 << (index % 64);
            self.ones += 1;
        }
        new
    }

    /// Unsets one; whether that changed anything.
    pub fn unset(&mut self, index: u32) -> bool {
        let old = self.get(index);
        if old {
            self.words[index as usize / 64] &= !(1 << (index % 64));
            self.ones -= 1;
        }
        old
    }

    /// Unsets all.
    pub fn clear(&mut self) {
        self.words.fill(0);
        self.ones = 0;
    }

    /// 64 chunks at once, the first one lowest; 0 beyond the end.
    pub fn word(&self, at: usize) -> u64 {
        self.words.get(at).copied().unwrap_or(0)
    }

    /// How many words hold the set.
    pub const fn words(&self) -> usize {
        self.words.len()
    }

    /// Those that are set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..).zip(&self.words).flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros();
                    rest &= rest - 1;
                    at * 64 + bit
                })
            })
        })
    }

    /// Those that are set, as `(first, count)` of neighbours, ascending.
    pub fn runs(&self) -> Vec<(u32, u32)> {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for index in self.iter() {
            match runs.last_mut() {
                Some((first, count)) if *first + *count == index => *count += 1,
                _ => runs.push((index, 1)),
            }
        }
        runs
    }

    fn trim(&mut self) {
        let used = self.len % 64;
        if used != 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << used) - 1;
        }
    }

    fn recount(&mut self) {
        self.ones = self.words.iter().map(|word| word.count_ones()).sum();
    }
}

const fn words(len: u32) -> usize {
    (len as usize).div_ceil(64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_is_a_set(len in 0u32..300, changes in prop::collection::vec((0u32..320, any::<bool>()), 0..200)) {
            let mut bits = Bits::none(len);
            let mut model = BTreeSet::new();
            for (index, on) in changes {
                let changed = if on { bits.set(index) } else { bits.unset(index) };
                let expected = if on { index < len && model.insert(index) } else { model.remove(&index) };
                prop_assert_eq!(changed, expected);
            }
            prop_assert_eq!(bits.count() as usize, model.len());
            prop_assert_eq!(bits.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            let of_runs: Vec<u32> = bits.runs().into_iter().flat_map(|(first, count)| first..first + count).collect();
            prop_assert_eq!(of_runs, model.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(Bits::from_bytes(len, &bits.to_bytes()), Some(bits));
        }
    }

    #[test]
    fn bytes_that_do_not_fit_are_refused() {
        assert_eq!(Bits::from_bytes(9, &[0xff]), None, "a byte too few");
        assert_eq!(Bits::from_bytes(8, &[0xff, 0]), None, "a byte too many");
        assert_eq!(Bits::from_bytes(9, &[0xff, 2]), None, "a bit beyond the end");
        assert!(Bits::from_bytes(9, &[0xff, 1]).unwrap().is_full());
        assert!(Bits::all(130).is_full() && Bits::all(130).count() == 130);
    }
}
