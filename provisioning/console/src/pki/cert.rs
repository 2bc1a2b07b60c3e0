//! Certificates: what goes into ours, and what is read out of one.

use std::net::IpAddr;

use contract::id::DeviceId;
use rand::RngCore;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use time::OffsetDateTime;

use super::CONSOLE_CN;

/// 2020-01-01T00:00:00Z, the start of every certificate: a board whose clock is years behind must not refuse its own console.
pub(super) const NOT_BEFORE: i64 = 1_577_836_800;

/// An authority's certificate: may sign certificates and lists, with at most `below` authorities under it.
pub(super) fn authority(cn: &str, below: u8, not_after: i64) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(cn);
    params.not_before = OffsetDateTime::from_unix_timestamp(NOT_BEFORE)?;
    params.not_after = OffsetDateTime::from_unix_timestamp(not_after)?;
    params.serial_number = Some(random_serial());
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

pub(super) fn leaf(
    cn: &str,
    purpose: ExtendedKeyUsagePurpose,
    not_after: i64,
) -> anyhow::Result<CertificateParams> {
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

pub(super) fn subject(cn: &str) -> DistinguishedName {
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
pub(super) fn short_random() -> String {
    let mut bytes = [0; 4];
    rand::rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}

pub(super) fn san(host: &str) -> anyhow::Result<SanType> {
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

pub(super) fn show_san(san: &SanType) -> String {
    match san {
        SanType::IpAddress(address) => address.to_string(),
        SanType::DnsName(name) => name.to_string(),
        other => format!("{other:?}"),
    }
}

/// The first certificate of a PEM text.
pub(super) fn first(pem: &str) -> anyhow::Result<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|e| anyhow::anyhow!("it holds no certificate ({e})"))
}

/// What is read out of a certificate.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) subject: String,
    pub(super) serial: String,
    pub(super) not_before: i64,
    pub(super) not_after: i64,
    pub(super) names: Vec<String>,
    pub(super) public_key: Vec<u8>,
    der: Vec<u8>,
}

impl Facts {
    /// Whether the authority `ca` signed it.
    pub(super) fn issued_by(&self, ca: &[u8]) -> bool {
        let (Ok((_, ca)), Ok((_, own))) = (
            x509_parser::parse_x509_certificate(ca),
            x509_parser::parse_x509_certificate(&self.der),
        ) else {
            return false;
        };
        own.issuer() == ca.subject() && own.verify_signature(Some(ca.public_key())).is_ok()
    }
}

pub(super) fn facts(der: &[u8]) -> anyhow::Result<Facts> {
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
        subject: parsed.subject().to_string(),
        serial: hex::encode(parsed.raw_serial()),
        not_before: parsed.validity().not_before.timestamp(),
        not_after: parsed.validity().not_after.timestamp(),
        names,
        public_key: parsed.public_key().subject_public_key.data.to_vec(),
        der: der.to_vec(),
    })
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

/// A certificate's serial number (lower-case hexadecimal) and its last second.
pub fn serial_of(certificate: &CertificateDer<'_>) -> Option<(String, jiff::Timestamp)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let not_after = jiff::Timestamp::from_second(parsed.validity().not_after.timestamp()).ok()?;
    Some((hex::encode(parsed.raw_serial()), not_after))
}
