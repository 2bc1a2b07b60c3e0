//! The whole loop against a console over real TLS: an authority of two tiers, a broker that refuses, questions that are
//! answered as the test says.

mod orders;

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use contract::{
    api,
    enrol::{BrokerAddress, EnrolReply, Placement},
    hardware::Hardware,
    id::{CommandId, DeviceId, KeyId},
    renew::{RenewReply, RenewRequest, RenewalPolicy},
    signed::{KeyRole, Signed, SignedBody, TrustedKey},
    standing::{Standing, StandingOrder},
    time::ConsoleTime,
};
use ed25519_dalek::SigningKey;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, IsCa, Issuer, KeyPair,
    PublicKeyData, date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tower::ServiceExt;

use super::*;
use crate::{identity::tests::board, standing};

const LIMIT: Duration = Duration::from_secs(30);

struct Console {
    root_pem: String,
    issuer_pem: String,
    issuer: Issuer<'static, KeyPair>,
    signing: SigningKey,
    url: String,
    broker: BrokerAddress,
    /// What the console says of the device, and whose key signs it.
    word: Mutex<(Standing, SigningKey)>,
    /// Public keys as they were shown: to MQTT, at RENEW, at its confirmation.
    shown: Mutex<[Vec<Vec<u8>>; 3]>,
    /// The board that the console takes for the device.
    record: Mutex<Option<Hardware>>,
    standings_asked: Mutex<u32>,
    /// So many confirmations get lost on the way back.
    lose_proofs: Mutex<u32>,
}

const MQTT: usize = 0;
const RENEW: usize = 1;
const CONFIRM: usize = 2;

fn ca(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2036, 1, 1);
    params
}

fn rcgen_time(time: Timestamp) -> std::time::SystemTime {
    time.into()
}

impl Console {
    async fn start() -> Arc<Self> {
        tls::install_provider();
        let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let root_params = ca("root");
        let root_pem = root_params.self_signed(&root_key).unwrap().pem();
        let root = Issuer::new(root_params, root_key);
        let params = ca("devices");
        let issuer_pem = params.signed_by(&key, &root).unwrap().pem();
        let issuer = Issuer::new(params, key);

        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
        let leaf = leaf.signed_by(&key, &issuer).unwrap().der().clone();
        let chain = vec![
            leaf,
            CertificateDer::from_pem_slice(issuer_pem.as_bytes()).unwrap(),
        ];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(root_pem.as_bytes()).unwrap())
            .unwrap();
        let clients = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
        let config = ServerConfig::builder()
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (https, mqtt) = (
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        );
        let signing = SigningKey::from_bytes(&rand::random());
        let console = Arc::new(Self {
            root_pem,
            issuer_pem,
            issuer,
            word: Mutex::new((Standing::Active, signing.clone())),
            signing,
            url: format!("https://{}", https.local_addr().unwrap()),
            broker: BrokerAddress {
                host: "127.0.0.1".into(),
                port: mqtt.local_addr().unwrap().port(),
            },
            shown: Mutex::default(),
            record: Mutex::default(),
            standings_asked: Mutex::default(),
            lose_proofs: Mutex::default(),
        });
        tokio::spawn(serve_https(Arc::clone(&console), https, acceptor.clone()));
        tokio::spawn(refuse_mqtt(Arc::clone(&console), mqtt, acceptor));
        console
    }

    fn keys(&self) -> Vec<TrustedKey> {
        [KeyRole::Content, KeyRole::Command, KeyRole::Time]
            .map(|role| TrustedKey::of(key_id(), role, &self.signing))
            .to_vec()
    }

    fn sign<T: SignedBody>(body: &T, key: &SigningKey) -> Response {
        axum::Json(Signed::sign(body, key_id(), key).unwrap()).into_response()
    }

    /// A chain for a key, valid for so many days from now.
    fn certificate(&self, mut params: CertificateParams, key: &impl PublicKeyData, days: i64) -> String {
        let end = Timestamp::now()
            .checked_add(SignedDuration::from_hours(days * 24))
            .unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = rcgen_time(end).into();
        params.distinguished_name.push(DnType::CommonName, "d1");
        let leaf = params.signed_by(key, &self.issuer).unwrap().pem();
        format!("{leaf}{}", self.issuer_pem)
    }

    /// An identity of two years, so many days before its end.
    fn identity(&self, days_left: i64) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![]).unwrap();
        Identity {
            reply: EnrolReply {
                device_id: DeviceId::new("d1").unwrap(),
                certificate_pem: self.certificate(params, &key, days_left),
                ca_pem: self.root_pem.clone(),
                broker: self.broker.clone(),
                keys: self.keys(),
                placement: Placement::default(),
                issued_at: Timestamp::now()
                    .checked_sub(SignedDuration::from_hours((730 - days_left) * 24))
                    .unwrap(),
                renewal: Some(RenewalPolicy::default()),
                trust: None,
            },
            console_url: self.url.clone(),
            key_pem: key.serialize_pem(),
            hardware: Some(board("S1")),
        }
    }

    fn saw(&self, door: usize) -> Vec<Vec<u8>> {
        self.shown.lock().unwrap()[door].clone()
    }
}

fn key_id() -> KeyId {
    KeyId::new("k").unwrap()
}

fn public_key(certificate: &[u8]) -> Vec<u8> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).unwrap();
    parsed.public_key().subject_public_key.data.to_vec()
}

fn key_of(identity: &Identity) -> Vec<u8> {
    KeyPair::from_pem(&identity.key_pem).unwrap().der_bytes().to_vec()
}

fn peer(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    public_key(&stream.get_ref().1.peer_certificates().unwrap()[0])
}

/// A broker that reads CONNECT and answers "not authorized".
async fn refuse_mqtt(console: Arc<Console>, listener: TcpListener, acceptor: TlsAcceptor) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = acceptor.accept(stream).await else {
            continue;
        };
        console.shown.lock().unwrap()[MQTT].push(peer(&stream));
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(&[0x20, 3, 0, 0x87, 0]).await;
        let _ = stream.shutdown().await;
    }
}

async fn serve_https(console: Arc<Console>, listener: TcpListener, acceptor: TlsAcceptor) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (acceptor, console) = (acceptor.clone(), Arc::clone(&console));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let app = Router::new()
                .route(api::TIME, get(time))
                .route(api::STANDING, get(standing_word))
                .route(api::RENEW, post(renew))
                .route(api::RENEW_CONFIRM, post(confirm))
                .with_state((console, peer(&stream)));
            let service =
                hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    app.clone().oneshot(request.map(axum::body::Body::new))
                });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service)
                .await;
        });
    }
}

type Here = State<(Arc<Console>, Vec<u8>)>;

#[derive(serde::Deserialize)]
struct Asked {
    nonce: String,
}

async fn time(State((console, _)): Here, Query(Asked { nonce }): Query<Asked>) -> Response {
    let time = Timestamp::now();
    Console::sign(&ConsoleTime { time, nonce }, &console.signing)
}

async fn standing_word(State((console, _)): Here) -> Response {
    *console.standings_asked.lock().unwrap() += 1;
    let (standing, key) = console.word.lock().unwrap().clone();
    let order = StandingOrder {
        id: CommandId::new("c1").unwrap(),
        device_id: DeviceId::new("d1").unwrap(),
        standing,
        issued_at: Timestamp::now(),
        contact: "县电教站".into(),
        hardware: console.record.lock().unwrap().clone(),
    };
    Console::sign(&order, &key)
}

async fn renew(State((console, peer)): Here, body: Bytes) -> Response {
    console.shown.lock().unwrap()[RENEW].push(peer);
    let request: RenewRequest = serde_json::from_slice(&body).unwrap();
    let csr = CertificateSigningRequestParams::from_pem(&request.csr_pem).unwrap();
    axum::Json(RenewReply {
        certificate_pem: console.certificate(csr.params, &csr.public_key, 730),
        ca_pem: console.root_pem.clone(),
        broker: console.broker.clone(),
        keys: console.keys(),
        placement: Placement::default(),
        renewal: RenewalPolicy::default(),
        issued_at: Timestamp::now(),
    })
    .into_response()
}

async fn confirm(State((console, peer)): Here) -> Response {
    console.shown.lock().unwrap()[CONFIRM].push(peer);
    let mut lose = console.lose_proofs.lock().unwrap();
    if *lose > 0 {
        *lose -= 1;
        return StatusCode::BAD_GATEWAY.into_response();
    }
    StatusCode::NO_CONTENT.into_response()
}

fn free_ports() -> SocketAddr {
    loop {
        let first = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut at = first.local_addr().unwrap();
        at.set_port(at.port().saturating_add(1));
        if std::net::TcpListener::bind(at).is_ok() {
            return first.local_addr().unwrap();
        }
    }
}

fn config(dir: &Path, player: SocketAddr) -> Config {
    let text = format!(
        "data_dir = '{}'\nboard = 'generic-box-rev-a'\nserial = 'S1'\n[player]\nlisten = '{player}'\n\
         [identity]\nrenew_spread_s = 0\n[usb]\nroots = []\n",
        dir.display()
    );
    Config::parse(&text, Path::new("c")).unwrap()
}

struct Board {
    dir: tempfile::TempDir,
    player: SocketAddr,
    agent: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Board {
    fn with(identity: &Identity) -> Self {
        let dir = tempfile::tempdir().unwrap();
        IdentityFolder::new(dir.path()).store(identity).unwrap();
        let mut board = Self {
            dir,
            player: free_ports(),
            agent: None,
        };
        board.start();
        board
    }

    fn start(&mut self) {
        let (dir, player) = (self.dir.path().to_owned(), self.player);
        self.agent = Some(tokio::spawn(async move {
            // Within one process the tasks of the one before let go of lock and port a moment later.
            for _ in 0..200 {
                match run(config(&dir, player)).await {
                    Ok(()) => break,
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
            Ok(())
        }));
    }

    /// As a power cut ends it.
    async fn stop(&mut self) {
        let agent = self.agent.take().unwrap();
        assert!(!agent.is_finished(), "it ended by itself");
        agent.abort();
        let _ = agent.await;
    }

    fn folder(&self) -> IdentityFolder {
        IdentityFolder::new(self.dir.path())
    }

    async fn opens(&self) -> bool {
        TcpStream::connect(self.player).await.is_ok()
    }
}

async fn until(what: &str, mut check: impl FnMut() -> bool) {
    let start = Instant::now();
    while !check() {
        assert!(start.elapsed() < LIMIT, "{what}: not in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_due_is_renewed_proven_and_used_without_a_restart() {
    let console = Console::start().await;
    *console.lose_proofs.lock().unwrap() = 1;
    let old = console.identity(215);
    let mut board = Board::with(&old);
    let now = || board.folder().identity().unwrap().unwrap();
    until("the renewed identity is in force", || {
        now().key_pem != old.key_pem
    })
    .await;
    let new = now();
    assert_eq!(console.saw(RENEW), [key_of(&old)], "asked with the old one");
    assert_eq!(
        console.saw(CONFIRM),
        [key_of(&new), key_of(&new)],
        "proven with the new one, again after a lost answer"
    );
    until("MQTT shows the new one", || {
        console.saw(MQTT).last() == Some(&key_of(&new))
    })
    .await;
    until("nothing is left of the renewal", || {
        board.folder().renewed().is_none()
    })
    .await;
    assert!(board.opens().await, "the player stays");
    // The next start has nothing to renew.
    board.stop().await;
    board.start();
    let before = console.saw(MQTT).len();
    until("it connects again", || console.saw(MQTT).len() > before + 1).await;
    assert_eq!(console.saw(RENEW).len(), 1);
    board.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_signed_word_of_theft_wipes_and_it_outlasts_a_restart() {
    let console = Console::start().await;
    let identity = console.identity(700);
    let mut board = Board::with(&identity);
    *console.word.lock().unwrap() = (Standing::Stolen, SigningKey::from_bytes(&[9; 32]));
    until("a stranger's word was heard", || {
        *console.standings_asked.lock().unwrap() >= 1
    })
    .await;
    assert_eq!(
        board.folder().identity().unwrap(),
        Some(identity),
        "and changed nothing"
    );

    *console.word.lock().unwrap() = (Standing::Stolen, console.signing.clone());
    let gone = || !board.dir.path().join("identity").exists() && !board.dir.path().join("outbox").exists();
    until("secrets and records are wiped", gone).await;
    let lock = standing::locked(board.dir.path()).unwrap().unwrap();
    assert_eq!(
        (lock.order_id.as_str(), lock.contact.as_str()),
        ("c1", "县电教站")
    );
    assert!(board.opens().await, "it says so on its page");
    let (mqtt, asked) = (console.saw(MQTT).len(), *console.standings_asked.lock().unwrap());
    board.stop().await;
    board.start();
    until("it is up again", || {
        std::net::TcpStream::connect(board.player).is_ok()
    })
    .await;
    assert!(matches!(board.folder().load().unwrap(), Kept::Locked(_)));
    assert_eq!(
        (console.saw(MQTT).len(), *console.standings_asked.lock().unwrap()),
        (mqtt, asked)
    );
    board.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_device_and_a_copied_disk_let_go_of_the_console_and_keep_their_identity() {
    let console = Console::start().await;
    *console.word.lock().unwrap() = (Standing::Revoked, console.signing.clone());
    let identity = console.identity(700);
    let mut board = Board::with(&identity);
    until("the word is kept", || {
        standing::kept(board.dir.path()).unwrap().is_some()
    })
    .await;
    assert_eq!(
        standing::kept(board.dir.path()).unwrap().unwrap().standing,
        Standing::Revoked
    );
    board.stop().await;
    let mqtt = console.saw(MQTT).len();
    board.start();
    until("it is up again", || {
        std::net::TcpStream::connect(board.player).is_ok()
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(console.saw(MQTT).len(), mqtt, "it does not connect");
    assert_eq!(board.folder().identity().unwrap(), Some(identity.clone()));
    board.stop().await;

    let copied = Identity {
        hardware: Some(self::board("S2")),
        ..identity
    };
    let mut copy = Board::with(&copied);
    until("it is up", || std::net::TcpStream::connect(copy.player).is_ok()).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(console.saw(MQTT).len(), mqtt, "the copy does not connect");
    assert_eq!(copy.folder().identity().unwrap(), Some(copied));
    copy.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repaired_board_is_the_device_again_as_soon_as_the_console_says_so() {
    let console = Console::start().await;
    // The board is S1 now; the identity was given to what was in its case before.
    let before = Identity {
        hardware: Some(board("S0")),
        ..console.identity(700)
    };
    *console.record.lock().unwrap() = before.hardware.clone();
    let mut board = Board::with(&before);
    until("it asks though it takes itself for a copy", || {
        *console.standings_asked.lock().unwrap() >= 1
    })
    .await;
    assert_eq!(board.folder().identity().unwrap(), Some(before.clone()));
    // A stranger's signature brings nobody back.
    let mut here = hardware(&config(board.dir.path(), board.player));
    here.macs.clear();
    *console.record.lock().unwrap() = Some(here);
    *console.word.lock().unwrap() = (Standing::Active, SigningKey::from_bytes(&[9; 32]));
    let asked = *console.standings_asked.lock().unwrap();
    until("it asks again", || {
        *console.standings_asked.lock().unwrap() > asked
    })
    .await;
    assert_eq!(board.folder().identity().unwrap(), Some(before.clone()));
    assert!(console.saw(MQTT).is_empty(), "it did not connect");
    // Somebody accepted it.
    *console.word.lock().unwrap() = (Standing::Active, console.signing.clone());
    until("it connects as the device", || {
        console.saw(MQTT).first() == Some(&key_of(&before))
    })
    .await;
    let noted = board.folder().identity().unwrap().unwrap();
    assert_eq!(noted.hardware.unwrap().serial, "S1");
    assert_eq!(noted.key_pem, before.key_pem);
    board.stop().await;
}
