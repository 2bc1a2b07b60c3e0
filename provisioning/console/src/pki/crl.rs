//! The revocation list, for brokers and doors that are not ours; our own look at the [denylist](crate::pki::denylist).

use anyhow::Context;
use jiff::Timestamp;
use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber,
};
use time::OffsetDateTime;

use super::{CRL_PEM, Pki, files};

/// A list is good for this long; it is written anew at each revocation and at each start.
const NEXT_UPDATE: i64 = 30 * 86_400;

/// A certificate that is dead before its last day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// Serial number, hexadecimal.
    pub serial: String,
    /// Since when.
    pub at: Timestamp,
    /// Replaced by a newer one; else revoked.
    pub superseded: bool,
}

impl Pki {
    /// The list, signed by the intermediate, as PEM.
    ///
    /// # Errors
    /// A serial that is no hexadecimal number, or signing failed.
    pub fn crl(&self, revoked: &[Revoked], now: Timestamp) -> anyhow::Result<String> {
        let at = |t: Timestamp| OffsetDateTime::from_unix_timestamp(t.as_second());
        let revoked_certs = revoked
            .iter()
            .map(|one| {
                let serial = hex::decode(&one.serial).with_context(|| format!("serial {:?}", one.serial))?;
                Ok(RevokedCertParams {
                    serial_number: SerialNumber::from_slice(&serial),
                    revocation_time: at(one.at)?,
                    reason_code: Some(if one.superseded {
                        RevocationReason::Superseded
                    } else {
                        RevocationReason::KeyCompromise
                    }),
                    invalidity_date: None,
                })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let number = u64::try_from(now.as_millisecond()).unwrap_or_default();
        let params = CertificateRevocationListParams {
            this_update: at(now)?,
            next_update: OffsetDateTime::from_unix_timestamp(now.as_second() + NEXT_UPDATE)?,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(params.signed_by(&self.issuer)?.pem()?)
    }

    /// Writes the list to `pki/crl.pem`.
    ///
    /// # Errors
    /// See [`Self::crl`]; the file cannot be written.
    pub fn write_crl(&self, revoked: &[Revoked], now: Timestamp) -> anyhow::Result<()> {
        files::write_private(&self.dir, CRL_PEM, self.crl(revoked, now)?.as_bytes())
    }
}
