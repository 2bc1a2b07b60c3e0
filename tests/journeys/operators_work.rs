//! Journey: an operator's work on a running county, by the page: a rule tried and changed, a channel that people are told
//! through, who looks after what, an incident acknowledged and made an order of, the technician's telephone, the repair
//! confirmed and closed, lines and their rules, an inspection, equipment from a form and from a file, a month's report from
//! draft to frozen. The boards are simulated (real certificates, real MQTT); the console and the browser are the real ones.
//!
//! Pictures of what was seen stay in the build folder (`tmp/operators-work`).

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{fs, io::Write as _, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use system_tests::{
    fleet::{self, Fleet, Load},
    hook::Hook,
    stand::{Bins, ConsoleStand},
};

/// Two schools of 25 and 5 boards.
const BOARDS: usize = 30;

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_work_by_the_page() -> Result<()> {
    let bins = Bins::beside_the_test()?;
    let dir = tempfile::Builder::new().prefix("bbt-work-").tempdir()?;
    let data = dir.path().join("console");
    let mut stand = ConsoleStand::prepare(&bins, &data, None, "correct horse 42")?;
    let mut config = fs::OpenOptions::new()
        .append(true)
        .open(data.join("console.toml"))?;
    config.write_all(b"[notify]\nprivate_hosts = [\"127.0.0.1\"]\n")?;
    let console = stand.start().await?;
    let fleet = Fleet::enrol(&console, &stand, &dir.path().join("fleet.json"), BOARDS).await?;
    let school = fleet.devices.first().context("no board")?.school;
    let load = Load {
        broker: stand.mqtt_addr(),
        every: Duration::from_secs(3),
        ramp: Duration::from_secs(1),
        shards: 1,
        acknowledged: true,
    };
    let running = fleet::run(&fleet, &load)?;

    let region = console.get("/tree").await?["regions"][0]["id"]
        .as_i64()
        .context("no region")?;
    let technician = json!({
        "username": "chen.gong", "display_name": "陈工", "password": "repair horse 42",
        "grants": [{ "role": "technician", "region_id": region }],
    });
    console.post("/users", technician).await?;
    let overseer = json!({
        "username": "shi.jiandu", "display_name": "市监管", "password": "oversee horse 42",
        "grants": [{ "role": "overseer", "region_id": region }],
    });
    console.post("/users", overseer).await?;
    let hook = Hook::start().await?;
    let to = hook.url.clone();

    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("operators-work");
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&out)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("journeys/operators_work.mjs");
    let (url, password) = (stand.url(), stand.password.clone());
    let browser = tokio::task::spawn_blocking(move || {
        Command::new("node")
            .arg(script)
            .arg(&out)
            .env("BBT_URL", url)
            .env("BBT_USER", "admin")
            .env("BBT_PASSWORD", password)
            .env("BBT_HOOK", to)
            .env("BBT_SCHOOL", school.to_string())
            .output()
    })
    .await??;
    let said = String::from_utf8_lossy(&browser.stdout).into_owned();
    println!("{said}{}", String::from_utf8_lossy(&browser.stderr));
    ensure!(browser.status.success(), "the page could not be worked with");
    let seen: Value = serde_json::from_str(said.lines().last().context("nothing was said")?)?;
    assert_eq!(seen["errors"], json!([]), "script errors or requests that left");

    // What the page said happened is what the console holds.
    let order = console.get(&format!("/orders/{}", seen["order"])).await?;
    assert_eq!(order["order"]["state"], "closed");
    assert_eq!(order["order"]["incident_id"], seen["incident"]);
    assert_eq!(order["order"]["area"], "东片");
    let acts: Vec<&str> = order["events"]
        .as_array()
        .context("events")?
        .iter()
        .filter_map(|event| event["act"].as_str())
        .collect();
    for act in [
        "opened",
        "accepted",
        "on_site",
        "photo",
        "parts",
        "repaired",
        "confirmed",
        "closed",
    ] {
        assert!(acts.contains(&act), "{act} is not among {acts:?}");
    }
    let by = |act: &str| {
        let events = order["events"].as_array().unwrap();
        let event = events.iter().find(|event| event["act"] == act).unwrap();
        event["by"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(
        (by("repaired").as_str(), by("confirmed").as_str()),
        ("chen.gong", "admin")
    );
    let incident = console.get(&format!("/incidents/{}", seen["incident"])).await?;
    assert_eq!(incident["incident"]["acknowledged_by"], "admin");
    let parts = console.get("/parts").await?;
    assert_eq!(parts[0]["stock"], 4, "bought 5, used 1");

    let rule = console.get(&format!("/alert-rules?school_id={school}")).await?;
    let hot = rule["items"]
        .as_array()
        .context("rules")?
        .iter()
        .find(|rule| rule["key"] == "hot");
    assert_eq!(hot.context("hot")?["rule"]["condition"]["raise"], 40.0);
    let slas = console.get(&format!("/regions/{region}/order-slas")).await?;
    assert!(
        slas["rows"]
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["own"] == true && row["sla"]["respond_min"] == 20)
    );
    let followed = console.get(&format!("/regions/{region}/bandwidth-rules")).await?;
    assert_eq!(followed["effective"], "own-plan");
    let escalations = console.get("/escalations").await?;
    assert_eq!(escalations["items"][0]["region_id"], region);

    let report = console.get(&format!("/reports/{}", seen["report"])).await?;
    assert_eq!(report["report"]["state"], "frozen");
    let assets = console.get("/assets?page_size=500").await?;
    let ours = |tag: &str| {
        assets["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|asset| asset["tag"] == tag)
    };
    assert!(ours("ZC-1") && ours("ZC-2"), "by the form and from the file");
    let inspected = console.get("/inspections?kind=human").await?;
    assert_eq!(
        (&inspected["total"], &inspected["items"][0]["result"]),
        (&json!(1), &json!("fail"))
    );

    // The incident was taken before people are told of one, so the group has the test message alone.
    let told = hook.told();
    assert!(
        told.iter().any(|body| body.contains(r#""reason":"test""#)),
        "{told:?}"
    );
    running.stop().await;
    stand.process()?.check_alive()?;
    Ok(())
}
