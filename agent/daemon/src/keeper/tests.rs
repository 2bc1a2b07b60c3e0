use agent_core::outbox::Range;
use contract::id::{BootId, KeyId};
use contract::signed::KeyRole;
use ed25519_dalek::SigningKey;

use super::*;

fn device() -> DeviceId {
    DeviceId::new("d1").unwrap()
}

fn open(dir: &Path, keys: &[TrustedKey]) -> (Keeper, Kept, mpsc::Receiver<Answer>) {
    let (answers, from_keeper) = mpsc::channel(16);
    let (keeper, kept) = Keeper::open(dir, device(), keys, Path::new("/"), answers).unwrap();
    (keeper, kept, from_keeper)
}

fn sample(seq: u64) -> HealthSample {
    let boot_id = BootId::new("b").unwrap();
    HealthSample {
        boot_id,
        seq,
        uptime_ms: seq,
        wall_time: None,
        readings: Readings::default(),
    }
}

#[test]
fn samples_come_back_as_a_batch_of_this_device_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (keeper, kept, mut answers) = open(dir.path(), &[]);
    assert_eq!(kept.outbox, Saved::default());
    for seq in 1..=3 {
        assert!(keeper.give(Task::Append(sample(seq))));
        assert!(
            matches!(answers.blocking_recv(), Some(Answer::Appended(Stream::Samples, s, Ok(_))) if s == seq)
        );
    }
    let ranges = vec![Range {
        boot_id: BootId::new("b").unwrap(),
        from_seq: 2,
        to_seq: 3,
    }];
    assert!(keeper.give(Task::Batch(
        Stream::Samples,
        Batch {
            ranges,
            dropped_total: 7,
            ..Batch::default()
        }
    )));
    let Some(Answer::Batch(payload)) = answers.blocking_recv() else {
        panic!("expected a batch")
    };
    assert_eq!(
        payload[..2],
        [0x1f, 0x8b],
        "a batch is packed where that makes it smaller"
    );
    let batch: TelemetryBatch = serde_json::from_reader(flate2::read::GzDecoder::new(&*payload)).unwrap();
    assert_eq!((batch.device_id, batch.dropped_total), (device(), 7));
    assert_eq!(batch.samples, [sample(2), sample(3)]);
    let up_to_seq = 2;
    assert!(keeper.give(Task::Forget(
        Stream::Samples,
        BootSeq {
            boot_id: BootId::new("b").unwrap(),
            up_to_seq
        }
    )));
    assert!(keeper.give(Task::ReserveReports(41)));
    keeper.close();
    let (_, kept, _) = open(dir.path(), &[]);
    assert_eq!(kept.report_generation, 41);
    let held: Vec<_> = kept.outbox.boots[0].held.iter().map(|(seq, _)| *seq).collect();
    assert_eq!((held, kept.outbox.boots[0].next_seq), (vec![3], 4));
}

#[test]
fn events_and_samples_that_nobody_confirmed_are_read_for_a_receipt() {
    let dir = tempfile::tempdir().unwrap();
    let (keeper, _, mut answers) = open(dir.path(), &[]);
    let boot_id = BootId::new("b").unwrap();
    let event = DeviceEvent {
        boot_id: boot_id.clone(),
        seq: 1,
        uptime_ms: 5,
        wall_time: None,
        what: contract::event::EventKind::Link {
            up: false,
            console_s: None,
        },
    };
    for task in [Task::Append(sample(1)), Task::AppendEvent(event.clone())] {
        assert!(keeper.give(task));
        assert!(matches!(
            answers.blocking_recv(),
            Some(Answer::Appended(_, 1, Ok(_)))
        ));
    }
    let one = || Batch {
        ranges: vec![Range {
            boot_id: boot_id.clone(),
            from_seq: 1,
            to_seq: 1,
        }],
        ..Batch::default()
    };
    let (answer, read) = tokio::sync::oneshot::channel();
    let wanted = vec![(Stream::Events, one()), (Stream::Samples, one())];
    assert!(keeper.give(Task::Unconfirmed(wanted, answer)));
    let [events, samples] = &read.blocking_recv().unwrap()[..] else {
        panic!("two batches")
    };
    assert_eq!((&events.events[..], events.samples.len()), (&[event][..], 0));
    assert_eq!(
        (&samples.samples[..], samples.events.len()),
        (&[sample(1)][..], 0)
    );
    assert!(!samples.quiet, "a receipt is answered");
    keeper.close();
}

#[test]
fn a_kept_assignment_is_believed_only_with_its_signature() {
    let dir = tempfile::tempdir().unwrap();
    let signing = SigningKey::from_bytes(&[7; 32]);
    let key_id = KeyId::new("k").unwrap();
    let trusted = [TrustedKey::of(key_id.clone(), KeyRole::Content, &signing)];
    let issued_at = "2026-01-01T00:00:00Z".parse().unwrap();
    let assignment = Assignment {
        device_id: device(),
        generation: 9,
        issued_at,
        lessons: vec![],
    };
    let document = serde_json::to_vec(&Signed::sign(&assignment, key_id, &signing).unwrap()).unwrap();

    let (keeper, kept, mut answers) = open(dir.path(), &trusted);
    assert_eq!(kept.assignment, None);
    assert!(keeper.give(Task::KeepAssignment(9, document.clone())));
    assert!(matches!(
        answers.blocking_recv(),
        Some(Answer::AssignmentKept(9, Ok(())))
    ));
    keeper.close();
    assert_eq!(open(dir.path(), &trusted).1.assignment, Some(assignment));
    assert_eq!(open(dir.path(), &[]).1.assignment, None, "no key, no belief");
    let changed = String::from_utf8(document).unwrap().replace(":9", ":8");
    std::fs::write(dir.path().join("state/assignment.json"), changed).unwrap();
    assert_eq!(
        open(dir.path(), &trusted).1.assignment,
        None,
        "changed on the disk"
    );
}

#[test]
fn a_kept_plan_of_the_classroom_is_ours_and_signed() {
    let dir = tempfile::tempdir().unwrap();
    let signing = SigningKey::from_bytes(&[7; 32]);
    let key_id = KeyId::new("k").unwrap();
    let trusted = [TrustedKey::of(key_id.clone(), KeyRole::Command, &signing)];
    let plan = |device: &str| -> ClassroomPlan {
        serde_json::from_value(serde_json::json!({
            "device_id": device, "generation": 4, "issued_at": "2026-11-01T00:00:00Z",
        }))
        .unwrap()
    };
    let keep = |plan: &ClassroomPlan| {
        let document = serde_json::to_vec(&Signed::sign(plan, key_id.clone(), &signing).unwrap()).unwrap();
        let (keeper, _, mut answers) = open(dir.path(), &trusted);
        assert!(keeper.give(Task::KeepClassroom(4, document)));
        assert!(matches!(
            answers.blocking_recv(),
            Some(Answer::ClassroomKept(4, Ok(())))
        ));
        keeper.close();
    };
    let own = plan(device().as_str());
    keep(&own);
    assert_eq!(open(dir.path(), &trusted).1.classroom, Some(own));
    assert_eq!(open(dir.path(), &[]).1.classroom, None, "no key, no belief");
    keep(&plan("another"));
    assert_eq!(open(dir.path(), &trusted).1.classroom, None, "another's");
}

#[test]
fn what_another_device_left_on_the_disk_is_not_sent_as_ours() {
    let dir = tempfile::tempdir().unwrap();
    let (keeper, _, mut answers) = open(dir.path(), &[]);
    assert!(keeper.give(Task::Append(sample(1))));
    assert!(matches!(
        answers.blocking_recv(),
        Some(Answer::Appended(Stream::Samples, 1, Ok(_)))
    ));
    assert!(keeper.give(Task::ReserveReports(41)));
    keeper.close();
    let (sender, _answers) = mpsc::channel(16);
    let (keeper, kept) = Keeper::open(
        dir.path(),
        DeviceId::new("d2").unwrap(),
        &[],
        Path::new("/"),
        sender,
    )
    .unwrap();
    assert_eq!((kept.outbox, kept.report_generation), (Saved::default(), 0));
    keeper.close();
    let (keeper, kept, _) = open(dir.path(), &[]);
    assert_eq!(
        kept.outbox,
        Saved::default(),
        "nor is it there for the first one again"
    );
    keeper.close();
}

#[test]
fn floor_and_standing_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let signing = SigningKey::from_bytes(&[7; 32]);
    let key_id = KeyId::new("k").unwrap();
    let trusted = [TrustedKey::of(key_id.clone(), KeyRole::Command, &signing)];
    let order = StandingOrder {
        id: CommandId::new("c1").unwrap(),
        device_id: device(),
        standing: contract::standing::Standing::Revoked,
        issued_at: "2026-11-01T00:00:00Z".parse().unwrap(),
        contact: String::new(),
        hardware: None,
    };
    let signed = Signed::sign(&order, key_id, &signing).unwrap();
    let (keeper, _, mut answers) = open(dir.path(), &trusted);
    assert!(keeper.give(Task::KeepStanding(Box::new(signed))));
    assert!(matches!(
        answers.blocking_recv(),
        Some(Answer::StandingKept(Ok(())))
    ));
    let floor = "2026-11-22T00:00:00Z".parse().unwrap();
    assert!(keeper.give(Task::KeepFloor(floor)));
    keeper.close();
    assert_eq!(SavedFloor::open(dir.path()).floor(), Some(floor));
    assert_eq!(standing::kept(dir.path()).unwrap(), Some(order));
}
