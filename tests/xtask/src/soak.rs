//! `cargo xtask soak`: the agent with an unreachable console for two hours, its memory look by look.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};
use system_tests::{
    soak::{Soak, soak},
    stand::Bins,
};

use crate::{
    setup,
    sh::{self, cargo, target_dir},
};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// How long.
    #[arg(long, default_value_t = 120)]
    minutes: u64,
    /// Seconds between two samples; 1 makes a minute an hour of samples.
    #[arg(long, default_value_t = 60)]
    every_s: u64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let bins = match std::env::var_os("BBT_BIN_DIR") {
        Some(dir) => Bins::in_dir(Path::new(&dir))?,
        None => {
            setup::for_demo()?;
            sh::run(cargo().args(["build", "--release", "-p", "bbt-console", "-p", "bbt-agent"]))?;
            Bins::in_dir(&target_dir().join("release"))?
        }
    };
    let folder = sh::root().join(".bbt/soak");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let lasts = Duration::from_secs(options.minutes * 60);
    let how = Soak {
        lasts,
        sample_every_s: options.every_s,
        look_every: Duration::from_secs(10).min(lasts / 20),
    };
    let mut told = 0;
    let seen =
        tokio::runtime::Runtime::new()?.block_on(soak(&bins, &folder, how, |passed, rss, outbox| {
            let minute = passed.as_secs() / 60;
            if minute > told {
                told = minute;
                println!(
                    "  minute {minute:4}: {rss} KiB resident, {} KiB in the outbox",
                    outbox / 1024
                );
            }
        }))?;
    let (early, late) = (seen.middle(10, 30), seen.middle(80, 100));
    let most = seen.rss_kib.iter().max().copied().unwrap_or(0);
    println!(
        "\n{} min without the console: {early} KiB resident early, {late} KiB late ({:+} KiB), {most} KiB at most; the outbox \
         holds {} KiB",
        options.minutes,
        late.cast_signed() - early.cast_signed(),
        seen.outbox_bytes / 1024
    );
    ensure!(late <= early + 2048, "it grows");
    Ok(())
}
