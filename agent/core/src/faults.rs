//! Faults that somebody reported on the page (报修), and what became of them.
//!
//! Chosen from a list, never typed: a sentence could name a pupil. Owns the reports until the console has them, and what it
//! said of their repair last. Knows neither file nor network.

use std::time::Duration;

use contract::{
    id::{BootId, LessonId},
    records::{FaultClass, FaultReport, MAX_FAULTS, Repair, RepairConfirmation, RepairState},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// Reports in an hour; who taps more is told to wait.
const AN_HOUR: usize = 10;
const HOUR: Duration = Duration::from_secs(3600);
/// Reports and confirmations that wait for the console.
const MAX_WAITING: usize = 200;
/// Repairs that are shown.
const MAX_REPAIRS: usize = 50;

/// What can be chosen of each class, in the order of the page.
pub const CLASSES: [(FaultClass, &[&str]); 10] = [
    (FaultClass::Display, &["black", "flicker", "colour", "blurred"]),
    (FaultClass::Touch, &["none", "offset", "part"]),
    (FaultClass::Sound, &["none", "low", "noise"]),
    (FaultClass::Network, &["offline", "slow"]),
    (FaultClass::Power, &["restarts", "off", "slow_start"]),
    (FaultClass::Accessory, &["remote", "pen", "usb", "camera"]),
    (FaultClass::Body, &["loose", "cable", "noise"]),
    (FaultClass::Software, &["hangs", "error", "slow"]),
    (FaultClass::Lesson, &["not_playing", "wrong", "missing"]),
    (FaultClass::Other, &[]),
];

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// Reports, oldest first.
    #[serde(default)]
    pub reports: Vec<KeptReport>,
    /// Confirmations that wait for the console.
    #[serde(default)]
    pub confirmations: Vec<RepairConfirmation>,
    /// What the console said of repairs.
    #[serde(default)]
    pub repairs: Vec<Repair>,
    /// The highest number of a confirmation.
    #[serde(default)]
    pub number: u64,
}

/// A report, and whether the console has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptReport {
    /// The report.
    pub report: FaultReport,
    /// Whether the console has it.
    #[serde(default)]
    pub told: bool,
}

/// What somebody reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// 26 characters that nobody else uses.
    pub id: String,
    /// What is wrong.
    pub class: FaultClass,
    /// What exactly; may be empty.
    pub symptom: String,
    /// The lesson that was open.
    pub lesson: Option<LessonId>,
    /// When, where the clock can be believed.
    pub at: Option<Timestamp>,
    /// The power-up.
    pub boot_id: BootId,
}

/// A report or a word on a repair is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FaultRefusal {
    /// The symptom is not one of its class.
    #[error("the symptom is not one of its class")]
    Symptom,
    /// Too many in an hour, or too many wait for the console.
    #[error("{AN_HOUR} faults were reported within an hour, or {MAX_WAITING} wait for the console")]
    TooMany,
    /// There is no such fault, or nothing is to be said of its repair.
    #[error("there is no such fault, or it was not said to be mended")]
    Unknown,
}

/// Keeps faults until the console has them.
#[derive(Debug, Default)]
pub struct Faults {
    saved: Saved,
    /// When the last ones were reported.
    recent: Vec<Millis>,
}

impl Faults {
    /// Goes on from what was kept.
    pub const fn resume(saved: Saved) -> Self {
        Self {
            saved,
            recent: Vec::new(),
        }
    }

    /// What is to be kept.
    pub const fn saved(&self) -> &Saved {
        &self.saved
    }

    /// Somebody reports a fault.
    ///
    /// # Errors
    /// It is not taken.
    pub fn report(&mut self, wish: Wish, now: Millis) -> Result<(), FaultRefusal> {
        let known = CLASSES.iter().find(|(class, _)| *class == wish.class);
        let fits =
            wish.symptom.is_empty() || known.is_some_and(|(_, list)| list.contains(&wish.symptom.as_str()));
        if !fits {
            return Err(FaultRefusal::Symptom);
        }
        self.recent.retain(|at| now.since(*at) < HOUR);
        let waiting = self.saved.reports.iter().filter(|kept| !kept.told).count();
        if self.recent.len() >= AN_HOUR || waiting >= MAX_WAITING {
            return Err(FaultRefusal::TooMany);
        }
        self.recent.push(now);
        self.saved.reports.push(KeptReport {
            report: FaultReport {
                id: wish.id,
                class: wish.class,
                symptom: wish.symptom,
                lesson: wish.lesson,
                at: wish.at,
                boot_id: wish.boot_id,
                uptime_ms: now.0,
            },
            told: false,
        });
        Ok(())
    }

    /// Somebody says whether a repair that was said to be done is.
    ///
    /// # Errors
    /// It is not taken.
    pub fn confirm(&mut self, fault: &str, fixed: bool, at: Option<Timestamp>) -> Result<(), FaultRefusal> {
        let repair = self.saved.repairs.iter_mut().find(|repair| repair.fault == fault);
        let repair = repair
            .filter(|repair| repair.state == RepairState::Fixed)
            .ok_or(FaultRefusal::Unknown)?;
        if self.saved.confirmations.len() >= MAX_WAITING {
            return Err(FaultRefusal::TooMany);
        }
        // Shown at once; the console's word replaces it.
        repair.state = if fixed {
            RepairState::Confirmed
        } else {
            RepairState::Reopened
        };
        self.saved.number += 1;
        self.saved.confirmations.push(RepairConfirmation {
            fault: fault.to_owned(),
            fixed,
            number: self.saved.number,
            at,
        });
        Ok(())
    }

    /// What the console does not have, as much as one request takes.
    pub fn untold(&self) -> (Vec<FaultReport>, Vec<RepairConfirmation>) {
        let reports = self.saved.reports.iter().filter(|kept| !kept.told);
        let reports: Vec<_> = reports.map(|kept| kept.report.clone()).take(MAX_FAULTS).collect();
        let room = MAX_FAULTS - reports.len();
        (
            reports,
            self.saved.confirmations.iter().take(room).cloned().collect(),
        )
    }

    /// How many reports wait for the console.
    pub fn waiting(&self) -> usize {
        self.saved.reports.iter().filter(|kept| !kept.told).count()
    }

    /// What the console has now, and how repairs stand.
    pub fn told(&mut self, faults: &[String], confirmations: &[(String, u64)], mut repairs: Vec<Repair>) {
        for kept in &mut self.saved.reports {
            kept.told |= faults.contains(&kept.report.id);
        }
        self.saved.confirmations.retain(|c| {
            !confirmations
                .iter()
                .any(|(fault, number)| *fault == c.fault && *number == c.number)
        });
        repairs.truncate(MAX_REPAIRS);
        for repair in &mut repairs {
            repair.note = repair.note.chars().take(200).collect();
            // What somebody said here in the meantime is not on its way back yet.
            if let Some(said) = self.saved.confirmations.iter().rfind(|c| c.fault == repair.fault)
                && repair.state == RepairState::Fixed
            {
                repair.state = if said.fixed {
                    RepairState::Confirmed
                } else {
                    RepairState::Reopened
                };
            }
        }
        self.saved.repairs = repairs;
        // A report is told of for as long as the console speaks of it.
        let repairs = &self.saved.repairs;
        self.saved
            .reports
            .retain(|kept| !kept.told || repairs.iter().any(|repair| repair.fault == kept.report.id));
    }

    /// Reports and how they stand, newest first: those that wait for the console, too.
    pub fn shown(&self) -> impl Iterator<Item = (Option<&FaultReport>, Option<&Repair>)> {
        let report_of = |id: &str| {
            let kept = self.saved.reports.iter().find(|kept| kept.report.id == id);
            kept.map(|kept| &kept.report)
        };
        let known = |id: &str| self.saved.repairs.iter().any(|repair| repair.fault == id);
        let waiting = self
            .saved
            .reports
            .iter()
            .rev()
            .filter(move |kept| !known(&kept.report.id));
        let waiting = waiting.map(|kept| (Some(&kept.report), None));
        let told = self
            .saved
            .repairs
            .iter()
            .map(move |repair| (report_of(&repair.fault), Some(repair)));
        waiting.chain(told)
    }
}
