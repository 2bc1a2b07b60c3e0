//! Enrolment against real HTTPS consoles.

use std::{fs, net::TcpListener, path::Path, sync::Arc};

use agent_core::enrol::Failure;
use contract::{code::TicketCode, enrol::EnrolmentTicket, signed::Signed, standing::StandingOrder};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig, ServerConnection,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use super::*;
use crate::{
    config::Language,
    io::{
        enrol::kit::{Console, County},
        tls,
    },
};

/// Its PEM, and what it signs with.
fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    (pem, Issuer::new(params, key))
}

/// Something at `127.0.0.1` that greets one client by a certificate of `issuer`, and no more; its port.
fn greeter(issuer: &Issuer<'static, KeyPair>) -> u16 {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap().der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
        let _ = tls.complete_io(&mut stream);
    });
    port
}

#[tokio::test]
async fn a_console_of_another_authority_is_named_and_not_taken_for_a_dead_line() {
    tls::install_provider();
    let dir = tempfile::tempdir().unwrap();
    let config = kit::config(dir.path(), "s");
    let file = dir.path().join("ticket.json");
    let (ca_pem, _) = authority("county");
    // One of another county, and the county's own, made anew under its old name.
    for name in ["elsewhere", "county"] {
        let (_, other) = authority(name);
        let ticket = EnrolmentTicket {
            console_url: format!("https://127.0.0.1:{}", greeter(&other)),
            code: "7K3M9QXZ".into(),
            ca_pem: ca_pem.clone(),
            expires_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        };
        fs::write(&file, serde_json::to_vec(&ticket).unwrap()).unwrap();
        let mut told = Vec::new();
        let tell = |sentence: &str| told.push(sentence.to_owned());
        let error = enrol(&config, Means::Ticket(&file), None, false, tell)
            .await
            .unwrap_err();
        assert!(
            matches!(&told[..], [one] if one.contains(&ticket.console_url)),
            "{told:?}"
        );
        assert!(
            matches!(error, EnrolError::Failed(Failure::Stranger(_))),
            "{name}: {error}"
        );
        assert!(error.say(Language::ZhCn).contains("请县里重新签发"), "{error}");
        assert!(!error.to_string().contains("cable"), "{error}");
    }
    assert!(IdentityFolder::of(&config).identity().unwrap().is_none());
}

/// A board that knows its county, and the county's console.
async fn board(dir: &Path) -> (Config, Arc<County>, Console) {
    let county = Arc::new(County::new());
    let console = county.console().await;
    let config = kit::config(dir, "SN-1");
    county::keep(&config.data_dir, &county.file(&console.url())).unwrap();
    (config, county, console)
}

async fn by_code(config: &Config, typed: &str, again: bool) -> Result<Enrolled, EnrolError> {
    enrol(config, Means::Code(typed), None, again, |_| {}).await
}

#[tokio::test]
async fn a_mistyped_code_is_said_before_anybody_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (config, _, console) = board(dir.path()).await;
    let code: TicketCode = "7K3M9QX0".parse().unwrap();
    let mut wrong = code.typed();
    wrong.replace_range(0..1, "8");
    for (typed, words) in [
        (wrong.as_str(), "校验位"),
        ("7K3M-9QX", "9 位"),
        ("7K3M-9QXU-1", "U"),
    ] {
        let error = by_code(&config, typed, false).await.unwrap_err();
        assert!(matches!(error, EnrolError::Mistyped(_)), "{error}");
        assert!(error.say(Language::ZhCn).contains(words), "{error}");
    }
    assert!(console.desk.enrolments.lock().unwrap().is_empty());
    // And without a county there is nobody to ask.
    let stranger = kit::config(&dir.path().join("other"), "SN-2");
    let error = by_code(&stranger, &code.typed(), false).await.unwrap_err();
    assert!(matches!(error, EnrolError::NoCounty), "{error}");
}

#[tokio::test]
async fn a_lost_answer_costs_no_ticket_and_the_same_console_is_not_asked_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (config, _, console) = board(dir.path()).await;
    let code: TicketCode = "7K3M9QX0".parse().unwrap();
    console.desk.allow("7K3M9QX0", "d1");
    // All answers of the first attempt get lost, and the board is switched off meanwhile.
    *console.desk.lose_answers.lock().unwrap() = 1;
    let errand = Errand {
        tries: 1,
        ..errand_of_code(&config, &code.typed(), None).unwrap()
    };
    let applicant = || {
        Applicant::new(
            Arc::new(config.clone()),
            hardware::hardware(&config),
            TimeFloor::default(),
        )
        .unwrap()
    };
    let error = applicant().enrol(&errand, |_| {}).await.unwrap_err();
    assert!(
        matches!(error, EnrolError::Failed(Failure::Unreachable(_))),
        "{error}"
    );
    let enrolled = by_code(&config, &code.typed().to_lowercase(), false)
        .await
        .unwrap();
    assert_eq!(enrolled, Enrolled::Now(DeviceId::new("d1").unwrap()));
    let asked = console.desk.enrolments.lock().unwrap().len();
    assert_eq!(asked, 2);
    // Again: nothing is asked, nothing changes.
    let before = fs::read(config.data_dir.join("identity/identity.json")).unwrap();
    console.desk.allow("8888888T", "d2");
    let other: TicketCode = "8888888T".parse().unwrap();
    let enrolled = by_code(&config, &other.typed(), false).await.unwrap();
    assert_eq!(enrolled, Enrolled::Already(DeviceId::new("d1").unwrap()));
    assert_eq!(console.desk.enrolments.lock().unwrap().len(), asked);
    assert_eq!(
        fs::read(config.data_dir.join("identity/identity.json")).unwrap(),
        before
    );
    // Unless it is wanted, or the console said that the identity is dead.
    let enrolled = by_code(&config, &other.typed(), true).await.unwrap();
    assert_eq!(enrolled, Enrolled::Now(DeviceId::new("d2").unwrap()));
}

#[tokio::test]
async fn a_revoked_device_and_a_copied_disk_enrol_without_being_asked_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (mut config, county, console) = board(dir.path()).await;
    let typed = |code: &str| code.parse::<TicketCode>().unwrap().typed();
    console.desk.allow("7K3M9QX0", "d1");
    console.desk.allow("8888888T", "d2");
    console.desk.allow("9999999T", "d3");
    by_code(&config, &typed("7K3M9QX0"), false).await.unwrap();
    let order: Signed<StandingOrder> = county.sign(&StandingOrder {
        id: contract::id::CommandId::new("c1").unwrap(),
        device_id: DeviceId::new("d1").unwrap(),
        standing: Standing::Revoked,
        issued_at: "2026-11-03T00:00:00Z".parse().unwrap(),
        contact: String::new(),
        hardware: None,
    });
    standing::keep(&config.data_dir, &order, &county.file("https://x").keys).unwrap();
    let enrolled = by_code(&config, &typed("8888888T"), false).await.unwrap();
    assert_eq!(enrolled, Enrolled::Now(DeviceId::new("d2").unwrap()));
    config.serial = Some("another board".into());
    let enrolled = by_code(&config, &typed("9999999T"), false).await.unwrap();
    assert_eq!(enrolled, Enrolled::Now(DeviceId::new("d3").unwrap()));
}

#[tokio::test]
async fn a_schools_code_lists_its_classrooms_and_a_refusal_keeps_the_consoles_words() {
    let dir = tempfile::tempdir().unwrap();
    let (config, _, console) = board(dir.path()).await;
    let code: TicketCode = "7K3M9QX0".parse().unwrap();
    let needs = (
        "ticket_needs_classroom",
        "注册码属于整所学校，请选择教室；可选：301 三年级（1）班、302 三年级（2）班。",
        "",
    );
    console.desk.refuse("7K3M9QX0", needs);
    let error = by_code(&config, &code.typed(), false).await.unwrap_err();
    let said = error.say(Language::ZhCn);
    assert!(
        said.contains("--classroom 301  三年级（1）班") && said.contains("302"),
        "{said}"
    );
    assert_eq!(error.denied().classrooms[1].code, "302");
    let enrolled = enrol(&config, Means::Code(&code.typed()), Some("302"), false, |_| {})
        .await
        .unwrap();
    assert_eq!(enrolled, Enrolled::Now(DeviceId::new("d-room").unwrap()));
    let named = console
        .desk
        .enrolments
        .lock()
        .unwrap()
        .last()
        .unwrap()
        .classroom
        .clone();
    assert_eq!(named.as_deref(), Some("302"));
    console.desk.refuse(
        "8888888T",
        ("ticket_expired", "注册码已过期；请在控制台重新签发。", ""),
    );
    let other: TicketCode = "8888888T".parse().unwrap();
    let error = by_code(&config, &other.typed(), true).await.unwrap_err();
    assert!(error.say(Language::ZhCn).contains("已过期"), "{error}");
}
