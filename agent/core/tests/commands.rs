//! Commands: whatever is repeated, reordered or restarted, each is executed at most once and answered in the end.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use agent_core::{
    Millis,
    commands::{Commands, Effect, Entry, Event, REBOOT_DEADLINE, Stage},
};
use contract::{
    command::{CommandBody, CommandEnvelope, CommandState, NoticeLevel},
    id::{BootId, CommandId, DeviceId},
};
use jiff::Timestamp;
use proptest::prelude::*;

fn device() -> DeviceId {
    DeviceId::new("d1").unwrap()
}

fn boot(n: u32) -> BootId {
    BootId::new(format!("boot{n}")).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn command(id: &str, body: CommandBody) -> CommandEnvelope {
    CommandEnvelope {
        id: CommandId::new(id).unwrap(),
        device_id: device(),
        issued_at: at("2026-01-01T00:00:00Z"),
        expires_at: at("2026-01-01T00:10:00Z"),
        body,
    }
}

fn notice(show_for_s: u32) -> CommandBody {
    CommandBody::Notice {
        level: NoticeLevel::Standard,
        title: "断电".into(),
        text: "今晚".into(),
        show_for_s,
    }
}

fn received(envelope: CommandEnvelope) -> Event {
    Event::Received {
        envelope,
        not_before: None,
    }
}

/// Performs effects with a journal that works; what was published and how often a restart was asked for comes back.
fn perform(commands: &mut Commands, journal: &mut Vec<Entry>, now: Millis) -> (Vec<CommandState>, usize) {
    let (mut said, mut reboots) = (Vec::new(), 0);
    while let Some(effect) = commands.next_effect() {
        match effect {
            Effect::Journal(entry) => {
                let id = entry.envelope.id.clone();
                journal.push(entry);
                commands.handle(Event::Journalled(id), now);
            }
            Effect::Compact(entries) => *journal = entries,
            Effect::Publish(status) => said.push(status.state),
            Effect::Reboot(_) => reboots += 1,
            Effect::NoticesChanged | Effect::Held(..) | Effect::TestBandwidth(..) | Effect::Do(..) => {}
        }
    }
    (said, reboots)
}

fn start(journal: &[Entry], boot_number: u32, now: Millis) -> Commands {
    Commands::resume(device(), boot(boot_number), journal.to_vec(), now)
}

#[test]
fn a_notice_is_shown_for_its_time_also_over_a_restart_of_the_agent_but_not_of_the_machine() {
    let mut journal = Vec::new();
    let mut commands = start(&journal, 1, Millis(0));
    commands.handle(received(command("c1", notice(60))), Millis(1000));
    assert_eq!(
        commands.notices(Millis(1000)),
        [],
        "not before it is in the journal"
    );
    let (said, _) = perform(&mut commands, &mut journal, Millis(1000));
    assert_eq!(said, [CommandState::Accepted, CommandState::Succeeded]);
    assert_eq!(commands.notices(Millis(1000))[0].until, Millis(61_000));

    let mut again = start(&journal, 1, Millis(5000));
    assert_eq!(again.notices(Millis(5000))[0].title, "断电");
    perform(&mut again, &mut journal, Millis(5000));
    assert_eq!(again.poll_timeout(), Some(Millis(61_000)));
    again.handle_timeout(Millis(61_000));
    assert_eq!(again.next_effect(), Some(Effect::NoticesChanged));
    assert_eq!(
        (again.notices(Millis(61_000)).len(), again.poll_timeout()),
        (0, None)
    );

    assert_eq!(start(&journal, 2, Millis(100)).notices(Millis(100)), []);
}

#[test]
fn a_reboot_waits_is_journalled_before_it_begins_and_is_answered_by_the_next_power_up() {
    let mut journal = Vec::new();
    let mut commands = start(&journal, 1, Millis(0));
    commands.handle(
        received(command("c1", CommandBody::Reboot { delay_s: 30 })),
        Millis(0),
    );
    assert_eq!(
        perform(&mut commands, &mut journal, Millis(0)),
        (vec![CommandState::Accepted], 0)
    );
    assert_eq!(commands.poll_timeout(), Some(Millis(30_000)));
    commands.handle_timeout(Millis(30_000));
    let Some(Effect::Journal(entry)) = commands.next_effect() else {
        panic!("expected the journal first")
    };
    assert!(matches!(entry.stage, Stage::Executing { .. }));
    assert_eq!(
        commands.next_effect(),
        None,
        "no restart before the journal says so"
    );
    let id = entry.envelope.id.clone();
    journal.push(entry);
    commands.handle(Event::Journalled(id), Millis(30_001));
    assert_eq!(
        perform(&mut commands, &mut journal, Millis(30_001)),
        (vec![CommandState::Executing], 1)
    );

    let mut same_boot = start(&journal, 1, Millis(40_000));
    assert_eq!(
        perform(&mut same_boot, &mut journal.clone(), Millis(40_000)),
        (vec![], 0)
    );
    let deadline = same_boot.poll_timeout().unwrap();
    assert_eq!(deadline, Millis(30_000) + REBOOT_DEADLINE);
    same_boot.handle_timeout(deadline);
    let (said, reboots) = perform(&mut same_boot, &mut journal.clone(), deadline);
    assert!(matches!(&said[..], [CommandState::Failed { reason }] if reason.contains("300 s")));
    assert_eq!(reboots, 0);

    let mut next_boot = start(&journal, 2, Millis(10));
    assert_eq!(
        perform(&mut next_boot, &mut journal, Millis(10)),
        (vec![CommandState::Succeeded], 0)
    );
    next_boot.handle(Event::Connected, Millis(11));
    assert_eq!(
        perform(&mut next_boot, &mut journal, Millis(11)),
        (vec![CommandState::Succeeded], 0)
    );
}

#[test]
fn a_reboot_that_cannot_begin_fails_with_its_reason() {
    let mut journal = Vec::new();
    let mut commands = start(&journal, 1, Millis(0));
    commands.handle(
        received(command("c1", CommandBody::Reboot { delay_s: 0 })),
        Millis(0),
    );
    perform(&mut commands, &mut journal, Millis(0));
    commands.handle_timeout(Millis(0));
    assert_eq!(perform(&mut commands, &mut journal, Millis(0)).1, 1);
    commands.handle(
        Event::RebootFailed(CommandId::new("c1").unwrap(), "exit status 1".into()),
        Millis(5),
    );
    let failed = CommandState::Failed {
        reason: "exit status 1".into(),
    };
    assert_eq!(perform(&mut commands, &mut journal, Millis(5)), (vec![failed], 0));
}

#[test]
fn expired_foreign_unknown_and_out_of_bounds_are_answered_and_never_executed() {
    let mut journal = Vec::new();
    let mut commands = start(&journal, 1, Millis(0));
    let mut foreign = command("foreign", notice(5));
    foreign.device_id = DeviceId::new("d2").unwrap();
    for (envelope, word) in [
        (foreign, "d2"),
        (command("unknown", CommandBody::Unknown), "update the agent"),
        (command("long", CommandBody::Reboot { delay_s: 601 }), "0 to 600"),
    ] {
        commands.handle(received(envelope), Millis(0));
        let (said, reboots) = perform(&mut commands, &mut journal, Millis(0));
        assert!(
            matches!(&said[..], [CommandState::Rejected { reason }] if reason.contains(word)),
            "{said:?}"
        );
        assert_eq!(reboots, 0);
    }
    assert_eq!(commands.notices(Millis(0)), []);
    // Without a trusted clock nothing expires.
    commands.handle(received(command("fine", notice(5))), Millis(0));
    assert_eq!(commands.notices(Millis(0)), []);
    perform(&mut commands, &mut journal, Millis(0));
    assert_eq!(commands.notices(Millis(0)).len(), 1);
    let late = Event::Received {
        envelope: command("late", notice(5)),
        not_before: Some(at("2026-01-01T00:10:00Z")),
    };
    commands.handle(late, Millis(0));
    assert_eq!(
        perform(&mut commands, &mut journal, Millis(0)).0,
        [CommandState::Expired]
    );
}

#[test]
fn a_journal_that_cannot_be_written_stops_the_command_and_it_may_come_again() {
    let mut commands = start(&[], 1, Millis(0));
    let reboot = || command("c1", CommandBody::Reboot { delay_s: 0 });
    commands.handle(received(reboot()), Millis(0));
    assert!(matches!(commands.next_effect(), Some(Effect::Journal(_))));
    commands.handle(Event::JournalFailed(reboot().id, "disk full".into()), Millis(0));
    let Some(Effect::Publish(status)) = commands.next_effect() else {
        panic!("expected an answer")
    };
    assert!(matches!(status.state, CommandState::Failed { reason } if reason.contains("disk full")));
    commands.handle(received(reboot()), Millis(1));
    perform(&mut commands, &mut Vec::new(), Millis(1));
    commands.handle_timeout(Millis(1));
    assert!(matches!(commands.next_effect(), Some(Effect::Journal(_))));
    commands.handle(Event::JournalFailed(reboot().id, "disk full".into()), Millis(1));
    assert_eq!(commands.next_effect(), None, "not executed, and not given up");
    assert_eq!(commands.poll_timeout(), Some(Millis(1) + Duration::from_secs(60)));
}

#[test]
fn the_record_stays_bounded_and_forgets_only_what_has_expired() {
    let mut journal = Vec::new();
    let mut commands = start(&journal, 1, Millis(0));
    for n in 0..3000 {
        let mut envelope = command(&format!("c{n}"), notice(5));
        envelope.expires_at = at("2026-01-01T00:00:00Z") + Duration::from_secs(n + 100);
        let now = at("2026-01-01T00:00:00Z") + Duration::from_secs(n);
        commands.handle(
            Event::Received {
                envelope,
                not_before: Some(now),
            },
            Millis(n),
        );
        perform(&mut commands, &mut journal, Millis(n));
        assert!(
            journal.len() < 5 * 1024 + 200,
            "{} entries after {n}",
            journal.len()
        );
    }
    let again = command("c2999", notice(5));
    commands.handle(received(again), Millis(0));
    assert_eq!(
        perform(&mut commands, &mut journal, Millis(0)).0,
        [CommandState::Succeeded]
    );
}

#[derive(Debug, Clone)]
enum Step {
    Deliver(u8),
    JournalFails,
    Wait(u64),
    RestartAgent { journal_durable: bool },
    RestartMachine,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..6).prop_map(Step::Deliver),
        1 => Just(Step::JournalFails),
        3 => (0u64..400_000).prop_map(Step::Wait),
        1 => any::<bool>().prop_map(|journal_durable| Step::RestartAgent { journal_durable }),
        1 => Just(Step::RestartMachine),
    ]
}

proptest! {
    #[test]
    fn each_is_executed_at_most_once_and_never_before_its_journal_entry(
        steps in prop::collection::vec(any_step(), 0..80),
    ) {
        let mut journal: Vec<Entry> = Vec::new();
        let (mut boot_number, mut now) = (1, Millis(0));
        let mut commands = start(&journal, boot_number, now);
        let mut reboots: BTreeMap<CommandId, u32> = BTreeMap::new();
        let mut shown: BTreeMap<String, BTreeSet<(u32, Millis)>> = BTreeMap::new();
        let mut final_said: BTreeMap<CommandId, CommandState> = BTreeMap::new();
        let mut fails = false;
        let calm = [Step::Wait(700_000), Step::RestartMachine, Step::Wait(700_000)];
        for step in steps.into_iter().chain(calm) {
            match step {
                Step::Deliver(n) => {
                    let body = if n < 3 { CommandBody::Reboot { delay_s: u32::from(n) * 60 } } else {
                        CommandBody::Notice {
                            level: NoticeLevel::Urgent, title: format!("n{n}"), text: String::new(), show_for_s: 60,
                        }
                    };
                    commands.handle(received(command(&format!("c{n}"), body)), now);
                }
                Step::JournalFails => fails = true,
                Step::Wait(ms) => {
                    now = Millis(now.0 + ms);
                    commands.handle_timeout(now);
                }
                // kill -9: an entry on its way may be on the disk or not.
                Step::RestartAgent { journal_durable } => {
                    if journal_durable && let Some(Effect::Journal(entry)) = commands.next_effect() {
                        journal.push(entry);
                    }
                    commands = start(&journal, boot_number, now);
                }
                Step::RestartMachine => {
                    boot_number += 1;
                    now = Millis(0);
                    commands = start(&journal, boot_number, now);
                }
            }
            // Effects may be left behind, as a crash would leave them.
            let mut budget = 7;
            while budget > 0 && let Some(effect) = commands.next_effect() {
                budget -= 1;
                match effect {
                    Effect::Journal(entry) => {
                        let id = entry.envelope.id.clone();
                        if std::mem::take(&mut fails) {
                            commands.handle(Event::JournalFailed(id, "full".into()), now);
                        } else {
                            journal.push(entry);
                            commands.handle(Event::Journalled(id), now);
                        }
                    }
                    Effect::Compact(entries) => journal = entries,
                    Effect::Reboot(id) => {
                        let last = journal.iter().rev().find(|e| e.envelope.id == id).unwrap();
                        let journalled = matches!(last.stage, Stage::Executing { .. });
                        prop_assert!(journalled, "{} began before its entry", id);
                        *reboots.entry(id).or_default() += 1;
                    }
                    Effect::Publish(status) => {
                        if status.state.is_final() && !matches!(status.state, CommandState::Failed { .. }) {
                            let before = final_said.insert(status.id, status.state.clone());
                            prop_assert!(before.is_none_or(|b| b == status.state));
                        }
                    }
                    Effect::NoticesChanged | Effect::Held(..) | Effect::TestBandwidth(..) | Effect::Do(..) => {}
                }
            }
            for notice in commands.notices(now) {
                shown.entry(notice.title.to_owned()).or_default().insert((boot_number, notice.until));
            }
        }
        prop_assert!(reboots.values().all(|n| *n == 1), "{:?}", reboots);
        prop_assert!(shown.values().all(|times| times.len() == 1), "{:?}", shown);
    }
}

fn urgent(id: &str, issued_at: &str) -> CommandEnvelope {
    let body = CommandBody::Notice {
        level: NoticeLevel::Urgent,
        title: "停课".into(),
        text: String::new(),
        show_for_s: 60,
    };
    CommandEnvelope {
        issued_at: at(issued_at),
        expires_at: at("2027-01-01T00:00:00Z"),
        ..command(id, body)
    }
}

fn hold(held: bool, not_before: &str) -> Event {
    Event::Hold {
        held,
        not_before: Some(at(not_before)),
    }
}

#[test]
fn in_an_exam_nothing_is_shown_or_executed_and_afterwards_what_has_not_expired_is() {
    let mut journal = Vec::new();
    let mut commands = start(&journal, 1, Millis(0));
    commands.handle(received(command("before", notice(600))), Millis(0));
    perform(&mut commands, &mut journal, Millis(0));
    assert_eq!(commands.notices(Millis(1)).len(), 1);
    commands.handle(hold(true, "2026-01-01T00:01:00Z"), Millis(1000));
    assert_eq!(
        commands.notices(Millis(1000)),
        [],
        "what was on the screen goes, too"
    );
    let late = CommandEnvelope {
        expires_at: at("2026-01-01T01:00:00Z"),
        ..command("late", notice(60))
    };
    commands.handle(received(late), Millis(2000));
    commands.handle(received(command("soon", notice(60))), Millis(2000));
    commands.handle(
        received(command("reboot", CommandBody::Reboot { delay_s: 0 })),
        Millis(2000),
    );
    let (said, reboots) = perform(&mut commands, &mut journal, Millis(2000));
    assert_eq!(said, vec![CommandState::Accepted; 3]);
    assert_eq!(
        commands.poll_timeout(),
        Some(Millis(600_000)),
        "only the end of what was shown before"
    );
    commands.handle_timeout(Millis(500_000));
    assert_eq!(
        (perform(&mut commands, &mut journal, Millis(500_000)).1, reboots),
        (0, 0)
    );
    // The agent is killed in between: still nothing.
    let mut commands = Commands::resume_held(device(), boot(1), journal.clone(), true, Millis(500_500));
    assert_eq!(perform(&mut commands, &mut journal, Millis(500_500)), (vec![], 0));
    assert_eq!(commands.notices(Millis(500_500)), []);
    // Two of the three came too late.
    commands.handle(hold(false, "2026-01-01T00:30:00Z"), Millis(501_000));
    let (said, reboots) = perform(&mut commands, &mut journal, Millis(501_000));
    assert_eq!(said.iter().filter(|s| **s == CommandState::Expired).count(), 2);
    assert_eq!(reboots, 0);
    let shown = commands.notices(Millis(501_000));
    assert_eq!(shown.len(), 2, "the late one, and the rest of the one before");
    assert_eq!(shown[0].until, Millis(561_000), "its whole time");
}

#[test]
fn a_reboot_that_was_held_back_and_has_not_expired_comes_after_the_exam() {
    let mut journal = Vec::new();
    let mut commands = start(&journal, 1, Millis(0));
    commands.handle(hold(true, "2026-01-01T00:01:00Z"), Millis(0));
    commands.handle(
        received(command("r", CommandBody::Reboot { delay_s: 5 })),
        Millis(10),
    );
    assert_eq!(perform(&mut commands, &mut journal, Millis(10)).1, 0);
    commands.handle(hold(false, "2026-01-01T00:02:00Z"), Millis(60_000));
    perform(&mut commands, &mut journal, Millis(60_000));
    commands.handle_timeout(Millis(65_000));
    assert_eq!(perform(&mut commands, &mut journal, Millis(65_000)).1, 1);
}

#[test]
fn more_than_three_urgent_notices_in_an_hour_are_shown_as_a_strip() {
    let mut journal = Vec::new();
    let mut commands = start(&journal, 1, Millis(0));
    let mut level = |n: u64, issued_at: &str| {
        let now = Millis(n * 61_000);
        commands.handle_timeout(now);
        commands.handle(received(urgent(&format!("u{n}"), issued_at)), now);
        perform(&mut commands, &mut journal, now);
        commands.notices(now)[0].level
    };
    for n in 0..3 {
        assert_eq!(level(n, &format!("2026-03-01T08:0{n}:00Z")), NoticeLevel::Urgent);
    }
    assert_eq!(level(3, "2026-03-01T08:30:00Z"), NoticeLevel::Standard);
    // An hour later by both clocks.
    assert_eq!(level(120, "2026-03-01T10:30:00Z"), NoticeLevel::Urgent);
    // The count holds over a power-up, by when they were signed.
    let mut again = start(&journal, 2, Millis(0));
    for (n, expected) in [
        (0, NoticeLevel::Urgent),
        (1, NoticeLevel::Urgent),
        (2, NoticeLevel::Standard),
    ] {
        again.handle(
            received(urgent(&format!("v{n}"), "2026-03-01T10:31:00Z")),
            Millis(n),
        );
        perform(&mut again, &mut journal, Millis(n));
        assert_eq!(again.notices(Millis(n))[0].level, expected, "{n}");
    }
}

fn measure() -> CommandBody {
    CommandBody::TestBandwidth(contract::bandwidth::BandwidthTest {
        test: "bw-1".into(),
        starts_at: at("2026-01-01T00:05:00Z"),
        seconds: 10,
        streams: 8,
        down: true,
        up: true,
        forced: false,
    })
}

#[test]
fn a_test_of_the_line_runs_once_and_is_never_carried_over_a_restart() {
    let mut journal = Vec::new();
    let mut commands = start(&journal, 1, Millis(0));
    commands.handle(received(command("c1", measure())), Millis(0));
    let (mut asked, mut said) = (0, Vec::new());
    while let Some(effect) = commands.next_effect() {
        match effect {
            Effect::Journal(entry) => {
                let id = entry.envelope.id.clone();
                journal.push(entry);
                commands.handle(Event::Journalled(id), Millis(0));
            }
            Effect::TestBandwidth(..) => asked += 1,
            Effect::Publish(status) => said.push(status.state),
            Effect::Reboot(_) => panic!("that is no reboot"),
            Effect::Compact(_) | Effect::NoticesChanged | Effect::Held(..) | Effect::Do(..) => {}
        }
    }
    assert_eq!((asked, said.last()), (1, Some(&CommandState::Executing)));
    commands.handle(received(command("c1", measure())), Millis(1));
    let over = Event::Tested(CommandId::new("c1").unwrap(), Ok(()));
    let under_way = journal.clone();
    commands.handle(over, Millis(20_000));
    let (said, _) = perform(&mut commands, &mut journal, Millis(20_000));
    assert_eq!(said.last(), Some(&CommandState::Succeeded));
    for boot_number in [1, 2] {
        let mut again = start(&under_way, boot_number, Millis(30_000));
        let (said, reboots) = perform(&mut again, &mut under_way.clone(), Millis(30_000));
        assert_eq!(reboots, 0);
        assert!(
            matches!(said.last(), Some(CommandState::Failed { reason }) if reason.contains("while it measured")),
            "{said:?}"
        );
    }
}
