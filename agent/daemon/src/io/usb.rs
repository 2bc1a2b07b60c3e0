//! A USB disk with a folder `bbt/` (`contract::usb`): what it offers is done in the order unlock → reply → county → ticket.
//!
//! Anybody may have written the disk. What counts is signed; what is not signed (the county) must agree with what the board
//! knows. A board that knows nothing goes by the disk's county while it looks at the disk, and keeps it only if a person asked
//! for that or a ticket was taken. Nothing on it is run, no link is followed, everything is bounded.

mod disk;
mod error;
#[cfg(test)]
pub(crate) mod tests;
mod ticket;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use contract::{
    enrol::{EnrolReply, EnrolmentTicket},
    hardware::Hardware,
    id::DeviceId,
    signed::Signed,
    standing::UnlockOrder,
    usb::{CountyFile, OfflineTicket},
};

use super::{
    enrol::{
        Applicant,
        county::{self, Source},
        in_force,
    },
    tls::TimeFloor,
};
use crate::{
    config::Config,
    files,
    identity::{IdentityFolder, Kept, Provisional},
    messages,
    shelf::{ClassroomChoice, Said},
    standing,
};
use disk::Disk;
pub use error::{Done, UsbError};

/// What came of a disk.
#[derive(Debug, Default)]
pub struct Visit {
    /// What was done, in order.
    pub done: Vec<Done>,
    /// Classrooms to choose from, if that is what is missing.
    pub offered: Vec<ClassroomChoice>,
}

/// A board that looks at disks.
#[derive(Debug, Clone)]
pub struct Board {
    /// The settings.
    pub config: Arc<Config>,
    /// What it is made of.
    pub hardware: Hardware,
    /// Raised by what is verified with keys that did not come with the disk.
    pub floor: TimeFloor,
    /// A person asked for the visit, not the plug of a disk.
    pub by_hand: bool,
}

/// Whom tickets are judged by.
struct Judge {
    county: CountyFile,
    /// The board does not know it but from this disk.
    from_disk: bool,
}

/// A disk as it was looked at the last time, so that the same one is not looked at again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    folder: PathBuf,
    stamp: Vec<(i64, u64)>,
}

/// The disks that are there now, as `bbt/` folders.
pub fn disks(config: &Config) -> Vec<PathBuf> {
    disk::find(&config.usb.roots)
}

/// What the disk looks like now; `None` if it is gone.
pub fn look(folder: &Path) -> Option<Seen> {
    let disk = Disk::open(folder).ok()?;
    Some(Seen {
        folder: folder.to_owned(),
        stamp: disk.stamp(),
    })
}

/// The question for somebody who has to choose.
pub fn say_choose(offered: &[ClassroomChoice]) -> Said {
    let values = [("offered", error::listed(offered))];
    messages::said(|all| &all.usb, "choose", &values)
}

impl Board {
    /// Does what the disk at `folder` (the disk, or its `bbt/`) offers. `choice` is the classroom that somebody chose.
    ///
    /// # Errors
    /// The first thing that could not be done; what was done before it stays done.
    pub fn visit(&self, folder: &Path, choice: Option<&str>) -> Result<Visit, UsbError> {
        let disk = Disk::open(&disk::named(folder))?;
        let identities = IdentityFolder::of(&self.config);
        let mut visit = Visit::default();
        let kept = identities.load().map_err(UsbError::Board)?;
        if let Kept::Locked(lock) = &kept {
            let order = self.unlock(&disk, &lock.device_id)?;
            visit.done.push(Done::Unlocked(order.device_id));
        }
        let provisional = identities.provisional();
        if let Some(provisional) = &provisional
            && let Some(device_id) = self.reply(&disk, provisional)?
        {
            visit.done.push(Done::Enrolled(device_id));
            return Ok(visit);
        }
        if let Some(provisional) = &provisional {
            if let Some(offered) = offered(&disk)? {
                same_county(&provisional.saved.county, &offered)?;
            }
            // A disk on which the request got lost is given it again.
            self.request_again(&disk, provisional)?;
            if visit.done.is_empty() {
                visit.done.push(Done::Waiting);
            }
        } else if let Some(identity) = in_force(&self.config, &identities) {
            if visit.done.is_empty() {
                visit.done.push(Done::Nothing(identity.reply.device_id));
            }
        } else if let Some(judge) = self.judge(&disk)? {
            if judge.from_disk && (self.by_hand || choice.is_some()) {
                self.keep_county(&judge.county, &mut visit)?;
            }
            self.ticket(&disk, &judge, choice, &mut visit)?;
        } else if visit.done.is_empty() {
            return Err(UsbError::NoCounty(disk.path().to_owned()));
        }
        Ok(visit)
    }

    fn unlock(&self, disk: &Disk, device_id: &DeviceId) -> Result<UnlockOrder, UsbError> {
        let name = device_id.as_str();
        let order: Option<Signed<UnlockOrder>> = match disk::is_safe(name) {
            true => read(disk, "unlock", name)?,
            false => None,
        };
        let order = order.ok_or_else(|| UsbError::NoUnlock(device_id.clone()))?;
        let order = standing::unlock(&self.config.data_dir, &order).map_err(UsbError::Unlock)?;
        self.floor.raise(order.issued_at);
        // Asked with as soon as there is a line. Losing it costs a visit to the console, not the unlocking.
        if let Err(error) = keep_ticket(&self.config.data_dir, &order.ticket) {
            tracing::warn!(%error, "could not keep the unlock order's ticket");
        }
        Ok(order)
    }

    fn reply(&self, disk: &Disk, provisional: &Provisional) -> Result<Option<DeviceId>, UsbError> {
        let name = &provisional.saved.name;
        let Some(reply) = read::<Signed<EnrolReply>>(disk, "replies", name)? else {
            return Ok(None);
        };
        let county = &provisional.saved.county;
        let reply = reply.verify(&county.keys).map_err(|error| {
            UsbError::Signature(disk.path().join("replies").join(disk::file(name)), error)
        })?;
        let applicant = self.applicant()?;
        let device_id = reply.device_id.clone();
        applicant
            .keep_now(reply, &county.console_url)
            .map_err(UsbError::Reply)?;
        Ok(Some(device_id))
    }

    /// The board's own county, with which the disk's must agree; else the disk's.
    fn judge(&self, disk: &Disk) -> Result<Option<Judge>, UsbError> {
        let own = county::find(&self.config).map_err(UsbError::County)?;
        let offered = offered(disk)?;
        let county = match (own, offered) {
            (Some((own, _)), None) => own,
            (None, None) => return Ok(None),
            (Some((own, _)), Some(offered)) if county::agree(&own, &offered) => own,
            (None | Some((_, Source::Disk)), Some(county)) => {
                return Ok(Some(Judge {
                    county,
                    from_disk: true,
                }));
            }
            (Some((own, _)), Some(offered)) => return same_county(&own, &offered).map(|()| None),
        };
        Ok(Some(Judge {
            county,
            from_disk: false,
        }))
    }

    fn keep_county(&self, county: &CountyFile, visit: &mut Visit) -> Result<(), UsbError> {
        county::keep(&self.config.data_dir, county).map_err(UsbError::Store)?;
        visit.done.push(Done::County(county.county.clone()));
        Ok(())
    }

    fn applicant(&self) -> Result<Applicant, UsbError> {
        Applicant::new(
            Arc::clone(&self.config),
            self.hardware.clone(),
            self.floor.clone(),
        )
        .map_err(UsbError::Board)
    }
}

/// The disk's county.
fn offered(disk: &Disk) -> Result<Option<CountyFile>, UsbError> {
    let Some(bytes) = disk.read(None, "county.json")? else {
        return Ok(None);
    };
    let path = disk.path().join("county.json");
    county::parse(&bytes)
        .map(Some)
        .map_err(|reason| UsbError::BadFile(path, reason))
}

fn same_county(own: &CountyFile, offered: &CountyFile) -> Result<(), UsbError> {
    if county::agree(own, offered) {
        return Ok(());
    }
    Err(UsbError::OtherCounty {
        ours: own.county.clone(),
        theirs: offered.county.clone(),
    })
}

/// A ticket that waits for a line, brought by an unlock order; removed when it was used or refused.
pub fn waiting_ticket(data_dir: &Path) -> Option<EnrolmentTicket> {
    serde_json::from_slice(&fs::read(data_dir.join(TICKET)).ok()?).ok()
}

/// The waiting ticket is used up or of no use.
pub fn drop_waiting_ticket(data_dir: &Path) {
    let _ = fs::remove_file(data_dir.join(TICKET));
    let _ = files::sync_folder(data_dir);
}

const TICKET: &str = "ticket.json";

fn keep_ticket(data_dir: &Path, ticket: &EnrolmentTicket) -> std::io::Result<()> {
    files::replace(&data_dir.join(TICKET), &serde_json::to_vec_pretty(ticket)?, 0o600)
}

/// A JSON document of one of the disk's folders; `None` if there is none.
fn read<T: serde::de::DeserializeOwned>(
    disk: &Disk,
    folder: &str,
    name: &str,
) -> Result<Option<T>, UsbError> {
    let file = disk::file(name);
    let Some(bytes) = disk.read(Some(folder), &file)? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| UsbError::BadFile(disk.path().join(folder).join(file), error.to_string()))
}

/// What the page and the technician call the place of a ticket.
fn place(ticket: &OfflineTicket) -> String {
    let place = &ticket.placement;
    [place.school.as_str(), place.classroom.as_str()]
        .into_iter()
        .filter(|name| !name.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
