//! A board without an identity, and the devices' door it knocks at: its router, without TLS in front.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Extension,
    http::{Request, header},
};
use bbt_console::device_http::{DeviceHttp, Limits, Peer, router};
use contract::{
    api,
    claim::{ClaimReply, ClaimRequest},
    enrol::{BrokerAddress, EnrolReply, EnrolRequest},
    hardware::Hardware,
    hash::Hash,
    id::DeviceId,
};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::Value;
use tower::ServiceExt;

use crate::common::{Answer, TestConsole};

pub struct Door {
    router: Router,
}

fn peer(address: &str, device: Option<&DeviceId>) -> Peer {
    Peer {
        address: SocketAddr::new(address.parse().unwrap(), 40_000),
        device: device.cloned(),
        serial: None,
        not_after: None,
        expired: false,
    }
}

impl Door {
    pub fn of(console: &TestConsole) -> Self {
        let app = &console.app;
        let router = router(DeviceHttp {
            db: app.db.clone(),
            objects: app.objects.clone(),
            pki: Arc::clone(&app.pki),
            keys: Arc::clone(&app.keys),
            denylist: app.denylist.clone(),
            clock: app.clock.clone(),
            broker: BrokerAddress {
                host: "localhost".into(),
                port: 8883,
            },
            web_url: app.config.web_url.clone(),
            language: bbt_console::config::Language::En,
            limits: Limits::default(),
        });
        Self { router }
    }

    /// Asks as whoever calls from `address`, showing the certificate of `device`.
    pub async fn ask(&self, path: &str, body: Value, address: &str, device: Option<&DeviceId>) -> Answer {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        self.send(request, peer(address, device)).await
    }

    /// Reads as `device`.
    pub async fn get(&self, path: &str, device: &DeviceId) -> Answer {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let peer = Peer {
            // As `TestConsole::enrol` made it up.
            serial: Some(Hash::of(device.as_str().as_bytes()).to_hex()[..16].to_owned()),
            not_after: Some(jiff::Timestamp::MAX),
            ..peer("192.0.2.7", Some(device))
        };
        self.send(request, peer).await
    }

    async fn send(&self, request: Request<Body>, peer: Peer) -> Answer {
        let router = self.router.clone().layer(Extension(peer));
        let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: to_bytes(body, 1 << 20).await.unwrap(),
        }
    }

    pub async fn enrol(&self, request: &EnrolRequest, address: &str) -> Answer {
        self.ask(api::ENROL, serde_json::to_value(request).unwrap(), address, None)
            .await
    }

    pub async fn claim(&self, board: &Board, device: Option<&DeviceId>) -> ClaimReply {
        let answer = self.claim_from(board, "10.0.0.9", device).await;
        assert!(answer.status.is_success(), "{:?}", answer.json());
        serde_json::from_slice(&answer.body).unwrap()
    }

    pub async fn claim_from(&self, board: &Board, address: &str, device: Option<&DeviceId>) -> Answer {
        let request = ClaimRequest {
            board: "generic-x86".into(),
            agent_version: "0.1.0".into(),
            csr_pem: board.csr(),
            hardware: board.hardware.clone(),
        };
        self.ask(
            api::CLAIM,
            serde_json::to_value(request).unwrap(),
            address,
            device,
        )
        .await
    }
}

pub struct Board {
    pub key: KeyPair,
    pub hardware: Hardware,
}

impl Board {
    pub fn new(serial: &str) -> Self {
        Self {
            key: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
            hardware: Hardware {
                serial: serial.into(),
                mcu_id: Some(format!("mcu-{serial}")),
                ..Hardware::default()
            },
        }
    }

    /// Another each time, for the same key.
    pub fn csr(&self) -> String {
        let params = CertificateParams::default();
        params.serialize_request(&self.key).unwrap().pem().unwrap()
    }

    pub fn request(&self, code: &str) -> EnrolRequest {
        EnrolRequest {
            code: code.into(),
            serial: self.hardware.serial.clone(),
            board: "generic-x86".into(),
            agent_version: "0.1.0".into(),
            csr_pem: self.csr(),
            classroom: None,
            hardware: Some(self.hardware.clone()),
        }
    }

    /// What stands on its screen.
    pub fn fingerprint(&self) -> String {
        contract::claim::fingerprint(self.key.public_key_raw())
    }
}

pub fn enrolled(reply: ClaimReply) -> EnrolReply {
    match reply {
        ClaimReply::Enrolled { reply } => *reply,
        other => panic!("{other:?}"),
    }
}
