//! Configuration: `console.toml` in the data folder, then `BBT_CONSOLE_*`, checked once. Nothing later re-reads either.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

use figment::{
    Figment,
    providers::{Env, Format, Toml},
};
use serde::{Deserialize, Serialize};

use crate::backup::job::{Plan as BackupPlan, RawPlan as RawBackup};
use crate::notify::guard::{NotifyConfig, RawNotify};
use crate::oidc::config::{OidcConfig, RawOidc};
use crate::pki::{DEVICE_CERTIFICATE_DAYS, LONGEST_ABSENCE_DAYS, Lifetime};
use crate::syslog::Target;

/// The name of the configuration file in the data folder.
pub const FILE_NAME: &str = "console.toml";
const ENV_PREFIX: &str = "BBT_CONSOLE_";
const GIB: u64 = 1 << 30;

/// The languages that the console speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub enum Language {
    /// Simplified Chinese.
    #[default]
    #[serde(rename = "zh-CN")]
    ZhCn,
    /// English.
    #[serde(rename = "en")]
    En,
}

impl Language {
    /// BCP 47.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ZhCn => "zh-CN",
            Self::En => "en",
        }
    }
}

impl FromStr for Language {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "zh-CN" => Ok(Self::ZhCn),
            "en" => Ok(Self::En),
            other => Err(format!("language {other:?} is not known: use zh-CN or en")),
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// Pages and API for people.
    pub listen_web: SocketAddr,
    /// HTTPS for devices.
    pub listen_devices: SocketAddr,
    /// MQTT for devices.
    pub listen_mqtt: SocketAddr,
    /// Name or address by which devices reach this machine; goes into certificates and tickets.
    pub public_host: String,
    /// The port of `listen_devices` as devices see it.
    pub public_devices_port: u16,
    /// The port of `listen_mqtt` as devices see it.
    pub public_mqtt_port: u16,
    /// For answers to callers that name no language.
    pub language: Language,
    /// Largest upload of one lesson in bytes.
    pub max_upload_bytes: u64,
    /// Room on the disk that lessons never take, in bytes.
    pub reserve_bytes: u64,
    /// Certificate and key (PEM) of the web listener; without them it serves plain HTTP on loopback.
    pub web_tls: Option<WebTls>,
    /// How people reach the pages, e.g. `https://console.example`; begins QR codes. Empty if nobody can from elsewhere.
    pub web_url: String,
    /// Font for printing labels, if not one that is found on the machine.
    pub label_font: Option<PathBuf>,
    /// Host and port of an MQTT broker that somebody else runs, in place of the one inside the console.
    pub external_broker: Option<(String, u16)>,
    /// Where the unlock secret lies, if not beside the data folder.
    pub unlock_file: Option<PathBuf>,
    /// Days that a device's certificate lasts.
    pub device_certificate_days: u32,
    /// Days that a device is expected to be away at most, e.g. over the summer.
    pub longest_absence_days: u32,
    /// Single sign-on.
    pub oidc: Option<OidcConfig>,
    /// Where messages to people may go.
    pub notify: NotifyConfig,
    /// Figures for Prometheus, on loopback; none: nowhere.
    pub listen_metrics: Option<SocketAddr>,
    /// Where security events are told as syslog.
    pub syslog: Option<Target>,
    /// When backups are made, and for whom.
    pub backup: Option<BackupPlan>,
}

/// Certificate and key of the web listener.
#[derive(Debug, Clone)]
pub struct WebTls {
    /// PEM chain.
    pub cert: PathBuf,
    /// PEM key.
    pub key: PathBuf,
}

/// Why the configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Unknown key, wrong type, not TOML.
    #[error("configuration cannot be used: {problem}; correct it in {} (or in the environment, {ENV_PREFIX}…)", .file.display())]
    Read {
        /// The file in question.
        file: PathBuf,
        /// Which key and what is wrong with it.
        problem: String,
    },
    /// A value that cannot stand.
    #[error("{key} in {}: {problem}", .file.display())]
    Value {
        /// The file in question.
        file: PathBuf,
        /// The key.
        key: &'static str,
        /// Reason and fix.
        problem: String,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawConfig {
    listen_web: Option<SocketAddr>,
    listen_devices: Option<SocketAddr>,
    listen_mqtt: Option<SocketAddr>,
    public_host: Option<String>,
    public_devices_port: Option<u16>,
    public_mqtt_port: Option<u16>,
    language: Option<Language>,
    max_upload_bytes: Option<u64>,
    reserve_bytes: Option<u64>,
    web_tls_cert: Option<PathBuf>,
    web_tls_key: Option<PathBuf>,
    web_url: Option<String>,
    label_font: Option<PathBuf>,
    external_broker: Option<String>,
    unlock_file: Option<PathBuf>,
    device_certificate_days: Option<u32>,
    longest_absence_days: Option<u32>,
    oidc: Option<RawOidc>,
    notify: RawNotify,
    listen_metrics: Option<SocketAddr>,
    syslog: Option<String>,
    syslog_ca: Option<PathBuf>,
    backup: Option<RawBackup>,
}

impl Config {
    /// Reads `console.toml` in `data` (it may be absent) and the environment.
    ///
    /// # Errors
    /// Names the key and the file.
    pub fn load(data: &Path) -> Result<Self, ConfigError> {
        let file = data.join(FILE_NAME);
        let figment = if file.exists() {
            Figment::from(Toml::file_exact(&file))
        } else {
            Figment::new()
        };
        let raw: RawConfig = figment
            .merge(Env::prefixed(ENV_PREFIX).ignore(&["data", "log"]))
            .extract()
            .map_err(|error| {
                let problem = error
                    .into_iter()
                    .map(Self::problem)
                    .collect::<Vec<_>>()
                    .join("; ");
                ConfigError::Read {
                    file: file.clone(),
                    problem,
                }
            })?;
        Self::check(data, file, raw)
    }

    /// The key as the operator wrote it, and what is wrong with it; figment's own words name its profile.
    fn problem(error: figment::Error) -> String {
        let key = error.path.join(".");
        let in_file = error.metadata.as_ref().is_none_or(|from| {
            from.source
                .as_ref()
                .is_some_and(|source| source.file_path().is_some())
        });
        let reason = match &error.kind {
            figment::error::Kind::UnknownField(_, known) => {
                format!("there is no such key; known are {}", known.join(", "))
            }
            kind => kind.to_string().trim_end().to_owned(),
        };
        match (key.as_str(), in_file) {
            ("", _) => reason,
            (key, true) => format!("{key}: {reason}"),
            (key, false) => format!("{ENV_PREFIX}{}: {reason}", key.to_uppercase()),
        }
    }

    fn check(data: &Path, file: PathBuf, raw: RawConfig) -> Result<Self, ConfigError> {
        let refuse = |key, problem: String| {
            Err(ConfigError::Value {
                file: file.clone(),
                key,
                problem,
            })
        };
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let listen_web = raw
            .listen_web
            .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)));
        let listen_devices = raw
            .listen_devices
            .unwrap_or_else(|| SocketAddr::from((any, 8443)));
        let listen_mqtt = raw.listen_mqtt.unwrap_or_else(|| SocketAddr::from((any, 8883)));
        let web_tls = match (raw.web_tls_cert, raw.web_tls_key) {
            (Some(cert), Some(key)) => Some(WebTls {
                cert: data.join(cert),
                key: data.join(key),
            }),
            (None, None) => None,
            (Some(_), None) => {
                return refuse(
                    "web_tls_cert",
                    "web_tls_key is missing; set both or neither".into(),
                );
            }
            (None, Some(_)) => {
                return refuse(
                    "web_tls_key",
                    "web_tls_cert is missing; set both or neither".into(),
                );
            }
        };
        if !listen_web.ip().is_loopback() && web_tls.is_none() {
            return refuse(
                "listen_web",
                format!(
                    "{listen_web} can be reached from the network, but passwords would travel unencrypted; \
                     set web_tls_cert and web_tls_key, or listen on 127.0.0.1"
                ),
            );
        }
        let public_host = raw.public_host.unwrap_or_else(|| "localhost".to_owned());
        let host_fits = !public_host.is_empty()
            && public_host.len() <= 253
            && (public_host.parse::<IpAddr>().is_ok()
                || public_host
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.'));
        if !host_fits {
            return refuse(
                "public_host",
                format!(
                    "{public_host:?} is neither a host name nor an address; no scheme and no port belong here"
                ),
            );
        }
        let longest_absence_days = raw.longest_absence_days.unwrap_or(LONGEST_ABSENCE_DAYS);
        if !(1..=400).contains(&longest_absence_days) {
            return refuse(
                "longest_absence_days",
                format!("{longest_absence_days} is not between 1 and 400"),
            );
        }
        let device_certificate_days = raw.device_certificate_days.unwrap_or(DEVICE_CERTIFICATE_DAYS);
        // Renewed below four absences left; one more, so that a new certificate is not due at once.
        let least = 5 * longest_absence_days;
        if !(least..=3650).contains(&device_certificate_days) {
            return refuse(
                "device_certificate_days",
                format!(
                    "{device_certificate_days} is not between {least} (5 × longest_absence_days) and 3650; devices that \
                     slept through a holiday would be locked out"
                ),
            );
        }
        let external_broker = raw.external_broker.as_deref().map(|text| {
            let (host, port) = text.rsplit_once(':')?;
            let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
            let host = host.trim_matches(['[', ']']);
            (!host.is_empty() && !host.contains('/')).then(|| (host.to_owned(), port))
        });
        if external_broker == Some(None) {
            return refuse(
                "external_broker",
                "it is no HOST:PORT, such as mqtt.example:8883".to_owned(),
            );
        }
        let external_broker = external_broker.flatten();
        let web_url = match raw.web_url {
            Some(url) => {
                let url = url.trim().trim_end_matches('/').to_owned();
                let fits = url.strip_prefix("https://").or(url.strip_prefix("http://"));
                if !fits.is_some_and(|rest| {
                    !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace() || "/?#".contains(c))
                }) {
                    return refuse(
                        "web_url",
                        format!("{url:?} is no address like https://console.example, without a path"),
                    );
                }
                url
            }
            None if web_tls.is_some() => {
                let host = match public_host.parse::<IpAddr>() {
                    Ok(IpAddr::V6(address)) => format!("[{address}]"),
                    _ => public_host.clone(),
                };
                match listen_web.port() {
                    443 => format!("https://{host}"),
                    port => format!("https://{host}:{port}"),
                }
            }
            None => String::new(),
        };
        let notify = match raw.notify.check() {
            Ok(notify) => notify,
            Err(problem) => return refuse("notify", problem),
        };
        let oidc = match raw.oidc.map(|oidc| OidcConfig::check(oidc, data, &web_url)) {
            None => None,
            Some(Ok(oidc)) => Some(oidc),
            Some(Err((key, problem))) => return refuse(key, problem),
        };
        if let Some(address) = raw.listen_metrics
            && !address.ip().is_loopback()
        {
            return refuse(
                "listen_metrics",
                format!(
                    "{address} can be reached from the network, where anybody could read the figures; listen on \
                     127.0.0.1 and put a proxy with TLS and a password before it"
                ),
            );
        }
        let syslog_ca = raw.syslog_ca.map(|file| data.join(file));
        let syslog = match raw.syslog.map(|url| Target::parse(&url, syslog_ca)) {
            None => None,
            Some(Ok(target)) => Some(target),
            Some(Err(problem)) => return refuse("syslog", problem),
        };
        let backup = match raw.backup.map(|plan| plan.check(data)) {
            None => None,
            Some(Ok(plan)) => Some(plan),
            Some(Err(problem)) => return refuse("backup", problem),
        };
        Ok(Self {
            backup,
            listen_metrics: raw.listen_metrics,
            syslog,
            oidc,
            notify,
            data: data.to_owned(),
            listen_web,
            listen_devices,
            listen_mqtt,
            public_host,
            public_devices_port: raw.public_devices_port.unwrap_or_else(|| listen_devices.port()),
            public_mqtt_port: raw.public_mqtt_port.unwrap_or_else(|| listen_mqtt.port()),
            language: raw.language.unwrap_or_default(),
            max_upload_bytes: raw.max_upload_bytes.unwrap_or(4 * GIB),
            reserve_bytes: raw.reserve_bytes.unwrap_or(GIB / 2),
            web_tls,
            web_url,
            label_font: raw.label_font.map(|file| data.join(file)),
            external_broker,
            unlock_file: raw.unlock_file.map(|file| data.join(file)),
            device_certificate_days,
            longest_absence_days,
        })
    }

    /// Whether browsers reach the pages over TLS, here or at a proxy before us: then a session's cookie goes no other way.
    pub fn people_use_tls(&self) -> bool {
        self.web_tls.is_some() || self.web_url.starts_with("https://")
    }

    /// `https://host:port` of the device listener as devices see it.
    pub fn devices_url(&self) -> String {
        match self.public_host.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => format!("https://[{address}]:{}", self.public_devices_port),
            _ => format!("https://{}:{}", self.public_host, self.public_devices_port),
        }
    }

    /// Whether the address that devices are told leads to this very machine alone.
    pub fn is_local_only(&self) -> bool {
        let host = self.public_host.as_str();
        host.eq_ignore_ascii_case("localhost")
            || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }

    /// Where this machine's own browser opens the pages that are served at `address`: what listens on every address has no
    /// name of its own.
    pub fn pages_here(&self, address: SocketAddr) -> String {
        let ip = match address.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let scheme = if self.web_tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/", SocketAddr::new(ip, address.port()))
    }

    /// How long device certificates last.
    pub const fn lifetime(&self) -> Lifetime {
        Lifetime {
            certificate_days: self.device_certificate_days,
            longest_absence_days: self.longest_absence_days,
        }
    }

    /// Names and addresses for the server certificate.
    pub fn certificate_hosts(&self) -> Vec<String> {
        let mut hosts = vec![self.public_host.clone()];
        for host in ["localhost", "127.0.0.1", "::1"] {
            if !hosts.iter().any(|h| h == host) {
                hosts.push(host.to_owned());
            }
        }
        hosts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), text).unwrap();
        Config::load(folder.path()).map_err(|e| e.to_string())
    }

    #[test]
    fn the_address_of_the_pages_can_be_opened_on_this_machine() {
        let config = load("").unwrap();
        for (listens, opens) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("0.0.0.0:8080", "http://127.0.0.1:8080/"),
            ("[::]:80", "http://[::1]:80/"),
            ("192.168.1.2:80", "http://192.168.1.2:80/"),
        ] {
            assert_eq!(config.pages_here(listens.parse().unwrap()), opens, "{listens}");
        }
    }

    #[test]
    fn an_empty_file_gives_the_documented_defaults() {
        let config = load("").unwrap();
        assert_eq!(config.listen_web.to_string(), "127.0.0.1:8080");
        assert_eq!(config.devices_url(), "https://localhost:8443");
        assert_eq!(config.public_mqtt_port, 8883);
        assert_eq!(config.language, Language::ZhCn);
        assert_eq!(config.max_upload_bytes, 4 * GIB);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_file() {
        let error = load("listen_wbe = \"127.0.0.1:1\"").unwrap_err();
        assert!(
            error.contains("listen_wbe") && error.contains("console.toml"),
            "{error}"
        );
        assert!(!error.contains("default."), "{error}");
        let error = load("public_mqtt_port = 70000").unwrap_err();
        assert!(error.contains("public_mqtt_port: "), "{error}");
        let error = load("listen_web = [").unwrap_err();
        assert!(error.contains("console.toml"), "{error}");
    }

    #[test]
    fn plain_http_stays_on_loopback() {
        let error = load("listen_web = \"0.0.0.0:8080\"").unwrap_err();
        assert!(
            error.contains("listen_web") && error.contains("web_tls_cert"),
            "{error}"
        );
        assert!(load("listen_web = \"0.0.0.0:8080\"\nweb_tls_cert = \"a\"\nweb_tls_key = \"b\"").is_ok());
        assert!(load("web_tls_cert = \"a\"").unwrap_err().contains("web_tls_key"));
        assert!(
            load("public_host = \"https://x:1\"")
                .unwrap_err()
                .contains("public_host")
        );
    }

    #[test]
    fn a_certificate_outlives_the_longest_holiday_five_times() {
        let config = load("").unwrap();
        assert_eq!(
            (config.device_certificate_days, config.longest_absence_days),
            (730, 70)
        );
        assert!(load("longest_absence_days = 146").is_ok());
        let error = load("longest_absence_days = 147").unwrap_err();
        assert!(
            error.contains("device_certificate_days") && error.contains("735"),
            "{error}"
        );
        assert!(
            load("longest_absence_days = 0")
                .unwrap_err()
                .contains("longest_absence_days")
        );
        assert!(
            load("device_certificate_days = 9999")
                .unwrap_err()
                .contains("3650")
        );
    }

    #[test]
    fn people_reach_the_pages_where_it_says_or_by_tls() {
        assert_eq!(load("").unwrap().web_url, "");
        assert_eq!(
            load("web_url = \"https://x.example/\"").unwrap().web_url,
            "https://x.example"
        );
        let tls = "public_host = \"x.example\"\nweb_tls_cert = \"a\"\nweb_tls_key = \"b\"\n";
        assert_eq!(load(tls).unwrap().web_url, "https://x.example:8080");
        assert!(load("web_url = \"x.example\"").unwrap_err().contains("web_url"));
        assert!(load("web_url = \"https://x.example/app\"").is_err());
    }

    #[test]
    fn a_certificate_holds_the_public_host_once() {
        let config = load("public_host = \"localhost\"").unwrap();
        assert_eq!(config.certificate_hosts(), ["localhost", "127.0.0.1", "::1"]);
    }
}
