//! Journey 9: the clock is wrong, the battery dead. Boards that believe it is 1970, 2013 and 2099 enrol, connect, fetch and
//! report, and know what time it really is as soon as the console has told them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use common::{County, free_port_pair, picture_lesson};
use jiff::Timestamp;
use system_tests::{
    county::ticket,
    stand::{Classroom, until},
};

const LIMIT: Duration = Duration::from_secs(90);
const CLOCKS: [&str; 3] = [
    "@1970-01-02 00:00:00",
    "@2013-01-01 00:00:00",
    "@2099-06-01 00:00:00",
];

#[tokio::test(flavor = "multi_thread")]
async fn three_wrong_clocks_enrol_fetch_and_report() -> Result<()> {
    let mut county = County::start(None).await?;
    picture_lesson(&county, "lesson")?;
    let line = [county.stand.devices, county.stand.mqtt];
    for (room, clock) in county.rooms.iter().zip(CLOCKS) {
        let dir = county.dir.path().join(&room.key);
        let serial = format!("SN-{}", room.key);
        let health = "[health]\ninterval_s = 2\n";
        let mut board = Classroom::prepare(&county.bins, &dir, free_port_pair()?, &serial, health)?;
        board.clock = Some(clock.to_owned());
        let ticket = ticket(&county.console, room.id, line, &dir).await?;
        board
            .enrol(&ticket)
            .with_context(|| format!("enrolment under {clock}"))?;
        board.start()?;
        county.classrooms.push(board);
    }
    county.push_and_wait(LIMIT).await?;
    for (index, clock) in CLOCKS.iter().enumerate() {
        let id = county.device(index).await?["id"]
            .as_str()
            .context("no id")?
            .to_owned();
        let trust = until("the console's time is believed", LIMIT, async || {
            let identity = county.console.get(&format!("/devices/{id}/identity")).await?;
            Ok((identity["clock_trust"] == "console").then_some(identity["clock_trust"].clone()))
        })
        .await?;
        let at = until("samples are labelled with the true time", LIMIT, async || {
            let shown = county.console.get(&format!("/devices/{id}")).await?;
            let at: Option<Timestamp> = shown["latest_at"].as_str().and_then(|t| t.parse().ok());
            Ok(at.filter(|at| at.duration_since(Timestamp::now()).abs().as_secs() < 30))
        })
        .await?;
        let off = at.duration_since(Timestamp::now()).as_secs();
        println!("{clock}: lessons ready, clock trust {trust}, newest sample {off} s from now");
    }
    ensure!(county.classrooms.len() == 3);
    Ok(())
}
