//! The console as a whole, in one test program: over its router, over its ports, and as the program itself.
// clippy.toml lets only #[test] functions panic; here everything is a test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
#![allow(missing_docs, unreachable_pub)]

mod account;
mod audit;
mod batches;
mod board;
mod bulk;
mod claims;
mod clones;
mod common;
mod door;
mod exams;
mod forecast;
mod identity;
mod isolation;
mod lessons;
mod lines;
mod lint;
mod matrix;
mod notices;
mod oidc;
mod openapi;
mod owed;
mod packs;
mod people;
mod pushes;
mod receipts;
mod recipes;
mod records;
mod reviews;
mod roles;
mod root_key;
mod roster;
mod school_plan;
mod serve;
mod session;
mod telemetry;
mod tickets;
mod timetables;
mod tree;
mod trust;
mod usb;
mod vocab;
