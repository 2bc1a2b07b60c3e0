//! Certificates and keys from PEM files, with errors that name the file.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::error::BrokerError;

/// By what the console proves itself to a broker, and by what it knows the broker. All files are PEM.
#[derive(Debug, Clone)]
pub struct LinkCredentials {
    /// The CA that signed the broker's server certificate.
    pub server_ca_pem: PathBuf,
    /// The console's certificate with its chain; its common name is [`CONSOLE_NAME`](super::CONSOLE_NAME).
    pub cert_pem: PathBuf,
    /// The key of that certificate.
    pub key_pem: PathBuf,
}

impl LinkCredentials {
    /// Reads the files. The provider is named explicitly: rmqtt links a second one (aws-lc), so rustls has no default of
    /// its own to fall back to.
    pub(super) fn tls(&self) -> Result<Arc<ClientConfig>, BrokerError> {
        let mut roots = RootCertStore::empty();
        for ca in certificates("MQTT server CA certificate", &self.server_ca_pem)? {
            roots
                .add(ca)
                .map_err(|e| refused("MQTT server CA certificate", &self.server_ca_pem, &e))?;
        }
        let chain = certificates("console's MQTT certificate", &self.cert_pem)?;
        let key = key("console's MQTT key", &self.key_pem)?;
        let tls = |e: rustls::Error| BrokerError::Tls {
            reason: e.to_string(),
        };
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(tls)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(tls)?;
        Ok(Arc::new(config))
    }
}

pub(super) fn certificates(
    what: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, BrokerError> {
    let all = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| refused(what, path, &e))?;
    if all.is_empty() {
        return Err(refused(what, path, &"the file holds no certificate"));
    }
    Ok(all)
}

pub(super) fn key(what: &'static str, path: &Path) -> Result<PrivateKeyDer<'static>, BrokerError> {
    PrivateKeyDer::from_pem_file(path).map_err(|e| refused(what, path, &e))
}

fn refused(what: &'static str, path: &Path, reason: &dyn std::fmt::Display) -> BrokerError {
    BrokerError::Credential {
        what,
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
