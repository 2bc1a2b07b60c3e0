//! Journey: the line stands and says nothing (a dead radio link, a router that swallows). The player plays on at once.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use common::County;
use serde_json::json;
use system_tests::stand::until;

/// For each connection: slow enough to fall silent in the middle of many small files.
const LINE_BYTES_PER_S: u64 = 400_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_line_does_not_stop_the_player() -> Result<()> {
    let mut county = County::start(Some(LINE_BYTES_PER_S)).await?;
    county.import_kit()?;
    county.add_classroom("").await?;
    let first = county.push_and_wait(Duration::from_secs(120)).await?;

    // Many small files in several lessons: as many writers as the fetcher ever has.
    let picture = fs::read(common::kit_folder()?[2].join("电路图.png"))?;
    let mut ids = Vec::new();
    for lesson in 0..4 {
        let id = format!("small-{lesson}");
        let dir = common::lesson_folder(&county.dir.path().join("sources"), &id)?;
        for file in 0..24 {
            // After its end a PNG may carry anything; so each file is its own.
            let mut bytes = picture.clone();
            bytes.extend_from_slice(format!("{lesson}-{file}").as_bytes());
            bytes.resize(bytes.len() + 150_000, 0);
            fs::write(dir.join(format!("图{file}.png")), bytes)?;
        }
        ids.push(id);
    }
    let sources = county.dir.path().join("sources");
    county
        .stand
        .admin(&["lesson", "import", "--release", sources.to_str().context("path")?])?;
    let regions = county.console.get("/tree").await?;
    let target = json!({ "kind": "region", "id": regions["regions"][0]["id"] });
    let push = county
        .console
        .post("/pushes", json!({ "lesson_ids": ids, "target": target }))
        .await?;
    until("small files on their way", Duration::from_secs(30), async || {
        let device = county.device(0).await?;
        let lessons = device["lessons"].as_array().context("no lessons")?;
        Ok(lessons
            .iter()
            .any(|l| l["state"] == "fetching" && l["done_bytes"].as_u64() > Some(0))
            .then_some(()))
    })
    .await?;
    county.line.silence();
    // The writers that wait for a chunk each now wait for the line.
    tokio::time::sleep(Duration::from_millis(500)).await;

    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .timeout(Duration::from_secs(5))
        .build()?;
    let base = county.classrooms[0].url();
    for _ in 0..20 {
        let video = http
            .get(format!("{base}/files/math-4b-triangle/微课.mp4"))
            .header("range", "bytes=1000-70000");
        let answer = video.send().await.context("the player waits for the line")?;
        ensure!(answer.status() == 206, "{}", answer.status());
        ensure!(answer.bytes().await?.len() == 69_001, "a short answer");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    county.line.restore();
    county
        .wait_ready(&push["id"].to_string(), Duration::from_secs(180))
        .await?;
    county.wait_ready(&first, Duration::from_secs(10)).await
}
