//! Journey: the disk goes away while lessons come from it. Nothing here is harmed, the page says so, and plugged in again it
//! goes on from where it stopped.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use common::{County, lesson_folder, shelf};
use serde_json::{Value, json};
use system_tests::stand::{Classroom, until};

const LIMIT: Duration = Duration::from_secs(90);
/// So often; every time at another point.
const PULLS: u32 = 6;

async fn disks(classroom: &Classroom) -> Result<Value> {
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let url = format!("{}/api/disks", classroom.url());
    Ok(http.get(url).send().await?.json().await?)
}

/// A FAT32 disk in a file, behind a loop device, mounted; gone with the value.
struct Disk {
    image: PathBuf,
    place: PathBuf,
}

impl Disk {
    fn mount(image: &Path, place: &Path) -> Option<Self> {
        fs::create_dir_all(place).ok()?;
        let done = Command::new("mount")
            .args(["-o", "loop,nosuid,nodev,noexec"])
            .args([image, place])
            .output()
            .ok()?;
        done.status.success().then(|| Self {
            image: image.to_owned(),
            place: place.to_owned(),
        })
    }

    /// The device behind the mount answers no more: its file ends at once, and what the system remembers of it is dropped.
    fn pull(&self) -> Result<()> {
        File::options().write(true).open(&self.image)?.set_len(0)?;
        File::options()
            .write(true)
            .open("/proc/sys/vm/drop_caches")?
            .write_all(b"1")?;
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.place).output();
    }
}

/// A new disk: FAT32 where the system knows it, else ext4, which is as good for being pulled out.
fn blank(image: &Path, place: &Path) -> Option<Disk> {
    let run = |program: &str, args: &[&str]| {
        let done = Command::new(program).args(args).arg(image).output();
        done.is_ok_and(|done| done.status.success())
    };
    if !run("truncate", &["-s", "200M"]) {
        return None;
    }
    if run("mkfs.vfat", &["-F", "32"])
        && let Some(disk) = Disk::mount(image, place)
    {
        return Some(disk);
    }
    println!("NOT SHOWN: FAT32 itself, which this system does not mount; ext4 instead");
    run("mkfs.ext4", &["-q", "-F"])
        .then(|| Disk::mount(image, place))
        .flatten()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_pulled_out_harms_nothing() -> Result<()> {
    let seed: u64 = std::env::var("BBT_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("seed {seed}");
    let mut county = County::start(None).await?;
    let kit = common::kit_folder()?;
    let video = kit
        .iter()
        .flat_map(|lesson| fs::read_dir(lesson).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|kind| kind == "mp4"))
        .context("the kit has no video")?;
    let mut ids = Vec::new();
    for n in 0..4 {
        let id = format!("film-{n}");
        let folder = lesson_folder(county.dir.path(), &id)?;
        system_tests::kit::lengthen_mp4(&video, &folder.join("课.mp4"), 24 << 20, 1_000 + 7 * n)?;
        county
            .stand
            .admin(&["lesson", "import", "--release", folder.to_str().context("path")?])?;
        ids.push(id);
    }
    let media = county.dir.path().join("media");
    fs::create_dir_all(&media)?;
    let extra = format!("[usb]\nroots = [{media:?}]\n");
    let index = county.add_classroom(&extra).await?;

    // The disk as the county made it.
    let whole = county.dir.path().join("usb.img");
    let desk = county.dir.path().join("desk");
    let Some(disk) = blank(&whole, &desk) else {
        println!("NOT SHOWN: a pulled disk; this machine mounts no disk image");
        return Ok(());
    };
    let at = desk.to_str().context("path")?;
    county.stand.admin(&[
        "pack",
        "build",
        "--lessons",
        &ids.join(","),
        "--title",
        "影片",
        "--out",
        at,
    ])?;
    county.stand.admin(&["pack", "verify", at])?;
    drop(disk);

    // No line: what comes, comes from the disk.
    county.line.cut();
    county.mqtt_line.cut();
    let classroom = &county.classrooms[index];
    let image = county.dir.path().join("pulled.img");
    let place = media.join("USB");
    let mut asked = false;
    let (mut pulled, mut last_bytes) = (0, 0);
    for round in 0..PULLS {
        fs::copy(&whole, &image)?;
        let disk = Disk::mount(&image, &place).context("Failed to mount the disk again")?;
        let card = until("the disk is seen", LIMIT, async || {
            let all = disks(classroom).await?;
            Ok(all["disks"].as_array().and_then(|all| all.first()).cloned())
        })
        .await?;
        if !asked {
            ensure!(card["offered"] == 4, "{card}");
            let id = card["id"].as_str().context("id")?;
            let url = classroom.url();
            let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
            let home: Value = http.get(format!("{url}/api/home")).send().await?.json().await?;
            let answer = http
                .post(format!("{url}/api/disks/{id}/import"))
                .header("origin", url.trim_end_matches('/'))
                .header("x-bbt-page", "1")
                .header("x-bbt-token", home["token"].as_str().unwrap_or_default())
                .json(&json!({}))
                .send()
                .await?;
            ensure!(answer.status().is_success(), "{}", answer.text().await?);
            asked = true;
        }
        // Pulled at some byte of what is left.
        if card["needed"] == 0 && card["offered"] == 0 {
            break;
        }
        let left = card["bytes"]
            .as_u64()
            .context("bytes")?
            .saturating_sub(last_bytes);
        let at = last_bytes + seed.rotate_left(round * 7) % (left / 5).max(1);
        let began = std::time::Instant::now();
        while held_bytes(classroom) < at {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if began.elapsed() > Duration::from_secs(30) {
                let log = fs::read_to_string(classroom.log())?;
                let tail: Vec<&str> = log.lines().rev().take(40).collect();
                let now = disks(classroom).await?;
                bail!(
                    "round {round}: nothing comes any more: {now}\n{}",
                    tail.join("\n")
                );
            }
        }
        disk.pull()?;
        let pulled_at = held_bytes(classroom);
        drop(disk);
        let now = until("the board notices", LIMIT, async || {
            let all = disks(classroom).await?;
            let none = all["disks"].as_array().is_none_or(Vec::is_empty);
            Ok(none.then_some(all))
        })
        .await?;
        if now["note"]["problem"] == true {
            let text = now["note"]["zh"].as_str().unwrap_or_default();
            // A pull after the last byte meets the receipt instead of the import; that is no harm either, and is said.
            let met_receipt = text.contains("课程不受影响");
            pulled += u32::from(!met_receipt);
            ensure!(met_receipt || text.contains("没有损坏"), "{now}");
        }
        ensure!(pulled_at >= last_bytes, "round {round}: verified bytes were lost");
        last_bytes = pulled_at;
        let shown = shelf(classroom).await?;
        for lesson in shown["lessons"].as_array().context("no lessons")? {
            ensure!(
                lesson["state"] == "ready",
                "round {round}: something half shows: {lesson}"
            );
        }
        println!("round {round}: pulled at {at}, {pulled_at} bytes held");
    }
    println!("{pulled} of {PULLS} pulls met an import");
    ensure!(pulled > 0, "every pull came too late: the test shows nothing");

    // And in again, this time to the end.
    fs::copy(&whole, &image)?;
    let disk = Disk::mount(&image, &place).context("Failed to mount the disk again")?;
    until("all lessons play", LIMIT, async || {
        let shown = shelf(classroom).await?;
        let ready = shown["lessons"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|l| l["state"] == "ready");
        Ok((ready.count() == ids.len()).then_some(()))
    })
    .await?;
    drop(disk);
    // What is stored is what its name says.
    let data = county.classrooms[index].dir.join("data");
    let mut files = 0;
    for shelf in fs::read_dir(data.join("content/files"))?.flatten() {
        for file in fs::read_dir(shelf.path())?.flatten() {
            let hash = blake3::hash(&fs::read(file.path())?).to_hex().to_string();
            ensure!(
                file.file_name().to_str() == Some(&hash),
                "{} is damaged",
                file.path().display()
            );
            files += 1;
        }
    }
    ensure!(files >= ids.len(), "{files} files");
    county.classrooms[index].kill();
    let (code, out, err) = county.classrooms[index].once(&["store", "check"], &[])?;
    ensure!(code == 0, "{out}{err}");
    Ok(())
}

/// Bytes of lessons that lie on the board's disk, whole or arriving.
fn held_bytes(classroom: &Classroom) -> u64 {
    let mut bytes = 0;
    let mut folders = vec![classroom.dir.join("data/content")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => folders.push(entry.path()),
                Ok(meta) => bytes += meta.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}
