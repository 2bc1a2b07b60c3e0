//! A few power cuts of each kind; `cargo xtask powercut` makes a thousand. Needs root, FUSE and loop devices; without them it
//! says so and shows nothing.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use powercut::{Operation, Options, missing, run};

fn options(without_fsync: bool) -> Option<Options> {
    if let Some(why) = missing() {
        println!("power cuts: NOT SHOWN ({why})");
        return None;
    }
    Some(Options {
        cuts: 25,
        seed: rand::random(),
        jobs: 2,
        without_fsync,
    })
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_wrong_is_played() {
    let Some(options) = options(false) else { return };
    for operation in Operation::ALL {
        let outcome = run(operation, options).unwrap();
        println!("seed {}: {outcome}", options.seed);
        assert!(outcome.failures.is_empty(), "seed {}: {outcome}", options.seed);
        assert!(outcome.flushes > 10 && outcome.promises > 10, "{outcome}");
    }
}

/// A test that cannot fail proves nothing: the same cuts, with fsync taken away.
#[test]
fn without_fsync_the_cuts_tell() {
    let Some(options) = options(true) else { return };
    for operation in Operation::ALL {
        let outcome = run(operation, options).unwrap();
        assert!(outcome.failures.len() >= 10, "seed {}: {outcome}", options.seed);
    }
}
