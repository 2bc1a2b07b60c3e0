//! What the boards of one school say to each other over mutual TLS, and how it lies on the wire.
//!
//! A frame is its length in bytes (`u32`, big-endian, the four bytes not counted) and a [`PeerFrame`] in postcard; after a
//! [`PeerFrame::Piece`] the rest of the frame is the piece's bytes. Frozen under `tests/golden/v1/peer.*.hex`; a newer frame is
//! only sent to who said a [`Hello::version`] that knows it. Everything a peer says is hearsay.

use serde::{Deserialize, Serialize};

use crate::hash::Hash;

/// The newest version spoken here.
pub const VERSION: u16 = 1;
/// What both sides name in the TLS handshake (ALPN), so that nothing else is taken for it.
pub const ALPN: &[u8] = b"bbt-peer/1";
/// The service's name in multicast DNS.
pub const MDNS_SERVICE: &str = "_bbt-peer._tcp.local.";
/// Most bytes of a chunk in one frame.
pub const MAX_PIECE_BYTES: usize = 64 * 1024;
/// Most chunks of one file that [`PeerFrame::Has`] tells of: 64 GiB at 128 KiB a chunk.
pub const MAX_CHUNKS: u32 = 512 * 1024;
/// Longest frame without its length; a longer one ends the connection before it is read.
pub const MAX_FRAME_BYTES: usize = 66 * 1024;

/// BLAKE3 of a file or of a signed manifest, as 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileId(pub [u8; 32]);

impl From<Hash> for FileId {
    fn from(hash: Hash) -> Self {
        Self(hash.0)
    }
}

impl From<FileId> for Hash {
    fn from(id: FileId) -> Self {
        Self(id.0)
    }
}

/// Neighbouring chunks of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChunkRun {
    /// Of which file.
    pub file: FileId,
    /// The first one.
    pub first: u32,
    /// How many; at least 1.
    pub count: u32,
}

/// The first frame of each side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The newest version it speaks.
    pub version: u16,
    /// The port at which it serves; 0 if it does not.
    pub port: u16,
}

/// Why a peer does not get what it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Denied {
    /// Not here, or not any more.
    Gone,
    /// Too much is asked at once.
    Busy,
}

/// One frame. The order of the kinds is the wire: new ones go to the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerFrame {
    /// Who speaks which version; the first frame and only that.
    Hello(Hello),
    /// Nothing to say, still here.
    Alive,
    /// Tell me what you have of this file, and what comes.
    Wants(FileId),
    /// No need to tell me about this file any more.
    Unwants(FileId),
    /// What I have of a file.
    Has {
        /// Which.
        file: FileId,
        /// How many chunks it has; at most [`MAX_CHUNKS`].
        chunks: u32,
        /// One bit for each, chunk 0 the lowest of the first byte, rounded up to whole bytes.
        have: Vec<u8>,
    },
    /// I have these, too, now.
    Got(ChunkRun),
    /// I fetch these over the line.
    Claims(ChunkRun),
    /// I do not fetch these any more.
    Unclaims(ChunkRun),
    /// You will not get these.
    Denies(ChunkRun, Denied),
    /// Send me these; what was asked first is sent first.
    Ask(ChunkRun),
    /// I do not need these any more; some may be on their way.
    CancelAsk(ChunkRun),
    /// A part of a chunk that was asked for; its bytes follow in the same frame, at most [`MAX_PIECE_BYTES`]. The pieces of
    /// one chunk come in order and with no other chunk's between them.
    Piece {
        /// Of which file.
        file: FileId,
        /// Which chunk.
        index: u32,
        /// Bytes of the whole chunk.
        total: u32,
        /// Where in the chunk these begin.
        at: u32,
    },
}

/// Bytes that are no frame of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than [`MAX_FRAME_BYTES`], or empty.
    #[error("a frame of {0} bytes; 1 to {MAX_FRAME_BYTES} are allowed")]
    Length(usize),
    /// Not in postcard, or of an unknown kind.
    #[error("a frame that cannot be understood")]
    Syntax,
    /// Something in it is beyond its bounds.
    #[error("a frame whose {0} is out of bounds")]
    Bounds(&'static str),
}

impl PeerFrame {
    /// Appends length, frame and `piece` (empty for all kinds but [`PeerFrame::Piece`]) to `out`.
    ///
    /// # Errors
    /// It would be longer than [`MAX_FRAME_BYTES`].
    pub fn write(&self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        let kept = std::mem::take(out);
        *out = postcard::to_extend(self, kept).map_err(|_| FrameError::Syntax)?;
        out.extend_from_slice(piece);
        let length = out.len() - start - 4;
        match u32::try_from(length) {
            Ok(bytes) if length <= MAX_FRAME_BYTES => {
                out[start..start + 4].copy_from_slice(&bytes.to_be_bytes());
                Ok(())
            }
            _ => {
                out.truncate(start);
                Err(FrameError::Length(length))
            }
        }
    }

    /// The length that four bytes tell.
    ///
    /// # Errors
    /// No frame is that long.
    pub fn length(head: [u8; 4]) -> Result<usize, FrameError> {
        let length = u32::from_be_bytes(head) as usize;
        if (1..=MAX_FRAME_BYTES).contains(&length) {
            Ok(length)
        } else {
            Err(FrameError::Length(length))
        }
    }

    /// Reads a frame without its length; the second is a piece's bytes, else empty.
    ///
    /// # Errors
    /// Not a frame, or something in it is out of bounds.
    pub fn read(frame: &[u8]) -> Result<(Self, &[u8]), FrameError> {
        let (read, piece) = postcard::take_from_bytes(frame).map_err(|_| FrameError::Syntax)?;
        let run = match &read {
            Self::Piece { index, total, at, .. } => {
                let end = u64::from(*at) + piece.len() as u64;
                if piece.is_empty() || piece.len() > MAX_PIECE_BYTES || end > u64::from(*total) {
                    return Err(FrameError::Bounds("piece"));
                }
                if *index >= MAX_CHUNKS {
                    return Err(FrameError::Bounds("chunk"));
                }
                return Ok((read, piece));
            }
            Self::Has { chunks, have, .. } => {
                if *chunks > MAX_CHUNKS || have.len() != (*chunks as usize).div_ceil(8) {
                    return Err(FrameError::Bounds("set of chunks"));
                }
                None
            }
            Self::Got(run)
            | Self::Claims(run)
            | Self::Unclaims(run)
            | Self::Denies(run, _)
            | Self::Ask(run)
            | Self::CancelAsk(run) => Some(run),
            Self::Hello(_) | Self::Alive | Self::Wants(_) | Self::Unwants(_) => None,
        };
        if run.is_some_and(|run| {
            run.count == 0 || run.first >= MAX_CHUNKS || run.count > MAX_CHUNKS - run.first
        }) {
            return Err(FrameError::Bounds("run of chunks"));
        }
        if piece.is_empty() {
            Ok((read, piece))
        } else {
            Err(FrameError::Bounds("end"))
        }
    }
}
