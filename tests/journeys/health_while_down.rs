//! Journey: health that was measured while the console was dead arrives after it returns, each sample exactly once.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use common::County;
use serde_json::Value;
use system_tests::stand::until;

/// For the newest boot: (stored samples, contiguous up to, forgotten up to).
fn boot(device: &Value) -> Result<(u64, u64, u64)> {
    let boots = device["boots"].as_array().context("no boots")?;
    ensure!(boots.len() == 1, "one power-up expected: {boots:?}");
    let figure = |name: &str| {
        boots[0][name]
            .as_u64()
            .with_context(|| format!("no {name}: {}", boots[0]))
    };
    Ok((
        figure("samples")?,
        figure("contiguous_seq")?,
        figure("forgotten_up_to").unwrap_or(0),
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_gap_and_no_duplicate() -> Result<()> {
    let mut county = County::start(None).await?;
    county.add_classroom("[health]\ninterval_s = 1\n").await?;
    let first = until("the first samples", Duration::from_secs(60), async || {
        let (samples, ..) = boot(&county.device(0).await?)?;
        Ok((samples >= 3).then_some(samples))
    })
    .await?;

    // Dead three times, once with the agent killed as well: the outbox alone carries the samples over.
    for round in 0..3 {
        county.stand.kill();
        tokio::time::sleep(Duration::from_secs(6)).await;
        if round == 1 {
            county.classrooms[0].kill();
            county.classrooms[0].start()?;
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        county.console = county.stand.start().await?;
    }

    let (samples, contiguous) = until(
        "the samples of the dead time",
        Duration::from_secs(90),
        async || {
            let (samples, contiguous, forgotten) = boot(&county.device(0).await?)?;
            ensure!(forgotten == 0, "samples were forgotten: {forgotten}");
            Ok((samples >= first + 20 && samples == contiguous).then_some((samples, contiguous)))
        },
    )
    .await?;
    println!("{first} samples before, {samples} after; contiguous up to {contiguous}");

    // The same, counted from the points themselves.
    let id = county.device(0).await?["id"]
        .as_str()
        .context("no id")?
        .to_owned();
    let health = county
        .console
        .get(&format!("/devices/{id}/health?max_points=5000"))
        .await?;
    let mut seqs: Vec<u64> = health["points"]
        .as_array()
        .context("no points")?
        .iter()
        .filter_map(|p| p["seq"].as_u64())
        .collect();
    seqs.sort_unstable();
    ensure!(
        seqs.len() as u64 >= samples,
        "{} points for {samples} samples",
        seqs.len()
    );
    ensure!(
        seqs == (1..=seqs.len() as u64).collect::<Vec<_>>(),
        "a gap or a duplicate: {seqs:?}"
    );
    Ok(())
}
