//! Journey: the broker (with the whole console around it) is killed 50 times while boards speak. Every sample and event whose
//! write was acknowledged is stored once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;
mod outbox;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use common::County;
use outbox::{Board, stored};

const KILLS: u32 = 50;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_deaths_of_the_broker_lose_nothing_and_double_nothing() -> Result<()> {
    let mut county = County::start(None).await?;
    county.add_classroom("").await?;
    county.classrooms[0].kill();
    let own = tempfile::tempdir()?;
    let here = own.path().join("data");
    std::fs::create_dir_all(&here)?;
    let identity = county.classrooms[0].dir.join("data/identity");
    ensure!(
        std::process::Command::new("cp")
            .arg("-r")
            .arg(identity)
            .arg(&here)
            .status()?
            .success(),
        "could not copy the identity"
    );
    let before = stored(&county.device(0).await?)?;
    // A day of samples a few seconds apart: the journey's clock runs faster than the real one.
    let mut board = Board::open(&here, Duration::from_secs(48 * 3600))?;
    let kills = std::env::var("BBT_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(KILLS);
    let begun = Instant::now();
    let (mut acks, mut during) = (0, 0);
    for kill in 0..kills {
        // Each time at another moment of the conversation.
        board.connect()?;
        let limit = Instant::now() + Duration::from_secs(20);
        let mut heard = 0;
        while heard < 1 + kill % 4 {
            board.push(Duration::from_millis(300), heard % 2 == 0)?;
            board.wait(Duration::from_secs(60))?;
            heard += board.hear(Duration::from_millis(150)).await?.acks;
            ensure!(
                Instant::now() < limit,
                "kill {kill}: nothing heard; held {:?}",
                board.held()
            );
        }
        acks += heard;
        // Something is on its way while it dies.
        board.push(Duration::ZERO, true)?;
        county.stand.kill();
        if board.held() != [0, 0] {
            during += 1;
        }
        for _ in 0..5 {
            board.push(Duration::ZERO, false)?;
            board.wait(Duration::from_secs(60))?;
        }
        board.disconnect().await?;
        if kill % 10 == 9 {
            board.restart(kill % 20 == 9)?;
        }
        county.console = county.stand.start().await?;
    }
    board.connect()?;
    let limit = Instant::now() + Duration::from_secs(90);
    while board.held() != [0, 0] {
        acks += board.hear(Duration::from_millis(200)).await?.acks;
        ensure!(Instant::now() < limit, "still held: {:?}", board.held());
    }
    let device = county.device(0).await?;
    let after = stored(&device)?;
    let new = [after[0] - before[0], after[1] - before[1], after[2] - before[2]];
    let id = device["id"].as_str().unwrap();
    let events = county
        .console
        .get(&format!("/devices/{id}/events?limit=1000"))
        .await?;
    let of_ours = events["items"].as_array().map_or(0, |events| {
        events
            .iter()
            .filter(|event| {
                event["boot_id"]
                    .as_str()
                    .is_some_and(|boot| boot.starts_with("journey"))
            })
            .count() as u64
    });
    println!(
        "{kills} kills in {:.0} s, {during} with something on its way: {} samples and {} events written, {} and {of_ours} \
         stored, 0 twice, {acks} acks, {} messages",
        begun.elapsed().as_secs_f64(),
        board.written[0],
        board.written[1],
        new[0],
        board.sent.0,
    );
    ensure!(
        new == [board.written[0], board.written[0], 0],
        "stored, contiguous, forgotten: {new:?}"
    );
    ensure!(
        of_ours == board.written[1],
        "{of_ours} events of {}",
        board.written[1]
    );
    Ok(())
}
