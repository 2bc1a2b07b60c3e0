//! What is written back.

use contract::{
    health::{BootSeq, IngestAck},
    id::{BootId, DeviceId},
    pack::{DiskReceipt, ReceiptAck},
    report::{DeviceReport, DiskReport},
};

use super::*;
use crate::{
    identity::{Identity, tests as identities},
    io::pack::receipt::{ack, next_number, numbers, remove_up_to, sign, write},
};

fn receipt(identity: &Identity, number: u64) -> DiskReceipt {
    let device_id = identity.reply.device_id.clone();
    let boot_id = BootId::new("b").unwrap();
    DiskReceipt {
        device_id: device_id.clone(),
        number,
        boot_id: boot_id.clone(),
        uptime_ms: 1,
        wall_time: None,
        packs: vec![],
        report: DeviceReport {
            device_id,
            boot_id,
            generation: 1,
            assignment_generation: 0,
            agent_version: "0".into(),
            board: "x".into(),
            lessons: vec![],
            disk: DiskReport::default(),
            player_urls: vec![],
            hardware: None,
            clock: None,
            peer: None,
            held_back: None,
            snapshot: None,
            author_key: None,
            network: None,
            controls: None,
        },
        telemetry: vec![],
        commands: vec![],
    }
}

#[test]
fn receipts_count_up_over_disks_and_the_older_ones_go() {
    let (disk, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir_all(disk.path().join("bbt")).unwrap();
    let bbt = DiskFolder::open(&disk.path().join("bbt")).unwrap();
    let identity = Identity {
        key_pem: rcgen::KeyPair::generate().unwrap().serialize_pem(),
        ..identities::identity("d-1")
    };
    let device = identity.reply.device_id.clone();
    for expected in 1..=3 {
        let number = next_number(data.path(), 0).unwrap();
        assert_eq!(number, expected);
        let signed = sign(&identity, &receipt(&identity, number)).unwrap();
        write(&bbt, &device, number, &signed).unwrap();
    }
    assert_eq!(numbers(&bbt, &device), [1, 2, 3]);
    remove_up_to(&bbt, &device, 2);
    assert_eq!(numbers(&bbt, &device), [3]);
    // A lost count goes on after what lies on the disk.
    fs::remove_file(data.path().join("state/receipts")).unwrap();
    assert_eq!(next_number(data.path(), 3).unwrap(), 4);

    // A link in the place of the folder leads nowhere.
    let other = DeviceId::new("d-other").unwrap();
    std::os::unix::fs::symlink(data.path(), disk.path().join("bbt/receipts/d-other")).unwrap();
    let signed = sign(&identity, &receipt(&identity, 9)).unwrap();
    assert!(write(&bbt, &other, 9, &signed).is_err());
    assert!(!data.path().join("9.json").exists());
}

#[test]
fn only_the_consoles_word_for_this_board_counts() {
    let disk = tempfile::tempdir().unwrap();
    fs::create_dir_all(disk.path().join("bbt")).unwrap();
    let bbt = DiskFolder::open(&disk.path().join("bbt")).unwrap();
    let device = DeviceId::new("d-1").unwrap();
    let word = |device_id: &DeviceId, seed: u8| {
        let body = ReceiptAck {
            device_id: device_id.clone(),
            up_to_number: 3,
            samples: IngestAck {
                device_id: device_id.clone(),
                stored: vec![BootSeq {
                    boot_id: BootId::new("b").unwrap(),
                    up_to_seq: 5,
                }],
                events: Vec::new(),
            },
        };
        let key = SigningKey::from_bytes(&[seed; 32]);
        let signed = Signed::sign(&body, KeyId::new("command").unwrap(), &key).unwrap();
        put(
            &disk.path().join("bbt/receipts/d-1/ack.json"),
            &serde_json::to_vec(&signed).unwrap(),
        );
        ack(&bbt, &device, &door().keys())
    };
    assert_eq!(word(&device, 9).unwrap().up_to_number, 3);
    assert!(word(&device, 8).is_none(), "another key");
    assert!(
        word(&DeviceId::new("d-2").unwrap(), 9).is_none(),
        "another board's"
    );
}
