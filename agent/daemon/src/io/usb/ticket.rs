//! Which of a disk's tickets a board takes, and how it takes it so that no other board does.
//!
//! Order of durable writes, each one safe to be cut after: the pending key (by `Applicant`), `requests/<name>.json` on the
//! disk, the provisional trust on the board. After a cut before the last one the request on the disk holds our key, by
//! which the ticket is found to be ours.

use contract::{
    code::TicketCode,
    signed::Signed,
    usb::{OfflineRequest, OfflineTicket},
};

use super::{
    Board, Done, Judge, UsbError, Visit,
    disk::{self, Disk},
    place, read,
};
use crate::{
    identity::{Provisional, SavedProvisional},
    io::enrol::{Applicant, applicant::public_key_of},
    shelf::ClassroomChoice,
};

/// Most classrooms that the page offers.
const MAX_OFFERED: usize = 300;

struct Found {
    name: String,
    signed: Signed<OfflineTicket>,
    ticket: OfflineTicket,
}

impl Board {
    /// Takes a ticket, or says between which classrooms somebody must choose.
    pub(super) fn ticket(
        &self,
        disk: &Disk,
        judge: &Judge,
        choice: Option<&str>,
        visit: &mut Visit,
    ) -> Result<(), UsbError> {
        let names = disk.names("tickets")?;
        if names.is_empty() {
            if visit.done.is_empty() {
                return Err(UsbError::NoTicket);
            }
            return Ok(());
        }
        if self.hardware.serial.is_empty() {
            return Err(UsbError::NoSerial);
        }
        let applicant = self.applicant()?;
        let mut taken = disk.names("requests")?;
        // Ours already, if the board was switched off after it wrote the request.
        for name in names.intersection(&taken) {
            let ours = read::<OfflineRequest>(disk, "requests", name)
                .ok()
                .flatten()
                .and_then(|held| public_key_of(&held.request.csr_pem).ok())
                .is_some_and(|key| key == applicant.public_key());
            if ours && let Some(found) = self.open(disk, judge, name)? {
                return self.keep(judge, &applicant, found, visit);
            }
        }
        let (mut free, mut refused) = (Vec::new(), None);
        for name in names.difference(&taken) {
            match self.open(disk, judge, name) {
                Ok(Some(found)) => free.push(found),
                Ok(None) => {}
                // One bad file must not keep a school from its tickets.
                Err(error) => {
                    tracing::warn!(%error, "a ticket on the USB disk is passed over");
                    refused = Some(error);
                }
            }
        }
        loop {
            let Some(at) = self.pick(&free, choice)? else {
                if free.is_empty() {
                    return Err(refused.unwrap_or(UsbError::AllTaken));
                }
                visit.offered = offer(&free);
                return Ok(());
            };
            let found = free.swap_remove(at);
            let classroom = Some(found.ticket.classroom_code.as_str()).filter(|code| !code.is_empty());
            let request = OfflineRequest {
                request: applicant.request(&found.ticket.code, classroom),
            };
            if write_request(disk, &found.name, &request)? {
                let name = found.name.clone();
                return self
                    .keep(judge, &applicant, found, visit)
                    .inspect_err(|_| disk.remove("requests", &disk::file(&name)));
            }
            // Another board was faster, or the file is of a name that only differs in case.
            taken.insert(found.name);
        }
    }

    /// The ticket of one file, if this board may use it.
    fn open(&self, disk: &Disk, judge: &Judge, name: &str) -> Result<Option<Found>, UsbError> {
        let Some(signed) = read::<Signed<OfflineTicket>>(disk, "tickets", name)? else {
            return Ok(None);
        };
        let path = || disk.path().join("tickets").join(disk::file(name));
        let ticket = signed
            .verify(&judge.county.keys)
            .map_err(|error| UsbError::Signature(path(), error))?;
        if !judge.from_disk {
            self.floor.raise(ticket.issued_at);
        }
        if ticket.code.parse::<TicketCode>().is_err() {
            return Err(UsbError::BadFile(path(), "its code is none".to_owned()));
        }
        let serial = ticket.serial.as_deref().map(str::trim);
        if serial.is_some_and(|serial| serial != self.hardware.serial) {
            return Ok(None);
        }
        Ok(Some(Found {
            name: name.to_owned(),
            signed,
            ticket,
        }))
    }

    /// Bound to this board; else the one chosen; else the only one left.
    fn pick(&self, free: &[Found], choice: Option<&str>) -> Result<Option<usize>, UsbError> {
        if let Some(bound) = free.iter().position(|found| found.ticket.serial.is_some()) {
            return Ok(Some(bound));
        }
        let Some(choice) = choice.map(str::trim).filter(|choice| !choice.is_empty()) else {
            return Ok((free.len() == 1).then_some(0));
        };
        let by_name = free.iter().position(|found| found.name == choice);
        let mut by_code = (0..free.len()).filter(|at| free[*at].ticket.classroom_code == choice);
        match (by_name, by_code.next(), by_code.next()) {
            (Some(at), ..) | (None, Some(at), None) => Ok(Some(at)),
            _ => Err(UsbError::NoSuchClassroom {
                choice: choice.chars().take(60).collect(),
                offered: offer(free),
            }),
        }
    }

    fn keep(
        &self,
        judge: &Judge,
        applicant: &Applicant,
        found: Found,
        visit: &mut Visit,
    ) -> Result<(), UsbError> {
        let place = place(&found.ticket);
        let classroom = Some(found.ticket.classroom_code.as_str()).filter(|code| !code.is_empty());
        let saved = SavedProvisional {
            county: judge.county.clone(),
            request: applicant.request(&found.ticket.code, classroom),
            name: found.name,
            ticket: found.signed,
        };
        applicant
            .folder()
            .store_provisional(&saved)
            .map_err(UsbError::Store)?;
        // With the provisional trust the county is known anyhow; afterwards the typed code and the QR code need it.
        if judge.from_disk && !visit.done.iter().any(|done| matches!(done, Done::County(_))) {
            self.keep_county(&judge.county, visit)?;
        }
        visit.done.push(Done::Provisional(place));
        Ok(())
    }

    /// Writes the request of a ticket that was taken earlier, if the disk is the ticket's and lacks it.
    pub(super) fn request_again(&self, disk: &Disk, provisional: &Provisional) -> Result<(), UsbError> {
        let saved = &provisional.saved;
        let lacks =
            disk.names("tickets")?.contains(&saved.name) && !disk.names("requests")?.contains(&saved.name);
        if lacks {
            let request = OfflineRequest {
                request: saved.request.clone(),
            };
            write_request(disk, &saved.name, &request)?;
        }
        Ok(())
    }
}

fn write_request(disk: &Disk, name: &str, request: &OfflineRequest) -> Result<bool, UsbError> {
    let json = serde_json::to_vec_pretty(request).map_err(|error| UsbError::Board(error.into()))?;
    disk.write_new("requests", &disk::file(name), &json)
}

/// By code where that says which one it is, else by the ticket's name.
fn offer(free: &[Found]) -> Vec<ClassroomChoice> {
    let count = |code: &str| free.iter().filter(|f| f.ticket.classroom_code == code).count();
    let mut offered: Vec<_> = free
        .iter()
        .map(|found| {
            let (code, place) = (&found.ticket.classroom_code, &found.ticket.placement);
            let clear = !code.is_empty() && count(code) == 1;
            ClassroomChoice {
                code: if clear { code.clone() } else { found.name.clone() },
                name: place.classroom.clone(),
                school: place.school.clone(),
            }
        })
        .collect();
    offered.sort_by(|a, b| (&a.school, &a.code).cmp(&(&b.school, &b.code)));
    offered.truncate(MAX_OFFERED);
    offered
}
