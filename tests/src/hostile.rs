//! Two counties at one console with something of everything in each, for tests that attack it: plain names for the fuzzer
//! (so that it can be seen whether one county hears of the other), or names that are scripts and formulas.

mod boards;
mod orders;
mod seed;
mod words;

pub use boards::Board;
pub use seed::{County, PASSWORD, ROLES, Seed};
pub use words::{SIGN, Words};
