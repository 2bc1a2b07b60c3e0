//! A network namespace on its own: the uplink down, the name server deaf.
//!
//! ```text
//!  lo 127.0.0.1, 198.18.2.53      uplink 198.18.2.1/24, DOWN, default route gone with it
//! ```
//! `resolv.conf` names 198.18.2.53. Something listens there and never answers, so that whoever asks for a name waits as behind
//! a dead line, and every question is written down.
//!
//! Needs root. Namespace and `/etc/netns/<name>` bear the caller's name and go when [`Island`] is dropped.

use std::{
    collections::BTreeMap,
    fs,
    net::{TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::netns::Netns;

const DNS: &str = "198.18.2.53";
const OUTSIDE: &str = "198.18.2.9:443";

/// The namespace; gone when dropped, and whatever runs in it.
#[derive(Debug)]
pub struct Island {
    netns: Netns,
    etc: PathBuf,
    asked: Arc<Mutex<BTreeMap<String, u32>>>,
    over: Arc<AtomicBool>,
    deaf: Option<JoinHandle<()>>,
}

impl Island {
    /// Makes it.
    ///
    /// # Errors
    /// Not root, or the kernel has no namespaces.
    pub fn make(name: &str) -> Result<Self> {
        let mut island = Self {
            netns: Netns::named(name),
            etc: Path::new("/etc/netns").join(name),
            asked: Arc::default(),
            over: Arc::default(),
            deaf: None,
        };
        let done = Command::new("ip").args(["netns", "add", name]).output()?;
        ensure!(
            done.status.success(),
            "Failed to make a network namespace: {}; this needs root and a kernel that has them",
            String::from_utf8_lossy(&done.stderr).trim()
        );
        island.netns.ip(&format!(
            "link set lo up\naddr add {DNS}/32 dev lo\nlink add uplink type veth peer name far\n\
             addr add 198.18.2.1/24 dev uplink\nlink set uplink down\nlink set far down\n"
        ))?;
        fs::create_dir_all(&island.etc)
            .with_context(|| format!("Failed to create {}", island.etc.display()))?;
        fs::write(
            island.etc.join("resolv.conf"),
            format!("nameserver {DNS}\noptions timeout:5 attempts:2\n"),
        )?;
        // No file of this machine knows a name that the board would have to ask for.
        fs::write(island.etc.join("hosts"), "127.0.0.1 localhost\n::1 localhost\n")?;
        let socket = island
            .netns
            .within(|| UdpSocket::bind((DNS, 53)).context("Failed to take the name server's place"))?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let (asked, over) = (Arc::clone(&island.asked), Arc::clone(&island.over));
        island.deaf = Some(std::thread::spawn(move || {
            let mut packet = [0; 1500];
            while !over.load(Ordering::Relaxed) {
                if let Ok(len) = socket.recv(&mut packet) {
                    let name = question(packet.get(..len).unwrap_or_default());
                    let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
                    *asked.entry(name).or_default() += 1;
                }
            }
        }));
        Ok(island)
    }

    /// Proves that nothing is reached from it, and that no name is known; forgets what was asked until now.
    ///
    /// # Errors
    /// Something answers.
    pub fn check(&self) -> Result<()> {
        self.netns.within(|| {
            let state = fs::read_to_string("/proc/thread-self/net/route")?;
            ensure!(state.lines().count() <= 1, "there is a way out:\n{state}");
            match TcpStream::connect_timeout(&OUTSIDE.parse()?, Duration::from_secs(2)) {
                Ok(_) => bail!("{OUTSIDE} answers"),
                Err(error) => ensure!(
                    error.kind() == std::io::ErrorKind::NetworkUnreachable,
                    "{OUTSIDE} is unreachable for another reason: {error}"
                ),
            }
            Ok(())
        })?;
        let looked = self
            .netns
            .command(Path::new("getent"))
            .args(["ahosts", "dead.example.org"])
            .status()?;
        ensure!(!looked.success(), "dead.example.org has an address");
        let asked = self.asked();
        ensure!(
            asked.keys().any(|name| name == "dead.example.org"),
            "the deaf name server was not asked: {asked:?}"
        );
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    /// The namespace itself.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Names that were asked for, and how often; none of them was answered.
    pub fn asked(&self) -> BTreeMap<String, u32> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(deaf) = self.deaf.take() {
            let _ = deaf.join();
        }
        self.netns.remove();
        let _ = fs::remove_dir_all(&self.etc);
        // Only if nobody else's lies there.
        let _ = fs::remove_dir("/etc/netns");
    }
}

/// The name in a DNS question.
fn question(packet: &[u8]) -> String {
    let mut rest = packet.get(12..).unwrap_or_default();
    let mut labels = Vec::new();
    while let Some((&len, after)) = rest.split_first() {
        let Some(label) = after.get(..usize::from(len)).filter(|label| !label.is_empty()) else {
            break;
        };
        labels.push(String::from_utf8_lossy(label).into_owned());
        rest = after.get(usize::from(len)..).unwrap_or_default();
    }
    labels.join(".")
}
