//! The keys that sign what devices obey: one for content, one for commands, one for the time, never one for two. At rest they
//! are encrypted with the unlock secret.

use std::path::Path;

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
}

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
        Ok(Self {
            content,
            command,
            time,
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

    /// The public halves, for a device at its enrolment.
    pub fn trusted(&self) -> Vec<TrustedKey> {
        [&self.content, &self.command, &self.time]
            .map(|key| TrustedKey::of(key.id.clone(), key.role, &key.secret))
            .into()
    }

    /// The public half of the key for commands.
    pub fn command_key(&self) -> TrustedKey {
        TrustedKey::of(self.command.id.clone(), self.command.role, &self.command.secret)
    }
}

impl Key {
    fn open_or_create(dir: &Path, name: &str, role: KeyRole, unlock: &Unlock) -> anyhow::Result<Self> {
        let file = format!("{name}.key");
        let secret = match files::read(dir, &file)? {
            Some(pem) => {
                let opened = open_key(&dir.join(&file), &pem, unlock)?;
                SigningKey::from_pkcs8_der(opened.as_bytes()).map_err(|e| {
                    anyhow::anyhow!(
                        "{} is not an Ed25519 private key ({e}); restore it from the backup, devices trust no other",
                        dir.join(&file).display()
                    )
                })?
            }
            None => {
                let mut seed = [0; 32];
                rand::rngs::OsRng.try_fill_bytes(&mut seed)?;
                let secret = SigningKey::from_bytes(&seed);
                let der = secret
                    .to_pkcs8_der()
                    .map_err(|e| anyhow::anyhow!("a signing key could not be written: {e}"))?;
                let pem = sealed_key::seal(der.as_bytes(), unlock.secret(), Cost::Machine)?;
                files::write_private(dir, &file, pem.as_bytes())?;
                secret
            }
        };
        // The id follows from the key, so a restored key keeps its name.
        let digest = blake3::hash(secret.verifying_key().as_bytes()).to_hex();
        let id = KeyId::new(format!("{name}-{}", digest.get(..16).unwrap_or_default()))?;
        Ok(Self { id, role, secret })
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
        for name in ["content.key", "command.key", "time.key"] {
            let text = std::fs::read_to_string(dir.join(name)).unwrap();
            assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY"), "{name}");
            assert_eq!(
                std::fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
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
