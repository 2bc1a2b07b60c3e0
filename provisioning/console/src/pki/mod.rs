//! The console's own authority: one CA that devices pin, the console's two certificates, and one for each device.
//!
//! Everything is P-256 through rcgen and ring. Certificates start in 2020, not now: a board without a battery wakes up with a
//! clock years behind, and must not refuse its own console for a certificate "from the future". For the same reason
//! [`Pki::clock`] keeps a wrong clock of the console from locking every classroom out; who may come in is decided by the
//! database, not by dates.

mod files;
pub mod keys;

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use contract::{hash::Hash, id::DeviceId};
use jiff::Timestamp;
use rand::RngCore;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject};
use time::OffsetDateTime;

const CA_PEM: &str = "ca.pem";
const CA_KEY: &str = "ca.key";
const SERVER_PEM: &str = "server.pem";
const SERVER_KEY: &str = "server.key";
const CONSOLE_PEM: &str = "console.pem";
const CONSOLE_KEY: &str = "console.key";
/// Name of the console's own MQTT certificate.
pub const CONSOLE_CN: &str = "bbt-console";
/// 2020-01-01T00:00:00Z, the start of every certificate.
const NOT_BEFORE: i64 = 1_577_836_800;
/// 2026-01-01T00:00:00Z; a console whose clock is before this has a wrong clock.
const BUILT_AFTER: i64 = 1_767_225_600;
const TEN_YEARS: i64 = 3653 * 86_400;
/// Largest signing request read, in bytes.
const MAX_CSR_BYTES: usize = 8 * 1024;

/// The console's authority and certificates.
#[derive(Debug)]
pub struct Pki {
    dir: PathBuf,
    ca_pem: String,
    ca_not_after: i64,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate made for a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedCert {
    /// The certificate.
    pub pem: String,
    /// Its serial number, lower-case hexadecimal.
    pub serial: String,
    /// Its last day.
    pub not_after: Timestamp,
}

/// A signing request that passed every check.
#[derive(Debug)]
pub struct CheckedCsr {
    request: CertificateSigningRequestParams,
    /// BLAKE3 of the public key: the same key asks again.
    pub key_hash: Hash,
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

impl Pki {
    /// Opens the authority in `dir` or creates it; makes the server certificate again when `hosts` differ from it.
    ///
    /// `hosts` are names and addresses by which devices reach this console; `localhost`, `127.0.0.1` and `::1` are added.
    ///
    /// # Errors
    /// The folder cannot be used, a file is damaged, or a host is no name; each named.
    pub fn open_or_create(dir: &Path, hosts: &[String]) -> anyhow::Result<Self> {
        Self::open_at(dir, hosts, Timestamp::now())
    }

    fn open_at(dir: &Path, hosts: &[String], now: Timestamp) -> anyhow::Result<Self> {
        files::private_folder(dir)?;
        let _lock = files::lock(dir)?;
        let (ca_pem, key_pem) = match (files::read(dir, CA_PEM)?, files::read(dir, CA_KEY)?) {
            (Some(ca), Some(key)) => (ca, key),
            // The key is written first: a key without certificate is a cut while creating, and nobody trusts it yet.
            (None, _) => create_ca(dir, now)?,
            (Some(_), None) => bail!(
                "{} is missing but {CA_PEM} is there; restore the key from the backup, or remove {} to start a new authority, \
                 after which every device must enrol again",
                dir.join(CA_KEY).display(),
                dir.display()
            ),
        };
        let key = KeyPair::from_pem(&key_pem).with_context(|| {
            format!(
                "{} is not a private key; restore it from the backup",
                dir.join(CA_KEY).display()
            )
        })?;
        let ca_der = CertificateDer::from_pem_slice(ca_pem.as_bytes())
            .map_err(|e| anyhow::anyhow!("{e}"))
            .with_context(|| {
                format!(
                    "{} is not a certificate; restore it from the backup",
                    dir.join(CA_PEM).display()
                )
            })?;
        let ca_not_after = facts(&ca_der)
            .with_context(|| format!("Failed to read {}", dir.join(CA_PEM).display()))?
            .not_after;
        let issuer = Issuer::from_ca_cert_der(&ca_der, key)?;
        let pki = Self {
            dir: dir.to_owned(),
            ca_pem,
            ca_not_after,
            issuer,
        };
        pki.ensure_server(hosts)?;
        pki.ensure_console()?;
        Ok(pki)
    }

    /// The authority's certificate, what devices pin.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// File of the authority's certificate.
    pub fn ca_path(&self) -> PathBuf {
        self.dir.join(CA_PEM)
    }

    /// Files of the server's certificate and key, for HTTPS and MQTT.
    pub fn server_paths(&self) -> (PathBuf, PathBuf) {
        (self.dir.join(SERVER_PEM), self.dir.join(SERVER_KEY))
    }

    /// Files of the console's MQTT client certificate and key.
    pub fn console_paths(&self) -> (PathBuf, PathBuf) {
        (self.dir.join(CONSOLE_PEM), self.dir.join(CONSOLE_KEY))
    }

    /// Makes a device's certificate: subject = its id and nothing else, for TLS clients only, valid as long as the authority,
    /// because a school that was offline for a year must still be let in.
    ///
    /// # Errors
    /// See [`CsrError`].
    pub fn issue_device_cert(&self, csr_pem: &str, device: &DeviceId) -> Result<IssuedCert, CsrError> {
        self.issue_checked(check_csr(csr_pem)?, device)
    }

    /// The same for a request that was checked before.
    ///
    /// # Errors
    /// [`CsrError::Signing`].
    pub fn issue_checked(&self, csr: CheckedCsr, device: &DeviceId) -> Result<IssuedCert, CsrError> {
        let failed = |what: String| CsrError::Signing(what);
        let mut request = csr.request;
        request.params = leaf(
            device.as_str(),
            ExtendedKeyUsagePurpose::ClientAuth,
            self.ca_not_after,
        )
        .map_err(|e| failed(e.to_string()))?;
        let certificate = request
            .signed_by(&self.issuer)
            .map_err(|e| failed(e.to_string()))?;
        let serial = facts(certificate.der())
            .map_err(|e| failed(e.to_string()))?
            .serial;
        let not_after = Timestamp::from_second(self.ca_not_after).map_err(|e| failed(e.to_string()))?;
        Ok(IssuedCert {
            pem: certificate.pem(),
            serial,
            not_after,
        })
    }

    /// The TLS configuration of the devices' listener: client certificates of this authority are asked for, not insisted on,
    /// because a device that enrols has none yet.
    ///
    /// # Errors
    /// A file is damaged.
    pub fn device_server_config(&self) -> anyhow::Result<rustls::ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(
            CertificateDer::from_pem_slice(self.ca_pem.as_bytes()).map_err(|e| anyhow::anyhow!("{e}"))?,
        )?;
        let clients =
            rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .allow_unauthenticated()
                .build()?;
        let (certificate, key) = self.server_paths();
        let chain = CertificateDer::pem_file_iter(&certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|e| anyhow::anyhow!("Failed to read {}: {e}", certificate.display()))?;
        let key = PrivateKeyDer::from_pem_file(&key)
            .map_err(|e| anyhow::anyhow!("Failed to read {}: {e}", key.display()))?;
        let mut config = rustls::ServerConfig::builder_with_details(provider, self.clock())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// The clock for checking certificates: the real one, held within the authority's validity.
    pub fn clock(&self) -> Arc<dyn rustls::time_provider::TimeProvider> {
        Arc::new(HeldClock {
            not_after: self.ca_not_after,
        })
    }

    fn ensure_server(&self, hosts: &[String]) -> anyhow::Result<()> {
        let mut wanted: Vec<String> = hosts
            .iter()
            .map(|h| h.trim().to_lowercase())
            .filter(|h| !h.is_empty())
            .collect();
        wanted.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
        wanted.sort();
        wanted.dedup();
        let wanted = wanted
            .iter()
            .map(|host| san(host))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut names: Vec<String> = wanted.iter().map(show_san).collect();
        names.sort();
        names.dedup();
        if self
            .own_certificate(SERVER_PEM, SERVER_KEY)?
            .is_some_and(|found| found.names == names)
        {
            return Ok(());
        }
        let mut params = leaf(
            "bbt-console server",
            ExtendedKeyUsagePurpose::ServerAuth,
            self.ca_not_after,
        )?;
        params.subject_alt_names = wanted;
        self.issue_own(params, SERVER_PEM, SERVER_KEY)
    }

    fn ensure_console(&self) -> anyhow::Result<()> {
        if self.own_certificate(CONSOLE_PEM, CONSOLE_KEY)?.is_some() {
            return Ok(());
        }
        let params = leaf(CONSOLE_CN, ExtendedKeyUsagePurpose::ClientAuth, self.ca_not_after)?;
        self.issue_own(params, CONSOLE_PEM, CONSOLE_KEY)
    }

    /// The facts of one of our own certificates, if it is there, of this authority, and its key fits.
    fn own_certificate(&self, pem: &str, key: &str) -> anyhow::Result<Option<Facts>> {
        let (Some(pem), Some(key)) = (files::read(&self.dir, pem)?, files::read(&self.dir, key)?) else {
            return Ok(None);
        };
        let (Ok(der), Ok(key)) = (
            CertificateDer::from_pem_slice(pem.as_bytes()),
            KeyPair::from_pem(&key),
        ) else {
            return Ok(None);
        };
        let Ok(found) = facts(&der) else { return Ok(None) };
        let ours = found.issued_by(&self.ca_pem) && found.public_key == key.public_key_raw();
        Ok(ours.then_some(found))
    }

    fn issue_own(&self, params: CertificateParams, pem: &str, key_name: &str) -> anyhow::Result<()> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        // A cut between the two leaves a key that does not fit; the next start sees it and makes both again.
        files::write_private(&self.dir, key_name, key.serialize_pem().as_bytes())?;
        files::write_private(&self.dir, pem, certificate.pem().as_bytes())
    }
}

/// Whether a certificate's subject is exactly one CN that is a device id; the handshake has checked its signature.
pub fn device_of(certificate: &CertificateDer<'_>) -> Option<DeviceId> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let mut names = parsed.subject().iter_attributes();
    let (name, None) = (names.next()?, names.next()) else {
        return None;
    };
    (*name.attr_type() == x509_parser::oid_registry::OID_X509_COMMON_NAME).then_some(())?;
    let id = name.as_str().ok()?;
    // The console's own certificate is no device, whatever its name would parse as.
    if id == CONSOLE_CN {
        None
    } else {
        DeviceId::new(id).ok()
    }
}

fn create_ca(dir: &Path, now: Timestamp) -> anyhow::Result<(String, String)> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(&format!("bbt device CA {}", short_random()));
    params.not_before = OffsetDateTime::from_unix_timestamp(NOT_BEFORE)?;
    params.not_after = OffsetDateTime::from_unix_timestamp(now.as_second().max(BUILT_AFTER) + TEN_YEARS)?;
    params.serial_number = Some(random_serial());
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let pem = params.self_signed(&key)?.pem();
    let key_pem = key.serialize_pem();
    files::write_private(dir, CA_KEY, key_pem.as_bytes())?;
    files::write_private(dir, CA_PEM, pem.as_bytes())?;
    Ok((pem, key_pem))
}

fn leaf(cn: &str, purpose: ExtendedKeyUsagePurpose, not_after: i64) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(cn);
    params.not_before = OffsetDateTime::from_unix_timestamp(NOT_BEFORE)?;
    params.not_after = OffsetDateTime::from_unix_timestamp(not_after)?;
    params.serial_number = Some(random_serial());
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn subject(cn: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, cn);
    name
}

/// 16 random bytes, positive and never zero, as RFC 5280 asks.
fn random_serial() -> SerialNumber {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    SerialNumber::from_slice(&bytes)
}

/// Tells two authorities apart in a certificate viewer.
fn short_random() -> String {
    let mut bytes = [0; 4];
    rand::rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}

fn san(host: &str) -> anyhow::Result<SanType> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    rustls_pki_types::DnsName::try_from(host).map_err(|_| {
        anyhow::anyhow!(
            "public_host {host:?} is neither a host name nor an address; correct it in console.toml"
        )
    })?;
    Ok(SanType::DnsName(host.try_into()?))
}

fn show_san(san: &SanType) -> String {
    match san {
        SanType::IpAddress(address) => address.to_string(),
        SanType::DnsName(name) => name.to_string(),
        other => format!("{other:?}"),
    }
}

/// What is read out of a certificate.
struct Facts {
    serial: String,
    not_after: i64,
    names: Vec<String>,
    public_key: Vec<u8>,
    der: Vec<u8>,
}

impl Facts {
    fn issued_by(&self, ca_pem: &str) -> bool {
        let Ok(ca) = CertificateDer::from_pem_slice(ca_pem.as_bytes()) else {
            return false;
        };
        let (Ok((_, ca)), Ok((_, own))) = (
            x509_parser::parse_x509_certificate(&ca),
            x509_parser::parse_x509_certificate(&self.der),
        ) else {
            return false;
        };
        own.issuer() == ca.subject() && own.verify_signature(Some(ca.public_key())).is_ok()
    }
}

fn facts(der: &[u8]) -> anyhow::Result<Facts> {
    use x509_parser::prelude::GeneralName;
    let (_, parsed) = x509_parser::parse_x509_certificate(der).map_err(|e| anyhow::anyhow!("{e}"))?;
    let mut names: Vec<String> = match parsed.subject_alternative_name()? {
        None => Vec::new(),
        Some(san) => san
            .value
            .general_names
            .iter()
            .map(|name| match name {
                GeneralName::DNSName(name) => (*name).to_owned(),
                GeneralName::IPAddress(bytes) => {
                    match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
                        (Ok(v4), _) => IpAddr::from(v4).to_string(),
                        (_, Ok(v6)) => IpAddr::from(v6).to_string(),
                        _ => hex::encode(bytes),
                    }
                }
                other => format!("{other}"),
            })
            .collect(),
    };
    names.sort();
    Ok(Facts {
        serial: hex::encode(parsed.raw_serial()),
        not_after: parsed.validity().not_after.timestamp(),
        names,
        public_key: parsed.public_key().subject_public_key.data.to_vec(),
        der: der.to_vec(),
    })
}

#[derive(Debug)]
struct HeldClock {
    not_after: i64,
}

impl rustls::time_provider::TimeProvider for HeldClock {
    fn current_time(&self) -> Option<UnixTime> {
        let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
        let held = now.clamp(NOT_BEFORE, self.not_after);
        Some(UnixTime::since_unix_epoch(Duration::from_secs(
            u64::try_from(held).ok()?,
        )))
    }
}

#[cfg(test)]
mod tests;
