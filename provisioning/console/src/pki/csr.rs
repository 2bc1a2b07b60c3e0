//! Signing requests: what is read of them, and what is refused.

use contract::hash::Hash;
use rcgen::{CertificateSigningRequestParams, PKCS_ECDSA_P256_SHA256, PublicKeyData};

/// Largest signing request read, in bytes.
pub const MAX_CSR_BYTES: usize = 8 * 1024;

/// A signing request that passed every check.
#[derive(Debug)]
pub struct CheckedCsr {
    pub(super) request: CertificateSigningRequestParams,
    /// BLAKE3 of the public key: the same key asks again.
    pub key_hash: Hash,
}

impl CheckedCsr {
    /// The public key: an uncompressed point, 65 bytes.
    pub fn public_key(&self) -> &[u8] {
        self.request.public_key.der_bytes()
    }
}

/// Why a signing request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Over 8 KiB.
    #[error("the certificate request has {0} bytes, at most {MAX_CSR_BYTES} are read")]
    TooLarge(usize),
    /// No PKCS #10 PEM, or its own signature does not fit its key.
    #[error("the certificate request cannot be used: {0}")]
    Unreadable(String),
    /// Another kind of key.
    #[error("the certificate request is for another key than ECDSA P-256")]
    NotP256,
    /// Signing failed; not the request's fault.
    #[error("the certificate could not be signed: {0}")]
    Signing(String),
}

/// Checks a signing request: P-256, signed by its own key. Whatever it asks for besides is ignored.
///
/// # Errors
/// See [`CsrError`].
pub fn check_csr(csr_pem: &str) -> Result<CheckedCsr, CsrError> {
    if csr_pem.len() > MAX_CSR_BYTES {
        return Err(CsrError::TooLarge(csr_pem.len()));
    }
    // Parsing verifies the request's own signature.
    let request = CertificateSigningRequestParams::from_pem(csr_pem)
        .map_err(|error| CsrError::Unreadable(error.to_string()))?;
    // The algorithm names the signature's hash only; 65 bytes of an uncompressed point are P-256's alone.
    let point = request.public_key.der_bytes();
    if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256
        || point.len() != 65
        || point.first() != Some(&4)
    {
        return Err(CsrError::NotP256);
    }
    let key_hash = Hash::of(point);
    Ok(CheckedCsr { request, key_hash })
}
