//! What is kept on the disk, one file for each thing kept.

pub mod journal;
pub mod outbox_log;

/// Stands in until the content store is here.
#[derive(Debug, Clone)]
pub struct ContentStore;
