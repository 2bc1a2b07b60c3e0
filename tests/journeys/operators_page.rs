//! Journey: an operator's first day by the page alone, with real agents following, and a school's day (timetable, term, a
//! planned lesson, an exam, a notice, what was held); then every page is photographed and
//! held against script errors, foreign requests, sideways scrolling and accessibility violations.
//!
//! The pictures stay in the build folder (`tmp/operators-page`), to be looked at.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use common::{County, free_port_pair};
use system_tests::stand::{Classroom, free_port, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_first_day_by_the_page_alone() -> Result<()> {
    let kit = common::kit_folder()?;
    let county = County::start_empty().await?;
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../provisioning/web");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("operators-page");
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&out)?;
    let node = |script: &str, more: &[PathBuf]| -> Result<String> {
        let done = Command::new("node")
            .arg(web.join("dev").join(script))
            .arg(&out)
            .args(more)
            .env("BBT_URL", county.stand.url())
            .env("BBT_USER", county.stand.username)
            .env("BBT_PASSWORD", &county.stand.password)
            .env("BBT_BRIEF", "1")
            .output()?;
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
        ensure!(done.status.success(), "{script} failed:\n{text}");
        ensure!(!text.contains("script error"), "{script}:\n{text}");
        Ok(text)
    };

    let lesson = ["微课.mp4", "微课.zh-CN.vtt", "学习单.pdf"].map(|name| kit[0].join(name));
    let circuit = kit[2].join("点亮小灯泡.zip");
    println!("{}", node("first-day.mjs", &[&lesson[..], &[circuit]].concat())?);

    let mut classrooms = Vec::new();
    for n in 1..=2 {
        let dir = county.dir.path().join(format!("board-{n}"));
        let extra = "[health]\ninterval_s = 1\n";
        let mut classroom =
            Classroom::prepare(&county.bins, &dir, free_port()?, &format!("BOARD-{n}"), extra)?;
        classroom.enrol(&out.join(format!("ticket-{n}.json")))?;
        classroom.start()?;
        classrooms.push(classroom);
    }
    let pushes = county.console.get("/pushes").await?;
    let push = pushes["items"][0]["id"]
        .as_i64()
        .context("the page made no push")?;
    until("both boards ready", Duration::from_secs(60), async || {
        let now = county.console.get(&format!("/pushes/{push}")).await?;
        Ok((now["totals"]["ready"] == 2).then_some(()))
    })
    .await?;

    println!("{}", node("school-day.mjs", &[])?);
    println!("{}", node("lists-day.mjs", &[])?);
    println!("{}", node("keyboard-day.mjs", &[])?);
    println!("{}", node("help-day.mjs", &[])?);
    let (others, requests) = new_boards(&county, &classrooms[0])?;
    println!("{}", node("screenshots.mjs", &[])?);
    let pictures = fs::read_dir(&out)?
        .flatten()
        .filter(|f| f.path().extension().is_some_and(|e| e == "png"))
        .count();
    println!("{pictures} pictures in {}", out.display());
    ensure!(pictures >= 30, "only {pictures} pictures");

    let serials = ["SN-WAITING", "SN-GHOST"].map(PathBuf::from);
    println!("{}", node("enrol-day.mjs", &[&serials[..], &requests].concat())?);
    drop(others);
    Ok(())
}

/// Boards for `enrol-day.mjs`: one that waits to be claimed and one that runs on a copy of `original`'s disk; and the files
/// that a third one, without a line, left on its USB disk.
fn new_boards(county: &County, original: &Classroom) -> Result<(Vec<Classroom>, Vec<PathBuf>)> {
    let prepare = |name: &str, extra: &str| {
        let dir = county.dir.path().join(name);
        let serial = format!("SN-{name}");
        Classroom::prepare(&county.bins, &dir, free_port_pair()?, &serial, extra)
    };
    let file = county.dir.path().join("county.json");
    let path = file.to_str().context("path")?;
    county.stand.admin(&["county", "export", "--out", path])?;
    let mut waiting = prepare("WAITING", &format!("[county]\nfile = {file:?}\n"))?;
    waiting.start()?;

    let mut copy = prepare("GHOST", "")?;
    let done = Command::new("cp")
        .arg("-a")
        .arg(original.dir.join("data"))
        .arg(&copy.dir)
        .status()?;
    ensure!(done.success(), "cp failed");
    copy.start()?;

    let disk = county.dir.path().join("disk");
    fs::create_dir_all(&disk)?;
    let at = disk.to_str().context("path")?;
    // The only school that `first-day.mjs` made; its third classroom has no device yet.
    county
        .stand
        .admin(&["usb", "export", "--school", "1", "--out", at])?;
    let far = prepare("FAR", "")?;
    let (status, out, err) = far.once(&["enrol"], &["--usb", at, "--classroom", "303"])?;
    ensure!(status == 0, "{out}{err}");
    let mut requests = Vec::new();
    for entry in fs::read_dir(disk.join("bbt/requests"))? {
        requests.push(entry?.path());
    }
    ensure!(!requests.is_empty(), "no request on the disk");
    Ok((vec![waiting, copy], requests))
}
