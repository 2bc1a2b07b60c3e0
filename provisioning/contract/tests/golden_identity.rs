//! The words of enrolment and identity, byte for byte; the files under `golden/v1/` are never edited.
//!
//! A file that is missing is written once and the test then fails, so that it is looked at before it is committed.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs, path::PathBuf};

use contract::{
    claim::{ClaimReply, ClaimRequest},
    enrol::{BrokerAddress, EnrolReply, EnrolRequest, EnrolmentTicket, Placement},
    hardware::Hardware,
    id::{CommandId, DeviceId, KeyId},
    renew::{RenewReply, RenewRequest, RenewalPolicy},
    signed::{KeyRole, Signed, SignedBody, TrustedKey},
    standing::{Standing, StandingOrder, UnlockOrder},
    time::ConsoleTime,
    usb::{CountyFile, OfflineRequest, OfflineTicket},
};
use ed25519_dalek::SigningKey;
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const REQUEST: &str = "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

fn golden<T: Serialize + DeserializeOwned>(name: &str, value: &T) {
    let file = folder().join(format!("{name}.json"));
    let mut written = serde_json::to_string_pretty(value).unwrap();
    written.push('\n');
    let Ok(frozen) = fs::read_to_string(&file) else {
        fs::write(&file, &written).unwrap();
        panic!(
            "{} was missing and has been written: read it, then commit it",
            file.display()
        );
    };
    assert_eq!(written, frozen, "{name}: what we write is no longer what v1 says");
    let read: T = serde_json::from_str(&frozen).unwrap();
    assert_eq!(
        serde_json::to_string_pretty(&read).unwrap() + "\n",
        frozen,
        "{name}: reading loses something"
    );
}

/// The signed form, which must verify with the right role and no other.
fn signed<T: SignedBody>(name: &str, body: &T) {
    let key = SigningKey::from_bytes(&[8; 32]);
    let id = KeyId::new("key-1").unwrap();
    let document = Signed::sign(body, id.clone(), &key).unwrap();
    golden(&format!("{name}.signed"), &document);
    for role in [KeyRole::Content, KeyRole::Command, KeyRole::Time, KeyRole::Other] {
        let trusted = [TrustedKey::of(id.clone(), role, &key)];
        assert_eq!(
            document.verify(&trusted).is_ok(),
            role == T::ROLE,
            "{name} by a {role:?} key"
        );
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn device() -> DeviceId {
    DeviceId::new("d-0197f3a0c1").unwrap()
}

fn hardware() -> Hardware {
    Hardware {
        serial: "SN-0001".into(),
        mcu_id: Some("mcu-42".into()),
        disk_id: Some("90014a484247346132".into()),
        macs: vec!["02:00:00:00:00:01".into()],
    }
}

fn placement() -> Placement {
    Placement {
        region: "样例县".into(),
        school: "城关小学".into(),
        classroom: "四（1）班".into(),
    }
}

fn broker() -> BrokerAddress {
    BrokerAddress {
        host: "console.example".into(),
        port: 8883,
    }
}

fn keys() -> Vec<TrustedKey> {
    let key = SigningKey::from_bytes(&[8; 32]);
    vec![TrustedKey::of(KeyId::new("time-1").unwrap(), KeyRole::Time, &key)]
}

fn reply() -> EnrolReply {
    EnrolReply {
        device_id: device(),
        certificate_pem: CERTIFICATE.into(),
        ca_pem: CERTIFICATE.into(),
        broker: broker(),
        keys: keys(),
        placement: placement(),
        issued_at: at("2026-11-22T08:00:00Z"),
        renewal: Some(RenewalPolicy::default()),
        trust: None,
    }
}

fn request() -> EnrolRequest {
    EnrolRequest {
        code: "7K3M9QX2".into(),
        serial: "SN-0001".into(),
        board: "generic-box-rev-a".into(),
        agent_version: "0.2.0".into(),
        csr_pem: REQUEST.into(),
        classroom: Some("0401".into()),
        hardware: Some(hardware()),
    }
}

#[test]
fn ways_in() {
    golden("enrol_request.bound_to_school", &request());
    golden("enrol_reply.with_renewal", &reply());
    signed("enrol_reply", &reply());
    golden(
        "claim_request",
        &ClaimRequest {
            board: "generic-box-rev-a".into(),
            agent_version: "0.2.0".into(),
            csr_pem: REQUEST.into(),
            hardware: hardware(),
        },
    );
    golden("claim_reply.waiting", &ClaimReply::Waiting { ask_again_s: 5 });
    golden("claim_reply.refused", &ClaimReply::Refused);
    golden(
        "claim_reply.enrolled",
        &ClaimReply::Enrolled {
            reply: Box::new(reply()),
        },
    );
    let newer: ClaimReply = serde_json::from_str(r#"{"state":"queued","place":7}"#).unwrap();
    assert_eq!(newer, ClaimReply::Other);
}

#[test]
fn by_usb() {
    golden(
        "county_file",
        &CountyFile {
            county: "样例县".into(),
            console_url: "https://console.example:8443".into(),
            web_url: "https://console.example".into(),
            ca_pem: CERTIFICATE.into(),
            broker: broker(),
            keys: keys(),
            issued_at: at("2026-11-22T08:00:00Z"),
            trust: None,
        },
    );
    let ticket = OfflineTicket {
        code: "7K3M9QX2".into(),
        placement: placement(),
        classroom_code: "0401".into(),
        serial: None,
        expires_at: at("2026-12-06T08:00:00Z"),
        issued_at: at("2026-11-22T08:00:00Z"),
    };
    golden("offline_ticket", &ticket);
    signed("offline_ticket", &ticket);
    golden("offline_request", &OfflineRequest { request: request() });
}

#[test]
fn standing_renewal_and_time() {
    let order = StandingOrder {
        id: CommandId::new("s-1").unwrap(),
        device_id: device(),
        standing: Standing::Stolen,
        issued_at: at("2026-11-22T08:00:00Z"),
        contact: "县电教站 0771-1234567".into(),
        hardware: None,
    };
    golden("standing_order", &order);
    signed("standing_order", &order);
    let repaired = StandingOrder {
        standing: Standing::Active,
        hardware: Some(hardware()),
        ..order.clone()
    };
    golden("standing_order_hardware", &repaired);
    signed("standing_order_hardware", &repaired);
    let newer = serde_json::to_string(&order).unwrap().replace("stolen", "lent");
    let newer: StandingOrder = serde_json::from_str(&newer).unwrap();
    assert_eq!(newer.standing, Standing::Other);
    let unlock = UnlockOrder {
        device_id: device(),
        unlocks: order.id,
        issued_at: at("2026-11-23T08:00:00Z"),
        ticket: EnrolmentTicket {
            console_url: "https://console.example:8443".into(),
            code: "7K3M9QX2".into(),
            ca_pem: CERTIFICATE.into(),
            expires_at: at("2026-12-06T08:00:00Z"),
        },
    };
    golden("unlock_order", &unlock);
    signed("unlock_order", &unlock);
    golden(
        "renew_request",
        &RenewRequest {
            csr_pem: REQUEST.into(),
            hardware: hardware(),
        },
    );
    golden(
        "renew_reply",
        &RenewReply {
            certificate_pem: CERTIFICATE.into(),
            ca_pem: CERTIFICATE.into(),
            broker: broker(),
            keys: keys(),
            placement: placement(),
            renewal: RenewalPolicy { below_days: 280 },
            issued_at: at("2026-11-22T08:00:00Z"),
        },
    );
    let time = ConsoleTime {
        time: at("2026-11-22T08:00:00Z"),
        nonce: "a1b2c3".into(),
    };
    golden("console_time", &time);
    signed("console_time", &time);
    let key: TrustedKey =
        serde_json::from_str(r#"{"key_id":"k","role":"firmware","public_key":""}"#).unwrap();
    assert_eq!(
        key.role,
        KeyRole::Other,
        "a role of a newer console is no reason to refuse its answer"
    );
}
