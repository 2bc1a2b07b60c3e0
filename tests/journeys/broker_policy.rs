//! Journey: somebody holds a device's key and a program of another maker (Mosquitto's `mosquitto_pub` and `mosquitto_sub`),
//! and tries what the policy forbids: against the broker inside the console, and against a real Mosquitto that runs with what
//! `bbt-console broker export` wrote. What was tried and what came of it is printed as a table and kept beside the build.
//!
//! Where the two brokers differ, both results are written down here; a surprise is a failure.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;
mod mosquitto;

use std::{fmt::Write, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use common::County;
use contract::{
    api,
    enrol::{EnrolReply, EnrolRequest},
    hardware::{CONNECT_BOOT, CONNECT_HARDWARE},
};
use mosquitto::{Client, Key, Mosquitto};
use serde_json::json;
use system_tests::{county::ticket, stand::free_port};

/// What came of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It went where it was meant to go.
    Heard,
    /// The broker said yes, and nobody heard anything.
    Unheard,
    /// The subscription was granted; nothing was sent to try it.
    Granted,
    /// The broker said no, and nobody heard anything.
    Refused,
    /// The connection was not let in.
    NoEntry,
    /// What was told and what was seen do not fit together; never expected.
    Contradiction,
}
use Outcome::{Contradiction, Granted, Heard, NoEntry, Refused, Unheard};

/// What is tried.
#[derive(Debug, Clone)]
enum Try {
    /// Publish on a topic, retained if it is a down leaf (so that a later listener would hear it).
    Publish(String),
    /// Subscribe to a filter while the console sends a command to d1 and to d2.
    Subscribe(String),
    /// Connect and be cut off, with a last will on a topic.
    Will(String),
    /// Publish so many bytes on an own topic.
    Size(usize),
    /// Connect with a client id that is not the certificate's.
    Named(String),
    /// Connect with another key.
    With(&'static str),
    /// Connect while the device itself is connected, telling this of the board.
    Second(&'static str),
}

struct Row {
    what: &'static str,
    what_exactly: String,
    version: &'static str,
    embedded: (Outcome, Outcome),
    mosquitto: (Outcome, Outcome),
}

struct Plan {
    what: &'static str,
    tried: Try,
    version: &'static str,
    embedded: Outcome,
    mosquitto: Outcome,
}

const VERSIONS: [&str; 2] = ["mqttv5", "mqttv311"];
/// So long nothing is heard before it counts as never.
const SILENCE: Duration = Duration::from_millis(1_500);
/// So long something that must be heard may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);

/// The policy, as tries in one version of the protocol. `d1` is the device whose key is held, `d2` another one.
fn plan(d1: &str, d2: &str, version: &'static str) -> Vec<Plan> {
    let own = |leaf: &str| format!("bbt/v1/d/{d1}/{leaf}");
    let other = |leaf: &str| format!("bbt/v1/d/{d2}/{leaf}");
    let mut plan = Vec::new();
    let mut add = |what, tried, version, embedded, mosquitto| {
        plan.push(Plan {
            what,
            tried,
            version,
            embedded,
            mosquitto,
        });
    };
    // MQTT 3.1.1 has no word for "no" to a message: it is acknowledged and dropped.
    let no = if version == "mqttv5" { Refused } else { Unheard };
    for leaf in ["report", "telemetry", "status", "presence"] {
        add(
            "发布：自己的上行主题",
            Try::Publish(own(leaf)),
            version,
            Heard,
            Heard,
        );
    }
    for leaf in ["command", "assignment", "ack"] {
        add("发布：自己的下行主题", Try::Publish(own(leaf)), version, no, no);
    }
    for leaf in ["report", "presence", "command", "assignment"] {
        add("发布：别人的主题", Try::Publish(other(leaf)), version, no, no);
    }
    for topic in ["$SYS/broker/uptime", "other", "bbt/v1/d", "bbt/v2/d/x/report"] {
        add(
            "发布：不存在的主题",
            Try::Publish(topic.to_owned()),
            version,
            no,
            no,
        );
    }
    add(
        "发布：自己主题的下级",
        Try::Publish(own("report/x")),
        version,
        no,
        no,
    );
    add(
        "订阅：自己的下行主题",
        Try::Subscribe(own("command")),
        version,
        Heard,
        Heard,
    );
    for leaf in ["assignment", "ack"] {
        add(
            "订阅：自己的下行主题",
            Try::Subscribe(own(leaf)),
            version,
            Granted,
            Granted,
        );
    }
    // Mosquitto grants every subscription and delivers nothing of it.
    for filter in [
        other("command"),
        "#".to_owned(),
        "+/#".to_owned(),
        "bbt/#".to_owned(),
        "bbt/v1/d/+/command".to_owned(),
        "$share/g/bbt/v1/d/+/command".to_owned(),
    ] {
        // Its own commands are in there, and those it may hear.
        let wild = filter.contains(['#', '+']);
        let mosquitto = if wild { Heard } else { Unheard };
        add(
            "订阅：别人的或带通配符",
            Try::Subscribe(filter),
            version,
            Refused,
            mosquitto,
        );
    }
    add(
        "订阅：系统主题",
        Try::Subscribe("$SYS/#".to_owned()),
        version,
        Refused,
        Unheard,
    );
    add(
        "订阅：共享自己的主题",
        Try::Subscribe(format!("$share/g/{}", own("command"))),
        version,
        Refused,
        Heard,
    );
    add(
        "订阅：自己的上行主题",
        Try::Subscribe(own("report")),
        version,
        Refused,
        Unheard,
    );
    add(
        "遗嘱：自己的上行主题",
        Try::Will(own("presence")),
        version,
        Heard,
        Heard,
    );
    add(
        "遗嘱：别人的主题",
        Try::Will(other("presence")),
        version,
        NoEntry,
        Unheard,
    );
    add(
        "遗嘱：别人的下行主题",
        Try::Will(other("command")),
        version,
        NoEntry,
        Unheard,
    );
    add("大小：1 MiB", Try::Size(1 << 20), version, Heard, Heard);
    add("大小：2 MiB", Try::Size(2 << 20), version, Refused, Refused);
    // Mosquitto takes the certificate's name whatever the client says.
    add("编号：别人的", Try::Named(d2.to_owned()), version, NoEntry, Heard);
    add(
        "编号：管理平台的",
        Try::Named("bbt-console".to_owned()),
        version,
        NoEntry,
        Heard,
    );
    add("证书：没有", Try::With("none"), version, NoEntry, NoEntry);
    add("证书：别家签发", Try::With("foreign"), version, NoEntry, NoEntry);
    add("证书：已吊销", Try::With("revoked"), version, NoEntry, NoEntry);
    // Two boards with one key: Mosquitto lets the later one push out the earlier.
    if version == "mqttv5" {
        add(
            "复制盘：另一块主板",
            Try::Second(r#"{"serial":"COPY"}"#),
            version,
            NoEntry,
            Heard,
        );
    }
    add("复制盘：什么都不说", Try::Second(""), version, NoEntry, Heard);
    plan
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_client_can_do_exactly_what_the_policy_says() -> Result<()> {
    // Each version of the protocol has a county of its own, so that what is counted in one is not the other's.
    let (five, three) = tokio::try_join!(lane(VERSIONS[0]), lane(VERSIONS[1]))?;
    let server = five.server;
    let rows: Vec<Row> = five.rows.into_iter().chain(three.rows).collect();
    let (table, surprises) = table(&rows, &server);
    println!("{table}");
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("broker_policy.md");
    std::fs::write(&kept, &table)?;
    println!("written to {}", kept.display());
    ensure!(
        surprises.is_empty(),
        "not as the policy says:\n{}",
        surprises.join("\n")
    );
    Ok(())
}

/// What was tried in one version of the protocol, at which Mosquitto.
struct Lane {
    rows: Vec<Row>,
    server: String,
}

async fn lane(version: &'static str) -> Result<Lane> {
    let county = County::start(None).await?;
    let dir = county.dir.path().to_owned();
    let mut keys = Vec::new();
    for (n, name) in ["d1", "d2", "revoked"].into_iter().enumerate() {
        keys.push(enrol(&county, n, &dir.join(name)).await?);
    }
    let [d1, d2, revoked] = <[Key; 3]>::try_from(keys).map_err(|_| anyhow::anyhow!("three keys"))?;
    county
        .console
        .post(
            &format!("/devices/{}/revoke", revoked.name),
            json!({ "reason": "test" }),
        )
        .await?;
    let foreign = Key::foreign(&d1.name, &dir.join("foreign"))?;
    let keys = [d1, d2, revoked, foreign];

    let embedded = Bench {
        keys: &keys,
        port: county.stand.mqtt,
        side: Side::Embedded(&county),
        dir: &dir,
    };
    let out = dir.join("mosquitto");
    let port = free_port()?;
    county.stand.admin(&[
        "broker",
        "export",
        "--out",
        out.to_str().context("path")?,
        "--listen",
        &format!("127.0.0.1:{port}"),
    ])?;
    let server = Mosquitto::start(&out, port).await?;
    let external = Bench {
        keys: &keys,
        port,
        side: Side::Mosquitto(Key {
            name: "bbt-console".to_owned(),
            cert: county.stand.data.join("pki/console.pem"),
            key: county.stand.data.join("pki/console.key"),
            ca: keys[0].ca.clone(),
        }),
        dir: &dir,
    };

    let mut rows = Vec::new();
    for Plan {
        what,
        tried,
        version,
        embedded: wanted,
        mosquitto: wanted_there,
    } in plan(&keys[0].name, &keys[1].name, version)
    {
        // The two brokers know nothing of each other.
        let (here, there) = tokio::join!(
            embedded.attempt(&tried, version, wanted),
            external.attempt(&tried, version, wanted_there)
        );
        let outcome = |broker: &str, came_of: Result<Outcome>| {
            came_of.unwrap_or_else(|error| {
                println!("{broker}: {what}: {tried:?} ({version}): {error:#}");
                Contradiction
            })
        };
        rows.push(Row {
            what,
            what_exactly: shown(&tried, &keys),
            version,
            embedded: (wanted, outcome("embedded", here)),
            mosquitto: (wanted_there, outcome("mosquitto", there)),
        });
    }
    let named = server.version()?;
    server.kill().await?;
    Ok(Lane { rows, server: named })
}

fn shown(tried: &Try, keys: &[Key]) -> String {
    let text = match tried {
        Try::Publish(topic) | Try::Subscribe(topic) | Try::Will(topic) => topic.clone(),
        Try::Size(bytes) => format!("{bytes} 字节"),
        Try::Named(name) => name.clone(),
        Try::With(key) => (*key).to_owned(),
        Try::Second("") => "（无）".to_owned(),
        Try::Second(told) => (*told).to_owned(),
    };
    text.replace(&keys[0].name, "d1").replace(&keys[1].name, "d2")
}

fn table(rows: &[Row], version: &str) -> (String, Vec<String>) {
    let mut text = format!(
        "# 独立客户端（mosquitto_pub / mosquitto_sub）能做什么\n\n\
         持有 d1 的证书。Heard 送达；Granted 订阅成功；Unheard 表面成功、无人收到；Refused 被拒绝；NoEntry 不能连接。\n\n\
         | 做什么 | 具体 | 协议 | 内置服务器 | {version} |\n|---|---|---|---|---|\n"
    );
    let mut surprises = Vec::new();
    for row in rows {
        let (what, exactly, version) = (row.what, &row.what_exactly, row.version);
        let (here, there) = (row.embedded.1, row.mosquitto.1);
        let _ = writeln!(
            text,
            "| {what} | `{exactly}` | {version} | {here:?} | {there:?} |"
        );
        for (broker, (wanted, found)) in [("embedded", row.embedded), ("mosquitto", row.mosquitto)] {
            if wanted != found {
                surprises.push(format!(
                    "{broker}: {what} {exactly} ({version}): {found:?}, not {wanted:?}"
                ));
            }
        }
    }
    (text, surprises)
}

/// Enrols with a key of its own over HTTPS, as the contract says, and keeps the files that Mosquitto's clients take.
async fn enrol(county: &County, room: usize, dir: &Path) -> Result<Key> {
    std::fs::create_dir_all(dir)?;
    let ports = [county.stand.devices, county.stand.mqtt];
    let file = ticket(&county.console, county.rooms[room].id, ports, dir).await?;
    let ticket: contract::enrol::EnrolmentTicket = serde_json::from_slice(&std::fs::read(file)?)?;
    let key = rcgen::KeyPair::generate()?;
    let csr_pem = rcgen::CertificateParams::default()
        .serialize_request(&key)?
        .pem()?;
    let request = EnrolRequest {
        code: ticket.code,
        serial: format!("POLICY-{room}"),
        board: "generic-box-rev-a".to_owned(),
        agent_version: "policy-test".to_owned(),
        csr_pem,
        classroom: None,
        hardware: None,
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([reqwest::Certificate::from_pem(ticket.ca_pem.as_bytes())?])
        .build()?;
    let answer = http
        .post(format!("{}{}", ticket.console_url, api::ENROL))
        .json(&request)
        .send()
        .await?
        .error_for_status()?;
    let reply: EnrolReply = answer.json().await?;
    Key::write(
        dir,
        reply.device_id.as_str(),
        &reply.certificate_pem,
        &key.serialize_pem(),
        &reply.ca_pem,
    )
}

enum Side<'a> {
    /// Commands come from the console's own API, and what devices send is counted there.
    Embedded(&'a County),
    /// A client with the console's certificate sends and listens.
    Mosquitto(Key),
}

struct Bench<'a> {
    keys: &'a [Key; 4],
    port: u16,
    side: Side<'a>,
    dir: &'a Path,
}

impl Bench<'_> {
    fn client(&self, key: &Key, version: &str) -> Client {
        Client::new(self.port, key, version)
    }

    /// What comes of it. What is `wanted` decides only how long a message may take that must come.
    async fn attempt(&self, tried: &Try, version: &str, wanted: Outcome) -> Result<Outcome> {
        let [d1, _, revoked, foreign] = self.keys;
        let limit = if wanted == Heard { PATIENCE } else { SILENCE };
        match tried {
            Try::Publish(topic) => self.publish(self.client(d1, version), topic, limit).await,
            Try::Size(bytes) => {
                let file = self.dir.join(format!("payload-{}", self.port));
                std::fs::write(&file, vec![b'x'; *bytes])?;
                let topic = format!("bbt/v1/d/{}/report", d1.name);
                self.publish(self.client(d1, version).file(&file), &topic, limit)
                    .await
            }
            Try::Named(name) => {
                let topic = format!("bbt/v1/d/{}/report", d1.name);
                self.publish(self.client(d1, version).named(name), &topic, limit)
                    .await
            }
            Try::With(which) => {
                let topic = format!("bbt/v1/d/{}/report", d1.name);
                let client = match *which {
                    "none" => self.client(d1, version).without_certificate(),
                    "foreign" => self.client(foreign, version),
                    _ => self.client(revoked, version),
                };
                self.publish(client, &topic, limit).await
            }
            Try::Subscribe(filter) => self.subscribe(self.client(d1, version), filter, limit).await,
            Try::Will(topic) => self.will(self.client(d1, version), topic, limit).await,
            Try::Second(told) => {
                let mut first = self
                    .client(d1, "mqttv5")
                    .telling(CONNECT_HARDWARE, r#"{"serial":"POLICY-0"}"#)
                    .telling(CONNECT_BOOT, "boot-1")
                    .listen(&format!("bbt/v1/d/{}/command", d1.name))
                    .await?;
                ensure!(first.granted().await?, "the device itself is not let in");
                let mut second = self.client(d1, version);
                if !told.is_empty() {
                    second = second
                        .telling(CONNECT_HARDWARE, told)
                        .telling(CONNECT_BOOT, "boot-2");
                }
                let result = self
                    .publish(second, &format!("bbt/v1/d/{}/report", d1.name), limit)
                    .await?;
                let stays = first.stays().await?;
                ensure!(
                    stays == (result == NoEntry),
                    "the first session {} though the second was {result:?}",
                    if stays { "stays" } else { "ended" }
                );
                Ok(result)
            }
        }
    }

    async fn publish(&self, client: Client, topic: &str, limit: Duration) -> Result<Outcome> {
        let witness = self.witness(topic).await?;
        let told = client.publish(topic, witness.retain).await?;
        let heard = witness.heard(self, limit).await?;
        Ok(match (told, heard) {
            (mosquitto::Told::NoEntry, false) => NoEntry,
            (mosquitto::Told::No, false) => Refused,
            (mosquitto::Told::Yes, false) => Unheard,
            (_, true) => Heard,
        })
    }

    async fn will(&self, client: Client, topic: &str, limit: Duration) -> Result<Outcome> {
        let witness = self.witness(topic).await?;
        if !client.cut_off_with_will(topic).await? {
            ensure!(
                !witness.heard(self, limit).await?,
                "the will of one who was not let in"
            );
            return Ok(NoEntry);
        }
        Ok(if witness.heard(self, limit).await? {
            Heard
        } else {
            Unheard
        })
    }

    async fn subscribe(&self, client: Client, filter: &str, limit: Duration) -> Result<Outcome> {
        let [d1, d2, ..] = self.keys;
        let mut listener = client.listen(filter).await?;
        if !listener.granted().await? {
            return Ok(Refused);
        }
        if filter.ends_with("/assignment") || filter.ends_with("/ack") {
            return Ok(Granted);
        }
        // A command to the other device first: whoever hears the second and not the first may hear its own only.
        for device in [&d2.name, &d1.name] {
            self.command(device).await?;
        }
        let mut heard = listener.one(limit).await?;
        heard.extend(listener.heard(SILENCE).await?);
        ensure!(
            heard.iter().all(|topic| topic.contains(&d1.name)),
            "{filter} heard {heard:?} of others"
        );
        Ok(if heard.is_empty() { Unheard } else { Heard })
    }

    /// A command to a device, as the console sends it.
    async fn command(&self, device: &str) -> Result<()> {
        match &self.side {
            Side::Embedded(county) => {
                let body = json!({ "ttl_s": 30, "body": { "kind": "notice", "level": "standard", "title": "试", "text": "", "show_for_s": 5 } });
                county
                    .console
                    .post(&format!("/devices/{device}/commands"), body)
                    .await?;
            }
            Side::Mosquitto(console) => {
                let told = self
                    .client(console, "mqttv5")
                    .publish(&format!("bbt/v1/d/{device}/command"), false)
                    .await?;
                ensure!(
                    told == mosquitto::Told::Yes,
                    "the console may not send a command: {told:?}"
                );
            }
        }
        Ok(())
    }

    async fn witness(&self, topic: &str) -> Result<Witness> {
        let retain = ["/command", "/assignment", "/ack"]
            .iter()
            .any(|leaf| topic.ends_with(leaf));
        let counted = match &self.side {
            Side::Embedded(county) => Some(messages(county).await?),
            Side::Mosquitto(_) => None,
        };
        let listener = match &self.side {
            Side::Mosquitto(console) if !retain => {
                let mut listener = self.client(console, "mqttv5").listen("#").await?;
                ensure!(listener.granted().await?, "the console is not let in");
                Some(listener)
            }
            _ => None,
        };
        Ok(Witness {
            topic: topic.to_owned(),
            retain,
            counted,
            listener,
        })
    }
}

/// Sees whether a message on a topic gets through.
struct Witness {
    topic: String,
    retain: bool,
    counted: Option<u64>,
    listener: Option<mosquitto::Listener>,
}

impl Witness {
    async fn heard(self, bench: &Bench<'_>, limit: Duration) -> Result<bool> {
        if self.retain {
            // A retained message would wait for the device that it is for.
            let key = bench
                .keys
                .iter()
                .find(|key| self.topic.contains(&key.name))
                .context("whose topic?")?;
            let mut owner = bench.client(key, "mqttv5").listen(&self.topic).await?;
            ensure!(
                owner.granted().await?,
                "its owner may not listen to {}",
                self.topic
            );
            return Ok(owner
                .payloads(Duration::from_millis(700))
                .await?
                .iter()
                .any(|payload| payload == mosquitto::PAYLOAD));
        }
        match (self.listener, self.counted, &bench.side) {
            (Some(mut listener), ..) => listener.hears(&self.topic, limit).await,
            (_, Some(before), Side::Embedded(county)) => {
                let end = std::time::Instant::now() + limit;
                while std::time::Instant::now() < end {
                    if messages(county).await? > before {
                        return Ok(true);
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Ok(false)
            }
            _ => Ok(false),
        }
    }
}

/// Messages of devices that reached the console.
async fn messages(county: &County) -> Result<u64> {
    county.console.get("/system").await?["ingest"]["messages"]
        .as_u64()
        .context("no counter")
}
