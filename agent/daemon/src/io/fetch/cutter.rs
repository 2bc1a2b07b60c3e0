//! Cuts the bytes of neighbouring chunks into chunks, however they come.

use bytes::{Buf, Bytes, BytesMut};

/// Cuts a body that holds the chunks of one span.
#[derive(Debug)]
pub(super) struct Cutter {
    /// Sizes of the chunks.
    sizes: Vec<u32>,
    next: usize,
    buffer: BytesMut,
    /// Bytes before the first chunk.
    skip: u64,
}

impl Cutter {
    /// For chunks of these sizes, after `skip` bytes that are not of them.
    pub(super) fn new(sizes: Vec<u32>, skip: u64) -> Self {
        Self {
            sizes,
            next: 0,
            buffer: BytesMut::new(),
            skip,
        }
    }

    #[cfg(test)]
    fn is_done(&self) -> bool {
        self.next >= self.sizes.len()
    }

    /// Chunks that are whole now, by their number in the span; what comes after the last one is left out.
    pub(super) fn push(&mut self, mut piece: Bytes) -> Vec<(u32, Bytes)> {
        let mut cut = Vec::new();
        let skipped = self.skip.min(piece.len() as u64);
        self.skip -= skipped;
        piece.advance(usize::try_from(skipped).unwrap_or(usize::MAX));
        while let Some(size) = self.sizes.get(self.next).map(|size| *size as usize)
            && !piece.is_empty()
        {
            let taken = piece.split_to((size - self.buffer.len()).min(piece.len()));
            if self.buffer.is_empty() {
                // One buffer of the right size for each chunk: nothing larger is kept alive by it.
                self.buffer.reserve(size);
            }
            self.buffer.extend_from_slice(&taken);
            if self.buffer.len() == size {
                let index = u32::try_from(self.next).unwrap_or(u32::MAX);
                cut.push((index, std::mem::take(&mut self.buffer).freeze()));
                self.next += 1;
            }
        }
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn however_the_body_is_split_the_same_chunks_come_out(
            sizes in proptest::collection::vec(1_u32..40, 1..20),
            skip in 0_usize..50,
            splits in proptest::collection::vec(1_usize..60, 1..200),
        ) {
            let size: usize = sizes.iter().map(|size| *size as usize).sum();
            let body: Vec<u8> = (0..skip + size).map(|n| (n % 251) as u8).collect();
            let mut cutter = Cutter::new(sizes.clone(), skip as u64);
            let mut rest = Bytes::from(body.clone());
            let mut cut = Vec::new();
            let mut splits = splits.into_iter().cycle();
            while !rest.is_empty() {
                prop_assert!(!cutter.is_done());
                let piece = rest.split_to(splits.next().unwrap().min(rest.len()));
                cut.extend(cutter.push(piece));
            }
            prop_assert!(cutter.is_done());
            let mut at = skip;
            let mut expected = Vec::new();
            for (index, size) in (0..).zip(&sizes) {
                let end = at + *size as usize;
                expected.push((index, Bytes::copy_from_slice(&body[at..end])));
                at = end;
            }
            prop_assert_eq!(cut, expected);
            prop_assert!(cutter.push(Bytes::from_static(b"more")).is_empty());
        }
    }
}
