//! What the console decides. Knows no database, no socket and no clock.

pub mod bulk;
pub mod clones;
pub mod convert;
pub mod import;
pub mod line;
pub mod lint;
pub mod planner;
pub mod progress;
pub mod review;
pub mod roster;
pub mod vocab;
pub mod wanted;
