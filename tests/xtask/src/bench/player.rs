//! The player beside nginx: the same page, the same file, the same client, in one run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use system_tests::{
    kit,
    stand::{Bins, free_port, until},
};

use super::{median, ready_classroom};

const RANGE_BYTES: u64 = 1 << 20;
const RANGES: u64 = 400;
const PAGES: usize = 500;

pub(crate) async fn run(bins: &Bins, folder: &Path, mib: u32, rounds: usize) -> Result<()> {
    let nginx_program = kit::find("nginx", "nginx-light").or_else(|e| {
        let sbin = PathBuf::from("/usr/sbin/nginx");
        if sbin.is_file() { Ok(sbin) } else { Err(e) }
    })?;
    for name in [
        "lessons",
        "console",
        "console.unlock",
        "console.offline-root",
        "classroom",
        "nginx",
    ] {
        let path = folder.join(name);
        let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
    }
    let kit = kit::make(&folder.join("kit"), &kit::Tools::find()?, &mut |what| {
        println!("making {what}")
    })?;
    let lesson = folder.join("lessons/big");
    fs::create_dir_all(&lesson)?;
    let video = lesson.join("big.mp4");
    kit::lengthen_mp4(&kit[0].join("微课.mp4"), &video, mib << 20, 3)?;
    fs::write(
        lesson.join("lesson.toml"),
        "id = \"big\"\n[meta]\ntitle = \"大课\"\nstage = \"小学\"\nsubject = \"数学\"\nedition = \"人教版\"\ngrade = \"四年级\"\nvolume = \"下册\"\nchapter = \"一\"\nperiod = \"1\"\n",
    )?;

    let (_console, classroom, _) = ready_classroom(bins, folder).await?;
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let page = client.get(classroom.url()).send().await?.bytes().await?;
    let nginx = Nginx::start(&nginx_program, &folder.join("nginx"), &video, &page)?;
    let ours = (classroom.url(), format!("{}/files/big/big.mp4", classroom.url()));
    let peer = (nginx.url(), format!("{}/big.mp4", nginx.url()));
    until("nginx", Duration::from_secs(10), async || {
        Ok(client.get(&peer.0).send().await.ok())
    })
    .await?;

    let length = fs::metadata(&video)?.len();
    let (mut page_ratio, mut range_ratio, mut seek_ratio) = (Vec::new(), Vec::new(), Vec::new());
    println!("\n             page µs          1 MiB ranges MB/s     64 KiB seek µs     (ours / nginx)");
    for round in 0..rounds {
        let a = measure(&client, &ours, length).await?;
        let b = measure(&client, &peer, length).await?;
        println!(
            "round {round}   {:6.0} / {:6.0}      {:7.0} / {:7.0}     {:6.0} / {:6.0}",
            a.page_us, b.page_us, a.mb_per_s, b.mb_per_s, a.seek_us, b.seek_us
        );
        page_ratio.push(a.page_us / b.page_us);
        range_ratio.push(a.mb_per_s / b.mb_per_s);
        seek_ratio.push(a.seek_us / b.seek_us);
    }
    println!(
        "median ratio ours/nginx: page time {:.2}, range throughput {:.2}, seek time {:.2}",
        median(&mut page_ratio),
        median(&mut range_ratio),
        median(&mut seek_ratio)
    );
    Ok(())
}

struct Figures {
    page_us: f64,
    mb_per_s: f64,
    seek_us: f64,
}

async fn measure(client: &reqwest::Client, (page, file): &(String, String), length: u64) -> Result<Figures> {
    let start = Instant::now();
    for _ in 0..PAGES {
        ensure!(
            client.get(page).send().await?.bytes().await?.len() > 100,
            "an empty page"
        );
    }
    let page_us = start.elapsed().as_secs_f64() * 1e6 / PAGES as f64;
    let start = Instant::now();
    for n in 0..RANGES {
        get_range(
            client,
            file,
            (n * 7_919_777) % (length - RANGE_BYTES),
            RANGE_BYTES,
        )
        .await?;
    }
    let mb_per_s = (RANGES * RANGE_BYTES) as f64 / 1e6 / start.elapsed().as_secs_f64();
    let start = Instant::now();
    for n in 0..RANGES {
        get_range(client, file, (n * 104_729_993) % (length - 65_536), 65_536).await?;
    }
    let seek_us = start.elapsed().as_secs_f64() * 1e6 / RANGES as f64;
    Ok(Figures {
        page_us,
        mb_per_s,
        seek_us,
    })
}

async fn get_range(client: &reqwest::Client, url: &str, from: u64, length: u64) -> Result<()> {
    let range = format!("bytes={from}-{}", from + length - 1);
    let answer = client.get(url).header("range", range).send().await?;
    ensure!(answer.status() == 206, "{url}: {}", answer.status());
    ensure!(
        answer.bytes().await?.len() as u64 == length,
        "{url}: a short answer"
    );
    Ok(())
}

/// nginx in a folder of its own, on a port of its own; killed when dropped.
struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    fn start(program: &Path, folder: &Path, video: &Path, page: &[u8]) -> Result<Self> {
        let port = free_port()?;
        fs::create_dir_all(folder.join("www"))?;
        fs::hard_link(video, folder.join("www/big.mp4"))?;
        fs::write(folder.join("www/index.html"), page)?;
        let at = folder.display();
        let config = format!(
            "daemon off; worker_processes 1; pid {at}/pid; error_log {at}/error.log;\n{}events {{}}\n\
             http {{ access_log off; sendfile on; keepalive_requests 1000000; types {{ text/html html; video/mp4 mp4; }}\n\
             client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c; uwsgi_temp_path {at}/d; scgi_temp_path {at}/e;\n\
             server {{ listen 127.0.0.1:{port}; root {at}/www; }} }}\n",
            if crate::setup::is_root() {
                "user root;\n"
            } else {
                ""
            }
        );
        fs::write(folder.join("nginx.conf"), config)?;
        let child = Command::new(program)
            .arg("-c")
            .arg(folder.join("nginx.conf"))
            .arg("-p")
            .arg(folder)
            .stderr(Stdio::null())
            .spawn()
            .context("Failed to start nginx")?;
        Ok(Self { child, port })
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

#[expect(unsafe_code, reason = "kill(2) on a child that this handle owns")]
impl Drop for Nginx {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // SAFETY: a plain system call on our own child, not yet waited for; SIGTERM ends its worker too.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
        let _ = self.child.wait();
    }
}
