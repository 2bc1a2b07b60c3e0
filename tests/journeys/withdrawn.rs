//! Journey: a lesson is withdrawn while it plays. A board with a line refuses it within a minute, one that was switched off
//! at its next contact, and neither forgets it. Then every signing key is changed, and boards follow by themselves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use common::{County, picture_lesson};
use serde_json::{Value, json};
use system_tests::stand::{Classroom, until};

/// The promise.
const WITHIN: Duration = Duration::from_secs(60);
const LIMIT: Duration = Duration::from_secs(90);

/// Asks for the first bytes of the lesson's picture, as a page that plays it does; status and the error's name.
async fn plays(classroom: &Classroom, lesson: &str) -> Result<(u16, String)> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let url = format!("{}/files/{lesson}/%E5%9B%BE.png", classroom.url());
    let answer = http.get(url).header("range", "bytes=0-9").send().await?;
    let status = answer.status().as_u16();
    let code = match status {
        206 => String::new(),
        _ => answer.json::<Value>().await?["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    };
    Ok((status, code))
}

async fn refuses(classroom: &Classroom, lesson: &str, limit: Duration) -> Result<Duration> {
    let begun = Instant::now();
    until("the withdrawn lesson is refused", limit, async || {
        // A player that is just starting is not there yet.
        let answer = plays(classroom, lesson).await.ok();
        Ok(answer.filter(|(status, code)| *status == 410 && code == "lesson_withdrawn"))
    })
    .await?;
    Ok(begun.elapsed())
}

async fn comes_up(classroom: &Classroom, lesson: &str) -> Result<(u16, String)> {
    until("the player answers", LIMIT, async || {
        let answer = plays(classroom, lesson).await.ok();
        Ok(answer.filter(|(status, _)| *status != 503))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_lesson_is_refused_everywhere_and_for_good() -> Result<()> {
    let mut county = County::start(None).await?;
    let bad = picture_lesson(&county, "w-bad")?;
    let good = picture_lesson(&county, "w-good")?;
    for _ in 0..2 {
        county.add_classroom("").await?;
    }
    county.push_and_wait(LIMIT).await?;
    for classroom in &county.classrooms {
        for lesson in [&bad, &good] {
            ensure!(plays(classroom, lesson).await?.0 == 206, "{lesson} does not play");
        }
    }

    // One board is switched off, the other plays.
    county.classrooms[1].kill();
    let said = Instant::now();
    let wish = json!({ "reason": "侵权投诉", "up_to_version": 1 });
    county
        .console
        .post(&format!("/lessons/{bad}/withdraw"), wish)
        .await?;
    let took = refuses(&county.classrooms[0], &bad, WITHIN).await?;
    println!("a board with a line refuses it after {:.1} s", took.as_secs_f64());
    ensure!(said.elapsed() < WITHIN, "{:?}", said.elapsed());
    ensure!(
        plays(&county.classrooms[0], &good).await?.0 == 206,
        "the other lesson plays on"
    );
    until("the console knows that the board knows", LIMIT, async || {
        let trust = county.console.get("/trust").await?;
        Ok((trust["devices_current"] == 1 && trust["withdrawn"] == 1).then_some(()))
    })
    .await?;

    // The other wakes without a line: it cannot know. With a line it does.
    county.line.cut();
    county.mqtt_line.cut();
    county.classrooms[1].start()?;
    let answer = comes_up(&county.classrooms[1], &bad).await?;
    ensure!(answer.0 == 206, "without a line it plays on: {answer:?}");
    county.line.restore();
    county.mqtt_line.restore();
    let took = refuses(&county.classrooms[1], &bad, WITHIN).await?;
    println!(
        "a board that was away refuses it {:.1} s after its line is back",
        took.as_secs_f64()
    );

    // Neither forgets it with its power or its line.
    county.line.cut();
    county.mqtt_line.cut();
    for classroom in &mut county.classrooms {
        classroom.kill();
        classroom.start()?;
    }
    for classroom in &county.classrooms {
        let answer = comes_up(classroom, &bad).await?;
        ensure!(answer == (410, "lesson_withdrawn".into()), "{answer:?}");
        ensure!(
            plays(classroom, &good).await?.0 == 206,
            "the other lesson plays on"
        );
    }

    // Every key is changed while the boards are away; they follow the roots, and what was released stays valid.
    county.stand.kill();
    let passphrase = county
        .stand
        .root_passphrase
        .clone()
        .context("init showed no passphrase")?;
    for role in ["content", "command", "time", "snapshot", "content"] {
        let rotate = ["trust", "rotate", "--role", role, "--passphrase-stdin", "--yes"];
        println!("{}", county.stand.admin_with(&rotate, &passphrase)?.trim());
    }
    county.console = county.stand.start().await?;
    println!("{}", county.stand.admin(&["trust", "show"])?.trim());
    county.stand.admin(&["trust", "verify"])?;
    county.line.restore();
    county.mqtt_line.restore();
    until("both boards hold what the new keys signed", LIMIT, async || {
        let trust = county.console.get("/trust").await?;
        Ok((trust["devices_current"] == 2).then_some(()))
    })
    .await?;
    let fresh = picture_lesson(&county, "w-fresh")?;
    let tree = county.console.get("/tree").await?;
    let body = json!({ "lesson_ids": [fresh], "target": { "kind": "region", "id": tree["regions"][0]["id"] },
        "pinned": false });
    county.console.post("/pushes", body).await?;
    for classroom in &county.classrooms {
        until("a lesson that the new key signed plays", LIMIT, async || {
            Ok((plays(classroom, &fresh).await?.0 == 206).then_some(()))
        })
        .await?;
        ensure!(
            plays(classroom, &good).await?.0 == 206,
            "the old key's lesson plays on"
        );
        ensure!(
            plays(classroom, &bad).await?.0 == 410,
            "the withdrawn one does not"
        );
    }
    Ok(())
}
