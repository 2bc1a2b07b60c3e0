//! The conversation: who may speak in which version, which request has its answer, and what must be said again.
//!
//! ```text
//!             NoCommonVersion                     a request unanswered, silence, NoSession
//!         ┌───────────────────▶ Strangers     ┌──────────────────────────────────────────┐
//!         │   ◀── a minute ───────┘           ▼                                          │
//!   Greeting ──────────────── Welcome ──────────────────────────────────────────────▶ Open
//!      └─▲ Hello again, ever more slowly                            one request at a time; the rest waits
//! ```
//!
//! What holds over a line that loses, repeats and delays frames (`tests/session.rs`):
//! - each request has exactly one outcome at the SoC: its answer, or "lost", after which nobody knows whether it
//!   was done;
//! - from version 2 on the board does each request at most once, and in the order in which they were asked. The
//!   board names the number of the first request in its Welcome, far beyond all that it has heard; only a number
//!   just ahead of the last is new, the last again gets the last answer again, and all others are strangers'.
//! - version 1 has no such numbers: a frame delayed from an earlier session may be done again. On a wire, which
//!   does not delay, that cannot happen.
//!
//! Flow control: one request is under way, [`MAX_WAITING`] wait, more are refused to the caller; the board keeps
//! four answers and reports states, of which only the newest counts, at its own pace.

mod board;
mod soc;

pub use board::{BoardSide, Heard, Identity, NUMBERS_AHEAD};
pub use soc::{Ask, DownReason, LinkEvent, MAX_WAITING, Patience, SocSide, Ticket};
