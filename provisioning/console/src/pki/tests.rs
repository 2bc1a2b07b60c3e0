use super::*;
use std::os::unix::fs::PermissionsExt;

fn csr(alg: &'static rcgen::SignatureAlgorithm, cn: &str) -> String {
    let key = KeyPair::generate_for(alg).unwrap();
    let mut params = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
    params.distinguished_name = subject(cn);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.insert_extended_key_usage(ExtendedKeyUsagePurpose::ServerAuth);
    params.serialize_request(&key).unwrap().pem().unwrap()
}

fn device() -> DeviceId {
    DeviceId::new("d-1").unwrap()
}

fn open(dir: &Path, hosts: &[&str]) -> anyhow::Result<Pki> {
    Pki::open_or_create(dir, &hosts.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>())
}

#[test]
fn a_device_certificate_says_the_device_and_nothing_the_request_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let pki = open(dir.path(), &["console.example"]).unwrap();
    let issued = pki
        .issue_device_cert(&csr(&PKCS_ECDSA_P256_SHA256, "bbt-console"), &device())
        .unwrap();
    let der = CertificateDer::from_pem_slice(issued.pem.as_bytes()).unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    assert_eq!(parsed.subject().to_string(), "CN=d-1");
    assert_eq!(device_of(&der), Some(device()));
    assert!(parsed.subject_alternative_name().unwrap().is_none());
    assert!(!parsed.is_ca());
    let usage = parsed.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any);
    assert_eq!(parsed.validity().not_before.timestamp(), NOT_BEFORE);
    assert_eq!(
        parsed.validity().not_after.timestamp(),
        issued.not_after.as_second()
    );
    assert!(issued.not_after > Timestamp::now() + jiff::SignedDuration::from_hours(9 * 365 * 24));
    assert_eq!(hex::encode(parsed.raw_serial()), issued.serial);
    assert!(facts(&der).unwrap().issued_by(pki.ca_pem()));
}

#[test]
fn unfit_requests_are_refused() {
    let good = csr(&PKCS_ECDSA_P256_SHA256, "x");
    assert!(check_csr(&good).is_ok());
    assert_eq!(
        check_csr(&csr(&rcgen::PKCS_ECDSA_P384_SHA384, "x")).unwrap_err(),
        CsrError::NotP256
    );
    assert_eq!(
        check_csr(&csr(&rcgen::PKCS_ED25519, "x")).unwrap_err(),
        CsrError::NotP256
    );
    assert!(matches!(check_csr("junk").unwrap_err(), CsrError::Unreadable(_)));
    assert!(matches!(
        check_csr(&"x".repeat(9000)).unwrap_err(),
        CsrError::TooLarge(9000)
    ));
    // A changed byte inside the request breaks its own signature.
    let der = rustls_pki_types::CertificateSigningRequestDer::from_pem_slice(good.as_bytes()).unwrap();
    let mut bytes = der.to_vec();
    let at = bytes.windows(3).position(|w| w == [0x06, 0x03, 0x55]).unwrap() + 7;
    bytes[at] ^= 1;
    assert!(CertificateSigningRequestParams::from_der(&bytes.as_slice().into()).is_err());
}

#[test]
fn files_are_private_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("pki");
    let first = open(&dir, &["Console.Example", "10.1.2.3"]).unwrap();
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    let (server, console) = (read(SERVER_PEM), read(CONSOLE_PEM));
    assert_eq!(
        std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777,
        0o700
    );
    for name in [CA_PEM, CA_KEY, SERVER_PEM, SERVER_KEY, CONSOLE_PEM, CONSOLE_KEY] {
        assert_eq!(
            std::fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777,
            0o600,
            "{name}"
        );
    }
    let again = open(&dir, &["10.1.2.3", "console.example"]).unwrap();
    assert_eq!(first.ca_pem(), again.ca_pem());
    assert_eq!(
        (server.clone(), console.clone()),
        (read(SERVER_PEM), read(CONSOLE_PEM))
    );
    // Other hosts: only the server's certificate is new.
    open(&dir, &["other.example"]).unwrap();
    assert_ne!(server, read(SERVER_PEM));
    assert_eq!(console, read(CONSOLE_PEM));
    let der = CertificateDer::from_pem_slice(read(SERVER_PEM).as_bytes()).unwrap();
    assert_eq!(
        facts(&der).unwrap().names,
        ["127.0.0.1", "::1", "localhost", "other.example"]
    );
}

#[test]
fn a_cut_or_damaged_folder_is_mended_or_named() {
    let dir = tempfile::tempdir().unwrap();
    let pki = open(dir.path(), &[]).unwrap();
    // A cut between key and certificate of the server.
    std::fs::copy(dir.path().join(CONSOLE_KEY), dir.path().join(SERVER_KEY)).unwrap();
    open(dir.path(), &[]).unwrap().device_server_config().unwrap();
    // A lost authority key is never silently replaced: every device would be locked out.
    std::fs::remove_file(dir.path().join(CA_KEY)).unwrap();
    let error = open(dir.path(), &[]).unwrap_err().to_string();
    assert!(error.contains("ca.key") && error.contains("backup"), "{error}");
    assert_eq!(
        std::fs::read_to_string(dir.path().join(CA_PEM)).unwrap(),
        pki.ca_pem()
    );
    // A host that is no name.
    let error = open(&dir.path().join("b"), &["a b"]).unwrap_err().to_string();
    assert!(error.contains("public_host") && error.contains("a b"), "{error}");
}

#[test]
fn a_wrong_clock_neither_makes_nor_refuses_dead_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::open_at(dir.path(), &[], Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(pki.ca_not_after, BUILT_AFTER + TEN_YEARS);
    let held = HeldClock {
        not_after: NOT_BEFORE + 1,
    };
    let now = rustls::time_provider::TimeProvider::current_time(&held).unwrap();
    assert_eq!(now.as_secs(), u64::try_from(NOT_BEFORE + 1).unwrap());
}

#[test]
fn only_a_lone_device_name_is_a_device() {
    let key = KeyPair::generate().unwrap();
    let named = |name: DistinguishedName| {
        let mut params = CertificateParams::default();
        params.distinguished_name = name;
        params.self_signed(&key).unwrap().der().clone()
    };
    assert_eq!(device_of(&named(subject("d-1"))), Some(device()));
    assert_eq!(device_of(&named(subject(CONSOLE_CN))), None);
    assert_eq!(device_of(&named(subject("no device"))), None);
    let mut two = subject("d-1");
    two.push(DnType::OrganizationName, "x");
    assert_eq!(device_of(&named(two)), None);
}
