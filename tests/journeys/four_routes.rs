//! Journey: one lesson by four routes — line, LAN, USB disk, disc — is the same bytes on every board.
//!
//! Four boards of one school, each with one route. The disk and the disc carry the pack that the console built. That packs
//! also survive being ignored, pulled out and merged back is shown by `packs` and `pulled_disk`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;
mod netschool;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use netschool::{Net, at_console, cached, connected, is_ready, line, network, scratch};
use serde_json::json;
use system_tests::{
    netns::{CONSOLE, Line, School},
    stand::{Classroom, until},
};

const LINE_KBPS: u32 = 50_000;
const LIMIT: Duration = Duration::from_secs(60);
const LESSON: &str = "routes";
/// Which board has which route.
const BY_LINE: usize = 0;
const BY_LAN: usize = 1;
const BY_USB: usize = 2;
const BY_DISC: usize = 3;

#[test]
fn a_lesson_is_the_same_by_every_route() -> Result<()> {
    let school = match network(|| School::build(4, line(LINE_KBPS))) {
        Ok(school) => school,
        Err(reason) => {
            println!("NOT SHOWN: four routes; {reason}");
            return Ok(());
        }
    };
    at_console(&school, async || journey(&school).await)
}

async fn ready(school: &School, board: usize, how: &str) -> Result<()> {
    until(&format!("the lesson by {how}"), LIMIT, async || {
        Ok(is_ready(school, board, LESSON)?.then_some(()))
    })
    .await
}

async fn journey(school: &School) -> Result<()> {
    let folder = scratch()?;
    let mut net = Net::start(school, CONSOLE, folder.path()).await?;
    let id = net.school("3601220001", LINE_KBPS).await?;
    let (_, manifest) = net.lesson(folder.path(), LESSON, 6_000_000)?;
    let expected: BTreeSet<_> = manifest.files.iter().map(|file| file.hash.to_hex()).collect();
    let mut boards = Vec::new();
    for (n, netns) in school.boards.iter().enumerate() {
        boards.push(
            net.board(folder.path(), id, &format!("b{n}"), netns.name())
                .await?,
        );
    }
    let held = |board: &Classroom| cached(&board.dir.join("data"));

    // By the line; the other board of the LAN is on, and nothing is meant for it yet.
    boards[BY_LINE].start()?;
    boards[BY_LAN].start()?;
    let online = net.online(2).await?;
    connected(school, 2).await?;
    let room = |serial: &str| {
        let device = online
            .iter()
            .find(|device| device["serial"] == serial)
            .context("not listed")?;
        Ok::<_, anyhow::Error>(device["classroom_id"].clone())
    };
    let push = async |serial: &str| {
        let body = json!({ "lesson_ids": [LESSON], "target": { "kind": "classroom", "id": room(serial)? }, "pinned": false });
        net.console.post("/pushes", body).await.map(drop)
    };
    push("SN-b0").await?;
    ready(school, BY_LINE, "line").await?;
    ensure!(held(&boards[BY_LINE])? == expected, "by line: other bytes");
    ensure!(
        held(&boards[BY_LAN])?.is_empty(),
        "the board for the LAN has the lesson too early"
    );

    // By the LAN: the line carries words and no lesson. 64 kbit/s would take 12 minutes for it.
    school.shape(Line {
        rate_kbps: 64,
        ..line(64)
    })?;
    let before = school.line_bytes()?.sent;
    push("SN-b1").await?;
    ready(school, BY_LAN, "LAN").await?;
    ensure!(held(&boards[BY_LAN])? == expected, "by LAN: other bytes");
    let content: u64 = manifest.files.iter().map(|file| file.size).sum();
    let carried = school.line_bytes()?.sent - before;
    println!("by LAN: {content} bytes of lesson, {carried} bytes over the line");
    ensure!(
        carried < content / 10,
        "the line carried {carried} bytes: this was not the LAN"
    );

    // By disk and by disc, with console, line and the other boards gone.
    let made = folder.path().join("made");
    let disc = folder.path().join("week.iso");
    let build = |out: &Path| {
        net.stand.admin(&[
            "pack",
            "build",
            "--lessons",
            LESSON,
            "--out",
            out.to_str().context("path")?,
        ])
    };
    build(&made)?;
    let disc = match build(&disc) {
        Ok(_) => Some(disc),
        Err(error) if error.to_string().contains("xorriso") => {
            println!("NOT SHOWN: the route by disc; xorriso is not installed");
            None
        }
        Err(error) => return Err(error),
    };
    boards[BY_LINE].kill();
    boards[BY_LAN].kill();
    net.stand.kill();
    import(school, &mut boards[BY_USB], BY_USB, &made).await?;
    ensure!(held(&boards[BY_USB])? == expected, "by USB disk: other bytes");
    boards[BY_USB].kill();
    let mut routes = 3;
    if let Some(disc) = disc {
        match Mounted::of(&disc, &folder.path().join("drive")) {
            Some(mounted) => {
                import(school, &mut boards[BY_DISC], BY_DISC, &mounted.0).await?;
                ensure!(held(&boards[BY_DISC])? == expected, "by disc: other bytes");
                boards[BY_DISC].kill();
                routes += 1;
            }
            None => println!("NOT SHOWN: the route by disc; this machine mounts no disc image"),
        }
    }
    println!(
        "{} files, equal by BLAKE3 on the boards of {routes} routes",
        expected.len()
    );
    Ok(())
}

/// As a technician at the board does it, the agent stopped; then the player shows it.
async fn import(school: &School, board: &mut Classroom, n: usize, disk: &Path) -> Result<()> {
    ensure!(
        cached(&board.dir.join("data")).unwrap_or_default().is_empty(),
        "the board is not new"
    );
    let (code, out, err) = board.once(&["pack", "import"], &[disk.to_str().context("path")?, "--all"])?;
    ensure!(code == 0, "pack import: {out}{err}");
    board.start()?;
    ready(school, n, "pack").await
}

/// A disc image in its drive; out again when dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn of(disc: &Path, place: &Path) -> Option<Self> {
        fs::create_dir_all(place).ok()?;
        let done = Command::new("mount")
            .args(["-o", "loop,ro,nosuid,nodev,noexec"])
            .arg(disc)
            .arg(place)
            .output();
        let fuse = || {
            Command::new("fuseiso")
                .arg(disc)
                .arg(place)
                .output()
                .is_ok_and(|done| done.status.success())
        };
        (done.is_ok_and(|done| done.status.success()) || fuse()).then(|| Self(place.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}
