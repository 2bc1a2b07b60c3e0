//! Journey: the broker is killed 50 times while six boards speak: once the one inside the console, with the whole console
//! around it; once a Mosquitto, while the console stays and finds it again. Every sample and event whose write was acknowledged
//! is stored once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;
#[allow(dead_code, reason = "shared with the journey of the policy")]
mod mosquitto;
mod outbox;

use std::{
    io::Write,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use common::County;
use mosquitto::Mosquitto;
use outbox::{Board, stored};
use serde_json::json;
use system_tests::county::Room;
use tokio::task::JoinSet;

const KILLS: u32 = 50;
const BOARDS: usize = 6;
/// Of one conversation, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who dies.
enum Broker {
    Inside,
    Outside {
        files: PathBuf,
        running: Option<Mosquitto>,
    },
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_deaths_of_the_broker_lose_nothing_and_double_nothing() -> Result<()> {
    let county = county().await?;
    deaths(county, Broker::Inside).await
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_deaths_of_an_external_broker_lose_nothing_and_double_nothing() -> Result<()> {
    let mut county = county().await?;
    let files = county.dir.path().join("mosquitto");
    let listen = county.stand.mqtt_addr().to_string();
    let out = files.to_str().context("path")?;
    let args = ["broker", "export", "--out", out, "--listen", listen.as_str()];
    county.stand.admin(&args)?;
    county.stand.kill();
    // Devices were told the port that the console's own broker had; now Mosquitto has it.
    let mut config = std::fs::File::options()
        .append(true)
        .open(county.stand.data.join("console.toml"))?;
    writeln!(config, "external_broker = \"{listen}\"")?;
    let running = Some(Mosquitto::start(&files, county.stand.mqtt).await?);
    county.console = county.stand.start().await?;
    deaths(county, Broker::Outside { files, running }).await
}

/// A county with as many enrolled boards, none of which runs.
async fn county() -> Result<County> {
    let mut county = County::start(None).await?;
    let tree = county.console.get("/tree").await?;
    let school = tree["regions"][0]["schools"][0].clone();
    while county.rooms.len() < BOARDS {
        let n = county.rooms.len();
        let name = format!("第{n}教室");
        let body = json!({ "school_id": school["id"], "code": format!("3601220001-9{n}"), "name": name, "grade": "" });
        let made = county.console.post("/classrooms", body).await?;
        county.rooms.push(Room {
            id: made["id"].as_i64().context("a classroom without an id")?,
            school: school["name"].as_str().unwrap_or_default().to_owned(),
            name,
            key: format!("room-{n}"),
        });
    }
    for n in 0..BOARDS {
        county.add_classroom("").await?;
        county.classrooms[n].kill();
    }
    Ok(county)
}

async fn deaths(mut county: County, mut broker: Broker) -> Result<()> {
    let mut boards = Vec::new();
    let mut before = Vec::new();
    for n in 0..BOARDS {
        // Beside what the agent left: the console tells both by their power-ups.
        let own = county.dir.path().join(format!("own-{n}"));
        std::fs::create_dir_all(&own)?;
        let identity = county.classrooms[n].dir.join("data/identity");
        let copied = Command::new("cp").arg("-r").arg(identity).arg(&own).status()?;
        ensure!(copied.success(), "could not copy the identity");
        before.push(stored(&county.device(n).await?)?);
        // Two days of samples a minute apart: the journey's clock runs faster than the real one.
        boards.push(Board::open(&own, Duration::from_secs(48 * 3600))?);
    }
    let kills = std::env::var("BBT_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(KILLS);
    let begun = Instant::now();
    let (mut acks, mut during) = (0, 0);
    for kill in 0..kills {
        // Each time at another moment of each conversation.
        let mut talks = JoinSet::new();
        for (n, board) in boards.drain(..).enumerate() {
            talks.spawn(talk(n, board, kill));
        }
        let mut back = Vec::new();
        while let Some(talk) = talks.join_next().await {
            back.push(talk??);
        }
        back.sort_by_key(|(n, ..)| *n);
        for (_, mut board, heard) in back {
            acks += heard;
            // Something is on its way while it dies.
            board.push(Duration::ZERO, true)?;
            boards.push(board);
        }
        match &mut broker {
            Broker::Inside => county.stand.kill(),
            Broker::Outside { running, .. } => running.take().context("it does not run")?.kill().await?,
        }
        for (n, board) in boards.iter_mut().enumerate() {
            during += u32::from(board.held() != [0, 0]);
            for _ in 0..5 {
                board.push(Duration::ZERO, false)?;
                board.wait(Duration::from_secs(60))?;
            }
            board.disconnect().await?;
            if (kill as usize + n) % 10 == 9 {
                board.restart(kill % 20 == 9)?;
            }
        }
        match &mut broker {
            Broker::Inside => county.console = county.stand.start().await?,
            Broker::Outside { files, running } => {
                *running = Some(Mosquitto::start(files, county.stand.mqtt).await?);
            }
        }
    }
    let (mut samples, mut events, mut messages) = (0, 0, 0);
    for (n, mut board) in boards.into_iter().enumerate() {
        board.connect()?;
        let limit = Instant::now() + PATIENCE;
        while board.held() != [0, 0] {
            acks += board.hear(Duration::from_millis(200)).await?.acks;
            ensure!(Instant::now() < limit, "board {n} still holds {:?}", board.held());
        }
        all_stored(&county, n, before[n], &board).await?;
        samples += board.written[0];
        events += board.written[1];
        messages += board.sent.0;
    }
    println!(
        "{kills} kills in {:.0} s, {during} conversations with something on its way: {samples} samples and {events} events of \
         {BOARDS} boards written and stored, 0 twice, {acks} acks, {messages} messages",
        begun.elapsed().as_secs_f64(),
    );
    Ok(())
}

/// A board connects, speaks, and hears so many answers.
async fn talk(n: usize, mut board: Board, kill: u32) -> Result<(usize, Board, u32)> {
    board.connect()?;
    let limit = Instant::now() + PATIENCE;
    let mut heard = 0;
    while heard < 1 + (kill + n as u32) % 4 {
        board.push(Duration::from_millis(300), heard % 2 == 0)?;
        board.wait(Duration::from_secs(60))?;
        heard += board.hear(Duration::from_millis(150)).await?.acks;
        ensure!(
            Instant::now() < limit,
            "kill {kill}: board {n} hears nothing; it holds {:?}",
            board.held()
        );
    }
    Ok((n, board, heard))
}

/// What the console holds of a board is what was written there, each once.
async fn all_stored(county: &County, n: usize, before: [u64; 3], board: &Board) -> Result<()> {
    let device = county.device(n).await?;
    let after = stored(&device)?;
    let new = [after[0] - before[0], after[1] - before[1], after[2] - before[2]];
    ensure!(
        new == [board.written[0], board.written[0], 0],
        "board {n}: stored, contiguous, forgotten: {new:?}; written {}",
        board.written[0]
    );
    let id = device["id"].as_str().context("a device without an id")?;
    let events = county
        .console
        .get(&format!("/devices/{id}/events?limit=1000"))
        .await?;
    let of_ours = events["items"].as_array().map_or(0, |events| {
        let ours = |event: &&serde_json::Value| {
            let boot = event["boot_id"].as_str();
            boot.is_some_and(|boot| boot.starts_with("journey"))
        };
        events.iter().filter(ours).count() as u64
    });
    ensure!(
        of_ours == board.written[1],
        "board {n}: {of_ours} events of {}",
        board.written[1]
    );
    Ok(())
}
