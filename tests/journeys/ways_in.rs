//! The ways by which a board gets its identity besides a typed code: claimed on the telephone, and by USB where there is no
//! line; and what a wrong ticket is told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use common::{County, free_port_pair, shelf};
use serde_json::{Value, json};
use system_tests::stand::{Classroom, until};

const LIMIT: Duration = Duration::from_secs(60);

fn board(county: &County, name: &str, extra: &str) -> Result<Classroom> {
    let dir = county.dir.path().join(name);
    Classroom::prepare(
        &county.bins,
        &dir,
        free_port_pair()?,
        &format!("SN-{name}"),
        extra,
    )
}

fn county_file(county: &County) -> Result<String> {
    let file = county.dir.path().join("county.json");
    county
        .stand
        .admin(&["county", "export", "--out", file.to_str().context("path")?])?;
    Ok(format!("[county]\nfile = {file:?}\n"))
}

async fn online(county: &County, serial: &str) -> Result<Value> {
    until(&format!("{serial} is online"), LIMIT, async || {
        let page = county.console.get("/devices").await?;
        let all = page["items"].as_array().into_iter().flatten();
        Ok(all
            .clone()
            .find(|d| d["serial"] == serial && d["state"] == "online")
            .cloned())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn claimed_from_the_telephone_without_a_letter_typed() -> Result<()> {
    let county = County::start(None).await?;
    let mut new = board(&county, "CLAIMED", &county_file(&county)?)?;
    new.start()?;
    let claim = until("the board says that it is there", LIMIT, async || {
        let claims = county.console.get("/claims").await?;
        Ok(claims["items"].as_array().and_then(|all| all.first()).cloned())
    })
    .await?;
    ensure!(claim["serial"] == "SN-CLAIMED", "{claim}");
    let seen = shelf(&new).await?.to_string();
    let fingerprint = claim["fingerprint"].as_str().context("no fingerprint")?;
    ensure!(
        seen.contains(fingerprint),
        "the screen does not show {fingerprint}: {seen}"
    );
    let body = json!({ "classroom_id": county.rooms[0].id });
    let path = format!("/claims/{}/approve", claim["id"]);
    let first = county.console.post(&path, body.clone()).await?;
    let second = county.console.post(&path, body).await?;
    ensure!(
        first["device_id"] == second["device_id"],
        "approved twice made two: {first} {second}"
    );
    let device = online(&county, "SN-CLAIMED").await?;
    ensure!(device["id"] == first["device_id"] && device["classroom_id"] == county.rooms[0].id);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn by_usb_where_there_is_no_line_with_provisional_trust_at_once() -> Result<()> {
    let mut county = County::start(None).await?;
    let room = &county.rooms[0];
    let tree = county.console.get("/tree").await?;
    let schools = tree["regions"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|r| r["schools"].as_array().into_iter().flatten());
    let school = schools
        .clone()
        .find(|s| s["name"] == room.school.as_str())
        .context("no school")?["id"]
        .to_string();
    let disk = county.dir.path().join("disk");
    fs::create_dir_all(&disk)?;
    let at = disk.to_str().context("path")?.to_owned();
    county
        .stand
        .admin(&["usb", "export", "--school", &school, "--out", &at])?;
    // No console anywhere.
    county.stand.kill();
    let code = room.key.clone();
    let mut new = board(&county, "FAR", "")?;
    let (status, out, err) = new.once(&["enrol"], &["--usb", &at, "--classroom", &code])?;
    ensure!(status == 0, "{out}{err}");
    new.start()?;
    until("it works with provisional trust", LIMIT, async || {
        let shown = shelf(&new).await?;
        Ok(
            (shown.to_string().contains(&room.name) && shown.to_string().contains("provisional"))
                .then_some(()),
        )
    })
    .await?;
    ensure!(
        fs::read_dir(disk.join("bbt/requests"))?.count() == 1,
        "no request on the disk"
    );
    new.kill();

    // The disk is back at the county, then at the board; only then is there a line.
    county.console = county.stand.start().await?;
    let said = county.stand.admin(&["usb", "import", &at])?;
    println!("usb import: {said}");
    ensure!(
        fs::read_dir(disk.join("bbt/replies"))?.count() == 1,
        "no reply on the disk"
    );
    let (status, out, err) = new.once(&["usb"], &[&at])?;
    ensure!(status == 0 && new.is_enrolled(), "{out}{err}");
    new.start()?;
    let device = online(&county, "SN-FAR").await?;
    ensure!(device["classroom_id"] == county.rooms[0].id, "{device}");
    // The same disk again changes nothing.
    county.stand.admin(&["usb", "import", &at])?;
    let page = county.console.get("/devices").await?;
    ensure!(page["total"] == 1, "{page}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provisional_board_with_a_line_needs_no_second_visit() -> Result<()> {
    let county = County::start(None).await?;
    let tree = county.console.get("/tree").await?;
    let schools = tree["regions"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|r| r["schools"].as_array().into_iter().flatten());
    let name = county.rooms[0].school.as_str();
    let school = schools.clone().find(|s| s["name"] == name).context("no school")?["id"].to_string();
    let disk = county.dir.path().join("disk");
    fs::create_dir_all(&disk)?;
    let at = disk.to_str().context("path")?;
    county
        .stand
        .admin(&["usb", "export", "--school", &school, "--out", at])?;
    let mut new = board(&county, "NEAR", "")?;
    let (status, out, err) = new.once(&["enrol"], &["--usb", at, "--classroom", &county.rooms[0].key])?;
    ensure!(status == 0, "{out}{err}");
    new.start()?;
    online(&county, "SN-NEAR").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_wrong_code_is_told() -> Result<()> {
    let county = County::start(None).await?;
    let extra = county_file(&county)?;
    let typed = async |body: Value| -> Result<String> {
        let made = county.console.post("/tickets", body).await?;
        Ok(made["typed_code"].as_str().context("no typed code")?.to_owned())
    };
    let good = typed(json!({ "classroom_id": county.rooms[0].id })).await?;
    let first = board(&county, "FIRST", &extra)?;
    let (status, out, err) = first.once(&["enrol"], &["--code", &good.to_lowercase().replace('-', " ")])?;
    ensure!(status == 0, "{out}{err}");
    let bound = typed(json!({ "classroom_id": county.rooms[1].id, "serial": "SN-OTHER" })).await?;
    let mut mistyped = good.clone().into_bytes();
    mistyped[0] = if mistyped[0] == b'7' { b'8' } else { b'7' };
    let second = board(&county, "SECOND", &extra)?;
    for (code, word) in [
        (good.as_str(), "已被使用"),
        (bound.as_str(), "序列号"),
        (std::str::from_utf8(&mistyped)?, "校验"),
        ("7K3M", "9"),
    ] {
        let (status, out, err) = second.once(&["enrol"], &["--code", code])?;
        println!("{err}");
        ensure!(status != 0 && err.contains(word), "{code}: {out}{err}");
    }
    ensure!(!second.is_enrolled());
    let page = county.console.get("/devices").await?;
    ensure!(page["total"] == 1, "{page}");
    Ok(())
}
