//! Frames between boards, byte for byte. The files under `golden/v1/` are never edited: a change that breaks one is a new
//! version.
//!
//! A file that is missing is written once and the test then fails, so that it is looked at before it is committed.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs, path::PathBuf};

use contract::{
    hash::Hash,
    peer::{
        ChunkRun, Denied, FileId, FrameError, Hello, MAX_CHUNKS, MAX_FRAME_BYTES, MAX_PIECE_BYTES, PeerFrame,
    },
};
use proptest::prelude::*;

fn file() -> FileId {
    Hash::of(b"video").into()
}

fn run() -> ChunkRun {
    ChunkRun {
        file: file(),
        first: 300,
        count: 8,
    }
}

fn frames() -> Vec<(&'static str, PeerFrame, &'static [u8])> {
    let has = PeerFrame::Has {
        file: file(),
        chunks: 11,
        have: vec![0b1010_0101, 0b111],
    };
    let piece = PeerFrame::Piece {
        file: file(),
        index: 300,
        total: 131_072,
        at: 65_536,
    };
    let hello = PeerFrame::Hello(Hello {
        version: 1,
        port: 8009,
    });
    vec![
        ("hello", hello, b""),
        ("alive", PeerFrame::Alive, b""),
        ("wants", PeerFrame::Wants(file()), b""),
        ("unwants", PeerFrame::Unwants(file()), b""),
        ("has", has, b""),
        ("got", PeerFrame::Got(run()), b""),
        ("claims", PeerFrame::Claims(run()), b""),
        ("unclaims", PeerFrame::Unclaims(run()), b""),
        ("denies_gone", PeerFrame::Denies(run(), Denied::Gone), b""),
        ("denies_busy", PeerFrame::Denies(run(), Denied::Busy), b""),
        ("ask", PeerFrame::Ask(run()), b""),
        ("cancel_ask", PeerFrame::CancelAsk(run()), b""),
        ("piece", piece, b"\x00\x01bytes of a chunk"),
    ]
}

#[test]
fn frames_have_the_bytes_they_always_had() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1");
    let mut written = Vec::new();
    for (name, frame, piece) in frames() {
        let path = folder.join(format!("peer.{name}.hex"));
        let mut bytes = Vec::new();
        frame.write(piece, &mut bytes).unwrap();
        let Ok(golden) = fs::read_to_string(&path) else {
            fs::write(&path, format!("{}\n", hex::encode(&bytes))).unwrap();
            written.push(name);
            continue;
        };
        assert_eq!(hex::encode(&bytes), golden.trim(), "{name}");
        let golden = hex::decode(golden.trim()).unwrap();
        let head: [u8; 4] = golden[..4].try_into().unwrap();
        assert_eq!(PeerFrame::length(head), Ok(golden.len() - 4), "{name}");
        assert_eq!(PeerFrame::read(&golden[4..]), Ok((frame, piece)), "{name}");
        for cut in 0..golden.len() - 4 - piece.len() {
            PeerFrame::read(&golden[4..4 + cut]).unwrap_err();
        }
    }
    assert!(
        written.is_empty(),
        "written for the first time, look at them: {written:?}"
    );
}

#[test]
fn what_is_out_of_bounds_is_no_frame() {
    for length in [0_usize, MAX_FRAME_BYTES + 1, u32::MAX as usize] {
        let head = u32::try_from(length).unwrap().to_be_bytes();
        assert_eq!(PeerFrame::length(head), Err(FrameError::Length(length)));
    }
    let read = |frame: &PeerFrame, piece: &[u8]| {
        let mut bytes = Vec::new();
        frame.write(piece, &mut bytes).unwrap();
        PeerFrame::read(&bytes[4..]).map(|_| ())
    };
    let has = |chunks, bytes| PeerFrame::Has {
        file: file(),
        chunks,
        have: vec![0; bytes],
    };
    assert_eq!(read(&has(9, 2), b""), Ok(()));
    for (chunks, bytes) in [(9, 1), (9, 3), (MAX_CHUNKS + 8, 1)] {
        assert_eq!(
            read(&has(chunks, bytes), b""),
            Err(FrameError::Bounds("set of chunks"))
        );
    }
    for (first, count) in [(0, 0), (MAX_CHUNKS, 1), (1, MAX_CHUNKS), (u32::MAX, u32::MAX)] {
        let run = ChunkRun {
            first,
            count,
            ..run()
        };
        assert_eq!(
            read(&PeerFrame::Ask(run), b""),
            Err(FrameError::Bounds("run of chunks"))
        );
    }
    let piece = |total, at| PeerFrame::Piece {
        file: file(),
        index: 0,
        total,
        at,
    };
    assert_eq!(read(&piece(10, 5), b"01234"), Ok(()));
    for (total, at, bytes) in [
        (10, 6, 5),
        (10, u32::MAX, 5),
        (10, 5, 0),
        (1 << 20, 0, MAX_PIECE_BYTES + 1),
    ] {
        assert_eq!(
            read(&piece(total, at), &vec![0; bytes]),
            Err(FrameError::Bounds("piece"))
        );
    }
    assert_eq!(read(&PeerFrame::Alive, b"more"), Err(FrameError::Bounds("end")));
    let mut out = b"before".to_vec();
    let too_long = vec![0; MAX_FRAME_BYTES];
    piece(u32::MAX, 0).write(&too_long, &mut out).unwrap_err();
    assert_eq!(out, b"before");
    assert_eq!(
        PeerFrame::read(&[12]),
        Err(FrameError::Syntax),
        "a kind of a newer version"
    );
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0u8..14) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = kind;
        }
        if let Ok((frame, piece)) = PeerFrame::read(&bytes) {
            let mut again = Vec::new();
            frame.write(piece, &mut again).unwrap();
            prop_assert_eq!(PeerFrame::read(&again[4..]), Ok((frame, piece)));
        }
    }
}
