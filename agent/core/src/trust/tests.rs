//! A table of attacks and mishaps after the conformance cases of The Update Framework, each with its name.

use std::time::Duration;

use contract::{
    id::KeyId,
    lesson::Licence,
    trust::{Threshold, TrustBundle},
};
use ed25519_dalek::SigningKey;

use super::*;
use crate::time::Millis;

const CONTENT: u8 = 101;
const COMMAND: u8 = 102;
const TIME: u8 = 103;
const SNAPSHOT: u8 = 104;
const OTHER_SNAPSHOT: u8 = 114;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn id(seed: u8) -> KeyId {
    KeyId::new(format!("k{seed}")).unwrap()
}

fn trusted(seed: u8, role: KeyRole) -> TrustedKey {
    TrustedKey::of(id(seed), role, &key(seed))
}

fn at(day: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + day * 86_400).unwrap()
}

fn lesson(name: &str) -> LessonId {
    LessonId::new(name).unwrap()
}

fn online() -> Vec<TrustedKey> {
    vec![
        trusted(CONTENT, KeyRole::Content),
        trusted(COMMAND, KeyRole::Command),
        trusted(TIME, KeyRole::Time),
    ]
}

/// A root with these root keys, `threshold` of which must sign, good until day 1,000.
fn root(version: u32, roots: &[u8], threshold: u32) -> TrustRoot {
    let mut keys: Vec<_> = roots.iter().map(|seed| trusted(*seed, KeyRole::Root)).collect();
    keys.extend(online());
    keys.push(trusted(SNAPSHOT, KeyRole::Snapshot));
    TrustRoot {
        version,
        issued_at: at(0),
        expires_at: at(1_000),
        keys,
        thresholds: vec![Threshold {
            role: KeyRole::Root,
            keys: threshold,
        }],
    }
}

fn with_snapshot_key(mut root: TrustRoot, seed: u8) -> TrustRoot {
    root.keys.retain(|key| key.role != KeyRole::Snapshot);
    root.keys.push(trusted(seed, KeyRole::Snapshot));
    root
}

fn by<T: SignedBody>(body: &T, seeds: &[u8]) -> Signed<T> {
    let mut document = Signed::sign(body, id(seeds[0]), &key(seeds[0])).unwrap();
    for seed in &seeds[1..] {
        document.co_sign(id(*seed), &key(*seed));
    }
    document
}

fn snapshot(version: u64, expires: i64, withdrawn: &[(&str, u32)]) -> Snapshot {
    Snapshot {
        version,
        issued_at: at(1),
        expires_at: at(expires),
        withdrawn: withdrawn
            .iter()
            .map(|(name, up_to_version)| Withdrawal {
                lesson: lesson(name),
                up_to_version: *up_to_version,
                at: at(1),
            })
            .collect(),
    }
}

fn bundle(roots: Vec<Signed<TrustRoot>>, snapshot: Option<Signed<Snapshot>>) -> TrustBundle {
    TrustBundle { roots, snapshot }
}

fn only(snapshot: Signed<Snapshot>) -> TrustBundle {
    bundle(vec![], Some(snapshot))
}

fn nothing() -> Trust {
    Trust::resume(None, online(), None, 1)
}

/// Root 1 (keys 1, one must sign) and snapshot 5, good until day 100, which withdrew `bad` up to version 2.
fn house() -> Trust {
    let first = bundle(
        vec![by(&root(1, &[1], 1), &[1])],
        Some(by(&snapshot(5, 100, &[("bad", 2)]), &[SNAPSHOT])),
    );
    let trust = Trust::resume(None, online(), Some(&first), 1);
    assert_eq!((trust.root_version(), trust.snapshot_version()), (1, 5));
    trust
}

fn offer(trust: &mut Trust, bundle: &TrustBundle) -> Offered {
    trust.offer(bundle, Bringer::Console)
}

/// It was refused as a whole, and nothing moved.
fn unmoved(trust: &mut Trust, bundle: &TrustBundle) -> Refused {
    let before = trust.saved();
    let offered = offer(trust, bundle);
    assert!(!offered.changed());
    assert_eq!(trust.saved(), before);
    offered.refused.unwrap()
}

// The first root.

#[test]
fn enrolment_brings_the_first_root() {
    assert_eq!(house().keys().len(), 5);
}

#[test]
fn a_later_root_may_be_the_first_one() {
    let first = bundle(vec![by(&root(7, &[1], 1), &[1])], None);
    assert_eq!(Trust::resume(None, online(), Some(&first), 1).root_version(), 7);
}

#[test]
fn the_console_brings_the_first_root_if_it_names_our_keys() {
    let mut trust = nothing();
    let offered = offer(&mut trust, &bundle(vec![by(&root(1, &[1], 1), &[1])], None));
    assert_eq!((offered.roots, trust.root_version()), (1, 1));
}

#[test]
fn the_console_brings_the_first_root_if_a_later_one_names_our_keys() {
    // Our keys are those of version 2: enrolled after a rotation by a console that sent no roots.
    let mut old = root(1, &[1], 1);
    old.keys.retain(|key| key.role != KeyRole::Command);
    old.keys.push(trusted(112, KeyRole::Command));
    let mut trust = nothing();
    let roots = vec![by(&old, &[1]), by(&root(2, &[1], 1), &[1])];
    assert_eq!(offer(&mut trust, &bundle(roots, None)).roots, 2);
}

#[test]
fn a_first_root_of_another_county_is_refused() {
    let mut foreign = root(1, &[1], 1);
    foreign.keys.retain(|key| key.role != KeyRole::Content);
    foreign.keys.push(trusted(90, KeyRole::Content));
    let refused = unmoved(&mut nothing(), &bundle(vec![by(&foreign, &[1])], None));
    assert!(matches!(refused, Refused::NoAnchor(_)));
}

#[test]
fn a_disk_brings_no_first_root() {
    let offered = nothing().offer(
        &bundle(vec![by(&root(1, &[1], 1), &[1])], None),
        Bringer::Stranger,
    );
    assert!(matches!(offered.refused, Some(Refused::NoAnchor(_))) && offered.roots == 0);
}

#[test]
fn a_message_brings_no_first_root_and_the_answer_over_https_does() {
    // It names the keys of our enrolment, which are public: whoever can write to the topic can make such a root.
    let forged = bundle(vec![by(&root(1, &[66], 1), &[66])], None);
    let mut trust = nothing();
    let before = trust.saved();
    let offered = trust.offer(&forged, Bringer::Broker);
    assert!(matches!(offered.refused, Some(Refused::NoAnchor(_))) && !offered.changed());
    assert_eq!(trust.saved(), before);
    // It asks instead, and the answer is the anchor.
    trust.heard(false, at(0), Millis(0));
    assert_eq!(trust.ask(Millis(50_000)), Some(0));
    offer(&mut trust, &bundle(vec![by(&root(1, &[1], 1), &[1])], None));
    assert_eq!(trust.root_version(), 1);
    // From then on messages continue what is held.
    let next = bundle(vec![by(&root(2, &[1], 1), &[1])], None);
    assert_eq!(trust.offer(&next, Bringer::Broker).roots, 1);
}

#[test]
fn a_first_root_that_nobody_signed_is_refused() {
    let refused = unmoved(&mut nothing(), &bundle(vec![by(&root(1, &[1], 1), &[9])], None));
    assert!(matches!(refused, Refused::Root(_)));
}

#[test]
fn a_first_root_below_its_own_threshold_is_refused() {
    let refused = unmoved(
        &mut nothing(),
        &bundle(vec![by(&root(1, &[1, 2], 2), &[1])], None),
    );
    assert!(matches!(refused, Refused::Root(_)));
}

#[test]
fn a_snapshot_without_any_root_is_refused() {
    let refused = unmoved(&mut nothing(), &only(by(&snapshot(9, 100, &[]), &[SNAPSHOT])));
    assert!(matches!(refused, Refused::NoRoot));
}

#[test]
fn an_older_console_leaves_the_keys_of_enrolment_in_force() {
    let mut trust = nothing();
    assert!(!offer(&mut trust, &TrustBundle::default()).changed());
    assert_eq!(trust.keys(), online());
    assert!(!trust.is_stale(at(9_000)));
}

// Roots in a row.

#[test]
fn the_next_root_is_followed() {
    let mut trust = house();
    let offered = offer(&mut trust, &bundle(vec![by(&root(2, &[1], 1), &[1])], None));
    assert!(offered.refused.is_none() && trust.root_version() == 2);
}

#[test]
fn five_rotations_of_the_root_key_are_followed_at_once() {
    let mut trust = house();
    let roots = (2..=6)
        .map(|version| {
            let (old, new) = (version as u8 - 1, version as u8);
            by(&root(version, &[new], 1), &[old, new])
        })
        .collect();
    assert_eq!(offer(&mut trust, &bundle(roots, None)).roots, 5);
    assert_eq!(trust.root_version(), 6);
}

#[test]
fn a_rotation_signed_by_the_old_key_alone_is_refused() {
    let refused = unmoved(&mut house(), &bundle(vec![by(&root(2, &[2], 1), &[1])], None));
    assert!(matches!(refused, Refused::Root(_)));
}

#[test]
fn a_rotation_signed_by_the_new_key_alone_is_refused() {
    let refused = unmoved(&mut house(), &bundle(vec![by(&root(2, &[2], 1), &[2])], None));
    assert!(matches!(refused, Refused::Root(_)));
}

#[test]
fn a_root_that_skips_a_version_is_asked_for_again() {
    let refused = unmoved(&mut house(), &bundle(vec![by(&root(3, &[1], 1), &[1])], None));
    assert!(matches!(refused, Refused::Gap { held: 1, found: 3 }));
}

#[test]
fn a_gap_in_the_middle_keeps_what_came_before_it() {
    let mut trust = house();
    let roots = vec![by(&root(2, &[1], 1), &[1]), by(&root(4, &[1], 1), &[1])];
    let offered = offer(&mut trust, &bundle(roots, None));
    assert!(matches!(
        offered.refused,
        Some(Refused::Gap { held: 2, found: 4 })
    ));
    assert_eq!(trust.root_version(), 2);
}

#[test]
fn a_rolled_back_root_changes_nothing() {
    let mut trust = house();
    offer(&mut trust, &bundle(vec![by(&root(2, &[1], 1), &[1])], None));
    let before = trust.saved();
    let offered = offer(&mut trust, &bundle(vec![by(&root(1, &[1], 1), &[1])], None));
    assert!(!offered.changed() && trust.saved() == before);
}

#[test]
fn another_root_of_the_same_version_changes_nothing() {
    let mut trust = house();
    let before = trust.saved();
    let other = root(1, &[1, 9], 1);
    assert!(!offer(&mut trust, &bundle(vec![by(&other, &[1, 9])], None)).changed());
    assert_eq!(trust.saved(), before);
}

#[test]
fn two_of_three_must_sign_the_next_root() {
    let first = bundle(vec![by(&root(1, &[1, 2, 3], 2), &[1, 2])], None);
    let mut trust = Trust::resume(None, online(), Some(&first), 1);
    let next = root(2, &[1, 2, 3], 2);
    let refused = unmoved(&mut trust, &bundle(vec![by(&next, &[3])], None));
    assert!(matches!(
        refused,
        Refused::Root(RootError::Signature(SignatureError::TooFew {
            found: 1,
            needed: 2,
            ..
        }))
    ));
    assert_eq!(
        offer(&mut trust, &bundle(vec![by(&next, &[3, 1])], None)).roots,
        1
    );
}

#[test]
fn one_key_under_two_names_counts_once() {
    let mut twice = root(1, &[1, 2], 2);
    twice.keys.push(TrustedKey::of(id(77), KeyRole::Root, &key(1)));
    let first = bundle(vec![by(&twice, &[1, 2])], None);
    let mut trust = Trust::resume(None, online(), Some(&first), 1);
    let next = TrustRoot { version: 2, ..twice };
    let mut document = by(&next, &[1]);
    document.co_sign(id(77), &key(1));
    assert!(matches!(
        unmoved(&mut trust, &bundle(vec![document], None)),
        Refused::Root(_)
    ));
}

#[test]
fn the_same_signature_twice_counts_once() {
    let first = bundle(vec![by(&root(1, &[1, 2], 2), &[1, 2])], None);
    let mut trust = Trust::resume(None, online(), Some(&first), 1);
    let mut text = serde_json::to_value(by(&root(2, &[1, 2], 2), &[1])).unwrap();
    let again = text["signatures"][0].clone();
    text["signatures"].as_array_mut().unwrap().push(again);
    let document = serde_json::from_value(text).unwrap();
    assert!(matches!(
        unmoved(&mut trust, &bundle(vec![document], None)),
        Refused::Root(_)
    ));
}

#[test]
fn a_threshold_of_nought_is_one() {
    let first = root(1, &[1], 0);
    let refused = unmoved(&mut nothing(), &bundle(vec![by(&first, &[9])], None));
    assert!(matches!(refused, Refused::Root(_)));
}

#[test]
fn a_root_whose_threshold_cannot_be_reached_is_refused() {
    let refused = unmoved(&mut house(), &bundle(vec![by(&root(2, &[1], 2), &[1])], None));
    assert!(matches!(refused, Refused::Root(RootError::Unfillable { .. })));
}

#[test]
fn a_root_without_a_key_for_snapshots_is_refused() {
    let mut next = root(2, &[1], 1);
    next.keys.retain(|key| key.role != KeyRole::Snapshot);
    let refused = unmoved(&mut house(), &bundle(vec![by(&next, &[1])], None));
    assert!(matches!(refused, Refused::Root(RootError::Unfillable { .. })));
}

#[test]
fn an_online_key_signs_no_root() {
    // Whoever takes the server has these, and no root key.
    for seed in [CONTENT, COMMAND, TIME, SNAPSHOT] {
        let refused = unmoved(&mut house(), &bundle(vec![by(&root(2, &[1], 1), &[seed])], None));
        assert!(matches!(refused, Refused::Root(_)), "{seed}");
    }
}

#[test]
fn a_key_that_calls_itself_the_root_key_signs_no_root() {
    let forged = Signed::sign(&root(2, &[1], 1), id(1), &key(66)).unwrap();
    let refused = unmoved(&mut house(), &bundle(vec![forged], None));
    assert!(matches!(
        refused,
        Refused::Root(RootError::Signature(SignatureError::Mismatch { .. }))
    ));
}

#[test]
fn one_bad_signature_beside_a_good_one_refuses_the_root() {
    let first = bundle(vec![by(&root(1, &[1, 2], 1), &[1])], None);
    let mut trust = Trust::resume(None, online(), Some(&first), 1);
    let mut document = by(&root(2, &[1, 2], 1), &[1]);
    document.co_sign(id(2), &key(66));
    assert!(matches!(
        unmoved(&mut trust, &bundle(vec![document], None)),
        Refused::Root(_)
    ));
}

#[test]
fn a_changed_root_is_refused() {
    let text = serde_json::to_string(&by(&root(2, &[1], 1), &[1])).unwrap();
    let document = serde_json::from_str(&text.replace("\\\"version\\\":2", "\\\"version\\\":2 ")).unwrap();
    let refused = unmoved(&mut house(), &bundle(vec![document], None));
    assert!(matches!(
        refused,
        Refused::Root(RootError::Signature(SignatureError::Mismatch { .. }))
    ));
}

#[test]
fn a_dropped_root_key_signs_nothing_any_more() {
    let mut trust = house();
    offer(&mut trust, &bundle(vec![by(&root(2, &[2], 1), &[1, 2])], None));
    let refused = unmoved(&mut trust, &bundle(vec![by(&root(3, &[1], 1), &[1])], None));
    assert!(matches!(refused, Refused::Root(_)));
}

#[test]
fn roots_without_end_are_not_read() {
    let roots = vec![by(&root(2, &[1], 1), &[1]); MAX_ROOTS + 1];
    let refused = unmoved(&mut house(), &bundle(roots, None));
    assert!(matches!(refused, Refused::TooManyRoots(257)));
}

#[test]
fn a_root_in_force_may_be_repeated_in_front_of_the_next() {
    let mut trust = house();
    let roots = vec![by(&root(1, &[1], 1), &[1]), by(&root(2, &[1], 1), &[1])];
    let offered = offer(&mut trust, &bundle(roots, None));
    assert!(offered.roots == 1 && offered.refused.is_none());
}

#[test]
fn a_disk_may_bring_the_next_root() {
    let mut trust = house();
    let offered = trust.offer(
        &bundle(vec![by(&root(2, &[1], 1), &[1])], None),
        Bringer::Stranger,
    );
    assert_eq!(offered.roots, 1);
}

#[test]
fn an_expired_root_is_still_followed_to_the_next() {
    // A device that slept for years: expiry keeps disks out, not the way back.
    let mut trust = house();
    assert!(trust.is_stale(at(2_000)));
    let mut next = root(2, &[1], 1);
    next.expires_at = at(3_000);
    let fresh = by(&snapshot(6, 3_000, &[]), &[SNAPSHOT]);
    offer(&mut trust, &bundle(vec![by(&next, &[1])], Some(fresh)));
    assert!(!trust.is_stale(at(2_000)));
}

// Snapshots.

#[test]
fn a_newer_snapshot_replaces_the_one_before() {
    let mut trust = house();
    let offered = offer(
        &mut trust,
        &only(by(&snapshot(6, 100, &[("worse", 1)]), &[SNAPSHOT])),
    );
    assert!(offered.snapshot && trust.snapshot_version() == 6);
    assert_eq!(trust.withdrawn().len(), 1);
}

#[test]
fn a_rolled_back_snapshot_is_refused() {
    let refused = unmoved(&mut house(), &only(by(&snapshot(4, 900, &[]), &[SNAPSHOT])));
    assert!(matches!(refused, Refused::OldSnapshot { found: 4, held: 5 }));
}

#[test]
fn another_snapshot_of_the_same_version_changes_nothing() {
    let mut trust = house();
    let before = trust.saved();
    assert!(!offer(&mut trust, &only(by(&snapshot(5, 900, &[]), &[SNAPSHOT]))).changed());
    assert_eq!(trust.saved(), before);
}

#[test]
fn a_snapshot_by_a_stranger_is_refused() {
    let refused = unmoved(&mut house(), &only(by(&snapshot(6, 100, &[]), &[66])));
    assert!(matches!(
        refused,
        Refused::Snapshot(SignatureError::NoTrustedKey { .. })
    ));
}

#[test]
fn a_snapshot_by_a_key_of_another_role_is_refused() {
    for seed in [1, CONTENT, COMMAND, TIME] {
        let refused = unmoved(&mut house(), &only(by(&snapshot(6, 100, &[]), &[seed])));
        assert!(
            matches!(refused, Refused::Snapshot(SignatureError::NoTrustedKey { .. })),
            "{seed}"
        );
    }
}

#[test]
fn a_root_offered_as_a_snapshot_is_refused() {
    // The kind goes into what is signed: the same bytes under the right key are another document.
    let text = serde_json::to_string(&by(&root(6, &[1], 1), &[1])).unwrap();
    let refused = unmoved(&mut house(), &only(serde_json::from_str(&text).unwrap()));
    assert!(matches!(refused, Refused::Snapshot(_)));
}

#[test]
fn a_changed_snapshot_is_refused() {
    let text = serde_json::to_string(&by(&snapshot(6, 100, &[("bad", 2)]), &[SNAPSHOT])).unwrap();
    let changed = serde_json::from_str(&text.replace("bad", "bat")).unwrap();
    let refused = unmoved(&mut house(), &only(changed));
    assert!(matches!(
        refused,
        Refused::Snapshot(SignatureError::Mismatch { .. })
    ));
}

#[test]
fn below_the_threshold_of_its_role_a_snapshot_is_refused() {
    let mut two = root(1, &[1], 1);
    two.keys.push(trusted(OTHER_SNAPSHOT, KeyRole::Snapshot));
    two.thresholds.push(Threshold {
        role: KeyRole::Snapshot,
        keys: 2,
    });
    let mut trust = Trust::resume(None, online(), Some(&bundle(vec![by(&two, &[1])], None)), 1);
    let body = snapshot(6, 100, &[]);
    assert!(matches!(
        unmoved(&mut trust, &only(by(&body, &[SNAPSHOT]))),
        Refused::Snapshot(SignatureError::TooFew { .. })
    ));
    assert!(offer(&mut trust, &only(by(&body, &[SNAPSHOT, OTHER_SNAPSHOT]))).snapshot);
}

#[test]
fn mix_and_match_a_new_root_with_a_snapshot_by_its_dropped_key_is_refused() {
    let mut trust = house();
    let next = with_snapshot_key(root(2, &[1], 1), OTHER_SNAPSHOT);
    let mixed = bundle(
        vec![by(&next, &[1])],
        Some(by(&snapshot(6, 900, &[]), &[SNAPSHOT])),
    );
    let offered = offer(&mut trust, &mixed);
    assert!(offered.roots == 1 && !offered.snapshot);
    assert!(matches!(offered.refused, Some(Refused::Snapshot(_))));
}

#[test]
fn mix_and_match_an_old_snapshot_beside_a_new_root_is_refused() {
    let mut trust = house();
    let mixed = bundle(
        vec![by(&root(2, &[1], 1), &[1])],
        Some(by(&snapshot(4, 900, &[]), &[SNAPSHOT])),
    );
    let offered = offer(&mut trust, &mixed);
    assert!(matches!(offered.refused, Some(Refused::OldSnapshot { .. })));
    assert_eq!((trust.root_version(), trust.snapshot_version()), (2, 5));
}

#[test]
fn after_a_bad_root_the_snapshot_is_not_looked_at() {
    let mut trust = house();
    let both = bundle(
        vec![by(&root(2, &[1], 1), &[9])],
        Some(by(&snapshot(6, 900, &[]), &[SNAPSHOT])),
    );
    unmoved(&mut trust, &both);
}

#[test]
fn a_count_that_a_thief_set_to_the_end_is_left_behind_with_his_key() {
    let mut trust = house();
    offer(
        &mut trust,
        &only(by(&snapshot(u64::MAX, 100, &[("bad", 9)]), &[SNAPSHOT])),
    );
    let next = with_snapshot_key(root(2, &[1], 1), OTHER_SNAPSHOT);
    offer(&mut trust, &bundle(vec![by(&next, &[1])], None));
    // What was withdrawn stays so until the next snapshot, and disks wait for it.
    assert_eq!(
        trust.judge(&lesson("bad"), 9, None, None, Source::Held, at(2)),
        Verdict::Withdrawn
    );
    assert!(trust.is_stale(at(2)));
    assert!(offer(&mut trust, &only(by(&snapshot(7, 100, &[]), &[OTHER_SNAPSHOT]))).snapshot);
    assert_eq!(trust.snapshot_version(), 7);
}

#[test]
fn a_root_that_adds_a_snapshot_key_does_not_begin_the_count_anew() {
    let mut trust = house();
    let mut next = root(2, &[1], 1);
    next.keys.push(trusted(OTHER_SNAPSHOT, KeyRole::Snapshot));
    offer(&mut trust, &bundle(vec![by(&next, &[1])], None));
    let refused = unmoved(&mut trust, &only(by(&snapshot(4, 900, &[]), &[OTHER_SNAPSHOT])));
    assert!(matches!(refused, Refused::OldSnapshot { .. }));
}

#[test]
fn an_expired_snapshot_is_taken_for_what_it_withdraws_and_stays_stale() {
    let mut trust = house();
    assert!(
        offer(
            &mut trust,
            &only(by(&snapshot(6, 3, &[("worse", 1)]), &[SNAPSHOT]))
        )
        .snapshot
    );
    assert_eq!(
        trust.judge(&lesson("worse"), 1, None, None, Source::Held, at(9)),
        Verdict::Withdrawn
    );
    assert!(trust.is_stale(at(9)));
}

// What is accepted and what is played.

#[test]
fn a_withdrawn_lesson_is_good_nowhere() {
    for source in [Source::Held, Source::Console, Source::Disk] {
        assert_eq!(
            house().judge(&lesson("bad"), 2, None, None, source, at(2)),
            Verdict::Withdrawn
        );
    }
}

#[test]
fn a_later_version_of_a_withdrawn_lesson_is_good() {
    for source in [Source::Held, Source::Console, Source::Disk] {
        assert_eq!(
            house().judge(&lesson("bad"), 3, None, None, source, at(2)),
            Verdict::Good
        );
    }
}

#[test]
fn a_frozen_snapshot_keeps_disks_out_and_nothing_else() {
    let trust = house();
    let judge = |source, day| trust.judge(&lesson("good"), 1, None, None, source, at(day));
    assert_eq!(judge(Source::Disk, 99), Verdict::Good);
    assert_eq!(judge(Source::Disk, 100), Verdict::TrustStale);
    assert_eq!(judge(Source::Console, 100), Verdict::Good);
    assert_eq!(judge(Source::Held, 100), Verdict::Good);
}

#[test]
fn a_disk_that_brings_a_newer_snapshot_is_let_in() {
    let mut trust = house();
    trust.offer(&only(by(&snapshot(6, 200, &[]), &[SNAPSHOT])), Bringer::Stranger);
    assert_eq!(
        trust.judge(&lesson("good"), 1, None, None, Source::Disk, at(150)),
        Verdict::Good
    );
}

#[test]
fn an_expired_root_keeps_disks_out() {
    let mut trust = house();
    offer(&mut trust, &only(by(&snapshot(6, 5_000, &[]), &[SNAPSHOT])));
    assert_eq!(
        trust.judge(&lesson("good"), 1, None, None, Source::Disk, at(1_000)),
        Verdict::TrustStale
    );
}

#[test]
fn a_root_without_a_snapshot_keeps_disks_out() {
    let first = bundle(vec![by(&root(1, &[1], 1), &[1])], None);
    let trust = Trust::resume(None, online(), Some(&first), 1);
    assert_eq!(
        trust.judge(&lesson("good"), 1, None, None, Source::Disk, at(1)),
        Verdict::TrustStale
    );
}

#[test]
fn a_licence_runs_out_by_the_floor_alone() {
    let licence = Licence {
        scope: "county".into(),
        expires_at: Some(at(50)),
    };
    let trust = house();
    let judge = |day| trust.judge(&lesson("good"), 1, Some(&licence), None, Source::Held, at(day));
    assert_eq!((judge(49), judge(50)), (Verdict::Good, Verdict::LicenceExpired));
}

#[test]
fn a_licence_without_an_end_never_runs_out() {
    let licence = Licence {
        scope: "county".into(),
        expires_at: None,
    };
    assert_eq!(
        house().judge(
            &lesson("good"),
            1,
            Some(&licence),
            None,
            Source::Held,
            Timestamp::MAX
        ),
        Verdict::Good
    );
}

#[test]
fn a_rolled_back_lesson_is_not_accepted() {
    let mut trust = house();
    trust.is_ready(&lesson("good"), 3);
    for source in [Source::Console, Source::Disk] {
        assert_eq!(
            trust.judge(&lesson("good"), 2, None, None, source, at(2)),
            Verdict::RolledBack
        );
        assert_eq!(
            trust.judge(&lesson("good"), 3, None, None, source, at(2)),
            Verdict::Good
        );
    }
    // The page that is open goes on until the older version is gone.
    assert_eq!(
        trust.judge(&lesson("good"), 2, None, None, Source::Held, at(2)),
        Verdict::Good
    );
}

#[test]
fn the_highest_version_never_falls() {
    let mut trust = house();
    trust.is_ready(&lesson("good"), 3);
    let revision = trust.revision();
    trust.is_ready(&lesson("good"), 2);
    assert_eq!(trust.revision(), revision);
    assert_eq!(trust.saved().highest[&lesson("good")], 3);
}

#[test]
fn a_withdrawal_outweighs_every_other_reason() {
    let mut trust = house();
    trust.is_ready(&lesson("bad"), 9);
    assert_eq!(
        trust.judge(&lesson("bad"), 1, None, None, Source::Disk, at(5_000)),
        Verdict::Withdrawn
    );
}

// What is kept.

#[test]
fn what_was_kept_comes_back() {
    let mut trust = house();
    trust.is_ready(&lesson("good"), 3);
    let text = serde_json::to_string(&trust.saved()).unwrap();
    let again = Trust::resume(Some(serde_json::from_str(&text).unwrap()), online(), None, 1);
    assert_eq!(again.saved(), trust.saved());
    assert_eq!(again.keys(), trust.keys());
}

#[test]
fn what_was_lost_is_anchored_anew_by_the_enrolment() {
    let mut trust = house();
    offer(&mut trust, &bundle(vec![by(&root(2, &[1], 1), &[1])], None));
    let first = bundle(vec![by(&root(1, &[1], 1), &[1])], None);
    let mut again = Trust::resume(None, online(), Some(&first), 1);
    assert_eq!((again.root_version(), again.snapshot_version()), (1, 0));
    offer(&mut again, &bundle(vec![by(&root(2, &[1], 1), &[1])], None));
    assert_eq!(again.root_version(), 2);
}

#[test]
fn a_kept_state_outweighs_the_enrolment() {
    let mut trust = house();
    offer(&mut trust, &bundle(vec![by(&root(2, &[1], 1), &[1])], None));
    let first = bundle(vec![by(&root(1, &[1], 1), &[1])], None);
    assert_eq!(
        Trust::resume(Some(trust.saved()), online(), Some(&first), 1).root_version(),
        2
    );
}

#[test]
fn a_kept_root_that_was_changed_on_the_disk_is_not_believed_and_its_withdrawals_are() {
    let mut saved = house().saved();
    let text = serde_json::to_string(&saved.root).unwrap();
    saved.root = serde_json::from_str(&text.replace("k101", "k100")).unwrap();
    let trust = Trust::resume(Some(saved), online(), None, 1);
    assert_eq!((trust.root_version(), trust.snapshot_version()), (0, 0));
    assert_eq!(trust.keys(), online());
    assert_eq!(
        trust.judge(&lesson("bad"), 2, None, None, Source::Held, at(2)),
        Verdict::Withdrawn
    );
}

#[test]
fn too_many_highest_versions_are_cut_to_what_is_held() {
    let mut trust = house();
    for n in 0..=MAX_HIGHEST {
        trust.is_ready(&lesson(&format!("l{n}")), 1);
    }
    trust.bound_highest(&BTreeSet::from([lesson("l7")]));
    assert_eq!(trust.saved().highest.len(), 1);
}

#[test]
fn the_time_of_what_was_taken_over_is_told() {
    let offered = offer(&mut house(), &only(by(&snapshot(6, 100, &[]), &[SNAPSHOT])));
    assert_eq!(offered.signed_at, Some(at(1)));
    let refused = offer(&mut house(), &only(by(&snapshot(4, 100, &[]), &[SNAPSHOT])));
    assert_eq!(refused.signed_at, None);
}

#[test]
fn documents_are_opened_by_the_newest_roots_keys_alone() {
    let mut trust = house();
    let mut next = root(2, &[1], 1);
    next.keys.retain(|key| key.role != KeyRole::Snapshot);
    next.keys.push(trusted(OTHER_SNAPSHOT, KeyRole::Snapshot));
    let old = by(&snapshot(9, 9, &[]), &[SNAPSHOT]);
    assert!(trust.verify(&old).is_ok());
    offer(&mut trust, &bundle(vec![by(&next, &[1])], None));
    assert!(trust.verify(&old).is_err());
}

#[test]
fn a_dropped_content_key_opens_what_is_held_and_nothing_new() {
    let mut trust = house();
    let mut next = root(2, &[1], 1);
    next.keys.retain(|key| key.role != KeyRole::Content);
    next.keys.push(trusted(121, KeyRole::Content));
    offer(&mut trust, &bundle(vec![by(&next, &[1])], None));
    let old = trusted(CONTENT, KeyRole::Content);
    assert!(!trust.keys().contains(&old) && trust.keys_of_the_held().contains(&old));
    let again = Trust::resume(Some(trust.saved()), online(), None, 1);
    assert!(again.keys_of_the_held().contains(&old));
}

// When the console is asked.

#[test]
fn a_device_without_a_root_asks_after_a_while() {
    let mut trust = nothing();
    trust.connected(at(0), Millis(0));
    assert_eq!(trust.ask(Millis(19_000)), None);
    assert_eq!(trust.ask(Millis(40_000)), Some(0));
    trust.silent(Millis(40_000));
    assert!(trust.poll_timeout().is_some());
}

#[test]
fn a_device_that_is_up_to_date_asks_nothing() {
    let mut trust = house();
    trust.connected(at(2), Millis(0));
    assert_eq!(trust.poll_timeout(), None);
}

#[test]
fn a_gap_is_asked_for_soon_and_a_gap_in_the_answer_with_patience() {
    let mut trust = house();
    let gap = bundle(vec![by(&root(3, &[1], 1), &[1])], None);
    offer(&mut trust, &gap);
    trust.heard(false, at(2), Millis(0));
    assert_eq!(trust.ask(Millis(50_000)), Some(1));
    offer(&mut trust, &gap);
    trust.heard(true, at(2), Millis(50_000));
    let mut last = Duration::ZERO;
    for _ in 0..20 {
        let at_ms = trust.poll_timeout().unwrap();
        assert_eq!(trust.ask(at_ms), Some(1));
        trust.silent(at_ms);
        last = trust.poll_timeout().unwrap().since(at_ms);
    }
    assert!(last <= Duration::from_secs(6 * 3600));
    offer(&mut trust, &bundle(vec![by(&root(2, &[1], 1), &[1])], None));
    trust.heard(true, at(2), Millis(9_000_000));
    assert_eq!(trust.poll_timeout(), None);
}

#[test]
fn bells_spread_over_most_of_a_minute_and_put_nothing_off() {
    let waits: Vec<_> = (0..200)
        .map(|seed| {
            let mut trust = Trust::resume(Some(house().saved()), online(), None, seed);
            trust.rung(Millis(0));
            let first = trust.poll_timeout().unwrap();
            trust.rung(first);
            assert_eq!(trust.poll_timeout(), Some(first));
            first
        })
        .collect();
    assert!(waits.iter().all(|at| *at <= Millis(50_000)));
    let early = waits.iter().filter(|at| **at <= Millis(5_000)).count();
    assert!(early < 50, "{early} of 200 ask within five seconds");
}

#[test]
fn no_message_shortens_the_wait_after_a_failure() {
    let mut trust = house();
    let mut now = Millis(0);
    trust.rung(now);
    for _ in 0..12 {
        now = trust.poll_timeout().unwrap();
        assert_eq!(trust.ask(now), Some(1));
        trust.silent(now);
    }
    let until = trust.poll_timeout().unwrap();
    for _ in 0..20 {
        trust.rung(now);
        offer(&mut trust, &bundle(vec![by(&root(3, &[1], 1), &[1])], None));
        trust.heard(false, at(2), now);
        assert_eq!(trust.poll_timeout(), Some(until));
    }
    // What is whole ends it, and the next bell is heard at once.
    offer(&mut trust, &only(by(&snapshot(6, 100, &[]), &[SNAPSHOT])));
    trust.heard(false, at(2), now);
    assert_eq!(trust.poll_timeout(), None);
    trust.rung(now);
    assert!(trust.poll_timeout().unwrap().since(now) <= Duration::from_secs(50));
}
