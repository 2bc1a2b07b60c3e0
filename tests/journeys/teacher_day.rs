//! Journey: a teacher's lesson on a board that has nothing but itself. Lessons and the timetable come by the line; then the
//! console dies, and the board starts anew in a network namespace whose uplink is down and whose name server is deaf. There a
//! browser does by touch, at 1920×1080 and 3840×2160, what a teacher does: open, search by initials, play, seek, subtitle, PDF,
//! exercise, a USB disk with the teacher's own film and the county's pack, a fault report. The report goes home afterwards.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use common::{County, lesson_folder};
use jiff::{Timestamp, ToSpan, tz::Offset};
use serde_json::{Value, json};
use system_tests::{
    island::Island,
    stand::{Classroom, until},
};

const LIMIT: Duration = Duration::from_secs(90);
const SIZES: [&str; 2] = ["1920x1080", "3840x2160"];
const STEPS: [&str; 9] = [
    "home", "search", "play", "seek", "subtitle", "pdf", "html5", "usb", "fault",
];

/// Beside the build, so that somebody can look at them afterwards.
fn shots() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("teacher-day")
}

/// What the player answers, asked where this thread stands.
async fn ask(classroom: &Classroom, path: &str) -> Result<Value> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .timeout(Duration::from_secs(5))
        .build()?;
    let answer = http.get(format!("{}{path}", classroom.url())).send().await?;
    Ok(answer.error_for_status()?.json().await?)
}

/// The same, asked on the island.
fn ask_there(island: &Island, classroom: &Classroom, path: &str) -> Result<Value> {
    island.netns().within(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(ask(classroom, path))
    })
}

/// The class's week, today's and tomorrow's lessons, and whom to call.
async fn timetable(county: &County) -> Result<()> {
    let console = &county.console;
    let today = Offset::constant(8).to_datetime(Timestamp::now()).date();
    let tomorrow = today + 1.day();
    let monday = today - (i64::from(today.weekday().to_monday_zero_offset()) + 14).days();
    let tree = console.get("/tree").await?;
    let bells: Vec<_> = [
        (480, 520),
        (530, 570),
        (600, 640),
        (650, 690),
        (840, 880),
        (890, 930),
    ]
    .iter()
    .zip(1..)
    .map(|((from, to), number)| json!({ "number": number, "from_min": from, "to_min": to }))
    .collect();
    let calendar = json!({
        "term": { "first_monday": monday.to_string(), "weeks": 20 },
        "bells": bells,
        "help": { "office": "县电化教育站", "phone": "0871-1234567" },
    });
    let path = format!("/regions/{}/calendar", tree["regions"][0]["id"]);
    console.put(&path, calendar).await?;
    let subjects = ["语文", "数学", "英语", "科学", "体育", "音乐"];
    let periods: Vec<_> = (1..=7)
        .flat_map(|day| subjects.iter().zip(1..).map(move |(s, n)| (day, n, s)))
        .map(|(day, number, subject)| json!({ "day": day, "number": number, "subject": subject }))
        .collect();
    let room = county.rooms[0].id;
    console
        .put(
            &format!("/classrooms/{room}/timetable"),
            json!({ "periods": periods }),
        )
        .await?;
    let lessons = [
        (1, "chinese-3a-poem"),
        (2, "math-4b-triangle"),
        (4, "science-4b-circuit"),
    ];
    let planned: Vec<_> = [today, tomorrow]
        .iter()
        .flat_map(|date| lessons.map(|(number, lesson)| (date.to_string(), number, lesson)))
        .map(|(date, number, lesson)| json!({ "date": date, "number": number, "lesson_id": lesson }))
        .collect();
    let body = json!({ "from": today.to_string(), "to": tomorrow.to_string(), "planned": planned });
    console.put(&format!("/classrooms/{room}/planned"), body).await?;
    Ok(())
}

/// A disk with the teacher's own film, and a lesson of the county's that was not pushed to this board.
fn disk(county: &County, kit: &[PathBuf], media: &Path) -> Result<()> {
    let made = county.dir.path().join("made");
    let folder = lesson_folder(county.dir.path(), "picture-extra")?;
    fs::copy(kit[1].join("插图.png"), folder.join("插图.png"))?;
    county
        .stand
        .admin(&["lesson", "import", "--release", folder.to_str().context("path")?])?;
    let out = made.to_str().context("path")?;
    let args = ["--lessons", "picture-extra", "--title", "第三周", "--out", out];
    county.stand.admin(&[&["pack", "build"], &args[..]].concat())?;
    fs::copy(kit[0].join("微课.mp4"), made.join("我的微课.mp4"))?;
    fs::rename(&made, media.join("KINGSTON"))?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_teachers_lesson_without_any_network() -> Result<()> {
    if !fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
        println!("NOT SHOWN: a teacher's lesson with the uplink down; network namespaces need root");
        return Ok(());
    }
    let island = match Island::make(&format!("T{}-day", std::process::id())) {
        Ok(island) => island,
        Err(error) => {
            println!("NOT SHOWN: a teacher's lesson with the uplink down; {error:#}");
            return Ok(());
        }
    };

    island.check()?;

    // By the line: lessons and the timetable.
    let mut county = County::start(None).await?;
    let kit = county.import_kit()?;
    timetable(&county).await?;
    let media = county.dir.path().join("media");
    fs::create_dir_all(&media)?;
    let usb = format!("[usb]\nroots = [{:?}]\n", media.to_str().context("path")?);
    county.add_classroom(&usb).await?;
    county.push_and_wait(Duration::from_secs(120)).await?;
    until("the timetable is here", LIMIT, async || {
        let home = ask(&county.classrooms[0], "/api/home").await?;
        let all = home["today"]["periods"].as_array().map_or(0, Vec::len);
        Ok((home["online"] == true && home["today"]["source"] == "console" && all == 6).then_some(()))
    })
    .await?;

    // The console is gone, the line is gone, and the board comes up where nothing answers.
    disk(&county, &kit, &media)?;
    county.stand.kill();
    county.line.cut();
    county.mqtt_line.cut();
    county.classrooms[0].kill();
    county.classrooms[0].netns = Some(island.netns().name().to_owned());
    county.classrooms[0].start()?;
    let board = &county.classrooms[0];
    let home = until("the board is up", LIMIT, async || {
        let home = ask_there(&island, board, "/api/home")?;
        Ok((home["preparing"] != true && home["counts"]["ready"].as_u64() >= Some(3)).then_some(home))
    })
    .await?;
    ensure!(home["online"] == false && home["on_board"] == true, "{home}");
    println!("next: {} clock: {}", home["next"], home["clock"]);

    let seen = lesson(&island, board)?;
    judge(&seen)?;
    island.check().context("after the lesson")?;

    // What was reported waits on the board …
    let kept = ask_there(&island, board, "/api/faults")?;
    ensure!(
        kept.to_string().contains("\"touch\"") && kept.to_string().contains("\"offset\""),
        "the board forgot the report: {kept}"
    );
    drop(island);
    // … and goes home with the line.
    county.classrooms[0].kill();
    county.classrooms[0].netns = None;
    county.console = county.stand.start().await?;
    county.line.restore();
    county.mqtt_line.restore();
    county.classrooms[0].start()?;
    until("the report is at the console", LIMIT, async || {
        let faults = county.console.get("/faults").await?;
        let first = &faults["items"][0];
        Ok((first["class"] == "touch" && first["symptom"] == "offset").then_some(()))
    })
    .await
}

/// The lesson itself, by the player's own driver.
fn lesson(island: &Island, board: &Classroom) -> Result<Value> {
    let shots = shots();
    let _ = fs::remove_dir_all(&shots);
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/daemon/player-ui/dev/teacher.mjs");
    let done = island
        .netns()
        .command(Path::new("node"))
        .arg(driver)
        .env("BASE_URL", format!("{}/", board.url()))
        .env("SIZES", SIZES.join(","))
        .env("SHOTS", &shots)
        .output()
        .context("Failed to run node")?;
    let (out, err) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    println!("{out}{err}");
    let asked = island.asked();
    println!("asked of the deaf name server: {asked:?}");
    println!("screenshots in {}", shots.display());
    let seen = serde_json::from_str(&out).context("the driver gave no account")?;
    ensure!(done.status.success(), "the lesson failed");
    // A Chromium that is not set up for a kiosk looks for its makers; agent and page ask for no name at all.
    let makers = ["googleapis.com", "google.com", "gstatic.com", "gvt1.com"];
    ensure!(
        asked
            .keys()
            .all(|name| makers.iter().any(|maker| name.ends_with(maker))),
        "names were asked for: {asked:?}"
    );
    Ok(seen)
}

/// Every step at every size, none left out, and nothing asked of anybody else.
fn judge(seen: &Value) -> Result<()> {
    ensure!(seen["ok"] == true, "the driver is not content");
    for what in ["outside", "failed_requests", "errors"] {
        ensure!(seen[what] == json!([]), "{what}: {}", seen[what]);
    }
    let sizes = seen["sizes"].as_array().context("no sizes")?;
    ensure!(sizes.len() == SIZES.len(), "{} sizes", sizes.len());
    for (size, expected) in sizes.iter().zip(SIZES) {
        ensure!(size["size"] == expected, "{} for {expected}", size["size"]);
        let steps = size["steps"].as_array().context("no steps")?;
        let names: Vec<_> = steps
            .iter()
            .filter(|step| step["ok"] == true)
            .filter_map(|step| step["name"].as_str())
            .collect();
        ensure!(names == STEPS, "at {expected} only {names:?} went well");
    }
    Ok(())
}
