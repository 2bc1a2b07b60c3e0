//! The doors to the world, one file each.

pub mod enrol;
pub mod fetch;
pub mod mqtt;
pub mod probes;
pub mod reboot;
pub mod time;
pub mod tls;
