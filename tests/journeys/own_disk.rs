//! Journey: a teacher plugs a disk of their own; its films play from where they lie, by the board's page, with the line down.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use anyhow::{Context, Result};
use common::County;
use serde_json::Value;
use system_tests::kit;

/// "同学们好" in the encoding of most old computers.
const GBK: &[u8] = b"1\r\n00:00:01,000 --> 00:00:05,000\r\n\xcd\xac\xd1\xa7\xc3\xc7\xba\xc3\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_teachers_own_films_play_from_the_disk() -> Result<()> {
    let mut county = County::start(None).await?;
    let media = county.dir.path().join("media");
    let disk = media.join("KINGSTON");
    let folder = disk.join("三年级 #2");
    fs::create_dir_all(&folder)?;
    // Without a mounted file system, this is what makes a folder a disk.
    fs::create_dir(disk.join("bbt"))?;
    let film = folder.join("观潮.mp4");
    let made = Command::new(kit::Tools::find()?.ffmpeg)
        .args([
            "-hide_banner",
            "-loglevel",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc=d=8:s=320x180:r=24",
        ])
        .args([
            "-c:v",
            "libx264",
            "-pix_fmt",
            "yuv420p",
            "-movflags",
            "+faststart",
        ])
        .arg(&film)
        .status()?;
    assert!(made.success());
    fs::write(folder.join("观潮.srt"), GBK)?;
    fs::write(disk.join("图.png"), common::PNG)?;
    fs::write(disk.join("骗人.mp4"), "<!doctype html><script>alert(1)</script>")?;
    fs::write(disk.join("教案.docx"), "PK")?;
    fs::write(county.dir.path().join("secret.mp4"), fs::read(&film)?)?;
    symlink("../../secret.mp4", disk.join("秘密.mp4"))?;

    county
        .add_classroom(&format!(
            "[usb]\nroots = [{:?}]\n",
            media.to_str().context("path")?
        ))
        .await?;
    common::picture_lesson(&county, "picture-1")?;
    county.push_and_wait(std::time::Duration::from_secs(120)).await?;
    county.line.cut();
    county.mqtt_line.cut();

    let done = Command::new("node")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("journeys/own_disk.mjs"))
        .env("BASE_URL", format!("{}/", county.classrooms[0].url()))
        .output()?;
    let out = String::from_utf8_lossy(&done.stdout);
    println!("{out}{}", String::from_utf8_lossy(&done.stderr));
    let seen: Value = serde_json::from_str(out.trim())?;
    assert_eq!(seen["failed"], Value::Null);
    assert_eq!(seen["errors"], serde_json::json!([]));
    assert_eq!(seen["host"], "bbt.localhost");
    // Folders, then what plays, then the rest; no link, no folder of the county's.
    assert_eq!(
        seen["names"],
        serde_json::json!(["三年级 #2", "骗人.mp4", "图.png", "教案.docx"])
    );
    assert_eq!(seen["inside"], serde_json::json!(["观潮.mp4"]));
    assert_eq!(
        (&seen["words"], &seen["title"]),
        (&"同学们好".into(), &"观潮.mp4".into())
    );
    assert_eq!(
        (&seen["picture"], &seen["refused"]),
        (&true.into(), &"打不开这一项".into())
    );
    county.classrooms[0].process()?.check_alive()?;
    Ok(())
}
