//! What a board's record of an exam proves. Knows no database and no clock.

use contract::{
    hash::Hash,
    records::{MAX_SILENCE_ENTRIES, SilenceKind, SilenceRecord},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a classroom was in an exam. The order is that of what needs a look first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SilenceVerdict)]
pub enum Verdict {
    /// 未能静音: the loudspeaker could not be muted, by the board's own word.
    NotMuted,
    /// 未知: nothing that could be believed was told.
    Unknown,
    /// The exam is not over there, or its end has not been told yet.
    Running,
    /// 有声（允许的听力）: listening audio was played, and nothing else.
    AllowedAudio,
    /// 静默.
    Silent,
}

/// Why nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// The board told nothing of the exam: it was off, or has not been heard since.
    NoRecord,
    /// The record was never closed: the board went off and has not been heard since.
    NotClosed,
    /// The loudspeaker could not be asked even once.
    NotChecked,
    /// The record contradicts itself or an earlier one.
    ChainBroken,
}

/// Whether a record is what the board wrote, entry by entry.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ChainState {
    /// It contradicts its chain, or what the board told before.
    Broken,
    /// It is longer than a board tells, or has words that this console does not know; what is there fits what was told
    /// before.
    Partial,
    /// Every entry is in the chain.
    #[default]
    Intact,
}

/// What counts of a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The board closed it.
    pub closed: bool,
    /// Times that the loudspeaker could not be muted.
    pub not_muted: u32,
    /// Times that it was found not mute and muted again.
    pub mended: u32,
    /// Checks that found it mute.
    pub checked: u32,
    /// Times that listening audio was played.
    pub audio_played: u32,
    /// Things that were held back.
    pub held_back: u32,
    /// Times that the board was switched on within the exam.
    pub powered_on: u32,
    /// Whether the chain fits.
    pub chain: ChainState,
}

impl Facts {
    /// What counts of `record`; `before` is what the same board told of the same exam, if anything. A record only ever
    /// grows, so one has to begin with the other, and what was found broken stays so.
    pub fn of(record: &SilenceRecord, before: Option<(&SilenceRecord, &Self)>) -> Self {
        let count = |kind| record.entries.iter().filter(|entry| entry.kind == kind).count();
        let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let torn = before.is_some_and(|(before, facts)| {
            facts.chain == ChainState::Broken || !one_begins_with_the_other(record, before)
        });
        Self {
            closed: record.closed,
            not_muted: small(count(SilenceKind::NotMuted)),
            mended: small(count(SilenceKind::Mended)).max(record.checks.mended),
            checked: record.checks.mute.saturating_add(record.checks.mended),
            audio_played: small(count(SilenceKind::AudioPlayed)),
            held_back: record
                .refused
                .values()
                .fold(0, |sum: u32, count| sum.saturating_add(*count)),
            powered_on: small(count(SilenceKind::PoweredOn)),
            chain: if torn { ChainState::Broken } else { chain(record) },
        }
    }

    /// What it proves; `over` says whether the exam is over by the console's clock.
    pub fn verdict(&self, over: bool) -> (Verdict, Option<Doubt>) {
        let unknown = |doubt| (Verdict::Unknown, Some(doubt));
        // A board that says so of itself is believed, whatever else is wrong.
        if self.not_muted > 0 {
            return (Verdict::NotMuted, None);
        }
        if self.chain == ChainState::Broken {
            return unknown(Doubt::ChainBroken);
        }
        if !self.closed {
            return if over {
                unknown(Doubt::NotClosed)
            } else {
                (Verdict::Running, None)
            };
        }
        if self.checked == 0 {
            return unknown(Doubt::NotChecked);
        }
        if self.audio_played > 0 {
            (Verdict::AllowedAudio, None)
        } else {
            (Verdict::Silent, None)
        }
    }
}

/// Of a board that told nothing.
pub const fn untold(over: bool) -> (Verdict, Option<Doubt>) {
    if over {
        (Verdict::Unknown, Some(Doubt::NoRecord))
    } else {
        (Verdict::Running, None)
    }
}

fn chain(record: &SilenceRecord) -> ChainState {
    let unread = record
        .entries
        .iter()
        .any(|entry| entry.kind == SilenceKind::Other);
    if unread || record.entries.len() >= MAX_SILENCE_ENTRIES {
        return ChainState::Partial;
    }
    // No entries: the chain is its begin.
    let expected = SilenceRecord::chain_of(&record.entries).unwrap_or(Hash([0; 32]));
    if expected == record.chain {
        ChainState::Intact
    } else {
        ChainState::Broken
    }
}

fn one_begins_with_the_other(a: &SilenceRecord, b: &SilenceRecord) -> bool {
    a.entries.iter().zip(&b.entries).all(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    use contract::{
        id::BootId,
        records::{SilenceChecks, SilenceEntry},
    };
    use jiff::Timestamp;

    use super::*;

    fn entry(kind: SilenceKind, uptime_ms: u64) -> SilenceEntry {
        SilenceEntry {
            at: None,
            boot_id: BootId::new("b1").unwrap(),
            uptime_ms,
            kind,
            detail: String::new(),
        }
    }

    fn record(kinds: &[SilenceKind], closed: bool) -> SilenceRecord {
        let entries: Vec<_> = kinds.iter().zip(1..).map(|(kind, at)| entry(*kind, at)).collect();
        SilenceRecord {
            exam: "e-1".into(),
            name: "期中".into(),
            from: Timestamp::UNIX_EPOCH,
            to: Timestamp::UNIX_EPOCH,
            revision: entries.len() as u64,
            closed,
            chain: SilenceRecord::chain_of(&entries).unwrap(),
            entries,
            refused: [("notice".to_owned(), 3), ("command".to_owned(), 1)].into(),
            checks: SilenceChecks {
                mute: 100,
                mended: 0,
                unknown: 0,
            },
        }
    }

    fn verdict(record: &SilenceRecord) -> (Verdict, Option<Doubt>) {
        Facts::of(record, None).verdict(true)
    }

    #[test]
    fn silence_is_a_closed_record_of_checks_that_found_the_loudspeaker_mute() {
        use SilenceKind as K;
        let good = record(&[K::Began, K::Muted, K::NoticeHeld, K::Ended], true);
        assert_eq!(verdict(&good), (Verdict::Silent, None));
        assert_eq!(Facts::of(&good, None).held_back, 4);
        let audio = record(
            &[
                K::Began,
                K::Muted,
                K::AudioOpened,
                K::AudioPlayed,
                K::AudioClosed,
                K::Ended,
            ],
            true,
        );
        assert_eq!(verdict(&audio), (Verdict::AllowedAudio, None));
        let opened_only = record(
            &[K::Began, K::Muted, K::AudioOpened, K::AudioClosed, K::Ended],
            true,
        );
        assert_eq!(verdict(&opened_only), (Verdict::Silent, None));
        let loud = record(&[K::Began, K::NotMuted], false);
        assert_eq!(verdict(&loud), (Verdict::NotMuted, None));
        let open = record(&[K::Began, K::Muted], false);
        assert_eq!(verdict(&open), (Verdict::Unknown, Some(Doubt::NotClosed)));
        assert_eq!(Facts::of(&open, None).verdict(false), (Verdict::Running, None));
        let mut deaf = good.clone();
        deaf.checks = SilenceChecks {
            mute: 0,
            mended: 0,
            unknown: 90,
        };
        assert_eq!(verdict(&deaf), (Verdict::Unknown, Some(Doubt::NotChecked)));
        assert_eq!(untold(true), (Verdict::Unknown, Some(Doubt::NoRecord)));
        assert_eq!(untold(false), (Verdict::Running, None));
    }

    #[test]
    fn a_record_that_was_changed_on_the_way_proves_nothing() {
        use SilenceKind as K;
        let good = record(&[K::Began, K::Muted, K::Mended, K::Ended], true);
        for at in 0..good.entries.len() {
            let mut shorter = good.clone();
            shorter.entries.remove(at);
            assert_eq!(verdict(&shorter), (Verdict::Unknown, Some(Doubt::ChainBroken)));
            let mut other = good.clone();
            other.entries[at].detail = "x".into();
            assert_eq!(Facts::of(&other, None).chain, ChainState::Broken);
        }
        // Written anew with a chain that fits: it no longer begins as it did.
        let before = record(&[K::Began, K::Muted, K::PlayRefused], false);
        let facts = Facts::of(&before, None);
        assert_eq!(
            Facts::of(&good, Some((&before, &facts))).chain,
            ChainState::Broken
        );
        let grown = record(&[K::Began, K::Muted, K::PlayRefused, K::Ended], true);
        let grown_facts = Facts::of(&grown, Some((&before, &facts)));
        assert_eq!(grown_facts.chain, ChainState::Intact);
        // And the other way round, should the older word come later.
        assert_eq!(
            Facts::of(&before, Some((&grown, &grown_facts))).chain,
            ChainState::Intact
        );
        let broken = Facts {
            chain: ChainState::Broken,
            ..facts
        };
        assert_eq!(
            Facts::of(&grown, Some((&before, &broken))).chain,
            ChainState::Broken,
            "once torn it stays so"
        );
    }

    #[test]
    fn what_is_longer_than_a_board_tells_or_has_newer_words_is_checked_as_far_as_it_goes() {
        let long = record(&[SilenceKind::PlayRefused; MAX_SILENCE_ENTRIES], true);
        assert_eq!(Facts::of(&long, None).chain, ChainState::Partial);
        let newer = record(&[SilenceKind::Began, SilenceKind::Other], true);
        assert_eq!(Facts::of(&newer, None).chain, ChainState::Partial);
        assert_eq!(verdict(&newer), (Verdict::Silent, None));
    }
}
