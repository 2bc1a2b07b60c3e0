//! Files made out of work orders.

pub mod pack;
