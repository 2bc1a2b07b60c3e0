//! Where messages may go: only to hosts that the machine's operator allows (`[notify]` in `console.toml`), to addresses looked
//! up once and then used as they are, and into private networks only where that is said for the host. Whoever may set up a
//! channel over the API cannot make the console knock at doors that its operator did not name.

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;
use url::{Host, Url};

use crate::api::notify::SmtpSecurity;

/// Robots of groups, allowed without being named.
const ROBOTS: [&str; 2] = ["qyapi.weixin.qq.com", "oapi.dingtalk.com"];

/// `[notify]` as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawNotify {
    hosts: Vec<String>,
    private_hosts: Vec<String>,
}

/// Where messages may go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotifyConfig {
    hosts: Vec<String>,
    private_hosts: Vec<String>,
}

/// Why something may not be sent there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// No address of a page.
    #[error(
        "{0:?} is not an https:// address that messages can be sent to (http:// only to a host of [notify] private_hosts)"
    )]
    Url(String),
    /// Not on the list.
    #[error(
        "messages may not be sent to {0}; let whoever runs the console add it to hosts of [notify] in console.toml"
    )]
    NotAllowed(String),
    /// It lies in a network that is nobody's business.
    #[error(
        "{host} is {address}, an address of a private network; if that is meant, let whoever runs the console add the host to \
         private_hosts of [notify] in console.toml"
    )]
    Private {
        /// The name.
        host: String,
        /// What it is.
        address: IpAddr,
    },
    /// Nobody knows the name.
    #[error("the name {0} cannot be looked up")]
    Unknown(String),
    /// Passwords in the clear.
    #[error(
        "mail goes to {0} only with TLS or STARTTLS, unless the host is in private_hosts of [notify] in console.toml"
    )]
    Clear(String),
}

impl RawNotify {
    /// Checked.
    ///
    /// # Errors
    /// Names the entry.
    pub fn check(self) -> Result<NotifyConfig, String> {
        for host in self.hosts.iter().chain(&self.private_hosts) {
            let known = Host::parse(host.trim_start_matches('[').trim_end_matches(']')).is_ok()
                || host.parse::<IpAddr>().is_ok();
            if !known || host.contains('/') {
                return Err(format!(
                    "{host:?} is no host; write a name or an address without scheme, port and path"
                ));
            }
        }
        let lower = |hosts: Vec<String>| hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect();
        Ok(NotifyConfig {
            hosts: lower(self.hosts),
            private_hosts: lower(self.private_hosts),
        })
    }
}

/// A URL as people may read it: its query and path may hold a robot's key.
pub fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!(
        "{}://{}{port}/…",
        url.scheme(),
        url.host_str().unwrap_or_default()
    )
}

impl NotifyConfig {
    fn is_private_allowed(&self, host: &str) -> bool {
        self.private_hosts.iter().any(|allowed| allowed == host)
    }

    fn host_allowed(&self, host: &str) -> Result<(), GuardError> {
        let host = host.to_ascii_lowercase();
        let listed =
            ROBOTS.contains(&host.as_str()) || self.hosts.contains(&host) || self.is_private_allowed(&host);
        listed.then_some(()).ok_or(GuardError::NotAllowed(host))
    }

    /// A URL that a message may be sent to, as far as its text tells.
    ///
    /// # Errors
    /// See [`GuardError`].
    pub fn check_url(&self, text: &str) -> Result<Url, GuardError> {
        let bad = || GuardError::Url(text.chars().take(60).collect());
        let url = Url::parse(text).map_err(|_| bad())?;
        let host = plain_host(&url).ok_or_else(bad)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad());
        }
        self.host_allowed(&host)?;
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.is_private_allowed(&host) => Ok(url),
            _ => Err(bad()),
        }
    }

    /// A mail server that a message may be sent to, as far as its name tells.
    ///
    /// # Errors
    /// See [`GuardError`].
    pub fn check_smtp(&self, host: &str, security: SmtpSecurity) -> Result<(), GuardError> {
        self.host_allowed(host)?;
        if security == SmtpSecurity::None && !self.is_private_allowed(&host.to_ascii_lowercase()) {
            return Err(GuardError::Clear(host.to_owned()));
        }
        Ok(())
    }

    /// Looks a host up once; all of its addresses must be allowed, and the first is the one to use.
    ///
    /// # Errors
    /// See [`GuardError`].
    pub async fn resolve(&self, host: &str, port: u16) -> Result<SocketAddr, GuardError> {
        self.host_allowed(host)?;
        let found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => tokio::net::lookup_host((host, port))
                .await
                .map_err(|_| GuardError::Unknown(host.to_owned()))?
                .collect(),
        };
        self.pick(host, &found)
    }

    fn pick(&self, host: &str, found: &[SocketAddr]) -> Result<SocketAddr, GuardError> {
        let private_allowed = self.is_private_allowed(&host.to_ascii_lowercase());
        if let Some(address) = found
            .iter()
            .find(|address| !private_allowed && !is_public(address.ip()))
        {
            return Err(GuardError::Private {
                host: host.to_owned(),
                address: address.ip(),
            });
        }
        found
            .first()
            .copied()
            .ok_or_else(|| GuardError::Unknown(host.to_owned()))
    }
}

/// The host without the brackets of an IPv6 address.
pub(super) fn plain_host(url: &Url) -> Option<String> {
    match url.host()? {
        Host::Domain(name) => Some(name.to_ascii_lowercase()),
        Host::Ipv4(address) => Some(address.to_string()),
        Host::Ipv6(address) => Some(address.to_string()),
    }
}

/// Whether an address belongs to the internet at large.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(v6) => {
            // An IPv4 address in other clothes: mapped, compatible, NAT64, 6to4.
            let s = v6.segments();
            let inner = |high: u16, low: u16| {
                let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
                is_public(IpAddr::from([a, b, c, d]))
            };
            if s.starts_with(&[0, 0, 0, 0, 0, 0xffff])
                || s.starts_with(&[0, 0, 0, 0, 0, 0])
                || s.starts_with(&[0x64, 0xff9b, 0, 0, 0, 0])
            {
                return inner(s[6], s[7]);
            }
            if s[0] == 0x2002 {
                return inner(s[1], s[2]);
            }
            // Global unicast is 2000::/3 today; documentation and Teredo are not for us.
            (s[0] & 0xe000) == 0x2000 && !(s[0] == 0x2001 && (s[1] == 0xdb8 || s[1] == 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(hosts: &[&str], private: &[&str]) -> NotifyConfig {
        let own = |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect();
        RawNotify {
            hosts: own(hosts),
            private_hosts: own(private),
        }
        .check()
        .unwrap()
    }

    #[test]
    fn only_listed_hosts_and_only_https() {
        let config = config(&["hooks.example"], &["10.0.0.7"]);
        for good in [
            "https://hooks.example/a?key=1",
            "https://HOOKS.example:8443/",
            "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=x",
            "https://oapi.dingtalk.com/robot/send?access_token=x",
            "http://10.0.0.7:9000/alerts",
        ] {
            assert!(config.check_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://hooks.example/",
            "https://evil.example/",
            "https://hooks.example.evil.example/",
            "https://user:pw@hooks.example/",
            "https://hooks.example@evil.example/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://0x7f000001/",
            "https://2130706433/",
            "ftp://hooks.example/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "",
        ] {
            assert!(config.check_url(bad).is_err(), "{bad}");
        }
        assert_eq!(
            shown(&config.check_url("https://hooks.example/secret?key=1").unwrap()),
            "https://hooks.example/…"
        );
        assert!(config.check_smtp("hooks.example", SmtpSecurity::None).is_err());
        assert!(config.check_smtp("10.0.0.7", SmtpSecurity::None).is_ok());
        assert!(
            RawNotify {
                hosts: vec!["https://x/".into()],
                ..RawNotify::default()
            }
            .check()
            .is_err()
        );
    }

    #[test]
    fn a_name_that_leads_into_a_private_network_is_refused_however_it_is_written() {
        let config = config(&["hooks.example"], &["inside.example"]);
        let at = |text: &str| [SocketAddr::new(text.parse().unwrap(), 443)];
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "::7f00:1",
        ] {
            let error = config.pick("hooks.example", &at(private)).unwrap_err();
            assert!(matches!(error, GuardError::Private { .. }), "{private}");
            assert!(config.pick("inside.example", &at(private)).is_ok(), "{private}");
        }
        for public in ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"] {
            assert!(config.pick("hooks.example", &at(public)).is_ok(), "{public}");
        }
        // One public address does not make the other one good.
        let both = [at("93.184.216.34")[0], at("10.0.0.1")[0]];
        assert!(config.pick("hooks.example", &both).is_err());
    }
}
