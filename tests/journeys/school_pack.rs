//! Journey: a school makes a lesson itself. The county approves a board as its author; that board makes a lesson of a teacher's
//! files and writes it on a USB disk; the school's other board takes it and plays it; a board of another school, a tampered
//! disk and a disk of a former author are refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use common::{County, PNG, shelf};
use serde_json::{Value, json};
use system_tests::stand::{Classroom, until};

const LIMIT: Duration = Duration::from_secs(90);

async fn get(classroom: &Classroom, path: &str) -> Result<Value> {
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let url = format!("{}{path}", classroom.url());
    Ok(http.get(url).send().await?.json().await?)
}

/// As the page does.
async fn post(classroom: &Classroom, path: &str, body: Value) -> Result<(u16, Value)> {
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let url = classroom.url();
    let home: Value = http.get(format!("{url}/api/home")).send().await?.json().await?;
    let answer = http
        .post(format!("{url}{path}"))
        .header("origin", url.trim_end_matches('/'))
        .header("x-bbt-page", "1")
        .header("x-bbt-token", home["token"].as_str().unwrap_or_default())
        .json(&body)
        .send()
        .await?;
    Ok((answer.status().as_u16(), answer.json().await?))
}

async fn own(classroom: &Classroom, what: &str, good: impl Fn(&Value) -> bool) -> Result<Value> {
    until(what, LIMIT, async || {
        let now = get(classroom, "/api/own-lessons").await?;
        Ok(good(&now).then_some(now))
    })
    .await
}

/// Until the board's newest word on a disk is of that kind.
async fn disk_says(classroom: &Classroom, words: &str) -> Result<()> {
    until(
        &format!("the board says {words:?} of the disk"),
        LIMIT,
        async || {
            let all = get(classroom, "/api/disks").await?;
            let said = all["disks"].to_string();
            Ok(said.contains(words).then_some(()))
        },
    )
    .await
}

async fn plays(classroom: &Classroom, lesson: &str) -> Result<bool> {
    let shown = shelf(classroom).await?;
    let all = shown["lessons"].as_array().context("no lessons")?;
    Ok(all.iter().any(|l| l["id"] == lesson && l["state"] == "ready"))
}

fn settings(media: &Path) -> String {
    format!("[usb]\nroots = [{media:?}]\n")
}

/// Copies onto a "disk" so that it appears there at once, as a mount does.
fn plug(from: &Path, media: &Path) -> Result<PathBuf> {
    let (new, disk) = (media.with_extension("new"), media.join("USB"));
    let done = Command::new("cp").arg("-r").arg(from).arg(&new).status()?;
    ensure!(done.success(), "cp failed");
    fs::rename(new, &disk)?;
    Ok(disk)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_school_makes_a_lesson_and_its_own_boards_alone_take_it() -> Result<()> {
    let mut county = County::start(None).await?;
    let media: Vec<PathBuf> = ["a", "b", "c"]
        .map(|name| county.dir.path().join(format!("media-{name}")))
        .into();
    for place in &media {
        fs::create_dir_all(place)?;
        county.add_classroom(&settings(place)).await?;
    }
    let [a, b, c] = [0, 1, 2];
    let school = county.device(a).await?["school_id"].to_string();
    let other = county.device(c).await?["school_id"].to_string();
    ensure!(school != other, "board C is of the same school");
    let device = county.device(a).await?["id"]
        .as_str()
        .context("no id")?
        .to_owned();
    for board in [a, b, c] {
        own(&county.classrooms[board], "the board knows its school", |now| {
            now["school"] == true
        })
        .await?;
    }

    // The county lets its schools make lessons.
    let tree = county.console.get("/tree").await?;
    let calendar = format!("/regions/{}/calendar", tree["regions"][0]["id"]);
    county
        .console
        .put(&calendar, json!({ "school_lessons": true }))
        .await?;
    until("board A knows that it may make lessons", LIMIT, async || {
        let home = get(&county.classrooms[a], "/api/home").await?;
        Ok((home["school_lessons"] == true).then_some(()))
    })
    .await?;

    // No line from here on: a teacher's disk with slides, a film and a picture is plugged in at board A.
    county.line.cut();
    county.mqtt_line.cut();
    let usb = media[a].join("USB");
    let source = county.dir.path().join("teacher");
    fs::create_dir_all(source.join("第三课"))?;
    fs::create_dir_all(source.join("bbt"))?;
    let kit = common::kit_folder()?;
    let film = kit
        .iter()
        .flat_map(|lesson| fs::read_dir(lesson).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|kind| kind == "mp4"))
        .context("the kit has no video")?;
    fs::copy(&film, source.join("第三课/观潮.mp4"))?;
    let slides = [b"PK\x03\x04".to_vec(), vec![7; 50_000]].concat();
    fs::write(source.join("第三课/观潮.pptx"), slides)?;
    fs::write(source.join("第三课/图.png"), PNG)?;
    plug(&source, &media[a])?;
    let disks = until("the disk is seen", LIMIT, async || {
        let all = get(&county.classrooms[a], "/api/disks").await?;
        let seen = all["disks"].as_array().filter(|all| !all.is_empty());
        Ok(seen.filter(|all| all[0]["files"] == true).cloned())
    })
    .await?;
    let disk = disks[0]["id"].as_str().context("no id")?;
    // Five steps: choose the disk and its files, say what it is, make it, ready; write it on the disk.
    let listed = get(
        &county.classrooms[a],
        &format!("/api/disks/{disk}/files?dir=%E7%AC%AC%E4%B8%89%E8%AF%BE"),
    )
    .await?;
    let names: Vec<_> = (listed["entries"].as_array().context("no files")?.iter())
        .filter_map(|entry| entry["name"].as_str())
        .collect();
    ensure!(names.len() == 3, "{listed}");
    let files = ["观潮.pptx", "观潮.mp4", "图.png"].map(|name| format!("第三课/{name}"));
    let body = json!({ "disk": disk, "files": files, "title": "观潮", "subject": "语文", "grade": "四年级" });
    let (status, said) = post(&county.classrooms[a], "/api/own-lessons", body).await?;
    ensure!(status == 200, "{said}");
    let now = own(&county.classrooms[a], "the lesson is made", |now| {
        !now["made"].is_null()
    })
    .await?;
    let lesson = now["made"].as_str().context("no lesson")?.to_owned();
    ensure!(
        now["author"] == "waiting" && now["lessons"][0]["ready"] == true,
        "{now}"
    );
    until("it is on board A's shelf", LIMIT, async || {
        Ok(plays(&county.classrooms[a], &lesson).await?.then_some(()))
    })
    .await?;
    let detail = get(&county.classrooms[a], &format!("/api/lessons/{lesson}")).await?;
    ensure!(detail["own"] == true, "{detail}");
    let (status, said) = post(
        &county.classrooms[a],
        &format!("/api/own-lessons/{lesson}/write"),
        json!({ "disk": disk }),
    )
    .await?;
    ensure!(status == 200, "{said}");
    own(&county.classrooms[a], "the pack is written", |now| {
        now["making"].is_null() && now["note"]["en"].to_string().contains("on the disk")
    })
    .await?;
    let pack = usb.join("bbt/packs").join(&lesson);
    ensure!(pack.join("school.json").exists(), "no pack on the disk");
    let carried = county.dir.path().join("carried");
    fs::create_dir_all(&carried)?;
    let copied = Command::new("cp")
        .arg("-r")
        .arg(usb.join("bbt"))
        .arg(&carried)
        .status()?;
    ensure!(copied.success(), "cp failed");

    // Before the county approved board A, its school's other board refuses.
    let at_b = plug(&carried, &media[b])?;
    disk_says(&county.classrooms[b], "not among the authors").await?;
    fs::remove_dir_all(&at_b)?;
    // It survives a restart of board A.
    county.classrooms[a].kill();
    county.classrooms[a].start()?;
    until("board A still has it", LIMIT, async || {
        Ok(plays(&county.classrooms[a], &lesson).await?.then_some(()))
    })
    .await?;

    // The line is back; the county's operator approves board A.
    county.line.restore();
    county.mqtt_line.restore();
    let authors = format!("/schools/{school}/authors");
    until("the console knows board A's key", LIMIT, async || {
        let all = county.console.get(&authors).await?;
        let all = all.as_array().context("no boards")?;
        let found = all.iter().find(|one| one["device_id"] == device.as_str());
        Ok(found
            .is_some_and(|one| {
                one["key_id"]
                    .as_str()
                    .is_some_and(|key| key.starts_with("author-"))
            })
            .then_some(()))
    })
    .await?;
    let approve = |ids: Value| county.console.put(&authors, ids);
    approve(json!({ "device_ids": [device] })).await?;
    own(&county.classrooms[a], "board A learns of it", |now| {
        now["author"] == "approved"
    })
    .await?;

    // Board B of the same school takes it when somebody there says so, and plays it.
    plug(&carried, &media[b])?;
    let card = until("board B believes the pack", LIMIT, async || {
        let all = get(&county.classrooms[b], "/api/disks").await?;
        Ok(all["disks"]
            .as_array()
            .and_then(|all| all.iter().find(|card| card["offered"] == 1))
            .cloned())
    })
    .await?;
    let id = card["id"].as_str().context("no id")?;
    let (status, said) = post(
        &county.classrooms[b],
        &format!("/api/disks/{id}/import"),
        json!({}),
    )
    .await?;
    ensure!(status == 200, "{said}");
    until("board B plays it", LIMIT, async || {
        Ok(plays(&county.classrooms[b], &lesson).await?.then_some(()))
    })
    .await?;
    let detail = get(&county.classrooms[b], &format!("/api/lessons/{lesson}")).await?;
    let url = (detail["items"].as_array().context("no items")?.iter())
        .find(|item| item["kind"] == "video")
        .and_then(|item| item["url"].as_str())
        .context("no film")?
        .trim_start_matches('/')
        .to_owned();
    let fetched = fetch(&county.classrooms[b], &url).await?;
    ensure!(
        fetched == (200, fs::read(&film)?),
        "the film is not what was made of it"
    );

    // Board C is of another school.
    let at_c = plug(&carried, &media[c])?;
    disk_says(&county.classrooms[c], "another school's own").await?;
    ensure!(
        !plays(&county.classrooms[c], &lesson).await?,
        "another school plays it"
    );
    fs::remove_dir_all(&at_c)?;

    // A tampered pack is refused by the school's own board, too.
    fs::remove_dir_all(media[b].join("USB"))?;
    let tampered = county.dir.path().join("tampered");
    fs::create_dir_all(&tampered)?;
    let copied = Command::new("cp")
        .arg("-r")
        .arg(carried.join("bbt"))
        .arg(&tampered)
        .status()?;
    ensure!(copied.success(), "cp failed");
    let school_file = tampered.join("bbt/packs").join(&lesson).join("school.json");
    let text = fs::read_to_string(&school_file)?;
    fs::write(&school_file, text.replace("观潮", "观湖"))?;
    until("the disk was seen to go", LIMIT, async || {
        let all = get(&county.classrooms[b], "/api/disks").await?;
        Ok(all["disks"].as_array().is_some_and(Vec::is_empty).then_some(()))
    })
    .await?;
    plug(&tampered, &media[b])?;
    disk_says(&county.classrooms[b], "changed on its way").await?;
    fs::remove_dir_all(media[b].join("USB"))?;

    // The county takes board A out: what it signed does not play any more, nor is it taken.
    approve(json!({ "device_ids": [] })).await?;
    for board in [a, b] {
        until("it plays no more", LIMIT, async || {
            Ok((!plays(&county.classrooms[board], &lesson).await?).then_some(()))
        })
        .await?;
    }
    ensure!(
        fetch(&county.classrooms[b], &url).await?.0 == 410,
        "the film still plays"
    );
    let now = get(&county.classrooms[a], "/api/own-lessons").await?;
    ensure!(now["lessons"][0]["barred"] == true, "{now}");
    plug(&carried, &media[b])?;
    disk_says(&county.classrooms[b], "not among the authors").await?;

    // Named again it plays again; removed by hand it is gone from that board.
    approve(json!({ "device_ids": [device] })).await?;
    until("board A plays it again", LIMIT, async || {
        Ok(plays(&county.classrooms[a], &lesson).await?.then_some(()))
    })
    .await?;
    let (status, said) = post(
        &county.classrooms[a],
        &format!("/api/own-lessons/{lesson}/remove"),
        json!({}),
    )
    .await?;
    ensure!(status == 200, "{said}");
    until("it is gone from board A", LIMIT, async || {
        Ok((!plays(&county.classrooms[a], &lesson).await?).then_some(()))
    })
    .await?;

    // The command makes the same of a folder, while the agent does not run.
    county.classrooms[a].kill();
    let out = county.dir.path().join("out");
    fs::create_dir_all(&out)?;
    let fat = Fat::mount(&county.dir.path().join("fat.img"), &out);
    if fat.is_none() {
        println!("NOT SHOWN: a FAT32 disk; no mkfs.vfat (Debian package dosfstools), or no loop mounts");
    }
    let folder = source.join("第三课");
    let (code, made, err) = county.classrooms[a].once(
        &["pack", "build"],
        &[
            folder.to_str().context("path")?,
            "--title",
            "观潮二",
            "--subject",
            "语文",
            "--out",
            out.to_str().context("path")?,
        ],
    )?;
    ensure!(code == 0, "{made}{err}");
    let made: Value = serde_json::from_str(&made)?;
    let second = made["lesson"].as_str().context("no lesson")?.to_owned();
    ensure!(
        made["approved"] == true && out.join("bbt/packs").join(&second).join("school.json").exists(),
        "{made}"
    );
    county.classrooms[a].start()?;
    until("board A has the second", LIMIT, async || {
        Ok(plays(&county.classrooms[a], &second).await?.then_some(()))
    })
    .await
}

/// A FAT32 disk, let go of however the test ends.
struct Fat(PathBuf);

impl Fat {
    fn mount(image: &Path, place: &Path) -> Option<Self> {
        fs::File::create(image).ok()?.set_len(96 << 20).ok()?;
        let run = |command: &mut Command| command.output().is_ok_and(|done| done.status.success());
        let made = run(Command::new("/usr/sbin/mkfs.vfat").args(["-F", "32"]).arg(image))
            && run(Command::new("mount").args(["-o", "loop"]).arg(image).arg(place));
        made.then(|| Self(place.to_owned()))
    }
}

impl Drop for Fat {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

async fn fetch(classroom: &Classroom, path: &str) -> Result<(u16, Vec<u8>)> {
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let answer = http.get(format!("{}/{path}", classroom.url())).send().await?;
    Ok((answer.status().as_u16(), answer.bytes().await?.to_vec()))
}
