//! The technician's PIN: how often it may be tried, and for how long it opens the settings.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use agent_core::{Millis, lockout::Lockout};

use crate::files;

/// Settings stay open for so long after they were last changed.
pub const OPEN_FOR: Duration = Duration::from_secs(600);

/// Who may change settings now.
#[derive(Debug, Default)]
pub struct Unlock {
    lockout: Lockout,
    /// Word that proves it, and until when.
    session: Option<(String, Millis)>,
    /// `None` before it was opened: then nothing is kept.
    path: Option<PathBuf>,
}

impl Unlock {
    /// Goes on with what was counted. A file that is damaged counts as all tries taken: whoever can damage it can as well
    /// delete it, but a power cut must not open a way.
    pub(super) fn open(data_dir: &Path, now: Millis) -> Self {
        let path = data_dir.join("state").join("settings-pin.json");
        let counted = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or(agent_core::lockout::Counted {
                tries: agent_core::lockout::TRIES,
            }),
            Err(_) => Default::default(),
        };
        Self {
            lockout: Lockout::resume(counted, now),
            session: None,
            path: Some(path),
        }
    }

    /// Takes a try; it is on the disk before the PIN is looked at. Waits for the disk.
    ///
    /// # Errors
    /// How long to wait. A disk that takes nothing costs a try like any other.
    pub fn take(&mut self, now: Millis) -> Result<(), Duration> {
        self.lockout.take(now)?;
        if let Err(error) = self.keep() {
            tracing::warn!(%error, "could not note that a PIN was tried");
        }
        Ok(())
    }

    /// The PIN was right: the word that opens the settings from now on; the one before opens nothing.
    pub fn right(&mut self, now: Millis) -> String {
        self.lockout.right();
        if let Err(error) = self.keep() {
            tracing::warn!(%error, "could not note that the PIN was right");
        }
        let word = hex::encode(rand::random::<[u8; 16]>());
        self.session = Some((word.clone(), now + OPEN_FOR));
        word
    }

    /// Whether `word` opens the settings; if it does, they stay open from now on.
    pub fn opens(&mut self, word: &str, now: Millis) -> bool {
        match &mut self.session {
            Some((known, until)) if *until > now && !word.is_empty() && known == word => {
                *until = now + OPEN_FOR;
                true
            }
            _ => false,
        }
    }

    /// Tries before the next wait, and how long until the next one.
    pub fn left(&self, now: Millis) -> (u32, Duration) {
        (self.lockout.left(), self.lockout.wait(now))
    }

    fn keep(&self) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        files::replace(path, &serde_json::to_vec(&self.lockout.counted())?, 0o600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_counted_over_restarts_and_a_session_ends() {
        let dir = tempfile::tempdir().unwrap();
        let now = Millis(1_000_000);
        let mut unlock = Unlock::open(dir.path(), now);
        for _ in 0..5 {
            unlock.take(now).unwrap();
        }
        assert!(unlock.take(now).is_err());
        let mut again = Unlock::open(dir.path(), now);
        assert_eq!(
            (again.left(now), again.take(now).is_err()),
            ((0, Duration::from_secs(60)), true)
        );
        let later = now + Duration::from_secs(60);
        again.take(later).unwrap();
        let word = again.right(later);
        assert!(again.opens(&word, later) && !again.opens("", later) && !again.opens("other", later));
        let near = later + OPEN_FOR / 2;
        assert!(again.opens(&word, near));
        assert!(
            again.opens(&word, near + OPEN_FOR / 2),
            "each change keeps it open"
        );
        assert!(!again.opens(&word, near + OPEN_FOR * 2));
        let word = again.right(later);
        let other = again.right(later);
        assert!(!again.opens(&word, later) && again.opens(&other, later));
        // A torn file opens no way.
        std::fs::write(dir.path().join("state/settings-pin.json"), "{\"tr").unwrap();
        assert!(Unlock::open(dir.path(), now).take(now).is_err());
    }
}
