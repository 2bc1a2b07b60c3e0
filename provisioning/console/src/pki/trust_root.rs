//! The offline keys that sign trust roots: Ed25519, one file for each, in the folder of the offline root or in folders of
//! their own. Used when a trust root is made, and otherwise locked away.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use contract::{
    id::KeyId,
    signed::{KeyRole, Signed, SignedBody, TrustedKey},
};
use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey},
};
use zeroize::Zeroizing;

use super::{
    files,
    keys::{id_of, new_secret},
    sealed_key::{self, Cost, OpenError},
    unlock::{Unlock, random_text},
};

/// The key's file in its folder.
pub const KEY_FILE: &str = "trust-root.key";
const NOTE: &str = "README-trust.txt";
const NOTE_TEXT: &str = "\
班班通终端：信任根密钥 / bbt: key of the trust root\n\
\n\
与离线根一样，本文件夹应当离开这台服务器。只有换签名密钥、续期信任根时才用到：bbt-console trust rotate --root-key <本文件夹>\n\
\n\
Like the offline root, this folder does not belong on this server. It is needed only to change signing keys and to renew\n\
the trust root: bbt-console trust rotate --root-key <this folder>\n";
/// Characters that a passphrase has at least.
const MIN_PASSPHRASE_CHARS: usize = 16;

/// What seals a root key at rest.
#[derive(Clone, Copy)]
pub enum Seal<'a> {
    /// A passphrase that a person keeps.
    Passphrase(&'a str),
    /// The machine's own secret: only while nobody is there to be shown a passphrase, at the first start after an upgrade.
    Machine(&'a Unlock),
}

/// A root key in hand; gone when dropped.
pub struct RootKey {
    id: KeyId,
    secret: SigningKey,
    folder: PathBuf,
}

impl std::fmt::Debug for RootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RootKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl RootKey {
    /// Makes a key in `folder`.
    ///
    /// # Errors
    /// There is one already, the passphrase is too short, or the folder cannot be written.
    pub fn create(folder: &Path, seal: Seal<'_>) -> anyhow::Result<Self> {
        files::private_folder(folder)?;
        if files::read(folder, KEY_FILE)?.is_some() {
            bail!(
                "{} exists already; a root key is never written over: name another folder",
                folder.join(KEY_FILE).display()
            );
        }
        let secret = new_secret()?;
        let der = secret
            .to_pkcs8_der()
            .map_err(|e| anyhow::anyhow!("a root key could not be written: {e}"))?;
        let pem = match seal {
            Seal::Passphrase(passphrase) => {
                ensure!(
                    passphrase.chars().count() >= MIN_PASSPHRASE_CHARS,
                    "the passphrase for {} has fewer than {MIN_PASSPHRASE_CHARS} characters; choose a longer one",
                    folder.display()
                );
                sealed_key::seal(der.as_bytes(), passphrase, Cost::Person)?
            }
            Seal::Machine(unlock) => sealed_key::seal(der.as_bytes(), unlock.secret(), Cost::Machine)?,
        };
        files::write_private(folder, NOTE, NOTE_TEXT.as_bytes())?;
        files::write_private(folder, KEY_FILE, pem.as_bytes())?;
        Ok(Self {
            id: id_of("root", &secret)?,
            secret,
            folder: folder.to_owned(),
        })
    }

    /// Takes the key out of a folder; `secrets` are tried in turn.
    ///
    /// # Errors
    /// No such key there, or none of the secrets opens it.
    pub fn open(folder: &Path, secrets: &[Seal<'_>]) -> anyhow::Result<Self> {
        let place = folder.join(KEY_FILE);
        let pem = files::read(folder, KEY_FILE)?.with_context(|| {
            format!(
                "{} is not there; --root-key names a folder with a key of the trust root, e.g. on the USB stick",
                place.display()
            )
        })?;
        for secret in secrets {
            let password = match secret {
                Seal::Passphrase(passphrase) => passphrase,
                Seal::Machine(unlock) => unlock.secret(),
            };
            let opened = match sealed_key::open(&pem, password) {
                Ok(opened) => opened,
                Err(OpenError::WrongPassword) => continue,
                Err(error @ OpenError::NotAKey) => bail!("{}: {error}; use the other copy", place.display()),
            };
            let secret = SigningKey::from_pkcs8_der(opened.as_bytes())
                .map_err(|e| anyhow::anyhow!("{} is no key of a trust root ({e})", place.display()))?;
            return Ok(Self {
                id: id_of("root", &secret)?,
                secret,
                folder: folder.to_owned(),
            });
        }
        bail!(
            "no passphrase that was given opens {}; give its passphrase on standard input with --passphrase-stdin, one line for \
             each --root-key in turn",
            place.display()
        )
    }

    /// The public half.
    pub fn public(&self) -> TrustedKey {
        TrustedKey::of(self.id.clone(), KeyRole::Root, &self.secret)
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Signs alone.
    pub(crate) fn sign<T: SignedBody>(&self, body: &T) -> anyhow::Result<Signed<T>> {
        ensure!(T::ROLE == KeyRole::Root, "a root key does not sign {}", T::KIND);
        Ok(Signed::sign(body, self.id.clone(), &self.secret)?)
    }

    /// Signs beside others.
    pub(crate) fn co_sign<T: SignedBody>(&self, document: &mut Signed<T>) {
        document.co_sign(self.id.clone(), &self.secret);
    }
}

/// A passphrase that nobody guesses.
///
/// # Errors
/// No randomness.
pub fn new_passphrase() -> anyhow::Result<Zeroizing<String>> {
    random_text(16)
}
