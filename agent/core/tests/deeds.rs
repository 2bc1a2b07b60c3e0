//! Switching off, screen, loudspeaker, lock, log: journalled before they begin, never in a class or an exam unless forced, and
//! answered once, whatever restarts in between.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use agent_core::{
    Millis,
    commands::{Commands, Deed, Effect, Entry, Event, REBOOT_DEADLINE, Stage},
};
use contract::{
    command::{CommandBody, CommandEnvelope, CommandState},
    id::{BootId, CommandId, DeviceId},
};

fn id() -> CommandId {
    CommandId::new("c1").unwrap()
}

fn command(body: CommandBody) -> Event {
    Event::Received {
        envelope: CommandEnvelope {
            id: id(),
            device_id: DeviceId::new("d1").unwrap(),
            issued_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            expires_at: "2026-01-01T08:00:00Z".parse().unwrap(),
            body,
        },
        not_before: None,
    }
}

fn start(journal: &[Entry], boot: u32, teaching: bool) -> Commands {
    let boot = BootId::new(format!("boot{boot}")).unwrap();
    let mut commands = Commands::resume(DeviceId::new("d1").unwrap(), boot, journal.to_vec(), Millis(0));
    commands.handle(Event::Teaching(teaching), Millis(0));
    commands
}

fn hold(commands: &mut Commands, held: bool, now: u64) {
    let not_before = None;
    commands.handle(Event::Hold { held, not_before }, Millis(now));
}

/// Performs effects with a journal that works: what was said, and what was to be done.
fn perform(commands: &mut Commands, journal: &mut Vec<Entry>, now: u64) -> (Vec<CommandState>, Vec<Deed>) {
    let (mut said, mut deeds) = (Vec::new(), Vec::new());
    while let Some(effect) = commands.next_effect() {
        match effect {
            Effect::Journal(entry) => {
                let id = entry.envelope.id.clone();
                journal.push(entry);
                commands.handle(Event::Journalled(id), Millis(now));
            }
            Effect::Do(id, deed) => {
                let last = journal.iter().rev().find(|e| e.envelope.id == id).unwrap();
                assert!(
                    matches!(last.stage, Stage::Executing { .. }),
                    "it began before its entry"
                );
                deeds.push(deed);
            }
            Effect::Publish(status) => said.push(status.state),
            Effect::Reboot(_) | Effect::TestBandwidth(..) => panic!("that was not asked for"),
            Effect::Compact(_) | Effect::NoticesChanged | Effect::Held(..) => {}
        }
    }
    (said, deeds)
}

fn power_off(delay_s: u32, force: bool) -> CommandBody {
    CommandBody::PowerOff {
        delay_s,
        force,
        reason: if force {
            "起火警报".into()
        } else {
            String::new()
        },
    }
}

fn screen(on: bool, force: bool) -> CommandBody {
    CommandBody::Screen {
        on,
        force,
        reason: if force { "漏水".into() } else { String::new() },
    }
}

fn refused(said: &[CommandState]) -> bool {
    matches!(said.last(), Some(CommandState::Rejected { reason } | CommandState::Failed { reason }) if reason == "class_hours")
}

#[test]
fn a_deed_is_done_once_and_answered() {
    let mut journal = Vec::new();
    let mut commands = start(&journal, 1, false);
    let volume = CommandBody::Volume {
        percent: Some(40),
        mute: None,
    };
    commands.handle(command(volume.clone()), Millis(1));
    let (said, deeds) = perform(&mut commands, &mut journal, 1);
    assert_eq!(said, [CommandState::Accepted, CommandState::Executing]);
    assert_eq!(
        deeds,
        [Deed::Volume {
            percent: Some(40),
            mute: None
        }]
    );
    commands.handle(command(volume), Millis(2));
    assert_eq!(
        perform(&mut commands, &mut journal, 2),
        (vec![CommandState::Executing], vec![])
    );
    commands.handle(Event::Done(id(), Ok(())), Millis(3));
    assert_eq!(
        perform(&mut commands, &mut journal, 3).0,
        [CommandState::Succeeded]
    );
    commands.handle(Event::Done(id(), Err("late".into())), Millis(4));
    assert_eq!(perform(&mut commands, &mut journal, 4), (vec![], vec![]));
}

#[test]
fn nothing_that_ends_a_class_is_done_in_one_unless_it_is_forced() {
    for (body, done) in [
        (power_off(0, false), false),
        (power_off(0, true), true),
        (screen(false, false), false),
        (screen(false, true), true),
        (screen(true, false), true),
        (CommandBody::Lock { reason: " ".into() }, false),
        (
            CommandBody::Lock {
                reason: "检修".into(),
            },
            true,
        ),
        (CommandBody::Unlock, true),
        (CommandBody::CollectLogs { hours: 1 }, true),
    ] {
        let mut journal = Vec::new();
        let mut commands = start(&journal, 1, true);
        commands.handle(command(body.clone()), Millis(1));
        let (said, deeds) = perform(&mut commands, &mut journal, 1);
        assert_eq!(deeds.len(), usize::from(done), "{body:?}");
        assert_eq!(refused(&said), !done, "{body:?}: {said:?}");
    }
}

#[test]
fn a_class_that_begins_while_a_deed_waits_is_not_ended() {
    let mut journal = Vec::new();
    let mut commands = start(&journal, 1, false);
    commands.handle(command(power_off(60, false)), Millis(0));
    assert_eq!(perform(&mut commands, &mut journal, 0).1, []);
    assert_eq!(commands.poll_timeout(), Some(Millis(60_000)));
    commands.handle(Event::Teaching(true), Millis(30_000));
    commands.handle_timeout(Millis(60_000));
    let (said, deeds) = perform(&mut commands, &mut journal, 60_000);
    assert!(refused(&said) && deeds.is_empty(), "{said:?}");
}

#[test]
fn in_an_exam_it_waits_and_what_is_forced_does_not() {
    for (body, at_once) in [
        (power_off(0, false), false),
        (power_off(0, true), true),
        (
            CommandBody::Volume {
                percent: None,
                mute: Some(false),
            },
            false,
        ),
        (
            CommandBody::Lock {
                reason: String::new(),
            },
            false,
        ),
    ] {
        let mut journal = Vec::new();
        let mut commands = start(&journal, 1, false);
        hold(&mut commands, true, 0);
        commands.handle(command(body.clone()), Millis(1));
        let (said, deeds) = perform(&mut commands, &mut journal, 1);
        assert_eq!(deeds.len(), usize::from(at_once), "{body:?}");
        assert_eq!(said[0], CommandState::Accepted, "{body:?}");
        hold(&mut commands, false, 2);
        let (_, later) = perform(&mut commands, &mut journal, 2);
        assert_eq!(later.len(), usize::from(!at_once), "{body:?}: not twice");
    }
}

#[test]
fn a_class_right_after_the_exam_is_not_ended_by_what_waited() {
    let mut journal = Vec::new();
    let mut commands = start(&journal, 1, false);
    hold(&mut commands, true, 0);
    commands.handle(command(screen(false, false)), Millis(1));
    perform(&mut commands, &mut journal, 1);
    commands.handle(Event::Teaching(true), Millis(2));
    hold(&mut commands, false, 3);
    let (said, deeds) = perform(&mut commands, &mut journal, 3);
    assert!(refused(&said) && deeds.is_empty(), "{said:?}");
}

#[test]
fn switching_off_is_answered_by_the_next_power_up() {
    let mut journal = Vec::new();
    let mut commands = start(&journal, 1, false);
    commands.handle(command(power_off(0, false)), Millis(0));
    assert_eq!(perform(&mut commands, &mut journal, 0).1, [Deed::PowerOff]);
    commands.handle(Event::Done(id(), Ok(())), Millis(1));
    assert_eq!(perform(&mut commands, &mut journal, 1).0, [], "it has only begun");

    let mut next = start(&journal, 2, false);
    let mut after = journal.clone();
    assert_eq!(
        perform(&mut next, &mut after, 2),
        (vec![CommandState::Succeeded], vec![])
    );

    let mut same = start(&journal, 1, false);
    let deadline = same.poll_timeout().unwrap();
    assert_eq!(deadline, Millis(0) + REBOOT_DEADLINE);
    same.handle_timeout(deadline);
    let (said, deeds) = perform(&mut same, &mut journal, deadline.0);
    assert!(
        matches!(&said[..], [CommandState::Failed { reason }] if reason.contains("switch off"))
            && deeds.is_empty()
    );
}

#[test]
fn what_was_begun_before_a_restart_is_done_again_only_where_that_does_no_harm() {
    let lock = CommandBody::Lock {
        reason: "检修".into(),
    };
    let logs = CommandBody::CollectLogs { hours: 1 };
    for (body, boot, held, again) in [
        (lock.clone(), 1, false, true),
        (lock.clone(), 2, false, true),
        (screen(false, false), 1, false, true),
        (screen(false, false), 2, false, false),
        (screen(false, false), 1, true, false),
        (logs, 1, false, false),
    ] {
        let mut journal = Vec::new();
        let mut commands = start(&journal, 1, false);
        commands.handle(command(body.clone()), Millis(0));
        assert_eq!(perform(&mut commands, &mut journal, 0).1.len(), 1);
        let boot = BootId::new(format!("boot{boot}")).unwrap();
        let device = DeviceId::new("d1").unwrap();
        let mut resumed = Commands::resume_held(device, boot, journal.clone(), held, Millis(5));
        let (said, deeds) = perform(&mut resumed, &mut journal, 5);
        assert_eq!(deeds.len(), usize::from(again), "{body:?}");
        let lost =
            matches!(said.last(), Some(CommandState::Failed { reason }) if reason.contains("restarted"));
        assert_eq!(lost, !again, "{body:?}: {said:?}");
    }
}
