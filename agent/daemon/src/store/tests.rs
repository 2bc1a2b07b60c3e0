//! The store with real files: a cut at each step, a broken index, changed bytes, a full disk.

mod copying;
mod cuts;
mod damage;
pub(crate) mod kit;
mod lessons;
mod scrub;
mod serving;
