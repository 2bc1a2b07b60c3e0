//! A board that has no ticket says that it is there; a technician picks its classroom on the telephone, and it is in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{code::DIGITS, enrol::EnrolReply, hardware::Hardware, hash::Hash};

/// `POST` to [`crate::api::CLAIM`], again and again with the same key until somebody decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimRequest {
    /// Board model and revision, as named under `board-configs/boards`.
    pub board: String,
    /// Version of the agent.
    pub agent_version: String,
    /// Certificate signing request (PEM, PKCS #10) for a P-256 key.
    pub csr_pem: String,
    /// What the board is made of; its serial is what the technician sees.
    pub hardware: Hardware,
}

/// What the board is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ClaimReply {
    /// Nobody has decided yet.
    Waiting {
        /// Seconds until the board should ask again.
        ask_again_s: u32,
    },
    /// Somebody picked a classroom.
    Enrolled {
        /// As for a ticket.
        reply: Box<EnrolReply>,
    },
    /// Somebody said no; the board stops asking until it is started again.
    Refused,
    /// A word that a newer console knows; the board goes on asking.
    #[serde(other)]
    Other,
}

/// Eight characters by which a person compares the board before them with the one on the telephone: the first 40 bits of
/// the BLAKE3 of the public key (uncompressed point, 65 bytes), e.g. `7K3M-9QXZ`.
pub fn fingerprint(public_key: &[u8]) -> String {
    let hash = Hash::of(public_key);
    let bits = hash
        .0
        .iter()
        .take(5)
        .fold(0_u64, |all, byte| (all << 8) | u64::from(*byte));
    let digit = |n: u32| char::from(DIGITS[usize::try_from((bits >> (35 - 5 * n)) & 31).unwrap_or(0)]);
    let text: String = (0..8).map(digit).collect();
    let (first, second) = text.split_at(4);
    format!("{first}-{second}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_short_and_the_keys_own() {
        let one = fingerprint(&[4; 65]);
        assert_eq!(one.len(), 9);
        assert_eq!(one, fingerprint(&[4; 65]));
        assert_ne!(one, fingerprint(&[5; 65]));
    }
}
