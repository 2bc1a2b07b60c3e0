//! For whom a backup is encrypted, and what opens it: an X25519 key pair of `age`, or a passphrase.

use std::{io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use age::{Identity, Recipient, scrypt, secrecy::ExposeSecret, secrecy::SecretString, x25519};
use zeroize::Zeroizing;

use super::BackupError;

/// Shortest passphrase in characters.
pub const MIN_PASSPHRASE: usize = 12;
/// Most work that a passphrase may ask for: 2^20 is some seconds and a gigabyte.
const MOST_WORK: u8 = 20;

/// For whom a backup is made.
#[derive(Clone)]
pub enum For {
    /// Whoever holds the key of this recipient.
    Recipient(x25519::Recipient),
    /// Whoever knows this passphrase.
    Passphrase {
        /// It.
        secret: SecretString,
        /// 2^work rounds; `None`: about a second of this machine.
        work: Option<u8>,
    },
}

impl std::fmt::Debug for For {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Recipient(recipient) => write!(f, "For({recipient})"),
            Self::Passphrase { .. } => f.write_str("For(passphrase)"),
        }
    }
}

impl For {
    /// A recipient as text, `age1…`.
    ///
    /// # Errors
    /// It is none.
    pub fn recipient(text: &str) -> Result<Self, BackupError> {
        text.trim().parse().map(Self::Recipient).map_err(|reason| {
            BackupError::Key(format!(
                "{text:?} is no recipient ({reason}); make a key with: bbt-console backup key --out FILE, and give the age1… that it prints"
            ))
        })
    }

    /// A passphrase.
    ///
    /// # Errors
    /// Too short.
    pub fn passphrase(text: &str) -> Result<Self, BackupError> {
        if text.chars().count() < MIN_PASSPHRASE {
            return Err(BackupError::Key(format!(
                "the passphrase has fewer than {MIN_PASSPHRASE} characters; a backup holds every key of the console, choose a longer one"
            )));
        }
        Ok(Self::Passphrase {
            secret: SecretString::from(text.to_owned()),
            work: None,
        })
    }

    pub(super) fn boxed(&self) -> Box<dyn Recipient> {
        match self {
            Self::Recipient(recipient) => Box::new(recipient.clone()),
            Self::Passphrase { secret, work } => {
                let mut recipient = scrypt::Recipient::new(secret.clone());
                if let Some(work) = work {
                    recipient.set_work_factor(*work);
                }
                Box::new(recipient)
            }
        }
    }
}

/// What opens a backup.
#[derive(Clone)]
pub enum Key {
    /// The key of a recipient.
    Identity(x25519::Identity),
    /// A passphrase.
    Passphrase(SecretString),
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// Reads the first key of a file that [`make`] (or `age-keygen`) wrote.
    ///
    /// # Errors
    /// The file cannot be read, or holds no key.
    pub fn read(file: &Path) -> Result<Self, BackupError> {
        let text = Zeroizing::new(std::fs::read_to_string(file).map_err(BackupError::io("read", file))?);
        text.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .find_map(|line| line.parse().ok())
            .map(Self::Identity)
            .ok_or_else(|| {
                BackupError::Key(format!(
                    "{} holds no key (a line AGE-SECRET-KEY-1…); give the file that `backup key` wrote",
                    file.display()
                ))
            })
    }

    /// A passphrase.
    pub fn passphrase(text: &str) -> Self {
        Self::Passphrase(SecretString::from(text.to_owned()))
    }

    pub(super) fn boxed(&self) -> Box<dyn Identity> {
        match self {
            Self::Identity(identity) => Box::new(identity.clone()),
            Self::Passphrase(secret) => {
                let mut identity = scrypt::Identity::new(secret.clone());
                identity.set_max_work_factor(MOST_WORK);
                Box::new(identity)
            }
        }
    }
}

/// Makes a key pair: the secret half into a new file of the owner alone; answers the recipient.
///
/// # Errors
/// The file is there already or cannot be written.
pub fn make(file: &Path) -> Result<String, BackupError> {
    let identity = x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let mut out = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .map_err(|reason| match reason.kind() {
            std::io::ErrorKind::AlreadyExists => BackupError::Exists(file.to_owned()),
            _ => BackupError::io("create", file)(reason),
        })?;
    let text = Zeroizing::new(format!(
        "# opens backups of bbt-console; keep it away from the console's machine\n# public key: {recipient}\n{}\n",
        identity.to_string().expose_secret()
    ));
    out.write_all(text.as_bytes())
        .and_then(|()| out.sync_all())
        .map_err(BackupError::io("write", file))?;
    Ok(recipient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let recipient = make(&file).unwrap();
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let Key::Identity(read) = Key::read(&file).unwrap() else {
            panic!("no identity");
        };
        assert_eq!(read.to_public().to_string(), recipient);
        assert!(matches!(make(&file), Err(BackupError::Exists(_))));
        For::recipient(&recipient).unwrap();
        assert!(
            For::recipient("age1nonsense")
                .unwrap_err()
                .to_string()
                .contains("backup key")
        );
        assert!(For::passphrase("too short").is_err());
        std::fs::write(&file, "# nothing\n").unwrap();
        assert!(
            Key::read(&file)
                .unwrap_err()
                .to_string()
                .contains("AGE-SECRET-KEY")
        );
    }
}
