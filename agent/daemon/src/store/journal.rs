//! The journal of commands: `journal/commands.log`, the last entry of a command counts.
//!
//! An entry is on the disk before its effect is performed. Bounded by compaction: temp, fsync, rename, fsync folder.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use agent_core::commands::Entry;

use crate::{
    files,
    records::{self, RecordFile},
};

/// The open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: RecordFile,
}

/// What opening found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Every entry, oldest first.
    pub entries: Vec<Entry>,
    /// Bytes that a cut tore off at the end.
    pub torn_bytes: u64,
    /// Whole records that could not be read as entries, as after going back to an older agent.
    pub unknown: usize,
}

impl Journal {
    /// Opens `folder/commands.log`.
    ///
    /// # Errors
    /// Folder or file cannot be used.
    pub fn open(folder: &Path) -> io::Result<(Self, Found)> {
        fs::create_dir_all(folder)?;
        let path = folder.join("commands.log");
        let is_new = !path.exists();
        let (file, scan) = RecordFile::open(&path)?;
        if is_new {
            files::sync_folder(folder)?;
        }
        let mut found = Found {
            torn_bytes: scan.torn_bytes,
            ..Found::default()
        };
        for payload in scan.payloads {
            match serde_json::from_slice(&payload) {
                Ok(entry) => found.entries.push(entry),
                Err(_) => found.unknown += 1,
            }
        }
        Ok((Self { path, file }, found))
    }

    /// Appends an entry and waits until the disk has it.
    ///
    /// # Errors
    /// It does not count; do not perform its effect.
    pub fn append(&mut self, entry: &Entry) -> io::Result<()> {
        if self.file.is_broken() {
            // The file's end is not certain; a fresh copy of what is whole takes its place.
            let scan = records::scan(&fs::read(&self.path)?);
            self.replace(&scan.payloads)?;
        }
        let mut record = Vec::new();
        records::encode(&serde_json::to_vec(entry)?, &mut record)?;
        self.file.append(&record)
    }

    /// Replaces the whole journal.
    ///
    /// # Errors
    /// The old journal is as it was.
    pub fn compact(&mut self, entries: &[Entry]) -> io::Result<()> {
        let payloads = entries
            .iter()
            .map(serde_json::to_vec)
            .collect::<Result<Vec<_>, _>>()?;
        self.replace(&payloads)
    }

    fn replace(&mut self, payloads: &[Vec<u8>]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for payload in payloads {
            records::encode(payload, &mut bytes)?;
        }
        files::replace(&self.path, &bytes, 0o600)?;
        self.file = RecordFile::open(&self.path)?.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use agent_core::commands::Stage;
    use contract::{
        command::{CommandBody, CommandEnvelope, CommandState},
        id::{BootId, CommandId, DeviceId},
    };

    use super::*;

    fn entry(n: u32, stage: Stage) -> Entry {
        Entry {
            envelope: CommandEnvelope {
                id: CommandId::new(format!("c{n}")).unwrap(),
                device_id: DeviceId::new("d").unwrap(),
                issued_at: "2026-01-01T00:00:00Z".parse().unwrap(),
                expires_at: "2026-01-01T00:10:00Z".parse().unwrap(),
                body: CommandBody::Reboot { delay_s: n },
            },
            stage,
        }
    }

    fn some_entries() -> Vec<Entry> {
        let boot_id = BootId::new("b").unwrap();
        let since = agent_core::Millis(7);
        vec![
            entry(
                1,
                Stage::Accepted {
                    boot_id: boot_id.clone(),
                },
            ),
            entry(1, Stage::Executing { boot_id, since }),
            entry(
                1,
                Stage::Done {
                    state: CommandState::Failed {
                        reason: "坏了".into(),
                    },
                    shown: None,
                },
            ),
        ]
    }

    #[test]
    fn survives_a_cut_at_every_byte_and_a_compaction() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, found) = Journal::open(dir.path()).unwrap();
        assert_eq!(found, Found::default());
        for entry in some_entries() {
            journal.append(&entry).unwrap();
        }
        let path = dir.path().join("commands.log");
        let whole = fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let (mut journal, found) = Journal::open(dir.path()).unwrap();
            let expected = some_entries();
            assert_eq!(found.entries, expected[..found.entries.len()], "cut at {cut}");
            if cut == whole.len() {
                assert_eq!((found.entries.len(), found.torn_bytes), (3, 0));
            }
            journal.append(&expected[0]).unwrap();
            let (_, again) = Journal::open(dir.path()).unwrap();
            assert_eq!(again.entries.len(), found.entries.len() + 1, "cut at {cut}");
        }
        let (mut journal, _) = Journal::open(dir.path()).unwrap();
        journal.compact(&some_entries()[2..]).unwrap();
        journal.append(&some_entries()[0]).unwrap();
        let (_, found) = Journal::open(dir.path()).unwrap();
        assert_eq!(
            found.entries,
            [some_entries()[2].clone(), some_entries()[0].clone()]
        );
    }
}
