//! What a classroom device decides: which lessons to fetch, keep and evict, what to send, what to execute, when.
//!
//! Every module follows one pattern: `handle(event, now)` takes in what happened, `next_effect()` hands out what to do,
//! `poll_timeout()` says when to come back and `handle_timeout(now)` is that coming back. Nothing here waits, fails, or
//! touches a disk, a socket or a clock; the shell (`bbt-agent`) performs effects and reports how they went as events.
#![forbid(unsafe_code)]

pub mod backoff;
pub mod bandwidth;
pub mod board;
pub mod clock;
pub mod commands;
pub mod enrol;
pub mod exam;
pub mod faults;
pub mod health;
pub mod identity;
pub mod ime;
pub mod lessons;
pub mod lockout;
pub mod manners;
pub mod numerals;
pub mod outbox;
pub mod pace;
pub mod peers;
pub mod precheck;
pub mod report;
pub mod scrub;
pub mod search;
pub mod time;
pub mod timetable;
pub mod trust;
pub mod usage;

pub use time::Millis;
