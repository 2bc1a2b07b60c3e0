//! A new certificate in good time, proven before the old one is given up.
//!
//! ```text
//! Resting ── below the threshold, by the console's time ─▶ Due ─▶ Asking ─ stored ─▶ Proving ─ proven ─▶ Taking ─ taken ─▶ (new identity)
//!                                                           ▲ no answer, disk full: waits longer each time, the old one serves │
//! ```
//! A cut after any step finds, at the next start, either nothing (asks again) or a renewed identity that waits for its
//! proof; the console answers a repeated question and a repeated proof as it did the first time.
//!
//! Only time that the console told in this power-up counts: a wrong clock neither starts a renewal nor holds one up, for
//! without a console there is nobody to renew with.

use std::{collections::VecDeque, time::Duration};

use contract::renew::RenewalPolicy;
use jiff::{SignedDuration, Timestamp};

use crate::{
    backoff::{Backoff, Dice},
    time::Millis,
};

/// Renewing begins so many days before the policy's latest day: time for the patience below, and for a board that is
/// switched on for an hour a week.
const EARLY_DAYS: u32 = 14;
/// Devices that were enrolled on one day are spread over so many days before that.
const SPREAD_DAYS: u32 = 35;
/// Waits after trouble.
const WAITS: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(3600));
/// Waits between two tries to prove: the old certificate may be dead already.
const PROOF_WAITS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(600));
/// A certificate that ran out opens nothing else: its patience is this.
const EXPIRED_PATIENCE: Duration = Duration::from_secs(60);
/// A certificate that is new and below the threshold all the same is not renewed again before this.
const LEAST_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// The certificate in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate {
    /// When it was given out (a certificate's own start lies years before).
    pub issued_at: Timestamp,
    /// Its end.
    pub not_after: Timestamp,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The renewed identity is on the disk, beside the one in force.
    Stored,
    /// There is none: no answer, a useless answer, or a full disk. The one in force is untouched.
    Failed,
    /// The console saw the renewed certificate.
    Proven,
    /// It did not answer.
    ProofUnanswered,
    /// It does not know the renewed certificate.
    ProofRefused,
    /// The two could not change places; the disk.
    TakeFailed,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Make a key, ask, check the answer, store both beside the one in force: `Stored` or `Failed`.
    Ask,
    /// Show the renewed certificate to the console: `Proven`, `ProofUnanswered` or `ProofRefused`.
    Prove,
    /// Put the renewed identity into force and begin anew with it; `TakeFailed` if that cannot be.
    Take,
    /// Remove the renewed identity.
    Drop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// `None` until the console told the time.
    Resting(Option<Millis>),
    Due(Millis),
    Asking,
    ToProve(Millis),
    Proving,
    ToTake(Millis),
    Taking,
}

/// Decides when to renew.
#[derive(Debug)]
pub struct Renewal {
    certificate: Certificate,
    threshold: SignedDuration,
    patience: Duration,
    state: State,
    backoff: Backoff,
    proofs: Backoff,
    dice: Dice,
    effects: VecDeque<Effect>,
}

impl Renewal {
    /// For the certificate in force. `unproven` if a renewed identity is on the disk. `mark` is any number that is the
    /// device's own, `patience` the longest wait, once due, before the console is asked.
    pub fn resume(
        certificate: Certificate,
        policy: RenewalPolicy,
        unproven: bool,
        mark: u64,
        patience: Duration,
        seed: u64,
    ) -> Self {
        Self {
            certificate,
            threshold: threshold(certificate, policy, mark, patience),
            patience,
            state: if unproven {
                State::ToProve(Millis::default())
            } else {
                State::Resting(None)
            },
            backoff: Backoff::new(WAITS.0, WAITS.1),
            proofs: Backoff::new(PROOF_WAITS.0, PROOF_WAITS.1),
            dice: Dice::new(seed),
            effects: VecDeque::new(),
        }
    }

    /// The console told what time it is.
    pub fn told(&mut self, time: Timestamp, now: Millis) {
        if !matches!(self.state, State::Resting(_)) {
            return;
        }
        let left = self.certificate.not_after.duration_since(time);
        let lived = time.duration_since(self.certificate.issued_at);
        // A clock that was set back after the certificate was given out says nothing about its age.
        let new = lived >= SignedDuration::ZERO && lived < LEAST_LIFE;
        let expired = left <= SignedDuration::ZERO;
        let least = if new && !expired {
            LEAST_LIFE - lived
        } else {
            SignedDuration::ZERO
        };
        let wait = (left - self.threshold).max(least);
        let patience = if expired {
            self.patience.min(EXPIRED_PATIENCE)
        } else {
            self.patience
        };
        self.state = match Duration::try_from(wait) {
            Ok(wait) if wait > Duration::ZERO => State::Resting(Some(now + wait)),
            _ => State::Due(now + self.dice.up_to(patience)),
        };
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: Event, now: Millis) {
        self.state = match (event, self.state) {
            (Event::Stored, State::Asking) => {
                self.backoff.reset();
                State::ToProve(now)
            }
            (Event::Failed, State::Asking) => State::Due(now + self.backoff.next_wait(&mut self.dice)),
            (Event::Proven, State::Proving) => State::ToTake(now),
            (Event::ProofUnanswered, State::Proving) => {
                State::ToProve(now + self.proofs.next_wait(&mut self.dice))
            }
            (Event::ProofRefused, State::Proving) => {
                self.effects.push_back(Effect::Drop);
                State::Due(now + self.backoff.next_wait(&mut self.dice))
            }
            (Event::TakeFailed, State::Taking) => State::ToTake(now + self.proofs.next_wait(&mut self.dice)),
            (_, state) => state,
        };
    }

    /// The next thing to do.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub const fn poll_timeout(&self) -> Option<Millis> {
        match self.state {
            State::Resting(at) => at,
            State::Due(at) | State::ToProve(at) | State::ToTake(at) => Some(at),
            State::Asking | State::Proving | State::Taking => None,
        }
    }

    /// It may be time.
    pub fn handle_timeout(&mut self, now: Millis) {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        let (state, effect) = match self.state {
            State::Resting(_) => (State::Due(now + self.dice.up_to(self.patience)), None),
            State::Due(_) => (State::Asking, Some(Effect::Ask)),
            State::ToProve(_) => (State::Proving, Some(Effect::Prove)),
            State::ToTake(_) => (State::Taking, Some(Effect::Take)),
            state => (state, None),
        };
        self.state = state;
        self.effects.extend(effect);
    }

    /// Renewing begins when the certificate has less left than this.
    pub const fn threshold(&self) -> SignedDuration {
        self.threshold
    }
}

/// The policy's days, and the patience on top, so that the latest moment is the policy's. Where the certificate lasts long
/// enough, up to seven weeks more; a certificate of the shortest life that a console gives (five absences) is left alone
/// until the policy says so.
fn threshold(
    certificate: Certificate,
    policy: RenewalPolicy,
    mark: u64,
    patience: Duration,
) -> SignedDuration {
    let days = |days: u32| SignedDuration::from_hours(i64::from(days) * 24);
    let spread_s = mark % (u64::from(SPREAD_DAYS) * 86_400);
    let early = days(EARLY_DAYS) + SignedDuration::from_secs(i64::try_from(spread_s).unwrap_or(0));
    let whole = certificate.not_after.duration_since(certificate.issued_at);
    let latest = days(policy.below_days);
    let room = (whole - latest - latest / 4).max(SignedDuration::ZERO) / 4;
    latest + SignedDuration::try_from(patience).unwrap_or(SignedDuration::ZERO) + early.min(room)
}
