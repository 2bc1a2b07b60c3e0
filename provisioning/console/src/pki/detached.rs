//! Signatures that devices make over what travels without TLS, e.g. on a USB disk: the chain is checked as in a handshake,
//! the signature with the certificate's key.

use std::sync::Arc;

use anyhow::{Context, bail};
use contract::id::DeviceId;
use rustls::{RootCertStore, SignatureScheme, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, UnixTime, pem::PemObject};

use super::{
    Pki,
    cert::{device_of, facts, serial_of},
    verify::held,
};

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The certificate's subject.
    pub device: DeviceId,
    /// Serial number of the certificate, lower-case hexadecimal; whether it was revoked is the database's to say.
    pub serial: String,
}

impl Pki {
    /// Who signed `message`: `signature` is ECDSA over P-256 with SHA-256 (ASN.1 DER), `chain_pem` the device's certificate
    /// and its intermediate. A certificate that ran out is good: what was written while it was lies on the disk for long.
    ///
    /// # Errors
    /// The chain does not lead to our root, names no device, or the signature does not fit.
    pub fn signer(&self, chain_pem: &str, message: &[u8], signature: &[u8]) -> anyhow::Result<Signer> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain_pem.as_bytes())
            .take(4)
            .collect::<Result<_, _>>()
            .context("its certificate cannot be read")?;
        let [leaf, intermediates @ ..] = chain.as_slice() else {
            bail!("it brings no certificate");
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(self.ca_pem().as_bytes()) {
            roots.add(root.context("our own root cannot be read")?)?;
        }
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()?
            .verify_client_cert(leaf, intermediates, held(leaf, UnixTime::now()))
            .context("its certificate is not of this county")?;
        let device = device_of(leaf).context("its certificate names no device")?;
        let (serial, _) = serial_of(leaf).context("its certificate cannot be read")?;
        let key = facts(leaf)?.public_key;
        let fits = algorithms
            .mapping
            .iter()
            .filter(|(scheme, _)| *scheme == SignatureScheme::ECDSA_NISTP256_SHA256)
            .flat_map(|(_, all)| all.iter())
            .any(|algorithm| algorithm.verify_signature(&key, message, signature).is_ok());
        if !fits {
            bail!("its signature does not fit: it was changed, or another board's key made it");
        }
        Ok(Signer { device, serial })
    }
}
