//! The unlock secret: what opens the console's keys, and is never inside the data folder. A copy of the folder (a backup, a
//! stolen disk image) without it opens nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use rand::TryRngCore;
use zeroize::Zeroizing;

use super::files;

/// Name of the systemd credential that holds the secret.
pub const CREDENTIAL: &str = "bbt-unlock";
/// Characters below which a secret is refused: it is a machine's, not a person's.
const MIN_CHARS: usize = 32;

/// The secret, wiped from memory when dropped.
#[derive(Clone)]
pub struct Unlock {
    secret: Zeroizing<String>,
    from: PathBuf,
}

impl std::fmt::Debug for Unlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unlock")
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

impl Unlock {
    /// Where the secret is looked for, in this order: the systemd credential `bbt-unlock`, the configured file, the file beside
    /// the data folder (`<data>.unlock`).
    ///
    /// # Errors
    /// The data folder has no name to stand beside.
    pub fn place(data: &Path, configured: Option<&Path>) -> anyhow::Result<PathBuf> {
        if let Some(dir) = std::env::var_os("CREDENTIALS_DIRECTORY") {
            let file = Path::new(&dir).join(CREDENTIAL);
            if file.is_file() {
                return Ok(file);
            }
        }
        match configured {
            Some(file) => Ok(file.to_owned()),
            None => beside(data, "unlock"),
        }
    }

    /// Reads the secret.
    ///
    /// # Errors
    /// The file is missing (named, with the fix) or holds no secret.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
                "the unlock secret {} is missing, and without it the console's keys cannot be opened; put it back from where \
                 you keep it (it is not part of the data folder), or name its place with unlock_file in console.toml",
                file.display()
            ),
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("Failed to read the unlock secret {}", file.display()));
            }
        };
        let secret = Zeroizing::new(text.trim().to_owned());
        ensure!(
            secret.chars().count() >= MIN_CHARS,
            "{} holds no unlock secret (fewer than {MIN_CHARS} characters); put the right file back",
            file.display()
        );
        Ok(Self {
            secret,
            from: file.to_owned(),
        })
    }

    /// Makes a new secret of 256 bits in `file`, mode 0600.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn make(file: &Path) -> anyhow::Result<Self> {
        let secret = random_text(32)?;
        let (dir, name) = (file.parent().unwrap_or(Path::new("/")), file.file_name());
        let name = name
            .and_then(|n| n.to_str())
            .with_context(|| format!("unlock_file {} is no file name", file.display()))?;
        let line = Zeroizing::new(format!("{}\n", *secret));
        files::write_private(dir, name, line.as_bytes())?;
        Ok(Self {
            secret,
            from: file.to_owned(),
        })
    }

    /// A secret that is handed in, for tests and tools.
    pub fn given(secret: &str) -> Self {
        Self {
            secret: Zeroizing::new(secret.to_owned()),
            from: PathBuf::from("(given)"),
        }
    }

    /// Where it was read.
    pub fn from(&self) -> &Path {
        &self.from
    }

    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    /// A key for one purpose, from which no other purpose's key follows.
    pub(super) fn key(&self, context: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(context, self.secret.as_bytes()))
    }
}

/// The file or folder `<data>.<suffix>` beside the data folder.
///
/// # Errors
/// The data folder has no name (it is the root of the file system).
pub fn beside(data: &Path, suffix: &str) -> anyhow::Result<PathBuf> {
    let whole = match std::fs::canonicalize(data) {
        Ok(path) => path,
        // Not made yet.
        Err(_) => std::path::absolute(data).with_context(|| format!("Failed to find {}", data.display()))?,
    };
    let name = whole
        .file_name()
        .with_context(|| format!("{} has no name for a file beside it", whole.display()))?;
    let mut name = name.to_owned();
    name.push(".");
    name.push(suffix);
    Ok(whole.with_file_name(name))
}

/// `bytes` random bytes as hexadecimal text.
pub(super) fn random_text(bytes: usize) -> anyhow::Result<Zeroizing<String>> {
    let mut random = Zeroizing::new(vec![0; bytes]);
    rand::rngs::OsRng.try_fill_bytes(&mut random)?;
    Ok(Zeroizing::new(hex::encode(&*random)))
}
