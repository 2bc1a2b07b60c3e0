//! Journey: an operator's first day by the page alone, with real agents following; then every page is photographed and
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
use common::County;
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

    println!("{}", node("screenshots.mjs", &[])?);
    let pictures = fs::read_dir(&out)?
        .flatten()
        .filter(|f| f.path().extension().is_some_and(|e| e == "png"))
        .count();
    println!("{pictures} pictures in {}", out.display());
    ensure!(pictures >= 30, "only {pictures} pictures");
    Ok(())
}
