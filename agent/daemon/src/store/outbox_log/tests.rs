use contract::health::Readings;

use super::*;

fn boot(n: u32) -> BootId {
    BootId::new(format!("boot{n}")).unwrap()
}

fn sample(n: u32, seq: u64) -> HealthSample {
    HealthSample {
        boot_id: boot(n),
        seq,
        uptime_ms: seq * 60_000,
        wall_time: None,
        readings: Readings {
            cpu_percent: Some(1.5),
            ..Readings::default()
        },
    }
}

fn word(n: u32, up_to_seq: u64) -> BootSeq {
    BootSeq {
        boot_id: boot(n),
        up_to_seq,
    }
}

fn range(n: u32, from_seq: u64, to_seq: u64) -> Range {
    Range {
        boot_id: boot(n),
        from_seq,
        to_seq,
    }
}

fn seqs(saved: &Saved, n: u32) -> Vec<u64> {
    let found = saved.boots.iter().find(|b| b.boot_id == boot(n));
    found
        .map(|b| b.held.iter().map(|(seq, _)| *seq).collect())
        .unwrap_or_default()
}

#[test]
fn what_was_written_is_found_again_and_numbers_go_on_although_all_is_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, saved, _) = OutboxLog::<HealthSample>::open(dir.path(), 300).unwrap();
    assert_eq!(saved, Saved::default());
    for seq in 1..=4 {
        log.append(&sample(1, seq)).unwrap();
    }
    log.append(&sample(2, 1)).unwrap();
    assert_eq!(
        log.read(&[range(1, 2, 3), range(2, 1, 9)]).unwrap(),
        [sample(1, 2), sample(1, 3), sample(2, 1)]
    );
    log.forget(&word(1, 4));
    log.drop_unsent(Some(&word(2, 1)), 1);
    log.flush().unwrap();
    let (_, saved, damage) = OutboxLog::<HealthSample>::open(dir.path(), 300).unwrap();
    assert_eq!(damage, Damage::default());
    assert_eq!(
        (seqs(&saved, 1), seqs(&saved, 2), saved.dropped_total),
        (vec![], vec![], 1)
    );
    let numbers: Vec<_> = saved.boots.iter().map(|b| (b.next_seq, b.acked_up_to)).collect();
    assert_eq!(numbers, [(5, 4), (2, 0)]);
}

#[test]
fn a_cut_at_every_byte_loses_nothing_that_was_acknowledged_as_written() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, ..) = OutboxLog::<HealthSample>::open(dir.path(), 300).unwrap();
    let path = log.active.path.clone();
    let mut ends = Vec::new();
    for seq in 1..=6 {
        if seq == 4 {
            log.forget(&word(1, 2));
        }
        log.append(&sample(1, seq)).unwrap();
        ends.push(fs::metadata(&path).unwrap().len() as usize);
    }
    let whole = fs::read(&path).unwrap();
    let checkpoint = ends[0] - (ends[1] - ends[0]);
    for cut in checkpoint..=whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let (mut log, saved, _) = OutboxLog::<HealthSample>::open(dir.path(), 300).unwrap();
        let durable = ends.iter().filter(|end| **end <= cut).count() as u64;
        let held = seqs(&saved, 1);
        let acked = saved.boots.first().map_or(0, |b| b.acked_up_to);
        assert_eq!(held, (acked + 1..=durable).collect::<Vec<_>>(), "cut at {cut}");
        assert!(
            durable < 4 || acked == 2,
            "cut at {cut}: the note was written with sample 4"
        );
        log.append(&sample(1, durable + 1)).unwrap();
        let (_, saved, damage) = OutboxLog::<HealthSample>::open(dir.path(), 300).unwrap();
        assert_eq!(
            (seqs(&saved, 1).last(), damage),
            (Some(&(durable + 1)), Damage::default())
        );
    }
    // Cut within the very first checkpoint: nothing was promised yet.
    for cut in 0..checkpoint {
        fs::write(&path, &whole[..cut]).unwrap();
        let (mut log, saved, _) = OutboxLog::<HealthSample>::open(dir.path(), 300).unwrap();
        assert_eq!(saved, Saved::default());
        log.append(&sample(1, 1)).unwrap();
        assert_eq!(
            seqs(&OutboxLog::<HealthSample>::open(dir.path(), 300).unwrap().1, 1),
            [1],
            "cut at {cut}"
        );
    }
}

#[test]
fn old_segments_go_once_acknowledged_and_a_hole_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, ..) = OutboxLog::<HealthSample>::open(dir.path(), 300).unwrap();
    let mut seq = 0;
    while log.closed.len() < 4 {
        seq += 1;
        log.append(&sample(1, seq)).unwrap();
    }
    let read = log.read(&[range(1, seq - 400, seq)]).unwrap();
    assert_eq!(read.len(), 401);
    let middle = log.closed[1].path.clone();
    let second = log.closed[1].spans[&boot(1)];
    log.forget(&word(1, log.closed[0].spans[&boot(1)].1));
    assert_eq!(log.closed.len(), 3);
    drop(log);

    // The disk loses the rest of a closed segment.
    let mut bytes = fs::read(&middle).unwrap();
    let half = bytes.len() / 2;
    bytes[half] ^= 0xff;
    fs::write(&middle, &bytes).unwrap();
    let (mut log, saved, damage) = OutboxLog::<HealthSample>::open(dir.path(), 300).unwrap();
    assert!(damage.lost_bytes > 0);
    let held = seqs(&saved, 1);
    assert_eq!((held[0], *held.last().unwrap()), (second.0, seq));
    assert!(!held.contains(&second.1));

    log.forget(&word(1, seq));
    assert_eq!(log.closed.len(), 0);
    let (_, saved, _) = OutboxLog::<HealthSample>::open(dir.path(), 300).unwrap();
    assert_eq!((seqs(&saved, 1).len(), saved.boots[0].next_seq), (0, seq + 1));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_number_written_twice_counts_once_with_the_later_sample() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, ..) = OutboxLog::<HealthSample>::open(dir.path(), 300).unwrap();
    log.append(&sample(1, 1)).unwrap();
    let later = HealthSample {
        uptime_ms: 99,
        ..sample(1, 1)
    };
    log.append(&later).unwrap();
    assert_eq!(log.read(&[range(1, 1, 1)]).unwrap(), [later]);
    assert_eq!(
        seqs(&OutboxLog::<HealthSample>::open(dir.path(), 300).unwrap().1, 1),
        [1]
    );
}

#[test]
fn one_sample_that_nobody_takes_does_not_keep_all_that_came_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, ..) = OutboxLog::<HealthSample>::open(dir.path(), 4).unwrap();
    log.append(&sample(1, 1)).unwrap();
    log.append(&sample(1, 2)).unwrap();
    // Another power-up follows whose samples are taken one by one.
    let most = 6 * SEGMENT_BYTES;
    for seq in 1..=12_000 {
        log.append(&sample(2, seq)).unwrap();
        log.forget(&word(2, seq.saturating_sub(3)));
        assert!(
            log.closed.len() <= 4,
            "{} segments at {seq}",
            log.closed.len() + 1
        );
    }
    log.flush().unwrap();
    let bytes: u64 = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(bytes < most, "{bytes}");
    assert!(!dir.path().join("0000000001.log").exists());
    let (log, saved, damage) = OutboxLog::<HealthSample>::open(dir.path(), 4).unwrap();
    assert_eq!(damage, Damage::default());
    assert_eq!(
        (seqs(&saved, 1), seqs(&saved, 2)),
        (vec![1, 2], vec![11_998, 11_999, 12_000])
    );
    assert_eq!(log.read(&[range(1, 1, 2)]).unwrap(), [sample(1, 1), sample(1, 2)]);
}

#[test]
fn events_are_kept_like_samples_beside_them() {
    use contract::event::{DeviceEvent, EventKind};
    let dir = tempfile::tempdir().unwrap();
    let (mut samples, ..) = OutboxLog::<HealthSample>::open(dir.path(), 4).unwrap();
    let folder = dir.path().join("events");
    let (mut log, saved, _) = OutboxLog::<DeviceEvent>::open(&folder, 4).unwrap();
    assert_eq!(saved, Saved::default());
    let event = |seq| DeviceEvent {
        boot_id: boot(1),
        seq,
        uptime_ms: 5,
        wall_time: None,
        what: EventKind::Link {
            up: seq % 2 == 0,
            console_s: Some(3),
        },
    };
    samples.append(&sample(1, 1)).unwrap();
    for seq in 1..=3 {
        log.append(&event(seq)).unwrap();
    }
    log.forget(&word(1, 1));
    log.flush().unwrap();
    let (log, saved, damage) = OutboxLog::<DeviceEvent>::open(&folder, 4).unwrap();
    assert_eq!((seqs(&saved, 1), damage), (vec![2, 3], Damage::default()));
    assert_eq!(log.read(&[range(1, 2, 3)]).unwrap(), [event(2), event(3)]);
    assert_eq!(
        seqs(&OutboxLog::<HealthSample>::open(dir.path(), 4).unwrap().1, 1),
        [1]
    );
}

/// What an agent of before events wrote is read as it is.
#[test]
fn the_log_of_an_older_agent_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = Vec::new();
    for line in [
        r#"{"k":"checkpoint","boots":[{"boot_id":"boot1","next_seq":4,"acked_up_to":2,"gone_up_to":0}],"dropped_total":9}"#,
        r#"{"k":"sample","sample":{"boot_id":"boot1","seq":4,"uptime_ms":240000,"readings":{"cpu_percent":1.5}}}"#,
        r#"{"k":"forget","up_to":{"boot_id":"boot1","up_to_seq":3}}"#,
    ] {
        records::encode(line.as_bytes(), &mut bytes).unwrap();
    }
    fs::write(dir.path().join("0000000007.log"), bytes).unwrap();
    let (mut log, saved, damage) = OutboxLog::<HealthSample>::open(dir.path(), 224).unwrap();
    assert_eq!(
        (seqs(&saved, 1), saved.dropped_total, damage),
        (vec![4], 9, Damage::default())
    );
    assert_eq!((saved.boots[0].next_seq, saved.boots[0].acked_up_to), (5, 3));
    assert_eq!(log.read(&[range(1, 1, 9)]).unwrap(), [sample(1, 4)]);
    log.append(&sample(1, 5)).unwrap();
}
