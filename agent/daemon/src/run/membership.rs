//! The device and its console: what time it is, whether the certificate is to be renewed, and whether we may come in.

use std::time::Duration;

use agent_core::{
    Millis, commands,
    identity::{
        renewal::{self, Certificate, Renewal},
        standing::{self, Conduct},
    },
};
use contract::{
    command::CommandEnvelope,
    hardware::{Hardware, Mark},
    hash::Hash,
    signed::Signed,
    standing::{Standing, StandingOrder},
    time::ClockTrust,
};

use super::{agent::Agent, inbox::Inside};
use crate::{
    clock,
    config::Config,
    identity::{Identity, IdentityFolder},
    io::{
        console::Refusal,
        renew::{self, Proof},
        standing::console_standing,
        time::{TimeAnswer, console_time},
        tls,
    },
    keeper::Task,
    shelf::{Membership, Unenrolled},
};

/// A broker that refuses a device in good standing for this long takes it for a copy; an old session is over much sooner.
const SHUT_OUT: Duration = Duration::from_secs(600);
/// Commands that wait for the console to tell the time.
const MAX_DOUBTED: usize = 32;

/// Why the identity on the disk is not this board's to use, if it is not.
pub(crate) fn copied_from(identity: &Identity, hardware: &Hardware) -> Option<Mark> {
    identity.hardware.as_ref()?.differs(hardware)
}

/// Whether the console's record says that `here` is the device after all, though it was enrolled as `enrolled`: a repaired
/// board that somebody accepted. A record that is silent on what is in dispute proves nothing.
fn is_repaired(enrolled: &Hardware, here: &Hardware, record: &Hardware) -> bool {
    enrolled
        .differs(here)
        .is_some_and(|mark| record.tells(mark) == here.tells(mark))
        && record.differs(here).is_none()
}

/// How a device in good standing is told from a copy by the broker's refusals alone.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ShutOut {
    /// When the broker last said "not authorized", if that was the last that was heard of it.
    refused: Option<Millis>,
    /// When the console first said by HTTPS, during an unbroken row of such refusals, that we stand well.
    since: Option<Millis>,
}

impl ShutOut {
    /// The broker is there and said "not authorized".
    pub(super) const fn refused(&mut self, now: Millis) {
        self.refused = Some(now);
    }

    /// Anything else came of a try to connect; it says nothing of a copy.
    pub(super) const fn broken(&mut self) {
        *self = Self {
            refused: None,
            since: None,
        };
    }

    /// The console says that we stand well.
    fn stands_well(&mut self, now: Millis) {
        if self.refused.is_some() {
            self.since.get_or_insert(now);
        }
    }

    /// When we are to be taken for a copy.
    fn suspect_at(&self) -> Option<Millis> {
        let since = self.since?;
        self.refused
            .filter(|refused| *refused > since)
            .map(|_| since + SHUT_OUT)
    }
}

/// The renewal of `identity`; `None` if its certificate cannot be read.
pub(super) fn renewal_of(config: &Config, identity: &Identity, folder: &IdentityFolder) -> Option<Renewal> {
    let reply = &identity.reply;
    let not_after = tls::valid_until(&reply.certificate_pem)
        .inspect_err(
            |error| tracing::warn!(error = %format!("{error:#}"), "the certificate's end is not known"),
        )
        .ok()?;
    let certificate = Certificate {
        issued_at: reply.issued_at,
        not_after,
    };
    let hash = Hash::of(reply.device_id.as_str().as_bytes());
    let mark = hash
        .0
        .iter()
        .take(8)
        .fold(0, |mark: u64, byte| (mark << 8) | u64::from(*byte));
    Some(Renewal::resume(
        certificate,
        reply.renewal.unwrap_or_default(),
        folder.renewed().is_some(),
        mark,
        config.identity.renew_spread,
        rand::random(),
    ))
}

impl Agent {
    /// Everything between device and console that may be due.
    pub(super) fn settle_membership(&mut self, now: Millis) {
        if let Some(floor) = self.time.due_to_save(now) {
            let _ = self.keeper.give(Task::KeepFloor(floor));
        }
        let suspect_at = self.shut_out.suspect_at();
        if !self.suspected && suspect_at.is_some_and(|at| at <= now) {
            tracing::error!(
                "the broker refuses this device for long, in good standing as it is: another board has the same identity"
            );
            self.suspected = true;
            self.membership = self.membership_now();
            self.dirty = true;
        }
        self.standings.handle_timeout(now);
        while let Some(effect) = self.standings.next_effect() {
            self.perform_standing(effect, now);
        }
        if self.conduct != Conduct::Connect {
            return;
        }
        if self.time.clock.ask(now) {
            self.ask_time(now);
        }
        if let Some(renewal) = &mut self.renewal {
            renewal.handle_timeout(now);
        }
        while let Some(effect) = self.renewal.as_mut().and_then(Renewal::next_effect) {
            self.perform_renewal(effect);
        }
    }

    /// When to come back for it.
    pub(super) fn membership_timeout(&self) -> Option<Millis> {
        let connected = self.conduct == Conduct::Connect;
        let online = [
            self.time.clock.poll_timeout(),
            self.renewal.as_ref().and_then(Renewal::poll_timeout),
        ];
        let always = [
            Some(self.time.poll_timeout()),
            self.standings.poll_timeout(),
            self.shut_out.suspect_at().filter(|_| !self.suspected),
        ];
        let online = online.into_iter().filter(|_| connected);
        online.chain(always).flatten().min()
    }

    fn ask_time(&mut self, now: Millis) {
        let Ok(tls) = self.tls() else {
            return self.time.clock.silent(now);
        };
        let (url, inside) = (self.identity.console_url.clone(), self.inbox.inside.clone());
        let keys = self.trust.keys();
        tokio::spawn(async move {
            let asked = clock::now();
            let answer = console_time(&url, tls, &keys).await;
            let _ = inside.send(Inside::Time(answer, asked)).await;
        });
    }

    pub(super) fn on_time(&mut self, answer: TimeAnswer, asked: Millis, now: Millis) {
        match answer {
            TimeAnswer::Told(time) => {
                self.time.clock.told(time, asked, now);
                self.time.save_soon(now);
            }
            TimeAnswer::Said(time) => self.time.clock.said(time, now),
            TimeAnswer::Silent(reason, refusal) => {
                tracing::debug!(%reason, "the console did not tell the time");
                self.time.clock.silent(now);
                if refusal == Some(Refusal::Device) {
                    self.standings.handle(standing::Event::Refused, now);
                }
            }
        }
        self.time.publish(now);
        if let (Some(time), Some(renewal)) = (self.time.clock.told_time(now), &mut self.renewal) {
            renewal.told(time, now);
        }
        for envelope in std::mem::take(&mut self.doubted) {
            self.take_command(envelope, now);
        }
        self.dirty = true;
    }

    /// A verified command, unless it seems to be expired by a floor that the console has not confirmed in this power-up:
    /// then it waits for the answer to that.
    pub(super) fn on_command(&mut self, envelope: CommandEnvelope, now: Millis) {
        let told = self.time.clock.told_time(now).is_some();
        let expired = envelope.expires_at <= self.time.clock.floor(now);
        self.time.signed_at(envelope.issued_at, now);
        if expired && !told && self.doubted.len() < MAX_DOUBTED {
            self.doubted.push(envelope);
            self.time.clock.reachable(now);
        } else {
            self.take_command(envelope, now);
        }
    }

    fn take_command(&mut self, envelope: CommandEnvelope, now: Millis) {
        let not_before = Some(self.time.clock.floor(now));
        self.commands
            .handle(commands::Event::Received { envelope, not_before }, now);
    }

    /// How far the time is believed.
    pub(super) fn clock_trust(&self, now: Millis) -> ClockTrust {
        self.time.clock.read(clock::system(), now).trust
    }

    fn perform_standing(&mut self, effect: standing::Effect, now: Millis) {
        match effect {
            standing::Effect::Ask => {
                let Ok(tls) = self.tls() else {
                    return self.standings.handle(standing::Event::Silent, now);
                };
                let (url, inside) = (self.identity.console_url.clone(), self.inbox.inside.clone());
                let keys = self.trust.keys();
                tokio::spawn(async move {
                    let said = console_standing(&url, tls, &keys).await;
                    let said = said
                        .inspect_err(|error| tracing::info!(reason = %format!("{error:#}"), "the console did not say how we stand"))
                        .ok();
                    let _ = inside.send(Inside::Standing(said.map(Box::new))).await;
                });
            }
            standing::Effect::Keep(order) => {
                tracing::warn!(standing = ?order.standing, order.id = %order.id, "the console's word on this device");
                self.obey();
                let kept = self.word.as_ref().filter(|(_, word)| *word == order);
                let task = kept.map(|(signed, _)| Task::KeepStanding(Box::new(signed.clone())));
                if !task.is_some_and(|task| self.keeper.give(task)) {
                    self.standings.handle(standing::Event::KeepFailed, now);
                }
            }
        }
    }

    pub(super) fn on_standing(
        &mut self,
        said: Option<Box<(Signed<StandingOrder>, StandingOrder)>>,
        now: Millis,
    ) {
        let Some(said) = said else {
            self.standings.handle(standing::Event::Silent, now);
            return self.ask_as_copy(now);
        };
        let order = said.1.clone();
        if order.standing == Standing::Active
            && order.device_id == self.identity.reply.device_id
            && !self.online
        {
            self.shut_out.stands_well(now);
        }
        self.word = Some(*said);
        self.standings.handle(standing::Event::Said(order.clone()), now);
        if self.copied {
            self.come_back(&order);
            self.ask_as_copy(now);
        }
    }

    /// A board that takes itself for a copy asks how it stands all the same: the console's people may know better.
    pub(super) fn ask_as_copy(&mut self, now: Millis) {
        if self.copied && !self.useless {
            self.standings.handle(standing::Event::Refused, now);
        }
    }

    /// The console's word on a copy; if it is that this very board is the device, the board begins anew as that.
    fn come_back(&self, order: &StandingOrder) {
        let believed = order.standing == Standing::Active
            && order.device_id == self.identity.reply.device_id
            && self.standings.conduct() == Conduct::Connect;
        let (Some(enrolled), Some(record)) = (&self.identity.hardware, &order.hardware) else {
            return;
        };
        if !believed || !is_repaired(enrolled, &self.hardware, record) {
            return;
        }
        let (folder, hardware) = (self.folder.clone(), self.hardware.clone());
        let inside = self.inbox.inside.clone();
        tokio::spawn(async move {
            match tokio::task::spawn_blocking(move || folder.note_hardware(&hardware)).await {
                Ok(Ok(())) => {
                    let _ = inside.send(Inside::Repaired).await;
                }
                Ok(Err(error)) => {
                    tracing::error!(%error, "could not note that this board is the device; asking again later");
                }
                Err(_) => {}
            }
        });
    }

    /// The broker let us in: whatever shut us out is over.
    pub(super) fn let_in(&mut self) {
        self.shut_out.broken();
        if std::mem::take(&mut self.suspected) {
            self.membership = self.membership_now();
        }
    }

    /// Whether the ways in are to be at work.
    pub(super) fn wants_in(&self) -> bool {
        self.conduct != Conduct::Connect || self.suspected
    }

    pub(super) fn on_standing_kept(&mut self, kept: Result<(), String>, now: Millis) {
        match kept {
            Ok(()) => {
                self.standings.handle(standing::Event::Kept, now);
                // What it means for everything else is settled by a new beginning.
                self.over = true;
            }
            Err(error) => {
                tracing::error!(%error, "could not keep the console's word; it counts all the same");
                self.standings.handle(standing::Event::KeepFailed, now);
            }
        }
    }

    /// The word counts at once, before it is on the disk.
    fn obey(&mut self) {
        self.membership = self.membership_now();
        self.dirty = true;
        if self.standings.conduct() != Conduct::Connect {
            self.leave();
        }
    }

    /// What the page shows of it.
    pub(super) fn membership_now(&self) -> Membership {
        let waiting: Unenrolled = self.waiting.clone();
        if self.copied || self.suspected {
            return Membership::Quarantined(waiting);
        }
        match self.standings.word().map(|word| (word.standing, word)) {
            Some((Standing::Replaced, _)) => Membership::Replaced,
            Some((Standing::Quarantined, _)) => Membership::Quarantined(waiting),
            Some((Standing::Stolen, word)) => Membership::Locked {
                contact: word.contact.chars().take(120).collect(),
                order_id: word.id.clone(),
            },
            Some((Standing::Revoked | Standing::Other, _)) => Membership::Revoked(waiting),
            Some((Standing::Active, _)) | None if self.useless => Membership::Revoked(waiting),
            Some((Standing::Active, _)) | None => Membership::Enrolled,
        }
    }

    fn perform_renewal(&self, effect: renewal::Effect) {
        let (folder, inside) = (self.folder.clone(), self.inbox.inside.clone());
        let (identity, hardware) = (self.identity.clone(), self.hardware.clone());
        let floor = self.time.floor.clone();
        tracing::info!(step = ?effect, "renewing the certificate");
        match effect {
            renewal::Effect::Ask => tokio::spawn(async move {
                let (event, refusal) = match renew::ask(&identity, &hardware, floor).await {
                    Ok(renewed) => (store(folder, renewed).await, None),
                    Err(not) => {
                        tracing::warn!(reason = %not.reason, "the certificate was not renewed; trying again later");
                        (renewal::Event::Failed, not.refusal)
                    }
                };
                let _ = inside.send(Inside::Renewal(event, refusal)).await;
            }),
            renewal::Effect::Prove => tokio::spawn(async move {
                let found = tokio::task::spawn_blocking(move || folder.renewed())
                    .await
                    .ok()
                    .flatten();
                let ours = found.filter(|found| found.reply.device_id == identity.reply.device_id);
                let proof = match ours {
                    Some(renewed) => renew::prove(&renewed, floor).await,
                    None => Proof::Refused("it is not this device's, or cannot be read".to_owned(), None),
                };
                let (event, refusal) = match proof {
                    Proof::Seen => (renewal::Event::Proven, None),
                    Proof::Refused(reason, refusal) => {
                        tracing::warn!(%reason, "the renewed certificate is of no use; asking for another one");
                        (renewal::Event::ProofRefused, refusal)
                    }
                    Proof::Unanswered(reason) => {
                        tracing::info!(%reason, "the renewed certificate is not proven yet");
                        (renewal::Event::ProofUnanswered, None)
                    }
                };
                let _ = inside.send(Inside::Renewal(event, refusal)).await;
            }),
            renewal::Effect::Take => tokio::spawn(async move {
                let event = match tokio::task::spawn_blocking(move || folder.take_renewed()).await {
                    Ok(Ok(())) => Inside::Renewed,
                    Ok(Err(error)) => {
                        tracing::error!(%error, "could not put the renewed certificate into force; trying again");
                        Inside::Renewal(renewal::Event::TakeFailed, None)
                    }
                    Err(_) => Inside::Renewal(renewal::Event::TakeFailed, None),
                };
                let _ = inside.send(event).await;
            }),
            renewal::Effect::Drop => tokio::spawn(async move {
                if let Ok(Err(error)) = tokio::task::spawn_blocking(move || folder.drop_renewed()).await {
                    tracing::warn!(%error, "could not remove a renewed certificate that is of no use");
                }
            }),
        };
    }

    pub(super) fn on_renewal(&mut self, event: renewal::Event, refusal: Option<Refusal>, now: Millis) {
        if let Some(renewal) = &mut self.renewal {
            renewal.handle(event, now);
        }
        if refusal.is_some() {
            self.standings.handle(standing::Event::Refused, now);
        }
    }
}

async fn store(folder: IdentityFolder, renewed: Identity) -> renewal::Event {
    match tokio::task::spawn_blocking(move || folder.store_renewed(&renewed)).await {
        Ok(Ok(())) => renewal::Event::Stored,
        Ok(Err(error)) => {
            tracing::error!(%error, "could not keep the renewed certificate; the one in force serves on");
            renewal::Event::Failed
        }
        Err(_) => renewal::Event::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::tests::board;

    #[test]
    fn only_a_record_that_tells_what_is_in_dispute_brings_a_board_back() {
        let (enrolled, here) = (board("S1"), board("S2"));
        assert!(is_repaired(&enrolled, &here, &here));
        assert!(
            !is_repaired(&enrolled, &here, &enrolled),
            "the record is another board's"
        );
        assert!(!is_repaired(&enrolled, &here, &board("")), "the record is silent");
        assert!(
            !is_repaired(&enrolled, &enrolled, &enrolled),
            "there is no dispute"
        );
    }

    #[test]
    fn only_an_unbroken_row_of_not_authorized_beside_a_console_that_answers_makes_a_copy() {
        let at = |s: u64| Millis(s * 1000);
        let mut shut_out = ShutOut::default();
        shut_out.stands_well(at(1));
        assert_eq!(shut_out.suspect_at(), None, "the broker did not refuse");
        shut_out.refused(at(2));
        shut_out.refused(at(60));
        assert_eq!(shut_out.suspect_at(), None, "the console did not answer");
        shut_out.stands_well(at(61));
        assert_eq!(shut_out.suspect_at(), None, "not refused since");
        shut_out.refused(at(62));
        shut_out.stands_well(at(300));
        assert_eq!(shut_out.suspect_at(), Some(at(61) + SHUT_OUT));
        shut_out.broken();
        shut_out.refused(at(500));
        assert_eq!(shut_out.suspect_at(), None, "the broker was not there in between");
    }
}
