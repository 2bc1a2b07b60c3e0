//! How a device asks for its identity, and when it stops asking.
//!
//! Owns the ticket and the waiting. Keys and requests are made by the shell; the private key never comes here.
//!
//! ```text
//! Asking ──reply──▶ checked ─▶ Store ─▶ Enrolled
//!    │  ▲── line trouble: waits longer each time
//!    └── the console says no, is another one, or its reply contradicts itself ─▶ GaveUp
//! ```

use std::{collections::VecDeque, time::Duration};

use contract::{
    enrol::{EnrolReply, EnrolmentTicket},
    id::DeviceId,
    signed::KeyRole,
};

use crate::{
    backoff::{Backoff, Dice},
    time::Millis,
};

/// Tries before a technician who waits is told; each lasts as long as its wait.
pub const MAX_TRIES: u32 = 6;
/// Longest time between tries, all of them together; the tries themselves come on top.
pub const LONGEST_WAITS: Duration = Duration::from_secs(2 + 4 + 8 + 16 + 30);
/// Digits of Crockford's base 32.
const CODE_DIGITS: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The console answered.
    Replied(Box<EnrolReply>),
    /// The console said no; with its words.
    Refused(String),
    /// The ticket is the school's, and which classroom is open; with the console's words.
    NeedsClassroom(Vec<Choice>, String),
    /// Something answered whose certificate the ticket's authority did not sign; with the reason.
    Stranger(String),
    /// The console answered with what cannot be understood; with the reason.
    Unclear(String),
    /// No answer; with the reason.
    Unreachable(String),
    /// The identity of this device is on the disk, whole.
    Stored(DeviceId),
    /// It is not, and the old one, if any, is untouched; with the reason.
    StoreFailed(String),
}

/// A classroom that the console offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its code in its school.
    pub code: String,
    /// Its name.
    pub name: String,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ask the console; answered by `Replied`, `Refused` or `Unreachable`.
    Ask,
    /// Store key and reply whole or not at all; answered by `Stored` or `StoreFailed`.
    Store(Box<EnrolReply>),
    /// Done.
    Enrolled(DeviceId),
    /// In vain.
    GaveUp(Failure),
}

/// Why there is no identity. The sentences for the technician are the shell's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The console said no; with its words.
    Refused(String),
    /// The classroom must be named, one of these; with the console's words.
    NeedsClassroom(Vec<Choice>, String),
    /// Another console than the ticket's, or its authority was replaced; with what TLS said.
    Stranger(String),
    /// The console's reply is of no use; with what is wrong with it.
    BadReply(String),
    /// No answer in [`MAX_TRIES`] tries; with the reason of the last.
    Unreachable(String),
    /// The disk did not take it; with the reason.
    NotStored(String),
}

/// Why a ticket is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Not HTTPS.
    #[error("ticket: console_url is {0:?}; it must begin with https://, ask the county for a new ticket")]
    Url(String),
    /// Not 8 Crockford digits.
    #[error("ticket: code must be 8 characters of {CODE_DIGITS}; copy the ticket again")]
    Code,
    /// No certificate in it.
    #[error("ticket: ca_pem holds no certificate, so no console can be believed; copy the ticket again")]
    Authority,
}

/// Checks what can be checked before the console is asked. The expiry is for the console to judge: our clock may be wrong.
///
/// # Errors
/// Names the field of the ticket that is of no use.
pub fn check_ticket(ticket: &EnrolmentTicket) -> Result<(), TicketError> {
    if !ticket.console_url.starts_with("https://") {
        return Err(TicketError::Url(ticket.console_url.chars().take(200).collect()));
    }
    let code_fits = ticket.code.len() == 8 && ticket.code.chars().all(|c| CODE_DIGITS.contains(c));
    if !code_fits {
        return Err(TicketError::Code);
    }
    if !ticket.ca_pem.contains("-----BEGIN CERTIFICATE-----") {
        return Err(TicketError::Authority);
    }
    Ok(())
}

/// Decides when to ask, and whether the answer is of use.
#[derive(Debug)]
pub struct Enrol {
    tries: u32,
    most_tries: u32,
    backoff: Backoff,
    ask_at: Option<Millis>,
    dice: Dice,
    effects: VecDeque<Effect>,
}

impl Enrol {
    /// Asks at once, and again at most [`MAX_TRIES`] times in all.
    pub fn new(seed: u64) -> Self {
        Self::with_tries(seed, MAX_TRIES)
    }

    /// Asks at once, and again at most `most_tries` times in all.
    pub fn with_tries(seed: u64, most_tries: u32) -> Self {
        Self {
            tries: 1,
            most_tries,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(30)),
            ask_at: None,
            dice: Dice::new(seed),
            effects: VecDeque::from([Effect::Ask]),
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: Event, now: Millis) {
        let effect = match event {
            Event::Replied(reply) => match fault(&reply) {
                None => Effect::Store(reply),
                Some(fault) => Effect::GaveUp(Failure::BadReply(fault.to_owned())),
            },
            Event::Refused(reason) => Effect::GaveUp(Failure::Refused(reason)),
            Event::NeedsClassroom(choices, words) => Effect::GaveUp(Failure::NeedsClassroom(choices, words)),
            // It will not become another one by waiting.
            Event::Stranger(reason) => Effect::GaveUp(Failure::Stranger(reason)),
            Event::Unclear(reason) => Effect::GaveUp(Failure::BadReply(reason)),
            Event::Unreachable(reason) if self.tries >= self.most_tries => {
                Effect::GaveUp(Failure::Unreachable(reason))
            }
            Event::Unreachable(_) => {
                self.tries += 1;
                self.ask_at = Some(now + self.backoff.next_wait(&mut self.dice));
                return;
            }
            Event::Stored(device_id) => Effect::Enrolled(device_id),
            Event::StoreFailed(reason) => Effect::GaveUp(Failure::NotStored(reason)),
        };
        self.effects.push_back(effect);
    }

    /// The next thing to do.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub const fn poll_timeout(&self) -> Option<Millis> {
        self.ask_at
    }

    /// The time to ask again may have come.
    pub fn handle_timeout(&mut self, now: Millis) {
        if self.ask_at.is_some_and(|at| at <= now) {
            self.ask_at = None;
            self.effects.push_back(Effect::Ask);
        }
    }
}

/// What contradicts itself in a console's reply, in whatever way it came; `None` if nothing does.
pub fn fault(reply: &EnrolReply) -> Option<&'static str> {
    let has = |role: KeyRole| reply.keys.iter().any(|key| key.role == role);
    if !reply.certificate_pem.contains("-----BEGIN CERTIFICATE-----") {
        Some("it holds no certificate for this device")
    } else if !reply.ca_pem.contains("-----BEGIN CERTIFICATE-----") {
        Some("it holds no authority")
    } else if !has(KeyRole::Content) || !has(KeyRole::Command) {
        Some("it lacks a key for lessons or for commands")
    } else if reply.broker.host.is_empty() || reply.broker.port == 0 {
        Some("it names no broker")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use contract::{
        enrol::{BrokerAddress, Placement},
        id::KeyId,
        signed::TrustedKey,
    };

    use super::*;

    fn ticket() -> EnrolmentTicket {
        EnrolmentTicket {
            console_url: "https://console.example:8443".into(),
            code: "7K3M9QXZ".into(),
            ca_pem: "-----BEGIN CERTIFICATE-----".into(),
            expires_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        }
    }

    fn reply() -> Box<EnrolReply> {
        let key = |role| TrustedKey {
            key_id: KeyId::new("k").unwrap(),
            role,
            public_key: String::new(),
        };
        Box::new(EnrolReply {
            device_id: DeviceId::new("d1").unwrap(),
            certificate_pem: "-----BEGIN CERTIFICATE-----".into(),
            ca_pem: "-----BEGIN CERTIFICATE-----".into(),
            broker: BrokerAddress {
                host: "console.example".into(),
                port: 8883,
            },
            keys: vec![key(KeyRole::Content), key(KeyRole::Command)],
            placement: Placement::default(),
            issued_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            renewal: None,
            trust: None,
        })
    }

    #[test]
    fn a_ticket_of_no_use_is_named_before_the_console_is_asked() {
        assert_eq!(check_ticket(&ticket()), Ok(()));
        let plain = EnrolmentTicket {
            console_url: "http://x".into(),
            ..ticket()
        };
        assert!(matches!(check_ticket(&plain), Err(TicketError::Url(_))));
        for code in ["", "7K3M9QX", "7K3M9QXZZ", "7K3M9QXU", "7k3m9qxz"] {
            let ticket = EnrolmentTicket {
                code: code.into(),
                ..ticket()
            };
            assert_eq!(check_ticket(&ticket), Err(TicketError::Code), "{code}");
        }
        let unsigned = EnrolmentTicket {
            ca_pem: String::new(),
            ..ticket()
        };
        assert_eq!(check_ticket(&unsigned), Err(TicketError::Authority));
    }

    #[test]
    fn asks_again_while_the_line_is_bad_then_stores_then_is_enrolled() {
        let mut enrol = Enrol::new(1);
        assert_eq!(enrol.next_effect(), Some(Effect::Ask));
        enrol.handle(Event::Unreachable("no route".into()), Millis(0));
        assert_eq!(enrol.next_effect(), None);
        let at = enrol.poll_timeout().unwrap();
        enrol.handle_timeout(at);
        assert_eq!(enrol.next_effect(), Some(Effect::Ask));
        enrol.handle(Event::Replied(reply()), at);
        assert_eq!(enrol.next_effect(), Some(Effect::Store(reply())));
        enrol.handle(Event::Stored(reply().device_id), at);
        assert_eq!(enrol.next_effect(), Some(Effect::Enrolled(reply().device_id)));
    }

    #[test]
    fn gives_up_on_a_no_on_a_dead_line_and_on_a_reply_without_keys() {
        let mut enrol = Enrol::new(1);
        enrol.handle(Event::Refused("the ticket was used".into()), Millis(0));
        enrol.next_effect();
        assert!(
            matches!(enrol.next_effect(), Some(Effect::GaveUp(Failure::Refused(why))) if why.contains("was used"))
        );

        let mut hasty = Enrol::with_tries(1, 1);
        hasty.next_effect();
        hasty.handle(Event::Unreachable("no route".into()), Millis(0));
        assert_eq!(
            hasty.next_effect(),
            Some(Effect::GaveUp(Failure::Unreachable("no route".into())))
        );

        let choice = Choice {
            code: "1-2".into(),
            name: "一（2）班".into(),
        };
        let mut open = Enrol::new(1);
        open.next_effect();
        open.handle(
            Event::NeedsClassroom(vec![choice.clone()], "which".into()),
            Millis(0),
        );
        assert_eq!(
            open.next_effect(),
            Some(Effect::GaveUp(Failure::NeedsClassroom(
                vec![choice],
                "which".into()
            )))
        );

        let mut other = Enrol::new(1);
        other.next_effect();
        other.handle(Event::Stranger("unknown issuer".into()), Millis(0));
        assert_eq!(
            other.next_effect(),
            Some(Effect::GaveUp(Failure::Stranger("unknown issuer".into())))
        );
        assert_eq!(other.poll_timeout(), None, "no waiting");

        let mut dead = Enrol::new(1);
        let (mut asked, mut waited) = (0, Duration::ZERO);
        let why = loop {
            match dead.next_effect() {
                Some(Effect::Ask) => asked += 1,
                Some(Effect::GaveUp(why)) => break why,
                other => panic!("unexpected {other:?}"),
            }
            dead.handle(Event::Unreachable("no route".into()), Millis(0));
            waited += dead
                .poll_timeout()
                .map_or(Duration::ZERO, |at| at.since(Millis(0)));
            dead.handle_timeout(Millis(u64::MAX));
        };
        assert_eq!(asked, MAX_TRIES);
        assert!(
            waited > LONGEST_WAITS / 4 && waited <= LONGEST_WAITS,
            "{waited:?}"
        );
        assert_eq!(why, Failure::Unreachable("no route".into()));

        let mut keyless = Enrol::new(1);
        keyless.next_effect();
        let one_role = EnrolReply {
            keys: reply().keys[..1].to_vec(),
            ..*reply()
        };
        keyless.handle(Event::Replied(Box::new(one_role)), Millis(0));
        assert!(
            matches!(keyless.next_effect(), Some(Effect::GaveUp(Failure::BadReply(why))) if why.contains("key for lessons"))
        );
    }
}
