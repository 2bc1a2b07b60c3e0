//! The same two versions through other programs.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use super::{Moved, Pair, packed, walk};
use crate::bench::school::race::clear;

/// Its own cutting at 64 KiB, chunks compressed as it does by itself.
pub(super) fn casync(scratch: &Path, pair: &Pair) -> Result<Moved> {
    let store = scratch.join("store.castr");
    clear(&store);
    fs::create_dir_all(&store)?;
    let size = || -> Result<u64> {
        let mut sum = 0;
        for file in walk(&store)? {
            sum += fs::metadata(file)?.len();
        }
        Ok(sum)
    };
    let index = scratch.join("new.caibx");
    let make = |file: &Path| {
        run(Command::new("casync")
            .args(["make", "--chunk-size=65536"])
            .arg(format!("--store={}", store.display()))
            .arg(&index)
            .arg(file))
    };
    make(&pair.before)?;
    let before = size()?;
    make(&pair.after)?;
    let moved = Moved {
        data: size()? - before,
        index: packed(&fs::read(&index)?)?,
    };
    clear(&store);
    Ok(moved)
}

/// As it comes.
pub(super) fn zchunk(scratch: &Path, pair: &Pair) -> Result<Moved> {
    let (before, after) = (scratch.join("before.zck"), scratch.join("after.zck"));
    run(Command::new("zck").arg("-o").arg(&before).arg(&pair.before))?;
    run(Command::new("zck").arg("-o").arg(&after).arg(&pair.after))?;
    let said = run(Command::new("zck_delta_size").arg(&before).arg(&after))?;
    // "Would download 123 of 456 bytes", the header among them.
    let data = said
        .split_whitespace()
        .find_map(|word| word.parse().ok())
        .with_context(|| format!("zck_delta_size said {said:?}"))?;
    Ok(Moved { data, index: 0 })
}

/// One patch between the two, at the usual level.
pub(super) fn zstd(scratch: &Path, pair: &Pair) -> Result<Moved> {
    let patch = scratch.join("patch.zst");
    run(Command::new("zstd")
        .args(["-q", "-f", "--long=31"])
        .arg(format!("--patch-from={}", pair.before.display()))
        .arg(&pair.after)
        .arg("-o")
        .arg(&patch))?;
    Ok(Moved {
        data: fs::metadata(&patch)?.len(),
        index: 0,
    })
}

fn run(command: &mut Command) -> Result<String> {
    let done = command
        .output()
        .with_context(|| format!("Failed to run {:?}", command.get_program()))?;
    ensure!(
        done.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&done.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
