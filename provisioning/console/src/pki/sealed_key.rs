//! Private keys as encrypted PKCS #8 (PBES2: scrypt, AES-256-CBC), which `openssl pkey` reads, too.

use anyhow::Context;
use pkcs8::{
    EncryptedPrivateKeyInfoOwned, LineEnding, PrivateKeyInfoRef, SecretDocument,
    pkcs5::{pbes2, scrypt},
};
use rand::TryRngCore;
use zeroize::Zeroizing;

/// How much work one try of a password costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// For the unlock secret: 256 random bits need no stretching.
    Machine,
    /// For a passphrase: 16 MiB for each try, the most that openssl opens without being told to.
    Person,
}

impl Cost {
    fn params(self) -> anyhow::Result<scrypt::Params> {
        let log_n = match self {
            Self::Machine => 10,
            Self::Person => 14,
        };
        scrypt::Params::new(log_n, 8, 1).map_err(|e| anyhow::anyhow!("{e}"))
    }
}

/// Encrypts a PKCS #8 key.
///
/// # Errors
/// No randomness, or no PKCS #8.
pub(super) fn seal(der: &[u8], password: &str, cost: Cost) -> anyhow::Result<Zeroizing<String>> {
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    rand::rngs::OsRng.try_fill_bytes(&mut salt)?;
    rand::rngs::OsRng.try_fill_bytes(&mut iv)?;
    let params = pbes2::Parameters::generate_scrypt_aes256cbc(cost.params()?, &salt, iv)
        .map_err(|e| anyhow::anyhow!("{e}"))?;
    let key = PrivateKeyInfoRef::try_from(der).map_err(|e| anyhow::anyhow!("no PKCS #8 key: {e}"))?;
    let sealed = key
        .encrypt_with_params(params, password)
        .map_err(|e| anyhow::anyhow!("a key could not be encrypted: {e}"))?;
    sealed
        .to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF)
        .context("Failed to write an encrypted key as PEM")
}

/// Decrypts a key; the result is PKCS #8 DER.
///
/// # Errors
/// No encrypted PKCS #8 PEM, or another password.
pub(super) fn open(pem: &str, password: &str) -> Result<SecretDocument, OpenError> {
    let (label, document) = SecretDocument::from_pem(pem).map_err(|_| OpenError::NotAKey)?;
    if label != "ENCRYPTED PRIVATE KEY" {
        return Err(OpenError::NotAKey);
    }
    let sealed =
        EncryptedPrivateKeyInfoOwned::try_from(document.as_bytes()).map_err(|_| OpenError::NotAKey)?;
    let open = sealed.decrypt(password).map_err(|_| OpenError::WrongPassword)?;
    // Without a check sum in the cipher, one wrong password in a few hundred yields rubbish of a fitting length.
    PrivateKeyInfoRef::try_from(open.as_bytes()).map_err(|_| OpenError::WrongPassword)?;
    Ok(open)
}

/// Why an encrypted key stays shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum OpenError {
    /// The file is something else.
    #[error("it is no encrypted private key")]
    NotAKey,
    /// Another secret sealed it.
    #[error("the secret does not fit it")]
    WrongPassword,
}
