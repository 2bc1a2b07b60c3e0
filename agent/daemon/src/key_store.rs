//! How the private key lies on the disk: as it is in a file for its owner alone, or sealed to the board.

mod tpm;

use std::{fmt::Debug, io, sync::Arc};

use board_configs::SecureElement;

use crate::config::Config;
pub use tpm::Tpm2;

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

    /// Under this name it lies in an identity's folder.
    fn file_name(&self) -> &'static str;
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

    fn file_name(&self) -> &'static str {
        PLAIN_FILE
    }
}

/// Name of a key that is not sealed.
pub const PLAIN_FILE: &str = "key.pem";

/// The one that the board has.
pub fn of(config: &Config) -> Arc<dyn KeyStore> {
    match config.board.secure_element {
        SecureElement::None => Arc::new(Plain),
        SecureElement::Tpm2 => Arc::new(config.tpm.clone()),
    }
}
