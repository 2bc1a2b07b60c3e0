//! What the console decides. Knows no database, no socket and no clock.

pub mod clones;
pub mod import;
pub mod progress;
pub mod roster;
pub mod wanted;
