//! Which lessons to fetch, keep and evict.

mod inventory;

pub use inventory::{HeldLesson, HeldState, Inventory};
