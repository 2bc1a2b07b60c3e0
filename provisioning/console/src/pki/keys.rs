//! The keys that sign what devices obey: one for content, one for commands, never one for both.

use std::path::Path;

use anyhow::Context;
use contract::{
    id::KeyId,
    signed::{KeyRole, Signed, SignedBody, TrustedKey},
};
use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, spki::der::pem::LineEnding},
};
use rand::TryRngCore;

use super::files;

/// Both signing keys. No way leads to the secret halves.
pub struct SigningKeys {
    content: Key,
    command: Key,
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
            .finish()
    }
}

impl SigningKeys {
    /// Opens the keys in `dir`, or creates those that are missing, as PKCS #8 PEM, mode 0600.
    ///
    /// # Errors
    /// The folder or a key file cannot be used; named.
    pub fn open_or_create(dir: &Path) -> anyhow::Result<Self> {
        files::private_folder(dir)?;
        let _lock = files::lock(dir)?;
        let content = Key::open_or_create(dir, "content", KeyRole::Content)?;
        let command = Key::open_or_create(dir, "command", KeyRole::Command)?;
        Ok(Self { content, command })
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

    /// The public halves, for a device at its enrolment.
    pub fn trusted(&self) -> Vec<TrustedKey> {
        [&self.content, &self.command]
            .map(|key| TrustedKey::of(key.id.clone(), key.role, &key.secret))
            .into()
    }
}

impl Key {
    fn open_or_create(dir: &Path, name: &str, role: KeyRole) -> anyhow::Result<Self> {
        let file = format!("{name}.key");
        let secret = match files::read(dir, &file)? {
            Some(pem) => SigningKey::from_pkcs8_pem(&pem).map_err(|e| {
                anyhow::anyhow!(
                    "{} is not an Ed25519 private key ({e}); restore it from the backup, devices trust no other",
                    dir.join(&file).display()
                )
            })?,
            None => {
                let mut seed = [0; 32];
                rand::rngs::OsRng.try_fill_bytes(&mut seed)?;
                let secret = SigningKey::from_bytes(&seed);
                let pem = secret.to_pkcs8_pem(LineEnding::LF).context("Failed to write a signing key as PEM")?;
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
        let keys = SigningKeys::open_or_create(&dir).unwrap();
        let signed = keys.sign_content(&assignment()).unwrap();
        let again = SigningKeys::open_or_create(&dir).unwrap();
        assert_eq!(keys.trusted(), again.trusted());
        assert_eq!(signed.verify(&again.trusted()).unwrap(), assignment());
        assert!(keys.sign_command(&assignment()).is_err());
        assert_eq!(
            std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777,
            0o700
        );
        for name in ["content.key", "command.key"] {
            assert_eq!(
                std::fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }

    #[test]
    fn a_damaged_key_is_named_and_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        SigningKeys::open_or_create(dir.path()).unwrap();
        std::fs::write(dir.path().join("content.key"), "junk").unwrap();
        let error = SigningKeys::open_or_create(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("content.key") && error.contains("backup"),
            "{error}"
        );
        assert_eq!(std::fs::read(dir.path().join("content.key")).unwrap(), b"junk");
    }
}
