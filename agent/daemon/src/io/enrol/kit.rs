//! A county for tests: its authority, its keys, its console over real HTTPS.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use contract::{
    api,
    claim::{ClaimReply, ClaimRequest},
    enrol::{BrokerAddress, EnrolReply, EnrolRequest, Placement},
    id::{DeviceId, KeyId},
    signed::{KeyRole, Signed, SignedBody, TrustedKey},
    usb::CountyFile,
};
use ed25519_dalek::SigningKey;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, IsCa, Issuer, KeyPair,
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};

use tower::ServiceExt;

use crate::{config::Config, io::tls};

/// A board's settings, data under `dir`.
pub(crate) fn config(dir: &Path, serial: &str) -> Config {
    let text = format!(
        "data_dir = '{}'\nboard = 'generic-box-rev-a'\nserial = '{serial}'\n[usb]\nroots = ['{}']\n",
        dir.join("data").display(),
        dir.join("media").display()
    );
    Config::parse(&text, Path::new("c")).unwrap()
}

pub(crate) struct County {
    pub(crate) ca_pem: String,
    issuer: Issuer<'static, KeyPair>,
    command: SigningKey,
    content: SigningKey,
}

impl County {
    pub(crate) fn new() -> Self {
        tls::install_provider();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "county");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = params.self_signed(&key).unwrap().pem();
        Self {
            ca_pem,
            issuer: Issuer::new(params, key),
            command: SigningKey::from_bytes(&rand::random()),
            content: SigningKey::from_bytes(&rand::random()),
        }
    }

    fn keys(&self) -> Vec<TrustedKey> {
        vec![
            TrustedKey::of(KeyId::new("command").unwrap(), KeyRole::Command, &self.command),
            TrustedKey::of(KeyId::new("content").unwrap(), KeyRole::Content, &self.content),
        ]
    }

    pub(crate) fn file(&self, console_url: &str) -> CountyFile {
        CountyFile {
            county: "昭觉县".into(),
            console_url: console_url.into(),
            web_url: "https://console.example".into(),
            ca_pem: self.ca_pem.clone(),
            broker: broker(),
            keys: self.keys(),
            issued_at: "2026-11-01T00:00:00Z".parse().unwrap(),
            trust: None,
        }
    }

    pub(crate) fn sign<T: SignedBody>(&self, body: &T) -> Signed<T> {
        Signed::sign(body, KeyId::new("command").unwrap(), &self.command).unwrap()
    }

    pub(crate) fn reply(&self, csr_pem: &str, device_id: &str) -> EnrolReply {
        let mut csr = CertificateSigningRequestParams::from_pem(csr_pem).unwrap();
        csr.params.distinguished_name.push(DnType::CommonName, device_id);
        EnrolReply {
            device_id: DeviceId::new(device_id).unwrap(),
            certificate_pem: csr.signed_by(&self.issuer).unwrap().pem(),
            ca_pem: self.ca_pem.clone(),
            broker: broker(),
            keys: self.keys(),
            placement: Placement {
                region: "昭觉县".into(),
                school: "解放乡中心小学".into(),
                classroom: "三年级（2）班".into(),
            },
            issued_at: "2026-11-02T00:00:00Z".parse().unwrap(),
            renewal: None,
            trust: None,
        }
    }

    /// A console that answers claims and codes as it is told.
    pub(crate) async fn console(self: &Arc<Self>) -> Console {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.ca_pem.as_bytes()).unwrap())
            .unwrap();
        let clients = WebPkiClientVerifier::builder(Arc::new(roots))
            .allow_unauthenticated()
            .build()
            .unwrap();
        let tls = ServerConfig::builder()
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let desk = Arc::new(Desk {
            county: Arc::clone(self),
            codes: Mutex::default(),
            used: Mutex::default(),
            claims: Mutex::default(),
            claim: Mutex::new(Answer::Wait),
            lose_answers: Mutex::new(0),
            enrolments: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
        let served = Arc::clone(&desk);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, desk) = (acceptor.clone(), Arc::clone(&served));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let shown = stream.get_ref().1.peer_certificates().is_some();
                    let app = Router::new()
                        .route(api::ENROL, post(enrol))
                        .route(api::CLAIM, post(claim))
                        .with_state((desk, shown));
                    let service =
                        hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                            app.clone().oneshot(request.map(axum::body::Body::new))
                        });
                    let io = hyper_util::rt::TokioIo::new(stream);
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(io, service)
                        .await;
                });
            }
        });
        Console { at, desk }
    }
}

fn broker() -> BrokerAddress {
    BrokerAddress {
        host: "127.0.0.1".into(),
        port: 8883,
    }
}

/// What a claim is answered.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Wait,
    Enrol(&'static str),
    Refuse,
}

pub(crate) struct Console {
    pub(crate) at: SocketAddr,
    pub(crate) desk: Arc<Desk>,
}

impl Console {
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.at)
    }
}

/// Code, message and detail of a problem.
pub(crate) type Refusal = (&'static str, &'static str, &'static str);

pub(crate) struct Desk {
    county: Arc<County>,
    /// What a code is answered: a device's name, or a problem (code, message, detail).
    pub(crate) codes: Mutex<HashMap<String, Result<&'static str, Refusal>>>,
    /// Which key used a code.
    used: Mutex<HashMap<String, Vec<u8>>>,
    /// Claims as they came, and whether a certificate was shown with them.
    pub(crate) claims: Mutex<Vec<(ClaimRequest, bool)>>,
    pub(crate) claim: Mutex<Answer>,
    /// So many answers to enrolments get lost on the way.
    pub(crate) lose_answers: Mutex<u32>,
    pub(crate) enrolments: Mutex<Vec<EnrolRequest>>,
}

impl Desk {
    pub(crate) fn allow(&self, code: &str, device: &'static str) {
        self.codes.lock().unwrap().insert(code.into(), Ok(device));
    }

    pub(crate) fn refuse(&self, code: &str, problem: Refusal) {
        self.codes.lock().unwrap().insert(code.into(), Err(problem));
    }

    pub(crate) fn answer_claims(&self, answer: Answer) {
        *self.claim.lock().unwrap() = answer;
    }
}

fn problem(status: u16, code: &str, message: &str, detail: &str) -> Response {
    let problem = api::Problem {
        kind: "about:blank".into(),
        title: String::new(),
        status,
        code: code.into(),
        message: message.into(),
        detail: detail.into(),
        request_id: "r1".into(),
    };
    (StatusCode::from_u16(status).unwrap(), axum::Json(problem)).into_response()
}

async fn enrol(State((desk, _)): State<(Arc<Desk>, bool)>, body: Bytes) -> Response {
    let request: EnrolRequest = serde_json::from_slice(&body).unwrap();
    desk.enrolments.lock().unwrap().push(request.clone());
    let key = super::applicant::public_key_of(&request.csr_pem).unwrap();
    let known = desk.codes.lock().unwrap().get(&request.code).copied();
    let device = match known {
        None => return problem(403, "ticket_unknown", "注册码不存在", ""),
        Some(Err((code, ..))) if code == "ticket_needs_classroom" && request.classroom.is_some() => "d-room",
        Some(Err((code, message, detail))) => return problem(409, code, message, detail),
        Some(Ok(device)) => device,
    };
    let first = desk
        .used
        .lock()
        .unwrap()
        .entry(request.code.clone())
        .or_insert_with(|| key.clone())
        .clone();
    if first != key {
        return problem(403, "ticket_used", "注册码已被使用", "");
    }
    {
        let mut lose = desk.lose_answers.lock().unwrap();
        if *lose > 0 {
            *lose -= 1;
            return StatusCode::BAD_GATEWAY.into_response();
        }
    }
    axum::Json(desk.county.reply(&request.csr_pem, device)).into_response()
}

async fn claim(State((desk, shown)): State<(Arc<Desk>, bool)>, body: Bytes) -> Response {
    let request: ClaimRequest = serde_json::from_slice(&body).unwrap();
    desk.claims.lock().unwrap().push((request.clone(), shown));
    let answer = desk.claim.lock().unwrap().clone();
    let reply = match answer {
        Answer::Wait => ClaimReply::Waiting { ask_again_s: 1 },
        Answer::Enrol(device) => ClaimReply::Enrolled {
            reply: Box::new(desk.county.reply(&request.csr_pem, device)),
        },
        Answer::Refuse => ClaimReply::Refused,
    };
    axum::Json(reply).into_response()
}
