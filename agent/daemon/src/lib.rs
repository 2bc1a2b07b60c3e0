//! The classroom device's program: performs what `agent-core` decides and tells it how that went.
//!
//! `run` holds the one select loop. Each door to the world is one file under `io`, each thing kept is one file under
//! `store`, the local player is under `player`. No decision is taken here that a core could take.
#![forbid(unsafe_code)]

pub mod author;
pub mod boards;
pub mod classes;
pub mod clock;
pub mod config;
pub mod files;
pub mod identity;
pub mod io;
pub mod keeper;
pub mod key_store;
pub mod lock;
mod messages;
pub mod notebook;
pub mod player;
pub mod recent;
pub mod records;
pub mod run;
pub mod settings;
pub mod shelf;
pub mod standing;
pub mod store;
pub mod trust;
pub mod who;
