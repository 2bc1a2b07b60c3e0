//! Journey 7: a board is stolen, and it was a false alarm. Its secrets go, its player locks, an alert tells when it calls home;
//! a signed USB disk brings it back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use common::{County, picture_lesson, shelf};
use serde_json::json;
use system_tests::stand::until;

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn locked_wiped_and_brought_back_by_usb() -> Result<()> {
    let mut county = County::start(None).await?;
    picture_lesson(&county, "lesson")?;
    county.add_classroom("").await?;
    county.push_and_wait(LIMIT).await?;
    let id = county.device(0).await?["id"]
        .as_str()
        .context("no id")?
        .to_owned();
    let data = county.classrooms[0].dir.join("data");
    ensure!(
        data.join("identity/key.pem").exists(),
        "there is no key to begin with"
    );

    let body = json!({ "reason": "教室门被撬", "contact": "县电教站 0771-1234567" });
    county
        .console
        .post(&format!("/devices/{id}/stolen"), body)
        .await?;
    until("the board has wiped its key", LIMIT, async || {
        Ok((!data.join("identity/key.pem").exists()).then_some(()))
    })
    .await?;
    let secrets = [
        "identity/key.pem",
        "identity.pending/key.pem",
        "identity.renewed/key.pem",
    ];
    for secret in secrets {
        ensure!(!data.join(secret).exists(), "{secret} is still there");
    }
    let locked = |shelf: &serde_json::Value| {
        shelf["lessons"].as_array().is_none_or(Vec::is_empty) && shelf.to_string().contains("0771-1234567")
    };
    until("the player is locked", LIMIT, async || {
        Ok(locked(&shelf(&county.classrooms[0]).await?).then_some(()))
    })
    .await?;
    county.classrooms[0].kill();
    county.classrooms[0].start()?;
    until("still locked after a restart", LIMIT, async || {
        Ok(locked(&shelf(&county.classrooms[0]).await?).then_some(()))
    })
    .await?;
    until("an alert that it called home", LIMIT, async || {
        let events = county.console.get("/security-events").await?;
        let called = events["items"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|e| e["kind"] == "dead_identity_called");
        Ok(called.then_some(()))
    })
    .await?;

    // A disk for another alarm opens nothing.
    let disk = county.dir.path().join("disk");
    fs::create_dir_all(&disk)?;
    let out = disk.to_str().context("path")?;
    county.stand.admin(&["device", "unlock", &id, "--usb", out])?;
    let order = disk.join(format!("bbt/unlock/{id}.json"));
    let good = fs::read_to_string(&order)?;
    fs::write(
        &order,
        good.replace("\\\"unlocks\\\":\\\"", "\\\"unlocks\\\":\\\"x"),
    )?;
    let (code, out_text, err) = county.classrooms[0].once(&["usb"], &[out])?;
    ensure!(code != 0, "a changed order was taken: {out_text}{err}");
    ensure!(locked(&shelf(&county.classrooms[0]).await?), "it opened");

    fs::write(&order, good)?;
    let (code, out_text, err) = county.classrooms[0].once(&["usb"], &[out])?;
    println!("usb: {out_text}{err}");
    ensure!(code == 0, "the unlock was refused: {out_text}{err}");
    until("it plays again", LIMIT, async || {
        let shelf = shelf(&county.classrooms[0]).await?;
        let ready = shelf["lessons"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|l| l["state"] == "ready");
        Ok(ready.then_some(()))
    })
    .await?;
    until(
        "it is back at the console under a new certificate",
        LIMIT,
        async || {
            let page = county.console.get("/devices?state=online").await?;
            Ok((page["total"] == 1).then_some(()))
        },
    )
    .await
}
