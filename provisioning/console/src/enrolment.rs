//! How a board becomes a device, whichever way it asks: over the line with a ticket, over a USB disk, or because somebody
//! picked its classroom.
//!
//! Order: all checks → the certificate is made → one transaction uses the ticket up and creates the device → answer. If the
//! answer is lost, the same key gets the same name and certificate again, also after a restart.

use std::sync::Arc;

use contract::{
    code::TicketCode,
    enrol::{EnrolReply, EnrolRequest},
    hardware::Hardware,
    hash::Hash,
    id::DeviceId,
};
use jiff::Timestamp;
use rand::Rng;

use crate::{
    db::{
        Db, DbError,
        devices::Enrolment,
        scope::Scope,
        tickets::{Enrolled, Redeem, Shown, TicketRefusal},
    },
    error::{ApiError, Code},
    pki::{CheckedCsr, CsrError, IssuedCert, Pki, check_csr, keys::SigningKeys},
    trust,
};

/// Crockford's letters, in lower case; nobody mistakes one for another.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Makes devices; cheap to clone.
#[derive(Debug, Clone)]
pub struct Enroller {
    /// Knows tickets and devices.
    pub db: Db,
    /// Makes certificates.
    pub pki: Arc<Pki>,
    /// Handed over to the device.
    pub keys: Arc<SigningKeys>,
}

/// A request whose every field is within its bounds, with a code that can be one and a signing request that can be used.
#[derive(Debug)]
pub struct Asked {
    request: EnrolRequest,
    code: TicketCode,
    csr: CheckedCsr,
}

impl Asked {
    /// Checks everything that can be checked without looking anything up.
    ///
    /// # Errors
    /// [`Code::InvalidField`], [`Code::TicketMistyped`], [`Code::BadCsr`].
    pub fn check(mut request: EnrolRequest) -> Result<Self, ApiError> {
        bounded("code", &request.code, 32)?;
        bounded("serial", &request.serial, 128)?;
        bounded("board", &request.board, 64)?;
        bounded("agent_version", &request.agent_version, 64)?;
        if let Some(classroom) = &request.classroom {
            bounded("classroom", classroom, 64)?;
        }
        for field in [
            &mut request.serial,
            &mut request.board,
            &mut request.agent_version,
        ] {
            *field = field.trim().to_owned();
        }
        if let Some(hardware) = &mut request.hardware {
            if !hardware.is_bounded() {
                return Err(unbounded_hardware());
            }
            hardware.serial.clone_from(&request.serial);
        }
        let code = request
            .code
            .parse::<TicketCode>()
            .map_err(|error| ApiError::new(Code::TicketMistyped).detail(error))?;
        let csr = check_csr(&request.csr_pem).map_err(refuse_csr)?;
        Ok(Self { request, code, csr })
    }

    /// The board's serial number.
    pub fn serial(&self) -> &str {
        &self.request.serial
    }

    fn shown(&self) -> Shown<'_> {
        Shown {
            code: &self.code,
            key: self.csr.key_hash,
            serial: &self.request.serial,
            classroom: self.request.classroom.as_deref(),
        }
    }
}

impl Enroller {
    /// What the ticket opens; uses nothing up.
    ///
    /// # Errors
    /// [`DbError::Ticket`].
    pub async fn redeem(&self, asked: &Asked, now: Timestamp) -> Result<Redeem, DbError> {
        self.db.tickets().redeem(&asked.shown(), now).await
    }

    /// The same for somebody who carries the board's request and reaches no further than `scope`.
    ///
    /// # Errors
    /// [`DbError::Ticket`]; what lies elsewhere is unknown.
    pub async fn redeem_within(
        &self,
        scope: &Scope,
        asked: &Asked,
        now: Timestamp,
    ) -> Result<Redeem, DbError> {
        self.db.tickets().redeem_within(scope, &asked.shown(), now).await
    }

    /// Makes the device, or finds it made.
    ///
    /// # Errors
    /// The ticket's, the authority's and the database's.
    pub async fn enrol(
        &self,
        asked: Asked,
        redeemed: Redeem,
        now: Timestamp,
    ) -> Result<EnrolReply, ApiError> {
        let grant = match redeemed {
            Redeem::Again(enrolled) => return self.reply(enrolled, now).await,
            Redeem::Fresh(grant) => grant,
        };
        let Asked { request, code, csr } = asked;
        let key = csr.key_hash;
        let (device, issued) = self.issue(csr, now)?;
        let enrolment = Enrolment {
            ticket: grant.ticket,
            classroom: request.classroom.as_deref(),
            device: device.clone(),
            serial: &request.serial,
            board: &request.board,
            agent_version: &request.agent_version,
            hardware: request.hardware.as_ref(),
            copy_of: None,
            key,
            certificate_pem: &issued.pem,
            certificate_serial: &issued.serial,
            certificate_not_after: issued.not_after,
        };
        let shown = Shown {
            code: &code,
            key,
            serial: &request.serial,
            classroom: request.classroom.as_deref(),
        };
        match self.db.devices().enrol(&enrolment, now).await {
            Ok(grant) => {
                let enrolled = Enrolled {
                    grant,
                    device,
                    certificate_pem: issued.pem,
                };
                self.reply(enrolled, now).await
            }
            // Somebody was faster; if it was the same device asking twice at once, both get the one answer.
            Err(DbError::Ticket(TicketRefusal::Used)) => match self.db.tickets().redeem(&shown, now).await? {
                Redeem::Again(enrolled) => self.reply(enrolled, now).await,
                Redeem::Fresh(_) => Err(ApiError::new(Code::TicketUsed)),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// A new name and its certificate.
    ///
    /// # Errors
    /// The authority's.
    pub fn issue(&self, csr: CheckedCsr, now: Timestamp) -> Result<(DeviceId, IssuedCert), ApiError> {
        let device = new_id()?;
        let issued = self.pki.issue_checked(csr, &device, now).map_err(refuse_csr)?;
        Ok((device, issued))
    }

    /// The answer for a device that is in.
    ///
    /// # Errors
    /// The database's.
    pub async fn reply(&self, enrolled: Enrolled, now: Timestamp) -> Result<EnrolReply, ApiError> {
        Ok(EnrolReply {
            device_id: enrolled.device,
            certificate_pem: enrolled.certificate_pem,
            ca_pem: self.pki.ca_pem().to_owned(),
            broker: enrolled.grant.broker,
            keys: self.keys.trusted(),
            placement: enrolled.grant.placement,
            issued_at: now,
            renewal: Some(self.pki.renewal()),
            trust: trust::anchor(&self.db, &self.keys).await?,
        })
    }
}

/// A board that says it is there, every field within its bounds.
#[derive(Debug)]
pub struct CheckedClaim {
    /// BLAKE3 of its public key.
    pub key: Hash,
    /// Short form of it, for people.
    pub fingerprint: String,
    /// What it is made of.
    pub hardware: Hardware,
}

/// Checks a claim.
///
/// # Errors
/// [`Code::InvalidField`], [`Code::BadCsr`].
pub fn check_claim(claim: &contract::claim::ClaimRequest) -> Result<CheckedClaim, ApiError> {
    bounded("board", &claim.board, 64)?;
    bounded("agent_version", &claim.agent_version, 64)?;
    bounded("serial", &claim.hardware.serial, 128)?;
    if !claim.hardware.is_bounded() {
        return Err(unbounded_hardware());
    }
    let csr = check_csr(&claim.csr_pem).map_err(refuse_csr)?;
    let mut hardware = claim.hardware.clone();
    hardware.serial = hardware.serial.trim().to_owned();
    Ok(CheckedClaim {
        key: csr.key_hash,
        fingerprint: contract::claim::fingerprint(csr.public_key()),
        hardware,
    })
}

fn unbounded_hardware() -> ApiError {
    use contract::hardware::{MAX_FIELD_BYTES, MAX_MACS};
    ApiError::invalid(
        "hardware",
        format!(
            "at most {MAX_FIELD_BYTES} bytes each and {MAX_MACS} network addresses, no control characters"
        ),
    )
}

fn bounded(field: &'static str, text: &str, most: usize) -> Result<(), ApiError> {
    if text.trim().is_empty() || text.len() > most || text.chars().any(char::is_control) {
        return Err(ApiError::invalid(
            field,
            format!("1 to {most} bytes, no control characters"),
        ));
    }
    Ok(())
}

/// `d-` and twelve letters: 60 random bits, short enough to read over the telephone.
fn new_id() -> Result<DeviceId, ApiError> {
    let mut rng = rand::rng();
    let letters: String = (0..12)
        .filter_map(|_| LETTERS.get(rng.random_range(0..LETTERS.len())))
        .map(|b| char::from(*b))
        .collect();
    DeviceId::new(format!("d-{letters}")).map_err(ApiError::internal)
}

/// A code nobody can guess: 40 bits of the thread's generator, a CSPRNG seeded by the operating system.
pub fn new_code() -> TicketCode {
    TicketCode::from_values(rand::rng().random())
}

fn refuse_csr(error: CsrError) -> ApiError {
    match error {
        CsrError::Signing(_) => ApiError::internal(error),
        other => ApiError::new(Code::BadCsr).detail(other),
    }
}
