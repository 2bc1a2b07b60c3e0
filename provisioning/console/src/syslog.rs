//! The audit log and security events as syslog (RFC 5424) to a log server: over UDP, TCP, or TLS (RFC 5425), the latter two with
//! counted octets (RFC 6587).
//!
//! How far it got is kept in the database, and moves on only after a message was written; over UDP nobody can know more. A log
//! server that is down delays nothing else, and gets what it missed when it is back.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UdpSocket, lookup_host},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use crate::{
    app::AppState,
    db::syslog::{AuditRow, SecurityRow},
};

const EVERY: Duration = Duration::from_secs(3);
const LIMIT: Duration = Duration::from_secs(10);
const AT_ONCE: u32 = 200;
const LONGEST_PAUSE: u32 = 64;
/// Facts in which it is kept how far this got.
const AUDIT_SEQ: &str = "syslog_audit_seq";
const SECURITY_AT: &str = "syslog_security_at";
/// Facility 13: log audit.
const FACILITY: u8 = 13;
const ERROR: u8 = 3;
const WARNING: u8 = 4;
const NOTICE: u8 = 5;
/// The number of structured data's name: 32473 is the one for names without an own number (RFC 5612).
const SD_ID: &str = "bbt@32473";

/// How messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// One datagram each, unacknowledged.
    Udp,
    /// A stream.
    Tcp,
    /// A stream in TLS.
    Tls,
}

/// Where messages go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// How.
    pub over: Over,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// PEM file with whom to believe; with TLS alone.
    pub ca: Option<PathBuf>,
}

impl Target {
    /// Reads `udp://host:514`, `tcp://host:601` or `tls://host:6514`; the port may be left out.
    ///
    /// # Errors
    /// Says what is wrong and how it is right.
    pub fn parse(url: &str, ca: Option<PathBuf>) -> Result<Self, String> {
        let shape = || format!("{url:?} is none of udp://HOST:514, tcp://HOST:601 and tls://HOST:6514");
        let (scheme, rest) = url.split_once("://").ok_or_else(shape)?;
        let (over, usual) = match scheme {
            "udp" => (Over::Udp, 514),
            "tcp" => (Over::Tcp, 601),
            "tls" => (Over::Tls, 6514),
            _ => return Err(shape()),
        };
        let bracketed = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let (host, port) = match bracketed {
            Some((host, after)) => (host, after.strip_prefix(':')),
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(shape)?,
            None => usual,
        };
        if host.is_empty() || host.contains(['/', ' ', '@']) {
            return Err(shape());
        }
        if over == Over::Tls && ca.is_none() {
            return Err("tls:// needs syslog_ca, a PEM file with the authority of the log server".to_owned());
        }
        Ok(Self {
            over,
            host: host.to_owned(),
            port,
            ca,
        })
    }
}

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Message {
    severity: u8,
    at: jiff::Timestamp,
    id: &'static str,
    fields: Vec<(&'static str, String)>,
}

impl Message {
    fn audit(row: &AuditRow) -> Self {
        let object = match row.object_kind.as_str() {
            "" => row.object.clone(),
            kind => format!("{kind}:{}", row.object),
        };
        Self {
            severity: if row.outcome == "done" { NOTICE } else { WARNING },
            at: row.at(),
            id: "audit",
            fields: vec![
                ("seq", row.seq.to_string()),
                ("actor", format!("{}:{}", row.actor_kind, row.actor)),
                ("action", row.action.clone()),
                ("outcome", row.outcome.clone()),
                ("object", object),
                ("address", row.address.clone()),
            ],
        }
    }

    fn security(row: &SecurityRow) -> Self {
        Self {
            severity: ERROR,
            at: row.at(),
            id: "security",
            fields: vec![
                ("id", row.id.to_string()),
                ("kind", row.kind.clone()),
                ("device", row.device.clone().unwrap_or_default()),
                ("address", row.address.clone()),
                ("times", row.times.to_string()),
            ],
        }
    }

    /// As RFC 5424 wants it, without framing.
    fn text(&self, host: &str) -> String {
        let mut data = format!("[{SD_ID}");
        let mut said = String::new();
        for (name, value) in self.fields.iter().filter(|(_, value)| !value.is_empty()) {
            data.push_str(&format!(" {name}=\"{}\"", escaped(value)));
            said.push_str(&format!(" {name}={}", plain(value)));
        }
        data.push(']');
        format!(
            "<{}>1 {:.3} {host} bbt-console {} {} {data} \u{feff}{}{said}",
            FACILITY * 8 + self.severity,
            self.at,
            std::process::id(),
            self.id,
            self.id
        )
    }
}

/// A value of structured data.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in plain(value).chars() {
        if matches!(c, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// No line of another's making: what a stranger chose as a name must not look like a message of its own.
fn plain(value: &str) -> String {
    value
        .chars()
        .take(300)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn host_name(public_host: &str) -> String {
    let name: String = public_host
        .chars()
        .filter(|c| c.is_ascii_graphic())
        .take(255)
        .collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

enum Line {
    Datagrams(UdpSocket),
    Stream(Box<dyn AsyncWrite + Send + Unpin>),
}

impl Line {
    async fn open(target: &Target) -> Result<Self> {
        let place = format!("{}:{}", target.host, target.port);
        let address: SocketAddr = lookup_host((target.host.as_str(), target.port))
            .await
            .with_context(|| format!("Failed to look {} up", target.host))?
            .next()
            .with_context(|| format!("{} has no address", target.host))?;
        if target.over == Over::Udp {
            let any: SocketAddr = if address.is_ipv4() {
                ([0, 0, 0, 0], 0).into()
            } else {
                (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
            };
            let socket = UdpSocket::bind(any).await?;
            socket.connect(address).await?;
            return Ok(Self::Datagrams(socket));
        }
        let tcp = TcpStream::connect(address)
            .await
            .with_context(|| format!("Failed to reach {place}"))?;
        let Some(ca) = target.ca.as_ref().filter(|_| target.over == Over::Tls) else {
            return Ok(Self::Stream(Box::new(tcp)));
        };
        let pem = tokio::fs::read(ca)
            .await
            .with_context(|| format!("Failed to read syslog_ca {}", ca.display()))?;
        let mut roots = RootCertStore::empty();
        for cert in CertificateDer::pem_slice_iter(&pem) {
            roots.add(cert?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(target.host.clone())?;
        let tls = TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
            .with_context(|| format!("Failed to agree on TLS with {place}"))?;
        Ok(Self::Stream(Box::new(tls)))
    }

    async fn send(&mut self, text: &str) -> Result<()> {
        match self {
            Self::Datagrams(socket) => {
                socket.send(text.as_bytes()).await?;
            }
            Self::Stream(stream) => {
                stream
                    .write_all(format!("{} {text}", text.len()).as_bytes())
                    .await?;
                stream.flush().await?;
            }
        }
        Ok(())
    }
}

/// Sends until told to stop.
pub async fn run(app: AppState, target: Target, stopping: CancellationToken) {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut line: Option<Line> = None;
    let (mut failures, mut pause) = (0u32, 0u32);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = clock.tick() => {}
        }
        if pause > 0 {
            pause -= 1;
            continue;
        }
        match round(&app, &target, &mut line).await {
            Ok(()) => failures = 0,
            Err(error) => {
                line = None;
                failures = failures.saturating_add(1);
                pause = (1u32 << failures.min(6)).min(LONGEST_PAUSE);
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the log server cannot be reached (syslog); what it misses is sent when it is back"
                );
            }
        }
    }
}

/// Sends what is new, and notes how far it got.
async fn round(app: &AppState, target: &Target, line: &mut Option<Line>) -> Result<()> {
    let host = host_name(&app.config.public_host);
    let number = |text: Option<String>| text.and_then(|text| text.parse::<i64>().ok());
    let facts = app.db.facts();
    let mut seq = match number(facts.get(AUDIT_SEQ).await?) {
        Some(seq) => seq,
        None => {
            // A console that has run for years does not tell all of it again.
            let end = app.db.outgoing().audit_end().await?;
            facts.set(AUDIT_SEQ, &end.to_string()).await?;
            end
        }
    };
    loop {
        let rows = app.db.outgoing().audit_after(seq, AT_ONCE).await?;
        let Some(last) = rows.last().map(|row| row.seq) else {
            break;
        };
        for row in &rows {
            send(target, line, &Message::audit(row).text(&host)).await?;
        }
        seq = last;
        facts.set(AUDIT_SEQ, &seq.to_string()).await?;
    }
    let place = facts.get(SECURITY_AT).await?;
    let mut place = match place.as_deref().and_then(|text| text.split_once(' ')) {
        Some((at, id)) => (at.parse().unwrap_or(0), id.parse().unwrap_or(0)),
        None => (jiff::Timestamp::now().as_millisecond(), 0),
    };
    loop {
        let rows = app.db.outgoing().security_after(place, AT_ONCE).await?;
        for row in &rows {
            send(target, line, &Message::security(row).text(&host)).await?;
        }
        if let Some(last) = rows.last() {
            place = last.place();
        }
        facts
            .set(SECURITY_AT, &format!("{} {}", place.0, place.1))
            .await?;
        if rows.len() < AT_ONCE as usize {
            return Ok(());
        }
    }
}

async fn send(target: &Target, line: &mut Option<Line>, text: &str) -> Result<()> {
    let sending = async {
        let open = match line.take() {
            Some(open) => open,
            None => Line::open(target).await?,
        };
        let open = line.insert(open);
        open.send(text).await
    };
    timeout(LIMIT, sending)
        .await
        .with_context(|| format!("no answer within {} s", LIMIT.as_secs()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_what_they_say() {
        let parsed = |url: &str| Target::parse(url, None).map(|t| (t.over, t.host, t.port));
        assert_eq!(
            parsed("udp://log.example").unwrap(),
            (Over::Udp, "log.example".into(), 514)
        );
        assert_eq!(
            parsed("tcp://10.0.0.1:1514").unwrap(),
            (Over::Tcp, "10.0.0.1".into(), 1514)
        );
        assert_eq!(parsed("udp://[::1]:99").unwrap(), (Over::Udp, "::1".into(), 99));
        for wrong in [
            "log.example",
            "http://x",
            "udp://",
            "udp://x:0",
            "udp://x/y",
            "tcp://a@b",
        ] {
            assert!(parsed(wrong).unwrap_err().contains("udp://HOST"), "{wrong}");
        }
        assert!(parsed("tls://x").unwrap_err().contains("syslog_ca"));
        assert!(Target::parse("tls://x", Some("ca.pem".into())).is_ok());
    }

    #[test]
    fn a_message_is_one_line_whatever_a_stranger_calls_itself() {
        let message = Message {
            severity: WARNING,
            at: "2026-11-23T06:00:00.5Z".parse().unwrap(),
            id: "audit",
            fields: vec![
                ("actor", "user:x\"] <9>1 \n forged\\".to_owned()),
                ("address", String::new()),
            ],
        };
        let text = message.text("console.example");
        assert!(!text.contains('\n'));
        assert!(
            text.starts_with("<108>1 2026-11-23T06:00:00.500Z console.example bbt-console "),
            "{text}"
        );
        assert!(
            text.contains(r#"audit [bbt@32473 actor="user:x\"\] <9>1   forged\\"] "#),
            "{text}"
        );
        assert_eq!(host_name("控制台"), "-");
    }

    #[tokio::test]
    async fn streams_are_counted_in_octets() {
        let (ours, mut theirs) = tokio::io::duplex(1_024);
        let mut line = Line::Stream(Box::new(ours));
        line.send("<1>1 é").await.unwrap();
        line.send("x").await.unwrap();
        drop(line);
        let mut got = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut theirs, &mut got)
            .await
            .unwrap();
        assert_eq!(got, "7 <1>1 é1 x");
    }
}
