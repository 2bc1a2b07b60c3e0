use std::os::unix::fs::PermissionsExt;

use contract::{
    enrol::{BrokerAddress, Placement},
    id::DeviceId,
};

use super::*;

pub(crate) fn board(serial: &str) -> Hardware {
    Hardware {
        serial: serial.into(),
        ..Hardware::default()
    }
}

pub(crate) fn identity(id: &str) -> Identity {
    Identity {
        reply: EnrolReply {
            device_id: DeviceId::new(id).unwrap(),
            certificate_pem: "cert".into(),
            ca_pem: "ca".into(),
            broker: BrokerAddress {
                host: "localhost".into(),
                port: 8883,
            },
            keys: vec![],
            placement: Placement::default(),
            issued_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            renewal: None,
            trust: None,
        },
        console_url: "https://localhost:8443".into(),
        key_pem: format!("key of {id}"),
        hardware: Some(board("S1")),
    }
}

#[test]
fn a_second_identity_replaces_the_first_and_the_key_is_for_the_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let folder = IdentityFolder::new(dir.path());
    assert_eq!(folder.identity().unwrap(), None);
    for id in ["d1", "d2"] {
        folder.store(&identity(id)).unwrap();
        assert_eq!(folder.identity().unwrap(), Some(identity(id)));
    }
    let mode = fs::metadata(dir.path().join("identity/key.pem"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "no second key is left lying about"
    );
}

#[test]
fn what_a_cut_leaves_behind_never_mixes_two_identities() {
    let dir = tempfile::tempdir().unwrap();
    let folder = IdentityFolder::new(dir.path());
    folder.store(&identity("d1")).unwrap();
    // Cut while the new one was being written.
    fs::create_dir(&folder.new).unwrap();
    fs::write(folder.new.join("key.pem"), "key of d2").unwrap();
    assert_eq!(folder.identity().unwrap(), Some(identity("d1")));
    // Cut between the two renames of a file system that cannot exchange.
    fs::rename(&folder.here, &folder.old).unwrap();
    assert_eq!(folder.identity().unwrap(), Some(identity("d1")));
    folder.store(&identity("d3")).unwrap();
    assert_eq!(folder.identity().unwrap(), Some(identity("d3")));
}

#[test]
fn what_cannot_be_written_leaves_the_old_identity() {
    let dir = tempfile::tempdir().unwrap();
    let folder = IdentityFolder::new(dir.path());
    folder.store(&identity("d1")).unwrap();
    // A file in the place of the new folder, as no disk full of anything would allow a folder either.
    fs::write(&folder.new, "in the way").unwrap();
    folder.store(&identity("d2")).unwrap_err();
    assert_eq!(folder.identity().unwrap(), Some(identity("d1")));
}

/// A renewal of `d1`, cut after the n-th durable write of `renewed.rs`.
fn cut_after(step: usize) -> (tempfile::TempDir, IdentityFolder) {
    let dir = tempfile::tempdir().unwrap();
    let folder = IdentityFolder::new(dir.path());
    folder.store(&identity("d1")).unwrap();
    let mark = |name: &str| fs::write(dir.path().join(name).join("proven"), "").unwrap();
    if step == 0 {
        fs::create_dir(&folder.renewed).unwrap();
        fs::write(folder.renewed.join("key.pem"), "half of a").unwrap();
        return (dir, folder);
    }
    folder.store_renewed(&renewed()).unwrap();
    if step >= 2 {
        mark("identity.renewed");
    }
    if step == 3 {
        // A file system that cannot exchange, between its two renames.
        fs::rename(&folder.here, &folder.old).unwrap();
    }
    if step >= 4 {
        folder.exchange(&folder.renewed).unwrap();
    }
    if step >= 5 {
        remove(&folder.renewed).unwrap();
    }
    (dir, folder)
}

fn renewed() -> Identity {
    Identity {
        key_pem: "the next key".into(),
        ..identity("d1")
    }
}

#[test]
fn a_renewal_that_is_cut_after_any_step_goes_on_with_one_whole_identity() {
    for step in 0..=5 {
        let (dir, folder) = cut_after(step);
        let before = folder.identity().unwrap().unwrap();
        assert!(
            before == identity("d1") || before == renewed(),
            "step {step}: a mixture"
        );
        folder.finish_renewal().unwrap();
        // From the proof on the old certificate is dead.
        let expected = if step < 2 { identity("d1") } else { renewed() };
        assert_eq!(folder.identity().unwrap(), Some(expected), "step {step}");
        let waits = folder.renewed();
        assert_eq!(
            waits.is_some(),
            step == 1,
            "step {step}: what waits for its proof"
        );
        // And the next renewal finds nothing in its way.
        folder.store_renewed(&identity("d1")).unwrap();
        folder.take_renewed().unwrap();
        assert_eq!(folder.identity().unwrap(), Some(identity("d1")), "step {step}");
        let left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert!(
            left.iter().all(|name| name == "identity" || name == "state"),
            "{left:?}"
        );
        assert!(!folder.here.join("proven").exists());
    }
}

#[test]
fn a_renewal_that_finds_no_room_leaves_the_identity_and_no_litter() {
    let dir = tempfile::tempdir().unwrap();
    let folder = IdentityFolder::new(dir.path());
    folder.store(&identity("d1")).unwrap();
    fs::write(&folder.renewed, "in the way").unwrap();
    folder.store_renewed(&renewed()).unwrap_err();
    assert_eq!(folder.identity().unwrap(), Some(identity("d1")));
    assert_eq!(folder.renewed(), None);
}

#[test]
fn a_new_enrolment_ends_a_renewal_of_the_old_identity_and_what_was_said_of_it() {
    let (dir, folder) = cut_after(1);
    fs::create_dir_all(dir.path().join("state")).unwrap();
    fs::write(standing::path(dir.path()), "{}").unwrap();
    folder.store(&identity("d2")).unwrap();
    folder.finish_renewal().unwrap();
    assert_eq!(
        (folder.identity().unwrap(), folder.renewed()),
        (Some(identity("d2")), None)
    );
    assert!(!standing::path(dir.path()).exists());
}

#[test]
fn a_pending_key_is_kept_until_it_is_used_and_never_brought_along_by_a_copied_disk() {
    let dir = tempfile::tempdir().unwrap();
    let folder = IdentityFolder::new(dir.path());
    let key = folder.pending_key(&board("S1")).unwrap();
    assert_eq!(
        folder.pending_key(&board("S1")).unwrap(),
        key,
        "a lost answer costs nothing"
    );
    let mode = fs::metadata(folder.pending.join("key.pem"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let copy = folder.pending_key(&board("S2")).unwrap();
    assert_ne!(copy, key, "the image was started on another board before");
    let mine = Identity {
        key_pem: copy.clone(),
        ..identity("d1")
    };
    folder.store(&mine).unwrap();
    assert!(!folder.pending.exists());
    // A cut between the exchange and the removal.
    fs::create_dir(&folder.pending).unwrap();
    for name in ["key.pem", "hardware.json"] {
        fs::copy(folder.here.join(name), folder.pending.join(name)).unwrap();
    }
    fs::write(
        folder.pending.join("hardware.json"),
        serde_json::to_vec(&board("S2")).unwrap(),
    )
    .unwrap();
    assert_ne!(folder.pending_key(&board("S2")).unwrap(), copy, "it is in use");
}

#[test]
fn a_key_that_this_board_cannot_open_leaves_the_rest_of_the_identity_readable() {
    let dir = tempfile::tempdir().unwrap();
    let folder = IdentityFolder::new(dir.path());
    folder.store(&identity("d1")).unwrap();
    fs::write(folder.here.join("key.pem"), [0xff, 0xfe]).unwrap();
    let kept = folder.identity().unwrap().unwrap();
    assert_eq!((kept.key_pem.as_str(), kept.reply), ("", identity("d1").reply));
}

#[test]
fn the_stamp_changes_with_the_identity_and_with_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let folder = IdentityFolder::new(dir.path());
    let none = folder.stamp();
    folder.store(&identity("d1")).unwrap();
    let first = folder.stamp();
    folder.note_hardware(&board("S1")).unwrap();
    assert_eq!(folder.stamp(), first);
    folder.store(&identity("d2")).unwrap();
    assert!(none != first && first != folder.stamp());
}

#[test]
fn a_disk_that_fills_up_after_the_console_saw_the_new_certificate_does_not_shut_the_device_out() {
    let dir = tempfile::tempdir().unwrap();
    let options = "size=256k,nr_inodes=24";
    let Some(disk) = crate::io::usb::tests::Mounted::new(dir.path().join("data"), options) else {
        return;
    };
    let folder = IdentityFolder::new(&disk.0);
    folder.store(&identity("d1")).unwrap();
    folder.store_renewed(&renewed()).unwrap();
    let full = (0..64).find_map(|n| fs::write(disk.0.join(format!("stuffing{n}")), vec![1; 16 * 1024]).err());
    assert_eq!(full.unwrap().kind(), io::ErrorKind::StorageFull);
    while fs::File::create(disk.0.join(format!("more{}", rand::random::<u32>()))).is_ok() {}
    folder.take_renewed().unwrap();
    assert_eq!(folder.identity().unwrap(), Some(renewed()));
    assert_eq!(folder.renewed(), None);
}
