//! A fleet of simulated devices: real certificates of the console's own authority, real MQTT 5 over TLS, one summary a minute,
//! each kept until the console's word for it. Orders are answered, lessons "arrive" without a byte being moved. Light enough that
//! thousands run in one process; not an agent.
//!
//! Certificates come over the same door as a board's (ticket, HTTPS enrolment) and are kept in a file, so that a second run
//! begins where the first ended.

mod device;
mod mqtt;
mod obey;

use std::{
    collections::HashSet,
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use contract::{
    api,
    enrol::{EnrolReply, EnrolRequest, EnrolmentTicket},
};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{sync::watch, task::JoinSet};

use crate::{client::Console, stand::ConsoleStand};

/// Classrooms of each simulated school.
const ROOMS: usize = 25;
/// Enrolments at a time.
const AT_ONCE: usize = 24;

/// One simulated board's identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Identity {
    /// As the console named it.
    pub device_id: String,
    /// Leaf and intermediate, PEM.
    pub certificate_pem: String,
    /// Its key, PEM.
    pub key_pem: String,
    /// Row id of its school.
    pub school: i64,
}

/// Boards that are enrolled at one console.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fleet {
    /// What the broker's certificate is checked against.
    pub ca_pem: String,
    /// The boards.
    pub devices: Vec<Identity>,
}

impl Fleet {
    /// Reads the fleet that was enrolled before; none without a file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn load(file: &Path) -> Result<Option<Self>> {
        match fs::read(file) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("Failed to read {}", file.display())),
        }
    }

    /// Enrols boards until there are `count`, 25 to a school, and keeps them in `file`.
    ///
    /// # Errors
    /// The console refuses.
    pub async fn enrol(console: &Console, stand: &ConsoleStand, file: &Path, count: usize) -> Result<Self> {
        let known = Self::load(file)?;
        let have = known.as_ref().map_or(0, |fleet| fleet.devices.len());
        if let Some(mut fleet) = known
            && have >= count
        {
            fleet.devices.truncate(count);
            return Ok(fleet);
        }
        let mut fleet = Self::load(file)?.unwrap_or(Self {
            ca_pem: String::new(),
            devices: Vec::new(),
        });
        let rooms = rooms(console, have, count).await?;
        let url = Arc::new(format!("https://127.0.0.1:{}{}", stand.devices, api::ENROL));
        let next = Arc::new(AtomicUsize::new(0));
        let rooms = Arc::new(rooms);
        let mut workers = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (console, url) = (console.clone(), Arc::clone(&url));
            let (next, rooms) = (Arc::clone(&next), Arc::clone(&rooms));
            workers.spawn(async move {
                let mut made = Vec::new();
                while let Some(room) = rooms.get(next.fetch_add(1, Ordering::Relaxed)) {
                    made.push(enrol(&console, &url, *room).await?);
                }
                anyhow::Ok(made)
            });
        }
        while let Some(made) = workers.join_next().await {
            for (ca_pem, identity) in made?? {
                fleet.ca_pem = ca_pem;
                fleet.devices.push(identity);
            }
        }
        fs::write(file, serde_json::to_vec(&fleet)?)
            .with_context(|| format!("Failed to write {}", file.display()))?;
        Ok(fleet)
    }
}

/// Schools and classrooms for boards `have..count`: (school, classroom).
async fn rooms(console: &Console, have: usize, count: usize) -> Result<Vec<(i64, i64)>> {
    let id = |value: &serde_json::Value| value["id"].as_i64().context("no id in the answer");
    let county = format!("99{have:04}");
    let region = console
        .post(
            "/regions",
            json!({ "kind": "county", "name": format!("模拟县{have}"), "code": county }),
        )
        .await?;
    let region = id(&region)?;
    let mut rooms = Vec::with_capacity(count - have);
    for n in (have..count).step_by(ROOMS) {
        let code = format!("{county}{n:04}");
        let school = console
            .post(
                "/schools",
                json!({ "region_id": region, "code": code, "name": format!("模拟小学{n}"), "kind": "school" }),
            )
            .await?;
        let school = id(&school)?;
        for room in n..(n + ROOMS).min(count) {
            let made = console
                .post(
                    "/classrooms",
                    json!({ "school_id": school, "code": format!("{code}-{room}"), "name": format!("{room}班"), "grade": "" }),
                )
                .await?;
            rooms.push((school, id(&made)?));
        }
    }
    Ok(rooms)
}

async fn enrol(console: &Console, url: &str, (school, room): (i64, i64)) -> Result<(String, Identity)> {
    let made = console
        .post("/tickets", json!({ "classroom_id": room, "ttl_hours": 1 }))
        .await?;
    let ticket: EnrolmentTicket = serde_json::from_value(made["ticket"].clone())?;
    let key = KeyPair::generate()?;
    let request = EnrolRequest {
        code: ticket.code,
        serial: format!("SIM-{room}"),
        board: "generic-x86".into(),
        agent_version: "0.0.0-sim".into(),
        csr_pem: CertificateParams::default().serialize_request(&key)?.pem()?,
        classroom: None,
        hardware: None,
    };
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([reqwest::Certificate::from_pem(ticket.ca_pem.as_bytes())?])
        .timeout(Duration::from_secs(60))
        .build()?;
    let answer = client.post(url).json(&request).send().await?;
    let (status, text) = (answer.status(), answer.text().await?);
    ensure!(status.is_success(), "enrolment: {status}: {text}");
    let reply: EnrolReply = serde_json::from_str(&text)?;
    let identity = Identity {
        device_id: reply.device_id.to_string(),
        certificate_pem: reply.certificate_pem,
        key_pem: key.serialize_pem(),
        school,
    };
    Ok((ticket.ca_pem, identity))
}

/// How the fleet behaves.
#[derive(Debug, Clone)]
pub struct Load {
    /// The broker.
    pub broker: SocketAddr,
    /// A summary each.
    pub every: Duration,
    /// All begin to connect within so long, evenly.
    pub ramp: Duration,
    /// Loopback addresses to come from, 127.0.1.1 onwards; each has its own ports.
    pub shards: u8,
    /// Whether the console answers; Mosquitto alone does not, and then nothing is sent again.
    pub acknowledged: bool,
}

/// What has come of it.
#[derive(Debug, Default)]
pub struct Stats {
    /// Sessions that are open.
    pub connected: AtomicUsize,
    /// Sessions that were opened.
    pub connects: AtomicU64,
    /// Sessions that ended by themselves or could not be opened.
    pub failures: AtomicU64,
    /// Batches sent.
    pub batches: AtomicU64,
    /// Samples made.
    pub samples: AtomicU64,
    /// Samples that the console has the word for.
    pub stored: AtomicU64,
    /// Messages that came from the console.
    pub received: AtomicU64,
    latencies_us: Mutex<Vec<u32>>,
    broker_us: Mutex<Vec<u32>>,
    last_failure: Mutex<String>,
}

impl Stats {
    fn note(list: &Mutex<Vec<u32>>, took: Duration) {
        let took = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        list.lock().unwrap_or_else(PoisonError::into_inner).push(took);
    }

    fn failed(&self, error: &anyhow::Error) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = format!("{error:#}");
    }

    /// Why a session ended last.
    pub fn last_failure(&self) -> String {
        self.last_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes what was measured since the last call: from publishing a sample to the console's word that it is stored, and to the
    /// broker's own acknowledgement; sorted, in milliseconds.
    pub fn take_latencies(&self) -> (Vec<f64>, Vec<f64>) {
        let take = |list: &Mutex<Vec<u32>>| {
            let mut taken: Vec<f64> =
                std::mem::take(&mut *list.lock().unwrap_or_else(PoisonError::into_inner))
                    .into_iter()
                    .map(|us| f64::from(us) / 1_000.0)
                    .collect();
            taken.sort_by(f64::total_cmp);
            taken
        };
        (take(&self.latencies_us), take(&self.broker_us))
    }
}

/// A fleet that runs; ends when dropped.
#[derive(Debug)]
pub struct Running {
    /// What has come of it.
    pub stats: Arc<Stats>,
    /// Since when.
    pub started: Instant,
    stop: watch::Sender<bool>,
    devices: JoinSet<()>,
}

impl Running {
    /// Ends all sessions in order.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let all = async { while self.devices.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_secs(10), all).await;
    }
}

/// Lets a fleet run.
///
/// # Errors
/// A certificate or key of it cannot be used.
pub fn run(fleet: &Fleet, load: &Load) -> Result<Running> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_slice_iter(fleet.ca_pem.as_bytes()) {
        roots.add(cert?)?;
    }
    let roots = Arc::new(roots);
    let (stop, stopped) = watch::channel(false);
    let stats = Arc::new(Stats::default());
    let mut devices = JoinSet::new();
    let count = fleet.devices.len().max(1);
    let started = Instant::now();
    let mut schools = HashSet::new();
    for (n, identity) in fleet.devices.iter().enumerate() {
        let chain = CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes())?;
        let mut tls = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(Arc::clone(&roots))
            .with_client_auth_cert(chain, key)?;
        // Thousands of boards are thousands of processes: none has another one's session.
        tls.resumption = rustls::client::Resumption::disabled();
        let one = device::Device {
            id: identity.device_id.clone(),
            number: n,
            first_of_school: schools.insert(identity.school),
            tls: Arc::new(tls),
            load: load.clone(),
            stats: Arc::clone(&stats),
            first: load.ramp.mul_f64(n as f64 / count as f64),
            stopped: stopped.clone(),
        };
        devices.spawn(one.run());
    }
    Ok(Running {
        stats,
        started,
        stop,
        devices,
    })
}
