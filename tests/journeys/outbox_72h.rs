//! Journey: three days without the console in the journey's own time, with power cuts and crashes in between, then back. Every
//! sample and event whose write was acknowledged is stored by the real console, each once, the newest first, and the disk was
//! bounded all the time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;
mod outbox;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use common::County;
use outbox::{Board, EVERY, stored};

const HOURS: u64 = 72;
/// 64 MiB all told.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn seventy_two_hours_offline_lose_nothing_and_double_nothing() -> Result<()> {
    let mut county = County::start(None).await?;
    county.add_classroom("").await?;
    county.classrooms[0].kill();
    let data = county.classrooms[0].dir.join("data");
    // Of its own, beside what the agent left: the console tells both by their power-ups.
    let own = tempfile::tempdir()?;
    let here = own.path().join("data");
    std::fs::create_dir_all(&here)?;
    ensure!(
        std::process::Command::new("cp")
            .arg("-r")
            .arg(data.join("identity"))
            .arg(&here)
            .status()?
            .success(),
        "could not copy the identity"
    );
    let before = stored(&county.device(0).await?)?;

    let outage = Duration::from_secs(HOURS * 3600);
    let mut board = Board::open(&here, outage)?;
    let minutes = HOURS * 60;
    for minute in 0..minutes {
        board.push(Duration::ZERO, minute % 7 == 0)?;
        board.wait(EVERY)?;
        // The mains go away twice, the agent crashes once in a while.
        match minute {
            1000 | 3000 => board.restart(true)?,
            _ if minute % 500 == 250 => board.restart(false)?,
            _ => {}
        }
        if minute % 60 == 0 {
            let (bytes, files) = board.on_disk()?;
            ensure!(
                bytes <= MOST_BYTES && files <= 256,
                "{bytes} bytes in {files} files"
            );
        }
    }
    let written = board.written;
    ensure!(written == [minutes, minutes.div_ceil(7)], "{written:?}");
    ensure!(
        board.held().iter().sum::<usize>() as u64 == written[0] + written[1],
        "{:?}",
        board.held()
    );

    board.connect()?;
    let begun = Instant::now();
    let mut acks = 0;
    while board.held() != [0, 0] {
        acks += board.hear(Duration::from_millis(200)).await?.acks;
        ensure!(
            begun.elapsed() < Duration::from_secs(120),
            "still held: {:?}",
            board.held()
        );
    }
    let took = begun.elapsed();
    let (newest, alone) = board.first_sent.unwrap();
    let last_boot = minutes - 3001;
    ensure!(
        (newest, alone) == (last_boot, true),
        "the newest sample did not go first: {newest}, {alone}"
    );

    let device = county.device(0).await?;
    let after = stored(&device)?;
    let new = [after[0] - before[0], after[1] - before[1], after[2] - before[2]];
    ensure!(
        new == [minutes, minutes, 0],
        "stored, contiguous, forgotten: {new:?} of {minutes}"
    );
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
        "72 h offline: {} samples and {} events written, {} and {of_ours} stored, 0 twice; most on the disk {} KiB; back in \
         {:.1} s with {} messages ({} KiB payload, {acks} acks); the newest sample first",
        written[0],
        written[1],
        new[0],
        board.most_on_disk / 1024,
        took.as_secs_f64(),
        board.sent.0,
        board.sent.1 / 1024,
    );
    ensure!(
        of_ours == written[1],
        "{of_ours} events of {}: {}",
        written[1],
        events
    );
    Ok(())
}
