//! The other servers: each in a folder of its own, on 127.0.0.1, with the same video and the same document.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use system_tests::{kit, stand::free_port};

use crate::{
    setup,
    sh::{root, run},
};

/// What the player is measured beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Peer {
    /// Debian's nginx: the player's own page and the file.
    Nginx,
    /// Kolibri from PyPI: a channel with the video and the document; its page is that of the library.
    Kolibri,
    /// Debian's kiwix-serve: a ZIM file of an index page, the video and the document.
    Kiwix,
}

/// What all serve.
pub(super) struct Material<'a> {
    pub(super) video: &'a Path,
    pub(super) document: &'a Path,
    /// The player's own page, for who has none.
    pub(super) page: &'a [u8],
}

/// A peer that can be started; running after [`Served::start`], ended when dropped.
pub(super) struct Served {
    pub(super) name: &'static str,
    /// URL of its first page.
    pub(super) page: String,
    /// URL of the video.
    pub(super) file: String,
    command: Box<dyn Fn() -> Command>,
    log: PathBuf,
    child: Option<Child>,
}

impl Served {
    /// Makes the peer's folder anew under `folder`.
    pub(super) fn prepare(peer: Peer, folder: &Path, material: &Material<'_>) -> Result<Self> {
        let at = folder.join(peer.name());
        let _ = fs::remove_dir_all(&at);
        fs::create_dir_all(&at)?;
        match peer {
            Peer::Nginx => nginx(&at, material),
            Peer::Kolibri => kolibri(&at, material),
            Peer::Kiwix => kiwix(&at, material),
        }
        .with_context(|| format!("Failed to prepare {}", peer.name()))
    }

    /// Starts it; gives the seconds until its first page was read whole.
    pub(super) async fn start(&mut self, client: &reqwest::Client) -> Result<f64> {
        self.stop();
        let log = File::options().create(true).append(true).open(&self.log)?;
        let begun = Instant::now();
        let child = (self.command)()
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("Failed to start {}", self.name))?;
        self.child = Some(child);
        first_page(client, &self.page, begun)
            .await
            .with_context(|| format!("{} did not come up; see {}", self.name, self.log.display()))
    }

    pub(super) fn pid(&self) -> Result<u32> {
        Ok(self
            .child
            .as_ref()
            .with_context(|| format!("{} is not running", self.name))?
            .id())
    }

    #[expect(unsafe_code, reason = "kill(2) on a child that this handle owns")]
    fn stop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        if let Ok(pid) = i32::try_from(child.id()) {
            // SAFETY: a plain system call on our own child, not yet waited for; SIGTERM ends its workers too.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(20) {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Peer {
    fn name(self) -> &'static str {
        match self {
            Peer::Nginx => "nginx",
            Peer::Kolibri => "kolibri",
            Peer::Kiwix => "kiwix-serve",
        }
    }
}

/// Asks until a whole page is there; seconds since `begun`.
pub(super) async fn first_page(client: &reqwest::Client, url: &str, begun: Instant) -> Result<f64> {
    loop {
        if let Ok(answer) = client.get(url).send().await
            && answer.status() == 200
            && answer.bytes().await.is_ok_and(|page| page.len() > 100)
        {
            return Ok(begun.elapsed().as_secs_f64());
        }
        if begun.elapsed() > Duration::from_secs(60) {
            bail!("{url} gave no page in a minute");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn nginx(at: &Path, material: &Material<'_>) -> Result<Served> {
    let program = kit::find("nginx", "nginx-light").or_else(|e| {
        let sbin = PathBuf::from("/usr/sbin/nginx");
        if sbin.is_file() { Ok(sbin) } else { Err(e) }
    })?;
    let port = free_port()?;
    fs::create_dir_all(at.join("www"))?;
    fs::hard_link(material.video, at.join("www/big.mp4"))?;
    fs::write(at.join("www/index.html"), material.page)?;
    let show = at.display();
    let config = format!(
        "daemon off; worker_processes 1; pid {show}/pid; error_log {show}/error.log;\n{}events {{}}\n\
         http {{ access_log off; sendfile on; keepalive_requests 1000000; types {{ text/html html; video/mp4 mp4; }}\n\
         client_body_temp_path {show}/a; proxy_temp_path {show}/b; fastcgi_temp_path {show}/c; uwsgi_temp_path {show}/d; scgi_temp_path {show}/e;\n\
         server {{ listen 127.0.0.1:{port}; root {show}/www; }} }}\n",
        if setup::is_root() { "user root;\n" } else { "" }
    );
    fs::write(at.join("nginx.conf"), config)?;
    let folder = at.to_owned();
    Ok(Served {
        name: "nginx",
        page: format!("http://127.0.0.1:{port}/"),
        file: format!("http://127.0.0.1:{port}/big.mp4"),
        command: Box::new(move || {
            let mut command = Command::new(&program);
            command
                .arg("-c")
                .arg(folder.join("nginx.conf"))
                .arg("-p")
                .arg(&folder);
            command
        }),
        log: at.join("log"),
        child: None,
    })
}

fn kolibri(at: &Path, material: &Material<'_>) -> Result<Served> {
    let bin = setup::kolibri_bin();
    let home = at.join("home");
    let environment = |command: &mut Command, home: &Path| {
        command
            .env("KOLIBRI_HOME", home)
            .env("KOLIBRI_LISTEN_ADDRESS", "127.0.0.1")
            // Nobody but this machine is told of it.
            .env("KOLIBRI_ZEROCONF_ENABLED", "False")
            .env("KOLIBRI_DISABLE_PING", "True");
    };
    let mut library = Command::new(bin.join("python"));
    library
        .arg(root().join("tests/bench-peers/kolibri_library.py"))
        .args([material.video, material.document]);
    environment(&mut library, &home);
    let done = library.output().context("Failed to start Kolibri's Python")?;
    let out = String::from_utf8_lossy(&done.stdout);
    ensure!(
        done.status.success(),
        "Kolibri's library could not be made: {out}{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let said: serde_json::Value = out
        .lines()
        .rev()
        .find_map(|line| serde_json::from_str(line).ok())
        .context("kolibri_library.py said nothing")?;
    let video = said["video"]
        .as_str()
        .context("kolibri_library.py names no video")?;
    let (port, zip) = (free_port()?, free_port()?);
    Ok(Served {
        name: "kolibri",
        page: format!("http://127.0.0.1:{port}/zh-hans/learn/"),
        file: format!("http://127.0.0.1:{port}{video}"),
        command: Box::new(move || {
            let mut command = Command::new(bin.join("kolibri"));
            command
                .args(["start", "--foreground", "--port", &port.to_string()])
                .args(["--zip-port", &zip.to_string()]);
            environment(&mut command, &home);
            command
        }),
        log: at.join("log"),
        child: None,
    })
}

fn kiwix(at: &Path, material: &Material<'_>) -> Result<Served> {
    let (serve, write) = (
        kit::find("kiwix-serve", "kiwix-tools")?,
        kit::find("zimwriterfs", "zim-tools")?,
    );
    let www = at.join("www");
    fs::create_dir_all(&www)?;
    fs::hard_link(material.video, www.join("big.mp4"))?;
    fs::copy(material.document, www.join("sheet.pdf"))?;
    fs::write(
        www.join("index.html"),
        "<!DOCTYPE html><html lang=\"zh\"><head><meta charset=\"utf-8\"><title>大课</title></head><body><h1>大课</h1>\
         <video controls src=\"big.mp4\"></video><p><a href=\"sheet.pdf\">学习单</a></p></body></html>",
    )?;
    run(Command::new(kit::find("ffmpeg", "ffmpeg")?)
        .args([
            "-y",
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "color=blue:s=48x48",
            "-frames:v",
            "1",
        ])
        .arg(www.join("icon.png")))?;
    let zim = at.join("lessons.zim");
    run(Command::new(write)
        .args(["-w", "index.html", "-I", "icon.png", "-l", "zho", "-t", "大课"])
        .args(["-d", "bench", "-c", "bench", "-p", "bench"])
        .arg(&www)
        .arg(&zim)
        .stdout(Stdio::null()))?;
    let port = free_port()?;
    Ok(Served {
        name: "kiwix-serve",
        page: format!("http://127.0.0.1:{port}/lessons/A/index.html"),
        file: format!("http://127.0.0.1:{port}/lessons/A/big.mp4"),
        command: Box::new(move || {
            let mut command = Command::new(&serve);
            command
                .args(["-i", "127.0.0.1", "-p", &port.to_string()])
                .arg(&zim);
            command
        }),
        log: at.join("log"),
        child: None,
    })
}
