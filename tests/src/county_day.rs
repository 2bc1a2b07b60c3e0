//! A county's working day by the pages of the console: the real console, simulated boards with real certificates over real MQTT,
//! a real browser. The journey `console_county` runs it with twelve schools, `cargo xtask county5k` with two hundred.
//!
//! The browser's part is `journeys/console_county.mjs`; what it says happened is held here against what the console has.
#![allow(clippy::print_stdout)]

mod figures;

use std::{
    fs,
    io::{Cursor, Write as _},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

pub use figures::{Copied, Pushed};

use crate::{
    client::Console,
    fleet::{self, Fleet, Load, Running},
    hook::Hook,
    stand::{Bins, ConsoleStand, until},
};

/// How large the county is and where it lies.
#[derive(Debug, Clone)]
pub struct Size {
    /// Boards that are enrolled, 25 to a school.
    pub boards: usize,
    /// Boards of them that never come: the last ones.
    pub away: usize,
    /// Seconds between two summaries of a board.
    pub every: Duration,
    /// All others come within so long.
    pub ramp: Duration,
    /// Loopback addresses to come from.
    pub shards: u8,
}

/// Who reviews lessons, in turn.
const REVIEWERS: [(&str, &str); 3] = [("li.chu", "李初"), ("wang.fu", "王复"), ("zhao.zhun", "赵准")];
const PASSWORD: &str = "county horse 42";

/// A county in which boards talk.
#[derive(Debug)]
pub struct County {
    /// The console, running.
    pub stand: ConsoleStand,
    /// As its administrator.
    pub console: Console,
    /// Sessions of the boards.
    pub running: Running,
    /// Boards that come.
    pub online: usize,
    size: Size,
    dir: PathBuf,
    hook: Hook,
    region: i64,
    /// The school whose boards are hot.
    school: i64,
    key: PathBuf,
}

/// Makes a console with boards under `dir`, with a plan for backups, people, and a rule by which one school's boards are hot.
/// What an earlier run made there is used again.
///
/// # Errors
/// The console refuses, or the boards do not come.
pub async fn prepare(bins: &Bins, dir: &Path, size: &Size) -> Result<County> {
    let data = dir.join("console");
    let fresh = !data.exists();
    let mut stand = ConsoleStand::prepare(bins, &data, None, "correct horse 42")?;
    let (key, backups) = (dir.join("backup.key"), dir.join("backups"));
    fs::create_dir_all(&backups)?;
    if !key.exists() {
        fs::write(
            dir.join("recipient"),
            stand.admin(&["backup", "key", "--out", text(&key)?])?.trim(),
        )?;
    }
    let config = format!(
        "[notify]\nprivate_hosts = [\"127.0.0.1\"]\n\n[backup]\nfolder = \"{}\"\nrecipient = \"{}\"\n",
        backups.display(),
        fs::read_to_string(dir.join("recipient"))?
    );
    fs::OpenOptions::new()
        .append(true)
        .open(data.join("console.toml"))?
        .write_all(config.as_bytes())?;
    let console = stand.start().await?;
    let begun = Instant::now();
    let fleet = Fleet::enrol(&console, &stand, &dir.join("fleet.json"), size.boards).await?;
    println!(
        "{} boards enrolled after {:.1} s",
        fleet.devices.len(),
        begun.elapsed().as_secs_f64()
    );
    let region = console.get("/tree").await?["regions"][0]["id"]
        .as_i64()
        .context("no region")?;
    let school = fleet
        .devices
        .iter()
        .map(|board| board.school)
        .min()
        .context("no board")?;
    if fresh {
        people(&console, region).await?;
    }
    exercises(&dir.join("files"))?;
    settings(&console, region, school).await?;
    // The last ones never come, and those that do are of whole schools but one.
    let mut there = fleet.clone();
    there.devices.sort_by_key(|board| board.school);
    let online = size.boards - size.away;
    there.devices.truncate(online);
    let load = Load {
        broker: stand.mqtt_addr(),
        every: size.every,
        ramp: size.ramp,
        shards: size.shards,
        acknowledged: true,
    };
    let running = fleet::run(&there, &load)?;
    until(
        "all boards are connected",
        size.ramp + Duration::from_secs(240),
        async || Ok((running.stats.connected.load(Ordering::Relaxed) >= online).then_some(())),
    )
    .await
    .with_context(|| running.stats.last_failure())?;
    println!(
        "{online} boards talk after {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    Ok(County {
        stand,
        console,
        running,
        online,
        size: size.clone(),
        dir: dir.to_owned(),
        hook: Hook::start().await?,
        region,
        school,
        key,
    })
}

async fn people(console: &Console, region: i64) -> Result<()> {
    for (username, display_name) in REVIEWERS {
        let grants = json!([{ "role": "reviewer" }]);
        let body = json!({ "username": username, "display_name": display_name, "password": PASSWORD, "grants": grants });
        console.post("/users", body).await?;
    }
    let grants = json!([{ "role": "overseer", "region_id": region }]);
    let body =
        json!({ "username": "shi.jiandu", "display_name": "市监管", "password": PASSWORD, "grants": grants });
    console.post("/users", body).await?;
    Ok(())
}

async fn settings(console: &Console, region: i64, school: i64) -> Result<()> {
    // The same at night as at eight on a Monday morning, on lines that somebody has written down.
    let line = json!({ "class_hours": [], "contracted_kbps": 100_000 });
    console.put(&format!("/regions/{region}/line"), line).await?;
    let hot = json!({ "name": "教室太热", "for_s": 0, "severity": "warning",
        "condition": { "kind": "metric", "metric": "temperature_celsius", "side": "above", "raise": 40.0, "clear": 30.0 } });
    let body = json!({ "school_id": school, "rule": hot });
    console.put("/alert-rules/hot_here", body).await?;
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

/// An exercise as a teacher zips it: one that asks another site for its script, and one that is whole.
fn exercises(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)?;
    for (name, script) in [("far", "https://cdn.example/vue.js"), ("whole", "a.js")] {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let plain = zip::write::SimpleFileOptions::default();
        let page = format!(
            "<!doctype html><meta charset=utf-8><title>口算</title><script src=\"{script}\"></script><p>三加五等于八</p>"
        );
        for (file, bytes) in [("index.html", page.as_bytes()), ("a.js", b"void 0;\n".as_slice())] {
            zip.start_file(file, plain)?;
            zip.write_all(bytes)?;
        }
        fs::create_dir_all(dir.join(name))?;
        fs::write(dir.join(name).join("口算.zip"), zip.finish()?.into_inner())?;
    }
    Ok(())
}

impl County {
    /// What the browser's part is handed.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let people = json!({ "reviewers": REVIEWERS.map(|(name, _)| name), "overseer": "shi.jiandu", "password": PASSWORD });
        vec![
            ("BBT_URL", self.stand.url()),
            ("BBT_USER", self.stand.username.to_owned()),
            ("BBT_PASSWORD", self.stand.password.clone()),
            ("BBT_HOOK", self.hook.url.clone()),
            ("BBT_SCHOOL", self.school.to_string()),
            ("BBT_BOARDS", self.size.boards.to_string()),
            ("BBT_ONLINE", self.online.to_string()),
            ("BBT_PEOPLE", people.to_string()),
            ("BBT_FILES", self.dir.join("files").display().to_string()),
        ]
    }

    /// One part of the day by the pages; gives what was seen. Pictures go to `out`.
    ///
    /// # Errors
    /// The pages cannot be worked with, or do what no page may.
    pub async fn by_the_page(&self, part: &str, out: &Path) -> Result<Value> {
        fs::create_dir_all(out)?;
        let mut node = Command::new("node");
        node.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("journeys/console_county.mjs"))
            .arg(out)
            .env("BBT_PART", part)
            .envs(self.environment());
        let done = tokio::task::spawn_blocking(move || node.output())
            .await?
            .context("Failed to start node")?;
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        println!("{said}{}", String::from_utf8_lossy(&done.stderr));
        ensure!(
            done.status.success(),
            "the page could not be worked with ({part}); pictures are in {}",
            out.display()
        );
        let seen: Value = serde_json::from_str(said.lines().last().context("nothing was said")?)?;
        let faults = seen["faults"].as_array().context("no list of faults")?;
        ensure!(faults.is_empty(), "{} faults of pages, see above", faults.len());
        Ok(seen)
    }

    /// Whether the console holds what the pages said.
    ///
    /// # Errors
    /// It does not.
    pub async fn judge(&self, seen: &Value) -> Result<()> {
        let of = |key: &str| seen[key].clone();
        let bulk = &seen["bulk"];
        ensure!(
            bulk["sent"] == 25 && bulk["done"] == 25,
            "orders to a school: {bulk}"
        );
        let push = self.console.get(&format!("/pushes/{}", of("push"))).await?;
        ensure!(!push["withdrawn_at"].is_null(), "the push is still there: {push}");
        let receipts = &seen["receipts"];
        ensure!(
            receipts["arrived"].as_u64() == Some(self.online as u64),
            "receipts: {receipts}"
        );
        ensure!(
            receipts["lines"].as_u64() == Some(self.size.boards as u64 + 1),
            "the file has a head and a line a board: {receipts}"
        );
        let (wan, lan) = (receipts["wan"].as_u64(), receipts["lan"].as_u64());
        ensure!(
            wan > Some(0) && wan.map(|bytes| bytes * 24) == lan,
            "a school's line carries a lesson once, and 24 boards have it from the first: {receipts}"
        );
        let lesson = self
            .console
            .get(&format!(
                "/lessons/{}",
                seen["lesson"].as_str().unwrap_or_default()
            ))
            .await?;
        ensure!(lesson["released_version"] == 2, "{lesson}");
        let order = self.console.get(&format!("/orders/{}", of("order"))).await?;
        ensure!(
            order["order"]["state"] == "accepted" && order["order"]["incident_id"] == of("incident"),
            "{order}"
        );
        let report = self.console.get(&format!("/reports/{}", of("report"))).await?;
        ensure!(report["report"]["state"] == "frozen", "{report}");
        let exam = self
            .console
            .get(&format!("/exams/{}", seen["exam"].as_str().unwrap_or_default()))
            .await?;
        ensure!(exam["state"] == "cancelled", "{exam}");
        let told = self.hook.told();
        ensure!(
            told.iter().any(|body| body.contains(r#""reason":"test""#)),
            "{told:?}"
        );
        let pages = seen["pages"].as_u64().unwrap_or(0);
        ensure!(pages >= 60, "only {pages} pages were looked at");
        println!("{pages} pages looked at, light and dark");
        Ok(())
    }

    /// The console's disk dies; the copy that was made by the page is put back.
    ///
    /// # Errors
    /// It cannot be, or it does not hold all boards.
    pub async fn put_back(&mut self, copy: &Path) -> Result<()> {
        let (file, key) = (text(copy)?.to_owned(), text(&self.key)?.to_owned());
        let checked = self
            .stand
            .admin(&["backup", "verify", &file, "--identity", &key, "--json"])?;
        let checked: Value = serde_json::from_str(&checked)?;
        ensure!(checked["faults"] == json!([]), "{checked}");
        ensure!(
            checked["counts"]["devices"].as_u64() == Some(self.size.boards as u64),
            "{checked}"
        );
        self.stand.kill();
        let dead = self.dir.join("dead");
        let _ = fs::remove_dir_all(&dead);
        fs::rename(&self.stand.data, &dead)?;
        self.stand
            .admin(&["backup", "restore", &file, "--identity", &key])?;
        self.console = self.stand.start().await?;
        until("all boards are back", Duration::from_secs(180), async || {
            let fleet = self.console.get("/fleet").await?;
            Ok((fleet["online"].as_u64() == Some(self.online as u64)).then_some(()))
        })
        .await
        .with_context(|| self.running.stats.last_failure())
    }
}
