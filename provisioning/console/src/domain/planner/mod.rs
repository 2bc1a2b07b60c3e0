//! When a push will have arrived, and what became of it. Knows no database and no clock.
//!
//! What a school misses comes over its line once, whichever board fetches it, and from there over its own network. How fast,
//! the line and its rules say ([`Schedule`]); in which order, the pushes say ([`estimate`]). What a board says afterwards
//! becomes its receipt ([`receipt`]).

mod calendar;
mod estimate;
mod receipt;

pub use self::{
    calendar::{Finish, NeverReason, Schedule},
    estimate::{
        ASSUMED_KBPS, Advice, Assumption, Boards, Confidence, Estimate, Queued, School, Version, by_urgency,
        estimate,
    },
    receipt::{Facts, ReceiptReason, ReceiptState, UNREACHABLE_AFTER, deadline, receipt},
};
