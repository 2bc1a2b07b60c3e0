//! Outbox: no sample is lost that the console does not have, none is sent that it acknowledged.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use agent_core::{
    Millis,
    outbox::{Batch, Effect, Event, Limits, Measured, Outbox, RESEND_AFTER, Saved, SavedBoot},
};
use contract::{
    health::{BootSeq, HealthSample, IngestAck, Readings},
    id::{BootId, DeviceId},
};
use proptest::prelude::*;

type Samples = Outbox<HealthSample>;

fn boot(n: usize) -> BootId {
    BootId::new(format!("boot{n}")).unwrap()
}

fn measured(uptime_ms: u64) -> Measured {
    Measured {
        uptime_ms,
        wall_time: None,
        readings: Readings::default(),
    }
}

const ROOMY: Limits = Limits {
    max_bytes: 1_000_000,
    max_batch_bytes: 1000,
    pace: Duration::ZERO,
    ask_every: Duration::ZERO,
};

/// The log on the disk, as the shell keeps it: survives restarts, forgets only as told.
#[derive(Default)]
struct Log {
    samples: BTreeMap<(usize, u64), HealthSample>,
    next_seq: BTreeMap<usize, u64>,
    acked: BTreeMap<usize, u64>,
    dropped_total: u64,
    current: usize,
}

fn number(boot: &BootId) -> usize {
    boot.as_str()[4..].parse().unwrap()
}

impl Log {
    fn saved(&self) -> Saved {
        let held = |n: usize| {
            self.samples
                .keys()
                .filter(move |(b, _)| *b == n)
                .map(|(_, seq)| (*seq, 100))
        };
        let boots = self.next_seq.iter().map(|(n, next)| SavedBoot {
            boot_id: boot(*n),
            next_seq: *next,
            acked_up_to: self.acked.get(n).copied().unwrap_or(0),
            held: held(*n).collect(),
        });
        Saved {
            boots: boots.collect(),
            dropped_total: self.dropped_total,
        }
    }

    /// Performs effects; what is to be sent comes back.
    fn perform(&mut self, outbox: &mut Outbox, now: Millis) -> Vec<(Batch, Vec<(usize, u64)>)> {
        let mut sent = Vec::new();
        while let Some(effect) = outbox.next_effect() {
            match effect {
                Effect::Append(sample) => {
                    assert_eq!(number(&sample.boot_id), self.current);
                    let seq = sample.seq;
                    let before = self.samples.insert((self.current, seq), sample);
                    assert!(before.is_none(), "number {seq} was given twice");
                    self.next_seq.insert(self.current, seq + 1);
                    outbox.handle(Event::Appended { seq, bytes: 100 }, now);
                }
                Effect::Forget(word) => {
                    let n = number(&word.boot_id);
                    self.acked.insert(n, word.up_to_seq);
                    self.samples
                        .retain(|(b, seq), _| *b != n || *seq > word.up_to_seq);
                }
                Effect::Drop { up_to, total } => {
                    self.dropped_total = total;
                    if let Some(word) = up_to {
                        let n = number(&word.boot_id);
                        self.samples
                            .retain(|(b, seq), _| *b != n || *seq > word.up_to_seq);
                    }
                }
                Effect::Send(batch) => {
                    let mut samples = Vec::new();
                    for range in &batch.ranges {
                        let n = number(&range.boot_id);
                        samples.extend((range.from_seq..=range.to_seq).map(|seq| (n, seq)));
                    }
                    sent.push((batch, samples));
                }
            }
        }
        sent
    }
}

#[test]
fn a_sample_is_stored_sent_acknowledged_and_forgotten() {
    let mut outbox = Samples::resume(Saved::default(), boot(1), ROOMY);
    outbox.handle(Event::Push(measured(5)), Millis(0));
    let Some(Effect::Append(sample)) = outbox.next_effect() else {
        panic!("expected an append")
    };
    assert_eq!((sample.seq, sample.uptime_ms), (1, 5));
    outbox.handle(Event::Connected, Millis(0));
    assert_eq!(outbox.next_effect(), None, "nothing is sent before it is durable");
    outbox.handle(Event::Appended { seq: 1, bytes: 100 }, Millis(0));
    let Some(Effect::Send(batch)) = outbox.next_effect() else {
        panic!("expected a batch")
    };
    assert_eq!((batch.ranges[0].from_seq, batch.ranges[0].to_seq), (1, 1));
    assert_eq!(outbox.poll_timeout(), Some(Millis(0) + RESEND_AFTER));
    outbox.handle_timeout(Millis(14_999));
    assert_eq!(outbox.next_effect(), None);
    outbox.handle_timeout(Millis(15_000));
    assert!(
        matches!(outbox.next_effect(), Some(Effect::Send(_))),
        "no ack: sent again"
    );
    let word = BootSeq {
        boot_id: boot(1),
        up_to_seq: 1,
    };
    let ack = IngestAck {
        device_id: DeviceId::new("d").unwrap(),
        stored: vec![word.clone()],
        events: Vec::new(),
    };
    outbox.handle(Event::Acked(ack.stored.clone()), Millis(15_001));
    assert_eq!(outbox.next_effect(), Some(Effect::Forget(word)));
    outbox.handle(Event::Acked(ack.stored), Millis(15_002));
    assert_eq!(
        (outbox.next_effect(), outbox.poll_timeout(), outbox.held_bytes()),
        (None, None, 0)
    );
}

#[test]
fn the_newest_goes_ahead_of_a_backlog_which_is_paced_and_loses_nothing_by_it() {
    let saved = Saved {
        boots: vec![SavedBoot {
            boot_id: boot(1),
            next_seq: 31,
            acked_up_to: 0,
            held: (1..=30).map(|seq| (seq, 100)).collect(),
        }],
        dropped_total: 0,
    };
    let pace = Duration::from_secs(2);
    let mut outbox = Samples::resume(saved, boot(1), Limits { pace, ..ROOMY });
    outbox.handle(Event::Connected, Millis(0));
    let sent = |outbox: &mut Samples| {
        let mut sent = Vec::new();
        while let Some(effect) = outbox.next_effect() {
            if let Effect::Send(batch) = effect {
                sent.extend(batch.ranges.iter().map(|range| (range.from_seq, range.to_seq)));
            }
        }
        sent
    };
    assert_eq!(sent(&mut outbox), [(30, 30), (1, 10)]);
    let ack = |up_to_seq| {
        Event::Acked(vec![BootSeq {
            boot_id: boot(1),
            up_to_seq,
        }])
    };
    // The console has the newest one, and says that it has nothing without a gap.
    outbox.handle(
        Event::Acked(vec![BootSeq {
            boot_id: boot(1),
            up_to_seq: 0,
        }]),
        Millis(10),
    );
    assert_eq!(sent(&mut outbox), []);
    outbox.handle(ack(10), Millis(100));
    assert_eq!(sent(&mut outbox), [], "paced");
    assert_eq!(outbox.poll_timeout(), Some(Millis(2000)));
    // What is measured meanwhile goes ahead too.
    outbox.handle(Event::Push(measured(1)), Millis(500));
    outbox.handle(Event::Appended { seq: 31, bytes: 100 }, Millis(500));
    assert_eq!(sent(&mut outbox), [(31, 31)]);
    outbox.handle_timeout(Millis(2000));
    assert_eq!(sent(&mut outbox), [(11, 20)]);
    outbox.handle(ack(20), Millis(2100));
    outbox.handle_timeout(Millis(4000));
    assert_eq!(sent(&mut outbox), [(21, 30)]);
    outbox.handle(ack(30), Millis(4100));
    outbox.handle_timeout(Millis(6000));
    assert_eq!(sent(&mut outbox), [(31, 31)], "held until its turn came");
    outbox.handle(ack(31), Millis(6100));
    assert_eq!(
        (sent(&mut outbox), outbox.poll_timeout(), outbox.held()),
        (vec![], None, 0)
    );
}

#[test]
fn a_patient_sample_waits_for_company_and_a_console_that_does_not_answer_is_asked_ever_less_often() {
    let mut outbox = Samples::resume(Saved::default(), boot(1), ROOMY);
    outbox.handle(Event::Connected, Millis(0));
    for (n, at) in [(1, 0), (2, 60_000)] {
        outbox.handle(
            Event::PushPatient(measured(n), Duration::from_secs(300)),
            Millis(at),
        );
        outbox.handle(Event::Appended { seq: n, bytes: 100 }, Millis(at));
    }
    let mut sends = Vec::new();
    let mut now = Millis(60_000);
    while now < Millis(7_200_000) {
        while let Some(effect) = outbox.next_effect() {
            if let Effect::Send(batch) = effect {
                assert_eq!((batch.ranges[0].from_seq, batch.ranges[0].to_seq), (1, 2));
                sends.push(now.0 / 1000);
            }
        }
        let Some(next) = outbox.poll_timeout() else { break };
        assert!(next > now, "it would turn without end at {now:?}");
        now = next;
        outbox.handle_timeout(now);
    }
    assert_eq!(sends[..6], [300, 315, 345, 405, 525, 765]);
    assert!(
        sends.len() < 20 && sends[sends.len() - 1] - sends[sends.len() - 2] == 600,
        "{sends:?}"
    );
}

#[test]
fn what_is_not_behind_is_said_quietly_and_confirmed_by_one_ack_for_many() {
    const MINUTE: u64 = 60_000;
    let limits = Limits {
        ask_every: Duration::from_secs(900),
        ..ROOMY
    };
    let mut outbox = Samples::resume(Saved::default(), boot(1), limits);
    let sent = |outbox: &mut Samples| {
        let mut sent = Vec::new();
        while let Some(effect) = outbox.next_effect() {
            if let Effect::Send(batch) = effect {
                let range = &batch.ranges[0];
                sent.push((range.from_seq, range.to_seq, batch.quiet));
            }
        }
        sent
    };
    let push_at = |outbox: &mut Samples, seq: u64, minute: u64| {
        let now = Millis(minute * MINUTE);
        outbox.handle_timeout(now);
        outbox.handle(Event::Push(measured(seq)), now);
        outbox.handle(Event::Appended { seq, bytes: 50 }, now);
    };
    let push = |outbox: &mut Samples, seq: u64| push_at(outbox, seq, seq);
    let ack = |outbox: &mut Samples, up_to_seq: u64, now: u64| {
        let boot_id = boot(1);
        outbox.handle(Event::Acked(vec![BootSeq { boot_id, up_to_seq }]), Millis(now));
    };
    outbox.handle(Event::Connected, Millis(0));
    push(&mut outbox, 1);
    assert_eq!(sent(&mut outbox), [(1, 1, false)], "the first one asks");
    ack(&mut outbox, 1, MINUTE + 100);
    for seq in 2..=15 {
        push(&mut outbox, seq);
        assert_eq!(sent(&mut outbox), [(seq, seq, true)]);
    }
    push(&mut outbox, 16);
    assert_eq!(sent(&mut outbox), [(16, 16, true)], "100 ms too early");
    push(&mut outbox, 17);
    assert_eq!(
        sent(&mut outbox),
        [(17, 17, false)],
        "asks for all of them, and says only what is new"
    );
    assert_eq!(outbox.held(), 16, "nothing is forgotten before the ack");
    ack(&mut outbox, 17, 17 * MINUTE + 100);
    assert_eq!((outbox.held(), sent(&mut outbox)), (0, vec![]));

    // One is lost on its way: the console hears the next one, and says what it has.
    push(&mut outbox, 18);
    push(&mut outbox, 19);
    assert_eq!(sent(&mut outbox), [(18, 18, true), (19, 19, true)]);
    ack(&mut outbox, 17, 19 * MINUTE + 100);
    assert_eq!(
        sent(&mut outbox),
        [(18, 19, false)],
        "again, and an ack is asked for"
    );
    ack(&mut outbox, 17, 19 * MINUTE + 200);
    assert_eq!(
        sent(&mut outbox),
        [],
        "an old word says nothing of what is on its way"
    );
    ack(&mut outbox, 19, 19 * MINUTE + 300);

    // The last ones are lost, and nothing new comes: it is asked all the same.
    push(&mut outbox, 20);
    assert_eq!(sent(&mut outbox), [(20, 20, true)]);
    assert_eq!(
        outbox.poll_timeout(),
        Some(Millis(19 * MINUTE + 300 + 2 * 900_000))
    );
    outbox.handle_timeout(Millis(49 * MINUTE + 300));
    assert_eq!(sent(&mut outbox), [(20, 20, false)]);
    ack(&mut outbox, 20, 50 * MINUTE);
    assert_eq!(outbox.poll_timeout(), None);

    // With a new connection everything that is not confirmed goes again.
    push_at(&mut outbox, 21, 51);
    assert_eq!(sent(&mut outbox), [(21, 21, true)]);
    outbox.handle(Event::Disconnected, Millis(60 * MINUTE));
    outbox.handle(Event::Connected, Millis(60 * MINUTE));
    assert_eq!(sent(&mut outbox), [(21, 21, false)]);
}

#[test]
fn a_failed_write_gives_its_number_to_the_next_sample_and_is_counted() {
    let mut outbox = Samples::resume(Saved::default(), boot(1), ROOMY);
    outbox.handle(Event::Push(measured(1)), Millis(0));
    outbox.handle(Event::Push(measured(2)), Millis(0));
    assert!(matches!(outbox.next_effect(), Some(Effect::Append(s)) if s.seq == 1 && s.uptime_ms == 1));
    assert_eq!(outbox.next_effect(), None, "one at a time");
    outbox.handle(Event::AppendFailed { seq: 1 }, Millis(0));
    assert_eq!(
        outbox.next_effect(),
        Some(Effect::Drop {
            up_to: None,
            total: 1
        })
    );
    assert!(matches!(outbox.next_effect(), Some(Effect::Append(s)) if s.seq == 1 && s.uptime_ms == 2));
}

#[test]
fn over_the_cap_the_oldest_go_are_counted_and_declared() {
    let held = |from: u64, to: u64| (from..=to).map(|seq| (seq, 100)).collect::<VecDeque<_>>();
    let saved = Saved {
        boots: vec![
            SavedBoot {
                boot_id: boot(1),
                next_seq: 4,
                acked_up_to: 1,
                held: held(2, 3),
            },
            SavedBoot {
                boot_id: boot(2),
                next_seq: 6,
                acked_up_to: 0,
                held: held(1, 5),
            },
        ],
        dropped_total: 10,
    };
    let mut outbox = Samples::resume(
        saved,
        boot(3),
        Limits {
            max_bytes: 400,
            max_batch_bytes: 1000,
            ..ROOMY
        },
    );
    let word = |n, up_to_seq| {
        Some(BootSeq {
            boot_id: boot(n),
            up_to_seq,
        })
    };
    assert_eq!(
        outbox.next_effect(),
        Some(Effect::Drop {
            up_to: word(1, 3),
            total: 12
        })
    );
    assert_eq!(
        outbox.next_effect(),
        Some(Effect::Drop {
            up_to: word(2, 1),
            total: 13
        })
    );
    outbox.handle(Event::Connected, Millis(0));
    let Some(Effect::Send(batch)) = outbox.next_effect() else {
        panic!("expected a batch")
    };
    assert_eq!(batch.forgotten, [word(1, 3).unwrap(), word(2, 1).unwrap()]);
    assert_eq!(batch.dropped_total, 13);
    assert_eq!((batch.ranges[0].from_seq, batch.ranges[0].to_seq), (2, 5));
}

#[test]
fn a_lost_log_never_reuses_numbers_that_the_console_has() {
    let mut outbox = Samples::resume(Saved::default(), boot(1), ROOMY);
    let mut log = Log {
        current: 1,
        ..Log::default()
    };
    outbox.handle(Event::Connected, Millis(0));
    outbox.handle(Event::Push(measured(1)), Millis(0));
    assert_eq!(log.perform(&mut outbox, Millis(0)).len(), 1);
    let word = BootSeq {
        boot_id: boot(1),
        up_to_seq: 500,
    };
    outbox.handle(Event::Acked(vec![word]), Millis(0));
    outbox.handle(Event::Push(measured(2)), Millis(0));
    let sent = log.perform(&mut outbox, Millis(0));
    assert_eq!(sent[0].1, [(1, 501)]);
}

#[test]
fn a_console_put_back_from_an_older_copy_is_told_what_it_once_had_and_goes_on() {
    let (mut log, now) = (Log::default(), Millis::default());
    log.next_seq.insert(0, 101);
    log.acked.insert(0, 100);
    let mut outbox = Samples::resume(log.saved(), boot(0), ROOMY);
    let ack = |up_to_seq| {
        Event::Acked(vec![BootSeq {
            boot_id: boot(0),
            up_to_seq,
        }])
    };
    outbox.handle(Event::Connected, now);
    outbox.handle(Event::Push(measured(1)), now);
    let sent = log.perform(&mut outbox, now);
    assert_eq!(
        sent.last().unwrap().0.forgotten,
        [],
        "all before was acknowledged"
    );
    // It knows 60 of them: 61 to 100 it will never get, and 101 it has but cannot count.
    outbox.handle(ack(60), now);
    assert_eq!(
        log.perform(&mut outbox, now),
        [],
        "the batch on its way is not overtaken"
    );
    let later = now + RESEND_AFTER;
    outbox.handle_timeout(later);
    let again = log.perform(&mut outbox, later);
    let declared = BootSeq {
        boot_id: boot(0),
        up_to_seq: 100,
    };
    assert_eq!(again[0].0.forgotten, [declared]);
    // Now it counts on.
    outbox.handle(ack(101), later);
    outbox.handle(Event::Push(measured(2)), later);
    let on = log.perform(&mut outbox, later);
    assert_eq!((on[0].0.forgotten.len(), on[0].0.ranges[0].from_seq), (0, 102));
}

#[test]
fn a_hole_in_the_log_is_declared_once_what_is_before_it_is_acknowledged() {
    let held = VecDeque::from([(1, 100), (2, 100), (5, 100)]);
    let saved = Saved {
        boots: vec![SavedBoot {
            boot_id: boot(1),
            next_seq: 6,
            acked_up_to: 0,
            held,
        }],
        dropped_total: 0,
    };
    let mut outbox = Samples::resume(saved, boot(2), ROOMY);
    outbox.handle(Event::Connected, Millis(0));
    let Some(Effect::Send(first)) = outbox.next_effect() else {
        panic!("expected a batch")
    };
    assert_eq!(
        (first.ranges.len(), first.ranges[0].to_seq, first.forgotten.len()),
        (1, 2, 0)
    );
    let ack = |up_to_seq| {
        let stored = vec![BootSeq {
            boot_id: boot(1),
            up_to_seq,
        }];
        Event::Acked(stored)
    };
    outbox.handle(ack(2), Millis(1));
    assert!(matches!(outbox.next_effect(), Some(Effect::Forget(_))));
    let Some(Effect::Send(second)) = outbox.next_effect() else {
        panic!("expected a batch")
    };
    assert_eq!(
        second.forgotten,
        [BootSeq {
            boot_id: boot(1),
            up_to_seq: 4
        }]
    );
    assert_eq!(second.ranges[0].from_seq, 5);
}

/// What may happen between device and console.
#[derive(Debug, Clone)]
enum Step {
    Push,
    Deliver,
    LoseUp,
    DeliverAck,
    LoseAck,
    /// An ack from long ago arrives once more.
    RepeatAck,
    Reconnect,
    Wait,
    RestartAgent,
    RestartMachine,
}

/// Stores each sample once and acknowledges what is contiguous, as the console does.
#[derive(Default)]
struct Console {
    stored: BTreeSet<(usize, u64)>,
    contiguous: BTreeMap<usize, u64>,
}

impl Console {
    fn ingest(&mut self, batch: &Batch, samples: &[(usize, u64)]) -> Option<IngestAck> {
        let mut named = BTreeSet::new();
        for word in &batch.forgotten {
            let up_to = self.contiguous.entry(number(&word.boot_id)).or_default();
            *up_to = word.up_to_seq.max(*up_to);
            named.insert(number(&word.boot_id));
        }
        for sample in samples {
            self.stored.insert(*sample);
            named.insert(sample.0);
        }
        let stored = named.into_iter().map(|n| {
            let up_to = self.contiguous.entry(n).or_default();
            while self.stored.contains(&(n, *up_to + 1)) {
                *up_to += 1;
            }
            BootSeq {
                boot_id: boot(n),
                up_to_seq: *up_to,
            }
        });
        let stored: Vec<_> = stored.collect();
        let whole = samples.iter().all(|(n, seq)| self.contiguous[n] >= *seq);
        (!batch.quiet || !whole).then(|| IngestAck {
            device_id: DeviceId::new("d").unwrap(),
            stored,
            events: Vec::new(),
        })
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Push),
        4 => Just(Step::Deliver),
        2 => Just(Step::LoseUp),
        4 => Just(Step::DeliverAck),
        2 => Just(Step::LoseAck),
        1 => Just(Step::RepeatAck),
        2 => Just(Step::Reconnect),
        3 => Just(Step::Wait),
        1 => Just(Step::RestartAgent),
        1 => Just(Step::RestartMachine),
    ]
}

proptest! {
    #[test]
    fn whatever_is_lost_repeated_or_restarted_every_sample_arrives_and_none_again_after_its_ack(
        steps in prop::collection::vec(any_step(), 0..120),
        small_cap in any::<bool>(),
        asks in 0u32..4,
    ) {
        let limits = Limits { max_bytes: if small_cap { 500 } else { 1_000_000 }, max_batch_bytes: 350,
            pace: Duration::ZERO, ask_every: RESEND_AFTER * asks * 2 };
        let mut log = Log { current: 1, ..Log::default() };
        let mut outbox = Samples::resume(log.saved(), boot(1), limits);
        let mut console = Console::default();
        let (mut up, mut down, mut heard) = (VecDeque::new(), VecDeque::new(), Vec::new());
        let mut now = Millis(0);
        let mut pushed = 0u64;
        // What the device was told; nothing of it may be sent again.
        let mut told: BTreeMap<usize, u64> = BTreeMap::new();

        // In the end the line is good: what is under way arrives before more is sent.
        let calm = [Step::Reconnect].into_iter().chain(std::iter::repeat_n(
            [Step::Deliver, Step::DeliverAck, Step::Deliver, Step::DeliverAck, Step::Wait],
            400,
        ).flatten());
        for step in steps.into_iter().chain(calm) {
            match step {
                Step::Push => {
                    pushed += 1;
                    outbox.handle(Event::Push(measured(pushed)), now);
                }
                Step::Deliver => if let Some((batch, samples)) = up.pop_front() {
                    let samples: Vec<(usize, u64)> = samples;
                    down.extend(console.ingest(&batch, &samples));
                },
                Step::LoseUp => { up.pop_front(); }
                Step::DeliverAck => if let Some(ack) = down.pop_front() {
                    heard.push(IngestAck::clone(&ack));
                    for word in &ack.stored {
                        let known = told.entry(number(&word.boot_id)).or_default();
                        *known = word.up_to_seq.max(*known);
                    }
                    outbox.handle(Event::Acked(ack.stored), now);
                },
                Step::LoseAck => { down.pop_front(); }
                Step::RepeatAck => if let Some(ack) = heard.first() {
                    outbox.handle(Event::Acked(ack.stored.clone()), now);
                },
                Step::Reconnect => {
                    outbox.handle(Event::Disconnected, now);
                    outbox.handle(Event::Connected, now);
                }
                Step::Wait => {
                    now = now + RESEND_AFTER;
                    outbox.handle_timeout(now);
                }
                Step::RestartAgent => outbox = Outbox::resume(log.saved(), boot(log.current), limits),
                Step::RestartMachine => {
                    log.current += 1;
                    now = Millis(0);
                    outbox = Outbox::resume(log.saved(), boot(log.current), limits);
                }
            }
            for (batch, samples) in log.perform(&mut outbox, now) {
                for (n, seq) in &samples {
                    prop_assert!(told.get(n).is_none_or(|up_to| seq > up_to), "sent {n}/{seq} after its ack");
                }
                up.push_back((batch, samples));
            }
            prop_assert!(outbox.held_bytes() <= limits.max_bytes);
        }
        prop_assert_eq!(log.samples.len(), 0, "everything is acknowledged in the end");
        let stored = console.stored.len() as u64;
        prop_assert!(stored + log.dropped_total >= pushed, "{} + {} < {}", stored, log.dropped_total, pushed);
        if !small_cap {
            prop_assert_eq!((stored, log.dropped_total), (pushed, 0));
        }
    }
}
