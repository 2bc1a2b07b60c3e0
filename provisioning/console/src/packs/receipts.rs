//! Receipts that came home on a disk (回执盘): believed by the device's own signature, merged once.
//!
//! What is inside goes the way it would have gone over the line: inventories by their generation, samples by boot and number,
//! answers by their rank. So a receipt that was merged half, because the console stopped, is merged again and changes nothing
//! that is there already.

use std::{
    collections::HashSet,
    fs,
    io::{Cursor, Read},
    path::Path,
};

use anyhow::{Context, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use contract::{
    hash::Hash,
    health::{BootSeq, IngestAck, MAX_BATCH_SAMPLES},
    id::DeviceId,
    pack::{ACK_FILE, DiskReceipt, MAX_RECEIPT_BYTES, MAX_RECEIPTS, RECEIPTS, ReceiptAck, SignedReceipt},
    signed::Signed,
    usb::FOLDER,
};
use jiff::Timestamp;

use crate::{
    api::packs::ReceiptOutcome,
    db::{Db, commands::StatusOutcome, devices::owed::ReportOutcome, scope::Scope},
    error::{ApiError, Code},
    ingest::batch,
    pki::{Pki, keys::SigningKeys},
};

/// Most receipts taken at once.
pub const MAX_FILES: usize = 5_000;
/// Most bytes of receipts taken in one upload, unpacked.
pub const MAX_UPLOAD_BYTES: usize = 256 << 20;
/// Most lessons in one inventory.
const MAX_REPORT_LESSONS: usize = 20_000;
/// Most batches of samples in one receipt.
const MAX_BATCHES: usize = 200;
/// Most answers to commands in one receipt.
const MAX_COMMANDS: usize = 1_000;

/// A file of `bbt/receipts` as it was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its path below `bbt/receipts`.
    pub name: String,
    /// What stands in it, or why it was not read.
    pub content: Result<Vec<u8>, String>,
}

/// What merging needs.
#[derive(Debug)]
pub struct Merger<'a> {
    /// The database.
    pub db: &'a Db,
    /// Says who signed.
    pub pki: &'a Pki,
    /// Signs the word for the board.
    pub keys: &'a SigningKeys,
    /// Devices that whoever brings the disk may speak for.
    pub scope: &'a Scope,
    /// By whom.
    pub by: &'a str,
}

/// The device that a good receipt is of, and the console's word for it.
pub type Ack = (DeviceId, Signed<ReceiptAck>);

impl Merger<'_> {
    /// Merges one receipt, or says why not.
    pub async fn merge(&self, found: Found, now: Timestamp) -> (ReceiptOutcome, Option<Ack>) {
        let mut outcome = ReceiptOutcome {
            name: found.name.chars().take(200).collect(),
            ..ReceiptOutcome::default()
        };
        match self.merge_one(found, &mut outcome, now).await {
            Ok(ack) => (outcome, Some(ack)),
            Err(error) => {
                outcome.problem = Some(format!("{error:#}"));
                (outcome, None)
            }
        }
    }

    async fn merge_one(
        &self,
        found: Found,
        outcome: &mut ReceiptOutcome,
        now: Timestamp,
    ) -> anyhow::Result<Ack> {
        let bytes = found.content.map_err(anyhow::Error::msg)?;
        let signed: SignedReceipt = serde_json::from_slice(&bytes).context("it is no receipt")?;
        let signature = BASE64_STANDARD
            .decode(&signed.signature)
            .context("its signature cannot be read")?;
        let message = SignedReceipt::message(&signed.receipt);
        let signer = self.pki.signer(&signed.certificate_pem, &message, &signature)?;
        let receipt: DiskReceipt =
            serde_json::from_str(&signed.receipt).context("its body cannot be read")?;
        check(&receipt, &signer.device)?;
        let device = receipt.device_id;
        let known = self.db.need_device(self.scope, &device).await;
        let (device_no, _) = known.ok().context("its device is not one of yours")?;
        outcome.device_id = Some(device.to_string());
        outcome.number = Some(receipt.number);
        ensure!(
            !self.db.packs().certificate_is_revoked(&signer.serial).await?,
            "the device's certificate was revoked; what it says is not taken over"
        );
        let hash = Hash::of(signed.receipt.as_bytes());
        outcome.repeated = self.db.packs().is_merged(device_no, hash).await?;
        // The act's row goes with the first of its writes.
        crate::audit::object("device", &device);
        crate::audit::note("receipt", i64::try_from(receipt.number).unwrap_or(i64::MAX));
        crate::audit::note("repeated", outcome.repeated);
        // The samples of what was merged before are gone through, too: the word for the board says what is stored.
        let (stored, events) = self
            .take_over(
                outcome,
                &receipt.report,
                &receipt.telemetry,
                &receipt.commands,
                now,
            )
            .await?;
        if !outcome.repeated {
            self.db
                .packs()
                .merged(device_no, hash, receipt.number, self.by, now)
                .await?;
        }
        let ack = self.keys.sign_command(&ReceiptAck {
            device_id: device.clone(),
            up_to_number: receipt
                .number
                .max(self.db.packs().newest_receipt(device_no).await?),
            samples: IngestAck {
                device_id: device.clone(),
                stored,
                events,
            },
        })?;
        Ok((device, ack))
    }

    async fn take_over(
        &self,
        outcome: &mut ReceiptOutcome,
        report: &contract::report::DeviceReport,
        telemetry: &[contract::health::TelemetryBatch],
        commands: &[contract::command::CommandStatus],
        now: Timestamp,
    ) -> anyhow::Result<(Vec<BootSeq>, Vec<BootSeq>)> {
        if !outcome.repeated {
            // As one that the broker had kept: right when it was said, no sign of life now.
            let reports = [(report.clone(), true)];
            let taken = self.db.devices().reports(&reports, now).await?;
            outcome.inventory = taken.first() == Some(&ReportOutcome::Stored);
            for status in commands {
                if self.db.commands().status(status, now).await? == StatusOutcome::Stored {
                    outcome.commands += 1;
                }
            }
        }
        let batches = telemetry
            .iter()
            .map(|batch| batch::checked(batch.clone(), now))
            .collect::<Result<Vec<_>, _>>()?;
        let (mut stored, mut events) = (Vec::new(), Vec::new());
        for batch in self.db.health().store(&batches, now).await?.into_iter().flatten() {
            outcome.samples += batch.new;
            furthest(&mut stored, batch.ack);
            furthest(&mut events, batch.events_ack);
        }
        Ok((stored, events))
    }
}

/// Of each power-up the word that reaches furthest.
fn furthest(known: &mut Vec<BootSeq>, words: Vec<BootSeq>) {
    for word in words {
        match known.iter_mut().find(|known| known.boot_id == word.boot_id) {
            Some(known) => known.up_to_seq = known.up_to_seq.max(word.up_to_seq),
            None => known.push(word),
        }
    }
}

fn check(receipt: &DiskReceipt, signer: &DeviceId) -> anyhow::Result<()> {
    let own = |device: &DeviceId| device == signer;
    ensure!(
        own(&receipt.device_id),
        "it speaks for device {}, but {signer} signed it",
        receipt.device_id
    );
    let foreign = !own(&receipt.report.device_id)
        || receipt.telemetry.iter().any(|batch| !own(&batch.device_id))
        || receipt.commands.iter().any(|status| !own(&status.device_id));
    ensure!(!foreign, "it speaks for another device within");
    ensure!(
        receipt.number > 0 && i64::try_from(receipt.number).is_ok(),
        "its number is 0 or too large"
    );
    ensure!(
        receipt.report.lessons.len() <= MAX_REPORT_LESSONS,
        "its inventory is too long"
    );
    ensure!(
        receipt.telemetry.len() <= MAX_BATCHES,
        "it has too many batches of samples"
    );
    ensure!(
        receipt.commands.len() <= MAX_COMMANDS,
        "it has too many answers to commands"
    );
    for batch in &receipt.telemetry {
        ensure!(
            batch.samples.len() <= MAX_BATCH_SAMPLES,
            "one of its batches has too many samples"
        );
        ensure!(batch.forgotten.len() <= 1_000, "it declares too much forgotten");
        let good = |seq: u64| seq > 0 && i64::try_from(seq).is_ok();
        ensure!(
            batch.samples.iter().all(|s| good(s.seq)),
            "a sample's number is 0 or too large"
        );
    }
    Ok(())
}

/// The receipts on a disk (or in its folder `bbt`), in the order of their numbers. Links and strange names are passed over.
///
/// # Errors
/// There is no such folder, or too much in it.
pub fn of_folder(disk: &Path) -> anyhow::Result<Vec<Found>> {
    let root = folder(disk);
    let is_folder = |path: &Path| fs::symlink_metadata(path).is_ok_and(|m| m.is_dir());
    ensure!(
        is_folder(&root),
        "there is no folder {} on the disk; was it with a board, and is it mounted?",
        root.display()
    );
    let mut found: Vec<(String, u64, Found)> = Vec::new();
    for device in fs::read_dir(&root).with_context(|| format!("Failed to read {}", root.display()))? {
        let device = device.with_context(|| format!("Failed to read {}", root.display()))?;
        let name = device.file_name().to_string_lossy().into_owned();
        if DeviceId::new(name.as_str()).is_err() || !is_folder(&device.path()) {
            continue;
        }
        let Ok(entries) = fs::read_dir(device.path()) else {
            continue;
        };
        for entry in entries.flatten().take(4 * MAX_RECEIPTS) {
            let file = entry.file_name().to_string_lossy().into_owned();
            let Some(number) = number_of(&file) else { continue };
            if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
                continue;
            }
            ensure!(
                found.len() < MAX_FILES,
                "{} holds more than {MAX_FILES} receipts",
                root.display()
            );
            let content = fs::File::open(entry.path())
                .map_err(|e| e.to_string())
                .and_then(bounded);
            let name_of_file = format!("{name}/{file}");
            found.push((
                name.clone(),
                number,
                Found {
                    name: name_of_file,
                    content,
                },
            ));
        }
    }
    found.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    Ok(found.into_iter().map(|(.., found)| found).collect())
}

fn folder(disk: &Path) -> std::path::PathBuf {
    if disk.file_name().is_some_and(|name| name == FOLDER) {
        disk.join(RECEIPTS)
    } else {
        disk.join(FOLDER).join(RECEIPTS)
    }
}

/// The number that a receipt's file is named after.
fn number_of(file: &str) -> Option<u64> {
    let stem = file.strip_suffix(".json")?;
    let number: u64 = stem.parse().ok()?;
    (number.to_string() == stem).then_some(number)
}

/// The receipts of one upload, each kept once. All that is read for it counts, zips as they unpack, so that no small upload
/// fills the memory.
#[derive(Debug)]
pub struct Intake {
    found: Vec<Found>,
    seen: HashSet<Hash>,
    read: usize,
    most: usize,
}

impl Default for Intake {
    fn default() -> Self {
        Self::with_limit(MAX_UPLOAD_BYTES)
    }
}

impl Intake {
    /// Takes at most `most` bytes, unpacked.
    pub fn with_limit(most: usize) -> Self {
        Self {
            found: Vec::new(),
            seen: HashSet::new(),
            read: 0,
            most,
        }
    }

    /// Takes one file.
    ///
    /// # Errors
    /// [`Code::UsbFolder`]: more bytes or files than are taken at once.
    pub fn file(&mut self, file: Found) -> Result<(), ApiError> {
        self.count(file.content.as_ref().map_or(0, Vec::len))?;
        self.keep(file)
    }

    /// Takes the receipts in a zip of the folder, in the order of their numbers.
    ///
    /// # Errors
    /// [`Code::UsbFolder`]: no zip, or more bytes or files than are taken at once.
    pub fn zip(&mut self, bytes: &[u8]) -> Result<(), ApiError> {
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| refuse(format!("no zip: {e}")))?;
        if zip.len() > 4 * MAX_FILES {
            return Err(refuse(format!(
                "{} files, at most {} are read",
                zip.len(),
                4 * MAX_FILES
            )));
        }
        let mut wanted: Vec<(String, u64, String, usize)> = Vec::new();
        for at in 0..zip.len() {
            let entry = zip.by_index(at).map_err(|e| refuse(format!("file {at}: {e}")))?;
            let Ok(path) = entry.name().map(|path| path.into_owned()) else {
                continue;
            };
            let parts: Vec<&str> = path.split(['/', '\\']).collect();
            let [.., RECEIPTS, device, file] = parts[..] else {
                continue;
            };
            let (Some(number), Ok(_)) = (number_of(file), DeviceId::new(device)) else {
                continue;
            };
            if entry.is_dir() || entry.is_symlink() {
                continue;
            }
            if wanted.len() == MAX_FILES {
                return Err(refuse(format!("more than {MAX_FILES} receipts")));
            }
            wanted.push((device.to_owned(), number, format!("{device}/{file}"), at));
        }
        wanted.sort();
        for (_, _, name, at) in wanted {
            let entry = zip.by_index(at).map_err(|e| refuse(format!("file {at}: {e}")))?;
            let most = MAX_RECEIPT_BYTES.min(self.most.saturating_sub(self.read));
            let mut bytes = Vec::new();
            let outcome = entry.take(most as u64 + 1).read_to_end(&mut bytes);
            self.count(bytes.len())?;
            let content = match outcome {
                Err(error) => Err(error.to_string()),
                Ok(_) if bytes.len() > MAX_RECEIPT_BYTES => Err(too_long()),
                Ok(_) => Ok(bytes),
            };
            self.keep(Found { name, content })?;
        }
        Ok(())
    }

    /// What was taken.
    pub fn into_found(self) -> Vec<Found> {
        self.found
    }

    fn count(&mut self, bytes: usize) -> Result<(), ApiError> {
        self.read = self.read.saturating_add(bytes);
        if self.read > self.most {
            let most = self.most >> 20;
            return Err(refuse(format!(
                "the receipts are larger than {most} MiB, unpacked; nothing was taken over; send them in several uploads"
            )));
        }
        Ok(())
    }

    /// The same receipt under two names is one: it would only be told twice.
    fn keep(&mut self, file: Found) -> Result<(), ApiError> {
        let mark = match &file.content {
            Ok(bytes) => Hash::of(bytes),
            Err(_) => Hash::of(file.name.as_bytes()),
        };
        if !self.seen.insert(mark) {
            return Ok(());
        }
        if self.found.len() == MAX_FILES {
            return Err(refuse(format!("more than {MAX_FILES} receipts")));
        }
        self.found.push(file);
        Ok(())
    }
}

fn refuse(why: String) -> ApiError {
    ApiError::new(Code::UsbFolder).detail(why)
}

fn too_long() -> String {
    format!("larger than {MAX_RECEIPT_BYTES} bytes")
}

/// Reads no more than is allowed, whatever a header promises.
///
/// # Errors
/// It cannot be read, or is longer.
pub fn bounded(from: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    from.take(MAX_RECEIPT_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| e.to_string())?;
    if bytes.len() > MAX_RECEIPT_BYTES {
        return Err(too_long());
    }
    Ok(bytes)
}

/// Writes the console's word beside a board's receipts; there or not there, never half.
///
/// # Errors
/// The disk cannot be written; named.
pub fn write_ack(disk: &Path, (device, ack): &Ack) -> anyhow::Result<()> {
    use std::io::Write;
    let folder = folder(disk).join(device.as_str());
    let failed = || format!("Failed to write {}", folder.join(ACK_FILE).display());
    let mut file = tempfile::NamedTempFile::new_in(&folder).with_context(failed)?;
    file.write_all(&serde_json::to_vec(ack)?).with_context(failed)?;
    file.as_file().sync_all().with_context(failed)?;
    file.persist(folder.join(ACK_FILE)).with_context(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn only_receipts_are_found_among_what_lies_there() {
        let disk = tempfile::tempdir().unwrap();
        assert!(of_folder(disk.path()).is_err());
        let own = disk.path().join("bbt/receipts/d-1");
        fs::create_dir_all(own.join("9.json")).unwrap();
        for name in [
            "2.json",
            "10.json",
            "ack.json",
            "02.json",
            "x.json",
            "3.JSON",
            ".DS_Store",
        ] {
            fs::write(own.join(name), name).unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", own.join("4.json")).unwrap();
        fs::create_dir_all(disk.path().join("bbt/receipts/..x")).unwrap();
        std::os::unix::fs::symlink(&own, disk.path().join("bbt/receipts/d-2")).unwrap();
        let names = |found: Vec<Found>| found.into_iter().map(|f| f.name).collect::<Vec<_>>();
        assert_eq!(
            names(of_folder(disk.path()).unwrap()),
            ["d-1/2.json", "d-1/10.json"]
        );

        let options = zip::write::SimpleFileOptions::default();
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in [
            ("stick/bbt/receipts/d-1/10.json", b"{}".to_vec()),
            ("bbt/receipts/d-1/2.json", vec![b' '; MAX_RECEIPT_BYTES + 1]),
            ("bbt/receipts/../../etc/3.json", b"{}".to_vec()),
            ("bbt/receipts/3.json", b"{}".to_vec()),
        ] {
            zip.start_file(name, options).unwrap();
            zip.write_all(&bytes).unwrap();
        }
        let mut intake = Intake::default();
        intake.zip(&zip.finish().unwrap().into_inner()).unwrap();
        let found = intake.into_found();
        assert!(found[0].content.is_err() && found[1].content.is_ok());
        assert_eq!(names(found), ["d-1/2.json", "d-1/10.json"]);
    }

    #[test]
    fn a_small_zip_that_unpacks_to_more_than_is_taken_is_refused_and_repetitions_are_not_kept() {
        let packed = |files: u8| {
            let options =
                zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
            let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
            for number in 1..=files {
                zip.start_file(format!("bbt/receipts/d-1/{number}.json"), options)
                    .unwrap();
                zip.write_all(&vec![b' '; 512 << 10]).unwrap();
            }
            zip.finish().unwrap().into_inner()
        };
        let (fits, bomb) = (packed(4), packed(5));
        assert!(bomb.len() < 64 << 10, "{}", bomb.len());
        let mut intake = Intake::with_limit(2 << 20);
        let error = intake.zip(&bomb).unwrap_err();
        assert_eq!(error.code, Code::UsbFolder);
        assert!(format!("{error:?}").contains("larger than 2 MiB"), "{error:?}");

        let mut intake = Intake::with_limit(2 << 20);
        intake.zip(&fits).unwrap();
        // One limit for all parts of the upload, and also for what is no zip.
        assert!(intake.zip(&packed(1)).is_err());
        let loose = |bytes: Vec<u8>| Found {
            name: "1.json".to_owned(),
            content: Ok(bytes),
        };
        assert!(intake.file(loose(vec![b'x'])).is_err());
        let found = intake.into_found();
        assert_eq!((found.len(), found[0].name.as_str()), (1, "d-1/1.json"));
    }
}
