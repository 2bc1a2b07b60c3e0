//! Journey: a notice reaches the classroom's screen; a reboot is answered by the power-up after it, exactly once. Screen, sound,
//! power, lock and log as the board can, and no class is ended.

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

/// A county with one classroom whose board is told by marks in a file, and in which no hour is class time.
struct Board {
    county: County,
    id: String,
    /// What was told to it, line by line.
    told: std::path::PathBuf,
    boot: std::path::PathBuf,
}

impl Board {
    async fn start() -> Result<Self> {
        let mut county = County::start(None).await?;
        let folder = county.dir.path().to_owned();
        let (boot, told, flag) = (folder.join("boot_id"), folder.join("told"), folder.join("mute"));
        fs::write(&boot, "11111111-1111-4111-8111-111111111111\n")?;
        fs::write(&told, "")?;
        let mark = |word: &str| format!("[\"sh\", \"-c\", \"echo {word} >> '{}'\"]", told.display());
        let extra = format!(
            "boot_id_file = {boot:?}\n\n\
             [sound]\nis_mute = [\"test\", \"-e\", {flag:?}]\nmute = [\"touch\", {flag:?}]\nunmute = [\"rm\", \"-f\", {flag:?}]\n\n\
             [control]\npower_off = {}\nscreen_on = {}\nscreen_off = {}\nset_volume = {}\n\n\
             [logs]\ncommand = [\"sh\", \"-c\", \"echo a line of {{hours}} hours; echo token=geheim\"]\n",
            mark("off"),
            mark("bright"),
            mark("dark"),
            mark("volume-{percent}"),
        );
        county.add_classroom(&extra).await?;
        let id = until("the device online", Duration::from_secs(60), async || {
            let device = county.device(0).await?;
            Ok((device["state"] == "online").then(|| device["id"].as_str().unwrap_or_default().to_owned()))
        })
        .await?;
        let board = Self {
            county,
            id,
            told,
            boot,
        };
        board.class_hours(json!([])).await?;
        Ok(board)
    }

    async fn class_hours(&self, hours: Value) -> Result<()> {
        let school = self.county.device(0).await?["school_id"].clone();
        let path = format!("/schools/{school}/line");
        self.county
            .console
            .put(&path, json!({ "class_hours": hours }))
            .await?;
        Ok(())
    }

    async fn send(&self, body: Value) -> Result<String> {
        let path = format!("/devices/{}/commands", self.id);
        let sent = self
            .county
            .console
            .post(&path, json!({ "body": body, "ttl_s": 600 }))
            .await?;
        Ok(sent["id"].as_str().context("no command")?.to_owned())
    }

    /// Sends and waits until it is done.
    async fn done(&self, body: Value) -> Result<String> {
        let id = self.send(body).await?;
        state(&self.county, &self.id, &id, "succeeded").await?;
        Ok(id)
    }

    /// Waits until the console knows this of the board's controls.
    async fn controls(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Result<()> {
        until(what, Duration::from_secs(20), async || {
            let controls = self.county.device(0).await?["controls"].clone();
            ensure!(fits(&controls), "{controls}");
            Ok(Some(()))
        })
        .await
    }

    fn told(&self) -> Result<Vec<String>> {
        Ok(fs::read_to_string(&self.told)?
            .lines()
            .map(str::to_owned)
            .collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn screen_sound_and_power_as_the_board_can_and_no_class_is_ended() -> Result<()> {
    let mut board = Board::start().await?;
    board
        .controls("what the board can", |c| {
            let all = c["abilities"].as_array().is_some_and(|all| all.len() == 9);
            all && c["muted"] == false
        })
        .await?;
    board
        .done(json!({ "kind": "volume", "percent": 30, "mute": true }))
        .await?;
    board.done(json!({ "kind": "screen", "on": false })).await?;
    board
        .controls("dark and mute", |c| c["muted"] == true && c["screen_on"] == false)
        .await?;
    board.done(json!({ "kind": "screen", "on": true })).await?;
    board.done(json!({ "kind": "volume", "mute": false })).await?;
    board
        .controls("bright and heard", |c| {
            c["muted"] == false && c["screen_on"] == true
        })
        .await?;
    ensure!(
        board.told()? == ["volume-30", "dark", "bright"],
        "{:?}",
        board.told()?
    );

    // Class at all hours: the console takes nothing that would end one, and what waits is not done by the board either.
    let off = board.send(json!({ "kind": "power_off", "delay_s": 6 })).await?;
    state(&board.county, &board.id, &off, "accepted").await?;
    let always = json!([{ "days": [1, 2, 3, 4, 5, 6, 7], "from_min": 0, "to_min": 1440 }]);
    board.class_hours(always).await?;
    let failed = state(&board.county, &board.id, &off, "failed").await?;
    ensure!(failed["reason"] == "class_hours", "{failed}");
    let refused = board.send(json!({ "kind": "power_off", "delay_s": 0 })).await;
    ensure!(
        refused.is_err_and(|error| format!("{error:#}").contains("command_not_now")),
        "a class was to be ended"
    );
    let forced = json!({ "kind": "power_off", "delay_s": 0, "force": true, "reason": "起火警报" });
    let forced = board.send(forced).await?;
    state(&board.county, &board.id, &forced, "executing").await?;
    until("switched off", Duration::from_secs(5), async || {
        Ok((board.told()?.last().map(String::as_str) == Some("off")).then_some(()))
    })
    .await?;
    board.county.classrooms[0].kill();
    fs::write(&board.boot, "21111111-1111-4111-8111-111111111111\n")?;
    board.county.classrooms[0].start()?;
    state(&board.county, &board.id, &forced, "succeeded").await?;
    ensure!(
        board.told()?.iter().filter(|word| *word == "off").count() == 1,
        "switched off more than once"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_player_stays_locked_until_somebody_may_unlock_it_and_its_log_is_fetched() -> Result<()> {
    const PIN: &str = "135790";
    let mut board = Board::start().await?;
    let tree = board.county.console.get("/tree").await?;
    let region = tree["regions"][0]["id"].clone();
    let path = format!("/regions/{region}/technician-pin");
    board.county.console.put(&path, json!({ "pin": PIN })).await?;
    common::picture_lesson(&board.county, "p1")?;
    board.county.push_and_wait(Duration::from_secs(60)).await?;
    let base = board.county.classrooms[0].url();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let shelf = common::shelf(&board.county.classrooms[0]).await?;
    let picture = shelf["lessons"][0]["items"][0]["url"]
        .as_str()
        .context("no picture")?
        .to_owned();
    let picture = format!("{base}{picture}");
    let status = async || anyhow::Ok(http.get(&picture).send().await?.status().as_u16());
    let home = async || -> Result<Value> {
        let text = http.get(format!("{base}/api/home")).send().await?.text().await?;
        Ok(serde_json::from_str(&text)?)
    };
    ensure!(status().await? == 200, "the lesson does not play");
    board
        .controls("that it can be locked", |c| {
            c["abilities"].to_string().contains("\"lock\"")
        })
        .await?;

    let pin_set = async || {
        until("the PIN on the board", Duration::from_secs(30), async || {
            Ok((home().await?["features"]["pin_set"] == true).then_some(()))
        })
        .await
    };
    pin_set().await?;
    board
        .done(json!({ "kind": "lock", "reason": "更换灯泡" }))
        .await?;
    ensure!(
        home().await?["lock"]["reason"] == "更换灯泡",
        "the page does not say it"
    );
    ensure!(status().await? == 423, "a locked player plays");
    board
        .controls("locked", |c| c["locked"]["reason"] == "更换灯泡")
        .await?;
    board.county.classrooms[0].kill();
    board.county.classrooms[0].start()?;
    until("the player", Duration::from_secs(20), async || {
        Ok((status().await? == 423).then_some(()))
    })
    .await?;

    // At the board: the technician's PIN, and no other.
    pin_set().await?;
    let token = home().await?["token"].as_str().context("no token")?.to_owned();
    let open = async |pin: &str| {
        let asked = http
            .post(format!("{base}/api/lock/open"))
            .header("content-type", "application/json")
            .header("origin", &base)
            .header("x-bbt-page", "1")
            .header("x-bbt-token", &token)
            .body(json!({ "pin": pin }).to_string());
        anyhow::Ok(asked.send().await?.status().as_u16())
    };
    ensure!(open("000000").await? == 403, "any PIN unlocks");
    ensure!(status().await? == 423, "unlocked by a wrong PIN");
    ensure!(open(PIN).await? == 200, "the PIN does not unlock");
    until("it plays again", Duration::from_secs(5), async || {
        Ok((status().await? == 200).then_some(()))
    })
    .await?;
    board.controls("unlocked", |c| c["locked"].is_null()).await?;

    board.done(json!({ "kind": "lock", "reason": "" })).await?;
    ensure!(status().await? == 423, "a locked player plays");
    board.done(json!({ "kind": "unlock" })).await?;
    ensure!(status().await? == 200, "the console does not unlock");

    let log = board.done(json!({ "kind": "collect_logs", "hours": 3 })).await?;
    let path = format!("/devices/{}/commands/{log}/logs", board.id);
    let packed = board.county.console.bytes(&path).await?;
    let mut archive = tar::Archive::new(zstd::Decoder::new(&packed[..])?);
    let mut files = std::collections::BTreeMap::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let (name, mut text) = (entry.path()?.display().to_string(), String::new());
        std::io::Read::read_to_string(&mut entry, &mut text)?;
        files.insert(name, text);
    }
    ensure!(
        files["bbt-logs/agent.log"].contains("a line of 3 hours"),
        "{files:?}"
    );
    ensure!(
        files["bbt-logs/memory.log"].contains("command"),
        "nothing of the agent itself"
    );
    ensure!(files["bbt-logs/report.json"].contains(&board.id), "no report");
    for (name, text) in &files {
        ensure!(
            !text.contains("geheim") && !text.contains("PRIVATE KEY"),
            "a secret in {name}"
        );
    }
    let audit = board.county.console.get("/audit?action=devices.logs").await?;
    ensure!(audit["items"][0]["object"] == board.id.as_str(), "{audit}");
    Ok(())
}
