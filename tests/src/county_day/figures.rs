//! What people wait for at a county's console, measured over its own doors while its boards talk: lists, a push to everybody, a
//! backup. Nothing here is held against a clock; what does not come about is an error.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{County, text};

/// Longer than any push or backup on a busy machine.
const LIMIT: Duration = Duration::from_secs(900);
/// Between two looks at something that is under way.
const LOOK: Duration = Duration::from_millis(250);
/// The lesson that is pushed, the same each time.
const LESSON: &str = "county-push";
/// A picture of one pixel.
const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0,
    0, 1, 8, 0, 0, 0, 0, 0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0, 0x0a, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63,
    0x68, 0, 0, 0, 0x82, 0, 0x81, 0x77, 0xcd, 0x72, 0xb6, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42,
    0x60, 0x82,
];

/// How a push to the whole county went.
#[derive(Debug, Clone, Copy)]
pub struct Pushed {
    /// The console had taken it.
    pub taken: Duration,
    /// The first board had the lesson, as the push's page counts.
    pub first: Duration,
    /// Half of those that are there had it.
    pub half: Duration,
    /// All of them.
    pub all: Duration,
    /// Receipts of all of them were there.
    pub receipts: Duration,
    /// The longest that the push itself took to be shown meanwhile.
    pub look: Duration,
}

/// A backup made by the console while boards talk, tried, and put back into a folder of its own.
#[derive(Debug, Clone, Copy)]
pub struct Copied {
    /// Size of the file.
    pub bytes: u64,
    /// From the button to the whole file.
    pub made: Duration,
    /// Read, its database opened, its keys fitted, every lesson hashed.
    pub verified: Duration,
    /// In a folder from which a console can serve.
    pub restored: Duration,
}

impl County {
    /// How long lists take that are narrowed and ordered in ways people do: what was asked, and milliseconds at the middle, at
    /// 95 of 100, and at worst, from asking to the last byte of the answer.
    ///
    /// # Errors
    /// The console does not answer.
    pub async fn filters(&self, times: usize) -> Result<Vec<(String, [f64; 3])>> {
        let (region, school) = (self.region, self.school);
        let asked = [
            "/devices".to_owned(),
            "/devices?q=SIM-31".to_owned(),
            "/devices?q=%E6%A8%A1%E6%8B%9F%E5%B0%8F%E5%AD%A62&sort=-last_seen_at".to_owned(),
            "/devices?state=offline&sort=last_seen_at".to_owned(),
            "/devices?state=online&sort=-temperature_celsius&page=20".to_owned(),
            "/devices?page_size=500&sort=-state_since".to_owned(),
            format!("/devices?region_id={region}&temperature_from=50&sort=serial"),
            "/devices?lessons=arriving&disk_free_below_percent=90".to_owned(),
            format!("/devices?school_id={school}&board=generic-x86&agent_version=0.0.0-sim"),
            "/devices/choices".to_owned(),
            "/incidents?open=true&severity=warning".to_owned(),
            format!("/incidents?region_id={region}"),
            "/orders?open=true&overdue=true".to_owned(),
            "/lessons?q=%E5%8F%A3%E7%AE%97&grade=%E4%B8%89%E5%B9%B4%E7%BA%A7".to_owned(),
            "/pushes?withdrawn=true".to_owned(),
            "/audit?q=SIM".to_owned(),
            "/users?q=a".to_owned(),
            format!("/assets?school_id={school}"),
            "/reports?kind=month".to_owned(),
            "/exams?state=cancelled".to_owned(),
            "/tree".to_owned(),
            "/fleet".to_owned(),
            "/overview".to_owned(),
        ];
        let mut found = Vec::new();
        for path in asked {
            let mut took = Vec::with_capacity(times);
            for _ in 0..times {
                let begun = Instant::now();
                self.console.bytes(&path).await?;
                took.push(begun.elapsed().as_secs_f64() * 1_000.0);
            }
            took.sort_by(f64::total_cmp);
            let at = |percent: usize| {
                let place = (took.len() * percent / 100).min(took.len().saturating_sub(1));
                took.get(place).copied().unwrap_or(f64::NAN)
            };
            found.push((path, [at(50), at(95), at(100)]));
        }
        Ok(found)
    }

    /// One lesson to every board of the county, until the console has the receipts of all that are there; then it is taken back.
    ///
    /// # Errors
    /// It does not arrive, or arrives at more boards than there are.
    pub async fn push_to_all(&self) -> Result<Pushed> {
        let folder = self.dir.join(LESSON);
        lesson(&folder)?;
        self.stand
            .admin(&["lesson", "import", "--release", text(&folder)?])?;
        let target = json!({ "kind": "region", "id": self.region });
        let online = self.online as u64;
        let begun = Instant::now();
        let push = self
            .console
            .post("/pushes", json!({ "lesson_ids": [LESSON], "target": target }))
            .await?;
        let taken = begun.elapsed();
        let id = push["id"].as_i64().context("a push without an id")?;
        let (mut first, mut half) = (None, None);
        let mut look = Duration::ZERO;
        let mut told = 0;
        let all = loop {
            let asked = Instant::now();
            let now = self.console.get(&format!("/pushes/{id}")).await?;
            look = look.max(asked.elapsed());
            let ready = now["totals"]["ready"]
                .as_u64()
                .context("no count of those ready")?;
            ensure!(ready <= online, "{ready} boards are ready, {online} are there");
            let passed = begun.elapsed();
            if ready > 0 {
                first.get_or_insert(passed);
            }
            if ready * 2 >= online {
                half.get_or_insert(passed);
            }
            if ready == online {
                break passed;
            }
            if passed.as_secs() / 5 > told {
                told = passed.as_secs() / 5;
                println!(
                    "{:6.1} s: {ready} of {online} boards have it",
                    passed.as_secs_f64()
                );
            }
            ensure!(
                passed < LIMIT,
                "the push stands still: {} ({})",
                now["totals"],
                self.running.stats.last_failure()
            );
            tokio::time::sleep(LOOK).await;
        };
        let receipts = loop {
            let now = self.console.get(&format!("/pushes/{id}/receipt-summary")).await?;
            if now["totals"]["arrived"].as_u64() == Some(online) {
                break begun.elapsed();
            }
            ensure!(begun.elapsed() < LIMIT, "receipts are missing: {}", now["totals"]);
            tokio::time::sleep(LOOK).await;
        };
        self.console.delete(&format!("/pushes/{id}")).await?;
        Ok(Pushed {
            taken,
            first: first.unwrap_or(all),
            half: half.unwrap_or(all),
            all,
            receipts,
            look,
        })
    }

    /// A backup as the button makes it; then it is tried, and put back into a folder that is removed again.
    ///
    /// # Errors
    /// It is not made, or does not hold all boards.
    pub async fn copy(&mut self) -> Result<Copied> {
        // One that was due may be on its way.
        let idle = |now: &Value| now["running"].is_null();
        let before = self.wait_for_backup(idle).await?;
        let begun = Instant::now();
        self.console.post("/backups", json!({})).await?;
        let after = self
            .wait_for_backup(|now| idle(now) && now["last"]["at"] != before["last"]["at"])
            .await?;
        let made = begun.elapsed();
        let last = &after["last"];
        ensure!(last["error"].is_null(), "the backup failed: {last}");
        let name = last["name"].as_str().context("a backup without a name")?;
        let file = self.dir.join("backups").join(name);
        let bytes = fs::metadata(&file)
            .with_context(|| format!("Failed to look at {}", file.display()))?
            .len();
        let (file, key) = (text(&file)?.to_owned(), text(&self.key)?.to_owned());
        let begun = Instant::now();
        let checked = self
            .stand
            .admin(&["backup", "verify", &file, "--identity", &key, "--json"])?;
        let verified = begun.elapsed();
        let checked: Value = serde_json::from_str(&checked)?;
        ensure!(checked["faults"] == json!([]), "{checked}");
        ensure!(
            checked["counts"]["devices"].as_u64() == Some(self.size.boards as u64),
            "{checked}"
        );
        let trial = self.dir.join("trial");
        let _ = fs::remove_dir_all(&trial);
        // The console that serves keeps its folder; the command is handed another one.
        let home = std::mem::replace(&mut self.stand.data, trial.clone());
        let begun = Instant::now();
        let done = self
            .stand
            .admin(&["backup", "restore", &file, "--identity", &key]);
        let restored = begun.elapsed();
        self.stand.data = home;
        done?;
        ensure!(
            trial.join("console.db").is_file(),
            "nothing was put back into {}",
            trial.display()
        );
        fs::remove_dir_all(&trial)?;
        Ok(Copied {
            bytes,
            made,
            verified,
            restored,
        })
    }

    async fn wait_for_backup(&self, done: impl Fn(&Value) -> bool) -> Result<Value> {
        let begun = Instant::now();
        loop {
            let now = self.console.get("/backups").await?;
            if done(&now) {
                return Ok(now);
            }
            ensure!(begun.elapsed() < LIMIT, "the backup does not end: {now}");
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn lesson(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)?;
    let about = format!(
        "id = \"{LESSON}\"\n[meta]\ntitle = \"全县推送\"\nstage = \"小学\"\nsubject = \"数学\"\nedition = \"人教版\"\ngrade = \"三年级\"\nvolume = \"上册\"\nchapter = \"第一单元\"\nperiod = \"第1课时\"\n"
    );
    fs::write(dir.join("lesson.toml"), about)?;
    fs::write(dir.join("图.png"), PNG)?;
    Ok(())
}
