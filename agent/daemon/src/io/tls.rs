//! TLS towards the console: one authority is believed, and no clock.
//!
//! The wall clock of a board may say 1970 or 2036. A certificate is judged at the floor, the latest moment that is known to
//! have passed (`agent_core::clock`), or the start of the chain's own validity, whichever is later. The authority that is
//! pinned is the root; the console shows its certificate and the intermediate's.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use anyhow::{Context, bail};
use jiff::Timestamp;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use x509_parser::prelude::FromDer;

/// The latest moment known to have passed, in every handshake's hands.
#[derive(Debug, Clone, Default)]
pub struct TimeFloor(Arc<AtomicI64>);

impl TimeFloor {
    /// `time` is the floor from now on; lower than before only on the console's fresh word.
    pub fn set(&self, time: Timestamp) {
        self.0.store(time.as_second(), Ordering::Relaxed);
    }

    /// It is `time` or later.
    pub fn raise(&self, time: Timestamp) {
        self.0.fetch_max(time.as_second(), Ordering::Relaxed);
    }

    /// It is this time or later.
    pub fn time(&self) -> Timestamp {
        Timestamp::from_second(self.seconds()).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// In seconds since 1970.
    pub(super) fn seconds(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The moment at which a chain is judged: the floor, or the start of the chain's own validity if that is later.
    ///
    /// # Errors
    /// A certificate that cannot be read.
    pub(super) fn moment(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<UnixTime, Error> {
        let mut seconds = self.seconds();
        for certificate in intermediates.iter().chain([end_entity]) {
            seconds = seconds.max(not_before(certificate)?);
        }
        let seconds = u64::try_from(seconds).unwrap_or(0);
        Ok(UnixTime::since_unix_epoch(std::time::Duration::from_secs(
            seconds,
        )))
    }
}

/// TLS that believes `ca_pem` alone, and shows the client's certificate where there is one (certificate PEM, key PEM).
///
/// # Errors
/// A PEM text that cannot be read, or a key that does not fit.
pub fn client_config(
    ca_pem: &str,
    client: Option<(&str, &str)>,
    floor: TimeFloor,
) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        let certificate = certificate.context("Failed to read the console's authority")?;
        roots
            .add(certificate)
            .context("Failed to use the console's authority")?;
    }
    if roots.is_empty() {
        bail!("the console's authority holds no certificate; enrol again with a new ticket");
    }
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .context("Failed to prepare the check of the console's certificate")?;
    let verifier = Arc::new(ClocklessVerifier { inner, floor });
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .context("Failed to choose TLS versions")?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some((certificate_pem, key_pem)) = client else {
        return Ok(builder.with_no_client_auth());
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate_pem.as_bytes())
        .collect::<Result<_, _>>()
        .context("Failed to read the device's certificate")?;
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).context("Failed to read the device's key")?;
    builder
        .with_client_auth_cert(chain, key)
        .context("Failed to use the device's certificate and key")
}

/// Checks chain, name and signature as always, and the validity at the latest moment known to have passed.
#[derive(Debug)]
struct ClocklessVerifier {
    inner: Arc<WebPkiServerVerifier>,
    floor: TimeFloor,
}

impl ServerCertVerifier for ClocklessVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let moment = self.floor.moment(end_entity, intermediates)?;
        self.inner
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, moment)
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

fn not_before(certificate: &CertificateDer<'_>) -> Result<i64, Error> {
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(certificate)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    Ok(parsed.validity().not_before.timestamp())
}

/// The end of a certificate's validity: the first one of a PEM text.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn valid_until(certificate_pem: &str) -> anyhow::Result<Timestamp> {
    let first = CertificateDer::pem_slice_iter(certificate_pem.as_bytes()).next();
    let certificate = first
        .context("There is no certificate")?
        .context("Failed to read a certificate")?;
    not_after(&certificate).context("Failed to understand a certificate")
}

/// The last day of the authorities that we hold: a floor after it would make every console a stranger for good. The
/// intermediate's counts too, for the console's own certificate hangs on the same one.
pub fn authorities_end(ca_pem: &str, certificate_pem: &str) -> Option<Timestamp> {
    let ends = |pem: &str, skip: usize| -> Vec<Timestamp> {
        CertificateDer::pem_slice_iter(pem.as_bytes())
            .skip(skip)
            .filter_map(|certificate| not_after(&certificate.ok()?))
            .collect()
    };
    let root = ends(ca_pem, 0).into_iter().max();
    let end = root.into_iter().chain(ends(certificate_pem, 1)).min()?;
    end.checked_sub(jiff::SignedDuration::from_hours(24)).ok()
}

fn not_after(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(certificate).ok()?;
    Timestamp::from_second(parsed.validity().not_after.timestamp()).ok()
}

/// Makes `ring` the one TLS provider of the process; a second call changes nothing.
pub fn install_provider() {
    if CryptoProvider::get_default().is_none() {
        let _ = ring::default_provider().install_default();
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

    use super::*;

    struct Authority {
        pem: String,
        issuer: Issuer<'static, KeyPair>,
    }

    fn ca(name: &str, from: i32, to: i32) -> CertificateParams {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        params
    }

    fn authority() -> Authority {
        let key = KeyPair::generate().unwrap();
        let params = ca("county", 2025, 2045);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    impl Authority {
        /// An authority under this one.
        fn intermediate(&self, from: i32, to: i32) -> Self {
            let key = KeyPair::generate().unwrap();
            let params = ca("county devices", from, to);
            let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
            Self {
                pem,
                issuer: Issuer::new(params, key),
            }
        }

        fn der(&self) -> CertificateDer<'static> {
            CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()
        }
    }

    fn server(authority: &Authority, from: i32, to: i32) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["console.example".into()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, &authority.issuer).unwrap().der().clone()
    }

    fn verify(ca_pem: &str, certificate: &CertificateDer<'_>, name: &str, floor: &str) -> bool {
        verify_chain(ca_pem, certificate, &[], name, floor, "1970-01-01T00:00:07Z")
    }

    fn verify_chain(
        ca_pem: &str,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &str,
        floor: &str,
        machine: &str,
    ) -> bool {
        let time_floor = TimeFloor::default();
        time_floor.set(floor.parse().unwrap());
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap())
            .unwrap();
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .unwrap();
        let verifier = ClocklessVerifier {
            inner,
            floor: time_floor,
        };
        let name = ServerName::try_from(name).unwrap();
        let machine: Timestamp = machine.parse().unwrap();
        let machine = std::time::Duration::from_secs(machine.as_second().unsigned_abs());
        verifier
            .verify_server_cert(
                certificate,
                intermediates,
                &name,
                &[],
                UnixTime::since_unix_epoch(machine),
            )
            .is_ok()
    }

    #[test]
    fn under_any_clock_a_chain_over_an_intermediate_is_believed_up_to_the_pinned_root() {
        let (root, stranger) = (authority(), authority());
        let devices = root.intermediate(2025, 2035);
        let leaf = server(&devices, 2020, 2035);
        let name = "console.example";
        let floor = "2026-11-01T00:00:00Z";
        for machine in [
            "1970-01-02T00:00:00Z",
            "2013-01-01T00:00:00Z",
            "2099-01-01T00:00:00Z",
        ] {
            let believed = |ca: &str, chain: &[CertificateDer<'_>], floor| {
                verify_chain(ca, &leaf, chain, name, floor, machine)
            };
            assert!(believed(&root.pem, &[devices.der()], floor), "{machine}");
            assert!(!believed(&root.pem, &[], floor), "{machine}: no chain");
            assert!(
                !believed(&stranger.pem, &[devices.der()], floor),
                "{machine}: another root"
            );
            let after = "2035-06-01T00:00:00Z";
            assert!(
                !believed(&root.pem, &[devices.der()], after),
                "{machine}: surely expired"
            );
        }
    }

    #[test]
    fn the_floor_that_authorities_allow_leaves_every_console_under_them_believable() {
        let root = authority();
        let devices = root.intermediate(2025, 2035);
        let leaf = server(&devices, 2020, 2035);
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.not_after = date_time_ymd(2027, 1, 1);
        let device = params
            .signed_by(&KeyPair::generate().unwrap(), &devices.issuer)
            .unwrap()
            .pem();
        let chain = format!("{device}{}", devices.pem);
        let end = authorities_end(&root.pem, &chain).unwrap();
        assert_eq!(
            end,
            "2034-12-31T00:00:00Z".parse().unwrap(),
            "the intermediate's, a day less"
        );
        assert!(verify_chain(
            &root.pem,
            &leaf,
            &[devices.der()],
            "console.example",
            &end.to_string(),
            "1970-01-01T00:00:00Z"
        ));
        assert_eq!(
            valid_until(&chain).unwrap(),
            "2027-01-01T00:00:00Z".parse().unwrap()
        );
        let rooted = authorities_end(&root.pem, &device).unwrap();
        assert_eq!(rooted, "2044-12-31T00:00:00Z".parse().unwrap());
        assert_eq!(authorities_end("", ""), None);
    }

    #[test]
    fn validity_is_judged_at_the_floor_and_chain_and_name_as_always() {
        let (county, stranger) = (authority(), authority());
        let good = server(&county, 2026, 2027);
        let at = "2026-06-01T00:00:00Z";
        assert!(verify(&county.pem, &good, "console.example", at));
        assert!(
            verify(&county.pem, &good, "console.example", "1970-01-01T00:00:00Z"),
            "clock unset"
        );
        assert!(
            !verify(&county.pem, &good, "console.example", "2027-06-01T00:00:00Z"),
            "surely expired"
        );
        assert!(!verify(&county.pem, &good, "other.example", at), "another name");
        assert!(
            !verify(&stranger.pem, &good, "console.example", at),
            "another authority"
        );
    }

    #[test]
    fn an_authority_without_a_certificate_is_refused() {
        let error = client_config("nothing", None, TimeFloor::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("enrol again"), "{error}");
    }
}
