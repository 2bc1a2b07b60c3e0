//! `[oidc]` in console.toml: which provider, and what its word is worth here.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use url::{Host, Url};

use crate::access::Role;

/// `[oidc]` as it stands in the file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawOidc {
    name: Option<String>,
    issuer: String,
    client_id: String,
    client_secret_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    hosts: Vec<String>,
    scopes: Option<Vec<String>>,
    claim: Option<String>,
    #[serde(default)]
    map: Vec<RawMap>,
    #[serde(default)]
    only: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMap {
    value: String,
    role: String,
    region_code: Option<String>,
    school_code: Option<String>,
    #[serde(default)]
    root: bool,
}

/// Checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcConfig {
    /// On the button.
    pub name: String,
    /// Who vouches, letter by letter as the provider writes it.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// File with our secret there; without one we are a public client, guarded by PKCE alone.
    pub client_secret_file: Option<PathBuf>,
    /// Authorities (PEM) that the provider's certificate must lead to, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Hosts that are asked: the issuer's and those named besides.
    pub hosts: BTreeSet<String>,
    /// Asked for besides `openid`.
    pub scopes: Vec<String>,
    /// The claim whose values are mapped.
    pub claim: String,
    /// What the values are worth.
    pub map: Vec<Mapping>,
    /// Whether passwords of ours are refused, but for the account for emergencies.
    pub only: bool,
    /// Where the provider sends people back to.
    pub redirect_url: String,
}

/// One value and what it is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Value in the claim, e.g. the name of a group.
    pub value: String,
    /// The role it gives.
    pub role: Role,
    /// Where.
    pub place: Place,
}

/// A node by its official code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The whole install.
    Root,
    /// The region of this code.
    Region(String),
    /// The school of this code.
    School(String),
}

/// A key that cannot stand, and why.
pub type Refusal = (&'static str, String);

/// Where the provider sends people back to, below the address of our pages.
pub const CALLBACK: &str = "/api/v1/session/oidc/callback";

impl OidcConfig {
    /// Checks `[oidc]`; `web_url` is how people reach the pages.
    ///
    /// # Errors
    /// The key and the reason.
    pub fn check(raw: RawOidc, data: &Path, web_url: &str) -> Result<Self, Refusal> {
        let issuer = Url::parse(&raw.issuer)
            .map_err(|e| ("oidc.issuer", format!("{:?} is no address: {e}", raw.issuer)))?;
        if !is_safe(&issuer) || issuer.query().is_some() || issuer.fragment().is_some() {
            return Err((
                "oidc.issuer",
                format!(
                    "{issuer} must begin with https:// (http:// only on this machine itself) and have neither ? nor #"
                ),
            ));
        }
        if web_url.is_empty() {
            return Err((
                "oidc",
                "the provider must know where to send people back to: set web_url, e.g. \"https://console.example\"".into(),
            ));
        }
        if raw.client_id.trim().is_empty() {
            return Err(("oidc.client_id", "it is empty; the provider gives you one".into()));
        }
        if raw.map.is_empty() {
            return Err((
                "oidc.map",
                "there is none, so nobody would have a role; add [[oidc.map]] with value, role and a node"
                    .into(),
            ));
        }
        let name = raw.name.unwrap_or_else(|| "统一身份认证".into());
        if name.trim().is_empty() || name.chars().count() > 40 {
            return Err(("oidc.name", "1 to 40 characters fit on the button".into()));
        }
        let claim = raw.claim.unwrap_or_else(|| "groups".into());
        if claim.is_empty() {
            return Err(("oidc.claim", "it is empty; the usual one is groups".into()));
        }
        let host = issuer.host_str().unwrap_or_default().to_owned();
        let hosts = raw.hosts.into_iter().map(|host| host.to_lowercase());
        Ok(Self {
            name,
            redirect_url: format!("{}{CALLBACK}", web_url.trim_end_matches('/')),
            client_id: raw.client_id,
            client_secret_file: raw.client_secret_file.map(|file| data.join(file)),
            ca_file: raw.ca_file.map(|file| data.join(file)),
            hosts: hosts.chain([host]).collect(),
            scopes: raw
                .scopes
                .unwrap_or_else(|| vec!["profile".into(), "email".into()]),
            claim,
            map: raw
                .map
                .into_iter()
                .map(Mapping::check)
                .collect::<Result<_, _>>()?,
            only: raw.only,
            issuer: raw.issuer,
        })
    }
}

impl Mapping {
    fn check(raw: RawMap) -> Result<Self, Refusal> {
        let role = raw
            .role
            .parse()
            .map_err(|e| ("oidc.map", format!("value {:?}: {e}", raw.value)))?;
        let place = match (raw.region_code, raw.school_code, raw.root) {
            (Some(code), None, false) => Place::Region(code),
            (None, Some(code), false) => Place::School(code),
            (None, None, true) => Place::Root,
            _ => {
                return Err((
                    "oidc.map",
                    format!(
                        "value {:?} needs exactly one of region_code, school_code and root = true",
                        raw.value
                    ),
                ));
            }
        };
        Ok(Self {
            value: raw.value,
            role,
            place,
        })
    }
}

/// Whether nobody on the way can read along or answer instead: TLS, or this machine itself.
pub fn is_safe(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => address.is_loopback(),
        ("http", Some(Host::Domain(name))) => name == "localhost",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "issuer = \"https://id.example/realm\"\nclient_id = \"bbt\"\n\
        [[map]]\nvalue = \"ops\"\nrole = \"county_operator\"\nregion_code = \"3301\"\n";

    fn check(text: &str) -> Result<OidcConfig, Refusal> {
        let raw = toml::from_str(text).map_err(|e| ("toml", e.to_string()))?;
        OidcConfig::check(raw, Path::new("/data"), "https://console.example")
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let config = check(GOOD).unwrap();
        assert_eq!(config.claim, "groups");
        assert_eq!(
            config.redirect_url,
            "https://console.example/api/v1/session/oidc/callback"
        );
        assert_eq!(config.hosts, BTreeSet::from(["id.example".to_owned()]));
        assert_eq!(config.map[0].place, Place::Region("3301".into()));
        assert!(!config.only);
    }

    #[test]
    fn what_cannot_stand_is_named() {
        for (from, to, key) in [
            ("https://id", "http://id", "oidc.issuer"),
            ("/realm", "/realm?x=1", "oidc.issuer"),
            ("\"bbt\"", "\"\"", "oidc.client_id"),
            ("county_operator", "boss", "oidc.map"),
            ("region_code = \"3301\"", "", "oidc.map"),
            (
                "region_code = \"3301\"",
                "region_code = \"1\"\nroot = true",
                "oidc.map",
            ),
            ("[[map]]", "clam = \"x\"\n[[map]]", "toml"),
        ] {
            let refusal = check(&GOOD.replace(from, to)).unwrap_err();
            assert_eq!(refusal.0, key, "{refusal:?}");
        }
        assert!(check(&GOOD.replace("https://id.example", "http://127.0.0.1:9")).is_ok());
        let raw = toml::from_str(GOOD).unwrap();
        assert_eq!(
            OidcConfig::check(raw, Path::new("/data"), "").unwrap_err().0,
            "oidc"
        );
    }
}
