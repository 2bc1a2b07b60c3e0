//! Journey: a school repairs a board by copying another one's disk. The copy is set aside, the original goes on, the console
//! says which is which, and one click makes the copy a device of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::{fs, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use common::{County, free_port_pair, picture_lesson, shelf};
use serde_json::{Value, json};
use system_tests::stand::{Classroom, until};

const LIMIT: Duration = Duration::from_secs(60);

/// A board whose disk is a copy of `of`'s; `extra` begins inside `[system]`.
fn ghost(county: &County, of: usize, serial: &str, extra: &str) -> Result<Classroom> {
    let dir = county.dir.path().join(format!("ghost-of-{of}"));
    let copy = Classroom::prepare(&county.bins, &dir, free_port_pair()?, serial, extra)?;
    let done = Command::new("cp")
        .arg("-a")
        .arg(county.classrooms[of].dir.join("data"))
        .arg(&dir)
        .status()?;
    ensure!(done.success(), "cp failed");
    Ok(copy)
}

async fn one_ready(county: &mut County, extra: &str) -> Result<String> {
    picture_lesson(county, "copied-lesson")?;
    county.add_classroom(extra).await?;
    county.push_and_wait(LIMIT).await?;
    let id = county.device(0).await?["id"]
        .as_str()
        .context("no id")?
        .to_owned();
    Ok(id)
}

async fn the_clone(county: &County) -> Result<Value> {
    until("the copy is known", LIMIT, async || {
        let found = county.console.get("/clones").await?;
        Ok(found["items"].as_array().and_then(|all| all.first()).cloned())
    })
    .await
}

/// Whether the original stays connected for a while.
async fn stays_online(county: &County, id: &str) -> Result<()> {
    for _ in 0..20 {
        let state = county.console.get(&format!("/devices/{id}")).await?["state"].clone();
        ensure!(state == "online", "the original is {state}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(())
}

async fn plays(copy: &Classroom) -> Result<()> {
    until("the copy still plays its lesson", LIMIT, async || {
        let shelf = shelf(copy).await?;
        let lessons = shelf["lessons"].as_array().context("no shelf")?;
        Ok(lessons.iter().any(|l| l["state"] == "ready").then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_board_with_the_same_key_is_set_aside_and_enrolled_in_one_click() -> Result<()> {
    let mut county = County::start(None).await?;
    let original = one_ready(&mut county, "").await?;
    let mut copy = ghost(&county, 0, "SN-GHOST", "")?;
    copy.start()?;
    let clone = the_clone(&county).await?;
    println!(
        "clone: device {} by its {}; original {} at {}, copy {} at {}",
        clone["device_id"],
        clone["mark"],
        clone["original"]["serial"],
        clone["original_address"],
        clone["hardware"]["serial"],
        clone["address"]
    );
    ensure!(
        clone["device_id"] == original.as_str() && clone["mark"] == "serial",
        "{clone}"
    );
    ensure!(
        clone["hardware"]["serial"] == "SN-GHOST" && clone["state"] == "quarantined",
        "{clone}"
    );
    stays_online(&county, &original).await?;
    plays(&copy).await?;
    let events = county.console.get("/security-events").await?;
    let kinds: Vec<_> = events["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|e| e["kind"].clone())
        .collect();
    ensure!(
        kinds.contains(&json!("clone_suspected")),
        "security events: {kinds:?}"
    );

    // The one click, once the copy has asked for a name of its own.
    let path = format!("/clones/{}/enrol", clone["id"]);
    let body = json!({ "classroom_id": county.rooms[1].id });
    until("the copy is enrolled", LIMIT, async || {
        Ok(county.console.post(&path, body.clone()).await.ok())
    })
    .await?;
    until("both are online", LIMIT, async || {
        let page = county.console.get("/devices").await?;
        let online = |serial: &str| {
            let all = page["items"].as_array().into_iter().flatten();
            all.clone()
                .any(|d| d["serial"] == serial && d["state"] == "online")
        };
        let first = format!("SN-{}", county.rooms[0].key);
        Ok((online("SN-GHOST") && online(&first)).then_some(()))
    })
    .await?;
    let page = county.console.get("/devices").await?;
    ensure!(page["total"] == 2, "{page}");
    plays(&copy).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_tells_the_same_marks_is_found_by_its_power_ups() -> Result<()> {
    let mut county = County::start(None).await?;
    let boot = |name: &str, id: &str| -> Result<String> {
        let file = county.dir.path().join(name);
        fs::write(&file, id)?;
        Ok(format!("boot_id_file = {file:?}\n"))
    };
    let first = boot("boot-a", "aaaaaaaa-0000-4000-8000-000000000001")?;
    let second = boot("boot-b", "bbbbbbbb-0000-4000-8000-000000000002")?;
    let original = one_ready(&mut county, &first).await?;
    let serial = format!("SN-{}", county.rooms[0].key);
    let mut copy = ghost(&county, 0, &serial, &second)?;
    copy.start()?;
    let clone = the_clone(&county).await?;
    println!(
        "clone by its {}: copy in power-up {}",
        clone["mark"], clone["boot_id"]
    );
    ensure!(clone["mark"] == "boots", "{clone}");
    ensure!(
        clone["boot_id"] == "bbbbbbbb-0000-4000-8000-000000000002",
        "the newcomer is the copy: {clone}"
    );
    until("the original is back", LIMIT, async || {
        Ok((county.console.get(&format!("/devices/{original}")).await?["state"] == "online").then_some(()))
    })
    .await?;
    stays_online(&county, &original).await?;
    plays(&copy).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repaired_board_that_is_accepted_is_the_device_again() -> Result<()> {
    let mut county = County::start(None).await?;
    let original = one_ready(&mut county, "").await?;
    // Its main board was changed: another serial number, the disk is its own.
    county.classrooms[0].kill();
    until("the device is gone", LIMIT, async || {
        Ok((county.console.get(&format!("/devices/{original}")).await?["state"] != "online").then_some(()))
    })
    .await?;
    let mut repaired = ghost(&county, 0, "SN-REPAIRED", "")?;
    repaired.start()?;
    let clone = the_clone(&county).await?;
    ensure!(
        clone["device_id"] == original.as_str() && clone["mark"] == "serial",
        "{clone}"
    );
    plays(&repaired).await?;
    county
        .console
        .post(&format!("/clones/{}/accept", clone["id"]), json!({}))
        .await?;
    // It asks with growing waits.
    until("the repaired board is the device", 2 * LIMIT, async || {
        Ok((county.console.get(&format!("/devices/{original}")).await?["state"] == "online").then_some(()))
    })
    .await?;
    ensure!(county.console.get("/devices").await?["total"] == 1);
    plays(&repaired).await
}
