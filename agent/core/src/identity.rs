//! The life of an identity after enrolment: when it is renewed, and when the device stops using it.
//!
//! Knows no key, no disk and no clock. [`renewal`] replaces a certificate in two steps, [`standing`] follows the console's
//! word on the device.

pub mod renewal;
pub mod standing;
