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
    assert_eq!(seqs(&OutboxLog::<HealthSample>::open(dir.path(), 300).unwrap().1, 1), [1]);
}
