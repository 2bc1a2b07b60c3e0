//! What the console decides. Knows no database, no socket and no clock.

pub mod bandwidth;
pub mod alerts;
pub mod bulk;
pub mod clones;
pub mod convert;
pub mod faults;
pub mod import;
pub mod indicators;
pub mod line;
pub mod lint;
pub mod liveness;
pub mod opening;
pub mod orders;
pub mod pin;
pub mod planner;
pub mod progress;
pub mod readings;
pub mod rollup;
pub mod boot_clock;
pub mod records;
pub mod review;
pub mod roster;
pub mod silence;
pub mod timetables;
pub mod vocab;
pub mod wanted;
