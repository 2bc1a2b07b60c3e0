//! How the private key lies on the disk: as it is in a file for its owner alone, or sealed to the board.

use std::{fmt::Debug, io, sync::Arc};

use crate::config::Config;

/// Makes a secret fit for the disk, and back. What one board sealed, no other board opens.
pub trait KeyStore: Debug + Send + Sync {
    /// What is written to the disk.
    ///
    /// # Errors
    /// The chip does not do as told.
    fn seal(&self, secret: &[u8]) -> io::Result<Vec<u8>>;

    /// The secret again.
    ///
    /// # Errors
    /// It was sealed by another board, is damaged, or the chip does not do as told.
    fn open(&self, kept: &[u8]) -> io::Result<Vec<u8>>;
}

/// As it is; the file's mode (0600) is the only guard.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

impl KeyStore for Plain {
    fn seal(&self, secret: &[u8]) -> io::Result<Vec<u8>> {
        Ok(secret.to_vec())
    }

    fn open(&self, kept: &[u8]) -> io::Result<Vec<u8>> {
        Ok(kept.to_vec())
    }
}

/// The one that the board has.
pub fn of(_config: &Config) -> Arc<dyn KeyStore> {
    Arc::new(Plain)
}
