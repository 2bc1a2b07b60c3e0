//! The folder `bbt/` of a USB disk, seen from the console: what is put on it, and what is believed of what comes back.
//!
//! The disk was in strange hands. Names, sizes, numbers and nesting are bounded, links are not followed, and what is answered
//! is signed. No request is worse than one over the line: it must bring a ticket that opens.

pub mod folder;
pub mod guesses;

use std::io::{Cursor, Read, Write};

use contract::{
    enrol::{BrokerAddress, EnrolReply},
    hash::Hash,
    signed::Signed,
    usb::{CountyFile, FOLDER, MAX_FILE_BYTES, MAX_TICKETS, OfflineRequest, OfflineTicket},
};
use jiff::Timestamp;

use crate::{
    api::usb::UsbOutcome,
    config::{Config, Language},
    db::{batches::OpenTicket, scope::Scope, tickets::Redeem},
    enrolment::{Asked, Enroller},
    error::{ApiError, Code},
    pki::keys::SigningKeys,
};

/// Longest file name without `.json`, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// What boards must know of this console.
///
/// # Errors
/// The database's.
pub async fn county_file(
    enroller: &Enroller,
    config: &Config,
    scope: &Scope,
    now: Timestamp,
) -> Result<CountyFile, ApiError> {
    Ok(CountyFile {
        county: enroller.db.batches().county_name(scope).await?,
        console_url: config.devices_url(),
        web_url: config.web_url.clone(),
        ca_pem: enroller.pki.ca_pem().to_owned(),
        broker: BrokerAddress {
            host: config.public_host.clone(),
            port: config.public_mqtt_port,
        },
        keys: enroller.keys.trusted(),
        issued_at: now,
        trust: crate::trust::anchor(&enroller.db, &enroller.keys).await?,
    })
}

/// A ticket's file: its name, the same at every export, and its signed content.
///
/// # Errors
/// Signing failed.
pub fn ticket_file(
    ticket: &OpenTicket,
    keys: &SigningKeys,
    now: Timestamp,
) -> Result<(String, String), ApiError> {
    let signed = keys
        .sign_command(&OfflineTicket {
            code: ticket.code.secret(),
            placement: ticket.placement.clone(),
            classroom_code: ticket.classroom_code.clone(),
            serial: ticket.serial.clone(),
            expires_at: ticket.expires_at,
            issued_at: now,
        })
        .map_err(ApiError::internal)?;
    let place: String = ticket
        .classroom_code
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .take(24)
        .collect();
    // Two schools have the same classroom codes; the hash's beginning tells them apart and tells nobody the code.
    let hash = Hash::of(format!("bbt/ticket-file\n{}", ticket.code.secret()).as_bytes()).to_hex();
    let mark = hash.get(..8).unwrap_or_default();
    let name = if place.is_empty() {
        format!("{mark}.json")
    } else {
        format!("{place}-{mark}.json")
    };
    let text = serde_json::to_string_pretty(&signed).map_err(ApiError::internal)?;
    Ok((name, text))
}

/// County and tickets as a zip of the folder.
///
/// # Errors
/// Signing failed.
pub fn zip_of(
    county: &CountyFile,
    tickets: &[OpenTicket],
    keys: &SigningKeys,
    now: Timestamp,
) -> Result<Vec<u8>, ApiError> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().unix_permissions(0o600);
    let mut put = |name: String, text: &str| -> Result<(), ApiError> {
        zip.start_file(name, options).map_err(ApiError::internal)?;
        zip.write_all(text.as_bytes()).map_err(ApiError::internal)
    };
    let text = serde_json::to_string_pretty(county).map_err(ApiError::internal)?;
    put(format!("{FOLDER}/county.json"), &text)?;
    for ticket in tickets {
        let (name, text) = ticket_file(ticket, keys, now)?;
        put(format!("{FOLDER}/tickets/{name}"), &text)?;
    }
    Ok(zip.finish().map_err(ApiError::internal)?.into_inner())
}

/// A file of `bbt/requests` as it was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// What stands in it, or why it was not read.
    pub content: Result<Vec<u8>, String>,
}

/// Reads the requests out of a zip of the folder.
///
/// # Errors
/// [`Code::UsbFolder`]: no zip, too many files, or a name twice.
pub fn requests_of_zip(bytes: &[u8]) -> Result<Vec<Found>, ApiError> {
    let refuse = |why: String| ApiError::new(Code::UsbFolder).detail(why);
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| refuse(format!("no zip: {e}")))?;
    if zip.len() > 4 * MAX_TICKETS {
        return Err(refuse(format!(
            "{} files, at most {} are read",
            zip.len(),
            4 * MAX_TICKETS
        )));
    }
    let mut found: Vec<Found> = Vec::new();
    for at in 0..zip.len() {
        let entry = zip.by_index(at).map_err(|e| refuse(format!("file {at}: {e}")))?;
        // What is no text is no name of ours.
        let Ok(path) = entry.name().map(|path| path.into_owned()) else {
            continue;
        };
        let parts: Vec<&str> = path.split(['/', '\\']).collect();
        let [.., "requests", name] = parts[..] else {
            continue;
        };
        if name.is_empty() || entry.is_dir() || entry.is_symlink() {
            continue;
        }
        let name = name.to_owned();
        if found.iter().any(|other| other.name == name) {
            return Err(refuse(format!("{name} stands in it twice")));
        }
        if found.len() == MAX_TICKETS {
            return Err(refuse(format!("more than {MAX_TICKETS} requests")));
        }
        found.push(Found {
            name,
            content: bounded(entry),
        });
    }
    Ok(found)
}

/// Reads no more than is allowed, whatever a header promises.
fn bounded(from: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    from.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| e.to_string())?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("larger than {MAX_FILE_BYTES} bytes"));
    }
    Ok(bytes)
}

/// Whether a file of that name is looked at: it becomes the name of a reply.
pub fn is_name(name: &str) -> bool {
    name.strip_suffix(".json").is_some_and(|stem| {
        !stem.is_empty()
            && stem.len() <= MAX_NAME_BYTES
            && !stem.starts_with('.')
            && stem
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    })
}

/// Enrols the board that wrote `found`; one that was enrolled before gets the same answer again.
pub async fn answer(
    enroller: &Enroller,
    scope: &Scope,
    found: Found,
    language: Language,
    now: Timestamp,
) -> (UsbOutcome, Option<Signed<EnrolReply>>) {
    let mut outcome = outcome(&found);
    match enrol(enroller, scope, found, &mut outcome, now).await {
        Ok(signed) => (outcome, Some(signed)),
        Err(error) => (refused(outcome, &error, language), None),
    }
}

/// A file that is not looked at, and why.
pub fn left(found: &Found, error: &ApiError, language: Language) -> UsbOutcome {
    refused(outcome(found), error, language)
}

fn outcome(found: &Found) -> UsbOutcome {
    UsbOutcome {
        name: found.name.chars().take(2 * MAX_NAME_BYTES).collect(),
        serial: String::new(),
        device_id: None,
        problem: None,
        message: None,
    }
}

fn refused(mut outcome: UsbOutcome, error: &ApiError, language: Language) -> UsbOutcome {
    let problem = error.problem(language, "");
    outcome.problem = Some(problem.code);
    outcome.message = Some(match problem.detail.as_str() {
        "" => problem.message,
        detail => format!("{} ({detail})", problem.message),
    });
    outcome
}

async fn enrol(
    enroller: &Enroller,
    scope: &Scope,
    found: Found,
    outcome: &mut UsbOutcome,
    now: Timestamp,
) -> Result<Signed<EnrolReply>, ApiError> {
    let refuse = |why: String| ApiError::new(Code::UsbFolder).detail(why);
    if !is_name(&found.name) {
        return Err(refuse(format!(
            "a request's name has 1 to {MAX_NAME_BYTES} letters, digits, - or _ before .json"
        )));
    }
    let bytes = found.content.map_err(refuse)?;
    let request: OfflineRequest = serde_json::from_slice(&bytes).map_err(|e| refuse(e.to_string()))?;
    let asked = Asked::check(request.request)?;
    asked.serial().clone_into(&mut outcome.serial);
    // Before anything else is said of the code: another county's ticket would tell its place.
    let redeemed = enroller.redeem_within(scope, &asked, now).await?;
    let classroom = match &redeemed {
        Redeem::Fresh(grant) => grant.classroom_id,
        Redeem::Again(enrolled) => enrolled.grant.classroom_id,
    };
    // Its device may have moved since: what lies elsewhere does not exist for whoever carries the disk.
    if enroller.db.need_classroom(scope, classroom).await.is_err() {
        return Err(ApiError::new(Code::TicketUnknown));
    }
    let reply = enroller.enrol(asked, redeemed, now).await?;
    outcome.device_id = Some(reply.device_id.to_string());
    enroller.keys.sign_command(&reply).map_err(ApiError::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_else() {
        for name in ["301-3fa9c1d2.json", "a.json", "A_b-1.2.json"] {
            assert!(is_name(name), "{name}");
        }
        let long = format!("{}.json", "x".repeat(65));
        for name in [
            "",
            ".json",
            "..json",
            "../a.json",
            "a/b.json",
            "a\\b.json",
            "a",
            "a.JSON",
            "班.json",
            "a\n.json",
            &long,
        ] {
            assert!(!is_name(name), "{name:?}");
        }
    }

    #[test]
    fn a_zip_is_read_within_bounds() {
        let options = zip::write::SimpleFileOptions::default();
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let mut put = |name: &str, bytes: &[u8]| {
            zip.start_file(name, options).unwrap();
            zip.write_all(bytes).unwrap();
        };
        put("bbt/county.json", b"{}");
        put("bbt/requests/a.json", b"{}");
        // Deflated it is small.
        put("stick/bbt/requests/bomb.json", &vec![b'['; 10 << 20]);
        zip.add_symlink("bbt/requests/link.json", "/etc/passwd", options)
            .unwrap();
        let found = requests_of_zip(&zip.finish().unwrap().into_inner()).unwrap();
        let names: Vec<_> = found.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["a.json", "bomb.json"]);
        assert_eq!(found[0].content.as_deref(), Ok(&b"{}"[..]));
        assert!(found[1].content.as_ref().unwrap_err().contains("larger"));
        assert_eq!(requests_of_zip(b"PK junk").unwrap_err().code, Code::UsbFolder);
    }
}
