//! Trust roots, snapshots and bundles as the console makes them: which keys devices believe, and which lessons they must not
//! play any more. What was decided is in the database; here it is signed.
//!
//! A root is given away only while it names the keys that this process signs with: after a rotation that is interrupted,
//! devices are not told to believe keys that nobody uses yet.

pub mod rotate;

use anyhow::{Context, ensure};
use contract::{
    signed::{KeyRole, Signed, TrustedKey},
    trust::{Snapshot, Threshold, TrustBundle, TrustRoot},
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    api::trust::{TrustKey, TrustStanding},
    config::Config,
    db::{Db, DbError, DbResult},
    pki::{
        self, NewRoot,
        keys::SigningKeys,
        trust_root::{RootKey, Seal},
    },
};

/// A root is good for this long: offline keys come out of the safe once in five years.
const ROOT_LIFE: SignedDuration = SignedDuration::from_hours(1826 * 24);
/// From then on the operator is told.
pub const ROOT_WARNING: SignedDuration = SignedDuration::from_hours(180 * 24);
/// A snapshot is good for this long: longer than any planned absence, so that a disk that was made before the holidays is
/// still let in after them.
const SNAPSHOT_LIFE: SignedDuration = SignedDuration::from_hours(120 * 24);
/// With less than this left a new one is signed: each has at least so long before it.
const SNAPSHOT_LEFT: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Roots in a message: a device that missed more asks over HTTPS.
const ROOTS_IN_MESSAGE: usize = 4;
/// Longest message; every device's is kept by the broker. A longer bundle goes without its snapshot, as a bell.
const MESSAGE_BYTES: usize = 32 * 1024;
/// Longest snapshot that goes along with an enrolment, where a whole reply must fit a USB file.
const ENROLMENT_BYTES: usize = 32 * 1024;

/// The roots of a console in a row, each verified by the one before.
#[derive(Debug, Clone)]
pub struct Chain {
    /// Each as it was signed, and its body; ascending from version 1.
    pub roots: Vec<(Signed<TrustRoot>, TrustRoot)>,
}

impl Chain {
    /// Reads and verifies all of them; empty before the first.
    ///
    /// # Errors
    /// The database's, or a root does not follow the one before: somebody changed the table.
    pub async fn read(db: &Db) -> DbResult<Self> {
        let mut roots: Vec<(Signed<TrustRoot>, TrustRoot)> = Vec::new();
        for document in db.trust().roots().await? {
            let root = match roots.last() {
                None => TrustRoot::self_signed(&document),
                Some((_, before)) => before.next(&document),
            };
            let root = root.map_err(|error| DbError::Value(format!("trust_roots: {error}")))?;
            roots.push((document, root));
        }
        Ok(Self { roots })
    }

    /// The newest.
    pub fn newest(&self) -> Option<&TrustRoot> {
        self.roots.last().map(|(_, root)| root)
    }

    /// Up to the newest one that names every key that is in use here.
    fn mine(&self, keys: &SigningKeys) -> &[(Signed<TrustRoot>, TrustRoot)] {
        let known = self.roots.iter().rposition(|(_, root)| names(root, keys));
        known.and_then(|at| self.roots.get(..=at)).unwrap_or(&[])
    }
}

/// Whether the root names every key in use.
pub fn names(root: &TrustRoot, keys: &SigningKeys) -> bool {
    keys.all().iter().all(|key| root.keys.contains(key))
}

fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// A root of `version` with these keys, signed by all of `signers`.
fn make(
    version: u32,
    keys: Vec<TrustedKey>,
    thresholds: Vec<Threshold>,
    signers: &[RootKey],
    now: Timestamp,
) -> anyhow::Result<(Signed<TrustRoot>, TrustRoot)> {
    let root = TrustRoot {
        version,
        issued_at: now,
        expires_at: later(now, ROOT_LIFE),
        keys,
        thresholds,
    };
    let (first, others) = signers
        .split_first()
        .context("no root key was given; name its folder with --root-key")?;
    let mut document = first.sign(&root)?;
    for key in others {
        key.co_sign(&mut document);
    }
    Ok((document, root))
}

/// Makes version 1 where there is no root yet: with the keys in use, and a root key in the folder of the offline root, sealed
/// with the passphrase of `new` if the operator is just being shown one, else (an upgrade) with the machine's own secret.
/// Whether it did.
///
/// # Errors
/// The folder cannot be written, or holds a root key whose root is not here.
pub async fn ensure_root(
    db: &Db,
    config: &Config,
    keys: &SigningKeys,
    passphrase: Option<&str>,
    now: Timestamp,
) -> anyhow::Result<bool> {
    if !db.trust().roots().await?.is_empty() {
        return Ok(false);
    }
    let folder = pki::root_folder(&config.data)?;
    let unlock = pki::unlock_secret(config)?;
    let seal = passphrase.map_or(Seal::Machine(&unlock), Seal::Passphrase);
    // A start that was cut between key and root left the key: it is used, as nothing believes another yet.
    let key = if folder.join(pki::trust_root::KEY_FILE).exists() {
        RootKey::open(&folder, &[seal, Seal::Machine(&unlock)]).context(
            "Failed to go on with the root key that lies there although this console has no trust root: it was restored from a \
             backup before there was one, or the folder is another console's; move it away and start again",
        )?
    } else {
        RootKey::create(&folder, seal)?
    };
    let mut named = vec![key.public()];
    named.extend(keys.all());
    let (document, root) = make(1, named, Vec::new(), &[key], now)?;
    let kept = async { db.trust().add_root(&document, &root, "bbt-console").await };
    match crate::audit::system("trust", "trust.root", kept).await {
        // The serving console and a command line at the same moment: either's will do.
        Err(DbError::Conflict(_)) => Ok(false),
        done => {
            done?;
            tracing::info!(folder = %folder.display(), "made the first trust root; its key belongs offline, like the root's");
            Ok(true)
        }
    }
}

/// [`ensure_root`] for what `init` has just made: the one passphrase seals both keys.
///
/// # Errors
/// See there.
pub async fn ensure_first_root(
    db: &Db,
    config: &Config,
    keys: &SigningKeys,
    new: Option<&NewRoot>,
    given: Option<&str>,
    now: Timestamp,
) -> anyhow::Result<bool> {
    let passphrase = new.and_then(|new| given.or(new.passphrase.as_ref().map(|p| p.as_str())));
    // A new authority beside an old database: every device enrols again, and none knows the old roots.
    if new.is_some() && !db.trust().roots().await?.is_empty() {
        let forgotten = async { db.trust().forget_roots().await };
        crate::audit::system("trust", "trust.forget_roots", forgotten).await?;
        tracing::warn!("a new authority was made: the trust roots of the old one are forgotten");
    }
    ensure_root(db, config, keys, passphrase, now).await
}

/// Signs the snapshot that is wanted, or a new one if the one in force runs out; whether it did.
///
/// # Errors
/// The database's, or signing failed.
pub async fn sign_due(db: &Db, keys: &SigningKeys, now: Timestamp) -> anyhow::Result<bool> {
    // Signing now would take back what a lost console withdrew after the copy was made.
    if db.backups().withdrawals_wait().await? {
        return Ok(false);
    }
    let state = db.trust().snapshot().await?;
    let runs_out = state.expires_at.is_none_or(|end| end < later(now, SNAPSHOT_LEFT));
    if state.signed >= state.wanted {
        if !runs_out {
            return Ok(false);
        }
        db.trust().renew_snapshot(now).await?;
    }
    let Some((version, withdrawn)) = db.trust().to_sign().await? else {
        return Ok(false);
    };
    let snapshot = Snapshot {
        version,
        issued_at: now,
        expires_at: later(now, SNAPSHOT_LIFE),
        withdrawn,
    };
    let document = keys
        .sign_snapshot(&snapshot)
        .context("Failed to sign the snapshot")?;
    db.trust().signed(&document, &snapshot).await?;
    tracing::info!(version, withdrawn = snapshot.withdrawn.len(), "snapshot signed");
    Ok(true)
}

/// Every root after `held` that devices may be given, and the snapshot if it is signed by the newest of them.
///
/// # Errors
/// The database's.
pub async fn bundle(db: &Db, keys: &SigningKeys, held: u32) -> DbResult<TrustBundle> {
    let chain = Chain::read(db).await?;
    let mine = chain.mine(keys);
    let snapshot = db.trust().snapshot().await?.document;
    let newest = mine.last().map(|(_, root)| root);
    Ok(TrustBundle {
        roots: mine
            .iter()
            .filter(|(_, root)| root.version > held)
            .take(contract::trust::MAX_ROOTS)
            .map(|(document, _)| document.clone())
            .collect(),
        snapshot: snapshot.filter(|document| newest.is_some_and(|root| root.verify(document).is_ok())),
    })
}

/// For a message that the broker keeps for a device: the last roots and the snapshot, or the roots alone if that is too long.
///
/// # Errors
/// The database's.
pub async fn message(db: &Db, keys: &SigningKeys) -> DbResult<Option<Vec<u8>>> {
    let mut bundle = bundle(db, keys, 0).await?;
    if bundle.roots.is_empty() {
        return Ok(None);
    }
    let surplus = bundle.roots.len().saturating_sub(ROOTS_IN_MESSAGE);
    bundle.roots.drain(..surplus);
    let text = |bundle: &TrustBundle| serde_json::to_vec(bundle).map_err(|e| DbError::Value(e.to_string()));
    let whole = text(&bundle)?;
    if whole.len() <= MESSAGE_BYTES {
        return Ok(Some(whole));
    }
    bundle.snapshot = None;
    text(&bundle).map(Some)
}

/// For a board that becomes a device: the newest root as its anchor, and the snapshot if that is short; a longer one comes at
/// its first contact. `None` while there is no root.
///
/// # Errors
/// The database's.
pub async fn anchor(db: &Db, keys: &SigningKeys) -> DbResult<Option<TrustBundle>> {
    let mut bundle = bundle(db, keys, 0).await?;
    let Some(newest) = bundle.roots.pop() else {
        return Ok(None);
    };
    let length = serde_json::to_vec(&bundle.snapshot).map_or(usize::MAX, |text| text.len());
    Ok(Some(TrustBundle {
        roots: vec![newest],
        snapshot: bundle.snapshot.filter(|_| length <= ENROLMENT_BYTES),
    }))
}

/// What is wrong with the trust of this console, as sentences for the operator; empty if nothing is.
///
/// # Errors
/// The database's.
pub async fn faults(db: &Db, keys: &SigningKeys, now: Timestamp) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let chain = match Chain::read(db).await {
        Ok(chain) => chain,
        Err(error @ DbError::Value(_)) => return Ok(vec![error.to_string()]),
        Err(error) => return Err(error.into()),
    };
    let Some(root) = chain.newest() else {
        return Ok(vec![
            "there is no trust root yet; the console makes one at its next start".to_owned(),
        ]);
    };
    if !names(root, keys) {
        found.push(format!(
            "trust root {} does not name every key in use, so devices are told nothing new: restart the console after a change of \
             keys; if the keys folder was made anew, restore it from the backup, or run: trust adopt --root-key DIR",
            root.version
        ));
    }
    if root.expires_at <= later(now, ROOT_WARNING) {
        found.push(format!(
            "trust root {} runs out at {}; renew it with: trust renew --root-key DIR",
            root.version, root.expires_at
        ));
    }
    let state = db.trust().snapshot().await?;
    match &state.document {
        None => found.push("no snapshot was signed yet; the serving console does that".to_owned()),
        Some(document) => match root.verify(document) {
            Err(error) => found.push(format!("the snapshot does not verify: {error}")),
            Ok(snapshot) if snapshot.expires_at <= now => {
                found.push(format!(
                    "the snapshot ran out at {}; is the console serving?",
                    snapshot.expires_at
                ));
            }
            Ok(_) => {}
        },
    }
    if state.signed < state.wanted {
        found.push("a withdrawal waits to be signed; the serving console does that".to_owned());
    }
    Ok(found)
}

/// Keys of `role` that the root names.
pub fn of_role(root: &TrustRoot, role: KeyRole) -> impl Iterator<Item = &TrustedKey> {
    root.keys.iter().filter(move |key| key.role == role)
}

/// Fails unless `document` follows `before` as a device would have it.
fn must_follow(before: &TrustRoot, document: &Signed<TrustRoot>) -> anyhow::Result<()> {
    let next = before.next(document).context(
        "the new trust root would be refused by every device; give more root keys (--root-key DIR, several times)",
    )?;
    ensure!(next.version == before.version + 1, "the version does not follow");
    Ok(())
}

/// How everything stands, for people.
///
/// # Errors
/// The database's.
pub async fn standing(
    db: &Db,
    config: &Config,
    keys: &SigningKeys,
    now: Timestamp,
) -> anyhow::Result<TrustStanding> {
    // A table that was changed is a fault to be shown, not an error to hide behind.
    let chain = Chain::read(db).await.unwrap_or(Chain { roots: Vec::new() });
    let root = chain.newest();
    let state = db.trust().snapshot().await?;
    let (devices_total, devices_current) = db.trust().reach(state.signed).await?;
    let in_use = keys.all();
    let named = root.map_or(&[][..], |root| &root.keys);
    Ok(TrustStanding {
        root_version: root.map_or(0, |root| root.version),
        root_expires_at: root.map(|root| root.expires_at),
        root_threshold: root.map_or(0, |root| root.threshold(KeyRole::Root)),
        keys: named
            .iter()
            .map(|key| TrustKey {
                id: key.key_id.to_string(),
                role: role_word(key.role).to_owned(),
                in_use: in_use.contains(key),
            })
            .collect(),
        snapshot_version: state.signed,
        snapshot_expires_at: state.expires_at,
        signing: state.signed < state.wanted,
        withdrawn: db.trust().withdrawals().await?.len() as u64,
        devices_total,
        devices_current,
        root_key_online: pki::root_key_is_here(&config.data),
        faults: faults(db, keys, now).await?,
    })
}

const fn role_word(role: KeyRole) -> &'static str {
    match role {
        KeyRole::Content => "content",
        KeyRole::Command => "command",
        KeyRole::Time => "time",
        KeyRole::Root => "root",
        KeyRole::Snapshot => "snapshot",
        KeyRole::School => "school",
        KeyRole::Other => "other",
    }
}
