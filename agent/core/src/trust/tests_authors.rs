//! Lessons that a school makes itself: who may sign them, and where they are good.

use contract::{
    id::{DeviceId, KeyId, LessonId},
    lesson::SchoolMark,
    school::{LinePlan, SchoolAuthor, SchoolPlan},
    trust::Withdrawal,
};
use ed25519_dalek::SigningKey;

use super::*;

const OURS: &str = "3604250001";
const THEIRS: &str = "3604250002";

fn trusted(seed: u8, role: KeyRole) -> TrustedKey {
    let name = KeyId::new(format!("author-{seed}")).unwrap();
    TrustedKey::of(name, role, &SigningKey::from_bytes(&[seed; 32]))
}

fn author(seed: u8) -> TrustedKey {
    trusted(seed, KeyRole::School)
}

fn plan(school: &str, generation: u64, authors: &[TrustedKey]) -> SchoolPlan {
    SchoolPlan {
        school: school.into(),
        generation,
        issued_at: Timestamp::UNIX_EPOCH,
        members: Vec::new(),
        line: LinePlan::default(),
        class_hours: Vec::new(),
        utc_offset_min: 480,
        exams: Vec::new(),
        authors: (authors.iter().cloned())
            .map(|key| SchoolAuthor {
                device_id: DeviceId::new("d-1").unwrap(),
                key,
            })
            .collect(),
        sampling: None,
    }
}

fn mark(school: &str, seed: u8) -> SchoolMark {
    SchoolMark {
        school: school.into(),
        author: author(seed).public_key,
    }
}

fn trust() -> Trust {
    Trust::resume(None, Vec::new(), None, 1)
}

fn made(trust: &Trust, mark: Option<&SchoolMark>, source: Source) -> Verdict {
    let lesson = LessonId::new("school-1").unwrap();
    trust.judge(&lesson, 1, None, mark, source, Timestamp::UNIX_EPOCH)
}

#[test]
fn only_an_author_of_this_school_is_good() {
    let mut trust = trust();
    for source in [Source::Held, Source::Console, Source::Disk] {
        assert_eq!(made(&trust, Some(&mark(OURS, 1)), source), Verdict::OtherSchool);
    }
    trust.school(&plan(OURS, 1, &[author(1)]));
    for source in [Source::Held, Source::Console, Source::Disk] {
        assert_eq!(made(&trust, Some(&mark(OURS, 1)), source), Verdict::Good);
        assert_eq!(made(&trust, Some(&mark(OURS, 2)), source), Verdict::NoAuthor);
        assert_eq!(made(&trust, Some(&mark(THEIRS, 1)), source), Verdict::OtherSchool);
        assert_eq!(made(&trust, None, source), Verdict::NoAuthor);
    }
    // What a school signed says nothing of a county's lesson, and the other way round.
    let county = LessonId::new("l-1").unwrap();
    let judged = trust.judge(&county, 1, None, None, Source::Held, Timestamp::UNIX_EPOCH);
    assert_eq!(judged, Verdict::Good);
    assert!(
        !trust.keys().contains(&author(1)),
        "an author signs nothing of the county's"
    );
    assert!(trust.lesson_keys().contains(&author(1)));
}

#[test]
fn a_key_of_another_role_is_no_author_and_a_name_stands_for_one_key() {
    let mut trust = trust();
    let mut second = author(2);
    second.key_id = author(1).key_id;
    trust.school(&plan(OURS, 1, &[trusted(3, KeyRole::Content), author(1), second]));
    assert_eq!(
        made(&trust, Some(&mark(OURS, 3)), Source::Held),
        Verdict::NoAuthor
    );
    assert_eq!(made(&trust, Some(&mark(OURS, 1)), Source::Held), Verdict::Good);
    assert_eq!(
        made(&trust, Some(&mark(OURS, 2)), Source::Held),
        Verdict::NoAuthor
    );
}

#[test]
fn a_removed_author_is_known_and_not_played_until_it_is_named_again() {
    let mut trust = trust();
    trust.school(&plan(OURS, 1, &[author(1), author(2)]));
    trust.school(&plan(OURS, 2, &[author(2)]));
    let first = mark(OURS, 1);
    assert_eq!(made(&trust, Some(&first), Source::Held), Verdict::NoAuthor);
    // Its lessons can still be read from our disk, and none of its new ones comes.
    assert!(trust.keys_of_the_held().contains(&author(1)));
    assert!(!trust.lesson_keys().contains(&author(1)));
    // The older plan once more, from a disk that lay about.
    trust.school(&plan(OURS, 1, &[author(1), author(2)]));
    assert_eq!(made(&trust, Some(&first), Source::Held), Verdict::NoAuthor);
    let again = Trust::resume(Some(trust.saved()), Vec::new(), None, 1);
    assert_eq!(made(&again, Some(&first), Source::Held), Verdict::NoAuthor);
    assert_eq!(made(&again, Some(&mark(OURS, 2)), Source::Held), Verdict::Good);
    trust.school(&plan(OURS, 3, &[author(1)]));
    assert_eq!(made(&trust, Some(&first), Source::Held), Verdict::Good);
}

#[test]
fn the_own_key_counts_here_until_it_was_named_and_taken_out() {
    let mut trust = trust();
    assert_eq!(trust.is_author(), None);
    trust.own_author(author(7));
    trust.school(&plan(OURS, 1, &[]));
    let own = mark(OURS, 7);
    assert_eq!(
        (made(&trust, Some(&own), Source::Held), trust.is_author()),
        (Verdict::Good, Some(false))
    );
    // Another school's it is not, whoever signed.
    assert_eq!(
        made(&trust, Some(&mark(THEIRS, 7)), Source::Held),
        Verdict::OtherSchool
    );
    trust.school(&plan(OURS, 2, &[author(7)]));
    assert_eq!(
        (made(&trust, Some(&own), Source::Held), trust.is_author()),
        (Verdict::Good, Some(true))
    );
    trust.school(&plan(OURS, 3, &[]));
    assert_eq!(
        (made(&trust, Some(&own), Source::Held), trust.is_author()),
        (Verdict::NoAuthor, Some(false))
    );
    // Carried to another school it begins anew, and what it made for the first stays behind.
    trust.school(&plan(THEIRS, 1, &[]));
    assert_eq!(made(&trust, Some(&own), Source::Held), Verdict::OtherSchool);
    assert_eq!(made(&trust, Some(&mark(THEIRS, 7)), Source::Held), Verdict::Good);
}

#[test]
fn withdrawals_and_versions_hold_for_them_too() {
    let lesson = LessonId::new("school-1").unwrap();
    let mut trust = Trust::resume(
        Some(Saved {
            snapshot: Some(SeenSnapshot {
                version: 1,
                expires_at: Timestamp::MAX,
                withdrawn: vec![Withdrawal {
                    lesson: lesson.clone(),
                    up_to_version: 1,
                    at: Timestamp::UNIX_EPOCH,
                }],
                superseded: false,
            }),
            highest: [(lesson.clone(), 3)].into(),
            ..Saved::default()
        }),
        Vec::new(),
        None,
        1,
    );
    trust.school(&plan(OURS, 1, &[author(1)]));
    let mark = mark(OURS, 1);
    let judge = |version| {
        trust.judge(
            &lesson,
            version,
            None,
            Some(&mark),
            Source::Disk,
            Timestamp::UNIX_EPOCH,
        )
    };
    assert_eq!(
        [judge(1), judge(2), judge(3)],
        [Verdict::Withdrawn, Verdict::RolledBack, Verdict::Good]
    );
}

#[test]
fn those_who_are_gone_are_remembered_within_bounds() {
    let mut trust = trust();
    for n in 0..200_u8 {
        trust.school(&plan(OURS, u64::from(n) + 1, &[author(n)]));
    }
    assert_eq!(trust.keys_of_the_held().len(), 64 + 1);
}

#[test]
fn that_this_board_was_taken_out_is_never_forgotten() {
    let mut trust = trust();
    trust.own_author(author(200));
    trust.school(&plan(OURS, 1, &[author(200)]));
    for n in 0..150_u8 {
        trust.school(&plan(OURS, u64::from(n) + 2, &[author(n)]));
    }
    assert_eq!(
        made(&trust, Some(&mark(OURS, 200)), Source::Held),
        Verdict::NoAuthor
    );
    assert!(!trust.keys_of_the_held().contains(&author(1)), "others are");
}
