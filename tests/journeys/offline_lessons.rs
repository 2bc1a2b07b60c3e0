//! Journey: import → push → every classroom ready → console dead, line cut → a browser plays on.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{collections::BTreeSet, fs, io::Read, path::Path, process::Command, time::Duration};

use anyhow::Result;
use common::County;

/// BLAKE3 of every file that a device should hold for these lesson folders; a zip counts by its entries.
fn originals(lessons: &[std::path::PathBuf]) -> BTreeSet<String> {
    let mut hashes = BTreeSet::new();
    for entry in lessons.iter().flat_map(|lesson| fs::read_dir(lesson).unwrap()) {
        let path = entry.unwrap().path();
        match path.extension().and_then(|e| e.to_str()) {
            Some("toml") => {}
            Some("zip") => {
                let mut zip = zip::ZipArchive::new(fs::File::open(&path).unwrap()).unwrap();
                for n in 0..zip.len() {
                    let mut bytes = Vec::new();
                    zip.by_index(n).unwrap().read_to_end(&mut bytes).unwrap();
                    hashes.insert(blake3::hash(&bytes).to_hex().to_string());
                }
            }
            _ => {
                hashes.insert(blake3::hash(&fs::read(&path).unwrap()).to_hex().to_string());
            }
        }
    }
    hashes
}

/// BLAKE3 of what a device really holds, by reading it.
fn cached(data: &Path) -> BTreeSet<String> {
    let mut hashes = BTreeSet::new();
    for shelf in fs::read_dir(data.join("content/files")).unwrap() {
        for file in fs::read_dir(shelf.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let hash = blake3::hash(&fs::read(&path).unwrap()).to_hex().to_string();
            assert_eq!(
                path.file_name().unwrap().to_str().unwrap(),
                hash,
                "{}",
                path.display()
            );
            hashes.insert(hash);
        }
    }
    hashes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lesson_plays_with_console_and_line_gone() -> Result<()> {
    let mut county = County::start(None).await?;
    let lessons = county.import_kit()?;
    for _ in 0..county.rooms.len() {
        county.add_classroom("").await?;
    }
    county.push_and_wait(Duration::from_secs(120)).await?;

    let originals = originals(&lessons);
    // And what the console made of them: small pictures, pages of presentations.
    let mut expected = originals.clone();
    for lesson in county.console.get("/lessons").await?["items"].as_array().unwrap() {
        let id = lesson["id"].as_str().unwrap();
        let shown = county.console.get(&format!("/lessons/{id}")).await?;
        for file in shown["files"].as_array().unwrap() {
            if file["path"].as_str().unwrap().starts_with("_derived/") {
                expected.insert(file["hash"].as_str().unwrap().to_owned());
            }
        }
    }
    for classroom in &county.classrooms {
        assert_eq!(
            cached(&classroom.dir.join("data")),
            expected,
            "{}",
            classroom.dir.display()
        );
    }
    println!(
        "{} files on each of {} devices equal the originals",
        originals.len(),
        county.classrooms.len()
    );

    county.stand.kill();
    county.line.cut();
    county.mqtt_line.cut();
    // A restart offline is the harder case: nothing may be needed from outside to come up again.
    county.classrooms[1].kill();
    county.classrooms[1].start()?;

    let journey = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/daemon/player-ui/dev/journey.mjs");
    for (n, classroom) in county.classrooms.iter_mut().enumerate() {
        let done = Command::new("node")
            .arg(&journey)
            .env("BASE_URL", format!("{}/", classroom.url()))
            .env("KINDS", "video,audio,image,pdf,html5")
            // The last one without most of what browsers learned after Chrome 61.
            .env("OLD_ENGINE", if n == 2 { "1" } else { "" })
            .output()?;
        let (out, err) = (
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr),
        );
        println!("{}: {out}{err}", classroom.url());
        assert!(done.status.success(), "the browser's journey failed");
        classroom.process()?.check_alive()?;
    }
    Ok(())
}
