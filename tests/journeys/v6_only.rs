//! Journey: a county without IPv4. Enrolled, pushed, fetched over the line once and among the boards, played, healthy; and on
//! the wire nothing but what `docs/src/reference/network.md` publishes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "common.rs"]
mod common;
mod netschool;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{IpAddr, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use netschool::{
    DEVICES, MQTT, Net, PEERS, ask_player, at_console, cached, connected, is_ready, line, network, scratch,
};
use system_tests::{
    capture::{Capture, Flow, What},
    netns::{CONSOLE_V6, Netns, School},
    stand::until,
};

const BOARDS: usize = 3;
const LINE_KBPS: u32 = 20_000;
const LIMIT: Duration = Duration::from_secs(60);
const PUBLISHED: &str = include_str!("../../docs/src/reference/network.md");

/// The row of the published list that a packet belongs to; `None` if it is not on it.
fn row(flow: &Flow, boards: &[IpAddr]) -> Option<&'static str> {
    let is_board = |address: &IpAddr| boards.contains(address);
    let is_local = |address: &IpAddr| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let mdns: IpAddr = "ff02::fb".parse().ok()?;
    match flow.what {
        What::Tcp { from, to, opens } => {
            for (port, name) in [(DEVICES, "8443/tcp"), (MQTT, "8883/tcp")] {
                let up = is_board(&flow.from) && flow.to == CONSOLE_V6 && to == port;
                // The console begins no connection.
                let down = flow.from == CONSOLE_V6 && is_board(&flow.to) && from == port && !opens;
                if up || down {
                    return Some(name);
                }
            }
            let boards = [flow.from, flow.to]
                .iter()
                .all(|end| is_board(end) || is_local(end));
            (boards && (to == PEERS || (from == PEERS && !opens))).then_some("8010/tcp")
        }
        What::Udp { from: 5353, to: 5353 } if flow.to == mdns => Some("5353/udp"),
        // Errors, multicast listeners, router and neighbour discovery.
        What::Icmp6(1..=4 | 130..=132 | 133..=137 | 143) => Some("ICMPv6"),
        _ => None,
    }
}

/// Packets by row; what is on no row is named.
fn judge(
    what: &str,
    flows: &BTreeMap<Flow, u64>,
    boards: &[IpAddr],
) -> Result<BTreeMap<&'static str, u64>, String> {
    let (mut rows, mut others) = (BTreeMap::new(), Vec::new());
    for (flow, packets) in flows {
        match row(flow, boards) {
            Some(name) => *rows.entry(name).or_default() += packets,
            None => others.push(format!("{packets} × {} → {} {:?}", flow.from, flow.to, flow.what)),
        }
    }
    println!("{what}: {rows:?} packets");
    if others.is_empty() {
        Ok(rows)
    } else {
        Err(format!("{what}: not published:\n  {}", others.join("\n  ")))
    }
}

/// Ports at which somebody listens beyond the loopback.
fn listening(netns: &Netns) -> Result<BTreeSet<String>> {
    netns.within(|| {
        let mut found = BTreeSet::new();
        for (table, state) in [("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")] {
            let text = fs::read_to_string(format!("/proc/thread-self/net/{table}"))?;
            for row in text.lines().skip(1) {
                let words: Vec<_> = row.split_whitespace().collect();
                let [_, local, _, now, ..] = words.as_slice() else {
                    continue;
                };
                let (address, port) = local.split_once(':').context("no port")?;
                let loopback = address.ends_with("7F") && address.len() == 8
                    || address == "00000000000000000000000001000000"
                    || address.starts_with("0100007F");
                if *now == state && !loopback {
                    let port = u16::from_str_radix(port, 16)?;
                    found.insert(format!("{port}/{}", table.trim_end_matches('6')));
                }
            }
        }
        Ok(found)
    })
}

#[test]
fn a_county_without_ipv4() -> Result<()> {
    let school = match network(|| School::build_v6(BOARDS, line(LINE_KBPS))) {
        Ok(school) => school,
        Err(reason) => {
            println!("NOT SHOWN: the journey over IPv6 alone; {reason}");
            return Ok(());
        }
    };
    for netns in school.boards.iter().chain([&school.console, &school.router]) {
        let v4 = netns.within(|| Ok(fs::read_to_string("/proc/thread-self/net/fib_trie")?))?;
        let other = v4.lines().any(|line| {
            let address = line.trim().trim_start_matches("|-- ");
            line.contains("|--") && !address.starts_with("127.") && !address.starts_with("0.0.0.0")
        });
        ensure!(!other, "{} has an IPv4 address:\n{v4}", netns.name());
    }
    at_console(&school, async || journey(&school).await)
}

async fn journey(school: &School) -> Result<()> {
    let addresses: Vec<_> = (0..BOARDS).map(|board| school.address(board)).collect();
    let folder = scratch()?;
    let captures = [Capture::start(&school.console)?, Capture::start(&school.router)?];
    let net = Net::start(school, CONSOLE_V6, folder.path()).await?;
    let school_id = net.school("3601220001", LINE_KBPS).await?;
    let (_, manifest) = net.lesson(folder.path(), "v6", 8_000_000)?;
    let mut boards = Vec::new();
    for (n, netns) in school.boards.iter().enumerate() {
        let mut board = net
            .board(folder.path(), school_id, &format!("b{n}"), netns.name())
            .await?;
        board.start()?;
        boards.push(board);
    }
    let online = net.online(BOARDS).await?;
    connected(school, BOARDS).await?;

    let (before, begun) = (school.line_bytes()?, Instant::now());
    net.push(school_id, "v6").await?;
    until("every board ready", LIMIT, async || {
        let ready = (0..BOARDS).all(|board| is_ready(school, board, "v6").unwrap_or(false));
        Ok(ready.then_some(()))
    })
    .await?;
    let content: u64 = manifest.files.iter().map(|file| file.size).sum();
    let copies = (school.line_bytes()?.sent - before.sent) as f64 / content as f64;
    println!(
        "{BOARDS} boards ready after {:.1} s; {copies:.3} copies of {content} bytes crossed the line",
        begun.elapsed().as_secs_f64()
    );
    ensure!(
        copies < 1.5,
        "{copies:.3} copies crossed the line: the boards did not share"
    );
    let expected: BTreeSet<_> = manifest.files.iter().map(|file| file.hash.to_hex()).collect();
    for board in &boards {
        ensure!(
            cached(&board.dir.join("data"))? == expected,
            "{} holds other bytes",
            board.dir.display()
        );
    }

    // A page plays from the middle.
    let whole = fs::read(folder.path().join("v6/课.mp4"))?;
    for board in 0..BOARDS {
        let (head, body) = ask_player(
            school,
            board,
            "/files/v6/%E8%AF%BE.mp4",
            Some("bytes=1000000-1999999"),
        )?;
        ensure!(head.starts_with("http/1.1 206"), "{head}");
        ensure!(
            body == whole[1_000_000..2_000_000],
            "board {board} plays other bytes"
        );
    }
    // Health comes home, and where boards are is told without IPv4.
    for device in &online {
        let id = device["id"].as_str().context("id")?;
        until("health", LIMIT, async || {
            let health = net
                .console
                .get(&format!("/devices/{id}/health?max_points=50"))
                .await?;
            Ok(health["points"]
                .as_array()
                .filter(|points| points.len() > 2)
                .map(drop_it))
        })
        .await?;
    }
    for netns in &school.boards {
        let found = listening(netns)?;
        ensure!(
            found.iter().all(|port| port == "8010/tcp" || port == "5353/udp"),
            "{}: {found:?}",
            netns.name()
        );
    }
    let found = listening(&school.console)?;
    ensure!(
        found.iter().all(|port| port == "8443/tcp" || port == "8883/tcp"),
        "console: {found:?}"
    );

    // What the capture is worth: one packet that nobody published.
    school.laptop.within(|| {
        let socket = UdpSocket::bind("[::]:0")?;
        socket.send_to(b"stray", (CONSOLE_V6, 9999))?;
        Ok(())
    })?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    for (capture, what) in captures.into_iter().zip(["uplink", "router, line and LAN"]) {
        let mut flows = capture.stop()?;
        let stray = flows
            .keys()
            .find(|flow| matches!(flow.what, What::Udp { to: 9999, .. }))
            .copied();
        let stray = stray.with_context(|| format!("{what}: the capture did not see the stray packet"))?;
        ensure!(
            judge("with a stray packet", &flows, &addresses).is_err(),
            "the stray packet passed as published"
        );
        flows.remove(&stray);
        let rows = judge(what, &flows, &addresses).map_err(anyhow::Error::msg)?;
        let must = if what == "uplink" {
            &["8443/tcp", "8883/tcp"][..]
        } else {
            &["8010/tcp", "5353/udp", "8443/tcp"]
        };
        for name in must {
            ensure!(rows.contains_key(name), "{what}: no packet of {name}");
        }
        ensure!(
            what != "uplink" || !rows.contains_key("8010/tcp"),
            "boards' talk on the uplink"
        );
        for name in rows.keys() {
            ensure!(
                PUBLISHED.contains(name),
                "{name} is not in docs/src/reference/network.md"
            );
        }
    }
    Ok(())
}

fn drop_it(_: &Vec<serde_json::Value>) {}
