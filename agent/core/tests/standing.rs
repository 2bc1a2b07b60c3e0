//! The console's word is believed only about this device, never backwards, and obeyed at once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use agent_core::{
    Millis,
    identity::standing::{Conduct, Effect, Event, Standings},
};
use contract::{
    id::{CommandId, DeviceId},
    standing::{Standing, StandingOrder},
};

fn order(id: &str, standing: Standing, day: u32) -> StandingOrder {
    StandingOrder {
        id: CommandId::new(id).unwrap(),
        device_id: DeviceId::new("d1").unwrap(),
        standing,
        issued_at: format!("2026-11-{day:02}T00:00:00Z").parse().unwrap(),
        contact: String::new(),
        hardware: None,
    }
}

fn standings(kept: Option<StandingOrder>) -> Standings {
    Standings::resume(DeviceId::new("d1").unwrap(), kept, 7, Millis(0))
}

#[test]
fn a_refusal_asks_once_and_silence_changes_nothing() {
    let mut standings = standings(None);
    assert_eq!(
        (standings.poll_timeout(), standings.conduct()),
        (None, Conduct::Connect)
    );
    let mut now = Millis(0);
    let mut asked = Vec::new();
    // Refused every minute for a day.
    while now < Millis(86_400_000) {
        standings.handle(Event::Refused, now);
        standings.handle(Event::Refused, now);
        now = standings.poll_timeout().unwrap().max(Millis(now.0 + 60_000));
        standings.handle_timeout(now);
        assert_eq!(standings.next_effect(), Some(Effect::Ask));
        assert_eq!(standings.next_effect(), None);
        asked.push(now);
        standings.handle(Event::Refused, now);
        standings.handle(Event::Silent, now);
        assert_eq!(standings.conduct(), Conduct::Connect);
    }
    assert!(asked.len() < 500, "{}", asked.len());
}

#[test]
fn a_word_is_kept_and_obeyed_and_an_older_one_or_anothers_is_not() {
    let mut standings = standings(None);
    standings.handle(Event::Said(order("c0", Standing::Active, 1)), Millis(0));
    assert_eq!(standings.next_effect(), None, "nothing new");
    let another = StandingOrder {
        device_id: DeviceId::new("d2").unwrap(),
        ..order("c1", Standing::Stolen, 9)
    };
    standings.handle(Event::Said(another), Millis(0));
    assert_eq!(standings.conduct(), Conduct::Connect);

    let revoked = order("c2", Standing::Revoked, 10);
    standings.handle(Event::Said(revoked.clone()), Millis(0));
    assert_eq!(standings.next_effect(), Some(Effect::Keep(revoked.clone())));
    assert_eq!(standings.conduct(), Conduct::StandAside);
    let asks = standings.poll_timeout().unwrap();
    assert!(asks >= Millis(600_000) && asks <= Millis(720_000), "{asks:?}");
    standings.handle(Event::Said(order("c0", Standing::Active, 9)), Millis(0));
    assert_eq!(standings.conduct(), Conduct::StandAside, "older");
    standings.handle(Event::Said(revoked), Millis(0));
    assert_eq!(standings.next_effect(), None, "said twice, written once");
    standings.handle(Event::Said(order("c3", Standing::Active, 11)), Millis(0));
    assert_eq!(standings.conduct(), Conduct::Connect);
}

#[test]
fn a_word_that_could_not_be_written_counts_and_is_written_later() {
    let mut standings = standings(None);
    let stolen = order("c1", Standing::Stolen, 2);
    standings.handle(Event::Said(stolen.clone()), Millis(0));
    assert_eq!(standings.next_effect(), Some(Effect::Keep(stolen.clone())));
    standings.handle(Event::KeepFailed, Millis(0));
    assert_eq!(standings.conduct(), Conduct::Lock);
    standings.handle_timeout(standings.poll_timeout().unwrap());
    assert_eq!(standings.next_effect(), Some(Effect::Keep(stolen)));
    standings.handle(Event::Kept, Millis(60_000));
    assert_eq!(standings.poll_timeout(), None);
    standings.handle(Event::Said(order("c2", Standing::Active, 3)), Millis(0));
    assert_eq!(standings.conduct(), Conduct::Lock, "only an unlock order");
}

#[test]
fn what_was_kept_counts_at_the_next_start_and_only_for_this_device() {
    assert_eq!(
        standings(Some(order("c1", Standing::Quarantined, 2))).conduct(),
        Conduct::StandAside
    );
    assert!(
        standings(Some(order("c1", Standing::Revoked, 2)))
            .poll_timeout()
            .unwrap()
            <= Millis(60_000)
    );
    let another = StandingOrder {
        device_id: DeviceId::new("d2").unwrap(),
        ..order("c1", Standing::Revoked, 9)
    };
    assert_eq!(standings(Some(another)).conduct(), Conduct::Connect);
    assert_eq!(
        standings(Some(order("c1", Standing::Other, 2))).conduct(),
        Conduct::StandAside
    );
}
