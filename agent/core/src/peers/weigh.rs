//! Weights that every board computes alike: who goes first, without asking anyone.

use contract::hash::Hash;

use super::FileKey;

/// The number that stands for a device in all weights.
pub(super) fn of_device(id: &str) -> u64 {
    first_eight(Hash::of(id.as_bytes()))
}

/// The number that stands for a file.
pub(super) fn of_file(file: FileKey) -> u64 {
    first_eight(file)
}

/// Two numbers into one in which each bit depends on all of theirs (the finish of SplitMix64).
pub(super) const fn mix(a: u64, b: u64) -> u64 {
    let mut x = a ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn first_eight(hash: Hash) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&hash.0[..8]);
    u64::from_le_bytes(eight)
}
