//! Journey: a teaching point without a line. Lessons come on a USB disk and on an optical disc, with hashes equal to those of
//! the line; receipts and health go home on the disk and are merged once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use common::{County, PNG, free_port_pair, lesson_folder, shelf};
use serde_json::{Value, json};
use system_tests::stand::{Classroom, until};

const LIMIT: Duration = Duration::from_secs(90);

/// A lesson with a long file, one in parts on the disk, and a short one.
fn big_lesson(county: &County, id: &str, seed: u64) -> Result<()> {
    let folder = lesson_folder(county.dir.path(), id)?;
    fs::write(folder.join("图.png"), PNG)?;
    let kit = common::kit_folder()?;
    let video = kit
        .iter()
        .flat_map(|lesson| fs::read_dir(lesson).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|kind| kind == "mp4"))
        .context("the kit has no video")?;
    system_tests::kit::lengthen_mp4(&video, &folder.join("课.mp4"), 6 << 20, seed)?;
    county
        .stand
        .admin(&["lesson", "import", "--release", folder.to_str().context("path")?])?;
    Ok(())
}

/// BLAKE3 of what a device really holds, by reading it.
fn cached(data: &Path) -> BTreeSet<String> {
    let mut hashes = BTreeSet::new();
    for shelf in fs::read_dir(data.join("content/files")).unwrap().flatten() {
        for file in fs::read_dir(shelf.path()).unwrap().flatten() {
            let hash = blake3::hash(&fs::read(file.path()).unwrap()).to_hex().to_string();
            assert_eq!(file.file_name().to_str().unwrap(), hash);
            hashes.insert(hash);
        }
    }
    hashes
}

async fn disks(classroom: &Classroom) -> Result<Value> {
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    Ok(http
        .get(format!("{}/api/disks", classroom.url()))
        .send()
        .await?
        .json()
        .await?)
}

/// As the page does.
async fn ask(classroom: &Classroom, disk: &str, verb: &str) -> Result<(u16, Value)> {
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let url = classroom.url();
    let home: Value = http.get(format!("{url}/api/home")).send().await?.json().await?;
    let answer = http
        .post(format!("{url}/api/disks/{disk}/{verb}"))
        .header("origin", url.trim_end_matches('/'))
        .header("x-bbt-page", "1")
        .header("x-bbt-token", home["token"].as_str().unwrap_or_default())
        .json(&json!({}))
        .send()
        .await?;
    Ok((answer.status().as_u16(), answer.json().await?))
}

async fn ready(classroom: &Classroom, lessons: &[&str]) -> Result<()> {
    until("the lessons play", LIMIT, async || {
        let shown = shelf(classroom).await?;
        let plays = |id: &str| {
            let all = shown["lessons"].as_array().into_iter().flatten();
            all.clone().any(|l| l["id"] == id && l["state"] == "ready")
        };
        Ok(lessons.iter().all(|id| plays(id)).then_some(()))
    })
    .await
}

async fn idle(classroom: &Classroom) -> Result<Value> {
    until("the disk is looked after", LIMIT, async || {
        let all = disks(classroom).await?;
        let card = all["disks"].as_array().and_then(|all| all.first()).cloned();
        Ok(card.filter(|card| card["state"] == "idle" && card["needed"] == 0))
    })
    .await
}

fn usb(roots: &Path) -> String {
    format!("[usb]\nroots = [{roots:?}]\n[health]\ninterval_s = 1\n")
}

/// Copies onto a "disk" so that it appears there at once, as a mount does.
fn plug(from: &Path, media: &Path, name: &str) -> Result<PathBuf> {
    fs::create_dir_all(media)?;
    let (new, disk) = (media.with_extension("new"), media.join(name));
    let done = Command::new("cp").arg("-r").arg(from).arg(&new).status()?;
    ensure!(done.success(), "cp failed");
    fs::rename(new, &disk)?;
    Ok(disk)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_without_a_line_gets_lessons_on_a_disk_and_answers_on_it() -> Result<()> {
    let mut county = County::start(None).await?;
    big_lesson(&county, "week-1", 1)?;
    big_lesson(&county, "week-2", 2)?;
    big_lesson(&county, "extra", 3)?;
    // One board by the line; it says what the bytes should be.
    let near = county.add_classroom("").await?;
    // One board that was enrolled, and then never had a line again.
    let media = county.dir.path().join("media");
    fs::create_dir_all(&media)?;
    let far = county.add_classroom(&usb(&media)).await?;
    county.classrooms[far].kill();
    let device = county.device(far).await?;
    let (far_id, far_room) = (
        device["id"].as_str().context("id")?.to_owned(),
        device["classroom_id"].clone(),
    );
    let near_room = county.device(near).await?["classroom_id"].clone();
    for room in [near_room, far_room] {
        let body =
            json!({ "lesson_ids": ["week-1", "week-2"], "target": { "kind": "classroom", "id": room } });
        county.console.post("/pushes", body).await?;
    }
    ready(&county.classrooms[near], &["week-1", "week-2"]).await?;
    let by_line = cached(&county.classrooms[near].dir.join("data"));

    // The county makes a disk, with small parts that stand for FAT32's, and a disc.
    let made = county.dir.path().join("made");
    let (out, disc) = (made.to_str().context("path")?, county.dir.path().join("week.iso"));
    let all = [
        "pack",
        "build",
        "--lessons",
        "week-1,week-2,extra",
        "--title",
        "第一周",
        "--out",
        out,
        "--part-mib",
        "1",
    ];
    county.stand.admin(&all)?;
    let school = device["school_id"].to_string();
    county.stand.admin(&[
        "pack", "build", "--school", &school, "--title", "全校", "--out", out,
    ])?;
    county.stand.admin(&["pack", "verify", out])?;
    let parts = Command::new("find").args([out, "-name", "*.001"]).output()?;
    ensure!(!parts.stdout.is_empty(), "nothing lies in parts");
    let has_disc = county
        .stand
        .admin(&[
            "pack",
            "build",
            "--lessons",
            "week-1,week-2",
            "--out",
            disc.to_str().context("path")?,
        ])
        .map(|_| true)
        .or_else(|error| {
            ensure!(error.to_string().contains("Debian package xorriso"), "{error:#}");
            println!("NOT SHOWN: the route by disc; xorriso is not installed");
            Ok(false)
        })?;

    // The line is cut for the far board: its relay is gone. The assignment comes on the disk, too.
    county.line.cut();
    county.mqtt_line.cut();
    county.classrooms[far].start()?;
    let disk = plug(&made, &media, "USB")?;
    fs::write(disk.join("autorun.inf"), "[autorun]\nopen=evil.exe\n")?;
    ready(&county.classrooms[far], &["week-1", "week-2"]).await?;
    let card = idle(&county.classrooms[far]).await?;
    ensure!(
        card["offered"] == 1 && card["found"].as_u64() >= Some(3),
        "{card}"
    );
    ensure!(
        cached(&county.classrooms[far].dir.join("data")) == by_line,
        "USB and line differ"
    );

    // What is not assigned comes when somebody at the board says so, and stays.
    let id = card["id"].as_str().context("id")?.to_owned();
    let (status, said) = ask(&county.classrooms[far], &id, "import").await?;
    ensure!(status == 200, "{said}");
    ready(&county.classrooms[far], &["week-1", "week-2", "extra"]).await?;
    idle(&county.classrooms[far]).await?;
    county.classrooms[far].kill();
    county.classrooms[far].start()?;
    ready(&county.classrooms[far], &["week-1", "week-2", "extra"]).await?;

    // What it writes back goes home.
    let receipts = disk.join("bbt/receipts").join(&far_id);
    until("a receipt lies on the disk", LIMIT, async || {
        Ok(fs::read_dir(&receipts)
            .ok()
            .and_then(|mut all| all.next())
            .map(|_| ()))
    })
    .await?;
    idle(&county.classrooms[far]).await?;
    let (code, out, err) =
        county.classrooms[far].once(&["pack", "receipts"], &[disk.to_str().context("path")?])?;
    ensure!(code == 0, "{out}{err}");
    let at = disk.to_str().context("path")?;
    let merged: Value = serde_json::from_str(&county.stand.admin(&["pack", "receipts", at, "--json"])?)?;
    let first = merged
        .as_array()
        .and_then(|all| all.last())
        .context("no receipt")?;
    ensure!(
        first["device_id"] == far_id.as_str() && first["inventory"] == true,
        "{merged}"
    );
    ensure!(
        first["samples"].as_u64() > Some(0),
        "no health came home: {merged}"
    );
    let again: Value = serde_json::from_str(&county.stand.admin(&["pack", "receipts", at, "--json"])?)?;
    for item in again.as_array().context("no receipts")? {
        ensure!(
            item["repeated"] == true && item["samples"] == 0,
            "merged twice: {again}"
        );
    }
    let known = county.device(far).await?;
    ensure!(
        known.to_string().contains("week-2"),
        "the console does not know: {known}"
    );
    ensure!(
        receipts.join("ack.json").exists(),
        "the console's word is not on the disk"
    );

    // Out, and in again: the board reads the console's word and has less to say.
    let (status, said) = ask(&county.classrooms[far], &id, "eject").await?;
    ensure!(status == 200, "{said}");

    // The same by disc, on a third board whose line is dead.
    if has_disc {
        by_disc(&mut county, &disc, &by_line).await?;
    }
    Ok(())
}

async fn by_disc(county: &mut County, disc: &Path, by_line: &BTreeSet<String>) -> Result<()> {
    let media = county.dir.path().join("drive");
    let place = media.join("CD");
    fs::create_dir_all(&place)?;
    let run = |program: &str, args: &[&str]| {
        let done = Command::new(program).args(args).arg(disc).arg(&place).output();
        done.is_ok_and(|done| done.status.success())
    };
    // Not every kernel knows discs; Debian's fuseiso does.
    if !run("mount", &["-o", "loop,ro,nosuid,nodev,noexec"]) && !run("fuseiso", &[]) {
        println!("NOT SHOWN: the route by disc; this machine mounts no disc image");
        return Ok(());
    }
    let unmount = Unmount(place.clone());
    let dir = county.dir.path().join("disc-board");
    let room = county.rooms.last().context("no room")?.id;
    let mut board = Classroom::prepare(&county.bins, &dir, free_port_pair()?, "SN-disc", &usb(&media))?;
    let line = [county.stand.devices, county.stand.mqtt];
    let ticket = system_tests::county::ticket(&county.console, room, line, &dir).await?;
    board.enrol(&ticket)?;
    county.stand.kill();
    board.start()?;
    let card = until("the disc is seen", LIMIT, async || {
        let all = disks(&board).await?;
        let card = all["disks"].as_array().and_then(|all| all.first()).cloned();
        Ok(card.filter(|card| card["state"] == "idle"))
    })
    .await?;
    ensure!(card["offered"] == 2 && card["verified"] == 2, "{card}");
    let id = card["id"].as_str().context("id")?.to_owned();
    let (status, said) = ask(&board, &id, "import").await?;
    ensure!(status == 200, "{said}");
    ready(&board, &["week-1", "week-2"]).await?;
    ensure!(
        cached(&board.dir.join("data")) == *by_line,
        "disc and line differ"
    );
    let (status, said) = ask(&board, &id, "eject").await?;
    ensure!(status == 200, "{said}");
    until("the disc is unmounted", LIMIT, async || {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        Ok((!mounts.contains(&*place.to_string_lossy())).then_some(()))
    })
    .await?;
    drop(unmount);
    Ok(())
}

/// Lets go however the test ends.
struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}
