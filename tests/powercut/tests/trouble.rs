//! Worn-out disks under the whole store, through a real file system. Needs root, FUSE and loop devices; without them it says so
//! and shows nothing.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::sync::{Mutex, MutexGuard, PoisonError};

use powercut::{Reader, bad_block, failing_flush, few_inodes, missing};

/// One at a time: sled has one lock for all databases of a process, and a disk that fails keeps it for a while.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> Option<MutexGuard<'static, ()>> {
    if let Some(why) = missing() {
        println!("worn-out disks: NOT SHOWN ({why})");
        return None;
    }
    Some(TURN.lock().unwrap_or_else(PoisonError::into_inner))
}

#[test]
fn a_block_that_cannot_be_read_makes_its_lesson_incomplete_and_it_is_fetched_again() {
    if let Some(_turn) = turn() {
        for reader in [Reader::Round, Reader::Player, Reader::Peer] {
            bad_block(reader).unwrap_or_else(|error| panic!("{reader:?}: {error:#}"));
        }
    }
}

#[test]
fn a_flush_that_fails_is_never_an_acknowledgement() {
    if let Some(_turn) = turn() {
        failing_flush().unwrap();
    }
}

#[test]
fn a_disk_without_inodes_is_full_and_passes() {
    if let Some(_turn) = turn() {
        few_inodes().unwrap();
    }
}
