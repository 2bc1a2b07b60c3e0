//! The offline root: signs intermediates and nothing else, and lies on a stick in a safe.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use rcgen::{Issuer, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::{
    cert::{authority, facts, first, short_random},
    files,
    sealed_key::{self, Cost, OpenError},
    unlock::random_text,
};

pub(super) const ROOT_PEM: &str = "root.pem";
pub(super) const ROOT_KEY: &str = "root.key";
const NOTE: &str = "README.txt";
const NOTE_TEXT: &str = "\
班班通终端：离线根密钥 / bbt: offline root key\n\
\n\
本文件夹应当离开这台服务器：拷到两个 U 盘，分两处锁好，然后从服务器上删除。口令另存，不要与 U 盘放在一起。\n\
只有更换中间证书时才用到：bbt-console ca renew-intermediate --root <本文件夹>\n\
\n\
This folder does not belong on this server: copy it to two USB sticks, lock them away in two places, and delete it here.\n\
Keep the passphrase elsewhere. It is needed only for: bbt-console ca renew-intermediate --root <this folder>\n";
const TWENTY_YEARS: i64 = 7305 * 86_400;
const TEN_YEARS: i64 = 3653 * 86_400;
/// 2026-01-01T00:00:00Z; a console whose clock is before this has a wrong clock.
pub(super) const BUILT_AFTER: i64 = 1_767_225_600;
/// Characters that a passphrase has at least.
const MIN_PASSPHRASE_CHARS: usize = 16;

/// What was made for the first time; the passphrase is shown once and is nowhere else.
#[derive(Debug)]
pub struct NewRoot {
    /// The folder with the root's key and certificate.
    pub folder: PathBuf,
    /// The passphrase, if it was made here.
    pub passphrase: Option<Zeroizing<String>>,
}

/// The root with its key in hand; gone when dropped.
pub(super) struct Root {
    pub(super) pem: String,
    issuer: Issuer<'static, KeyPair>,
    not_after: i64,
}

/// An intermediate's certificate and its key (PKCS #8 DER).
pub(super) struct NewIntermediate {
    pub(super) pem: String,
    pub(super) key: Zeroizing<Vec<u8>>,
}

impl Root {
    /// Makes a root in `folder`.
    ///
    /// # Errors
    /// The folder holds a root already, or cannot be written.
    pub(super) fn create(
        folder: &Path,
        given: Option<&str>,
        now: Timestamp,
    ) -> anyhow::Result<(Self, NewRoot)> {
        files::private_folder(folder)?;
        if files::read(folder, ROOT_KEY)?.is_some() {
            bail!(
                "{} holds the root key of an earlier console; move that folder away (it signs that console's authority), \
                 then run init again",
                folder.display()
            );
        }
        let made = match given {
            Some(_) => None,
            None => Some(random_text(16)?),
        };
        let passphrase = given.or(made.as_ref().map(|p| p.as_str())).unwrap_or_default();
        ensure!(
            passphrase.chars().count() >= MIN_PASSPHRASE_CHARS,
            "the root passphrase has fewer than {MIN_PASSPHRASE_CHARS} characters; choose a longer one"
        );
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let not_after = now.as_second().max(BUILT_AFTER) + TWENTY_YEARS;
        let params = authority(&format!("bbt root CA {}", short_random()), 1, not_after)?;
        let pem = params.self_signed(&key)?.pem();
        let sealed = sealed_key::seal(key.serialized_der(), passphrase, Cost::Person)?;
        files::write_private(folder, NOTE, NOTE_TEXT.as_bytes())?;
        files::write_private(folder, ROOT_PEM, pem.as_bytes())?;
        files::write_private(folder, ROOT_KEY, sealed.as_bytes())?;
        let root = Self {
            issuer: Issuer::new(params, key),
            pem,
            not_after,
        };
        let folder = folder.to_owned();
        Ok((
            root,
            NewRoot {
                folder,
                passphrase: made,
            },
        ))
    }

    /// Takes the key out of the folder that was kept offline.
    ///
    /// # Errors
    /// Not such a folder, or another passphrase.
    pub(super) fn open(folder: &Path, passphrase: &str) -> anyhow::Result<Self> {
        let read = |name: &str| -> anyhow::Result<String> {
            files::read(folder, name)?.with_context(|| {
                format!(
                    "{} is not there; --root names the folder that init made for the offline root",
                    folder.join(name).display()
                )
            })
        };
        let (pem, key_pem) = (read(ROOT_PEM)?, read(ROOT_KEY)?);
        let place = folder.join(ROOT_KEY);
        let key = sealed_key::open(&key_pem, passphrase).map_err(|error| match error {
            OpenError::WrongPassword => anyhow::anyhow!("the passphrase does not open {}", place.display()),
            OpenError::NotAKey => anyhow::anyhow!("{}: {error}; use the other copy", place.display()),
        })?;
        let key = KeyPair::try_from(&PrivatePkcs8KeyDer::from(key.as_bytes()))
            .with_context(|| format!("{} is no key of ours", place.display()))?;
        let der: CertificateDer<'static> =
            first(&pem).with_context(|| format!("Failed to read {}", folder.join(ROOT_PEM).display()))?;
        let found = facts(&der)?;
        ensure!(
            found.public_key == key.public_key_raw(),
            "{} and {ROOT_PEM} beside it do not belong together",
            place.display()
        );
        Ok(Self {
            issuer: Issuer::from_ca_cert_der(&der, key)?,
            pem,
            not_after: found.not_after,
        })
    }

    /// Signs a new intermediate, for ten years at most.
    pub(super) fn intermediate(&self, now: Timestamp) -> anyhow::Result<NewIntermediate> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let not_after = (now.as_second().max(BUILT_AFTER) + TEN_YEARS).min(self.not_after);
        let params = authority(&format!("bbt device CA {}", short_random()), 0, not_after)?;
        let pem = params.signed_by(&key, &self.issuer)?.pem();
        Ok(NewIntermediate {
            pem,
            key: Zeroizing::new(key.serialize_der()),
        })
    }
}
