//! Roots, snapshots and withdrawals in the loop: taken over, kept on the disk, and enforced on what is under way.

use agent_core::{
    Millis,
    lessons::{self, Inventory, Version},
    trust::{Bringer, Offered, Source},
};
use contract::{
    api::TRUST,
    report::{FailureReason, LessonState, LessonStatus},
    trust::MAX_BUNDLE_BYTES,
};
use reqwest::Method;

use super::{agent::Agent, inbox::Inside};
use crate::{
    io::console::{self, Answer},
    keeper::Task,
    trust,
};

impl Agent {
    /// The console's bundle out of the broker's memory: it continues what is held and never begins it.
    pub(super) fn on_trust(&mut self, payload: &[u8], now: Millis) -> anyhow::Result<()> {
        let floor = self.time.clock.floor(now);
        let (bundle, offered) = self.trust.offer(payload, Bringer::Broker)?;
        self.trust.with(|trust| {
            if bundle.snapshot.is_none() && offered.refused.is_none() {
                trust.rung(now);
            } else {
                trust.heard(false, floor, now);
            }
        });
        self.took_over(&offered, now);
        Ok(())
    }

    /// The console's answer to our question.
    pub(super) fn on_trust_answer(&mut self, answer: &Answer, now: Millis) {
        let floor = self.time.clock.floor(now);
        let Answer::Good(body) = answer else {
            tracing::debug!(reason = %answer.reason(), "the console did not say which keys to believe");
            return self.trust.with(|trust| trust.silent(now));
        };
        match self.trust.offer(body, Bringer::Console) {
            Ok((_, offered)) => {
                self.trust.with(|trust| trust.heard(true, floor, now));
                self.took_over(&offered, now);
            }
            Err(error) => {
                tracing::warn!(error = %format!("{error:#}"), "the console's answer on trust is of no use");
                self.trust.with(|trust| trust.silent(now));
            }
        }
    }

    fn took_over(&mut self, offered: &Offered, now: Millis) {
        if let Some(refused) = &offered.refused {
            tracing::warn!(error = %refused, "did not take over all of a trust bundle");
        }
        if let Some(signed_at) = offered.signed_at {
            self.time.signed_at(signed_at, now);
        }
    }

    /// Keeps and enforces what changed since the last look, whoever brought it, and asks the console where something is
    /// missing.
    pub(super) fn settle_trust(&mut self, now: Millis) {
        let (revision, asks) = self.trust.with(|trust| {
            let asks = if self.online { trust.ask(now) } else { None };
            (trust.revision(), asks)
        });
        if let Some(root) = asks {
            self.ask_trust(root, now);
        }
        if revision != self.trust_kept {
            self.keep_trust(revision);
            self.bar(now);
            self.dirty = true;
        }
    }

    /// When to come back for it.
    pub(super) fn trust_timeout(&self) -> Option<Millis> {
        let at = self.trust.with(|trust| trust.poll_timeout());
        at.filter(|_| self.online)
    }

    fn keep_trust(&mut self, revision: u64) {
        let (saved, root, snapshot, keys) = self.trust.with(|trust| {
            let versions = (trust.root_version(), trust.snapshot_version());
            (trust.saved(), versions.0, versions.1, trust.keys().to_vec())
        });
        if (root, snapshot) != self.trust_shown {
            tracing::info!(
                root,
                snapshot,
                withdrawn = saved.snapshot.as_ref().map_or(0, |seen| seen.withdrawn.len()),
                "the console's word on keys and withdrawals"
            );
            self.trust_shown = (root, snapshot);
        }
        if let Some(store) = &self.store {
            store.trust(self.trust.lesson_keys());
        }
        let task = match trust::to_bytes(&saved) {
            Ok(bytes) => Task::KeepTrust(bytes, keys),
            Err(error) => return tracing::error!(%error, "a change of trust could not be written"),
        };
        // A thread that is far behind is asked again at the next look.
        if self.keeper.give(task) {
            self.trust_kept = revision;
        }
    }

    /// Nothing below what is whole here is accepted any more.
    pub(super) fn note_ready(&self, inventory: &Inventory) {
        self.trust.with(|trust| {
            for held in inventory.lessons.iter().filter(|held| held.is_ready()) {
                trust.is_ready(&held.lesson, held.version);
            }
            trust.bound_highest(&inventory.lessons.iter().map(|held| held.lesson.clone()).collect());
        });
    }

    /// What is under way and may not be accepted any more stops.
    fn bar(&mut self, now: Millis) {
        for status in self.lessons.report() {
            if status.state == LessonState::Ready {
                continue;
            }
            let version = (status.lesson, status.version);
            if let Some(reason) = self.barred(&version, Source::Console) {
                self.refuse(version, reason, now);
            }
        }
    }

    /// Why this version may not be accepted, or played; `None` if it may.
    pub(super) fn barred(&self, version: &Version, source: Source) -> Option<FailureReason> {
        let card = self.cards.get(version);
        let licence = card.and_then(|card| card.meta.licence.as_ref());
        let school = card.and_then(|card| card.school.as_ref());
        self.trust
            .judge_made(&version.0, version.1, licence, school, source)
            .reason()
    }

    /// A step that may not be taken has ended before it began.
    pub(super) fn refuse(&mut self, version: Version, reason: FailureReason, now: Millis) {
        if let Some(fetcher) = &self.fetcher {
            fetcher.cancel(&version.0, version.1);
        }
        tracing::warn!(lesson.id = %version.0, lesson.version = version.1, ?reason, "a lesson is not accepted");
        let failed = lessons::Event::Failed {
            version,
            reason,
            detail: said(reason).to_owned(),
            transient: false,
            retry_after: None,
        };
        self.lessons.handle(failed, now);
    }

    /// How a lesson is, if it may be played; a withdrawn one is not ready, whole as it may be.
    pub(super) fn as_trusted(&self, mut status: LessonStatus) -> LessonStatus {
        if status.state == LessonState::Ready {
            let version = (status.lesson.clone(), status.version);
            if let Some(reason) = self.barred(&version, Source::Held) {
                status.state = LessonState::Failed {
                    reason,
                    detail: said(reason).to_owned(),
                    retrying: false,
                };
            }
        }
        status
    }

    fn ask_trust(&self, root: u32, now: Millis) {
        let Ok(tls) = self.tls() else {
            return self.trust.with(|trust| trust.silent(now));
        };
        let (console, inside) = (self.identity.console_url.clone(), self.inbox.inside.clone());
        tokio::spawn(async move {
            let url = format!("{console}{TRUST}?root={root}");
            let answer = console::ask_up_to(tls, Method::GET, &url, None, MAX_BUNDLE_BYTES).await;
            let _ = inside.send(Inside::Trust(answer)).await;
        });
    }
}

const fn said(reason: FailureReason) -> &'static str {
    match reason {
        FailureReason::Withdrawn => "the county withdrew it",
        FailureReason::LicenceExpired => "its licence has run out",
        FailureReason::RolledBack => "a newer version was held before",
        FailureReason::SignatureRefused => "the school's plan does not name the board that signed it",
        _ => "it is not trusted",
    }
}
