//! Journey: the disk is full, at the console and on a device. What was good stays good; room makes it go on by itself.
//!
//! Uses small tmpfs mounts, so it needs root; without, it says so and shows nothing.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use common::County;
use serde_json::Value;
use system_tests::{county::push, kit, stand::until};

/// A file system of a given size; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, mib: u32) -> Result<Self> {
        fs::create_dir_all(at)?;
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"])
            .arg(at)
            .status()?;
        ensure!(done.success(), "mount failed");
        Ok(Self(at.to_owned()))
    }

    fn resize(&self, mib: u32) -> Result<()> {
        let done = Command::new("mount")
            .args(["-o", &format!("remount,size={mib}m")])
            .arg(&self.0)
            .status()?;
        ensure!(done.success(), "remount failed");
        Ok(())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn is_root() -> bool {
    let id = Command::new("id")
        .arg("-u")
        .output()
        .map(|o| o.stdout)
        .unwrap_or_default();
    String::from_utf8_lossy(&id).trim() == "0"
}

fn lesson(folder: &Path, id: &str, extra_bytes: u32) -> Result<PathBuf> {
    let dir = common::lesson_folder(folder, id)?;
    let video = common::kit_folder()?[2].join("演示.mp4");
    kit::lengthen_mp4(&video, &dir.join("课.mp4"), extra_bytes, u64::from(extra_bytes))?;
    Ok(dir)
}

fn state_of(device: &Value, lesson: &str) -> String {
    let lessons = device["lessons"].as_array().cloned().unwrap_or_default();
    let row = lessons
        .into_iter()
        .find(|row| row["lesson_id"] == *lesson)
        .unwrap_or_default();
    format!(
        "{} {}",
        row["state"].as_str().unwrap_or("-"),
        row["reason"].as_str().unwrap_or("")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_nothing_that_was_good() -> Result<()> {
    if !is_root() {
        println!("NOT SHOWN: this journey mounts small file systems and needs root");
        return Ok(());
    }
    let mut county = County::start(None).await?;
    let sources = county.dir.path().join("sources");
    let small = lesson(&sources, "small", 1 << 20)?;
    let large = lesson(&sources, "large", 60 << 20)?;

    // The console: no room for the large lesson.
    county
        .stand
        .admin(&["lesson", "import", "--release", small.to_str().context("path")?])?;
    let objects = county.stand.data.join("objects");
    let kept = county.dir.path().join("objects-kept");
    copy_tree(&objects, &kept)?;
    let disk = SmallDisk::mount(&objects, 24)?;
    copy_tree(&kept, &objects)?;
    let error = county
        .stand
        .admin(&["lesson", "import", "--release", large.to_str().context("path")?])
        .unwrap_err()
        .to_string();
    println!("console: {error}");
    ensure!(
        error.contains(objects.to_str().context("path")?),
        "the folder is not named: {error}"
    );
    let listed = county.console.get("/lessons").await?;
    ensure!(
        listed["total"] == 1,
        "a lesson is registered that is not stored: {listed}"
    );
    disk.resize(200)?;
    county
        .stand
        .admin(&["lesson", "import", "--release", large.to_str().context("path")?])?;

    // The device: room for the small lesson only.
    let room = county.rooms[0].key.clone();
    let data = county.dir.path().join(&room).join("data");
    let small_disk = SmallDisk::mount(&data, 40)?;
    county
        .add_classroom("[storage]\nreserve_bytes = 1048576\n")
        .await?;
    let push = push(&county.console).await?;
    until(
        "small ready, large refused for room",
        Duration::from_secs(60),
        async || {
            let device = county.device(0).await?;
            let states = (state_of(&device, "small"), state_of(&device, "large"));
            Ok((states.0 == "ready " && states.1 == "failed disk_full").then_some(()))
        },
    )
    .await?;
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let played = http
        .get(format!("{}/files/small/课.mp4", county.classrooms[0].url()))
        .send()
        .await?;
    ensure!(
        played.status().is_success(),
        "the small lesson does not play on a full disk: {}",
        played.status()
    );
    ensure!(played.bytes().await?.len() as u64 == fs::metadata(small.join("课.mp4"))?.len());
    county.classrooms[0].process()?.check_alive()?;

    small_disk.resize(400)?;
    county.wait_ready(&push, Duration::from_secs(180)).await?;

    // Mounts go after the programs that use them.
    county.classrooms.clear();
    county.stand.kill();
    drop((disk, small_disk));
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
