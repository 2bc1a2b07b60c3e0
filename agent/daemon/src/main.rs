//! `bbt-agent`: arguments in, one command run, one error printed.
#![forbid(unsafe_code)]

fn main() {}
