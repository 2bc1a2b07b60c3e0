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
