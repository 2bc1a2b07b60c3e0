//! Whole visits of boards to disks, with real files, signatures and keys.

use std::{os::unix::fs::symlink, path::Path, process::Command};

use contract::{
    enrol::{EnrolRequest, Placement},
    id::CommandId,
    standing::{Standing, StandingOrder},
    usb::OfflineRequest,
};

use super::*;
use crate::io::{
    enrol::kit::{self, County},
    hardware,
};

fn board(dir: &Path, serial: &str) -> Board {
    let config = kit::config(&dir.join(serial), serial);
    Board {
        hardware: hardware::hardware(&config),
        config: Arc::new(config),
        floor: TimeFloor::default(),
        by_hand: true,
    }
}

/// A disk with a ticket for each of `rooms` (code of the classroom, serial); `bbt/` comes back.
fn disk(dir: &Path, county: &County, rooms: &[(&str, Option<&str>)]) -> PathBuf {
    let folder = dir.join("media/stick/bbt");
    fs::create_dir_all(folder.join("tickets")).unwrap();
    let file = county.file("https://127.0.0.1:1");
    fs::write(folder.join("county.json"), serde_json::to_vec(&file).unwrap()).unwrap();
    for (at, (room, serial)) in rooms.iter().enumerate() {
        let ticket = county.sign(&OfflineTicket {
            code: format!("7K3M9Q{:02}", at),
            placement: Placement {
                region: "昭觉县".into(),
                school: "解放乡中心小学".into(),
                classroom: format!("{room} 班"),
            },
            classroom_code: (*room).to_owned(),
            serial: serial.map(str::to_owned),
            expires_at: "2026-12-01T00:00:00Z".parse().unwrap(),
            issued_at: "2026-11-01T00:00:00Z".parse().unwrap(),
        });
        fs::write(
            folder.join(format!("tickets/t{at}.json")),
            serde_json::to_vec(&ticket).unwrap(),
        )
        .unwrap();
    }
    folder
}

fn requests(folder: &Path) -> Vec<(String, EnrolRequest)> {
    let mut found: Vec<_> = fs::read_dir(folder.join("requests"))
        .into_iter()
        .flatten()
        .map(|entry| {
            let entry = entry.unwrap();
            let request: OfflineRequest = serde_json::from_slice(&fs::read(entry.path()).unwrap()).unwrap();
            (entry.file_name().into_string().unwrap(), request.request)
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// As the image's maker does it.
fn set_up(board: &Board, county: &County) {
    fs::create_dir_all(&board.config.data_dir).unwrap();
    let json = serde_json::to_vec(&county.file("https://x")).unwrap();
    fs::write(board.config.data_dir.join("county.json"), json).unwrap();
}

fn is_provisional(board: &Board) -> bool {
    matches!(
        IdentityFolder::of(&board.config).load().unwrap(),
        Kept::Provisional(_)
    )
}

#[test]
fn a_board_without_a_line_is_enrolled_by_two_visits() {
    let dir = tempfile::tempdir().unwrap();
    let county = County::new();
    let folder = disk(dir.path(), &county, &[("301", None), ("302", None)]);
    let one = board(dir.path(), "SN-1");
    // Found where the system mounts it.
    let mut roots = (*one.config).clone();
    roots.usb.roots = vec![dir.path().join("media")];
    assert_eq!(disks(&roots), std::slice::from_ref(&folder));

    // Two tickets: somebody must choose; a wrong choice is named.
    let visit = one.visit(&folder, None).unwrap();
    assert_eq!(visit.done, [Done::County("昭觉县".into())]);
    let offered: Vec<_> = visit.offered.iter().map(|choice| choice.code.as_str()).collect();
    assert_eq!(offered, ["301", "302"]);
    let error = one.visit(&folder, Some("999")).unwrap_err();
    assert!(error.to_string().contains("302"), "{error}");
    assert!(requests(&folder).is_empty() && !is_provisional(&one));

    let visit = one.visit(folder.parent().unwrap(), Some("302")).unwrap();
    assert_eq!(visit.done, [Done::Provisional("解放乡中心小学 302 班".into())]);
    assert!(is_provisional(&one));
    let asked = requests(&folder);
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (asked[0].0.as_str(), asked[0].1.serial.as_str()),
        ("t1.json", "SN-1")
    );
    assert_eq!(asked[0].1.classroom.as_deref(), Some("302"));
    // Again, nothing is taken, and a request that got lost on the disk is written again.
    assert_eq!(one.visit(&folder, None).unwrap().done, [Done::Waiting]);
    fs::remove_file(folder.join("requests/t1.json")).unwrap();
    assert_eq!(one.visit(&folder, None).unwrap().done, [Done::Waiting]);
    assert_eq!(requests(&folder)[0].1.csr_pem, asked[0].1.csr_pem);

    // The next board finds one ticket left, and the third none.
    let two = board(dir.path(), "SN-2");
    two.visit(&folder, None).unwrap();
    assert!(is_provisional(&two));
    let three = board(dir.path(), "SN-3");
    let error = three.visit(&folder, None).unwrap_err();
    assert!(matches!(error, UsbError::AllTaken), "{error}");
    assert_eq!(requests(&folder).len(), 2);

    // The console's answers: to another's key, by another's signature, and the right one.
    let replies = folder.join("replies");
    fs::create_dir(&replies).unwrap();
    let reply_to = |csr: &str, by: &County| {
        let reply = by.sign(&county.reply(csr, "d1"));
        fs::write(replies.join("t1.json"), serde_json::to_vec(&reply).unwrap()).unwrap();
    };
    let other = requests(&folder)[0].1.csr_pem.clone();
    assert_ne!(other, asked[0].1.csr_pem);
    reply_to(&other, &county);
    let error = one.visit(&folder, None).unwrap_err();
    assert!(matches!(error, UsbError::Reply(_)), "{error}");
    reply_to(&asked[0].1.csr_pem, &County::new());
    let error = one.visit(&folder, None).unwrap_err();
    assert!(matches!(error, UsbError::Signature(..)), "{error}");
    assert!(is_provisional(&one));
    reply_to(&asked[0].1.csr_pem, &county);
    let enrolled = DeviceId::new("d1").unwrap();
    assert_eq!(
        one.visit(&folder, None).unwrap().done,
        [Done::Enrolled(enrolled.clone())]
    );
    // And the same disk again changes nothing.
    assert_eq!(one.visit(&folder, None).unwrap().done, [Done::Nothing(enrolled)]);
}

#[test]
fn a_board_that_was_switched_off_between_disk_and_board_takes_no_second_ticket() {
    let dir = tempfile::tempdir().unwrap();
    let county = County::new();
    let folder = disk(dir.path(), &county, &[("301", None), ("302", None)]);
    let one = board(dir.path(), "SN-1");
    one.visit(&folder, Some("301")).unwrap();
    // As after a cut before the last durable write.
    fs::remove_dir_all(one.config.data_dir.join("identity.provisional")).unwrap();
    assert!(!is_provisional(&one));
    one.visit(&folder, None).unwrap();
    assert!(is_provisional(&one));
    assert_eq!(requests(&folder).len(), 1);
}

#[test]
fn a_ticket_for_this_serial_goes_first_and_one_for_another_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let county = County::new();
    let rooms = [("301", None), ("302", Some("SN-1")), ("303", Some("SN-9"))];
    let folder = disk(dir.path(), &county, &rooms);
    board(dir.path(), "SN-1").visit(&folder, Some("301")).unwrap();
    assert_eq!(requests(&folder)[0].1.classroom.as_deref(), Some("302"));
    // 303 is another board's, so 301 is the only one.
    board(dir.path(), "SN-2").visit(&folder, None).unwrap();
    assert_eq!(requests(&folder)[0].1.classroom.as_deref(), Some("301"));
    let error = board(dir.path(), "SN-3").visit(&folder, None).unwrap_err();
    assert!(matches!(error, UsbError::AllTaken), "{error}");
}

#[test]
fn a_disk_of_another_county_is_refused_by_a_board_that_knows_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (County::new(), County::new());
    let folder = disk(dir.path(), &theirs, &[("301", None)]);
    let one = board(dir.path(), "SN-1");
    set_up(&one, &ours);
    let error = one.visit(&folder, None).unwrap_err();
    assert!(matches!(error, UsbError::OtherCounty { .. }), "{error}");
    // Nor by the right county file beside foreign tickets.
    fs::write(
        folder.join("county.json"),
        serde_json::to_vec(&ours.file("https://x")).unwrap(),
    )
    .unwrap();
    let error = one.visit(&folder, None).unwrap_err();
    assert!(matches!(error, UsbError::Signature(..)), "{error}");
    assert!(requests(&folder).is_empty() && !is_provisional(&one));
    // And without any county there is nobody to believe.
    fs::remove_file(folder.join("county.json")).unwrap();
    let error = board(dir.path(), "SN-2").visit(&folder, None).unwrap_err();
    assert!(matches!(error, UsbError::NoCounty(_)), "{error}");
}

#[test]
fn a_disk_that_is_only_plugged_in_makes_no_county_known_and_a_false_one_does_not_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (County::new(), County::new());
    let plugged = Board {
        by_hand: false,
        ..board(dir.path(), "SN-1")
    };
    let known = || county::load(&plugged.config).unwrap().map(|county| county.keys);
    let hostile = disk(&dir.path().join("hostile"), &theirs, &[]);
    let error = plugged.visit(&hostile, None).unwrap_err();
    assert!(matches!(error, UsbError::NoTicket), "{error}");
    assert_eq!(known(), None);
    // Nor one that offers much, as long as nobody chooses.
    let many = disk(&dir.path().join("many"), &theirs, &[("301", None), ("302", None)]);
    assert_eq!(plugged.visit(&many, None).unwrap().offered.len(), 2);
    assert_eq!(known(), None);
    // Somebody is talked into it: it is kept, and the real county's disk is taken all the same.
    let by_hand = Board {
        by_hand: true,
        ..plugged.clone()
    };
    by_hand.visit(&hostile, None).unwrap();
    assert_eq!(known(), Some(theirs.file("https://x").keys));
    let real = disk(&dir.path().join("real"), &ours, &[("301", None)]);
    plugged.visit(&real, None).unwrap();
    assert!(is_provisional(&plugged));
    assert_eq!(known(), Some(ours.file("https://x").keys));
    // From now on another county's disk changes nothing.
    let error = by_hand.visit(&hostile, None).unwrap_err();
    assert!(matches!(error, UsbError::OtherCounty { .. }), "{error}");
    assert_eq!(known(), Some(ours.file("https://x").keys));
}

#[test]
fn an_enrolled_board_has_its_county_from_its_identity() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (County::new(), County::new());
    let folder = disk(dir.path(), &ours, &[("301", None)]);
    let one = board(dir.path(), "SN-1");
    one.visit(&folder, None).unwrap();
    fs::create_dir(folder.join("replies")).unwrap();
    let reply = ours.sign(&ours.reply(&requests(&folder)[0].1.csr_pem, "d1"));
    let file = folder.join("replies/t0.json");
    fs::write(file, serde_json::to_vec(&reply).unwrap()).unwrap();
    one.visit(&folder, None).unwrap();
    // Whatever a disk left behind, and whatever one brings.
    county::keep(&one.config.data_dir, &theirs.file("https://x")).unwrap();
    let hostile = disk(&dir.path().join("hostile"), &theirs, &[("302", None)]);
    let visit = one.visit(&hostile, Some("302")).unwrap();
    assert_eq!(visit.done, [Done::Nothing(DeviceId::new("d1").unwrap())]);
    let (county, source) = county::find(&one.config).unwrap().unwrap();
    assert_eq!((county.ca_pem, source), (ours.ca_pem.clone(), Source::Identity));
    assert!(requests(&hostile).is_empty());
}

#[test]
fn links_pipes_and_giants_are_not_read_and_nothing_hangs() {
    let dir = tempfile::tempdir().unwrap();
    let county = County::new();
    let folder = disk(dir.path(), &county, &[("301", None)]);
    let one = board(dir.path(), "SN-1");
    let secret = dir.path().join("secret.json");
    fs::rename(folder.join("county.json"), &secret).unwrap();
    let county_file = folder.join("county.json");
    let strange = |what: &str| {
        let error = one.visit(&folder, None).unwrap_err();
        assert!(matches!(error, UsbError::Strange(..)), "{what}: {error}");
        fs::remove_file(&county_file).unwrap();
    };
    symlink(&secret, &county_file).unwrap();
    strange("a link");
    assert!(
        Command::new("mkfifo")
            .arg(&county_file)
            .status()
            .unwrap()
            .success()
    );
    strange("a pipe");
    fs::write(&county_file, vec![b' '; 300 * 1024]).unwrap();
    strange("a giant");
    fs::copy(&secret, &county_file).unwrap();
    // A folder behind a link is none, neither `bbt` nor one within.
    let tickets = folder.join("tickets");
    fs::rename(&tickets, dir.path().join("elsewhere")).unwrap();
    symlink(dir.path().join("elsewhere"), &tickets).unwrap();
    let error = one.visit(&folder, None).unwrap_err();
    assert!(matches!(error, UsbError::Strange(..)), "{error}");
    let linked = dir.path().join("media/other");
    fs::create_dir(&linked).unwrap();
    symlink(&folder, linked.join("bbt")).unwrap();
    assert!(matches!(
        one.visit(&linked, None).unwrap_err(),
        UsbError::NoFolder(_)
    ));
    let mut roots = (*one.config).clone();
    roots.usb.roots = vec![dir.path().join("media")];
    assert_eq!(disks(&roots), std::slice::from_ref(&folder));
    // Too deep, and in the place of a folder a file.
    fs::create_dir_all(dir.path().join("media/a/b/c/bbt")).unwrap();
    assert_eq!(disks(&roots), [folder]);
}

#[test]
fn a_request_never_leaves_its_folder_and_is_never_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let county = County::new();
    let folder = disk(dir.path(), &county, &[("301", None)]);
    for name in ["..json", "a b", "中文", "x.y", &"n".repeat(80), "con/../x"] {
        assert!(!disk::is_safe(name), "{name}");
    }
    // A ticket's file of a strange name is passed over.
    fs::copy(folder.join("tickets/t0.json"), folder.join("tickets/a b.json")).unwrap();
    let opened = Disk::open(&folder).unwrap();
    assert_eq!(opened.names("tickets").unwrap().len(), 1);
    assert!(opened.write_new("requests", "t0.json", b"first").unwrap());
    assert!(!opened.write_new("requests", "t0.json", b"second").unwrap());
    assert_eq!(fs::read(folder.join("requests/t0.json")).unwrap(), b"first");
    assert_eq!(
        fs::read_dir(folder.join("requests")).unwrap().count(),
        1,
        "no litter"
    );
    let error = board(dir.path(), "SN-1").visit(&folder, None).unwrap_err();
    assert!(matches!(error, UsbError::AllTaken), "{error}");
}

/// A small disk of its own; needs root.
pub(crate) struct Mounted(pub(crate) PathBuf);

impl Mounted {
    pub(crate) fn new(at: PathBuf, options: &str) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(&at)
            .output()
            .is_ok_and(|done| done.status.success());
        if !mounted {
            eprintln!("NOT SHOWN: no disk could be mounted (not root?)");
        }
        mounted.then_some(Self(at))
    }

    fn again(&self, options: &str) {
        let done = Command::new("mount")
            .args(["-o", &format!("remount,{options}")])
            .arg(&self.0)
            .status();
        assert!(done.unwrap().success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_and_a_read_only_disk_are_named_and_cost_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let county = County::new();
    let Some(mounted) = Mounted::new(dir.path().join("media/stick"), "size=64k") else {
        return;
    };
    let folder = disk(dir.path(), &county, &[("301", None)]);
    let one = board(dir.path(), "SN-1");
    mounted.again("ro");
    let error = one.visit(&folder, None).unwrap_err();
    assert!(matches!(error, UsbError::ReadOnly(_)), "{error}");
    assert!(error.said().zh.contains("写保护"));
    mounted.again("rw");
    let stuffing = mounted.0.join("stuffing");
    let _ = fs::write(&stuffing, vec![1; 1024 * 1024]);
    let error = one.visit(&folder, None).unwrap_err();
    assert!(matches!(error, UsbError::Full(_)), "{error}");
    assert!(requests(&folder).is_empty() && !is_provisional(&one));
    fs::remove_file(stuffing).unwrap();
    one.visit(&folder, None).unwrap();
    assert!(is_provisional(&one));
}

#[test]
fn only_its_own_unlock_order_takes_the_lock_off_and_its_ticket_waits_for_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let county = County::new();
    let folder = disk(dir.path(), &county, &[]);
    let one = board(dir.path(), "SN-1");
    let device = DeviceId::new("d1").unwrap();
    let order = county.sign(&StandingOrder {
        id: CommandId::new("c1").unwrap(),
        device_id: device.clone(),
        standing: Standing::Stolen,
        issued_at: "2026-11-03T00:00:00Z".parse().unwrap(),
        contact: "县电教站".into(),
        hardware: None,
    });
    standing::keep(&one.config.data_dir, &order, &county.file("https://x").keys).unwrap();
    let error = one.visit(&folder, None).unwrap_err();
    assert!(matches!(error, UsbError::NoUnlock(_)), "{error}");
    fs::create_dir(folder.join("unlock")).unwrap();
    let write = |by: &County, unlocks: &str| {
        let unlock = by.sign(&UnlockOrder {
            device_id: device.clone(),
            unlocks: CommandId::new(unlocks).unwrap(),
            issued_at: "2026-11-04T00:00:00Z".parse().unwrap(),
            ticket: EnrolmentTicket {
                console_url: "https://x".into(),
                code: "7K3M9QXZ".into(),
                ca_pem: county.ca_pem.clone(),
                expires_at: "2026-12-01T00:00:00Z".parse().unwrap(),
            },
        });
        fs::write(
            folder.join("unlock/d1.json"),
            serde_json::to_vec(&unlock).unwrap(),
        )
        .unwrap();
    };
    for (by, unlocks) in [(&County::new(), "c1"), (&county, "c0")] {
        write(by, unlocks);
        let error = one.visit(&folder, None).unwrap_err();
        assert!(matches!(error, UsbError::Unlock(_)), "{error}");
        assert_eq!(waiting_ticket(&one.config.data_dir), None);
    }
    write(&county, "c1");
    let visit = one.visit(&folder, None).unwrap();
    assert_eq!(visit.done[0], Done::Unlocked(device));
    assert!(matches!(
        IdentityFolder::of(&one.config).load().unwrap(),
        Kept::None
    ));
    assert_eq!(waiting_ticket(&one.config.data_dir).unwrap().code, "7K3M9QXZ");
    drop_waiting_ticket(&one.config.data_dir);
    assert_eq!(waiting_ticket(&one.config.data_dir), None);
}
