//! Journey: a board asleep for 70 days wakes with three times that left on its certificate, and renews it by itself; with a
//! wrong clock, too.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::{fs::OpenOptions, io::Write, time::Duration};

use anyhow::{Context, Result, ensure};
use common::free_port_pair;
use serde_json::Value;
use system_tests::{
    county::{roster, ticket},
    stand::{Bins, Classroom, ConsoleStand, until},
};

const LIMIT: Duration = Duration::from_secs(60);
/// Five times the longest absence, the shortest that the console takes.
const CERTIFICATE_DAYS: u32 = 350;

async fn certificates(console: &system_tests::client::Console, id: &str) -> Result<Vec<Value>> {
    let identity = console.get(&format!("/devices/{id}/identity")).await?;
    Ok(identity["certificates"].as_array().cloned().unwrap_or_default())
}

fn days_left(certificate: &Value, at: &str) -> Result<i64> {
    let end: jiff::Timestamp = certificate["not_after"].as_str().context("no end")?.parse()?;
    let at: jiff::Timestamp = at.parse()?;
    Ok(end.duration_since(at).as_hours() / 24)
}

#[tokio::test(flavor = "multi_thread")]
async fn asleep_for_seventy_days_it_comes_back_by_itself() -> Result<()> {
    let bins = Bins::beside_the_test()?;
    let dir = tempfile::Builder::new().prefix("bbt-renewal-").tempdir()?;
    let mut stand = ConsoleStand::prepare(&bins, &dir.path().join("console"), None, "correct horse 42")?;
    writeln!(
        OpenOptions::new()
            .append(true)
            .open(stand.data.join("console.toml"))?,
        "device_certificate_days = {CERTIFICATE_DAYS}\nlongest_absence_days = 70"
    )?;
    let console = stand.start().await?;
    let rooms = roster(&console).await?;
    let folder = dir.path().join("room");
    let mut board = Classroom::prepare(
        &bins,
        &folder,
        free_port_pair()?,
        "SN-SLEEPER",
        "[identity]\nrenew_spread_s = 1\n",
    )?;
    let file = ticket(&console, rooms[0].id, [stand.devices, stand.mqtt], &folder).await?;
    board.enrol(&file)?;
    board.start()?;
    let id = until("it is online", LIMIT, async || {
        let page = console.get("/devices?state=online").await?;
        Ok(page["items"][0]["id"].as_str().map(str::to_owned))
    })
    .await?;
    ensure!(certificates(&console, &id).await?.len() == 1);

    // On its 69th day it need not renew yet: 281 days are left, and the rule says below 280.
    let sleep = async |stand: &mut ConsoleStand, board: &mut Classroom, days: u32, clock: &str| {
        board.kill();
        stand.process()?.terminate(LIMIT)?;
        stand.kill();
        stand.clock = Some(format!("+{days}d"));
        board.clock = Some(clock.to_owned());
        let console = stand.start().await?;
        board.start()?;
        until("it is online again", LIMIT, async || {
            let page = console.get("/devices?state=online").await?;
            Ok((page["total"] == 1).then_some(()))
        })
        .await?;
        Ok::<_, anyhow::Error>(console)
    };
    let console = sleep(&mut stand, &mut board, 69, "+69d").await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let all = certificates(&console, &id).await?;
    ensure!(all.len() == 1, "it renewed too early: {all:?}");

    // Then the holiday: 70 days in the cupboard, and the battery is dead as well.
    let console = sleep(&mut stand, &mut board, 139, "@1970-01-02 00:00:00").await?;
    let now = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(139 * 24);
    let left = days_left(&all[0], &now.to_string())?;
    println!("awake after 70 days with {left} days left (at least 210)");
    ensure!(left >= 210, "the margin is gone");
    let renewed = until("it has renewed by itself", LIMIT, async || {
        let all = certificates(&console, &id).await?;
        let state = |state: &str| all.iter().filter(|c| c["state"] == state).count();
        Ok((state("current") == 1 && state("retired") == 1).then_some(all))
    })
    .await?;
    let current = renewed
        .iter()
        .find(|c| c["state"] == "current")
        .context("none is current")?;
    let left = days_left(current, &now.to_string())?;
    println!("renewed: {left} days left, the old one is retired");
    ensure!(left >= i64::from(CERTIFICATE_DAYS) - 2, "{left} days only");
    // It goes on with the new one: after a restart as well.
    board.kill();
    board.start()?;
    until("it is online with the new certificate", LIMIT, async || {
        let page = console.get("/devices?state=online").await?;
        Ok((page["total"] == 1).then_some(()))
    })
    .await?;
    ensure!(certificates(&console, &id).await?.len() == 2, "it renewed again");
    Ok(())
}
