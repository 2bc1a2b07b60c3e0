//! Real console, real boards: enrolled, online, given one lesson.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use contract::{hash::Hash, lesson::LessonManifest};
use serde_json::{Value, json};
use system_tests::{
    client::Console,
    netns::{CONSOLE, School},
    stand::{Bins, Classroom, ConsoleStand, Place, until},
};

use super::race::{Fleet, Ready, clear};

/// Each board has a namespace of its own, so all use the same ports.
const PLAYER: u16 = 8008;
const PEERS: u16 = 8010;
const LESSON: &str = "bench-school";
const ENROL_AT_ONCE: usize = 8;

/// How the boards stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lan {
    /// As they come.
    Swarm,
    /// Each for itself.
    Off,
}

/// A county of one school.
pub(crate) struct Ours {
    pub(crate) console: Console,
    /// The school's id at the console.
    pub(crate) school_id: i64,
    pub(crate) boards: Vec<Classroom>,
    /// Runs as long as we do.
    _stand: ConsoleStand,
    lan: Lan,
    lesson_id: Value,
    content: Hash,
}

impl Ours {
    /// Console in its place, `content` imported as the one lesson, every board enrolled and online.
    pub(crate) async fn prepare(
        school: &School,
        bins: &Bins,
        folder: &Path,
        content: &Path,
        lan: Lan,
    ) -> Result<Self> {
        let place = Place {
            host: CONSOLE,
            netns: Some(school.console.name().to_owned()),
        };
        let ports = Some([8080, 8443, 8883]);
        let data = folder.join("console");
        let mut stand = ConsoleStand::prepare_at(place, bins, &data, ports, "bench bench 1234")?;
        let console = stand.start().await?;
        import(&stand, &folder.join("lessons"), content)?;
        let lessons = console.get("/lessons?page_size=10").await?;
        let lesson_id = lessons["items"][0]["id"].clone();

        let body = json!({ "kind": "county", "name": "样例县", "code": "360122" });
        let region = console.post("/regions", body).await?["id"].clone();
        let body = json!({ "region_id": region, "code": "3601220001", "name": "城关小学", "kind": "school" });
        let school_id = console.post("/schools", body).await?["id"]
            .as_i64()
            .context("a school without an id")?;
        let extra = lan_table(bins, lan)?;
        let mut boards = Vec::new();
        for (n, netns) in school.boards.iter().enumerate() {
            let code = format!("3601220001-{}", n + 1);
            let body =
                json!({ "school_id": school_id, "code": code, "name": format!("{} 班", n + 1), "grade": "" });
            let room = console.post("/classrooms", body).await?["id"].clone();
            let dir = folder.join(format!("board-{n:02}"));
            let mut board = Classroom::prepare(bins, &dir, PLAYER, &format!("BENCH-{n:02}"), &extra)?;
            board.netns = Some(netns.name().to_owned());
            let body = json!({ "classroom_id": room, "ttl_hours": 1 });
            let made = console.post("/tickets", body).await?;
            fs::write(dir.join("ticket.json"), made["ticket"].to_string())?;
            boards.push(board);
        }
        for group in boards.chunks_mut(ENROL_AT_ONCE) {
            std::thread::scope(|scope| {
                let begun: Vec<_> = group
                    .iter_mut()
                    .map(|board| {
                        scope.spawn(|| {
                            board.enrol(&board.dir.join("ticket.json"))?;
                            board.start()
                        })
                    })
                    .collect();
                begun.into_iter().try_for_each(|one| {
                    one.join()
                        .map_err(|_| anyhow::anyhow!("a thread panicked while enrolling"))?
                })
            })?;
        }
        let all = boards.len();
        until("every board online", Duration::from_secs(120), async || {
            let page = console.get("/devices?page_size=200").await?;
            let online = page["items"]
                .as_array()
                .map_or(0, |items| items.iter().filter(|d| d["state"] == "online").count());
            ensure!(online == all, "{online} of {all} online");
            Ok(Some(()))
        })
        .await?;
        Ok(Self {
            console,
            school_id,
            boards,
            _stand: stand,
            lan,
            lesson_id,
            content: Hash::of(&fs::read(content)?),
        })
    }

    /// Tells the console what the line carries, and whether it is class hours now: all week or never. What is built in would
    /// make the figures depend on the time of day.
    pub(crate) async fn line(&self, line_kbps: u32, class_hours: bool) -> Result<()> {
        let always = json!([{ "days": [1, 2, 3, 4, 5, 6, 7], "from_min": 0, "to_min": 1440 }]);
        let body = json!({
            "measured_kbps": line_kbps,
            "class_hours": if class_hours { always } else { json!([]) },
            "class_hours_percent": 10,
        });
        match self
            .console
            .put(&format!("/schools/{}/line", self.school_id), body)
            .await
        {
            // Consoles of before the school's line know no class hours.
            Err(error) if !class_hours && error.to_string().contains("404") => Ok(()),
            done => done.map(drop),
        }
    }

    fn data(&self, board: usize) -> PathBuf {
        self.boards[board].dir.join("data")
    }
}

impl Fleet for Ours {
    fn who(&self) -> &'static str {
        match self.lan {
            Lan::Swarm => "ours",
            Lan::Off => "solo",
        }
    }

    async fn go(&mut self) -> Result<()> {
        let body = json!({
            "lesson_ids": [self.lesson_id],
            "target": { "kind": "school", "id": self.school_id },
            "pinned": false,
        });
        self.console.post("/pushes", body).await?;
        Ok(())
    }

    fn start(&mut self, board: usize) -> Result<()> {
        self.boards[board].start()
    }

    fn kill(&mut self, board: usize) {
        self.boards[board].kill();
    }

    fn check_alive(&mut self) -> Result<()> {
        for board in &mut self.boards {
            if let Ok(process) = board.process() {
                process.check_alive()?;
            }
        }
        Ok(())
    }

    fn pids(&mut self) -> Vec<u32> {
        self.boards
            .iter_mut()
            .filter_map(|board| Some(board.process().ok()?.pid()))
            .collect()
    }

    /// Looks at the disk until every file of the lesson lies there under its final name, then asks the board's own player.
    fn ready(&self, board: usize) -> Ready {
        let data = self.data(board);
        let mut files: Option<Vec<PathBuf>> = None;
        Box::new(move || {
            if files.is_none() {
                files = wanted(&data);
            }
            let complete = files.as_ref().is_some_and(|all| all.iter().all(|f| f.exists()));
            complete && is_shown().unwrap_or(false)
        })
    }

    fn wrong(&self, board: usize) -> Result<bool> {
        let hex = self.content.to_hex();
        let file = self.data(board).join("content/files").join(&hex[..2]).join(&hex);
        Ok(Hash::of(&fs::read(file)?) != self.content)
    }
}

/// One lesson folder around `content`, imported.
fn import(stand: &ConsoleStand, folder: &Path, content: &Path) -> Result<()> {
    let lesson = folder.join(LESSON);
    fs::create_dir_all(&lesson)?;
    fs::hard_link(content, lesson.join("课堂实录.mp4"))?;
    fs::write(
        lesson.join("lesson.toml"),
        format!(
            "id = \"{LESSON}\"\n[meta]\ntitle = \"课堂实录\"\nstage = \"小学\"\nsubject = \"数学\"\nedition = \"人教版\"\n\
             grade = \"四年级\"\nvolume = \"下册\"\nchapter = \"第一单元\"\nperiod = \"第1课时\"\n"
        ),
    )?;
    crate::bench::import(stand, folder)
}

/// Whether the agent has a `[lan]` table. Agents of before the swarm refuse it: they are each for themselves.
pub(crate) fn knows_lan(bins: &Bins) -> Result<bool> {
    let folder = std::env::temp_dir().join(format!("bbt{}-tried", std::process::id()));
    let tried = Classroom::prepare(bins, &folder, PLAYER, "BENCH", "[lan]\nenabled = false\n")?;
    let (_, _, said) = tried.once(&["status"], &[])?;
    clear(&folder);
    Ok(!said.contains("unknown field `lan`"))
}

/// The `[lan]` table of the boards' configuration.
fn lan_table(bins: &Bins, lan: Lan) -> Result<String> {
    match (lan, knows_lan(bins)?) {
        (Lan::Swarm, true) => Ok(format!("[lan]\nenabled = true\nlisten = \"[::]:{PEERS}\"\n")),
        (Lan::Off, true) => Ok("[lan]\nenabled = false\n".to_owned()),
        (Lan::Off, false) => Ok(String::new()),
        (Lan::Swarm, false) => {
            bail!("this bbt-agent knows no [lan]: it is each for itself; measure it with --peers solo")
        }
    }
}

/// The files of the lesson, once the board has its manifest.
fn wanted(data: &Path) -> Option<Vec<PathBuf>> {
    let manifest = fs::read_dir(data.join("content/manifests"))
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|e| e == "json"))?;
    let document: Value = serde_json::from_slice(&fs::read(manifest).ok()?).ok()?;
    let manifest: LessonManifest = serde_json::from_str(document["signed"].as_str()?).ok()?;
    Some(
        manifest
            .files
            .iter()
            .map(|file| {
                let hex = file.hash.to_hex();
                data.join("content/files").join(&hex[..2]).join(&hex)
            })
            .collect(),
    )
}

/// Whether the player in the thread's own namespace offers the lesson.
fn is_shown() -> Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, PLAYER))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(
        stream,
        "GET /api/shelf HTTP/1.1\r\nhost: 127.0.0.1:{PLAYER}\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    let shelf: Value = serde_json::from_str(body)?;
    Ok(shelf["lessons"]
        .as_array()
        .is_some_and(|all| all.iter().any(|l| l["id"] == LESSON && l["state"] == "ready")))
}
