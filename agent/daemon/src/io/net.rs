//! How the board is connected: the port towards the console, its speed, the radio's signal, the gateway, names, round trips.
//!
//! Nothing here needs a right: what the kernel shows below `/proc` and `/sys`, a connection to the console that is opened and
//! closed at once, an echo to the gateway. Nobody else is talked to. What cannot be known is left out.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use contract::{bandwidth::LinkKind, report::NetworkReport};
use socket2::{Domain, Protocol, Socket, Type};
use sysinfo::Networks;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

/// For one connection.
const CONNECT: Duration = Duration::from_secs(4);
const NAMES: Duration = Duration::from_secs(4);
/// The gateway is in the next room.
const GATEWAY: Duration = Duration::from_millis(1_500);
/// A try that fails is repeated so often before it counts as a loss alone.
const TRIES: u32 = 3;

/// A port of the board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// As the kernel calls it.
    pub name: String,
    /// What it is.
    pub link: LinkKind,
    /// Negotiated speed, Mbit/s.
    pub mbps: Option<u32>,
}

/// What a look at the network found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// For the report.
    pub report: NetworkReport,
    /// 0–100.
    pub wifi_signal_percent: Option<u8>,
    /// Milliseconds.
    pub gateway_rtt_ms: Option<f32>,
    /// Milliseconds.
    pub console_rtt_ms: Option<f32>,
    /// 0–100.
    pub console_loss_percent: Option<f32>,
    /// Milliseconds.
    pub dns_ms: Option<f32>,
}

/// Where the console is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Target {
    /// Of an address like `https://console.example:8443`.
    pub fn of(url: &str) -> Option<Self> {
        let url = reqwest::Url::parse(url).ok()?;
        Some(Self {
            host: url.host_str()?.trim_matches(['[', ']']).to_owned(),
            port: url.port_or_known_default()?,
        })
    }
}

/// One look; takes some seconds where nobody answers. `metered` is what the school's plan says; the system's network manager may
/// say so too.
pub async fn look(root: PathBuf, target: Target, metered: bool) -> Seen {
    let (found, dns_ms, dns) = names(&target).await;
    let (mut console_rtt_ms, mut failed, mut tries) = (None, 0, 0);
    let mut local = None;
    while let Some(address) = found.filter(|_| tries < TRIES) {
        tries += 1;
        if let Some((rtt, from)) = round_trip(address).await {
            (console_rtt_ms, local) = (Some(rtt), Some(from));
            break;
        }
        failed += 1;
    }
    let (port, gateway, gateway_rtt_ms, by_system) = {
        let root = root.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let port = local.and_then(|ip| port_of(&root, ip)).or_else(|| way_out(&root));
            let gateway = gateway(&root);
            let rtt_ms = gateway.and_then(gateway_round_trip);
            (port, gateway, rtt_ms, network_manager("busctl"))
        });
        looked.await.unwrap_or_default()
    };
    // Of a gateway of IPv6 the kernel tells nothing in a file.
    let answers = gateway
        .filter(IpAddr::is_ipv4)
        .map(|ip| gateway_rtt_ms.is_some() || is_neighbour(&root, ip));
    let (ipv4, ipv6) = families();
    Seen {
        wifi_signal_percent: port
            .as_ref()
            .filter(|port| port.link == LinkKind::Wireless)
            .and_then(|port| signal(&root, &port.name)),
        report: NetworkReport {
            link: port.as_ref().map_or(LinkKind::None, |port| port.link),
            port_mbps: port.and_then(|port| port.mbps),
            ipv6,
            ipv4,
            metered: metered || by_system.unwrap_or(false),
            gateway: answers,
            dns,
        },
        gateway_rtt_ms,
        console_rtt_ms,
        console_loss_percent: (tries > 0).then(|| failed as f32 * 100.0 / tries as f32),
        dns_ms,
    }
}

/// What NetworkManager says of the connection that the system goes out by, its guesses included; `None` where there is none or it
/// does not know. Asked over the system bus by systemd's own tool: a library for one number would weigh more.
fn network_manager(busctl: &str) -> Option<bool> {
    const NAME: &str = "org.freedesktop.NetworkManager";
    let asked = Command::new(busctl)
        .args(["--system", "--auto-start=no", "--timeout=2", "get-property"])
        .args([NAME, "/org/freedesktop/NetworkManager", NAME, "Metered"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let said = asked.ok().filter(|asked| asked.status.success())?;
    metered_by(&String::from_utf8_lossy(&said.stdout))
}

/// `u 3`: `NMMetered`.
fn metered_by(said: &str) -> Option<bool> {
    match said.trim().strip_prefix("u ")? {
        // Yes, and as far as can be guessed.
        "1" | "3" => Some(true),
        "2" | "4" => Some(false),
        _ => None,
    }
}

/// The console's address, how long it took to find, and whether it was found; an address needs no finding.
async fn names(target: &Target) -> (Option<SocketAddr>, Option<f32>, Option<bool>) {
    if let Ok(ip) = target.host.parse::<IpAddr>() {
        return (Some(SocketAddr::new(ip, target.port)), None, None);
    }
    let begun = Instant::now();
    let found = timeout(NAMES, lookup_host((target.host.as_str(), target.port))).await;
    let first = found.ok().and_then(Result::ok).and_then(|mut all| all.next());
    (first, first.map(|_| ms(begun)), Some(first.is_some()))
}

/// Opens a connection and closes it; the time that took, and our own address on it.
pub async fn round_trip(address: SocketAddr) -> Option<(f32, IpAddr)> {
    let begun = Instant::now();
    let stream = timeout(CONNECT, TcpStream::connect(address)).await.ok()?.ok()?;
    let rtt = ms(begun);
    Some((rtt, stream.local_addr().ok()?.ip()))
}

/// One echo to the gateway (IPv4), if the system lets programs without rights send any (`net.ipv4.ping_group_range`).
fn gateway_round_trip(ip: IpAddr) -> Option<f32> {
    if !ip.is_ipv4() {
        return None;
    }
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::ICMPV4)).ok()?;
    socket.set_read_timeout(Some(GATEWAY)).ok()?;
    socket.connect(&SocketAddr::new(ip, 0).into()).ok()?;
    // Echo request; the kernel fills in its number and the checksum.
    let request = [8, 0, 0, 0, 0, 0, 0, 1, b'b', b'b', b't', 0];
    let begun = Instant::now();
    socket.send(&request).ok()?;
    let mut answer = [0_u8; 64];
    let length = std::io::Read::read(&mut &socket, &mut answer).ok()?;
    (length >= 8 && answer.first() == Some(&0)).then(|| ms(begun))
}

fn ms(begun: Instant) -> f32 {
    begun.elapsed().as_secs_f32() * 1_000.0
}

/// The port that has this address.
pub fn port_of(root: &Path, ip: IpAddr) -> Option<Port> {
    let networks = Networks::new_with_refreshed_list().ok()?;
    let name = networks
        .iter()
        .find(|(_, network)| network.ip_networks().iter().any(|net| net.addr == ip))
        .and_then(|(name, _)| name.to_str().map(str::to_owned))?;
    Some(port(root, &name))
}

/// The port of the default route.
fn way_out(root: &Path) -> Option<Port> {
    let routes = fs::read_to_string(root.join("proc/net/route")).ok()?;
    let (name, _) = default_route(&routes)?;
    Some(port(root, &name))
}

/// What the kernel says of a port.
pub fn port(root: &Path, name: &str) -> Port {
    let at = root.join("sys/class/net").join(name);
    let text = |file: &str| fs::read_to_string(at.join(file)).unwrap_or_default();
    let uevent = text("uevent");
    let kind = uevent.lines().find_map(|line| line.strip_prefix("DEVTYPE="));
    let link = if at.join("wireless").exists() || at.join("phy80211").exists() || kind == Some("wlan") {
        LinkKind::Wireless
    } else if kind == Some("wwan") || name.starts_with("wwan") || name.starts_with("ppp") {
        LinkKind::Mobile
    } else if text("type").trim() == "1" {
        LinkKind::Wired
    } else {
        LinkKind::None
    };
    // -1 while the cable is out; what a radio says of its speed is no port's.
    let mbps = text("speed")
        .trim()
        .parse::<i64>()
        .ok()
        .and_then(|mbps| u32::try_from(mbps).ok());
    Port {
        name: name.to_owned(),
        link,
        mbps: mbps.filter(|mbps| *mbps > 0 && link == LinkKind::Wired),
    }
}

/// Bytes that a port received and sent so far.
pub fn bytes(root: &Path, name: &str) -> Option<(u64, u64)> {
    let at = root.join("sys/class/net").join(name).join("statistics");
    let of = |way: &str| fs::read_to_string(at.join(way)).ok()?.trim().parse().ok();
    Some((of("rx_bytes")?, of("tx_bytes")?))
}

fn gateway(root: &Path) -> Option<IpAddr> {
    let routes = fs::read_to_string(root.join("proc/net/route")).unwrap_or_default();
    if let Some((_, gateway)) = default_route(&routes) {
        return Some(gateway);
    }
    default_route_v6(&fs::read_to_string(root.join("proc/net/ipv6_route")).ok()?)
}

/// Interface and gateway of `/proc/net/route`: little-endian hexadecimal, the lowest metric first.
fn default_route(text: &str) -> Option<(String, IpAddr)> {
    let rows = text.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [name, "00000000", gateway, _, _, _, metric, "00000000", ..] = fields.as_slice() else {
            return None;
        };
        let gateway = u32::from_str_radix(gateway, 16).ok()?;
        (gateway != 0).then_some(())?;
        let ip = Ipv4Addr::from(gateway.swap_bytes());
        Some((metric.parse::<u32>().ok()?, (*name).to_owned(), IpAddr::V4(ip)))
    });
    rows.min_by_key(|(metric, ..)| *metric)
        .map(|(_, name, ip)| (name, ip))
}

/// Gateway of `/proc/net/ipv6_route`; one on the link has no meaning without its interface and is left out.
fn default_route_v6(text: &str) -> Option<IpAddr> {
    text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [to, "00", _, _, gateway, ..] = fields.as_slice() else {
            return None;
        };
        (to.chars().all(|c| c == '0')).then_some(())?;
        let ip = Ipv6Addr::from(u128::from_str_radix(gateway, 16).ok()?);
        (!ip.is_unspecified() && !ip.is_unicast_link_local()).then_some(IpAddr::V6(ip))
    })
}

/// Whether the kernel has heard of the address on the link: `/proc/net/arp`.
fn is_neighbour(root: &Path, ip: IpAddr) -> bool {
    let table = fs::read_to_string(root.join("proc/net/arp")).unwrap_or_default();
    has_neighbour(&table, ip)
}

fn has_neighbour(table: &str, ip: IpAddr) -> bool {
    table.lines().skip(1).any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields.as_slice() {
            [address, _, flags, mac, ..] => {
                address.parse() == Ok(ip) && *flags != "0x0" && *mac != "00:00:00:00:00:00"
            }
            _ => false,
        }
    })
}

/// The radio's signal as a share of what is best: `/proc/net/wireless` in dBm.
fn signal(root: &Path, name: &str) -> Option<u8> {
    signal_in(&fs::read_to_string(root.join("proc/net/wireless")).ok()?, name)
}

fn signal_in(table: &str, name: &str) -> Option<u8> {
    let row = table
        .lines()
        .find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'))?;
    let level: f32 = row
        .split_whitespace()
        .nth(2)?
        .trim_end_matches('.')
        .parse()
        .ok()?;
    // Some drivers count from 0 to 255 instead.
    let dbm = if level > 63.0 { level - 256.0 } else { level };
    ((-110.0..0.0).contains(&dbm)).then(|| ((dbm + 100.0) * 2.0).clamp(0.0, 100.0) as u8)
}

/// Whether there is an address of IPv4 and a global one of IPv6.
fn families() -> (bool, bool) {
    let all = super::probes::addresses();
    let v4 = all.iter().any(IpAddr::is_ipv4);
    // Local to the site is good within it, and no way to the world.
    let global = |ip: &IpAddr| matches!(ip, IpAddr::V6(v6) if !v6.is_unique_local());
    (v4, all.iter().any(global))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_route_is_the_one_with_the_lowest_metric() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
            eth0\t00000000\tFE01A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";
        let expected = ("eth0".to_owned(), "192.168.1.254".parse().unwrap());
        assert_eq!(default_route(table), Some(expected));
        assert_eq!(default_route("Iface\nnonsense\n"), None);
        let v6 = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                  fd626274000000010000000000000001 00000400 00000001 00000000 00000003 eth0\n";
        assert_eq!(default_route_v6(v6), Some("fd62:6274:0:1::1".parse().unwrap()));
    }

    #[test]
    fn what_the_network_manager_says_of_a_metered_line_is_read() {
        for (said, metered) in [
            ("u 0\n", None),
            ("u 1\n", Some(true)),
            ("u 2\n", Some(false)),
            ("u 3\n", Some(true)),
            ("u 4\n", Some(false)),
            ("", None),
            ("s \"1\"", None),
        ] {
            assert_eq!(metered_by(said), metered, "{said:?}");
        }
        assert_eq!(network_manager("false"), None, "it failed");
        assert_eq!(network_manager("echo"), None, "it said something else");
        assert_eq!(network_manager("/nowhere/busctl"), None);
    }

    #[test]
    fn a_neighbour_is_one_that_was_heard() {
        let table = "IP address HW type Flags HW address Mask Device\n\
                     192.168.1.254 0x1 0x2 02:42:ac:11:00:02 * eth0\n192.168.1.7 0x1 0x0 00:00:00:00:00:00 * eth0\n";
        let heard = |ip: &str| has_neighbour(table, ip.parse().unwrap());
        assert_eq!((heard("192.168.1.254"), heard("192.168.1.7")), (true, false));
    }

    #[test]
    fn a_radios_signal_is_read_in_both_ways_of_counting() {
        let table = "Inter-| sta-|   Quality        |\n face | tus | link level noise |\n\
                     wlan0: 0000   54.  -56.  -256        0      0      0\n wlan1: 0000   54.  206.  0 0 0\n";
        assert_eq!(signal_in(table, "wlan0"), Some(88));
        assert_eq!(signal_in(table, "wlan1"), Some(100));
        assert_eq!(signal_in(table, "wlan2"), None);
    }

    #[test]
    fn ports_are_what_the_kernel_says() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let file = root.path().join("sys/class/net").join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        put("eth0/type", "1\n");
        put("eth0/speed", "100\n");
        put("eth0/statistics/rx_bytes", "12\n");
        put("eth0/statistics/tx_bytes", "34\n");
        put("eth1/type", "1\n");
        put("eth1/speed", "-1\n");
        put("wlan0/type", "1\n");
        put("wlan0/speed", "300\n");
        put("wlan0/wireless/x", "");
        put("usb0/type", "1\n");
        put("usb0/uevent", "DEVTYPE=wwan\n");
        let of = |name| {
            let found = port(root.path(), name);
            (found.link, found.mbps)
        };
        assert_eq!(of("eth0"), (LinkKind::Wired, Some(100)));
        assert_eq!(of("eth1"), (LinkKind::Wired, None));
        assert_eq!(of("wlan0"), (LinkKind::Wireless, None));
        assert_eq!(of("usb0"), (LinkKind::Mobile, None));
        assert_eq!(of("gone"), (LinkKind::None, None));
        assert_eq!(bytes(root.path(), "eth0"), Some((12, 34)));
    }

    #[tokio::test]
    async fn a_look_at_a_console_that_is_there_and_at_one_that_is_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = Target::of(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
        let seen = look("/".into(), there.clone(), true).await;
        assert!(seen.console_rtt_ms.is_some_and(|ms| ms < 1_000.0));
        assert_eq!(seen.console_loss_percent, Some(0.0));
        assert!(seen.report.metered && seen.report.dns.is_none() && seen.dns_ms.is_none());
        drop(listener);
        let seen = look("/".into(), there, false).await;
        assert_eq!(
            (seen.console_rtt_ms, seen.console_loss_percent),
            (None, Some(100.0))
        );
        assert_eq!(
            Target::of("https://[fd62::1]:8443/").unwrap(),
            Target {
                host: "fd62::1".into(),
                port: 8443
            }
        );
    }
}
