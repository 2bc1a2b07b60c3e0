//! Frames off a connection, one after the other, in bounded memory; and words to frames and back.

use std::time::Duration;

use agent_core::peers::{Bits, Denial, Span, Word};
use bytes::{Buf, Bytes, BytesMut};
use contract::peer::{ChunkRun, Denied, FrameError, PeerFrame};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Read at once, in bytes.
const READ_BYTES: usize = 16 * 1024;

/// Why nothing more can be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// Not a byte for too long.
    #[error("it has been silent for too long")]
    Silent,
    /// The end.
    #[error("the connection ended")]
    Ended,
    /// The system's word.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// What came is no frame.
    #[error("it sent {0}")]
    Frame(#[from] FrameError),
}

/// Reads frames.
pub(super) struct FrameReader<R> {
    from: R,
    buffer: BytesMut,
    silence: Duration,
    /// Bytes of the frame that was handed out last.
    done: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Gives up when not a byte comes for `silence`.
    pub(super) fn new(from: R, silence: Duration) -> Self {
        Self {
            from,
            buffer: BytesMut::new(),
            silence,
            done: 0,
        }
    }

    /// The next frame, and a piece's bytes.
    pub(super) async fn next(&mut self) -> Result<(PeerFrame, &[u8]), ReadError> {
        self.buffer.advance(self.done);
        self.done = 0;
        self.fill(4).await?;
        let mut head = [0; 4];
        head.copy_from_slice(&self.buffer[..4]);
        let length = PeerFrame::length(head)?;
        self.fill(4 + length).await?;
        self.done = 4 + length;
        Ok(PeerFrame::read(&self.buffer[4..4 + length])?)
    }

    async fn fill(&mut self, bytes: usize) -> Result<(), ReadError> {
        while self.buffer.len() < bytes {
            self.buffer.reserve((bytes - self.buffer.len()).max(READ_BYTES));
            let read = tokio::time::timeout(self.silence, self.from.read_buf(&mut self.buffer)).await;
            if read.map_err(|_| ReadError::Silent)?? == 0 {
                return Err(ReadError::Ended);
            }
        }
        Ok(())
    }
}

/// A frame as it goes over the wire.
pub(super) fn wire(frame: &PeerFrame) -> Bytes {
    let mut bytes = Vec::with_capacity(64);
    // Only a set of more chunks than any manifest holds is too long; the peer hears nothing then.
    if frame.write(&[], &mut bytes).is_err() {
        tracing::error!("a word to a peer is too long for a frame");
    }
    bytes.into()
}

pub(super) fn run_of(span: Span) -> ChunkRun {
    ChunkRun {
        file: span.file.into(),
        first: span.first,
        count: span.count,
    }
}

pub(super) fn span_of(run: ChunkRun) -> Span {
    Span {
        file: run.file.into(),
        first: run.first,
        count: run.count,
    }
}

/// A word of the core as a frame.
pub(super) fn frame_of(word: &Word) -> PeerFrame {
    match word {
        Word::Wants(file) => PeerFrame::Wants((*file).into()),
        Word::Unwants(file) => PeerFrame::Unwants((*file).into()),
        Word::Has { file, have } => PeerFrame::Has {
            file: (*file).into(),
            chunks: have.len(),
            have: have.to_bytes(),
        },
        Word::Got(span) => PeerFrame::Got(run_of(*span)),
        Word::Claims(span) => PeerFrame::Claims(run_of(*span)),
        Word::Unclaims(span) => PeerFrame::Unclaims(run_of(*span)),
        Word::Denies(span, why) => {
            let why = match why {
                Denial::Gone => Denied::Gone,
                Denial::Busy => Denied::Busy,
            };
            PeerFrame::Denies(run_of(*span), why)
        }
    }
}

/// A frame as a word of the core; `None` if it is none.
pub(super) fn word_of(frame: PeerFrame) -> Result<Option<Word>, FrameError> {
    Ok(Some(match frame {
        PeerFrame::Wants(file) => Word::Wants(file.into()),
        PeerFrame::Unwants(file) => Word::Unwants(file.into()),
        PeerFrame::Has { file, chunks, have } => Word::Has {
            file: file.into(),
            have: Bits::from_bytes(chunks, &have).ok_or(FrameError::Bounds("set of chunks"))?,
        },
        PeerFrame::Got(run) => Word::Got(span_of(run)),
        PeerFrame::Claims(run) => Word::Claims(span_of(run)),
        PeerFrame::Unclaims(run) => Word::Unclaims(span_of(run)),
        PeerFrame::Denies(run, why) => {
            let why = match why {
                Denied::Gone => Denial::Gone,
                Denied::Busy => Denial::Busy,
            };
            Word::Denies(span_of(run), why)
        }
        PeerFrame::Hello(_)
        | PeerFrame::Alive
        | PeerFrame::Ask(_)
        | PeerFrame::CancelAsk(_)
        | PeerFrame::Piece { .. } => return Ok(None),
    }))
}
