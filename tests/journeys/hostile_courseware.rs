//! Journey: a signed but hostile exercise, in a real browser on a real board. It reaches nothing but itself.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{collections::BTreeMap, fs, io::Write, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result};
use common::County;
use serde_json::Value;

/// What every one of these attempts must get: nothing.
const REFUSED: [&str; 56] = [
    "read api/home of the player",
    "read api/shelf, not asking for leave",
    "read api/shelf by localhost",
    "read api/shelf by XHR",
    "listen to api/live",
    "write: say a fault",
    "write: use, as a beacon",
    "write: a form to the player",
    "load the player's script as a script",
    "load the player's picture as a picture",
    "frame the player",
    "read a lesson file of the player",
    "read the disks",
    "read another lesson's files, its own way",
    "read another lesson's files under my own name",
    "frame another lesson",
    "frame another lesson under my own name",
    "storage of another lesson",
    "cookies of another lesson",
    "databases of another lesson",
    "caches of another lesson",
    "a cookie for the player, by a wider domain",
    "a wider domain for myself",
    "a service worker",
    "a shared worker",
    "ask the world outside",
    "ask the world outside, not asking for leave",
    "a picture from outside",
    "a script from outside",
    "a style from outside",
    "a socket to outside",
    "a beacon to outside",
    "a form to outside",
    "links that are fetched ahead",
    "packets by WebRTC",
    "other ports of the board",
    "go elsewhere with the whole page",
    "read the address of the whole page",
    "read the player's page",
    "take the sandbox off my frame",
    "a link to the whole page",
    "a new window",
    "a download",
    "a hundred alerts",
    "a hundred prints",
    "hold the page at leaving",
    "the whole screen",
    "the pointer",
    "the camera",
    "the microphone",
    "the screen",
    "the place",
    "USB devices",
    "the clipboard",
    "notifications",
    "words to the player's page",
];

/// Attempts whose outcome is told by what the player does afterwards.
const HARMLESS: [&str; 1] = ["steps in the history, to trap the way back"];

/// Without these no exercise would work, and refusing would be easy.
const WORKS: [&str; 4] = [
    "MUST WORK own storage",
    "MUST WORK own files",
    "MUST WORK own inner page",
    "MUST WORK own worker",
];

/// A lesson of one exercise, made of a folder of the journeys.
fn exercise(county: &County, id: &str, folder: &str) -> Result<()> {
    let lesson = common::lesson_folder(county.dir.path(), id)?;
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("journeys/courseware")
        .join(folder);
    let mut zip = zip::ZipWriter::new(fs::File::create(lesson.join("互动练习.zip"))?);
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).context("name")?;
        zip.start_file(name, zip::write::SimpleFileOptions::default())?;
        zip.write_all(&fs::read(&path)?)?;
    }
    zip.finish()?;
    county
        .stand
        .admin(&["lesson", "import", "--release", lesson.to_str().context("path")?])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_exercise_reaches_nothing_but_itself() -> Result<()> {
    let mut county = County::start(None).await?;
    exercise(&county, "villain-1", "villain")?;
    exercise(&county, "victim-1", "victim")?;
    county.add_classroom("").await?;
    county.push_and_wait(Duration::from_secs(120)).await?;
    // As in a classroom whose line is down: nothing may depend on it.
    county.line.cut();
    county.mqtt_line.cut();

    let board = &county.classrooms[0];
    let done = Command::new("node")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("journeys/courseware/drive.mjs"))
        .env("BASE_URL", format!("{}/", board.url()))
        .env("VILLAIN", "villain-1")
        .env("VICTIM", "victim-1")
        .output()?;
    let out = String::from_utf8_lossy(&done.stdout);
    let told: Value = serde_json::from_str(out.trim())
        .with_context(|| format!("the driver said: {out}{}", String::from_utf8_lossy(&done.stderr)))?;
    let attempts: BTreeMap<&str, (bool, &str)> = told["attempts"]
        .as_array()
        .context("no attempts")?
        .iter()
        .map(|one| {
            let got = one["got"].as_str();
            let said = got.or(one["refused"].as_str()).unwrap_or("");
            (one["name"].as_str().unwrap_or(""), (got.is_some(), said))
        })
        .collect();
    println!("{:<48} {:<8} what it got or was told", "attempt", "outcome");
    for one in told["attempts"].as_array().into_iter().flatten() {
        let name = one["name"].as_str().unwrap_or("");
        let (got, said) = attempts[name];
        println!("{name:<48} {:<8} {said}", if got { "GOT" } else { "refused" });
    }
    println!("{}", serde_json::to_string_pretty(&told["notes"])?);
    println!(
        "dialogs {}, windows {}, downloads {}, packets and requests outside {}",
        told["dialogs"], told["popups"], told["downloads"], told["reached"]
    );
    assert_eq!(
        told["error"],
        Value::Null,
        "the driver broke off: {}",
        told["said"]
    );

    for name in REFUSED {
        let (got, said) = attempts
            .get(name)
            .with_context(|| format!("{name} was not tried"))?;
        assert!(!got, "{name} got {said}");
    }
    for name in WORKS {
        let (got, said) = attempts
            .get(name)
            .with_context(|| format!("{name} was not tried"))?;
        assert!(got, "{name}: {said}");
    }
    let known = REFUSED.len() + WORKS.len() + HARMLESS.len() + 1;
    assert_eq!(attempts.len(), known, "an attempt is judged nowhere");
    let plug_in = attempts["a plug-in"];
    assert!(!plug_in.0, "a plug-in got {}", plug_in.1);

    let notes = &told["notes"];
    // Nothing left the board, nothing came over the screen.
    assert_eq!(told["reached"], serde_json::json!([]));
    assert_eq!(
        (&told["dialogs"], &told["popups"], &told["downloads"]),
        (&0.into(), &0.into(), &serde_json::json!([]))
    );
    assert_eq!(
        notes["moved"],
        serde_json::json!([]),
        "the whole page went elsewhere"
    );
    assert_eq!(
        (&notes["fullscreen"], &notes["workers"]),
        (&false.into(), &0.into())
    );
    // Each lesson is at home under a name of its own, and what it keeps is its own.
    let host = |key: &str| {
        notes[key]
            .as_str()
            .and_then(|url| url.split('/').nth(2))
            .map(str::to_owned)
    };
    assert_ne!(host("victim"), host("villain"));
    assert_eq!(notes["kept"], "secret-of-the-other-lesson");
    assert_eq!(
        (&notes["kept_after"], &notes["keys_after"]),
        (&"secret-of-the-other-lesson".into(), &"score".into())
    );
    // And the player never stops being the teacher's.
    let ms = |key: &str| notes[key].as_u64().unwrap_or(u64::MAX);
    assert!(
        ms("left_ms") < 10_000 && ms("left_while_spinning_ms") < 10_000,
        "{notes}"
    );
    assert!(ms("alive_after_eating_ms") < 5_000, "{notes}");
    for spinning in notes["alive_while_spinning_ms"].as_array().context("no times")? {
        assert!(spinning.as_u64().unwrap_or(u64::MAX) < 2_000, "{notes}");
    }
    county.classrooms[0].process()?.check_alive()?;
    Ok(())
}
