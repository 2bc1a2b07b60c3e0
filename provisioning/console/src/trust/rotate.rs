//! A new root version: other keys, other thresholds, or only a later end. Done with the console stopped, by whoever carries
//! enough root keys.
//!
//! Order of a rotation: the next key beside the one in use → the root that names it, in the database → the next key in the
//! place of the one in use. A cut after the first leaves a file that is thrown away, one after the second is finished at the
//! next start ([`settle`]); nobody is ever told to believe a key that is lost.
//!
//! The old content key stays in the root, without its private half: lessons that were released stay valid, and nothing moves
//! over any line. `drop` takes it out later. Keys of the other roles go at once: what they sign is made anew all the time.

use anyhow::{Context, bail, ensure};
use contract::{
    id::KeyId,
    signed::{KeyRole, Signed, TrustedKey},
    trust::{MAX_ROOTS, Threshold, TrustRoot},
};
use jiff::Timestamp;

use super::{Chain, make, must_follow};
use crate::{
    audit::head,
    config::Config,
    db::Db,
    jobs,
    pki::{self, Unlock, keys::SigningKeys, trust_root::RootKey},
};

/// Roles whose keys are kept online.
pub const ONLINE: [KeyRole; 4] = [
    KeyRole::Content,
    KeyRole::Command,
    KeyRole::Time,
    KeyRole::Snapshot,
];

/// What the next root does.
#[derive(Debug)]
pub enum Change<'a> {
    /// Another key for an online role.
    Rotate(KeyRole),
    /// The same keys, a later end.
    Renew,
    /// Names the keys that are in use now, e.g. those that were made anew after the keys folder was lost.
    Adopt,
    /// Takes out an old content key that is not in use any more.
    Drop(KeyId),
    /// Other root keys, or another number of them that must sign.
    RootKeys {
        /// Made just now.
        add: &'a [RootKey],
        /// To go.
        drop: &'a [KeyId],
        /// From now on.
        threshold: Option<u32>,
    },
}

/// Makes the next root, has it signed by `signers`, keeps it, and puts a rotated key into use. The console must not be
/// serving.
///
/// # Errors
/// There is no root yet, devices would refuse the new one, or a file cannot be written; then nothing has changed for anybody.
pub async fn apply(
    db: &Db,
    config: &Config,
    change: Change<'_>,
    signers: &[RootKey],
    who: &str,
    now: Timestamp,
) -> anyhow::Result<TrustRoot> {
    settle(db, config).await?;
    let chain = Chain::read(db).await?;
    let before = chain
        .newest()
        .context("this console has no trust root yet; start it once, or run init")?;
    ensure!(
        chain.roots.len() < MAX_ROOTS,
        "there are {MAX_ROOTS} trust roots, and devices follow no more; a new authority is due (docs: trust-chain)"
    );
    let (dir, unlock) = (config.data.join("keys"), pki::unlock_secret(config)?);
    let in_use = SigningKeys::open_or_create(&dir, &unlock)?.all();
    let (keys, thresholds) = next_keys(before, &change, &in_use, || match change {
        Change::Rotate(role) => SigningKeys::prepare(&dir, role, &unlock),
        _ => bail!("nothing to prepare"),
    })?;
    // What signs: the keys that were brought, and those that were just made.
    let made = match &change {
        Change::RootKeys { add, .. } => *add,
        _ => &[],
    };
    let (mut document, root) = make(before.version + 1, keys, thresholds, signers, now)?;
    for key in made {
        key.co_sign(&mut document);
    }
    if let Err(refused) = must_follow(before, &document) {
        if let Change::Rotate(role) = change {
            SigningKeys::discard(&dir, role)?;
        }
        return Err(refused);
    }
    crate::audit::object("trust_root", root.version);
    db.trust().add_root(&document, &root, who).await?;
    settle(db, config).await?;
    Ok(root)
}

fn next_keys(
    before: &TrustRoot,
    change: &Change<'_>,
    in_use: &[TrustedKey],
    prepare: impl FnOnce() -> anyhow::Result<TrustedKey>,
) -> anyhow::Result<(Vec<TrustedKey>, Vec<Threshold>)> {
    let (mut keys, mut thresholds) = (before.keys.clone(), before.thresholds.clone());
    match change {
        Change::Renew => {}
        Change::Adopt => {
            ensure!(
                !in_use.iter().all(|key| keys.contains(key)),
                "trust root {} names every key in use already",
                before.version
            );
            for key in in_use.iter().filter(|key| !before.keys.contains(key)) {
                if key.role != KeyRole::Content {
                    keys.retain(|other| other.role != key.role);
                }
                keys.push(key.clone());
            }
        }
        Change::Rotate(role) => {
            ensure!(
                ONLINE.contains(role),
                "{role:?} is no role of a key that is kept online"
            );
            if *role != KeyRole::Content {
                keys.retain(|key| key.role != *role);
            }
            keys.push(prepare()?);
        }
        Change::Drop(id) => {
            let found = keys
                .iter()
                .find(|key| key.key_id == *id)
                .with_context(|| format!("trust root {} names no key {id}", before.version))?;
            ensure!(
                found.role == KeyRole::Content && !in_use.contains(found),
                "{id} is in use or no content key; only an old content key can be dropped: rotate its role first"
            );
            keys.retain(|key| key.key_id != *id);
        }
        Change::RootKeys { add, drop, threshold } => {
            for id in *drop {
                ensure!(
                    keys.iter()
                        .any(|key| key.key_id == *id && key.role == KeyRole::Root),
                    "trust root {} names no root key {id}",
                    before.version
                );
                keys.retain(|key| key.key_id != *id);
            }
            keys.extend(add.iter().map(RootKey::public));
            if let Some(needed) = threshold {
                ensure!(*needed >= 1, "a threshold is at least 1");
                thresholds.retain(|one| one.role != KeyRole::Root);
                thresholds.push(Threshold {
                    role: KeyRole::Root,
                    keys: *needed,
                });
            }
        }
    }
    Ok((keys, thresholds))
}

/// Finishes or undoes a rotation that was cut: a prepared key that the newest root names takes its place, another is thrown
/// away. Cheap where there is none.
///
/// # Errors
/// The database's, or a file cannot be read or moved.
pub async fn settle(db: &Db, config: &Config) -> anyhow::Result<()> {
    let dir = config.data.join("keys");
    let waiting = |role: &KeyRole| -> bool {
        ["content", "command", "time", "snapshot"]
            .iter()
            .zip(ONLINE)
            .any(|(name, of)| of == *role && dir.join(format!("{name}.key.next")).exists())
    };
    if !ONLINE.iter().any(waiting) {
        return Ok(());
    }
    let unlock = pki::unlock_secret(config)?;
    let chain = Chain::read(db).await?;
    for role in ONLINE {
        let Some(next) = SigningKeys::prepared(&dir, role, &unlock)? else {
            continue;
        };
        if !chain.newest().is_some_and(|root| root.keys.contains(&next)) {
            SigningKeys::discard(&dir, role)?;
        } else if role == KeyRole::Command {
            promote_command(db, config, &unlock).await?;
        } else {
            SigningKeys::promote(&dir, role)?;
        }
    }
    Ok(())
}

/// The command key also signs where the audit log ends: the new one takes that over, after the old one's word was checked.
async fn promote_command(db: &Db, config: &Config, unlock: &Unlock) -> anyhow::Result<()> {
    let dir = config.data.join("keys");
    let old = SigningKeys::open_or_create(&dir, unlock)?;
    let advanced = jobs::audit::advance(db, &old, &config.data, Timestamp::now()).await;
    SigningKeys::promote(&dir, KeyRole::Command)?;
    let new = SigningKeys::open_or_create(&dir, unlock)?;
    match advanced {
        Ok(signed) => {
            let body = signed.verify(&old.trusted())?;
            let again: Signed<_> = new.sign_command(&body)?;
            head::write(&config.data, &again)
        }
        // A log that does not fit its head keeps the head that shows it; `audit verify` says so.
        Err(error) => {
            tracing::error!(error = %format!("{error:#}"), "the audit log does not fit its signed head, which stays as it is");
            Ok(())
        }
    }
}

/// Root keys of which folders; the passphrases in turn, and the machine's secret for a key of an upgrade.
///
/// # Errors
/// A folder holds no root key, or nothing opens it.
pub fn open_keys(
    folders: &[std::path::PathBuf],
    passphrases: &[zeroize::Zeroizing<String>],
    unlock: &Unlock,
) -> anyhow::Result<Vec<RootKey>> {
    use pki::trust_root::Seal;
    folders
        .iter()
        .map(|folder| {
            let mut secrets: Vec<Seal<'_>> = passphrases.iter().map(|p| Seal::Passphrase(p)).collect();
            secrets.push(Seal::Machine(unlock));
            RootKey::open(folder, &secrets)
        })
        .collect()
}
