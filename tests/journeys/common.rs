//! A county for one journey: console, line, classrooms, all in a folder that goes with the test.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::print_stdout,
    reason = "shared by journeys, each of which uses its part"
)]

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::Value;
use system_tests::{
    client::Console,
    county::{Room, push, roster, ticket},
    kit,
    stand::{Bins, Classroom, ConsoleStand, free_port, until},
    uplink::Uplink,
};

/// One grey pixel.
pub const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0,
    0, 1, 8, 0, 0, 0, 0, 0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0, 0x0a, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63,
    0x68, 0, 0, 0, 0x82, 0, 0x81, 0x77, 0xcd, 0x72, 0xb6, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42,
    0x60, 0x82,
];

pub struct County {
    pub stand: ConsoleStand,
    pub console: Console,
    /// The school's line to the devices' HTTPS.
    pub line: Uplink,
    /// The school's line to MQTT.
    pub mqtt_line: Uplink,
    pub rooms: Vec<Room>,
    pub classrooms: Vec<Classroom>,
    pub bins: Bins,
    line_ports: [u16; 2],
    // Last, so that the programs end before their folder goes.
    pub dir: tempfile::TempDir,
}

impl County {
    /// A running console with its roster, and a line to it (bytes per second down, where limited).
    pub async fn start(limit: Option<u64>) -> Result<Self> {
        let mut county = Self::start_empty().await?;
        let (devices, mqtt) = (county.stand.devices_addr(), county.stand.mqtt_addr());
        county.line_ports = [
            county.line.relay(0, devices, limit).await?,
            county.mqtt_line.relay(0, mqtt, None).await?,
        ];
        county.rooms = roster(&county.console).await?;
        Ok(county)
    }

    /// A running console on its first day.
    pub async fn start_empty() -> Result<Self> {
        let bins = Bins::beside_the_test()?;
        let dir = tempfile::Builder::new().prefix("bbt-journey-").tempdir()?;
        let mut stand = ConsoleStand::prepare(&bins, &dir.path().join("console"), None, "correct horse 42")?;
        let console = stand.start().await?;
        Ok(Self {
            stand,
            console,
            line: Uplink::new(),
            mqtt_line: Uplink::new(),
            rooms: Vec::new(),
            classrooms: Vec::new(),
            bins,
            line_ports: [0; 2],
            dir,
        })
    }

    /// Enrols and starts one more classroom; `extra` is appended to its configuration.
    pub async fn add_classroom(&mut self, extra: &str) -> Result<usize> {
        let index = self.classrooms.len();
        let room = &self.rooms[index];
        let dir = self.dir.path().join(&room.key);
        let port = free_port_pair()?;
        let mut classroom = Classroom::prepare(&self.bins, &dir, port, &format!("SN-{}", room.key), extra)?;
        let ticket = ticket(&self.console, room.id, self.line_ports, &dir).await?;
        classroom.enrol(&ticket)?;
        classroom.start()?;
        self.classrooms.push(classroom);
        Ok(index)
    }

    /// Makes the kit and imports it.
    pub fn import_kit(&self) -> Result<Vec<PathBuf>> {
        let lessons = kit_folder()?;
        self.stand.admin(&[
            "lesson",
            "import",
            "--release",
            lessons[0].parent().and_then(Path::to_str).context("no folder")?,
        ])?;
        Ok(lessons)
    }

    /// Pushes everything to the county and waits until every started classroom is ready.
    pub async fn push_and_wait(&self, limit: Duration) -> Result<String> {
        let push = push(&self.console).await?;
        self.wait_ready(&push, limit).await?;
        Ok(push)
    }

    pub async fn wait_ready(&self, push: &str, limit: Duration) -> Result<()> {
        let all = self.classrooms.len() as u64;
        let path = format!("/pushes/{push}");
        let ready = || async {
            let now = self.console.get(&path).await?;
            Ok((now["totals"]["ready"].as_u64() == Some(all)).then_some(()))
        };
        until("every classroom ready", limit, ready).await
    }

    /// The console's row of the one device of a classroom.
    pub async fn device(&self, index: usize) -> Result<Value> {
        let serial = format!("SN-{}", self.rooms[index].key);
        let page = self.console.get("/devices?page_size=100").await?;
        let items = page["items"].as_array().context("no devices")?;
        let row = items
            .iter()
            .find(|device| device["serial"] == *serial)
            .context("the device is not listed")?;
        let id = row["id"].as_str().context("a device without an id")?;
        self.console.get(&format!("/devices/{id}")).await
    }
}

/// Imports a lesson of one picture and gives its id.
pub fn picture_lesson(county: &County, id: &str) -> Result<String> {
    let folder = lesson_folder(county.dir.path(), id)?;
    std::fs::write(folder.join("图.png"), PNG)?;
    county
        .stand
        .admin(&["lesson", "import", "--release", folder.to_str().context("path")?])?;
    Ok(id.to_owned())
}

/// What a player shows, asked as its page does.
pub async fn shelf(classroom: &Classroom) -> Result<Value> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let answer = http.get(format!("{}/api/shelf", classroom.url())).send().await?;
    Ok(answer.json().await?)
}

/// A lesson folder that imports, but for its files.
pub fn lesson_folder(parent: &Path, id: &str) -> Result<PathBuf> {
    let dir = parent.join(id);
    std::fs::create_dir_all(&dir)?;
    let text = format!(
        "id = \"{id}\"\n[meta]\ntitle = \"{id}\"\nstage = \"小学\"\nsubject = \"数学\"\nedition = \"人教版\"\ngrade = \"四年级\"\nvolume = \"下册\"\nchapter = \"一\"\nperiod = \"1\"\n"
    );
    std::fs::write(dir.join("lesson.toml"), text)?;
    Ok(dir)
}

/// A free port whose successor is free too: player and courseware.
pub fn free_port_pair() -> Result<u16> {
    free_port()
}

/// The kit, made once for all journeys beside the build; who comes while another makes it waits.
pub fn kit_folder() -> Result<Vec<PathBuf>> {
    let beside = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(beside)?;
    let lock = std::fs::File::create(beside.join("kit.lock"))?;
    lock.lock().context("Failed to wait for the lessons' maker")?;
    kit::make(&beside.join("kit"), &kit::Tools::find()?, &mut |what| {
        println!("making {what}");
    })
}
