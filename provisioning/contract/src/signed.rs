//! Signed documents: the exact bytes that were signed travel inside, so nobody re-serialises to verify.

use std::marker::PhantomData;

use base64::{Engine, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::id::KeyId;

/// What a key may sign. One key, one role.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum KeyRole {
    /// Lesson manifests, assignments, packs.
    Content,
    /// Commands, standings, offline tickets, school plans.
    Command,
    /// The console's time.
    Time,
    /// Which keys may sign what; kept offline.
    Root,
    /// Which lessons were withdrawn.
    Snapshot,
    /// A school's own lessons, valid in that school alone.
    School,
    /// A role that a newer console knows; signs nothing here.
    #[serde(other)]
    Other,
}

/// A body that may stand in a [`Signed`] document.
pub trait SignedBody: Serialize + DeserializeOwned {
    /// Goes into the signed bytes, so that a signature over one kind never verifies as another.
    const KIND: &'static str;
    /// The role whose keys may sign it.
    const ROLE: KeyRole;
}

/// A public key that a device trusts, handed over at enrolment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TrustedKey {
    /// Names the key in signatures.
    pub key_id: KeyId,
    /// What it may sign.
    pub role: KeyRole,
    /// Ed25519 public key, 32 bytes, base64.
    pub public_key: String,
}

/// One signature over the body's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct KeySignature {
    /// The key that made it.
    pub key_id: KeyId,
    /// Ed25519 signature, 64 bytes, base64.
    pub signature: String,
}

/// A `T` with its signatures. The body is reachable only through [`Signed::verify`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(bound = "")]
pub struct Signed<T> {
    /// The body as JSON text; these bytes are what was signed.
    signed: String,
    /// At least one by a trusted key of the right role makes the document valid.
    signatures: Vec<KeySignature>,
    #[serde(skip)]
    #[schemars(skip)]
    body: PhantomData<fn() -> T>,
}

/// Why a signed document was refused.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// None of the signatures is by a key that is trusted for this role.
    #[error(
        "{kind}: no signature by a trusted {role:?} key (signed by: {found}); enrol again or ask the county for the current keys"
    )]
    NoTrustedKey {
        /// The document's kind.
        kind: &'static str,
        /// The role that was needed.
        role: KeyRole,
        /// The key ids that did sign.
        found: String,
    },
    /// The key is trusted but the signature does not fit the bytes.
    #[error("{kind}: the signature by key {key} does not match; the document was changed on its way")]
    Mismatch {
        /// The document's kind.
        kind: &'static str,
        /// The key in question.
        key: KeyId,
    },
    /// Good signatures, but not by as many keys as the role asks for.
    #[error("{kind}: {found} of the {needed} {role:?} signatures that it needs")]
    TooFew {
        /// The document's kind.
        kind: &'static str,
        /// The role that was needed.
        role: KeyRole,
        /// Good signatures by different keys.
        found: usize,
        /// The role's threshold.
        needed: usize,
    },
    /// A trusted key cannot be used.
    #[error("trusted key {0} is not an Ed25519 public key")]
    BadKey(KeyId),
    /// Signature fine, body not readable.
    #[error("{kind}: signed body cannot be read: {source}")]
    Body {
        /// The document's kind.
        kind: &'static str,
        /// What the JSON reader said.
        source: serde_json::Error,
    },
}

impl TrustedKey {
    /// Describes the public half of `key`.
    pub fn of(key_id: KeyId, role: KeyRole, key: &SigningKey) -> Self {
        Self {
            key_id,
            role,
            public_key: BASE64_STANDARD.encode(key.verifying_key().as_bytes()),
        }
    }

    fn verifying_key(&self) -> Result<VerifyingKey, SignatureError> {
        let bad = || SignatureError::BadKey(self.key_id.clone());
        let bytes = BASE64_STANDARD.decode(&self.public_key).map_err(|_| bad())?;
        let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| bad())?;
        VerifyingKey::from_bytes(&bytes).map_err(|_| bad())
    }

    fn check(
        &self,
        kind: &'static str,
        message: &[u8],
        found: &KeySignature,
    ) -> Result<VerifyingKey, SignatureError> {
        let mismatch = || SignatureError::Mismatch {
            kind,
            key: found.key_id.clone(),
        };
        let bytes = BASE64_STANDARD.decode(&found.signature).map_err(|_| mismatch())?;
        let signature = Signature::from_slice(&bytes).map_err(|_| mismatch())?;
        let key = self.verifying_key()?;
        key.verify_strict(message, &signature).map_err(|_| mismatch())?;
        Ok(key)
    }
}

fn message(kind: &str, body: &str) -> Vec<u8> {
    format!("bbt/{kind}\n{body}").into_bytes()
}

impl<T: SignedBody> Signed<T> {
    /// Signs `body` with one key.
    ///
    /// # Errors
    /// Only if `body` cannot be written as JSON.
    pub fn sign(body: &T, key_id: KeyId, key: &SigningKey) -> Result<Self, serde_json::Error> {
        let signed = serde_json::to_string(body)?;
        let signature = key.sign(&message(T::KIND, &signed));
        let signature = BASE64_STANDARD.encode(signature.to_bytes());
        Ok(Self {
            signed,
            signatures: vec![KeySignature { key_id, signature }],
            body: PhantomData,
        })
    }

    /// Adds another signature over the same bytes.
    pub fn co_sign(&mut self, key_id: KeyId, key: &SigningKey) {
        let signature = key.sign(&message(T::KIND, &self.signed));
        let signature = BASE64_STANDARD.encode(signature.to_bytes());
        self.signatures.retain(|s| s.key_id != key_id);
        self.signatures.push(KeySignature { key_id, signature });
    }

    /// The ids that signed, as they say themselves.
    pub fn signers(&self) -> impl Iterator<Item = &KeyId> {
        self.signatures.iter().map(|s| &s.key_id)
    }

    /// The body, once `threshold` different keys of the right role have signed it well. Fails closed: a threshold of 0
    /// counts as 1, a trusted key whose signature does not fit refuses the whole document.
    ///
    /// # Errors
    /// Too few trusted keys, a signature that does not fit, or a body that cannot be read.
    pub fn verify_by(&self, trusted: &[TrustedKey], threshold: u32) -> Result<T, SignatureError> {
        let message = message(T::KIND, &self.signed);
        let mut good: Vec<VerifyingKey> = Vec::new();
        for found in &self.signatures {
            let Some(key) = trusted
                .iter()
                .find(|k| k.key_id == found.key_id && k.role == T::ROLE)
            else {
                continue;
            };
            let key = key.check(T::KIND, &message, found)?;
            // One key under two names is one key.
            if !good.contains(&key) {
                good.push(key);
            }
        }
        let (found, needed) = (good.len(), threshold.max(1) as usize);
        if good.is_empty() {
            return Err(self.nobody());
        }
        if found < needed {
            return Err(SignatureError::TooFew {
                kind: T::KIND,
                role: T::ROLE,
                found,
                needed,
            });
        }
        self.read()
    }

    /// The body, once one signature by a trusted key of the right role is found good. Fails closed.
    ///
    /// # Errors
    /// No trusted key, a signature that does not fit, or a body that cannot be read.
    pub fn verify(&self, trusted: &[TrustedKey]) -> Result<T, SignatureError> {
        self.verify_with(trusted).map(|(body, _)| body)
    }

    /// The same, and whose signature was found good.
    ///
    /// # Errors
    /// As [`Signed::verify`].
    pub fn verify_with<'k>(&self, trusted: &'k [TrustedKey]) -> Result<(T, &'k TrustedKey), SignatureError> {
        let message = message(T::KIND, &self.signed);
        for found in &self.signatures {
            let Some(key) = trusted
                .iter()
                .find(|k| k.key_id == found.key_id && k.role == T::ROLE)
            else {
                continue;
            };
            key.check(T::KIND, &message, found)?;
            return Ok((self.read()?, key));
        }
        Err(self.nobody())
    }

    fn read(&self) -> Result<T, SignatureError> {
        serde_json::from_str(&self.signed).map_err(|source| SignatureError::Body {
            kind: T::KIND,
            source,
        })
    }

    /// What the body says of itself, verified by nobody: only for choosing what to verify next.
    pub(crate) fn claim(&self) -> Result<T, SignatureError> {
        self.read()
    }

    fn nobody(&self) -> SignatureError {
        let found: Vec<_> = self.signatures.iter().map(|s| s.key_id.as_str()).collect();
        let found = if found.is_empty() {
            "nobody".to_owned()
        } else {
            found.join(", ")
        };
        SignatureError::NoTrustedKey {
            kind: T::KIND,
            role: T::ROLE,
            found,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Note(String);
    impl SignedBody for Note {
        const KIND: &'static str = "note/1";
        const ROLE: KeyRole = KeyRole::Content;
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Order(String);
    impl SignedBody for Order {
        const KIND: &'static str = "order/1";
        const ROLE: KeyRole = KeyRole::Content;
    }

    fn key(seed: u8, id: &str, role: KeyRole) -> (SigningKey, TrustedKey) {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let trusted = TrustedKey::of(KeyId::new(id).unwrap(), role, &key);
        (key, trusted)
    }

    #[test]
    fn only_a_trusted_key_of_the_role_opens_it() {
        let (signing, trusted) = key(1, "a", KeyRole::Content);
        let (_, other_role) = key(1, "a", KeyRole::Command);
        let (_, same_name_other_key) = key(2, "a", KeyRole::Content);
        let document = Signed::sign(&Note("hi".into()), trusted.key_id.clone(), &signing).unwrap();
        assert_eq!(document.verify(&[trusted]).unwrap(), Note("hi".into()));
        assert!(matches!(
            document.verify(&[]),
            Err(SignatureError::NoTrustedKey { .. })
        ));
        assert!(matches!(
            document.verify(&[other_role]),
            Err(SignatureError::NoTrustedKey { .. })
        ));
        assert!(matches!(
            document.verify(&[same_name_other_key]),
            Err(SignatureError::Mismatch { .. })
        ));
    }

    #[test]
    fn a_threshold_counts_keys_and_not_signatures() {
        let (one, one_trusted) = key(1, "a", KeyRole::Content);
        let (two, two_trusted) = key(2, "b", KeyRole::Content);
        let (_, one_again) = key(1, "c", KeyRole::Content);
        let mut document = Signed::sign(&Note("hi".into()), one_trusted.key_id.clone(), &one).unwrap();
        let all = [one_trusted, two_trusted, one_again.clone()];
        assert!(document.verify_by(&all, 1).is_ok());
        document.co_sign(one_again.key_id.clone(), &one);
        assert!(matches!(
            document.verify_by(&all, 2),
            Err(SignatureError::TooFew {
                found: 1,
                needed: 2,
                ..
            })
        ));
        document.co_sign(all[1].key_id.clone(), &two);
        assert!(document.verify_by(&all, 2).is_ok());
        assert!(matches!(
            document.verify_by(&[], 0),
            Err(SignatureError::NoTrustedKey { .. })
        ));
    }

    #[test]
    fn a_changed_body_or_another_kind_is_refused() {
        let (signing, trusted) = key(1, "a", KeyRole::Content);
        let document = Signed::sign(&Note("hi".into()), trusted.key_id.clone(), &signing).unwrap();
        let text = serde_json::to_string(&document).unwrap();
        let changed: Signed<Note> = serde_json::from_str(&text.replace("hi", "ho")).unwrap();
        assert!(matches!(
            changed.verify(std::slice::from_ref(&trusted)),
            Err(SignatureError::Mismatch { .. })
        ));
        let as_order: Signed<Order> = serde_json::from_str(&text).unwrap();
        assert!(matches!(
            as_order.verify(&[trusted]),
            Err(SignatureError::Mismatch { .. })
        ));
    }
}
