//! Frames: bytes to payloads and back, with every size bounded.

use cobs::{decode_in_place, try_encode};
use crc::{CRC_32_ISO_HDLC, Crc};
use heapless::Vec;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::message::{Handshake, Message};
use crate::version::{HANDSHAKE, Version, VersionRange};

/// Bytes of a postcard payload at most.
pub const MAX_PAYLOAD: usize = 240;
/// Bytes between the delimiters before COBS: version, sequence number, payload, CRC.
pub const MAX_PACKET: usize = HEADER + MAX_PAYLOAD + CRC_BYTES;
/// Bytes of a frame on the wire at most, with both delimiters.
pub const MAX_FRAME: usize = MAX_STUFFED + 2;

const HEADER: usize = 3;
const CRC_BYTES: usize = 4;
/// COBS adds one byte for each 254 begun; a packet stays below that, so that the overhead is one byte.
const MAX_STUFFED: usize = MAX_PACKET + 1;
const _: () = assert!(MAX_PACKET < 254);

const DELIMITER: u8 = 0;
/// One table in flash, for frames and for images.
static CRC32: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// CRC-32/ISO-HDLC, as frames carry it; for whatever else a board keeps in bytes.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    CRC32.checksum(bytes)
}

/// The same, in pieces.
#[derive(Clone)]
pub struct Crc32(crc::Digest<'static, u32>);

impl Crc32 {
    /// Of no bytes.
    #[must_use]
    pub fn new() -> Self {
        Self(CRC32.digest())
    }

    /// More bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The sum.
    #[must_use]
    pub fn finish(self) -> u32 {
        self.0.finalize()
    }
}

impl Default for Crc32 {
    fn default() -> Self {
        Self::new()
    }
}

/// A sequence number. A response repeats its request's; reports count for themselves. Wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Seq(pub u16);

impl Seq {
    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// The one `n` after this.
    #[must_use]
    pub const fn plus(self, n: u16) -> Self {
        Self(self.0.wrapping_add(n))
    }

    /// How many steps lead from `earlier` to this, going round where the numbers end.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u16 {
        self.0.wrapping_sub(earlier.0)
    }
}

/// One frame, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Which exchange it belongs to.
    pub seq: Seq,
    /// What it says.
    pub payload: Payload,
}

/// What a frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Before a version is agreed: a frame of version 0.
    Handshake(Handshake),
    /// After that.
    Session {
        /// The agreed version.
        version: Version,
        /// The words.
        message: Message,
    },
}

/// A frame ready to be written to the port.
pub type EncodedFrame = Vec<u8, MAX_FRAME>;

/// Why a frame could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// The words do not fit; no word of ours can cause this.
    #[error("payload is longer than {MAX_PAYLOAD} bytes")]
    TooLong,
    /// A version that this code does not speak.
    #[error("version {0} is not spoken here")]
    UnsupportedVersion(Version),
    /// A word that came with a later version than the frame's.
    #[error("that word came with version {since}, after version {version}")]
    TooNew {
        /// Of the frame.
        version: Version,
        /// Of the word.
        since: Version,
    },
}

/// Makes the bytes of a frame: a delimiter, the stuffed packet, a delimiter. The leading delimiter ends
/// whatever noise came before, so that noise costs no frame.
///
/// # Errors
/// [`EncodeError`]; nothing is half-written.
pub fn encode(frame: &Frame) -> Result<EncodedFrame, EncodeError> {
    let mut packet = [0u8; MAX_PACKET];
    let (head, rest) = packet.split_at_mut(HEADER);
    let payload = &mut rest[..MAX_PAYLOAD];
    let (version, payload_len) = match &frame.payload {
        Payload::Handshake(words) => (HANDSHAKE, postcard::to_slice(words, payload)),
        Payload::Session { version, message } => {
            if !VersionRange::OURS.contains(*version) {
                return Err(EncodeError::UnsupportedVersion(*version));
            }
            let since = message.since();
            if since > *version {
                return Err(EncodeError::TooNew {
                    version: *version,
                    since,
                });
            }
            (*version, postcard::to_slice(message, payload))
        }
    };
    let payload_len = payload_len.map_err(|_| EncodeError::TooLong)?.len();
    head[0] = version;
    head[1..].copy_from_slice(&frame.seq.0.to_le_bytes());
    let body_len = HEADER + payload_len;
    let crc = CRC32.checksum(&packet[..body_len]);
    packet[body_len..body_len + CRC_BYTES].copy_from_slice(&crc.to_le_bytes());

    let mut stuffed = [0u8; MAX_STUFFED];
    let stuffed_len =
        try_encode(&packet[..body_len + CRC_BYTES], &mut stuffed).map_err(|_| EncodeError::TooLong)?;

    let mut out = EncodedFrame::new();
    let fits = out.push(DELIMITER).is_ok()
        && out.extend_from_slice(&stuffed[..stuffed_len]).is_ok()
        && out.push(DELIMITER).is_ok();
    if fits { Ok(out) } else { Err(EncodeError::TooLong) }
}

/// Why a stretch of bytes was no frame. The decoder has dropped it and goes on with the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// No delimiter came in time; everything up to the next one is dropped.
    #[error("no end of frame within {MAX_STUFFED} bytes")]
    TooLong,
    /// The byte stuffing is broken.
    #[error("byte stuffing is broken")]
    BadStuffing,
    /// Too short to hold a header and a CRC.
    #[error("a frame of {len} bytes holds no header and CRC")]
    TooShort {
        /// Bytes after unstuffing.
        len: usize,
    },
    /// Noise on the line.
    #[error("CRC is {found:#010x}, not {expected:#010x}")]
    BadCrc {
        /// Computed over what arrived.
        expected: u32,
        /// Carried by the frame.
        found: u32,
    },
    /// A whole frame of a version that this code does not speak.
    #[error("version {0} is not spoken here")]
    UnsupportedVersion(Version),
    /// A whole frame whose words make no sense: an unknown variant, a value out of range, or bytes left over.
    #[error("a frame of version {version} makes no sense")]
    Malformed {
        /// What the frame says of itself.
        version: Version,
    },
}

/// Turns bytes, in pieces of any size, into frames. Never panics, never allocates, and after garbage it is
/// in step again at the next delimiter.
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    stuffed: Vec<u8, MAX_STUFFED>,
    /// Set from the byte that did not fit until the next delimiter.
    skipping: bool,
}

impl Decoder {
    /// In step, and empty.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            stuffed: Vec::new(),
            skipping: false,
        }
    }

    /// Takes one byte; gives a frame or an error when that byte completes one.
    pub fn push(&mut self, byte: u8) -> Option<Result<Frame, FrameError>> {
        if byte != DELIMITER {
            if self.skipping || self.stuffed.push(byte).is_ok() {
                return None;
            }
            self.skipping = true;
            self.stuffed.clear();
            return Some(Err(FrameError::TooLong));
        }
        self.skipping = false;
        if self.stuffed.is_empty() {
            return None;
        }
        let frame = decode(&mut self.stuffed);
        self.stuffed.clear();
        Some(frame)
    }

    /// Takes a piece of what the port gave. Run the iterator to its end: bytes that it has not reached are lost
    /// when it is dropped.
    pub fn feed<'a>(&'a mut self, bytes: &'a [u8]) -> Frames<'a> {
        Frames {
            decoder: self,
            bytes: bytes.iter(),
        }
    }
}

/// What [`Decoder::feed`] found, in order.
#[derive(Debug)]
#[must_use = "bytes are only taken while this is iterated"]
pub struct Frames<'a> {
    decoder: &'a mut Decoder,
    bytes: core::slice::Iter<'a, u8>,
}

impl Iterator for Frames<'_> {
    type Item = Result<Frame, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.bytes.by_ref().find_map(|byte| self.decoder.push(*byte))
    }
}

fn decode(stuffed: &mut [u8]) -> Result<Frame, FrameError> {
    let len = decode_in_place(stuffed).map_err(|_| FrameError::BadStuffing)?;
    let packet = stuffed.get(..len).ok_or(FrameError::BadStuffing)?;
    let (body, crc) = packet
        .split_last_chunk::<CRC_BYTES>()
        .ok_or(FrameError::TooShort { len })?;
    let ([version, seq_low, seq_high], payload) = body
        .split_first_chunk::<HEADER>()
        .ok_or(FrameError::TooShort { len })?;

    let (expected, found) = (CRC32.checksum(body), u32::from_le_bytes(*crc));
    if expected != found {
        return Err(FrameError::BadCrc { expected, found });
    }
    let seq = Seq(u16::from_le_bytes([*seq_low, *seq_high]));
    let malformed = FrameError::Malformed { version: *version };
    let payload = match *version {
        HANDSHAKE => {
            // What follows the known fields was appended by a newer version: ignored on purpose.
            let (words, _newer) = postcard::take_from_bytes(payload).map_err(|_| malformed)?;
            Payload::Handshake(words)
        }
        version if VersionRange::OURS.contains(version) => {
            let (message, left_over) =
                postcard::take_from_bytes::<Message>(payload).map_err(|_| malformed)?;
            if !left_over.is_empty() || message.since() > version {
                return Err(malformed);
            }
            Payload::Session { version, message }
        }
        version => return Err(FrameError::UnsupportedVersion(version)),
    };
    Ok(Frame { seq, payload })
}
