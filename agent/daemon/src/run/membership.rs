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

/// Why the identity on the disk is not this board's to use, if it is not. A serial number that one of the two does not
/// tell proves nothing.
pub(crate) fn copied_from(identity: &Identity, hardware: &Hardware) -> Option<Mark> {
    let enrolled = identity.hardware.as_ref()?;
    let mut here = hardware.clone();
    if here.serial.is_empty() || enrolled.serial.is_empty() {
        here.serial.clone_from(&enrolled.serial);
    }
    enrolled.differs(&here)
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
        if !self.suspected && self.shut_out.is_some_and(|since| now.since(since) >= SHUT_OUT) {
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
            self.shut_out
                .filter(|_| !self.suspected)
                .map(|since| since + SHUT_OUT),
        ];
        let online = online.into_iter().filter(|_| connected);
        online.chain(always).flatten().min()
    }

    fn ask_time(&mut self, now: Millis) {
        let Ok(tls) = self.tls() else {
            return self.time.clock.silent(now);
        };
        let (url, inside) = (self.identity.console_url.clone(), self.inbox.inside.clone());
        let keys = self.identity.reply.keys.clone();
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
                let keys = self.identity.reply.keys.clone();
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
            return self.standings.handle(standing::Event::Silent, now);
        };
        let order = said.1.clone();
        if order.standing == Standing::Active
            && order.device_id == self.identity.reply.device_id
            && !self.online
        {
            self.shut_out.get_or_insert(now);
        }
        self.word = Some(*said);
        self.standings.handle(standing::Event::Said(order), now);
    }

    /// The broker let us in: whatever shut us out is over.
    pub(super) fn let_in(&mut self) {
        self.shut_out = None;
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
