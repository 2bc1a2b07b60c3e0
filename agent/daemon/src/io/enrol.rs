//! Enrolment: makes the key, asks the console, stores the identity. What to do when is decided by `agent_core::enrol`.

pub mod applicant;
pub mod county;
mod error;
#[cfg(test)]
pub(crate) mod kit;
#[cfg(test)]
mod tests;

use std::{fs::File, io::Read, path::Path, sync::Arc};

use agent_core::enrol::check_ticket;
use contract::{code::TicketCode, enrol::EnrolmentTicket, id::DeviceId, standing::Standing};

use super::{hardware, tls::TimeFloor};
use crate::{
    config::Config,
    identity::{Identity, IdentityFolder},
    standing,
};
pub use applicant::{Applicant, Errand, Target};
pub use error::{EnrolError, say_already, say_enrolled, say_restart_needed};

/// With what a technician comes.
#[derive(Debug, Clone, Copy)]
pub enum Means<'a> {
    /// A ticket's file.
    Ticket(&'a Path),
    /// What stands on a label, typed.
    Code(&'a str),
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enrolled {
    /// The device has a new identity.
    Now(DeviceId),
    /// It had one from the same console already; nothing was asked and nothing changed.
    Already(DeviceId),
}

/// Enrols with a ticket or a code, unless the same console enrolled the device already and `again` is not set. `tell` is
/// given the sentence for who waits, once, before the console is asked.
///
/// # Errors
/// The ticket, the board, the line or the console. An identity from before is untouched.
pub async fn enrol(
    config: &Config,
    means: Means<'_>,
    classroom: Option<&str>,
    again: bool,
    tell: impl FnOnce(&str),
) -> Result<Enrolled, EnrolError> {
    let errand = match means {
        Means::Ticket(file) => errand_of_ticket(&read_ticket(file)?, classroom),
        Means::Code(typed) => errand_of_code(config, typed, classroom)?,
    };
    let folder = IdentityFolder::of(config);
    if let Some(identity) = in_force(config, &folder)
        && !again
        && same_console(&identity, &errand.target)
    {
        return Ok(Enrolled::Already(identity.reply.device_id));
    }
    let applicant = Applicant::new(
        Arc::new(config.clone()),
        hardware::hardware(config),
        TimeFloor::default(),
    )
    .map_err(EnrolError::NotPrepared)?;
    applicant.enrol(&errand, tell).await.map(Enrolled::Now)
}

/// The identity that its console accepts, as far as the device knows, on the board that it was given to.
pub fn in_force(config: &Config, folder: &IdentityFolder) -> Option<Identity> {
    let identity = folder.identity().ok().flatten()?;
    let order = standing::kept(&config.data_dir).ok().flatten();
    let out = order.is_some_and(|order| order.standing != Standing::Active);
    let here = hardware::hardware(config);
    let copied = identity
        .hardware
        .as_ref()
        .is_some_and(|enrolled| enrolled.differs(&here).is_some());
    (!out && !copied && !identity.key_pem.is_empty()).then_some(identity)
}

fn same_console(identity: &Identity, target: &Target) -> bool {
    let words = |pem: &str| -> String { pem.split_whitespace().collect() };
    words(&identity.reply.ca_pem) == words(&target.ca_pem)
}

/// What a ticket's file asks for.
pub fn errand_of_ticket(ticket: &EnrolmentTicket, classroom: Option<&str>) -> Errand {
    let target = Target {
        console_url: ticket.console_url.clone(),
        ca_pem: ticket.ca_pem.clone(),
    };
    Errand::new(target, ticket.code.clone(), classroom.map(str::to_owned))
}

/// What a typed code asks for. A slip of the finger is found before anybody is asked.
///
/// # Errors
/// The code, or the county that is not known.
pub fn errand_of_code(config: &Config, typed: &str, classroom: Option<&str>) -> Result<Errand, EnrolError> {
    let code: TicketCode = typed.parse().map_err(EnrolError::Mistyped)?;
    let county = county::load(config)
        .map_err(EnrolError::County)?
        .ok_or(EnrolError::NoCounty)?;
    let target = Target {
        console_url: county.console_url,
        ca_pem: county.ca_pem,
    };
    Ok(Errand::new(target, code.secret(), classroom.map(str::to_owned)))
}

fn read_ticket(file: &Path) -> Result<EnrolmentTicket, EnrolError> {
    let unreadable = |error| EnrolError::Unreadable(file.to_owned(), error);
    let mut text = Vec::new();
    File::open(file)
        .map_err(unreadable)?
        .take(applicant::MAX_BYTES as u64 + 1)
        .read_to_end(&mut text)
        .map_err(unreadable)?;
    if text.len() > applicant::MAX_BYTES {
        return Err(EnrolError::TooLong(file.to_owned()));
    }
    let ticket =
        serde_json::from_slice(&text).map_err(|error| EnrolError::Unclear(file.to_owned(), error))?;
    check_ticket(&ticket).map_err(EnrolError::Ticket)?;
    Ok(ticket)
}
