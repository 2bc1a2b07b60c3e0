//! The signed head: where the chain ended at a moment, kept outside of the database and handed out with every export, so that
//! a log whose end was cut off, or which was written anew, can be told from the one that was.

use std::{io::Write, path::Path};

use anyhow::Context as _;
use contract::{
    hash::Hash,
    signed::{KeyRole, Signed, SignedBody, TrustedKey},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::chain::{Break, GENESIS};

/// The file's name in the data folder.
pub const FILE_NAME: &str = "audit-head.json";
/// A head is some hundred bytes.
const LONGEST: u64 = 16 << 10;

/// Where the chain ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// Last row; 0: the log is empty.
    pub seq: i64,
    /// Its hash.
    pub hash: Hash,
    /// When this was signed.
    pub at: Timestamp,
}

impl SignedBody for AuditHead {
    const KIND: &'static str = "audit-head/1";
    const ROLE: KeyRole = KeyRole::Command;
}

impl AuditHead {
    /// Checks one row against the head, or (`None`) that the walk ended; `last` is the last row.
    ///
    /// # Errors
    /// The log is not the one that was signed.
    pub fn check(&self, found: Option<Hash>, last: i64) -> Result<(), Break> {
        let (seq, at) = (self.seq, self.at);
        match found {
            None if seq == 0 && self.hash == Hash(GENESIS) => Ok(()),
            None => Err(Break::CutOff { last, head: seq, at }),
            Some(hash) if hash == self.hash => Ok(()),
            Some(_) => Err(Break::OtherHead { seq, at }),
        }
    }
}

/// Reads a head and its signature; `None`: there is no such file.
///
/// # Errors
/// Not a head, or not signed by this console.
pub fn read(file: &Path, trusted: &[TrustedKey]) -> anyhow::Result<Option<AuditHead>> {
    use std::io::Read;
    let open = match std::fs::File::open(file) {
        Ok(open) => open,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("Failed to open {}", file.display())),
    };
    let mut text = String::new();
    open.take(LONGEST)
        .read_to_string(&mut text)
        .with_context(|| format!("Failed to read {}", file.display()))?;
    let head = parse(&text, trusted).with_context(|| {
        format!(
            "{} is no signed head of this console's audit log; it was changed, or is another console's",
            file.display()
        )
    })?;
    Ok(Some(head))
}

fn parse(text: &str, trusted: &[TrustedKey]) -> anyhow::Result<AuditHead> {
    #[derive(Deserialize)]
    struct Line {
        head: Signed<AuditHead>,
    }
    // The file, or the last line of an export.
    let signed = match serde_json::from_str::<Line>(text) {
        Ok(line) => line.head,
        Err(_) => serde_json::from_str::<Signed<AuditHead>>(text)?,
    };
    Ok(signed.verify(trusted)?)
}

/// Writes the head so that a power cut leaves the old one or the new one.
///
/// # Errors
/// The folder cannot be written.
pub fn write(data: &Path, head: &Signed<AuditHead>) -> anyhow::Result<()> {
    let file = data.join(FILE_NAME);
    let failed = || format!("Failed to write {}", file.display());
    let mut temporary = tempfile::NamedTempFile::new_in(data).with_context(failed)?;
    temporary
        .write_all(&serde_json::to_vec(head)?)
        .with_context(failed)?;
    temporary.as_file().sync_all().with_context(failed)?;
    temporary.persist(&file).with_context(failed)?;
    std::fs::File::open(data)
        .and_then(|folder| folder.sync_all())
        .with_context(failed)
}
