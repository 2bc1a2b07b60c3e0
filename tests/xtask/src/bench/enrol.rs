//! How many boards a minute: release console on two cores, a fresh TLS connection and a fresh key for each board, every one of
//! them durable (SQLite with `synchronous=FULL`) before it is answered.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use contract::{
    api,
    enrol::{EnrolReply, EnrolRequest, EnrolmentTicket},
};
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;
use system_tests::{
    county::roster,
    stand::{Bins, ConsoleStand},
};

/// The console's cores, and openssl's; everything else runs on the others.
const CORES: &str = "0,1";
/// Certificates that the peer issues.
const PEER: usize = 300;

pub(crate) async fn run(bins: &Bins, folder: &Path, boards: usize, at_once: usize) -> Result<()> {
    let folder = folder.join("enrol");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let mut stand = ConsoleStand::prepare(bins, &folder.join("console"), None, "bench bench 1234")?;
    let console = stand.start().await?;
    let pid = stand.process()?.pid();
    let pinned = Command::new("taskset")
        .args(["-a", "-p", "-c", CORES, &pid.to_string()])
        .output()
        .context("Failed to run taskset (package util-linux)")?;
    ensure!(
        pinned.status.success(),
        "taskset could not pin the console to cores {CORES}"
    );

    println!("making {boards} tickets and as many keys");
    let room = roster(&console).await?.first().context("no classroom")?.id;
    let mut asks = Vec::with_capacity(boards);
    let mut ca_pem = String::new();
    for board in 0..boards {
        let made = console
            .post("/tickets", json!({ "classroom_id": room, "ttl_hours": 1 }))
            .await?;
        let ticket: EnrolmentTicket = serde_json::from_value(made["ticket"].clone())?;
        let csr = CertificateParams::default().serialize_request(&KeyPair::generate()?)?;
        ca_pem = ticket.ca_pem;
        asks.push(EnrolRequest {
            code: ticket.code,
            serial: format!("BENCH-{board}"),
            board: "generic-x86".into(),
            agent_version: "0.0.0".into(),
            csr_pem: csr.pem()?,
            classroom: None,
            hardware: None,
        });
    }

    let url = Arc::new(format!("https://127.0.0.1:{}{}", stand.devices, api::ENROL));
    let (asks, ca_pem) = (Arc::new(asks), Arc::new(ca_pem));
    let next = Arc::new(AtomicUsize::new(0));
    let (before, start) = (processor_time(pid)?, Instant::now());
    let mut workers = Vec::new();
    for _ in 0..at_once {
        let (asks, ca_pem, next, url) = (asks.clone(), ca_pem.clone(), next.clone(), url.clone());
        workers.push(tokio::spawn(async move {
            let mut took = Vec::new();
            while let Some(ask) = asks.get(next.fetch_add(1, Ordering::Relaxed)) {
                let one = Instant::now();
                enrol(&url, &ca_pem, ask).await?;
                took.push(one.elapsed().as_secs_f64() * 1000.0);
            }
            anyhow::Ok(took)
        }));
    }
    let mut took = Vec::with_capacity(boards);
    for worker in workers {
        took.extend(worker.await??);
    }
    let (wall, used) = (start.elapsed(), processor_time(pid)? - before);
    let devices = console.get("/devices?page_size=1").await?["total"].clone();
    ensure!(
        devices == boards,
        "the console knows {devices} devices instead of {boards}"
    );
    took.sort_by(f64::total_cmp);
    let at = |share: usize| {
        took.get((took.len() * share / 100).min(took.len() - 1))
            .copied()
            .unwrap_or(0.0)
    };
    let ours = boards as f64 / wall.as_secs_f64() * 60.0;
    println!(
        "\nenrolments           {boards} in {:.1} s, {at_once} at a time, cores {CORES}",
        wall.as_secs_f64()
    );
    println!("enrolments/min       {ours:.0}");
    println!("latency p50 / p99    {:.1} / {:.1} ms", at(50), at(99));
    println!(
        "console's processor  {:.1} s = {:.0} % of two cores, {:.2} ms each",
        used.as_secs_f64(),
        used.as_secs_f64() / wall.as_secs_f64() / 2.0 * 100.0,
        used.as_secs_f64() * 1000.0 / boards as f64
    );
    stand.kill();

    let peer = peer(&folder.join("openssl"))?;
    println!(
        "openssl ca           {peer:.0} certificates/min, one after the other, same cores (no TLS, no device made)"
    );
    println!("ratio                {:.2} × openssl", ours / peer);
    if ours < 1000.0 {
        bail!("fewer than 1,000 enrolments a minute");
    }
    Ok(())
}

async fn enrol(url: &str, ca_pem: &str, ask: &EnrolRequest) -> Result<()> {
    // A client of its own: no connection and no TLS session is used twice.
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([reqwest::Certificate::from_pem(ca_pem.as_bytes())?])
        .timeout(Duration::from_secs(60))
        .build()?;
    let answer = client.post(url).json(ask).send().await?;
    let (status, text) = (answer.status(), answer.text().await?);
    ensure!(status.is_success(), "{}: {status}: {text}", ask.serial);
    let reply: EnrolReply = serde_json::from_str(&text)?;
    ensure!(
        reply.certificate_pem.matches("BEGIN CERTIFICATE").count() == 2,
        "leaf and intermediate expected"
    );
    Ok(())
}

/// User and system time of a process so far.
fn processor_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |at: usize| {
        fields
            .get(at)
            .and_then(|f| f.parse::<u64>().ok())
            .context("/proc/…/stat")
    };
    // Fields 14 and 15 of the line, counted after the name in parentheses; 100 ticks a second on Linux.
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}

/// What `openssl ca` issues in a minute on the same cores: keys and requests are made before, its database is a text file.
fn peer(dir: &Path) -> Result<f64> {
    fs::create_dir_all(dir.join("new"))?;
    fs::write(dir.join("index.txt"), "")?;
    fs::write(dir.join("serial"), "01\n")?;
    fs::write(
        dir.join("ca.cnf"),
        "[ca]\ndefault_ca=d\n[d]\ndir=.\ndatabase=index.txt\nserial=serial\nnew_certs_dir=new\ncertificate=ca.pem\n\
         private_key=ca.key\ndefault_md=sha256\ndefault_days=730\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n",
    )?;
    let ec = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ];
    let mut root = vec![
        "req", "-x509", "-subj", "/CN=peer", "-keyout", "ca.key", "-out", "ca.pem",
    ];
    root.extend(ec);
    openssl(dir, &root)?;
    for n in 0..PEER {
        let (subject, request) = (format!("/CN=d-{n}"), format!("{n}.csr"));
        let mut args = vec![
            "req", "-new", "-subj", &subject, "-keyout", "leaf.key", "-out", &request,
        ];
        args.extend(ec);
        openssl(dir, &args)?;
    }
    let start = Instant::now();
    for n in 0..PEER {
        let (request, out) = (format!("{n}.csr"), format!("{n}.pem"));
        openssl(
            dir,
            &[
                "ca", "-batch", "-config", "ca.cnf", "-notext", "-in", &request, "-out", &out,
            ],
        )?;
    }
    Ok(PEER as f64 / start.elapsed().as_secs_f64() * 60.0)
}

fn openssl(dir: &Path, args: &[&str]) -> Result<()> {
    let done = Command::new("taskset")
        .args(["-c", CORES, "openssl"])
        .args(args)
        .current_dir(dir)
        .output()
        .context("Failed to run openssl")?;
    ensure!(
        done.status.success(),
        "openssl {}: {}",
        args.first().unwrap_or(&""),
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}
