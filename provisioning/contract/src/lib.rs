//! Every word the console and a device exchange: ids, topics, lessons, health, commands, enrolment.
//!
//! Owns the shapes, their bounds and their signatures. Knows no socket, no clock, no disk and no database. Both sides
//! parse at their door with the types here and afterwards hold only types. JSON on the wire; unknown *fields* are ignored
//! (an N-2 peer may send or miss some), unknown *kinds* become a named variant that the receiver can refuse politely.
//!
//! The bytes are frozen under `tests/golden/v1/`; a change that breaks them is a new version, never an edit.
#![forbid(unsafe_code)]

pub mod api;
pub mod assignment;
pub mod bandwidth;
pub mod chunks;
pub mod claim;
pub mod classroom;
pub mod code;
pub mod command;
pub mod container;
pub mod controls;
pub mod cses;
pub mod diag;
pub mod enrol;
pub mod event;
pub mod hardware;
pub mod hash;
pub mod health;
pub mod id;
pub mod lesson;
pub mod pack;
pub mod path;
pub mod peer;
pub mod records;
pub mod renew;
pub mod report;
pub mod school;
pub mod signed;
pub mod standing;
pub mod time;
pub mod topic;
pub mod trust;
pub mod usb;
