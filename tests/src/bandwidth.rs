//! A school whose line is measured: by its boards over the console's probe, and by iperf3 over the same wire.
//!
//! A board's port is what `[probes] root` says it is, over the counters of its real interface; a slow port is shaped, too.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    client::Console,
    netns::{CONSOLE, Line, School},
    stand::{Bins, Classroom, ConsoleStand, Place, until},
};

const PLAYER: u16 = 8008;
const IPERF: u16 = 5201;
/// How long a way is measured in the bench. One second is not counted, here and there.
pub const SECONDS: u32 = 8;
/// Connections, here and there.
pub const STREAMS: u32 = 8;

/// Console and boards of a [`School`], of which each board has a port of so many Mbit/s.
#[expect(missing_debug_implementations, reason = "a console's client has none")]
pub struct Measured {
    /// Signed in.
    pub console: Console,
    /// At the console.
    pub school_id: i64,
    /// Ids of the boards, in the order of their ports.
    pub devices: Vec<String>,
    boards: Vec<Classroom>,
    /// Runs as long as we do.
    _stand: ConsoleStand,
}

/// One figure each way, kbit/s.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// Towards the school.
    pub down_kbps: f64,
    /// From the school.
    pub up_kbps: f64,
}

/// What a line of so many kbit/s looks like: its queue empties in 50 ms.
pub const fn line(rate_kbps: u32) -> Line {
    Line {
        rate_kbps,
        burst_bytes: if rate_kbps > 60_000 { 64_000 } else { 16_000 },
        queue_ms: 50,
    }
}

impl Measured {
    /// A console, a county that follows the rules of `rule_set`, and one board for each of `ports`.
    ///
    /// # Errors
    /// Something does not start.
    pub async fn prepare(school: &School, bins: &Bins, folder: &Path, ports: &[u32]) -> Result<Self> {
        let place = Place {
            host: CONSOLE,
            netns: Some(school.console.name().to_owned()),
        };
        let listen = Some([8080, 8443, 8883]);
        let data = folder.join("console");
        let mut stand = ConsoleStand::prepare_at(place, bins, &data, listen, "bench bench 1234")?;
        let console = stand.start().await?;
        let body = json!({ "kind": "county", "name": "样例县", "code": "360122" });
        let region = console.post("/regions", body).await?["id"].clone();
        let rules = format!("/regions/{region}/bandwidth-rules");
        console.put(&rules, json!({ "rule_set": "bazhong" })).await?;
        let body = json!({ "region_id": region, "code": "3601220001", "name": "城关小学", "kind": "school" });
        let school_id = console.post("/schools", body).await?["id"]
            .as_i64()
            .context("a school without an id")?;
        // Never class hours, so that the time of day decides nothing.
        let open = json!({ "class_hours": [], "class_hours_percent": 10 });
        console.put(&format!("/schools/{school_id}/line"), open).await?;
        let mut measured = Self {
            console,
            school_id,
            devices: Vec::new(),
            boards: Vec::new(),
            _stand: stand,
        };
        for (n, (netns, mbps)) in school.boards.iter().zip(ports).enumerate() {
            let dir = folder.join(format!("board-{n:02}"));
            let root = port_fixture(&dir, *mbps)?;
            let root = root.to_str().context("the folder's path is not UTF-8")?;
            let extra = format!("[probes]\nroot = {root:?}\n\n[health]\ninterval_s = 10\n");
            let mut board = Classroom::prepare(bins, &dir, PLAYER, &format!("BW-{n:02}"), &extra)?;
            board.netns = Some(netns.name().to_owned());
            let body = json!({ "school_id": school_id, "code": format!("3601220001-{n}"), "name": format!("{n} 班"), "grade": "" });
            let room = measured.console.post("/classrooms", body).await?["id"].clone();
            let body = json!({ "classroom_id": room, "ttl_hours": 1 });
            let made = measured.console.post("/tickets", body).await?;
            fs::write(dir.join("ticket.json"), made["ticket"].to_string())?;
            board.enrol(&dir.join("ticket.json"))?;
            board.start()?;
            measured.boards.push(board);
        }
        measured.find(ports.len()).await?;
        Ok(measured)
    }

    /// The boards' ids, once all are connected and the console knows what their ports are.
    async fn find(&mut self, many: usize) -> Result<()> {
        let found = until("every board online", Duration::from_secs(60), async || {
            let page = self.console.get("/devices?page_size=200").await?;
            let mut items: Vec<(String, String)> = page["items"]
                .as_array()
                .context("no devices")?
                .iter()
                .filter(|device| device["state"] == "online")
                .filter_map(|device| {
                    let of = |key: &str| Some(device[key].as_str()?.to_owned());
                    Some((of("serial")?, of("id")?))
                })
                .collect();
            items.sort();
            Ok((items.len() == many).then_some(items))
        })
        .await?;
        self.devices = found.into_iter().map(|(_, id)| id).collect();
        // The time comes from the console within seconds; a look at the network follows the connection.
        tokio::time::sleep(Duration::from_secs(8)).await;
        Ok(())
    }

    /// A test by the boards whose numbers are given (none: as many as the console finds needed), to its end.
    ///
    /// # Errors
    /// It is refused, or never decided.
    pub async fn test(&self, boards: &[usize], seconds: u32) -> Result<Value> {
        let ids: Vec<&String> = boards.iter().filter_map(|n| self.devices.get(*n)).collect();
        let body = json!({ "device_ids": ids, "seconds": seconds, "streams": STREAMS });
        let path = format!("/schools/{}/bandwidth-tests", self.school_id);
        let ordered = self.console.post(&path, body).await?;
        let path = format!("/bandwidth/tests/{}", ordered["id"].as_str().context("no test")?);
        until("a test is decided", Duration::from_secs(180), async || {
            let test = self.console.get(&path).await?;
            Ok((!test["decided_at"].is_null()).then_some(test))
        })
        .await
    }

    /// Logs of the boards.
    pub fn logs(&self) -> String {
        let mut all = String::new();
        for board in &self.boards {
            if let Ok(log) = fs::read_to_string(board.dir.join("agent.log")) {
                all.push_str(&log);
            }
        }
        all
    }
}

/// What a test says all its boards carried of payload.
///
/// # Errors
/// There is no figure.
pub fn payload(test: &Value) -> Result<Rates> {
    let of = |way: &str| {
        test["decision"][way]["payload_kbps"]
            .as_f64()
            .with_context(|| format!("no figure {way}: {test}"))
    };
    Ok(Rates {
        down_kbps: of("down")?,
        up_kbps: of("up")?,
    })
}

/// `/sys/class/net/eth0` of a port of so many Mbit/s; the counters are the interface's own, seen from the board's namespace.
fn port_fixture(dir: &Path, mbps: u32) -> Result<PathBuf> {
    let root = dir.join("root");
    let port = root.join("sys/class/net/eth0");
    fs::create_dir_all(&port)?;
    fs::write(port.join("type"), "1\n")?;
    fs::write(port.join("speed"), format!("{mbps}\n"))?;
    fs::write(port.join("uevent"), "INTERFACE=eth0\n")?;
    symlink("/sys/class/net/eth0/statistics", port.join("statistics"))?;
    symlink("/proc", root.join("proc"))?;
    Ok(root)
}

/// Shapes both ends of a board's cable to its port's speed.
///
/// # Errors
/// The kernel refuses.
pub fn shape_port(school: &School, board: usize, mbps: u32) -> Result<()> {
    let netns = school.boards.get(board).context("no such board")?;
    let ends = [
        (netns.name(), "eth0".to_owned()),
        (school.router.name(), format!("lan{}", 10 + board)),
    ];
    for (netns, interface) in ends {
        let rate = format!("{mbps}mbit");
        let done = Command::new("tc")
            .args(["-n", netns, "qdisc", "replace", "dev", &interface, "root", "tbf"])
            .args(["rate", &rate, "burst", "64000", "latency", "50ms"])
            .status()
            .context("Failed to run tc (package iproute2)")?;
        ensure!(done.success(), "tc could not shape {interface} in {netns}");
    }
    Ok(())
}

/// iperf3 between a board and the console: as many connections, as many seconds, the first not counted.
///
/// # Errors
/// iperf3 is not there (`cargo xtask setup` installs it), or fails.
pub async fn iperf(school: &School, board: usize, seconds: u32) -> Result<Rates> {
    let netns = school.boards.get(board).context("no such board")?.clone();
    let mut server = school
        .console
        .command(Path::new("iperf3"))
        .args(["-s", "-p", &IPERF.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("Failed to run iperf3 (package iperf3)")?;
    let measured = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(500));
        let once = |reverse: bool| -> Result<f64> {
            let mut command = netns.command(Path::new("iperf3"));
            command.args([
                "-J",
                "-O",
                "1",
                "-c",
                &CONSOLE.to_string(),
                "-p",
                &IPERF.to_string(),
            ]);
            command.args(["-t", &(seconds - 1).to_string(), "-P", &STREAMS.to_string()]);
            if reverse {
                command.arg("-R");
            }
            let out = command.output()?;
            let said: Value = serde_json::from_slice(&out.stdout).context("iperf3 said no JSON")?;
            let bits = said["end"]["sum_received"]["bits_per_second"].as_f64();
            Ok(bits.with_context(|| format!("iperf3: {}", said["error"]))? / 1_000.0)
        };
        let down_kbps = once(true)?;
        std::thread::sleep(Duration::from_secs(1));
        Ok(Rates {
            down_kbps,
            up_kbps: once(false)?,
        })
    })
    .await?;
    let _ = server.kill();
    let _ = server.wait();
    measured
}
