//! The county ops console.
#![forbid(unsafe_code)]

pub mod broker;
