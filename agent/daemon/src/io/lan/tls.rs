//! TLS between boards: both sides show their device certificate, and both believe the county's authority alone.
//!
//! Whoever holds a device certificate of the county gets through here; whether it is a board of our school is asked of the
//! school's plan right after, by the id that the certificate carries.

use std::sync::Arc;

use anyhow::{Context, bail};
use contract::{id::DeviceId, peer::ALPN};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    ServerConfig, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    version::TLS13,
};
use x509_parser::prelude::FromDer;

use crate::{identity::Identity, io::tls::TimeFloor};

/// Both ends' settings.
#[derive(Clone)]
pub struct PeerTls {
    /// When we are called.
    pub(super) server: Arc<ServerConfig>,
    /// When we call.
    pub(super) client: Arc<ClientConfig>,
}

impl std::fmt::Debug for PeerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PeerTls")
    }
}

impl PeerTls {
    /// With the device's own certificate; validity is judged at `floor`.
    ///
    /// # Errors
    /// The identity is of no use.
    pub fn of(identity: &Identity, floor: TimeFloor) -> anyhow::Result<Self> {
        let reply = &identity.reply;
        Self::new(&reply.ca_pem, &reply.certificate_pem, &identity.key_pem, floor)
    }

    /// The same from PEM texts: the authority, our chain, our key.
    ///
    /// # Errors
    /// A text that cannot be read, or a key that does not fit.
    pub fn new(ca_pem: &str, certificate_pem: &str, key_pem: &str, floor: TimeFloor) -> anyhow::Result<Self> {
        let provider = Arc::new(provider());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
            roots
                .add(certificate.context("Failed to read the county's authority")?)
                .context("Failed to use the county's authority")?;
        }
        if roots.is_empty() {
            bail!("the county's authority holds no certificate; enrol again with a new ticket");
        }
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate_pem.as_bytes())
            .collect::<Result<_, _>>()
            .context("Failed to read the device's certificate")?;
        let key =
            || PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).context("Failed to read the device's key");
        let inner = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .context("Failed to prepare the check of other boards' certificates")?;
        let verifier = Arc::new(DeviceVerifier { inner, floor });

        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .context("Failed to choose TLS versions")?
            .with_client_cert_verifier(Arc::clone(&verifier) as Arc<dyn ClientCertVerifier>)
            .with_single_cert(chain.clone(), key()?)
            .context("Failed to use the device's certificate and key")?;
        server.alpn_protocols = vec![ALPN.to_vec()];
        // Connections last for hours: nothing is worth keeping for the next one.
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});

        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .context("Failed to choose TLS versions")?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_auth_cert(chain, key()?)
            .context("Failed to use the device's certificate and key")?;
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.resumption = Resumption::disabled();
        client.enable_sni = false;
        Ok(Self {
            server: Arc::new(server),
            client: Arc::new(client),
        })
    }
}

/// The cipher that this machine does fastest comes first; all are as good.
fn provider() -> CryptoProvider {
    let mut provider = ring::default_provider();
    let aes = {
        #[cfg(target_arch = "aarch64")]
        {
            std::arch::is_aarch64_feature_detected!("aes")
        }
        #[cfg(target_arch = "x86_64")]
        {
            std::arch::is_x86_feature_detected!("aes")
        }
        #[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
        {
            false
        }
    };
    use ring::cipher_suite::{TLS13_AES_128_GCM_SHA256 as AES, TLS13_CHACHA20_POLY1305_SHA256 as CHACHA};
    provider.cipher_suites = if aes { vec![AES, CHACHA] } else { vec![CHACHA, AES] };
    provider
}

/// Who a chain belongs to.
///
/// # Errors
/// No certificate, or its subject is not a device's.
pub(super) fn peer_id(chain: Option<&[CertificateDer<'_>]>) -> anyhow::Result<DeviceId> {
    let first = chain
        .and_then(|chain| chain.first())
        .context("it showed no certificate")?;
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(first)
        .ok()
        .context("its certificate cannot be read")?;
    let mut names = parsed.subject().iter_common_name();
    let name = names
        .next()
        .and_then(|name| name.as_str().ok())
        .context("its certificate names nobody")?;
    anyhow::ensure!(names.next().is_none(), "its certificate names several");
    DeviceId::new(name).context("its certificate is not a device's")
}

/// Checks a device's chain as a server checks its clients, whichever side we are: device certificates are made for clients,
/// and so a certificate of the console does not pass for a board.
#[derive(Debug)]
struct DeviceVerifier {
    inner: Arc<dyn ClientCertVerifier>,
    floor: TimeFloor,
}

impl ClientCertVerifier for DeviceVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Both sides have one certificate only; the names would be bytes for nothing.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let moment = self.floor.moment(end_entity, intermediates)?;
        let verified = self.inner.verify_client_cert(end_entity, intermediates, moment)?;
        peer_id(Some(std::slice::from_ref(end_entity)))
            .map_err(|_| Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

impl ServerCertVerifier for DeviceVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify_client_cert(end_entity, intermediates, now)
            .map(|_| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
