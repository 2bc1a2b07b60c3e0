use super::*;
use rcgen::{BasicConstraints, DistinguishedName, DnType, IsCa};
use rustls_pki_types::UnixTime;
use std::{os::unix::fs::PermissionsExt, process::Command, time::Duration};

use super::{
    cert::{NOT_BEFORE, subject},
    root::BUILT_AFTER,
    verify::held,
};

fn csr(alg: &'static rcgen::SignatureAlgorithm, cn: &str) -> String {
    let key = KeyPair::generate_for(alg).unwrap();
    let mut params = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
    params.distinguished_name = subject(cn);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.insert_extended_key_usage(ExtendedKeyUsagePurpose::ServerAuth);
    params.serialize_request(&key).unwrap().pem().unwrap()
}

fn p256(cn: &str) -> String {
    csr(&PKCS_ECDSA_P256_SHA256, cn)
}

fn device() -> DeviceId {
    DeviceId::new("d-1").unwrap()
}

/// A data folder with room beside it.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let around = tempfile::tempdir().unwrap();
    let data = around.path().join("data");
    std::fs::create_dir(&data).unwrap();
    (around, data)
}

fn open(dir: &Path, hosts: &[&str]) -> anyhow::Result<Pki> {
    Pki::for_tests(dir, &hosts.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>())
}

fn openssl(dir: &Path, args: &[&str]) -> (bool, String) {
    let done = Command::new("openssl")
        .current_dir(dir)
        .args(args)
        .output()
        .unwrap();
    let text = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_device_certificate_says_the_device_and_nothing_the_request_asked_for() {
    let (_around, dir) = folder();
    let pki = open(&dir, &["console.example"]).unwrap();
    let now = Timestamp::now();
    let issued = pki
        .issue_device_cert(&p256("bbt-console"), &device(), now)
        .unwrap();
    let chain: Vec<_> = CertificateDer::pem_slice_iter(issued.pem.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap();
    let [der, intermediate] = chain.as_slice() else {
        panic!("leaf and intermediate")
    };
    let (_, parsed) = x509_parser::parse_x509_certificate(der).unwrap();
    assert_eq!(parsed.subject().to_string(), "CN=d-1");
    assert_eq!(device_of(der), Some(device()));
    assert!(parsed.subject_alternative_name().unwrap().is_none());
    assert!(!parsed.is_ca());
    let usage = parsed.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any);
    assert_eq!(parsed.validity().not_before.timestamp(), NOT_BEFORE);
    assert_eq!(
        parsed.validity().not_after.timestamp(),
        issued.not_after.as_second()
    );
    let days = issued.not_after.duration_since(now).as_hours() / 24;
    assert!((729..=730).contains(&days), "{days}");
    assert_eq!(serial_of(der), Some((issued.serial.clone(), issued.not_after)));
    assert!(facts(der).unwrap().issued_by(intermediate));
    assert!(!facts(der).unwrap().issued_by(&pki.root));
    assert!(facts(intermediate).unwrap().issued_by(&pki.root));
    let (_, above) = x509_parser::parse_x509_certificate(intermediate).unwrap();
    let limits = above.basic_constraints().unwrap().unwrap().value;
    assert_eq!((limits.ca, limits.path_len_constraint), (true, Some(0)));
    assert!(
        CertificateDer::pem_slice_iter(pki.ca_pem().as_bytes()).count() == 1,
        "devices pin the root alone"
    );
}

#[test]
fn a_certificate_never_outlives_the_authority() {
    let (_around, dir) = folder();
    let pki = open(&dir, &[]).unwrap();
    let late = Timestamp::now() + SignedDuration::from_hours(24 * 365 * 9 + 24 * 200);
    let issued = pki.issue_device_cert(&p256("x"), &device(), late).unwrap();
    assert_eq!(issued.not_after, pki.tiers().unwrap()[1].not_after);
}

#[test]
fn unfit_requests_are_refused() {
    let good = p256("x");
    assert!(check_csr(&good).is_ok());
    for other in [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
        assert_eq!(check_csr(&csr(other, "x")).unwrap_err(), CsrError::NotP256);
    }
    let dir = tempfile::tempdir().unwrap();
    for (name, kind) in [
        ("rsa", &["-newkey", "rsa:2048"][..]),
        (
            "weak",
            &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp224r1"],
        ),
        (
            "k1",
            &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
        ),
    ] {
        let mut args = vec![
            "req", "-new", "-nodes", "-subj", "/CN=x", "-keyout", "key", "-out", name,
        ];
        args.extend(kind);
        let (done, text) = openssl(dir.path(), &args);
        assert!(done, "{text}");
        let pem = std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert!(check_csr(&pem).is_err(), "{name}");
    }
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
    assert!(rcgen::CertificateSigningRequestParams::from_der(&bytes.as_slice().into()).is_err());
}

#[test]
fn files_are_private_and_survive_a_restart() {
    let (_around, data) = folder();
    let dir = data.join("pki");
    let before = open(&dir, &["Console.Example", "10.1.2.3"]).unwrap();
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    let (server, console) = (read(SERVER_PEM), read(CONSOLE_PEM));
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(dir.clone()), 0o700);
    for name in [
        ROOT_PEM,
        INTERMEDIATE_PEM,
        INTERMEDIATE_KEY,
        SERVER_PEM,
        SERVER_KEY,
        CONSOLE_PEM,
        CONSOLE_KEY,
    ] {
        assert_eq!(mode(dir.join(name)), 0o600, "{name}");
    }
    let again = open(&dir, &["10.1.2.3", "console.example"]).unwrap();
    assert_eq!(before.ca_pem(), again.ca_pem());
    assert_eq!(
        (server.clone(), console.clone()),
        (read(SERVER_PEM), read(CONSOLE_PEM))
    );
    // Other hosts: only the server's certificate is new.
    open(&dir, &["other.example"]).unwrap();
    assert_ne!(server, read(SERVER_PEM));
    assert_eq!(console, read(CONSOLE_PEM));
    let der = first(&read(SERVER_PEM)).unwrap();
    assert_eq!(
        facts(&der).unwrap().names,
        ["127.0.0.1", "::1", "localhost", "other.example"]
    );
}

#[test]
fn a_cut_or_damaged_folder_is_mended_or_named() {
    let (_around, dir) = folder();
    let pki = open(&dir, &[]).unwrap();
    // A cut between key and certificate of the server.
    std::fs::copy(dir.join(CONSOLE_KEY), dir.join(SERVER_KEY)).unwrap();
    open(&dir, &[]).unwrap().device_server_config().unwrap();
    // A lost key is never silently replaced.
    let key = std::fs::read(dir.join(INTERMEDIATE_KEY)).unwrap();
    std::fs::remove_file(dir.join(INTERMEDIATE_KEY)).unwrap();
    let error = open(&dir, &[]).unwrap_err().to_string();
    assert!(
        error.contains(INTERMEDIATE_KEY) && error.contains("backup"),
        "{error}"
    );
    std::fs::write(dir.join(INTERMEDIATE_KEY), "junk").unwrap();
    let error = open(&dir, &[]).unwrap_err().to_string();
    assert!(error.contains(INTERMEDIATE_KEY), "{error}");
    std::fs::write(dir.join(INTERMEDIATE_KEY), key).unwrap();
    assert_eq!(open(&dir, &[]).unwrap().ca_pem(), pki.ca_pem());
    // A host that is no name.
    let error = open(&dir.join("b"), &["a b"]).unwrap_err().to_string();
    assert!(error.contains("public_host") && error.contains("a b"), "{error}");
}

#[test]
fn a_copied_folder_without_the_secret_opens_nothing() {
    let (around, data) = folder();
    let config = Config::load(&data).unwrap();
    let new = create(&config, None, Timestamp::now()).unwrap().unwrap();
    assert!(create(&config, None, Timestamp::now()).unwrap().is_none(), "once");
    assert!(root_key_is_here(&data));
    assert_eq!(
        new.folder,
        around.path().canonicalize().unwrap().join("data.offline-root")
    );
    let unlock = around.path().join("data.unlock");
    assert_eq!(
        std::fs::metadata(&unlock).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let sealed = open_all(&config).seal.seal("p", b"secret").unwrap();

    // The secret is in no file of the data folder, and neither is any key in the clear that signs.
    let secret = std::fs::read_to_string(&unlock).unwrap();
    for name in [
        "pki/intermediate.key",
        "keys/content.key",
        "keys/command.key",
        "keys/time.key",
    ] {
        let text = std::fs::read_to_string(data.join(name)).unwrap();
        assert!(
            text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"),
            "{name}"
        );
        assert!(!text.contains(secret.trim()));
    }
    // Elsewhere, without the file beside it.
    let away = tempfile::tempdir().unwrap();
    let copy = away.path().join("data");
    let (copied, text) = openssl(away.path(), &["version"]);
    assert!(copied, "{text}");
    assert!(
        Command::new("cp")
            .arg("-r")
            .arg(&data)
            .arg(&copy)
            .status()
            .unwrap()
            .success()
    );
    let stolen = Config::load(&copy).unwrap();
    let error = format!("{:#}", super::open(&stolen).unwrap_err());
    assert!(
        error.contains("data.unlock") && error.contains("unlock_file"),
        "{error}"
    );
    // With another secret.
    std::fs::write(away.path().join("data.unlock"), "0".repeat(64)).unwrap();
    let error = format!("{:#}", super::open(&stolen).unwrap_err());
    assert!(
        error.contains("data.unlock") && error.contains(INTERMEDIATE_KEY),
        "{error}"
    );
    assert!(
        Sealer::new(&Unlock::given(&"0".repeat(64)))
            .open("p", &sealed)
            .is_err()
    );
    std::fs::write(away.path().join("data.unlock"), "short").unwrap();
    let error = format!("{:#}", super::open(&stolen).unwrap_err());
    assert!(error.contains("data.unlock"), "{error}");
    // With the right one, anywhere: a restored backup.
    std::fs::write(copy.join("console.toml"), "unlock_file = \"../kept\"\n").unwrap();
    std::fs::copy(&unlock, away.path().join("kept")).unwrap();
    let restored = open_all(&Config::load(&copy).unwrap());
    assert_eq!(restored.seal.open("p", &sealed).unwrap().as_slice(), b"secret");
}

fn open_all(config: &Config) -> Opened {
    super::open(config).unwrap()
}

#[test]
fn an_older_or_an_empty_folder_is_named() {
    let (_around, data) = folder();
    let config = Config::load(&data).unwrap();
    let error = super::open(&config).unwrap_err().to_string();
    assert!(error.contains("init"), "{error}");
    std::fs::create_dir(data.join("pki")).unwrap();
    std::fs::write(data.join("pki/ca.key"), "old").unwrap();
    std::fs::write(data.join("pki/ca.pem"), "old").unwrap();
    for error in [
        super::open(&config).unwrap_err(),
        create(&config, None, Timestamp::now()).unwrap_err(),
    ] {
        assert!(error.to_string().contains("one tier"), "{error}");
    }
}

#[test]
fn the_root_stays_good_without_its_key_and_signs_the_next_intermediate() {
    let (around, data) = folder();
    let config = Config::load(&data).unwrap();
    let new = create(&config, None, Timestamp::now()).unwrap().unwrap();
    let passphrase = new.passphrase.unwrap();
    let stick = around.path().join("stick");
    std::fs::rename(&new.folder, &stick).unwrap();
    assert!(!root_key_is_here(&data));
    let old = open_all(&config).pki;
    let issued = old
        .issue_device_cert(&p256("x"), &device(), Timestamp::now())
        .unwrap();
    let verify_old = |pki: &Pki| {
        let der: Vec<_> = CertificateDer::pem_slice_iter(issued.pem.as_bytes())
            .collect::<Result<_, _>>()
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = HeldVerifier::new(&pki.root, provider).unwrap();
        rustls::server::danger::ClientCertVerifier::verify_client_cert(
            &*verifier,
            &der[0],
            &der[1..],
            UnixTime::now(),
        )
        .is_ok()
    };
    assert!(verify_old(&old));

    let wrong = renew_intermediate(&config, &stick, "not the passphrase", Timestamp::now()).unwrap_err();
    assert!(wrong.to_string().contains("root.key"), "{wrong:#}");
    let elsewhere = renew_intermediate(&config, &data, &passphrase, Timestamp::now()).unwrap_err();
    assert!(elsewhere.to_string().contains("--root"), "{elsewhere:#}");
    let tier = renew_intermediate(&config, &stick, &passphrase, Timestamp::now()).unwrap();
    let next = open_all(&config).pki;
    assert_eq!(next.tiers().unwrap()[1], tier);
    assert_ne!(old.tiers().unwrap()[1].subject, tier.subject);
    assert_eq!(old.ca_pem(), next.ca_pem());
    assert!(verify_old(&next), "leaves of the old intermediate stay good");
    // openssl opens the root's key with the passphrase: nobody is locked in with us.
    let pass = format!("pass:{}", *passphrase);
    let (done, text) = openssl(&stick, &["pkey", "-in", "root.key", "-passin", &pass, "-noout"]);
    assert!(done, "{text}");
    // Another console's root is refused.
    let (_other, other) = folder();
    let foreign = create(
        &Config::load(&other).unwrap(),
        Some(TEST_SECRET),
        Timestamp::now(),
    );
    let foreign = foreign.unwrap().unwrap().folder;
    let error = renew_intermediate(&config, &foreign, TEST_SECRET, Timestamp::now()).unwrap_err();
    assert!(error.to_string().contains("pin"), "{error:#}");
}

#[test]
fn an_earlier_consoles_root_is_never_overwritten() {
    let (_around, data) = folder();
    let config = Config::load(&data).unwrap();
    let root = create(&config, Some(TEST_SECRET), Timestamp::now())
        .unwrap()
        .unwrap()
        .folder;
    let key = std::fs::read(root.join("root.key")).unwrap();
    std::fs::remove_dir_all(data.join("pki")).unwrap();
    let error = create(&config, Some(TEST_SECRET), Timestamp::now()).unwrap_err();
    assert!(error.to_string().contains("data.offline-root"), "{error:#}");
    assert_eq!(std::fs::read(root.join("root.key")).unwrap(), key);
    let (_other, other) = folder();
    let error = create(&Config::load(&other).unwrap(), Some("short"), Timestamp::now()).unwrap_err();
    assert!(error.to_string().contains("passphrase"), "{error:#}");
}

#[test]
fn openssl_agrees_with_chain_and_list() {
    let (_around, dir) = folder();
    let pki = open(&dir, &[]).unwrap();
    let now = Timestamp::now();
    let mut serials = Vec::new();
    for name in ["good", "dead"] {
        let issued = pki.issue_device_cert(&p256("x"), &device(), now).unwrap();
        std::fs::write(dir.join(name), &issued.pem).unwrap();
        serials.push(issued.serial);
    }
    let dead = Revoked {
        serial: serials[1].clone(),
        at: now,
        superseded: false,
    };
    pki.write_crl(&[dead], now).unwrap();
    assert_eq!(pki.crl_path(), dir.join(CRL_PEM));
    let verify = |name: &str| {
        openssl(
            &dir,
            &[
                "verify",
                "-crl_check",
                "-CAfile",
                ROOT_PEM,
                "-CRLfile",
                CRL_PEM,
                "-untrusted",
                INTERMEDIATE_PEM,
                name,
            ],
        )
    };
    let (done, text) = verify("good");
    assert!(done, "{text}");
    let (done, text) = verify("dead");
    assert!(!done && text.contains("revoked"), "{text}");
    let (done, text) = openssl(&dir, &["crl", "-in", CRL_PEM, "-text", "-noout"]);
    assert!(done && text.to_lowercase().contains(&serials[1]), "{text}");
    let (done, text) = openssl(
        &dir,
        &[
            "verify",
            "-purpose",
            "sslserver",
            "-CAfile",
            ROOT_PEM,
            "-untrusted",
            SERVER_PEM,
            SERVER_PEM,
        ],
    );
    assert!(done, "{text}");
}

#[test]
fn a_wrong_clock_neither_makes_nor_refuses_dead_certificates() {
    let (_around, dir) = folder();
    let (root, _) = Root::create(&dir.join("r"), Some(TEST_SECRET), Timestamp::UNIX_EPOCH).unwrap();
    let intermediate = root.intermediate(Timestamp::UNIX_EPOCH).unwrap();
    let der = first(&intermediate.pem).unwrap();
    let last = facts(&der).unwrap().not_after;
    assert!(last > BUILT_AFTER + 9 * 365 * 86_400, "{last}");
    let at = |seconds: i64| UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(seconds).unwrap()));
    for (now, then) in [(0, NOT_BEFORE), (4_070_908_800, last), (BUILT_AFTER, BUILT_AFTER)] {
        assert_eq!(held(&der, at(now)), at(then));
    }
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
