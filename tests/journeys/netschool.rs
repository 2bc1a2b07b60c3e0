//! A school in network namespaces for one journey: console, line, router, boards with their own addresses and ports.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::print_stdout,
    reason = "shared by journeys, each of which uses its part"
)]

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, TcpStream},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use contract::lesson::LessonManifest;
use serde_json::{Value, json};
use system_tests::{
    client::Console,
    netns::{Line, School},
    stand::{Bins, Classroom, ConsoleStand, Place, until},
};

/// Each namespace has its own: they are what comes with the product.
pub const PLAYER: u16 = 8008;
pub const PEERS: u16 = 8010;
pub const DEVICES: u16 = 8443;
pub const MQTT: u16 = 8883;

/// Ours alone, in memory where there is room.
pub fn scratch() -> Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    Ok(tempfile::Builder::new()
        .prefix("bbt-journey-")
        .tempdir_in(place)?)
}

/// The network, or the reason why there can be none here.
pub fn network(build: impl FnOnce() -> Result<School>) -> Result<School, String> {
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !root {
        return Err("network namespaces need root".to_owned());
    }
    build().map_err(|error| format!("{error:#}"))
}

/// Does `work` on a runtime whose every thread stands where the console stands.
pub fn at_console<T: Send>(school: &School, work: impl AsyncFnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            school.console.enter()?;
            let runtime = tokio::runtime::Runtime::new()?;
            let done = runtime.block_on(work());
            runtime.shutdown_timeout(Duration::from_secs(2));
            done
        });
        match thread.join() {
            Ok(done) => done,
            Err(_) => bail!("the journey panicked"),
        }
    })
}

/// A line of so many kbit/s.
pub const fn line(rate_kbps: u32) -> Line {
    Line {
        rate_kbps,
        burst_bytes: 16_000,
        queue_ms: 100,
    }
}

/// Console and county of a [`School`].
pub struct Net {
    pub console: Console,
    pub stand: ConsoleStand,
    pub bins: Bins,
    region: Value,
}

impl Net {
    /// A running console and an empty county.
    pub async fn start(school: &School, host: IpAddr, dir: &Path) -> Result<Self> {
        let bins = Bins::beside_the_test()?;
        let place = Place {
            host,
            netns: Some(school.console.name().to_owned()),
        };
        let ports = Some([8080, DEVICES, MQTT]);
        let mut stand =
            ConsoleStand::prepare_at(place, &bins, &dir.join("console"), ports, "correct horse 42")?;
        let console = stand.start().await?;
        let body = json!({ "kind": "county", "name": "样例县", "code": "360122" });
        let region = console.post("/regions", body).await?["id"].clone();
        Ok(Self {
            console,
            stand,
            bins,
            region,
        })
    }

    /// A school whose line and hours are known: never class hours, so that the time of day decides nothing.
    pub async fn school(&self, code: &str, line_kbps: u32) -> Result<i64> {
        let body = json!({ "region_id": self.region, "code": code, "name": code, "kind": "school" });
        let id = self.console.post("/schools", body).await?["id"]
            .as_i64()
            .context("a school without an id")?;
        let body = json!({ "measured_kbps": line_kbps, "class_hours": [], "class_hours_percent": 10 });
        self.console.put(&format!("/schools/{id}/line"), body).await?;
        Ok(id)
    }

    /// A board that is enrolled and not running, in the named namespace.
    pub async fn board(&self, dir: &Path, school: i64, name: &str, netns: &str) -> Result<Classroom> {
        let code = format!("R-{school}-{name}");
        let body = json!({ "school_id": school, "code": code, "name": name, "grade": "" });
        let room = self.console.post("/classrooms", body).await?["id"].clone();
        let extra = format!("[lan]\nlisten = \"[::]:{PEERS}\"\n\n[health]\ninterval_s = 1\n");
        let dir = dir.join(name);
        let mut board = Classroom::prepare(&self.bins, &dir, PLAYER, &format!("SN-{name}"), &extra)?;
        board.netns = Some(netns.to_owned());
        let made = self
            .console
            .post("/tickets", json!({ "classroom_id": room, "ttl_hours": 1 }))
            .await?;
        fs::write(dir.join("ticket.json"), made["ticket"].to_string())?;
        board.enrol(&dir.join("ticket.json"))?;
        Ok(board)
    }

    /// Devices that the console sees online.
    pub async fn online(&self, many: usize) -> Result<Vec<Value>> {
        until("every board online", Duration::from_secs(60), async || {
            let page = self.console.get("/devices?page_size=200").await?;
            let items = page["items"].as_array().cloned().unwrap_or_default();
            let online: Vec<_> = items.into_iter().filter(|d| d["state"] == "online").collect();
            Ok((online.len() == many).then_some(online))
        })
        .await
    }

    /// Imports one lesson of one video of about so many bytes; its manifest as the console keeps it, and that one's hash.
    pub fn lesson(&self, dir: &Path, id: &str, bytes: u32) -> Result<(contract::hash::Hash, LessonManifest)> {
        let folder = super::common::lesson_folder(dir, id)?;
        let kit = super::common::kit_folder()?;
        let video = kit
            .iter()
            .flat_map(|lesson| fs::read_dir(lesson).into_iter().flatten().flatten())
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|kind| kind == "mp4"))
            .context("the kit has no video")?;
        let have = u32::try_from(fs::metadata(&video)?.len())?;
        let seed = u64::from(std::process::id());
        system_tests::kit::lengthen_mp4(&video, &folder.join("课.mp4"), bytes.saturating_sub(have), seed)?;
        self.stand
            .admin(&["lesson", "import", "--release", folder.to_str().context("path")?])?;
        for file in files_below(&self.stand.data.join("objects/manifests"))? {
            let document = fs::read(&file)?;
            let read: Value = serde_json::from_slice(&document)?;
            let manifest: LessonManifest =
                serde_json::from_str(read["signed"].as_str().context("no manifest")?)?;
            if manifest.id.as_str() == id {
                return Ok((contract::hash::Hash::of(&document), manifest));
            }
        }
        bail!("the console keeps no manifest of {id}")
    }

    pub async fn push(&self, school: i64, lesson: &str) -> Result<()> {
        let body =
            json!({ "lesson_ids": [lesson], "target": { "kind": "school", "id": school }, "pinned": false });
        self.console.post("/pushes", body).await?;
        Ok(())
    }
}

/// One request to a board's own player, as its page asks it; status line and headers, and the body.
pub fn ask_player(
    school: &School,
    board: usize,
    path: &str,
    range: Option<&str>,
) -> Result<(String, Vec<u8>)> {
    school.boards[board].within(|| {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, PLAYER))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let range = range
            .map(|range| format!("range: {range}\r\n"))
            .unwrap_or_default();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{PLAYER}\r\n{range}connection: close\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let end = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .context("no answer")?;
        Ok((
            String::from_utf8_lossy(&answer[..end]).to_lowercase(),
            answer[end + 4..].to_vec(),
        ))
    })
}

/// Whether a board's player offers the lesson.
pub fn is_ready(school: &School, board: usize, lesson: &str) -> Result<bool> {
    let (_, body) = ask_player(school, board, "/api/shelf", None)?;
    let shelf: Value = serde_json::from_slice(&body)?;
    let mut lessons = shelf["lessons"].as_array().into_iter().flatten();
    Ok(lessons.any(|l| l["id"] == lesson && l["state"] == "ready"))
}

/// Reads every whole file that a board keeps; each must be what its name says.
pub fn cached(data: &Path) -> Result<BTreeSet<String>> {
    let mut hashes = BTreeSet::new();
    for file in files_below(&data.join("content/files"))? {
        let hash = blake3::hash(&fs::read(&file)?).to_hex().to_string();
        ensure!(
            file.file_name().is_some_and(|name| name == hash.as_str()),
            "bad bytes: {} is {hash}",
            file.display()
        );
        hashes.insert(hash);
    }
    Ok(hashes)
}

pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("Failed to read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_below(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

/// Waits until each of the first boards stands in connection with so many others: a plan takes a moment to reach them all.
pub async fn connected(school: &School, boards: usize) -> Result<()> {
    until(
        "boards connected with each other",
        Duration::from_secs(45),
        async || {
            for (n, netns) in school.boards[..boards].iter().enumerate() {
                let others = others(netns)?;
                ensure!(others + 1 >= boards, "board {n} has {others} others");
            }
            Ok(Some(()))
        },
    )
    .await
}

/// Far ends of established connections at the boards' port.
fn others(netns: &system_tests::netns::Netns) -> Result<usize> {
    netns.within(|| {
        let mut found = BTreeSet::new();
        for table in ["tcp", "tcp6"] {
            let text = fs::read_to_string(format!("/proc/thread-self/net/{table}"))?;
            for row in text.lines().skip(1) {
                let words: Vec<_> = row.split_whitespace().collect();
                let [_, local, remote, "01", ..] = words.as_slice() else {
                    continue;
                };
                let port = format!(":{PEERS:04X}");
                if local.ends_with(&port) || remote.ends_with(&port) {
                    // An IPv4 address is the end of its mapped form.
                    let address = remote.split(':').next().unwrap_or_default();
                    found.insert(address[address.len().saturating_sub(8)..].to_owned());
                }
            }
        }
        Ok(found.len())
    })
}
