//! The second identity while a renewal is under way.
//!
//! Order of durable writes, each one safe to be cut after:
//! 1. `identity.renewed/` whole, with `unseen`: asked for proof again at the next start;
//! 2. the console saw it: `unseen` is now `identity.renewed/proven`, which takes no room that a full disk might not have;
//! 3. `identity.renewed` and `identity` change places: `identity/proven`, and the old pair is in `identity.renewed`;
//! 4. `identity.renewed` goes; 5. `identity/proven` goes.

use std::{fs, io};

use super::{Identity, IdentityFolder, remove};
use crate::files;

const PROVEN: &str = "proven";
/// Holds the place of [`PROVEN`]; a name as long.
const UNSEEN: &str = "unseen";

impl IdentityFolder {
    /// Step 1: keeps the renewed identity beside the one in force.
    ///
    /// # Errors
    /// The one in force is as it was, and no renewal is under way.
    pub fn store_renewed(&self, identity: &Identity) -> io::Result<()> {
        self.finish_renewal()?;
        self.write(&self.renewed, identity)?;
        let held = || -> io::Result<()> {
            files::write_new(&self.renewed.join(UNSEEN), b"", 0o600)?;
            files::sync_folder(&self.renewed)
        };
        held().inspect_err(|_| {
            let _ = remove(&self.renewed);
        })
    }

    /// The renewed identity that still waits for its proof. One that cannot be read is as good as none.
    pub fn renewed(&self) -> Option<Identity> {
        self.read(&self.renewed)
            .inspect_err(
                |error| tracing::warn!(error = %format!("{error:#}"), "the renewed identity is of no use"),
            )
            .ok()
            .flatten()
            .filter(|identity| !identity.key_pem.is_empty())
    }

    /// Drops a renewed identity that the console does not know.
    ///
    /// # Errors
    /// The disk does not do as told.
    pub fn drop_renewed(&self) -> io::Result<()> {
        self.finish_renewal()?;
        remove(&self.renewed)?;
        files::sync_folder(&self.parent)
    }

    /// Steps 2 to 5: the console saw the renewed identity; it is in force from now on.
    ///
    /// # Errors
    /// Either identity is in force, and [`Self::finish_renewal`] goes on from there.
    pub fn take_renewed(&self) -> io::Result<()> {
        let (unseen, proven) = (self.renewed.join(UNSEEN), self.renewed.join(PROVEN));
        match fs::rename(&unseen, &proven) {
            // Proven already, or kept by an older agent.
            Err(error) if error.kind() == io::ErrorKind::NotFound => files::write_new(&proven, b"", 0o600)?,
            other => other?,
        }
        files::sync_folder(&self.renewed)?;
        self.finish_renewal()
    }

    /// Goes on where a cut stopped; called at start, before anything else looks at the identity.
    ///
    /// # Errors
    /// The disk does not do as told; the next start goes on.
    pub fn finish_renewal(&self) -> io::Result<()> {
        if !self.here.join(PROVEN).exists() && self.renewed.join(PROVEN).exists() {
            self.exchange(&self.renewed)?;
        }
        let mark = self.here.join(PROVEN);
        if mark.exists() {
            // The mark goes last: while it is there, what lies in `identity.renewed` is the old pair.
            remove(&self.renewed)?;
            remove(&self.old)?;
            files::sync_folder(&self.parent)?;
            fs::remove_file(&mark)?;
            files::sync_folder(&self.here)?;
        }
        Ok(())
    }
}
