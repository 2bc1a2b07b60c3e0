//! The doors to the world, one file each.

pub mod fetch;
