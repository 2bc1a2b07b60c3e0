//! Real programs in folders of their own: one console, any number of classrooms.
//!
//! Every program is ended when its handle is dropped; data folders stay.

use std::{
    fs::{self, File},
    io::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{client::Console, netns};

/// Where the two programs are.
#[derive(Debug, Clone)]
pub struct Bins {
    /// `bbt-console`.
    pub console: PathBuf,
    /// `bbt-agent`.
    pub agent: PathBuf,
}

impl Bins {
    /// Both programs in `dir`.
    ///
    /// # Errors
    /// One is not there.
    pub fn in_dir(dir: &Path) -> Result<Self> {
        let find = |name: &str| {
            let file = dir.join(name);
            if file.is_file() {
                return Ok(file);
            }
            bail!(
                "{} is not built; run `cargo build -p bbt-console -p bbt-agent` or `cargo xtask test`",
                file.display()
            )
        };
        Ok(Self {
            console: find("bbt-console")?,
            agent: find("bbt-agent")?,
        })
    }

    /// The programs that were built beside the running test, or those in `BBT_BIN_DIR`.
    ///
    /// # Errors
    /// One is not there.
    pub fn beside_the_test() -> Result<Self> {
        if let Some(dir) = std::env::var_os("BBT_BIN_DIR") {
            return Self::in_dir(Path::new(&dir));
        }
        let test = std::env::current_exe()?;
        let dir = test
            .ancestors()
            .nth(2)
            .context("the test stands in no target folder")?;
        Self::in_dir(dir)
    }
}

/// A port of 127.0.0.1 that nobody holds right now, and whose successor is free too: a player's courseware has that.
///
/// Not the system's choice: what it hands out by itself (32768 and above) it may also hand to whoever connects somewhere
/// before our program opens it. And not a neighbour's: as long as this process lives, it holds the pair's UDP ports, by
/// which tests that run beside it know that the pair is taken.
///
/// # Errors
/// All are taken.
pub fn free_port() -> Result<u16> {
    static TAKEN: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    const FROM: u16 = 10_240;
    const PAIRS: u16 = (32_768 - FROM) / 2;
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    // Each process begins elsewhere.
    let begin = (std::process::id() % u32::from(PAIRS)).wrapping_mul(61);
    for n in 0..u32::from(PAIRS) {
        let port = FROM + 2 * u16::try_from((begin + n) % u32::from(PAIRS))?;
        let Ok(mark) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) else {
            continue;
        };
        if [port, port + 1]
            .iter()
            .all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        {
            taken.push(mark);
            return Ok(port);
        }
    }
    bail!("no port between {FROM} and 32767 is free")
}

/// Asks again until `check` gives a value.
///
/// # Errors
/// `what` did not come true within `limit`; the last error of `check` is told.
pub async fn until<T, F>(what: &str, limit: Duration, mut check: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let start = Instant::now();
    loop {
        let last = match check().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if start.elapsed() > limit {
            let why = last.map(|e| format!(": {e:#}")).unwrap_or_default();
            bail!("{what}: not within {} s{why}", limit.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A program under a clock of its own (libfaketime): absolute `@2013-01-01 00:00:00`, or shifted `+139d`. Monotonic clocks
/// stay as they are, as on a board whose battery is dead. Preloaded, not wrapped: a wrapper would stand between us and the
/// program's signals.
fn under_clock(program: &Path, clock: Option<&str>, netns: Option<&str>) -> Command {
    let mut command = netns::command_in(netns, program);
    if let Some(clock) = clock {
        command
            .env("LD_PRELOAD", faketime())
            .env("FAKETIME", clock)
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
    command
}

/// Where Debian keeps the library, on any of our machines.
fn faketime() -> PathBuf {
    let places = ["x86_64-linux-gnu", "aarch64-linux-gnu"];
    places
        .iter()
        .map(|place| {
            Path::new("/usr/lib")
                .join(place)
                .join("faketime/libfaketimeMT.so.1")
        })
        .find(|file| file.is_file())
        .unwrap_or_else(|| PathBuf::from("libfaketime is not installed: run `cargo xtask setup`"))
}

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: &'static str,
    /// Where its output goes.
    pub log: PathBuf,
}

impl Process {
    /// Starts it; what it prints goes to the end of `log`.
    ///
    /// # Errors
    /// It cannot be started, or the log not be written.
    pub fn start(name: &'static str, command: &mut Command, log: &Path) -> Result<Self> {
        let out = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let child = command
            .spawn()
            .with_context(|| format!("Failed to start {name}"))?;
        Ok(Self {
            child,
            name,
            log: log.to_owned(),
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut would end the program: SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end (SIGTERM) and waits; kills it after `limit`.
    ///
    /// # Errors
    /// It had to be killed, or ended with an error.
    pub fn terminate(&mut self, limit: Duration) -> Result<()> {
        self.signal(libc::SIGTERM)?;
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                if status.success() {
                    return Ok(());
                }
                bail!("{} ended with {status}: {}", self.name, self.log_tail());
            }
            if start.elapsed() > limit {
                self.kill();
                bail!(
                    "{} did not end within {} s of SIGTERM: {}",
                    self.name,
                    limit.as_secs(),
                    self.log_tail()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops it where it is (SIGSTOP), as a machine that hangs: it ends only when it is killed.
    ///
    /// # Errors
    /// It cannot be signalled.
    pub fn freeze(&self) -> Result<()> {
        self.signal(libc::SIGSTOP)
    }

    #[expect(unsafe_code, reason = "kill(2) on a child that this handle owns")]
    fn signal(&self, signal: i32) -> Result<()> {
        let pid = i32::try_from(self.child.id())?;
        // SAFETY: a plain system call; the pid is our own child, not yet waited for.
        if unsafe { libc::kill(pid, signal) } != 0 {
            return Err(std::io::Error::last_os_error()).context(format!("Failed to signal {}", self.name));
        }
        Ok(())
    }

    /// An error with the end of the log, if the program is no longer running.
    ///
    /// # Errors
    /// It ended.
    pub fn check_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended by itself with {status}: {}", self.name, self.log_tail());
        }
        Ok(())
    }

    fn log_tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where a console stands on the network.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its address for devices.
    pub host: IpAddr,
    /// Its network namespace; `None` is the machine's. Whoever asks its pages must stand in the same.
    pub netns: Option<String>,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            host: Ipv4Addr::LOCALHOST.into(),
            netns: None,
        }
    }
}

/// A console's folder and ports; running or not.
#[derive(Debug)]
pub struct ConsoleStand {
    bins: Bins,
    place: Place,
    /// Its data folder.
    pub data: PathBuf,
    /// Port of the web listener.
    pub web: u16,
    /// Port of the device listener.
    pub devices: u16,
    /// Port of the broker.
    pub mqtt: u16,
    /// The operator that was made at `init`.
    pub username: &'static str,
    /// That operator's password.
    pub password: String,
    /// The passphrase of the offline keys, where `init` was just run.
    pub root_passphrase: Option<String>,
    /// Its wall clock, as `faketime` takes it; `None` is the machine's.
    pub clock: Option<String>,
    running: Option<Process>,
}

impl ConsoleStand {
    /// Makes the data folder with `init` if it is not there, on the given or on free ports.
    ///
    /// # Errors
    /// `init` fails.
    pub fn prepare(bins: &Bins, data: &Path, ports: Option<[u16; 3]>, password: &str) -> Result<Self> {
        Self::prepare_at(Place::default(), bins, data, ports, password)
    }

    /// As [`ConsoleStand::prepare`], elsewhere than on the machine's own loopback.
    ///
    /// # Errors
    /// `init` fails.
    pub fn prepare_at(
        place: Place,
        bins: &Bins,
        data: &Path,
        ports: Option<[u16; 3]>,
        password: &str,
    ) -> Result<Self> {
        let host = place.host;
        // The console reaches its own broker by the loopback wherever devices reach it.
        let bind = match host {
            _ if host.is_loopback() => host,
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let [web, devices, mqtt] = match ports {
            Some(ports) => ports,
            None => [free_port()?, free_port()?, free_port()?],
        };
        fs::create_dir_all(data)?;
        let (on_devices, on_mqtt) = (SocketAddr::new(bind, devices), SocketAddr::new(bind, mqtt));
        let config = format!(
            "listen_web = \"127.0.0.1:{web}\"\nlisten_devices = \"{on_devices}\"\nlisten_mqtt = \"{on_mqtt}\"\n\
             public_host = \"{host}\"\npublic_devices_port = {devices}\npublic_mqtt_port = {mqtt}\nreserve_bytes = 1048576\n"
        );
        fs::write(data.join("console.toml"), config)?;
        let mut stand = Self {
            bins: bins.clone(),
            place,
            data: data.to_owned(),
            web,
            devices,
            mqtt,
            username: "admin",
            password: password.to_owned(),
            root_passphrase: None,
            clock: None,
            running: None,
        };
        if !data.join("console.db").exists() {
            let mut init = stand.command();
            init.args(["init", "--username", stand.username, "--password-stdin"]);
            let said = stand.run(&mut init, Some(password))?;
            let line = said
                .lines()
                .find_map(|line| line.strip_prefix("root passphrase: "));
            stand.root_passphrase = line.and_then(|line| line.split(' ').next()).map(str::to_owned);
        }
        Ok(stand)
    }

    fn command(&self) -> Command {
        let mut command = under_clock(
            &self.bins.console,
            self.clock.as_deref(),
            self.place.netns.as_deref(),
        );
        command.arg("--data").arg(&self.data);
        command
    }

    fn run(&self, command: &mut Command, stdin: Option<&str>) -> Result<String> {
        command.stdin(if stdin.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("Failed to start bbt-console")?;
        if let (Some(text), Some(mut pipe)) = (stdin, child.stdin.take()) {
            pipe.write_all(text.as_bytes())?;
        }
        let done = child.wait_with_output()?;
        let (out, err) = (
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr),
        );
        if !done.status.success() {
            bail!(
                "bbt-console {:?} failed: {out}{err}",
                command.get_args().collect::<Vec<_>>()
            );
        }
        Ok(out.into_owned())
    }

    /// Runs an admin subcommand and gives what it printed.
    ///
    /// # Errors
    /// It failed; its words are in the error.
    pub fn admin(&self, args: &[&str]) -> Result<String> {
        self.run(self.command().args(args), None)
    }

    /// The same, with a line or more on its standard input.
    ///
    /// # Errors
    /// It failed; its words are in the error.
    pub fn admin_with(&self, args: &[&str], stdin: &str) -> Result<String> {
        self.run(self.command().args(args), Some(stdin))
    }

    /// Starts `serve`, waits until the web listener answers, and signs in.
    ///
    /// # Errors
    /// It ends by itself or does not answer within 60 s.
    pub async fn start(&mut self) -> Result<Console> {
        let mut command = self.command();
        command.arg("serve").env(
            "BBT_CONSOLE_LOG",
            std::env::var("BBT_TEST_LOG").unwrap_or_else(|_| "info".into()),
        );
        self.running = Some(Process::start(
            "bbt-console",
            &mut command,
            &self.data.join("serve.log"),
        )?);
        self.sign_in().await
    }

    /// Signs in to the running console.
    ///
    /// # Errors
    /// As [`ConsoleStand::start`].
    pub async fn sign_in(&mut self) -> Result<Console> {
        let start = Instant::now();
        loop {
            match Console::sign_in(&self.url(), self.username, &self.password).await {
                Ok(console) => return Ok(console),
                Err(error) if start.elapsed() > Duration::from_secs(60) => return Err(error),
                Err(_) => {}
            }
            self.process()?.check_alive()?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Address of the web listener.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.web)
    }

    /// Address of the device listener, for a relay.
    pub fn devices_addr(&self) -> SocketAddr {
        (self.place.host, self.devices).into()
    }

    /// Address of the broker, for a relay.
    pub fn mqtt_addr(&self) -> SocketAddr {
        (self.place.host, self.mqtt).into()
    }

    /// The running program.
    ///
    /// # Errors
    /// It was not started.
    pub fn process(&mut self) -> Result<&mut Process> {
        self.running.as_mut().context("the console is not running")
    }

    /// Kills it (SIGKILL), if it runs.
    pub fn kill(&mut self) {
        self.running = None;
    }
}

/// One classroom's device: its folder, its ports; running or not.
#[derive(Debug)]
pub struct Classroom {
    bins: Bins,
    /// Its folder: config, data, logs.
    pub dir: PathBuf,
    /// Port of the player.
    pub player: u16,
    /// Its wall clock, as `faketime` takes it; `None` is the machine's.
    pub clock: Option<String>,
    /// Its network namespace; `None` is the machine's.
    pub netns: Option<String>,
    running: Option<Process>,
}

impl Classroom {
    /// Writes the agent's configuration. `extra` is appended as it is.
    ///
    /// # Errors
    /// The disk fails.
    pub fn prepare(bins: &Bins, dir: &Path, player: u16, serial: &str, extra: &str) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let data = dir.join("data");
        // A board's own reserve is a share of the disk: a test machine that is nearly full would fetch nothing.
        let storage = match extra.contains("[storage]") {
            true => "",
            false => "[storage]\nreserve_bytes = 67108864\n\n",
        };
        // Boards of a stand find each other on this machine and nowhere else.
        let lan = match extra.contains("[lan]") {
            true => "",
            false => "[lan]\nlisten = \"127.0.0.1:0\"\nmdns = false\n\n",
        };
        let config = format!(
            "data_dir = {data:?}\nboard = \"generic-box-rev-a\"\nserial = \"{serial}\"\n\n\
             [player]\nlisten = \"127.0.0.1:{player}\"\n\n\
             {storage}{lan}[system]\nreboot_command = [\"true\"]\n{extra}"
        );
        fs::write(dir.join("agent.toml"), config)?;
        Ok(Self {
            bins: bins.clone(),
            dir: dir.to_owned(),
            player,
            clock: None,
            netns: None,
            running: None,
        })
    }

    fn command(&self, verb: &[&str]) -> Command {
        let mut command = under_clock(&self.bins.agent, self.clock.as_deref(), self.netns.as_deref());
        command
            .args(verb)
            .arg("--config")
            .arg(self.dir.join("agent.toml"));
        command
    }

    /// Whether it has an identity.
    pub fn is_enrolled(&self) -> bool {
        self.dir.join("data/identity/identity.json").exists()
    }

    /// Runs `bbt-agent <verb>` to its end; gives exit code, standard output and standard error.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn once(&self, verb: &[&str], more: &[&str]) -> Result<(i32, String, String)> {
        let done = self
            .command(verb)
            .args(more)
            .output()
            .context("Failed to start bbt-agent")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((
            done.status.code().unwrap_or(-1),
            text(&done.stdout),
            text(&done.stderr),
        ))
    }

    /// Enrols with a ticket file.
    ///
    /// # Errors
    /// Refused; the agent's words are in the error.
    pub fn enrol(&self, ticket: &Path) -> Result<()> {
        let ticket = ticket.to_str().context("the ticket's path is not UTF-8")?;
        let (code, out, err) = self.once(&["enrol"], &["--ticket", ticket])?;
        if code != 0 {
            bail!("bbt-agent enrol failed: {out}{err}");
        }
        Ok(())
    }

    /// Starts `run`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&mut self) -> Result<()> {
        let mut command = self.command(&["run"]);
        command.env(
            "BBT_AGENT_LOG",
            std::env::var("BBT_TEST_LOG").unwrap_or_else(|_| "info,bbt_agent::fetch=debug".into()),
        );
        self.running = Some(Process::start("bbt-agent", &mut command, &self.log())?);
        Ok(())
    }

    /// Where `run` logs.
    pub fn log(&self) -> PathBuf {
        self.dir.join("agent.log")
    }

    /// The running program.
    ///
    /// # Errors
    /// It was not started.
    pub fn process(&mut self) -> Result<&mut Process> {
        self.running.as_mut().context("the agent is not running")
    }

    /// Kills it (SIGKILL), if it runs.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Address of the player, as a browser opens it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.player)
    }
}
