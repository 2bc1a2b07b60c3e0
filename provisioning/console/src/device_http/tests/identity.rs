//! Renewal, standing, time, and who is kept out.

use std::sync::atomic::{AtomicI64, Ordering};

use contract::{
    hardware::Hardware,
    id::DeviceId,
    renew::{RenewReply, RenewRequest},
    standing::{Standing, StandingOrder},
    time::ConsoleTime,
};

use super::*;
use crate::{
    api::{audit::AuditQuery, clones::CloneState},
    pki::{IssuedCert, check_csr, denylist::DeadCertificate},
};

/// For a cut to be felt.
const CUT: Duration = Duration::from_secs(5);

fn csr(key: &KeyPair) -> String {
    CertificateParams::default()
        .serialize_request(key)
        .unwrap()
        .pem()
        .unwrap()
}

fn board(serial: &str) -> Hardware {
    Hardware {
        serial: serial.into(),
        mcu_id: Some(format!("mcu-{serial}")),
        ..Hardware::default()
    }
}

fn renewal(key: &KeyPair, serial: &str) -> RenewRequest {
    RenewRequest {
        csr_pem: csr(key),
        hardware: board(serial),
    }
}

impl Door {
    /// A certificate of ours with a last second of one's own.
    fn issue(&self, device: &DeviceId, key: &KeyPair, until: i64) -> IssuedCert {
        let csr = check_csr(&csr(key)).unwrap();
        self.http.pki.issue_until(csr, device, until).unwrap()
    }

    async fn call(&self, client: &Client, path: &str) -> (u16, String) {
        let ask = || client.get(format!("{}{path}", self.url)).send();
        let answer = match ask().await {
            Ok(answer) => answer,
            // The connection that the client had kept was cut.
            Err(_) => ask().await.unwrap(),
        };
        let (status, code, _) = problem(answer).await;
        (status, code)
    }

    async fn renew(&self, client: &Client, request: &RenewRequest) -> Response {
        client
            .post(format!("{}{}", self.url, api::RENEW))
            .json(request)
            .send()
            .await
            .unwrap()
    }

    async fn confirm(&self, client: &Client) -> Response {
        client
            .post(format!("{}{}", self.url, api::RENEW_CONFIRM))
            .send()
            .await
            .unwrap()
    }

    async fn standing(&self, client: &Client) -> StandingOrder {
        let answer = client
            .get(format!("{}{}", self.url, api::STANDING))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), Status::OK);
        let signed: Signed<StandingOrder> = answer.json().await.unwrap();
        signed.verify(&self.http.keys.trusted()).unwrap()
    }

    /// A connection of the device's, without a client's own patience.
    async fn raw(&self, device: &Device) -> tokio_rustls::client::TlsStream<TcpStream> {
        use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(device.reply.ca_pem.as_bytes()).unwrap())
            .unwrap();
        let chain = CertificateDer::pem_slice_iter(device.reply.certificate_pem.as_bytes())
            .collect::<Result<_, _>>()
            .unwrap();
        let key = PrivateKeyDer::from_pem_slice(device.key_pem.as_bytes()).unwrap();
        let config = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = "127.0.0.1".try_into().unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await.unwrap()
    }

    async fn refresh(&self) {
        self.http.denylist.refresh(&self.http.db).await.unwrap();
    }
}

/// A path that needs a device in good standing; the manifest is not there.
fn needs_standing() -> String {
    api::manifest_path(Hash::of(b"none"))
}

#[tokio::test]
async fn a_certificate_that_ran_out_may_only_be_renewed() {
    let door = Door::open().await;
    let device = door.enrol("K7Q20191", "SN-1").await;
    let old = key();
    let yesterday = Timestamp::now().as_second() - 86_400;
    let issued = door.issue(&device.reply.device_id, &old, yesterday);
    let sleeper = door.client(Some((&issued.pem, &old)));
    assert_eq!(
        door.call(&sleeper, &needs_standing()).await,
        (401, "certificate_expired".into())
    );
    assert_eq!(door.standing(&sleeper).await.standing, Standing::Active);
    let fresh = key();
    let reply: RenewReply = door
        .renew(&sleeper, &renewal(&fresh, "SN-1"))
        .await
        .json()
        .await
        .unwrap();
    let awake = door.client(Some((&reply.certificate_pem, &fresh)));
    assert_eq!(door.confirm(&awake).await.status(), Status::NO_CONTENT);
    assert_eq!(
        door.call(&awake, &needs_standing()).await,
        (404, "not_found".into())
    );
}

#[tokio::test]
async fn a_renewal_is_proven_before_the_old_certificate_goes() {
    let door = Door::open().await;
    let device = door.enrol("K7Q20191", "SN-1").await;
    let (lost, fresh) = (key(), key());
    // An answer that never arrived costs nothing.
    let first: RenewReply = door
        .renew(&device.client, &renewal(&lost, "SN-1"))
        .await
        .json()
        .await
        .unwrap();
    let reply: RenewReply = door
        .renew(&device.client, &renewal(&fresh, "SN-1"))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(reply.ca_pem, device.reply.ca_pem);
    assert_eq!(reply.broker, device.reply.broker, "as its ticket said");
    assert_eq!(reply.placement, device.reply.placement);
    assert_eq!(Some(reply.renewal), device.reply.renewal);
    assert_eq!(reply.keys, door.http.keys.trusted());
    let works = (404, "not_found".to_owned());
    assert_eq!(
        door.call(&device.client, &needs_standing()).await,
        works,
        "not proven yet"
    );
    // The old one confirms nothing.
    assert_eq!(door.confirm(&device.client).await.status(), Status::NO_CONTENT);
    let renewed = door.client(Some((&reply.certificate_pem, &fresh)));
    for _ in 0..3 {
        assert_eq!(door.confirm(&renewed).await.status(), Status::NO_CONTENT);
    }
    assert_eq!(door.call(&renewed, &needs_standing()).await, works);
    let dead = (401, "certificate_retired".to_owned());
    let again = door.client(Some((&first.certificate_pem, &lost)));
    assert_eq!(door.call(&again, &needs_standing()).await, dead);
    assert_eq!(problem(door.confirm(&again).await).await.1, "certificate_retired");
    let identity = door
        .http
        .db
        .standings()
        .identity(&Scope::everything(), &device.reply.device_id)
        .await
        .unwrap();
    let mut states: Vec<_> = identity.certificates.iter().map(|c| c.state.as_str()).collect();
    states.sort_unstable();
    assert_eq!(states, ["current", "retired", "retired"]);
    let (rows, _) = door
        .http
        .db
        .audit()
        .list(&AuditQuery::default(), &Scope::everything())
        .await
        .unwrap();
    let device_id = device.reply.device_id.as_str();
    let acts: Vec<_> = rows
        .iter()
        .filter(|row| row.action.starts_with("devices.renew"))
        .map(|row| {
            (
                row.action.as_str(),
                row.actor_kind.as_str(),
                row.actor.as_str(),
                row.object.as_str(),
            )
        })
        .collect();
    let act = |action| (action, "device", device_id, device_id);
    let expected = [act("devices.renewed"), act("devices.renew"), act("devices.renew")];
    assert_eq!(acts, expected, "newest first; asked twice, proven once");
    assert_eq!(door.http.denylist.device(&device.reply.device_id), None);
    let current = identity
        .certificates
        .iter()
        .find(|c| c.state == "current")
        .unwrap();
    assert_eq!(door.http.denylist.serial(&current.serial), None);
    let retired = identity
        .certificates
        .iter()
        .find(|c| c.state == "retired")
        .unwrap();
    assert_eq!(
        door.http.denylist.serial(&retired.serial),
        Some(DeadCertificate::Retired)
    );
}

#[tokio::test]
async fn unfit_renewals_are_refused_and_counted() {
    let door = Door::open().await;
    let device = door.enrol("K7Q20191", "SN-1").await;
    let stranger = key();
    let answer = door.renew(&door.client(None), &renewal(&stranger, "SN-1")).await;
    assert_eq!(problem(answer).await.1, "certificate_required");
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    assert_eq!(
        problem(door.renew(&device.client, &renewal(&p384, "SN-1")).await)
            .await
            .1,
        "bad_csr"
    );
    let mut huge = renewal(&stranger, "SN-1");
    huge.csr_pem = "x".repeat(9000);
    assert_eq!(
        problem(door.renew(&device.client, &huge).await).await.1,
        "bad_csr"
    );
    huge.csr_pem = "x".repeat(100_000);
    assert_eq!(
        problem(door.renew(&device.client, &huge).await).await.1,
        "too_large"
    );
    let mut odd = renewal(&stranger, "SN-1");
    odd.hardware.disk_id = Some("\u{7}".into());
    assert_eq!(
        problem(door.renew(&device.client, &odd).await).await.1,
        "invalid_field"
    );
    // Another name in the request is not read.
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "d-another");
    let foreign = RenewRequest {
        csr_pem: params.serialize_request(&stranger).unwrap().pem().unwrap(),
        hardware: board("SN-1"),
    };
    let reply: RenewReply = door.renew(&device.client, &foreign).await.json().await.unwrap();
    let renamed = door.client(Some((&reply.certificate_pem, &stranger)));
    assert_eq!(door.standing(&renamed).await.device_id, device.reply.device_id);
    for _ in 0..renew::RENEWALS {
        door.renew(&device.client, &renewal(&stranger, "SN-1")).await;
    }
    let answer = door.renew(&device.client, &renewal(&stranger, "SN-1")).await;
    let (status, code, retry) = problem(answer).await;
    assert_eq!((status, code.as_str(), retry.is_some()), (503, "busy", true));
}

#[tokio::test]
async fn a_copied_disk_gets_no_certificate() {
    let door = Door::open().await;
    let device = door.enrol("K7Q20191", "SN-1").await;
    let fresh = key();
    let answer = door.renew(&device.client, &renewal(&fresh, "SN-1")).await;
    assert_eq!(answer.status(), Status::OK, "what it tells first is learnt");
    let mut copy = renewal(&fresh, "SN-1");
    copy.hardware.mcu_id = Some("another".into());
    let answer = door.renew(&device.client, &copy).await;
    assert_eq!(problem(answer).await.1, "device_quarantined");
    let clones = door.http.db.clones();
    let seen = clones.list(&Scope::everything(), None).await.unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].state, CloneState::Quarantined);
    let answer = door.renew(&device.client, &renewal(&fresh, "SN-1")).await;
    assert_eq!(answer.status(), Status::OK, "the original goes on");
}

#[tokio::test]
async fn who_is_kept_out_hears_why_and_nothing_else() {
    let door = Door::open().await;
    let device = door.enrol("K7Q20191", "SN-1").await;
    let id = &device.reply.device_id;
    let everything = Scope::everything();
    let standings = door.http.db.standings();
    let active = door.standing(&device.client).await;
    assert_eq!((active.standing, &active.device_id), (Standing::Active, id));
    assert_eq!(door.standing(&device.client).await.id, active.id, "the same word");

    let now = Timestamp::now();
    standings.revoke(&everything, id, "sold", now).await.unwrap();
    door.refresh().await;
    let out = |code: &str| (403, code.to_owned());
    assert_eq!(
        door.call(&device.client, &needs_standing()).await,
        out("device_revoked")
    );
    let answer = door.renew(&device.client, &renewal(&key(), "SN-1")).await;
    assert_eq!(problem(answer).await.1, "device_revoked");
    let revoked = door.standing(&device.client).await;
    assert_eq!(revoked.standing, Standing::Revoked);
    assert_ne!(revoked.id, active.id);
    assert!(standings.revoke(&everything, id, "again", now).await.is_err());

    standings
        .stolen(&everything, id, "broken window", "0871-1234", now)
        .await
        .unwrap();
    door.refresh().await;
    assert_eq!(
        door.call(&device.client, &needs_standing()).await,
        out("device_stolen")
    );
    let stolen = door.standing(&device.client).await;
    assert_eq!(
        (stolen.standing, stolen.contact.as_str()),
        (Standing::Stolen, "0871-1234")
    );
    assert_eq!(door.standing(&device.client).await.id, stolen.id);
    assert_eq!(standings.unlock(&everything, id, now).await.unwrap(), stolen.id);
    assert!(standings.unlock(&everything, id, now).await.is_err());
    assert_eq!(door.standing(&device.client).await.standing, Standing::Revoked);

    let events = door
        .http
        .db
        .security()
        .list(&everything, Some(true))
        .await
        .unwrap();
    assert!(
        events.iter().any(|e| e.device_id.as_deref() == Some(id.as_str())),
        "a dead identity that calls is told: {events:?}"
    );
    // Out of reach is not there.
    let nobody = door.http.db.resolve_scope(&[], false).await.unwrap();
    assert!(standings.revoke(&nobody, id, "x", now).await.is_err());
    let dead = door.http.db.certificates().dead(now).await.unwrap();
    assert_eq!(dead.len(), 1);
}

#[tokio::test]
async fn a_certificate_nobody_has_heard_of_is_good_if_it_is_ours() {
    let door = Door::open().await;
    let device = door.enrol("K7Q20191", "SN-1").await;
    let fresh = key();
    let issued = door.issue(
        &device.reply.device_id,
        &fresh,
        Timestamp::now().as_second() + 86_400,
    );
    let restored = door.client(Some((&issued.pem, &fresh)));
    assert_eq!(
        door.call(&restored, &needs_standing()).await,
        (404, "not_found".into())
    );
    assert_eq!(door.confirm(&restored).await.status(), Status::NO_CONTENT);
    assert_eq!(
        door.call(&device.client, &needs_standing()).await,
        (401, "certificate_retired".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_answer_ends_when_its_device_is_revoked() {
    let door = Door::open().await;
    let (victim, other) = (
        door.enrol("K7Q20191", "SN-1").await,
        door.enrol("K7Q20192", "SN-2").await,
    );
    // Kept-alive connections of both, without a request under way.
    let works = (404, "not_found".to_owned());
    assert_eq!(door.call(&other.client, &needs_standing()).await, works);
    let mut streams = Vec::new();
    for device in [&victim, &other] {
        let mut stream = door.raw(device).await;
        let head = format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", needs_standing());
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        assert!(stream.read(&mut answer).await.unwrap() > 0);
        streams.push(stream);
    }
    let standings = door.http.db.standings();
    standings
        .revoke(
            &Scope::everything(),
            &victim.reply.device_id,
            "sold",
            Timestamp::now(),
        )
        .await
        .unwrap();
    door.refresh().await;
    let mut byte = [0; 1];
    let ended = tokio::time::timeout(CUT, streams[0].read(&mut byte)).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
    let open = tokio::time::timeout(Duration::from_millis(300), streams[1].read(&mut byte)).await;
    assert!(open.is_err(), "another device's connection stays: {open:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_download_ends_when_its_device_is_reported_stolen() {
    let door = Door::open().await;
    let device = door.enrol("K7Q20191", "SN-1").await;
    let (_, lesson, video) = door.lesson("one", &device).await;
    let mut stream = door.raw(&device).await;
    // A slow reader: the answer waits for it.
    let head = format!(
        "GET {} HTTP/1.1\r\nhost: x\r\n\r\n",
        api::file_path(lesson.files[0].hash)
    );
    let many = head.repeat(64);
    stream.write_all(many.as_bytes()).await.unwrap();
    let mut first = vec![0; 1024];
    assert!(stream.read(&mut first).await.unwrap() > 0);
    let standings = door.http.db.standings();
    standings
        .stolen(
            &Scope::everything(),
            &device.reply.device_id,
            "gone",
            "",
            Timestamp::now(),
        )
        .await
        .unwrap();
    door.refresh().await;
    let rest = async {
        let (mut total, mut some) = (0, vec![0; 65_536]);
        while let Ok(read) = stream.read(&mut some).await {
            total += read;
            if read == 0 {
                break;
            }
        }
        total
    };
    let total = tokio::time::timeout(CUT, rest).await.expect("cut in time");
    assert!(total < 60 * video.len(), "{total} bytes came");
}

#[tokio::test]
async fn the_time_is_signed_while_it_is_believed() {
    let wall = Arc::new(AtomicI64::new(Timestamp::now().as_second()));
    let hands = Arc::clone(&wall);
    let clock = HouseClock::handed(
        move || Timestamp::from_second(hands.load(Ordering::SeqCst)).unwrap(),
        || Duration::ZERO,
        None,
    );
    let door = Door::at(Limits::default(), clock).await;
    let device = door.enrol("K7Q20191", "SN-1").await;
    let anybody = door.client(None);
    let ask = async |client: &Client, query: &str| {
        client
            .get(format!("{}{}{query}", door.url, api::TIME))
            .send()
            .await
            .unwrap()
    };
    let answer = ask(&anybody, "?nonce=n1").await;
    let signed: Signed<ConsoleTime> = answer.json().await.unwrap();
    let time = signed.verify(&device.reply.keys).unwrap();
    assert_eq!(
        (time.nonce.as_str(), time.time.as_second()),
        ("n1", wall.load(Ordering::SeqCst))
    );
    assert_eq!(ask(&anybody, "").await.status(), Status::OK, "a token for peers");
    let long = format!("?nonce={}", "x".repeat(65));
    assert_eq!(problem(ask(&anybody, &long).await).await.1, "invalid_field");

    // 2099: nothing is signed, devices are served.
    wall.store(4_070_908_800, Ordering::SeqCst);
    let doubtful = (503, "clock_doubtful".to_owned());
    assert_eq!(door.call(&anybody, api::TIME).await, doubtful);
    assert_eq!(door.call(&device.client, api::STANDING).await, doubtful);
    assert_eq!(
        problem(door.renew(&device.client, &renewal(&key(), "SN-1")).await)
            .await
            .1,
        "clock_doubtful"
    );
    door.fresh_ticket("K7Q20192").await;
    assert_eq!(
        problem(door.ask(&request("K7Q20192", "SN-2", &key())).await)
            .await
            .1,
        "clock_doubtful"
    );
    // Its certificate has not run out by the time that went on.
    assert_eq!(
        door.call(&device.client, &needs_standing()).await,
        (404, "not_found".into())
    );
    door.http.clock.accept();
    assert_eq!(ask(&anybody, "").await.status(), Status::OK);
}
