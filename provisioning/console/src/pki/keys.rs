//! The keys that sign what devices obey: one for content, one for commands, one for the time, one for withdrawals, never one
//! for two. At rest they are encrypted with the unlock secret. Which of them devices believe is the trust root's to say, see
//! [`crate::trust`].

use std::path::Path;

use anyhow::Context;
use contract::{
    id::KeyId,
    signed::{KeyRole, Signed, SignedBody, TrustedKey},
};
use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey},
};
use rand::TryRngCore;

use super::{
    files, open_key,
    sealed_key::{self, Cost},
    unlock::Unlock,
};

/// All signing keys. No way leads to the secret halves.
pub struct SigningKeys {
    content: Key,
    command: Key,
    time: Key,
    snapshot: Key,
}

/// What a key's file is called while the root that names it is not kept yet.
const NEXT: &str = "next";

struct Key {
    id: KeyId,
    role: KeyRole,
    secret: SigningKey,
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKeys")
            .field("content", &self.content.id)
            .field("command", &self.command.id)
            .field("time", &self.time.id)
            .field("snapshot", &self.snapshot.id)
            .finish()
    }
}

impl SigningKeys {
    /// Opens the keys in `dir`, or creates those that are missing, as encrypted PKCS #8 PEM, mode 0600.
    ///
    /// # Errors
    /// The folder or a key file cannot be used, or the unlock secret does not open it; named.
    pub fn open_or_create(dir: &Path, unlock: &Unlock) -> anyhow::Result<Self> {
        files::private_folder(dir)?;
        let _lock = files::lock(dir)?;
        let content = Key::open_or_create(dir, "content", KeyRole::Content, unlock)?;
        let command = Key::open_or_create(dir, "command", KeyRole::Command, unlock)?;
        let time = Key::open_or_create(dir, "time", KeyRole::Time, unlock)?;
        let snapshot = Key::open_or_create(dir, "snapshot", KeyRole::Snapshot, unlock)?;
        Ok(Self {
            content,
            command,
            time,
            snapshot,
        })
    }

    /// Signs a manifest or an assignment.
    ///
    /// # Errors
    /// The body cannot be written as JSON, or is not content.
    pub fn sign_content<T: SignedBody>(&self, body: &T) -> Result<Signed<T>, serde_json::Error> {
        self.content.sign(body)
    }

    /// Signs a command.
    ///
    /// # Errors
    /// The body cannot be written as JSON, or is not a command.
    pub fn sign_command<T: SignedBody>(&self, body: &T) -> Result<Signed<T>, serde_json::Error> {
        self.command.sign(body)
    }

    /// Signs the time.
    ///
    /// # Errors
    /// The body cannot be written as JSON, or is not the time.
    pub fn sign_time<T: SignedBody>(&self, body: &T) -> Result<Signed<T>, serde_json::Error> {
        self.time.sign(body)
    }

    /// Signs which lessons were taken back.
    ///
    /// # Errors
    /// The body cannot be written as JSON, or is no snapshot.
    pub fn sign_snapshot<T: SignedBody>(&self, body: &T) -> Result<Signed<T>, serde_json::Error> {
        self.snapshot.sign(body)
    }

    /// The public halves of all of them, for a trust root.
    pub fn all(&self) -> Vec<TrustedKey> {
        [&self.content, &self.command, &self.time, &self.snapshot]
            .map(Key::public)
            .into()
    }

    /// Makes the next key of `role` beside the one in use; it takes its place by [`Self::promote`]. One that was prepared
    /// before and never promoted is thrown away.
    ///
    /// # Errors
    /// No online role, or the file cannot be written.
    pub fn prepare(dir: &Path, role: KeyRole, unlock: &Unlock) -> anyhow::Result<TrustedKey> {
        let name = name_of(role)?;
        let next = format!("{name}.key.{NEXT}");
        let key = Key::create(dir, &next, name, role, unlock)?;
        Ok(key.public())
    }

    /// The key of `role` that was prepared and not promoted.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn prepared(dir: &Path, role: KeyRole, unlock: &Unlock) -> anyhow::Result<Option<TrustedKey>> {
        let name = name_of(role)?;
        let file = format!("{name}.key.{NEXT}");
        Ok(match files::read(dir, &file)? {
            Some(pem) => Some(Key::open(dir, &file, &pem, name, role, unlock)?.public()),
            None => None,
        })
    }

    /// Puts the prepared key of `role` in the place of the one in use, which is gone then. In one step.
    ///
    /// # Errors
    /// The operating system's.
    pub fn promote(dir: &Path, role: KeyRole) -> anyhow::Result<()> {
        let name = name_of(role)?;
        files::rename(dir, &format!("{name}.key.{NEXT}"), &format!("{name}.key"))
    }

    /// Throws the prepared key of `role` away.
    ///
    /// # Errors
    /// The operating system's.
    pub fn discard(dir: &Path, role: KeyRole) -> anyhow::Result<()> {
        let path = dir.join(format!("{}.key.{NEXT}", name_of(role)?));
        std::fs::remove_file(&path).with_context(|| format!("Failed to remove {}", path.display()))
    }

    /// The public halves, for a device at its enrolment.
    pub fn trusted(&self) -> Vec<TrustedKey> {
        [&self.content, &self.command, &self.time].map(Key::public).into()
    }

    /// The public half of the key for commands.
    pub fn command_key(&self) -> TrustedKey {
        self.command.public()
    }
}

fn name_of(role: KeyRole) -> anyhow::Result<&'static str> {
    Ok(match role {
        KeyRole::Content => "content",
        KeyRole::Command => "command",
        KeyRole::Time => "time",
        KeyRole::Snapshot => "snapshot",
        other => anyhow::bail!("{other:?} is no role of a key that is kept online"),
    })
}

/// A key's name follows from the key, so a restored one keeps it.
pub(super) fn id_of(name: &str, secret: &SigningKey) -> anyhow::Result<KeyId> {
    let digest = blake3::hash(secret.verifying_key().as_bytes()).to_hex();
    Ok(KeyId::new(format!(
        "{name}-{}",
        digest.get(..16).unwrap_or_default()
    ))?)
}

/// A new Ed25519 key.
pub(super) fn new_secret() -> anyhow::Result<SigningKey> {
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    rand::rngs::OsRng.try_fill_bytes(&mut *seed)?;
    Ok(SigningKey::from_bytes(&seed))
}

impl Key {
    fn open_or_create(dir: &Path, name: &str, role: KeyRole, unlock: &Unlock) -> anyhow::Result<Self> {
        let file = format!("{name}.key");
        match files::read(dir, &file)? {
            Some(pem) => Self::open(dir, &file, &pem, name, role, unlock),
            None => Self::create(dir, &file, name, role, unlock),
        }
    }

    fn open(
        dir: &Path,
        file: &str,
        pem: &str,
        name: &str,
        role: KeyRole,
        unlock: &Unlock,
    ) -> anyhow::Result<Self> {
        let opened = open_key(&dir.join(file), pem, unlock)?;
        let secret = SigningKey::from_pkcs8_der(opened.as_bytes()).map_err(|e| {
            anyhow::anyhow!(
                "{} is not an Ed25519 private key ({e}); restore it from the backup, devices trust no other",
                dir.join(file).display()
            )
        })?;
        let id = id_of(name, &secret)?;
        Ok(Self { id, role, secret })
    }

    fn create(dir: &Path, file: &str, name: &str, role: KeyRole, unlock: &Unlock) -> anyhow::Result<Self> {
        let secret = new_secret()?;
        let der = secret
            .to_pkcs8_der()
            .map_err(|e| anyhow::anyhow!("a signing key could not be written: {e}"))?;
        let pem = sealed_key::seal(der.as_bytes(), unlock.secret(), Cost::Machine)?;
        files::write_private(dir, file, pem.as_bytes())?;
        let id = id_of(name, &secret)?;
        Ok(Self { id, role, secret })
    }

    fn public(&self) -> TrustedKey {
        TrustedKey::of(self.id.clone(), self.role, &self.secret)
    }

    fn sign<T: SignedBody>(&self, body: &T) -> Result<Signed<T>, serde_json::Error> {
        if T::ROLE != self.role {
            let what = format!("a {:?} key does not sign {}", self.role, T::KIND);
            return Err(serde::ser::Error::custom(what));
        }
        Signed::sign(body, self.id.clone(), &self.secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{assignment::Assignment, id::DeviceId};
    use std::os::unix::fs::PermissionsExt;

    fn assignment() -> Assignment {
        let device_id = DeviceId::new("d1").unwrap();
        Assignment {
            device_id,
            generation: 1,
            issued_at: jiff::Timestamp::UNIX_EPOCH,
            lessons: vec![],
        }
    }

    #[test]
    fn the_same_keys_after_a_restart_each_for_its_role() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("keys");
        let unlock = Unlock::given(super::super::TEST_SECRET);
        let keys = SigningKeys::open_or_create(&dir, &unlock).unwrap();
        let signed = keys.sign_content(&assignment()).unwrap();
        let again = SigningKeys::open_or_create(&dir, &unlock).unwrap();
        assert_eq!(keys.trusted(), again.trusted());
        assert_eq!(signed.verify(&again.trusted()).unwrap(), assignment());
        assert!(keys.sign_command(&assignment()).is_err());
        assert!(keys.sign_time(&assignment()).is_err());
        let other = SigningKeys::open_or_create(&dir, &Unlock::given("another"));
        assert!(other.unwrap_err().to_string().contains("content.key"));
        assert_eq!(
            std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777,
            0o700
        );
        for name in ["content.key", "command.key", "time.key", "snapshot.key"] {
            let text = std::fs::read_to_string(dir.join(name)).unwrap();
            assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY"), "{name}");
            assert_eq!(
                std::fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }

    #[test]
    fn a_prepared_key_takes_the_place_of_the_one_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let unlock = Unlock::given(super::super::TEST_SECRET);
        let before = SigningKeys::open_or_create(dir.path(), &unlock).unwrap();
        let next = SigningKeys::prepare(dir.path(), KeyRole::Command, &unlock).unwrap();
        let prepared = || SigningKeys::prepared(dir.path(), KeyRole::Command, &unlock).unwrap();
        assert_eq!(prepared(), Some(next.clone()));
        let still = SigningKeys::open_or_create(dir.path(), &unlock).unwrap();
        assert_eq!(still.all(), before.all());
        SigningKeys::promote(dir.path(), KeyRole::Command).unwrap();
        let after = SigningKeys::open_or_create(dir.path(), &unlock).unwrap();
        assert_eq!(after.command_key(), next);
        assert_eq!(prepared(), None);
        assert!(SigningKeys::prepare(dir.path(), KeyRole::Root, &unlock).is_err());
    }

    #[test]
    fn a_damaged_key_is_named_and_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let unlock = Unlock::given(super::super::TEST_SECRET);
        SigningKeys::open_or_create(dir.path(), &unlock).unwrap();
        std::fs::write(dir.path().join("content.key"), "junk").unwrap();
        let error = SigningKeys::open_or_create(dir.path(), &unlock)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("content.key") && error.contains("backup"),
            "{error}"
        );
        assert_eq!(std::fs::read(dir.path().join("content.key")).unwrap(), b"junk");
    }
}
