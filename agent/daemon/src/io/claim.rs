//! A board without a ticket says that it is there, with the same key each time, until somebody decides.

use std::time::Duration;

use agent_core::backoff::{Backoff, Dice};
use contract::{
    api::{CLAIM, Problem},
    claim::{ClaimReply, ClaimRequest},
    enrol::EnrolReply,
};
use reqwest::{Client, StatusCode, header::RETRY_AFTER};

use super::enrol::applicant::{NoAnswer, answer, reason};

/// Between two questions, where the console does not say otherwise.
const EVERY: Duration = Duration::from_secs(5);
/// Never longer, whatever the console says.
const LONGEST: Duration = Duration::from_secs(300);
/// Added to each wait, so that a school that is switched on at eight does not ask in step.
const JITTER: Duration = Duration::from_secs(1);

/// What came back.
#[derive(Debug)]
pub enum Decision {
    /// Nobody has decided; the console would like to be asked again after so long.
    Waiting(Duration),
    /// Somebody picked a classroom.
    Enrolled(Box<EnrolReply>),
    /// Somebody said no.
    Refused,
    /// The console does not take it up now; with its words, and when it would like to be asked again.
    Busy(String, Option<Duration>),
    /// Another authority than the one that is believed; with what TLS said.
    Stranger(String),
    /// No answer, or none that can be understood; with the reason.
    Unanswered(String),
}

/// Asks once.
pub async fn ask(client: &Client, console_url: &str, claim: &ClaimRequest) -> Decision {
    let url = format!("{}{CLAIM}", console_url.trim_end_matches('/'));
    let (status, headers, body) = match answer(client.post(url).json(claim)).await {
        Ok(answer) => answer,
        Err(NoAnswer::Stranger(why)) => return Decision::Stranger(why),
        Err(NoAnswer::Unreachable(why) | NoAnswer::Unclear(why)) => return Decision::Unanswered(why),
    };
    if status == StatusCode::OK {
        return match serde_json::from_slice(&body) {
            Ok(ClaimReply::Waiting { ask_again_s }) => {
                Decision::Waiting(Duration::from_secs(u64::from(ask_again_s)))
            }
            Ok(ClaimReply::Enrolled { reply }) => Decision::Enrolled(reply),
            Ok(ClaimReply::Refused) => Decision::Refused,
            Ok(ClaimReply::Other) => Decision::Waiting(EVERY),
            Err(error) => Decision::Unanswered(format!("its answer cannot be understood: {error}")),
        };
    }
    let problem = serde_json::from_slice::<Problem>(&body).ok();
    let after = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    Decision::Busy(reason(status, problem.as_ref()), after)
}

/// When to ask again.
#[derive(Debug)]
pub struct Pace {
    dice: Dice,
    backoff: Backoff,
}

impl Pace {
    /// From a seed that the shell hands in.
    pub fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            backoff: Backoff::new(EVERY, Duration::from_secs(60)),
        }
    }

    /// After an answer: what the console would like, within bounds.
    pub fn after_answer(&mut self, wanted: Duration) -> Duration {
        self.backoff.reset();
        wanted.clamp(Duration::from_secs(1), LONGEST) + self.dice.up_to(JITTER)
    }

    /// After none, or one that says to come later: longer each time.
    pub fn after_failure(&mut self, wanted: Option<Duration>) -> Duration {
        let wait = self.backoff.next_wait(&mut self.dice);
        wanted.map_or(wait, |wanted| wait.max(wanted.min(LONGEST)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_as_the_console_would_like_within_bounds_and_seldomer_when_nobody_answers() {
        let mut pace = Pace::new(7);
        let within = |wait: Duration, from: u64, to: u64| {
            assert!(
                (Duration::from_secs(from)..=Duration::from_secs(to)).contains(&wait),
                "{wait:?}"
            );
        };
        for _ in 0..50 {
            within(pace.after_answer(EVERY), 5, 6);
            within(pace.after_answer(Duration::ZERO), 1, 2);
            within(pace.after_answer(Duration::from_secs(1_000_000)), 300, 301);
        }
        let waits: Vec<_> = (0..40).map(|_| pace.after_failure(None)).collect();
        assert!(
            waits
                .iter()
                .all(|wait| *wait >= EVERY && *wait <= Duration::from_secs(60))
        );
        assert!(waits[10..].iter().sum::<Duration>() > Duration::from_secs(30 * 20));
        within(pace.after_failure(Some(Duration::from_secs(120))), 120, 120);
        within(pace.after_answer(EVERY), 5, 6);
        within(pace.after_failure(None), 5, 10);
    }
}
