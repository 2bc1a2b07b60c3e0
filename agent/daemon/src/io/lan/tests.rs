//! Several boards on loopback.
