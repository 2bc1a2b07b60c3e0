//! Journey: a notice reaches the classroom's screen; a reboot is answered by the power-up after it, exactly once.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use common::County;
use serde_json::{Value, json};
use system_tests::stand::until;

async fn state(county: &County, device: &str, command: &str, wanted: &str) -> Result<Value> {
    until(
        &format!("command {wanted}"),
        Duration::from_secs(30),
        async || {
            let all = county.console.get(&format!("/devices/{device}/commands")).await?;
            let all = all["items"]
                .as_array()
                .or(all.as_array())
                .context("no commands")?
                .clone();
            let row = all
                .into_iter()
                .find(|row| row["id"] == *command)
                .context("the command is not listed")?;
            Ok((row["state"] == *wanted).then_some(row))
        },
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn notice_and_reboot() -> Result<()> {
    let mut county = County::start(None).await?;
    let folder = county.dir.path().to_owned();
    let (boot, marks) = (folder.join("boot_id"), folder.join("reboots"));
    fs::write(&boot, "11111111-1111-4111-8111-111111111111\n")?;
    // What `systemctl reboot` would do, left as a mark.
    let extra = format!("boot_id_file = {boot:?}\n");
    county.add_classroom(&extra).await?;
    let config = county.classrooms[0].dir.join("agent.toml");
    let text = fs::read_to_string(&config)?;
    let mark = format!(
        "reboot_command = [\"sh\", \"-c\", \"echo reboot >> '{}'\"]",
        marks.display()
    );
    fs::write(&config, text.replace("reboot_command = [\"true\"]", &mark))?;
    county.classrooms[0].kill();
    county.classrooms[0].start()?;
    let id = until("the device online", Duration::from_secs(60), async || {
        let device = county.device(0).await?;
        Ok((device["state"] == "online").then(|| device["id"].as_str().unwrap_or_default().to_owned()))
    })
    .await?;

    let send = |body: Value| {
        county.console.post(
            Box::leak(format!("/devices/{id}/commands").into_boxed_str()),
            json!({ "body": body, "ttl_s": 600 }),
        )
    };
    let notice = send(json!({ "kind": "notice", "level": "standard", "title": "下午停电", "text": "14:00 起检修线路。", "show_for_s": 600 })).await?;
    state(&county, &id, notice["id"].as_str().unwrap(), "succeeded").await?;
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let shelf_url = format!("{}/api/shelf", county.classrooms[0].url());
    until(
        "the notice on the player's page",
        Duration::from_secs(5),
        async || {
            let shelf: Value = serde_json::from_str(&http.get(&shelf_url).send().await?.text().await?)?;
            ensure!(
                shelf["notices"][0]["title"] == "下午停电",
                "notices: {}",
                shelf["notices"]
            );
            Ok(Some(()))
        },
    )
    .await?;

    let refused = send(json!({ "kind": "reboot", "delay_s": 601 })).await;
    ensure!(refused.is_err(), "a delay out of bounds was taken");
    let reboot = send(json!({ "kind": "reboot", "delay_s": 0 })).await?;
    let reboot = reboot["id"].as_str().unwrap();
    state(&county, &id, reboot, "executing").await?;
    // The power goes, and comes back as another boot; twice, to see that nothing is done again.
    for n in 2..4 {
        county.classrooms[0].kill();
        fs::write(&boot, format!("{n}1111111-1111-4111-8111-111111111111\n"))?;
        county.classrooms[0].start()?;
        state(&county, &id, reboot, "succeeded").await?;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    ensure!(
        fs::read_to_string(&marks)?.lines().count() == 1,
        "the reboot was executed more than once"
    );
    Ok(())
}
