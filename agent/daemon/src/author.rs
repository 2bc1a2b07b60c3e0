//! The key with which this board signs its school's own lessons (校本): Ed25519, made on the board at the first such lesson,
//! kept as the identity's key is (a file for its owner alone, or sealed to the board's TPM). It never leaves the board.
//!
//! ```text
//! author/   key.pem (or key.sealed), then author.json: the public half, by which the key counts as made
//! ```
//!
//! A cut in between leaves a key that nobody knows; the next one takes its place.

use std::{
    fmt, fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use contract::{
    hash::Hash,
    id::KeyId,
    signed::{KeyRole, TrustedKey},
};
use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, spki::der::pem::LineEnding},
};

use crate::{
    config::Config,
    files,
    key_store::{self, KeyStore, Plain},
};

/// Folder under `data_dir`.
pub const FOLDER: &str = "author";
const PUBLIC: &str = "author.json";

/// A key that signs the school's own lessons, with its name.
pub struct Author {
    /// The public half, role `school`.
    pub public: TrustedKey,
    /// The private half.
    pub key: SigningKey,
}

impl fmt::Debug for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Author").field(&self.public.key_id).finish()
    }
}

/// Where the key is kept.
#[derive(Debug, Clone)]
pub struct AuthorFolder {
    here: PathBuf,
    keys: Arc<dyn KeyStore>,
}

impl AuthorFolder {
    /// Under the configured `data_dir`, with the board's way of keeping keys.
    pub fn of(config: &Config) -> Self {
        Self {
            here: config.data_dir.join(FOLDER),
            keys: key_store::of(config),
        }
    }

    /// Under `data_dir`, with the key as a plain file.
    pub fn new(data_dir: &Path) -> Self {
        Self {
            here: data_dir.join(FOLDER),
            keys: Arc::new(Plain),
        }
    }

    /// The public half, if there is a key; asks no chip.
    pub fn public(&self) -> Option<TrustedKey> {
        let bytes = fs::read(self.here.join(PUBLIC)).ok()?;
        let public: TrustedKey = serde_json::from_slice(&bytes).ok()?;
        (public.role == KeyRole::School).then_some(public)
    }

    /// The key, made now if there is none, or none that this board can open. May ask a chip: call it off the async threads.
    ///
    /// # Errors
    /// It cannot be kept; then there is none.
    pub fn key(&self) -> io::Result<Author> {
        match self.read() {
            Ok(Some(author)) => Ok(author),
            Ok(None) => self.make(),
            Err(error) => {
                tracing::error!(%error, "the key of the school's own lessons cannot be used; making another, which the county must approve");
                self.make()
            }
        }
    }

    fn read(&self) -> io::Result<Option<Author>> {
        let Some(public) = self.public() else {
            return Ok(None);
        };
        let kept = fs::read(self.here.join(self.keys.file_name()))?;
        let pem = String::from_utf8(self.keys.open(&kept)?).map_err(io::Error::other)?;
        let key = SigningKey::from_pkcs8_pem(&pem).map_err(io::Error::other)?;
        let fits = TrustedKey::of(public.key_id.clone(), KeyRole::School, &key) == public;
        fits.then_some(Some(Author { public, key }))
            .ok_or_else(|| io::Error::other("its two halves do not belong together"))
    }

    fn make(&self) -> io::Result<Author> {
        let key = SigningKey::from_bytes(&rand::random());
        // Named after itself: two keys have two names.
        let mark = Hash::of(key.verifying_key().as_bytes()).to_hex();
        let name = format!("author-{}", mark.get(..16).unwrap_or_default());
        let public = TrustedKey::of(KeyId::new(name).map_err(io::Error::other)?, KeyRole::School, &key);
        let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(io::Error::other)?;
        let kept = self.keys.seal(pem.as_bytes())?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.here)?;
        files::replace(&self.here.join(self.keys.file_name()), &kept, 0o600)?;
        files::replace(&self.here.join(PUBLIC), &serde_json::to_vec(&public)?, 0o600)?;
        if let Some(above) = self.here.parent() {
            files::sync_folder(above)?;
        }
        tracing::info!(key = %public.key_id, "made the key of the school's own lessons");
        Ok(Author { public, key })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = AuthorFolder::new(dir.path());
        assert_eq!(folder.public(), None);
        let made = folder.key().unwrap();
        assert_eq!(folder.public().unwrap(), made.public);
        assert_eq!(made.public.role, KeyRole::School);
        assert_eq!(folder.key().unwrap().key.to_bytes(), made.key.to_bytes());
        let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("author"), mode("author/key.pem")), (0o700, 0o600));
        assert!(!format!("{made:?}").contains("SigningKey"));
    }

    #[test]
    fn a_cut_before_it_was_named_or_a_wrong_half_makes_another() {
        let dir = tempfile::tempdir().unwrap();
        let folder = AuthorFolder::new(dir.path());
        let first = folder.key().unwrap();
        fs::remove_file(dir.path().join("author/author.json")).unwrap();
        let second = folder.key().unwrap();
        assert_ne!(first.public, second.public);
        fs::write(dir.path().join("author/key.pem"), "broken").unwrap();
        let third = folder.key().unwrap();
        assert_ne!(second.public, third.public);
        assert_eq!(folder.public().unwrap(), third.public);
    }
}
