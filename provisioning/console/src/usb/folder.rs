//! The folder on a disk that is plugged into the console's machine.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use contract::{
    enrol::EnrolReply,
    signed::Signed,
    usb::{CountyFile, FOLDER, MAX_TICKETS},
};
use jiff::Timestamp;

use super::{Found, bounded, is_name, ticket_file};
use crate::{db::batches::OpenTicket, pki::keys::SigningKeys};

/// `bbt/` in `disk`, or `disk` itself if it is that folder.
fn place(disk: &Path) -> PathBuf {
    if disk.file_name().is_some_and(|name| name == FOLDER) {
        disk.to_owned()
    } else {
        disk.join(FOLDER)
    }
}

/// A real folder and no link that leads away from the disk.
fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|m| m.is_dir())
}

/// Writes county and tickets, and makes the folders for what comes back. Answers how many tickets.
///
/// # Errors
/// The disk cannot be written; named.
pub fn export(
    disk: &Path,
    county: &CountyFile,
    tickets: &[OpenTicket],
    keys: &SigningKeys,
    now: Timestamp,
) -> anyhow::Result<usize> {
    ensure!(
        disk.is_dir(),
        "{} is no folder; name the folder at which the USB disk is mounted",
        disk.display()
    );
    let root = place(disk);
    for folder in [
        root.clone(),
        root.join("tickets"),
        root.join("requests"),
        root.join("replies"),
    ] {
        make_folder(&folder)?;
    }
    write(&root, "county.json", &serde_json::to_string_pretty(county)?)?;
    for ticket in tickets {
        let (name, text) = ticket_file(ticket, keys, now)
            .map_err(|error| anyhow::anyhow!("a ticket cannot be signed ({})", error.code.as_str()))?;
        write(&root.join("tickets"), &name, &text)?;
    }
    Ok(tickets.len())
}

/// The files of `requests`, by name. Links and folders are passed over; what cannot be read says why.
///
/// # Errors
/// There is no such folder, or too much in it.
pub fn requests(disk: &Path) -> anyhow::Result<Vec<Found>> {
    let root = place(disk);
    let folder = root.join("requests");
    ensure!(
        is_folder(&root) && is_folder(&folder),
        "there is no folder {} on the disk; was it with a board, and is it mounted?",
        folder.display()
    );
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("Failed to read {}", folder.display()))? {
        let entry = entry.with_context(|| format!("Failed to read {}", folder.display()))?;
        // What macOS and others leave behind is no request.
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        if names.len() == MAX_TICKETS {
            bail!(
                "{} holds more than {MAX_TICKETS} files; this is no disk of ours",
                folder.display()
            );
        }
        names.push(name);
    }
    names.sort();
    let read = |name: String| {
        let content = if is_name(&name) {
            fs::File::open(folder.join(&name))
                .map_err(|e| e.to_string())
                .and_then(bounded)
        } else {
            Ok(Vec::new())
        };
        Found { name, content }
    };
    Ok(names.into_iter().map(read).collect())
}

/// Writes a reply beside the requests; there or not there, never half.
///
/// # Errors
/// The disk cannot be written; named.
pub fn write_reply(disk: &Path, name: &str, reply: &Signed<EnrolReply>) -> anyhow::Result<()> {
    ensure!(is_name(name), "{name:?} is no name of a reply");
    let folder = place(disk).join("replies");
    make_folder(&folder)?;
    write(&folder, name, &serde_json::to_string_pretty(reply)?)
}

fn make_folder(folder: &Path) -> anyhow::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        done => done.with_context(|| format!("Failed to create {}", folder.display()))?,
    }
    ensure!(
        is_folder(folder),
        "{} is a link or a file, not a folder; remove it from the disk",
        folder.display()
    );
    Ok(())
}

/// Written beside, brought to the disk, then renamed over: a disk pulled out too early holds the old file or the new one. The
/// rename also replaces a link instead of following it.
fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let failed = || format!("Failed to write {}", folder.join(name).display());
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(failed)?;
    file.write_all(text.as_bytes()).with_context(failed)?;
    file.as_file().sync_all().with_context(failed)?;
    file.persist(folder.join(name)).with_context(failed)?;
    // Not every file system of a USB disk can sync a folder.
    if let Ok(folder) = fs::File::open(folder) {
        folder.sync_all().ok();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_nowhere_and_hostile_names_are_passed_on_as_such() {
        let disk = tempfile::tempdir().unwrap();
        let outside = disk.path().join("outside.json");
        fs::write(&outside, "{}").unwrap();
        let requests_folder = disk.path().join("bbt/requests");
        assert!(requests(disk.path()).is_err(), "nothing there");
        fs::create_dir_all(&requests_folder).unwrap();
        fs::write(requests_folder.join("b.json"), "{}").unwrap();
        fs::write(requests_folder.join("坏.json"), "{}").unwrap();
        fs::write(requests_folder.join(".DS_Store"), "x").unwrap();
        fs::create_dir(requests_folder.join("folder.json")).unwrap();
        std::os::unix::fs::symlink(&outside, requests_folder.join("link.json")).unwrap();
        fs::write(requests_folder.join("huge.json"), vec![b' '; 300 << 10]).unwrap();
        let found = requests(disk.path()).unwrap();
        let names: Vec<_> = found.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["b.json", "huge.json", "坏.json"]);
        assert!(found[1].content.is_err());
        assert_eq!(
            requests(&disk.path().join("bbt")).unwrap().len(),
            3,
            "the folder itself will do"
        );

        fs::rename(&requests_folder, disk.path().join("real")).unwrap();
        std::os::unix::fs::symlink(disk.path().join("real"), &requests_folder).unwrap();
        assert!(
            requests(disk.path())
                .unwrap_err()
                .to_string()
                .contains("requests")
        );
        std::os::unix::fs::symlink(disk.path().join("real"), disk.path().join("bbt/replies")).unwrap();
        let error = make_folder(&disk.path().join("bbt/replies"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("link"), "{error}");
    }
}
