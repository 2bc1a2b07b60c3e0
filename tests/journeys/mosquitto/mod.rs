//! Mosquitto's programs, driven as a person would from a shell.

#![allow(unreachable_pub, reason = "a part of one journey")]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// What is sent.
pub const PAYLOAD: &str = "policy-test";
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A key with its certificate, as files.
#[derive(Debug, Clone)]
pub struct Key {
    /// The certificate's common name.
    pub name: String,
    pub cert: PathBuf,
    pub key: PathBuf,
    /// The authority by which the broker is known.
    pub ca: PathBuf,
}

impl Key {
    pub fn write(dir: &Path, name: &str, cert: &str, key: &str, ca: &str) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let file = |file: &str, text: &str| -> Result<PathBuf> {
            let place = dir.join(file);
            std::fs::write(&place, text)?;
            Ok(place)
        };
        Ok(Self {
            name: name.to_owned(),
            cert: file("cert.pem", cert)?,
            key: file("key.pem", key)?,
            ca: file("ca.pem", ca)?,
        })
    }

    /// The same name, signed by somebody else; knows the broker by the files beside it.
    pub fn foreign(name: &str, dir: &Path) -> Result<Self> {
        let key = rcgen::KeyPair::generate()?;
        let mut authority = rcgen::CertificateParams::default();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = rcgen::Issuer::new(authority, rcgen::KeyPair::generate()?);
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let cert = params.signed_by(&key, &issuer)?;
        let ca = std::fs::read_to_string(dir.with_file_name("d1").join("ca.pem"))?;
        Self::write(dir, name, &cert.pem(), &key.serialize_pem(), &ca)
    }
}

/// What a client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Yes,
    No,
    NoEntry,
}

/// One run of a client program.
#[derive(Debug, Clone)]
pub struct Client {
    args: Vec<String>,
    file: Option<PathBuf>,
}

impl Client {
    pub fn new(port: u16, key: &Key, version: &str) -> Self {
        let args = [
            "-h",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-V",
            version,
            "-i",
            &key.name,
            "--cafile",
            &key.ca.to_string_lossy(),
            "--cert",
            &key.cert.to_string_lossy(),
            "--key",
            &key.key.to_string_lossy(),
            "-q",
            "1",
            "-d",
        ];
        Self {
            args: args.map(str::to_owned).to_vec(),
            file: None,
        }
    }

    fn value_of(&mut self, option: &str) -> Option<&mut String> {
        let at = self.args.iter().position(|arg| arg == option)?;
        self.args.get_mut(at + 1)
    }

    pub fn named(mut self, name: &str) -> Self {
        if let Some(value) = self.value_of("-i") {
            name.clone_into(value);
        }
        self
    }

    pub fn without_certificate(mut self) -> Self {
        for option in ["--cert", "--key"] {
            if let Some(at) = self.args.iter().position(|arg| arg == option) {
                self.args.drain(at..at + 2);
            }
        }
        self
    }

    pub fn file(mut self, file: &Path) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    /// One more user property of CONNECT.
    pub fn telling(mut self, name: &str, value: &str) -> Self {
        for arg in ["-D", "connect", "user-property", name, value] {
            self.args.push(arg.to_owned());
        }
        self
    }

    fn command(&self, program: &str) -> Command {
        // Line by line, or what it says stays in its buffer while it listens.
        let mut command = Command::new("stdbuf");
        command
            .args(["-oL", program])
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    pub async fn publish(&self, topic: &str, retain: bool) -> Result<Told> {
        let mut command = self.command("mosquitto_pub");
        command.args(["-t", topic]);
        match &self.file {
            Some(file) => command.arg("-f").arg(file),
            None => command.args(["-m", PAYLOAD]),
        };
        if retain {
            command.arg("-r");
        }
        // Some refusals are silence: the program would try for ever.
        let Ok(done) = timeout(Duration::from_secs(8), command.output()).await else {
            return Ok(Told::No);
        };
        let done = done.context("Failed to start mosquitto_pub; is mosquitto-clients installed?")?;
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
        let entered = said.contains("received CONNACK (0)");
        Ok(match entered {
            false => Told::NoEntry,
            // A refused one is acknowledged, too (MQTT 5), with the reason; one that is too large is never sent.
            true if said.contains("received PUBACK") && !said.contains("failed") => Told::Yes,
            true => Told::No,
        })
    }

    /// Connects with a last will and is killed; `false` if it was not let in.
    pub async fn cut_off_with_will(&self, topic: &str) -> Result<bool> {
        let mut client = self.clone();
        for arg in [
            "--will-topic",
            topic,
            "--will-payload",
            PAYLOAD,
            "--will-qos",
            "1",
        ] {
            client.args.push(arg.to_owned());
        }
        if ["/command", "/assignment", "/ack"]
            .iter()
            .any(|leaf| topic.ends_with(leaf))
        {
            client.args.push("--will-retain".to_owned());
        }
        let mut listener = client
            .listen(&format!("bbt/v1/d/{}/ack", self.own_name()?))
            .await?;
        let entered = listener.entered().await?;
        listener.child.kill().await?;
        Ok(entered)
    }

    fn own_name(&self) -> Result<String> {
        let mut me = self.clone();
        me.value_of("-i").cloned().context("no name")
    }

    pub async fn listen(&self, filter: &str) -> Result<Listener> {
        let mut command = self.command("mosquitto_sub");
        command.args(["-t", filter, "-F", "MESSAGE %t %p"]);
        // Its debugging lines go to standard output, too; together they are in order.
        command.stderr(Stdio::null());
        let mut child = command
            .spawn()
            .context("Failed to start mosquitto_sub; is mosquitto-clients installed?")?;
        let out = child.stdout.take().context("no output")?;
        Ok(Listener {
            child,
            lines: BufReader::new(out).lines(),
            said: Vec::new(),
        })
    }
}

/// A client that listens until it is dropped.
#[derive(Debug)]
pub struct Listener {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: Vec<String>,
}

impl Listener {
    async fn line(&mut self) -> Result<Option<String>> {
        let line = self.lines.next_line().await?;
        if let Some(line) = &line {
            self.said.push(line.clone());
        }
        Ok(line)
    }

    /// Whether it was let in.
    pub async fn entered(&mut self) -> Result<bool> {
        self.wait_for(|line| match line {
            Some(line) if line.contains("received CONNACK (0)") => Some(true),
            Some(line) if line.contains("received CONNACK") => Some(false),
            Some(_) => None,
            None => Some(false),
        })
        .await
    }

    /// Whether its subscription was granted.
    pub async fn granted(&mut self) -> Result<bool> {
        if !self.entered().await? {
            return Ok(false);
        }
        self.wait_for(|line| {
            let line = match line {
                Some(line) => line,
                None => return Some(false),
            };
            // `Subscribed (mid: 1): 1`, or 128 and above for a no.
            let code = line.strip_prefix("Subscribed (mid: ")?.split_once("): ")?.1;
            code.trim().parse::<u16>().ok().map(|code| code < 128)
        })
        .await
    }

    async fn wait_for<T>(&mut self, mut wanted: impl FnMut(Option<&str>) -> Option<T>) -> Result<T> {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = timeout(left, self.line()).await else {
                bail!("no answer; it said: {:?}", self.said);
            };
            if let Some(found) = wanted(line?.as_deref()) {
                return Ok(found);
            }
        }
    }

    /// The next message, topic and payload; none if the time or the listener ends first.
    async fn next(&mut self, end: Instant) -> Result<Option<(String, String)>> {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = timeout(left, self.line()).await else {
                return Ok(None);
            };
            let Some(line) = line? else { return Ok(None) };
            if let Some(message) = line.strip_prefix("MESSAGE ") {
                let (topic, payload) = message.split_once(' ').unwrap_or((message, ""));
                return Ok(Some((topic.to_owned(), payload.to_owned())));
            }
        }
    }

    async fn messages(&mut self, during: Duration) -> Result<Vec<(String, String)>> {
        let end = Instant::now() + during;
        let mut messages = Vec::new();
        while let Some(message) = self.next(end).await? {
            messages.push(message);
        }
        Ok(messages)
    }

    /// Whether something on this topic comes, however early within the time.
    pub async fn hears(&mut self, topic: &str, within: Duration) -> Result<bool> {
        let end = Instant::now() + within;
        while let Some((heard, _)) = self.next(end).await? {
            if heard == topic {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The topic of the next message, if one comes within the time.
    pub async fn one(&mut self, within: Duration) -> Result<BTreeSet<String>> {
        let next = self.next(Instant::now() + within).await?;
        Ok(next.into_iter().map(|(topic, _)| topic).collect())
    }

    /// Topics of what it hears.
    pub async fn heard(&mut self, during: Duration) -> Result<BTreeSet<String>> {
        Ok(self
            .messages(during)
            .await?
            .into_iter()
            .map(|(topic, _)| topic)
            .collect())
    }

    /// Payloads of what it hears.
    pub async fn payloads(&mut self, during: Duration) -> Result<Vec<String>> {
        Ok(self
            .messages(during)
            .await?
            .into_iter()
            .map(|(_, payload)| payload)
            .collect())
    }

    /// Whether its session is still its own: one that was pushed out is told so, or connects again by itself after a second.
    pub async fn stays(&mut self) -> Result<bool> {
        let end = Instant::now() + Duration::from_secs(3);
        loop {
            let count = |what: &str| self.said.iter().filter(|line| line.contains(what)).count();
            if count("received DISCONNECT") > 0 || count("received CONNACK") != 1 {
                return Ok(false);
            }
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = timeout(left, self.line()).await else {
                return Ok(true);
            };
            if line?.is_none() {
                return Ok(false);
            }
        }
    }
}

/// A broker that runs with what the console exported.
#[derive(Debug)]
pub struct Mosquitto {
    program: PathBuf,
    child: Child,
}

impl Mosquitto {
    pub async fn start(dir: &Path, port: u16) -> Result<Self> {
        let program = [
            "/usr/sbin/mosquitto",
            "/usr/local/sbin/mosquitto",
            "/usr/bin/mosquitto",
        ]
        .into_iter()
        .map(PathBuf::from)
        .find(|place| place.is_file())
        .context("mosquitto is not installed; run `cargo xtask setup`")?;
        // In service it runs as its own user, who owns the folder; here it stays who it is.
        let conf = dir.join("mosquitto.conf");
        let text = std::fs::read_to_string(&conf)?;
        let here = dir.join("here.conf");
        std::fs::write(&here, format!("{text}user root\n"))?;
        let log = std::fs::File::create(dir.join("mosquitto.log"))?;
        let mut child = Command::new(&program)
            .arg("-c")
            .arg(&here)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let end = Instant::now() + PATIENCE;
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            let said = || std::fs::read_to_string(dir.join("mosquitto.log")).unwrap_or_default();
            if let Some(status) = child.try_wait()? {
                bail!("mosquitto ended with {status}: {}", said());
            }
            ensure!(Instant::now() < end, "mosquitto does not listen: {}", said());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(Self { program, child })
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Its name and version.
    pub fn version(&self) -> Result<String> {
        let done = std::process::Command::new(&self.program).arg("-h").output()?;
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        let first = text.lines().next().context("mosquitto says nothing")?;
        Ok(first.replace("mosquitto version", "Mosquitto"))
    }
}
