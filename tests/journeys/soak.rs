//! Journey: more than an hour of samples in 80 s without a console: the agent's memory stays as it is.

#![allow(clippy::print_stdout)]

use std::time::Duration;

use anyhow::{Result, ensure};
use system_tests::{
    soak::{Soak, soak},
    stand::Bins,
};

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_flat_while_the_console_is_away() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let how = Soak {
        lasts: Duration::from_secs(80),
        sample_every_s: 1,
        look_every: Duration::from_secs(1),
    };
    let seen = soak(&Bins::beside_the_test()?, dir.path(), how, |_, _, _| {}).await?;
    let (early, late) = (seen.middle(10, 30), seen.middle(80, 100));
    println!(
        "resident memory {early} KiB early, {late} KiB late; the outbox holds {} KiB",
        seen.outbox_bytes / 1024
    );
    ensure!(late <= early + 2048, "it grows: {early} KiB, then {late} KiB");
    ensure!(late <= 96 * 1024, "{late} KiB");
    ensure!(
        seen.outbox_bytes > 8_000,
        "nothing was kept: {} bytes",
        seen.outbox_bytes
    );
    Ok(())
}
