//! The record of silence: what is noted, how often, and what of it the console has.

use serde::{Deserialize, Serialize};

use contract::{hash::Hash, records::MAX_SILENCE_ENTRIES};

use super::{Exam, ExamWindow, SilenceChecks, SilenceEntry, SilenceKind, SilenceRecord, name_of};

/// Entries of one kind of thing; more are only counted.
const MOST_OF_A_KIND: usize = 60;
/// Kept free for how it ended.
const RESERVED: usize = 20;
/// Records that wait for the console; more let the oldest closed one go.
const MOST_RECORDS: usize = 40;
/// Records that the console has and that are still counted on.
const REMEMBERED: usize = 8;
/// Longest detail in characters.
const DETAIL: usize = 80;

/// A record, and which revision of it the console has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The record.
    pub record: SilenceRecord,
    /// 0 is none.
    #[serde(default)]
    pub told: u64,
}

impl Exam {
    /// Records that the console does not have as they are, oldest first.
    pub fn untold(&self) -> impl Iterator<Item = &SilenceRecord> {
        self.records
            .iter()
            .filter(|kept| kept.record.revision > kept.told)
            .map(|kept| &kept.record)
    }

    /// The console has this revision of an exam's record.
    pub fn told(&mut self, exam: &str, revision: u64) {
        for kept in &mut self.records {
            if kept.record.exam == exam && revision > kept.told {
                kept.told = revision;
                self.dirty = true;
            }
        }
        // One that was told counts on if the exam comes back.
        let done = |kept: &Kept| kept.record.closed && kept.told >= kept.record.revision;
        let mut excess = self
            .records
            .iter()
            .filter(|kept| done(kept))
            .count()
            .saturating_sub(REMEMBERED);
        self.records.retain(|kept| {
            let goes = excess > 0 && done(kept);
            excess -= usize::from(goes);
            !goes
        });
        self.keep();
    }

    /// The record of the exam that is on.
    pub(super) fn record(&mut self) -> Option<&mut SilenceRecord> {
        let window = &self.on.as_ref()?.window;
        let name = name_of(window);
        if !self.records.iter().any(|kept| kept.record.exam == name) {
            if self.records.len() >= MOST_RECORDS {
                self.records.remove(0);
            }
            self.records.push(Kept {
                record: SilenceRecord {
                    exam: name.clone(),
                    name: window.name.clone(),
                    from: window.from,
                    to: window.to,
                    revision: 0,
                    closed: false,
                    entries: Vec::new(),
                    refused: Default::default(),
                    checks: SilenceChecks::default(),
                    chain: Hash([0; 32]),
                },
                told: 0,
            });
        }
        let found = self.records.iter_mut().find(|kept| kept.record.exam == name);
        found.map(|kept| &mut kept.record)
    }

    /// Notes something down. What happens too often is only counted, so that the chain stays that of the entries told.
    pub(super) fn entry(&mut self, kind: SilenceKind, detail: &str) {
        let entry = SilenceEntry {
            at: self.seen.time,
            boot_id: self.boot_id.clone(),
            uptime_ms: self.now.0,
            kind,
            detail: detail.chars().filter(|c| !c.is_control()).take(DETAIL).collect(),
        };
        self.dirty = true;
        let Some(record) = self.record() else { return };
        record.closed = false;
        record.revision += 1;
        if is_refusal(kind) {
            *record.refused.entry(word(kind).to_owned()).or_default() += 1;
        }
        let ends = matches!(
            kind,
            SilenceKind::Ended | SilenceKind::Changed | SilenceKind::AudioClosed
        );
        let of_kind = record.entries.iter().filter(|e| e.kind == kind).count();
        let room = MAX_SILENCE_ENTRIES - if ends { 0 } else { RESERVED };
        let full = of_kind >= MOST_OF_A_KIND || record.entries.len() >= room;
        if full {
            return;
        }
        if let Ok(chain) = SilenceRecord::link(record.chain, &entry) {
            record.chain = chain;
            record.entries.push(entry);
        }
    }

    /// Counts a check.
    pub(super) fn count(&mut self, how: impl FnOnce(&mut SilenceChecks)) {
        if let Some(record) = self.record() {
            how(&mut record.checks);
        }
    }

    /// The counts changed.
    pub(super) fn touch(&mut self) {
        if let Some(record) = self.record() {
            record.revision += 1;
        }
    }

    /// The exam was moved.
    pub(super) fn rename(&mut self) {
        let Some((from, to, name)) = self.on.as_ref().map(|on| {
            let w = &on.window;
            (w.from, w.to, w.name.clone())
        }) else {
            return;
        };
        if let Some(record) = self.record() {
            (record.from, record.to, record.name) = (from, to, name);
        }
    }

    /// The exam is over, and so is its record.
    pub(super) fn finish(&mut self, window: &ExamWindow) {
        let name = name_of(window);
        let entry = SilenceEntry {
            at: self.seen.time,
            boot_id: self.boot_id.clone(),
            uptime_ms: self.now.0,
            kind: SilenceKind::Ended,
            detail: String::new(),
        };
        let Some(kept) = self.records.iter_mut().find(|kept| kept.record.exam == name) else {
            return;
        };
        let record = &mut kept.record;
        record.revision += 1;
        record.closed = true;
        if record.entries.len() < MAX_SILENCE_ENTRIES
            && let Ok(chain) = SilenceRecord::link(record.chain, &entry)
        {
            record.chain = chain;
            record.entries.push(entry);
        }
    }
}

/// What was held back or refused.
const fn is_refusal(kind: SilenceKind) -> bool {
    matches!(
        kind,
        SilenceKind::NoticeHeld
            | SilenceKind::CommandHeld
            | SilenceKind::UpdateHeld
            | SilenceKind::PlayRefused
            | SilenceKind::DiskIgnored
            | SilenceKind::PinWrong
    )
}

/// As it stands in JSON.
const fn word(kind: SilenceKind) -> &'static str {
    match kind {
        SilenceKind::NoticeHeld => "notice_held",
        SilenceKind::CommandHeld => "command_held",
        SilenceKind::UpdateHeld => "update_held",
        SilenceKind::PlayRefused => "play_refused",
        SilenceKind::DiskIgnored => "disk_ignored",
        SilenceKind::PinWrong => "pin_wrong",
        _ => "other",
    }
}
