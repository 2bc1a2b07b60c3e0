//! Asks the console what time it is, in a way that no old answer fits.

use contract::{
    api::TIME,
    signed::{Signed, TrustedKey},
    time::ConsoleTime,
};
use jiff::Timestamp;
use reqwest::Method;

use super::console::{self, Answer, Refusal};

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeAnswer {
    /// Signed, and to our question.
    Told(Timestamp),
    /// An older console, which signs no time: the `Date` of its answer.
    Said(Timestamp),
    /// Nothing that can be believed; with the reason.
    Silent(String, Option<Refusal>),
}

/// Asks once.
pub async fn console_time(console_url: &str, tls: rustls::ClientConfig, keys: &[TrustedKey]) -> TimeAnswer {
    let nonce = hex::encode(rand::random::<[u8; 16]>());
    let url = format!("{console_url}{TIME}?nonce={nonce}");
    let answer = console::ask(tls, Method::GET, &url, None).await;
    judge(answer, &nonce, keys)
}

fn judge(answer: Answer, nonce: &str, keys: &[TrustedKey]) -> TimeAnswer {
    match answer {
        Answer::Good(body) => match believe(&body, nonce, keys) {
            Ok(time) => TimeAnswer::Told(time),
            Err(error) => TimeAnswer::Silent(format!("{error:#}"), None),
        },
        // Without the route: the connection itself could only be answered by the console, but nobody signed the time.
        Answer::Problem {
            status,
            date: Some(date),
            ..
        } if console::is_unknown_route(status) => TimeAnswer::Said(date),
        other => TimeAnswer::Silent(other.reason(), other.refusal()),
    }
}

fn believe(body: &[u8], nonce: &str, keys: &[TrustedKey]) -> anyhow::Result<Timestamp> {
    let signed: Signed<ConsoleTime> = serde_json::from_slice(body)?;
    let told = signed.verify(keys)?;
    anyhow::ensure!(
        told.nonce == nonce,
        "the answer is to another question; it may be an old one"
    );
    Ok(told.time)
}

#[cfg(test)]
mod tests {
    use contract::{id::KeyId, signed::KeyRole};
    use ed25519_dalek::SigningKey;

    use super::*;

    #[test]
    fn only_a_fresh_answer_by_the_key_for_time_is_believed() {
        let time: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
        let key = SigningKey::from_bytes(&[7; 32]);
        let key_id = KeyId::new("t").unwrap();
        let trusted = |role| [TrustedKey::of(key_id.clone(), role, &key)];
        let answer = |nonce: &str| {
            let body = ConsoleTime {
                time,
                nonce: nonce.into(),
            };
            Answer::Good(serde_json::to_vec(&Signed::sign(&body, key_id.clone(), &key).unwrap()).unwrap())
        };
        assert_eq!(
            judge(answer("n1"), "n1", &trusted(KeyRole::Time)),
            TimeAnswer::Told(time)
        );
        for (wrong, said) in [
            (
                "another question",
                judge(answer("n0"), "n1", &trusted(KeyRole::Time)),
            ),
            ("no question", judge(answer(""), "n1", &trusted(KeyRole::Time))),
            (
                "another role",
                judge(answer("n1"), "n1", &trusted(KeyRole::Command)),
            ),
            ("no key", judge(answer("n1"), "n1", &[])),
            (
                "nonsense",
                judge(Answer::Good(b"{}".to_vec()), "n1", &trusted(KeyRole::Time)),
            ),
        ] {
            assert!(matches!(said, TimeAnswer::Silent(_, None)), "{wrong}: {said:?}");
        }
    }

    #[test]
    fn an_older_console_says_a_date_and_a_doubtful_one_says_nothing() {
        let date: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
        let problem = |status, code: &str| Answer::Problem {
            status,
            code: code.into(),
            date: Some(date),
        };
        assert_eq!(judge(problem(404, "not_found"), "n", &[]), TimeAnswer::Said(date));
        assert!(matches!(
            judge(problem(503, "clock_doubtful"), "n", &[]),
            TimeAnswer::Silent(_, None)
        ));
        assert!(matches!(
            judge(problem(403, "device_revoked"), "n", &[]),
            TimeAnswer::Silent(_, Some(Refusal::Device))
        ));
    }
}
