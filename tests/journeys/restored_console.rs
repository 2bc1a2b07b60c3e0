//! A console's disk dies and the copy of this morning is put back. A board that has been given more since keeps all of it and
//! is shown as a conflict; nothing is assigned to it before somebody decides, and then under a generation above its own. A
//! board that was enrolled after the copy is named, and one that is not ahead simply goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use common::{County, picture_lesson, shelf};
use serde_json::{Value, json};
use system_tests::stand::{Classroom, until};

const LIMIT: Duration = Duration::from_secs(30);
/// How long a board that is ahead is watched to stay as it is.
const WATCHED: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread")]
async fn what_boards_have_had_since_the_copy_is_asked_about() -> Result<()> {
    let begun = Instant::now();
    let mut county = County::start(None).await?;
    picture_lesson(&county, "before")?;
    county.add_classroom("").await?;
    county.add_classroom("").await?;
    county.push_and_wait(LIMIT).await?;

    // The copy, of a console that serves.
    let keys = county.dir.path().join("backup.key");
    let (keys, file) = (path(&keys)?, county.dir.path().join("copy.age"));
    let file = path(&file)?;
    let recipient = county.stand.admin(&["backup", "key", "--out", &keys])?;
    let made = county.stand.admin(&[
        "backup",
        "create",
        "--recipient",
        recipient.trim(),
        "--out",
        &file,
        "--json",
    ])?;
    println!("backup: {}", made.trim());
    let checked = county
        .stand
        .admin(&["backup", "verify", &file, "--identity", &keys, "--json"])?;
    let checked: Value = serde_json::from_str(&checked)?;
    ensure!(checked["faults"] == json!([]), "{checked}");
    ensure!(checked["counts"]["devices"] == 2, "{checked}");

    // After it: the first board is given another lesson, the second is off, a third is enrolled.
    county.classrooms[1].kill();
    let before = county.device(0).await?["held_generation"].as_u64();
    give(&county, "after").await?;
    until("the first board has both lessons", LIMIT, || {
        has(&county.classrooms[0], &["before", "after"])
    })
    .await?;
    county.add_classroom("").await?;
    until("the third board has both lessons", LIMIT, || {
        has(&county.classrooms[2], &["before", "after"])
    })
    .await?;
    // A board tells what it holds a little after it holds it.
    let first = until("the console knows what the first has", LIMIT, async || {
        let first = county.device(0).await?;
        Ok((first["held_generation"].as_u64() > before).then_some(first))
    })
    .await?;
    let (id, generation) = (
        text(&first, "id")?,
        first["held_generation"].as_u64().context("no generation")?,
    );
    let stranger = text(&county.device(2).await?, "id")?;
    let waiting = text(&county.device(1).await?, "id")?;

    // The disk dies.
    county.stand.kill();
    fs::rename(&county.stand.data, county.dir.path().join("dead"))?;
    let said = county
        .stand
        .admin(&["backup", "restore", &file, "--identity", &keys])?;
    ensure!(said.contains("it can be put back"), "{said}");
    county.console = county.stand.start().await?;

    let conflicts = async || county.console.get("/restore-conflicts").await;
    let found = until("the board that is ahead is shown", LIMIT, async || {
        let found = conflicts().await?;
        let shown = found["items"][0]["device_id"] == id.as_str();
        let named = found["strangers"][0]["device_id"] == stranger.as_str();
        Ok((shown && named).then_some(found))
    })
    .await?;
    let conflict = &found["items"][0];
    println!("shown after {:.1} s: {conflict}", begun.elapsed().as_secs_f32());
    ensure!(conflict["device_generation"] == generation, "{conflict}");
    ensure!(
        conflict["copy_generation"].as_u64() < Some(generation),
        "{conflict}"
    );
    let lessons = conflict["lessons"].to_string();
    ensure!(
        lessons.contains("\"after\"") && !lessons.contains("\"before\""),
        "{lessons}"
    );
    ensure!(
        found["restored"]["waiting"] == 1,
        "the second board is off: {found}"
    );

    // What is pushed now goes to nobody who may be ahead, and the board keeps what it has.
    give(&county, "later").await?;
    let watched = Instant::now();
    while watched.elapsed() < WATCHED {
        let now = county.console.get(&format!("/devices/{id}")).await?;
        ensure!(now["held_generation"] == generation, "rolled back: {now}");
        ensure!(
            has(&county.classrooms[0], &["before", "after"]).await?.is_some(),
            "a lesson is gone"
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    // The second board comes back. It never was ahead, so it is given what it should have.
    county.classrooms[1].start()?;
    until("the second board has the new lesson", LIMIT, || {
        has(&county.classrooms[1], &["before", "later"])
    })
    .await?;
    let found = conflicts().await?;
    ensure!(
        found["restored"]["same"] == 1 && found["restored"]["waiting"] == 0,
        "{found}"
    );
    ensure!(!found["items"].to_string().contains(&waiting), "{found}");

    // Somebody decides about the first.
    county.stand.admin(&["restore", "decide", "reassign", &id])?;
    until("the first board has this console's set", LIMIT, || {
        has(&county.classrooms[0], &["before", "later"])
    })
    .await?;
    let now = until("it says so", LIMIT, async || {
        let now = county.console.get(&format!("/devices/{id}")).await?;
        Ok((now["held_generation"].as_u64() > Some(generation)).then_some(now))
    })
    .await?;
    println!(
        "generation {generation} → {}; the whole in {:.1} s",
        now["held_generation"],
        begun.elapsed().as_secs_f32()
    );
    Ok(())
}

/// A lesson and a push of it to the whole county.
async fn give(county: &County, id: &str) -> Result<()> {
    picture_lesson(county, id)?;
    let tree = county.console.get("/tree").await?;
    let target = json!({ "kind": "region", "id": tree["regions"][0]["id"] });
    let body = json!({ "lesson_ids": [id], "target": target, "pinned": false });
    county.console.post("/pushes", body).await?;
    Ok(())
}

/// Whether a board shows these lessons, each ready.
async fn has(classroom: &Classroom, lessons: &[&str]) -> Result<Option<()>> {
    let shelf = shelf(classroom).await?;
    let ready = |id: &str| shelf_has(&shelf, id);
    Ok(lessons.iter().all(|id| ready(id)).then_some(()))
}

fn shelf_has(at: &Value, id: &str) -> bool {
    match at {
        Value::Object(map) => {
            map.get("id").is_some_and(|own| own == id) || map.values().any(|below| shelf_has(below, id))
        }
        Value::Array(items) => items.iter().any(|below| shelf_has(below, id)),
        _ => false,
    }
}

fn path(path: &std::path::Path) -> Result<String> {
    path.to_str().map(str::to_owned).context("a path that is no text")
}

fn text(of: &Value, key: &str) -> Result<String> {
    of[key]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("no {key} in {of}"))
}
