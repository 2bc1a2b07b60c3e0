//! A board that is nothing but its key: what it says is for the caller to choose.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use contract::{
    api,
    hardware::{CONNECT_BOOT, CONNECT_HARDWARE},
    hash::Hash,
};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use crate::{client::Console, stand::ConsoleStand};

/// An enrolled board.
#[derive(Debug)]
pub struct Board {
    /// As the console named it.
    pub id: String,
    /// The boot it speaks of.
    pub boot: String,
    dir: PathBuf,
    devices: u16,
    mqtt: u16,
    http: reqwest::Client,
}

fn client(ca: &str) -> Result<reqwest::ClientBuilder> {
    Ok(reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([reqwest::Certificate::from_pem(ca.as_bytes())?])
        .timeout(Duration::from_secs(60)))
}

fn signing_request(key: &KeyPair) -> Result<String> {
    Ok(CertificateParams::default().serialize_request(key)?.pem()?)
}

impl Board {
    /// Enrols one in a classroom; `about` are the fields of the request besides code and key.
    ///
    /// # Errors
    /// The console refuses.
    pub async fn enrol(
        console: &Console,
        stand: &ConsoleStand,
        dir: &Path,
        classroom: i64,
        about: Value,
    ) -> Result<Self> {
        let made = console
            .post("/tickets", json!({ "classroom_id": classroom, "ttl_hours": 1 }))
            .await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (ca, code) = (text(&made["ticket"]["ca_pem"]), made["ticket"]["code"].clone());
        let key = KeyPair::generate()?;
        let mut request = json!({ "code": code, "csr_pem": signing_request(&key)? });
        merge(&mut request, about);
        let url = format!("https://127.0.0.1:{}{}", stand.devices, api::ENROL);
        let answer = client(&ca)?.build()?.post(url).json(&request).send().await?;
        let (status, body) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "enrolment: {status}: {body}");
        let reply: Value = serde_json::from_str(&body)?;
        let (id, cert) = (text(&reply["device_id"]), text(&reply["certificate_pem"]));
        let dir = dir.join(&id);
        fs::create_dir_all(&dir)?;
        for (name, pem) in [
            ("cert.pem", &cert),
            ("key.pem", &key.serialize_pem()),
            ("ca.pem", &ca),
        ] {
            fs::write(dir.join(name), pem)?;
        }
        let identity = reqwest::Identity::from_pem(format!("{cert}\n{}", key.serialize_pem()).as_bytes())?;
        Ok(Self {
            boot: format!("boot-{id}"),
            id,
            dir,
            devices: stand.devices,
            mqtt: stand.mqtt,
            http: client(&ca)?.identity(identity).build()?,
        })
    }

    /// Says that a board without a ticket is there.
    ///
    /// # Errors
    /// The console refuses.
    pub async fn claim(&self, about: Value) -> Result<()> {
        let ca = fs::read_to_string(self.dir.join("ca.pem"))?;
        let mut request = json!({ "csr_pem": signing_request(&KeyPair::generate()?)? });
        merge(&mut request, about);
        let url = format!("https://127.0.0.1:{}{}", self.devices, api::CLAIM);
        let answer = client(&ca)?.build()?.post(url).json(&request).send().await?;
        let (status, body) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "claim: {status}: {body}");
        Ok(())
    }

    /// Publishes on a topic of this board (or, where `topic` has a `/`, on any topic), over a session of its own in which it
    /// tells `hardware` of itself.
    ///
    /// # Errors
    /// Mosquitto's client cannot be started, or the broker does not let it in. A refused message is none.
    pub fn publish(&self, topic: &str, hardware: &Value, payload: &Value) -> Result<()> {
        let file = self.dir.join("payload.json");
        fs::write(&file, payload.to_string())?;
        let topic = match topic {
            whole if whole.contains('/') => whole.to_owned(),
            leaf => format!("bbt/v1/d/{}/{leaf}", self.id),
        };
        let at = |name: &str| self.dir.join(name).to_string_lossy().into_owned();
        let done = Command::new("mosquitto_pub")
            .args(["-h", "127.0.0.1", "-p", &self.mqtt.to_string(), "-V", "mqttv5"])
            .args(["-i", &self.id, "-q", "1", "-t", &topic])
            .args(["--cafile", &at("ca.pem"), "--cert", &at("cert.pem")])
            .args(["--key", &at("key.pem"), "-f", &at("payload.json")])
            .args(["-D", "connect", "user-property", CONNECT_BOOT, &self.boot])
            .args([
                "-D",
                "connect",
                "user-property",
                CONNECT_HARDWARE,
                &hardware.to_string(),
            ])
            .output()
            .context("Failed to start mosquitto_pub; run `cargo xtask setup`")?;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(
            done.status.success() || said.contains("Not authorized") || said.contains("rejected"),
            "{topic}: {said}"
        );
        Ok(())
    }

    /// Tells what it noted down on its own.
    ///
    /// # Errors
    /// The console cannot be reached. What it answers is given back.
    pub async fn records(&self, records: &Value) -> Result<(u16, String)> {
        let url = format!("https://127.0.0.1:{}{}", self.devices, api::RECORDS);
        let answer = self.http.post(url).json(records).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Hands over a packed log that a command asked for, in one part.
    ///
    /// # Errors
    /// The console cannot be reached. What it answers is given back.
    pub async fn hand_over(&self, command: &str, log: &[u8]) -> Result<(u16, String)> {
        let route = api::LOGS_ROUTE.replace("{command}", command);
        let url = format!(
            "https://127.0.0.1:{}{route}?offset=0&total={}&hash={}",
            self.devices,
            log.len(),
            Hash::of(log).to_hex()
        );
        let answer = self.http.post(url).body(log.to_vec()).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }
}

/// Puts the fields of `more` into `into`.
pub(super) fn merge(into: &mut Value, more: Value) {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
}
