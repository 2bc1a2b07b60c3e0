//! Journey: SIGKILL at random moments of a fetch. It resumes, fetches no verified chunk twice, index and files agree.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{collections::HashMap, fs, time::Duration};

use anyhow::{Context, Result, ensure};
use common::County;
use rand::Rng;
use system_tests::{county::push, kit};

const KILLS: u32 = 100;
/// The line is slow enough for every kill to fall into the fetch.
const LINE_BYTES_PER_S: u64 = 1_500_000;
const LESSON_BYTES: u32 = 64 << 20;

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
    let lesson = county.dir.path().join("long");
    fs::create_dir_all(&lesson)?;
    kit::lengthen_mp4(&video, &lesson.join("长课.mp4"), LESSON_BYTES, 7)?;
    fs::write(
        lesson.join("lesson.toml"),
        "id = \"long\"\n[meta]\ntitle = \"长课\"\nstage = \"小学\"\nsubject = \"数学\"\nedition = \"人教版\"\ngrade = \"四年级\"\nvolume = \"下册\"\nchapter = \"一\"\nperiod = \"1\"\n",
    )?;
    county
        .stand
        .admin(&["lesson", "import", lesson.to_str().context("path")?])?;
    county.add_classroom("").await?;
    let push = push(&county.console).await?;

    let seed: u64 = std::env::var("BBT_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or_else(rand::random);
    println!("seed {seed} (BBT_SEED={seed} repeats it)");
    let mut random = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(seed);
    let classroom = &mut county.classrooms[0];
    let mut during_fetch = 0;
    for kill in 0..KILLS {
        let before = fs::metadata(classroom.log())?.len();
        let wait = random.random_range(0..900);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        classroom.process()?.check_alive()?;
        classroom.kill();
        let log = fs::read_to_string(classroom.log())?;
        during_fetch += u32::from(
            log.get(before as usize..)
                .unwrap_or("")
                .contains("chunk verified"),
        );
        let (code, out, err) = classroom.once(&["store", "check"], &[])?;
        ensure!(
            code == 0,
            "after kill {kill} (seed {seed}) index and files disagree: {out}{err}"
        );
        classroom.start()?;
    }
    county.wait_ready(&push, Duration::from_secs(180)).await?;

    let classroom = &mut county.classrooms[0];
    classroom.kill();
    let (code, out, err) = classroom.once(&["store", "check"], &[])?;
    ensure!(code == 0, "at the end index and files disagree: {out}{err}");
    let counts = fetched(&fs::read_to_string(classroom.log())?);
    let again: u32 = counts.values().map(|n| n - 1).sum();
    println!(
        "{KILLS} kills, {during_fetch} of them after chunks of the same run; {} chunks, {again} fetched again",
        counts.len()
    );
    ensure!(counts.len() > 300, "only {} chunks were logged", counts.len());
    ensure!(
        during_fetch > KILLS / 3,
        "too few kills fell into the fetch: {during_fetch}"
    );
    ensure!(again <= KILLS, "{again} verified chunks were fetched again");
    Ok(())
}
