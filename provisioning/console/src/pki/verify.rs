//! Who may shake hands at the devices' door: whoever's chain leads to our root, at a moment held within the leaf's own validity.
//!
//! A certificate that ran out still shakes hands, so that a device which slept too long can renew; what it may call then is
//! decided behind the door. And a wrong clock of the console locks no classroom out.

use std::sync::Arc;

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::CryptoProvider,
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::cert::facts;

#[derive(Debug)]
pub(super) struct HeldVerifier(Arc<dyn ClientCertVerifier>);

impl HeldVerifier {
    pub(super) fn new(
        root: &CertificateDer<'static>,
        provider: Arc<CryptoProvider>,
    ) -> anyhow::Result<Arc<Self>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(root.clone())?;
        let inner = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .allow_unauthenticated()
            .build()?;
        Ok(Arc::new(Self(inner)))
    }
}

/// `now`, held within the certificate's validity.
pub(super) fn held(end_entity: &CertificateDer<'_>, now: UnixTime) -> UnixTime {
    let Ok(found) = facts(end_entity) else { return now };
    let (Ok(from), Ok(to)) = (u64::try_from(found.not_before), u64::try_from(found.not_after)) else {
        return now;
    };
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.as_secs().max(from).min(to)))
}

impl ClientCertVerifier for HeldVerifier {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.0
            .verify_client_cert(end_entity, intermediates, held(end_entity, now))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
