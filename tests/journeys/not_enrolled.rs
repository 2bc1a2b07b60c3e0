//! Journey: a board that nobody has enrolled yet shows its page and keeps its service manager content.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{
    os::unix::net::UnixDatagram,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Result, ensure};
use system_tests::stand::{Bins, Classroom, free_port, until};

#[tokio::test(flavor = "multi_thread")]
async fn it_feeds_the_watchdog_while_it_waits() -> Result<()> {
    let bins = Bins::beside_the_test()?;
    let dir = tempfile::tempdir()?;
    let classroom = Classroom::prepare(&bins, &dir.path().join("room"), free_port()?, "NEW", "")?;
    let socket = dir.path().join("notify");
    let manager = UnixDatagram::bind(&socket)?;
    manager.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut agent = Command::new(&bins.agent)
        .args(["run", "--config"])
        .arg(classroom.dir.join("agent.toml"))
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", "60000000")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let heard = (|| -> Result<usize> {
        let (mut buffer, mut fed, mut ready) = ([0; 512], 0, false);
        while fed < 3 {
            let length = manager.recv(&mut buffer)?;
            let words = String::from_utf8_lossy(&buffer[..length]).into_owned();
            ready |= words.contains("READY=1");
            fed += words.matches("WATCHDOG=1").count();
        }
        ensure!(ready, "it never said that it is ready");
        Ok(fed)
    })();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let page = until("the page", Duration::from_secs(10), async || {
        Ok(Some(
            http.get(classroom.url()).send().await?.status().is_success(),
        ))
    })
    .await;
    agent.kill()?;
    agent.wait()?;
    println!("fed {} times", heard?);
    ensure!(page?, "no page before enrolment");
    Ok(())
}
