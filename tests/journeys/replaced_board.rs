//! Journey 6: a board is replaced. Place, pins and wanted content move to the new one; the old certificate is dead; nothing is
//! counted twice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use common::{County, free_port_pair, picture_lesson, shelf};
use serde_json::json;
use system_tests::stand::{Classroom, until};

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn the_new_board_takes_the_place_of_the_old_one() -> Result<()> {
    let mut county = County::start(None).await?;
    picture_lesson(&county, "for-all")?;
    county.add_classroom("").await?;
    county.push_and_wait(LIMIT).await?;
    let old = county.device(0).await?["id"]
        .as_str()
        .context("no id")?
        .to_owned();
    // A lesson for this very device, pinned: it must move, too.
    let own = picture_lesson(&county, "for-this-one")?;
    let body = json!({ "lesson_ids": [own], "target": { "kind": "device", "id": old }, "pinned": true });
    let push = county.console.post("/pushes", body).await?["id"].to_string();
    county.wait_ready(&push, LIMIT).await?;
    let before = county.console.get("/overview").await?;

    let start = Instant::now();
    let made = county
        .console
        .post(&format!("/devices/{old}/replace"), json!({}))
        .await?;
    let dir = county.dir.path().join("new-board");
    let mut new = Classroom::prepare(&county.bins, &dir, free_port_pair()?, "SN-NEW", "")?;
    let ticket = dir.join("ticket.json");
    fs::write(&ticket, made["ticket"].to_string())?;
    new.enrol(&ticket)?;
    new.start()?;
    until("the new board has both lessons", LIMIT, async || {
        let shelf = shelf(&new).await?;
        let ready = shelf["lessons"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|l| l["state"] == "ready")
            .count();
        Ok((ready == 2).then_some(()))
    })
    .await?;
    println!(
        "replaced in {:.1} s (the machine's part)",
        start.elapsed().as_secs_f64()
    );

    let page = county.console.get("/devices?q=SN-NEW").await?;
    let device = &page["items"][0];
    ensure!(device["classroom_id"] == county.rooms[0].id, "{device}");
    let id = device["id"].as_str().context("no id")?;
    ensure!(id != old, "the old name was given again");
    county.wait_ready(&push, LIMIT).await?;
    let shown = county.console.get(&format!("/devices/{id}/identity")).await?;
    ensure!(shown["predecessor"] == old.as_str(), "{shown}");
    let gone = county.console.get(&format!("/devices/{old}/identity")).await?;
    ensure!(gone["standing"] == "replaced", "{gone}");
    let dead = gone["certificates"]
        .as_array()
        .into_iter()
        .flatten()
        .all(|c| c["state"] == "revoked");
    ensure!(dead, "a certificate of the old board lives: {gone}");
    until("the old board is out", LIMIT, async || {
        Ok((county.console.get(&format!("/devices/{old}")).await?["state"] != "online").then_some(()))
    })
    .await?;
    let after = county.console.get("/overview").await?;
    ensure!(
        before["devices_total"] == after["devices_total"],
        "counted twice: {before} {after}"
    );
    // Whoever still stands before the old board can go on teaching with what is on it.
    let there = shelf(&county.classrooms[0]).await?;
    ensure!(
        there["lessons"].as_array().is_some_and(|l| !l.is_empty()),
        "{there}"
    );
    Ok(())
}
