//! Receipts: asked of the loop, signed, written.

use std::path::{Path, PathBuf};

use contract::pack::DiskReceipt;

use super::{State, asked};
use crate::io::pack::{
    Word,
    folder::DiskFolder,
    receipt::{NotWritten, next_number, numbers, remove_up_to, sign, write},
    words,
};

/// Samples of one receipt; with them it stays below the contract's bound.
const SAMPLES_AT_ONCE: usize = 5_000;
/// Receipts of one visit: 100,000 samples, ten weeks at one a minute.
const RECEIPTS_AT_ONCE: usize = 20;

impl State {
    /// Writes what the console does not know yet; older receipts of ours are then of no more use. What goes wrong is noted,
    /// and harms nothing.
    pub(super) async fn write_receipts(&mut self, bbt: &PathBuf) {
        let written = self.receipts(bbt).await;
        let Some(known) = self.known.get_mut(bbt) else {
            return;
        };
        match written {
            Ok(()) => known.has_receipt = true,
            Err(error) => {
                tracing::info!(disk = %bbt.display(), %error, "no receipt was written");
                // That lessons did not come is the weightier word.
                let told = known.note.as_ref().is_some_and(|note| note.problem);
                if let Some(note) = words::of_receipt(&error).filter(|_| !told) {
                    known.note = Some(note);
                }
            }
        }
    }

    async fn receipts(&mut self, bbt: &Path) -> Result<(), NotWritten> {
        let none = || NotWritten::Other(anyhow::anyhow!("the agent is busy"));
        let draft = asked(&self.desk.words, Word::Receipt).await.ok_or_else(none)?;
        let packs: Vec<_> = self
            .known
            .get(bbt)
            .into_iter()
            .flat_map(|known| &known.packs)
            .map(|pack| pack.manifest.id.clone())
            .collect();
        let mut groups = vec![Vec::new()];
        let mut samples = 0;
        for batch in draft.batches {
            let of_batch: u64 = batch.1.ranges.iter().map(|r| r.to_seq - r.from_seq + 1).sum();
            samples += usize::try_from(of_batch).unwrap_or(usize::MAX);
            if samples > SAMPLES_AT_ONCE && groups.last().is_some_and(|group| !group.is_empty()) {
                if groups.len() == RECEIPTS_AT_ONCE {
                    break;
                }
                groups.push(Vec::new());
                samples = usize::try_from(of_batch).unwrap_or(usize::MAX);
            }
            if let Some(group) = groups.last_mut() {
                group.push(batch);
            }
        }
        let device = self.desk.signer.device().clone();
        let mut first = None;
        for group in groups {
            let telemetry = if group.is_empty() {
                Vec::new()
            } else {
                let answered = asked(&self.desk.words, |answer| Word::Unconfirmed(group, answer)).await;
                answered.ok_or_else(none)?
            };
            let receipt = DiskReceipt {
                device_id: device.clone(),
                number: 0,
                boot_id: draft.boot_id.clone(),
                uptime_ms: draft.uptime_ms,
                wall_time: draft.wall_time,
                packs: packs.clone(),
                report: draft.report.clone(),
                telemetry,
                commands: draft.commands.clone(),
            };
            let (signer, config, bbt, device) = (
                self.desk.signer.clone(),
                self.desk.config.clone(),
                bbt.to_owned(),
                device.clone(),
            );
            let number = Self::blocking(move || -> Result<u64, NotWritten> {
                let folder = DiskFolder::open(&bbt).map_err(anyhow::Error::new)?;
                let on_disk = numbers(&folder, &device).last().copied().unwrap_or(0);
                let number = next_number(&config.data_dir, on_disk).map_err(anyhow::Error::new)?;
                let signed = sign(&signer.0, &DiskReceipt { number, ..receipt })?;
                write(&folder, &device, number, &signed)?;
                Ok(number)
            });
            let number = number.await.ok_or_else(none)??;
            first.get_or_insert(number);
        }
        // The newest hold all that the older ones did and the console has not confirmed.
        if let Some(first) = first {
            let (bbt, device) = (bbt.to_owned(), device);
            Self::blocking(move || {
                if let Ok(folder) = DiskFolder::open(&bbt) {
                    remove_up_to(&folder, &device, first - 1);
                }
            })
            .await;
        }
        Ok(())
    }
}
