//! Small secrets in the database (second factors, ticket codes), sealed so that a copy of the data folder does not tell them.

use std::sync::Arc;

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use rand::TryRngCore;
use zeroize::Zeroizing;

use super::unlock::Unlock;

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const CONTEXT: &str = "bbt-console 2026-11 sealed columns";

/// Seals and opens; cheap to clone. XChaCha20-Poly1305 with a key derived (BLAKE3) from the unlock secret.
#[derive(Clone)]
pub struct Sealer(Arc<XChaCha20Poly1305>);

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(…)")
    }
}

/// Why something cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Changed, cut, sealed for another purpose, or under another unlock secret.
    #[error(
        "a sealed value cannot be opened: it was changed, belongs elsewhere, or was sealed under another unlock secret; \
         put the unlock file that fits this data folder back"
    )]
    Shut,
    /// The system gives no randomness.
    #[error("a value cannot be sealed: the system gives no random bytes")]
    NoRandomness,
}

impl Sealer {
    /// With the key that follows from `unlock`.
    pub fn new(unlock: &Unlock) -> Self {
        let key = unlock.key(CONTEXT);
        Self(Arc::new(XChaCha20Poly1305::new((&*key).into())))
    }

    /// Seals `plain` for one `purpose`, e.g. `totp/17` or `ticket/code`: it opens for no other, so a row's value cannot be put
    /// into another's place. Version, nonce, ciphertext: 41 bytes longer than `plain`.
    ///
    /// # Errors
    /// [`SealError::NoRandomness`].
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        rand::rngs::OsRng
            .try_fill_bytes(&mut nonce)
            .map_err(|_| SealError::NoRandomness)?;
        let payload = Payload {
            msg: plain,
            aad: purpose.as_bytes(),
        };
        let sealed = self
            .0
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| SealError::Shut)?;
        let mut whole = Vec::with_capacity(1 + NONCE_BYTES + sealed.len());
        whole.push(VERSION);
        whole.extend_from_slice(&nonce);
        whole.extend_from_slice(&sealed);
        Ok(whole)
    }

    /// Opens what [`Self::seal`] made for the same purpose.
    ///
    /// # Errors
    /// [`SealError::Shut`].
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (version, rest) = sealed.split_first().ok_or(SealError::Shut)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Shut)?;
        if *version != VERSION {
            return Err(SealError::Shut);
        }
        let payload = Payload {
            msg: text,
            aad: purpose.as_bytes(),
        };
        self.0
            .decrypt(&XNonce::from(*nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| SealError::Shut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_and_only_for_its_purpose_and_only_with_its_secret() {
        let seal = Sealer::new(&Unlock::given("a".repeat(64).as_str()));
        let other = Sealer::new(&Unlock::given("b".repeat(64).as_str()));
        for plain in [&b""[..], b"JBSWY3DP", &[7; 5000]] {
            let sealed = seal.seal("totp/17", plain).unwrap();
            assert_eq!(seal.open("totp/17", &sealed).unwrap().as_slice(), plain);
            assert_ne!(
                sealed,
                seal.seal("totp/17", plain).unwrap(),
                "a nonce is used once"
            );
            assert_eq!(seal.open("totp/18", &sealed), Err(SealError::Shut));
            assert_eq!(other.open("totp/17", &sealed), Err(SealError::Shut));
            for at in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                assert_eq!(seal.open("totp/17", &changed), Err(SealError::Shut), "byte {at}");
                assert_eq!(
                    seal.open("totp/17", &sealed[..at]),
                    Err(SealError::Shut),
                    "cut at {at}"
                );
                if at > 100 {
                    break;
                }
            }
        }
    }
}
