//! Journey: the first run. A console just made, the account that `init` made, and a board just out of its box: by the wizard
//! alone the county is named, a school made, the board enrolled from its own screen, the lesson that comes with the console
//! reviewed by four, pushed and played. It is left in between and taken up again.
//!
//! Pictures of what was seen stay in the build folder (`tmp/first-run`).

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use common::{County, free_port_pair};
use serde_json::{Value, json};
use system_tests::stand::Classroom;

#[tokio::test(flavor = "multi_thread")]
async fn from_an_empty_console_to_a_lesson_that_plays() -> Result<()> {
    let county = County::start_empty().await?;
    let status = || -> Result<Value> {
        let said = county.stand.admin(&["setup", "status", "--json"])?;
        serde_json::from_str(&said).context("setup status is not JSON")
    };
    assert_eq!(status()?["next"], "county");
    let dir = county.dir.path().join("board");
    let mut board = Classroom::prepare(
        &county.bins,
        &dir,
        free_port_pair()?,
        "SN-FIRST",
        "[health]\ninterval_s = 1\n",
    )?;
    board.start()?;

    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("first-run");
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&out)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("journeys/first_run.mjs");
    let (url, password, player) = (county.stand.url(), county.stand.password.clone(), board.url());
    let username = county.stand.username;
    let data = dir.join("data");
    let browser = tokio::task::spawn_blocking(move || {
        Command::new("node")
            .arg(script)
            .arg(&out)
            .env("BBT_URL", url)
            .env("BBT_USER", username)
            .env("BBT_PASSWORD", password)
            .env("BBT_PLAYER", player)
            .env("BBT_BOARD_DATA", data)
            .output()
    })
    .await??;
    let said = String::from_utf8_lossy(&browser.stdout).into_owned();
    println!("{said}{}", String::from_utf8_lossy(&browser.stderr));
    ensure!(browser.status.success(), "the first run could not be walked");
    let seen: Value = serde_json::from_str(said.lines().last().context("nothing was said")?)?;
    assert_eq!(
        seen["errors"],
        json!([]),
        "script errors, requests that left, or barriers"
    );
    assert_eq!(seen["played"], true);

    // What the page said happened is what the console holds.
    let now = status()?;
    assert_eq!(now["next"], Value::Null, "{now}");
    assert_eq!(
        (
            &now["schools"],
            &now["classrooms"],
            &now["devices_ready"],
            &now["pushes"]
        ),
        (&json!(1), &json!(2), &json!(1), &json!(1)),
        "what was begun twice was made once"
    );
    let review = county
        .console
        .get(&format!(
            "/lessons/{}/review",
            seen["lesson"].as_str().context("lesson")?
        ))
        .await?;
    let persons: Vec<(&str, &str)> = review["history"]
        .as_array()
        .context("history")?
        .iter()
        .map(|deed| {
            (
                deed["step"].as_str().unwrap_or_default(),
                deed["person"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        persons,
        [
            ("upload", "admin"),
            ("self_check", "admin"),
            ("first", "li.chu"),
            ("second", "wang.fu"),
            ("admit", "zhao.zhun"),
            ("release", "admin")
        ],
        "four eyes, also on the first day"
    );
    let told = county.stand.admin(&["setup", "status"])?;
    ensure!(
        told.contains("all steps are done") && told.contains("backup key"),
        "{told}"
    );
    Ok(())
}
