//! Journey: SIGKILL at random moments of a fetch. It resumes, fetches no verified chunk twice, index and files agree.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{collections::HashMap, fs, time::Duration};

use anyhow::{Context, Result, ensure};
use common::County;
use rand::Rng;
use system_tests::{county::push, kit};

/// Kills that fall into the fetch.
const KILLS: u32 = 100;
/// The line is slow enough for every kill to fall into the fetch:
/// bytes a second of each connection; an agent that is alone has four.
const LINE_BYTES_PER_S: u64 = 400_000;
const LESSON_BYTES: u32 = 128 << 20;

/// How often each chunk was fetched from the network, by file and index, as the agent logged it.
fn fetched(log: &str) -> HashMap<(String, u64), u32> {
    let field = |line: &str, name: &str| {
        let rest = line.split_once(&format!("{name}="))?.1;
        Some(
            rest.split([' ', ','])
                .next()
                .unwrap_or(rest)
                .trim_matches('"')
                .to_owned(),
        )
    };
    let mut counts = HashMap::new();
    for line in log.lines().filter(|line| line.contains("chunk verified")) {
        let (Some(file), Some(index)) = (field(line, "file"), field(line, "index")) else {
            continue;
        };
        let Ok(index) = index.parse() else { continue };
        *counts.entry((file, index)).or_insert(0) += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_kills_cost_at_most_a_hundred_chunks() -> Result<()> {
    let mut county = County::start(Some(LINE_BYTES_PER_S)).await?;
    let video = common::kit_folder()?[0].join("微课.mp4");
    let lesson = common::lesson_folder(county.dir.path(), "long")?;
    kit::lengthen_mp4(&video, &lesson.join("长课.mp4"), LESSON_BYTES, 7)?;
    county
        .stand
        .admin(&["lesson", "import", "--release", lesson.to_str().context("path")?])?;
    county.add_classroom("").await?;
    let push = push(&county.console).await?;

    let seed: u64 = std::env::var("BBT_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or_else(rand::random);
    println!("seed {seed} (BBT_SEED={seed} repeats it)");
    let mut random = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(seed);
    let classroom = &mut county.classrooms[0];
    let (mut during_fetch, mut kills, mut again) = (0, 0, 0);
    while during_fetch < KILLS {
        ensure!(
            kills < 4 * KILLS,
            "only {during_fetch} of {kills} kills fell into the fetch: it ended too soon"
        );
        let before = fs::metadata(classroom.log())?.len();
        let wait = random.random_range(100..900);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        classroom.process()?.check_alive()?;
        classroom.kill();
        kills += 1;
        let log = fs::read_to_string(classroom.log())?;
        during_fetch += u32::from(
            log.get(before as usize..)
                .unwrap_or("")
                .contains("chunk verified"),
        );
        // What the kills before this one cost shows in this run: at most the chunk that was in flight.
        let so_far = fetched(&log).values().map(|n| n - 1).sum::<u32>();
        ensure!(
            so_far <= again + 1,
            "kill {kills} (seed {seed}) cost {} chunks",
            so_far - again
        );
        again = so_far;
        let (code, out, err) = classroom.once(&["store", "check"], &[])?;
        ensure!(
            code == 0,
            "after kill {kills} (seed {seed}) index and files disagree: {out}{err}"
        );
        classroom.start()?;
    }
    county.wait_ready(&push, Duration::from_secs(180)).await?;

    let classroom = &mut county.classrooms[0];
    classroom.kill();
    let (code, out, err) = classroom.once(&["store", "check"], &[])?;
    ensure!(code == 0, "at the end index and files disagree: {out}{err}");
    let counts = fetched(&fs::read_to_string(classroom.log())?);
    let total = counts.values().map(|n| n - 1).sum::<u32>();
    println!(
        "{kills} kills, {during_fetch} of them in the fetch; {} chunks, {total} fetched again",
        counts.len()
    );
    ensure!(counts.len() > 300, "only {} chunks were logged", counts.len());
    ensure!(total <= again + 1, "the last kill cost {} chunks", total - again);
    Ok(())
}
