//! Disks in strange hands.

use std::os::unix::fs::symlink;

use agent_core::trust::{Saved, SeenSnapshot};
use contract::{
    hash::Hash, id::LessonId, lesson::Licence, pack::MAX_PACK_BYTES, report::FailureReason, trust::Withdrawal,
};

use super::*;
use crate::{
    io::pack::survey::{LessonRefused, PackRefused},
    store::tests::kit::resign,
};

fn one() -> [Lesson; 1] {
    [lesson("a", 1, &[noise(1, 5_000)])]
}

#[test]
fn two_thousand_unrelated_files_an_autorun_and_links_change_nothing() {
    let disk = tempfile::tempdir().unwrap();
    let at = |name: &str| disk.path().join(name);
    write_pack(disk.path(), "p-1", &one(), None, &county());
    put(&at("autorun.inf"), b"[autorun]\nopen=evil.exe\n");
    put(&at("evil.exe"), b"MZ");
    put(&at("bbt/autorun.inf"), b"[autorun]\n");
    for n in 0..1_000 {
        put(&at(&format!("照片/img-{n}.jpg")), b"x");
        put(&at(&format!("bbt/packs/{n}.tmp")), b"x");
    }
    put(&at("outside/pack.json"), b"{}");
    symlink(at("outside"), at("bbt/packs/p-link")).unwrap();
    symlink("/", at("bbt/packs/p-root")).unwrap();
    symlink("../../../..", at("bbt/packs/p-up")).unwrap();
    put(&at("bbt/packs/a file"), b"x");
    fs::create_dir_all(at("bbt/packs/p-empty")).unwrap();
    put(&at("bbt/packs/p-half/files/aa/part"), b"x");
    let found = look(disk.path(), &door());
    assert_eq!(found.packs.len(), 1, "{:?}", found.refused);
    assert!(found.refused.is_empty(), "{:?}", found.refused);
    assert!(found.packs[0].lessons[0].refused.is_none());
}

#[test]
fn a_pack_that_is_not_this_countys_or_was_changed_is_named_and_not_read() {
    let disk = tempfile::tempdir().unwrap();
    let at = |name: &str| disk.path().join("bbt/packs").join(name);
    // Another county's key, under another name.
    let stranger = Signed::sign(
        &manifest("p-a", &one(), None),
        KeyId::new("content-2").unwrap(),
        &SigningKey::from_bytes(&[1; 32]),
    );
    put(
        &at("p-a/pack.json"),
        &serde_json::to_vec(&stranger.unwrap()).unwrap(),
    );
    // Its key under our key's name.
    write_pack(
        disk.path(),
        "p-b",
        &one(),
        None,
        &SigningKey::from_bytes(&[1; 32]),
    );
    // A word changed.
    write_pack(disk.path(), "p-c", &one(), None, &county());
    let text = fs::read_to_string(at("p-c/pack.json")).unwrap();
    put(&at("p-c/pack.json"), text.replace("第一周", "第二周").as_bytes());
    // A good one under another name.
    write_pack(disk.path(), "p-e", &one(), None, &county());
    fs::rename(at("p-e"), at("p-d")).unwrap();
    // Too long, no JSON, nested without end.
    put(&at("p-f/pack.json"), &vec![b' '; MAX_PACK_BYTES + 1]);
    put(&at("p-g/pack.json"), b"{");
    put(&at("p-h/pack.json"), &vec![b'['; 200_000]);
    symlink("/etc/passwd", {
        fs::create_dir_all(at("p-i")).unwrap();
        at("p-i/pack.json")
    })
    .unwrap();
    let found = look(disk.path(), &door());
    assert!(found.packs.is_empty());
    let names: Vec<_> = found.refused.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["p-a", "p-b", "p-c", "p-d", "p-f", "p-g", "p-h", "p-i"]);
    let of = |name: &str| &found.refused.iter().find(|(n, _)| n == name).unwrap().1;
    assert!(matches!(of("p-a"), PackRefused::Stranger(_)));
    assert!(matches!(of("p-b"), PackRefused::Signature(_)));
    assert!(matches!(of("p-c"), PackRefused::Signature(_)));
    assert!(matches!(of("p-d"), PackRefused::Bad(_)));
    assert!(matches!(of("p-f"), PackRefused::Disk(_)));
    assert!(matches!(of("p-i"), PackRefused::Disk(_)));
}

#[test]
fn lessons_with_missing_wrong_or_foreign_parts_are_refused_each_for_itself() {
    let disk = tempfile::tempdir().unwrap();
    let mut unsigned = lesson("unsigned", 1, &[noise(9, 100)]);
    let stranger = SigningKey::from_bytes(&[1; 32]);
    let signed = Signed::sign(&unsigned.manifest, KeyId::new("content").unwrap(), &stranger).unwrap();
    unsigned.document = serde_json::to_vec(&signed).unwrap();
    unsigned.assigned.manifest = Hash::of(&unsigned.document);
    let mut other = lesson("other", 1, &[noise(8, 100)]);
    other.assigned.lesson = LessonId::new("renamed").unwrap();
    let lessons = [
        lesson("good", 1, &[noise(1, 5_000)]),
        lesson("short", 1, &[noise(2, 5_000)]),
        lesson("long", 1, &[noise(3, 5_000)]),
        lesson("gone", 1, &[noise(4, 5_000)]),
        lesson("linked", 1, &[noise(5, 5_000)]),
        lesson("unlisted", 1, &[noise(6, 5_000)]),
        lesson("swapped", 1, &[noise(7, 5_000)]),
        unsigned,
        other,
    ];
    let folder = write_pack(disk.path(), "p-1", &lessons, None, &county());
    let file = |n: usize| {
        let entry = &lessons[n].manifest.files[0];
        folder.join(&file_parts(entry.hash, entry.size, None).unwrap()[0].path)
    };
    put(&file(1), &noise(2, 4_999));
    put(&file(2), &noise(3, 5_001));
    fs::remove_file(file(3)).unwrap();
    fs::rename(file(4), folder.join("elsewhere")).unwrap();
    symlink(folder.join("elsewhere"), file(4)).unwrap();
    fs::remove_file(folder.join(manifest_path(lessons[5].assigned.manifest))).unwrap();
    put(
        &folder.join(manifest_path(lessons[6].assigned.manifest)),
        &lessons[0].document,
    );
    let found = look(disk.path(), &door());
    let refused: Vec<_> = found.packs[0]
        .lessons
        .iter()
        .map(|l| match &l.refused {
            None => "good",
            Some(LessonRefused::Damaged(_)) => "damaged",
            Some(LessonRefused::Untrusted(_)) => "untrusted",
            Some(LessonRefused::Judged(_)) => "judged",
        })
        .collect();
    assert_eq!(
        refused,
        [
            "good",
            "damaged",
            "damaged",
            "damaged",
            "damaged",
            "damaged",
            "damaged",
            "untrusted",
            "untrusted"
        ]
    );
}

#[test]
fn what_was_withdrawn_ran_out_or_is_older_than_what_was_here_is_not_taken() {
    let disk = tempfile::tempdir().unwrap();
    let mut licensed = lesson("licensed", 1, &[noise(2, 100)]);
    licensed.manifest.meta.licence = Some(Licence {
        scope: "county".into(),
        expires_at: Some("2020-01-01T00:00:00Z".parse().unwrap()),
    });
    resign(&mut licensed);
    let lessons = [
        lesson("withdrawn", 2, &[noise(1, 100)]),
        licensed,
        lesson("older", 1, &[noise(3, 100)]),
        lesson("good", 1, &[noise(4, 100)]),
    ];
    write_pack(disk.path(), "p-1", &lessons, None, &county());
    let door = door();
    let saved = Saved {
        snapshot: Some(SeenSnapshot {
            version: 3,
            expires_at: "2099-01-01T00:00:00Z".parse().unwrap(),
            withdrawn: vec![Withdrawal {
                lesson: LessonId::new("withdrawn").unwrap(),
                up_to_version: 2,
                at: "2026-11-21T08:00:00Z".parse().unwrap(),
            }],
            superseded: false,
        }),
        ..Saved::default()
    };
    door.replace(Trust::resume(Some(saved), trusted(), None, 1));
    door.with(|trust| trust.is_ready(&LessonId::new("older").unwrap(), 2));
    let found = look(disk.path(), &door);
    let reasons: Vec<_> = found.packs[0]
        .lessons
        .iter()
        .map(|l| match &l.refused {
            Some(LessonRefused::Judged(reason)) => Some(*reason),
            other => {
                assert!(other.is_none(), "{other:?}");
                None
            }
        })
        .collect();
    assert_eq!(
        reasons,
        [
            Some(FailureReason::Withdrawn),
            Some(FailureReason::LicenceExpired),
            Some(FailureReason::RolledBack),
            None
        ]
    );
}
