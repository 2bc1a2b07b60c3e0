//! Journey: the pages that are used seldom, in a real browser on a real board with a real console behind it: settings behind the
//! technician's PIN, a timetable from a disk, notices, a repair from report to confirmation, a lesson of the school's own with a
//! title typed by pinyin, the check before a class with a live app and what takes its place, and where the class stopped.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use common::{County, PNG};
use serde_json::{Value, json};
use system_tests::stand::{free_port, until};

const LIMIT: Duration = Duration::from_secs(60);
const PIN: &str = "246810";
const EXERCISE: &str = "science-4b-circuit";
const CSES: &str = "version: 1\nsubjects:\n  - name: 语文\n    teacher: 张三\nschedules:\n";

/// The board's browser, which is told what to do.
struct Page {
    node: Child,
    say: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl Page {
    fn start(base: &str) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("journeys/teacher_pages.mjs");
        let shots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("teacher-pages");
        println!("screenshots in {}", shots.display());
        let mut node = Command::new("node")
            .arg(script)
            .env("BASE_URL", format!("{base}/"))
            .env("SHOTS", shots)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("Failed to start node")?;
        let mut page = Self {
            say: node.stdin.take().context("no pipe")?,
            said: BufReader::new(node.stdout.take().context("no pipe")?),
            node,
        };
        page.read()?;
        Ok(page)
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("the browser said {line:?}"))
    }

    fn tell(&mut self, command: &str) -> Result<Value> {
        let said = self.ask(command)?;
        println!(
            "{command}: {}",
            said.to_string().chars().take(300).collect::<String>()
        );
        Ok(said)
    }

    fn ask(&mut self, command: &str) -> Result<Value> {
        writeln!(self.say, "{command}")?;
        let said = self.read()?;
        ensure!(said["ok"] == true, "{command}: {said}");
        Ok(said)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = writeln!(self.say, "end");
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            if matches!(self.node.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.node.kill();
        let _ = self.node.wait();
    }
}

fn says(said: &Value, key: &str, words: &str) -> Result<()> {
    let found = said[key].as_str().unwrap_or_default();
    ensure!(found.contains(words), "{key} says {found:?}, not {words:?}");
    Ok(())
}

/// Every school day has one period of 语文, whatever day the test runs.
fn cses() -> String {
    (1..=7).fold(CSES.to_owned(), |text, day| {
        text + &format!(
            "  - name: 日{day}\n    enable_day: {day}\n    weeks: all\n    classes:\n      - subject: 语文\n        \
             start_time: \"08:00:00\"\n        end_time: \"08:40:00\"\n"
        )
    })
}

/// What the classroom's configuration has beside: a disk's place, a loudspeaker that is a file, two live apps.
struct Room {
    media: PathBuf,
    mute: PathBuf,
    app: PathBuf,
    extra: String,
}

fn room(dir: &Path, near: std::net::SocketAddr) -> Result<Room> {
    let (media, mute, app) = (dir.join("media"), dir.join("mute"), dir.join("app.pid"));
    fs::create_dir_all(&media)?;
    fs::write(&mute, "")?;
    let text = |path: &Path| path.to_str().map(str::to_owned).context("path");
    let flag = text(&mute)?;
    let far = free_port()?;
    let extra = format!(
        "[usb]\nroots = [{:?}]\n[sound]\nis_mute = [\"test\", \"-e\", {flag:?}]\nmute = [\"touch\", {flag:?}]\n\
         unmute = [\"rm\", \"-f\", {flag:?}]\n\
         [[live.apps]]\nid = \"meet\"\nname = \"县直播课堂\"\ncommand = [\"sh\", \"-c\", \"echo $$ > '{}'; exec sleep 600\"]\n\
         check = \"{near}\"\n\
         [[live.apps]]\nid = \"far\"\nname = \"城乡结对\"\ncommand = [\"touch\", \"{}\"]\ncheck = \"127.0.0.1:{far}\"\n",
        text(&media)?,
        text(&app)?,
        text(&dir.join("must-not-be"))?,
    );
    Ok(Room {
        media,
        mute,
        app,
        extra,
    })
}

/// Whether the live app's process is there.
fn runs(room: &Room) -> bool {
    let pid = fs::read_to_string(&room.app).unwrap_or_default();
    !pid.trim().is_empty() && Path::new(&format!("/proc/{}", pid.trim())).exists()
}

async fn calendar(county: &County) -> Result<()> {
    let tree = county.console.get("/tree").await?;
    let region = &tree["regions"][0]["id"];
    let body =
        json!({ "school_lessons": true, "help": { "office": "县电化教育站", "phone": "0871-1234567" } });
    county
        .console
        .put(&format!("/regions/{region}/calendar"), body)
        .await?;
    let path = format!("/regions/{region}/technician-pin");
    county.console.put(&path, json!({ "pin": PIN })).await?;
    Ok(())
}

/// The plan comes over HTTPS while the broker cannot be reached at all.
fn plan_without_a_broker(page: &mut Page) -> Result<()> {
    home_until(page, "the plan came without a broker", |home| {
        home["help"]["office"] == "县电化教育站"
    })?;
    let home = page.tell("home")?["home"].clone();
    ensure!(home["online"] == false, "the broker was reached");
    Ok(())
}

/// Waits until the first page says so.
fn home_until(page: &mut Page, what: &str, is: impl Fn(&Value) -> bool) -> Result<()> {
    let begun = Instant::now();
    while !is(&page.ask("home")?["home"]) {
        ensure!(
            begun.elapsed() < LIMIT,
            "{what}: not within {} s",
            LIMIT.as_secs()
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

fn settings(page: &mut Page, room: &Room) -> Result<()> {
    let said = page.tell(&format!("settings 111111 {PIN}"))?;
    ensure!(
        said["said"][0].as_str().is_some_and(|said| !said.is_empty()),
        "{said}"
    );
    page.tell("turnUsbOff")?;
    let home = page.tell("home")?["home"].clone();
    ensure!(home["features"]["usb_play"] == false, "{}", home["features"]);
    page.tell("turnUsbOn")?;
    page.tell("english")?;
    ensure!(page.tell("home")?["home"]["language"] == "en");
    page.tell("chinese")?;
    fs::write(room.media.join("KINGSTON/四1班.yaml"), cses())?;
    let taken = page.tell("takeTimetable 四1班.yaml")?;
    ensure!(taken["periods"] == json!(["语文"]), "{taken}");
    ensure!(page.tell("home")?["home"]["today"]["source"] == "local");
    page.tell(&format!("settings {PIN}"))?;
    page.tell("clearTimetable")?;
    ensure!(page.tell("home")?["home"]["today"]["source"] == "none");
    Ok(())
}

async fn notices(county: &County, page: &mut Page) -> Result<()> {
    let device = county.device(0).await?["id"].clone();
    let send = async |level: &str, title: &str| {
        let body = json!({ "targets": [{ "kind": "device", "id": device }], "level": level, "title": title,
            "text": "请各班按时收看。", "show_for_s": 600 });
        county.console.post("/notices", body).await
    };
    send("standard", "明天升旗").await?;
    says(&page.tell("strip")?, "said", "明天升旗")?;
    send("urgent", "暴雨红色预警").await?;
    let said = page.tell("urgent")?;
    says(&said, "said", "暴雨红色预警")?;
    ensure!(
        said["whole"] == true,
        "an urgent notice takes the whole screen: {said}"
    );
    Ok(())
}

async fn repair(county: &County, page: &mut Page) -> Result<()> {
    page.tell("report")?;
    let fault = until("the report is at the console", LIMIT, async || {
        let faults = county.console.get("/faults").await?;
        let first = &faults["items"][0];
        Ok((first["class"] == "display" && first["symptom"] == "flicker").then(|| first["id"].clone()))
    })
    .await?;
    let fault = fault.as_str().context("no id")?.to_owned();
    let state = json!({ "state": "fixed", "note": "换了信号线，请试一试" });
    county
        .console
        .post(&format!("/faults/{fault}/state"), state)
        .await?;
    // Boards ask for repairs now and then, and when they come back.
    county.mqtt_line.cut();
    home_until(page, "the board is away", |home| home["online"] == false)?;
    county.mqtt_line.restore();
    let said = page.tell("repaired")?;
    says(&said, "note", "换了信号线，请试一试")?;
    until("the console knows that it is mended", LIMIT, async || {
        let now = county.console.get(&format!("/faults/{fault}")).await?;
        Ok((now["fault"]["state"] == "confirmed").then_some(()))
    })
    .await
}

async fn before_class(page: &mut Page, room: &Room) -> Result<()> {
    let said = page.tell("check")?;
    ensure!(said["took"].as_u64().is_some_and(|ms| ms < 30_000), "{said}");
    ensure!(
        said["lights"]["network"] == "green" && said["lights"]["sound"] == "red",
        "{said}"
    );
    ensure!(said["lights"]["clock"] == "green", "{said}");
    says(&said["apps"], "meet", "网络可以直播")?;
    says(&said["apps"], "far", "网络不够好")?;
    says(&page.tell("unmute")?, "said", "扬声器已打开")?;
    ensure!(!room.mute.exists(), "the loudspeaker is still mute");
    // The page names no program; only what the board's own list has is run, and only as it is there.
    let forged = page.tell("forged")?;
    ensure!(forged["statuses"] == json!([400, 400, 400, 400, 400]), "{forged}");
    ensure!(!runs(room));
    let opened = page.tell("live meet")?;
    ensure!(opened["good"] == true && opened["runs"] == true, "{opened}");
    ensure!(runs(room), "the app does not run");
    page.tell("endLive meet")?;
    until("the app is over", LIMIT, async || Ok((!runs(room)).then_some(()))).await?;
    // Where the line will not do, nothing is opened and a lesson of the board is one tap away.
    let refused = page.tell("live far")?;
    ensure!(refused["good"] == false, "{refused}");
    says(&refused, "said", "改上本机的课")?;
    ensure!(
        !room.mute.with_file_name("must-not-be").exists(),
        "it was opened all the same"
    );
    let taken = page.tell("fallback")?;
    says(&taken, "at", "#/lesson/")?;
    Ok(())
}

/// An exercise that was open for a moment is where the class stopped.
fn stopped(page: &mut Page) -> Result<()> {
    let mut slowest = 0;
    for wait in [0, 0, 50, 100, 300, 600, 1200, 0, 0, 0] {
        let said = page.tell(&format!("exercise {EXERCISE} {wait}"))?;
        ensure!(said["first"] == EXERCISE, "{said}");
        slowest = slowest.max(said["after_ms"].as_u64().unwrap_or(u64::MAX));
    }
    println!("an exercise that was left stands under 继续上次 after at most {slowest} ms");
    ensure!(slowest < 3000, "{slowest} ms");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_that_are_used_seldom_work_on_a_real_board() -> Result<()> {
    let mut county = County::start(None).await?;
    county.import_kit()?;
    calendar(&county).await?;
    let room = room(county.dir.path(), county.stand.devices_addr())?;
    let disk = room.media.join("KINGSTON");
    fs::create_dir_all(disk.join("bbt"))?;
    fs::write(disk.join("图.png"), PNG)?;
    county.mqtt_line.cut();
    county.add_classroom(&room.extra).await?;
    let mut page = Page::start(&county.classrooms[0].url())?;
    page.tell("open")?;
    plan_without_a_broker(&mut page)?;
    county.mqtt_line.restore();
    county.push_and_wait(Duration::from_secs(120)).await?;

    settings(&mut page, &room)?;
    notices(&county, &mut page).await?;
    let own = page.tell("own sanjiaoxingdemianji 三角形的面积")?;
    ensure!(
        own["title"] == "三角形的面积" && own["shown"] == "三角形的面积",
        "{own}"
    );
    stopped(&mut page)?;
    before_class(&mut page, &room).await?;
    repair(&county, &mut page).await?;
    ensure!(page.tell("errors")?["errors"] == json!([]));
    county.classrooms[0].process()?.check_alive()
}
