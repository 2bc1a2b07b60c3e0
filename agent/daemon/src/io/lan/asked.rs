//! What was asked of one peer and has not come: nothing else is taken from it.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use contract::{hash::Hash, lesson::MAX_MANIFEST_BYTES};

/// A chunk's place: its file and its number.
pub(super) type Place = (Hash, u32);

/// Bytes that may come though nobody asked for them (any more), beyond what was cancelled. More is no accident.
const STRAY_BYTES: u64 = 4 * 1024 * 1024;

/// How long a chunk must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// As the manifest says.
    Bytes(u32),
    /// A signed manifest: nobody knows before it is here.
    Manifest,
}

impl Expected {
    const fn allows(self, total: u32) -> bool {
        match self {
            Self::Bytes(bytes) => bytes == total,
            Self::Manifest => total as usize <= MAX_MANIFEST_BYTES,
        }
    }

    const fn most(self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes as u64,
            Self::Manifest => MAX_MANIFEST_BYTES as u64,
        }
    }
}

/// Shared by who asks and who reads.
#[derive(Debug, Default)]
pub(super) struct Asked(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    open: HashMap<Place, Expected>,
    /// May still come.
    stray: u64,
}

impl Asked {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, place: Place, expected: Expected) {
        self.state().open.insert(place, expected);
    }

    /// No longer wanted; its bytes may be on their way.
    pub(super) fn cancel(&self, place: Place) {
        let mut state = self.state();
        if let Some(expected) = state.open.remove(&place) {
            state.stray = state.stray.saturating_add(expected.most());
        }
    }

    /// The peer will not send it.
    pub(super) fn denied(&self, place: Place) {
        self.state().open.remove(&place);
    }

    fn expected(&self, place: Place) -> Option<Expected> {
        self.state().open.get(&place).copied()
    }

    fn take(&self, place: Place) -> Option<Expected> {
        self.state().open.remove(&place)
    }

    /// So much came for nothing; whether that may be.
    fn stray(&self, bytes: u64) -> bool {
        let state = &mut *self.state();
        let from_cancelled = state.stray.min(bytes);
        state.stray -= from_cancelled;
        from_cancelled == bytes
    }
}

/// What a piece led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Took {
    /// More is to come.
    Nothing,
    /// A chunk that was asked for is here.
    Chunk(Place, Bytes),
    /// A chunk that was asked for has another length than it should.
    WrongLength(Place),
    /// What no board of ours sends.
    Nonsense,
}

/// Puts pieces together. Memory is taken only for what was asked for.
#[derive(Debug)]
pub(super) struct Assembly {
    current: Option<(Place, u32, BytesMut)>,
    /// Being passed over.
    passed: Option<(Place, u32, u32)>,
    spare: u64,
}

impl Default for Assembly {
    fn default() -> Self {
        Self {
            current: None,
            passed: None,
            spare: STRAY_BYTES,
        }
    }
}

impl Assembly {
    pub(super) fn take(&mut self, place: Place, total: u32, at: u32, piece: &[u8], asked: &Asked) -> Took {
        if at == 0 {
            // The one before was never finished.
            if self.current.is_some() || self.passed.is_some_and(|(_, total, seen)| seen < total) {
                return Took::Nonsense;
            }
            match asked.expected(place) {
                Some(expected) if expected.allows(total) => {
                    let first = (total as usize).min(1024 * 1024);
                    self.current = Some((place, total, BytesMut::with_capacity(first)));
                }
                Some(_) => {
                    asked.take(place);
                    return Took::WrongLength(place);
                }
                None => self.passed = Some((place, total, 0)),
            }
        }
        let bytes = piece.len() as u32;
        if let Some((of, length, seen)) = &mut self.passed {
            if (*of, *length, *seen) != (place, total, at) {
                return Took::Nonsense;
            }
            *seen += bytes;
            if *seen == *length {
                self.passed = None;
            }
            if !asked.stray(u64::from(bytes)) {
                match self.spare.checked_sub(u64::from(bytes)) {
                    Some(left) => self.spare = left,
                    None => return Took::Nonsense,
                }
            }
            return Took::Nothing;
        }
        let Some((of, length, buffer)) = &mut self.current else {
            return Took::Nonsense;
        };
        if (*of, *length, buffer.len() as u32) != (place, total, at) {
            return Took::Nonsense;
        }
        buffer.extend_from_slice(piece);
        if buffer.len() as u32 != total {
            return Took::Nothing;
        }
        let Some((place, _, buffer)) = self.current.take() else {
            return Took::Nothing;
        };
        // Cancelled while it came: thrown away.
        match asked.take(place) {
            Some(_) => Took::Chunk(place, buffer.freeze()),
            None => {
                asked.stray(u64::from(total));
                Took::Nothing
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(index: u32) -> Place {
        (Hash::of(b"file"), index)
    }

    #[test]
    fn only_what_was_asked_for_comes_out_and_only_whole() {
        let (asked, mut assembly) = (Asked::default(), Assembly::default());
        asked.add(place(1), Expected::Bytes(6));
        asked.add(place(2), Expected::Bytes(6));
        assert_eq!(assembly.take(place(1), 6, 0, b"abc", &asked), Took::Nothing);
        let chunk = Took::Chunk(place(1), Bytes::from_static(b"abcdef"));
        assert_eq!(assembly.take(place(1), 6, 3, b"def", &asked), chunk);
        assert_eq!(
            assembly.take(place(1), 6, 0, b"abcdef", &asked),
            Took::Nothing,
            "twice"
        );
        assert_eq!(
            assembly.take(place(2), 7, 0, b"abcdef", &asked),
            Took::WrongLength(place(2))
        );
        asked.add(place(3), Expected::Bytes(6));
        assert_eq!(assembly.take(place(3), 6, 0, b"abc", &asked), Took::Nothing);
        asked.cancel(place(3));
        assert_eq!(assembly.take(place(3), 6, 3, b"def", &asked), Took::Nothing);
        asked.add(place(4), Expected::Bytes(6));
        assert_eq!(assembly.take(place(4), 6, 0, b"abc", &asked), Took::Nothing);
        assert_eq!(
            assembly.take(place(4), 6, 4, b"ef", &asked),
            Took::Nonsense,
            "a gap"
        );
        assert_eq!(
            assembly.take(place(5), 6, 2, b"ef", &asked),
            Took::Nonsense,
            "no beginning"
        );
    }

    #[test]
    fn what_nobody_asked_for_is_borne_up_to_a_bound_and_what_was_cancelled_beyond_it() {
        let (asked, mut assembly) = (Asked::default(), Assembly::default());
        let megabyte = vec![0; 1024 * 1024];
        let mut send = |index| assembly.take(place(index), 1 << 20, 0, &megabyte, &asked);
        asked.add(place(99), Expected::Bytes(1 << 20));
        asked.cancel(place(99));
        for index in 0..5 {
            assert_eq!(send(index), Took::Nothing);
        }
        assert_eq!(send(5), Took::Nonsense);
    }

    #[test]
    fn a_manifest_may_have_any_length_a_device_reads() {
        let (asked, mut assembly) = (Asked::default(), Assembly::default());
        asked.add(place(0), Expected::Manifest);
        let chunk = Took::Chunk(place(0), Bytes::from_static(b"{}"));
        assert_eq!(assembly.take(place(0), 2, 0, b"{}", &asked), chunk);
        asked.add(place(0), Expected::Manifest);
        let too_long = MAX_MANIFEST_BYTES as u32 + 1;
        assert_eq!(
            assembly.take(place(0), too_long, 0, b"{", &asked),
            Took::WrongLength(place(0))
        );
    }
}
