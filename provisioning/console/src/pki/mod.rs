//! The console's own authority in two tiers: an offline root that devices pin, an online intermediate that signs the console's
//! two certificates and one for each device. What lies in the data folder is encrypted with a secret that does not.
//!
//! Everything is P-256 through rcgen and ring. Certificates start in 2020, not now: a board without a battery wakes up with a
//! clock years behind, and must not refuse its own console for a certificate "from the future". Who may come in is decided
//! behind the door, by the database, not by dates alone. See `docs/src/security/trust-chain.md`.

mod cert;
mod crl;
mod csr;
pub mod denylist;
pub mod detached;
mod files;
pub mod keys;
mod root;
pub mod seal;
mod sealed_key;
pub mod trust_root;
pub mod unlock;
mod verify;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};
use contract::{id::DeviceId, renew::RenewalPolicy};
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};

use self::{
    cert::{Facts, facts, first, leaf, san, show_san},
    root::{NewIntermediate, Root},
    sealed_key::{Cost, OpenError},
    unlock::beside,
    verify::HeldVerifier,
};
pub use self::{
    cert::{device_of, serial_of},
    crl::Revoked,
    csr::{CheckedCsr, CsrError, MAX_CSR_BYTES, check_csr},
    root::NewRoot,
    seal::{SealError, Sealer},
    unlock::Unlock,
};
use crate::config::Config;

const ROOT_PEM: &str = "ca.pem";
const INTERMEDIATE_PEM: &str = "intermediate.pem";
const INTERMEDIATE_KEY: &str = "intermediate.key";
const SERVER_PEM: &str = "server.pem";
const SERVER_KEY: &str = "server.key";
const CONSOLE_PEM: &str = "console.pem";
const CONSOLE_KEY: &str = "console.key";
const CRL_PEM: &str = "crl.pem";
/// The one authority of consoles before there were two tiers.
const OLD_KEY: &str = "ca.key";
/// Name of the console's own MQTT certificate.
pub const CONSOLE_CN: &str = "bbt-console";
/// Days that a device certificate lasts where nothing else is configured.
pub const DEVICE_CERTIFICATE_DAYS: u32 = 730;
/// Days that a device is expected to be away at most where nothing else is configured.
pub const LONGEST_ABSENCE_DAYS: u32 = 70;

/// How long device certificates last, and when they are renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// Days that a certificate lasts; at least five times the longest absence.
    pub certificate_days: u32,
    /// Days that a device is expected to be away at most.
    pub longest_absence_days: u32,
}

impl Default for Lifetime {
    fn default() -> Self {
        Self {
            certificate_days: DEVICE_CERTIFICATE_DAYS,
            longest_absence_days: LONGEST_ABSENCE_DAYS,
        }
    }
}

/// The console's authority and certificates.
#[derive(Debug)]
pub struct Pki {
    dir: PathBuf,
    root_pem: String,
    root: CertificateDer<'static>,
    intermediate_pem: String,
    intermediate: Facts,
    lifetime: Lifetime,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate made for a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedCert {
    /// The certificate, then the intermediate's.
    pub pem: String,
    /// Its serial number, lower-case hexadecimal.
    pub serial: String,
    /// Its last day.
    pub not_after: Timestamp,
}

/// Authority, signing keys and seal of one data folder.
#[derive(Debug)]
pub struct Opened {
    /// Authority and certificates.
    pub pki: Pki,
    /// Keys that sign what devices obey.
    pub keys: keys::SigningKeys,
    /// For small secrets in the database.
    pub seal: Sealer,
}

/// Opens everything with the unlock secret.
///
/// # Errors
/// There is no authority, the secret is missing or another console's, a file is damaged; each named.
pub fn open(config: &Config) -> anyhow::Result<Opened> {
    let dir = config.data.join("pki");
    if dir.join(ROOT_PEM).exists() || dir.join(OLD_KEY).exists() {
        refuse_old(&dir)?;
        let unlock = Unlock::read(&Unlock::place(&config.data, config.unlock_file.as_deref())?)?;
        return Ok(Opened {
            pki: Pki::open(&dir, &config.certificate_hosts(), &unlock, config.lifetime())?,
            keys: keys::SigningKeys::open_or_create(&config.data.join("keys"), &unlock)?,
            seal: Sealer::new(&unlock),
        });
    }
    bail!(
        "{} holds no authority; make one with: bbt-console --data {} init",
        dir.display(),
        config.data.display()
    )
}

/// Makes what [`open`] opens, where there is none yet: the unlock secret, the offline root beside the data folder, the
/// intermediate. The answer says what the operator must carry away, or `None` if the authority was there.
///
/// # Errors
/// A file cannot be written, or an earlier console's root stands in the way.
pub fn create(
    config: &Config,
    root_passphrase: Option<&str>,
    now: Timestamp,
) -> anyhow::Result<Option<NewRoot>> {
    let dir = config.data.join("pki");
    refuse_old(&dir)?;
    if dir.join(ROOT_PEM).exists() {
        return Ok(None);
    }
    let file = Unlock::place(&config.data, config.unlock_file.as_deref())?;
    let unlock = if file.exists() {
        Unlock::read(&file)?
    } else {
        Unlock::make(&file)?
    };
    Pki::create(&dir, &root_folder(&config.data)?, &unlock, root_passphrase, now).map(Some)
}

/// Where `init` puts the offline root: `<data>.offline-root`.
///
/// # Errors
/// The data folder has no name.
pub fn root_folder(data: &Path) -> anyhow::Result<PathBuf> {
    beside(data, "offline-root")
}

/// Whether a root's key still lies beside the data folder, where whoever takes the machine finds it.
pub fn root_key_is_here(data: &Path) -> bool {
    root_folder(data).is_ok_and(|folder| {
        folder.join(root::ROOT_KEY).exists() || folder.join(trust_root::KEY_FILE).exists()
    })
}

/// The unlock secret of this data folder.
///
/// # Errors
/// See [`Unlock::read`].
pub fn unlock_secret(config: &Config) -> anyhow::Result<Unlock> {
    Unlock::read(&Unlock::place(&config.data, config.unlock_file.as_deref())?)
}

fn refuse_old(dir: &Path) -> anyhow::Result<()> {
    if dir.join(OLD_KEY).exists() && !dir.join(INTERMEDIATE_PEM).exists() {
        bail!(
            "{} is of a console before version 0.2, with an authority of one tier that cannot be carried over; move the data \
             folder away, run init, and enrol the devices again",
            dir.display()
        );
    }
    Ok(())
}

impl Pki {
    /// Makes root and intermediate. The intermediate's key is written first and the root's certificate last: without that the
    /// folder holds no authority, and a cut on the way is a folder to be made again.
    ///
    /// # Errors
    /// A file cannot be written, or an earlier console's root stands in the way.
    pub fn create(
        dir: &Path,
        root_folder: &Path,
        unlock: &Unlock,
        root_passphrase: Option<&str>,
        now: Timestamp,
    ) -> anyhow::Result<NewRoot> {
        files::private_folder(dir)?;
        let _lock = files::lock(dir)?;
        let (root, new) = Root::create(root_folder, root_passphrase, now)?;
        write_intermediate(dir, &root.intermediate(now)?, unlock)?;
        files::write_private(dir, ROOT_PEM, root.pem.as_bytes())?;
        Ok(new)
    }

    /// Opens the authority in `dir`; makes the server certificate again when `hosts` differ from it.
    ///
    /// `hosts` are names and addresses by which devices reach this console; `localhost`, `127.0.0.1` and `::1` are added.
    ///
    /// # Errors
    /// The folder cannot be used, a file is damaged, the secret does not fit, or a host is no name; each named.
    pub fn open(dir: &Path, hosts: &[String], unlock: &Unlock, lifetime: Lifetime) -> anyhow::Result<Self> {
        files::private_folder(dir)?;
        let _lock = files::lock(dir)?;
        let read = |name: &str| -> anyhow::Result<String> {
            files::read(dir, name)?.with_context(|| {
                format!(
                    "{} is missing; restore it from the backup. Without it no device believes this console",
                    dir.join(name).display()
                )
            })
        };
        let named = |name: &str| {
            format!(
                "Failed to read {}; restore it from the backup",
                dir.join(name).display()
            )
        };
        let (root_pem, intermediate_pem) = (read(ROOT_PEM)?, read(INTERMEDIATE_PEM)?);
        let root = first(&root_pem).with_context(|| named(ROOT_PEM))?;
        let der = first(&intermediate_pem).with_context(|| named(INTERMEDIATE_PEM))?;
        let intermediate = facts(&der).with_context(|| named(INTERMEDIATE_PEM))?;
        if !intermediate.issued_by(&root) {
            bail!(
                "{} was not signed by {ROOT_PEM} beside it; restore both from the same backup",
                dir.join(INTERMEDIATE_PEM).display()
            );
        }
        let key_pem = read(INTERMEDIATE_KEY)?;
        let key = open_key(&dir.join(INTERMEDIATE_KEY), &key_pem, unlock)?;
        let key = KeyPair::try_from(&PrivatePkcs8KeyDer::from(key.as_bytes()))
            .with_context(|| named(INTERMEDIATE_KEY))?;
        if key.public_key_raw() != intermediate.public_key {
            bail!(
                "{} and {INTERMEDIATE_PEM} beside it do not belong together; run: bbt-console ca renew-intermediate",
                dir.join(INTERMEDIATE_KEY).display()
            );
        }
        let pki = Self {
            dir: dir.to_owned(),
            root_pem,
            root,
            intermediate_pem,
            intermediate,
            lifetime,
            issuer: Issuer::from_ca_cert_der(&der, key)?,
        };
        pki.ensure_server(hosts)?;
        pki.ensure_console()?;
        Ok(pki)
    }

    /// For tests: root, intermediate and all in `dir`, with a secret and a passphrase that are no secret.
    ///
    /// # Errors
    /// See [`Self::create`] and [`Self::open`].
    #[doc(hidden)]
    pub fn for_tests(dir: &Path, hosts: &[String]) -> anyhow::Result<Self> {
        let unlock = Unlock::given(TEST_SECRET);
        if !dir.join(ROOT_PEM).exists() {
            let root = beside(dir, "offline-root")?;
            Self::create(dir, &root, &unlock, Some(TEST_SECRET), Timestamp::now())?;
        }
        Self::open(dir, hosts, &unlock, Lifetime::default())
    }

    /// The root's certificate, what devices pin.
    pub fn ca_pem(&self) -> &str {
        &self.root_pem
    }

    /// File of the root's certificate.
    pub fn ca_path(&self) -> PathBuf {
        self.dir.join(ROOT_PEM)
    }

    /// File of the revocation list; there from the first start on.
    pub fn crl_path(&self) -> PathBuf {
        self.dir.join(CRL_PEM)
    }

    /// Files of the server's certificate (with the intermediate's) and key, for HTTPS and MQTT.
    pub fn server_paths(&self) -> (PathBuf, PathBuf) {
        (self.dir.join(SERVER_PEM), self.dir.join(SERVER_KEY))
    }

    /// Files of the console's MQTT client certificate (with the intermediate's) and key.
    pub fn console_paths(&self) -> (PathBuf, PathBuf) {
        (self.dir.join(CONSOLE_PEM), self.dir.join(CONSOLE_KEY))
    }

    /// When devices ask for their next certificate.
    pub const fn renewal(&self) -> RenewalPolicy {
        RenewalPolicy::for_absence(self.lifetime.longest_absence_days)
    }

    /// Names and last days of both tiers, for people.
    ///
    /// # Errors
    /// The root's certificate cannot be read.
    pub fn tiers(&self) -> anyhow::Result<[Tier; 2]> {
        let tier = |found: &Facts| -> anyhow::Result<Tier> {
            Ok(Tier {
                subject: found.subject.clone(),
                serial: found.serial.clone(),
                not_after: Timestamp::from_second(found.not_after)?,
            })
        };
        Ok([tier(&facts(&self.root)?)?, tier(&self.intermediate)?])
    }

    /// Makes a device's certificate: subject = its id and nothing else, for TLS clients only.
    ///
    /// # Errors
    /// See [`CsrError`].
    pub fn issue_device_cert(
        &self,
        csr_pem: &str,
        device: &DeviceId,
        now: Timestamp,
    ) -> Result<IssuedCert, CsrError> {
        self.issue_checked(check_csr(csr_pem)?, device, now)
    }

    /// The same for a request that was checked before. `now` is by a clock that is believed.
    ///
    /// # Errors
    /// [`CsrError::Signing`].
    pub fn issue_checked(
        &self,
        csr: CheckedCsr,
        device: &DeviceId,
        now: Timestamp,
    ) -> Result<IssuedCert, CsrError> {
        let lasts = SignedDuration::from_hours(i64::from(self.lifetime.certificate_days) * 24);
        let until = now.checked_add(lasts).unwrap_or(Timestamp::MAX).as_second();
        self.issue_until(csr, device, until)
    }

    /// With a last second of one's own, within the intermediate's.
    pub(crate) fn issue_until(
        &self,
        csr: CheckedCsr,
        device: &DeviceId,
        until: i64,
    ) -> Result<IssuedCert, CsrError> {
        let failed = |what: String| CsrError::Signing(what);
        let not_after = until.min(self.intermediate.not_after);
        let mut request = csr.request;
        request.params = leaf(device.as_str(), ExtendedKeyUsagePurpose::ClientAuth, not_after)
            .map_err(|e| failed(e.to_string()))?;
        let certificate = request
            .signed_by(&self.issuer)
            .map_err(|e| failed(e.to_string()))?;
        let serial = facts(certificate.der())
            .map_err(|e| failed(e.to_string()))?
            .serial;
        let not_after = Timestamp::from_second(not_after).map_err(|e| failed(e.to_string()))?;
        Ok(IssuedCert {
            pem: self.chain(&certificate.pem()),
            serial,
            not_after,
        })
    }

    /// The TLS configuration of the devices' listener: client certificates that lead to our root are asked for, not insisted
    /// on, because a device that enrols has none yet. One that ran out shakes hands, too.
    ///
    /// # Errors
    /// A file is damaged.
    pub fn device_server_config(&self) -> anyhow::Result<rustls::ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients = HeldVerifier::new(&self.root, provider.clone())?;
        let (certificate, key) = self.server_paths();
        let chain = CertificateDer::pem_file_iter(&certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|e| anyhow::anyhow!("Failed to read {}: {e}", certificate.display()))?;
        let key = PrivateKeyDer::from_pem_file(&key)
            .map_err(|e| anyhow::anyhow!("Failed to read {}: {e}", key.display()))?;
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn chain(&self, leaf: &str) -> String {
        format!("{leaf}{}", self.intermediate_pem)
    }

    fn ensure_server(&self, hosts: &[String]) -> anyhow::Result<()> {
        let mut wanted: Vec<String> = hosts
            .iter()
            .map(|h| h.trim().to_lowercase())
            .filter(|h| !h.is_empty())
            .collect();
        wanted.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
        wanted.sort();
        wanted.dedup();
        let wanted = wanted
            .iter()
            .map(|host| san(host))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut names: Vec<String> = wanted.iter().map(show_san).collect();
        names.sort();
        names.dedup();
        if self
            .own_certificate(SERVER_PEM, SERVER_KEY)?
            .is_some_and(|found| found.names == names)
        {
            return Ok(());
        }
        let mut params = leaf(
            "bbt-console server",
            ExtendedKeyUsagePurpose::ServerAuth,
            self.intermediate.not_after,
        )?;
        params.subject_alt_names = wanted;
        self.issue_own(&params, SERVER_PEM, SERVER_KEY)
    }

    fn ensure_console(&self) -> anyhow::Result<()> {
        if self.own_certificate(CONSOLE_PEM, CONSOLE_KEY)?.is_some() {
            return Ok(());
        }
        let purpose = ExtendedKeyUsagePurpose::ClientAuth;
        let params = leaf(CONSOLE_CN, purpose, self.intermediate.not_after)?;
        self.issue_own(&params, CONSOLE_PEM, CONSOLE_KEY)
    }

    /// The facts of one of our own certificates, if it is there, of this intermediate, and its key fits.
    fn own_certificate(&self, pem: &str, key: &str) -> anyhow::Result<Option<Facts>> {
        let (Some(pem), Some(key)) = (files::read(&self.dir, pem)?, files::read(&self.dir, key)?) else {
            return Ok(None);
        };
        let (Ok(der), Ok(key)) = (first(&pem), KeyPair::from_pem(&key)) else {
            return Ok(None);
        };
        let Ok(found) = facts(&der) else { return Ok(None) };
        let ours = pem.ends_with(&self.intermediate_pem)
            && found.issued_by(&first(&self.intermediate_pem)?)
            && found.public_key == key.public_key_raw();
        Ok(ours.then_some(found))
    }

    fn issue_own(&self, params: &CertificateParams, pem: &str, key_name: &str) -> anyhow::Result<()> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        // A cut between the two leaves a key that does not fit; the next start sees it and makes both again.
        files::write_private(&self.dir, key_name, key.serialize_pem().as_bytes())?;
        files::write_private(&self.dir, pem, self.chain(&certificate.pem()).as_bytes())
    }
}

/// One certificate of the chain, for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Tier {
    /// Its subject.
    pub subject: String,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// Its last day.
    pub not_after: Timestamp,
}

/// Signs a new intermediate with the offline root. Certificates of the old one stay good: devices and doors pin the root.
///
/// # Errors
/// The root's folder or passphrase is wrong, or belongs to another console.
pub fn renew_intermediate(
    config: &Config,
    root_folder: &Path,
    passphrase: &str,
    now: Timestamp,
) -> anyhow::Result<Tier> {
    let dir = config.data.join("pki");
    refuse_old(&dir)?;
    let unlock = Unlock::read(&Unlock::place(&config.data, config.unlock_file.as_deref())?)?;
    let lock = files::lock(&dir)?;
    let root = Root::open(root_folder, passphrase)?;
    let pinned = files::read(&dir, ROOT_PEM)?.unwrap_or_default();
    if pinned != root.pem {
        bail!(
            "the root in {} is not the one that this console's devices pin ({})",
            root_folder.display(),
            dir.join(ROOT_PEM).display()
        );
    }
    write_intermediate(&dir, &root.intermediate(now)?, &unlock)?;
    drop(lock);
    let pki = Pki::open(&dir, &config.certificate_hosts(), &unlock, config.lifetime())?;
    let [_, intermediate] = pki.tiers()?;
    Ok(intermediate)
}

fn write_intermediate(dir: &Path, new: &NewIntermediate, unlock: &Unlock) -> anyhow::Result<()> {
    let key = sealed_key::seal(&new.key, unlock.secret(), Cost::Machine)?;
    files::write_private(dir, INTERMEDIATE_KEY, key.as_bytes())?;
    files::write_private(dir, INTERMEDIATE_PEM, new.pem.as_bytes())
}

/// Opens one of the keys at rest; the error names both files.
pub(super) fn open_key(path: &Path, pem: &str, unlock: &Unlock) -> anyhow::Result<pkcs8::SecretDocument> {
    sealed_key::open(pem, unlock.secret()).map_err(|error| match error {
        OpenError::WrongPassword => anyhow::anyhow!(
            "the unlock secret {} does not open {}; it belongs to another console or was made anew: put the file that fits \
             this data folder back",
            unlock.from().display(),
            path.display()
        ),
        OpenError::NotAKey => anyhow::anyhow!(
            "{} is not a private key encrypted by this console; restore it from the backup",
            path.display()
        ),
    })
}

/// No secret at all.
#[doc(hidden)]
pub const TEST_SECRET: &str = "not-a-secret-not-a-secret-not-a-secret";

#[cfg(test)]
mod tests;
