//! A certificate is revoked while it is in use: the live MQTT session and the live download end within five seconds, and
//! nothing lets it in again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use common::{County, lesson_folder};
use serde_json::{Value, json};
use system_tests::stand::until;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);
/// What the product promises for a live connection.
const PROMISE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_live_session_and_a_live_download_end() -> Result<()> {
    let mut county = County::start(None).await?;
    let folder = lesson_folder(county.dir.path(), "big")?;
    // A picture that is nothing but long: 48 MiB of padding after a valid end would be refused, so a real long one.
    let made = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "nullsrc=s=1280x720:r=25,geq=random(1)*255:128:128",
        ])
        .args([
            "-t",
            "12",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-qp",
            "8",
            "-pix_fmt",
            "yuv420p",
        ])
        .arg(folder.join("noise.mp4"))
        .status()
        .context("Failed to run ffmpeg")?;
    ensure!(made.success(), "ffmpeg failed");
    let size = fs::metadata(folder.join("noise.mp4"))?.len();
    ensure!(size > 24 << 20, "the video has only {size} bytes");
    county
        .stand
        .admin(&["lesson", "import", "--release", folder.to_str().context("path")?])?;
    county.add_classroom("").await?;
    county.push_and_wait(LIMIT).await?;
    let device = county.device(0).await?;
    let id = device["id"].as_str().context("no id")?.to_owned();
    // From here on the certificate is in the hands of independent clients.
    county.classrooms[0].kill();
    let identity = county.classrooms[0].dir.join("data/identity");
    let saved: Value = serde_json::from_str(&fs::read_to_string(identity.join("identity.json"))?)?;
    let pem = |name: &str| saved[name].as_str().map(str::to_owned).context("no such PEM");
    let (certificate, ca) = (pem("certificate_pem")?, pem("ca_pem")?);
    let key = fs::read_to_string(identity.join("key.pem"))?;
    let folder = county.dir.path().join("stolen-certificate");
    fs::create_dir_all(&folder)?;
    for (name, text) in [("cert.pem", &certificate), ("ca.pem", &ca), ("key.pem", &key)] {
        fs::write(folder.join(name), text)?;
    }

    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([reqwest::Certificate::from_pem(ca.as_bytes())?])
        .identity(reqwest::Identity::from_pem(
            format!("{certificate}{key}").as_bytes(),
        )?)
        .build()?;
    let lesson = county.console.get("/lessons/big").await?;
    let hash = file_hash(&lesson)?;
    let url = format!(
        "https://127.0.0.1:{}/device/v1/files/{hash}",
        county.stand.devices
    );
    let mut download = http.get(&url).send().await?.error_for_status()?;
    ensure!(download.chunk().await?.is_some(), "no first byte");

    let mut listener = Command::new("mosquitto_sub")
        .args([
            "-V",
            "mqttv5",
            "-h",
            "127.0.0.1",
            "-p",
            &county.stand.mqtt.to_string(),
            "-i",
            &id,
        ])
        .args(["-t", &format!("bbt/v1/d/{id}/command"), "-q", "1", "--cafile"])
        .arg(folder.join("ca.pem"))
        .arg("--cert")
        .arg(folder.join("cert.pem"))
        .arg("--key")
        .arg(folder.join("key.pem"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("Failed to start mosquitto_sub")?;
    until("the listener is connected", LIMIT, async || {
        Ok((county.console.get(&format!("/devices/{id}")).await?["state"] == "online").then_some(()))
    })
    .await?;
    ensure!(listener.try_wait()?.is_none(), "the listener was not let in");

    let start = Instant::now();
    county
        .console
        .post(&format!("/devices/{id}/revoke"), json!({ "reason": "试验" }))
        .await?;
    // Read as slowly as a bad line would, so that the download is still running.
    let cut = async {
        loop {
            match download.chunk().await {
                Err(_) => return Ok(start.elapsed()),
                Ok(None) => bail!("the download came to its end"),
                Ok(Some(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let https = timeout(PROMISE, cut)
        .await
        .context("the live download went on for more than 5 s")??;
    let mqtt = until("the live MQTT session was closed", PROMISE, async || {
        let state = county.console.get(&format!("/devices/{id}")).await?["state"].clone();
        Ok((state != "online").then(|| start.elapsed()))
    })
    .await?;
    println!(
        "revoked: live HTTPS cut after {:.2} s, live MQTT closed after {:.2} s",
        https.as_secs_f64(),
        mqtt.as_secs_f64()
    );
    let again = http.get(&url).send().await;
    ensure!(
        again.as_ref().is_ok_and(|a| a.status() == 403) || again.is_err(),
        "let in again: {again:?}"
    );
    // mosquitto_sub tries again by itself; it must not get in.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let state = county.console.get(&format!("/devices/{id}")).await?["state"].clone();
    ensure!(state != "online", "the revoked device is {state}");
    let _ = listener.kill();
    listener.wait()?;
    Ok(())
}

fn file_hash(lesson: &Value) -> Result<String> {
    let files = lesson["files"].as_array().context("no files")?;
    let video = files
        .iter()
        .find(|f| f["path"].as_str().is_some_and(|p| p.ends_with(".mp4")));
    let hash = video.and_then(|f| f["hash"].as_str()).context("no hash")?;
    Ok(hash.to_owned())
}
