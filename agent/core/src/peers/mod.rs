//! Who of a school fetches what over the school's line, and who takes what from whom over the LAN.
//!
//! One [`Swarm`] on each board, no leader. Owns which chunks of the wanted files are here, what every peer says it has and
//! has begun, and what was asked of whom. Knows no socket, no disk, no clock and no hash: the shell verifies every chunk
//! before it says [`Event::Stored`], and says [`Event::Wrong`] when the bytes were others.
//!
//! ```text
//!             Claims ─▶ FetchWan ─▶ Stored(Wan) ─▶ Got ─┐       one board, told to all: nobody else begins that span
//! Want ─▶ Wants                                          ├─▶ Got ─▶ …
//!             Has, Got ─▶ Ask ─▶ Stored(Peer) ──────────┘       all others, from whoever has it
//! ```
//!
//! A peer's word costs it nothing, so it never costs us much: what it claims, holds back or denies counts only as long as
//! verified chunks follow.
//!
//! # How the shell drives it
//! * After every [`Swarm::handle`] and [`Swarm::handle_timeout`] it performs all of [`Swarm::next_effect`], then sleeps until
//!   [`Swarm::poll_timeout`].
//! * [`Word`] is what goes over the wire, the same in both directions: [`Effect::Tell`] here is [`Event::Heard`] there. Words
//!   of one peer stay in order.
//! * Asks are answered by the shell out of the store without asking the core: each chunk that is stored, else
//!   [`Word::Denies`]. The bytes of an ask come one chunk at a time; an ask has ended when all its chunks were reported as
//!   `Stored` or `Wrong`, or were denied, cancelled or timed out. Chunks that were not asked for must not reach the core.
//! * [`Event::PeerDown`] within about 4 s of silence keeps claims of boards that lost power short (the core does not depend
//!   on it). Slots for peers are [`MAX_PEERS`]; more are refused with [`Effect::Disconnect`].
//!
//! Changes to this API after its first version: [`Event::School`] was added; tell it when a plan of the school is known, at
//! start before anything is wanted.

mod bits;
mod claims;
mod file;
mod files;
mod lan;
mod line;
mod peer;
mod swarm;
mod wan;
mod weigh;
mod words;

use std::{ops::Range, sync::Arc, time::Duration};

use contract::{hash::Hash, id::DeviceId};

pub use bits::Bits;
pub use swarm::Swarm;

/// A lesson's file, or a signed manifest; BLAKE3 of its bytes.
pub type FileKey = Hash;

/// Peers at a time; the rest is sent away.
pub const MAX_PEERS: usize = 64;

/// What does not change while the agent runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who we are.
    pub own: DeviceId,
    /// Boards that take from the line at the same time, as long as they all get on.
    pub fetchers: usize,
    /// Most bytes of one request over the line; the same on every board.
    pub span_bytes: u32,
    /// Requests over the line at the same time, with peers.
    pub wan_streams: usize,
    /// Requests over the line at the same time, alone.
    pub wan_streams_alone: usize,
    /// Most bytes asked of peers and not yet here, all peers together: what the shell may have to hold in memory.
    pub asked_bytes: u64,
    /// Files worked on at the same time; the others wait for their turn.
    pub active_files: usize,
}

impl Settings {
    /// What measures well; see the decision record.
    pub const fn new(own: DeviceId) -> Self {
        Self {
            own,
            fetchers: 4,
            span_bytes: 1024 * 1024,
            wan_streams: 2,
            wan_streams_alone: 4,
            asked_bytes: 4 * 1024 * 1024,
            active_files: 128,
        }
    }
}

/// Neighbouring chunks of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Of which file.
    pub file: FileKey,
    /// The first chunk.
    pub first: u32,
    /// How many; at least 1.
    pub count: u32,
}

impl Span {
    /// Its chunks.
    pub const fn chunks(&self) -> Range<u32> {
        self.first..self.first.saturating_add(self.count)
    }

    /// Whether the two share a chunk.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.file == other.file && self.first < other.chunks().end && other.first < self.chunks().end
    }
}

/// What comes first; the smallest is fetched first. Boards that order alike cross the line together, so it is made of what
/// all of them were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority {
    /// 0 for what is pinned or needed in the next lesson, higher for what can wait.
    pub class: u8,
    /// Seconds since 1970 by which it is needed; [`i64::MAX`] if nobody said.
    pub due: i64,
    /// The order of the assignment.
    pub order: u32,
}

/// A file that is wanted.
#[derive(Debug, Clone)]
pub struct Want {
    /// Which.
    pub file: FileKey,
    /// Its chunks' lengths in bytes, in order; a signed manifest is one chunk.
    pub chunks: Arc<[u32]>,
    /// What is stored already; as long as `chunks`.
    pub have: Bits,
    /// When its turn is.
    pub priority: Priority,
    /// Whether it may be fetched over a line that is paid by volume.
    pub over_metered: bool,
}

/// Where a chunk came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The console, over the school's line.
    Wan,
    /// A peer that was asked.
    Peer(DeviceId),
    /// This machine: another file, a disk that was plugged in.
    Local,
}

/// What boards tell each other. Everything in it is hearsay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// Tell me what you have of this file, and what comes.
    Wants(FileKey),
    /// No need to tell me about this file any more.
    Unwants(FileKey),
    /// What I have of a file that you want; replaces what I said before.
    Has {
        /// Which.
        file: FileKey,
        /// One bit for each chunk.
        have: Bits,
    },
    /// I have these chunks, too, now.
    Got(Span),
    /// I take these over the line, or I am still at it: do not begin them.
    Claims(Span),
    /// I let go of a claim; none of these are on their way from me over the line any more.
    Unclaims(Span),
    /// You will not get these, which you asked for.
    Denies(Span, Denial),
}

/// Why a peer does not get what it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// Not here, or not any more.
    Gone,
    /// Too much is asked at once; ask again later, or another.
    Busy,
}

/// How a fetch over the line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WanEnd {
    /// To its end; chunks whose bytes were others were told as [`Event::Wrong`].
    Ok,
    /// Could not connect, connection lost, no byte for too long.
    Line,
    /// The console has too much to do (429, 5xx).
    Busy {
        /// Its `Retry-After`.
        after: Option<Duration>,
    },
    /// The console does not have this file (404, 410).
    NotFound,
    /// The console does not serve this board (401, 403). The shell tells the rest of the agent.
    Refused,
    /// The file cannot be stored (disk full, read error): nothing of it is fetched until it is wanted anew.
    Disk,
}

/// What lessons may take of the school's line at this moment; decided by [`crate::manners`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WanPolicy {
    /// Whether anything may be fetched over it.
    pub allowed: bool,
    /// Whether only what is [`Want::over_metered`] may.
    pub metered: bool,
    /// Most kbit/s, all boards of the school together; `None` is no limit.
    pub budget_kbps: Option<u32>,
    /// What the line carries in kbit/s, where the console said so; only used to judge what is slow.
    pub line_kbps: Option<u32>,
}

impl Default for WanPolicy {
    fn default() -> Self {
        Self {
            allowed: true,
            metered: false,
            budget_kbps: None,
            line_kbps: None,
        }
    }
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The school has so many other boards, by its plan. Within 3 s after power-up nothing is fetched over the line before
    /// some of them were found: a board that was off for a moment would else fetch what all the others have.
    School {
        /// Boards, without this one.
        others: usize,
    },
    /// A file is wanted, or wanted with another priority; `have` counts only the first time.
    Want(Want),
    /// Not wanted any more, or complete and committed.
    Drop(FileKey),
    /// The answer to [`Effect::LookUp`], or a file that is not wanted came to the store by itself. Empty if there is none.
    Held {
        /// Which.
        file: FileKey,
        /// What is stored of it.
        have: Bits,
    },
    /// Connected, authenticated, of our school. The connection is new: nothing that was said before stands.
    PeerUp(DeviceId),
    /// Its connection is gone.
    PeerDown(DeviceId),
    /// It said something.
    Heard {
        /// Who.
        peer: DeviceId,
        /// What.
        word: Word,
    },
    /// A chunk was verified and can be read back from now on.
    Stored {
        /// Of which file.
        file: FileKey,
        /// Which chunk.
        index: u32,
        /// Whose bytes they were.
        from: Source,
    },
    /// A chunk had another length or hash than the manifest says; nothing was stored.
    Wrong {
        /// Of which file.
        file: FileKey,
        /// Which chunk.
        index: u32,
        /// Whose bytes they were.
        from: Source,
    },
    /// A chunk that was stored is not readable any more.
    Lost {
        /// Of which file.
        file: FileKey,
        /// Which chunk.
        index: u32,
    },
    /// Bytes of an [`Effect::FetchWan`] arrive; about every 500 ms while they do.
    WanProgress(Span),
    /// An [`Effect::FetchWan`] ended, by itself or cancelled. The span is the one that was begun.
    WanEnded {
        /// Which.
        span: Span,
        /// How.
        end: WanEnd,
    },
    /// What may be taken of the line changed.
    Policy(WanPolicy),
    /// The line works again (the console can be reached): no need to sit out a wait.
    Online,
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// Every peer that is connected.
    All,
    /// These; who is not connected any more is skipped.
    These(Vec<DeviceId>),
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Say it, after what was said before.
    Tell {
        /// To whom.
        to: To,
        /// What.
        word: Word,
    },
    /// Find out what the store has of a file that the core does not know; answered by [`Event::Held`].
    LookUp(FileKey),
    /// Fetch from the console, one Range request ([`Swarm::bytes_of`]); answered by `WanProgress`, `Stored`, `Wrong` and at
    /// last `WanEnded`.
    FetchWan(Span),
    /// Stop fetching; whole chunks that are here already may still be stored. Exactly a span that was begun.
    CancelWan(Span),
    /// Ask a peer for chunks; what was asked first is answered first.
    Ask {
        /// Whom.
        peer: DeviceId,
        /// For what.
        span: Span,
    },
    /// No longer needed from it; bytes that still come are thrown away. May be a part of what was asked.
    CancelAsk {
        /// Whom.
        peer: DeviceId,
        /// What.
        span: Span,
    },
    /// End the connection.
    Disconnect {
        /// Whose.
        peer: DeviceId,
        /// Neither dial nor admit it for so long; kept over restarts.
        ban: Option<Duration>,
        /// Why.
        reason: Distrust,
    },
    /// From now on at most so many kbit/s of the line for all our requests together; `None` is no limit.
    Pace(Option<u32>),
    /// The file cannot be had; forgotten until it is wanted anew.
    GiveUp {
        /// Which.
        file: FileKey,
        /// Why.
        reason: GiveUp,
    },
}

/// Why a peer is sent away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// Bytes that are not what the signed manifest says.
    #[error("it sent wrong bytes for a chunk")]
    WrongBytes,
    /// Words that no board of ours says.
    #[error("it said what makes no sense (chunks outside a file, or far more than it may)")]
    Nonsense,
    /// It says it has chunks and does not hand them out, again and again.
    #[error("it offered chunks and never delivered them")]
    Unreliable,
    /// All [`MAX_PEERS`] places are taken.
    #[error("all places for peers are taken")]
    Full,
}

/// Why a file cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GiveUp {
    /// The console does not have it, and no peer has what is missing.
    #[error("the console does not have the file, and no peer has what is missing of it")]
    NotFound,
    /// The console's bytes are not what the manifest says, time and again.
    #[error("the console's bytes are not what the signed manifest says")]
    WrongBytes,
    /// The store does not take it.
    #[error("the file cannot be stored")]
    Disk,
}

/// What a board does in the swarm, to be shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Peers connected.
    pub peers: usize,
    /// Files wanted and not complete.
    pub files: usize,
    /// Requests over the line under way.
    pub wan_spans: usize,
    /// Chunks asked of peers and not here yet.
    pub asked_chunks: usize,
}
