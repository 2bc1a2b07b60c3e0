//! What the journeys, the benches and the demo share: real programs, real lessons, a line that can be cut.
//!
//! Owns no product logic. May import everything; nothing imports it but `xtask`.

pub mod bandwidth;
pub mod capture;
pub mod client;
pub mod county;
pub mod county_day;
pub mod emulator;
pub mod fleet;
pub mod fuzz;
pub mod hook;
pub mod hostile;
pub mod island;
pub mod kit;
pub mod netns;
pub mod soak;
pub mod stand;
pub mod uplink;
