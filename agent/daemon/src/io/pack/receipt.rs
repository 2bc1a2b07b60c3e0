//! What the board writes back on a disk: receipts signed with the key of its certificate, the oldest replaced once the newer
//! ones hold everything.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use anyhow::{Context, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use contract::{
    id::DeviceId,
    pack::{ACK_FILE, DiskReceipt, MAX_RECEIPT_BYTES, RECEIPTS, ReceiptAck, SignedReceipt},
    signed::{Signed, TrustedKey},
};
use rustix::{
    fs::{AtFlags, Mode, OFlags, mkdirat, openat, renameat, unlinkat},
    io::Errno,
};
use rustls::{
    SignatureScheme,
    crypto::ring,
    pki_types::{PrivateKeyDer, pem::PemObject},
};

use super::folder::{DiskError, DiskFolder};
use crate::{files, identity::Identity};

/// So much stays free on the disk: it is people's.
pub(super) const LEAVE_FREE: u64 = 16 * 1024 * 1024;

/// Why no receipt was written.
#[derive(Debug, thiserror::Error)]
pub enum NotWritten {
    /// A disc, or a disk with its switch on.
    #[error("the disk cannot be written")]
    ReadOnly,
    /// No room.
    #[error("the disk is full")]
    Full,
    /// Anything else.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

/// Signs with the key of the board's certificate.
///
/// # Errors
/// The key cannot be used.
pub fn sign(identity: &Identity, receipt: &DiskReceipt) -> anyhow::Result<SignedReceipt> {
    let receipt = serde_json::to_string(receipt).context("Failed to write the receipt")?;
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes())
        .context("Failed to read the device's key")?;
    let key = ring::default_provider()
        .key_provider
        .load_private_key(key)
        .context("Failed to use the device's key")?;
    let Some(signer) = key.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]) else {
        bail!("the device's key is not of P-256");
    };
    let signature = signer
        .sign(&SignedReceipt::message(&receipt))
        .context("Failed to sign the receipt")?;
    Ok(SignedReceipt {
        receipt,
        signature: BASE64_STANDARD.encode(signature),
        certificate_pem: identity.reply.certificate_pem.clone(),
    })
}

/// The next number of this board's receipts, noted durably before it is used.
///
/// # Errors
/// It cannot be noted.
pub fn next_number(data_dir: &Path, at_least: u64) -> io::Result<u64> {
    let file = data_dir.join("state").join("receipts");
    let kept: u64 = std::fs::read_to_string(&file)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0);
    let next = kept.max(at_least).saturating_add(1);
    std::fs::create_dir_all(data_dir.join("state"))?;
    files::replace(&file, next.to_string().as_bytes(), 0o600)?;
    Ok(next)
}

/// Numbers of this board's receipts on the disk, ascending.
pub fn numbers(bbt: &DiskFolder, device: &DeviceId) -> Vec<u64> {
    let Ok(folder) = bbt.inner(&format!("{RECEIPTS}/{device}")) else {
        return Vec::new();
    };
    let mut numbers: Vec<u64> = folder
        .names()
        .unwrap_or_default()
        .iter()
        .filter_map(|name| name.strip_suffix(".json")?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
}

/// The console's word on what it has, if it lies on the disk and is good.
pub fn ack(bbt: &DiskFolder, device: &DeviceId, keys: &[TrustedKey]) -> Option<ReceiptAck> {
    let path = format!("{RECEIPTS}/{device}/{ACK_FILE}");
    let bytes = bbt.read(&path, MAX_RECEIPT_BYTES).ok()??;
    let signed: Signed<ReceiptAck> = serde_json::from_slice(&bytes).ok()?;
    let ack = signed.verify(keys).ok()?;
    (ack.device_id == *device && ack.samples.device_id == *device).then_some(ack)
}

/// Writes one receipt; durable when this comes back, there or not there, never half.
///
/// # Errors
/// Why it is not there.
pub fn write(
    bbt: &DiskFolder,
    device: &DeviceId,
    number: u64,
    signed: &SignedReceipt,
) -> Result<(), NotWritten> {
    let bytes = serde_json::to_vec(signed).context("Failed to write the receipt")?;
    if bytes.len() > MAX_RECEIPT_BYTES {
        return Err(anyhow::anyhow!("the receipt has {} bytes", bytes.len()).into());
    }
    let space = rustix::fs::fstatvfs(bbt.fd()).map_err(|e| of_errno(e, bbt))?;
    if space.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Err(NotWritten::ReadOnly);
    }
    if space.f_bavail * space.f_frsize < LEAVE_FREE + bytes.len() as u64 {
        return Err(NotWritten::Full);
    }
    let folder = make(&make(bbt, RECEIPTS)?, device.as_str())?;
    let (name, temp) = (format!("{number}.json"), format!("{number}.new"));
    let written = put(&folder, &temp, &bytes)
        .and_then(|()| renameat(folder.fd(), &temp, folder.fd(), &name).map_err(io::Error::from));
    if let Err(error) = written {
        let _ = unlinkat(folder.fd(), &temp, AtFlags::empty());
        return Err(of_io(error, &folder));
    }
    // Not every file system of a USB disk can sync a folder.
    let _ = rustix::fs::fsync(folder.fd());
    Ok(())
}

/// Removes this board's receipts up to `number`.
pub fn remove_up_to(bbt: &DiskFolder, device: &DeviceId, number: u64) {
    let Ok(folder) = bbt.inner(&format!("{RECEIPTS}/{device}")) else {
        return;
    };
    for old in numbers(bbt, device).into_iter().filter(|old| *old <= number) {
        let _ = unlinkat(folder.fd(), format!("{old}.json"), AtFlags::empty());
    }
    let _ = rustix::fs::fsync(folder.fd());
}

pub(super) fn put(folder: &DiskFolder, name: &str, bytes: &[u8]) -> io::Result<()> {
    // Left by a disk that was pulled out.
    let _ = unlinkat(folder.fd(), name, AtFlags::empty());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(folder.fd(), name, flags, Mode::from_raw_mode(0o644))?);
    file.write_all(bytes)?;
    file.sync_all()
}

pub(super) fn make(parent: &DiskFolder, name: &str) -> Result<DiskFolder, NotWritten> {
    match mkdirat(parent.fd(), name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(of_errno(error, parent)),
    }
    parent
        .inner(name)
        .map_err(|error: DiskError| NotWritten::Other(error.into()))
}

fn of_errno(error: Errno, folder: &DiskFolder) -> NotWritten {
    of_io(error.into(), folder)
}

fn of_io(error: io::Error, folder: &DiskFolder) -> NotWritten {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => NotWritten::ReadOnly,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => NotWritten::Full,
        _ => anyhow::Error::new(error)
            .context(format!("Failed to write in {}", folder.path().display()))
            .into(),
    }
}
